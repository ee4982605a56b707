/* Activations to 16 bits per 32, in two planes of int8. Every table divides by the scale and
 * rounds ties to even, so all of them give the bits of this one. */
#include "platform/platform.h"

#include <math.h>

#include "half.h"
#include "tables.h"

static float within(float value, float limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

static void quantize_block(int8_t *q, float *scale, int32_t *sum, const float *x)
{
    uint32_t largest = 0; /* of the magnitudes' bits, which order as the magnitudes do */
    for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
        uint32_t magnitude = osl_f32_bits(x[i]) & 0x7fffffffu;
        largest = magnitude > largest ? magnitude : largest;
    }
    *scale = osl_block_scale(largest, OSL_ACT_LIMIT);
    *sum = 0;
    bool zero = !(*scale > 0.0f);
    for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
        /* the clamp matters where the scale is subnormal and coarse */
        float value = zero ? 0.0f : within(rintf(x[i] / *scale), OSL_ACT_LIMIT);
        float high = rintf(value / 256.0f);
        float low = within(value - 256.0f * high, 127.0f);
        q[i] = (int8_t)high;
        q[OSL_BLOCK_COLS + i] = (int8_t)low;
        *sum += 256 * q[i] + q[OSL_BLOCK_COLS + i];
    }
}

void osl_plain_quantize(int8_t *q, float *scale, int32_t *sum, const float *x, uint32_t cols)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0);
    for (uint32_t block = 0; block < cols / OSL_BLOCK_COLS; block++) {
        quantize_block(q + (size_t)block * OSL_ACT_BLOCK_BYTES, scale + block, sum + block,
                       x + (size_t)block * OSL_BLOCK_COLS);
    }
}
