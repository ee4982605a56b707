/* The strict JSON reader under Harmony, and the JSON that `harmony parse` prints. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harmony_record.h"
#include "model/harmony_json.h"
#include "model/ossicle.h"

static struct osl_error json_error;

/* Parses, prints compactly, and gives everything back. NULL on an error. */
static const char *reprint_bytes(const char *json, uint64_t bytes)
{
    static char text[65536];
    struct osl_arena arena = {.base = scratch, .bytes = sizeof scratch};
    struct osl_writer_text out;
    const cJSON *root = NULL;
    json_error.text[0] = '\0';
    enum osl_status status = osl_json_parse("test", json, bytes, &arena, &root, &json_error);
    if (status != OSL_OK) {
        assert_int_equal(status, OSL_FORMAT);
        assert_int_equal(arena.used, 0);
        return NULL;
    }
    osl_put_begin(&out, &arena);
    osl_put_json(&out, root);
    assert_false(out.full);
    print(text, sizeof text, "%.*s", (int)osl_put_bytes(&out), osl_put_data(&out));
    return text;
}

static const char *reprint(const char *json)
{
    return reprint_bytes(json, strlen(json));
}

static void values_survive(void **state)
{
    static const char *const rows[][2] = {
        {" { \"a\" : [ 1 , 1.0 , -0.5e1, true,false , null ] , \"\" : \"\\\"\\\\\\/\" } ",
         "{\"a\":[1,1.0,-5.0,true,false,null],\"\":\"\\\"\\\\/\"}"},
        {"\xef\xbb\xbf[]", "[]"},
        {"{}", "{}"},
        {"[[],{},[[]]]", "[[],{},[[]]]"},
        {"\"\\u0000\\u001f\\u007f\\b\\f\\n\\r\\t\"", "\"\\u0000\\u001f\x7f\\b\\f\\n\\r\\t\""},
        {"{\"k\\u0000k\":\"\\uD83D\\uDE00\"}", "{\"k\\u0000k\":\"\xf0\x9f\x98\x80\"}"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"\"\\ufffd\\uffff\"", "\"\xef\xbf\xbd\xef\xbf\xbf\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = reprint(rows[i][0]);
        assert_string_equal(json_error.text, "");
        assert_string_equal(text, rows[i][1]);
    }
}

static void broken_text_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"{", "test: line 1, byte 1: the text ends early"},
        {"[1,", "test: line 1, byte 3: the text ends early"},
        {"[1,]", "test: line 1, byte 3: not a JSON value"},
        {"{\"a\":1,}", "test: line 1, byte 7, after key \"a\": expected a key in double quotes"},
        {"{\n\n\"a\" 1}", "test: line 3, byte 7, after key \"a\": expected ':' after a key"},
        {"{\"a\":1 \"b\":2}", "test: line 1, byte 7, after key \"a\": expected ',' or '}'"},
        {"[1 2]", "test: line 1, byte 3: expected ',' or ']'"},
        {"[1}", "test: line 1, byte 2: expected ',' or ']'"},
        {"]", "test: line 1, byte 0: not a JSON value"},
        {"{a:1}", "test: line 1, byte 1: expected a key in double quotes"},
        {"1 2", "test: line 1, byte 2: something follows the end of the JSON value"},
        {"01", "test: line 1, byte 0: not a JSON value"},
        {"+1", "test: line 1, byte 0: not a JSON value"},
        {".5", "test: line 1, byte 0: not a JSON value"},
        {"1.", "test: line 1, byte 0: a number needs a digit after the point"},
        {"1e", "test: line 1, byte 0: a number needs a digit in its exponent"},
        {"1e999", "test: line 1, byte 0: a number beyond the range of a double"},
        {"nul", "test: line 1, byte 0: not a JSON value"},
        {"NaN", "test: line 1, byte 0: not a JSON value"},
        {"\"a", "test: line 1, byte 2: the text ends inside a string"},
        {"\"\\", "test: line 1, byte 1: unknown escape in a string"},
        {"\"\\x\"", "test: line 1, byte 1: unknown escape in a string"},
        {"\"\\u12g4\"", "test: line 1, byte 1: \\u needs four hexadecimal digits"},
        {"\"\\ud800\"", "test: line 1, byte 1: half a surrogate pair is no character; write both "
                        "halves"},
        {"\"\\ude00\\ud83d\"", "test: line 1, byte 1: half a surrogate pair is no character; write "
                               "both halves"},
        {"\"a\nb\"", "test: line 1, byte 2: a control character in a string; write it as \\u00XX"},
        {"\"\xff\"", "test: line 1, byte 1: bytes that are not UTF-8"},
        {"\"\xc0\x80\"", "test: line 1, byte 1: bytes that are not UTF-8"},
        {"\"\xed\xa0\x80\"", "test: line 1, byte 1: bytes that are not UTF-8"},
        {"{\"a\":{\"b\":1,\n\"b\":2}}",
         "test: line 1: the object that begins there has key \"b\" twice; leave one out"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(reprint(rows[i][0]));
        assert_string_equal(json_error.text, rows[i][1]);
    }
}

static void limits_hold(void **state)
{
    static char text[65536];
    for (uint32_t depth = OSL_JSON_DEPTH_MAX; depth <= OSL_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        const char *again = reprint(text);
        assert_int_equal(again != NULL, depth == OSL_JSON_DEPTH_MAX);
        if (again != NULL) {
            assert_string_equal(again, text);
        }
    }
    assert_non_null(strstr(json_error.text, "nested deeper than 192"));
    for (uint32_t keys = OSL_JSON_KEYS_MAX; keys <= OSL_JSON_KEYS_MAX + 1; keys++) {
        uint32_t at = 0;
        for (uint32_t i = 0; i < keys; i++) {
            at += (uint32_t)snprintf(text + at, sizeof text - at, "%c\"%u\":0", i ? ',' : '{', i);
        }
        strcpy(text + at, "}");
        assert_int_equal(reprint(text) != NULL, keys == OSL_JSON_KEYS_MAX);
    }
    assert_string_equal(json_error.text, "test: line 1: an object of more than 1024 keys");
    memset(text, '1', 300);
    text[300] = '\0';
    assert_null(reprint(text));
}

/* Every truncation and every changed byte is refused or accepted, and never worse. */
static void damaged_text_is_harmless(void **state)
{
    static const char json[] = "{\"a\":[1.5e3,\"x\\u0000\\ud83d\\ude00\xc3\xa9\",null,true],"
                               "\"b\":{\"c\":{}}}";
    for (uint64_t bytes = 0; bytes < sizeof json - 1; bytes++) {
        char *copy = malloc(bytes + 1); /* so that a sanitizer sees a read past the end */
        memcpy(copy, json, bytes);
        assert_null(reprint_bytes(copy, bytes));
        free(copy);
    }
    for (uint64_t at = 0; at < sizeof json - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char *copy = malloc(sizeof json - 1);
            memcpy(copy, json, sizeof json - 1);
            copy[at] = (char)byte;
            (void)reprint_bytes(copy, sizeof json - 1);
            free(copy);
        }
    }
}

/* cJSON's hooks are one per process: two threads take turns, each in an arena of its own. */
static void *parse_often(void *context)
{
    static const char json[] = "{\"a\":[1.50,{\"b\":\"c\"}]}";
    uint8_t *memory = context;
    for (int i = 0; i < 2000; i++) {
        struct osl_arena arena = {.base = memory, .bytes = 4096};
        const cJSON *root = NULL;
        if (osl_json_parse("test", json, sizeof json - 1, &arena, &root, NULL) != OSL_OK ||
            (const uint8_t *)root < memory || (const uint8_t *)root >= memory + 4096 ||
            strcmp(osl_json_get(root, "a")->child->valuestring, "1.50") != 0) {
            return context;
        }
    }
    return NULL;
}

static void threads_take_turns(void **state)
{
    static _Alignas(16) uint8_t memory[2][4096];
    pthread_t other;
    void *problem = NULL;
    assert_int_equal(pthread_create(&other, NULL, parse_often, memory[0]), 0);
    assert_null(parse_often(memory[1]));
    assert_int_equal(pthread_join(other, &problem), 0);
    assert_null(problem);
}

/* ---- harmony parse ----------------------------------------------------------------------- */

static char json_text[1 << 16];
static size_t json_bytes;
static struct ossicle_error parse_error;

static enum ossicle_status parse(const char *text, const char *role, bool strict)
{
    parse_error.text[0] = '\0';
    return ossicle_harmony_parse(text, strlen(text), role, strict, scratch, sizeof scratch,
                                 json_text, sizeof json_text, &json_bytes, &parse_error);
}

static void parse_prints_messages(void **state)
{
    assert_int_equal(
        parse("<|channel|>analysis<|message|>\"q\"\n<|end|>"
              "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>"
              "{\"a\":1}<|call|><|start|>functions.f to=assistant<|channel|>commentary<|message|>"
              "\xc3\xa9<|end|>\n",
              "assistant", true),
        OSSICLE_OK);
    static const char expected[] =
        "[{\"role\":\"assistant\",\"channel\":\"analysis\",\"content\":\"\\\"q\\\"\\n\"},"
        "{\"role\":\"assistant\",\"channel\":\"commentary\",\"recipient\":\"functions.f\","
        "\"content_type\":\"<|constrain|>json\",\"content\":\"{\\\"a\\\":1}\"},"
        "{\"role\":\"tool\",\"name\":\"functions.f\",\"channel\":\"commentary\",\"recipient\":"
        "\"assistant\",\"content\":\"\xc3\xa9\"}]";
    assert_string_equal(json_text, expected);
    assert_int_equal(json_bytes, sizeof expected - 1);
    assert_int_equal(parse("", NULL, true), OSSICLE_OK);
    assert_string_equal(json_text, "[]");
}

static void parse_errors_keep_finished_messages(void **state)
{
    assert_int_equal(parse("<|start|>user<|message|>a\nb<|end|>\nx", NULL, true), OSSICLE_FORMAT);
    assert_string_equal(json_text, "[{\"role\":\"user\",\"content\":\"a\\nb\"}]");
    assert_string_equal(parse_error.text, "harmony: line 2, byte 34: expected <|start|> after a "
                                          "message, found \"?x\"");
    assert_int_equal(parse("<|start|>user<|message|>a\nb<|end|>\nx", NULL, false), OSSICLE_OK);
    assert_int_equal(parse("<|message|>hi<|end|>", "user", false), OSSICLE_OK);
    assert_string_equal(json_text, "[{\"role\":\"user\",\"content\":\"hi\"}]");
    assert_int_equal(parse("x", "robot", false), OSSICLE_ARGUMENT);
    assert_int_equal(parse("<|channel|>fin", "assistant", true), OSSICLE_FORMAT);
    assert_string_equal(parse_error.text, "harmony: line 1, byte 14: the text ends inside a "
                                          "header, before <|message|>");
}

static void parse_long_text_and_small_buffers(void **state)
{
    static char text[20000];
    static char expected[40000];
    strcpy(text, "<|start|>user<|message|>");
    strcpy(expected, "[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 3000; i++) {
        strcat(text, "\xe2\x82\xac"
                     "x\n");
        strcat(expected, "\xe2\x82\xac"
                         "x\\n");
    }
    strcat(expected, "\"}]");
    assert_int_equal(parse(text, NULL, true), OSSICLE_OK);
    assert_string_equal(json_text, expected);
    static const char three[] = "<|start|>user<|message|>0123456789<|end|>"
                                "<|start|>user<|message|>0123456789<|end|>"
                                "<|start|>user<|message|>0123456789<|end|>";
    size_t bytes = 7;
    assert_int_equal(ossicle_harmony_parse(three, sizeof three - 1, NULL, true, scratch, 16,
                                           json_text, sizeof json_text, &bytes, NULL),
                     OSSICLE_OK); /* scratch holds one message at a time */
    bytes = 7;
    assert_int_equal(parse(text, NULL, true), OSSICLE_OK);
    for (size_t capacity = 0; capacity < strlen(expected) + 1; capacity += 1 + capacity / 50) {
        assert_int_equal(ossicle_harmony_parse(text, strlen(text), NULL, true, scratch,
                                               sizeof scratch, json_text, capacity, &bytes, NULL),
                         OSSICLE_CAPACITY);
    }
    assert_int_equal(bytes, 7);
    assert_int_equal(ossicle_harmony_parse(text, strlen(text), NULL, true, scratch, sizeof scratch,
                                           json_text, strlen(expected) + 1, &bytes, NULL),
                     OSSICLE_OK);
    assert_int_equal(ossicle_harmony_parse(text, strlen(text), NULL, true, scratch, 1000, json_text,
                                           sizeof json_text, &bytes, NULL),
                     OSSICLE_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_survive),
        cmocka_unit_test(broken_text_is_refused),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(damaged_text_is_harmless),
        cmocka_unit_test(threads_take_turns),
        cmocka_unit_test(parse_prints_messages),
        cmocka_unit_test(parse_errors_keep_finished_messages),
        cmocka_unit_test(parse_long_text_and_small_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
