/* What the ARM kernels share: block loaders, an exponential, and the names of every kernel.
 *
 * Three levels, each compiled with its own -march and chosen at boot (kernels_neon.c):
 *   osl_neon_     ARMv8.0 Advanced SIMD, what every 64-bit core has
 *   osl_dotprod_  ARMv8.2 with sdot (Cortex-A55, A76 and later)
 *   osl_i8mm_     ARMv8.6 with smmla (Cortex-A510, A710 and later), prefill matmuls only
 * Nothing in here needs more than ARMv8.0, so that every level may include it. */
#ifndef OSL_NEON_H
#define OSL_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "compute/kernels.h"

#define OSL_NEON_INLINE static inline __attribute__((always_inline))

/* How far ahead of the row being multiplied weights are asked for: design.md's figure. */
#define OSL_NEON_PREFETCH_BYTES 2048

/* The bits of 2^(e - 128) for every E8M0 byte e: half of the block's scale, because the nibbles are
 * looked up as doubled integers. 255 is NaN. e = 0 and 1 are subnormal: a table, not a shift. */
extern const uint32_t osl_neon_e8m0_half_bits[256];

OSL_NEON_INLINE float osl_neon_e8m0_half(uint8_t e)
{
    float scale;
    memcpy(&scale, &osl_neon_e8m0_half_bits[e], sizeof scale);
    return scale;
}

/* E2M1 nibbles, doubled. Source: formats note, section 5. */
OSL_NEON_INLINE int8x16_t osl_neon_mxfp4_table(void)
{
    static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    return vld1q_s8(doubled);
}

/* The 32 integers of a block, elements 0..15 and 16..31, and its scale. */
struct osl_neon_block {
    int8x16_t low;
    int8x16_t high;
    float scale;
};

OSL_NEON_INLINE struct osl_neon_block osl_neon_load_mxfp4(const uint8_t *block, int8x16_t table)
{
    uint8x16_t nibbles = vld1q_u8(block + 1);
    return (struct osl_neon_block){
        .low = vqtbl1q_s8(table, vandq_u8(nibbles, vdupq_n_u8(15))),
        .high = vqtbl1q_s8(table, vshrq_n_u8(nibbles, 4)),
        .scale = osl_neon_e8m0_half(block[0]),
    };
}

/* A half at any address; the conversion to single is in ARMv8.0. */
OSL_NEON_INLINE float osl_neon_load_f16(const void *half)
{
    __fp16 value;
    memcpy(&value, half, sizeof value);
    return (float)value;
}

OSL_NEON_INLINE struct osl_neon_block osl_neon_load_q8_0(const uint8_t *block)
{
    return (struct osl_neon_block){
        .low = vreinterpretq_s8_u8(vld1q_u8(block + 2)),
        .high = vreinterpretq_s8_u8(vld1q_u8(block + 18)),
        .scale = osl_neon_load_f16(block),
    };
}

/* sum + the block's products with 32 activations, spread over the lanes, without sdot. Two products
 * of Q8_0 fit 16 bits (2 * 128 * 127 = 32512); of MXFP4, where |w| <= 12, even four do. */
OSL_NEON_INLINE int32x4_t osl_neon_add_block_products(int32x4_t sum, enum osl_dtype dtype,
                                                      struct osl_neon_block block, int8x16_t x_low,
                                                      int8x16_t x_high)
{
    int16x8_t low = vmull_s8(vget_low_s8(block.low), vget_low_s8(x_low));
    low = vmlal_high_s8(low, block.low, x_low);
    if (dtype == OSL_DTYPE_MXFP4) {
        low = vmlal_s8(low, vget_low_s8(block.high), vget_low_s8(x_high));
        return vpadalq_s16(sum, vmlal_high_s8(low, block.high, x_high));
    }
    int16x8_t high = vmull_s8(vget_low_s8(block.high), vget_low_s8(x_high));
    high = vmlal_high_s8(high, block.high, x_high);
    return vpadalq_s16(vpadalq_s16(sum, low), high);
}

/* Where the memory clobber stands, the compiler keeps nothing it has loaded: loading again costs
 * nothing in a loop bound by its multiplications, running out of registers does. */
#define OSL_NEON_LOAD_AGAIN() __asm__ volatile("" ::: "memory")

/* Eight vectors to start sums with, as memory the compiler knows nothing about: making a zero takes
 * a turn of a vector unit, in which it could multiply, while the load units have turns left
 * (llvm-mca: 4 to 8 % of a kernel). [0] zeros, [1] the bits of OSL_NEON_FLOAT_START. */
#define OSL_NEON_STARTS 8
extern const int32_t osl_neon_starts[2][OSL_NEON_STARTS * 4];

OSL_NEON_INLINE const int32_t *osl_neon_load_starts(uint32_t planes)
{
    const int32_t *starts = osl_neon_starts[planes == 1];
    __asm__ volatile("" : "+r"(starts) : : "memory");
    return starts;
}

/* dtype is a constant wherever this is called, so one branch remains. */
OSL_NEON_INLINE struct osl_neon_block osl_neon_load_block(enum osl_dtype dtype,
                                                          const uint8_t *block)
{
    return dtype == OSL_DTYPE_MXFP4 ? osl_neon_load_mxfp4(block, osl_neon_mxfp4_table())
                                    : osl_neon_load_q8_0(block);
}

OSL_NEON_INLINE uint32_t osl_neon_block_bytes(enum osl_dtype dtype)
{
    return dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_BLOCK_BYTES : OSL_Q8_0_BLOCK_BYTES;
}

/* exp(x) = 2^n * p(r), n = round(x / ln 2), r = x - n ln 2 in two steps. p = 1 + r + r^2 q(r) with
 * q interpolated in five Chebyshev nodes over |r| <= ln 2 / 2 (relative error 1e-8). All in all
 * within 1 ulp of exp for x in [-87.6, 88.3]; 0 below (so exp(-inf) = 0), inf above, NaN stays.
 */
OSL_NEON_INLINE float32x4_t osl_neon_exp(float32x4_t x)
{
    x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-88.0f)), vdupq_n_f32(89.0f));
    int32x4_t n = vcvtnq_s32_f32(vmulq_n_f32(x, 0x1.715476p+0f));
    float32x4_t n_float = vcvtq_f32_s32(n);
    float32x4_t r = vfmsq_f32(x, n_float, vdupq_n_f32(0x1.62p-1f));
    r = vfmsq_f32(r, n_float, vdupq_n_f32(0x1.c85fep-10f));
    float32x4_t q = vdupq_n_f32(0x1.630652p-10f);
    q = vfmaq_f32(vdupq_n_f32(0x1.120b6ep-7f), q, r);
    q = vfmaq_f32(vdupq_n_f32(0x1.55612ap-5f), q, r);
    q = vfmaq_f32(vdupq_n_f32(0x1.5554dcp-3f), q, r);
    q = vfmaq_f32(vdupq_n_f32(0x1.fffff4p-2f), q, r);
    float32x4_t p = vaddq_f32(vfmaq_f32(r, vmulq_f32(r, r), q), vdupq_n_f32(1.0f));
    /* n is -127..128 here: the ends give the factors 0 and infinity. */
    int32x4_t power = vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23);
    return vmulq_f32(p, vreinterpretq_f32_s32(power));
}

/* Lane i is the sum of the lanes of the i-th argument, always added in the same order. */
OSL_NEON_INLINE float32x4_t osl_neon_sums_f32(float32x4_t a, float32x4_t b, float32x4_t c,
                                              float32x4_t d)
{
    return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
}

OSL_NEON_INLINE int32x4_t osl_neon_sums_s32(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d)
{
    return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

/* sums[j] lane i = a[i] . b[j] over cols f32 (a multiple of 4), 4 x 4 vectors: each of the 16 dot
 * products is added in the same order wherever it stands. */
OSL_NEON_INLINE void osl_neon_dot_4x4(float32x4_t sums[4], const float *const a[4],
                                      const float *const b[4], uint32_t cols)
{
    float32x4_t acc[4][4];
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < 4; i++) {
            acc[j][i] = vdupq_n_f32(0.0f);
        }
    }
    for (uint32_t col = 0; col < cols; col += 4) {
        float32x4_t left[4];
        for (int i = 0; i < 4; i++) {
            left[i] = vld1q_f32(a[i] + col);
        }
        for (int j = 0; j < 4; j++) {
            float32x4_t right = vld1q_f32(b[j] + col);
            for (int i = 0; i < 4; i++) {
                acc[j][i] = vfmaq_f32(acc[j][i], left[i], right);
            }
        }
    }
    for (int j = 0; j < 4; j++) {
        sums[j] = osl_neon_sums_f32(acc[j][0], acc[j][1], acc[j][2], acc[j][3]);
    }
}

/* Writes the first `count` (1..4) lanes. */
OSL_NEON_INLINE void osl_neon_store_some(float *out, float32x4_t value, uint32_t count)
{
    if (count >= 4) {
        vst1q_f32(out, value);
        return;
    }
    float lanes[4];
    vst1q_f32(lanes, value);
    memcpy(out, lanes, count * sizeof(float));
}

/* Contracts: compute/kernels.h. Names: level, op, weight or cache type. */
osl_matvec_fn osl_neon_matvec_mxfp4;
osl_matvec_fn osl_neon_matvec_q8_0;
osl_matvec_fn osl_neon_matvec_bf16;
osl_matvec_fn osl_neon_matvec_f16;
osl_matvec_fn osl_neon_matvec_f32;
osl_matvec_fn osl_dotprod_matvec_mxfp4;
osl_matvec_fn osl_dotprod_matvec_q8_0;
osl_matvec_tokens_fn osl_dotprod_matvec_tokens_mxfp4;
osl_matvec_tokens_fn osl_dotprod_matvec_tokens_q8_0;
osl_matvec_tokens_fn osl_i8mm_matvec_tokens_mxfp4;

osl_matmul_fn osl_neon_matmul_mxfp4;
osl_matmul_fn osl_neon_matmul_q8_0;
osl_matmul_fn osl_neon_matmul_bf16;
osl_matmul_fn osl_neon_matmul_f16;
osl_matmul_fn osl_neon_matmul_f32;
osl_matmul_fn osl_dotprod_matmul_mxfp4;
osl_matmul_fn osl_dotprod_matmul_q8_0;
osl_matmul_fn osl_i8mm_matmul_mxfp4;
osl_matmul_fn osl_i8mm_matmul_q8_0;

osl_quantize_fn osl_neon_quantize;
osl_pack_fn osl_neon_pack;
osl_rmsnorm_fn osl_neon_rmsnorm;
osl_swiglu_fn osl_neon_swiglu;
osl_rope_fn osl_neon_rope;
osl_kv_store_fn osl_neon_kv_store_f16;
osl_kv_store_fn osl_neon_kv_store_q8;
osl_attend_prefill_fn osl_neon_attend_prefill_f16;
osl_attend_prefill_fn osl_neon_attend_prefill_q8;
osl_attend_part_fn osl_neon_attend_part_f16;
osl_attend_part_fn osl_neon_attend_part_q8;
osl_attend_part_fn osl_dotprod_attend_part_q8;
osl_attend_merge_fn osl_neon_attend_merge;

#endif
