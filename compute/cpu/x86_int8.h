/* Shared by the int8 kernels of the x86 levels. */
#ifndef OSL_X86_INT8_H
#define OSL_X86_INT8_H

#include <immintrin.h>

#include "half.h"
#include "unroll.h"

/* Keeps the compiler from loading earlier, or once for two uses: registers are all taken. */
#define OSL_KEEP_ORDER __asm__ volatile("" ::: "memory")

/* E2M1 by nibble, doubled to whole numbers; shifted by 12 they are unsigned. */
#define OSL_MXFP4_SHIFT 12
static inline __m128i osl_mxfp4_shifted(void)
{
    return _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
}
static inline __m128i osl_mxfp4_doubled(void)
{
    return _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
}

#endif
