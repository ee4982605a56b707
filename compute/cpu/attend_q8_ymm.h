/* Decode attention over the q8 cache in 256-bit vectors: what attend_q8_vec.h asks for, with
 * YMM_VNNI by the dot instruction. The including file defines VEC_FN. */
#ifndef OSL_ATTEND_Q8_YMM_H
#define OSL_ATTEND_Q8_YMM_H

#include <string.h>

#include "unroll.h"
#include "vec_avx2.h"

#define HEADS_TOGETHER 4 /* 8 sums of 16 registers */
#define DONE_NOW(value) __asm__("" : "+x"(value))

typedef __m256i ivec;

OSL_INLINE ivec ivec_zero(void)
{
    return _mm256_setzero_si256();
}
OSL_INLINE ivec ivec_load(const void *from)
{
    return _mm256_loadu_si256(from);
}
OSL_INLINE void ivec_store(void *to, ivec a)
{
    _mm256_storeu_si256(to, a);
}
OSL_INLINE ivec ivec_splat(const int16_t *pair)
{
    int32_t dword;
    memcpy(&dword, pair, sizeof dword);
    return _mm256_set1_epi32(dword);
}
OSL_INLINE ivec add_products(ivec sum, ivec a, ivec b)
{
#ifdef YMM_VNNI
    return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
    ivec products = _mm256_madd_epi16(a, b);
    __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products)); /* in place: see DONE_NOW */
    return sum;
#endif
}
OSL_INLINE void transpose_rows(const uint8_t *rows, size_t row_bytes, ivec out[VEC_LANES])
{
    vec square[VEC_LANES];
    OSL_UNROLL
    for (uint32_t i = 0; i < VEC_LANES; i++) {
        square[i] = _mm256_castsi256_ps(ivec_load(rows + i * row_bytes));
    }
    vec_transpose(square);
    OSL_UNROLL
    for (uint32_t i = 0; i < VEC_LANES; i++) {
        out[i] = _mm256_castps_si256(square[i]);
    }
}
OSL_INLINE ivec widen_low_bytes(ivec a)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8);
}
OSL_INLINE ivec widen_high_bytes(ivec a)
{
    return _mm256_srai_epi16(a, 8);
}
OSL_INLINE ivec widen_row(const uint8_t *bytes)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}
OSL_INLINE ivec interleave_low(ivec a, ivec b)
{
    return _mm256_unpacklo_epi16(a, b);
}
OSL_INLINE ivec interleave_high(ivec a, ivec b)
{
    return _mm256_unpackhi_epi16(a, b);
}
OSL_INLINE ivec pack_words(ivec a, ivec b)
{
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}
OSL_INLINE ivec whole_of(vec a)
{
    return _mm256_cvtps_epi32(a);
}
OSL_INLINE vec float_of(ivec a)
{
    return _mm256_cvtepi32_ps(a);
}
OSL_INLINE vec times_power(vec a, vec b)
{
    ivec exponent = _mm256_slli_epi32(_mm256_castps_si256(b), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponent));
}
OSL_INLINE vec scales_of(const uint32_t *pairs, uint32_t upper)
{
    ivec both = ivec_load(pairs);
    ivec one = upper ? _mm256_srli_epi32(both, 16)
                     : _mm256_and_si256(both, _mm256_set1_epi32(0xffff));
    return _mm256_cvtph_ps(
        _mm_packus_epi32(_mm256_castsi256_si128(one), _mm256_extracti128_si256(one, 1)));
}

#include "attend_q8_vec.h"

#endif
