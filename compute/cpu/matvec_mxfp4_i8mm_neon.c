/* MXFP4 matrix times a few tokens, with smmla (ARMv8.6 int8 matrix multiply). Contract:
 * compute/kernels.h; the walk: matvec_group_neon.h.
 *
 * smmla multiplies eight columns of two rows with eight columns of two tokens, twice what two sdots
 * do. A last token of an odd count is its own neighbour. */
#include "matvec_group_neon.h"

#define PAIRS_MAX (GROUP_TOKENS / 2)
_Static_assert(GROUP_TOKENS >= 8, "all tokens of a decode step");

/* Of two vectors the first or the last eight bytes. */
OSL_NEON_INLINE int8x16_t first_halves(int8x16_t a, int8x16_t b)
{
    return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

OSL_NEON_INLINE int8x16_t last_halves(int8x16_t a, int8x16_t b)
{
    return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

OSL_NEON_INLINE void smmla_sums(int32x2_t *sum, const uint32_t tokens, const uint8_t *const row[2],
                                uint32_t table[2][GROUP_BLOCKS], const int8_t *q, size_t q_stride)
{
    int32x4_t high[PAIRS_MAX], low[PAIRS_MAX]; /* row 0: two tokens; row 1: two tokens */
    OSL_UNROLL
    for (uint32_t p = 0; p < tokens / 2; p++) {
        const int32_t *zeros = osl_neon_load_starts(2);
        high[p] = vld1q_s32(zeros);
        low[p] = vld1q_s32(zeros + 4);
    }
    OSL_UNROLL
    for (uint32_t b = 0; b < GROUP_BLOCKS; b++) {
        int8x16_t w[2][2];
        OSL_UNROLL
        for (uint32_t r = 0; r < 2; r++) {
            const uint8_t *block = row[r] + (size_t)b * OSL_MXFP4_BLOCK_BYTES;
            unpack(w[r], block, group_table(table[r][b]));
        }
        const int8x16_t both[4] = {first_halves(w[0][0], w[1][0]), last_halves(w[0][0], w[1][0]),
                                   first_halves(w[0][1], w[1][1]), last_halves(w[0][1], w[1][1])};
        OSL_UNROLL
        for (uint32_t p = 0; p < tokens / 2; p++) {
            const int8_t *x = q + p * q_stride + (size_t)b * PIECES * BESIDE;
            OSL_UNROLL
            for (uint32_t i = 0; i < 4; i++) {
                high[p] = vmmlaq_s32(high[p], both[i], vld1q_s8(x + i * BESIDE));
                low[p] = vmmlaq_s32(low[p], both[i], vld1q_s8(x + (i + 4) * BESIDE));
            }
        }
    }
    OSL_UNROLL
    for (uint32_t p = 0; p < tokens / 2; p++) {
        int32x4_t all = vaddq_s32(vshlq_n_s32(high[p], 8), low[p]);
        sum[2 * p] = vget_low_s32(vuzp1q_s32(all, all));
        sum[2 * p + 1] = vget_low_s32(vuzp2q_s32(all, all));
    }
}

/* tests/bench/mca.sh looks for it by name. */
__attribute__((noinline)) static void i8mm_rows(float *const *out, const uint8_t *weight,
                                                uint64_t row_bytes, uint32_t rows, uint32_t blocks,
                                                const struct group_act *act, uint32_t pairs)
{
    switch (pairs) {
    case 1: all_rows(smmla_sums, 2, BESIDE, out, weight, row_bytes, 0, rows, blocks, act); break;
    case 2: all_rows(smmla_sums, 4, BESIDE, out, weight, row_bytes, 0, rows, blocks, act); break;
    case 3: all_rows(smmla_sums, 6, BESIDE, out, weight, row_bytes, 0, rows, blocks, act); break;
    default: all_rows(smmla_sums, 8, BESIDE, out, weight, row_bytes, 0, rows, blocks, act); break;
    }
}

void osl_i8mm_matvec_tokens_mxfp4(float *const *out, const void *weight, uint64_t row_bytes,
                                  uint32_t rows, uint32_t cols, const struct osl_act *x,
                                  uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(tokens >= 2 && tokens <= GROUP_TOKENS);
    const uint32_t blocks = cols / OSL_BLOCK_COLS, pairs = (tokens + 1) / 2;
    const size_t q_stride = (size_t)blocks * PIECES * BESIDE;
    const size_t scale_stride = group_scales(blocks);
    int8_t *q = scratch;
    float *scale = (float *)(void *)(q + pairs * q_stride);
    float *to[GROUP_TOKENS];
    for (uint32_t t = 0; t < 2 * pairs; t++) {
        uint32_t token = t < tokens ? t : tokens - 1;
        to[t] = out[token];
        group_token(q + t / 2 * q_stride + t % 2 * PIECE_BYTES, scale + t * scale_stride, &x[token],
                    blocks, BESIDE);
    }
    const struct group_act act = {q, q_stride, scale, scale_stride};
    i8mm_rows(to, weight, row_bytes, rows, blocks, &act, pairs);
}
