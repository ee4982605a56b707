/* The demo model's held-out questions, answered greedily: the same text on every path, right where
 * there is a right answer, and every call of a tool valid JSON.
 *
 *   test_demo MODEL QUESTIONS.json cpu|vulkan[/EVERY] [DUMP.json]
 *
 * Paths on the CPU: prompts read in prefill, a token at a time, and out of a saved file; and once
 * more at each effort, where the length of the reasoning counts. On a Vulkan device: prefill,
 * every second out of a saved file, beside prefill on the CPU. EVERY 3 takes every third question,
 * too few to ask how many are right. DUMP gets every prompt as token ids with the ids written, for
 * tests/demo/llama.sh. Exit 77 where there is no such device. */
#include <cjson/cJSON.h>
#include <unistd.h>

#include "tests/demo/questions.h"
#include "tests/engine_fixture.h"

#define SKIP 77
#define RIGHT_LEAST 0.95      /* of all, and of the promised kinds together */
#define KIND_RIGHT_LEAST 0.90 /* of each promised kind, 30 to 46; measure.sh asks more */
#define CONTEXT_TOKENS 2048
#define ANSWER_TOKENS_MAX 700 /* the longest right one has 250 or so */
#define WRONG_SHOWN_MAX 40
#define EFFORT_STEP_LEAST 1.25 /* from one effort to the next, in bytes of reasoning */

enum path { PATH_PREFILL, PATH_DECODE, PATH_SAVED, PATH_VULKAN, PATH_COUNT };
static const char *const path_names[PATH_COUNT] = {"prefill", "token by token", "saved and loaded",
                                                   "vulkan"};

static const char *model_path;
static char save_path[4096]; /* of this process: several run at a time */
static bool on_vulkan;
static uint32_t every = 1;
static FILE *dump;
static struct demo_questions questions;
static struct demo_run runs[PATH_COUNT][DEMO_QUESTIONS_MAX];

/* ---- One path ---------------------------------------------------------------------------- */

static void boot(struct rig *rig, enum path path)
{
    rig_init(rig);
    rig->config.model_path = model_path;
    rig->config.context_tokens = CONTEXT_TOKENS;
    rig->config.prefill_tokens = path == PATH_DECODE ? 1 : 0;
    rig->config.threads = 0;
    rig->config.poison = false;
    rig->config.device = path == PATH_VULKAN ? OSSICLE_DEVICE_VULKAN : OSSICLE_DEVICE_CPU;
    rig->config.device_index = -1;
    rig->config.state_dir = OSL_BINARY_DIR "/tests";
    rig_boot(rig);
}

/* Begins and stops when the prompt is read: the conversation is as before, the cache filled. */
static void read_prompt(ossicle *engine)
{
    struct ossicle_event event;
    MUST(engine, ossicle_begin(engine, NULL));
    do {
        MUST(engine, ossicle_step(engine, &event));
    } while (event.kind == OSSICLE_EVENT_PREFILL && event.prefill_done < event.prefill_total);
    ossicle_cancel(engine);
    while (event.kind != OSSICLE_EVENT_DONE) {
        MUST(engine, ossicle_step(engine, &event));
    }
    assert_int_equal(event.reason, OSSICLE_DONE_CANCELLED);
}

/* Goes to a file and comes back in the other engine, whose cache holds something else. In the
 * middle of a turn the cache holds all but the result of a tool already, and stopping would end
 * the turn. */
static ossicle *save_and_load(ossicle *from, ossicle *to, bool turn_begins)
{
    if (turn_begins) {
        read_prompt(from);
    }
    MUST(from, ossicle_save(from, save_path));
    MUST(to, ossicle_load(to, save_path));
    return to;
}

static void dump_ids(const char *key, const int32_t *ids, uint32_t count)
{
    fprintf(dump, ", \"%s\": [", key);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(dump, "%s%d", i > 0 ? ", " : "", ids[i]);
    }
    fprintf(dump, "]");
}

/* One answer up to its end or a call. */
static void write_answer(ossicle *engine, const struct demo_question *question,
                         struct demo_run *run)
{
    static int32_t written[ANSWER_TOKENS_MAX];
    uint32_t count = 0;
    struct ossicle_event event;
    struct ossicle_sampling sampling;
    ossicle_sampling_init(&sampling);
    sampling.temperature = 0;
    sampling.max_tokens = ANSWER_TOKENS_MAX;
    MUST(engine, ossicle_begin(engine, &sampling));
    const struct osl_session *session = &engine->session;
    if (dump != NULL) {
        fprintf(dump, "%s{\"id\": %d, \"kind\": \"%s\"", ftell(dump) > 2 ? ",\n" : "",
                question->id, question->kind);
        dump_ids("prompt", session->tokens, session->count);
    }
    do {
        MUST(engine, ossicle_step(engine, &event));
        demo_run_take(run, &event);
        if (event.kind == OSSICLE_EVENT_TEXT && event.token >= 0 && count < ANSWER_TOKENS_MAX) {
            written[count++] = event.token;
        }
    } while (event.kind != OSSICLE_EVENT_DONE);
    assert_int_not_equal(event.kind, OSSICLE_EVENT_FAULT);
    run->reason = event.reason;
    if (dump != NULL) {
        dump_ids("written", written, count);
        fprintf(dump, "}");
    }
}

/* Only the saved need the second engine; they change it with every file. */
static void ask(ossicle *engines[2], enum path path, const struct demo_question *question,
                struct demo_run *run)
{
    ossicle *engine = engines[0];
    bool saved = path == PATH_SAVED || (path == PATH_VULKAN && question->id % 2 == 0);
    const struct ossicle_conversation conversation = {
        .identity = question->identity,
        .current_date = question->date,
        .reasoning = question->reasoning,
        .instructions = question->instructions,
        .tools_json = question->tools_json,
    };
    memset(run, 0, sizeof *run);
    MUST(engine, ossicle_open(engine, &conversation));
    const cJSON *turn;
    cJSON_ArrayForEach(turn, question->turns)
    {
        const char *user = cJSON_GetObjectItem(turn, "user")->valuestring;
        const cJSON *result = cJSON_GetObjectItem(turn, "results")->child;
        demo_run_turn(run);
        MUST(engine, ossicle_say(engine, OSSICLE_USER, user, strlen(user)));
        for (uint32_t part = 0; part < DEMO_CALLS_MAX; part++) {
            if (saved) {
                engine = save_and_load(engine, engines[engine == engines[0]], part == 0);
            }
            write_answer(engine, question, run);
            if (run->reason != OSSICLE_DONE_TOOL_CALL) {
                break;
            }
            const char *text = result != NULL ? result->valuestring : "";
            result = result != NULL ? result->next : NULL;
            MUST(engine, ossicle_say_tool(engine, run->calls[run->call_count - 1].name, text,
                                          strlen(text)));
        }
    }
}

static void ask_all(enum path path)
{
    struct rig rig, second;
    boot(&rig, path);
    boot(&second, path);
    ossicle *engines[2] = {rig.engine, second.engine};
    uint64_t start_ns = osl_clock_ns();
    for (uint32_t q = 0; q < questions.count; q += every) {
        ask(engines, path, &questions.question[q], &runs[path][q]);
    }
    struct ossicle_stats stats;
    ossicle_stats(second.engine, &stats);
    uint64_t tokens_read = stats.prefill_tokens, tokens_written = stats.decode_tokens;
    ossicle_stats(rig.engine, &stats);
    assert_int_equal(strcmp(stats.device, "cpu") == 0, path != PATH_VULKAN);
    assert_int_equal(stats.device_restarts, 0);
    printf("%-17s %6.1f s, %llu tokens read, %llu written, on %s%s%s\n", path_names[path],
           (double)(osl_clock_ns() - start_ns) / 1e9,
           (unsigned long long)(tokens_read + stats.prefill_tokens),
           (unsigned long long)(tokens_written + stats.decode_tokens), stats.device,
           stats.device_tier[0] != '\0' ? " " : "", stats.device_tier);
    rig_halt(&second);
    rig_halt(&rig);
}

/* ---- What came of it ----------------------------------------------------------------------- */

static void questions_have_the_same_text(enum path path)
{
    uint32_t different = 0;
    for (uint32_t q = 0; q < questions.count; q += every) {
        const struct demo_run *one = &runs[PATH_PREFILL][q], *other = &runs[path][q];
        if (one->bytes != other->bytes || memcmp(one->text, other->text, one->bytes) != 0) {
            printf("question %d is answered differently.\n prefill:%s\n %s:%s\n",
                   questions.question[q].id, one->text, path_names[path], other->text);
            different++;
        }
    }
    if (different > 0) {
        fail_msg("%u of %u answers differ", different, questions.count);
    }
}

static void demo_answers_right(void **state)
{
    (void)state;
    struct demo_tally tally = {0};
    ask_all(PATH_PREFILL);
    for (uint32_t q = 0; q < questions.count; q += every) {
        const struct demo_question *question = &questions.question[q];
        const struct demo_run *run = &runs[PATH_PREFILL][q];
        const char *wrong = demo_judge(question, run);
        demo_tally_add(&tally, question, wrong == NULL, run);
        if (wrong != NULL && tally.wrong <= WRONG_SHOWN_MAX) {
            printf("question %d (%s), %s:\n  %s\n%s\n", question->id, question->kind, wrong,
                   demo_last_user(question), run->text);
        }
    }
    demo_tally_print(&tally);
    assert_int_equal(tally.calls_valid, tally.calls);
    if (every > 1) {
        return;
    }
    uint32_t right = 0, total = 0;
    for (uint32_t k = 0; k < tally.kind_count; k++) {
        const struct demo_kind *kind = &tally.kind[k];
        if (kind->promised && kind->right < KIND_RIGHT_LEAST * kind->total) {
            fail_msg("%s: %u of %u right", kind->name, kind->right, kind->total);
        }
        right += kind->promised ? kind->right : 0;
        total += kind->promised ? kind->total : 0;
    }
    assert_true(right >= RIGHT_LEAST * total);
    assert_true(tally.right >= RIGHT_LEAST * tally.total);
}

static void demo_token_by_token_is_the_same(void **state)
{
    (void)state;
    ask_all(PATH_DECODE);
    questions_have_the_same_text(PATH_DECODE);
}

static void demo_saved_and_loaded_is_the_same(void **state)
{
    (void)state;
    ask_all(PATH_SAVED);
    unlink(save_path);
    questions_have_the_same_text(PATH_SAVED);
}

/* The bytes of reasoning at an effort, over the questions of one turn that need no tool. */
static uint64_t reasoning_bytes_at(enum ossicle_reasoning effort)
{
    static struct demo_run run;
    struct rig rig;
    uint64_t bytes = 0;
    uint32_t right = 0, count = 0;
    boot(&rig, PATH_PREFILL);
    ossicle *engines[2] = {rig.engine, NULL}; /* nothing is saved */
    for (uint32_t q = 0; q < questions.count; q += every) {
        struct demo_question question = questions.question[q];
        if (question.tools_json == NULL && cJSON_GetArraySize(question.turns) == 1) {
            question.reasoning = effort;
            ask(engines, PATH_PREFILL, &question, &run);
            bytes += run.reasoning_bytes;
            right += demo_judge(&question, &run) == NULL;
            count++;
        }
    }
    rig_halt(&rig);
    assert_true(count > 0);
    static const char *const names[] = {
        [OSSICLE_REASONING_LOW] = "low",
        [OSSICLE_REASONING_MEDIUM] = "medium",
        [OSSICLE_REASONING_HIGH] = "high",
    };
    printf("effort %-6s %4.0f bytes of reasoning a question, %u of %u right\n", names[effort],
           (double)bytes / count, right, count);
    return bytes;
}

static void demo_reasons_as_long_as_the_effort_asks(void **state)
{
    (void)state;
    uint64_t low = reasoning_bytes_at(OSSICLE_REASONING_LOW);
    uint64_t medium = reasoning_bytes_at(OSSICLE_REASONING_MEDIUM);
    uint64_t high = reasoning_bytes_at(OSSICLE_REASONING_HIGH);
    if (every > 1) {
        return;
    }
    assert_true(low > 0);
    assert_true((double)medium >= EFFORT_STEP_LEAST * (double)low);
    assert_true((double)high >= EFFORT_STEP_LEAST * (double)medium);
}

static void demo_on_vulkan_is_the_same(void **state)
{
    (void)state;
    ask_all(PATH_PREFILL);
    ask_all(PATH_VULKAN);
    unlink(save_path);
    questions_have_the_same_text(PATH_VULKAN);
}

static void skip_without_vulkan(void)
{
    struct ossicle_config config;
    static struct ossicle_device_facts facts[OSSICLE_DEVICES_MAX];
    struct ossicle_error error = {OSSICLE_OK, ""};
    uint32_t count = 0, usable = 0;
    ossicle_config_init(&config);
    if (ossicle_devices(&config, facts, &count, &error) == OSSICLE_OK) {
        for (uint32_t d = 0; d < count; d++) {
            usable += facts[d].usable;
        }
    }
    if (usable == 0) {
        printf("SKIPPED: no Vulkan device here%s%s\n", error.text[0] != '\0' ? ": " : "",
               error.text);
        exit(SKIP);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: test_demo MODEL QUESTIONS.json cpu|vulkan[/EVERY] [DUMP.json]\n");
        return 1;
    }
    model_path = argv[1];
    snprintf(save_path, sizeof save_path, "%s/tests/demo-%ld.save", OSL_BINARY_DIR, (long)getpid());
    on_vulkan = strncmp(argv[3], "vulkan", 6) == 0;
    if (strchr(argv[3], '/') != NULL) {
        every = (uint32_t)strtoul(strchr(argv[3], '/') + 1, NULL, 10);
        assert_true(every > 0);
    }
    if (on_vulkan) {
        skip_without_vulkan();
    }
    if (!demo_questions_read(argv[2], &questions)) {
        fprintf(stderr, "%s: no array of 1 to %d questions\n", argv[2], DEMO_QUESTIONS_MAX);
        return 1;
    }
    const struct CMUnitTest only_dump[] = {cmocka_unit_test(demo_answers_right)};
    const struct CMUnitTest cpu[] = {
        cmocka_unit_test(demo_answers_right),
        cmocka_unit_test(demo_token_by_token_is_the_same),
        cmocka_unit_test(demo_saved_and_loaded_is_the_same),
        cmocka_unit_test(demo_reasons_as_long_as_the_effort_asks),
    };
    const struct CMUnitTest vulkan[] = {cmocka_unit_test(demo_on_vulkan_is_the_same)};
    if (argc == 5) {
        dump = fopen(argv[4], "w");
        assert_non_null(dump);
        fputs("[\n", dump);
        int failed = cmocka_run_group_tests(only_dump, NULL, NULL);
        fputs("\n]\n", dump);
        return fclose(dump) == 0 ? failed : 1;
    }
    return on_vulkan ? cmocka_run_group_tests(vulkan, NULL, NULL)
                     : cmocka_run_group_tests(cpu, NULL, NULL);
}
