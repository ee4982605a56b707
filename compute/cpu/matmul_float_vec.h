/* matvec and matmul for F32, F16 and BF16 weights on f32 activations. Included by one file per
 * instruction set, which defines VEC_FN.
 *
 * matvec: four vectors of partial sums, columns dealt out in order, added (0+1)+(2+3), then the
 * lanes. matmul: rows sit in lanes, so every (row, token) is one fused sum over rising columns. */
#include "platform/platform.h"

#include "tables.h"
#include "vec_math.h"

#define PREFETCH_BYTES 2048 /* design.md, CPU: measured on Zen 5 */
#define CACHE_LINE 64
#define SUMS 4

OSL_INLINE vec load_weight(const uint8_t *row, enum osl_dtype dtype, uint32_t c)
{
    switch (dtype) {
    case OSL_DTYPE_F16:
        return vec_load_f16(row + 2 * (size_t)c);
    case OSL_DTYPE_BF16:
        return vec_load_bf16(row + 2 * (size_t)c);
    default:
        return vec_load((const float *)(const void *)(row + 4 * (size_t)c));
    }
}

OSL_INLINE float dot_row(enum osl_dtype dtype, const uint8_t *row, const float *x, uint32_t cols)
{
    const uint32_t element = dtype == OSL_DTYPE_F32 ? 4 : 2;
    vec sum[SUMS] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    uint32_t c = 0;
    for (; c + SUMS * VEC_LANES <= cols; c += SUMS * VEC_LANES) {
        const uint8_t *ahead = row + (size_t)c * element + PREFETCH_BYTES;
        OSL_UNROLL
        for (uint32_t i = 0; i < SUMS * VEC_LANES * element; i += CACHE_LINE) {
            __builtin_prefetch(ahead + i, 0, 3);
        }
        OSL_UNROLL
        for (int i = 0; i < SUMS; i++) {
            vec w = load_weight(row, dtype, c + (uint32_t)i * VEC_LANES);
            sum[i] = vec_fma(w, vec_load(x + c + i * VEC_LANES), sum[i]);
        }
    }
    for (int i = 0; c < cols; c += VEC_LANES, i++) { /* 32 columns are left at most */
        sum[i] = vec_fma(load_weight(row, dtype, c), vec_load(x + c), sum[i]);
    }
    return vec_sum(vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3])));
}

OSL_INLINE void matvec(enum osl_dtype dtype, float *out, const void *weight, uint64_t row_bytes,
                       uint32_t rows, uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint8_t *row = weight;
    for (uint32_t r = 0; r < rows; r++) {
        out[r] = dot_row(dtype, row, x->f32, cols);
        row += row_bytes;
    }
}

/* Unpacks VEC_LANES rows: packed[c * stride + lane] = row lane, column c. Lanes past the last row
 * repeat it; their results are not stored. */
OSL_INLINE void pack_rows(enum osl_dtype dtype, float *packed, uint32_t stride,
                          const uint8_t *weight, uint64_t row_bytes, uint32_t rows, uint32_t cols)
{
    for (uint32_t c = 0; c < cols; c += VEC_LANES) {
        vec square[VEC_LANES];
        OSL_UNROLL
        for (uint32_t lane = 0; lane < VEC_LANES; lane++) {
            uint32_t r = lane < rows ? lane : rows - 1;
            square[lane] = load_weight(weight + r * row_bytes, dtype, c);
        }
        vec_transpose(square);
        OSL_UNROLL
        for (uint32_t i = 0; i < VEC_LANES; i++) {
            vec_store(packed + (size_t)(c + i) * stride, square[i]);
        }
    }
}

#define TILE_TOKENS 6 /* with two vectors of rows: 12 sums, which hide the latency of the FMA */

/* vectors * VEC_LANES rows by `tokens` tokens; both are constants where this is called. */
OSL_INLINE void multiply_tile(const int vectors, const int tokens, float *const out[TILE_TOKENS],
                              const float *packed, const float *const x[TILE_TOKENS],
                              uint32_t rows, uint32_t cols)
{
    vec sum[2][TILE_TOKENS];
    const int stride = vectors * VEC_LANES;
    for (int t = 0; t < tokens; t++) {
        sum[0][t] = vec_zero();
        sum[1][t] = vec_zero();
    }
    for (uint32_t c = 0; c < cols; c++) {
        vec w0 = vec_load(packed + (size_t)c * (size_t)stride);
        vec w1 = vectors == 2 ? vec_load(packed + (size_t)c * (size_t)stride + VEC_LANES) : w0;
        OSL_UNROLL
        for (int t = 0; t < tokens; t++) {
            vec value = vec_splat(x[t][c]);
            sum[0][t] = vec_fma(w0, value, sum[0][t]);
            if (vectors == 2) {
                sum[1][t] = vec_fma(w1, value, sum[1][t]);
            }
        }
    }
    for (int t = 0; t < tokens; t++) {
        float column[2 * VEC_LANES];
        vec_store(column, sum[0][t]);
        vec_store(column + VEC_LANES, sum[1][t]);
        memcpy(out[t], column, rows * sizeof *column);
    }
}

OSL_INLINE void multiply_tokens(const int vectors, int tokens, float *const out[TILE_TOKENS],
                                const float *packed, const float *const x[TILE_TOKENS],
                                uint32_t rows, uint32_t cols)
{
    switch (tokens) {
    case 1: multiply_tile(vectors, 1, out, packed, x, rows, cols); break;
    case 2: multiply_tile(vectors, 2, out, packed, x, rows, cols); break;
    case 3: multiply_tile(vectors, 3, out, packed, x, rows, cols); break;
    case 4: multiply_tile(vectors, 4, out, packed, x, rows, cols); break;
    case 5: multiply_tile(vectors, 5, out, packed, x, rows, cols); break;
    default: multiply_tile(vectors, 6, out, packed, x, rows, cols); break;
    }
}

/* One packed tile against all tokens. */
static void multiply_packed(int vectors, float *out, uint32_t out_stride, const float *packed,
                            uint32_t rows, uint32_t cols, const struct osl_act *x,
                            const uint32_t *token_index, uint32_t tokens)
{
    for (uint32_t t = 0; t < tokens; t += TILE_TOKENS) {
        uint32_t count = tokens - t < TILE_TOKENS ? tokens - t : TILE_TOKENS;
        const float *from[TILE_TOKENS] = {NULL};
        float *to[TILE_TOKENS] = {NULL};
        for (uint32_t i = 0; i < count; i++) {
            size_t token = token_index != NULL ? token_index[t + i] : t + i;
            from[i] = x->f32 + token * x->f32_stride;
            to[i] = out + (size_t)(t + i) * out_stride;
        }
        if (vectors == 2) {
            multiply_tokens(2, (int)count, to, packed, from, rows, cols);
        } else {
            multiply_tokens(1, (int)count, to, packed, from, rows, cols);
        }
    }
}

OSL_INLINE void matmul(enum osl_dtype dtype, float *out, uint32_t out_stride, const void *weight,
                       uint64_t row_bytes, uint32_t rows, uint32_t cols, const struct osl_act *x,
                       const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    _Static_assert(2 * VEC_LANES <= OSL_MATMUL_TILE_ROWS, "a packed tile fits the scratch");
    const uint8_t *row = weight;
    float *packed = scratch;
    for (uint32_t r = 0; r < rows; r += 2 * VEC_LANES) {
        uint32_t count = rows - r < 2 * VEC_LANES ? rows - r : 2 * VEC_LANES;
        if (count > VEC_LANES) {
            pack_rows(dtype, packed, 2 * VEC_LANES, row, row_bytes, VEC_LANES, cols);
            pack_rows(dtype, packed + VEC_LANES, 2 * VEC_LANES, row + VEC_LANES * row_bytes,
                      row_bytes, count - VEC_LANES, cols);
        } else {
            pack_rows(dtype, packed, VEC_LANES, row, row_bytes, count, cols);
        }
        multiply_packed(count > VEC_LANES ? 2 : 1, out + r, out_stride, packed, count, cols, x,
                        token_index, tokens);
        row += 2 * VEC_LANES * row_bytes;
    }
}

#define FLOAT_MATMUL(stem, dtype)                                                              \
    void VEC_FN(matvec_##stem)(float *out, const void *weight, uint64_t row_bytes,             \
                               uint32_t rows, uint32_t cols, const struct osl_act *x)          \
    {                                                                                          \
        matvec(dtype, out, weight, row_bytes, rows, cols, x);                                  \
    }                                                                                          \
    void VEC_FN(matmul_##stem)(float *out, uint32_t out_stride, const void *weight,            \
                               uint64_t row_bytes, uint32_t rows, uint32_t cols,               \
                               const struct osl_act *x, const uint32_t *token_index,           \
                               uint32_t tokens, void *scratch)                                 \
    {                                                                                          \
        matmul(dtype, out, out_stride, weight, row_bytes, rows, cols, x, token_index, tokens,  \
               scratch);                                                                       \
    }

FLOAT_MATMUL(f32, OSL_DTYPE_F32)
FLOAT_MATMUL(f16, OSL_DTYPE_F16)
FLOAT_MATMUL(bf16, OSL_DTYPE_BF16)
