/* Faults below the executor: library, device, buffers, pipelines, recording and submitting, on the
 * workbench with the probe shader. Every call may fail; then it is said, and nothing is left. */
#include "tests/vulkan/vk_test.h"

#include <unistd.h>

#include "compute/vulkan/rig.h"
#include "tests/vulkan/fault_sweep.h"

#define COUNT 200u

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_rig rig;
static char state_dir[] = "vk_faults_XXXXXX";

static const struct osl_shape shape = {.layers = 1,
                                       .hidden = 96,
                                       .ff = 64,
                                       .heads = 4,
                                       .kv_heads = 2,
                                       .head_dim = 32,
                                       .experts = 5,
                                       .experts_used = 2,
                                       .vocab = 131,
                                       .window = 7,
                                       .rms_eps = 1e-5f};

static enum osl_status probe(struct osl_error *error)
{
    const struct osl_vk_pipeline *pipeline = NULL;
    const uint32_t spec[] = {64};
    const uint32_t count = COUNT;
    enum osl_status status = osl_vk_pipeline_get(&device, "probe", spec, 1, &pipeline, error);
    if (status == OSL_OK) {
        status = osl_vk_rig_begin(&rig, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    struct osl_vk_dispatch dispatch = {.pipeline = pipeline,
                                       .bind = {[1] = rig.net.act},
                                       .push = &count,
                                       .push_bytes = 4,
                                       .groups = {.rule = OSL_VK_FIXED, .x = 4, .y = 1, .z = 1},
                                       .name = "probe"};
    status = osl_vk_record(&rig.recorder, &dispatch, error);
    struct osl_step step = {.token_count = 1};
    return status == OSL_OK ? osl_vk_rig_run(&rig, &step, error) : status;
}

static enum osl_status on_rig(bool *right_out, struct osl_error *error)
{
    float values[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        values[i] = 0.5f * (float)i;
    }
    enum osl_status status = osl_vk_rig_shape(&rig, &shape, OSL_KV_F16, 8, 3, 64, error);
    if (status == OSL_OK) {
        status = osl_vk_rig_act_write(&rig, 0, values, COUNT, error);
    }
    if (status == OSL_OK) {
        status = probe(error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_act_read(&rig, 0, values, COUNT, error);
    }
    *right_out = status == OSL_OK;
    for (uint32_t i = 0; i < COUNT; i++) {
        *right_out = *right_out && values[i] == 2.0f * (float)i;
    }
    return status;
}

static enum osl_status work(void *user, bool *right_out, struct osl_error *error)
{
    (void)user;
    struct osl_vk_open open = {.entry = fault_shim_entry};
    enum osl_status status = osl_vk_open(&vk, &open, error);
    if (status != OSL_OK) {
        return status;
    }
    status =
        osl_vk_device_open(&vk, vk_test_index(&vk), OSL_VK_TIER_MATRIX, state_dir, &device, error);
    if (status == OSL_OK) {
        status = osl_vk_rig_open(&rig, &device, error);
        if (status == OSL_OK) {
            status = on_rig(right_out, error);
            osl_vk_rig_close(&rig);
        }
        osl_vk_device_save_cache(&device, state_dir);
        osl_vk_device_close(&device);
    }
    osl_vk_close(&vk);
    return status;
}

static void any_call_may_fail(void **state)
{
    (void)state;
    const struct fault_work job = {.name = "workbench", .run = work};
    assert_true(fault_sweep(&job) > 50);
}

int main(void)
{
    vk_test_open(&vk); /* skips where there is nothing to test on */
    osl_vk_close(&vk);
    osl_log_set_sink(NULL, NULL, OSL_LOG_ERROR);
    if (mkdtemp(state_dir) == NULL) {
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_call_may_fail)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", state_dir);
    return system(command) == 0 ? failed : 1;
}
