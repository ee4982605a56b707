// out[t][r] = (or +=) in[t] . W[r] + bias[r], for the step's tokens or for the rows that logits are
// asked of. One workgroup: TILE_ROWS rows (workgroup y) of TILE_TOKENS tokens (workgroup x), the
// other way round for rows of logits. See tile.glsl for the constants.
// Plain C: osl_matmul_fn with the bias and the sum of the executor.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_STEP
#define USE_ACT
#define USE_VEC
#include "bindings.glsl"
#include "matmul_args.h"

layout(push_constant) uniform Push { osl_gpu_matmul args; };

#include "tile.glsl"

uint token_first, token_count;

uint tile_x(uint slot)
{
    return args.in_first + min(token_first + slot, token_count - 1u) * COLS;
}

void tile_store(uint slot, uint row, float value)
{
    uint at = args.out_first + (token_first + slot) * args.out_stride + row;
    value += args.bias_first[0] != OSL_GPU_NONE ? vec[args.bias_first[0] + row] : 0.0;
    act[at] = args.add != 0u ? act[at] + value : value;
}

void main()
{
    bool logits = args.logits_rows != 0u;
    token_count = logits ? step_.logits_row_count : step_.token_count;
    token_first = (logits ? gl_WorkGroupID.y : gl_WorkGroupID.x) * TILE_TOKENS;
    if (token_first >= token_count) {
        return;
    }
    osl_place place = osl_place(0u, 0u, args.scales_bytes, BLOCKS);
    tile_run(args.rows, (logits ? gl_WorkGroupID.x : gl_WorkGroupID.y) * TILE_ROWS,
             min(token_count - token_first, TILE_TOKENS), place, place);
}
