// Part of attend_decode.comp, its prologue: the query heads, the new key and value, made ready in
// shared memory.

// Rotates the query heads, scaled for powers of two, and the key.
void prepare_queries(uint kv_head, uint first_head, uint position)
{
    uint lane = gl_LocalInvocationID.x;
    for (uint i = lane; i < HALF_DIM; i += LANES) {
        rotation[i] = osl_rotation(position, i, HALF_DIM);
    }
    all_sync();
    for (uint i = lane; i < (HEADS + 1u) * HALF_DIM; i += LANES) {
        uint head = i / HALF_DIM, pair = i % HALF_DIM;
        bool key = head == HEADS;
        uint row = key ? push.kv_heads * GROUP + kv_head : kv_head * GROUP + first_head + head;
        bool there = key || first_head + head < GROUP;
        uint at = push.qkv + row * HEAD_DIM + pair;
        vec2 both = there ? osl_rotate(vec2(act[at], act[at + HALF_DIM]), rotation[pair])
                          : vec2(0.0);
        if (key) {
            fresh[pair] = both.x;
            fresh[pair + HALF_DIM] = both.y;
        } else {
            uint q = head * HEAD_DIM + pair;
            query[q >> 2][q & 3u] = both.x * push.scale;
            q += HALF_DIM;
            query[q >> 2][q & 3u] = both.y * push.scale;
        }
    }
    all_sync();
}

// Stores the new key and value, leaves them in shared memory as they will be read from the cache,
// and scores the key.
void take_fresh(uint kv_head, uint position)
{
    uint lane = gl_LocalInvocationID.x;
    uint row = kv_head * push.capacity + position % push.capacity;
    uint values = push.qkv + (push.kv_heads * (GROUP + 1u) + kv_head) * HEAD_DIM;
    for (uint block = lane; block < KV_BLOCKS; block += LANES) {
        float x[32];
        for (uint d = 0u; d < 32u; d++) {
            x[d] = fresh[block * 32u + d];
        }
        osl_kv_store(false, row, block, x);
        for (uint d = 0u; d < 32u; d++) {
            fresh[block * 32u + d] = x[d];
            x[d] = act[values + block * 32u + d];
        }
        osl_kv_store(true, row, block, x);
        for (uint d = 0u; d < 32u; d++) {
            fresh[HEAD_DIM + block * 32u + d] = x[d];
        }
    }
    all_sync();
    for (uint head = lane; head < HEADS; head += LANES) {
        float score = 0.0;
        for (uint i = 0u; i < HEAD_DIM; i++) {
            uint q = head * HEAD_DIM + i;
            score += query[q >> 2][q & 3u] * fresh[i];
        }
        fresh_score[head] = score;
    }
    all_sync();
}
