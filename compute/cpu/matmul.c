/* Plain matvec and matmul: the specification of both, for every weight type.
 *
 * Order of the sum: column c goes to partial c % 16; each partial is added up in rising c; then
 * partials l and l+8 are added, l and l+4, l and l+2, and the last two. One multiplication and
 * one addition per column, both rounded to f32. A row's result is the same in both ops. */
#include "platform/platform.h"

#include "half.h"
#include "tables.h"

#define LANES 16

/* Adds `count` columns to the partials; a multiple of LANES. */
static void add_columns(float partial[LANES], const float *weight, const float *x, uint32_t count)
{
    for (uint32_t c = 0; c < count; c += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++) {
            partial[lane] += weight[c + lane] * x[c + lane];
        }
    }
}

static float add_partials(float partial[LANES])
{
    for (uint32_t half = LANES / 2; half > 0; half /= 2) {
        for (uint32_t lane = 0; lane < half; lane++) {
            partial[lane] += partial[lane + half];
        }
    }
    return partial[0];
}

/* A row is unpacked a chunk at a time, so that matvec needs no scratch. */
#define CHUNK_COLS 256

static float dot_row(const uint8_t *row, enum osl_dtype dtype, uint32_t cols, const float *x)
{
    float partial[LANES] = {0.0f};
    float weight[CHUNK_COLS];
    uint64_t chunk_bytes = osl_dtype_row_bytes(dtype, CHUNK_COLS);
    for (uint32_t c = 0; c < cols; c += CHUNK_COLS) {
        uint32_t count = cols - c < CHUNK_COLS ? cols - c : CHUNK_COLS;
        osl_dequantize_row(weight, row, dtype, count);
        add_columns(partial, weight, x + c, count);
        row += chunk_bytes;
    }
    return add_partials(partial);
}

static void matvec(enum osl_dtype dtype, float *out, const void *weight, uint64_t row_bytes,
                   uint32_t rows, uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint8_t *row = weight;
    for (uint32_t r = 0; r < rows; r++) {
        out[r] = dot_row(row, dtype, cols, x->f32);
        row += row_bytes;
    }
}

static void matmul(enum osl_dtype dtype, float *out, uint32_t out_stride, const void *weight,
                   uint64_t row_bytes, uint32_t rows, uint32_t cols, const struct osl_act *x,
                   const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint8_t *row = weight;
    float *unpacked = scratch; /* [cols] */
    for (uint32_t r = 0; r < rows; r++) {
        osl_dequantize_row(unpacked, row, dtype, cols);
        for (uint32_t t = 0; t < tokens; t++) {
            size_t token = token_index != NULL ? token_index[t] : t;
            float partial[LANES] = {0.0f};
            add_columns(partial, unpacked, x->f32 + token * x->f32_stride, cols);
            out[(size_t)t * out_stride + r] = add_partials(partial);
        }
        row += row_bytes;
    }
}

#define PLAIN_MATMUL(stem, dtype)                                                              \
    void osl_plain_matvec_##stem(float *out, const void *weight, uint64_t row_bytes,           \
                                 uint32_t rows, uint32_t cols, const struct osl_act *x)        \
    {                                                                                          \
        matvec(dtype, out, weight, row_bytes, rows, cols, x);                                  \
    }                                                                                          \
    void osl_plain_matmul_##stem(float *out, uint32_t out_stride, const void *weight,          \
                                 uint64_t row_bytes, uint32_t rows, uint32_t cols,             \
                                 const struct osl_act *x, const uint32_t *token_index,         \
                                 uint32_t tokens, void *scratch)                               \
    {                                                                                          \
        matmul(dtype, out, out_stride, weight, row_bytes, rows, cols, x, token_index, tokens,  \
               scratch);                                                                       \
    }

PLAIN_MATMUL(f32, OSL_DTYPE_F32)
PLAIN_MATMUL(f16, OSL_DTYPE_F16)
PLAIN_MATMUL(bf16, OSL_DTYPE_BF16)
PLAIN_MATMUL(q8_0, OSL_DTYPE_Q8_0)
PLAIN_MATMUL(mxfp4, OSL_DTYPE_MXFP4)
