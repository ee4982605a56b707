/* The walk of a quantised matvec, shared by the levels, which differ in how they multiply a block.
 *
 * One row at a time in file order: a decode step is bound by the memory, the core has only to keep
 * up with it. Four blocks make a round: their exact integer sums become the four lanes of one
 * vector, so that conversion, scales and the addition are paid once for 128 weights. Lane i of the
 * accumulator adds blocks i, i + 4, ... in rising order: the order depends on cols alone. */
#ifndef OSL_MATVEC_NEON_H
#define OSL_MATVEC_NEON_H

#include "neon.h"
#include "unroll.h"

#define OSL_NEON_ROUND_BLOCKS 4
#define OSL_NEON_ROW_TOKENS 4u /* most: 23 KB of activations of 2880 columns */

/* sum + the products of a block with 32 activations, spread over the lanes in any way. */
typedef int32x4_t osl_neon_add_products(int32x4_t sum, enum osl_dtype dtype,
                                        struct osl_neon_block block, int8x16_t x_low,
                                        int8x16_t x_high);

/* The bits of two consecutive blocks' scales, put together in a general register: its units are
 * idle here, while writing a lane of a vector would take a turn of the multipliers. */
OSL_NEON_INLINE uint64_t osl_neon_mxfp4_scale_pair(const uint8_t *row, uint32_t count)
{
    uint64_t pair = osl_neon_e8m0_half_bits[row[0]];
    if (count > 1) {
        pair |= (uint64_t)osl_neon_e8m0_half_bits[row[OSL_MXFP4_BLOCK_BYTES]] << 32;
    }
    return pair;
}

OSL_NEON_INLINE uint64_t osl_neon_q8_0_scale_bits(const uint8_t *row)
{
    uint16_t half;
    memcpy(&half, row, sizeof half);
    return half;
}

/* The scales of the first `count` (1..4, a constant) blocks of a row, zeros behind them. */
OSL_NEON_INLINE float32x4_t osl_neon_round_scales(enum osl_dtype dtype, const uint8_t *row,
                                                  uint32_t count)
{
    if (dtype == OSL_DTYPE_MXFP4) {
        uint64_t low = osl_neon_mxfp4_scale_pair(row, count);
        uint64_t high = 0;
        if (count > 2) {
            high = osl_neon_mxfp4_scale_pair(row + 2 * OSL_MXFP4_BLOCK_BYTES, count - 2);
        }
        return vreinterpretq_f32_u64(vcombine_u64(vcreate_u64(low), vcreate_u64(high)));
    }
    uint64_t bits = osl_neon_q8_0_scale_bits(row);
    for (uint32_t i = 1; i < count; i++) {
        bits |= osl_neon_q8_0_scale_bits(row + (size_t)i * OSL_Q8_0_BLOCK_BYTES) << 16 * i;
    }
    return vcvt_f32_f16(vreinterpret_f16_u64(vcreate_u64(bits)));
}

/* acc + four (or, at the end of a row, `count`) blocks times their activations. */
OSL_NEON_INLINE float32x4_t osl_neon_add_round(float32x4_t acc, enum osl_dtype dtype,
                                               osl_neon_add_products *add_products,
                                               const uint8_t *row, const int8_t *q,
                                               const float *scale, uint32_t count)
{
    const uint32_t block_bytes = osl_neon_block_bytes(dtype);
    const int32_t *zeros = osl_neon_load_starts(2);
    int32x4_t sum[OSL_NEON_ROUND_BLOCKS];
    for (uint32_t i = 0; i < OSL_NEON_ROUND_BLOCKS; i++) {
        sum[i] = vld1q_s32(zeros + 4 * i);
        if (i < count) {
            struct osl_neon_block block = osl_neon_load_block(dtype, row + (size_t)i * block_bytes);
            const int8_t *x = q + (size_t)i * OSL_ACT_BLOCK_BYTES;
            sum[i] = add_products(sum[i], dtype, block, vld1q_s8(x), vld1q_s8(x + 16));
            sum[i] = vshlq_n_s32(sum[i], 8); /* the high plane's, worth 256 each */
            sum[i] = add_products(sum[i], dtype, block, vld1q_s8(x + 32), vld1q_s8(x + 48));
        }
    }
    float x_scale[OSL_NEON_ROUND_BLOCKS] = {0};
    memcpy(x_scale, scale, count * sizeof *scale);
    float32x4_t factor = vmulq_f32(osl_neon_round_scales(dtype, row, count), vld1q_f32(x_scale));
    int32x4_t sums = osl_neon_sums_s32(sum[0], sum[1], sum[2], sum[3]);
    return vfmaq_f32(acc, vcvtq_f32_s32(sums), factor);
}

/* out[t][r] = row . token t, for `tokens` tokens, a constant: weights are loaded and their scales
 * made once for all, or again from the first cache. */
OSL_NEON_INLINE void osl_neon_row_dots(enum osl_dtype dtype, osl_neon_add_products *add_products,
                                       const uint32_t tokens, float *const *out, uint32_t r,
                                       const uint8_t *row, uint32_t cols, const struct osl_act *x)
{
    const uint32_t round_bytes = OSL_NEON_ROUND_BLOCKS * osl_neon_block_bytes(dtype);
    uint32_t blocks = cols / OSL_BLOCK_COLS;
    float32x4_t acc[OSL_NEON_ROW_TOKENS];
    const int8_t *q[OSL_NEON_ROW_TOKENS];
    const float *scale[OSL_NEON_ROW_TOKENS];
    OSL_UNROLL
    for (uint32_t t = 0; t < tokens; t++) {
        acc[t] = vdupq_n_f32(0.0f);
        q[t] = x[t].q;
        scale[t] = x[t].scale;
    }
    for (; blocks >= OSL_NEON_ROUND_BLOCKS; blocks -= OSL_NEON_ROUND_BLOCKS) {
        /* A round is 68 or 136 bytes: one or two cache lines. */
        __builtin_prefetch(row + OSL_NEON_PREFETCH_BYTES);
        if (dtype == OSL_DTYPE_Q8_0) {
            __builtin_prefetch(row + OSL_NEON_PREFETCH_BYTES + 64);
        }
        OSL_UNROLL
        for (uint32_t t = 0; t < tokens; t++) {
            acc[t] = osl_neon_add_round(acc[t], dtype, add_products, row, q[t], scale[t],
                                        OSL_NEON_ROUND_BLOCKS);
            q[t] += OSL_NEON_ROUND_BLOCKS * OSL_ACT_BLOCK_BYTES;
            scale[t] += OSL_NEON_ROUND_BLOCKS;
        }
        row += round_bytes;
    }
    OSL_UNROLL
    for (uint32_t t = 0; t < tokens; t++) {
        float32x4_t sum = acc[t];
        switch (blocks) {
        case 1: sum = osl_neon_add_round(sum, dtype, add_products, row, q[t], scale[t], 1); break;
        case 2: sum = osl_neon_add_round(sum, dtype, add_products, row, q[t], scale[t], 2); break;
        case 3: sum = osl_neon_add_round(sum, dtype, add_products, row, q[t], scale[t], 3); break;
        default: break;
        }
        out[t][r] = vaddvq_f32(sum);
    }
}

#define OSL_NEON_DEFINE_MATVEC(name, dtype, add_products)                                          \
    void name(float *out, const void *weight, uint64_t row_bytes, uint32_t rows, uint32_t cols,    \
              const struct osl_act *x)                                                             \
    {                                                                                              \
        const uint8_t *row = weight;                                                               \
        for (uint32_t r = 0; r < rows; r++, row += row_bytes) {                                    \
            osl_neon_row_dots(dtype, add_products, 1, &out, r, row, cols, x);                      \
        }                                                                                          \
    }

#endif
