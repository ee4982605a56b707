/* Products of bytes in 256-bit vectors, with YMM_VNNI by the dot instruction, and MXFP4's scales:
 * what matvec_mxfp4_ymm.h and matmul_ymm.h share. */
#ifndef OSL_YMM_INT8_H
#define OSL_YMM_INT8_H

#include "x86_int8.h"

#define LANES 8 /* 32-bit lanes of a vector */

/* Keeps the compiler from computing it later, or from adding in another order, for which it holds
 * all products at once. */
#define DONE_NOW(value) __asm__("" : "+x"(value))

/* Products of four unsigned and four signed bytes in each lane, added to the lane's sum: an integer
 * with the dot instruction, else two of 16 bits that may wrap on the way. */
OSL_INLINE __m256i add_bytes(__m256i sum, __m256i of_unsigned, __m256i of_signed)
{
#ifdef YMM_VNNI
    return _mm256_dpbusd_avx_epi32(sum, of_unsigned, of_signed);
#else
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(of_unsigned, of_signed));
#endif
}

/* The same, added to nothing. */
OSL_INLINE __m256i products_of_bytes(__m256i of_unsigned, __m256i of_signed)
{
#ifdef YMM_VNNI
    return _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), of_unsigned, of_signed);
#else
    return _mm256_maddubs_epi16(of_unsigned, of_signed);
#endif
}

/* Such sums, as one integer a lane. */
OSL_INLINE __m256i sum_of_bytes(__m256i sum)
{
#ifdef YMM_VNNI
    return sum;
#else
    return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
#endif
}

/* Minus such sums, held as they are. */
OSL_INLINE __m256i negative(__m256i sum)
{
#ifdef YMM_VNNI
    return _mm256_sub_epi32(_mm256_setzero_si256(), sum);
#else
    return _mm256_sub_epi16(_mm256_setzero_si256(), sum);
#endif
}

/* 2^(e-127) of the scale bytes `at` bytes from eight places; 255 gives infinity, which shows. */
OSL_INLINE __m256 mxfp4_scales(const uint8_t *const place[LANES], size_t at)
{
    uint64_t bytes = 0;
    OSL_UNROLL
    for (int i = 0; i < LANES; i++) {
        bytes |= (uint64_t)place[i][at] << 8 * i;
    }
    __m256i e = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
    e = _mm256_max_epi32(_mm256_slli_epi32(e, 23), _mm256_set1_epi32(0x00400000)); /* 2^-127 */
    return _mm256_castsi256_ps(e);
}

#endif
