/* Sixteen floats at a time: what the *_vec.h kernels are written in. Only for files compiled with
 * AVX-512 F, BW, DQ and VL. Same names as vec_avx2.h. */
#ifndef OSL_VEC_AVX512_H
#define OSL_VEC_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#define VEC_LANES 16
typedef __m512 vec;

static inline vec vec_zero(void)
{
    return _mm512_setzero_ps();
}
static inline vec vec_splat(float value)
{
    return _mm512_set1_ps(value);
}
static inline vec vec_load(const float *from)
{
    return _mm512_loadu_ps(from);
}
static inline void vec_store(float *to, vec a)
{
    _mm512_storeu_ps(to, a);
}
static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
/* a * b + c, rounded once */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* b where either is NaN */
static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
static inline vec vec_nearest(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n, n whole and in [-151, 128]; right for subnormal results */
static inline vec vec_scale_exponent(vec a, vec n)
{
    return _mm512_scalef_ps(a, n);
}
/* Magnitudes, and their largest over both with NaN above everything (as integers order). */
static inline vec vec_largest_magnitude(vec a, vec b)
{
    __m512i clear = _mm512_set1_epi32(0x7fffffff);
    __m512i x = _mm512_and_si512(_mm512_castps_si512(a), clear);
    __m512i y = _mm512_and_si512(_mm512_castps_si512(b), clear);
    return _mm512_castsi512_ps(_mm512_max_epu32(x, y));
}
/* Over the lanes of a result of vec_largest_magnitude: the bits of the largest. */
static inline uint32_t vec_magnitude_bits(vec a)
{
    return _mm512_reduce_max_epu32(_mm512_castps_si512(a));
}
/* Whole numbers in [-128, 127] to int8; returns nothing else. */
static inline void vec_store_i8(int8_t *to, vec a)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}
static inline void vec_store_f16(void *to, vec a)
{
    _mm256_storeu_si256(to, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vec vec_load_f16(const void *from)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(from));
}
static inline vec vec_splat_f16(uint16_t half)
{
    return vec_splat(_cvtsh_ss(half));
}
static inline vec vec_load_bf16(const void *from)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
static inline vec vec_load_i8(const void *from)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from)));
}

/* Lane l is added to l+8, then l+4, l+2, l+1. */
static inline float vec_sum(vec a)
{
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
}
static inline float vec_largest(vec a)
{
    return _mm512_reduce_max_ps(a);
}

/* Lane l and lane l +- 8: the larger. Above and below, a lane's number within 8 keeps its place. */
static inline vec vec_eights_max(vec a)
{
    return _mm512_max_ps(a, _mm512_shuffle_f32x4(a, a, 0x4e));
}
static inline vec vec_eights_sum(vec a)
{
    return _mm512_add_ps(a, _mm512_shuffle_f32x4(a, a, 0x4e));
}

/* Lane i, and i + 8, is the largest lane of a[i]. None may be NaN. */
static inline vec vec_eights_largest(const vec a[8])
{
    vec half[4], quarter[2]; /* halves of 256 bits: below of a[i], then of a[i + 4] */
    for (int i = 0; i < 4; i++) {
        half[i] = _mm512_max_ps(_mm512_shuffle_f32x4(a[i], a[i + 4], 0x44),
                                _mm512_shuffle_f32x4(a[i], a[i + 4], 0xee));
    }
    for (int i = 0; i < 2; i++) {
        quarter[i] = _mm512_max_ps(_mm512_unpacklo_ps(half[2 * i], half[2 * i + 1]),
                                   _mm512_unpackhi_ps(half[2 * i], half[2 * i + 1]));
    }
    vec each = _mm512_max_ps(_mm512_shuffle_ps(quarter[0], quarter[1], 0x44),
                             _mm512_shuffle_ps(quarter[0], quarter[1], 0xee));
    /* 128-bit lanes: a[0..3], again, a[4..7], again */
    return _mm512_max_ps(_mm512_shuffle_f32x4(each, each, 0x88),
                         _mm512_shuffle_f32x4(each, each, 0xdd));
}

/* Lane i of the result is the sum of the lanes of a[i]: l and l+8 first, then l+4, l+2, l+1. */
static inline vec vec_sum_each(const vec a[VEC_LANES])
{
    vec half[8], quarter[4], pair[2];
    for (int i = 0; i < 8; i++) { /* below of a[i], above of a[i + 8] */
        half[i] = _mm512_add_ps(_mm512_mask_blend_ps(0xff00, a[i], a[i + 8]),
                                _mm512_shuffle_f32x4(a[i], a[i + 8], 0x4e));
    }
    for (int i = 0; i < 4; i++) { /* 128-bit lanes of a[i], a[i + 8], a[i + 4], a[i + 12] */
        quarter[i] = _mm512_add_ps(_mm512_shuffle_f32x4(half[i], half[i + 4], 0x88),
                                   _mm512_shuffle_f32x4(half[i], half[i + 4], 0xdd));
    }
    for (int i = 0; i < 2; i++) {
        pair[i] = _mm512_add_ps(_mm512_unpacklo_ps(quarter[2 * i], quarter[2 * i + 1]),
                                _mm512_unpackhi_ps(quarter[2 * i], quarter[2 * i + 1]));
    }
    vec all = _mm512_add_ps(_mm512_shuffle_ps(pair[0], pair[1], 0x44),
                            _mm512_shuffle_ps(pair[0], pair[1], 0xee));
    return _mm512_shuffle_f32x4(all, all, 0xd8);
}

/* Rows become columns: lane j of a[i] goes to lane i of a[j]. */
static inline void vec_transpose(vec a[VEC_LANES])
{
    vec b[VEC_LANES];
    for (int i = 0; i < 16; i += 4) { /* 4x4 within each 128 bits */
        __m512d lo01 = _mm512_castps_pd(_mm512_unpacklo_ps(a[i], a[i + 1]));
        __m512d hi01 = _mm512_castps_pd(_mm512_unpackhi_ps(a[i], a[i + 1]));
        __m512d lo23 = _mm512_castps_pd(_mm512_unpacklo_ps(a[i + 2], a[i + 3]));
        __m512d hi23 = _mm512_castps_pd(_mm512_unpackhi_ps(a[i + 2], a[i + 3]));
        b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo01, lo23));
        b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo01, lo23));
        b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(hi01, hi23));
        b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(hi01, hi23));
    }
    for (int j = 0; j < 4; j++) { /* 4x4 of those pieces */
        vec even01 = _mm512_shuffle_f32x4(b[j], b[j + 4], 0x88);
        vec odd01 = _mm512_shuffle_f32x4(b[j], b[j + 4], 0xdd);
        vec even23 = _mm512_shuffle_f32x4(b[j + 8], b[j + 12], 0x88);
        vec odd23 = _mm512_shuffle_f32x4(b[j + 8], b[j + 12], 0xdd);
        a[j] = _mm512_shuffle_f32x4(even01, even23, 0x88);
        a[j + 8] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
        a[j + 4] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
        a[j + 12] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
    }
}

#endif
