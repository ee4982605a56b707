/* matvec for MXFP4 and Q8_0 with AVX2, over the file's own layout, one row at a time in order.
 *
 * The 8-bit product wants unsigned times signed: magnitudes of weights times activations that
 * carry the weight's sign. No sum saturates: 4 * 12 * 127 and 2 * 128 * 127 fit 16 bits. What a
 * lane holds of a block is exact; it is scaled by the product of both scales and added in f32 to
 * one of two vectors of partial sums, in turn (MXFP4: every two blocks); these are added, then
 * lanes l and l+4, l+2, l+1. */
#include "platform/platform.h"

#include <immintrin.h>

#include "x86_int8.h"
#include "x86_tables.h"

#define GROUP_BLOCKS 8 /* blocks whose scales fill a vector */
#define PREFETCH_BYTES 2048
#define CACHE_LINE 64

static inline float add_sums(const __m256 sum[2])
{
    __m256 all = _mm256_add_ps(sum[0], sum[1]);
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

OSL_INLINE void prefetch_group(const uint8_t *at, const int bytes)
{
    OSL_UNROLL
    for (int i = 0; i < bytes; i += CACHE_LINE) {
        _mm_prefetch((const char *)at + PREFETCH_BYTES + i, _MM_HINT_T0);
    }
}

/* Activation scales of `count` blocks, zero past them. */
static inline __m256 activation_scales(const float *scale, uint32_t count)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
    return _mm256_maskload_ps(scale, mask);
}

/* Scales of blocks at `at`, 17 bytes apart, as 2^(e-127); lanes past `count` repeat the last. */
OSL_INLINE __m256 mxfp4_scales(const uint8_t *at, const uint32_t count)
{
    __m128i e = _mm_setzero_si128();
#define INSERT(i) e = _mm_insert_epi8(e, at[17u * (count > (i) ? (i) : count - 1)], i)
    INSERT(0);
    INSERT(1);
    INSERT(2);
    INSERT(3);
    INSERT(4);
    INSERT(5);
    INSERT(6);
    INSERT(7);
#undef INSERT
    __m256i bits = _mm256_slli_epi32(_mm256_cvtepu8_epi32(e), 23);
    bits = _mm256_max_epi32(bits, _mm256_set1_epi32(0x00400000)); /* byte 0: 2^-127 */
    return _mm256_castsi256_ps(bits);
}

OSL_INLINE __m256 q8_scales(const uint8_t *at, const uint32_t count)
{
    __m128i half = _mm_setzero_si128();
#define INSERT(i) \
    half = _mm_insert_epi16(half, osl_load_u16(at + 34u * (count > (i) ? (i) : count - 1)), i)
    INSERT(0);
    INSERT(1);
    INSERT(2);
    INSERT(3);
    INSERT(4);
    INSERT(5);
    INSERT(6);
    INSERT(7);
#undef INSERT
    return _mm256_cvtph_ps(half);
}

/* 16-bit sums of pairs of products; weights are signed. */
static inline __m256i multiply_pairs(__m256i weight, __m256i x)
{
    return _mm256_maddubs_epi16(_mm256_abs_epi8(weight), _mm256_sign_epi8(x, weight));
}

/* Two MXFP4 blocks, one in each half; the second may be absent: not read, and counted as zero. */
OSL_INLINE __m256 mxfp4_pair(const bool full, const uint8_t *at, const int8_t *q, __m256 scale,
                             const int pair, __m256 sum)
{
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i table = _mm256_broadcastsi128_si256(osl_mxfp4_doubled());
    __m256i nibbles = _mm256_castsi128_si256(_mm_loadu_si128((const void *)(at + 1)));
    __m256i x0 = _mm256_loadu_si256((const void *)q);
    __m256i x1 = _mm256_setzero_si256();
    if (full) {
        nibbles = _mm256_inserti128_si256(nibbles, _mm_loadu_si128((const void *)(at + 18)), 1);
        x1 = _mm256_loadu_si256((const void *)(q + 32));
    } else {
        nibbles = _mm256_inserti128_si256(nibbles, _mm_setzero_si128(), 1);
    }
    /* low nibbles are a block's first 16 elements, high ones the other 16 */
    __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(nibbles, mask));
    nibbles = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), mask);
    __m256i high = _mm256_shuffle_epi8(table, nibbles);
    __m256i pairs =
        _mm256_add_epi16(multiply_pairs(low, _mm256_permute2x128_si256(x0, x1, 0x20)),
                         multiply_pairs(high, _mm256_permute2x128_si256(x0, x1, 0x31)));
    __m256i dot = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    const __m256i spread = _mm256_add_epi32(_mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1),
                                            _mm256_set1_epi32(2 * pair));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_permutevar8x32_ps(scale, spread), sum);
}

OSL_INLINE __m256 q8_block(const uint8_t *at, const int8_t *q, __m256 scale, const int lane,
                           __m256 sum)
{
    __m256i weight = _mm256_loadu_si256((const void *)(at + 2));
    __m256i pairs = multiply_pairs(weight, _mm256_loadu_si256((const void *)q));
    __m256i dot = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    __m256 factor = _mm256_permutevar8x32_ps(scale, _mm256_set1_epi32(lane));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), factor, sum);
}

/* Up to eight blocks; count is a constant for all groups but a row's last. */
OSL_INLINE void add_group(enum osl_dtype dtype, const uint8_t *at, const int8_t *q,
                          const float *scales, const uint32_t count, __m256 sum[2])
{
    const uint32_t block_bytes =
        dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_BLOCK_BYTES : OSL_Q8_0_BLOCK_BYTES;
    __m256 scale = activation_scales(scales, count);
    prefetch_group(at, GROUP_BLOCKS * (int)block_bytes);
    if (dtype == OSL_DTYPE_MXFP4) { /* the table is doubled */
        scale = _mm256_mul_ps(_mm256_mul_ps(scale, _mm256_set1_ps(0.5f)), mxfp4_scales(at, count));
    } else {
        scale = _mm256_mul_ps(scale, q8_scales(at, count));
    }
    OSL_UNROLL
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        const uint8_t *block = at + i * block_bytes;
        if (dtype == OSL_DTYPE_Q8_0 && i < count) {
            sum[i % 2] = q8_block(block, q + i * OSL_BLOCK_COLS, scale, (int)i, sum[i % 2]);
        } else if (i % 2 == 0 && i + 1 < count) {
            sum[i / 2 % 2] = mxfp4_pair(true, block, q + i * OSL_BLOCK_COLS, scale, (int)i / 2,
                                        sum[i / 2 % 2]);
        } else if (i % 2 == 0 && i < count) {
            sum[i / 2 % 2] = mxfp4_pair(false, block, q + i * OSL_BLOCK_COLS, scale, (int)i / 2,
                                        sum[i / 2 % 2]);
        }
    }
}

OSL_INLINE void matvec(enum osl_dtype dtype, float *out, const void *weight, uint64_t row_bytes,
                       uint32_t rows, uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint32_t block_bytes =
        dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_BLOCK_BYTES : OSL_Q8_0_BLOCK_BYTES;
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    for (uint32_t r = 0; r < rows; r++) {
        const uint8_t *row = (const uint8_t *)weight + r * row_bytes;
        __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        uint32_t block = 0;
        for (; block + GROUP_BLOCKS <= blocks; block += GROUP_BLOCKS) {
            add_group(dtype, row + (size_t)block * block_bytes,
                      x->q + (size_t)block * OSL_BLOCK_COLS, x->scale + block, GROUP_BLOCKS, sum);
        }
        if (block < blocks) {
            add_group(dtype, row + (size_t)block * block_bytes,
                      x->q + (size_t)block * OSL_BLOCK_COLS, x->scale + block, blocks - block,
                      sum);
        }
        out[r] = add_sums(sum);
    }
}

void osl_avx2_matvec_mxfp4(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                           uint32_t cols, const struct osl_act *x)
{
    matvec(OSL_DTYPE_MXFP4, out, weight, row_bytes, rows, cols, x);
}

void osl_avx2_matvec_q8_0(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                          uint32_t cols, const struct osl_act *x)
{
    matvec(OSL_DTYPE_Q8_0, out, weight, row_bytes, rows, cols, x);
}
