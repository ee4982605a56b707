/* The tokenizer over a small vocabulary, against naive merging; broken vocabularies. Ids of the
 * real vocabulary are compared with tiktoken's by tokenizer_tiktoken.js. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/tokenizer.h"
#include "tests/tokenizer_vocab.h"

#define PIECE_BYTES_MAX (1u << 18)
#define IDS_MAX (1u << 18)

static struct vocab vocab;
static struct osl_gguf gguf;
static int32_t ids[IDS_MAX];
static char long_text[PIECE_BYTES_MAX];

/* The tokenizer over `vocab` as it now is; free() what it returns. */
static struct osl_tokenizer *build(uint64_t piece_bytes_max)
{
    struct osl_error error = { 0 };
    uint64_t bytes = 0;
    vocab_open(&vocab, &gguf);
    assert_int_equal(osl_tokenizer_need(&gguf, piece_bytes_max, &bytes, &error), OSL_OK);
    void *memory = aligned_alloc(64, bytes);
    assert_non_null(memory);
    memset(memory, 0xa5, bytes);
    struct osl_tokenizer *tokenizer = NULL;
    if (osl_tokenizer_build(&gguf, piece_bytes_max, memory, bytes, &tokenizer, &error) != OSL_OK) {
        fail_msg("build: %s", error.text);
    }
    memset(vocab.file, 0xee, sizeof vocab.file); /* the file may go */
    return tokenizer;
}

static uint64_t encode(struct osl_tokenizer *t, const char *text, uint64_t bytes, bool specials)
{
    struct osl_error error = { 0 };
    uint64_t count = 0;
    if (osl_tokenizer_encode(t, text, bytes, specials, ids, IDS_MAX, &count, &error) != OSL_OK) {
        fail_msg("encode: %s", error.text);
    }
    return count;
}

static void assert_ids(struct osl_tokenizer *t, const char *text, bool specials,
                       const char *const *tokens)
{
    uint64_t count = encode(t, text, strlen(text), specials);
    for (uint64_t i = 0; i < count; i++) {
        struct osl_slice token = osl_tokenizer_bytes(t, ids[i]);
        assert_non_null(tokens[i]);
        assert_int_equal(token.bytes, strlen(tokens[i]));
        assert_memory_equal(token.data, tokens[i], token.bytes);
    }
    assert_null(tokens[count]);
}
#define ASSERT_IDS(t, text, specials, ...) \
    assert_ids(t, text, specials, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

static void tokens_are_found_by_id(void **state)
{
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(64);
    const struct osl_special_ids *special = osl_tokenizer_special(t);
    assert_int_equal(osl_tokenizer_count(t), vocab.token_count);
    assert_int_equal(osl_tokenizer_text_count(t), vocab.token_count - 2);
    for (int32_t byte = 0; byte < 256; byte++) {
        assert_int_equal(osl_tokenizer_bytes(t, byte).bytes, 1);
        assert_int_equal((uint8_t)osl_tokenizer_bytes(t, byte).data[0], byte);
        assert_false(osl_tokenizer_is_special(t, byte));
    }
    struct osl_slice start = osl_tokenizer_bytes(t, special->start);
    assert_int_equal(start.bytes, 9);
    assert_memory_equal(start.data, "<|start|>", 9);
    assert_true(osl_tokenizer_is_special(t, special->start));
    assert_true(osl_tokenizer_is_special(t, special->endoftext));
    assert_true(osl_tokenizer_is_special(t, (int32_t)vocab.token_count - 1));
    assert_int_equal(special->end, special->start + 1);
    assert_int_equal(special->message, -1); /* a filler */
    assert_int_equal(special->call, -1);
    const int32_t outside[] = { -1, INT32_MIN, (int32_t)vocab.token_count, INT32_MAX };
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(osl_tokenizer_bytes(t, outside[i]).bytes, 0);
        assert_false(osl_tokenizer_is_special(t, outside[i]));
    }
    free(t);
}

static void encode_merges_and_takes_whole_pieces(void **state)
{
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(64);
    ASSERT_IDS(t, "", false);
    ASSERT_IDS(t, "the", false, "the");
    ASSERT_IDS(t, "the the", false, "the", " the");
    ASSERT_IDS(t, "whole", false, "whole");
    ASSERT_IDS(t, "wholes", false, "w", "h", "o", "l", "e", "s");
    ASSERT_IDS(t, "      a", false, "    ", " ", " a");
    ASSERT_IDS(t, "ababa", false, "ab", "aba");
    free(t);
}

static void specials_only_when_asked(void **state)
{
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(64);
    ASSERT_IDS(t, "<|end|>", false, "<", "|", "e", "n", "d", "|", ">");
    ASSERT_IDS(t, "a<|end|>a", true, "a", "<|end|>", "a");
    ASSERT_IDS(t, "<|end|><|start|>", true, "<|end|>", "<|start|>");
    ASSERT_IDS(t, "<|end|>x y", true, "<|end|>x y");
    ASSERT_IDS(t, "<|end|>x z", true, "<|end|>", "x", " ", "z");
    ASSERT_IDS(t, "<<|end|", true, "<", "<", "|", "e", "n", "d", "|");
    ASSERT_IDS(t, "  <|end|>  a", true, "  ", "<|end|>", " ", " a");
    /* Fillers are never matched, though their text looks special. */
    ASSERT_IDS(t, "<|message|>", true, "<", "|", "m", "e", "s", "s", "a", "g", "e", "|", ">");
    free(t);
}

/* ---- Against naive merging ---------------------------------------------------------------- */

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

struct part {
    uint32_t start, length;
};

/* Rank of a text as tiktoken has it: the id, UINT32_MAX if it is no token. */
static uint32_t naive_rank(const char *text, uint32_t length)
{
    for (uint32_t id = 0; id < 268; id++) {
        if (id < 256 ? length == 1 && (uint8_t)text[0] == id
                     : strlen(vocab.tokens[id]) == length &&
                           memcmp(vocab.tokens[id], text, length) == 0) {
            return id;
        }
    }
    return UINT32_MAX;
}

/* Quadratic: joins the leftmost of the lowest pairs until there is none. Letters only. */
static uint32_t naive_encode(const char *text, uint32_t bytes, struct part *parts)
{
    uint32_t count = bytes;
    for (uint32_t i = 0; i < bytes; i++) {
        parts[i] = (struct part){ i, 1 };
    }
    for (;;) {
        uint32_t best = UINT32_MAX, best_at = 0;
        for (uint32_t i = 0; i + 1 < count; i++) {
            uint32_t length = parts[i].length + parts[i + 1].length;
            uint32_t rank = length > 3 ? UINT32_MAX : naive_rank(text + parts[i].start, length);
            if (rank < best) {
                best = rank;
                best_at = i;
            }
        }
        if (best == UINT32_MAX) {
            return count;
        }
        parts[best_at].length += parts[best_at + 1].length;
        memmove(parts + best_at + 1, parts + best_at + 2,
                (count - best_at - 2) * sizeof *parts);
        count--;
    }
}

static void merging_equals_naive_merging(void **state)
{
    static struct part parts[512];
    static const uint32_t lengths[] = { 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 255, 256, 257, 300 };
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(300);
    vocab_open(&vocab, &gguf); /* naive_rank looks at vocab.tokens */
    uint32_t seed = 7;
    for (uint32_t round = 0; round < 20 * sizeof lengths / sizeof lengths[0]; round++) {
        uint32_t bytes = lengths[round % (sizeof lengths / sizeof lengths[0])];
        char text[512];
        for (uint32_t i = 0; i < bytes; i++) {
            text[i] = "aabbbth"[random_next(&seed) % 7];
        }
        uint32_t expected = naive_encode(text, bytes, parts);
        uint64_t count = encode(t, text, bytes, false);
        assert_int_equal(count, expected);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(ids[i], naive_rank(text + parts[i].start, parts[i].length));
        }
    }
    free(t);
}

/* ---- Bytes that are no text --------------------------------------------------------------- */

static void assert_round_trip(struct osl_tokenizer *t, const char *text, uint64_t bytes)
{
    uint64_t count = encode(t, text, bytes, true);
    uint64_t at = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct osl_slice token = osl_tokenizer_bytes(t, ids[i]);
        assert_true(at + token.bytes <= bytes);
        assert_memory_equal(token.data, text + at, token.bytes);
        at += token.bytes;
    }
    assert_int_equal(at, bytes);
}

static void any_bytes_come_back(void **state)
{
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(512);
    uint32_t seed = 99;
    for (uint32_t byte = 0; byte < 256; byte++) {
        char one = (char)byte;
        assert_round_trip(t, &one, 1);
        assert_int_equal(encode(t, &one, 1, false), 1);
        assert_int_equal(ids[0], byte);
    }
    for (uint32_t round = 0; round < 4000; round++) {
        /* Exactly as long as the text, so that a read beyond it is seen. */
        uint32_t bytes = 1 + random_next(&seed) % 40;
        char *text = malloc(bytes);
        assert_non_null(text);
        for (uint32_t i = 0; i < bytes; i++) {
            static const uint8_t rich[] = { 0xe2, 0x80, 0xa8, 0xf0, 0x9f, 0xc5, 0xbf, '\'',
                                            's',  ' ',  '\n', 'a',  0xed, 0xa0, 0x80, 0xc0 };
            uint32_t any = random_next(&seed);
            text[i] = (char)(any & 256 ? rich[any % 16] : any);
        }
        assert_round_trip(t, text, bytes);
        free(text);
    }
    free(t);
}

/* ---- Limits ------------------------------------------------------------------------------- */

static void ids_beyond_capacity_are_counted(void **state)
{
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(64);
    struct osl_error error = { 0 };
    int32_t few[3] = { -7, -7, -7 };
    uint64_t count = 0;
    assert_int_equal(osl_tokenizer_encode(t, "xyz uvw", 7, false, few, 2, &count, &error), OSL_OK);
    assert_int_equal(count, 7);
    assert_int_equal(few[1], 'y');
    assert_int_equal(few[2], -7);
    assert_int_equal(osl_tokenizer_encode(t, "xyz", 3, false, NULL, 0, &count, &error), OSL_OK);
    assert_int_equal(count, 3);
    free(t);
}

static void only_a_long_piece_needs_room(void **state)
{
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(16);
    struct osl_error error = { 0 };
    uint64_t count = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        long_text[i] = i % 10 == 9 ? ' ' : 'x';
    }
    assert_int_equal(encode(t, long_text, 5000, false), 5000);
    memset(long_text, 'x', 17);
    assert_int_equal(encode(t, long_text, 16, false), 16);
    assert_int_equal(osl_tokenizer_encode(t, long_text, 17, false, ids, 32, &count, &error),
                     OSL_CAPACITY);
    assert_int_equal(count, 0);
    assert_non_null(strstr(error.text, "17 bytes"));
    free(t);
}

static double seconds_for(struct osl_tokenizer *t, uint64_t bytes)
{
    double best = 1e9;
    for (uint32_t round = 0; round < 2; round++) {
        clock_t start = clock();
        encode(t, long_text, bytes, false);
        double took = (double)(clock() - start) / CLOCKS_PER_SEC;
        best = took < best ? took : best;
    }
    return best;
}

/* Eight times the text: about 9 times the time where it is O(n log n), 64 where it is O(n^2). A
 * ratio holds under sanitizers and emulation too. */
static void a_long_text_without_a_break_is_no_slower(void **state)
{
    static const char *const units[] = { "a", " ", "x", "\n", "A", "!", "\xcc\x81", " \n", "xA",
                                         "\xe4\xb8\xad", "A\xe4\xb8\xad", "\xff", "\t", "'s" };
    vocab_init(&vocab);
    struct osl_tokenizer *t = build(PIECE_BYTES_MAX);
    for (uint32_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        uint64_t unit_bytes = strlen(units[u]);
        for (uint64_t i = 0; i < PIECE_BYTES_MAX; i++) {
            long_text[i] = units[u][i % unit_bytes];
        }
        double small = seconds_for(t, PIECE_BYTES_MAX / 8);
        double large = seconds_for(t, PIECE_BYTES_MAX);
        if (large > 24 * small + 0.05) {
            fail_msg("\"%s\": %f s for 32 KiB, %f s for 256 KiB", units[u], small, large);
        }
    }
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_found_by_id),
        cmocka_unit_test(encode_merges_and_takes_whole_pieces),
        cmocka_unit_test(specials_only_when_asked),
        cmocka_unit_test(merging_equals_naive_merging),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(ids_beyond_capacity_are_counted),
        cmocka_unit_test(only_a_long_piece_needs_room),
        cmocka_unit_test(a_long_text_without_a_break_is_no_slower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
