// Part of attend_decode.comp: teams into a part, and the last workgroup's merge of the parts.

// Merges the teams, head by head, and writes the part.
void write_part(softmax_state state, team_place team, value_place place, uint part_at)
{
    uint lane = gl_LocalInvocationID.x;
    uint rows = team.count * place.key_step; // of values to be added up for each head
    uint own = team.index * place.key_step + place.key;
    bool works = place.key < place.key_step;
    if (team.lane == 0u) {
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            lead[team.index * HEADS + h] = state.most[h];
        }
    }
    all_sync();
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
        float most = LEAST;
        for (uint t = 0u; t < team.count; t++) {
            most = max(most, lead[t * HEADS + h]);
        }
        float keep = exp2(state.most[h] - most);
        [[unroll]] for (uint j = 0u; j < LANE_CHUNKS; j++) {
            uint chunk = place.chunk + j * place.chunk_step;
            if (works && chunk < KV_CHUNKS) {
                uint to = own * (HEAD_DIM + 1u) + chunk * 8u, v = (h * LANE_CHUNKS + j) * 2u;
                [[unroll]] for (uint i = 0u; i < 4u; i++) {
                    merge[to + i] = state.value[v][i] * keep;
                    merge[to + 4u + i] = state.value[v + 1u][i] * keep;
                }
            }
        }
        if (works && place.chunk == 0u) {
            merge[own * (HEAD_DIM + 1u) + HEAD_DIM] = state.sum[h] * keep;
        }
        all_sync();
        for (uint d = lane; d <= HEAD_DIM; d += LANES) {
            float sum = 0.0;
            for (uint row = 0u; row < rows; row++) {
                sum += merge[row * (HEAD_DIM + 1u) + d];
            }
            uint last = part_at + HEADS * HEAD_DIM + h * 4u;
            act_u[d < HEAD_DIM ? part_at + h * HEAD_DIM + d : last + 1u] = floatBitsToUint(sum);
            if (d == HEAD_DIM) {
                act_u[last] = floatBitsToUint(most);
            }
        }
        all_sync();
    }
}

// Whether this workgroup is the last of `count` to get here; the counter is zero again then.
bool is_last(uint counter, uint count)
{
    memoryBarrierBuffer();
    all_sync();
    if (gl_LocalInvocationID.x == 0u) {
        finished = atomicAdd(act_u[counter], 1u);
        if (finished + 1u == count) {
            atomicExchange(act_u[counter], 0u);
        }
    }
    all_sync();
    memoryBarrierBuffer();
    return finished + 1u == count;
}

// Merges the parts with the sinks: weights of parts for every head, then sums of 4 dimensions.
void merge_parts(uint first_part, uint count, uint kv_head, uint first_head)
{
    uint lane = gl_LocalInvocationID.x;
    for (uint i = lane; i < HEADS * count; i += LANES) {
        uint h = i % HEADS, part = i / HEADS;
        uint at = first_part + part * PART_FLOATS + HEADS * HEAD_DIM + h * 4u;
        merge[h * PARTS + part] = uintBitsToFloat(act_u[at]);
        merge[(HEADS + h) * PARTS + part] = uintBitsToFloat(act_u[at + 1u]);
    }
    all_sync();
    for (uint h = lane; h < HEADS; h += LANES) {
        bool there = first_head + h < GROUP;
        float sink = there ? vec[push.sinks + kv_head * GROUP + first_head + h] * LOG2_E : 0.0;
        float most = sink, sum = 0.0;
        for (uint part = 0u; part < count; part++) {
            most = max(most, merge[h * PARTS + part]);
        }
        sum = exp2(sink - most);
        for (uint part = 0u; part < count; part++) {
            float w = exp2(merge[h * PARTS + part] - most);
            merge[h * PARTS + part] = w;
            sum += w * merge[(HEADS + h) * PARTS + part];
        }
        lead[h] = sum;
    }
    all_sync();
    uint heads = min(HEADS, GROUP - first_head);
    uint out4 = (push.attn + (kv_head * GROUP + first_head) * HEAD_DIM) / 4u;
    for (uint i = lane; i < heads * HEAD_DIM / 4u; i += LANES) {
        uint h = i / (HEAD_DIM / 4u);
        vec4 sum = vec4(0.0);
        for (uint part = 0u; part < count; part++) {
            uvec4 bits = act_u4[(first_part + part * PART_FLOATS) / 4u + i];
            sum += merge[h * PARTS + part] * uintBitsToFloat(bits);
        }
        act4[out4 + i] = sum / lead[h];
    }
}
