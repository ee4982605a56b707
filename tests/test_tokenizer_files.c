/* Vocabularies that cannot be right are refused, with the key and the index named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"
#include "tests/tokenizer_vocab.h"

#define PIECE_BYTES 64

static struct vocab vocab;
static struct osl_gguf gguf;

/* What need, then build say of `vocab` as it now is. */
static void assert_refused(enum osl_status expected, const char *text)
{
    struct osl_error error = { 0 };
    struct osl_tokenizer *tokenizer = NULL;
    uint64_t bytes = 77;
    vocab_open(&vocab, &gguf);
    enum osl_status status = osl_tokenizer_need(&gguf, PIECE_BYTES, &bytes, &error);
    if (status == OSL_OK) {
        void *memory = aligned_alloc(64, bytes);
        assert_non_null(memory);
        memset(memory, 0x5a, bytes);
        tokenizer = memory;
        status = osl_tokenizer_build(&gguf, PIECE_BYTES, memory, bytes, &tokenizer, &error);
        free(memory);
        assert_null(tokenizer);
    } else {
        assert_int_equal(bytes, 77);
    }
    assert_int_equal(status, expected);
    assert_int_equal(error.status, expected);
    if (strstr(error.text, text) == NULL || strstr(error.text, "vocab: ") == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

static void missing_keys_are_named(void **state)
{
    vocab_init(&vocab);
    vocab.model = NULL;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.model");
    vocab_init(&vocab);
    vocab.split = NULL;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.pre");
    vocab_init(&vocab);
    vocab.without_tokens = true;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.tokens is missing");
    vocab_init(&vocab);
    vocab.without_types = true;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.token_type is missing");
    vocab_init(&vocab);
    vocab.without_merges = true;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.merges is missing");
}

static void other_tokenizers_are_unsupported(void **state)
{
    vocab_init(&vocab);
    vocab.model = "llama";
    assert_refused(OSL_UNSUPPORTED, "tokenizer.ggml.model is \"llama\"");
    vocab_init(&vocab);
    vocab.split = "gpt-2";
    assert_refused(OSL_UNSUPPORTED, "tokenizer.ggml.pre is \"gpt-2\"");
}

static void wrong_counts_and_types_are_named(void **state)
{
    vocab_init(&vocab);
    vocab.tokens_are_u32 = true;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.tokens is no array of string");
    vocab_init(&vocab);
    vocab.types_missing = 1;
    assert_refused(OSL_FORMAT, "the same number");
    vocab_init(&vocab);
    vocab.token_count = 0;
    assert_refused(OSL_FORMAT, "at least one");
    vocab_init(&vocab);
    vocab.types[270] = 7;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.token_type[270] is 7");
    vocab_init(&vocab);
    vocab.types[3] = 0;
    assert_refused(OSL_FORMAT, "tokenizer.ggml.token_type[3] is 0");
}

static void wrong_tokens_are_named(void **state)
{
    static const struct { uint32_t id; const char *token, *what; } cases[] = {
        { 257, "", "tokenizer.ggml.tokens[257] \"\" is empty" },
        { 257, "aa", "tokenizer.ggml.tokens[257] \"aa\" is there twice" },
        { 257, "a b", "tokens[257] \"a b\" holds a character that stands for no byte" },
        { 257, "\xc5\x84", "tokens[257]" },  /* U+0144, one above the alphabet */
        { 257, "\xc2\xad", "tokens[257]" },  /* U+00AD, a byte that is not itself */
        { 257, "a\xff", "stands for no byte" },
        { 65, "aabb", "no token for the byte 0x41" },
        { 269, "", "tokenizer.ggml.tokens[269] \"\" is empty" }, /* a special one */
        { 269, "<|end|>", "tokenizer.ggml.tokens[270] \"<|end|>\" is there twice" },
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vocab_init(&vocab);
        snprintf(vocab.tokens[cases[i].id], VOCAB_TEXT_BYTES, "%s", cases[i].token);
        vocab.merge_count = 0;
        assert_refused(OSL_FORMAT, cases[i].what);
    }
}

static void wrong_merges_are_named(void **state)
{
    static const struct { const char *merge, *what; } cases[] = {
        { "ab", "tokenizer.ggml.merges[3] \"ab\" has no space" },
        { "", "tokenizer.ggml.merges[3] \"\" has no space" },
        { " ", "left part that is no token" },
        { " a", "left part that is no token" },
        { "a ", "right part that is no token" },
        { "a b ", "right part that is no token" },
        { "a  b", "right part that is no token" },
        { "xy z", "left part that is no token" },
        { "z xy", "right part that is no token" },
        { "x y", "makes no token" },
        { "a <|end|>", "right part that is no token" }, /* special ones are no parts */
        { "a b", "tokenizer.ggml.merges[3] \"a b\" is there twice" },
        { "a \xe4\xb8\xad", "right part that is no token" },
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vocab_init(&vocab);
        snprintf(vocab.merges[3], VOCAB_TEXT_BYTES, "%s", cases[i].merge);
        assert_refused(OSL_FORMAT, cases[i].what);
    }
}

static void a_vocabulary_without_merges_is_fine(void **state)
{
    struct osl_error error = { 0 };
    struct osl_tokenizer *tokenizer = NULL;
    uint64_t bytes = 0, count = 0;
    int32_t ids[8];
    vocab_init(&vocab);
    vocab.merge_count = 0;
    vocab_open(&vocab, &gguf);
    assert_int_equal(osl_tokenizer_need(&gguf, PIECE_BYTES, &bytes, &error), OSL_OK);
    void *memory = aligned_alloc(64, bytes);
    assert_int_equal(osl_tokenizer_build(&gguf, PIECE_BYTES, memory, bytes, &tokenizer, &error),
                     OSL_OK);
    assert_int_equal(osl_tokenizer_encode(tokenizer, "abx", 3, false, ids, 8, &count, &error),
                     OSL_OK);
    assert_int_equal(count, 3);
    free(memory);
}

static void arguments_are_checked(void **state)
{
    struct osl_error error = { 0 };
    struct osl_tokenizer *tokenizer = NULL;
    uint64_t bytes = 0;
    vocab_init(&vocab);
    vocab_open(&vocab, &gguf);
    assert_int_equal(osl_tokenizer_need(&gguf, 0, &bytes, &error), OSL_ARGUMENT);
    assert_int_equal(osl_tokenizer_need(&gguf, OSL_TOKENIZER_TEXT_MAX + 1ull, &bytes, &error),
                     OSL_ARGUMENT);
    assert_int_equal(osl_tokenizer_need(&gguf, OSL_TOKENIZER_TEXT_MAX, &bytes, &error), OSL_OK);
    assert_true(bytes < 17 * (uint64_t)OSL_TOKENIZER_TEXT_MAX);
    assert_int_equal(osl_tokenizer_need(&gguf, PIECE_BYTES, &bytes, &error), OSL_OK);
    void *memory = aligned_alloc(64, bytes);
    assert_int_equal(osl_tokenizer_build(&gguf, PIECE_BYTES, memory, bytes - 1, &tokenizer, &error),
                     OSL_MEMORY);
    assert_null(tokenizer);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_are_named),
        cmocka_unit_test(other_tokenizers_are_unsupported),
        cmocka_unit_test(wrong_counts_and_types_are_named),
        cmocka_unit_test(wrong_tokens_are_named),
        cmocka_unit_test(wrong_merges_are_named),
        cmocka_unit_test(a_vocabulary_without_merges_is_fine),
        cmocka_unit_test(arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
