/* The o200k split, piece by piece, on texts where its alternatives compete. Expected pieces were
 * worked out from the pattern by hand; tokenizer_tiktoken.js checks thousands more by their ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "model/split.h"
#include "model/unicode.h"

/* Pieces of `text` joined by '|' equal `expected`. */
static void assert_pieces(const char *text, const char *expected)
{
    char joined[256];
    uint64_t bytes = strlen(text), at = 0, used = 0;
    while (at < bytes) {
        uint64_t end = osl_split_next((const uint8_t *)text, bytes, at);
        assert_true(end > at && end <= bytes);
        used += (uint64_t)snprintf(joined + used, sizeof joined - used, "%s%.*s",
                                   at == 0 ? "" : "|", (int)(end - at), text + at);
        at = end;
    }
    joined[used] = '\0';
    if (strcmp(joined, expected) != 0) {
        fail_msg("\"%s\" was cut \"%s\", not \"%s\"", text, joined, expected);
    }
}

#define ACUTE "\xcc\x81"     /* U+0301, a mark */
#define LONG_S "\xc5\xbf"    /* U+017F */
#define HAN "\xe4\xb8\xad"   /* U+4E2D, Lo: in both case sets */
#define DZ "\xc7\x85"        /* U+01C5, Lt */
#define NBSP "\xc2\xa0"
#define NEL "\xc2\x85"
#define THREE "\xd9\xa3"     /* U+0663, an Arabic digit */

static void words_are_cut_by_case(void **state)
{
    assert_pieces("Hello world", "Hello| world");
    assert_pieces("helloWorldABC", "hello|World|ABC");
    assert_pieces("HTTPServer", "HTTPServer");
    assert_pieces("ABc", "ABc");
    assert_pieces("(word) .word ..word", "(word|)| .|word| ..|word");
    assert_pieces("a" DZ "a" DZ, "a|" DZ "a|" DZ);
    assert_pieces("HELLO world", "HELLO| world");
}

/* The first class gives characters back until the second has one. */
static void words_give_back(void **state)
{
    assert_pieces("AB" HAN "CD", "AB" HAN "|CD");
    assert_pieces("AB" HAN "CD" HAN "EF g", "AB" HAN "CD" HAN "|EF| g");
    assert_pieces(HAN "ABc", HAN "ABc");
    assert_pieces(HAN "AB", HAN "|AB");
    assert_pieces(ACUTE "ABC", ACUTE "|ABC");
    assert_pieces(ACUTE "Abc", ACUTE "Abc");
    assert_pieces(ACUTE, ACUTE);
    assert_pieces("!" ACUTE "!" ACUTE, "!" ACUTE "|!" ACUTE);
    assert_pieces("!!" ACUTE "a", "!!" ACUTE "|a");
    assert_pieces("1" ACUTE "2", "1|" ACUTE "|2");
}

static void contractions_stay_with_the_word(void **state)
{
    assert_pieces("it's IT'S we'LL I'd've", "it's| IT'S| we'LL| I'd|'ve");
    assert_pieces("it'" LONG_S "e IT'" LONG_S, "it'" LONG_S "|e| IT'" LONG_S);
    assert_pieces("it'x a'l a'r ca'", "it|'x| a|'l| a|'r| ca|'");
    assert_pieces("'s 't", "'s| '|t");
    assert_pieces("x'sy x'rey", "x's|y| x're|y");
    assert_pieces("1's", "1|'s");
}

static void numbers_go_by_three(void **state)
{
    assert_pieces("1234567", "123|456|7");
    assert_pieces("12" THREE "4", "12" THREE "|4");
    assert_pieces(" 12 a1", " |12| a|1");
    assert_pieces("-1.5", "-|1|.|5");
}

static void symbols_take_newlines_and_slashes(void **state)
{
    assert_pieces("!?\n\r\n/x", "!?\n\r\n/|x");
    assert_pieces(" //\n//x", " //\n//|x");
    assert_pieces("  !", " | !");
    assert_pieces("a/b//c", "a|/b|//|c");
    assert_pieces("\xff\xfe" "a", "\xff\xfe|a"); /* bytes that are no text are symbols */
}

static void spaces_are_left_to_the_next_word(void **state)
{
    assert_pieces("a   b", "a|  | b");
    assert_pieces("a   ", "a|   ");
    assert_pieces("a \n \n  b", "a| \n \n| | b");
    assert_pieces("a \n", "a| \n");
    assert_pieces("\n a", "\n| a");
    assert_pieces("\t\ta", "\t|\ta");
    assert_pieces("  1", " | |1");
    assert_pieces(NBSP NBSP "a", NBSP "|" NBSP "a");
    assert_pieces("a" NEL NEL "b", "a|" NEL "|" NEL "b");
    assert_pieces("a " NEL "\n" NEL ".", "a| " NEL "\n|" NEL "|.");
    assert_pieces("\xe2\x80\xa8" "a\xe3\x80\x80", "\xe2\x80\xa8" "a|\xe3\x80\x80");
}

static void utf8_is_decoded_strictly(void **state)
{
    static const struct { const char *text; uint32_t code, bytes; } cases[] = {
        { "A", 'A', 1 },
        { "\xc2\x80", 0x80, 2 },
        { "\xdf\xbf", 0x7ff, 2 },
        { "\xe0\xa0\x80", 0x800, 3 },
        { "\xed\x9f\xbf", 0xd7ff, 3 },
        { "\xee\x80\x80", 0xe000, 3 },
        { "\xf0\x90\x80\x80", 0x10000, 4 },
        { "\xf4\x8f\xbf\xbf", 0x10ffff, 4 },
        { "\x80", OSL_UNICODE_INVALID, 1 },
        { "\xc1\x81", OSL_UNICODE_INVALID, 1 },
        { "\xe0\x9f\xbf", OSL_UNICODE_INVALID, 1 },
        { "\xed\xa0\x80", OSL_UNICODE_INVALID, 1 },
        { "\xf0\x8f\xbf\xbf", OSL_UNICODE_INVALID, 1 },
        { "\xf4\x90\x80\x80", OSL_UNICODE_INVALID, 1 },
        { "\xf5\x80\x80\x80", OSL_UNICODE_INVALID, 1 },
        { "\xe4\xb8", OSL_UNICODE_INVALID, 1 },
        { "\xe4\xb8 ", OSL_UNICODE_INVALID, 1 },
        { "\xf0\x9f\x98", OSL_UNICODE_INVALID, 1 },
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct osl_unicode_char c =
            osl_unicode_decode((const uint8_t *)cases[i].text, strlen(cases[i].text));
        assert_int_equal(c.code, cases[i].code);
        assert_int_equal(c.bytes, cases[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_cut_by_case),
        cmocka_unit_test(words_give_back),
        cmocka_unit_test(contractions_stay_with_the_word),
        cmocka_unit_test(numbers_go_by_three),
        cmocka_unit_test(symbols_take_newlines_and_slashes),
        cmocka_unit_test(spaces_are_left_to_the_next_word),
        cmocka_unit_test(utf8_is_decoded_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
