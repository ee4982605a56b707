/* Each embedded shader broken in turn, as a driver that compiles it wrongly would: the self-test at
 * boot must notice, and what runs in its stead must give the right numbers, or the backend says
 * that it cannot be trusted and the caller takes the CPU. Every third shader; all of them with
 * OSL_FAULTS=all in the environment (two minutes). What the self-test does with what it found is
 * tested in test_vk_self_test.c. */
#include "tests/vulkan/vk_executor.h"

#include <math.h>

#include "compute/vulkan/core.h"

#define PROMPT 40u
#define ANSWER 3u
#define NEAR 2e-3 /* of the largest logit: a device rounds otherwise, wrong sums are far off */

static struct vk_rig rig;
static float *expected; /* [ANSWER][vocab], the CPU's */

static uint32_t best_of(const float *logits)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < rig.schedule.shape.vocab; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

static bool is_near(const float *found, const float *wanted)
{
    double worst = 0.0, largest = 0.0;
    for (uint32_t i = 0; i < rig.schedule.shape.vocab; i++) {
        double d = fabs((double)found[i] - (double)wanted[i]);
        worst = !(d <= worst) ? d : worst;
        largest = fabs((double)wanted[i]) > largest ? fabs((double)wanted[i]) : largest;
    }
    return worst < NEAR * largest;
}

/* Prefill, decode, and a token picked by the device: all as the CPU has them. */
static bool is_right(void)
{
    const struct osl_pick pick = {.token_count = rig.schedule.shape.vocab,
                                  .repetition_penalty = 1.0f};
    const float *logits = NULL;
    int32_t token = -1;
    assert_int_equal(vk_rig_step(&rig, OSL_STEP_PREFILL, 0, PROMPT, 0, 0), OSL_OK);
    bool right = true;
    for (uint32_t t = 0; t < ANSWER; t++) {
        assert_int_equal(vk_rig_step(&rig, OSL_STEP_DECODE, PROMPT + t, 1, 0, 1), OSL_OK);
        assert_int_equal(osl_backend_logits(rig.backend, &logits), OSL_OK);
        right = right && is_near(logits, expected + (uint64_t)t * rig.schedule.shape.vocab);
    }
    uint32_t best = best_of(logits);
    if (osl_backend_ahead_most(rig.backend) > 0) {
        assert_int_equal(osl_backend_ahead(rig.backend, &pick, PROMPT + ANSWER, 1), OSL_OK);
        assert_int_equal(osl_backend_take(rig.backend, &token), OSL_OK);
        right = right && token == (int32_t)best;
    }
    return right;
}

/* Boots with what the shim does to the shaders. */
static enum osl_status boot(struct osl_vulkan_report *report, struct osl_error *error)
{
    struct osl_vulkan_config config = {
        .open = {.entry = (void (*(*)(void *, const char *))(void))fault_shim_entry},
        .device = vk_rig_facts()->index,
        .tier_most = OSL_VK_TIER_MATRIX,
        .schedule = &rig.schedule,
        .limits = {.prefill_tokens = 48, .logits_rows = 1, .context_tokens = 64, .marks = 1},
        .abort = &rig.abort,
    };
    enum osl_status status =
        osl_vulkan_boot(rig.memory, osl_vulkan_bytes(), &config, &rig.backend, error);
    if (status == OSL_OK) {
        osl_vulkan_report(rig.backend, report);
    }
    return status;
}

static void ask_the_cpu(void)
{
    struct rig_options options = {.threads = 1,
                                  .prefill_tokens = 48,
                                  .context_tokens = 64,
                                  .logits_rows = 1,
                                  .overlay = true,
                                  .kernels = osl_kernels_find("plain")};
    rig_make(&rig.cpu, &rig_models[0]);
    rig_start(&rig.cpu, &options);
    rig.schedule = rig.cpu.schedule;
    rig.memory = aligned_alloc(64, osl_vulkan_bytes());
    uint64_t row_bytes = (uint64_t)rig.schedule.shape.vocab * sizeof *expected;
    expected = malloc(ANSWER * row_bytes);
    assert_int_equal(rig_step(&rig.cpu, OSL_STEP_PREFILL, 0, PROMPT, 0, 0), OSL_OK);
    for (uint32_t t = 0; t < ANSWER; t++) {
        assert_int_equal(rig_step(&rig.cpu, OSL_STEP_DECODE, PROMPT + t, 1, 0, 1), OSL_OK);
        memcpy((uint8_t *)expected + t * row_bytes, osl_executor_logits(rig.cpu.executor),
               row_bytes);
    }
}

static void no_broken_shader_is_believed(void **state)
{
    (void)state;
    struct osl_vulkan_report whole, report;
    struct osl_error error;
    uint32_t used = 0, stepped_down = 0, refused = 0;
    const char *wanted = getenv("OSL_FAULTS");
    uint32_t stride = wanted != NULL && strcmp(wanted, "all") == 0 ? 1 : 3;
    ask_the_cpu();
    assert_true(fault_shim_open());
    assert_ok(boot(&whole, &error), error);
    assert_true(is_right());
    assert_int_equal(whole.checks_failed, 0);
    osl_backend_close(rig.backend);
    for (uint32_t i = 0; osl_vk_shaders[i] != NULL; i++) {
        const struct osl_vk_shader *shader = osl_vk_shaders[i];
        struct fault_shim_seen seen;
        assert_true(fault_shim_open());
        if (i % stride != 0 || !fault_shim_corrupt(shader)) {
            continue;
        }
        enum osl_status status = boot(&report, &error);
        fault_shim_look(&seen);
        used += seen.corrupted > 0;
        if (status != OSL_OK) {
            assert_int_equal(status, OSL_DEVICE);
            printf("%s: %s\n", shader->name, error.text);
            refused++;
            continue;
        }
        if (seen.corrupted > 0) {
            printf("%s: %u checks failed, tier %s of %s\n", shader->name, report.checks_failed,
                   osl_vk_tier_name(report.tier), osl_vk_tier_name(whole.tier));
        }
        stepped_down += seen.corrupted > 0 && report.checks_failed > 0;
        if (!is_right()) {
            fail_msg("%s: broken, and believed", shader->name);
        }
        osl_backend_close(rig.backend);
        fault_shim_look(&seen);
        assert_int_equal(seen.live + seen.leaked + seen.strange, 0);
    }
    printf("%u of the shaders are used here; broken: %u lead to a lower tier, %u to the CPU\n",
           used, stepped_down, refused);
    assert_true(used >= 4 && stepped_down + refused >= used - 1);
    free(expected);
    free(rig.memory);
    rig_stop(&rig.cpu);
}

int main(void)
{
    (void)vk_rig_facts(); /* skips where there is nothing to test on */
    osl_log_set_sink(NULL, NULL, OSL_LOG_ERROR);
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_broken_shader_is_believed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
