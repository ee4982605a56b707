/* The engine on a device that picks tokens by itself: the text does not depend on how far it runs
 * ahead, nor on whether filters were applied to its candidates or to all logits; greedy text is
 * the same whoever picks. On the tiny fixture model. */
#include "compute/vulkan/executor.h"
#include "tests/ahead_scripts.h"
#include "tests/vulkan/vk_test.h"

struct bench {
    struct rig rig;
    struct osl_backend *cpu;
    void *memory;
    atomic_bool abort;
    struct osl_backend_ops ops; /* the device's, with some taken away */
    const struct osl_backend_ops *own_ops;
    uint32_t aheads, takes, logits, listed;
};

static struct bench bench;
static uint32_t device_index;

/* ---- Counting on the way to the device ---------------------------------------------------- */

static enum osl_status count_ahead(struct osl_backend *backend, const struct osl_pick *pick,
                                   uint32_t position, uint32_t count)
{
    bench.aheads++;
    return bench.own_ops->ahead(backend, pick, position, count);
}

static enum osl_status count_take(struct osl_backend *backend, int32_t *token_out)
{
    bench.takes++;
    return bench.own_ops->take(backend, token_out);
}

static enum osl_status count_logits(struct osl_backend *backend, const float **out)
{
    bench.logits++;
    return bench.own_ops->logits(backend, out);
}

static enum osl_status count_candidates(struct osl_backend *backend, const struct osl_pick *pick,
                                        struct osl_candidates *out)
{
    enum osl_status status = bench.own_ops->candidates(backend, pick, out);
    bench.listed += out->count > 0;
    return status;
}

static uint32_t none_ahead(const struct osl_backend *backend)
{
    return 0;
}

/* ---- The engine on the device ------------------------------------------------------------- */

static void setup(uint32_t depth)
{
    memset(&bench, 0, sizeof bench);
    rig_init(&bench.rig);
    bench.rig.config.ahead_tokens = depth;
    bench.rig.config.threads = 1;
    rig_boot(&bench.rig);
    ossicle *engine = bench.rig.engine;
    const struct osl_vulkan_config config = {
        .open.validation = true,
        .device = device_index,
        .tier_most = OSL_VK_TIER_MATRIX,
        .schedule = &engine->schedule,
        .limits = {.prefill_tokens = engine->plan.prefill_tokens,
                   .logits_rows = 1,
                   .context_tokens = engine->plan.context_tokens,
                   .marks = engine->plan.marks + 1},
        .state_dir = OSL_BINARY_DIR "/tests",
        .abort = &bench.abort,
    };
    struct osl_error error;
    bench.memory = aligned_alloc(64, osl_vulkan_bytes());
    bench.cpu = engine->backend;
    assert_ok(osl_vulkan_boot(bench.memory, osl_vulkan_bytes(), &config, &engine->backend, &error),
              error);
    bench.own_ops = engine->backend->ops;
    bench.ops = *bench.own_ops;
    bench.ops.ahead = count_ahead;
    bench.ops.take = count_take;
    bench.ops.logits = count_logits;
    bench.ops.candidates = count_candidates;
    engine->backend->ops = &bench.ops;
}

static void teardown(void)
{
    ossicle *engine = bench.rig.engine;
    struct osl_vulkan *v = osl_vulkan_own(engine->backend);
    assert_int_equal(v->vk.validation_messages, 0);
    osl_backend_close(engine->backend);
    assert_int_equal(v->vk.validation_messages, 0);
    engine->backend = bench.cpu;
    free(bench.memory);
    rig_halt(&bench.rig);
}

static void assert_same(const struct outcome *got, const struct outcome *want, const char *what)
{
    uint32_t at = 0;
    while (at < want->id_count && want->ids[at] == got->ids[at]) {
        at++;
    }
    if (memcmp(got, want, sizeof *want) != 0) {
        fail_msg("%s: %u ids, not %u, other ones from %u on; %u tokens, not %u", what,
                 got->id_count, want->id_count, at, got->token_count, want->token_count);
    }
}

typedef void script(ossicle *engine, struct outcome *out);

/* ---- Tests -------------------------------------------------------------------------------- */

static void text_is_the_same_however_far_ahead(void **state)
{
    static script *const scripts[] = {run_raw, run_conversations, run_marks, run_penalties};
    static const uint32_t depths[] = {1, 64};
    static struct outcome want[4], got;
    uint32_t asked = 0;
    for (uint32_t d = 0; d < 2; d++) {
        setup(depths[d]);
        for (uint32_t s = 0; s < 4; s++) {
            struct outcome *out = d == 0 ? &want[s] : &got;
            memset(out, 0, sizeof *out);
            scripts[s](bench.rig.engine, out);
            finish(bench.rig.engine, out);
            assert_same(out, &want[s], "script");
        }
        assert_int_equal(bench.logits, 0);
        asked = d == 0 ? bench.aheads : asked;
        printf("%u ahead: %u tokens asked for %u times\n", depths[d], bench.takes, bench.aheads);
        assert_true(d == 0 || bench.aheads < asked);
        teardown();
    }
}

static void filters_need_no_logits(void **state)
{
    static struct outcome want, got;
    for (uint32_t lists = 0; lists < 2; lists++) {
        struct outcome *out = lists ? &got : &want;
        memset(out, 0, sizeof *out);
        setup(0);
        ossicle *engine = bench.rig.engine;
        bench.ops.candidates = lists ? count_candidates : NULL;
        MUST(engine, ossicle_open(engine, NULL));
        for (uint32_t i = 0; i < 4; i++) {
            struct ossicle_sampling sampling;
            ossicle_sampling_init(&sampling);
            sampling.seed = i;
            sampling.max_tokens = 30;
            sampling.top_k = i % 2 ? 20 : 0;
            sampling.top_p = i > 1 ? 0.9f : 1;
            sampling.min_p = i == 0 ? 0.1f : 0;
            sampling.presence_penalty = i == 3 ? 0.5f : 0;
            MUST(engine, ossicle_say(engine, OSSICLE_USER, "filter", 6));
            answer_with(engine, &sampling, out);
        }
        finish(engine, out);
        assert_true(lists ? bench.listed > 20 && bench.logits == 0 : bench.logits > 20);
        teardown();
    }
    assert_same(&got, &want, "candidates");
}

static void greedy_is_the_same_whoever_picks(void **state)
{
    static struct outcome want, got;
    for (uint32_t ahead = 0; ahead < 2; ahead++) {
        struct outcome *out = ahead ? &got : &want;
        memset(out, 0, sizeof *out);
        setup(0);
        ossicle *engine = bench.rig.engine;
        bench.ops.ahead_most = ahead ? bench.own_ops->ahead_most : none_ahead;
        for (uint32_t i = 0; i < 3; i++) {
            struct ossicle_sampling sampling;
            ossicle_sampling_init(&sampling);
            sampling.temperature = 0;
            sampling.repetition_penalty = i == 1 ? 1.2f : 1;
            sampling.max_tokens = 30 + i;
            MUST(engine, ossicle_open(engine, NULL));
            MUST(engine, ossicle_say(engine, OSSICLE_USER, "greedy", 6));
            answer_with(engine, &sampling, out);
        }
        assert_true(ahead ? bench.takes > 20 : bench.logits > 20);
        teardown();
    }
    assert_same(&got, &want, "greedy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_the_same_however_far_ahead),
        cmocka_unit_test(filters_need_no_logits),
        cmocka_unit_test(greedy_is_the_same_whoever_picks),
    };
    struct osl_vk vk;
    vk_test_open(&vk);
    device_index = vk_test_index(&vk);
    vk_test_close(&vk);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
