// y = W x + b, or y += W x + b, one vector, x normalised first where asked. Up to three weights
// that read the same x go through together, outputs anywhere (q, k and v). Dense weights.
//
// A workgroup makes GROUP_ROWS rows of one weight, TEAMS * ROWS at a time. Which weight is told by
// its number: weight i begins at workgroup group_first[i]. Weight i lies in slab i.
//
// Constants: see vector.glsl and matvec.glsl; 10 normalise x by gain; 11 add to what is there;
// 12 how many weights; 13 x is the row of X the step asks logits of, and nothing is done if none.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_STEP
#define USE_ACT
#define USE_VEC
#define PLACES 1
#include "bindings.glsl"
#include "reduce.glsl"
#include "weights.glsl"
#include "vector.glsl"
#include "matvec.glsl"

layout(constant_id = 10) const uint NORM = 0u;
layout(constant_id = 11) const uint ADD = 0u;
layout(constant_id = 12) const uint WEIGHTS = 1u;
layout(constant_id = 13) const uint STEP_ROW = 0u;

layout(push_constant) uniform Push { osl_gpu_matvec push; };

void make_rows(uint weight, uint group)
{
#ifdef ADDRESS
    osl_address = uvec2(push.address[2u * weight], push.address[2u * weight + 1u]);
#endif
    uint first = group * push.group_rows;
    uint end = min(first + push.group_rows, push.rows[weight]);
    osl_place p[PLACES] =
        osl_place[PLACES](osl_place(weight, 0u, push.scales[weight], BLOCKS));
    for (uint at = first; at < end; at += TEAMS * ROWS) {
        uint row_first = at + osl_team() * ROWS;
        uint row[ROWS];
        OSL_SUM sum[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            row[r] = min(row_first + r, end - 1u);
            sum[r] = 0.0;
        }
        osl_rows_dot(p, row, 0u, sum);
        float value = osl_team_rows(sum);
        uint mine = row_first + osl_lane();
        if (osl_lane() < ROWS && mine < end) {
            if (push.bias[weight] != OSL_GPU_NONE) {
                value += vec[push.bias[weight] + mine];
            }
            uint to = push.y[weight] + mine;
            act[to] = ADD != 0u ? act[to] + value : value;
        }
    }
}

void main()
{
    osl_x_first = push.x / 4u;
    if (STEP_ROW != 0u) {
        if (step_.logits_row_count == 0u) {
            return;
        }
        osl_x_first += step_.logits_row_first * (COLS / 4u);
    }
    osl_stage(NORM != 0u, push.gain / 4u, push.eps);
    uint group = gl_WorkGroupID.x;
    if (WEIGHTS == 1u || group < push.group_first[1]) {
        make_rows(0u, group);
    } else if (group < push.group_first[2]) {
        make_rows(1u, group - push.group_first[1]);
    } else {
        make_rows(2u, group - push.group_first[2]);
    }
}
