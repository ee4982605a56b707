/* Matrix times many tokens for quantised weights, with smmla (ARMv8.6 int8 matrix multiply).
 * Contract: compute/kernels.h.
 *
 * smmla multiplies eight columns of two rows with eight columns of two tokens. Panels hold eight
 * rows as four pairs, four tokens are packed as two pairs once for all panels of a tile; 4 x 2
 * tiles of 2 x 2 results stay in registers. The block sums are exact and scaled and added as
 * matmul_dotprod_neon.c does, so both give the same bits. */
#include "matmul_neon.h"

#define PANEL_ROWS 8
#define ROW_PAIRS (PANEL_ROWS / 2)
#define PANEL_BLOCK_BYTES (PANEL_ROWS * OSL_BLOCK_COLS) /* [4 column groups][4 pairs][2][8] */
#define PANEL_BLOCK_SCALES (PANEL_ROWS * 2)             /* [4 pairs]: a a b b */
#define TILE_TOKENS OSL_NEON_TILE_TOKENS
#define TOKEN_PAIRS (TILE_TOKENS / 2)
#define TOKENS_PLANE_BYTES (TILE_TOKENS * OSL_BLOCK_COLS) /* [4 column groups][2 pairs][2][8] */
#define TOKENS_BLOCK_SCALES (TILE_TOKENS * 2)             /* [2 pairs]: a b a b */
_Static_assert(ROW_PAIRS *TOKEN_PAIRS <= OSL_NEON_STARTS, "a start for each sum");
_Static_assert(OSL_MATMUL_TILE_ROWS % PANEL_ROWS == 0, "a tile is whole panels");

/* Two rows of 16 columns into two operands, eight columns each, `stride` bytes apart. */
OSL_NEON_INLINE void pack_pair(int8_t *out, size_t stride, int8x16_t a, int8x16_t b)
{
    int64x2_t wide_a = vreinterpretq_s64_s8(a);
    int64x2_t wide_b = vreinterpretq_s64_s8(b);
    vst1q_s8(out, vreinterpretq_s8_s64(vzip1q_s64(wide_a, wide_b)));
    vst1q_s8(out + stride, vreinterpretq_s8_s64(vzip2q_s64(wide_a, wide_b)));
}

OSL_NEON_INLINE void pack_panel(enum osl_dtype dtype, const struct osl_neon_tile *tile,
                                uint32_t tile_row, const uint8_t *row, uint64_t row_bytes,
                                uint32_t rows, uint32_t blocks)
{
    int8_t *q = tile->q + (size_t)tile_row * blocks * OSL_BLOCK_COLS;
    float *scale = tile->scale + (size_t)tile_row * 2 * blocks;
    const uint8_t *source[PANEL_ROWS];
    osl_neon_rows_at(source, PANEL_ROWS, row, row_bytes, rows);
    for (uint32_t b = 0; b < blocks; b++, q += PANEL_BLOCK_BYTES, scale += PANEL_BLOCK_SCALES) {
        size_t offset = (size_t)b * osl_neon_block_bytes(dtype);
        for (uint32_t pair = 0; pair < ROW_PAIRS; pair++) {
            struct osl_neon_block even = osl_neon_load_block(dtype, source[2 * pair] + offset);
            struct osl_neon_block odd = osl_neon_load_block(dtype, source[2 * pair + 1] + offset);
            int8_t *out = q + pair * 16;
            pack_pair(out, ROW_PAIRS * 16, even.low, odd.low);
            pack_pair(out + 2 * ROW_PAIRS * 16, ROW_PAIRS * 16, even.high, odd.high);
            vst1q_f32(scale + 4 * pair,
                      vcombine_f32(vdup_n_f32(even.scale), vdup_n_f32(odd.scale)));
        }
    }
}

/* Four tokens, then their scales behind them. */
OSL_NEON_INLINE void pack_tokens(int8_t *q, float *scale, const struct osl_neon_tokens *at,
                                 uint32_t planes, uint32_t blocks)
{
    for (size_t x = 0; blocks > 0; blocks--, x += OSL_PACK_BLOCK_BYTES(planes)) {
        for (uint32_t pair = 0; pair < TOKEN_PAIRS; pair++) {
            const int8_t *even = at->q[2 * pair] + x;
            const int8_t *odd = at->q[2 * pair + 1] + x;
            for (uint32_t half = 0; half < 2 * planes; half++) {
                pack_pair(q + pair * 16 + half * 2 * TOKEN_PAIRS * 16, TOKEN_PAIRS * 16,
                          vld1q_s8(even + 4 + 16 * half), vld1q_s8(odd + 4 + 16 * half));
            }
            scale[4 * pair] = scale[4 * pair + 2] = osl_neon_block_scale(even);
            scale[4 * pair + 1] = scale[4 * pair + 3] = osl_neon_block_scale(odd);
        }
        q += planes * TOKENS_PLANE_BYTES;
        scale += TOKENS_BLOCK_SCALES;
    }
}

/* sum += one plane of a block: four groups of eight columns. */
OSL_NEON_INLINE void add_plane(int32x4_t sum[ROW_PAIRS][TOKEN_PAIRS], const int8_t *w,
                               const int8_t *x, uint32_t pairs)
{
    for (uint32_t group = 0; group < OSL_BLOCK_COLS / 8; group++) {
        int8x16_t x_pair[TOKEN_PAIRS];
        for (uint32_t t = 0; t < pairs; t++) {
            x_pair[t] = vld1q_s8(x + (group * TOKEN_PAIRS + t) * 16);
        }
        for (uint32_t r = 0; r < ROW_PAIRS; r++) {
            int8x16_t w_pair = vld1q_s8(w + (group * ROW_PAIRS + r) * 16);
            for (uint32_t t = 0; t < pairs; t++) {
                sum[r][t] = vmmlaq_s32(sum[r][t], w_pair, x_pair[t]);
            }
        }
    }
}

/* acc[pair of rows][pair of tokens] = {row a token a, a b, b a, b b}; pairs and planes are
 * constants. */
OSL_NEON_INLINE void multiply_panel(float32x4_t acc_out[ROW_PAIRS][TOKEN_PAIRS], const int8_t *w,
                                    const float *w_scale, const int8_t *x, const float *x_scale,
                                    uint32_t pairs, uint32_t planes, uint32_t blocks)
{
    float32x4_t acc[ROW_PAIRS][TOKEN_PAIRS];
    for (uint32_t r = 0; r < ROW_PAIRS; r++) {
        for (uint32_t t = 0; t < pairs; t++) {
            acc[r][t] = vdupq_n_f32(0.0f);
        }
    }
    for (; blocks > 0; blocks--) {
        const int32_t *starts = osl_neon_load_starts(planes);
        int32x4_t sum[ROW_PAIRS][TOKEN_PAIRS];
        for (uint32_t r = 0; r < ROW_PAIRS; r++) {
            for (uint32_t t = 0; t < pairs; t++) {
                sum[r][t] = vld1q_s32(starts + 4 * (r * pairs + t));
            }
        }
        add_plane(sum, w, x, pairs);
        if (planes == 2) { /* so far the high plane's sums, worth 256 each */
            for (uint32_t r = 0; r < ROW_PAIRS; r++) {
                for (uint32_t t = 0; t < pairs; t++) {
                    sum[r][t] = vshlq_n_s32(sum[r][t], 8);
                }
            }
            OSL_NEON_LOAD_AGAIN();
            add_plane(sum, w, x + TOKENS_PLANE_BYTES, pairs);
        }
        for (uint32_t r = 0; r < ROW_PAIRS; r++) {
            float32x4_t scale = vld1q_f32(w_scale + 4 * r);
            for (uint32_t t = 0; t < pairs; t++) {
                acc[r][t] = vfmaq_f32(acc[r][t], osl_neon_sums_to_f32(sum[r][t], planes),
                                      vmulq_f32(scale, vld1q_f32(x_scale + 4 * t)));
            }
        }
        w += PANEL_BLOCK_BYTES;
        x += planes * TOKENS_PLANE_BYTES;
        w_scale += PANEL_BLOCK_SCALES;
        x_scale += TOKENS_BLOCK_SCALES;
    }
    for (uint32_t r = 0; r < ROW_PAIRS; r++) {
        for (uint32_t t = 0; t < pairs; t++) {
            acc_out[r][t] = acc[r][t];
        }
    }
}

/* Gathers row r of the panel's rows for each token and stores what exists of them. */
OSL_NEON_INLINE void store_panel(float *out, uint32_t out_stride, uint32_t rows, uint32_t tokens,
                                 float32x4_t acc[ROW_PAIRS][TOKEN_PAIRS])
{
    for (uint32_t t = 0; t < tokens; t++) {
        float *row = out + (size_t)t * out_stride;
        for (uint32_t half = 0; half < 2; half++) {
            float32x4_t a = acc[2 * half][t / 2];
            float32x4_t b = acc[2 * half + 1][t / 2];
            float32x4_t four = t % 2 == 0 ? vuzp1q_f32(a, b) : vuzp2q_f32(a, b);
            if (rows > 4 * half) {
                osl_neon_store_some(row + 4 * half, four, rows - 4 * half);
            }
        }
    }
}

OSL_NEON_INLINE void tile_planes(float *out, uint32_t out_stride, const struct osl_neon_tile *tile,
                                 uint32_t rows, uint32_t blocks, const struct osl_neon_tokens *at,
                                 uint32_t planes)
{
    int8_t *x = tile->tokens;
    float *x_scale = (float *)(void *)(x + (size_t)blocks * planes * TOKENS_PLANE_BYTES);
    pack_tokens(x, x_scale, at, planes, blocks);
    for (uint32_t r = 0; r < rows; r += PANEL_ROWS) {
        const int8_t *w = tile->q + (size_t)r * blocks * OSL_BLOCK_COLS;
        const float *w_scale = tile->scale + (size_t)r * 2 * blocks;
        float32x4_t acc[ROW_PAIRS][TOKEN_PAIRS];
        if (at->count > 2) {
            multiply_panel(acc, w, w_scale, x, x_scale, 2, planes, blocks);
        } else {
            multiply_panel(acc, w, w_scale, x, x_scale, 1, planes, blocks);
        }
        store_panel(out + r, out_stride, rows - r, at->count, acc);
    }
}

OSL_NEON_DEFINE_PLANES(i8mm)
OSL_NEON_DEFINE_MATMUL(osl_i8mm_matmul_mxfp4, OSL_DTYPE_MXFP4, PANEL_ROWS, pack_panel,
                       multiply_tile)
OSL_NEON_DEFINE_MATMUL(osl_i8mm_matmul_q8_0, OSL_DTYPE_Q8_0, PANEL_ROWS, pack_panel, multiply_tile)
