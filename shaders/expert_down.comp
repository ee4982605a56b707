// EXPERT_Y[member] = down . EXPERT_H[member] + b for the members (token * used + k) of a tile of
// one expert's. One workgroup: TILE_ROWS rows (workgroup x) for one tile of members (workgroup y).
// Constants: see tile.glsl. Experts of other slabs are left to those slabs' dispatches.
// Plain C: osl_matmul_fn with the bias.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_ACT
#define USE_ACT_UINT
#define USE_VEC
#include "bindings.glsl"
#include "matmul_args.h"

layout(push_constant) uniform Push { osl_gpu_matmul args; };

#include "tile.glsl"
#include "expert_tile.glsl"

uint tile_x(uint slot)
{
    return args.in_first + tile_member(slot) * COLS;
}

void tile_store(uint slot, uint row, float value)
{
    uint bias = args.bias_first[0];
    act[args.out_first[0] + tile_member(slot) * args.out_stride + row] =
        value + (bias != OSL_GPU_NONE ? vec[bias + tile_expert * args.rows[0] + row] : 0.0);
}

void main()
{
    if (!tile_open()) {
        return;
    }
    uint first = (tile_expert - args.expert_first) * args.expert_bytes;
    osl_place place = osl_place(0u, first, first + args.scales_bytes[0], BLOCKS);
    tile_run(args.rows[0], gl_WorkGroupID.x * TILE_ROWS, tile_count, place, place);
}
