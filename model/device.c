/* Devices: the list, and the choice of one. */
#include "device.h"

#include <stdio.h>
#include <string.h>

#include "compute/kernels.h"
#include "platform/platform.h"

_Static_assert(OSSICLE_DEVICES_MAX == OSL_VK_DEVICES_MAX, "one list");
_Static_assert(OSSICLE_HEAPS_MAX == OSL_VK_HEAPS_MAX, "one list");
_Static_assert(sizeof((struct ossicle_device_facts *)0)->advice[0] == OSL_VK_ADVICE_BYTES,
               "a line of advice fits");

struct osl_vulkan_open osl_device_open(const struct ossicle_config *config)
{
    return (struct osl_vulkan_open){.entry = config->vulkan_entry,
                                    .validation = config->vulkan_validation,
                                    .as_card = config->vulkan_as_card};
}

static enum osl_status find_tier(const char *name, enum osl_vk_tier *out, struct osl_error *error)
{
    *out = OSL_VK_TIER_COUNT - 1;
    if (name == NULL) {
        return OSL_OK;
    }
    for (uint32_t t = 0; t < OSL_VK_TIER_COUNT; t++) {
        if (strcmp(name, osl_vk_tier_name((enum osl_vk_tier)t)) == 0) {
            *out = (enum osl_vk_tier)t;
            return OSL_OK;
        }
    }
    return osl_fail(error, OSL_ARGUMENT,
                    "vulkan tier \"%s\": choose base, subgroup, fp16, dot or matrix", name);
}

static uint64_t local_bytes(const struct osl_vk_facts *facts)
{
    uint64_t most = 0;
    for (uint32_t h = 0; h < facts->heap_count; h++) {
        if (facts->heaps[h].device_local && facts->heaps[h].bytes > most) {
            most = facts->heaps[h].bytes;
        }
    }
    return most;
}

/* Its own memory before a share of the machine's, then the larger memory; software last. */
static bool is_better(const struct osl_vk_facts *a, const struct osl_vk_facts *b)
{
    if (a->type != b->type) {
        return a->type < b->type;
    }
    return local_bytes(a) > local_bytes(b);
}

static void note(struct osl_device_choice *choice, const char *text)
{
    snprintf(choice->note, sizeof choice->note, "%.255s", text);
}

/* Plans the model on one device; what it lacks is kept as text. */
static enum osl_status try_device(const struct osl_vk_facts *facts,
                                  const struct osl_schedule *schedule,
                                  const struct osl_vulkan_limits *limits,
                                  struct osl_device_choice *choice, struct osl_error *error)
{
    struct osl_error lack = {OSL_OK, ""};
    enum osl_status status = osl_vulkan_plan(facts, schedule, limits, &choice->need, &lack);
    if (status != OSL_OK && status != OSL_MEMORY) {
        return osl_fail(error, status, "%s", lack.text);
    }
    choice->facts = *facts;
    choice->fits = status == OSL_OK;
    snprintf(choice->short_of, sizeof choice->short_of, "%s", lack.text);
    return OSL_OK;
}

static enum osl_status choose_asked(const struct ossicle_config *config,
                                    const struct osl_vk_facts *facts, uint32_t count,
                                    const struct osl_vk_facts **out, struct osl_error *error)
{
    if (config->device_index >= 0) {
        if ((uint32_t)config->device_index >= count) {
            return osl_fail(error, OSL_ARGUMENT,
                            "vulkan device %d: there are %u, counted from 0; `ossicle devices` "
                            "lists them",
                            config->device_index, count);
        }
        *out = &facts[config->device_index];
        return OSL_OK;
    }
    *out = NULL;
    for (uint32_t d = 0; d < count; d++) {
        if (facts[d].usable && (*out == NULL || is_better(&facts[d], *out))) {
            *out = &facts[d];
        }
    }
    if (*out == NULL) {
        return osl_fail(error, OSL_UNSUPPORTED, "no usable Vulkan device: %.100s: %s",
                        count > 0 ? facts[0].name : "none found",
                        count > 0 ? facts[0].refusal : "install the GPU's driver");
    }
    return OSL_OK;
}

/* The best real GPU with room; none: the CPU, and why. */
static void choose_auto(const struct osl_vk_facts *facts, uint32_t count,
                        const struct osl_schedule *schedule,
                        const struct osl_vulkan_limits *limits, struct osl_device_choice *choice)
{
    struct osl_device_choice best = *choice;
    for (uint32_t d = 0; d < count; d++) {
        struct osl_device_choice one = *choice;
        struct osl_error error = {OSL_OK, ""};
        if (facts[d].type >= OSL_VK_SOFTWARE) {
            continue; /* slower than the CPU path itself */
        }
        if (try_device(&facts[d], schedule, limits, &one, &error) != OSL_OK) {
            note(&best, error.text);
        } else if (!one.fits) {
            note(&best, one.short_of);
        } else if (!best.vulkan || is_better(&facts[d], &best.facts)) {
            best = one;
            best.vulkan = true;
        }
    }
    *choice = best;
    if (choice->vulkan) {
        choice->note[0] = '\0';
    }
}

enum osl_status osl_device_choose(const struct ossicle_config *config,
                                  const struct osl_schedule *schedule,
                                  const struct osl_vulkan_limits *limits,
                                  struct osl_device_choice *choice, struct osl_error *error)
{
    memset(choice, 0, sizeof *choice);
    enum osl_status status = find_tier(config->vulkan_tier, &choice->tier_most, error);
    if (status != OSL_OK || config->device == OSSICLE_DEVICE_CPU) {
        return status;
    }
    struct osl_vk_facts facts[OSL_VK_DEVICES_MAX];
    struct osl_error missing = {OSL_OK, ""};
    struct osl_vulkan_open open = osl_device_open(config);
    uint32_t count = 0;
    status = osl_vulkan_list(&open, facts, &count, &missing);
    if (config->device == OSSICLE_DEVICE_AUTO) {
        if (status == OSL_OK) {
            choose_auto(facts, count, schedule, limits, choice);
        }
        return OSL_OK;
    }
    if (status != OSL_OK) {
        return osl_fail(error, status, "%s", missing.text);
    }
    const struct osl_vk_facts *asked = NULL;
    if ((status = choose_asked(config, facts, count, &asked, error)) != OSL_OK) {
        return status;
    }
    choice->vulkan = true;
    return try_device(asked, schedule, limits, choice, error);
}

/* ---- The public list --------------------------------------------------------------------- */

static void publish(const struct osl_vk_facts *facts, const char *state_dir,
                    struct ossicle_device_facts *out)
{
    static const char *const types[] = {[OSL_VK_DISCRETE] = "discrete",
                                        [OSL_VK_INTEGRATED] = "integrated",
                                        [OSL_VK_VIRTUAL] = "virtual",
                                        [OSL_VK_SOFTWARE] = "software",
                                        [OSL_VK_OTHER] = "other"};
    memset(out, 0, sizeof *out);
    out->index = facts->index;
    snprintf(out->name, sizeof out->name, "%s", facts->name);
    snprintf(out->driver, sizeof out->driver, "%s", facts->driver);
    snprintf(out->type, sizeof out->type, "%s", types[facts->type]);
    out->usable = facts->usable;
    snprintf(out->refusal, sizeof out->refusal, "%s", facts->refusal);
    snprintf(out->tier, sizeof out->tier, "%s", osl_vk_tier_name(facts->tier_reported));
    enum osl_vk_tier kept;
    if (osl_vulkan_tier_kept(facts, state_dir, &kept)) {
        snprintf(out->tier_kept, sizeof out->tier_kept, "%s", osl_vk_tier_name(kept));
    }
    out->unified = facts->unified;
    out->heap_count = facts->heap_count;
    for (uint32_t h = 0; h < facts->heap_count; h++) {
        const struct osl_vk_heap *heap = &facts->heaps[h];
        out->heaps[h] = (struct ossicle_heap){heap->bytes, heap->budget_bytes, heap->device_local,
                                              heap->host_visible};
    }
    out->subgroup_size = facts->subgroup_size;
    while (out->advice_count < OSSICLE_ADVICE_MAX &&
           osl_vk_advice(facts, out->advice_count, out->advice[out->advice_count],
                         sizeof out->advice[0])) {
        out->advice_count++;
    }
}

static void publish_error(const struct osl_error *from, struct ossicle_error *to)
{
    if (to != NULL && from->status != OSL_OK) {
        to->status = (enum ossicle_status)from->status;
        memcpy(to->text, from->text, sizeof to->text);
    }
}

enum ossicle_status ossicle_devices(const struct ossicle_config *config,
                                    struct ossicle_device_facts *devices_out, uint32_t *count_out,
                                    struct ossicle_error *error_out)
{
    struct osl_vk_facts facts[OSL_VK_DEVICES_MAX];
    struct osl_error error = {OSL_OK, ""};
    struct osl_vulkan_open open = osl_device_open(config);
    uint32_t count = 0;
    enum osl_status status = osl_vulkan_list(&open, facts, &count, &error);
    publish_error(&error, error_out);
    if (status != OSL_OK) {
        return (enum ossicle_status)status;
    }
    for (uint32_t d = 0; d < count; d++) {
        publish(&facts[d], config->state_dir, &devices_out[d]);
    }
    *count_out = count;
    return OSSICLE_OK;
}

void ossicle_cpu(struct ossicle_cpu_facts *facts_out)
{
    memset(facts_out, 0, sizeof *facts_out);
    snprintf(facts_out->level, sizeof facts_out->level, "%s", osl_kernels_find(NULL)->name);
    facts_out->threads = osl_threads_recommended();
}

enum ossicle_status ossicle_self_test_device(const struct ossicle_config *config,
                                             void (*line)(void *user, const char *text, bool pass),
                                             void *user, char tier_out[16],
                                             struct ossicle_error *error_out)
{
    struct osl_error error = {OSL_OK, ""};
    struct osl_vk_facts facts[OSL_VK_DEVICES_MAX];
    struct osl_vulkan_open open = osl_device_open(config);
    struct osl_vulkan_report report = {.tier = OSL_VK_TIER_BASE};
    const struct osl_vk_facts *asked = NULL;
    enum osl_vk_tier tier;
    uint32_t count = 0;
    enum osl_status status;
    if ((status = find_tier(config->vulkan_tier, &tier, &error)) == OSL_OK &&
        (status = osl_vulkan_list(&open, facts, &count, &error)) == OSL_OK &&
        (status = choose_asked(config, facts, count, &asked, &error)) == OSL_OK) {
        status = osl_vulkan_check(&open, asked->index, tier, config->state_dir, line, user,
                                  &report, &error);
    }
    if (status == OSL_OK) {
        snprintf(tier_out, 16, "%s", osl_vk_tier_name(report.tier));
    }
    publish_error(&error, error_out);
    return (enum ossicle_status)status;
}
