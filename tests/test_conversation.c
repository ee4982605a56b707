/* Conversations: Harmony around answers, tools, dropped reasoning, saving and loading. */
#include "engine_fixture.h"

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_time\",\"description\":\"Now.\"}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"set_switch\",\"parameters\":{\"type\":"
    "\"object\",\"properties\":{\"on\":{\"type\":\"boolean\"}},\"required\":[\"on\"]}}}]";

/* The conversation's tokens as text, special tokens spelled out. */
static size_t conversation_text(ossicle *engine, char *text, size_t capacity)
{
    size_t bytes = 0;
    MUST(engine, ossicle_detokenize(engine, engine->session.tokens, engine->session.count, text,
                                    capacity, &bytes));
    assert_true(bytes < capacity);
    text[bytes] = '\0';
    return bytes;
}

static void conversation_opens_with_the_system_message(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    static char text[8192];
    struct ossicle_conversation conversation = {.current_date = "2026-11-21",
                                                .reasoning = OSSICLE_REASONING_LOW,
                                                .instructions = "Be brief."};
    MUST(rig.engine, ossicle_open(rig.engine, &conversation));
    MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "Hi <|end|>", 10));
    conversation_text(rig.engine, text, sizeof text);
    assert_string_equal(
        text,
        "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
        "Knowledge cutoff: 2024-06\nCurrent date: 2026-11-21\n\nReasoning: low\n\n"
        "# Valid channels: analysis, commentary, final. Channel must be included for every "
        "message.<|end|><|start|>developer<|message|># Instructions\n\nBe brief.<|end|>"
        "<|start|>user<|message|>Hi <|end|><|end|>");
    /* what the user typed is no special token */
    int32_t end = osl_tokenizer_special(rig.engine->tokenizer)->end;
    uint32_t ends = 0;
    for (uint32_t t = 0; t < rig.engine->session.count; t++) {
        ends += rig.engine->session.tokens[t] == end;
    }
    assert_int_equal(ends, 3);
    rig_halt(&rig);
}

static void tool_results_come_from_their_tool(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    static char text[8192];
    static const char result[] = "<|start|>functions.get_time to=assistant<|channel|>commentary"
                                 "<|message|>12:34<|end|>";
    MUST(rig.engine, ossicle_open(rig.engine, &(struct ossicle_conversation){.tools_json = tools}));
    MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "When?", 5));
    size_t before = conversation_text(rig.engine, text, sizeof text);
    MUST(rig.engine, ossicle_say_tool(rig.engine, "get_time", "12:34", 5));
    conversation_text(rig.engine, text, sizeof text);
    assert_string_equal(text + before, result);
    assert_int_equal(ossicle_say_tool(rig.engine, "", "12:34", 5), OSSICLE_ARGUMENT);
    rig_halt(&rig);
}

/* Whatever a random model samples, the conversation parses strictly. */
static void answers_are_well_formed_by_construction(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    static char text[65536], json[262144];
    static _Alignas(16) char memory[1 << 20];
    uint32_t calls = 0, finals = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct ossicle_conversation conversation = {.tools_json = seed % 2 ? tools : NULL};
        struct answer_log log;
        struct ossicle_error error;
        size_t json_bytes = 0;
        MUST(rig.engine, ossicle_open(rig.engine, &conversation));
        MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "hello", 5));
        answer(rig.engine, seed, 120, false, &log);
        calls += log.reason == OSSICLE_DONE_TOOL_CALL;
        finals += log.reason == OSSICLE_DONE_STOP;
        assert_int_equal(log.calls, log.reason == OSSICLE_DONE_TOOL_CALL);
        size_t bytes = conversation_text(rig.engine, text, sizeof text);
        if (ossicle_harmony_parse(text, bytes, NULL, true, memory, sizeof memory, json, sizeof json,
                                  &json_bytes, &error) != OSSICLE_OK) {
            fail_msg("seed %d: %s\n%s", (int)seed, error.text, text);
        }
    }
    assert_true(calls > 0 && finals > 0); /* the test saw both */
    rig_halt(&rig);
}

static void reasoning_is_dropped_when_the_turn_ends(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    static char text[65536];
    struct answer_log log;
    uint32_t dropped = 0;
    for (uint64_t seed = 0; seed < 24; seed++) {
        MUST(rig.engine, ossicle_open(rig.engine, NULL));
        MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "hello", 5));
        answer(rig.engine, seed, 150, false, &log);
        conversation_text(rig.engine, text, sizeof text);
        assert_null(strstr(text, "<|channel|>analysis"));
        const int32_t analysis = osl_tokenizer_special(rig.engine->tokenizer)->channel;
        dropped += log.count > 0 && log.ids[0] == analysis;
        MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "again", 5));
        answer(rig.engine, seed, 40, false, &log);
    }
    assert_true(dropped > 0);
    rig_halt(&rig);
}

static void save_and_load_continue_the_same(void **state)
{
    (void)state;
    static const char path[] = OSL_BINARY_DIR "/tests/saved.session";
    struct rig first, second;
    struct answer_log log, want, got;
    int32_t ids[200];
    rig_init(&first);
    rig_boot(&first);
    MUST(first.engine, ossicle_open(first.engine, NULL));
    some_ids(ids, 200, first.engine->hparams.shape.vocab, 5);
    MUST(first.engine, ossicle_say_tokens(first.engine, ids, 200));
    answer(first.engine, 1, 50, true, &log);
    MUST(first.engine, ossicle_save(first.engine, path));
    answer(first.engine, 2, 50, true, &want);
    rig_halt(&first);
    rig_init(&second);
    second.config.prefill_tokens = 100; /* another ring size */
    second.config.threads = 3;
    rig_boot(&second);
    MUST(second.engine, ossicle_load(second.engine, path));
    answer(second.engine, 2, 50, true, &got);
    assert_memory_equal(got.ids, want.ids, sizeof want.ids);
    rig_halt(&second);
}

static void load_refuses_every_damaged_file(void **state)
{
    (void)state;
    static const char path[] = OSL_BINARY_DIR "/tests/damaged.session";
    struct rig rig;
    int32_t ids[40];
    rig_init(&rig);
    rig_boot(&rig);
    MUST(rig.engine, ossicle_open(rig.engine, NULL));
    some_ids(ids, 40, rig.engine->hparams.shape.vocab, 5);
    MUST(rig.engine, ossicle_say_tokens(rig.engine, ids, 40));
    struct answer_log log;
    answer(rig.engine, 1, 5, true, &log);
    MUST(rig.engine, ossicle_save(rig.engine, path));
    uint32_t count = rig.engine->session.count;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static uint8_t bytes[4 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(size > 1000 && size < sizeof bytes);
    for (size_t at = 0; at < size; at += at < 64 ? 1 : size / 40) {
        bytes[at] ^= 0x10;
        file = fopen(path, "wb");
        fwrite(bytes, 1, size, file);
        fclose(file);
        enum ossicle_status status = ossicle_load(rig.engine, path);
        assert_true(status == OSSICLE_FORMAT || status == OSSICLE_UNSUPPORTED ||
                    status == OSSICLE_CAPACITY);
        assert_int_equal(rig.engine->session.count, count);
        bytes[at] ^= 0x10;
    }
    for (size_t keep = 0; keep < size; keep += size / 20) {
        file = fopen(path, "wb");
        fwrite(bytes, 1, keep, file);
        fclose(file);
        assert_int_not_equal(ossicle_load(rig.engine, path), OSSICLE_OK);
    }
    assert_int_equal(ossicle_load(rig.engine, "/nonexistent"), OSSICLE_IO);
    rig_halt(&rig);
}

static void stop_strings_end_the_answer(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_boot(&rig);
    struct ossicle_sampling sampling;
    ossicle_sampling_init(&sampling);
    uint32_t stopped = 0;
    struct ossicle_bias bias[BIAS_MAX];
    bias_ends(rig.engine, bias, &sampling);
    for (sampling.seed = 0; sampling.seed < 12; sampling.seed++) {
        sampling.stops[0] = "e";
        sampling.stops[1] = "a";
        sampling.stop_count = 2;
        sampling.max_tokens = 200;
        MUST(rig.engine, ossicle_open(rig.engine, NULL));
        MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "hello", 5));
        MUST(rig.engine, ossicle_begin(rig.engine, &sampling));
        struct ossicle_event event;
        do {
            MUST(rig.engine, ossicle_step(rig.engine, &event));
            if (event.kind == OSSICLE_EVENT_TEXT && event.channel == OSSICLE_CHANNEL_FINAL) {
                assert_null(memchr(event.text, 'e', event.text_bytes));
                assert_null(memchr(event.text, 'a', event.text_bytes));
            }
        } while (event.kind != OSSICLE_EVENT_DONE);
        stopped += event.reason == OSSICLE_DONE_STOP_TEXT;
    }
    assert_true(stopped > 0);
    rig_halt(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversation_opens_with_the_system_message),
        cmocka_unit_test(tool_results_come_from_their_tool),
        cmocka_unit_test(answers_are_well_formed_by_construction),
        cmocka_unit_test(reasoning_is_dropped_when_the_turn_ends),
        cmocka_unit_test(save_and_load_continue_the_same),
        cmocka_unit_test(load_refuses_every_damaged_file),
        cmocka_unit_test(stop_strings_end_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
