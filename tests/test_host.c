/* The command line's own parts: JSON out and in, safe text for terminals, means and spreads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "boards/host/bench.h"
#include "boards/host/json.h"
#include "boards/host/out.h"
#include "boards/host/term.h"

#define CAUGHT_BYTES 4096

/* What a function writes to a descriptor, caught in a pipe. */
static char caught[CAUGHT_BYTES];

static void catch_json(const char *text, size_t bytes)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    osl_out_json(text, bytes);
    osl_out_flush();
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t got = read(ends[0], caught, sizeof caught - 1);
    close(ends[0]);
    caught[got > 0 ? got : 0] = '\0';
}

static void assert_json(const char *text, size_t bytes, const char *expected)
{
    catch_json(text, bytes);
    assert_string_equal(caught, expected);
}

static void json_strings_are_escaped_and_valid_utf8(void **state)
{
    (void)state;
    assert_json("a\"b\\c\n\t\x01\x7f", 9, "\"a\\\"b\\\\c\\n\\u0009\\u0001\\u007f\"");
    assert_json("\xc3\xa9\xf0\x9f\x99\x82", 6, "\"\xc3\xa9\xf0\x9f\x99\x82\"");
    assert_json("\xff", 1, "\"\xef\xbf\xbd\"");
    assert_json("\xc3", 1, "\"\xef\xbf\xbd\"");                                 /* cut short */
    assert_json("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong */
    assert_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* surrogate */
    assert_json("\xf4\x90\x80\x80x", 5,
                "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\""); /* above U+10FFFF */
    assert_json("a\0b", 3, "\"a\\u0000b\"");
}

static void terminal_text_can_not_command(void **state)
{
    int ends[2];
    static const char text[] = "ok\033[31m\x07\x9b\xc2\x9b\xc3\xa9\n\t\r\x7f";
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(osl_write_safely(ends[1], text, sizeof text - 1));
    close(ends[1]);
    ssize_t got = read(ends[0], caught, sizeof caught - 1);
    close(ends[0]);
    caught[got] = '\0';
    assert_string_equal(caught, "ok?[31m?\x9b?\xc3\xa9\n\t??");
}

static void json_parses_from_its_arena_only(void **state)
{
    static _Alignas(16) unsigned char memory[4096];
    struct osl_host_json_arena arena = {.base = memory, .bytes = sizeof memory};
    struct ossicle_error error;
    cJSON *tree = NULL;
    (void)state;
    assert_int_equal(
        osl_host_json_parse("t", "[1,\"two\",{\"a\":null}]", 20, &arena, &tree, &error), 0);
    assert_int_equal(cJSON_GetArraySize(tree), 3);
    assert_in_range((uintptr_t)tree, (uintptr_t)memory, (uintptr_t)memory + sizeof memory);
    arena.used = sizeof memory - 100;
    assert_int_equal(osl_host_json_parse("t", "[1,2,3,4]", 9, &arena, &tree, &error),
                     OSSICLE_CAPACITY);
}

/* The bound on arena bytes must hold for the densest texts. */
static void json_arena_bound_holds(void **state)
{
    static const char *const units[] = {"1,", "[],", "\"\",", "{},", "{\"\":1},", "null,"};
    (void)state;
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        char text[2048] = "[";
        while (strlen(text) + strlen(units[u]) + 2 < sizeof text) {
            strcat(text, units[u]);
        }
        text[strlen(text) - 1] = ']';
        struct osl_host_json_arena arena = {.bytes =
                                                (size_t)osl_host_json_arena_need(strlen(text))};
        struct ossicle_error error;
        cJSON *tree = NULL;
        arena.base = osl_pages(arena.bytes);
        assert_non_null(arena.base);
        assert_int_equal(osl_host_json_parse("t", text, strlen(text), &arena, &tree, &error), 0);
        osl_pages_free(arena.base, arena.bytes);
    }
}

static void json_errors_name_the_line(void **state)
{
    static _Alignas(16) unsigned char memory[4096];
    struct osl_host_json_arena arena = {.base = memory, .bytes = sizeof memory};
    struct ossicle_error error;
    cJSON *tree = NULL;
    (void)state;
    assert_int_equal(osl_host_json_parse("t", "[1,\n2,\n]", 8, &arena, &tree, &error),
                     OSSICLE_FORMAT);
    assert_string_equal(error.text, "t:3: broken JSON");
    assert_int_equal(osl_host_json_parse("t", "[1] x", 5, &arena, &tree, &error), OSSICLE_FORMAT);
    assert_int_equal(osl_host_json_parse("t", "[1]\0x", 5, &arena, &tree, &error), OSSICLE_FORMAT);
}

static void json_lines_of_members(void **state)
{
    static const char text[] =
        "{\n\"a\": {\"b\": 1,\n\"c\": 2},\n\"b\": \"a\",\n\"x\\\"y\": [{\"b\": 1}],\n\"a\": 3}";
    (void)state;
    assert_int_equal(osl_host_json_line(text, sizeof text - 1, NULL, "a", 0), 2);
    assert_int_equal(osl_host_json_line(text, sizeof text - 1, NULL, "a", 1), 6);
    assert_int_equal(osl_host_json_line(text, sizeof text - 1, NULL, "b", 0), 4);
    assert_int_equal(osl_host_json_line(text, sizeof text - 1, "a", "b", 0), 2);
    assert_int_equal(osl_host_json_line(text, sizeof text - 1, "a", "c", 0), 3);
    assert_int_equal(osl_host_json_line(text, sizeof text - 1, NULL, "nothing", 0), 1);
}

static void json_sees_escaped_zero_bytes(void **state)
{
    (void)state;
    assert_true(osl_host_json_has_nul("[\"a\\u0000\"]", 11));
    assert_false(osl_host_json_has_nul("[\"a\\\\u0000\"]", 12));
    assert_false(osl_host_json_has_nul("[\"\\u0001\"]", 10));
    assert_false(osl_host_json_has_nul("\\u000", 5));
}

static void spread_is_that_of_a_sample(void **state)
{
    static const double values[] = {2.0, 4.0, 9.0};
    (void)state;
    struct osl_spread spread = osl_spread_of(values, 3);
    assert_true(spread.mean == 5.0);
    assert_true(spread.deviation > 3.60555 && spread.deviation < 3.60556); /* sqrt(26 / 2) */
    assert_true(osl_spread_of(values, 1).deviation == 0.0);
}

static void sizes_are_decimal(void **state)
{
    char text[OSL_SIZE_TEXT_BYTES];
    (void)state;
    assert_string_equal(osl_size_text(999, text), "999 B");
    assert_string_equal(osl_size_text(1500, text), "1.5 KB");
    assert_string_equal(osl_size_text(13300000000u, text), "13.30 GB");
}

static void progress_tells_bytes_speed_and_time_left(void **state)
{
    (void)state;
    char line[160];
    osl_progress_text(line, sizeof line, "reading weights", 5000000000, 10000000000, 2000000000);
    assert_string_equal(line, "reading weights [########........]  50 %, 5.00/10.00 GB, 2.50 GB/s, "
                              "2 s left");
    osl_progress_text(line, sizeof line, "reading", 10, 40, 3000000000);
    assert_string_equal(line, "reading [####............]  25 %, 9 s left");
    osl_progress_text(line, sizeof line, "reading", 0, 0, 0);
    assert_string_equal(line, "reading [................]   0 %");
    osl_progress_text(line, 20, "reading weights", 1ull << 40, 1, 1);
    assert_int_equal(strlen(line), 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_strings_are_escaped_and_valid_utf8),
        cmocka_unit_test(progress_tells_bytes_speed_and_time_left),
        cmocka_unit_test(terminal_text_can_not_command),
        cmocka_unit_test(json_parses_from_its_arena_only),
        cmocka_unit_test(json_arena_bound_holds),
        cmocka_unit_test(json_errors_name_the_line),
        cmocka_unit_test(json_lines_of_members),
        cmocka_unit_test(json_sees_escaped_zero_bytes),
        cmocka_unit_test(spread_is_that_of_a_sample),
        cmocka_unit_test(sizes_are_decimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
