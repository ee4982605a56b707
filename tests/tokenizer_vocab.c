/* Writes the small vocabulary of tokenizer_vocab.h. */
#include "tests/tokenizer_vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct vocab *v, const void *data, uint64_t bytes)
{
    if (v->file_bytes + bytes > VOCAB_FILE_BYTES) {
        fprintf(stderr, "vocab: the file is larger than VOCAB_FILE_BYTES\n");
        abort();
    }
    memcpy(v->file + v->file_bytes, data, bytes);
    v->file_bytes += bytes;
}

static void put_u32(struct vocab *v, uint32_t value)
{
    put(v, &value, sizeof value);
}

static void put_u64(struct vocab *v, uint64_t value)
{
    put(v, &value, sizeof value);
}

static void put_string(struct vocab *v, const char *text)
{
    put_u64(v, strlen(text));
    put(v, text, strlen(text));
}

/* A byte in the alphabet of the formats note, section 8. */
static void byte_text(uint32_t byte, char *out)
{
    uint32_t code = byte, others = 0;
    for (uint32_t b = 0; b <= byte; b++) {
        bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        code = itself ? b : 0x100 + others;
        others += !itself;
    }
    if (code < 0x80) {
        snprintf(out, VOCAB_TEXT_BYTES, "%c", (int)code);
    } else {
        snprintf(out, VOCAB_TEXT_BYTES, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 63)));
    }
}

uint32_t vocab_add(struct vocab *v, const char *text, int32_t type)
{
    snprintf(v->tokens[v->token_count], VOCAB_TEXT_BYTES, "%s", text);
    v->types[v->token_count] = type;
    return v->token_count++;
}

void vocab_merge(struct vocab *v, const char *text)
{
    snprintf(v->merges[v->merge_count++], VOCAB_TEXT_BYTES, "%s", text);
}

void vocab_init(struct vocab *v)
{
    memset(v, 0, sizeof *v);
    v->model = "gpt2";
    v->split = "gpt-4o";
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[VOCAB_TEXT_BYTES];
        byte_text(byte, text);
        vocab_add(v, text, 1);
    }
    /* Every split of a made token into two is listed, sorted by what it makes, as in published
     * files. */
    static const char *const made[] = { "aa", "ab", "aba", "ba", "aab", "bab", "Ġa", "ĠĠ", "ĠĠĠĠ",
                                        "th", "the", "Ġthe" };
    static const char *const merges[] = { "a a", "a b", "a ba", "ab a", "b a", "a ab", "aa b",
                                          "b ab", "ba b", "Ġ a", "Ġ Ġ", "ĠĠ ĠĠ", "t h", "th e",
                                          "Ġ the" };
    for (uint32_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        vocab_add(v, made[i], 1);
    }
    for (uint32_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        vocab_merge(v, merges[i]);
    }
    vocab_add(v, "whole", 1); /* no merge makes it: only a whole piece is this token */
    vocab_add(v, "<|start|>", 3);
    vocab_add(v, "<|end|>", 3);
    vocab_add(v, "<|endoftext|>", 4);
    vocab_add(v, "<|end|>x y", 4);
    vocab_add(v, "<|message|>", 5); /* looks special, is a filler */
    vocab_add(v, "[PAD274]", 5);
}

static void put_array(struct vocab *v, const char *name, uint32_t element, uint64_t count)
{
    put_string(v, name);
    put_u32(v, OSL_GGUF_ARRAY);
    put_u32(v, element);
    put_u64(v, count);
}

static void put_strings(struct vocab *v, const char *name, char (*texts)[VOCAB_TEXT_BYTES],
                        uint32_t count)
{
    put_array(v, name, OSL_GGUF_STRING, count);
    for (uint32_t i = 0; i < count; i++) {
        put_string(v, texts[i]);
    }
}

void vocab_open(struct vocab *v, struct osl_gguf *gguf)
{
    const char *const words[2][2] = { { "tokenizer.ggml.model", v->model },
                                      { "tokenizer.ggml.pre", v->split } };
    uint64_t keys = (v->model != NULL) + (v->split != NULL) + !v->without_tokens +
                    !v->without_types + !v->without_merges;
    v->file_bytes = 0;
    put(v, "GGUF", 4);
    put_u32(v, 3);
    put_u64(v, 0);
    put_u64(v, keys);
    for (uint32_t i = 0; i < 2; i++) {
        if (words[i][1] != NULL) {
            put_string(v, words[i][0]);
            put_u32(v, OSL_GGUF_STRING);
            put_string(v, words[i][1]);
        }
    }
    if (!v->without_tokens && v->tokens_are_u32) {
        put_array(v, "tokenizer.ggml.tokens", OSL_GGUF_U32, 1);
        put_u32(v, 0);
    } else if (!v->without_tokens) {
        put_strings(v, "tokenizer.ggml.tokens", v->tokens, v->token_count);
    }
    if (!v->without_types) {
        uint32_t count = v->token_count - v->types_missing;
        put_array(v, "tokenizer.ggml.token_type", OSL_GGUF_I32, count);
        put(v, v->types, count * sizeof v->types[0]);
    }
    if (!v->without_merges) {
        put_strings(v, "tokenizer.ggml.merges", v->merges, v->merge_count);
    }
    struct osl_error error;
    if (osl_gguf_parse(gguf, "vocab", v->file, v->file_bytes, &error) != OSL_OK) {
        fprintf(stderr, "vocab: %s\n", error.text);
        abort();
    }
}
