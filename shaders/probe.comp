// Proves that a device runs anything at all: act[i] = 2 * act[i] + i for i < count.
// One workgroup doubles as many floats as it has invocations.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_ACT
#include "bindings.glsl"
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(push_constant) uniform Args { uint count; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i < count) {
        act[i] = 2.0 * act[i] + float(i);
    }
}
