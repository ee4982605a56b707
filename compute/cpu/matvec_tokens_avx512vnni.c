/* matvec for a few tokens at once, with AVX-512 VNNI: a weight is unpacked once for three or four
 * tokens, and comes from memory once for all. Each token has its own partial sums, to which the
 * same is added in the same order as by matvec_avx512vnni.c: the same bits.
 *
 * A group of tokens is as large as their activations fit a core's first cache beside the row; more
 * tokens are taken group by group over rows that are still cached. Time for 2, 3, 4 and 8 tokens
 * in that of one, weights from memory, two Zen 5 cores, 2026-11-21: Q8_0 1.0, 1.0, 1.5 and 2.8
 * (token by token 1.2, 1.5, 1.9 and 3.6), MXFP4 1.1, 1.4, 1.8 and 3.8 (1.4, 2.0, 2.7 and 5.3). */
#include "matvec_avx512vnni.h"
#include "matvec_tokens.h"

#define MXFP4_TOKENS 4u /* 35 KB of activations of 2880 columns */
#define Q8_0_TOKENS 3u  /* 34 KB; a fourth token would make it 46 */
#define SUMS 4          /* of a row and token, as in matvec */

/* ---- MXFP4 ------------------------------------------------------------------------------- */

/* sums[t][i] += what a quad adds to token t. */
OSL_INLINE void mxfp4_add_tokens(const int tokens, __m512i nibbles, __m512i exponent,
                                 const struct token_group *group, uint32_t quad, const int i,
                                 __m512 sums[GROUP_TOKENS][SUMS])
{
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i table = _mm512_broadcast_i32x4(osl_mxfp4_shifted());
    __m512i first = _mm512_shuffle_epi8(table, _mm512_and_si512(nibbles, mask));
    __m512i rest = _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), mask);
    rest = _mm512_shuffle_epi8(table, rest);
    __m512 scale = _mm512_castsi512_ps(mxfp4_exponent(exponent));
    __m512i high[GROUP_TOKENS], low[GROUP_TOKENS];
    const struct mxfp4_quad *x[GROUP_TOKENS];
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        x[t] = (const struct mxfp4_quad *)(const void *)(group->x + (size_t)t * group->stride) +
               quad;
        high[t] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), first, x[t]->high[0]);
        low[t] = _mm512_dpbusd_epi32(x[t]->start, first, x[t]->low[0]);
    }
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        high[t] = _mm512_dpbusd_epi32(high[t], rest, x[t]->high[1]);
        low[t] = _mm512_dpbusd_epi32(low[t], rest, x[t]->low[1]);
    }
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        __m512 value = _mm512_cvtepi32_ps(join_planes(high[t], low[t]));
        value = _mm512_mul_ps(value, x[t]->scale);
        sums[t][i] = _mm512_fmadd_ps(value, scale, sums[t][i]);
    }
}

OSL_INLINE void mxfp4_quad_tokens(const int tokens, const uint8_t *at,
                                  const struct token_group *group, uint32_t quad, const int i,
                                  __m512 sums[GROUP_TOKENS][SUMS])
{
    mxfp4_add_tokens(tokens, mxfp4_nibbles(at), _mm512_loadu_si512(at), group, quad, i, sums);
}

OSL_INLINE void clear(const int tokens, __m512 sums[GROUP_TOKENS][SUMS])
{
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        OSL_UNROLL
        for (int i = 0; i < SUMS; i++) {
            sums[t][i] = _mm512_setzero_ps();
        }
    }
}

OSL_INLINE void mxfp4_row_tokens(const int tokens, uint32_t r, const uint8_t *at, uint32_t blocks,
                                 const struct token_group *group)
{
    __m512 sums[GROUP_TOKENS][SUMS];
    clear(tokens, sums);
    uint32_t quads = blocks / QUAD_BLOCKS, quad = 0;
    for (; quad + QUADS_STEP <= quads; quad += QUADS_STEP) {
        prefetch(at, 5); /* 272 bytes: five lines meet all of them over two turns */
        OSL_UNROLL
        for (int i = 0; i < QUADS_STEP; i++) {
            mxfp4_quad_tokens(tokens, at + (size_t)i * QUAD_BYTES, group, quad + (uint32_t)i, i,
                              sums);
        }
        at += (size_t)QUADS_STEP * QUAD_BYTES;
    }
    prefetch(at, 5);
    OSL_UNROLL
    for (int i = 0; i < QUADS_STEP - 1; i++) {
        if (quad < quads) {
            mxfp4_quad_tokens(tokens, at, group, quad++, i, sums);
            at += QUAD_BYTES;
        }
    }
    if (blocks % QUAD_BLOCKS != 0) {
        __m512i nibbles, exponent;
        mxfp4_load_part(at, blocks % QUAD_BLOCKS, &nibbles, &exponent);
        mxfp4_add_tokens(tokens, nibbles, exponent, group, quads, SUMS - 1, sums);
    }
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        group->out[t][r] = add_sums(sums[t]);
    }
}

/* ---- Q8_0 -------------------------------------------------------------------------------- */

/* sums[t][pair % 4] += what pair `pair` of a group of blocks adds; one block, if it is not full. */
OSL_INLINE void q8_add_tokens(const int tokens, const bool full, const uint8_t *at, __m512 scale,
                              const int pair, const struct token_group *group, uint32_t first,
                              __m512 sums[GROUP_TOKENS][SUMS])
{
    __m512i weight = _mm512_zextsi256_si512(_mm256_loadu_si256((const void *)(at + 2)));
    if (full) {
        __m256i second = _mm256_loadu_si256((const void *)(at + OSL_Q8_0_BLOCK_BYTES + 2));
        weight = _mm512_inserti64x4(weight, second, 1);
    }
    weight = _mm512_xor_si512(weight, _mm512_set1_epi8((char)0x80));
    const __m512i spread =
        _mm512_add_epi32(_mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0),
                         _mm512_set1_epi32(2 * pair));
    __m512 factor = _mm512_permutexvar_ps(spread, scale);
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        const struct q8_pair *x =
            (const struct q8_pair *)(const void *)(group->x + (size_t)t * group->stride) + first +
            pair;
        __m512i high = _mm512_dpbusd_epi32(_mm512_setzero_si512(), weight, x->high);
        __m512i low = _mm512_dpbusd_epi32(x->start, weight, x->low);
        __m512 value = _mm512_cvtepi32_ps(join_planes(high, low));
        value = _mm512_mul_ps(value, x->scale);
        sums[t][pair % SUMS] = _mm512_fmadd_ps(value, factor, sums[t][pair % SUMS]);
    }
}

OSL_INLINE void q8_row_tokens(const int tokens, uint32_t r, const uint8_t *at, uint32_t blocks,
                              const struct token_group *group)
{
    __m512 sums[GROUP_TOKENS][SUMS];
    clear(tokens, sums);
    uint32_t block = 0;
    for (; block + GROUP_BLOCKS <= blocks; block += GROUP_BLOCKS) {
        prefetch(at, 9); /* 544 bytes */
        __m512 scale = q8_scales(at, GROUP_BLOCKS);
        OSL_UNROLL
        for (int pair = 0; pair < GROUP_BLOCKS / 2; pair++) {
            q8_add_tokens(tokens, true, at, scale, pair, group, block / 2, sums);
            at += PAIR_BYTES;
        }
    }
    uint32_t left = blocks - block;
    if (left > 0) {
        prefetch(at, 9);
        __m512 scale = q8_scales(at, left);
        OSL_UNROLL
        for (int pair = 0; pair < GROUP_BLOCKS / 2; pair++) {
            if (left >= 2) {
                q8_add_tokens(tokens, true, at, scale, pair, group, block / 2, sums);
                at += PAIR_BYTES;
                left -= 2;
            } else if (left > 0) {
                q8_add_tokens(tokens, false, at, scale, pair, group, block / 2, sums);
                left = 0;
            }
        }
    }
    OSL_UNROLL
    for (int t = 0; t < tokens; t++) {
        group->out[t][r] = add_sums(sums[t]);
    }
}

/* ---- Groups of tokens -------------------------------------------------------------------- */

/* Rows [from, to) for `tokens` tokens, a constant, so that their sums stay in registers. */
OSL_INLINE void rows_of(const bool mxfp4, const int tokens, const uint8_t *weight,
                        uint64_t row_bytes, uint32_t from, uint32_t to, uint32_t blocks,
                        const struct token_group *group)
{
    for (uint32_t r = from; r < to; r++) {
        if (mxfp4) {
            mxfp4_row_tokens(tokens, r, weight + r * row_bytes, blocks, group);
        } else {
            q8_row_tokens(tokens, r, weight + r * row_bytes, blocks, group);
        }
    }
}

#define ROWS_OF(mxfp4, tokens) rows_of(mxfp4, tokens, weight, row_bytes, from, to, blocks, group)

static void mxfp4_rows(uint32_t tokens, const uint8_t *weight, uint64_t row_bytes, uint32_t from,
                       uint32_t to, uint32_t blocks, const struct token_group *group)
{
    switch (tokens) {
    case 1: ROWS_OF(true, 1); break;
    case 2: ROWS_OF(true, 2); break;
    case 3: ROWS_OF(true, 3); break;
    default: ROWS_OF(true, 4); break;
    }
}

static void q8_rows(uint32_t tokens, const uint8_t *weight, uint64_t row_bytes, uint32_t from,
                    uint32_t to, uint32_t blocks, const struct token_group *group)
{
    switch (tokens) {
    case 1: ROWS_OF(false, 1); break;
    case 2: ROWS_OF(false, 2); break;
    default: ROWS_OF(false, 3); break;
    }
}

void osl_avx512_matvec_tokens_mxfp4(float *const *out, const void *weight, uint64_t row_bytes,
                                    uint32_t rows, uint32_t cols, const struct osl_act *x,
                                    uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    OSL_ASSERT_HOT((uintptr_t)scratch % CACHE_LINE == 0);
    uint32_t blocks = cols / OSL_BLOCK_COLS, quads = (blocks + QUAD_BLOCKS - 1) / QUAD_BLOCKS;
    struct mxfp4_quad *prepared = scratch;
    for (uint32_t t = 0; t < tokens; t++) {
        mxfp4_prepare(prepared + (size_t)t * quads, blocks, &x[t]);
    }
    all_rows(mxfp4_rows, MXFP4_TOKENS, out, weight, row_bytes, rows, blocks, tokens, scratch,
             quads * sizeof *prepared);
}

void osl_avx512_matvec_tokens_q8_0(float *const *out, const void *weight, uint64_t row_bytes,
                                   uint32_t rows, uint32_t cols, const struct osl_act *x,
                                   uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    OSL_ASSERT_HOT((uintptr_t)scratch % CACHE_LINE == 0);
    uint32_t blocks = cols / OSL_BLOCK_COLS, pairs = (blocks + 1) / 2;
    struct q8_pair *prepared = scratch;
    for (uint32_t t = 0; t < tokens; t++) {
        q8_prepare(prepared + (size_t)t * pairs, blocks, &x[t]);
    }
    all_rows(q8_rows, Q8_0_TOKENS, out, weight, row_bytes, rows, blocks, tokens, scratch,
             pairs * sizeof *prepared);
}
