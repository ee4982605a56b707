/* What matvec with AVX-512 VNNI is made of, for one token and for several: how activations are laid
 * out, how weights are unpacked, and how a row's partial sums become one. matvec_avx512vnni.c says
 * why it is so. */
#ifndef OSL_MATVEC_AVX512VNNI_H
#define OSL_MATVEC_AVX512VNNI_H

#include "platform/platform.h"

#include <immintrin.h>

#include "x86_int8.h"
#include "x86_tables.h"

#define GROUP_BLOCKS 16 /* Q8_0 blocks whose weight scales fill a vector */
#define QUAD_BLOCKS 4
#define PREFETCH_BYTES 6144
#define CACHE_LINE 64

static inline float add_sums(const __m512 sum[4])
{
    __m512 all = _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3]));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
}

OSL_INLINE void prefetch(const uint8_t *at, const int count)
{
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        _mm_prefetch((const char *)at + PREFETCH_BYTES + (size_t)i * CACHE_LINE, _MM_HINT_T0);
    }
}

/* The first `count` lanes. */
OSL_INLINE __mmask16 lanes(uint32_t count)
{
    return (__mmask16)((1u << count) - 1u);
}

/* The integer sum of both planes. */
OSL_INLINE __m512i join_planes(__m512i high, __m512i low)
{
    return _mm512_add_epi32(_mm512_slli_epi32(high, 8), low);
}

/* ---- MXFP4 ------------------------------------------------------------------------------- */

/* Activations of four blocks, block k in the 128-bit lane k of every vector. Absent blocks are
 * zero throughout. */
struct mxfp4_quad {
    __m512i high[2]; /* the high plane of a block's first and last 16 elements */
    __m512i low[2];
    __m512i start;
    __m512 scale; /* halved: the table is doubled */
};
#define QUADS_MAX (OSL_COLS_MAX / OSL_BLOCK_COLS / QUAD_BLOCKS)
#define QUAD_BYTES (QUAD_BLOCKS * OSL_MXFP4_BLOCK_BYTES)
#define QUADS_STEP 4 /* taken together; each has a vector of partial sums */

OSL_INLINE __m128i load16(const void *at)
{
    return _mm_loadu_si128(at);
}

/* Minus the shift times the activations, lane by lane: weights of zero then give exact zeros. */
OSL_INLINE __m512i mxfp4_start(const struct mxfp4_quad *x)
{
    const __m512i shift = _mm512_set1_epi8(OSL_MXFP4_SHIFT), zero = _mm512_setzero_si512();
    __m512i high = _mm512_dpbusd_epi32(zero, shift, x->high[0]);
    __m512i low = _mm512_dpbusd_epi32(zero, shift, x->low[0]);
    high = _mm512_dpbusd_epi32(high, shift, x->high[1]);
    low = _mm512_dpbusd_epi32(low, shift, x->low[1]);
    return _mm512_sub_epi32(zero, join_planes(high, low));
}

static inline void mxfp4_prepare(struct mxfp4_quad *quads, uint32_t blocks, const struct osl_act *x)
{
    const __m512i spread = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    for (uint32_t first = 0; first < blocks; first += QUAD_BLOCKS) {
        struct mxfp4_quad *quad = &quads[first / QUAD_BLOCKS];
        const int8_t *q = x->q + (size_t)first * OSL_ACT_BLOCK_BYTES;
        uint32_t count = blocks - first < QUAD_BLOCKS ? blocks - first : QUAD_BLOCKS;
        __m512i block[QUAD_BLOCKS]; /* four lanes: high plane, low plane, two halves each */
        OSL_UNROLL
        for (uint32_t k = 0; k < QUAD_BLOCKS; k++) {
            __mmask8 there = k < count ? 0xff : 0;
            block[k] = _mm512_maskz_loadu_epi64(there, q + (size_t)k * OSL_ACT_BLOCK_BYTES);
        }
        __m512i high01 = _mm512_shuffle_i64x2(block[0], block[1], 0x44);
        __m512i high23 = _mm512_shuffle_i64x2(block[2], block[3], 0x44);
        __m512i low01 = _mm512_shuffle_i64x2(block[0], block[1], 0xee);
        __m512i low23 = _mm512_shuffle_i64x2(block[2], block[3], 0xee);
        quad->high[0] = _mm512_shuffle_i64x2(high01, high23, 0x88);
        quad->high[1] = _mm512_shuffle_i64x2(high01, high23, 0xdd);
        quad->low[0] = _mm512_shuffle_i64x2(low01, low23, 0x88);
        quad->low[1] = _mm512_shuffle_i64x2(low01, low23, 0xdd);
        quad->start = mxfp4_start(quad);
        __m512 scale = _mm512_maskz_loadu_ps(lanes(count), x->scale + first);
        scale = _mm512_mul_ps(scale, _mm512_set1_ps(0.5f));
        quad->scale = _mm512_permutexvar_ps(spread, scale);
    }
}

/* A block's scale, 2^(byte - 127), in every lane of its blocks. The bytes behind `exponent` hold
 * block k's at 17k, which is in the 128-bit lane k. */
OSL_INLINE __m512i mxfp4_exponent(__m512i exponent)
{
    const __m512i pick =
        _mm512_set_epi32((int)0x80808003, (int)0x80808003, (int)0x80808003, (int)0x80808003,
                         (int)0x80808002, (int)0x80808002, (int)0x80808002, (int)0x80808002,
                         (int)0x80808001, (int)0x80808001, (int)0x80808001, (int)0x80808001,
                         (int)0x80808000, (int)0x80808000, (int)0x80808000, (int)0x80808000);
    exponent = _mm512_slli_epi32(_mm512_shuffle_epi8(exponent, pick), 23);
    return _mm512_max_epi32(exponent, _mm512_set1_epi32(0x00400000)); /* byte 0: 2^-127 */
}

/* A quad's nibbles; its scale bytes are behind _mm512_loadu_si512(at). */
OSL_INLINE __m512i mxfp4_nibbles(const uint8_t *at)
{
    __m512i four = _mm512_castsi128_si512(load16(at + 1));
    four = _mm512_inserti32x4(four, load16(at + 18), 1);
    four = _mm512_inserti32x4(four, load16(at + 35), 2);
    return _mm512_inserti32x4(four, load16(at + 52), 3);
}

/* Both of the last 1 to 3 blocks of a row: nothing past them is read. */
OSL_INLINE void mxfp4_load_part(const uint8_t *at, uint32_t count, __m512i *nibbles,
                                __m512i *exponent)
{
    *nibbles = _mm512_setzero_si512();
    for (uint32_t k = 0; k < count; k++) {
        __mmask16 lane = (__mmask16)(0xf << 4 * k);
        *nibbles = _mm512_mask_broadcast_i32x4(*nibbles, lane,
                                               load16(at + (size_t)k * OSL_MXFP4_BLOCK_BYTES + 1));
    }
    __mmask64 there = ((__mmask64)1 << (count * OSL_MXFP4_BLOCK_BYTES)) - 1;
    *exponent = _mm512_maskz_loadu_epi8(there, at);
}

/* ---- Q8_0 -------------------------------------------------------------------------------- */

/* Activations of two blocks, lanes 0..7 the first. An absent second block is zero throughout. */
struct q8_pair {
    __m512i high;
    __m512i low;
    __m512i start;
    __m512 scale;
};
#define PAIRS_MAX (OSL_COLS_MAX / OSL_BLOCK_COLS / 2)
#define PAIR_BYTES (2 * OSL_Q8_0_BLOCK_BYTES)
#define PAIRS_STEP 4 /* taken together; each has a vector of partial sums */

OSL_INLINE __m512i q8_start(const struct q8_pair *x)
{
    const __m512i shift = _mm512_set1_epi8((char)0x80), zero = _mm512_setzero_si512();
    __m512i high = _mm512_dpbusd_epi32(zero, shift, x->high);
    return _mm512_sub_epi32(zero, join_planes(high, _mm512_dpbusd_epi32(zero, shift, x->low)));
}

static inline void q8_prepare(struct q8_pair *pairs, uint32_t blocks, const struct osl_act *x)
{
    const __m512i spread = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    for (uint32_t first = 0; first < blocks; first += 2) {
        struct q8_pair *pair = &pairs[first / 2];
        const int8_t *q = x->q + (size_t)first * OSL_ACT_BLOCK_BYTES;
        uint32_t count = blocks - first < 2 ? 1 : 2;
        __m512i one = _mm512_loadu_si512(q);
        __m512i two = _mm512_maskz_loadu_epi64(count == 2 ? 0xff : 0, q + OSL_ACT_BLOCK_BYTES);
        pair->high = _mm512_shuffle_i64x2(one, two, 0x44);
        pair->low = _mm512_shuffle_i64x2(one, two, 0xee);
        pair->start = q8_start(pair);
        __m512 scale = _mm512_maskz_loadu_ps(lanes(count), x->scale + first);
        pair->scale = _mm512_permutexvar_ps(spread, scale);
    }
}

/* The f16 scales of `count` blocks, 1..16, as f32; lanes past them repeat the last, which is
 * finite or shows in its own block too. */
OSL_INLINE __m512 q8_scales(const uint8_t *at, const uint32_t count)
{
    __m128i half[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
    const uint8_t *last = at + (size_t)(count - 1) * OSL_Q8_0_BLOCK_BYTES;
#define SCALE(i) osl_load_u16(count > (i) ? at + (size_t)(i)*OSL_Q8_0_BLOCK_BYTES : last)
#define INSERT(i)                                                                                  \
    half[0] = _mm_insert_epi16(half[0], SCALE(i), (i));                                            \
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

#endif
