/* matmul for MXFP4 and Q8_0 in 256-bit vectors: prefill. Included by one file per instruction set,
 * which defines YMM_FN and, where the CPU has the dot instructions in their 256-bit form, YMM_VNNI.
 *
 * A tile of 32 rows is unpacked once into the thread's scratch as two parts of 16 rows, four bytes
 * of a row beside the same four of the next, so that one broadcast of four bytes of activations
 * meets sixteen rows; then three tokens at a time keep their sums in registers.
 *
 * Activations of two planes are 16-bit integers here (pack_words), weights are widened to 16 bits,
 * and pairs of products are summed in 32. Activations of one plane are unsigned bytes on MXFP4's
 * signed ones: what their offset adds depends on the weights alone, and the sums start from minus
 * that. Without the dot instruction these are 16-bit sums that may wrap on the way; the result, at
 * most 16 * 12 * 127, fits. Q8_0's products do not fit pairs of 16 bits: one plane is widened.
 *
 * For every (row, token): the exact integer sum of a block, times the activation's scale, times the
 * row's scale, fused into one f32 sum over rising blocks. */
#include "platform/platform.h"

#include <immintrin.h>

#include "x86_tables.h"
#include "ymm_int8.h"

#define PART_ROWS 16 /* two vectors */
#define TILE_ROWS OSL_MATMUL_TILE_ROWS
#define TILE_TOKENS 3 /* 6 integer and 6 f32 sums of 16 registers */
#define STEP_BYTES (PART_ROWS * 4)
#define CACHE_LINE 64

/* A part's block of 32 columns: steps of four bytes of each row, the rows' scales as f32, and for
 * bytes -128 times the sum of the weights, as the sums are held. */
#define BLOCK_STEPS(words) ((words) ? 16 : 8)
#define BLOCK_BYTES(words) ((words) ? 17 * STEP_BYTES : 10 * STEP_BYTES)
#define PART_BYTES(words, blocks) ((size_t)BLOCK_BYTES(words) * (blocks))

_Static_assert(2 * PART_ROWS == TILE_ROWS, "a tile is two parts");
_Static_assert(2 * PART_BYTES(true, 1) + TILE_TOKENS * OSL_PACK_BLOCK_BYTES(2) <=
                   TILE_ROWS * OSL_BLOCK_COLS * 4,
               "a tile and widened tokens fit the scratch");

OSL_INLINE __m256i load(const void *at)
{
    return _mm256_loadu_si256(at);
}

OSL_INLINE void store(void *to, __m256i value)
{
    _mm256_storeu_si256(to, value);
}

/* Products of four bytes or two words in each lane, added to sum: see sum_of. */
OSL_INLINE __m256i add_products(const bool words, __m256i sum, __m256i x, __m256i weight)
{
    if (!words) {
        return add_bytes(sum, x, weight);
    }
#ifdef YMM_VNNI
    return _mm256_dpwssd_avx_epi32(sum, x, weight);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x, weight));
#endif
}

/* Sums of a lane as one integer. */
OSL_INLINE __m256i sum_of(const bool words, __m256i sum)
{
    return words ? sum : sum_of_bytes(sum);
}

/* ---- Unpacking --------------------------------------------------------------------------- */

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

/* Stores dword j of 8 rows, as it is or widened to two steps. */
OSL_INLINE void put_dword(const bool words, uint8_t *to, int j, __m256i weight, __m256i *sum)
{
    if (words) { /* bytes to the upper halves of words, which are then moved down with their sign */
        const __m256i first = _mm256_set1_epi64x((int64_t)0x0580048001800080);
        const __m256i second = _mm256_set1_epi64x((int64_t)0x0780068003800280);
        const __m256i lane = _mm256_set_epi64x(0x0808080808080808, 0, 0x0808080808080808, 0);
        __m256i low = _mm256_shuffle_epi8(weight, _mm256_or_si256(first, lane));
        __m256i high = _mm256_shuffle_epi8(weight, _mm256_or_si256(second, lane));
        store(to + 2 * j * STEP_BYTES, _mm256_srai_epi16(low, 8));
        store(to + (2 * j + 1) * STEP_BYTES, _mm256_srai_epi16(high, 8));
    } else {
        store(to + j * STEP_BYTES, weight);
        *sum = add_bytes(*sum, _mm256_set1_epi8((char)128), weight);
    }
}

/* Eight rows of a block; `to` is the place of the first among the part's rows. */
OSL_INLINE void unpack_mxfp4(const bool words, uint8_t *to, const uint8_t *const row[LANES],
                             size_t at)
{
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i table = _mm256_broadcastsi128_si256(osl_mxfp4_doubled());
    __m256i sum = _mm256_setzero_si256();
    __m256i dword[4];
    transpose_rows(row, at + 1, dword);
    OSL_UNROLL
    for (int j = 0; j < 4; j++) {
        __m256i low = _mm256_and_si256(dword[j], mask);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(dword[j], 4), mask);
        put_dword(words, to, j, _mm256_shuffle_epi8(table, low), &sum);
        put_dword(words, to, j + 4, _mm256_shuffle_epi8(table, high), &sum);
    }
    /* the table is doubled */
    __m256 scale = _mm256_mul_ps(mxfp4_scales(row, at), _mm256_set1_ps(0.5f));
    store(to + BLOCK_STEPS(words) * STEP_BYTES, _mm256_castps_si256(scale));
    if (!words) {
        store(to + (BLOCK_STEPS(words) + 1) * STEP_BYTES, negative(sum));
    }
}

OSL_INLINE void unpack_q8_0(uint8_t *to, const uint8_t *const row[LANES], size_t at)
{
    OSL_UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i dword[4];
        transpose_rows(row, at + 2 + (size_t)half * 16, dword);
        OSL_UNROLL
        for (int j = 0; j < 4; j++) {
            put_dword(true, to, half * 4 + j, dword[j], NULL);
        }
    }
    float scale[LANES];
    for (int r = 0; r < LANES; r++) {
        scale[r] = _cvtsh_ss(osl_load_u16(row[r] + at));
    }
    memcpy(to + BLOCK_STEPS(true) * STEP_BYTES, scale, sizeof scale);
}

/* Unpacks 16 rows; rows past the last repeat it, and their results are not stored. */
OSL_INLINE void unpack_part(enum osl_dtype dtype, const bool words, uint8_t *part,
                            const uint8_t *weight, uint64_t row_bytes, uint32_t rows,
                            uint32_t blocks)
{
    const uint8_t *row[PART_ROWS];
    for (uint32_t r = 0; r < PART_ROWS; r++) {
        row[r] = weight + (r < rows ? r : rows - 1) * row_bytes;
    }
    for (uint32_t block = 0; block < blocks; block++) {
        for (uint32_t first = 0; first < PART_ROWS; first += LANES) {
            uint8_t *to = part + first * 4;
            if (dtype == OSL_DTYPE_MXFP4) {
                unpack_mxfp4(words, to, row + first, (size_t)block * OSL_MXFP4_BLOCK_BYTES);
            } else {
                unpack_q8_0(to, row + first, (size_t)block * OSL_Q8_0_BLOCK_BYTES);
            }
        }
        part += BLOCK_BYTES(words);
    }
}

/* A packed row of one plane as one of two. */
static void widen_token(uint8_t *to, const uint8_t *x, uint32_t blocks)
{
    for (uint32_t block = 0; block < blocks; block++) {
        memcpy(to, x, sizeof(float));
        OSL_UNROLL
        for (int i = 0; i < OSL_BLOCK_COLS; i += 16) {
            __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(x + 4 + i)));
            store(to + 4 + 2 * i, _mm256_sub_epi16(wide, _mm256_set1_epi16(128)));
        }
        x += OSL_PACK_BLOCK_BYTES(1);
        to += OSL_PACK_BLOCK_BYTES(2);
    }
}

/* ---- Multiplying ------------------------------------------------------------------------- */

/* Packed rows of up to TILE_TOKENS tokens, where their results go, and what to prefetch meanwhile:
 * `lines` cache lines a block. */
struct tokens {
    const uint8_t *x[TILE_TOKENS];
    float *out[TILE_TOKENS];
    const uint8_t *ahead;
    uint32_t lines;
};

/* The sums of a block of the part, for `count` tokens; `at` is where its values begin. */
OSL_INLINE void add_block(const bool words, const int count, const uint8_t *part,
                          const uint8_t *const x[TILE_TOKENS], size_t at,
                          __m256i dot[2][TILE_TOKENS])
{
    const int steps = BLOCK_STEPS(words);
    const uint8_t *start = part + (steps + 1) * STEP_BYTES;
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        dot[0][t] = words ? _mm256_setzero_si256() : load(start);
        dot[1][t] = words ? _mm256_setzero_si256() : load(start + 32);
    }
    OSL_UNROLL
    for (int j = 0; j < steps; j++) {
        OSL_KEEP_ORDER;
        __m256i w0 = load(part + j * STEP_BYTES);
        __m256i w1 = load(part + j * STEP_BYTES + 32);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            int32_t four;
            memcpy(&four, x[t] + at + 4 * (size_t)j, sizeof four);
            __m256i value = _mm256_set1_epi32(four);
            dot[0][t] = add_products(words, dot[0][t], value, w0);
            dot[1][t] = add_products(words, dot[1][t], value, w1);
            DONE_NOW(dot[0][t]);
            DONE_NOW(dot[1][t]);
        }
    }
    OSL_KEEP_ORDER;
}

/* 16 rows by `count` tokens; count and words are constants here. */
OSL_INLINE void multiply_part(const bool words, const int count, const uint8_t *part,
                              const struct tokens *x, uint32_t first, uint32_t rows,
                              uint32_t blocks)
{
    __m256 total[2][TILE_TOKENS];
    __m256i dot[2][TILE_TOKENS];
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        total[0][t] = _mm256_setzero_ps();
        total[1][t] = _mm256_setzero_ps();
    }
    const uint8_t *const from[TILE_TOKENS] = {x->x[0], x->x[1], x->x[2]};
    size_t at = 0;
    const uint8_t *ahead = x->ahead;
    const uint32_t lines = x->lines;
    for (uint32_t block = 0; block < blocks; block++) {
        for (uint32_t i = 0; i < lines; i++, ahead += CACHE_LINE) {
            _mm_prefetch((const char *)ahead, _MM_HINT_T1); /* the tile itself fills the L1 */
        }
        add_block(words, count, part, from, at + 4, dot);
        const float *scales = (const float *)(const void *)(part + BLOCK_STEPS(words) * STEP_BYTES);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            float scale;
            memcpy(&scale, from[t] + at, sizeof scale);
            OSL_UNROLL
            for (int half = 0; half < 2; half++) {
                __m256 value = _mm256_cvtepi32_ps(sum_of(words, dot[half][t]));
                value = _mm256_mul_ps(value, _mm256_set1_ps(scale));
                total[half][t] = _mm256_fmadd_ps(value, _mm256_loadu_ps(scales + half * LANES),
                                                 total[half][t]);
            }
        }
        at += OSL_PACK_BLOCK_BYTES(words ? 2u : 1u);
        part += BLOCK_BYTES(words);
    }
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    OSL_UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i stored = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)rows - half * LANES), lane);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            _mm256_maskstore_ps(x->out[t] + first + half * LANES, stored, total[half][t]);
        }
    }
}

#define MULTIPLY_TOKENS(name, words)                                                               \
    static void name(uint32_t count, const uint8_t *part, const struct tokens *x, uint32_t first,  \
                     uint32_t rows, uint32_t blocks)                                               \
    {                                                                                              \
        switch (count) {                                                                           \
        case 1: multiply_part(words, 1, part, x, first, rows, blocks); break;                      \
        case 2: multiply_part(words, 2, part, x, first, rows, blocks); break;                      \
        default: multiply_part(words, 3, part, x, first, rows, blocks); break;                     \
        }                                                                                          \
    }
MULTIPLY_TOKENS(multiply_bytes, false)
MULTIPLY_TOKENS(multiply_words, true)

/* All tokens with an unpacked tile of `rows` rows, whose results go to rows of `out`. */
OSL_INLINE void multiply_all(enum osl_dtype dtype, const bool words, float *out,
                             uint32_t out_stride, uint8_t *tile, uint32_t rows, uint32_t blocks,
                             const struct osl_act *x, const uint32_t *token_index, uint32_t tokens,
                             struct tokens *some)
{
    const bool widen = dtype == OSL_DTYPE_Q8_0 && x->planes == 1;
    const uint8_t *ahead_end = some->ahead + x->ahead_bytes;
    for (uint32_t t = 0; t < tokens; t += TILE_TOKENS) {
        uint32_t batch = tokens - t < TILE_TOKENS ? tokens - t : TILE_TOKENS;
        for (uint32_t i = 0; i < batch; i++) {
            size_t token = token_index != NULL ? token_index[t + i] : t + i;
            some->x[i] = (const uint8_t *)x->q + token * x->q_stride;
            some->out[i] = out + (size_t)(t + i) * out_stride;
            if (widen) {
                uint8_t *wide = tile + 2 * PART_BYTES(true, blocks) +
                                (size_t)i * blocks * OSL_PACK_BLOCK_BYTES(2);
                widen_token(wide, some->x[i], blocks);
                some->x[i] = wide;
            }
        }
        for (uint32_t first = 0; first < rows; first += PART_ROWS) {
            const uint8_t *part = tile + first / PART_ROWS * PART_BYTES(words, blocks);
            if (words) {
                multiply_words(batch, part, some, first, rows - first, blocks);
            } else {
                multiply_bytes(batch, part, some, first, rows - first, blocks);
            }
            some->ahead += (size_t)some->lines * blocks * CACHE_LINE;
            some->lines = some->ahead < ahead_end ? some->lines : 0;
        }
    }
}

OSL_INLINE void matmul(enum osl_dtype dtype, const bool words, float *out, uint32_t out_stride,
                       const void *weight, uint64_t row_bytes, uint32_t rows, uint32_t cols,
                       const struct osl_act *x, const uint32_t *token_index, uint32_t tokens,
                       void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    OSL_ASSERT_HOT(x->planes == 1 || x->planes == 2);
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    const uint64_t turns = ((uint64_t)rows + PART_ROWS - 1) / PART_ROWS *
                           ((tokens + TILE_TOKENS - 1) / TILE_TOKENS) * blocks;
    struct tokens some = {
        .ahead = x->ahead_bytes > 0 ? x->ahead : weight,
        .lines = (uint32_t)((x->ahead_bytes / CACHE_LINE + turns - 1) / turns),
    };
    struct osl_act rest = *x; /* what is left to prefetch */
    for (uint32_t r = 0; r < rows; r += TILE_ROWS) {
        uint32_t tile_rows = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
        for (uint32_t first = 0; first < tile_rows; first += PART_ROWS) {
            const uint8_t *row = (const uint8_t *)weight + (r + first) * row_bytes;
            unpack_part(dtype, words,
                        (uint8_t *)scratch + first / PART_ROWS * PART_BYTES(words, blocks), row,
                        row_bytes, tile_rows - first, blocks);
        }
        const uint8_t *before = some.ahead;
        multiply_all(dtype, words, out + r, out_stride, scratch, tile_rows, blocks, &rest,
                     token_index, tokens, &some);
        uint64_t done = (uint64_t)(some.ahead - before);
        rest.ahead_bytes -= done < rest.ahead_bytes ? done : rest.ahead_bytes;
    }
}

void YMM_FN(matmul_mxfp4)(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,
                          uint32_t rows, uint32_t cols, const struct osl_act *x,
                          const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    if (x->planes == 2) {
        matmul(OSL_DTYPE_MXFP4, true, out, out_stride, weight, row_bytes, rows, cols, x,
               token_index, tokens, scratch);
    } else {
        matmul(OSL_DTYPE_MXFP4, false, out, out_stride, weight, row_bytes, rows, cols, x,
               token_index, tokens, scratch);
    }
}

void YMM_FN(matmul_q8_0)(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,
                         uint32_t rows, uint32_t cols, const struct osl_act *x,
                         const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    matmul(OSL_DTYPE_Q8_0, true, out, out_stride, weight, row_bytes, rows, cols, x, token_index,
           tokens, scratch);
}
