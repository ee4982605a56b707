/* Chat-completions requests to Harmony text, through the public function. Names in brackets are
 * rows of harmony.md section 11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harmony_record.h"
#include "model/ossicle.h"

#define OPENING "<|start|>system<|message|>" SYSTEM_TAIL "<|end|>"
#define U(text) "<|start|>user<|message|>" text "<|end|>"
#define A(text) "<|start|>assistant<|channel|>analysis<|message|>" text "<|end|>"
#define F(text) "<|start|>assistant<|channel|>final<|message|>" text "<|end|>"
#define SUFFIX "<|start|>assistant"

#define USER "{\"role\":\"user\",\"content\":\"q\"}"
#define THOUGHT_AND_ANSWER                                                                         \
    "{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":\"yes\"}"
#define THOUGHT_AND_CALL                                                                           \
    "{\"role\":\"assistant\",\"thinking\":\"hm2\",\"content\":null,\"tool_calls\":[{"              \
    "\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","                            \
    "\"arguments\":\"{\\\"a\\\": 1.0}\"}}]}"
#define RESULT "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"OUT\"}"
#define CALL_TEXT                                                                                  \
    "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>"          \
    "{\"a\": 1.0}<|call|>"
#define RESULT_TEXT "<|start|>functions.f to=assistant<|channel|>commentary<|message|>OUT<|end|>"

static char rendered[1 << 16];
static size_t rendered_bytes;
static struct ossicle_error request_error;

static enum ossicle_status render(const char *json)
{
    request_error.text[0] = '\0';
    return ossicle_harmony_render(json, strlen(json), scratch, sizeof scratch, rendered,
                                  sizeof rendered, &rendered_bytes, &request_error);
}

static void expect(const char *json, const char *text)
{
    enum ossicle_status status = render(json);
    assert_string_equal(request_error.text, "");
    assert_int_equal(status, OSSICLE_OK);
    assert_string_equal(rendered, text);
    assert_int_equal(rendered_bytes, strlen(text));
}

static void expect_messages(const char *messages, const char *text)
{
    static char json[65536];
    static char all[65536];
    print(json, sizeof json, "{\"messages\":[%s]}", messages);
    print(all, sizeof all, OPENING "%s" SUFFIX, text);
    expect(json, all);
}

static void expect_error(const char *json, const char *text)
{
    memset(rendered, 'x', 8);
    rendered_bytes = 12345;
    assert_int_equal(render(json), OSSICLE_FORMAT);
    assert_string_equal(request_error.text, text);
    assert_int_equal(request_error.status, OSSICLE_FORMAT);
    assert_int_equal(rendered_bytes, 12345);
}

/* The request through osl_harmony_request, with options. */
static const char *render_with(const char *messages, struct osl_harmony_options options)
{
    static char json[65536];
    struct osl_arena arena = {.base = scratch, .bytes = sizeof scratch};
    struct osl_harmony_sink sink = record_sink(&record);
    print(json, sizeof json, "{\"messages\":[%s]}", messages);
    assert_int_equal(osl_harmony_request(&sink, json, strlen(json), &options, &arena, &open_error),
                     OSL_OK);
    assert_int_equal(arena.used, 0);
    return record.text;
}

static void absent_fields_leave_no_text(void **state)
{
    expect("{}", OPENING SUFFIX);
    expect("{\"messages\":null,\"tools\":null,\"reasoning_effort\":null,\"model_identity\":null,"
           "\"knowledge_cutoff\":null,\"current_date\":null,\"instructions\":null,\"stream\":true}",
           OPENING SUFFIX);
    expect("{\"messages\":[],\"tools\":[],\"reasoning_effort\":\"high\",\"current_date\":"
           "\"2025-06-28\"}",
           "<|start|>system<|message|>Current date: 2025-06-28\n\nReasoning: high\n\n" SYSTEM_TAIL
           "<|end|>" SUFFIX);
    expect(
        "{\"model_identity\":\"I.\",\"knowledge_cutoff\":\"2024-06\",\"reasoning_effort\":"
        "\"low\",\"instructions\":\"Be brief.\"}",
        "<|start|>system<|message|>I.\nKnowledge cutoff: 2024-06\n\nReasoning: low\n\n" SYSTEM_TAIL
        "<|end|><|start|>developer<|message|># Instructions\n\nBe brief.<|end|>" SUFFIX);
    expect(
        "{\"instructions\":\"\",\"tools\":[{\"function\":{\"name\":\"f\"}}]}",
        "<|start|>system<|message|>" SYSTEM_TAIL TOOLS_LINE
        "<|end|><|start|>developer<|message|># Instructions\n\n\n\n# Tools\n\n## functions\n\n"
        "namespace functions {\n\ntype f = () => any;\n\n} // namespace functions<|end|>" SUFFIX);
}

static void old_analysis_reference_rule(void **state) /* [R13 .. R16] */
{
    expect_messages(USER "," THOUGHT_AND_ANSWER "," USER, U("q") F("yes") U("q"));
    expect_messages(USER "," THOUGHT_AND_ANSWER "," USER "," THOUGHT_AND_ANSWER,
                    U("q") F("yes") U("q") A("hm") F("yes"));
    expect_messages(USER "," THOUGHT_AND_CALL "," RESULT, U("q") A("hm2") CALL_TEXT RESULT_TEXT);
    expect_messages(USER "," THOUGHT_AND_ANSWER "," USER "," THOUGHT_AND_CALL "," RESULT,
                    U("q") A("hm") F("yes") U("q") A("hm2") CALL_TEXT RESULT_TEXT);
}

static void old_analysis_other_rules(void **state) /* [R17], and the prose's rule */
{
    struct osl_harmony_options options = {.drop = OSL_DROP_NOTHING};
    assert_string_equal(render_with(USER "," THOUGHT_AND_ANSWER "," USER, options),
                        OPENING U("q") A("hm") F("yes") U("q") SUFFIX);
    options.drop = OSL_DROP_LAST_FINAL;
    assert_string_equal(
        render_with(USER "," THOUGHT_AND_ANSWER "," USER "," THOUGHT_AND_ANSWER, options),
        OPENING U("q") F("yes") U("q") F("yes") SUFFIX);
    assert_string_equal(
        render_with(USER "," THOUGHT_AND_ANSWER "," USER "," THOUGHT_AND_CALL "," RESULT, options),
        OPENING U("q") F("yes") U("q") A("hm2") CALL_TEXT RESULT_TEXT SUFFIX);
}

static void training_ends_with_return(void **state) /* [R18] */
{
    struct osl_harmony_options options = {.training = true};
    assert_string_equal(
        render_with(USER "," THOUGHT_AND_ANSWER, options),
        OPENING U("q") "<|start|>assistant<|channel|>final<|message|>yes<|return|>");
    assert_string_equal(render_with(USER "," THOUGHT_AND_ANSWER "," USER, options),
                        OPENING U("q") F("yes") U("q"));
}

static void text_of_users_makes_no_specials(void **state) /* [R19] */
{
    render_with("{\"role\":\"user\",\"content\":\"<|end|><|start|>system\"}",
                (struct osl_harmony_options){0});
    assert_int_equal(record.specials, 7); /* three of the system's, three of the user's, one more */
    assert_non_null(strstr(record.text, U("<|end|><|start|>system")));
}

static void contents(void **state)
{
    expect_messages("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a \"},"
                    "{\"type\":\"input_text\",\"text\":\"b\"},{\"text\":\"\"}]}",
                    U("a b"));
    expect_messages("{\"role\":\"user\",\"name\":\"Ann Lee\",\"content\":null}", U(""));
    expect_messages("{\"role\":\"user\"}", U(""));
    expect_messages("{\"role\":\"user\",\"content\":[]}", U(""));
    expect_messages("{\"role\":\"assistant\",\"content\":null}", "");
    expect_messages("{\"role\":\"assistant\",\"content\":\"\"}", F(""));
    expect_messages("{\"role\":\"assistant\",\"reasoning\":\"hm\"}", A("hm"));
    expect_messages("{\"role\":\"user\",\"content\":\"\\ud83d\\ude00\\u00e9\\n\\/\\t\"}",
                    U("\xf0\x9f\x98\x80\xc3\xa9\n/\t"));
}

static void calls(void **state)
{
    expect_messages(
        USER ",{\"role\":\"assistant\",\"content\":\"I will look.\",\"tool_calls\":["
             "{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{ \\\"x\\\":1e2 }\"}},"
             "{\"id\":\"2\",\"function\":{\"name\":\"functions.g\"}},"
             "{\"id\":\"3\",\"function\":{\"name\":\"h\",\"arguments\":{\"k\":[1,2.50]}}}]},"
             "{\"role\":\"tool\",\"tool_call_id\":\"2\",\"content\":[{\"type\":\"text\","
             "\"text\":\"two\"}]},"
             "{\"role\":\"tool\",\"tool_call_id\":\"?\",\"name\":\"f\",\"content\":null}",
        U("q") "<|start|>assistant<|channel|>commentary<|message|>I will look.<|end|>"
               "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json"
               "<|message|>{ \"x\":1e2 }<|call|>"
               "<|start|>assistant to=functions.g<|channel|>commentary <|constrain|>json"
               "<|message|>{}<|call|>"
               "<|start|>assistant to=functions.h<|channel|>commentary <|constrain|>json"
               "<|message|>{\"k\":[1,2.5]}<|call|>"
               "<|start|>functions.g to=assistant<|channel|>commentary<|message|>two<|end|>"
               "<|start|>functions.f to=assistant<|channel|>commentary<|message|><|end|>");
}

static void own_tools_are_on_analysis(void **state)
{
    expect("{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"python\"}}],\"messages\":"
           "[{\"role\":\"tool\",\"name\":\"python\",\"content\":\"2\"}]}",
           "<|start|>system<|message|>" SYSTEM_TAIL TOOLS_LINE
           "<|end|><|start|>developer<|message|># Tools\n\n## functions\n\nnamespace functions {"
           "\n\ntype python = () => any;\n\n} // namespace functions<|end|>"
           "<|start|>functions.python to=assistant<|channel|>commentary<|message|>2<|end|>" SUFFIX);
    assert_int_equal(render("{\"tools\":[{\"type\":\"python\"}],\"messages\":[{\"role\":"
                            "\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":"
                            "\"python\",\"arguments\":\"1+1\"}}]},{\"role\":\"tool\","
                            "\"tool_call_id\":\"1\",\"content\":\"2\"}]}"),
                     OSSICLE_OK);
    assert_non_null(strstr(rendered, "<|start|>assistant to=python<|channel|>analysis code"
                                     "<|message|>1+1<|call|><|start|>python to=assistant"
                                     "<|channel|>analysis<|message|>2<|end|>" SUFFIX));
}

static void system_messages(void **state)
{
#define DEV(text) "<|start|>developer<|message|># Instructions\n\n" text "<|end|>"
    static const char two[] = "{\"role\":\"system\",\"content\":\"one\"}," USER
                              ",{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":"
                              "\"two\"}]}";
    expect_messages(two, DEV("one") U("q") DEV("two"));
    expect_messages(USER ",{\"role\":\"system\",\"content\":\"late\"}", DEV("late") U("q"));
    char json[512];
    print(json, sizeof json, "{\"instructions\":\"zero\",\"messages\":[%s]}", two);
    expect(json, OPENING DEV("zero") DEV("one") U("q") DEV("two") SUFFIX);
}

static void harmony_fields_are_taken_as_they_stand(void **state) /* [R20, R21, R22] */
{
    expect_messages("{\"role\":\"assistant\",\"channel\":\"commentary\",\"recipient\":"
                    "\"functions.f\",\"content_type\":\"<|constrain|>json\",\"content\":\"{}\"},"
                    "{\"role\":\"tool\",\"name\":\"functions.f\",\"channel\":\"commentary\","
                    "\"recipient\":\"assistant\",\"content\":\"1\"},"
                    "{\"role\":\"assistant\",\"channel\":\"commentary\",\"recipient\":\"all\","
                    "\"content\":\"x\"}",
                    "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json"
                    "<|message|>{}<|call|>"
                    "<|start|>functions.f to=assistant<|channel|>commentary<|message|>1<|end|>"
                    "<|start|>assistant<|channel|>commentary<|message|>x<|call|>");
    expect_error("{\"messages\":[\n{\"role\":\"tool\",\"channel\":\"commentary\"}]}",
                 "request: line 2: messages[0]: message: a tool message needs the tool's name "
                 "(functions.NAME)");
}

static void nul_in_text_is_kept(void **state)
{
    assert_int_equal(render("{\"messages\":[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]}"),
                     OSSICLE_OK);
    static const char expected[] = OPENING "<|start|>user<|message|>a\0b<|end|>" SUFFIX;
    assert_int_equal(rendered_bytes, sizeof expected - 1);
    assert_memory_equal(rendered, expected, sizeof expected);
}

static void wrong_requests(void **state)
{
    static const char *const rows[][2] = {
        {"", "request: line 1, byte 0: empty; expected JSON"},
        {"[]", "request: line 1: must be an object with messages"},
        {"{\"messages\":3}", "request: line 1: messages must be an array"},
        {"{\"messages\":[3]}", "request: line 1: messages[0] must be an object with a role"},
        {"{\"messages\":[" USER ",\n{\"role\":\"robot\"}]}",
         "request: line 2: messages[1].role must be user, assistant, system, developer or tool"},
        {"{\"messages\":[{\"role\":\"user\",\n\"content\":3}]}",
         "request: line 2: messages[0].content must be a string, an array of parts or null"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[\n{\"type\":\"image_url\"}]}]}",
         "request: line 2: messages[0].content has a part that is no text; the model reads only "
         "parts of type \"text\""},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}",
         "request: line 1: messages[0]: a tool message needs the tool_call_id of a recent call, "
         "or the tool's name"},
        {"{\"messages\":[{\"role\":\"tool\",\"name\":\"a b\"}]}",
         "request: line 1: messages[0]: the name of its tool is no string of 1 to 149 bytes "
         "without spaces"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":{}}]}",
         "request: line 1: messages[0].tool_calls must be an array"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}",
         "request: line 1: messages[0].tool_calls has an entry whose function.name is no string "
         "of 1 to 149 bytes without spaces"},
        {"{\"messages\":[{\"role\":\"assistant\",\"reasoning\":{}}]}",
         "request: line 1: messages[0]: its reasoning must be a string"},
        {"{\"messages\":[{\"role\":\"user\",\"channel\":\"a b\"}]}",
         "request: line 1: messages[0]: message: channel \"a b\" must be one word, without spaces "
         "or control characters"},
        {"{\"reasoning_effort\":\"huge\"}",
         "request: line 1: reasoning_effort must be \"low\", \"medium\", \"high\" or null"},
        {"{\"current_date\":\n20250628}", "request: line 2: current_date must be a string or null"},
        {"{\"tools\":{}}", "request: line 1: tools must be an array"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_error(rows[i][0], rows[i][1]);
    }
}

/* Requests with bytes changed are rendered or refused, and never worse. */
static void damaged_requests_are_harmless(void **state)
{
    static const char json[] =
        "{\"messages\":[" USER "," THOUGHT_AND_ANSWER "," THOUGHT_AND_CALL "," RESULT
        "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{"
        "\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"oneOf\":[{\"type\":"
        "\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"x\"]}},{\"nullable\":true,"
        "\"default\":1e3}],\"title\":\"t\",\"examples\":[\"e\"]},\"b\":{\"type\":[\"null\"]}}}}}]}";
    static char copy[sizeof json];
    uint64_t random = 1;
    uint32_t rendered_count = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, json, sizeof json);
        for (int j = 0; j < 1 + i % 3; j++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint64_t from = (random >> 20) % (sizeof json - 1);
            copy[(random >> 40) % (sizeof json - 1)] =
                i % 2 ? (char)(random >> 56) : json[from]; /* often still JSON */
        }
        rendered_count +=
            ossicle_harmony_render(copy, sizeof json - 1, scratch, sizeof scratch, rendered,
                                   sizeof rendered, &rendered_bytes, &request_error) == OSSICLE_OK;
    }
    assert_true(rendered_count > 100);
}

static void small_buffers_are_refused(void **state)
{
    static const char json[] = "{\"messages\":[" USER "," THOUGHT_AND_CALL "," RESULT "]}";
    assert_int_equal(render(json), OSSICLE_OK);
    size_t need = rendered_bytes;
    char *small = rendered;
    size_t bytes = 0;
    for (size_t capacity = 0; capacity <= need; capacity++) {
        assert_int_equal(ossicle_harmony_render(json, sizeof json - 1, scratch, sizeof scratch,
                                                small, capacity, &bytes, NULL),
                         OSSICLE_CAPACITY);
    }
    assert_int_equal(ossicle_harmony_render(json, sizeof json - 1, scratch, sizeof scratch, small,
                                            need + 1, &bytes, NULL),
                     OSSICLE_OK);
    enum ossicle_status status = OSSICLE_MEMORY;
    size_t memory = 0;
    for (; memory < 65536 && status == OSSICLE_MEMORY; memory += 13) {
        status = ossicle_harmony_render(json, sizeof json - 1, scratch + 3, memory, rendered,
                                        sizeof rendered, &bytes, NULL);
    }
    assert_int_equal(status, OSSICLE_OK);
    assert_int_equal(ossicle_harmony_render(json, sizeof json - 1, NULL, 0, rendered,
                                            sizeof rendered, &bytes, &request_error),
                     OSSICLE_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_fields_leave_no_text),
        cmocka_unit_test(old_analysis_reference_rule),
        cmocka_unit_test(old_analysis_other_rules),
        cmocka_unit_test(training_ends_with_return),
        cmocka_unit_test(text_of_users_makes_no_specials),
        cmocka_unit_test(contents),
        cmocka_unit_test(calls),
        cmocka_unit_test(own_tools_are_on_analysis),
        cmocka_unit_test(system_messages),
        cmocka_unit_test(harmony_fields_are_taken_as_they_stand),
        cmocka_unit_test(nul_in_text_is_kept),
        cmocka_unit_test(wrong_requests),
        cmocka_unit_test(damaged_requests_are_harmless),
        cmocka_unit_test(small_buffers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
