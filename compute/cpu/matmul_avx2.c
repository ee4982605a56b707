/* matmul for MXFP4 and Q8_0 with AVX2: prefill.
 *
 * A tile of 32 rows is unpacked once into the thread's scratch as four groups of eight rows, four
 * columns of a row beside the same four of the next; then four tokens at a time keep their sums in
 * registers. For every (row, token): the exact integer sum of a block, times the activation's
 * scale, times the row's scale, fused into one f32 sum over rising blocks.
 *
 * The high plane of the activations comes first, its sum moved up by 8 bits, then the low plane.
 * 16-bit sums: MXFP4 doubled and shifted by 12 is at most 24, so eight products of 24 * 127 fit
 * (24,384). Q8_0 takes magnitudes times activations with the weight's sign, 2 * 128 * 127. */
#include "platform/platform.h"

#include <immintrin.h>

#include "x86_int8.h"
#include "x86_tables.h"

#define LANES 8
#define TILE_ROWS OSL_MATMUL_TILE_ROWS
#define TILE_TOKENS 4
#define DWORDS 8 /* of four columns, in a block */

/* Eight rows in scratch: weight[block][dword][row][4] and scale[block][row]. */
struct group {
    uint8_t *weight;
    float *scale;
};

static struct group group_in(void *scratch, uint32_t index, uint32_t cols)
{
    uint8_t *base = scratch;
    float *scales = (float *)(void *)(base + (size_t)TILE_ROWS * cols);
    return (struct group){base + (size_t)index * LANES * cols,
                          scales + (size_t)index * LANES * (cols / OSL_BLOCK_COLS)};
}

/* 16 bytes at `at` of 8 rows: lane r of out[j] is dword j of row r. */
OSL_INLINE void transpose_rows(const uint8_t *const row[LANES], size_t at, __m256i out[4])
{
    __m256i piece[4]; /* rows i, i+4 */
    OSL_UNROLL
    for (int i = 0; i < 4; i++) {
        piece[i] = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(row[i] + at))),
            _mm_loadu_si128((const void *)(row[i + 4] + at)), 1);
    }
    __m256i low01 = _mm256_unpacklo_epi32(piece[0], piece[1]);
    __m256i high01 = _mm256_unpackhi_epi32(piece[0], piece[1]);
    __m256i low23 = _mm256_unpacklo_epi32(piece[2], piece[3]);
    __m256i high23 = _mm256_unpackhi_epi32(piece[2], piece[3]);
    out[0] = _mm256_unpacklo_epi64(low01, low23);
    out[1] = _mm256_unpackhi_epi64(low01, low23);
    out[2] = _mm256_unpacklo_epi64(high01, high23);
    out[3] = _mm256_unpackhi_epi64(high01, high23);
}

static inline void store(void *to, __m256i value)
{
    _mm256_storeu_si256(to, value);
}

OSL_INLINE void unpack_mxfp4(uint8_t *to, float *scale, const uint8_t *const row[LANES], size_t at)
{
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i table = _mm256_broadcastsi128_si256(osl_mxfp4_shifted());
    __m256i dword[4];
    transpose_rows(row, at + 1, dword);
    OSL_UNROLL
    for (int j = 0; j < 4; j++) {
        __m256i low = _mm256_and_si256(dword[j], mask);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(dword[j], 4), mask);
        store(to + j * 32, _mm256_shuffle_epi8(table, low));
        store(to + (j + 4) * 32, _mm256_shuffle_epi8(table, high));
    }
    for (int r = 0; r < LANES; r++) {
        scale[r] = osl_f32_from_e8m0(row[r][at]) * 0.5f; /* the table is doubled */
    }
}

OSL_INLINE void unpack_q8_0(uint8_t *to, float *scale, const uint8_t *const row[LANES], size_t at)
{
    OSL_UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i dword[4];
        transpose_rows(row, at + 2 + (size_t)half * 16, dword);
        OSL_UNROLL
        for (int j = 0; j < 4; j++) {
            store(to + (half * 4 + j) * 32, dword[j]);
        }
    }
    for (int r = 0; r < LANES; r++) {
        scale[r] = _cvtsh_ss(osl_load_u16(row[r] + at));
    }
}

/* Rows past the last repeat it; their results are not stored. */
OSL_INLINE void unpack_rows(enum osl_dtype dtype, struct group group, const uint8_t *weight,
                            uint64_t row_bytes, uint32_t rows, uint32_t blocks)
{
    const uint8_t *row[LANES];
    for (uint32_t r = 0; r < LANES; r++) {
        row[r] = weight + (r < rows ? r : rows - 1) * row_bytes;
    }
    for (uint32_t block = 0; block < blocks; block++) {
        uint8_t *to = group.weight + (size_t)block * DWORDS * 32;
        float *scale = group.scale + (size_t)block * LANES;
        if (dtype == OSL_DTYPE_MXFP4) {
            unpack_mxfp4(to, scale, row, (size_t)block * OSL_MXFP4_BLOCK_BYTES);
        } else {
            unpack_q8_0(to, scale, row, (size_t)block * OSL_Q8_0_BLOCK_BYTES);
        }
    }
}

/* Rows of activations of up to TILE_TOKENS tokens, and where their results go. */
struct tokens {
    const int8_t *q[TILE_TOKENS];
    const float *scale[TILE_TOKENS];
    const int32_t *sum[TILE_TOKENS];
    float *out[TILE_TOKENS];
};

OSL_INLINE __m256i broadcast_four(const int8_t *q)
{
    int32_t four;
    memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

/* Adds one plane of a block to the sums; q is where the plane begins in a row of activations. */
OSL_INLINE void add_plane(enum osl_dtype dtype, const int count, const uint8_t *weight,
                          const struct tokens *x, size_t q, __m256i dot[TILE_TOKENS])
{
    const __m256i ones = _mm256_set1_epi16(1);
    OSL_UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i pairs[TILE_TOKENS];
        OSL_UNROLL
        for (int j = half * 4; j < half * 4 + 4; j++) {
            __m256i w = _mm256_loadu_si256((const void *)(weight + j * 32));
            OSL_UNROLL
            for (int t = 0; t < count; t++) {
                __m256i value = broadcast_four(x->q[t] + q + 4 * (size_t)j);
                if (dtype == OSL_DTYPE_MXFP4) {
                    __m256i product = _mm256_maddubs_epi16(w, value);
                    pairs[t] = j % 4 == 0 ? product : _mm256_add_epi16(pairs[t], product);
                } else {
                    value = _mm256_sign_epi8(value, w);
                    value = _mm256_maddubs_epi16(_mm256_abs_epi8(w), value);
                    dot[t] = _mm256_add_epi32(dot[t], _mm256_madd_epi16(value, ones));
                }
            }
        }
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            if (dtype == OSL_DTYPE_MXFP4) {
                dot[t] = _mm256_add_epi32(dot[t], _mm256_madd_epi16(pairs[t], ones));
            }
        }
    }
}

/* Exact sums of one block for each token. */
OSL_INLINE void block_dots(enum osl_dtype dtype, const int count, const uint8_t *weight,
                           const struct tokens *x, uint32_t block, __m256i dot[TILE_TOKENS])
{
    const size_t q = (size_t)block * OSL_ACT_BLOCK_BYTES;
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        dot[t] = _mm256_setzero_si256();
    }
    add_plane(dtype, count, weight, x, q, dot);
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        dot[t] = _mm256_slli_epi32(dot[t], 8);
        if (dtype == OSL_DTYPE_MXFP4) {
            __m256i start = _mm256_set1_epi32(-OSL_MXFP4_SHIFT * x->sum[t][block]);
            dot[t] = _mm256_add_epi32(dot[t], start);
        }
    }
    add_plane(dtype, count, weight, x, q + OSL_BLOCK_COLS, dot);
}

/* Eight rows by `count` tokens, a constant here. */
OSL_INLINE void multiply_tile(enum osl_dtype dtype, const int count, struct group group,
                              const struct tokens *x, uint32_t first, uint32_t rows,
                              uint32_t blocks)
{
    __m256 total[TILE_TOKENS];
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        total[t] = _mm256_setzero_ps();
    }
    for (uint32_t block = 0; block < blocks; block++) {
        __m256i dot[TILE_TOKENS];
        block_dots(dtype, count, group.weight + (size_t)block * DWORDS * 32, x, block, dot);
        __m256 scale = _mm256_loadu_ps(group.scale + (size_t)block * LANES);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            __m256 part = _mm256_cvtepi32_ps(dot[t]);
            part = _mm256_mul_ps(part, _mm256_set1_ps(x->scale[t][block]));
            total[t] = _mm256_fmadd_ps(part, scale, total[t]);
        }
    }
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i stored = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)rows), lane);
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        _mm256_maskstore_ps(x->out[t] + first, stored, total[t]);
    }
}

OSL_INLINE void multiply_tokens(enum osl_dtype dtype, uint32_t count, struct group group,
                                const struct tokens *x, uint32_t first, uint32_t rows,
                                uint32_t blocks)
{
    switch (count) {
    case 1: multiply_tile(dtype, 1, group, x, first, rows, blocks); break;
    case 2: multiply_tile(dtype, 2, group, x, first, rows, blocks); break;
    case 3: multiply_tile(dtype, 3, group, x, first, rows, blocks); break;
    default: multiply_tile(dtype, 4, group, x, first, rows, blocks); break;
    }
}

OSL_INLINE void matmul(enum osl_dtype dtype, float *out, uint32_t out_stride, const void *weight,
                       uint64_t row_bytes, uint32_t rows, uint32_t cols, const struct osl_act *x,
                       const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    for (uint32_t r = 0; r < rows; r += TILE_ROWS) {
        uint32_t tile_rows = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
        for (uint32_t g = 0; g < tile_rows; g += LANES) {
            const uint8_t *row = (const uint8_t *)weight + (r + g) * row_bytes;
            unpack_rows(dtype, group_in(scratch, g / LANES, cols), row, row_bytes, tile_rows - g,
                        blocks);
        }
        for (uint32_t t = 0; t < tokens; t += TILE_TOKENS) {
            uint32_t count = tokens - t < TILE_TOKENS ? tokens - t : TILE_TOKENS;
            struct tokens some;
            for (uint32_t i = 0; i < count; i++) {
                size_t token = token_index != NULL ? token_index[t + i] : t + i;
                some.q[i] = x->q + token * x->q_stride;
                some.scale[i] = x->scale + token * x->block_stride;
                some.sum[i] = x->sum + token * x->block_stride;
                some.out[i] = out + (size_t)(t + i) * out_stride + r;
            }
            for (uint32_t g = 0; g < tile_rows; g += LANES) {
                multiply_tokens(dtype, count, group_in(scratch, g / LANES, cols), &some, g,
                                tile_rows - g, blocks);
            }
        }
    }
}

void osl_avx2_matmul_mxfp4(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,
                           uint32_t rows, uint32_t cols, const struct osl_act *x,
                           const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    matmul(OSL_DTYPE_MXFP4, out, out_stride, weight, row_bytes, rows, cols, x, token_index, tokens,
           scratch);
}

void osl_avx2_matmul_q8_0(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,
                          uint32_t rows, uint32_t cols, const struct osl_act *x,
                          const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    matmul(OSL_DTYPE_Q8_0, out, out_stride, weight, row_bytes, rows, cols, x, token_index, tokens,
           scratch);
}
