// The norm before the experts, the router's logits, and its choice, in one dispatch.
// NORM = rmsnorm(X) gain; ROUTER = NORM W + b; ids = the `used` largest, ties to the lower index,
// largest first; weights = softmax over those. Source: gpt-oss reference model, MLPBlock.
//
// Every workgroup normalises x for itself, writes its share of NORM, and makes TEAMS * ROWS
// logits. The one that finishes last (a counter, which it leaves at zero) chooses: invocation e
// counts the logits that go before its own, and those with a count below `used` are chosen. Logits
// are compared as integers in the order of floats, so that NaNs cannot make two counts equal.
//
// Constants: see vector.glsl and matvec.glsl; 10 normalise here, or take NORM as it is; 11 experts;
// 12 used.
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

layout(constant_id = 10) const uint NORM = 1u;
layout(constant_id = 11) const uint EXPERTS = 32u;
layout(constant_id = 12) const uint USED = 4u;

layout(push_constant) uniform Push { osl_gpu_router push; };

shared uint last;
shared uint order[EXPERTS]; // of the logits, rising with them
shared uint chosen[USED];
shared float chosen_logit[USED];

void write_norm()
{
    uint groups = gl_NumWorkGroups.x, quads = COLS / 4u;
    uint share = (quads + groups - 1u) / groups;
    uint end = min((gl_WorkGroupID.x + 1u) * share, quads);
    for (uint quad = gl_WorkGroupID.x * share + osl_index(); quad < end; quad += GROUP) {
        act4[push.norm / 4u + quad] = osl_x_quad(0u, quad / 8u, quad % 8u);
    }
}

void make_logits()
{
    uint row_first = (gl_WorkGroupID.x * TEAMS + osl_team()) * ROWS;
    uint row[ROWS];
    OSL_SUM sum[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        row[r] = min(row_first + r, EXPERTS - 1u);
        sum[r] = 0.0;
    }
    osl_place p[PLACES] = osl_place[PLACES](osl_place(0u, 0u, push.scales, BLOCKS));
    osl_rows_dot(p, row, 0u, sum);
    float value = osl_team_rows(sum);
    uint mine = row_first + osl_lane();
    if (osl_lane() < ROWS && mine < EXPERTS) {
        value += push.bias != OSL_GPU_NONE ? vec[push.bias + mine] : 0.0;
        act_u[push.router + mine] = floatBitsToUint(value);
    }
}

// Floats as integers of the same order; both zeros alike.
uint order_of(uint bits)
{
    bits = bits == 0x80000000u ? 0u : bits;
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

void choose()
{
    for (uint e = osl_index(); e < EXPERTS; e += GROUP) {
        order[e] = order_of(act_u[push.router + e]);
    }
    barrier();
    for (uint e = osl_index(); e < EXPERTS; e += GROUP) {
        uint before = 0u;
        for (uint other = 0u; other < EXPERTS; other++) {
            bool wins = order[other] > order[e] || (order[other] == order[e] && other < e);
            before += wins ? 1u : 0u;
        }
        if (before < USED) {
            chosen[before] = e;
            chosen_logit[before] = uintBitsToFloat(act_u[push.router + e]);
        }
    }
    barrier();
    uint k = osl_index();
    if (k == 0u) {
        act_u[push.counter] = 0u;
    }
    if (k < USED) {
        float sum = 0.0;
        for (uint other = 0u; other < USED; other++) {
            sum += exp(chosen_logit[other] - chosen_logit[0]);
        }
        act_u[push.ids + k] = chosen[k];
        act_u[push.weights + k] =
            floatBitsToUint(exp(chosen_logit[k] - chosen_logit[0]) / sum);
    }
}

void main()
{
    osl_x_first = push.x / 4u;
    osl_stage(NORM != 0u, push.gain / 4u, push.eps);
    if (NORM != 0u) {
        write_norm();
    }
    make_logits();
    memoryBarrierBuffer();
    barrier();
    if (osl_index() == 0u) {
        last = atomicAdd(act_u[push.counter], 1u) + 1u == gl_NumWorkGroups.x ? 1u : 0u;
    }
    barrier();
    if (last != 0u) {
        memoryBarrierBuffer();
        choose();
    }
}
