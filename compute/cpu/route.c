/* The router's choice. Runs once a token on a few dozen logits, so there is one version. */
#include "platform/platform.h"

#include <math.h>

#include "compute/kernels.h"

void osl_route(const float *logits, uint32_t experts, uint32_t used, uint16_t *ids_out,
               float *weights_out)
{
    bool taken[OSL_EXPERTS_MAX] = {false};
    OSL_ASSERT(experts <= OSL_EXPERTS_MAX && used >= 1 && used <= OSL_EXPERTS_USED_MAX);
    OSL_ASSERT(used <= experts);

    for (uint32_t k = 0; k < used; k++) {
        uint32_t best = experts;
        for (uint32_t e = 0; e < experts; e++) {
            /* strictly greater: the lower index wins a tie; NaN never wins over a taken place */
            if (!taken[e] && (best == experts || logits[e] > logits[best])) {
                best = e;
            }
        }
        taken[best] = true;
        ids_out[k] = (uint16_t)best;
    }

    float sum = 0.0f;
    for (uint32_t k = 0; k < used; k++) {
        weights_out[k] = expf(logits[ids_out[k]] - logits[ids_out[0]]);
        sum += weights_out[k];
    }
    for (uint32_t k = 0; k < used; k++) {
        weights_out[k] /= sum;
    }
}
