/* Matrix times f32 activations for BF16, F16 and F32 weights: one token (matvec) and many
 * (matmul). Contracts: compute/kernels.h. Both widen the weights to f32, which is exact. */
#include "neon.h"

/* Rows widened at a time in matmul: 16 x 2880 f32 are 184 KB, within a Cortex-A76's L2 beside the
 * activations of four tokens. */
#define TILE_ROWS 16
_Static_assert(TILE_ROWS <= OSL_MATMUL_TILE_ROWS, "the scratch is sized for OSL_MATMUL_TILE_ROWS");

/* Eight weights at any address, widened. */
OSL_NEON_INLINE float32x4x2_t load_eight(enum osl_dtype dtype, const uint8_t *data)
{
    float32x4x2_t wide;
    if (dtype == OSL_DTYPE_F32) {
        wide.val[0] = vreinterpretq_f32_u8(vld1q_u8(data));
        wide.val[1] = vreinterpretq_f32_u8(vld1q_u8(data + 16));
    } else if (dtype == OSL_DTYPE_F16) {
        float16x8_t half = vreinterpretq_f16_u8(vld1q_u8(data));
        wide.val[0] = vcvt_f32_f16(vget_low_f16(half));
        wide.val[1] = vcvt_high_f32_f16(half);
    } else { /* BF16: the upper half of an f32 */
        uint16x8_t upper = vreinterpretq_u16_u8(vld1q_u8(data));
        wide.val[0] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(upper), 16));
        wide.val[1] = vreinterpretq_f32_u32(vshll_high_n_u16(upper, 16));
    }
    return wide;
}

/* Eight accumulators of four lanes over 32 columns a round, added up as a tree. */
OSL_NEON_INLINE float row_dot(enum osl_dtype dtype, const uint8_t *row, uint32_t cols,
                              const float *x)
{
    const uint32_t element_bytes = dtype == OSL_DTYPE_F32 ? 4 : 2;
    float32x4_t acc[8];
    for (int i = 0; i < 8; i++) {
        acc[i] = vdupq_n_f32(0.0f);
    }
    for (uint32_t col = 0; col < cols; col += 32) {
        const uint8_t *data = row + (size_t)col * element_bytes;
        __builtin_prefetch(data + OSL_NEON_PREFETCH_BYTES);
        if (dtype == OSL_DTYPE_F32) {
            __builtin_prefetch(data + OSL_NEON_PREFETCH_BYTES + 64);
        }
        for (uint32_t i = 0; i < 4; i++) {
            float32x4x2_t w = load_eight(dtype, data + (size_t)i * 8 * element_bytes);
            acc[2 * i] = vfmaq_f32(acc[2 * i], w.val[0], vld1q_f32(x + col + 8 * i));
            acc[2 * i + 1] = vfmaq_f32(acc[2 * i + 1], w.val[1], vld1q_f32(x + col + 8 * i + 4));
        }
    }
    float32x4_t low = vaddq_f32(vaddq_f32(acc[0], acc[1]), vaddq_f32(acc[2], acc[3]));
    float32x4_t high = vaddq_f32(vaddq_f32(acc[4], acc[5]), vaddq_f32(acc[6], acc[7]));
    return vaddvq_f32(vaddq_f32(low, high));
}

OSL_NEON_INLINE void matvec(enum osl_dtype dtype, float *out, const uint8_t *row,
                            uint64_t row_bytes, uint32_t rows, uint32_t cols, const float *x)
{
    for (uint32_t r = 0; r < rows; r++, row += row_bytes) {
        out[r] = row_dot(dtype, row, cols, x);
    }
}

OSL_NEON_INLINE void widen_row(enum osl_dtype dtype, float *out, const uint8_t *row, uint32_t cols)
{
    const uint32_t element_bytes = dtype == OSL_DTYPE_F32 ? 4 : 2;
    for (uint32_t col = 0; col < cols; col += 8) {
        float32x4x2_t w = load_eight(dtype, row + (size_t)col * element_bytes);
        vst1q_f32(out + col, w.val[0]);
        vst1q_f32(out + col + 4, w.val[1]);
    }
}

/* One tile of widened rows against every token, 4 x 4 dot products at a time. At the edges the
 * last row or token is computed again and not stored, so that every result is made alike. */
static void multiply_tile(float *out, uint32_t out_stride, const float *tile, uint32_t rows,
                          uint32_t cols, const struct osl_act *x, const uint32_t *token_index,
                          uint32_t tokens)
{
    for (uint32_t t = 0; t < tokens; t += 4) {
        uint32_t token_count = tokens - t < 4 ? tokens - t : 4;
        const float *b[4];
        for (uint32_t j = 0; j < 4; j++) {
            uint32_t token = t + (j < token_count ? j : token_count - 1);
            token = token_index ? token_index[token] : token;
            b[j] = x->f32 + (size_t)token * x->f32_stride;
        }
        for (uint32_t r = 0; r < rows; r += 4) {
            uint32_t row_count = rows - r < 4 ? rows - r : 4;
            const float *a[4];
            for (uint32_t i = 0; i < 4; i++) {
                a[i] = tile + (size_t)(r + (i < row_count ? i : row_count - 1)) * cols;
            }
            float32x4_t sums[4];
            osl_neon_dot_4x4(sums, a, b, cols);
            for (uint32_t j = 0; j < token_count; j++) {
                osl_neon_store_some(out + (size_t)(t + j) * out_stride + r, sums[j], row_count);
            }
        }
    }
}

OSL_NEON_INLINE void matmul(enum osl_dtype dtype, float *out, uint32_t out_stride,
                            const uint8_t *row, uint64_t row_bytes, uint32_t rows, uint32_t cols,
                            const struct osl_act *x, const uint32_t *token_index, uint32_t tokens,
                            float *tile)
{
    for (uint32_t first = 0; first < rows; first += TILE_ROWS) {
        uint32_t count = rows - first < TILE_ROWS ? rows - first : TILE_ROWS;
        for (uint32_t r = 0; r < count; r++, row += row_bytes) {
            widen_row(dtype, tile + (size_t)r * cols, row, cols);
        }
        multiply_tile(out + first, out_stride, tile, count, cols, x, token_index, tokens);
    }
}

#define DEFINE_DENSE(stem, dtype)                                                                  \
    void osl_neon_matvec_##stem(float *out, const void *weight, uint64_t row_bytes, uint32_t rows, \
                                uint32_t cols, const struct osl_act *x)                            \
    {                                                                                              \
        matvec(dtype, out, weight, row_bytes, rows, cols, x->f32);                                 \
    }                                                                                              \
    void osl_neon_matmul_##stem(float *out, uint32_t out_stride, const void *weight,               \
                                uint64_t row_bytes, uint32_t rows, uint32_t cols,                  \
                                const struct osl_act *x, const uint32_t *token_index,              \
                                uint32_t tokens, void *scratch)                                    \
    {                                                                                              \
        matmul(dtype, out, out_stride, weight, row_bytes, rows, cols, x, token_index, tokens,      \
               scratch);                                                                           \
    }

DEFINE_DENSE(bf16, OSL_DTYPE_BF16)
DEFINE_DENSE(f16, OSL_DTYPE_F16)
DEFINE_DENSE(f32, OSL_DTYPE_F32)
