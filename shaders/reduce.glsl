// Who an invocation is, and sums over invocations.
//
// A workgroup of GROUP invocations is cut into teams of LANES, a power of two; a team works on
// ROWS rows at once, at most LANES. With SUBGROUP defined sums use subgroup arithmetic of
// whatever width the driver gives, and shared memory only where a team is wider than that;
// without it, shared memory alone. Functions that sum must be called by the whole workgroup.
// OSL_SUM, float or vec2, is what a row adds up.
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#extension GL_EXT_control_flow_attributes : require

#ifndef OSL_SUM
#define OSL_SUM float
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
layout(constant_id = 2) const uint ROWS = 2u;
layout(constant_id = 5) const uint LANES = 32u;

const uint TEAMS = GROUP / LANES;

shared OSL_SUM osl_sums[GROUP * ROWS];
shared float osl_totals[GROUP];

// The invocation's number; a team is a run of numbers. Subgroups are not promised to be runs of
// gl_LocalInvocationIndex, so they give the numbers where they are used.
uint osl_index()
{
#ifdef SUBGROUP
    return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
#else
    return gl_LocalInvocationIndex;
#endif
}

uint osl_lane()
{
    return TEAMS == 1u ? osl_index() : osl_index() % LANES;
}

// A literal where there is one team: rows are then known to be the same for all lanes.
uint osl_team()
{
    return TEAMS == 1u ? 0u : osl_index() / LANES;
}

// The sum of value over the workgroup, for everyone. Nothing read before is needed after.
float osl_group_sum(float value)
{
    uint count = GROUP;
#ifdef SUBGROUP
    value = subgroupAdd(value);
    if (subgroupElect()) {
        osl_totals[gl_SubgroupID] = value;
    }
    count = gl_NumSubgroups;
#else
    osl_totals[gl_LocalInvocationIndex] = value;
    for (uint apart = GROUP / 2u; apart >= 8u; apart /= 2u) {
        barrier();
        if (gl_LocalInvocationIndex < apart) {
            osl_totals[gl_LocalInvocationIndex] += osl_totals[gl_LocalInvocationIndex + apart];
        }
        count = apart;
    }
#endif
    barrier();
    float total = 0.0;
    for (uint i = 0u; i < count; i++) {
        total += osl_totals[i];
    }
    barrier();
    return total;
}

// sum[r] over each team; its lane r < ROWS gets the total of row r, other lanes nothing of use.
OSL_SUM osl_team_rows(OSL_SUM sum[ROWS])
{
    uint lane = osl_lane();
    OSL_SUM mine = OSL_SUM(0.0);
#ifdef SUBGROUP
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        if (LANES == gl_SubgroupSize) {
            sum[r] = subgroupAdd(sum[r]);
        } else {
            for (uint apart = min(LANES, gl_SubgroupSize) / 2u; apart > 0u; apart /= 2u) {
                sum[r] += subgroupShuffleXor(sum[r], apart);
            }
        }
        mine = lane == r ? sum[r] : mine;
    }
    if (LANES <= gl_SubgroupSize) {
        return mine;
    }
    uint apart = gl_SubgroupSize; // every lane holds its subgroup's total: one of each is read
#else
    uint apart = 1u;
#endif
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        osl_sums[r * GROUP + osl_index()] = sum[r];
    }
    barrier();
    mine = OSL_SUM(0.0);
    if (lane < ROWS) {
        for (uint i = 0u; i < LANES; i += apart) {
            mine += osl_sums[lane * GROUP + osl_team() * LANES + i];
        }
    }
    barrier();
    return mine;
}
