// The router's choice: for each token the USED largest of EXPERTS logits, ties to the lower index,
// largest first; the weights are the softmax over those. One invocation: one token (x).
// constant_id 11: experts, 12: used. Plain C: osl_route.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_STEP
#define USE_ACT
#define USE_ACT_UINT
#include "bindings.glsl"
#include "matmul_args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 11) const uint EXPERTS = 32;
layout(constant_id = 12) const uint USED = 4;
layout(push_constant) uniform Push { osl_gpu_route args; };

void main()
{
    uint token = gl_GlobalInvocationID.x;
    if (token >= step_.token_count) {
        return;
    }
    uint logits = args.logits + token * EXPERTS;
    uint taken[(EXPERTS + 31u) / 32u];
    for (uint i = 0u; i < (EXPERTS + 31u) / 32u; i++) {
        taken[i] = 0u;
    }
    float weight[USED];
    float largest = 0.0, total = 0.0;
    for (uint k = 0u; k < USED; k++) {
        uint best = EXPERTS;
        float value = 0.0;
        for (uint e = 0u; e < EXPERTS; e++) {
            float logit = act[logits + e];
            bool is_free = (taken[e >> 5] >> (e & 31u) & 1u) == 0u;
            // strictly greater: the lower index wins a tie
            if (is_free && (best == EXPERTS || logit > value)) {
                best = e;
                value = logit;
            }
        }
        taken[best >> 5] |= 1u << (best & 31u);
        act_u[args.routes + token * USED + k] = best;
        largest = k == 0u ? value : largest;
        weight[k] = exp(value - largest);
        total += weight[k];
    }
    for (uint k = 0u; k < USED; k++) {
        act[args.weights + token * USED + k] = weight[k] / total;
    }
}
