/* What every test of the Vulkan backend begins and ends with. */
#ifndef OSL_TEST_VK_H
#define OSL_TEST_VK_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/vulkan/vk.h"

#define VK_TEST_SKIP 77

static inline void vk_test_log(void *context, enum osl_log_level level, const char *line)
{
    (void)context;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

/* The device that the tests run on: the one OSL_VK_DEVICE names, else the first. */
static inline uint32_t vk_test_index(const struct osl_vk *vk)
{
    const char *wanted = getenv("OSL_VK_DEVICE");
    uint32_t index = wanted == NULL ? 0 : (uint32_t)strtoul(wanted, NULL, 10);
    return index < vk->device_count ? index : 0;
}

/* Opens Vulkan with the validation layer, by an entry point or (NULL) the system's loader; ends the
 * program with 77 and a reason on stdout where there is no device to test on. */
static inline void vk_test_open_by(struct osl_vk *vk,
                                   PFN_vkVoidFunction (*entry)(void *instance, const char *name))
{
    struct osl_vk_open open = {.entry = entry, .validation = true};
    struct osl_error error;
    osl_log_set_sink(vk_test_log, NULL, OSL_LOG_WARN);
    if (osl_vk_open(vk, &open, &error) != OSL_OK) {
        printf("SKIPPED: %s\n", error.text);
        exit(VK_TEST_SKIP);
    }
    const struct osl_vk_facts *facts = &vk->facts[vk_test_index(vk)];
    if (!facts->usable) {
        printf("SKIPPED: %s: %s\n", facts->name, facts->refusal);
        exit(VK_TEST_SKIP);
    }
    printf("on %s (%s)%s\n", facts->name, facts->driver,
           vk->validation ? ", validated" : ", NO validation layer");
}

static inline void vk_test_open(struct osl_vk *vk)
{
    vk_test_open_by(vk, NULL);
}

/* Closes it. Any message of the validation layer since it was opened is a failure. */
static inline void vk_test_close(struct osl_vk *vk)
{
    osl_vk_close(vk);
    assert_int_equal(vk->validation_messages, 0);
}

#define assert_ok(status, error)                                                                   \
    do {                                                                                           \
        if ((status) != OSL_OK) {                                                                  \
            fail_msg("%s", (error).text);                                                          \
        }                                                                                          \
    } while (0)

#endif
