/* Stop strings against a search of the whole text, over every way of cutting it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/stop.h"

#define TEXT_BYTES_MAX 64

static struct osl_stop stop;

static void begin(const char *const *texts, uint32_t count)
{
    struct osl_error error = { 0 };
    if (osl_stop_begin(&stop, texts, count, &error) != OSL_OK) {
        fail_msg("%s", error.text);
    }
}

/* What may be out once text [bytes] is in: all before the first place where a stop string is, or
 * could still come to be. True if one is there. At the end of the text nothing more can come. */
static bool brute_end(const char *text, uint64_t bytes, const char *const *stops, uint32_t count,
                      bool at_end, uint64_t *end_out)
{
    for (uint64_t start = 0; start < bytes; start++) {
        bool begun = false, there = false;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t length = strlen(stops[i]), left = bytes - start;
            uint64_t common = length < left ? length : left;
            if (memcmp(text + start, stops[i], common) == 0) {
                there = there || common == length;
                begun = begun || common < length;
            }
        }
        if (there || (begun && !at_end)) {
            *end_out = start;
            return there;
        }
    }
    *end_out = bytes;
    return false;
}

/* Feeds text in pieces that end where `cuts` has a bit, checking what is out after each. */
static void assert_stream(const char *text, uint64_t bytes, const char *const *stops,
                          uint32_t count, uint64_t cuts)
{
    char got[TEXT_BYTES_MAX + OSL_STOP_BYTES_MAX];
    uint64_t used = 0, at = 0, end = 0;
    bool stopped = false;
    begin(stops, count);
    while (at < bytes && !stopped) {
        uint64_t next = at + 1;
        while (next < bytes && !(cuts >> (next - 1) & 1)) {
            next++;
        }
        uint64_t size = 0, room = next - at + OSL_STOP_BYTES_MAX;
        char *piece = malloc(room);
        stopped = osl_stop_feed(&stop, text + at, next - at, piece, room, &size);
        memcpy(got + used, piece, size);
        free(piece);
        used += size;
        at = next;
        assert_int_equal(stopped, brute_end(text, at, stops, count, false, &end));
        assert_int_equal(used, end);
    }
    if (!stopped) {
        used += osl_stop_flush(&stop, got + used, sizeof got - used);
        (void)brute_end(text, bytes, stops, count, true, &end);
        assert_int_equal(used, end);
        assert_int_equal(osl_stop_flush(&stop, got + used, sizeof got - used), 0);
    }
    assert_memory_equal(got, text, used);
}

static void every_cut_gives_the_same(void **state)
{
    static const struct { const char *text; const char *stops[4]; } cases[] = {
        { "one two", { "two" } },
        { "one tw", { "two" } },
        { "aaab", { "aab" } },
        { "abababac", { "ababac" } },
        { "xabcy", { "abcd", "bc" } },
        { "xabcdy", { "abcd", "bcd", "cd" } },
        { "abcabd!", { "abcabe", "abd" } },
        { "\n\nUser:", { "\n\nUser:", "\nUser" } },
        { "aaaaaa", { "aaaa" } },
        { "nothing", { "zz", "hingx", "gg" } },
        { "ab", { "ab", "b" } },
        { "x", { "x" } },
        { "\xe4\xb8\xad\xe6\x96", { "\xe6\x96\x87" } },
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t count = 0;
        while (count < 4 && cases[i].stops[count] != NULL) {
            count++;
        }
        uint64_t bytes = strlen(cases[i].text);
        for (uint64_t cuts = 0; cuts < 1u << (bytes - 1); cuts++) {
            assert_stream(cases[i].text, bytes, cases[i].stops, count, cuts);
        }
    }
}

static void random_streams_equal_a_search(void **state)
{
    uint32_t seed = 11;
    for (uint32_t round = 0; round < 20000; round++) {
        char texts[OSL_STOPS_MAX][8], text[TEXT_BYTES_MAX];
        const char *stops[OSL_STOPS_MAX];
        uint64_t cuts = 0;
        uint32_t count = round % (OSL_STOPS_MAX + 1), bytes = 1 + round % (TEXT_BYTES_MAX - 1);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t length = 2 + i % 5;
            for (uint32_t k = 0; k < length; k++) {
                seed = seed * 1664525u + 1013904223u;
                texts[i][k] = "aab"[(seed >> 16) % 3];
            }
            texts[i][length] = '\0';
            stops[i] = texts[i];
        }
        for (uint32_t i = 0; i < bytes; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = "aabbc"[(seed >> 16) % 5];
            cuts |= (uint64_t)(seed >> 28 & 1) << i;
        }
        assert_stream(text, bytes, stops, count, cuts);
    }
}

static void the_longest_strings_fit(void **state)
{
    char text[OSL_STOP_BYTES_MAX + 1], out[2 * OSL_STOP_BYTES_MAX];
    const char *const texts[] = { text };
    const uint64_t most = OSL_STOP_BYTES_MAX - 1;
    uint64_t size = 0;
    memset(text, 'x', sizeof text);
    text[OSL_STOP_BYTES_MAX] = '\0';
    begin(texts, 1);
    assert_false(osl_stop_feed(&stop, text, most, out, sizeof out, &size));
    assert_int_equal(size, 0);
    assert_false(osl_stop_feed(&stop, "y", 1, out, sizeof out, &size));
    assert_int_equal(size, OSL_STOP_BYTES_MAX);
    assert_false(osl_stop_feed(&stop, text, most, out, sizeof out, &size));
    assert_true(osl_stop_feed(&stop, text, 1, out, sizeof out, &size));
    assert_int_equal(size, 0);
}

static void impossible_strings_are_named(void **state)
{
    const char *const texts[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };
    const char *const empty[] = { "a", "" }, *const missing[] = { NULL };
    char text[OSL_STOP_BYTES_MAX + 2];
    const char *const longer[] = { text };
    struct osl_error error;
    memset(text, 'x', sizeof text);
    text[OSL_STOP_BYTES_MAX + 1] = '\0';
    assert_int_equal(osl_stop_begin(&stop, texts, 9, &error), OSL_ARGUMENT);
    assert_int_equal(osl_stop_begin(&stop, empty, 2, &error), OSL_ARGUMENT);
    assert_non_null(strstr(error.text, "stop string 1"));
    assert_int_equal(osl_stop_begin(&stop, missing, 1, &error), OSL_ARGUMENT);
    assert_int_equal(osl_stop_begin(&stop, longer, 1, &error), OSL_ARGUMENT);
    assert_int_equal(osl_stop_begin(&stop, texts, 8, &error), OSL_OK);
    assert_int_equal(osl_stop_begin(&stop, NULL, 0, &error), OSL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same),
        cmocka_unit_test(random_streams_equal_a_search),
        cmocka_unit_test(the_longest_strings_fit),
        cmocka_unit_test(impossible_strings_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
