/* Faults in the whole backend: every Vulkan call from opening the library to closing it may fail,
 * at boot, in prefill and decode steps, while picking ahead, and while a lost device is made anew.
 * The caller does what model/ does: it restarts the backend and reads its tokens again. Then the
 * numbers are those of a run without a fault, or the backend says in one line why it cannot go on;
 * it never crashes, hangs or leaves anything behind. */
#include "tests/vulkan/vk_executor.h"

#include <unistd.h>

#include "tests/vulkan/fault_sweep.h"

#define PROMPT 21u
#define ANSWER 4u
#define RESTARTS_MAX 3u

static struct vk_rig rig;
static char state_dir[] = "vk_faults_XXXXXX";
static uint32_t recorded_by_steps;
static uint64_t expected; /* hash of a run without a fault; 0: not known yet */

static uint64_t fnv(uint64_t hash, const void *data, uint64_t bytes)
{
    const uint8_t *at = data;
    for (uint64_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3u;
    }
    return hash;
}

static enum osl_status hash_logits(uint64_t *hash)
{
    const float *logits = NULL;
    enum osl_status status = osl_backend_logits(rig.backend, &logits);
    if (status == OSL_OK) {
        *hash = fnv(*hash, logits, (uint64_t)rig.schedule.shape.vocab * 4);
    }
    return status;
}

/* The tokens that the device picks by itself. */
static enum osl_status ahead(uint64_t *hash)
{
    const struct osl_pick pick = {.token_count = rig.schedule.shape.vocab,
                                  .repetition_penalty = 1.0f};
    uint32_t most = osl_backend_ahead_most(rig.backend);
    uint32_t count = most < 3 ? most : 3;
    if (count == 0) {
        return OSL_OK;
    }
    enum osl_status status = osl_backend_ahead(rig.backend, &pick, PROMPT + ANSWER, count);
    for (uint32_t i = 0; i < count && status == OSL_OK; i++) {
        int32_t token = -1;
        status = osl_backend_take(rig.backend, &token);
        *hash = fnv(*hash, &token, sizeof token);
    }
    return status == OSL_OK ? osl_backend_drop(rig.backend) : status;
}

/* A step; counts what it records. */
static enum osl_status step(enum osl_step_kind kind, uint32_t first, uint32_t count)
{
    struct fault_shim_seen before, after;
    fault_shim_look(&before);
    enum osl_status status = vk_rig_step(&rig, kind, first, count, count - 1, 1);
    fault_shim_look(&after);
    recorded_by_steps += after.recording - before.recording;
    return status;
}

/* Prompt, mark, answer, back to the mark, the answer's first token again, then ahead. */
static enum osl_status generate(uint64_t *hash)
{
    *hash = 0xcbf29ce484222325u;
    enum osl_status status = step(OSL_STEP_PREFILL, 0, PROMPT);
    if (status == OSL_OK) {
        status = osl_backend_mark(rig.backend, 0, PROMPT, false);
    }
    for (uint32_t t = PROMPT; t < PROMPT + ANSWER && status == OSL_OK; t++) {
        status = step(OSL_STEP_DECODE, t, 1);
        if (status == OSL_OK) {
            status = hash_logits(hash);
        }
    }
    if (status == OSL_OK) {
        status = osl_backend_mark(rig.backend, 0, PROMPT, true);
    }
    for (uint32_t t = PROMPT; t < PROMPT + ANSWER && status == OSL_OK; t++) {
        status = step(OSL_STEP_DECODE, t, 1);
    }
    return status == OSL_OK ? ahead(hash) : status;
}

/* As model/ recovers: three restarts in a row at most. */
static enum osl_status generate_and_recover(uint64_t *hash, struct osl_error *error)
{
    enum osl_status status = generate(hash);
    for (uint32_t i = 0; i < RESTARTS_MAX && status == OSL_DEVICE; i++) {
        if (vk_rig_step(&rig, OSL_STEP_DECODE, 0, 1, 0, 0) != OSL_DEVICE) {
            return osl_fail(error, OSL_STATE, "a lost device works without having been restarted");
        }
        if (osl_backend_restart(rig.backend, error) == OSL_OK) {
            status = generate(hash);
        }
    }
    if (status != OSL_OK && error->text[0] == '\0') {
        return osl_fail(error, status, "the device is lost for good");
    }
    return status;
}

static enum osl_status work(void *user, bool *right_out, struct osl_error *error)
{
    (void)user;
    struct osl_vulkan_config config = {
        .open = {.entry = (void (*(*)(void *, const char *))(void))fault_shim_entry},
        .device = vk_rig_facts()->index,
        .tier_most = OSL_VK_TIER_MATRIX,
        .schedule = &rig.schedule,
        .limits = {.prefill_tokens = 32, .logits_rows = 1, .context_tokens = 64, .marks = 2},
        .state_dir = state_dir,
        .abort = &rig.abort,
        .watchdog_ns = 5000000000u,
    };
    uint64_t hash = 0;
    enum osl_status status =
        osl_vulkan_boot(rig.memory, osl_vulkan_bytes(), &config, &rig.backend, error);
    if (status != OSL_OK) {
        return status;
    }
    bool fresh = expected == 0;
    struct fault_shim_seen booted, seen;
    fault_shim_look(&booted);
    recorded_by_steps = 0;
    status = generate_and_recover(&hash, error);
    expected = fresh ? hash : expected;
    *right_out = status == OSL_OK && hash == expected;
    fault_shim_look(&seen);
    if (fresh && (seen.making != booted.making || recorded_by_steps != 0)) {
        fault_shim_print_calls(); /* after boot nothing is made, and no step records anything */
        *right_out = false;
    }
    osl_backend_close(rig.backend);
    return status;
}

/* What boot and steps may end with: see vulkan.h. */
static bool may_end(enum osl_status status)
{
    return status == OSL_UNSUPPORTED || status == OSL_MEMORY || status == OSL_DEVICE;
}

static void any_call_may_fail(void **state)
{
    (void)state;
    struct rig_options options = {.threads = 1,
                                  .prefill_tokens = 32,
                                  .context_tokens = 64,
                                  .logits_rows = 1,
                                  .overlay = true,
                                  .kernels = osl_kernels_find("plain")};
    rig_make(&rig.cpu, &rig_models[0]);
    rig_start(&rig.cpu, &options);
    rig.schedule = rig.cpu.schedule;
    rig.memory = aligned_alloc(64, osl_vulkan_bytes());
    const struct fault_work job = {
        .name = "backend", .run = work, .may_end = may_end, .budget_ns = 60000000000u};
    assert_true(fault_sweep(&job) > 50);
    free(rig.memory);
    rig_stop(&rig.cpu);
}

int main(void)
{
    (void)vk_rig_facts(); /* skips where there is nothing to test on */
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
