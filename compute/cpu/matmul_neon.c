/* Matrix times many tokens for quantised weights, plain ARMv8.0. Contract: compute/kernels.h.
 *
 * Rows are unpacked once a tile, in panels of four: a block's 32 columns of each row, one after
 * the other. Four rows times two tokens are multiplied with widening multiplies and summed across.
 * The block sums are exact and scaled and added as in the dotprod table: the same bits. */
#include "matmul_neon.h"

#define PANEL_ROWS 4
#define PANEL_BLOCK_BYTES (PANEL_ROWS * OSL_BLOCK_COLS) /* [4 rows][32 columns] */
_Static_assert(OSL_MATMUL_TILE_ROWS % PANEL_ROWS == 0, "a tile is whole panels");

OSL_NEON_INLINE void pack_panel(enum osl_dtype dtype, const struct osl_neon_tile *tile,
                                uint32_t tile_row, const uint8_t *row, uint64_t row_bytes,
                                uint32_t rows, uint32_t blocks)
{
    int8_t *q = tile->q + (size_t)tile_row * blocks * OSL_BLOCK_COLS;
    float *scale = tile->scale + (size_t)tile_row * blocks; /* [block][PANEL_ROWS] */
    const uint8_t *source[PANEL_ROWS];
    osl_neon_rows_at(source, PANEL_ROWS, row, row_bytes, rows);
    for (uint32_t b = 0; b < blocks; b++, scale += PANEL_ROWS) {
        for (uint32_t r = 0; r < PANEL_ROWS; r++, q += OSL_BLOCK_COLS) {
            const uint8_t *data = source[r] + (size_t)b * osl_neon_block_bytes(dtype);
            struct osl_neon_block block = osl_neon_load_block(dtype, data);
            vst1q_s8(q, block.low);
            vst1q_s8(q + 16, block.high);
            scale[r] = block.scale;
        }
    }
}

/* acc[t] = four rows times token t; tokens is a constant 1..2 where this is inlined. */
OSL_NEON_INLINE void multiply_panel(enum osl_dtype dtype, float32x4_t acc[2], const int8_t *w,
                                    const float *w_scale, const int8_t *const *x,
                                    const float *const *x_scale, uint32_t tokens, uint32_t blocks)
{
    for (uint32_t t = 0; t < tokens; t++) {
        acc[t] = vdupq_n_f32(0.0f);
    }
    for (uint32_t b = 0; b < blocks; b++, w += PANEL_BLOCK_BYTES, w_scale += PANEL_ROWS) {
        int32x4_t sum[2][PANEL_ROWS];
        for (uint32_t r = 0; r < PANEL_ROWS; r++) {
            struct osl_neon_block block = {vld1q_s8(w + r * OSL_BLOCK_COLS),
                                           vld1q_s8(w + r * OSL_BLOCK_COLS + 16), 1.0f};
            for (uint32_t t = 0; t < tokens; t++) {
                const int8_t *q = x[t] + (size_t)b * OSL_ACT_BLOCK_BYTES;
                int32x4_t high = osl_neon_add_block_products(vdupq_n_s32(0), dtype, block,
                                                             vld1q_s8(q), vld1q_s8(q + 16));
                sum[t][r] = osl_neon_add_block_products(vshlq_n_s32(high, 8), dtype, block,
                                                        vld1q_s8(q + 32), vld1q_s8(q + 48));
            }
        }
        float32x4_t scale = vld1q_f32(w_scale);
        for (uint32_t t = 0; t < tokens; t++) {
            int32x4_t rows = osl_neon_sums_s32(sum[t][0], sum[t][1], sum[t][2], sum[t][3]);
            float32x4_t factor = vmulq_n_f32(scale, x_scale[t][b]);
            acc[t] = vfmaq_f32(acc[t], vcvtq_f32_s32(rows), factor);
        }
    }
}

OSL_NEON_INLINE void multiply_tile(enum osl_dtype dtype, float *out, uint32_t out_stride,
                                   const struct osl_neon_tile *tile, uint32_t rows, uint32_t blocks,
                                   const struct osl_neon_tokens *at)
{
    for (uint32_t r = 0; r < rows; r += PANEL_ROWS) {
        const int8_t *w = tile->q + (size_t)r * blocks * OSL_BLOCK_COLS;
        const float *scale = tile->scale + (size_t)r * blocks;
        for (uint32_t t = 0; t < at->count; t += 2) {
            float32x4_t acc[2];
            float *to = out + (size_t)t * out_stride + r;
            if (at->count - t >= 2) {
                multiply_panel(dtype, acc, w, scale, at->q + t, at->scale + t, 2, blocks);
                osl_neon_store_some(to + out_stride, acc[1], rows - r);
            } else {
                multiply_panel(dtype, acc, w, scale, at->q + t, at->scale + t, 1, blocks);
            }
            osl_neon_store_some(to, acc[0], rows - r);
        }
    }
}

static void multiply_mxfp4(float *out, uint32_t out_stride, const struct osl_neon_tile *tile,
                           uint32_t rows, uint32_t blocks, const struct osl_neon_tokens *at)
{
    multiply_tile(OSL_DTYPE_MXFP4, out, out_stride, tile, rows, blocks, at);
}

static void multiply_q8_0(float *out, uint32_t out_stride, const struct osl_neon_tile *tile,
                          uint32_t rows, uint32_t blocks, const struct osl_neon_tokens *at)
{
    multiply_tile(OSL_DTYPE_Q8_0, out, out_stride, tile, rows, blocks, at);
}

OSL_NEON_DEFINE_MATMUL(osl_neon_matmul_mxfp4, OSL_DTYPE_MXFP4, PANEL_ROWS, pack_panel,
                       multiply_mxfp4)
OSL_NEON_DEFINE_MATMUL(osl_neon_matmul_q8_0, OSL_DTYPE_Q8_0, PANEL_ROWS, pack_panel, multiply_q8_0)
