/* Eight floats at a time: what the *_vec.h kernels are written in. Only for files compiled with
 * AVX2, FMA and F16C. Same names as vec_avx512.h. */
#ifndef OSL_VEC_AVX2_H
#define OSL_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define VEC_LANES 8
typedef __m256 vec;

static inline vec vec_zero(void)
{
    return _mm256_setzero_ps();
}
static inline vec vec_splat(float value)
{
    return _mm256_set1_ps(value);
}
static inline vec vec_load(const float *from)
{
    return _mm256_loadu_ps(from);
}
static inline void vec_store(float *to, vec a)
{
    _mm256_storeu_ps(to, a);
}
static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
static inline vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}
static inline vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
static inline vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}
/* a * b + c, rounded once */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
/* b where either is NaN */
static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}
static inline vec vec_nearest(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n, n whole and in [-151, 128]; right for subnormal results. In two factors, since one
 * exponent field does not span the range; only the second product can be inexact. */
static inline vec vec_scale_exponent(vec a, vec n)
{
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i first = _mm256_srai_epi32(whole, 1);
    __m256i second = _mm256_sub_epi32(whole, first);
    __m256i bias = _mm256_set1_epi32(127);
    __m256i first_bits = _mm256_slli_epi32(_mm256_add_epi32(first, bias), 23);
    __m256i second_bits = _mm256_slli_epi32(_mm256_add_epi32(second, bias), 23);
    a = _mm256_mul_ps(a, _mm256_castsi256_ps(first_bits));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(second_bits));
}
/* Magnitudes, and their largest over both with NaN above everything (as integers order). */
static inline vec vec_largest_magnitude(vec a, vec b)
{
    __m256i clear = _mm256_set1_epi32(0x7fffffff);
    __m256i x = _mm256_and_si256(_mm256_castps_si256(a), clear);
    __m256i y = _mm256_and_si256(_mm256_castps_si256(b), clear);
    return _mm256_castsi256_ps(_mm256_max_epu32(x, y));
}
/* Over the lanes of a result of vec_largest_magnitude: the bits of the largest. */
static inline uint32_t vec_magnitude_bits(vec a)
{
    __m256i v = _mm256_castps_si256(a);
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}
/* Whole numbers in [-128, 127] to int8. */
static inline void vec_store_i8(int8_t *to, vec a)
{
    __m256i whole = _mm256_cvtps_epi32(a);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole),
                                    _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi16(words, words));
}
static inline void vec_store_f16(void *to, vec a)
{
    _mm_storeu_si128(to, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vec vec_load_f16(const void *from)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(from));
}
static inline vec vec_splat_f16(uint16_t half)
{
    return vec_splat(_cvtsh_ss(half));
}
static inline vec vec_load_bf16(const void *from)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
static inline vec vec_load_i8(const void *from)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from)));
}

/* Lane l is added to l+4, then l+2, l+1. */
static inline float vec_sum(vec a)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}
static inline float vec_largest(vec a)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
}

/* With 16 lanes: over l and l +- 8. */
static inline vec vec_eights_max(vec a)
{
    return a;
}
static inline vec vec_eights_sum(vec a)
{
    return a;
}

/* Lane i is the largest lane of a[i]; with 16 lanes i + 8 too. None may be NaN. */
static inline vec vec_eights_largest(const vec a[8])
{
    vec half[4], pair[2];
    for (int i = 0; i < 4; i++) {
        half[i] = _mm256_max_ps(_mm256_permute2f128_ps(a[i], a[i + 4], 0x20),
                                _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
    }
    for (int i = 0; i < 2; i++) {
        pair[i] = _mm256_max_ps(_mm256_unpacklo_ps(half[2 * i], half[2 * i + 1]),
                                _mm256_unpackhi_ps(half[2 * i], half[2 * i + 1]));
    }
    return _mm256_max_ps(_mm256_shuffle_ps(pair[0], pair[1], 0x44),
                         _mm256_shuffle_ps(pair[0], pair[1], 0xee));
}

/* Lane i of the result is the sum of the lanes of a[i]: l and l+4 first, then l+2, l+1. */
static inline vec vec_sum_each(const vec a[VEC_LANES])
{
    vec half[4], pair[2];
    for (int i = 0; i < 4; i++) {
        half[i] = _mm256_add_ps(_mm256_permute2f128_ps(a[i], a[i + 4], 0x20),
                                _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
    }
    for (int i = 0; i < 2; i++) {
        pair[i] = _mm256_add_ps(_mm256_unpacklo_ps(half[2 * i], half[2 * i + 1]),
                                _mm256_unpackhi_ps(half[2 * i], half[2 * i + 1]));
    }
    return _mm256_add_ps(_mm256_shuffle_ps(pair[0], pair[1], 0x44),
                         _mm256_shuffle_ps(pair[0], pair[1], 0xee));
}

/* Rows become columns: lane j of a[i] goes to lane i of a[j]. */
static inline void vec_transpose(vec a[VEC_LANES])
{
    vec b[VEC_LANES];
    for (int i = 0; i < 8; i += 4) { /* 4x4 within each 128 bits */
        __m256d lo01 = _mm256_castps_pd(_mm256_unpacklo_ps(a[i], a[i + 1]));
        __m256d hi01 = _mm256_castps_pd(_mm256_unpackhi_ps(a[i], a[i + 1]));
        __m256d lo23 = _mm256_castps_pd(_mm256_unpacklo_ps(a[i + 2], a[i + 3]));
        __m256d hi23 = _mm256_castps_pd(_mm256_unpackhi_ps(a[i + 2], a[i + 3]));
        b[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(lo01, lo23));
        b[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(lo01, lo23));
        b[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(hi01, hi23));
        b[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(hi01, hi23));
    }
    for (int j = 0; j < 4; j++) {
        a[j] = _mm256_permute2f128_ps(b[j], b[j + 4], 0x20);
        a[j + 4] = _mm256_permute2f128_ps(b[j], b[j + 4], 0x31);
    }
}

#endif
