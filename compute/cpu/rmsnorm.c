/* Plain RMS norm. The sum of squares is taken in double, in rising order; the rest is f32.
 * Source: gpt-oss reference model, RMSNorm (epsilon inside the root). */
#include "platform/platform.h"

#include <math.h>

#include "tables.h"

void osl_plain_rmsnorm(float *out, const float *in, const float *gain, uint32_t cols, float eps)
{
    double sum = 0.0;
    for (uint32_t c = 0; c < cols; c++) {
        sum += (double)in[c] * in[c];
    }
    float factor = (float)(1.0 / sqrt(sum / cols + (double)eps));
    for (uint32_t c = 0; c < cols; c++) {
        out[c] = in[c] * factor * gain[c];
    }
}
