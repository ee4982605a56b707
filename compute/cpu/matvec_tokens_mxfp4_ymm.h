/* matvec_mxfp4_ymm.h for a few tokens at once: eight blocks are transposed and unpacked once for up
 * to four tokens, and come from memory once for all. Each token has its own sum, to which the same
 * is added in the same order: the same bits. Included after it, with MATVEC_TOKENS_MXFP4 too.
 *
 * Time for 2, 3, 4 and 8 tokens in that of one, one thread of a Zen 5 core, 2026-11-21: AVX2 1.6,
 * 2.2, 2.7 and 5.4, AVX-VNNI 1.5, 2.0, 2.6 and 5.2; token by token it is as many as there are. */
#include "matvec_tokens.h"

#define MXFP4_TOKENS 4u /* 28 KB of activations of 2880 columns */

/* sums[t] += what the blocks add to token t, whose activations are in group g. */
OSL_INLINE void add_group_tokens(const int tokens, const uint8_t *const block[LANES],
                                 const struct token_group *group, uint32_t g, __m256 *sums)
{
    struct blocks blocks;
    load_blocks(&blocks, block);
    const struct group *x[GROUP_TOKENS];
    __m256i high[GROUP_TOKENS], low[GROUP_TOKENS];
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        x[t] = (const struct group *)(const void *)(group->x + (size_t)t * group->stride) + g;
    }
    OSL_UNROLL
    for (int j = 0; j < DWORDS; j++) {
        __m256i first, rest;
        unpack(blocks.nibbles[j], &first, &rest);
        OSL_UNROLL
        for (int t = 0; t < tokens; t++) {
            add_products(first, rest, x[t], j, &high[t], &low[t]);
        }
    }
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        __m256 scale = _mm256_mul_ps(x[t]->scale, blocks.scale);
        __m256 value = _mm256_cvtepi32_ps(join_planes(high[t], low[t], x[t]));
        sums[t] = _mm256_fmadd_ps(value, scale, sums[t]);
    }
}

OSL_INLINE void clear(const int tokens, __m256 *sums)
{
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        sums[t] = _mm256_setzero_ps();
    }
}

/* Rows [from, to) for `tokens` tokens, a constant, so that their sums stay in registers. */
OSL_INLINE void rows_of(const int tokens, const uint8_t *weight, uint64_t row_bytes, uint32_t from,
                        uint32_t to, uint32_t blocks, const struct token_group *group)
{
    const uint32_t full = blocks / LANES;
    const struct ends ends = find_ends(blocks % LANES, row_bytes);
    const uint8_t *row = weight + from * row_bytes, *end = row, *block[LANES];
    uint32_t ending = 0;
    for (uint32_t r = from; r < to; r++) {
        __m256 sums[GROUP_TOKENS];
        clear(tokens, sums);
        for (uint32_t g = 0; g < full; g++) {
            find_blocks(block, row + (size_t)g * LANES * OSL_MXFP4_BLOCK_BYTES);
            add_group_tokens(tokens, block, group, g, sums);
        }
        OSL_UNROLL
        for (int t = 0; t < tokens; t++) {
            group->out[t][r] = add_lanes(sums[t]);
        }
        row += row_bytes;
        ending++;
        if (ends.left > 0 && (ending == ends.together || r + 1 == to)) {
            find_left(block, end + (size_t)full * LANES * OSL_MXFP4_BLOCK_BYTES, &ends, ending);
            clear(tokens, sums);
            add_group_tokens(tokens, block, group, full, sums);
            OSL_UNROLL
            for (int t = 0; t < tokens; t++) {
                add_left(group->out[t] + r + 1 - ending, sums[t], &ends, ending);
            }
            end = row;
            ending = 0;
        }
    }
}

DEFINE_TAKE_ROWS

void MATVEC_TOKENS_MXFP4(float *const *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                         uint32_t cols, const struct osl_act *x, uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    OSL_ASSERT_HOT((uintptr_t)scratch % CACHE_LINE == 0);
    uint32_t blocks = cols / OSL_BLOCK_COLS, groups = (blocks + LANES - 1) / LANES;
    struct group *prepared = scratch;
    for (uint32_t t = 0; t < tokens; t++) {
        prepare(prepared + (size_t)t * groups, blocks, &x[t]);
    }
    all_rows(take_rows, MXFP4_TOKENS, out, weight, row_bytes, rows, blocks, tokens, scratch,
             groups * sizeof *prepared);
}
