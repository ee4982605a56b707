/* Plain SwiGLU with gpt-oss's clamps: the gate has no lower bound, the linear part gets one
 * added. NaN stays NaN. Source: gpt-oss reference model, swiglu. */
#include "platform/platform.h"

#include <math.h>

#include "tables.h"

void osl_plain_swiglu(float *gate, const float *up, uint32_t n, float alpha, float limit)
{
    for (uint32_t i = 0; i < n; i++) {
        float g = gate[i] > limit ? limit : gate[i];
        float u = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
        float sigmoid = 1.0f / (1.0f + expf(-alpha * g));
        gate[i] = g * sigmoid * (u + 1.0f);
    }
}
