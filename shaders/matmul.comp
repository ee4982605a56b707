// out[t][r] = (or +=) in[t] . W[r] + bias[r], for the step's tokens or for the rows that logits are
// asked of; up to three weights with their outputs side by side. One workgroup: TILE_ROWS rows
// (workgroup y) of TILE_TOKENS tokens (workgroup x, first, so that workgroups that run together
// read the same weights), the other way round for rows of logits. constant_id 13: weights, in W0
// and up; see tile.glsl for the others. Plain C: osl_matmul_fn, bias and sum as the executor does.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_STEP
#define USE_ACT
#define USE_VEC
#include "bindings.glsl"
#include "matmul_args.h"

layout(push_constant) uniform Push { osl_gpu_matmul args; };

#include "tile.glsl"

layout(constant_id = 13) const uint PARTS = 1;

uint token_first, token_count, part;

uint tile_x(uint slot)
{
    return args.in_first + min(token_first + slot, token_count - 1u) * COLS;
}

void tile_store(uint slot, uint row, float value)
{
    uint at = args.out_first[part] + (token_first + slot) * args.out_stride + row;
    uint bias = args.bias_first[part];
    value += bias != OSL_GPU_NONE ? vec[bias + row] : 0.0;
    act[at] = args.add != 0u ? act[at] + value : value;
}

void main()
{
    bool logits = args.logits_rows != 0u;
    uint row_tile = logits ? gl_WorkGroupID.x : gl_WorkGroupID.y;
    token_count = logits ? step_.logits_row_count : step_.token_count;
    token_first = (logits ? gl_WorkGroupID.y : gl_WorkGroupID.x) * TILE_TOKENS;
    if (token_first >= token_count) {
        return;
    }
    part = 0u;
    for (uint p = 1u; p < PARTS; p++) {
        part = row_tile >= args.tiles_before[p] ? p : part;
    }
    osl_place place = osl_place(PARTS == 1u ? 0u : part, 0u, args.scales_bytes[part], BLOCKS);
    tile_run(args.rows[part], (row_tile - args.tiles_before[part]) * TILE_ROWS,
             min(token_count - token_first, TILE_TOKENS), place, place);
}
