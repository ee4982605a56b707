/* Tokens picked by a device that runs ahead: the text is the same however far ahead it is, and
 * nothing of what is dropped is left behind. On a fake device made of the CPU's backend. */
#include "ahead_scripts.h"
#include "fake_device.h"

static const uint32_t depths[] = {1, 2, 5, 64, 0};
#define DEPTHS (sizeof depths / sizeof depths[0])

struct bench {
    struct rig rig;
    struct fake_device fake;
};

static void setup(struct bench *bench, uint32_t depth, uint32_t prefill)
{
    rig_init(&bench->rig);
    bench->rig.config.ahead_tokens = depth;
    bench->rig.config.prefill_tokens = prefill;
    bench->rig.config.threads = 1;
    rig_boot(&bench->rig);
    fake_device_put(&bench->fake, &bench->rig.engine->backend,
                    bench->rig.engine->hparams.shape.vocab, OSL_PICK_AHEAD_MAX);
}

static void teardown(struct bench *bench)
{
    fake_device_remove(&bench->fake, &bench->rig.engine->backend);
    rig_halt(&bench->rig);
}

typedef void script(struct bench *bench, struct outcome *out);

#define ON_ENGINE(name)                                                                            \
    static void on_##name(struct bench *bench, struct outcome *out)                                \
    {                                                                                              \
        name(bench->rig.engine, out);                                                              \
    }
ON_ENGINE(run_raw)
ON_ENGINE(run_conversations)
ON_ENGINE(run_marks)
ON_ENGINE(run_penalties)
ON_ENGINE(run_stops)
ON_ENGINE(run_cancels)

/* Runs a script at every depth; the outcomes must be the same. */
static void assert_same_at_every_depth(script *run, uint32_t prefill)
{
    static struct bench bench;
    static struct outcome want, got;
    for (uint32_t d = 0; d < DEPTHS; d++) {
        struct outcome *out = d == 0 ? &want : &got;
        memset(out, 0, sizeof *out);
        setup(&bench, depths[d], prefill);
        run(&bench, out);
        finish(bench.rig.engine, out);
        if (depths[d] > 1) {
            assert_in_range(bench.fake.deepest, 2, depths[d]);
        }
        teardown(&bench);
        if (d > 0 && memcmp(out, &want, sizeof want) != 0) {
            uint32_t at = 0;
            while (at < want.id_count && want.ids[at] == got.ids[at]) {
                at++;
            }
            fail_msg("%u ahead: %u ids, %u at 1; they differ from %u on; %u tokens, %u read; %u, "
                     "%u at 1", depths[d], got.id_count, want.id_count, at, got.token_count,
                     got.read, want.token_count, want.read);
        }
    }
}

/* ---- Scripts ------------------------------------------------------------------------------ */

/* An answer that faults is taken back: rows that were dropped must not be left in the rings. */
static void run_faults(struct bench *bench, struct outcome *out)
{
    ossicle *engine = bench->rig.engine;
    struct answer_log log;
    int32_t ids[100];
    some_ids(ids, 100, engine->hparams.shape.vocab, 6);
    MUST(engine, ossicle_open(engine, NULL));
    MUST(engine, ossicle_say_tokens(engine, ids, 100));
    const struct ossicle_sampling sampling = {
        .temperature = 1, .top_p = 1, .repetition_penalty = 1, .raw = true};
    for (uint32_t tokens = 1; tokens < 60; tokens += 7) {
        struct ossicle_event event;
        uint32_t before = engine->session.count;
        MUST(engine, ossicle_begin(engine, &sampling));
        for (uint32_t steps = 0; steps <= tokens; steps++) {
            MUST(engine, ossicle_step(engine, &event));
        }
        bench->fake.blind = true;
        while (event.kind != OSSICLE_EVENT_FAULT) {
            MUST(engine, ossicle_step(engine, &event));
        }
        bench->fake.blind = false;
        assert_int_equal(engine->session.count, before);
        answer(engine, tokens, 3, true, &log);
        note(out, &log);
        MUST(engine, ossicle_open(engine, NULL));
        MUST(engine, ossicle_say_tokens(engine, ids, 100));
    }
}

/* A call cut short is taken back to where its message began. */
static void run_cut_calls(struct bench *bench, struct outcome *out)
{
    ossicle *engine = bench->rig.engine;
    const struct osl_answer *a = &engine->answer;
    const struct ossicle_conversation conversation = {.tools_json = script_tools};
    struct answer_log log;
    uint32_t cut = 0;
    for (uint32_t seed = 0; seed < 24; seed++) {
        struct ossicle_sampling sampling;
        struct ossicle_event event;
        ossicle_sampling_init(&sampling);
        sampling.seed = seed;
        MUST(engine, ossicle_open(engine, &conversation));
        MUST(engine, ossicle_say(engine, OSSICLE_USER, "call it", 7));
        MUST(engine, ossicle_begin(engine, &sampling));
        uint32_t written = 0;
        for (uint32_t steps = 0; steps < 60 && written < seed && a->phase != OSL_PHASE_DONE;
             steps++) {
            MUST(engine, ossicle_step(engine, &event));
            written += a->in_call && a->constrain.in_content;
        }
        cut += written > 0;
        ossicle_cancel(engine);
        log_answer(engine, &log);
        answer(engine, seed, 4, true, &log);
        note(out, &log);
    }
    assert_true(cut > 3);
}

/* To the end of the context. */
static void run_full(struct bench *bench, struct outcome *out)
{
    ossicle *engine = bench->rig.engine;
    struct answer_log log;
    int32_t ids[600];
    some_ids(ids, 600, engine->hparams.shape.vocab, 4);
    MUST(engine, ossicle_open(engine, NULL));
    MUST(engine, ossicle_say_tokens(engine, ids, 600));
    answer(engine, 1, 0, true, &log);
    note(out, &log);
    assert_int_equal(log.reason, OSSICLE_DONE_LENGTH);
}

/* ---- Tests -------------------------------------------------------------------------------- */

static void text_is_the_same_however_far_ahead(void **state)
{
    static script *const scripts[] = {on_run_raw,       on_run_conversations, on_run_marks,
                                      on_run_penalties, on_run_stops,         on_run_cancels,
                                      run_faults,       run_full,             run_cut_calls};
    for (uint32_t s = 0; s < sizeof scripts / sizeof scripts[0]; s++) {
        assert_same_at_every_depth(scripts[s], 32);
    }
    /* rings with little room behind the window */
    assert_same_at_every_depth(on_run_conversations, 3);
    assert_same_at_every_depth(on_run_marks, 3);
}

static void nothing_is_asked_for_beyond_the_limit(void **state)
{
    static struct bench bench;
    static struct outcome out;
    setup(&bench, 64, 32);
    memset(&out, 0, sizeof out);
    run_raw(bench.rig.engine, &out); /* five times 31 tokens */
    assert_int_equal(bench.fake.picked, 5 * 31);
    assert_int_equal(bench.fake.taken, 5 * 31);
    assert_int_equal(bench.fake.logits_read, 0);
    teardown(&bench);
}

static void greedy_is_the_hosts(void **state)
{
    static struct bench bench;
    struct answer_log want, got;
    struct ossicle_sampling sampling;
    ossicle_sampling_init(&sampling);
    sampling.temperature = 0;
    sampling.max_tokens = 50;
    sampling.frequency_penalty = 0.2f;
    sampling.top_k = 7; /* does not matter */
    for (uint32_t raw = 0; raw < 2; raw++) {
        sampling.raw = raw;
        for (uint32_t device = 0; device < 2; device++) {
            setup(&bench, 8, 32);
            bench.fake.most = device ? 8 : 0;
            MUST(bench.rig.engine, ossicle_open(bench.rig.engine, NULL));
            MUST(bench.rig.engine, ossicle_say(bench.rig.engine, OSSICLE_USER, "hi", 2));
            MUST(bench.rig.engine, ossicle_begin(bench.rig.engine, &sampling));
            log_answer(bench.rig.engine, device ? &got : &want);
            assert_int_equal(bench.fake.taken > 0, device);
            teardown(&bench);
        }
        assert_memory_equal(&got, &want, sizeof want);
    }
}

/* Filters: from candidates, or where those are too many from all logits, as the host alone. */
static void filters_are_the_hosts(void **state)
{
    static struct bench bench;
    static struct answer_log want, got;
    for (uint32_t i = 0; i < 7; i++) {
        struct ossicle_sampling sampling;
        ossicle_sampling_init(&sampling);
        sampling.seed = i;
        sampling.max_tokens = 30;
        sampling.temperature = 0.9f;
        sampling.top_k = i % 2 ? 12 : 0;
        sampling.top_p = i % 3 ? 0.9f : 1;
        sampling.min_p = i % 4 > 1 ? 0.05f : 0;
        sampling.presence_penalty = i % 5 == 0 ? 0.5f : 0;
        for (uint32_t lists = 0; lists < 3; lists++) {
            setup(&bench, 8, 32);
            ossicle *engine = bench.rig.engine;
            bench.fake.lists = lists > 0;
            bench.fake.list_most = lists == 2 ? 60 : FAKE_VOCAB_MAX;
            MUST(engine, ossicle_open(engine, NULL));
            MUST(engine, ossicle_say(engine, OSSICLE_USER, "filter", 6));
            struct ossicle_bias bias[BIAS_MAX];
            bias_ends(engine, bias, &sampling);
            MUST(engine, ossicle_begin(engine, &sampling));
            log_answer(engine, lists ? &got : &want);
            assert_true(lists != 1 || i == 0 || bench.fake.logits_read == 0);
            teardown(&bench);
            if (lists) {
                assert_memory_equal(&got, &want, sizeof want);
            }
        }
    }
}

static void run_two_turns(struct bench *bench, struct outcome *out)
{
    ossicle *engine = bench->rig.engine;
    struct answer_log log;
    MUST(engine, ossicle_open(engine, NULL));
    for (uint32_t turn = 0; turn < 2; turn++) {
        MUST(engine, ossicle_say(engine, OSSICLE_USER, "hello", 5));
        answer(engine, turn, 24, false, &log);
        note(out, &log);
    }
}

/* At every call in turn, later at one in four; tokens under way are lost with it, and their random
 * numbers are not. */
static void text_survives_a_lost_device(void **state)
{
    static struct bench bench;
    static struct outcome want, got;
    memset(&want, 0, sizeof want);
    setup(&bench, 6, 32);
    run_two_turns(&bench, &want);
    finish(bench.rig.engine, &want);
    teardown(&bench);
    for (uint32_t call = 1;; call += call < 60 ? 1 : 4) {
        memset(&got, 0, sizeof got);
        setup(&bench, 6, 32);
        bench.fake.lost_after = call;
        run_two_turns(&bench, &got);
        finish(bench.rig.engine, &got);
        bool lost = bench.fake.losses > 0;
        got.read = want.read; /* lost with the last call, it is read again when it is needed */
        teardown(&bench);
        if (memcmp(&got, &want, sizeof want) != 0) {
            fail_msg("lost at call %u: another text", call);
        }
        if (!lost) {
            assert_true(call > 50);
            return;
        }
    }
}

/* Logits that are not numbers: a fault, and the device is left alone. */
static void nothing_to_pick_is_a_fault(void **state)
{
    static struct bench bench;
    setup(&bench, 8, 32);
    ossicle *engine = bench.rig.engine;
    struct ossicle_event event;
    MUST(engine, ossicle_open(engine, NULL));
    MUST(engine, ossicle_say(engine, OSSICLE_USER, "hi", 2));
    uint32_t count = engine->session.count;
    MUST(engine, ossicle_begin(engine, NULL));
    bench.fake.blind = true;
    do {
        MUST(engine, ossicle_step(engine, &event));
    } while (event.kind == OSSICLE_EVENT_PREFILL);
    assert_int_equal(event.kind, OSSICLE_EVENT_FAULT);
    assert_false(bench.fake.live);
    assert_int_equal(engine->session.count, count);
    bench.fake.blind = false;
    struct answer_log log;
    answer(engine, 1, 20, false, &log);
    teardown(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_the_same_however_far_ahead),
        cmocka_unit_test(nothing_is_asked_for_beyond_the_limit),
        cmocka_unit_test(greedy_is_the_hosts),
        cmocka_unit_test(filters_are_the_hosts),
        cmocka_unit_test(text_survives_a_lost_device),
        cmocka_unit_test(nothing_to_pick_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
