#version 460
// Decode: one token's query heads against the cache, the token's own key and value among them.
//
// The visible blocks of OSL_ATTEND_BLOCK keys are shared out to at most PARTS workgroups for every
// kv head (and every HEADS of its query heads). A workgroup rotates its query heads and its kv
// head's new key in shared memory. In the workgroup of the last part the new key and value begin
// the softmax from shared memory; it stores them in the cache too, from where nobody reads them in
// this dispatch. Then teams (subgroups, or the whole workgroup) take tiles of keys: a lane scores a
// key with all heads, keeping what it loads to itself, then lanes take 8 dimensions each of the
// values, so that both walk rows in 16-byte loads. Every team has its own running softmax; they
// are merged through shared memory into a part, and the last workgroup of the kv head to finish
// merges the parts, in rising order of keys, with the sink. How work is cut depends on the
// position alone, so a step gives the same bits whenever it is run.
// Scores are in powers of two: the query is scaled by log2(e) / sqrt(head_dim).
// Source: the plain C, compute/cpu/attend.c, rope.c, kv_store.c.
//   constant 0 lanes, 8 head_dim, 9 group, 10 kv type, 11 heads a workgroup does, 12 most parts,
//   13 keys in a tile, 14 most teams, 15 chunks of 8 dimensions a lane may have to take,
//   16 the workgroup is one subgroup (SUBGROUP only), 17 floats for merging teams
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

#define USE_STEP
#define USE_ACT
#define USE_ACT_UINT
#define USE_VEC
#define USE_KV_STORE
#include "bindings.glsl"
#include "kv.glsl"
#include "rope.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 11) const uint HEADS = 8u;
layout(constant_id = 12) const uint PARTS = 32u;
layout(constant_id = 13) const uint TILE = 64u;
layout(constant_id = 14) const uint TEAMS = 1u;
layout(constant_id = 15) const uint LANE_CHUNKS = 1u;
layout(constant_id = 16) const bool ONE_SUBGROUP = false;
layout(constant_id = 17) const uint MERGE_FLOATS = 512u;

layout(std430, set = 0, binding = 1) coherent buffer Parts4 { uvec4 act_u4[]; };

layout(push_constant) uniform Push {
    uint qkv, attn, parts, counters; // of ACT: floats, floats, floats (a multiple of 4), uints
    uint sinks;                      // of VEC
    uint kv_heads, capacity, window;
    float scale;
} push;

const uint KEY_BLOCK = 64u; // OSL_ATTEND_BLOCK
const uint SLICE = (KV_CHUNKS & 7u) == 0u ? 8u : 4u; // chunks of a row unrolled at once
const uint HEADS4 = (HEADS + 3u) / 4u;
const uint PART_FLOATS = HEADS * (HEAD_DIM + 4u); // values, then (max, sum, -, -) a head
const float LOG2_E = 1.44269504;
const float LEAST = -1.0e30; // a score no key has; infinities are not to be relied on

shared vec2 rotation[HALF_DIM];
shared vec4 query[HEADS * HEAD_DIM / 4u];
shared float fresh[2u * HEAD_DIM]; // the new key, the new value
shared float fresh_score[HEADS];
shared vec4 weight[TEAMS * TILE * HEADS4]; // [team][key][head]
shared float merge[MERGE_FLOATS];          // teams, then parts
shared float lead[(TEAMS + 1u) * HEADS];   // largest score of each team, then of the whole
shared uint finished;

void team_sync()
{
#ifdef SUBGROUP
    subgroupMemoryBarrierShared();
    subgroupBarrier();
#else
    barrier();
#endif
}

void all_sync()
{
#ifdef SUBGROUP
    if (ONE_SUBGROUP) {
        team_sync();
        return;
    }
#endif
    barrier();
}

struct team_place {
    uint index, count, lane, lanes;
};

// A team's running softmax: largest score, and this lane's share of the sums.
struct softmax_state {
    float most[HEADS];
    float sum[HEADS];
    vec4 value[HEADS * LANE_CHUNKS * 2u];
};

#include "attend_fresh.glsl"

// Rows of value dimensions a lane takes: it has chunks first, first + step, .. of every key it
// meets, keys first_key, first_key + key_step, ..
struct value_place {
    uint chunk, chunk_step, key, key_step;
};

value_place place_values(team_place team)
{
    uint across = min(KV_CHUNKS, team.lanes);
    return value_place(team.lane % across, across, team.lane / across, team.lanes / across);
}

void begin_state(out softmax_state state, team_place team, value_place place, bool newest)
{
    bool has = newest && team.index == 0u, mine = has && place.key == 0u;
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
        state.most[h] = has ? fresh_score[h] : LEAST;
        state.sum[h] = mine ? 1.0 : 0.0;
        [[unroll]] for (uint j = 0u; j < LANE_CHUNKS; j++) {
            uint d = HEAD_DIM + min(place.chunk + j * place.chunk_step, KV_CHUNKS - 1u) * 8u;
            uint v = (h * LANE_CHUNKS + j) * 2u;
            state.value[v] = mine ? vec4(fresh[d], fresh[d + 1u], fresh[d + 2u], fresh[d + 3u])
                                  : vec4(0.0);
            state.value[v + 1u] =
                mine ? vec4(fresh[d + 4u], fresh[d + 5u], fresh[d + 6u], fresh[d + 7u])
                     : vec4(0.0);
        }
    }
}

// Scores of keys [from, to) of a tile into weight[], their maximum into the state, and what is in
// the state made relative to it.
void score_tile(inout softmax_state state, team_place team, uint rows, uint from, uint to)
{
    float most[HEADS];
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
        most[h] = state.most[h];
    }
    for (uint key = from + team.lane; key < to; key += team.lanes) {
        uint row = rows + key % TILE;
        vec4 score[HEADS4];
        [[unroll]] for (uint h = 0u; h < HEADS4; h++) {
            score[h] = vec4(0.0);
        }
        for (uint first = 0u; first < KV_CHUNKS; first += SLICE) {
            [[unroll]] for (uint i = 0u; i < SLICE; i++) {
                vec4 a, b;
                osl_kv_load(false, row, first + i, a, b);
                [[unroll]] for (uint h = 0u; h < HEADS; h++) {
                    uint q = h * (HEAD_DIM / 4u) + (first + i) * 2u;
                    score[h >> 2][h & 3u] += dot(query[q], a) + dot(query[q + 1u], b);
                }
            }
        }
        [[unroll]] for (uint h = 0u; h < HEADS4; h++) {
            weight[(team.index * TILE + key % TILE) * HEADS4 + h] = score[h];
        }
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            most[h] = max(most[h], score[h >> 2][h & 3u]);
        }
    }
    team_sync();
#ifndef SUBGROUP
    for (uint key = from; key < to; key++) {
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            most[h] = max(most[h], weight[(key % TILE) * HEADS4 + (h >> 2)][h & 3u]);
        }
    }
    team_sync();
#endif
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
#ifdef SUBGROUP
        most[h] = subgroupMax(most[h]);
#endif
        float keep = exp2(state.most[h] - most[h]);
        state.most[h] = most[h];
        state.sum[h] *= keep;
        [[unroll]] for (uint j = 0u; j < LANE_CHUNKS * 2u; j++) {
            state.value[h * LANE_CHUNKS * 2u + j] *= keep;
        }
    }
    for (uint key = from + team.lane; key < to; key += team.lanes) {
        uint at = (team.index * TILE + key % TILE) * HEADS4;
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            weight[at + (h >> 2)][h & 3u] = exp2(weight[at + (h >> 2)][h & 3u] - most[h]);
        }
    }
    team_sync();
}

void add_values(inout softmax_state state, team_place team, value_place place, uint rows, uint from,
                uint to)
{
    // lanes beyond the last whole row of lanes have no key
    uint begin = place.key < place.key_step ? from + place.key : to;
    for (uint key = begin; key < to; key += place.key_step) {
        uint row = rows + key % TILE;
        vec4 w[HEADS4];
        [[unroll]] for (uint h = 0u; h < HEADS4; h++) {
            w[h] = weight[(team.index * TILE + key % TILE) * HEADS4 + h];
        }
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            state.sum[h] += w[h >> 2][h & 3u];
        }
        [[unroll]] for (uint j = 0u; j < LANE_CHUNKS; j++) {
            uint chunk = min(place.chunk + j * place.chunk_step, KV_CHUNKS - 1u);
            vec4 a, b;
            osl_kv_load(true, row, chunk, a, b);
            [[unroll]] for (uint h = 0u; h < HEADS; h++) {
                uint v = (h * LANE_CHUNKS + j) * 2u;
                state.value[v] += w[h >> 2][h & 3u] * a;
                state.value[v + 1u] += w[h >> 2][h & 3u] * b;
            }
        }
    }
    team_sync();
}

#include "attend_merge.glsl"

void main()
{
    const uint chunks = (GROUP + HEADS - 1u) / HEADS;
    uint kv_head = gl_WorkGroupID.x / chunks, first_head = gl_WorkGroupID.x % chunks * HEADS;
    uint part = gl_WorkGroupID.y, position = step_.position_first;
    uint end = position + 1u;
    uint begin = push.window != 0u && end > push.window ? end - push.window : 0u;
    uint first_block = begin / KEY_BLOCK, blocks = position / KEY_BLOCK - first_block + 1u;
    uint blocks_each = (blocks + PARTS - 1u) / PARTS;
    uint parts = (blocks + blocks_each - 1u) / blocks_each;
    if (part >= parts) {
        return;
    }
    uint from = max(begin, (first_block + part * blocks_each) * KEY_BLOCK);
    uint to = min(position, (first_block + (part + 1u) * blocks_each) * KEY_BLOCK);
    bool newest = part + 1u == parts;
#ifdef SUBGROUP
    team_place team =
        team_place(gl_SubgroupID, gl_NumSubgroups, gl_SubgroupInvocationID,
                   min(gl_SubgroupSize, LANES));
#else
    team_place team = team_place(0u, 1u, gl_LocalInvocationID.x, LANES);
#endif
    value_place place = place_values(team);

    prepare_queries(kv_head, first_head, position);
    if (newest) {
        take_fresh(kv_head, position);
    }
    softmax_state state;
    begin_state(state, team, place, newest);
    for (uint tile = from / TILE + team.index; tile * TILE < to; tile += team.count) {
        uint tile_from = max(from, tile * TILE), tile_to = min(to, (tile + 1u) * TILE);
        // the capacity is a multiple of the tile, so a tile's rows follow each other
        uint rows = kv_head * push.capacity + (tile * TILE) % push.capacity;
        score_tile(state, team, rows, tile_from, tile_to);
        add_values(state, team, place, rows, tile_from, tile_to);
    }
    uint first_part = push.parts + gl_WorkGroupID.x * PARTS * PART_FLOATS;
    write_part(state, team, place, first_part + part * PART_FLOATS);
    if (is_last(push.counters + gl_WorkGroupID.x, parts)) {
        merge_parts(first_part, parts, kv_head, first_head);
    }
}
