/* Decode attention over the q8 cache with vpdpbusd: one query token, up to eight of a kv head's
 * query heads at once. Contract: compute/kernels.h.
 *
 * Queries are rounded to 16 bits per 32 elements, once a part, in two planes of bytes as a
 * matvec's activations are. Softmax weights times the values' scales are rounded to 16 bits too,
 * relative to the block's largest value scale: a weight is off by 2^-17 of the largest there can
 * be, less than the cache's own rounding of the value that carries it. Everything between is exact
 * in integers, so nothing but a block's own keys decides a bit of what the block adds.
 *
 * Keys go in blocks of 64 aligned in absolute position, in sixteens whose dwords are transposed: a
 * lane is a key, and no sum crosses lanes. Values go in fours, interleaved to dwords of one
 * dimension. What is not seen scores -INFINITY and has scale 0; its bytes are read, and weigh
 * nothing. Rows are prefetched ahead. */
#include "vec_avx512.h"

#include "platform/platform.h"

#include "vec_math.h"
#include "x86_tables.h"

#define BLOCK OSL_ATTEND_BLOCK
#define COLS OSL_BLOCK_COLS
#define HEADS 8               /* query heads at once; absent ones repeat the last */
#define HEADS_TOGETHER 4      /* whose sums of two planes registers hold */
#define SIXTEENS (BLOCK / 16) /* of keys */
#define FOURS (BLOCK / 4)
#define BLOCKS_MAX (OSL_HEAD_DIM_MAX / COLS)
#define DWORDS (COLS / 4) /* of a row's 32 elements */
#define WEIGHT_LIMIT 65535.0f
#define CACHE_LINE 64
#define AHEAD (2 * BLOCK) /* rows; scales are read a block ahead of the rest */
#define HEAD_DIM_USUAL 64

/* A step is a function of its own: constants of one would take another's registers. */
#define Q8_STEP static __attribute__((noinline))

_Static_assert(COLS == 32 && OSL_ACT_BLOCK_BYTES == 64, "two planes of 32 bytes");

struct q8_heads {
    int8_t q[HEADS][BLOCKS_MAX * OSL_ACT_BLOCK_BYTES];
    float scale[HEADS][BLOCKS_MAX];       /* the softmax's is in it */
    int32_t start[HEADS][BLOCKS_MAX];     /* takes the keys' shift by 128 out again */
    float most[16];                       /* of HEADS, and room for a vector */
    float keep[16];                       /* what the values so far are worth now */
    vec sum[HEADS];                       /* of weights, all lanes together */
    float score[HEADS][BLOCK];            /* then weights */
    float value[HEADS][OSL_HEAD_DIM_MAX]; /* dimensions in the order of values_of */
    uint32_t count;                       /* of heads that are there */
};

/* Keys [lo, hi) of a block are seen; rows is the block's first. */
struct q8_block {
    const uint8_t *rows;
    uint32_t lo;
    uint32_t hi;
    uint32_t scales[BLOCKS_MAX / 2][BLOCK]; /* a key's in pairs, 0 where not seen */
};

OSL_INLINE __mmask16 seen_of_sixteen(const struct q8_block *block, uint32_t sixteen)
{
    uint64_t seen = ~UINT64_C(0) >> (BLOCK - (block->hi - block->lo)) << block->lo;
    return (__mmask16)(seen >> 16 * sixteen);
}

OSL_INLINE void load_scales_of(struct q8_block *block, const uint32_t head_dim)
{
    const uint32_t blocks = head_dim / COLS;
    size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, head_dim);
    if (block->hi - block->lo < BLOCK) {
        memset(block->scales, 0, (blocks + 1) / 2 * sizeof *block->scales);
    }
    const uint8_t *from = block->rows + block->lo * row_bytes + head_dim;
    for (uint32_t key = block->lo; key < block->hi; key++, from += row_bytes) {
        uint32_t b = 0;
        for (; b + 2 <= blocks; b += 2) {
            memcpy(&block->scales[b / 2][key], from + 2 * (size_t)b, sizeof(uint32_t));
        }
        if (b < blocks) {
            block->scales[b / 2][key] = osl_load_u16(from + 2 * (size_t)b);
        }
    }
}

/* Those of elements [32 b, 32 b + 32) of sixteen keys. */
OSL_INLINE vec scales_of_sixteen(const struct q8_block *block, uint32_t b, uint32_t sixteen)
{
    __m512i pairs = _mm512_loadu_si512(block->scales[b / 2] + 16 * sixteen);
    __m512i halves = _mm512_srl_epi32(pairs, _mm_cvtsi32_si128(b % 2 * 16));
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(halves));
}

/* Long before they are read: a vector loaded soon after its parts were stored waits for them. */
Q8_STEP void load_scales(struct q8_block *block, uint32_t head_dim)
{
    if (head_dim == HEAD_DIM_USUAL) { /* compiled for it */
        load_scales_of(block, HEAD_DIM_USUAL);
    } else {
        load_scales_of(block, head_dim);
    }
}

/* 32 bytes of row, and of the row `apart` bytes on. */
OSL_INLINE __m512i two_rows(const uint8_t *row, size_t apart)
{
    __m256i one = _mm256_loadu_si256((const __m256i *)(const void *)row);
    __m256i other = _mm256_loadu_si256((const __m256i *)(const void *)(row + apart));
    return _mm512_inserti64x4(_mm512_castsi256_si512(one), other, 1);
}

/* 32 bytes of sixteen rows: lane k of out[i] is dword i of row k. */
OSL_INLINE void transpose_sixteen(const uint8_t *rows, size_t row_bytes, __m512i out[DWORDS])
{
    __m512i square[8]; /* of keys 0..3 and 4..7, then of 8..11 and 12..15; dwords 0..3, 4..7 */
    OSL_UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        __m512i a[4];
        OSL_UNROLL
        for (uint32_t i = 0; i < 4; i++) {
            a[i] = two_rows(rows + (8 * half + i) * row_bytes, 4 * row_bytes);
        }
        __m512i lo01 = _mm512_unpacklo_epi32(a[0], a[1]);
        __m512i hi01 = _mm512_unpackhi_epi32(a[0], a[1]);
        __m512i lo23 = _mm512_unpacklo_epi32(a[2], a[3]);
        __m512i hi23 = _mm512_unpackhi_epi32(a[2], a[3]);
        square[4 * half] = _mm512_unpacklo_epi64(lo01, lo23);
        square[4 * half + 1] = _mm512_unpackhi_epi64(lo01, lo23);
        square[4 * half + 2] = _mm512_unpacklo_epi64(hi01, hi23);
        square[4 * half + 3] = _mm512_unpackhi_epi64(hi01, hi23);
    }
    OSL_UNROLL
    for (uint32_t i = 0; i < 4; i++) {
        out[i] = _mm512_shuffle_i32x4(square[i], square[i + 4], 0x88);
        out[i + 4] = _mm512_shuffle_i32x4(square[i], square[i + 4], 0xdd);
    }
}

OSL_INLINE __m512i splat_four(const void *bytes)
{
    int32_t dword;
    memcpy(&dword, bytes, sizeof dword);
    return _mm512_set1_epi32(dword);
}

/* Adds elements [32 b, 32 b + 32) of sixteen keys to their scores. */
OSL_INLINE void score_sixteen(struct q8_heads *heads, const __m512i key[DWORDS], vec scale,
                              uint32_t b, uint32_t at)
{
    OSL_UNROLL
    for (uint32_t first = 0; first < HEADS; first += HEADS_TOGETHER) {
        __m512i high[HEADS_TOGETHER], low[HEADS_TOGETHER];
        OSL_UNROLL
        for (uint32_t h = 0; h < HEADS_TOGETHER; h++) {
            high[h] = _mm512_setzero_si512();
            low[h] = _mm512_set1_epi32(heads->start[first + h][b]);
        }
        OSL_UNROLL
        for (uint32_t i = 0; i < DWORDS; i++) {
            OSL_UNROLL
            for (uint32_t h = 0; h < HEADS_TOGETHER; h++) {
                const int8_t *q = heads->q[first + h] + (size_t)b * OSL_ACT_BLOCK_BYTES + 4 * i;
                high[h] = _mm512_dpbusd_epi32(high[h], key[i], splat_four(q));
                low[h] = _mm512_dpbusd_epi32(low[h], key[i], splat_four(q + COLS));
            }
        }
        OSL_UNROLL
        for (uint32_t h = 0; h < HEADS_TOGETHER; h++) {
            float *score = heads->score[first + h] + at;
            __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high[h], 8), low[h]);
            vec scaled = vec_mul(_mm512_cvtepi32_ps(sum), vec_splat(heads->scale[first + h][b]));
            vec before = b == 0 ? vec_zero() : vec_load(score);
            vec_store(score, vec_fma(scaled, scale, before));
        }
    }
}

Q8_STEP void q8_scores(struct q8_heads *heads, const struct q8_block *block, uint32_t head_dim)
{
    size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, head_dim);
    const __m512i shift = _mm512_set1_epi8(-128);
    for (uint32_t s = block->lo / 16; s * 16 < block->hi; s++) {
        const uint8_t *rows = block->rows + 16 * s * row_bytes;
        for (size_t at = 0; at < 16 * row_bytes; at += CACHE_LINE) {
            __builtin_prefetch(rows + AHEAD * row_bytes + at);
        }
        for (uint32_t b = 0; b < head_dim / COLS; b++) {
            __m512i key[DWORDS];
            transpose_sixteen(rows + (size_t)b * COLS, row_bytes, key);
            OSL_UNROLL
            for (uint32_t i = 0; i < DWORDS; i++) {
                key[i] = _mm512_xor_si512(key[i], shift);
            }
            score_sixteen(heads, key, scales_of_sixteen(block, b, s), b, 16 * s);
        }
    }
}

/* Scores to softmax weights in place: what is not seen first, then all heads side by side. */
Q8_STEP void q8_soften(struct q8_heads *heads, const struct q8_block *block)
{
    float most[16] = {0};
    float keep[16];
    vec sum[HEADS];
    OSL_UNROLL
    for (uint32_t h = 0; h < HEADS; h++) {
        vec largest = vec_splat(heads->most[h]);
        for (uint32_t s = block->lo / 16; s * 16 < block->hi; s++) {
            float *score = heads->score[h] + 16 * s;
            vec seen = _mm512_mask_loadu_ps(vec_splat(-INFINITY), seen_of_sixteen(block, s), score);
            vec_store(score, seen);
            largest = vec_max(seen, largest); /* not NaN: that shows in the weights */
        }
        most[h] = vec_largest(largest);
    }
    vec_store(keep, vec_exp(vec_sub(vec_load(heads->most), vec_load(most))));
    OSL_UNROLL
    for (uint32_t h = 0; h < HEADS; h++) {
        sum[h] = vec_mul(heads->sum[h], vec_splat(keep[h]));
    }
    for (uint32_t s = block->lo / 16; s * 16 < block->hi; s++) {
        OSL_UNROLL
        for (uint32_t h = 0; h < HEADS; h++) {
            float *score = heads->score[h] + 16 * s;
            vec weight = vec_exp(vec_sub(vec_load(score), vec_splat(most[h])));
            vec_store(score, weight);
            sum[h] = vec_add(sum[h], weight);
        }
    }
    memcpy(heads->most, most, sizeof most);
    memcpy(heads->keep, keep, sizeof keep);
    memcpy(heads->sum, sum, sizeof sum);
}

/* What 32 dimensions of a block's values are multiplied with, and they themselves. */
struct q8_weighing {
    uint8_t high[HEADS][BLOCK]; /* of the weights' integers, by keys */
    uint8_t low[HEADS][BLOCK];
    __m512i value[FOURS][2]; /* [four keys], a dword is one dimension of them */
};

/* Interleaves 32 dimensions of keys 8n..8n+7: value[2 n] is keys 8n..8n+3. With dword i of 128-bit
 * lane l of vector v, dimension 16 * (l % 2) + 8 v + 4 * (l / 2) + i. */
OSL_INLINE void interleave_eight(__m512i value[2][2], const uint8_t *rows, size_t row_bytes)
{
    __m512i a[4], z[4];
    OSL_UNROLL
    for (uint32_t i = 0; i < 4; i++) {
        a[i] = two_rows(rows + i * row_bytes, 4 * row_bytes);
    }
    __m512i lo01 = _mm512_unpacklo_epi8(a[0], a[1]);
    __m512i hi01 = _mm512_unpackhi_epi8(a[0], a[1]);
    __m512i lo23 = _mm512_unpacklo_epi8(a[2], a[3]);
    __m512i hi23 = _mm512_unpackhi_epi8(a[2], a[3]);
    z[0] = _mm512_unpacklo_epi16(lo01, lo23);
    z[1] = _mm512_unpackhi_epi16(lo01, lo23);
    z[2] = _mm512_unpacklo_epi16(hi01, hi23);
    z[3] = _mm512_unpackhi_epi16(hi01, hi23);
    OSL_UNROLL
    for (uint32_t v = 0; v < 2; v++) {
        value[0][v] = _mm512_shuffle_i64x2(z[2 * v], z[2 * v + 1], 0x44);
        value[1][v] = _mm512_shuffle_i64x2(z[2 * v], z[2 * v + 1], 0xee);
    }
}

/* 64 integers below 65536 to planes. Packing works within 128 bits: dword i of lane l of a packed
 * vector is four keys of sixteen i, and `order` puts it back. */
OSL_INLINE void store_planes(uint8_t *high, uint8_t *low, const __m512i whole[SIXTEENS])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i byte = _mm512_set1_epi16(0xff);
    __m512i a = _mm512_packus_epi32(whole[0], whole[1]);
    __m512i b = _mm512_packus_epi32(whole[2], whole[3]);
    __m512i highs = _mm512_packus_epi16(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8));
    __m512i lows = _mm512_packus_epi16(_mm512_and_si512(a, byte), _mm512_and_si512(b, byte));
    _mm512_storeu_si512(high, _mm512_permutexvar_epi32(order, highs));
    _mm512_storeu_si512(low, _mm512_permutexvar_epi32(order, lows));
}

/* Rounds weights times scales; returns what an integer is worth, NaN if a scale is. */
Q8_STEP float round_weights(struct q8_weighing *w, const struct q8_heads *heads,
                            const struct q8_block *block, uint32_t b)
{
    vec largest = vec_zero();
    for (uint32_t s = block->lo / 16; s * 16 < block->hi; s++) {
        largest = vec_largest_magnitude(largest, scales_of_sixteen(block, b, s));
    }
    float most = osl_f32_from_bits(vec_magnitude_bits(largest));
    vec factor = vec_splat(most > 0.0f ? WEIGHT_LIMIT / most : 0.0f);
    vec scale[SIXTEENS];
    OSL_UNROLL
    for (uint32_t s = 0; s < SIXTEENS; s++) {
        scale[s] = vec_mul(scales_of_sixteen(block, b, s), factor);
    }
    for (uint32_t h = 0; h < HEADS; h++) {
        __m512i whole[SIXTEENS];
        OSL_UNROLL
        for (uint32_t s = 0; s < SIXTEENS; s++) {
            vec weight = vec_load(heads->score[h] + 16 * s);
            whole[s] = _mm512_cvtps_epi32(vec_mul(weight, scale[s]));
        }
        store_planes(w->high[h], w->low[h], whole);
    }
    return most / WEIGHT_LIMIT;
}

/* value[h][32 b ..] of HEADS_TOGETHER heads, sixteens [begin, end) of the block's keys. */
Q8_STEP void weigh_values(struct q8_heads *heads, const struct q8_weighing *w, uint32_t first,
                          uint32_t b, uint32_t begin, uint32_t end, vec worth)
{
    __m512i high[HEADS_TOGETHER][2], low[HEADS_TOGETHER][2];
    OSL_UNROLL
    for (uint32_t i = 0; i < 2 * HEADS_TOGETHER; i++) {
        high[i / 2][i % 2] = _mm512_setzero_si512();
        low[i / 2][i % 2] = _mm512_setzero_si512();
    }
    for (uint32_t sixteen = begin; sixteen < end; sixteen++) {
        OSL_UNROLL
        for (uint32_t four = 4 * sixteen; four < 4 * sixteen + 4; four++) {
            __m512i v0 = w->value[four][0];
            __m512i v1 = w->value[four][1];
            OSL_UNROLL
            for (uint32_t h = 0; h < HEADS_TOGETHER; h++) {
                __m512i weight = splat_four(w->high[first + h] + 4 * (size_t)four);
                high[h][0] = _mm512_dpbusd_epi32(high[h][0], weight, v0);
                high[h][1] = _mm512_dpbusd_epi32(high[h][1], weight, v1);
                weight = splat_four(w->low[first + h] + 4 * (size_t)four);
                low[h][0] = _mm512_dpbusd_epi32(low[h][0], weight, v0);
                low[h][1] = _mm512_dpbusd_epi32(low[h][1], weight, v1);
            }
        }
    }
    OSL_UNROLL
    for (uint32_t i = 0; i < 2 * HEADS_TOGETHER; i++) {
        uint32_t h = i / 2;
        float *value = heads->value[first + h] + (size_t)b * COLS + i % 2 * 16;
        __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high[h][i % 2], 8), low[h][i % 2]);
        vec before = vec_mul(vec_load(value), vec_splat(heads->keep[first + h]));
        vec_store(value, vec_fma(_mm512_cvtepi32_ps(sum), worth, before));
    }
}

Q8_STEP void q8_values(struct q8_heads *heads, const struct q8_block *block, uint32_t head_dim)
{
    size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, head_dim);
    uint32_t begin = block->lo / 16;
    uint32_t end = (block->hi + 15) / 16;
    struct q8_weighing w;
    for (uint32_t b = 0; b < head_dim / COLS; b++) {
        vec worth = vec_splat(round_weights(&w, heads, block, b));
        for (uint32_t four = 4 * begin; four < 4 * end; four += 2) {
            const uint8_t *rows = block->rows + 4 * four * row_bytes;
            for (size_t at = 0; b == 0 && at < 8 * row_bytes; at += CACHE_LINE) {
                __builtin_prefetch(rows + AHEAD * row_bytes + at);
            }
            interleave_eight(w.value + four, rows + (size_t)b * COLS, row_bytes);
        }
        for (uint32_t first = 0; first < HEADS; first += HEADS_TOGETHER) {
            weigh_values(heads, &w, first, b, begin, end, worth);
        }
    }
}

/* Query heads [first, first + HEADS) of the group, as far as there are any. */
OSL_INLINE void prepare_heads(struct q8_heads *heads, const struct osl_attend *a, uint32_t first)
{
    memset(heads->most, 0, sizeof heads->most);
    memset(heads->score, 0, sizeof heads->score); /* finite where the first block is not seen */
    heads->count = a->group - first < HEADS ? a->group - first : HEADS;
    for (uint32_t h = 0; h < HEADS; h++) {
        uint32_t head = first + (h < heads->count ? h : heads->count - 1);
        osl_avx512_quantize(heads->q[h], heads->scale[h], heads->start[h],
                            a->q + (size_t)head * a->head_dim, a->head_dim);
        for (uint32_t b = 0; b < a->head_dim / COLS; b++) {
            heads->scale[h][b] *= a->scale;
            heads->start[h][b] *= -128;
        }
        heads->most[h] = -INFINITY;
        heads->sum[h] = vec_zero();
        memset(heads->value[h], 0, a->head_dim * sizeof *heads->value[h]);
    }
}

/* Dimensions back in order: see interleave_eight. */
OSL_INLINE void finish_head(float *part, const struct q8_heads *heads, uint32_t h,
                            uint32_t head_dim)
{
    part[0] = heads->most[h];
    part[1] = vec_sum(heads->sum[h]);
    for (uint32_t at = 0; at < head_dim; at += 4) {
        uint32_t v = at / 16 % 2;
        uint32_t lane = at / 4 % 4;
        memcpy(part + 2 + at / COLS * COLS + 16 * (lane % 2) + 8 * v + 4 * (lane / 2),
               heads->value[h] + at, 4 * sizeof *part);
    }
}

/* The block of `cache` at absolute position base, with its scales. */
static void open_block(struct q8_block *block, const struct osl_attend *a, const void *cache,
                       uint32_t base, uint32_t key_begin, uint32_t key_end)
{
    size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, a->head_dim);
    block->rows = (const uint8_t *)cache + (size_t)(base % a->kv.capacity) * row_bytes;
    block->lo = key_begin > base ? key_begin - base : 0;
    block->hi = key_end - base < BLOCK ? key_end - base : BLOCK;
    load_scales(block, a->head_dim);
}

static void part_q8(struct q8_heads *heads, const struct osl_attend *a, uint32_t key_begin,
                    uint32_t key_end)
{
    struct q8_block keys, values;
    if (key_begin == key_end) { /* an empty part may lie inside a block */
        return;
    }
    uint32_t base = key_begin / BLOCK * BLOCK;
    open_block(&keys, a, a->kv.k, base, key_begin, key_end);
    for (; base < key_end; base += BLOCK) {
        open_block(&values, a, a->kv.v, base, key_begin, key_end);
        q8_scores(heads, &keys, a->head_dim);
        q8_soften(heads, &keys);
        if (base + BLOCK < key_end) {
            open_block(&keys, a, a->kv.k, base + BLOCK, key_begin, key_end);
        }
        q8_values(heads, &values, a->head_dim);
    }
}

void osl_avx512_attend_part_q8(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                               float *part)
{
    OSL_ASSERT_HOT(a->group <= OSL_GROUP_MAX && a->head_dim <= OSL_HEAD_DIM_MAX);
    OSL_ASSERT_HOT(a->head_dim % COLS == 0 && a->kv.capacity % BLOCK == 0);
    OSL_ASSERT_HOT(key_begin <= key_end);
    struct q8_heads heads;
    for (uint32_t first = 0; first < a->group; first += HEADS) {
        prepare_heads(&heads, a, first);
        part_q8(&heads, a, key_begin, key_end);
        for (uint32_t h = 0; h < heads.count; h++) {
            finish_head(part + (size_t)(first + h) * (a->head_dim + 2), &heads, h, a->head_dim);
        }
    }
}
