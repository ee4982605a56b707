/* Faults under the whole engine, through the public API: every Vulkan call may fail, in planning,
 * in boot and in any step. A conversation then goes on with the same text as without the fault, or
 * ends with a FAULT or a status that says why; it never crashes, hangs or leaves anything behind.
 */
#include "tests/engine_fixture.h"

#include <unistd.h>

#include "tests/vulkan/fault_sweep.h"
#include "tests/vulkan/vk_test.h"

#define TURNS 2u
#define ANSWER_TOKENS 10u
#define STEPS_MAX 4096u

static char state_dir[] = "vk_faults_XXXXXX";
static char expected[8192]; /* what it says without a fault */

static void (*entry(void *instance, const char *name))(void)
{
    return fault_shim_entry(instance, name);
}

struct talk {
    char text[sizeof expected];
    size_t bytes;
    bool fault;
};

static enum ossicle_status answer_once(ossicle *engine, struct talk *talk)
{
    struct ossicle_sampling sampling;
    struct ossicle_event event;
    ossicle_sampling_init(&sampling);
    sampling.temperature = 0.0f;
    sampling.max_tokens = ANSWER_TOKENS;
    enum ossicle_status status = ossicle_begin(engine, &sampling);
    for (uint32_t i = 0; i < STEPS_MAX && status == OSSICLE_OK; i++) {
        status = ossicle_step(engine, &event);
        if (status != OSSICLE_OK || event.kind == OSSICLE_EVENT_DONE) {
            return status;
        }
        if (event.kind == OSSICLE_EVENT_FAULT) {
            talk->fault = true;
            return event.status;
        }
        if (event.kind == OSSICLE_EVENT_TEXT &&
            talk->bytes + event.text_bytes < sizeof talk->text) {
            memcpy(talk->text + talk->bytes, event.text, event.text_bytes);
            talk->bytes += event.text_bytes;
        }
    }
    return status;
}

/* Two questions, a mark between them, and back to it for the second once more. */
static enum ossicle_status converse(ossicle *engine, struct talk *talk)
{
    static const char *const questions[TURNS] = {"What is an ossicle?", "And a stapes?"};
    uint32_t mark = 0;
    enum ossicle_status status = ossicle_open(engine, NULL);
    for (uint32_t turn = 0; turn <= TURNS && status == OSSICLE_OK; turn++) {
        const char *question = questions[turn == TURNS ? 1 : turn];
        if (turn == TURNS) {
            status = ossicle_rewind(engine, mark);
        }
        if (status == OSSICLE_OK) {
            status = ossicle_say(engine, OSSICLE_USER, question, strlen(question));
        }
        if (status == OSSICLE_OK) {
            status = answer_once(engine, talk);
        }
        if (status == OSSICLE_OK && turn == 0) {
            status = ossicle_mark(engine, &mark);
        }
    }
    return status;
}

static enum osl_status work(void *user, bool *right_out, struct osl_error *error)
{
    (void)user;
    struct talk talk = {.bytes = 0};
    struct rig rig;
    struct ossicle_error why = {OSSICLE_OK, ""};
    rig_init(&rig);
    rig.config.device = OSSICLE_DEVICE_VULKAN;
    rig.config.vulkan_entry = entry;
    rig.config.state_dir = state_dir;
    rig.config.context_tokens = 256;
    rig.config.threads = 1;
    enum ossicle_status status = ossicle_plan(&rig.config, &rig.plan, &why);
    if (status == OSSICLE_OK) {
        rig.memory = aligned_alloc(OSSICLE_ALIGNMENT, rig.plan.memory_bytes);
        status = ossicle_boot(&rig.config, rig.memory, rig.plan.memory_bytes, &rig.engine, &why);
        if (status == OSSICLE_OK) {
            status = converse(rig.engine, &talk);
            snprintf(why.text, sizeof why.text, "%s", ossicle_error_text(rig.engine));
            struct ossicle_stats stats;
            ossicle_stats(rig.engine, &stats);
            *right_out = status == OSSICLE_OK;
            /* The CPU rounds otherwise: its text need not be the device's. */
            if (*right_out && strcmp(stats.device, "cpu") != 0) {
                if (expected[0] == '\0') {
                    memcpy(expected, talk.text, sizeof expected);
                }
                *right_out = strcmp(expected, talk.text) == 0;
            }
            ossicle_halt(rig.engine);
        }
        free(rig.memory);
    }
    return status == OSSICLE_OK ? OSL_OK : osl_fail(error, (enum osl_status)status, "%s", why.text);
}

static bool may_end(enum osl_status status)
{
    return status == OSL_UNSUPPORTED || status == OSL_MEMORY || status == OSL_DEVICE;
}

static void any_call_may_fail(void **state)
{
    (void)state;
    const struct fault_work job = {
        .name = "engine", .run = work, .may_end = may_end, .budget_ns = 60000000000u};
    assert_true(fault_sweep(&job) > 30);
}

int main(void)
{
    static struct osl_vk vk;
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
