/* The self-test at boot: shaders broken on purpose are found and done without, results are kept,
 * and what is left gives right answers. */
#include "tests/vulkan/vk_executor.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct rig_options options = {.threads = 1,
                                           .prefill_tokens = 40,
                                           .context_tokens = 128,
                                           .logits_rows = 40,
                                           .overlay = true};

/* An empty folder for state. */
static const char *fresh_state(void)
{
    static char path[] = OSL_BINARY_DIR "/tests/state.XXXXXX";
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(path));
    return path;
}

static void (*shim_entry(void *instance, const char *name))(void)
{
    return fault_shim_entry(instance, name);
}

/* Boots as a session of ours would, through the shim. */
static enum osl_status boot(struct vk_rig *rig, enum osl_vk_tier tier, const char *state_dir,
                            struct osl_error *error)
{
    struct rig_options own = options;
    own.kernels = osl_kernels_find("plain");
    memset(rig, 0, sizeof *rig);
    rig_make(&rig->cpu, &rig_models[0]);
    rig_start(&rig->cpu, &own);
    rig->schedule = rig->cpu.schedule;
    const struct osl_vulkan_config config = {
        .open = {.entry = shim_entry},
        .device = vk_rig_facts()->index,
        .tier_most = tier,
        .schedule = &rig->schedule,
        .limits = {.prefill_tokens = 40, .logits_rows = 40, .context_tokens = 128, .marks = 1},
        .state_dir = state_dir,
    };
    rig->memory = aligned_alloc(64, osl_vulkan_bytes());
    assert_non_null(rig->memory);
    return osl_vulkan_boot(rig->memory, osl_vulkan_bytes(), &config, &rig->backend, error);
}

static void finish(struct vk_rig *rig)
{
    if (rig->backend != NULL) {
        osl_backend_close(rig->backend);
    }
    free(rig->memory);
    rig_stop(&rig->cpu);
}

static struct osl_vulkan_report report_of(const struct vk_rig *rig)
{
    struct osl_vulkan_report report;
    osl_vulkan_report(rig->backend, &report);
    return report;
}

/* A prompt and two tokens after it, beside the CPU. */
static void expect_right_answers(struct vk_rig *rig)
{
    uint32_t vocab = rig->schedule.shape.vocab;
    for (uint32_t first = 0, count; first < 22; first += count) {
        enum osl_step_kind kind = first == 0 ? OSL_STEP_PREFILL : OSL_STEP_DECODE;
        const float *found = NULL;
        count = first == 0 ? 20 : 1;
        assert_int_equal(rig_step(&rig->cpu, kind, first, count, count - 1, 1), OSL_OK);
        assert_int_equal(vk_rig_step(rig, kind, first, count, count - 1, 1), OSL_OK);
        assert_int_equal(osl_backend_logits(rig->backend, &found), OSL_OK);
        const float *expected = osl_executor_logits(rig->cpu.executor);
        for (uint32_t i = 0; i < vocab; i++) {
            assert_true(fabsf(found[i] - expected[i]) < 1e-3f);
        }
    }
}

static void result_is_kept(void **state)
{
    (void)state;
    const char *state_dir = fresh_state();
    uint32_t passed = 0;
    for (uint32_t turn = 0; turn < 4; turn++) {
        struct vk_rig rig;
        struct osl_error error;
        char path[OSL_PATH_BYTES];
        assert_true(fault_shim_open());
        assert_ok(boot(&rig, OSL_VK_TIER_MATRIX, state_dir, &error), error);
        const struct osl_vulkan_report report = report_of(&rig);
        snprintf(path, sizeof path, "%s/selftest-%02x%02x%02x%02x%02x%02x%02x%02x", state_dir,
                 report.facts.device_uuid[0], report.facts.device_uuid[1],
                 report.facts.device_uuid[2], report.facts.device_uuid[3],
                 report.facts.device_uuid[4], report.facts.device_uuid[5],
                 report.facts.device_uuid[6], report.facts.device_uuid[7]);
        passed = turn == 0 ? report.checks_passed : passed;
        assert_true(passed >= 20);
        assert_int_equal(report.checks_passed, passed);
        assert_int_equal(report.checks_failed, 0);
        /* the third finds the file cut, the fourth what the third has written */
        assert_int_equal(report.checks_kept, turn == 1 || turn == 3);
        assert_int_equal(access(path, R_OK), 0);
        if (turn == 1) {
            struct stat info;
            assert_int_equal(stat(path, &info), 0);
            assert_int_equal(truncate(path, info.st_size - 1), 0);
        }
        finish(&rig);
    }
}

/* A module of a tier gives wrong numbers: the tier below takes over, and is right. */
static void broken_shader_steps_down(void **state)
{
    (void)state;
    static const struct {
        const char *shader;
        enum osl_vk_tier tier; /* that it belongs to */
    } cases[] = {
        {"matvec_dot", OSL_VK_TIER_DOT},
        {"decode_up_subgroup", OSL_VK_TIER_SUBGROUP},
        {"attend_decode_subgroup", OSL_VK_TIER_SUBGROUP},
        {"matmul_fp16", OSL_VK_TIER_FP16},
    };
    uint32_t ran = 0;
    for (uint32_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct vk_rig rig;
        struct osl_error error;
        const struct osl_vk_shader *shader = osl_vk_shader_find(cases[c].shader);
        if (shader == NULL || vk_rig_facts()->tier_reported < cases[c].tier) {
            continue;
        }
        assert_true(fault_shim_open());
        assert_true(fault_shim_corrupt(shader));
        assert_ok(boot(&rig, cases[c].tier, fresh_state(), &error), error);
        struct fault_shim_seen seen;
        fault_shim_look(&seen);
        const struct osl_vulkan_report report = report_of(&rig);
        printf("%s broken: %u of %u checks failed, goes on at %s\n", cases[c].shader,
               report.checks_failed, report.checks_failed + report.checks_passed,
               osl_vk_tier_name(report.tier));
        if (seen.corrupted > 0) { /* else this device is given another module in that tier */
            assert_true(report.checks_failed > 0);
            assert_true(report.tier < cases[c].tier);
            ran++;
        }
        expect_right_answers(&rig);
        finish(&rig);
    }
    assert_true(ran > 0 || vk_rig_facts()->tier_reported == OSL_VK_TIER_BASE);
}

static void broken_base_is_refused(void **state)
{
    (void)state;
    static const char *const shaders[] = {"matvec", "rope_store", "pick_token"};
    for (uint32_t i = 0; i < sizeof shaders / sizeof shaders[0]; i++) {
        struct vk_rig rig;
        struct osl_error error;
        assert_true(fault_shim_open());
        assert_true(fault_shim_corrupt(osl_vk_shader_find(shaders[i])));
        assert_int_equal(boot(&rig, OSL_VK_TIER_BASE, fresh_state(), &error), OSL_DEVICE);
        assert_null(rig.backend);
        assert_non_null(strstr(error.text, "--device cpu"));
        finish(&rig);
        struct fault_shim_seen seen;
        fault_shim_look(&seen);
        assert_int_equal(seen.live, 0);
        assert_int_equal(seen.strange, 0);
    }
}

struct lines {
    uint32_t passed, failed;
};

static void count_line(void *user, const char *text, bool pass)
{
    struct lines *lines = user;
    lines->passed += pass;
    lines->failed += !pass;
    assert_true(strlen(text) > 0);
}

/* Without a model, on the widths of the 20b. */
static void every_tier_passes(void **state)
{
    (void)state;
    const struct osl_vulkan_open open = {.validation = false};
    struct osl_vulkan_report report;
    struct osl_error error;
    struct lines lines = {0};
    assert_ok(osl_vulkan_check(&open, vk_rig_facts()->index, OSL_VK_TIER_MATRIX, NULL, count_line,
                               &lines, &report, &error),
              error);
    assert_int_equal(lines.failed, 0);
    assert_int_equal(report.checks_failed, 0);
    assert_int_equal(report.checks_passed, lines.passed);
    assert_int_equal(report.tier, vk_rig_facts()->tier_reported);
    printf("%u checks in %.0f ms, up to %s\n", lines.passed, (double)report.checks_ns * 1e-6,
           osl_vk_tier_name(report.tier));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(result_is_kept),
        cmocka_unit_test(broken_shader_steps_down),
        cmocka_unit_test(broken_base_is_refused),
        cmocka_unit_test(every_tier_passes),
    };
    (void)vk_rig_facts();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
