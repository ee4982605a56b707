/* Matrix times many tokens for quantised weights, with sdot by lane (ARMv8.2 dot product).
 * Contract: compute/kernels.h.
 *
 * A tile of 32 rows is unpacked once into panels of eight rows, in which a 16-byte vector holds
 * four columns of four rows, the operand of sdot; four columns of a token are its lane. Eight rows
 * times four tokens stay in registers. Every result adds its blocks in rising order, whatever tile
 * it is in, so no split of rows or tokens changes a bit (and i8mm gives the same bits). */
#include "matmul_neon.h"

#define PANEL_ROWS 8
#define PANEL_BLOCK_BYTES                                                                          \
    (PANEL_ROWS * OSL_BLOCK_COLS) /* [2][8 column groups][4 rows][4 columns] */
#define TILE_TOKENS OSL_NEON_TILE_TOKENS
_Static_assert(TILE_TOKENS * 2 <= OSL_NEON_STARTS, "a start for each sum");
_Static_assert(OSL_MATMUL_TILE_ROWS % PANEL_ROWS == 0, "a tile is whole panels");

OSL_NEON_INLINE void pack_panel(enum osl_dtype dtype, const struct osl_neon_tile *tile,
                                uint32_t tile_row, const uint8_t *row, uint64_t row_bytes,
                                uint32_t rows, uint32_t blocks)
{
    int8_t *q = tile->q + (size_t)tile_row * blocks * OSL_BLOCK_COLS;
    float *scale = tile->scale + (size_t)tile_row * blocks; /* [block][PANEL_ROWS] */
    const uint8_t *source[PANEL_ROWS];
    osl_neon_rows_at(source, PANEL_ROWS, row, row_bytes, rows);
    for (uint32_t b = 0; b < blocks; b++, q += PANEL_BLOCK_BYTES, scale += PANEL_ROWS) {
        for (uint32_t half = 0; half < 2; half++) {
            int32x4x4_t low;
            int32x4x4_t high;
            for (uint32_t r = 0; r < 4; r++) {
                const uint8_t *data =
                    source[4 * half + r] + (size_t)b * osl_neon_block_bytes(dtype);
                struct osl_neon_block block = osl_neon_load_block(dtype, data);
                low.val[r] = vreinterpretq_s32_s8(block.low);
                high.val[r] = vreinterpretq_s32_s8(block.high);
                scale[4 * half + r] = block.scale;
            }
            vst4q_s32((int32_t *)(void *)(q + 128 * half), low); /* transposes 4 x 4 words */
            vst4q_s32((int32_t *)(void *)(q + 128 * half + 64), high);
        }
    }
}

/* sum[t] += four columns of eight rows times those of token t. */
#define ADD_LANE(lane)                                                                             \
    do {                                                                                           \
        int8x16_t w0 = vld1q_s8(w + 16 * (lane));                                                  \
        int8x16_t w1 = vld1q_s8(w + 128 + 16 * (lane));                                            \
        for (uint32_t t = 0; t < tokens; t++) {                                                    \
            sum[t][0] = vdotq_laneq_s32(sum[t][0], w0, x16[t], lane);                              \
            sum[t][1] = vdotq_laneq_s32(sum[t][1], w1, x16[t], lane);                              \
        }                                                                                          \
    } while (0)

/* sum += one plane of a block, `x` bytes into each token's row. */
OSL_NEON_INLINE void add_plane(int32x4_t sum[TILE_TOKENS][2], const int8_t *w,
                               const struct osl_neon_tokens *at, size_t x, uint32_t tokens)
{
    for (uint32_t half = 0; half < 2; half++, w += 64) {
        OSL_NEON_LOAD_AGAIN();
        int8x16_t x16[TILE_TOKENS];
        for (uint32_t t = 0; t < tokens; t++) {
            x16[t] = vld1q_s8(at->q[t] + x + 16 * half);
        }
        ADD_LANE(0);
        ADD_LANE(1);
        ADD_LANE(2);
        ADD_LANE(3);
    }
}

/* acc[t] = panel times token t; tokens 1..4 and planes 1..2 are constants where this is inlined. */
OSL_NEON_INLINE void multiply_panel(float32x4_t acc_out[TILE_TOKENS][2], const int8_t *w,
                                    const float *w_scale, const struct osl_neon_tokens *at,
                                    uint32_t tokens, uint32_t planes, uint32_t blocks)
{
    float32x4_t acc[TILE_TOKENS][2];
    for (uint32_t t = 0; t < tokens; t++) {
        acc[t][0] = acc[t][1] = vdupq_n_f32(0.0f);
    }
    for (size_t x = 0; blocks > 0; blocks--, x += OSL_PACK_BLOCK_BYTES(planes)) {
        const int32_t *starts = osl_neon_load_starts(planes);
        int32x4_t sum[TILE_TOKENS][2];
        for (uint32_t t = 0; t < tokens; t++) {
            sum[t][0] = vld1q_s32(starts + 8 * t);
            sum[t][1] = vld1q_s32(starts + 8 * t + 4);
        }
        add_plane(sum, w, at, x + 4, tokens);
        if (planes == 2) { /* so far the high plane's sums, worth 256 each */
            for (uint32_t t = 0; t < tokens; t++) {
                sum[t][0] = vshlq_n_s32(sum[t][0], 8);
                sum[t][1] = vshlq_n_s32(sum[t][1], 8);
            }
            add_plane(sum, w, at, x + 4 + OSL_BLOCK_COLS, tokens);
        }
        float32x4_t scale[2] = {vld1q_f32(w_scale), vld1q_f32(w_scale + 4)};
        for (uint32_t t = 0; t < tokens; t++) {
            float x_scale = osl_neon_block_scale(at->q[t] + x);
            for (uint32_t i = 0; i < 2; i++) {
                acc[t][i] = vfmaq_f32(acc[t][i], osl_neon_sums_to_f32(sum[t][i], planes),
                                      vmulq_n_f32(scale[i], x_scale));
            }
        }
        w += PANEL_BLOCK_BYTES;
        w_scale += PANEL_ROWS;
    }
    for (uint32_t t = 0; t < tokens; t++) {
        acc_out[t][0] = acc[t][0];
        acc_out[t][1] = acc[t][1];
    }
}

OSL_NEON_INLINE void panel_tokens(float *out, uint32_t out_stride, uint32_t rows, const int8_t *w,
                                  const float *w_scale, const struct osl_neon_tokens *at,
                                  uint32_t tokens, uint32_t planes, uint32_t blocks)
{
    float32x4_t acc[TILE_TOKENS][2];
    multiply_panel(acc, w, w_scale, at, tokens, planes, blocks);
    for (uint32_t t = 0; t < tokens; t++) {
        float *row = out + (size_t)t * out_stride;
        osl_neon_store_some(row, acc[t][0], rows);
        if (rows > 4) {
            osl_neon_store_some(row + 4, acc[t][1], rows - 4);
        }
    }
}

OSL_NEON_INLINE void tile_planes(float *out, uint32_t out_stride, const struct osl_neon_tile *tile,
                                 uint32_t rows, uint32_t blocks, const struct osl_neon_tokens *at,
                                 uint32_t planes)
{
    for (uint32_t r = 0; r < rows; r += PANEL_ROWS) {
        const int8_t *w = tile->q + (size_t)r * blocks * OSL_BLOCK_COLS;
        const float *scale = tile->scale + (size_t)r * blocks;
        float *to = out + r;
        switch (at->count) {
        case 1: panel_tokens(to, out_stride, rows - r, w, scale, at, 1, planes, blocks); break;
        case 2: panel_tokens(to, out_stride, rows - r, w, scale, at, 2, planes, blocks); break;
        case 3: panel_tokens(to, out_stride, rows - r, w, scale, at, 3, planes, blocks); break;
        default: panel_tokens(to, out_stride, rows - r, w, scale, at, 4, planes, blocks); break;
        }
    }
}

OSL_NEON_DEFINE_PLANES(dotprod)
OSL_NEON_DEFINE_MATMUL(osl_dotprod_matmul_mxfp4, OSL_DTYPE_MXFP4, PANEL_ROWS, pack_panel,
                       multiply_tile)
OSL_NEON_DEFINE_MATMUL(osl_dotprod_matmul_q8_0, OSL_DTYPE_Q8_0, PANEL_ROWS, pack_panel,
                       multiply_tile)
