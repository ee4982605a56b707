/* A backend on the device beside the CPU executor of the same random model. */
#ifndef OSL_TEST_VK_EXECUTOR_H
#define OSL_TEST_VK_EXECUTOR_H

#include "compute/vulkan/executor.h"
#include "tests/executor_rig.h"
#include "tests/vulkan/fault_shim.h"
#include "tests/vulkan/vk_test.h"

struct vk_rig {
    struct rig cpu;
    struct osl_schedule schedule; /* as the device sees it */
    struct osl_backend *backend;
    void *memory;
    atomic_bool abort;
};

/* Facts of the test's device; ends the program with 77 where there is none. */
static inline const struct osl_vk_facts *vk_rig_facts(void)
{
    static struct osl_vk_facts facts[OSL_VK_DEVICES_MAX];
    static bool known;
    static uint32_t index;
    if (!known) {
        struct osl_vk vk;
        vk_test_open(&vk);
        index = vk_test_index(&vk);
        memcpy(facts, vk.facts, sizeof facts);
        vk_test_close(&vk);
        known = true;
    }
    return &facts[index];
}

/* Starts the CPU executor and boots the backend with the same limits. config: what differs from
 * the default; its schedule and limits are filled in, and what the self-test finds is kept in the
 * build folder unless it names another. */
static inline void vk_rig_start(struct vk_rig *rig, const struct rig_model *model,
                                const struct rig_options *options,
                                const struct osl_vulkan_config *config)
{
    struct osl_error error;
    memset(rig, 0, sizeof *rig);
    rig_make(&rig->cpu, model);
    rig_start(&rig->cpu, options);
    rig->schedule = rig->cpu.schedule;
    struct osl_vulkan_config own = *config;
    own.open.validation = true;
    own.state_dir = own.state_dir == NULL ? OSL_BINARY_DIR "/tests" : own.state_dir;
    own.device = vk_rig_facts()->index;
    own.schedule = &rig->schedule;
    own.abort = &rig->abort;
    own.limits = (struct osl_vulkan_limits){.prefill_tokens = options->prefill_tokens,
                                            .logits_rows = options->logits_rows,
                                            .context_tokens = options->context_tokens,
                                            .marks = 3,
                                            .import_weights = config->limits.import_weights};
    rig->memory = aligned_alloc(64, osl_vulkan_bytes());
    assert_non_null(rig->memory);
    assert_ok(osl_vulkan_boot(rig->memory, osl_vulkan_bytes(), &own, &rig->backend, &error),
              error);
}

/* The backend's instance must have drawn no validation message. */
static inline void vk_rig_stop(struct vk_rig *rig)
{
    struct osl_vulkan *v = osl_vulkan_own(rig->backend);
    assert_int_equal(v->vk.validation_messages, 0);
    osl_backend_close(rig->backend);
    assert_int_equal(v->vk.validation_messages, 0);
    free(rig->memory);
    rig_stop(&rig->cpu);
}

/* Tokens [first, first + count) of the rig's text through the device. */
static inline enum osl_status vk_rig_step(struct vk_rig *rig, enum osl_step_kind kind,
                                          uint32_t first, uint32_t count, uint32_t logits_first,
                                          uint32_t logits_count)
{
    static int32_t tokens[RIG_TOKENS_MAX];
    for (uint32_t t = 0; t < count; t++) {
        tokens[t] = rig_token(&rig->cpu, first + t);
    }
    const struct osl_step step = {.kind = kind,
                                  .token_count = count,
                                  .position_first = first,
                                  .tokens = tokens,
                                  .logits_row_first = logits_first,
                                  .logits_row_count = logits_count};
    return osl_backend_run(rig->backend, &step);
}

#endif
