/* The tokens of a matvec_tokens call, group by group: a group is as many as a kernel serves at
 * once, and more are taken group by group over rows that are still cached. */
#ifndef OSL_MATVEC_TOKENS_H
#define OSL_MATVEC_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#define GROUP_TOKENS 4 /* most */
#define KEPT_ROWS 16u  /* taken by every group in turn: at most 49 KB with 2880 columns */

/* Tokens laid out as the kernel wants them, one after the other, `stride` bytes apart. */
struct token_group {
    float *out[GROUP_TOKENS];
    const uint8_t *x;
    size_t stride;
};

typedef void rows_fn(uint32_t tokens, const uint8_t *weight, uint64_t row_bytes, uint32_t from,
                     uint32_t to, uint32_t blocks, const struct token_group *group);

/* Groups of at most `most` tokens, as even as can be, in turn over rows that stay cached. */
static inline void all_rows(rows_fn *take, uint32_t most, float *const *out, const uint8_t *weight,
                            uint64_t row_bytes, uint32_t rows, uint32_t blocks, uint32_t tokens,
                            const uint8_t *prepared, size_t stride)
{
    uint32_t groups = (tokens + most - 1) / most;
    uint32_t kept = groups == 1 ? rows : KEPT_ROWS;
    for (uint32_t from = 0; from < rows; from += kept) {
        uint32_t to = rows - from < kept ? rows : from + kept;
        uint32_t first = 0;
        for (uint32_t g = 0; g < groups; g++) {
            uint32_t count = (tokens - first + groups - g - 1) / (groups - g);
            struct token_group group = {.x = prepared + first * stride, .stride = stride};
            for (uint32_t t = 0; t < count; t++) {
                group.out[t] = out[first + t];
            }
            take(count, weight, row_bytes, from, to, blocks, &group);
            first += count;
        }
    }
}

#endif
