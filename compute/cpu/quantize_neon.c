/* Activations to 16 bits per 32 in two planes, and rows of the cache. Contracts: compute/kernels.h.
 */
#include <float.h>

#include "neon.h"

struct block_f32 {
    float32x4_t part[8];
};

static inline struct block_f32 load_block(const float *x)
{
    struct block_f32 block;
    for (int i = 0; i < 8; i++) {
        block.part[i] = vld1q_f32(x + 4 * i);
    }
    return block;
}

/* NaN if any element is: fmax hands NaN on. */
static inline float largest_magnitude(const struct block_f32 *block)
{
    float32x4_t most = vabsq_f32(block->part[0]);
    for (int i = 1; i < 8; i++) {
        most = vmaxq_f32(most, vabsq_f32(block->part[i]));
    }
    return vmaxvq_f32(most);
}

/* Sixteen integers to int8, saturating. */
static inline int8x16_t narrow(const int32x4_t n[4])
{
    int16x8_t low = vqmovn_high_s32(vqmovn_s32(n[0]), n[1]);
    int16x8_t high = vqmovn_high_s32(vqmovn_s32(n[2]), n[3]);
    return vqmovn_high_s16(vqmovn_s16(low), high);
}

/* q[i] = nearest(x[i] / scale), ties to even, limited to +-127 (which matters where the scale is
 * subnormal and coarse); 0 where the scale is 0 or NaN. Divides, as the plain kernel does: all
 * tables give the same bits. */
static inline void store_rounded(int8_t *q, const struct block_f32 *block, float scale)
{
    if (!(scale > 0.0f)) {
        memset(q, 0, OSL_BLOCK_COLS);
        return;
    }
    for (int i = 0; i < 2; i++) {
        int32x4_t n[4];
        for (int j = 0; j < 4; j++) {
            n[j] = vcvtnq_s32_f32(vdivq_f32(block->part[4 * i + j], vdupq_n_f32(scale)));
        }
        vst1q_s8(q + 16 * i, vmaxq_s8(narrow(n), vdupq_n_s8(-127)));
    }
}

/* The same as 16-bit integers in two planes. Returns the sum of the integers. */
static inline int32_t store_planes(int8_t *q, const struct block_f32 *block, float scale)
{
    if (!(scale > 0.0f)) {
        memset(q, 0, OSL_ACT_BLOCK_BYTES);
        return 0;
    }
    const float32x4_t limit = vdupq_n_f32(OSL_ACT_LIMIT);
    int32_t sum = 0;
    for (int i = 0; i < 2; i++) {
        int32x4_t high[4];
        int32x4_t low[4];
        for (int j = 0; j < 4; j++) {
            float32x4_t value = vrndnq_f32(vdivq_f32(block->part[4 * i + j], vdupq_n_f32(scale)));
            value = vmaxq_f32(vnegq_f32(limit), vminq_f32(limit, value));
            float32x4_t whole = vrndnq_f32(vmulq_n_f32(value, 1.0f / 256.0f));
            high[j] = vcvtq_s32_f32(whole);
            low[j] = vcvtq_s32_f32(vfmsq_f32(value, whole, vdupq_n_f32(256.0f)));
            low[j] = vmaxq_s32(vdupq_n_s32(-127), vminq_s32(vdupq_n_s32(127), low[j]));
            sum += vaddvq_s32(vaddq_s32(vshlq_n_s32(high[j], 8), low[j]));
        }
        vst1q_s8(q + 16 * i, narrow(high));
        vst1q_s8(q + OSL_BLOCK_COLS + 16 * i, narrow(low));
    }
    return sum;
}

/* amax/limit, NaN where a value is not finite. */
static inline float exact_scale(const struct block_f32 *block, float limit)
{
    float most = largest_magnitude(block);
    return most <= FLT_MAX ? most / limit : __builtin_nanf("");
}

void osl_neon_quantize(int8_t *q, float *scale, int32_t *sum, const float *x, uint32_t cols)
{
    for (uint32_t b = 0; b < cols / OSL_BLOCK_COLS; b++) {
        struct block_f32 block = load_block(x + b * OSL_BLOCK_COLS);
        scale[b] = exact_scale(&block, OSL_ACT_LIMIT);
        sum[b] = store_planes(q + (size_t)b * OSL_ACT_BLOCK_BYTES, &block, scale[b]);
    }
}

/* Integers held within the limit, 0 where the scale is 0 or NaN. Two planes: high + 128 / 256 is
 * rounded down, so that low is -128..127 and both together are exact. */
OSL_NEON_INLINE void pack_block(int8_t *out, const float *x, uint32_t planes)
{
    struct block_f32 block = load_block(x);
    const float limit = OSL_PACK_LIMIT(planes);
    float scale = exact_scale(&block, limit);
    memcpy(out, &scale, sizeof scale);
    out += sizeof scale;
    if (!(scale > 0.0f)) {
        memset(out, 0, OSL_BLOCK_COLS * planes);
        return;
    }
    for (int i = 0; i < 2; i++) {
        int32x4_t high[4];
        int32x4_t low[4];
        for (int j = 0; j < 4; j++) {
            float32x4_t value = vdivq_f32(block.part[4 * i + j], vdupq_n_f32(scale));
            value = vmaxq_f32(vdupq_n_f32(-limit), vminq_f32(vdupq_n_f32(limit), value));
            low[j] = vcvtnq_s32_f32(value);
            high[j] = vrshrq_n_s32(low[j], 8);
            low[j] = vsubq_s32(low[j], vshlq_n_s32(high[j], 8));
        }
        if (planes == 2) {
            vst1q_s8(out + 16 * i, narrow(high));
            vst1q_s8(out + OSL_BLOCK_COLS + 16 * i, narrow(low));
        } else {
            vst1q_s8(out + 16 * i, narrow(low));
        }
    }
}

void osl_neon_pack(uint8_t *out, const float *x, uint32_t cols, uint32_t planes)
{
    for (uint32_t c = 0; c < cols; c += OSL_BLOCK_COLS) {
        if (planes == 2) {
            pack_block((int8_t *)out, x + c, 2);
        } else {
            pack_block((int8_t *)out, x + c, 1);
        }
        out += OSL_PACK_BLOCK_BYTES(planes);
    }
}

void osl_neon_kv_store_f16(void *row, const float *in, uint32_t head_dim)
{
    uint8_t *out = row;
    for (uint32_t d = 0; d < head_dim; d += 8) {
        float16x4_t low = vcvt_f16_f32(vld1q_f32(in + d));
        float16x8_t both = vcvt_high_f16_f32(low, vld1q_f32(in + d + 4));
        vst1q_u8(out + (size_t)d * 2, vreinterpretq_u8_f16(both));
    }
}

/* The scale is rounded to f16 before it divides, so that the pair is consistent. */
void osl_neon_kv_store_q8(void *row, const float *in, uint32_t head_dim)
{
    int8_t *q = row;
    uint8_t *scales = (uint8_t *)row + head_dim;
    for (uint32_t b = 0; b < head_dim / OSL_BLOCK_COLS; b++) {
        struct block_f32 block = load_block(in + b * OSL_BLOCK_COLS);
        __fp16 scale = (__fp16)exact_scale(&block, 127.0f);
        memcpy(scales + b * sizeof scale, &scale, sizeof scale);
        store_rounded(q + b * OSL_BLOCK_COLS, &block, (float)scale);
    }
}
