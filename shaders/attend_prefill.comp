#version 460
// Prefill: every query head of a tile of tokens against the keys they see, causal, with window and
// sink; queries are rotated and keys stored already.
//
// A lane has one query: a token and a head of one kv head's group. Its query and its sums are in
// registers, and it walks all keys in runs of RUN aligned in absolute position with an online
// softmax that begins with the sink, so its bits depend on its own position only: a run that it
// does not see changes nothing, exactly. What lanes share is the keys: STAGED, a tile of them is
// unpacked once into shared memory and read by all lanes at the same address (a broadcast), one
// 16-byte load for 4 multiply-adds; else each lane loads them itself.
// Scores are in powers of two: the query is scaled by log2(e) / sqrt(head_dim).
// Source: the plain C, compute/cpu/attend.c.
//   constant 0 lanes, 8 head_dim, 9 group, 10 kv type, 11 heads a workgroup does, 12 tokens it
//   does, 13 keys in a tile, 14 STAGED
#extension GL_GOOGLE_include_directive : require

#define USE_STEP
#define USE_ACT
#define USE_VEC
#include "bindings.glsl"
#include "kv.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 11) const uint HEADS = 8u;
layout(constant_id = 12) const uint TOKENS = 8u;
layout(constant_id = 13) const uint TILE = 16u; // a multiple of 8, and so of RUN
layout(constant_id = 14) const bool STAGED = true;

layout(push_constant) uniform Push {
    uint qkv, attn; // of ACT, floats
    uint sinks;     // of VEC
    uint kv_heads, capacity, window;
    float scale;
} push;

// keys scored before their weights are taken; fewer of long rows, for a driver's sake, which
// unrolls them all (LLVM takes half a minute for 8 of 256)
const uint RUN = HEAD_DIM <= 64u ? 8u : HEAD_DIM <= 128u ? 4u : 2u;
const uint QUADS = HEAD_DIM / 4u;
const uint STAGE_QUADS = STAGED ? TILE * QUADS : 1u;
const float LOG2_E = 1.44269504;

shared vec4 stage_k[STAGE_QUADS];
shared vec4 stage_v[STAGE_QUADS];

// Keys [first, first + TILE), at row `rows` and on, into shared memory; of those outside
// [from, to), which the cache may not hold, one that it does.
void stage(uint rows, uint first, uint from, uint to)
{
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < TILE * KV_CHUNKS; i += LANES) {
        uint row = rows + clamp(first + i / KV_CHUNKS, from, to - 1u) - first;
        uint chunk = i % KV_CHUNKS;
        vec4 a, b;
        osl_kv_load(false, row, chunk, a, b);
        stage_k[2u * i] = a;
        stage_k[2u * i + 1u] = b;
        osl_kv_load(true, row, chunk, a, b);
        stage_v[2u * i] = a;
        stage_v[2u * i + 1u] = b;
    }
    barrier();
}

// A lane's softmax: largest score, sum of weights, weighted values; and what it looks for.
struct query_state {
    float most, sum;
    vec4 query[QUADS];
    vec4 value[QUADS];
    uint begin, end; // keys it sees
};

// Dimensions [8 i, 8 i + 8) of a key `ahead` of the tile's first.
void take_chunk(bool value, uint rows, uint ahead, uint i, out vec4 a, out vec4 b)
{
    if (STAGED) {
        a = value ? stage_v[ahead * QUADS + 2u * i] : stage_k[ahead * QUADS + 2u * i];
        b = value ? stage_v[ahead * QUADS + 2u * i + 1u] : stage_k[ahead * QUADS + 2u * i + 1u];
    } else {
        osl_kv_load(value, rows + ahead, i, a, b);
    }
}

// Keys [key, key + RUN) of the tile that begins with tile_key, which is at row `rows`.
void take_run(inout query_state state, uint rows, uint key, uint tile_key, uint from, uint to)
{
    float score[RUN];
    float most = state.most;
    [[unroll]] for (uint k = 0u; k < RUN; k++) {
        // never one that the cache may not hold: [from, to) is there
        uint ahead = clamp(key + k, from, to - 1u) - tile_key;
        vec4 sum = vec4(0.0);
        [[unroll]] for (uint i = 0u; i < KV_CHUNKS; i++) {
            vec4 a, b;
            take_chunk(false, rows, ahead, i, a, b);
            sum += state.query[2u * i] * a;
            sum += state.query[2u * i + 1u] * b;
        }
        score[k] = dot(sum, vec4(1.0));
        bool seen = key + k >= state.begin && key + k < state.end;
        most = seen ? max(most, score[k]) : most;
    }
    // exactly 1 where nothing changes: a driver's exp2(0) may not be
    float keep = most == state.most ? 1.0 : exp2(state.most - most);
    state.most = most;
    state.sum *= keep;
    [[unroll]] for (uint k = 0u; k < RUN; k++) {
        bool seen = key + k >= state.begin && key + k < state.end;
        score[k] = seen ? exp2(score[k] - most) : 0.0;
        state.sum += score[k];
    }
    [[unroll]] for (uint i = 0u; i < QUADS; i++) {
        state.value[i] *= keep;
    }
    [[unroll]] for (uint k = 0u; k < RUN; k++) {
        // never one that the cache may not hold: [from, to) is there
        uint ahead = clamp(key + k, from, to - 1u) - tile_key;
        [[unroll]] for (uint i = 0u; i < KV_CHUNKS; i++) {
            vec4 a, b;
            take_chunk(true, rows, ahead, i, a, b);
            state.value[2u * i] += score[k] * a;
            state.value[2u * i + 1u] += score[k] * b;
        }
    }
}

void main()
{
    const uint chunks = (GROUP + HEADS - 1u) / HEADS;
    uint lane = gl_LocalInvocationID.x;
    uint kv_head = gl_WorkGroupID.x / chunks;
    uint head = gl_WorkGroupID.x % chunks * HEADS + lane % HEADS;
    uint first_token = gl_WorkGroupID.y * TOKENS, token = first_token + lane / HEADS;
    if (first_token >= step_.token_count) {
        return;
    }
    uint last_token = min(first_token + TOKENS, step_.token_count) - 1u;
    bool works = token <= last_token && head < GROUP;
    token = min(token, last_token); // idle lanes do as another does, and write nothing
    head = min(head, GROUP - 1u);

    query_state state;
    uint first_end = step_.position_first + first_token + 1u;
    uint from = push.window != 0u && first_end > push.window ? first_end - push.window : 0u;
    uint to = step_.position_first + last_token + 1u;
    state.end = step_.position_first + token + 1u;
    state.begin = push.window != 0u && state.end > push.window ? state.end - push.window : 0u;
    uint heads = push.kv_heads * GROUP;
    uint qkv = push.qkv + token * (heads + 2u * push.kv_heads) * HEAD_DIM;
    uint query4 = (qkv + (kv_head * GROUP + head) * HEAD_DIM) / 4u;
    [[unroll]] for (uint i = 0u; i < QUADS; i++) {
        state.query[i] = act4[query4 + i] * push.scale;
        state.value[i] = vec4(0.0);
    }
    state.most = vec[push.sinks + kv_head * GROUP + head] * LOG2_E;
    state.sum = 1.0;

    for (uint tile = from / TILE; tile * TILE < to; tile++) {
        // the capacity is a multiple of the tile, so a tile's rows follow each other
        uint rows = kv_head * push.capacity + (tile * TILE) % push.capacity;
        if (STAGED) {
            stage(rows, tile * TILE, from, to);
        }
        uint run_from = max(tile * TILE, from / RUN * RUN), run_to = min((tile + 1u) * TILE, to);
        for (uint key = run_from; key < run_to; key += RUN) {
            take_run(state, rows, key, tile * TILE, from, to);
        }
    }
    if (works) {
        uint out4 = (push.attn + token * heads * HEAD_DIM) / 4u +
                    (kv_head * GROUP + head) * QUADS;
        [[unroll]] for (uint i = 0u; i < QUADS; i++) {
            act4[out4 + i] = state.value[i] / state.sum;
        }
    }
}
