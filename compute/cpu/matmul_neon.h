/* What the three quantised matmuls share: the tile in scratch and the tokens it meets. */
#ifndef OSL_MATMUL_NEON_H
#define OSL_MATMUL_NEON_H

#include "neon.h"

/* A tile of unpacked rows in scratch: int8 [rows][cols] in the order its kernel likes, then the
 * scales, at most four f32 a block for each pair of rows, then room for four packed tokens. */
struct osl_neon_tile {
    int8_t *q;
    float *scale;
    int8_t *tokens;
};

#define OSL_NEON_TILE_TOKENS 4

OSL_NEON_INLINE struct osl_neon_tile osl_neon_tile_in(void *scratch, uint32_t cols)
{
    int8_t *q = scratch;
    int8_t *scale = q + (size_t)OSL_MATMUL_TILE_ROWS * cols;
    size_t scale_bytes = (size_t)OSL_MATMUL_TILE_ROWS * 2 * sizeof(float) * (cols / OSL_BLOCK_COLS);
    return (struct osl_neon_tile){q, (float *)(void *)scale, scale + scale_bytes};
}
/* Bytes a block of columns takes of that: rows, scales, tokens and their scales. */
_Static_assert(OSL_MATMUL_TILE_ROWS *OSL_BLOCK_COLS + OSL_MATMUL_TILE_ROWS * 2 * sizeof(float) +
                       OSL_NEON_TILE_TOKENS * (OSL_ACT_BLOCK_BYTES + 2 * sizeof(float)) <=
                   OSL_MATMUL_TILE_ROWS * OSL_BLOCK_COLS * 4,
               "the tile fits OSL_MATMUL_SCRATCH_BYTES");

/* The rows of x of up to four tokens; past the last they are copies of it. `scale` is of rows that
 * quantize made, `planes` of those that pack made. */
struct osl_neon_tokens {
    const int8_t *q[OSL_NEON_TILE_TOKENS];
    const float *scale[OSL_NEON_TILE_TOKENS];
    uint32_t count;
    uint32_t planes;
};

OSL_NEON_INLINE struct osl_neon_tokens osl_neon_tokens_at(const struct osl_act *x,
                                                          const uint32_t *token_index,
                                                          uint32_t first, uint32_t tokens)
{
    struct osl_neon_tokens at;
    at.count = tokens - first < OSL_NEON_TILE_TOKENS ? tokens - first : OSL_NEON_TILE_TOKENS;
    at.planes = x->planes;
    for (uint32_t i = 0; i < OSL_NEON_TILE_TOKENS; i++) {
        uint32_t token = first + (i < at.count ? i : at.count - 1);
        size_t row = token_index != NULL ? token_index[token] : token;
        at.q[i] = x->q + row * x->q_stride;
        at.scale[i] = x->scale != NULL ? x->scale + row * x->block_stride : NULL;
    }
    return at;
}

/* Sums of one plane stay below 2^22, so one that starts from the bits of this has those of the
 * float that is as much above it: a subtraction makes the sum a float, in half the time and in any
 * vector unit, where a conversion takes two turns of the only one that converts. */
#define OSL_NEON_FLOAT_START 0x1.8p23f
_Static_assert(128 * 127 * OSL_BLOCK_COLS < 1 << 22, "Q8_0's -128 times 127, 32 times");

/* Sums as f32, begun by osl_neon_load_starts(planes). */
OSL_NEON_INLINE float32x4_t osl_neon_sums_to_f32(int32x4_t sum, uint32_t planes)
{
    return planes == 1 ? vsubq_f32(vreinterpretq_f32_s32(sum), vdupq_n_f32(OSL_NEON_FLOAT_START))
                       : vcvtq_f32_s32(sum);
}

/* The scale in front of a packed block. */
OSL_NEON_INLINE float osl_neon_block_scale(const int8_t *block)
{
    float scale;
    memcpy(&scale, block, sizeof scale);
    return scale;
}

/* The first blocks of `want` rows of weights; past the last row they are copies of it. */
OSL_NEON_INLINE void osl_neon_rows_at(const uint8_t **row_out, uint32_t want, const uint8_t *weight,
                                      uint64_t row_bytes, uint32_t rows)
{
    for (uint32_t r = 0; r < want; r++) {
        row_out[r] = weight + (r < rows ? r : rows - 1) * row_bytes;
    }
}

/* multiply_tile of a file whose tile_planes takes the number of planes as a constant: one function
 * each, which tests/bench/mca.sh looks up by name. */
#define OSL_NEON_DEFINE_PLANES(level)                                                              \
    static void level##_one_plane(float *out, uint32_t out_stride,                                 \
                                  const struct osl_neon_tile *tile, uint32_t rows,                 \
                                  uint32_t blocks, const struct osl_neon_tokens *at)               \
    {                                                                                              \
        tile_planes(out, out_stride, tile, rows, blocks, at, 1);                                   \
    }                                                                                              \
    static void level##_two_planes(float *out, uint32_t out_stride,                                \
                                   const struct osl_neon_tile *tile, uint32_t rows,                \
                                   uint32_t blocks, const struct osl_neon_tokens *at)              \
    {                                                                                              \
        tile_planes(out, out_stride, tile, rows, blocks, at, 2);                                   \
    }                                                                                              \
    OSL_NEON_INLINE void multiply_tile(float *out, uint32_t out_stride,                            \
                                       const struct osl_neon_tile *tile, uint32_t rows,            \
                                       uint32_t blocks, const struct osl_neon_tokens *at)          \
    {                                                                                              \
        if (at->planes == 1) {                                                                     \
            level##_one_plane(out, out_stride, tile, rows, blocks, at);                            \
        } else {                                                                                   \
            level##_two_planes(out, out_stride, tile, rows, blocks, at);                           \
        }                                                                                          \
    }

/* The walk itself, the same for all: tiles of rows, panels within, groups of four tokens.
 * pack(dtype, tile, first row of the panel within the tile, weight of that row, row_bytes, rows
 * left, blocks) and multiply(out of the tile, out_stride, tile, rows, blocks, tokens) are inlined.
 */
#define OSL_NEON_DEFINE_MATMUL(name, dtype, panel_rows, pack, multiply)                            \
    void name(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,             \
              uint32_t rows, uint32_t cols, const struct osl_act *x, const uint32_t *token_index,  \
              uint32_t tokens, void *scratch)                                                      \
    {                                                                                              \
        const uint32_t blocks = cols / OSL_BLOCK_COLS;                                             \
        struct osl_neon_tile tile = osl_neon_tile_in(scratch, cols);                               \
        for (uint32_t first = 0; first < rows; first += OSL_MATMUL_TILE_ROWS) {                    \
            uint32_t left = rows - first;                                                          \
            left = left < OSL_MATMUL_TILE_ROWS ? left : OSL_MATMUL_TILE_ROWS;                      \
            for (uint32_t r = 0; r < left; r += (panel_rows)) {                                    \
                const uint8_t *row = (const uint8_t *)weight + (first + r) * row_bytes;            \
                pack(dtype, &tile, r, row, row_bytes, left - r, blocks);                           \
            }                                                                                      \
            for (uint32_t t = 0; t < tokens; t += OSL_NEON_TILE_TOKENS) {                          \
                struct osl_neon_tokens at = osl_neon_tokens_at(x, token_index, t, tokens);         \
                multiply(out + (size_t)t * out_stride + first, out_stride, &tile, left, blocks,    \
                         &at);                                                                     \
            }                                                                                      \
        }                                                                                          \
    }

#endif
