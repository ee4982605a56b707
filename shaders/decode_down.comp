// X += sum over the chosen experts, in the order chosen, of weight_k (down_k h_k + b_k).
// Source: gpt-oss reference model, MLPBlock.
//
// A workgroup makes group_rows rows of X, TEAMS * ROWS at a time, going through all the chosen
// experts for each, so that nothing is left to add up afterwards.
//
// Constants: see vector.glsl and matvec.glsl; VECTORS is how many experts are chosen.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_ACT
#define USE_ACT_UINT
#define USE_VEC
#define PLACES 1
#include "bindings.glsl"
#include "reduce.glsl"
#include "weights.glsl"
#include "vector.glsl"
#include "matvec.glsl"

layout(push_constant) uniform Push { osl_gpu_expert_down push; };

// sum[r] += route weight * this lane's share of the expert's rows.
void add_expert(uint slab, uint expert, uint k, uint row[ROWS], inout OSL_SUM sum[ROWS])
{
    uint first = (expert - slab * push.per_slab) * push.expert_bytes;
    osl_place p[PLACES] =
        osl_place[PLACES](osl_place(slab, first, first + push.scales, BLOCKS));
    float weight = uintBitsToFloat(act_u[push.weights + k]);
    OSL_SUM one[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        one[r] = 0.0;
    }
    osl_rows_dot(p, row, k, one);
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        sum[r] = fma(weight, one[r], sum[r]);
    }
}

float weighted_bias(uint row)
{
    float sum = 0.0;
    for (uint k = 0u; k < VECTORS; k++) {
        sum = fma(uintBitsToFloat(act_u[push.weights + k]),
                  vec[push.bias + act_u[push.ids + k] * push.rows + row], sum);
    }
    return sum;
}

void main()
{
    osl_x_first = push.h / 4u;
    osl_stage(false, 0u, 0.0);
    uint begin = gl_WorkGroupID.x * push.group_rows;
    uint end = min(begin + push.group_rows, push.rows);
    for (uint at = begin; at < end; at += TEAMS * ROWS) {
        uint row_first = at + osl_team() * ROWS;
        uint row[ROWS];
        OSL_SUM sum[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            row[r] = min(row_first + r, end - 1u);
            sum[r] = 0.0;
        }
        for (uint k = 0u; k < VECTORS; k++) {
            uint expert = act_u[push.ids + k];
            uint slab = SLABS == 1u ? 0u : expert / push.per_slab;
            if (SLABS == 1u || slab == 0u) {
                add_expert(0u, expert, k, row, sum);
            } else if (SLABS == 2u || slab == 1u) {
                add_expert(1u, expert, k, row, sum);
            } else if (SLABS == 3u || slab == 2u) {
                add_expert(2u, expert, k, row, sum);
            } else {
                add_expert(3u, expert, k, row, sum);
            }
        }
        float value = osl_team_rows(sum);
        uint mine = row_first + osl_lane();
        if (osl_lane() < ROWS && mine < end) {
            value += push.bias != OSL_GPU_NONE ? weighted_bias(mine) : 0.0;
            act[push.x + mine] += value;
        }
    }
}
