/* Rotary position embedding, pairs half a head apart. Contract: compute/kernels.h. Products are
 * rounded before they are added, as in the plain kernel: all tables give the same bits. */
#include "neon.h"

void osl_neon_rope(float *heads_data, uint32_t heads, uint32_t head_dim, const float *cos_row,
                   const float *sin_row)
{
    uint32_t half = head_dim / 2;
    for (uint32_t head = 0; head < heads; head++) {
        float *first = heads_data + (size_t)head * head_dim;
        float *second = first + half;
        for (uint32_t i = 0; i < half; i += 4) {
            float32x4_t a = vld1q_f32(first + i);
            float32x4_t b = vld1q_f32(second + i);
            float32x4_t c = vld1q_f32(cos_row + i);
            float32x4_t s = vld1q_f32(sin_row + i);
            vst1q_f32(first + i, vsubq_f32(vmulq_f32(a, c), vmulq_f32(b, s)));
            vst1q_f32(second + i, vaddq_f32(vmulq_f32(b, c), vmulq_f32(a, s)));
        }
    }
}
