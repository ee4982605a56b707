/* Decode attention over the q8 cache with vpdpwssd of 512 bits: see attend_q8_vec.h. */
#include <string.h>

#include "unroll.h"
#include "vec_avx512.h"

#define VEC_FN(stem) osl_avx512_##stem
#define HEADS_TOGETHER 8 /* 16 sums of 32 registers */
#define DONE_NOW(value) __asm__("" : "+v"(value))

typedef __m512i ivec;

OSL_INLINE ivec ivec_zero(void)
{
    return _mm512_setzero_si512();
}
OSL_INLINE ivec ivec_load(const void *from)
{
    return _mm512_loadu_si512(from);
}
OSL_INLINE void ivec_store(void *to, ivec a)
{
    _mm512_storeu_si512(to, a);
}
OSL_INLINE ivec ivec_splat(const int16_t *pair)
{
    int32_t dword;
    memcpy(&dword, pair, sizeof dword);
    return _mm512_set1_epi32(dword);
}
OSL_INLINE ivec add_products(ivec sum, ivec a, ivec b)
{
    return _mm512_dpwssd_epi32(sum, a, b);
}

/* 32 bytes of row, and of the row `apart` bytes on. */
OSL_INLINE ivec two_rows(const uint8_t *row, size_t apart)
{
    __m256i one = _mm256_loadu_si256((const __m256i *)(const void *)row);
    __m256i other = _mm256_loadu_si256((const __m256i *)(const void *)(row + apart));
    return _mm512_inserti64x4(_mm512_castsi256_si512(one), other, 1);
}

/* Eight dwords of sixteen rows: lane k of out[i] is dword i of row k. */
OSL_INLINE void transpose_rows(const uint8_t *rows, size_t row_bytes, ivec out[8])
{
    ivec square[8]; /* of keys 0..3 and 4..7, then of 8..11 and 12..15; dwords 0..3, 4..7 */
    OSL_UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        ivec a[4];
        OSL_UNROLL
        for (uint32_t i = 0; i < 4; i++) {
            a[i] = two_rows(rows + (8 * half + i) * row_bytes, 4 * row_bytes);
        }
        ivec lo01 = _mm512_unpacklo_epi32(a[0], a[1]);
        ivec hi01 = _mm512_unpackhi_epi32(a[0], a[1]);
        ivec lo23 = _mm512_unpacklo_epi32(a[2], a[3]);
        ivec hi23 = _mm512_unpackhi_epi32(a[2], a[3]);
        square[4 * half] = _mm512_unpacklo_epi64(lo01, lo23);
        square[4 * half + 1] = _mm512_unpackhi_epi64(lo01, lo23);
        square[4 * half + 2] = _mm512_unpacklo_epi64(hi01, hi23);
        square[4 * half + 3] = _mm512_unpackhi_epi64(hi01, hi23);
    }
    OSL_UNROLL
    for (uint32_t i = 0; i < 4; i++) {
        out[i] = _mm512_shuffle_i32x4(square[i], square[i + 4], 0x88);
        out[i + 4] = _mm512_shuffle_i32x4(square[i], square[i + 4], 0xdd);
    }
}
OSL_INLINE ivec widen_low_bytes(ivec a)
{
    return _mm512_srai_epi16(_mm512_slli_epi16(a, 8), 8);
}
OSL_INLINE ivec widen_high_bytes(ivec a)
{
    return _mm512_srai_epi16(a, 8);
}
OSL_INLINE ivec widen_row(const uint8_t *bytes)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)bytes));
}
OSL_INLINE ivec interleave_low(ivec a, ivec b)
{
    return _mm512_unpacklo_epi16(a, b);
}
OSL_INLINE ivec interleave_high(ivec a, ivec b)
{
    return _mm512_unpackhi_epi16(a, b);
}
OSL_INLINE ivec pack_words(ivec a, ivec b)
{
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
                                    _mm512_packs_epi32(a, b));
}
OSL_INLINE ivec whole_of(vec a)
{
    return _mm512_cvtps_epi32(a);
}
OSL_INLINE vec float_of(ivec a)
{
    return _mm512_cvtepi32_ps(a);
}
OSL_INLINE vec times_power(vec a, vec b)
{
    ivec exponent = _mm512_slli_epi32(_mm512_castps_si512(b), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), exponent));
}
OSL_INLINE vec scales_of(const uint32_t *pairs, uint32_t upper)
{
    ivec both = _mm512_loadu_si512(pairs);
    ivec one = upper ? _mm512_srli_epi32(both, 16) : both;
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(one));
}

#include "attend_q8_vec.h"
