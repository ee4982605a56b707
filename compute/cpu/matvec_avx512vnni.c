/* matvec for MXFP4 and Q8_0 with AVX-512 VNNI, over the file's own layout.
 *
 * One row at a time, in order, prefetching 2 KiB ahead: measured on a 2-core Zen 5 this reaches
 * the machine's read bandwidth, several rows at once reached a third of it (design.md, CPU).
 *
 * The dot instruction wants unsigned times signed, so weights are shifted up by 12 (doubled MXFP4
 * values) or 128 (Q8_0), and the activations times the shift are taken off again, lane by lane in
 * integers: what a lane holds is exact, and zero for weights of zero. It is then scaled by the
 * activation's and the weight's scale in f32 and added, block after block, to vectors of partial
 * sums; see add_sums for their order. */
#include "platform/platform.h"

#include <immintrin.h>

#include "x86_int8.h"
#include "x86_tables.h"

#define GROUP_BLOCKS 16 /* blocks whose activation scales fill a vector */
#define QUAD_BLOCKS 4
#define PREFETCH_BYTES 2048
#define CACHE_LINE 64

static inline float add_sums(const __m512 sum[4])
{
    __m512 all = _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3]));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
}

OSL_INLINE void prefetch_group(const uint8_t *at, const int bytes)
{
    OSL_UNROLL
    for (int i = 0; i < bytes; i += CACHE_LINE) {
        _mm_prefetch((const char *)at + PREFETCH_BYTES + i, _MM_HINT_T0);
    }
}

/* First `count` lanes of 16, bytes of 64. */
static inline __mmask16 lanes(uint32_t count)
{
    return (__mmask16)((1u << count) - 1u);
}
static inline __mmask64 bytes(uint32_t count)
{
    return count >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

/* ---- MXFP4 ------------------------------------------------------------------------------- */

#define QUAD_BYTES (QUAD_BLOCKS * OSL_MXFP4_BLOCK_BYTES)
#define QUADS_MAX (OSL_COLS_MAX / (QUAD_BLOCKS * OSL_BLOCK_COLS))

/* What every row needs of the activations, laid out once a call for four blocks at a time. Lanes
 * 4k..4k+3 of a vector belong to block k. Blocks past the last are zeros. */
struct quads {
    __m512i low[QUADS_MAX];   /* activations of a block's first 16 columns, */
    __m512i high[QUADS_MAX];  /* and of its other 16 */
    __m512i shift[QUADS_MAX]; /* -12 times what each lane sums of them */
    __m512 scale[QUADS_MAX];  /* halved, since the table is doubled */
};

static void prepare_quads(struct quads *quads, const struct osl_act *x, uint32_t blocks)
{
    const __m512i twelve = _mm512_set1_epi8(OSL_MXFP4_SHIFT);
    const __m512i spread = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    for (uint32_t block = 0; block < blocks; block += QUAD_BLOCKS) {
        uint32_t quad = block / QUAD_BLOCKS;
        uint32_t count = blocks - block < QUAD_BLOCKS ? blocks - block : QUAD_BLOCKS;
        const int8_t *q = x->q + (size_t)block * OSL_BLOCK_COLS;
        __m512i first = _mm512_maskz_loadu_epi8(bytes(count * OSL_BLOCK_COLS), q);
        __m512i second = _mm512_maskz_loadu_epi8(count > 2 ? bytes((count - 2) * 32) : 0, q + 64);
        __m512i low = _mm512_shuffle_i64x2(first, second, 0x88);
        __m512i high = _mm512_shuffle_i64x2(first, second, 0xdd);
        __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), twelve, low);
        sum = _mm512_dpbusd_epi32(sum, twelve, high);
        __m512 scale = _mm512_maskz_loadu_ps(lanes(count), x->scale + block);
        scale = _mm512_mul_ps(scale, _mm512_set1_ps(0.5f));
        quads->low[quad] = low;
        quads->high[quad] = high;
        quads->shift[quad] = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
        quads->scale[quad] = _mm512_permutexvar_ps(spread, scale);
    }
}

/* Four blocks of one row, or the first `count` where not full: no others are read. */
OSL_INLINE __m512 mxfp4_quad(const bool full, const uint8_t *at, const struct quads *quads,
                             uint32_t quad, uint32_t count, __m512 sum)
{
    __m512i exponent;
    __m512i nibbles;
    if (full) {
        __m256i pair0 = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(at + 1))),
            _mm_loadu_si128((const void *)(at + 18)), 1);
        __m256i pair1 = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(at + 35))),
            _mm_loadu_si128((const void *)(at + 52)), 1);
        nibbles = _mm512_inserti64x4(_mm512_castsi256_si512(pair0), pair1, 1);
        exponent = _mm512_loadu_si512(at);
    } else {
        nibbles = _mm512_setzero_si512();
        OSL_UNROLL
        for (uint32_t i = 0; i < QUAD_BLOCKS - 1; i++) { /* the fourth is absent */
            if (i < count) {
                __m128i block = _mm_loadu_si128((const void *)(at + 17 * i + 1));
                __mmask16 place = (__mmask16)(0xf << 4 * i);
                nibbles = _mm512_mask_broadcast_i32x4(nibbles, place, block);
            }
        }
        exponent = _mm512_maskz_loadu_epi8(bytes(count * OSL_MXFP4_BLOCK_BYTES), at);
    }
    /* the scale byte of block k, at 17k, to every dword of 128-bit lane k */
    const __m512i pick = _mm512_add_epi32(
        _mm512_set1_epi32((int)0x80808000),
        _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0));
    exponent = _mm512_slli_epi32(_mm512_shuffle_epi8(exponent, pick), 23);
    exponent = _mm512_max_epi32(exponent, _mm512_set1_epi32(0x00400000)); /* byte 0: 2^-127 */

    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i table = _mm512_broadcast_i32x4(osl_mxfp4_shifted());
    __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(nibbles, mask));
    nibbles = _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), mask);
    __m512i high = _mm512_shuffle_epi8(table, nibbles);
    __m512i dot = _mm512_dpbusd_epi32(quads->shift[quad], low, quads->low[quad]);
    dot = _mm512_dpbusd_epi32(dot, high, quads->high[quad]);
    __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), quads->scale[quad]);
    return _mm512_fmadd_ps(scaled, _mm512_castsi512_ps(exponent), sum);
}

static inline float mxfp4_row(const uint8_t *at, uint32_t blocks, const struct quads *quads)
{
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                     _mm512_setzero_ps()};
    const uint32_t full = blocks / QUAD_BLOCKS;
    uint32_t quad = 0;
    for (; quad + 4 <= full; quad += 4) {
        prefetch_group(at, 4 * QUAD_BYTES);
        OSL_UNROLL
        for (uint32_t i = 0; i < 4; i++) {
            sum[i] = mxfp4_quad(true, at + i * QUAD_BYTES, quads, quad + i, 0, sum[i]);
        }
        at += 4 * QUAD_BYTES;
    }
    prefetch_group(at, 4 * QUAD_BYTES);
    OSL_UNROLL
    for (uint32_t i = 0; i < 3; i++) {
        if (quad < full) {
            sum[i] = mxfp4_quad(true, at, quads, quad, 0, sum[i]);
            at += QUAD_BYTES;
            quad++;
        }
    }
    if (blocks % QUAD_BLOCKS != 0) {
        sum[3] = mxfp4_quad(false, at, quads, quad, blocks % QUAD_BLOCKS, sum[3]);
    }
    return add_sums(sum);
}

void osl_avx512_matvec_mxfp4(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                             uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    struct quads quads;
    const uint8_t *row = weight;
    prepare_quads(&quads, x, cols / OSL_BLOCK_COLS);
    for (uint32_t r = 0; r < rows; r++) {
        out[r] = mxfp4_row(row, cols / OSL_BLOCK_COLS, &quads);
        row += row_bytes;
    }
}

/* ---- Q8_0 -------------------------------------------------------------------------------- */

/* Two blocks (one, if not full): lanes 0..7 belong to the first. scale holds the group's products
 * of both scales. */
OSL_INLINE __m512 q8_pair(const bool full, const uint8_t *at, const int8_t *q, __m512 scale,
                          const int pair, __m512 sum)
{
    __m512i weight = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)(at + 2)));
    __m512i x;
    if (full) {
        __m256i second = _mm256_loadu_si256((const void *)(at + OSL_Q8_0_BLOCK_BYTES + 2));
        weight = _mm512_inserti64x4(weight, second, 1);
        x = _mm512_loadu_si512(q);
    } else {
        x = _mm512_maskz_loadu_epi8(bytes(32), q);
    }
    const __m512i shift = _mm512_set1_epi8((char)0x80);
    weight = _mm512_xor_si512(weight, shift);
    const __m512i spread =
        _mm512_add_epi32(_mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0),
                         _mm512_set1_epi32(2 * pair));
    __m512i dot = _mm512_sub_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), weight, x),
                                   _mm512_dpbusd_epi32(_mm512_setzero_si512(), shift, x));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(spread, scale), sum);
}

/* The f16 scales of `count` blocks, 1..16, as f32; lanes past them repeat the last. */
OSL_INLINE __m512 q8_scales(const uint8_t *at, const uint32_t count)
{
    __m128i half[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
    const uint8_t *last = at + (size_t)(count - 1) * OSL_Q8_0_BLOCK_BYTES;
#define SCALE(i) osl_load_u16(count > (i) ? at + (size_t)(i) * OSL_Q8_0_BLOCK_BYTES : last)
#define INSERT(i)                                                        \
    half[0] = _mm_insert_epi16(half[0], SCALE(i), (i));                  \
    half[1] = _mm_insert_epi16(half[1], SCALE((i) + 8), (i))
    INSERT(0);
    INSERT(1);
    INSERT(2);
    INSERT(3);
    INSERT(4);
    INSERT(5);
    INSERT(6);
    INSERT(7);
#undef INSERT
#undef SCALE
    return _mm512_cvtph_ps(_mm256_set_m128i(half[1], half[0]));
}

OSL_INLINE __m512 q8_group(const uint8_t *at, const struct osl_act *x, uint32_t block,
                           const uint32_t count)
{
    __m512 scale = _mm512_maskz_loadu_ps(lanes(count), x->scale + block);
    /* absent blocks: 0, whatever the repeated scale */
    return _mm512_maskz_mul_ps(lanes(count), scale, q8_scales(at, count));
}

static inline float q8_row(const uint8_t *at, uint32_t blocks, const struct osl_act *x)
{
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                     _mm512_setzero_ps()};
    const int8_t *q = x->q;
    uint32_t block = 0;
    for (; block + GROUP_BLOCKS <= blocks; block += GROUP_BLOCKS) {
        prefetch_group(at, GROUP_BLOCKS * OSL_Q8_0_BLOCK_BYTES);
        __m512 scale = q8_group(at, x, block, GROUP_BLOCKS);
        OSL_UNROLL
        for (int pair = 0; pair < 8; pair++) {
            sum[pair % 4] = q8_pair(true, at, q, scale, pair, sum[pair % 4]);
            at += 2 * OSL_Q8_0_BLOCK_BYTES;
            q += 2 * OSL_BLOCK_COLS;
        }
    }
    uint32_t left = blocks - block;
    if (left > 0) {
        prefetch_group(at, GROUP_BLOCKS * OSL_Q8_0_BLOCK_BYTES);
        __m512 scale = q8_group(at, x, block, left);
        OSL_UNROLL
        for (int pair = 0; pair < 8; pair++) {
            if (left >= 2) {
                sum[pair % 4] = q8_pair(true, at, q, scale, pair, sum[pair % 4]);
                at += 2 * OSL_Q8_0_BLOCK_BYTES;
                q += 2 * OSL_BLOCK_COLS;
                left -= 2;
            } else if (left > 0) {
                sum[pair % 4] = q8_pair(false, at, q, scale, pair, sum[pair % 4]);
                left = 0;
            }
        }
    }
    return add_sums(sum);
}

void osl_avx512_matvec_q8_0(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                            uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint8_t *row = weight;
    for (uint32_t r = 0; r < rows; r++) {
        out[r] = q8_row(row, cols / OSL_BLOCK_COLS, x);
        row += row_bytes;
    }
}
