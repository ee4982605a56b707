/* The tokenizer's tables, shared by the files that build and use them. Internal to model/. */
#ifndef OSL_TOKENIZER_TABLES_H
#define OSL_TOKENIZER_TABLES_H

#include <string.h>

#include "model/bind.h"
#include "model/tokenizer.h"

/* Ids fit 21 bits, so that a pair and what it makes fit one word. */
#define OSL_TOKEN_ID_BITS 21
_Static_assert(OSL_VOCAB_MAX < 1 << OSL_TOKEN_ID_BITS, "ids must fit the packed words below");

/* An empty slot in either table: its id would be OSL_TOKEN_NONE. */
#define OSL_SLOT_EMPTY UINT64_MAX
#define OSL_TOKEN_NONE ((1u << OSL_TOKEN_ID_BITS) - 1)
#define OSL_RANK_NONE INT32_MAX

/* Children of a node of the tree over ranks; its depth for the longest piece. */
#define OSL_TREE_FANOUT 16
#define OSL_TREE_LEVELS_MAX 8

enum osl_token_kind {
    OSL_TOKEN_TEXT = 0,    /* found in text, made by merging */
    OSL_TOKEN_CONTROL = 1, /* found only when special tokens are asked for */
    OSL_TOKEN_FILLER = 2,  /* never found */
};

struct osl_tokenizer {
    uint32_t count;
    uint32_t text_count;
    uint32_t piece_bytes_max;
    uint32_t token_bytes_longest; /* of kind TEXT */
    struct osl_special_ids special;

    char *bytes;           /* all tokens, one after the other */
    uint32_t *starts;      /* [count + 1] into bytes */
    uint8_t *kinds;        /* [count] */
    int32_t *merge_ranks;  /* [count] the first merge that makes this token, or OSL_RANK_NONE */
    int32_t byte_ids[256];

    /* Open addressing, linear probing, at most half full. */
    uint64_t *token_slots; /* tag from the hash << 21 | id */
    uint64_t token_slot_count;
    uint64_t *pair_slots; /* left << 42 | right << 21 | made */
    uint64_t pair_slot_count;

    /* For finding control tokens in text. */
    bool control_first_bytes[256];
    uint32_t control_bytes_longest;
    bool control_lengths[OSL_TOKEN_BYTES_MAX + 1];

    /* Work area: one entry for each byte of a piece; a symbol lives at its first byte. */
    uint32_t *symbol_ids;
    uint32_t *symbol_nexts;
    uint32_t *symbol_prevs;
    int32_t *tree[OSL_TREE_LEVELS_MAX]; /* [0]: rank of the pair beginning here; above: minima */
};

/* Maps a 64-bit hash to a slot below count. */
static inline uint64_t osl_token_slot(uint64_t hash, uint64_t count)
{
    return ((hash >> 32) * count) >> 32;
}

/* Kinds hash apart, so that a control token and a text token may look the same. */
static inline uint64_t osl_token_hash(const char *bytes, uint64_t length, enum osl_token_kind kind)
{
    const uint64_t k = 0x9e3779b97f4a7c15u;
    uint64_t h = (length ^ (uint64_t)kind << 32) * k;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        h = (h ^ word) * k;
        h ^= h >> 29;
        bytes += 8;
        length -= 8;
    }
    uint64_t tail = 0;
    memcpy(&tail, bytes, length);
    h = (h ^ tail) * k;
    h ^= h >> 32;
    h *= k;
    return h ^ h >> 29;
}

static inline uint64_t osl_pair_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << OSL_TOKEN_ID_BITS | right) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    return h * 0xd6e8feb86659fd93u;
}

/* The id of a token by its bytes, -1 if there is none of that kind. */
int32_t osl_tokenizer_find(const struct osl_tokenizer *tokenizer, const char *bytes,
                           uint64_t length, enum osl_token_kind kind);

/* What a pair merges to, OSL_TOKEN_NONE if it does not. */
static inline uint32_t osl_tokenizer_join(const struct osl_tokenizer *tokenizer, uint32_t left,
                                          uint32_t right)
{
    uint64_t key = (uint64_t)left << OSL_TOKEN_ID_BITS | right;
    uint64_t slot = osl_token_slot(osl_pair_hash(left, right), tokenizer->pair_slot_count);
    for (;;) {
        uint64_t word = tokenizer->pair_slots[slot];
        if (word == OSL_SLOT_EMPTY) {
            return OSL_TOKEN_NONE;
        }
        if (word >> OSL_TOKEN_ID_BITS == key) {
            return (uint32_t)word & OSL_TOKEN_NONE;
        }
        slot = slot + 1 == tokenizer->pair_slot_count ? 0 : slot + 1;
    }
}

/* Fills bytes, starts, kinds, token_slots and what is derived from them. Memory is laid out. */
enum osl_status osl_tokenizer_read_tokens(struct osl_tokenizer *tokenizer,
                                          const struct osl_gguf *gguf, uint64_t byte_capacity,
                                          struct osl_error *error);
/* Fills pair_slots and merge_ranks; tokens were read. */
enum osl_status osl_tokenizer_read_merges(struct osl_tokenizer *tokenizer,
                                          const struct osl_gguf *gguf, struct osl_error *error);

#endif
