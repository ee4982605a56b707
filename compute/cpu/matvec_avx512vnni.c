/* matvec for MXFP4 and Q8_0 with AVX-512 VNNI, over the file's own layout.
 *
 * One row at a time, in order: several neighbouring rows at once were never faster, and with four
 * of them the memory gave a third less. Weights are prefetched 6 KiB ahead. By turns with plain
 * reads on two Zen 5 cores, 2026-11-21, where those gave 60 to 65 GB/s: 2 KiB 0.83 to 0.87 of them,
 * 4 KiB 0.90 to 0.92, 5 to 7 KiB 0.91 to 0.97, 8 to 16 KiB less again; T0 and NTA alike, two
 * distances at once less. Where neighbours left 35 GB/s every distance reached that.
 *
 * Four steps are taken together, each stage of all before the next stage of any, so that what waits
 * in the core's queues waits for few cycles: 40 instead of 37 GB/s for MXFP4 out of the cache.
 *
 * The dot instruction wants unsigned times signed, so weights are shifted up by 12 (doubled MXFP4
 * values) or 128 (Q8_0), and the activations times the shift are taken off in the integer sum's
 * starting value, lane by lane: what a lane holds is exact, and is then scaled by the activation's
 * and the weight's scale in f32 and added, block after block, to vectors of partial sums; see
 * add_sums for their order.
 *
 * Once a call the activations are laid out as the rows want them, which a few rows pay for:
 * four (MXFP4) or two blocks (Q8_0) side by side, the high plane, the low plane, the starting value
 * and the scales, each a full vector. */
#include "matvec_avx512vnni.h"

/* ---- MXFP4 ------------------------------------------------------------------------------- */

/* sum[i] += what quad i adds, for `count` quads, a constant. nibbles and the bytes behind exponent
 * hold block k in lane k. */
OSL_INLINE void mxfp4_add(const int count, const __m512i *nibbles, const __m512i *exponent,
                          const struct mxfp4_quad *x, __m512 *sum)
{
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i table = _mm512_broadcast_i32x4(osl_mxfp4_shifted());
    /* low nibbles are a block's first 16 elements, high ones the other 16 */
    __m512i first[QUADS_STEP], rest[QUADS_STEP], high[QUADS_STEP], low[QUADS_STEP];
    __m512i scale[QUADS_STEP];
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        first[i] = _mm512_and_si512(nibbles[i], mask);
        rest[i] = _mm512_and_si512(_mm512_srli_epi16(nibbles[i], 4), mask);
    }
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        first[i] = _mm512_shuffle_epi8(table, first[i]);
        rest[i] = _mm512_shuffle_epi8(table, rest[i]);
        scale[i] = mxfp4_exponent(exponent[i]);
    }
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        high[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), first[i], x[i].high[0]);
        low[i] = _mm512_dpbusd_epi32(x[i].start, first[i], x[i].low[0]);
    }
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        high[i] = _mm512_dpbusd_epi32(high[i], rest[i], x[i].high[1]);
        low[i] = _mm512_dpbusd_epi32(low[i], rest[i], x[i].low[1]);
    }
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        __m512 value = _mm512_cvtepi32_ps(join_planes(high[i], low[i]));
        value = _mm512_mul_ps(value, x[i].scale);
        sum[i] = _mm512_fmadd_ps(value, _mm512_castsi512_ps(scale[i]), sum[i]);
    }
}

OSL_INLINE void mxfp4_full(const int count, const uint8_t *at, const struct mxfp4_quad *x,
                           __m512 *sum)
{
    __m512i nibbles[QUADS_STEP], exponent[QUADS_STEP];
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        nibbles[i] = mxfp4_nibbles(at + (size_t)i * QUAD_BYTES);
        exponent[i] = _mm512_loadu_si512(at + (size_t)i * QUAD_BYTES);
    }
    mxfp4_add(count, nibbles, exponent, x, sum);
}

OSL_INLINE void mxfp4_part(const uint8_t *at, uint32_t count, const struct mxfp4_quad *x,
                           __m512 *sum)
{
    __m512i nibbles, exponent;
    mxfp4_load_part(at, count, &nibbles, &exponent);
    mxfp4_add(1, &nibbles, &exponent, x, sum);
}

static inline float mxfp4_row(const uint8_t *at, uint32_t blocks, const struct mxfp4_quad *x)
{
    __m512 sum[QUADS_STEP] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                              _mm512_setzero_ps()};
    uint32_t quads = blocks / QUAD_BLOCKS, quad = 0;
    for (; quad + QUADS_STEP <= quads; quad += QUADS_STEP) {
        prefetch(at, 5); /* 272 bytes: five lines meet all of them over two turns */
        mxfp4_full(QUADS_STEP, at, &x[quad], sum);
        at += (size_t)QUADS_STEP * QUAD_BYTES;
    }
    prefetch(at, 5);
    OSL_UNROLL
    for (int i = 0; i < QUADS_STEP - 1; i++) { /* at most three quads are left, then a part */
        if (quad < quads) {
            mxfp4_full(1, at, &x[quad++], &sum[i]);
            at += QUAD_BYTES;
        }
    }
    if (blocks % QUAD_BLOCKS != 0) {
        mxfp4_part(at, blocks % QUAD_BLOCKS, &x[quads], &sum[QUADS_STEP - 1]);
    }
    return add_sums(sum);
}

void osl_avx512_matvec_mxfp4(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                             uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    struct mxfp4_quad quads[QUADS_MAX];
    mxfp4_prepare(quads, cols / OSL_BLOCK_COLS, x);
    const uint8_t *row = weight;
    for (uint32_t r = 0; r < rows; r++) {
        out[r] = mxfp4_row(row, cols / OSL_BLOCK_COLS, quads);
        row += row_bytes;
    }
}

/* ---- Q8_0 -------------------------------------------------------------------------------- */

/* sum[i] += what pair i adds, for `count` pairs, a constant; a pair is one block if not full. scale
 * holds the group's weight scales, those of the first pair at 2 * index. */
OSL_INLINE void q8_add(const int count, const bool full, const uint8_t *at, __m512 scale,
                       const int index, const struct q8_pair *x, __m512 *sum)
{
    __m512i weight[PAIRS_STEP], high[PAIRS_STEP], low[PAIRS_STEP];
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        const uint8_t *pair = at + (size_t)i * PAIR_BYTES;
        weight[i] = _mm512_zextsi256_si512(_mm256_loadu_si256((const void *)(pair + 2)));
        if (full) {
            __m256i second = _mm256_loadu_si256((const void *)(pair + OSL_Q8_0_BLOCK_BYTES + 2));
            weight[i] = _mm512_inserti64x4(weight[i], second, 1);
        }
        weight[i] = _mm512_xor_si512(weight[i], _mm512_set1_epi8((char)0x80));
    }
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        high[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), weight[i], x[i].high);
        low[i] = _mm512_dpbusd_epi32(x[i].start, weight[i], x[i].low);
    }
    OSL_UNROLL
    for (int i = 0; i < count; i++) {
        const __m512i spread =
            _mm512_add_epi32(_mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0),
                             _mm512_set1_epi32(2 * (index + i)));
        __m512 value = _mm512_cvtepi32_ps(join_planes(high[i], low[i]));
        value = _mm512_mul_ps(value, x[i].scale);
        sum[i] = _mm512_fmadd_ps(value, _mm512_permutexvar_ps(spread, scale), sum[i]);
    }
}

static inline float q8_row(const uint8_t *at, uint32_t blocks, const struct q8_pair *x)
{
    __m512 sum[PAIRS_STEP] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                              _mm512_setzero_ps()};
    uint32_t block = 0;
    for (; block + GROUP_BLOCKS <= blocks; block += GROUP_BLOCKS) {
        prefetch(at, 9); /* 544 bytes */
        __m512 scale = q8_scales(at, GROUP_BLOCKS);
        q8_add(PAIRS_STEP, true, at, scale, 0, x, sum);
        at += (size_t)PAIRS_STEP * PAIR_BYTES;
        x += PAIRS_STEP;
        q8_add(PAIRS_STEP, true, at, scale, PAIRS_STEP, x, sum);
        at += (size_t)PAIRS_STEP * PAIR_BYTES;
        x += PAIRS_STEP;
    }
    uint32_t left = blocks - block;
    if (left > 0) {
        prefetch(at, 9);
        __m512 scale = q8_scales(at, left);
        OSL_UNROLL
        for (int pair = 0; pair < 8; pair++) {
            if (left >= 2) {
                q8_add(1, true, at, scale, pair, x++, &sum[pair % PAIRS_STEP]);
                at += PAIR_BYTES;
                left -= 2;
            } else if (left > 0) {
                q8_add(1, false, at, scale, pair, x++, &sum[pair % PAIRS_STEP]);
                left = 0;
            }
        }
    }
    return add_sums(sum);
}

void osl_avx512_matvec_q8_0(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                            uint32_t cols, const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    struct q8_pair pairs[PAIRS_MAX];
    q8_prepare(pairs, cols / OSL_BLOCK_COLS, x);
    const uint8_t *row = weight;
    for (uint32_t r = 0; r < rows; r++) {
        out[r] = q8_row(row, cols / OSL_BLOCK_COLS, pairs);
        row += row_bytes;
    }
}
