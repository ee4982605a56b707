#version 460
// out[i] = rmsnorm(X[row(i)]) * gain: all tokens of the step, or the rows that logits are asked of.
//
// A workgroup makes one row. Lanes stride over vec4s, their sums of squares are added in f32: by
// subgroup and then by lane 0's order over subgroups, or by halves through shared memory.
// Source: the plain C, compute/cpu/rmsnorm.c (which adds in double: 2e-7 of the sum apart).
//   constant 0 lanes (a power of two, 256 at most), 8 columns, 9 rows of logits (else all tokens)
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

#define USE_STEP
#define USE_ACT
#define USE_VEC
#include "bindings.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 8) const uint COLS = 32u;
layout(constant_id = 9) const uint LOGITS_ROWS = 0u;

layout(push_constant) uniform Push {
    uint x, out_, gain; // floats: of ACT, ACT, VEC
    float eps;
} push;

shared float sums[LANES];

float sum_of_all(float mine)
{
    uint lane = gl_LocalInvocationID.x;
#ifdef SUBGROUP
    mine = subgroupAdd(mine);
    if (gl_NumSubgroups == 1u) {
        return mine;
    }
    if (subgroupElect()) {
        sums[gl_SubgroupID] = mine;
    }
    barrier();
    float sum = 0.0;
    for (uint i = 0u; i < gl_NumSubgroups; i++) {
        sum += sums[i];
    }
    return sum;
#else
    sums[lane] = mine;
    for (uint width = LANES / 2u; width > 0u; width /= 2u) {
        barrier();
        if (lane < width) {
            sums[lane] += sums[lane + width];
        }
    }
    barrier();
    return sums[0];
#endif
}

void main()
{
    uint row = gl_WorkGroupID.y;
    if (row >= (LOGITS_ROWS != 0u ? step_.logits_row_count : step_.token_count)) {
        return;
    }
    uint from = LOGITS_ROWS != 0u ? step_.logits_row_first + row : row;
    uint in4 = push.x / 4u + from * (COLS / 4u);
    uint out4 = push.out_ / 4u + row * (COLS / 4u);
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < COLS / 4u; i += LANES) {
        vec4 x = act4[in4 + i];
        sum += dot(x, x);
    }
    float mean = sum_of_all(sum) / float(COLS) + push.eps;
    float factor = inversesqrt(mean);
    factor *= 1.5 - 0.5 * mean * factor * factor; // a driver's root may be 2 ulp off
    for (uint i = gl_LocalInvocationID.x; i < COLS / 4u; i += LANES) {
        uint at = push.gain + 4u * i;
        act4[out4 + i] = act4[in4 + i] * factor *
                         vec4(vec[at], vec[at + 1u], vec[at + 2u], vec[at + 3u]);
    }
}
