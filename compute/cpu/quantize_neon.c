/* Activations to int8 per 32, and rows of the cache. Contracts: compute/kernels.h. */
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

/* q[i] = nearest(x[i] / scale), ties to even, limited to +-127 (which matters where the scale is
 * subnormal and coarse); 0 where the scale is 0 or NaN. Returns their sum. Divides, as the plain
 * kernel does: all tables give the same bits. */
static inline int32_t store_rounded(int8_t *q, const struct block_f32 *block, float scale)
{
    if (!(scale > 0.0f)) {
        memset(q, 0, OSL_BLOCK_COLS);
        return 0;
    }
    int8x16_t half[2];
    for (int i = 0; i < 2; i++) {
        int32x4_t n[4];
        for (int j = 0; j < 4; j++) {
            n[j] = vcvtnq_s32_f32(vdivq_f32(block->part[4 * i + j], vdupq_n_f32(scale)));
        }
        int16x8_t low = vqmovn_high_s32(vqmovn_s32(n[0]), n[1]);
        int16x8_t high = vqmovn_high_s32(vqmovn_s32(n[2]), n[3]);
        half[i] = vmaxq_s8(vqmovn_high_s16(vqmovn_s16(low), high), vdupq_n_s8(-127));
        vst1q_s8(q + 16 * i, half[i]);
    }
    return vaddlvq_s16(vpadalq_s8(vpaddlq_s8(half[0]), half[1]));
}

/* amax/127, NaN where a value is not finite. */
static inline float exact_scale(const struct block_f32 *block)
{
    float most = largest_magnitude(block);
    return most <= FLT_MAX ? most / 127.0f : __builtin_nanf("");
}

void osl_neon_quantize(int8_t *q, float *scale, int32_t *sum, const float *x, uint32_t cols)
{
    for (uint32_t b = 0; b < cols / OSL_BLOCK_COLS; b++) {
        struct block_f32 block = load_block(x + b * OSL_BLOCK_COLS);
        scale[b] = exact_scale(&block);
        sum[b] = store_rounded(q + b * OSL_BLOCK_COLS, &block, scale[b]);
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
        __fp16 scale = (__fp16)exact_scale(&block);
        memcpy(scales + b * sizeof scale, &scale, sizeof scale);
        (void)store_rounded(q + b * OSL_BLOCK_COLS, &block, (float)scale);
    }
}
