/* The engine on a tiny model: the promises of design.md that hold whatever the weights are. */
#include "engine_fixture.h"

#include <math.h>
#include <unistd.h>

#define TOP 20u

static void score_with(uint32_t threads, uint32_t prefill, uint32_t ids_count, const char *level,
                       struct ossicle_candidate top[TOP])
{
    struct rig rig;
    rig_init(&rig);
    rig.config.threads = threads;
    rig.config.prefill_tokens = prefill;
    rig.config.cpu_level = level;
    rig_boot(&rig);
    int32_t ids[512];
    some_ids(ids, ids_count, rig.engine->hparams.shape.vocab, 7);
    MUST(rig.engine, ossicle_score(rig.engine, ids, ids_count, top, TOP, NULL));
    rig_halt(&rig);
}

static void engine_scores_same_bits_for_threads_and_chunks(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 3, 5};
    static const uint32_t prefill[] = {1, 7, 64, 512};
    struct ossicle_candidate want[TOP], got[TOP];
    score_with(1, 32, 300, NULL, want);
    for (uint32_t t = 0; t < 4; t++) {
        score_with(threads[t], prefill[t], 300, NULL, got);
        assert_memory_equal(got, want, sizeof want);
    }
}

static void engine_levels_agree_with_plain(void **state)
{
    (void)state;
    const struct osl_kernels *levels[OSL_LEVELS_MAX];
    uint32_t count = osl_kernels_list(levels);
    struct ossicle_candidate want[TOP], got[TOP];
    score_with(2, 32, 130, "plain", want);
    for (uint32_t l = 0; l < count; l++) {
        score_with(2, 32, 130, levels[l]->name, got);
        assert_int_equal(got[0].token, want[0].token);
        for (uint32_t i = 0; i < TOP; i++) {
            for (uint32_t j = 0; j < TOP; j++) {
                if (got[j].token == want[i].token &&
                    fabsf(got[j].logprob - want[i].logprob) > 0.08f) {
                    fail_msg("%s: token %d: %f, plain %f", levels[l]->name, want[i].token,
                             (double)got[j].logprob, (double)want[i].logprob);
                }
            }
        }
    }
}

/* Resident weights are the mapped ones' bits, in another place. */
static void engine_scores_same_bits_resident_and_mapped(void **state)
{
    (void)state;
    struct ossicle_candidate top[2][TOP];
    int32_t ids[200];
    for (int resident = 0; resident < 2; resident++) {
        struct rig rig;
        rig_init(&rig);
        rig.config.device = OSSICLE_DEVICE_CPU;
        rig.config.weights = resident ? OSSICLE_WEIGHTS_RESIDENT : OSSICLE_WEIGHTS_MAPPED;
        rig_boot(&rig);
        assert_string_equal(rig.plan.weights, resident ? "resident" : "mapped");
        some_ids(ids, 200, rig.engine->hparams.shape.vocab, 9);
        MUST(rig.engine, ossicle_score(rig.engine, ids, 200, top[resident], TOP, NULL));
        rig_halt(&rig);
    }
    assert_memory_equal(top[0], top[1], sizeof top[0]);
}

static bool stop_at_once(void *user, const char *stage, uint64_t done, uint64_t total)
{
    assert_true(done <= total);
    strcpy(user, stage);
    return false;
}

static void engine_resident_load_is_cancelled(void **state)
{
    (void)state;
    struct rig rig;
    struct ossicle_error error;
    char stage[64] = "";
    rig_init(&rig);
    rig.config.device = OSSICLE_DEVICE_CPU;
    rig.config.weights = OSSICLE_WEIGHTS_RESIDENT;
    rig.config.progress = stop_at_once;
    rig.config.user = stage;
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_OK);
    rig.memory = aligned_alloc(OSSICLE_ALIGNMENT, rig.plan.memory_bytes);
    assert_int_equal(
        ossicle_boot(&rig.config, rig.memory, rig.plan.memory_bytes, &rig.engine, &error),
        OSSICLE_ABORTED);
    assert_null(rig.engine);
    assert_string_equal(stage, "reading weights");
    assert_non_null(strstr(error.text, "cancelled while reading"));
    free(rig.memory);
}

static void raw_answer(uint32_t threads, uint32_t prefill, enum ossicle_kv kv,
                       struct answer_log *log)
{
    struct rig rig;
    rig_init(&rig);
    rig.config.threads = threads;
    rig.config.prefill_tokens = prefill;
    rig.config.kv = kv;
    rig_boot(&rig);
    int32_t ids[100];
    some_ids(ids, 100, rig.engine->hparams.shape.vocab, 3);
    MUST(rig.engine, ossicle_say_tokens(rig.engine, ids, 100));
    answer(rig.engine, 42, 200, true, log);
    rig_halt(&rig);
}

static void engine_writes_same_answer_for_threads_and_chunks(void **state)
{
    (void)state;
    struct answer_log want, got;
    raw_answer(1, 512, OSSICLE_KV_F16, &want);
    assert_int_equal(want.count, 200);
    assert_int_equal(want.reason, OSSICLE_DONE_LENGTH);
    raw_answer(3, 9, OSSICLE_KV_F16, &got);
    assert_memory_equal(got.ids, want.ids, sizeof want.ids);
    raw_answer(1, 512, OSSICLE_KV_Q8, &want);
    raw_answer(4, 33, OSSICLE_KV_Q8, &got);
    assert_memory_equal(got.ids, want.ids, sizeof want.ids);
}

/* say A, answer, mark, [say long B, answer, rewind], say C, answer. */
static void converse(bool detour, struct answer_log *log)
{
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    uint32_t vocab = rig.engine->hparams.shape.vocab, mark = 0;
    int32_t ids[300];
    some_ids(ids, 90, vocab, 11);
    MUST(rig.engine, ossicle_say_tokens(rig.engine, ids, 90));
    answer(rig.engine, 1, 30, true, log);
    MUST(rig.engine, ossicle_mark(rig.engine, &mark));
    if (detour) {
        some_ids(ids, 300, vocab, 12);
        MUST(rig.engine, ossicle_say_tokens(rig.engine, ids, 300));
        answer(rig.engine, 2, 100, true, log);
        MUST(rig.engine, ossicle_rewind(rig.engine, mark));
    }
    some_ids(ids, 50, vocab, 13);
    MUST(rig.engine, ossicle_say_tokens(rig.engine, ids, 50));
    answer(rig.engine, 3, 100, true, log);
    rig_halt(&rig);
}

static void rewind_equals_never_having_said_it(void **state)
{
    (void)state;
    struct answer_log want, got;
    converse(false, &want);
    converse(true, &got);
    assert_int_equal(want.count, 100);
    assert_memory_equal(got.ids, want.ids, sizeof want.ids);
}

static void rewind_refuses_forgotten_marks(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.marks = 2;
    rig_boot(&rig);
    int32_t ids[10] = {1, 2, 3};
    uint32_t marks[3];
    for (uint32_t m = 0; m < 3; m++) {
        MUST(rig.engine, ossicle_say_tokens(rig.engine, ids, 3));
        MUST(rig.engine, ossicle_mark(rig.engine, &marks[m]));
    }
    assert_int_equal(ossicle_rewind(rig.engine, marks[0]), OSSICLE_STATE);
    MUST(rig.engine, ossicle_rewind(rig.engine, marks[1]));
    assert_int_equal(rig.engine->session.count, 6);
    assert_int_equal(ossicle_rewind(rig.engine, marks[2]), OSSICLE_STATE);
    rig_halt(&rig);
}

static void plan_is_what_boot_takes(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    uint64_t total = 0, host = 0;
    for (uint32_t r = 0; r < rig.plan.region_count; r++) {
        total += rig.plan.regions[r].bytes;
        host += strcmp(rig.plan.regions[r].where, "host") == 0 ? rig.plan.regions[r].bytes : 0;
    }
    assert_int_equal(total, rig.plan.total_bytes);
    assert_int_equal(host, rig.plan.memory_bytes);
    ossicle_halt(rig.engine);
    struct ossicle_error error;
    assert_int_equal(
        ossicle_boot(&rig.config, rig.memory, rig.plan.memory_bytes - 4096, &rig.engine, &error),
        OSSICLE_MEMORY);
    assert_null(rig.engine);
    rig.config.budget_bytes = rig.plan.total_bytes - 1;
    assert_int_equal(
        ossicle_boot(&rig.config, rig.memory, rig.plan.memory_bytes, &rig.engine, &error),
        OSSICLE_MEMORY);
    assert_non_null(strstr(error.text, "does not fit"));
    free(rig.memory);
}

static void plan_names_the_option_that_is_wrong(void **state)
{
    (void)state;
    struct rig rig;
    struct ossicle_error error;
    rig_init(&rig);
    rig.config.context_tokens = 3;
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_ARGUMENT);
    assert_non_null(strstr(error.text, "context"));
    rig_init(&rig);
    rig.config.prefill_tokens = 1000000;
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_ARGUMENT);
    assert_non_null(strstr(error.text, "prefill"));
    rig_init(&rig);
    rig.config.cpu_level = "mmx";
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_UNSUPPORTED);
    assert_non_null(strstr(error.text, "mmx"));
    rig_init(&rig);
    rig.config.model_path = "/nonexistent.gguf";
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_IO);
    rig.config.model_path = NULL;
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_ARGUMENT);
}

static void context_full_is_capacity_and_changes_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    static char text[20000];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof text; i += 3) {
        text[i] = ' ';
    }
    MUST(rig.engine, ossicle_open(rig.engine, NULL));
    uint32_t before = rig.engine->session.count;
    assert_int_equal(ossicle_say(rig.engine, OSSICLE_USER, text, sizeof text), OSSICLE_CAPACITY);
    assert_int_equal(rig.engine->session.count, before);
    MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "hello", 5));
    struct answer_log log;
    answer(rig.engine, 5, 0, true, &log); /* until the context is full */
    assert_int_equal(log.reason, OSSICLE_DONE_LENGTH);
    rig_halt(&rig);
}

static void cancel_ends_the_answer_and_keeps_the_conversation(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    struct ossicle_event event;
    MUST(rig.engine, ossicle_open(rig.engine, NULL));
    MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "hello", 5));
    uint32_t said = rig.engine->session.count;
    MUST(rig.engine, ossicle_begin(rig.engine, NULL));
    MUST(rig.engine, ossicle_step(rig.engine, &event));
    assert_int_equal(event.kind, OSSICLE_EVENT_PREFILL);
    ossicle_cancel(rig.engine);
    MUST(rig.engine, ossicle_step(rig.engine, &event));
    assert_int_equal(event.kind, OSSICLE_EVENT_DONE);
    assert_int_equal(event.reason, OSSICLE_DONE_CANCELLED);
    assert_int_equal(rig.engine->session.count, said);
    assert_int_equal(ossicle_step(rig.engine, &event), OSSICLE_STATE);
    struct answer_log log;
    answer(rig.engine, 6, 20, false, &log);
    assert_true(log.count > 0);
    rig_halt(&rig);
}

static void copy_file(const char *from, const char *to)
{
    static char buffer[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_true(in != NULL && out != NULL);
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, in)) > 0;) {
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void says_cut_short(const ossicle *engine)
{
    assert_non_null(strstr(ossicle_error_text(engine), "cut.gguf: ends at"));
    assert_non_null(strstr(ossicle_error_text(engine), "start again"));
}

/* The map's pages go with the file's: the step that needs them ends with IO, and all later ones. */
static void file_cut_short_while_in_use_is_a_fault(void **state)
{
    (void)state;
    static const char path[] = OSL_BINARY_DIR "/tests/cut.gguf";
    struct rig rig;
    struct ossicle_event event;
    for (int after = 0; after < 3; after++) { /* in the prompt, in the answer, in a score */
        copy_file(TINY_MODEL, path);
        rig_init(&rig);
        rig.config.model_path = path;
        rig_boot(&rig);
        MUST(rig.engine, ossicle_open(rig.engine, NULL));
        MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "hello", 5));
        uint32_t said = rig.engine->session.count;
        MUST(rig.engine, ossicle_begin(rig.engine, NULL));
        do {
            MUST(rig.engine, ossicle_step(rig.engine, &event));
        } while (after > 0 && event.kind == OSSICLE_EVENT_PREFILL);
        assert_int_equal(truncate(path, (off_t)rig.engine->gguf.data_offset), 0);
        if (after == 2) {
            ossicle_cancel(rig.engine);
            MUST(rig.engine, ossicle_step(rig.engine, &event));
            struct ossicle_candidate top;
            int32_t id = 1;
            assert_int_equal(ossicle_score(rig.engine, &id, 1, &top, 1, NULL), OSSICLE_IO);
            says_cut_short(rig.engine);
        }
        for (int turn = 0; turn < 2 && after < 2; turn++) {
            do {
                MUST(rig.engine, ossicle_step(rig.engine, &event));
            } while (event.kind == OSSICLE_EVENT_TEXT);
            assert_int_equal(event.kind, OSSICLE_EVENT_FAULT);
            assert_int_equal(event.status, OSSICLE_IO);
            assert_int_equal(rig.engine->session.count, said);
            says_cut_short(rig.engine);
            MUST(rig.engine, ossicle_begin(rig.engine, NULL));
        }
        rig_halt(&rig);
    }
    remove(path);
}

static void calls_at_the_wrong_moment_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    struct ossicle_event event;
    uint32_t mark;
    assert_int_equal(ossicle_say(rig.engine, OSSICLE_USER, "x", 1), OSSICLE_STATE);
    assert_int_equal(ossicle_begin(rig.engine, NULL), OSSICLE_STATE);
    assert_int_equal(ossicle_step(rig.engine, &event), OSSICLE_STATE);
    int32_t bad = INT32_MAX;
    assert_int_equal(ossicle_say_tokens(rig.engine, &bad, 1), OSSICLE_ARGUMENT);
    MUST(rig.engine, ossicle_open(rig.engine, NULL));
    assert_int_equal(ossicle_say(rig.engine, OSSICLE_TOOL, "x", 1), OSSICLE_ARGUMENT);
    MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "x", 1));
    MUST(rig.engine, ossicle_begin(rig.engine, NULL));
    assert_int_equal(ossicle_say(rig.engine, OSSICLE_USER, "x", 1), OSSICLE_STATE);
    assert_int_equal(ossicle_begin(rig.engine, NULL), OSSICLE_STATE);
    assert_int_equal(ossicle_mark(rig.engine, &mark), OSSICLE_STATE);
    assert_int_equal(ossicle_open(rig.engine, NULL), OSSICLE_STATE);
    rig_halt(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine_scores_same_bits_for_threads_and_chunks),
        cmocka_unit_test(engine_scores_same_bits_resident_and_mapped),
        cmocka_unit_test(engine_resident_load_is_cancelled),
        cmocka_unit_test(engine_levels_agree_with_plain),
        cmocka_unit_test(engine_writes_same_answer_for_threads_and_chunks),
        cmocka_unit_test(rewind_equals_never_having_said_it),
        cmocka_unit_test(rewind_refuses_forgotten_marks),
        cmocka_unit_test(plan_is_what_boot_takes),
        cmocka_unit_test(plan_names_the_option_that_is_wrong),
        cmocka_unit_test(context_full_is_capacity_and_changes_nothing),
        cmocka_unit_test(cancel_ends_the_answer_and_keeps_the_conversation),
        cmocka_unit_test(file_cut_short_while_in_use_is_a_fault),
        cmocka_unit_test(calls_at_the_wrong_moment_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
