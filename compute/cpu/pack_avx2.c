/* Activations packed for the matmuls in 256-bit vectors; the format is in kernels.h. */
#include "platform/platform.h"

#include <immintrin.h>

#include "vec_avx2.h"
#include "x86_int8.h"
#include "x86_tables.h"

#define VECTORS (OSL_BLOCK_COLS / VEC_LANES)

/* Eight integers of a block of this scale. */
static __m256i divide(const float *x, float scale, float limit)
{
    vec value = vec_nearest(vec_div(vec_load(x), vec_splat(scale)));
    /* the clamp matters where the scale is subnormal and coarse */
    value = vec_min(vec_splat(limit), vec_max(vec_splat(-limit), value));
    return _mm256_cvtps_epi32(value);
}

OSL_INLINE void pack_block(uint8_t *out, const float *x, const uint32_t planes)
{
    const float limit = OSL_PACK_LIMIT(planes);
    vec most = vec_largest_magnitude(vec_load(x), vec_load(x + VEC_LANES));
    most = vec_largest_magnitude(most, vec_load(x + 2 * VEC_LANES));
    most = vec_largest_magnitude(most, vec_load(x + 3 * VEC_LANES));
    float scale = osl_block_scale(vec_magnitude_bits(most), limit);
    bool zero = !(scale > 0.0f);
    memcpy(out, &scale, sizeof scale);
    out += sizeof scale;
    __m256i integer[VECTORS];
    OSL_UNROLL
    for (int i = 0; i < VECTORS; i++) {
        integer[i] = zero ? _mm256_setzero_si256() : divide(x + i * VEC_LANES, scale, limit);
    }
    /* packing works in halves of 128 bits: the quarters 0, 2, 1, 3 */
    __m256i low = _mm256_packs_epi32(integer[0], integer[1]);
    __m256i high = _mm256_packs_epi32(integer[2], integer[3]);
    low = _mm256_permute4x64_epi64(low, 0xd8);
    high = _mm256_permute4x64_epi64(high, 0xd8);
    if (planes == 2) {
        _mm256_storeu_si256((__m256i *)(void *)out, low);
        _mm256_storeu_si256((__m256i *)(void *)(out + OSL_BLOCK_COLS), high);
    } else {
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
        bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8((char)128));
        _mm256_storeu_si256((__m256i *)(void *)out, bytes);
    }
}

void osl_avx2_pack(uint8_t *out, const float *x, uint32_t cols, uint32_t planes)
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
