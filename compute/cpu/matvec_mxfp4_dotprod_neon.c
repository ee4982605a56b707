/* MXFP4 matrix times one token or a few, with sdot (ARMv8.2 dot product). Contract:
 * compute/kernels.h; the walk: matvec_group_neon.h. */
#include "matvec_group_neon.h"
#include "matvec_parts.h"

/* Whose sums, two rows of two planes each, leave registers for the weights. */
#define TOKENS_MAX 4u

OSL_NEON_INLINE void sdot_sums(int32x2_t *sum, const uint32_t tokens, const uint8_t *const row[2],
                               uint32_t table[2][GROUP_BLOCKS], const int8_t *q, size_t q_stride)
{
    int32x4_t high[TOKENS_MAX][2], low[TOKENS_MAX][2];
    OSL_UNROLL
    for (uint32_t t = 0; t < tokens; t++) {
        const int32_t *zeros = osl_neon_load_starts(2);
        OSL_UNROLL
        for (int r = 0; r < 2; r++) {
            high[t][r] = vld1q_s32(zeros + 8 * r);
            low[t][r] = vld1q_s32(zeros + 8 * r + 4);
        }
    }
    OSL_UNROLL
    for (uint32_t b = 0; b < GROUP_BLOCKS; b++) {
        int8x16_t w[2][2];
        OSL_UNROLL
        for (int r = 0; r < 2; r++) {
            const uint8_t *block = row[r] + (size_t)b * OSL_MXFP4_BLOCK_BYTES;
            unpack(w[r], block, group_table(table[r][b]));
        }
        OSL_UNROLL
        for (uint32_t t = 0; t < tokens; t++) {
            const int8x16x4_t x = vld1q_s8_x4(q + t * q_stride);
            OSL_UNROLL
            for (int r = 0; r < 2; r++) {
                high[t][r] = vdotq_s32(high[t][r], w[r][0], x.val[0]);
                low[t][r] = vdotq_s32(low[t][r], w[r][0], x.val[2]);
                high[t][r] = vdotq_s32(high[t][r], w[r][1], x.val[1]);
                low[t][r] = vdotq_s32(low[t][r], w[r][1], x.val[3]);
            }
        }
        q += OSL_ACT_BLOCK_BYTES;
        __asm__("" : "+r"(q)); /* else every block has a pointer of its own to be moved on */
    }
    OSL_UNROLL
    for (uint32_t t = 0; t < tokens; t++) {
        int32x4_t both = vshlq_n_s32(vpaddq_s32(high[t][0], high[t][1]), 8);
        both = vaddq_s32(both, vpaddq_s32(low[t][0], low[t][1]));
        sum[t] = vget_low_s32(vpaddq_s32(both, both));
    }
}

void osl_dotprod_matvec_mxfp4(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                              uint32_t cols, const struct osl_act *x)
{
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    int8_t q[OSL_COLS_MAX / OSL_BLOCK_COLS * OSL_ACT_BLOCK_BYTES];
    float scale[2 * GROUPS_MAX];
    group_token(q, scale, x, blocks, ALONE);
    const struct group_act act = {q, sizeof q, scale, 2 * GROUPS_MAX};
    all_rows(sdot_sums, 1, ALONE, &out, weight, row_bytes, 0, rows, blocks, &act);
}

/* ---- Several tokens ---------------------------------------------------------------------- */

struct call {
    float *const *out;
    const uint8_t *weight;
    uint64_t row_bytes;
    uint32_t blocks;
    struct group_act act;
};

/* Rows [from, to) for 1 to TOKENS_MAX tokens. tests/bench/mca.sh looks for it by name. */
__attribute__((noinline)) static void
dotprod_mxfp4_rows(const void *context, uint32_t from, uint32_t to, uint32_t first, uint32_t count)
{
    const struct call *call = context;
    struct group_act act = call->act;
    act.q += first * act.q_stride;
    act.scale += first * act.scale_stride;
    float *const *out = call->out + first;
    const uint8_t *weight = call->weight;
    uint64_t row_bytes = call->row_bytes;
    uint32_t blocks = call->blocks;
    switch (count) {
    case 1: all_rows(sdot_sums, 1, ALONE, out, weight, row_bytes, from, to, blocks, &act); break;
    case 2: all_rows(sdot_sums, 2, ALONE, out, weight, row_bytes, from, to, blocks, &act); break;
    case 3: all_rows(sdot_sums, 3, ALONE, out, weight, row_bytes, from, to, blocks, &act); break;
    default: all_rows(sdot_sums, 4, ALONE, out, weight, row_bytes, from, to, blocks, &act); break;
    }
}

void osl_dotprod_matvec_tokens_mxfp4(float *const *out, const void *weight, uint64_t row_bytes,
                                     uint32_t rows, uint32_t cols, const struct osl_act *x,
                                     uint32_t tokens, void *scratch)
{
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    const size_t q_stride = (size_t)blocks * OSL_ACT_BLOCK_BYTES;
    const size_t scale_stride = group_scales(blocks);
    int8_t *q = scratch;
    float *scale = (float *)(void *)(q + tokens * q_stride);
    for (uint32_t t = 0; t < tokens; t++) {
        group_token(q + t * q_stride, scale + t * scale_stride, &x[t], blocks, ALONE);
    }
    const struct call call = {out, weight, row_bytes, blocks, {q, q_stride, scale, scale_stride}};
    osl_take_parts(dotprod_mxfp4_rows, TOKENS_MAX, &call, rows, tokens);
}
