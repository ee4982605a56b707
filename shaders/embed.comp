#version 460
// X[t] = table[tokens[t]], any weight layout, dequantised to f32.
//
// The table is cut by rows into slabs, one dispatch each: a workgroup makes one token's row, and
// leaves at once where the token is not of its slab. A lane makes a block of 32 columns at a time.
// Source: the plain C, compute/cpu/dequantize.c.
//   constant 0 lanes, 3 weight layout, 8 columns
#extension GL_GOOGLE_include_directive : require

#define USE_STEP
#define USE_ACT
#include "bindings.glsl"
#include "weights.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 3) const uint LAYOUT = 0u;
layout(constant_id = 8) const uint COLS = 32u;

layout(push_constant) uniform Push {
    uint x;      // of ACT, floats
    uint first;  // row of the table that the slab begins with
    uint rows;   // in the slab
    uint scales; // bytes from the slab's begin to its scales
} push;

void main()
{
    uint token = gl_WorkGroupID.y;
    if (token >= step_.token_count) {
        return;
    }
    uint row = uint(step_tokens[token]) - push.first; // a row before the slab wraps round
    if (row >= push.rows) {
        return;
    }
    osl_place place = osl_place(0u, 0u, push.scales, COLS / 32u);
    for (uint block = gl_LocalInvocationID.x; block < COLS / 32u; block += gl_WorkGroupSize.x) {
        vec4 w[8];
        osl_block_f32(LAYOUT, place, row, block, w);
        uint at = (push.x + token * COLS) / 4u + block * 8u;
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            act4[at + i] = w[i];
        }
    }
}
