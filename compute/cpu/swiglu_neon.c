/* The gated activation of an expert. Contract: compute/kernels.h. The exponential's error is
 * stated in neon.h; the whole is within 4 ulp of the sum of magnitudes. */
#include "neon.h"

static inline float32x4_t swiglu(float32x4_t gate, float32x4_t up, float alpha, float limit)
{
    const float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t g = vminq_f32(gate, vdupq_n_f32(limit));
    float32x4_t u = vmaxq_f32(vminq_f32(up, vdupq_n_f32(limit)), vdupq_n_f32(-limit));
    float32x4_t sigmoid = vdivq_f32(one, vaddq_f32(one, osl_neon_exp(vmulq_n_f32(g, -alpha))));
    return vmulq_f32(vmulq_f32(g, sigmoid), vaddq_f32(u, one));
}

void osl_neon_swiglu(float *gate, const float *up, uint32_t n, float alpha, float limit)
{
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        vst1q_f32(gate + i, swiglu(vld1q_f32(gate + i), vld1q_f32(up + i), alpha, limit));
    }
    if (i < n) { /* the tail goes through the same instructions, so a split changes nothing */
        float g[4] = {0};
        float u[4] = {0};
        memcpy(g, gate + i, (n - i) * sizeof(float));
        memcpy(u, up + i, (n - i) * sizeof(float));
        osl_neon_store_some(gate + i, swiglu(vld1q_f32(g), vld1q_f32(u), alpha, limit), n - i);
    }
}
