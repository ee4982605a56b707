/* matvec for MXFP4 in 256-bit vectors, over the file's own layout, one row at a time in order.
 * Included by one file per instruction set, which defines MATVEC_MXFP4 and, where the CPU has the
 * dot instruction in its 256-bit form, YMM_VNNI.
 *
 * Eight blocks at a time are transposed, so that a lane holds what belongs to one block: four
 * columns beside the same four of the next block. A lane's sum is then the whole block's, and
 * joining the planes, both scales and the f32 sum cost one vector for eight blocks. Weights are
 * doubled and shifted by 12 to be unsigned; the shift times the activations is where the sums
 * begin. They are kept in 16 bits that may wrap on the way: the result is at most 32 * 12 * 127 in
 * two halves, which fits. So a lane is exact, and is scaled by the product of both scales and added
 * in f32, group after group; then lanes l and l+4, l+2, l+1 are added.
 *
 * Once a call the activations are laid out as the rows want them, which a few rows pay for. */
#include "platform/platform.h"

#include <immintrin.h>

#include "vec_avx2.h"
#include "x86_int8.h"
#include "x86_tables.h"

#define LANES 8   /* blocks in a group */
#define DWORDS 4  /* of nibbles in a block */
#define PREFETCH_BYTES 2048
#define CACHE_LINE 64
#define GROUPS_MAX (OSL_COLS_MAX / OSL_BLOCK_COLS / LANES)

/* Activations of eight blocks: lane l of a vector holds four elements of block l. Absent blocks are
 * zero throughout. */
struct group {
    __m256i high[2 * DWORDS]; /* of the low nibbles, a block's first half, then of the high ones */
    __m256i low[2 * DWORDS];
    __m256i start_high; /* minus the shift times the activations */
    __m256i start_low;
    __m256 scale; /* halved: the table is doubled */
};

/* One dword of four products for each lane of `from`, added to sum: 16-bit pairs of them, or with
 * the dot instruction their sum. */
OSL_INLINE __m256i add_products(__m256i sum, __m256i weight, __m256i x)
{
#ifdef YMM_VNNI
    return _mm256_dpbusd_avx_epi32(sum, weight, x);
#else
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(weight, x));
#endif
}

/* Both planes' sums as the integer they stand for. */
OSL_INLINE __m256i join_planes(__m256i high, __m256i low)
{
#ifdef YMM_VNNI
    return _mm256_add_epi32(_mm256_slli_epi32(high, 8), low);
#else
    high = _mm256_madd_epi16(high, _mm256_set1_epi16(256));
    return _mm256_add_epi32(high, _mm256_madd_epi16(low, _mm256_set1_epi16(1)));
#endif
}

OSL_INLINE __m256i negative(__m256i sum)
{
#ifdef YMM_VNNI
    return _mm256_sub_epi32(_mm256_setzero_si256(), sum);
#else
    return _mm256_sub_epi16(_mm256_setzero_si256(), sum);
#endif
}

/* One plane of `count` blocks. */
OSL_INLINE void prepare_plane(__m256i out[2 * DWORDS], __m256i *start_out, const int8_t *q,
                              uint32_t count)
{
    vec block[LANES];
    OSL_UNROLL
    for (uint32_t lane = 0; lane < LANES; lane++) {
        const int8_t *at = q + (size_t)lane * OSL_ACT_BLOCK_BYTES;
        block[lane] = lane < count ? vec_load((const float *)(const void *)at) : vec_zero();
    }
    vec_transpose(block);
    __m256i sum = _mm256_setzero_si256();
    OSL_UNROLL
    for (uint32_t i = 0; i < 2 * DWORDS; i++) {
        out[i] = _mm256_castps_si256(block[i]);
        sum = add_products(sum, _mm256_set1_epi8(OSL_MXFP4_SHIFT), out[i]);
    }
    *start_out = negative(sum);
}

static void prepare_group(struct group *group, const int8_t *q, const float *scale, uint32_t count)
{
    prepare_plane(group->high, &group->start_high, q, count);
    prepare_plane(group->low, &group->start_low, q + OSL_BLOCK_COLS, count);
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
    group->scale = _mm256_mul_ps(_mm256_maskload_ps(scale, there), _mm256_set1_ps(0.5f));
}

/* Where block i of `count` begins; past them the last again, whose activations are zero. */
OSL_INLINE const uint8_t *block_at(const uint8_t *at, const uint32_t i, const uint32_t count)
{
    return at + (size_t)(i < count ? i : count - 1) * OSL_MXFP4_BLOCK_BYTES;
}

/* The scales of eight blocks as 2^(e-127). */
OSL_INLINE __m256 weight_scales(const uint8_t *at, const uint32_t count)
{
    uint64_t bytes = 0;
    OSL_UNROLL
    for (uint32_t i = 0; i < LANES; i++) {
        bytes |= (uint64_t)*block_at(at, i, count) << 8 * i;
    }
    __m256i e = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
    e = _mm256_max_epi32(_mm256_slli_epi32(e, 23), _mm256_set1_epi32(0x00400000)); /* 2^-127 */
    return _mm256_castsi256_ps(e);
}

/* The nibbles of eight blocks: lane l of out[j] is dword j of block l. */
OSL_INLINE void transpose(const uint8_t *at, const uint32_t count, __m256i out[DWORDS])
{
    __m256i pair[4]; /* blocks i, i+4 */
    OSL_UNROLL
    for (uint32_t i = 0; i < 4; i++) {
        __m128i first = _mm_loadu_si128((const void *)(block_at(at, i, count) + 1));
        __m128i second = _mm_loadu_si128((const void *)(block_at(at, i + 4, count) + 1));
        pair[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    }
    __m256i low01 = _mm256_unpacklo_epi32(pair[0], pair[1]);
    __m256i high01 = _mm256_unpackhi_epi32(pair[0], pair[1]);
    __m256i low23 = _mm256_unpacklo_epi32(pair[2], pair[3]);
    __m256i high23 = _mm256_unpackhi_epi32(pair[2], pair[3]);
    out[0] = _mm256_unpacklo_epi64(low01, low23);
    out[1] = _mm256_unpackhi_epi64(low01, low23);
    out[2] = _mm256_unpacklo_epi64(high01, high23);
    out[3] = _mm256_unpackhi_epi64(high01, high23);
}

/* Up to eight blocks; count is a constant for all groups but a row's last. */
OSL_INLINE __m256 add_group(const uint8_t *at, const uint32_t count, const struct group *x,
                            __m256 sum)
{
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i table = _mm256_broadcastsi128_si256(osl_mxfp4_shifted());
    __m256i nibbles[DWORDS];
    OSL_UNROLL
    for (int i = 0; i < LANES * OSL_MXFP4_BLOCK_BYTES; i += CACHE_LINE) {
        _mm_prefetch((const char *)at + PREFETCH_BYTES + i, _MM_HINT_T0);
    }
    transpose(at, count, nibbles);
    __m256i high = x->start_high;
    __m256i low = x->start_low;
    OSL_UNROLL
    for (int j = 0; j < DWORDS; j++) {
        __m256i first = _mm256_shuffle_epi8(table, _mm256_and_si256(nibbles[j], mask));
        __m256i rest = _mm256_and_si256(_mm256_srli_epi16(nibbles[j], 4), mask);
        rest = _mm256_shuffle_epi8(table, rest);
        high = add_products(high, first, x->high[j]);
        low = add_products(low, first, x->low[j]);
        high = add_products(high, rest, x->high[j + DWORDS]);
        low = add_products(low, rest, x->low[j + DWORDS]);
    }
    __m256 scale = _mm256_mul_ps(x->scale, weight_scales(at, count));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(join_planes(high, low)), scale, sum);
}

static inline float add_lanes(__m256 sum)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

void MATVEC_MXFP4(float *out, const void *weight, uint64_t row_bytes, uint32_t rows, uint32_t cols,
                  const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint32_t blocks = cols / OSL_BLOCK_COLS, full = blocks / LANES, left = blocks % LANES;
    struct group groups[GROUPS_MAX];
    for (uint32_t block = 0; block < blocks; block += LANES) {
        prepare_group(&groups[block / LANES], x->q + (size_t)block * OSL_ACT_BLOCK_BYTES,
                      x->scale + block, blocks - block < LANES ? blocks - block : LANES);
    }
    for (uint32_t r = 0; r < rows; r++) {
        const uint8_t *at = (const uint8_t *)weight + r * row_bytes;
        __m256 sum = _mm256_setzero_ps();
        for (uint32_t g = 0; g < full; g++) {
            sum = add_group(at, LANES, &groups[g], sum);
            at += LANES * OSL_MXFP4_BLOCK_BYTES;
        }
        if (left > 0) {
            sum = add_group(at, left, &groups[full], sum);
        }
        out[r] = add_lanes(sum);
    }
}
