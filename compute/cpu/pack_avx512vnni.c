/* Activations packed for the matmuls of the avx512vnni table; the format is in kernels.h. */
#include "platform/platform.h"

#include <immintrin.h>

#include "x86_int8.h"
#include "x86_tables.h"

static __m512 divide(const float *x, float scale, float limit)
{
    __m512 value = _mm512_div_ps(_mm512_loadu_ps(x), _mm512_set1_ps(scale));
    value = _mm512_roundscale_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    /* the clamp matters where the scale is subnormal and coarse */
    value = _mm512_max_ps(_mm512_set1_ps(-limit), value);
    return _mm512_min_ps(_mm512_set1_ps(limit), value);
}

OSL_INLINE void pack_block(uint8_t *out, const float *x, const uint32_t planes)
{
    const __m512i clear = _mm512_set1_epi32(0x7fffffff);
    const float limit = OSL_PACK_LIMIT(planes);
    const __m512i offset = _mm512_set1_epi32(planes == 2 ? 32768 : 128);
    __m512i low = _mm512_and_si512(_mm512_loadu_si512(x), clear);
    __m512i high = _mm512_and_si512(_mm512_loadu_si512(x + 16), clear);
    uint32_t largest = _mm512_reduce_max_epu32(_mm512_max_epu32(low, high));
    float scale = osl_block_scale(largest, limit);
    bool zero = !(scale > 0.0f);
    memcpy(out, &scale, sizeof scale);
    OSL_UNROLL
    for (int i = 0; i < 2; i++) {
        __m512 value = zero ? _mm512_setzero_ps() : divide(x + 16 * i, scale, limit);
        __m512i integer = _mm512_add_epi32(_mm512_cvtps_epi32(value), offset);
        uint8_t *to = out + 4 + 16 * i;
        if (planes == 2) {
            _mm_storeu_si128((__m128i *)(void *)(to + OSL_BLOCK_COLS),
                             _mm512_cvtepi32_epi8(integer));
            integer = _mm512_srli_epi32(integer, 8);
        }
        _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(integer));
    }
}

void osl_avx512_pack(uint8_t *out, const float *x, uint32_t cols, uint32_t planes)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && (planes == 1 || planes == 2));
    for (uint32_t c = 0; c < cols; c += OSL_BLOCK_COLS) {
        if (planes == 2) {
            pack_block(out, x + c, 2);
        } else {
            pack_block(out, x + c, 1);
        }
        out += OSL_PACK_BLOCK_BYTES(planes);
    }
}
