/* The walk of a quantised matvec, shared by the levels, which differ in how they multiply a block.
 *
 * One row at a time in file order: a decode step is bound by the memory, the core has only to keep
 * up with it. Integer sums of a block are exact; four accumulators of four lanes take the blocks
 * in turn, so the order of additions depends on cols alone. */
#ifndef OSL_MATVEC_NEON_H
#define OSL_MATVEC_NEON_H

#include "neon.h"

/* Blocks a round: enough independent work to hide latencies, which an in-order core cannot
 * (llvm-mca, Cortex-A53, plain MXFP4: 24 cycles a block; 35 with two). */
#define OSL_NEON_ROUND_BLOCKS 4

/* The products of a block with 32 activations in four partial sums. */
typedef int32x4_t osl_neon_products(enum osl_dtype dtype, struct osl_neon_block block,
                                    int8x16_t x_low, int8x16_t x_high);

OSL_NEON_INLINE float32x4_t osl_neon_add_block(float32x4_t acc, enum osl_dtype dtype,
                                               osl_neon_products *products, const uint8_t *weight,
                                               const int8_t *q, float scale)
{
    struct osl_neon_block block = osl_neon_load_block(dtype, weight);
    int32x4_t high = products(dtype, block, vld1q_s8(q), vld1q_s8(q + 16));
    int32x4_t low = products(dtype, block, vld1q_s8(q + 32), vld1q_s8(q + 48));
    int32x4_t sum = vaddq_s32(vshlq_n_s32(high, 8), low); /* both planes of the activations */
    return vfmaq_n_f32(acc, vcvtq_f32_s32(sum), block.scale * scale);
}

OSL_NEON_INLINE float osl_neon_row_dot(enum osl_dtype dtype, osl_neon_products *products,
                                       const uint8_t *row, uint32_t cols, const int8_t *q,
                                       const float *scale)
{
    const uint32_t block_bytes = osl_neon_block_bytes(dtype);
    uint32_t blocks = cols / OSL_BLOCK_COLS;
    float32x4_t acc[OSL_NEON_ROUND_BLOCKS];
    for (int i = 0; i < OSL_NEON_ROUND_BLOCKS; i++) {
        acc[i] = vdupq_n_f32(0.0f);
    }
    uint32_t b = 0;
    for (; b + OSL_NEON_ROUND_BLOCKS <= blocks; b += OSL_NEON_ROUND_BLOCKS) {
        /* A round is 68 or 136 bytes: one or two cache lines. */
        __builtin_prefetch(row + OSL_NEON_PREFETCH_BYTES);
        if (dtype == OSL_DTYPE_Q8_0) {
            __builtin_prefetch(row + OSL_NEON_PREFETCH_BYTES + 64);
        }
        for (uint32_t i = 0; i < OSL_NEON_ROUND_BLOCKS; i++) {
            acc[i] = osl_neon_add_block(acc[i], dtype, products, row, q, scale[b + i]);
            row += block_bytes;
            q += OSL_ACT_BLOCK_BYTES;
        }
    }
    for (; b < blocks; b++) {
        acc[0] = osl_neon_add_block(acc[0], dtype, products, row, q, scale[b]);
        row += block_bytes;
        q += OSL_ACT_BLOCK_BYTES;
    }
    return vaddvq_f32(vaddq_f32(vaddq_f32(acc[0], acc[1]), vaddq_f32(acc[2], acc[3])));
}

#define OSL_NEON_DEFINE_MATVEC(name, dtype, products)                                              \
    void name(float *out, const void *weight, uint64_t row_bytes, uint32_t rows, uint32_t cols,    \
              const struct osl_act *x)                                                             \
    {                                                                                              \
        const uint8_t *row = weight;                                                               \
        for (uint32_t r = 0; r < rows; r++, row += row_bytes) {                                    \
            out[r] = osl_neon_row_dot(dtype, products, row, cols, x->q, x->scale);                 \
        }                                                                                          \
    }

#endif
