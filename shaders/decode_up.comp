// EXPERT_H[k] = swiglu(gate x + bg, up x + bu) for the chosen experts, one vector. x is NORM.
// Source: gpt-oss reference model, MLPBlock and swiglu.
//
// Workgroup (i, k): rows from i * group_rows of the k-th chosen expert, TEAMS * ROWS at a time,
// gate and up together. The SLABS slabs of gate are bound first, those of up behind them.
//
// Constants: see vector.glsl and matvec.glsl.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_ACT
#define USE_ACT_UINT
#define USE_VEC
#define PLACES 2
#define OSL_SUM vec2
#include "bindings.glsl"
#include "reduce.glsl"
#include "weights.glsl"
#include "vector.glsl"
#include "matvec.glsl"

layout(push_constant) uniform Push { osl_gpu_expert_up push; };

// NaN stays NaN.
float swiglu(float gate, float up)
{
    gate = gate > push.limit ? push.limit : gate;
    up = up > push.limit ? push.limit : up < -push.limit ? -push.limit : up;
    return gate / (1.0 + exp(-push.alpha * gate)) * (up + 1.0);
}

void make_rows(uint slab, uint expert)
{
    uint first = (expert - slab * push.per_slab) * push.expert_bytes;
    osl_place p[PLACES] =
        osl_place[PLACES](osl_place(slab, first, first + push.scales, BLOCKS),
                          osl_place(SLABS + slab, first, first + push.scales, BLOCKS));
    uint begin = gl_WorkGroupID.x * push.group_rows;
    uint end = min(begin + push.group_rows, push.rows);
    for (uint at = begin; at < end; at += TEAMS * ROWS) {
        uint row_first = at + osl_team() * ROWS;
        uint row[ROWS];
        OSL_SUM sum[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            row[r] = min(row_first + r, end - 1u);
            sum[r] = vec2(0.0);
        }
        osl_rows_dot(p, row, 0u, sum);
        vec2 value = osl_team_rows(sum);
        uint mine = row_first + osl_lane();
        if (osl_lane() < ROWS && mine < end) {
            uint b = expert * push.rows + mine;
            value.x += push.bias[0] != OSL_GPU_NONE ? vec[push.bias[0] + b] : 0.0;
            value.y += push.bias[1] != OSL_GPU_NONE ? vec[push.bias[1] + b] : 0.0;
            act[push.h + gl_WorkGroupID.y * push.rows + mine] = swiglu(value.x, value.y);
        }
    }
}

void main()
{
    osl_x_first = push.x / 4u;
    osl_stage(false, 0u, 0.0);
    uint expert = act_u[push.ids + gl_WorkGroupID.y];
    uint slab = SLABS == 1u ? 0u : expert / push.per_slab;
    if (SLABS == 1u || slab == 0u) {
        make_rows(0u, expert);
    } else {
        make_rows(1u, expert);
    }
}
