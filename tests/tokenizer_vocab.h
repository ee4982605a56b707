/* A small vocabulary as a GGUF in memory, for the tokenizer's unit tests: 256 bytes, then tokens
 * made by merging, then special ones and fillers. Each part can be spoilt before it is written. */
#ifndef TOKENIZER_VOCAB_H
#define TOKENIZER_VOCAB_H

#include <stdint.h>

#include "model/tokenizer.h"

#define VOCAB_TOKENS_MAX 512
#define VOCAB_MERGES_MAX 256
#define VOCAB_TEXT_BYTES 64
#define VOCAB_FILE_BYTES 65536

struct vocab {
    const char *model, *split; /* NULL: key left out */
    bool tokens_are_u32;       /* the array's elements are of the wrong type */
    bool without_tokens, without_types, without_merges;
    uint32_t types_missing; /* entries too few */
    uint32_t token_count, merge_count;
    char tokens[VOCAB_TOKENS_MAX][VOCAB_TEXT_BYTES]; /* in the byte-level alphabet */
    int32_t types[VOCAB_TOKENS_MAX];
    char merges[VOCAB_MERGES_MAX][VOCAB_TEXT_BYTES];
    uint8_t file[VOCAB_FILE_BYTES];
    uint64_t file_bytes;
};

/* Bytes 0..255 are ids 0..255; then the made tokens below, special tokens and two fillers. */
void vocab_init(struct vocab *vocab);
/* Returns the id. `text` is in the byte-level alphabet. */
uint32_t vocab_add(struct vocab *vocab, const char *text, int32_t type);
void vocab_merge(struct vocab *vocab, const char *text);
/* Writes the file and parses it. */
void vocab_open(struct vocab *vocab, struct osl_gguf *gguf);

#endif
