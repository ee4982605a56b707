/* matmul for MXFP4 and Q8_0 with AVX-512 VNNI: prefill.
 *
 * A tile of 32 rows is unpacked once into the thread's scratch, four columns of a row beside the
 * same four of the next, so that one broadcast of four activations meets sixteen rows; then six
 * tokens at a time keep their sums in registers. Weights are shifted to unsigned as in
 * matvec_avx512vnni.c. The high plane of the activations is multiplied first and its sum moved up
 * by 8 bits, then the low plane adds to it, so that both need one register. For every (row, token):
 * the exact integer sum of a block, times the activation's scale, times the row's scale, fused into
 * one f32 sum over rising blocks. */
#include "platform/platform.h"

#include <immintrin.h>

#include "x86_int8.h"
#include "x86_tables.h"

#define LANES 16
#define TILE_ROWS OSL_MATMUL_TILE_ROWS
#define TILE_TOKENS 6 /* 12 integer and 12 f32 sums of 32 registers */
#define DWORDS 8      /* of four columns, in a block */

_Static_assert(TILE_ROWS == 2 * LANES, "a tile is two vectors of rows");

/* A tile in scratch: weight[block][dword][vector][row][4] and scale[block][vector][row]. */
struct tile {
    uint8_t *weight;
    float *scale;
};

static struct tile tile_in(void *scratch, uint32_t cols)
{
    uint8_t *base = scratch;
    return (struct tile){base, (float *)(void *)(base + (size_t)TILE_ROWS * cols)};
}

/* 16 bytes at `at` of 16 rows: lane r of out[j] is dword j of row r. */
OSL_INLINE void transpose_rows(const uint8_t *const row[LANES], size_t at, __m512i out[4])
{
    __m512i piece[4]; /* rows i, i+4, i+8, i+12 */
    OSL_UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i low = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(row[i] + at))),
            _mm_loadu_si128((const void *)(row[i + 4] + at)), 1);
        __m256i high = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(row[i + 8] + at))),
            _mm_loadu_si128((const void *)(row[i + 12] + at)), 1);
        piece[i] = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
    __m512i low01 = _mm512_unpacklo_epi32(piece[0], piece[1]);
    __m512i high01 = _mm512_unpackhi_epi32(piece[0], piece[1]);
    __m512i low23 = _mm512_unpacklo_epi32(piece[2], piece[3]);
    __m512i high23 = _mm512_unpackhi_epi32(piece[2], piece[3]);
    out[0] = _mm512_unpacklo_epi64(low01, low23);
    out[1] = _mm512_unpackhi_epi64(low01, low23);
    out[2] = _mm512_unpacklo_epi64(high01, high23);
    out[3] = _mm512_unpackhi_epi64(high01, high23);
    /* piece i held row i+4k in its 128-bit lane k, whose four rows 4k.. are now side by side */
}

/* Four bytes at `at` of 16 rows. A gather is slower (Zen 5, 2026-11-21). */
OSL_INLINE __m512i gather_rows(const uint8_t *const row[LANES], size_t at)
{
    __m128i four[4];
    OSL_UNROLL
    for (int i = 0; i < 4; i++) {
        four[i] = _mm_loadu_si32(row[4 * i] + at);
        int32_t value;
        memcpy(&value, row[4 * i + 1] + at, sizeof value);
        four[i] = _mm_insert_epi32(four[i], value, 1);
        memcpy(&value, row[4 * i + 2] + at, sizeof value);
        four[i] = _mm_insert_epi32(four[i], value, 2);
        memcpy(&value, row[4 * i + 3] + at, sizeof value);
        four[i] = _mm_insert_epi32(four[i], value, 3);
    }
    __m256i low = _mm256_set_m128i(four[1], four[0]);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), _mm256_set_m128i(four[3], four[2]), 1);
}

OSL_INLINE void unpack_mxfp4(uint8_t *to, float *scale, const uint8_t *const row[LANES], size_t at,
                             __m512i head, size_t stride)
{
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i table = _mm512_broadcast_i32x4(osl_mxfp4_shifted());
    __m512i dword[4];
    transpose_rows(row, at + 1, dword);
    OSL_UNROLL
    for (int j = 0; j < 4; j++) {
        __m512i low = _mm512_and_si512(dword[j], mask);
        __m512i high = _mm512_and_si512(_mm512_srli_epi16(dword[j], 4), mask);
        _mm512_storeu_si512(to + (size_t)j * stride, _mm512_shuffle_epi8(table, low));
        _mm512_storeu_si512(to + (size_t)(j + 4) * stride, _mm512_shuffle_epi8(table, high));
    }
    /* half of 2^(e-127), the table being doubled: subnormal for e of 0 and 1 */
    __m512i e = _mm512_and_si512(head, _mm512_set1_epi32(255));
    __m512i bits = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    __m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
    bits = _mm512_mask_mov_epi32(bits, _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2)), small);
    __mmask16 nan = _mm512_cmpeq_epi32_mask(e, _mm512_set1_epi32(255));
    bits = _mm512_mask_mov_epi32(bits, nan, _mm512_set1_epi32(0x7fc00000));
    _mm512_storeu_si512(scale, bits);
}

OSL_INLINE void unpack_q8_0(uint8_t *to, float *scale, const uint8_t *const row[LANES], size_t at,
                            __m512i head, size_t stride)
{
    const __m512i shift = _mm512_set1_epi8((char)0x80);
    OSL_UNROLL
    for (int half = 0; half < 2; half++) {
        __m512i dword[4];
        transpose_rows(row, at + 2 + (size_t)half * 16, dword);
        OSL_UNROLL
        for (int j = 0; j < 4; j++) {
            _mm512_storeu_si512(to + (size_t)(half * 4 + j) * stride,
                                _mm512_xor_si512(dword[j], shift));
        }
    }
    _mm512_storeu_ps(scale, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head)));
}

/* Unpacks 16 rows into vector `vector` of `vectors`; rows past the last repeat it. */
OSL_INLINE void unpack_rows(enum osl_dtype dtype, struct tile tile, const int vector,
                            const int vectors, const uint8_t *weight, uint64_t row_bytes,
                            uint32_t rows, uint32_t blocks)
{
    const uint32_t block_bytes =
        dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_BLOCK_BYTES : OSL_Q8_0_BLOCK_BYTES;
    const size_t stride = (size_t)vectors * 64;
    const uint8_t *row[LANES];
    for (uint32_t r = 0; r < LANES; r++) {
        row[r] = weight + (r < rows ? r : rows - 1) * row_bytes;
    }
    for (uint32_t block = 0; block < blocks; block++) {
        uint8_t *to = tile.weight + (size_t)block * DWORDS * stride + (size_t)vector * 64;
        float *scale = tile.scale + ((size_t)block * (size_t)vectors + (size_t)vector) * LANES;
        size_t at = (size_t)block * block_bytes;
        __m512i head = gather_rows(row, at);
        if (dtype == OSL_DTYPE_MXFP4) {
            unpack_mxfp4(to, scale, row, at, head, stride);
        } else {
            unpack_q8_0(to, scale, row, at, head, stride);
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

/* Adds one plane of a block to the sums; q is where the plane begins in a row of activations. */
OSL_INLINE void add_plane(const int vectors, const int count, const uint8_t *weight,
                          const struct tokens *x, size_t q, __m512i dot[2][TILE_TOKENS])
{
    OSL_UNROLL
    for (int j = 0; j < DWORDS; j++) {
        __m512i w0 = _mm512_loadu_si512(weight);
        __m512i w1 = vectors == 2 ? _mm512_loadu_si512(weight + 64) : w0;
        weight += vectors * 64;
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            int32_t four;
            memcpy(&four, x->q[t] + q + 4 * (size_t)j, sizeof four);
            __m512i value = _mm512_set1_epi32(four);
            dot[0][t] = _mm512_dpbusd_epi32(dot[0][t], w0, value);
            if (vectors == 2) {
                dot[1][t] = _mm512_dpbusd_epi32(dot[1][t], w1, value);
            }
        }
    }
}

/* `vectors` times 16 rows by `count` tokens; vectors, count and shift are constants here. */
OSL_INLINE void multiply_tile(const int vectors, const int count, const int32_t shift,
                              struct tile tile, const struct tokens *x, uint32_t rows,
                              uint32_t blocks)
{
    __m512 total[2][TILE_TOKENS];
    __m512i dot[2][TILE_TOKENS];
    const uint8_t *weight = tile.weight;
    const float *scale = tile.scale;
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        total[0][t] = _mm512_setzero_ps();
        total[1][t] = _mm512_setzero_ps();
    }
    for (uint32_t block = 0; block < blocks; block++) {
        size_t q = (size_t)block * OSL_ACT_BLOCK_BYTES;
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            dot[0][t] = _mm512_setzero_si512();
            dot[1][t] = dot[0][t];
        }
        add_plane(vectors, count, weight, x, q, dot);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            __m512i start = _mm512_set1_epi32(-shift * x->sum[t][block]);
            dot[0][t] = _mm512_add_epi32(_mm512_slli_epi32(dot[0][t], 8), start);
            dot[1][t] = _mm512_add_epi32(_mm512_slli_epi32(dot[1][t], 8), start);
        }
        add_plane(vectors, count, weight, x, q + OSL_BLOCK_COLS, dot);
        weight += (size_t)DWORDS * (size_t)vectors * 64;
        __m512 scale0 = _mm512_loadu_ps(scale);
        __m512 scale1 = vectors == 2 ? _mm512_loadu_ps(scale + LANES) : scale0;
        scale += vectors * LANES;
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            __m512 factor = _mm512_set1_ps(x->scale[t][block]);
            __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[0][t]), factor);
            total[0][t] = _mm512_fmadd_ps(part, scale0, total[0][t]);
            if (vectors == 2) {
                part = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[1][t]), factor);
                total[1][t] = _mm512_fmadd_ps(part, scale1, total[1][t]);
            }
        }
    }
    uint32_t stored = (uint32_t)(((uint64_t)1 << rows) - 1);
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        _mm512_mask_storeu_ps(x->out[t], (__mmask16)stored, total[0][t]);
        if (vectors == 2) {
            _mm512_mask_storeu_ps(x->out[t] + LANES, (__mmask16)(stored >> LANES), total[1][t]);
        }
    }
}

OSL_INLINE void multiply_tokens(const int vectors, uint32_t count, const int32_t shift,
                                struct tile tile, const struct tokens *x, uint32_t rows,
                                uint32_t blocks)
{
    switch (count) {
    case 1: multiply_tile(vectors, 1, shift, tile, x, rows, blocks); break;
    case 2: multiply_tile(vectors, 2, shift, tile, x, rows, blocks); break;
    case 3: multiply_tile(vectors, 3, shift, tile, x, rows, blocks); break;
    case 4: multiply_tile(vectors, 4, shift, tile, x, rows, blocks); break;
    case 5: multiply_tile(vectors, 5, shift, tile, x, rows, blocks); break;
    default: multiply_tile(vectors, 6, shift, tile, x, rows, blocks); break;
    }
}

OSL_INLINE void matmul(enum osl_dtype dtype, float *out, uint32_t out_stride, const void *weight,
                       uint64_t row_bytes, uint32_t rows, uint32_t cols, const struct osl_act *x,
                       const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const int32_t shift = dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_SHIFT : 128;
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    const struct tile tile = tile_in(scratch, cols);
    const uint8_t *row = weight;
    for (uint32_t r = 0; r < rows; r += TILE_ROWS) {
        uint32_t count = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
        if (count > LANES) {
            unpack_rows(dtype, tile, 0, 2, row, row_bytes, LANES, blocks);
            unpack_rows(dtype, tile, 1, 2, row + LANES * row_bytes, row_bytes, count - LANES,
                        blocks);
        } else {
            unpack_rows(dtype, tile, 0, 1, row, row_bytes, count, blocks);
        }
        for (uint32_t t = 0; t < tokens; t += TILE_TOKENS) {
            uint32_t batch = tokens - t < TILE_TOKENS ? tokens - t : TILE_TOKENS;
            struct tokens some;
            for (uint32_t i = 0; i < batch; i++) {
                size_t token = token_index != NULL ? token_index[t + i] : t + i;
                some.q[i] = x->q + token * x->q_stride;
                some.scale[i] = x->scale + token * x->block_stride;
                some.sum[i] = x->sum + token * x->block_stride;
                some.out[i] = out + (size_t)(t + i) * out_stride + r;
            }
            if (count > LANES) {
                multiply_tokens(2, batch, shift, tile, &some, count, blocks);
            } else {
                multiply_tokens(1, batch, shift, tile, &some, count, blocks);
            }
        }
        row += TILE_ROWS * row_bytes;
    }
}

void osl_avx512_matmul_mxfp4(float *out, uint32_t out_stride, const void *weight,
                             uint64_t row_bytes, uint32_t rows, uint32_t cols,
                             const struct osl_act *x, const uint32_t *token_index, uint32_t tokens,
                             void *scratch)
{
    matmul(OSL_DTYPE_MXFP4, out, out_stride, weight, row_bytes, rows, cols, x, token_index, tokens,
           scratch);
}

void osl_avx512_matmul_q8_0(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,
                            uint32_t rows, uint32_t cols, const struct osl_act *x,
                            const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    matmul(OSL_DTYPE_Q8_0, out, out_stride, weight, row_bytes, rows, cols, x, token_index, tokens,
           scratch);
}
