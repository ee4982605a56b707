#version 460
// Prefill: rotates the query heads of QKV[t] in place; rotates the keys and stores keys and values
// in the cache. A workgroup does one token; a lane takes pairs of query dimensions, then blocks of
// 32 of a key or value head. Position p goes to row p % capacity.
// Source: the plain C, compute/cpu/rope.c and kv_store.c.
//   constant 0 lanes, 8 head_dim, 9 group, 10 kv type
#extension GL_GOOGLE_include_directive : require

#define USE_STEP
#define USE_ACT
#define USE_KV_STORE
#include "bindings.glsl"
#include "kv.glsl"
#include "rope.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint qkv; // of ACT, floats
    uint kv_heads;
    uint capacity;
} push;

shared vec2 rotation[HALF_DIM];

// Block `block` of a key head at `at`, rotated.
void load_key(uint at, uint block, out float x[32])
{
    for (uint i = 0u; i < 32u; i++) {
        uint d = block * 32u + i, pair = d % HALF_DIM;
        vec2 both = osl_rotate(vec2(act[at + pair], act[at + pair + HALF_DIM]), rotation[pair]);
        x[i] = d < HALF_DIM ? both.x : both.y;
    }
}

void main()
{
    uint token = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
    if (token >= step_.token_count) {
        return;
    }
    uint position = step_.position_first + token;
    for (uint i = lane; i < HALF_DIM; i += gl_WorkGroupSize.x) {
        rotation[i] = osl_rotation(position, i, HALF_DIM);
    }
    barrier();
    uint heads = push.kv_heads * GROUP;
    uint qkv = push.qkv + token * (heads + 2u * push.kv_heads) * HEAD_DIM;
    uint keys = qkv + heads * HEAD_DIM;
    for (uint i = lane; i < push.kv_heads * KV_BLOCKS; i += gl_WorkGroupSize.x) {
        uint head = i / KV_BLOCKS, block = i % KV_BLOCKS;
        uint row = head * push.capacity + position % push.capacity;
        float x[32];
        load_key(keys + head * HEAD_DIM, block, x);
        osl_kv_store(false, row, block, x);
        uint value = keys + (push.kv_heads + head) * HEAD_DIM + block * 32u;
        for (uint d = 0u; d < 32u; d++) {
            x[d] = act[value + d];
        }
        osl_kv_store(true, row, block, x);
    }
    for (uint i = lane; i < heads * HALF_DIM; i += gl_WorkGroupSize.x) {
        uint pair = i % HALF_DIM, at = qkv + (i / HALF_DIM) * HEAD_DIM + pair;
        vec2 both = osl_rotate(vec2(act[at], act[at + HALF_DIM]), rotation[pair]);
        act[at] = both.x;
        act[at + HALF_DIM] = both.y;
    }
}
