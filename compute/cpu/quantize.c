/* Activations to int8 per 32. Every table divides by the scale and rounds ties to even, so all
 * of them give the bits of this one. */
#include "platform/platform.h"

#include <math.h>

#include "half.h"
#include "tables.h"

#define INFINITY_BITS 0x7f800000u

static void quantize_block(int8_t *q, float *scale, int32_t *sum, const float *x)
{
    uint32_t largest = 0; /* of the magnitudes' bits, which order as the magnitudes do */
    for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
        uint32_t magnitude = osl_f32_bits(x[i]) & 0x7fffffffu;
        largest = magnitude > largest ? magnitude : largest;
    }
    *scale = largest >= INFINITY_BITS ? NAN : osl_f32_from_bits(largest) / 127.0f;
    *sum = 0;
    bool zero = !(*scale > 0.0f);
    for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
        /* the clamp matters where the scale is subnormal and coarse */
        float value = zero ? 0.0f : rintf(x[i] / *scale);
        value = value > 127.0f ? 127.0f : value < -127.0f ? -127.0f : value;
        q[i] = (int8_t)value;
        *sum += q[i];
    }
}

void osl_plain_quantize(int8_t *q, float *scale, int32_t *sum, const float *x, uint32_t cols)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0);
    for (uint32_t block = 0; block < cols / OSL_BLOCK_COLS; block++) {
        size_t c = (size_t)block * OSL_BLOCK_COLS;
        quantize_block(q + c, scale + block, sum + block, x + c);
    }
}
