#version 460
// Reads all of a binding and leaves nothing: what bandwidth weights can be had at, for bench.
// An invocation reads VECTORS vectors of 16 bytes, neighbours side by side, as the products do.
//
// Dispatch: groups of local size * VECTORS vectors, numbered by x then y. constant_id 0 workgroup
// size, 8 VECTORS.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define USE_ACT_UINT
#include "bindings.glsl"
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 8) const uint VECTORS = 16;
layout(std430, set = 0, binding = 4) readonly buffer Weights { uvec4 weights[]; };
layout(push_constant) uniform Push { uint vectors, counters; };

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    uint first = group * gl_WorkGroupSize.x * VECTORS + gl_LocalInvocationID.x;
    uvec4 sum = uvec4(0);
    [[unroll]] for (uint i = 0; i < VECTORS; i++) {
        uint at = first + i * gl_WorkGroupSize.x;
        sum ^= at < vectors ? weights[at] : uvec4(0);
    }
    // Never so for weights, but a compiler cannot know: the reads must be made.
    if (sum.x == 0x5eedf00du && sum.y == 0x0ddba11u && sum.z == 0x0c0ffee0u && sum.w == 1u) {
        atomicAdd(act_u[counters], 0u);
    }
}
