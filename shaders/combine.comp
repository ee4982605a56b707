// X[t] += sum_k weight[t][k] Y[t][k], k rising. One workgroup: workgroup size fours of columns
// (workgroup x) of one token (workgroup y). constant_id 8: columns, 12: experts used.
// Plain C: the executor's weighted sum after the down products.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_ACT
#include "bindings.glsl"
#include "matmul_args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 8) const uint COLS = 96;
layout(constant_id = 12) const uint USED = 4;
layout(push_constant) uniform Push { osl_gpu_combine args; };

void main()
{
    uint token = gl_WorkGroupID.y, four = gl_GlobalInvocationID.x;
    if (four >= COLS / 4u) {
        return;
    }
    vec4 sum = vec4(0.0);
    for (uint k = 0u; k < USED; k++) {
        uint member = token * USED + k;
        sum += act[args.weights + member] * act4[args.y / 4u + member * (COLS / 4u) + four];
    }
    act4[args.x / 4u + token * (COLS / 4u) + four] += sum;
}
