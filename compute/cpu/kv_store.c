/* Plain stores of a key or value row into the cache. Every table gives these bits. */
#include "platform/platform.h"

#include <math.h>

#include "half.h"
#include "tables.h"

void osl_plain_kv_store_f16(void *row, const float *in, uint32_t head_dim)
{
    uint8_t *bytes = row;
    for (uint32_t d = 0; d < head_dim; d++) {
        uint16_t half = osl_f16_from_f32(in[d]);
        memcpy(bytes + 2 * (size_t)d, &half, sizeof half);
    }
}

/* The scale is rounded to f16 before it divides, so that the pair (q, scale) is consistent. A
 * block with a non-finite value stores q 0 and scale NaN; one too small for f16 stores zeros. */
void osl_plain_kv_store_q8(void *row, const float *in, uint32_t head_dim)
{
    int8_t *q = row;
    uint8_t *scales = (uint8_t *)row + head_dim;
    for (uint32_t d = 0; d < head_dim; d += OSL_BLOCK_COLS) {
        uint32_t largest = 0;
        for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
            uint32_t magnitude = osl_f32_bits(in[d + i]) & 0x7fffffffu;
            largest = magnitude > largest ? magnitude : largest;
        }
        uint16_t half = osl_f16_from_f32(osl_block_scale(largest, 127.0f));
        float scale = osl_f32_from_f16(half);
        bool zero = !(scale > 0.0f);
        for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
            float value = zero ? 0.0f : rintf(in[d + i] / scale);
            value = value > 127.0f ? 127.0f : value < -127.0f ? -127.0f : value;
            q[d + i] = (int8_t)value;
        }
        memcpy(scales + d / OSL_BLOCK_COLS * 2, &half, sizeof half);
    }
}
