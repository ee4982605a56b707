/* Decode attention over the q8 cache with sdot (ARMv8.2 dot product). Contract: compute/kernels.h;
 * the steps of a block: attend_neon.h.
 *
 * Queries are quantised once a part, to 16 bits per 32 in two planes as a matvec's activations
 * are, so that scores need no widened keys: four keys' exact integer sums become the lanes of one
 * vector. A score depends on its query and key alone. */
#include "attend_neon.h"

#define BLOCKS_MAX (OSL_HEAD_DIM_MAX / OSL_BLOCK_COLS)

/* The group's query heads, as quantize makes them, and their scales times the softmax's. */
struct queries {
    int8_t q[OSL_GROUP_MAX][BLOCKS_MAX * OSL_ACT_BLOCK_BYTES];
    float scale[OSL_GROUP_MAX][BLOCKS_MAX];
};

static void quantize_queries(struct queries *queries, const struct osl_attend *a)
{
    int32_t sums[BLOCKS_MAX];
    for (uint32_t h = 0; h < a->group; h++) {
        osl_neon_quantize(queries->q[h], queries->scale[h], sums, a->q + (size_t)h * a->head_dim,
                          a->head_dim);
        for (uint32_t b = 0; b < a->head_dim / OSL_BLOCK_COLS; b++) {
            queries->scale[h][b] *= a->scale;
        }
    }
}

/* Block b of a query with that of four keys: lane i is key i's exact sum. */
OSL_NEON_INLINE int32x4_t block_sums(const int8_t *q, const uint8_t *const k[4], uint32_t b)
{
    const int32_t *starts = osl_neon_load_starts(2);
    int8x16_t x[4];
    int32x4_t sum[4];
    for (uint32_t part = 0; part < 4; part++) {
        x[part] = vld1q_s8(q + (size_t)b * OSL_ACT_BLOCK_BYTES + 16 * part);
    }
    for (uint32_t i = 0; i < 4; i++) {
        const int8_t *key = (const int8_t *)k[i] + (size_t)b * OSL_BLOCK_COLS;
        int8x16_t low = vld1q_s8(key);
        int8x16_t high = vld1q_s8(key + 16);
        sum[i] = vdotq_s32(vdotq_s32(vld1q_s32(starts + 4 * i), low, x[0]), high, x[1]);
        sum[i] = vshlq_n_s32(sum[i], 8); /* the high plane's, worth 256 each */
        sum[i] = vdotq_s32(vdotq_s32(sum[i], low, x[2]), high, x[3]);
    }
    return osl_neon_sums_s32(sum[0], sum[1], sum[2], sum[3]);
}

/* Four keys' scales of block b. */
OSL_NEON_INLINE float32x4_t key_scales(const uint8_t *const k[4], uint32_t head_dim, uint32_t b)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < 4; i++) {
        uint16_t half;
        memcpy(&half, k[i] + head_dim + (size_t)b * sizeof half, sizeof half);
        bits |= (uint64_t)half << 16 * i;
    }
    return vcvt_f32_f16(vreinterpret_f16_u64(vcreate_u64(bits)));
}

/* score[h][key ...] of four keys for all heads. */
__attribute__((noinline)) static void dotprod_scores_four(float *score, const struct osl_attend *a,
                                                          const struct queries *queries,
                                                          const uint8_t *const k[4], uint32_t count)
{
    const uint32_t blocks = a->head_dim / OSL_BLOCK_COLS;
    float32x4_t k_scale[BLOCKS_MAX];
    for (uint32_t b = 0; b < blocks; b++) {
        k_scale[b] = key_scales(k, a->head_dim, b);
    }
    for (uint32_t h = 0; h < a->group; h++, score += BLOCK) {
        float32x4_t sum = vdupq_n_f32(0.0f);
        for (uint32_t b = 0; b < blocks; b++) {
            float32x4_t scale = vmulq_n_f32(k_scale[b], queries->scale[h][b]);
            sum = vfmaq_f32(sum, vcvtq_f32_s32(block_sums(queries->q[h], k, b)), scale);
        }
        osl_neon_store_some(score, sum, count);
    }
}

static void scores_q8(const struct osl_attend *a, const struct heads *heads, const void *own,
                      uint32_t block, struct range seen)
{
    const size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, a->head_dim);
    const uint8_t *rows = (const uint8_t *)a->kv.k + block % a->kv.capacity * row_bytes;
    for (uint32_t key = seen.low; key < seen.high; key += 4) {
        uint32_t count = seen.high - key < 4 ? seen.high - key : 4;
        const uint8_t *k[4];
        for (uint32_t i = 0; i < 4; i++) {
            k[i] = rows + (key + (i < count ? i : count - 1)) * row_bytes;
        }
        dotprod_scores_four(heads->score + key, a, own, k, count);
    }
}

void osl_dotprod_attend_part_q8(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                                float *part)
{
    struct queries queries;
    quantize_queries(&queries, a);
    attend_part(a, OSL_KV_Q8, key_begin, key_end, part, scores_q8, &queries);
}
