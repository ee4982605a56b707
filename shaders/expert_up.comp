// EXPERT_H[member] = swiglu(gate . NORM[token] + bg, up . NORM[token] + bu) for the members
// (token * used + k) of a tile of one expert's. One workgroup: TILE_ROWS / 2 rows of gate and of up
// (workgroup x) for one tile of members (workgroup y). constant_id 12: experts used; for the others
// see tile.glsl. Experts of other slabs are left to those slabs' dispatches.
// Plain C: osl_matmul_fn twice with biases, then osl_swiglu_fn.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_ACT
#define USE_ACT_UINT
#define USE_VEC
#include "bindings.glsl"
#include "matmul_args.h"

layout(push_constant) uniform Push { osl_gpu_matmul args; };
layout(constant_id = 12) const uint USED = 4;

#define TILE_PAIR
#include "tile.glsl"
#include "expert_tile.glsl"

uint tile_x(uint slot)
{
    return args.in_first + tile_member(slot) / USED * COLS;
}

void tile_store(uint slot, uint row, vec2 value)
{
    uint at = tile_expert * args.rows[0] + row;
    uint bias_gate = args.bias_first[0], bias_up = args.bias_first[1];
    float gate = value.x + (bias_gate != OSL_GPU_NONE ? vec[bias_gate + at] : 0.0);
    float up = value.y + (bias_up != OSL_GPU_NONE ? vec[bias_up + at] : 0.0);
    // comparisons, not min and max, so that NaN stays NaN
    gate = gate > args.swiglu_limit ? args.swiglu_limit : gate;
    up = up > args.swiglu_limit ? args.swiglu_limit
                                : up < -args.swiglu_limit ? -args.swiglu_limit : up;
    act[args.out_first[0] + tile_member(slot) * args.out_stride + row] =
        gate / (1.0 + exp(-args.swiglu_alpha * gate)) * (up + 1.0);
}

void main()
{
    if (!tile_open()) {
        return;
    }
    uint first = (tile_expert - args.expert_first) * args.expert_bytes;
    tile_run(args.rows[0], gl_WorkGroupID.x * (TILE_ROWS / 2u), tile_count,
             osl_place(0u, first, first + args.scales_bytes[0], BLOCKS),
             osl_place(1u, first, first + args.scales_bytes[0], BLOCKS));
}
