/* matvec for Q8_0 with AVX2, over the file's own layout, one row at a time in order.
 *
 * Once a call both planes of the activations are joined to 16 bits, which madd multiplies: pairs of
 * 128 * 32512 fit 32 bits. What a lane holds of a block is exact; it is scaled by the product of
 * both scales and added in f32 to one of two vectors of partial sums, in turn; these are added,
 * then lanes l and l+4, l+2, l+1. */
#include "platform/platform.h"

#include <immintrin.h>
#include <string.h>

#include "matvec_tokens.h"
#include "x86_int8.h"
#include "x86_tables.h"

#define GROUP_BLOCKS 8 /* blocks whose scales fill a vector */
#define PREFETCH_BYTES 6144 /* as AVX-512's: see matvec_avx512vnni.c */
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

OSL_INLINE __m256 q8_scales(const uint8_t *at, const uint32_t count)
{
    __m128i half = _mm_setzero_si128();
#define INSERT(i)                                                                                  \
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

/* Sixteen weights of 8 bits times activations of 16: sums of pairs, exact. */
OSL_INLINE __m256i multiply16(__m128i weight, const int16_t *x)
{
    return _mm256_madd_epi16(_mm256_cvtepi8_epi16(weight), _mm256_load_si256((const void *)x));
}

OSL_INLINE __m256 add_block(__m256i dot, __m256 scale, const int lane, __m256 sum)
{
    __m256 factor = _mm256_permutevar8x32_ps(scale, _mm256_set1_epi32(lane));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), factor, sum);
}

OSL_INLINE __m256 q8_block(const uint8_t *at, const int16_t *x, __m256 scale, const int lane,
                           __m256 sum)
{
    __m256i dot = _mm256_add_epi32(multiply16(_mm_loadu_si128((const void *)(at + 2)), x),
                                   multiply16(_mm_loadu_si128((const void *)(at + 18)), x + 16));
    return add_block(dot, scale, lane, sum);
}

/* Both planes of the activations as the integers they stand for. */
static void join_planes(int16_t *x, const int8_t *q, uint32_t cols)
{
    for (uint32_t c = 0; c < cols; c += 16) {
        const int8_t *high =
            q + (size_t)(c / OSL_BLOCK_COLS) * OSL_ACT_BLOCK_BYTES + c % OSL_BLOCK_COLS;
        __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)high));
        __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(high + OSL_BLOCK_COLS)));
        wide = _mm256_add_epi16(_mm256_slli_epi16(wide, 8), low);
        _mm256_store_si256((void *)(x + c), wide);
    }
}

/* Up to eight blocks; count is a constant for all groups but a row's last. */
OSL_INLINE void add_group(const uint8_t *at, const int16_t *x, const float *scales,
                          const uint32_t count, __m256 sum[2])
{
    prefetch_group(at, GROUP_BLOCKS * OSL_Q8_0_BLOCK_BYTES);
    __m256 scale = _mm256_mul_ps(activation_scales(scales, count), q8_scales(at, count));
    OSL_UNROLL
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        if (i < count) {
            sum[i % 2] = q8_block(at + (size_t)i * OSL_Q8_0_BLOCK_BYTES,
                                  x + (size_t)i * OSL_BLOCK_COLS, scale, (int)i, sum[i % 2]);
        }
    }
}

void osl_avx2_matvec_q8_0(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                          uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    const uint32_t full = blocks / GROUP_BLOCKS * GROUP_BLOCKS;
    _Alignas(32) int16_t values[OSL_COLS_MAX];
    join_planes(values, x->q, cols);
    for (uint32_t r = 0; r < rows; r++) {
        const uint8_t *row = (const uint8_t *)weight + r * row_bytes;
        __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        for (uint32_t block = 0; block < full; block += GROUP_BLOCKS) {
            add_group(row + (size_t)block * OSL_Q8_0_BLOCK_BYTES,
                      values + (size_t)block * OSL_BLOCK_COLS, x->scale + block, GROUP_BLOCKS, sum);
        }
        if (full < blocks) {
            add_group(row + (size_t)full * OSL_Q8_0_BLOCK_BYTES,
                      values + (size_t)full * OSL_BLOCK_COLS, x->scale + full, blocks - full, sum);
        }
        out[r] = add_sums(sum);
    }
}

/* ---- A few tokens ------------------------------------------------------------------------ */

/* A weight is widened once for up to four tokens, and comes from memory once for all. Each token
 * has its own sums, to which the same is added in the same order: the same bits. Time for 2, 3, 4
 * and 8 tokens in that of one, one thread of a Zen 5 core, 2026-11-21: 1.6, 2.2, 2.8 and 5.5. */
#define Q8_0_TOKENS 4u /* 23 KB of activations of 2880 columns */

/* A token laid out: both planes joined, then the scales. */
static size_t token_bytes(uint32_t cols)
{
    uint32_t groups = (cols / OSL_BLOCK_COLS + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
    return (size_t)cols * sizeof(int16_t) + (size_t)groups * GROUP_BLOCKS * sizeof(float);
}

OSL_INLINE void add_group_tokens(const int tokens, const uint8_t *at,
                                 const struct token_group *group, uint32_t block, uint32_t blocks,
                                 const uint32_t count, __m256 sums[GROUP_TOKENS][2])
{
    prefetch_group(at, GROUP_BLOCKS * OSL_Q8_0_BLOCK_BYTES);
    const __m256 weight_scale = q8_scales(at, count);
    const int16_t *x[GROUP_TOKENS];
    __m256 scale[GROUP_TOKENS];
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        x[t] = (const int16_t *)(const void *)(group->x + (size_t)t * group->stride);
        const float *scales = (const float *)(const void *)(x[t] + (size_t)blocks * OSL_BLOCK_COLS);
        scale[t] = _mm256_mul_ps(activation_scales(scales + block, count), weight_scale);
        x[t] += (size_t)block * OSL_BLOCK_COLS;
    }
    OSL_UNROLL
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        if (i < count) {
            const uint8_t *w = at + (size_t)i * OSL_Q8_0_BLOCK_BYTES + 2;
            __m256i first = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)w));
            __m256i rest = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(w + 16)));
            OSL_UNROLL
            for (int t = 0; t < tokens; t++) {
                const __m256i *act = (const void *)(x[t] + (size_t)i * OSL_BLOCK_COLS);
                __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(first, act[0]),
                                               _mm256_madd_epi16(rest, act[1]));
                sums[t][i % 2] = add_block(dot, scale[t], (int)i, sums[t][i % 2]);
            }
        }
    }
}

/* Rows [from, to) for `tokens` tokens, a constant, so that their sums stay in registers. */
OSL_INLINE void rows_of(const int tokens, const uint8_t *weight, uint64_t row_bytes, uint32_t from,
                        uint32_t to, uint32_t blocks, const struct token_group *group)
{
    const uint32_t full = blocks / GROUP_BLOCKS * GROUP_BLOCKS;
    for (uint32_t r = from; r < to; r++) {
        const uint8_t *row = weight + r * row_bytes;
        __m256 sums[GROUP_TOKENS][2];
        OSL_UNROLL
        for (int t = 0; t < tokens; t++) {
            sums[t][0] = sums[t][1] = _mm256_setzero_ps();
        }
        for (uint32_t block = 0; block < full; block += GROUP_BLOCKS) {
            add_group_tokens(tokens, row + (size_t)block * OSL_Q8_0_BLOCK_BYTES, group, block,
                             blocks, GROUP_BLOCKS, sums);
        }
        if (full < blocks) {
            add_group_tokens(tokens, row + (size_t)full * OSL_Q8_0_BLOCK_BYTES, group, full, blocks,
                             blocks - full, sums);
        }
        OSL_UNROLL
        for (int t = 0; t < tokens; t++) {
            group->out[t][r] = add_sums(sums[t]);
        }
    }
}

DEFINE_TAKE_ROWS

void osl_avx2_matvec_tokens_q8_0(float *const *out, const void *weight, uint64_t row_bytes,
                                 uint32_t rows, uint32_t cols, const struct osl_act *x,
                                 uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    OSL_ASSERT_HOT((uintptr_t)scratch % CACHE_LINE == 0);
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    for (uint32_t t = 0; t < tokens; t++) {
        int16_t *values = (int16_t *)(void *)((uint8_t *)scratch + t * token_bytes(cols));
        join_planes(values, x[t].q, cols);
        memcpy(values + cols, x[t].scale, blocks * sizeof(float));
    }
    all_rows(take_rows, Q8_0_TOKENS, out, weight, row_bytes, rows, blocks, tokens, scratch,
             token_bytes(cols));
}
