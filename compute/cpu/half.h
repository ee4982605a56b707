/* Small float formats, scalar and exact: IEEE half, bfloat16 and the E8M0 scale of MXFP4.
 * Shared by the plain kernels, the tails of the fast ones, and tests. */
#ifndef OSL_CPU_HALF_H
#define OSL_CPU_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float osl_f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t osl_f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The scale of a block of integers up to `limit`: its largest magnitude, given as bits, which order
 * as magnitudes do, over the limit; NaN if a value is not finite. */
static inline float osl_block_scale(uint32_t largest, float limit)
{
    return largest >= 0x7f800000u ? NAN : osl_f32_from_bits(largest) / limit;
}

/* Unaligned little-endian 16 bits: Q8_0 scales lie on even, MXFP4 blocks on any addresses. */
static inline uint16_t osl_load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline float osl_f32_from_bf16(uint16_t half)
{
    return osl_f32_from_bits((uint32_t)half << 16);
}

static inline float osl_f32_from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u;
    uint32_t mantissa = half & 0x3ffu;
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24, exact in f32 */
        uint32_t bits = osl_f32_bits((float)mantissa * 0x1p-24f);
        return osl_f32_from_bits(sign | bits);
    }
    if (exponent == 31) {
        return osl_f32_from_bits(sign | 0x7f800000u | mantissa << 13);
    }
    return osl_f32_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* Nearest, ties to even, as vcvtps2ph and fcvt do; beyond 65504 gives infinity. */
static inline uint16_t osl_f16_from_f32(float value)
{
    uint32_t bits = osl_f32_bits(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    }
    if (magnitude >= 0x477ff000u) { /* 65520, half way to the next power of two */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: adding 0.5 rounds to a multiple of 2^-24 */
        float rounded = osl_f32_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (osl_f32_bits(rounded) - 0x3f000000u));
    }
    uint32_t even = (magnitude >> 13) & 1u;
    return (uint16_t)(sign | ((magnitude + 0xfffu + even - 0x38000000u) >> 13));
}

/* 2^(e-127). Source: OCP Microscaling formats 1.0, section 5.4.1. e = 0 is the subnormal 2^-127
 * (an exponent field of 0 would read as zero), e = 255 is NaN. */
static inline float osl_f32_from_e8m0(uint8_t exponent)
{
    if (exponent == 0) {
        return osl_f32_from_bits(0x00400000u);
    }
    if (exponent == 255) {
        return osl_f32_from_bits(0x7fc00000u);
    }
    return osl_f32_from_bits((uint32_t)exponent << 23);
}

#endif
