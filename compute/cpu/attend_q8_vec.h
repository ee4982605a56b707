/* Decode attention over the q8 cache in integers of 16 bits: one query token, up to eight of a kv
 * head's query heads at once. Contract: compute/kernels.h. Included by one file per instruction
 * set, after its vec_*.h, with VEC_FN and the integer operations named below.
 *
 * Queries are rounded to 16 bits per 32 elements, once a part, as a matvec's activations are.
 * Softmax weights, times the values' scales, are rounded to 15 bits of the largest in the block: a
 * weight is off by 2^-16 of that, less than the cache's rounding of the value that carries it
 * (2^-8), however far the block's are below another's. Everything between is exact in integers.
 *
 * Both products are one: dwords of two 16-bit numbers, one of them the same in all lanes. Keys go
 * in blocks of 64 aligned in absolute position, transposed, so a lane is a key, and no sum crosses
 * lanes. Values go in pairs of keys, a lane is a dimension. What is not seen scores -INFINITY and
 * has scale 0; its bytes are read, and weigh nothing. Rows are prefetched ahead. */
#ifndef OSL_ATTEND_Q8_VEC_H
#define OSL_ATTEND_Q8_VEC_H

#include "platform/platform.h"

#include "vec_math.h"
#include "x86_tables.h"

/* The including file defines, for its vector ivec of VEC_LANES dwords:
 *   HEADS_TOGETHER    heads whose sums, two vectors each, registers hold
 *   add_products      sum + a * b by words, both products of a dword
 *   DONE_NOW          of a sum, where the compiler must be kept from holding it twice
 *   transpose_rows    DWORDS of VEC_LANES rows: lane k of out[i] is dword i of row k
 *   widen_low_bytes, widen_high_bytes   of words: bytes 0 and 2, 1 and 3 of a dword
 *   widen_row         2 * VEC_LANES bytes to words
 *   interleave_low, interleave_high     words of two vectors, within 128 bits
 *   pack_words        two vectors of dwords to words, in order
 *   whole_of, float_of                  f32 to dwords, to nearest, and back
 *   times_power                         a times 2^n, n the lowest 8 bits of b, signed
 *   scales_of         VEC_LANES halves, each the lower (0) or upper (1) of a dword */
#define BLOCK OSL_ATTEND_BLOCK
#define COLS OSL_BLOCK_COLS
#define HEADS 8 /* query heads at once; absent ones repeat the last */
#define TWO (2 * VEC_LANES)
#define PAIRS 2 /* multiplied in a round of a loop */
#define BLOCKS_MAX (OSL_HEAD_DIM_MAX / COLS)
#define KEY_PAIRS (COLS / 2) /* of elements, in a row's 32 */
#define SUMS 16 /* floats with room for a vector */
#define WEIGHT_LIMIT 32767.0f
#define CACHE_LINE 64
#define AHEAD (2 * BLOCK) /* rows; scales are read a block ahead of the rest */
#define HEAD_DIM_USUAL 64

/* A step is a function of its own: constants of one would take another's registers. */
#define Q8_STEP static __attribute__((noinline))

_Static_assert(COLS == 32 && OSL_ACT_BLOCK_BYTES == 64, "two planes of 32 bytes");
_Static_assert(BLOCK % TWO == 0 && COLS % TWO == 0, "products take two vectors");
_Static_assert(HEADS <= SUMS && VEC_LANES <= SUMS, "a number for each head is one vector");

struct q8_heads {
    int16_t q[BLOCKS_MAX][HEADS][COLS]; /* in the order of the transposed keys' words */
    float scale[HEADS][BLOCKS_MAX];     /* the softmax's is in it */
    float most[SUMS];                   /* of HEADS, and room for a vector */
    float keep[SUMS];                   /* what the values so far are worth now */
    float add[SUMS];                    /* what the block's are: its weights are of its own most */
    float sum[HEADS][SUMS];             /* of weights, all lanes together */
    float score[HEADS][BLOCK];          /* then weights */
    float value[HEADS][OSL_HEAD_DIM_MAX]; /* dimensions in the order of interleave_two */
    uint32_t count;                       /* of heads that are there */
};

/* Keys [lo, hi) of a block are seen; rows is the block's first. */
struct q8_block {
    const uint8_t *rows;
    uint32_t lo;
    uint32_t hi;
    uint32_t scales[BLOCKS_MAX / 2][BLOCK]; /* a key's in pairs, 0 where not seen */
};

/* What steps make for one another: words of two vectors of keys, of values in pairs where heads go
 * in several rounds, and the weights' integers. */
struct q8_room {
    int32_t keys[KEY_PAIRS][TWO] __attribute__((aligned(CACHE_LINE)));
    int32_t values[BLOCK / 2][COLS] __attribute__((aligned(CACHE_LINE)));
    int16_t weights[HEADS][BLOCK] __attribute__((aligned(CACHE_LINE)));
};

OSL_INLINE void load_scales_of(struct q8_block *block, const uint32_t head_dim)
{
    const uint32_t blocks = head_dim / COLS;
    size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, head_dim);
    if (block->hi - block->lo < BLOCK) {
        memset(block->scales, 0, (blocks + 1) / 2 * sizeof *block->scales);
    }
    const uint8_t *from = block->rows + block->lo * row_bytes + head_dim;
    OSL_UNROLL_SOME
    for (uint32_t key = block->lo, hi = block->hi; key < hi; key++, from += row_bytes) {
        uint32_t b = 0;
        for (; b + 2 <= blocks; b += 2) {
            uint32_t pair;
            memcpy(&pair, from + 2 * (size_t)b, sizeof pair);
            __asm__("" : "+r"(pair)); /* gathered into vectors it would take three times as long */
            block->scales[b / 2][key] = pair;
        }
        if (b < blocks) {
            block->scales[b / 2][key] = osl_load_u16(from + 2 * (size_t)b);
        }
    }
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

/* Of elements [32 b, 32 b + 32) of VEC_LANES keys. */
OSL_INLINE vec scales_at(const struct q8_block *block, uint32_t b, uint32_t key)
{
    return scales_of(block->scales[b / 2] + key, b % 2);
}

OSL_INLINE uint32_t first_key(const struct q8_block *block)
{
    return block->lo / TWO * TWO;
}
OSL_INLINE uint32_t end_key(const struct q8_block *block)
{
    return (block->hi + TWO - 1) / TWO * TWO;
}

/* sum[h][i] += a pair of head h, `stride` words on from the last one's, times vector b[i]. */
OSL_INLINE void add_pairs(ivec sum[HEADS_TOGETHER][2], const int16_t *pair, size_t stride,
                          const ivec b[2])
{
    OSL_UNROLL
    for (uint32_t h = 0; h < HEADS_TOGETHER; h++) {
        ivec both = ivec_splat(pair + h * stride);
        sum[h][0] = add_products(sum[h][0], both, b[0]);
        DONE_NOW(sum[h][0]);
        sum[h][1] = add_products(sum[h][1], both, b[1]);
        DONE_NOW(sum[h][1]);
    }
}

OSL_INLINE void clear_sums(ivec sum[HEADS_TOGETHER][2])
{
    OSL_UNROLL
    for (uint32_t h = 0; h < HEADS_TOGETHER; h++) {
        sum[h][0] = sum[h][1] = ivec_zero();
    }
}

/* 32 elements of two vectors of keys, from the first one's. */
Q8_STEP void unpack_keys(struct q8_room *room, const uint8_t *from, size_t row_bytes)
{
    OSL_UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        ivec dword[KEY_PAIRS / 2];
        transpose_rows(from + half * VEC_LANES * row_bytes, row_bytes, dword);
        OSL_UNROLL
        for (uint32_t i = 0; i < KEY_PAIRS / 2; i++) {
            ivec_store(room->keys[2 * i] + half * VEC_LANES, widen_low_bytes(dword[i]));
            ivec_store(room->keys[2 * i + 1] + half * VEC_LANES, widen_high_bytes(dword[i]));
        }
    }
}

/* Adds elements [32 b, 32 b + 32) of two vectors of keys to their scores. */
Q8_STEP void score_keys(struct q8_heads *heads, const struct q8_room *room,
                        const struct q8_block *block, uint32_t b, uint32_t key)
{
    vec scale[2] = {scales_at(block, b, key), scales_at(block, b, key + VEC_LANES)};
    for (uint32_t first = 0; first < HEADS; first += HEADS_TOGETHER) {
        ivec sum[HEADS_TOGETHER][2];
        clear_sums(sum);
        uint32_t pair = 0;
        do { /* where it may do nothing, or goes to an odd end, gcc holds the sums twice */
            OSL_UNROLL
            for (uint32_t i = 0; i < PAIRS; i++) {
                const int32_t *from = room->keys[pair + i];
                ivec keys[2] = {ivec_load(from), ivec_load(from + VEC_LANES)};
                add_pairs(sum, heads->q[b][first] + 2 * (size_t)(pair + i), COLS, keys);
            }
            pair += PAIRS;
        } while (pair < KEY_PAIRS);
        OSL_UNROLL
        for (uint32_t i = 0; i < 2 * HEADS_TOGETHER; i++) {
            float *score = heads->score[first + i / 2] + key + i % 2 * VEC_LANES;
            vec scaled = vec_mul(float_of(sum[i / 2][i % 2]),
                                 vec_splat(heads->scale[first + i / 2][b]));
            vec before = b == 0 ? vec_zero() : vec_load(score);
            vec_store(score, vec_fma(scaled, scale[i % 2], before));
        }
    }
}

static void q8_scores(struct q8_heads *heads, struct q8_room *room, const struct q8_block *block,
                      uint32_t head_dim)
{
    size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, head_dim);
    for (uint32_t key = first_key(block); key < end_key(block); key += TWO) {
        const uint8_t *rows = block->rows + key * row_bytes;
        for (size_t at = 0; at < TWO * row_bytes; at += CACHE_LINE) {
            __builtin_prefetch(rows + AHEAD * row_bytes + at);
        }
        for (uint32_t b = 0; b < head_dim / COLS; b++) {
            unpack_keys(room, rows + (size_t)b * COLS, row_bytes);
            score_keys(heads, room, block, b, key);
        }
    }
    for (uint32_t h = 0; h < HEADS && block->hi - block->lo < BLOCK; h++) {
        for (uint32_t key = first_key(block); key < block->lo; key++) {
            heads->score[h][key] = -INFINITY;
        }
        for (uint32_t key = block->hi; key < end_key(block); key++) {
            heads->score[h][key] = -INFINITY;
        }
    }
}

/* e^x for x <= 0 as vec_exp, but never below e^-86: that changes no bit of a sum that has a 1 in
 * it, and rounds to the integer 0. So one exponent field spans the range. */
OSL_INLINE vec weight_of(vec x)
{
    const vec whole = vec_splat(0x1.8p+23f); /* added, the number's last bit is worth 1 */
    x = vec_max(vec_splat(-86.0f), x);
    vec shifted = vec_fma(x, vec_splat(0x1.715476p+0f), whole);
    return times_power(vec_exp_within(x, vec_sub(shifted, whole)), shifted);
}

/* Scores to softmax weights in place, of the largest in the block, all heads side by side. */
Q8_STEP void q8_soften(struct q8_heads *heads, const struct q8_block *block)
{
    const uint32_t begin = first_key(block);
    const uint32_t end = end_key(block);
    float block_most[SUMS];
    vec largest[HEADS];
    OSL_UNROLL
    for (uint32_t h = 0; h < HEADS; h++) {
        largest[h] = vec_splat(-INFINITY);
    }
    for (uint32_t key = begin; key < end; key += VEC_LANES) {
        OSL_UNROLL
        for (uint32_t h = 0; h < HEADS; h++) {
            vec score = vec_load(heads->score[h] + key);
            largest[h] = vec_max(score, largest[h]); /* not NaN: that shows in the weights */
        }
    }
    vec of_block = vec_eights_largest(largest);
    vec before = vec_load(heads->most);
    vec most = vec_max(of_block, before);
    vec_store(block_most, of_block);
    vec_store(heads->keep, vec_exp(vec_sub(before, most)));
    vec_store(heads->add, vec_exp(vec_sub(of_block, most)));
    vec_store(heads->most, most);
    vec sum[HEADS];
    for (uint32_t h = 0; h < HEADS; h++) {
        sum[h] = vec_zero();
    }
    for (uint32_t key = begin; key < end; key += VEC_LANES) {
        OSL_UNROLL
        for (uint32_t h = 0; h < HEADS; h++) {
            vec score = vec_load(heads->score[h] + key);
            vec weight = weight_of(vec_sub(score, vec_splat(block_most[h])));
            vec_store(heads->score[h] + key, weight);
            sum[h] = vec_add(sum[h], weight);
        }
    }
    OSL_UNROLL
    for (uint32_t h = 0; h < HEADS; h++) {
        vec kept = vec_mul(vec_load(heads->sum[h]), vec_splat(heads->keep[h]));
        vec_store(heads->sum[h], vec_fma(sum[h], vec_splat(heads->add[h]), kept));
    }
}

#include "attend_q8_values_vec.h"

OSL_INLINE __m128i eight_words(const int8_t *bytes)
{
    return _mm_cvtepi8_epi16(_mm_loadl_epi64((const void *)bytes));
}

/* Query heads [first, first + HEADS) of the group, as far as there are any. */
static void prepare_heads(struct q8_heads *heads, const struct osl_attend *a, uint32_t first)
{
    int8_t q[BLOCKS_MAX * OSL_ACT_BLOCK_BYTES];
    int32_t sum[BLOCKS_MAX];
    heads->count = a->group - first < HEADS ? a->group - first : HEADS;
    for (uint32_t h = 0; h < HEADS; h++) {
        uint32_t head = first + (h < heads->count ? h : heads->count - 1);
        VEC_FN(quantize)
        (q, heads->scale[h], sum, a->q + (size_t)head * a->head_dim, a->head_dim);
        for (uint32_t b = 0; b < a->head_dim / COLS; b++) {
            const int8_t *high = q + (size_t)b * OSL_ACT_BLOCK_BYTES;
            heads->scale[h][b] *= a->scale;
            for (uint32_t i = 0; i < COLS; i += 8) {
                __m128i whole = _mm_add_epi16(_mm_slli_epi16(eight_words(high + i), 8),
                                              eight_words(high + COLS + i));
                whole = _mm_shufflehi_epi16(_mm_shufflelo_epi16(whole, 0xd8), 0xd8); /* 0 2 1 3 */
                _mm_storeu_si128((__m128i *)(void *)(heads->q[b][h] + i), whole);
            }
        }
        memset(heads->value[h], 0, a->head_dim * sizeof *heads->value[h]);
    }
    for (uint32_t i = 0; i < SUMS; i++) {
        heads->most[i] = -INFINITY;
    }
    memset(heads->sum, 0, sizeof heads->sum);
}

/* Dimensions back in order: see interleave_two. */
static void finish_head(float *part, const struct q8_heads *heads, uint32_t h, uint32_t head_dim)
{
    part[0] = heads->most[h];
    part[1] = vec_sum(vec_load(heads->sum[h]));
    for (uint32_t at = 0; at < head_dim; at += 4) {
        uint32_t lane = at % VEC_LANES / 4;
        uint32_t high = at / VEC_LANES % 2;
        memcpy(part + 2 + at / TWO * TWO + 8 * lane + 4 * high, heads->value[h] + at,
               4 * sizeof *part);
    }
}

/* The block of `cache` at absolute position base, with its scales. */
static void open_block(struct q8_block *block, const struct osl_attend *a, const void *cache,
                       uint32_t base, uint32_t key_begin, uint32_t key_end)
{
    block->rows = (const uint8_t *)cache +
                  (size_t)(base % a->kv.capacity) * osl_kv_row_bytes(OSL_KV_Q8, a->head_dim);
    block->lo = key_begin > base ? key_begin - base : 0;
    block->hi = key_end - base < BLOCK ? key_end - base : BLOCK;
    load_scales(block, a->head_dim);
}

static void part_q8(struct q8_heads *heads, const struct osl_attend *a, uint32_t key_begin,
                    uint32_t key_end)
{
    struct q8_block keys, values;
    struct q8_room room;
    if (key_begin == key_end) {
        return; /* it may lie inside a block */
    }
    uint32_t base = key_begin / BLOCK * BLOCK;
    open_block(&keys, a, a->kv.k, base, key_begin, key_end);
    for (; base < key_end; base += BLOCK) {
        open_block(&values, a, a->kv.v, base, key_begin, key_end);
        q8_scores(heads, &room, &keys, a->head_dim);
        q8_soften(heads, &keys);
        if (base + BLOCK < key_end) {
            open_block(&keys, a, a->kv.k, base + BLOCK, key_begin, key_end);
        }
        for (uint32_t b = 0; b < a->head_dim / COLS; b++) {
            float worth = round_weights(&room, heads, &values, b);
            weigh_values(heads, &room, &values, b, a->head_dim, worth);
        }
    }
}

void VEC_FN(attend_part_q8)(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
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

#endif
