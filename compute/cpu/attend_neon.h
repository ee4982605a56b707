/* Attention for ARM: online softmax over blocks of 64 keys aligned in absolute position.
 *
 * Keys and values of a block are widened to f32 a panel at a time and used by every head of the
 * group (and, in prefill, by every token of a tile). A micro tile is always four heads of one
 * token, so that what is visible is the same for all of it and no query's sums meet another's.
 * Prefill and decode share the three steps of a block: scores, softmax, values; a level may have
 * scores of its own in decode. */
#ifndef OSL_ATTEND_NEON_H
#define OSL_ATTEND_NEON_H

#include "platform/platform.h"

#include <math.h>

#include "neon.h"

#define BLOCK OSL_ATTEND_BLOCK
#define DECODE_PANEL_FLOATS 2048 /* 8 KB of stack */
_Static_assert(DECODE_PANEL_FLOATS / OSL_HEAD_DIM_MAX >= 4, "a panel holds four keys at least");

/* A step is a function of its own, wherever this is included: tests/bench/mca.sh looks for it. */
#define OSL_NEON_STEP static __attribute__((noinline, unused))

/* The group's heads of one token. */
struct heads {
    const float *q; /* head_dim apart */
    float *score;   /* [group][BLOCK]; after the softmax step the weights */
    float *state;   /* [group]: largest score so far, sum of weights; stride apart */
    float *value;   /* [group]: weighted values so far; stride apart */
    size_t state_stride;
    size_t value_stride;
};

/* Part of a block: keys [first, first + count) widened, and the keys [low, high) that are seen,
 * all relative to the block's start. */
struct panel {
    const float *rows; /* [count][head_dim] */
    uint32_t first;
    uint32_t count;
};

struct range {
    uint32_t low;
    uint32_t high;
};

OSL_NEON_INLINE void widen_f16(float *out, const uint8_t *row, uint32_t head_dim)
{
    for (uint32_t d = 0; d < head_dim; d += 8) {
        float16x8_t half = vreinterpretq_f16_u8(vld1q_u8(row + (size_t)d * 2));
        vst1q_f32(out + d, vcvt_f32_f16(vget_low_f16(half)));
        vst1q_f32(out + d + 4, vcvt_high_f32_f16(half));
    }
}

/* Bytes to f32: b + 128 as the lowest byte of 2^23's bits is the float 2^23 + 128 + b. Any vector
 * unit does all of it, while only one converts and only one widens. */
OSL_NEON_INLINE void widen_q8(float *out, const uint8_t *row, uint32_t head_dim)
{
    const uint16x8_t exponent = vdupq_n_u16(0x4b00);
    const float32x4_t base = vdupq_n_f32(0x1p23f + 128.0f);
    const uint8_t *scales = row + head_dim;
    for (uint32_t d = 0; d < head_dim; d += OSL_BLOCK_COLS, scales += 2) {
        float scale = osl_neon_load_f16(scales);
        for (uint32_t i = 0; i < OSL_BLOCK_COLS; i += 16) {
            uint8x16_t bytes = veorq_u8(vld1q_u8(row + d + i), vdupq_n_u8(128));
            uint16x8_t low = vreinterpretq_u16_u8(vzip1q_u8(bytes, vdupq_n_u8(0)));
            uint16x8_t high = vreinterpretq_u16_u8(vzip2q_u8(bytes, vdupq_n_u8(0)));
            uint16x8_t wide[4] = {vzip1q_u16(low, exponent), vzip2q_u16(low, exponent),
                                  vzip1q_u16(high, exponent), vzip2q_u16(high, exponent)};
            for (uint32_t part = 0; part < 4; part++) {
                float32x4_t value = vsubq_f32(vreinterpretq_f32_u16(wide[part]), base);
                vst1q_f32(out + d + i + 4 * part, vmulq_n_f32(value, scale));
            }
        }
    }
}

/* Widens the panel's keys of the block at absolute position `block` from K or V. */
static struct panel widen_panel(float *out, const void *cache, const struct osl_attend *a,
                                enum osl_kv_type type, uint32_t block, uint32_t first,
                                uint32_t count)
{
    size_t row_bytes = osl_kv_row_bytes(type, a->head_dim);
    const uint8_t *row = (const uint8_t *)cache + (block % a->kv.capacity + first) * row_bytes;
    for (uint32_t i = 0; i < count; i++, row += row_bytes) {
        float *to = out + (size_t)i * a->head_dim;
        if (type == OSL_KV_F16) {
            widen_f16(to, row, a->head_dim);
        } else {
            widen_q8(to, row, a->head_dim);
        }
    }
    return (struct panel){out, first, count};
}

static struct range overlap(struct range seen, const struct panel *panel)
{
    uint32_t end = panel->first + panel->count;
    struct range both = {seen.low > panel->first ? seen.low : panel->first,
                         seen.high < end ? seen.high : end};
    return both;
}

/* score[h][key] = q[h] . key * scale for the keys of the panel that are seen, four by four. */
OSL_NEON_STEP void block_scores(const struct osl_attend *a, const struct heads *heads,
                                const struct panel *panel, struct range seen)
{
    struct range keys = overlap(seen, panel);
    for (uint32_t key = keys.low; key < keys.high; key += 4) {
        uint32_t key_count = keys.high - key < 4 ? keys.high - key : 4;
        const float *k[4];
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t index = key - panel->first + (i < key_count ? i : key_count - 1);
            k[i] = panel->rows + (size_t)index * a->head_dim;
        }
        for (uint32_t h = 0; h < a->group; h += 4) {
            uint32_t head_count = a->group - h < 4 ? a->group - h : 4;
            const float *q[4];
            for (uint32_t j = 0; j < 4; j++) {
                uint32_t head = h + (j < head_count ? j : head_count - 1);
                q[j] = heads->q + (size_t)head * a->head_dim;
            }
            float32x4_t dots[4];
            osl_neon_dot_4x4(dots, k, q, a->head_dim);
            for (uint32_t j = 0; j < head_count; j++) {
                osl_neon_store_some(heads->score + (size_t)(h + j) * BLOCK + key,
                                    vmulq_n_f32(dots[j], a->scale), key_count);
            }
        }
    }
}

static inline float exp_one(float x)
{
    return vgetq_lane_f32(osl_neon_exp(vdupq_n_f32(x)), 0);
}

static void scale_row(float *row, float factor, uint32_t head_dim)
{
    for (uint32_t d = 0; d < head_dim; d += 4) {
        vst1q_f32(row + d, vmulq_n_f32(vld1q_f32(row + d), factor));
    }
}

/* Scores to weights relative to the largest so far; earlier sums and values follow. What is not
 * seen weighs nothing. The sums run over the whole block, so they depend on nothing else. */
static void block_softmax(const struct osl_attend *a, const struct heads *heads, struct range seen)
{
    for (uint32_t h = 0; h < a->group; h++) {
        float *score = heads->score + (size_t)h * BLOCK;
        float *state = heads->state + h * heads->state_stride;
        for (uint32_t key = 0; key < seen.low; key++) {
            score[key] = -INFINITY;
        }
        for (uint32_t key = seen.high; key < BLOCK; key++) {
            score[key] = -INFINITY;
        }
        float32x4_t most = vdupq_n_f32(state[0]);
        for (uint32_t key = 0; key < BLOCK; key += 4) {
            most = vmaxq_f32(most, vld1q_f32(score + key));
        }
        float now = vmaxvq_f32(most);
        float32x4_t sum = vdupq_n_f32(0.0f);
        for (uint32_t key = 0; key < BLOCK; key += 4) {
            float32x4_t weight = osl_neon_exp(vsubq_f32(vld1q_f32(score + key), vdupq_n_f32(now)));
            vst1q_f32(score + key, weight);
            sum = vaddq_f32(sum, weight);
        }
        float keep = exp_one(state[0] - now);
        state[0] = now;
        state[1] = state[1] * keep + vaddvq_f32(sum);
        if (keep != 1.0f) {
            scale_row(heads->value + h * heads->value_stride, keep, a->head_dim);
        }
    }
}

/* acc[j] += weight of head j * eight dimensions of one key. */
#define ADD_KEY(row, weight_of)                                                                    \
    do {                                                                                           \
        float32x4_t v0 = vld1q_f32(row);                                                           \
        float32x4_t v1 = vld1q_f32((row) + 4);                                                     \
        for (uint32_t j = 0; j < 4; j++) {                                                         \
            acc[j][0] = weight_of(acc[j][0], v0, j);                                               \
            acc[j][1] = weight_of(acc[j][1], v1, j);                                               \
        }                                                                                          \
    } while (0)
#define BY_VALUE(acc, v, j) vfmaq_n_f32(acc, v, p[j][key])
#define BY_LANE_0(acc, v, j) vfmaq_laneq_f32(acc, v, weight[j], 0)
#define BY_LANE_1(acc, v, j) vfmaq_laneq_f32(acc, v, weight[j], 1)
#define BY_LANE_2(acc, v, j) vfmaq_laneq_f32(acc, v, weight[j], 2)
#define BY_LANE_3(acc, v, j) vfmaq_laneq_f32(acc, v, weight[j], 3)

/* Eight dimensions of four heads over keys [low, high); `rows` is key 0's, p[j] head j's weights.
 * Keys are added one by one in rising order, four a round only to load weights together. */
OSL_NEON_INLINE void add_values(float32x4_t acc[4][2], const float *rows, size_t stride,
                                const float *const p[4], uint32_t low, uint32_t high)
{
    uint32_t key = low;
    for (; key + 4 <= high; key += 4) {
        float32x4_t weight[4];
        for (uint32_t j = 0; j < 4; j++) {
            weight[j] = vld1q_f32(p[j] + key);
        }
        const float *row = rows + key * stride;
        ADD_KEY(row, BY_LANE_0);
        ADD_KEY(row + stride, BY_LANE_1);
        ADD_KEY(row + 2 * stride, BY_LANE_2);
        ADD_KEY(row + 3 * stride, BY_LANE_3);
    }
    for (; key < high; key++) {
        ADD_KEY(rows + key * stride, BY_VALUE);
    }
}

/* value[h] += sum of weight[h][key] * row of key over the keys of the panel that are seen. */
OSL_NEON_STEP void block_values(const struct osl_attend *a, const struct heads *heads,
                                const struct panel *panel, struct range seen)
{
    struct range keys = overlap(seen, panel);
    if (keys.low >= keys.high) {
        return;
    }
    for (uint32_t h = 0; h < a->group; h += 4) {
        uint32_t head_count = a->group - h < 4 ? a->group - h : 4;
        const float *p[4];
        float *value[4];
        for (uint32_t j = 0; j < 4; j++) {
            uint32_t head = h + (j < head_count ? j : head_count - 1);
            p[j] = heads->score + (size_t)head * BLOCK + panel->first;
            value[j] = heads->value + head * heads->value_stride;
        }
        for (uint32_t d = 0; d < a->head_dim; d += 8) {
            float32x4_t acc[4][2];
            for (uint32_t j = 0; j < 4; j++) {
                acc[j][0] = vld1q_f32(value[j] + d);
                acc[j][1] = vld1q_f32(value[j] + d + 4);
            }
            add_values(acc, panel->rows + d, a->head_dim, p, keys.low - panel->first,
                       keys.high - panel->first);
            for (uint32_t j = 0; j < head_count; j++) {
                vst1q_f32(value[j] + d, acc[j][0]);
                vst1q_f32(value[j] + d + 4, acc[j][1]);
            }
        }
    }
}

static uint32_t panel_keys(uint32_t panel_floats, uint32_t head_dim)
{
    uint32_t keys = panel_floats / head_dim;
    return keys < BLOCK ? keys : BLOCK;
}

/* Scores of a block's keys in a level's own way: as block_scores, the whole block at once. */
typedef void own_scores(const struct osl_attend *a, const struct heads *heads, const void *own,
                        uint32_t block, struct range seen);

/* A part of decode; scores NULL: on widened keys. */
OSL_NEON_INLINE void attend_part(const struct osl_attend *a, enum osl_kv_type type,
                                 uint32_t key_begin, uint32_t key_end, float *part,
                                 own_scores *scores, const void *own)
{
    OSL_ASSERT_HOT(a->group <= OSL_GROUP_MAX && a->head_dim <= OSL_HEAD_DIM_MAX);
    float panel_rows[DECODE_PANEL_FLOATS];
    float score[OSL_GROUP_MAX * BLOCK];
    const size_t stride = a->head_dim + 2;
    const uint32_t step = panel_keys(DECODE_PANEL_FLOATS, a->head_dim);
    struct heads heads = {a->q, score, part, part + 2, stride, stride};
    memset(part, 0, a->group * stride * sizeof(float));
    for (uint32_t h = 0; h < a->group; h++) {
        part[h * stride] = -INFINITY;
    }
    if (key_begin == key_end) { /* an empty part: sum 0 */
        return;
    }
    for (uint32_t block = key_begin / BLOCK * BLOCK; block < key_end; block += BLOCK) {
        struct range seen = {key_begin > block ? key_begin - block : 0,
                             key_end - block < BLOCK ? key_end - block : BLOCK};
        if (scores != NULL) {
            scores(a, &heads, own, block, seen);
        }
        for (uint32_t key = seen.low; scores == NULL && key < seen.high; key += step) {
            uint32_t count = seen.high - key < step ? seen.high - key : step;
            struct panel k = widen_panel(panel_rows, a->kv.k, a, type, block, key, count);
            block_scores(a, &heads, &k, seen);
        }
        block_softmax(a, &heads, seen);
        for (uint32_t key = seen.low; key < seen.high; key += step) {
            uint32_t count = seen.high - key < step ? seen.high - key : step;
            struct panel v = widen_panel(panel_rows, a->kv.v, a, type, block, key, count);
            block_values(a, &heads, &v, seen);
        }
    }
}

#endif
