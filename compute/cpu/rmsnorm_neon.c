/* RMS norm. Contract: compute/kernels.h. Sixteen partial sums of squares, all f32. */
#include <math.h>

#include "neon.h"

void osl_neon_rmsnorm(float *out, const float *in, const float *gain, uint32_t cols, float eps)
{
    float32x4_t sum[4];
    for (int i = 0; i < 4; i++) {
        sum[i] = vdupq_n_f32(0.0f);
    }
    for (uint32_t col = 0; col < cols; col += 16) {
        for (uint32_t i = 0; i < 4; i++) {
            float32x4_t x = vld1q_f32(in + col + 4 * i);
            sum[i] = vfmaq_f32(sum[i], x, x);
        }
    }
    float square = vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
    float factor = 1.0f / sqrtf(square / (float)cols + eps);
    for (uint32_t col = 0; col < cols; col += 4) {
        float32x4_t x = vmulq_n_f32(vld1q_f32(in + col), factor);
        vst1q_f32(out + col, vmulq_f32(x, vld1q_f32(gain + col)));
    }
}
