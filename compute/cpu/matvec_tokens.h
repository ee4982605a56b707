/* The tokens of a matvec_tokens call on x86: laid out once, then taken in parts of as many as a
 * kernel serves at once (matvec_parts.h). */
#ifndef OSL_MATVEC_TOKENS_H
#define OSL_MATVEC_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "matvec_parts.h"

#define GROUP_TOKENS 4 /* most */

/* Tokens laid out as the kernel wants them, one after the other, `stride` bytes apart. */
struct token_group {
    float *out[GROUP_TOKENS];
    const uint8_t *x;
    size_t stride;
};

typedef void rows_fn(uint32_t tokens, const uint8_t *weight, uint64_t row_bytes, uint32_t from,
                     uint32_t to, uint32_t blocks, const struct token_group *group);

/* take_rows, a rows_fn, of a file whose rows_of takes one to four tokens as a constant. */
#define DEFINE_TAKE_ROWS                                                                           \
    static void take_rows(uint32_t tokens, const uint8_t *weight, uint64_t row_bytes,              \
                          uint32_t from, uint32_t to, uint32_t blocks,                             \
                          const struct token_group *group)                                         \
    {                                                                                              \
        switch (tokens) {                                                                          \
        case 1: rows_of(1, weight, row_bytes, from, to, blocks, group); break;                     \
        case 2: rows_of(2, weight, row_bytes, from, to, blocks, group); break;                     \
        case 3: rows_of(3, weight, row_bytes, from, to, blocks, group); break;                     \
        default: rows_of(4, weight, row_bytes, from, to, blocks, group); break;                    \
        }                                                                                          \
    }

struct rows_call {
    rows_fn *take;
    float *const *out;
    const uint8_t *weight;
    uint64_t row_bytes;
    uint32_t blocks;
    const uint8_t *prepared;
    size_t stride;
};

static inline void take_group(const void *context, uint32_t from, uint32_t to, uint32_t first,
                              uint32_t count)
{
    const struct rows_call *call = context;
    struct token_group group = {.x = call->prepared + first * call->stride,
                                .stride = call->stride};
    for (uint32_t t = 0; t < count; t++) {
        group.out[t] = call->out[first + t];
    }
    call->take(count, call->weight, call->row_bytes, from, to, call->blocks, &group);
}

/* All rows for all tokens, at most `most` at once. */
static inline void all_rows(rows_fn *take, uint32_t most, float *const *out, const uint8_t *weight,
                            uint64_t row_bytes, uint32_t rows, uint32_t blocks, uint32_t tokens,
                            const uint8_t *prepared, size_t stride)
{
    const struct rows_call call = {take, out, weight, row_bytes, blocks, prepared, stride};
    osl_take_parts(take_group, most, &call, rows, tokens);
}

#endif
