/* matvec for MXFP4 and Q8_0 with AVX2, over the file's own layout, one row at a time in order.
 *
 * The 8-bit product wants unsigned times signed. Doubled MXFP4 weights are shifted up by 12 and
 * the activations times 12 taken off again, lane by lane in integers; Q8_0 takes magnitudes of
 * weights times activations that carry the weight's sign. No 16-bit sum saturates: 4 * 24 * 127
 * and 2 * 128 * 127 fit. What a lane holds of a block is exact; it is scaled by both scales in f32
 * and added to one of two vectors of partial sums, in turn (MXFP4: every two blocks, those past a
 * multiple of eight to the first, an odd last one to the second); these are added, then lanes l
 * and l+4, l+2, l+1. */
#include "platform/platform.h"

#include <immintrin.h>

#include "x86_int8.h"
#include "x86_tables.h"

#define GROUP_BLOCKS 8 /* Q8_0 blocks whose scales fill a vector */
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

/* 16-bit sums of pairs of products; weights are signed. */
static inline __m256i multiply_pairs(__m256i weight, __m256i x)
{
    return _mm256_maddubs_epi16(_mm256_abs_epi8(weight), _mm256_sign_epi8(x, weight));
}

/* ---- MXFP4 ------------------------------------------------------------------------------- */

#define PAIR_BYTES (2 * OSL_MXFP4_BLOCK_BYTES)
#define PAIRS_MAX (OSL_COLS_MAX / (2 * OSL_BLOCK_COLS))

/* What every row needs of the activations, laid out once a call for two blocks at a time, one in
 * each half. An absent second block is zeros. */
struct pair {
    __m256i low;   /* activations of a block's first 16 columns, */
    __m256i high;  /* and of its other 16 */
    __m256i shift; /* -12 times what each lane sums of them */
    __m256 scale;  /* halved, since the table is doubled */
};

static void prepare_pairs(struct pair pairs[PAIRS_MAX], const struct osl_act *x, uint32_t blocks)
{
    const __m256i twelve = _mm256_set1_epi8(OSL_MXFP4_SHIFT);
    const __m256i ones = _mm256_set1_epi16(1);
    for (uint32_t block = 0; block < blocks; block += 2) {
        const int8_t *q = x->q + (size_t)block * OSL_BLOCK_COLS;
        bool both = block + 1 < blocks;
        __m256i first = _mm256_loadu_si256((const void *)q);
        __m256i second = _mm256_setzero_si256();
        if (both) {
            second = _mm256_loadu_si256((const void *)(q + OSL_BLOCK_COLS));
        }
        struct pair *pair = pairs + block / 2;
        pair->low = _mm256_permute2x128_si256(first, second, 0x20);
        pair->high = _mm256_permute2x128_si256(first, second, 0x31);
        __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(twelve, pair->low),
                                       _mm256_maddubs_epi16(twelve, pair->high));
        pair->shift = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_madd_epi16(sum, ones));
        pair->scale = _mm256_set_m128(_mm_set1_ps(both ? x->scale[block + 1] * 0.5f : 0.0f),
                                      _mm_set1_ps(x->scale[block] * 0.5f));
    }
}

/* Two blocks of one row, or the first where not both: the second is then not read. */
OSL_INLINE __m256 mxfp4_pair(const bool both, const uint8_t *at, const struct pair *pair,
                             __m256 sum)
{
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i table = _mm256_broadcastsi128_si256(osl_mxfp4_shifted());
    __m128i first = _mm_loadu_si128((const void *)(at + 1));
    __m128i second = _mm_setzero_si128();
    __m256i exponent;
    if (both) {
        /* the scale bytes, at 0 and 17, to every dword of their half */
        const __m256i pick = _mm256_add_epi32(_mm256_set1_epi32((int)0x80808000),
                                              _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
        second = _mm_loadu_si128((const void *)(at + 18));
        exponent = _mm256_shuffle_epi8(_mm256_loadu_si256((const void *)at), pick);
    } else {
        exponent = _mm256_set1_epi32(at[0]);
        exponent = _mm256_inserti128_si256(exponent, second, 1);
    }
    exponent = _mm256_slli_epi32(exponent, 23);
    exponent = _mm256_max_epi32(exponent, _mm256_set1_epi32(0x00400000)); /* byte 0: 2^-127 */

    __m256i nibbles = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(nibbles, mask));
    nibbles = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), mask);
    __m256i high = _mm256_shuffle_epi8(table, nibbles);
    __m256i products = _mm256_add_epi16(_mm256_maddubs_epi16(low, pair->low),
                                        _mm256_maddubs_epi16(high, pair->high));
    __m256i dot = _mm256_madd_epi16(products, _mm256_set1_epi16(1));
    dot = _mm256_add_epi32(dot, pair->shift);
    __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dot), pair->scale);
    return _mm256_fmadd_ps(scaled, _mm256_castsi256_ps(exponent), sum);
}

static inline float mxfp4_row(const uint8_t *at, uint32_t blocks, const struct pair *pairs)
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    uint32_t block = 0;
    for (; block + 8 <= blocks; block += 8) {
        prefetch_group(at, 4 * PAIR_BYTES);
        OSL_UNROLL
        for (int i = 0; i < 4; i++) {
            sum[i % 2] = mxfp4_pair(true, at + i * PAIR_BYTES, pairs + i, sum[i % 2]);
        }
        at += 4 * PAIR_BYTES;
        pairs += 4;
    }
    prefetch_group(at, 4 * PAIR_BYTES);
    for (; block + 2 <= blocks; block += 2) {
        sum[0] = mxfp4_pair(true, at, pairs, sum[0]);
        at += PAIR_BYTES;
        pairs++;
    }
    if (block < blocks) {
        sum[1] = mxfp4_pair(false, at, pairs, sum[1]);
    }
    return add_sums(sum);
}

void osl_avx2_matvec_mxfp4(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                           uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    struct pair pairs[PAIRS_MAX];
    const uint8_t *row = weight;
    prepare_pairs(pairs, x, cols / OSL_BLOCK_COLS);
    for (uint32_t r = 0; r < rows; r++) {
        out[r] = mxfp4_row(row, cols / OSL_BLOCK_COLS, pairs);
        row += row_bytes;
    }
}

/* ---- Q8_0 -------------------------------------------------------------------------------- */

OSL_INLINE __m256 q8_block(const uint8_t *at, const int8_t *q, __m256 scale, const int lane,
                           __m256 sum)
{
    __m256i weight = _mm256_loadu_si256((const void *)(at + 2));
    __m256i pairs = multiply_pairs(weight, _mm256_loadu_si256((const void *)q));
    __m256i dot = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    __m256 factor = _mm256_permutevar8x32_ps(scale, _mm256_set1_epi32(lane));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), factor, sum);
}

/* Activation scales of `count` blocks, zero past them. */
static inline __m256 activation_scales(const float *scale, uint32_t count)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
    return _mm256_maskload_ps(scale, mask);
}

/* Scales of blocks at `at`; lanes past `count` repeat the last. */
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

/* Up to eight blocks; count is a constant for all groups but a row's last. */
OSL_INLINE void q8_group(const uint8_t *at, const int8_t *q, const float *scales,
                         const uint32_t count, __m256 sum[2])
{
    __m256 scale = _mm256_mul_ps(activation_scales(scales, count), q8_scales(at, count));
    prefetch_group(at, GROUP_BLOCKS * OSL_Q8_0_BLOCK_BYTES);
    OSL_UNROLL
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        if (i < count) {
            sum[i % 2] = q8_block(at + i * OSL_Q8_0_BLOCK_BYTES, q + i * OSL_BLOCK_COLS, scale,
                                  (int)i, sum[i % 2]);
        }
    }
}

void osl_avx2_matvec_q8_0(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                          uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    for (uint32_t r = 0; r < rows; r++) {
        const uint8_t *at = (const uint8_t *)weight + r * row_bytes;
        const int8_t *q = x->q;
        __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        uint32_t block = 0;
        for (; block + GROUP_BLOCKS <= blocks; block += GROUP_BLOCKS) {
            q8_group(at, q, x->scale + block, GROUP_BLOCKS, sum);
            at += GROUP_BLOCKS * OSL_Q8_0_BLOCK_BYTES;
            q += GROUP_BLOCKS * OSL_BLOCK_COLS;
        }
        if (block < blocks) {
            q8_group(at, q, x->scale + block, blocks - block, sum);
        }
        out[r] = add_sums(sum);
    }
}
