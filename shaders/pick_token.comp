#version 460
// Picks the next token from LOGITS row 0 by step.pick (bias, penalties, allowed set; greedy or a
// draw), writes it to the ring and makes the step buffer that of the next decode step; or, with
// CANDIDATES, only says what the best logit and the sum are, for the shaders that list candidates.
//
// Dispatch: x = chunks of the vocabulary. A workgroup leaves its chunk's best logit, the first
// token that has it, and the sum of exp((logit - best) / T); the workgroup that finishes last
// combines them and, for a draw, goes through the chosen chunk once more. A draw takes the first
// token, by rising id, whose cumulative weight exceeds uniform_draw times the sum of all.
//
// constant_id 0 workgroup size, 8 tokens a chunk, 9 whether candidates are wanted.
// Source: model/sampler.h.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#define USE_STEP_WRITE
#include "pick.glsl"
#include "pick_advance.glsl"
#include "pick_reduce.glsl"

layout(constant_id = 9) const bool CANDIDATES = false;

shared uint first_lane, last_lane, picked;
shared float picked_rest;

void scan_chunk(uint chunk)
{
    float best = EXCLUDED, weight = 0.0, count = 0.0;
    uint token = NONE;
    uint first = chunk * CHUNK;
    for (uint i = LANE; i < CHUNK; i += WIDTH) {
        float logit = adjusted(first + i);
        if (logit > best) {
            best = logit;
            token = first + i;
        }
        count += logit > EXCLUDED ? 1.0 : 0.0;
    }
    group_best(best, token);
    if (step_.pick.inverse_temperature != 0.0) {
        for (uint i = LANE; i < CHUNK; i += WIDTH) {
            weight += weight_of(adjusted(first + i), best);
        }
        weight = group_sum(weight);
    }
    if (CANDIDATES) {
        count = group_sum(count);
    }
    if (LANE == 0) {
        scratch.chunk_best[chunk] = best;
        scratch.chunk_token[chunk] = token;
        scratch.chunk_weight[chunk] = weight;
        scratch.chunk_count[chunk] = uint(count);
    }
}

// After group_scan(mine): the first lane whose own part is more than nothing and where the sum
// exceeds target; where rounding leaves none, the last lane with a part. NONE: there is no part.
uint lane_at(float mine, float target)
{
    barrier();
    if (LANE == 0) {
        first_lane = NONE;
        last_lane = 0;
    }
    barrier();
    if (mine > 0.0) {
        atomicMax(last_lane, LANE + 1);
        if (lane_value[LANE] > target) {
            atomicMin(first_lane, LANE);
        }
    }
    barrier();
    return first_lane != NONE ? first_lane : last_lane - 1;
}

float chunk_weight(uint chunk, float best)
{
    return chunk < push.chunks
               ? scratch.chunk_weight[chunk] * weight_of(scratch.chunk_best[chunk], best)
               : 0.0;
}

// The token at `target` of a chunk's weights, as target is of their sum.
uint draw_in_chunk(uint chunk, float best, float target)
{
    uint each = (CHUNK + WIDTH - 1) / WIDTH;
    uint first = chunk * CHUNK + LANE * each;
    uint end = min(first + each, (chunk + 1) * CHUNK);
    float mine = 0.0;
    for (uint token = first; token < end; token++) {
        mine += weight_of(adjusted(token), best);
    }
    group_scan(mine);
    if (lane_at(mine, target) == LANE) {
        float sum = LANE > 0 ? lane_value[LANE - 1] : 0.0;
        for (uint token = first; token < end; token++) {
            float weight = weight_of(adjusted(token), best);
            sum += weight;
            picked = weight > 0.0 ? token : picked;
            if (weight > 0.0 && sum > target) {
                break;
            }
        }
    }
    barrier();
    return picked;
}

uint draw(float best)
{
    uint each = (push.chunks + WIDTH - 1) / WIDTH;
    float mine = 0.0;
    for (uint i = 0; i < each; i++) {
        mine += chunk_weight(LANE * each + i, best);
    }
    group_scan(mine);
    float target = step_.pick.uniform_draw[step_.ring_index] * lane_value[WIDTH - 1];
    if (lane_at(mine, target) == LANE) {
        float sum = LANE > 0 ? lane_value[LANE - 1] : 0.0;
        for (uint i = 0; i < each; i++) {
            float weight = chunk_weight(LANE * each + i, best);
            if (weight > 0.0) {
                picked = LANE * each + i;
                picked_rest = target - sum;
            }
            sum += weight;
            if (weight > 0.0 && sum > target) {
                break;
            }
        }
    }
    barrier();
    uint chunk = picked;
    float rest = picked_rest;
    barrier();
    return draw_in_chunk(chunk, best, rest);
}

void list_none(float best)
{
    float mine = 0.0, count = 0.0;
    for (uint chunk = LANE; chunk < push.chunks; chunk += WIDTH) {
        mine += chunk_weight(chunk, best);
        count += float(scratch.chunk_count[chunk]);
    }
    float sum = group_sum(mine);
    count = group_sum(count); // exact: vocabularies are below 2^24
    for (uint b = LANE; b < OSL_GPU_PICK_BUCKETS; b += WIDTH) {
        scratch.bucket_count[b] = 0;
    }
    if (LANE == 0) {
        scratch.best = best;
        scratch.gathered = 0;
        scratch.bucket_last = 0;
        result.best = best;
        result.log_sum = sum > 0.0 ? log(sum) : 0.0;
        result.pickable = uint(count);
        result.candidate_count = 0;
    }
}

void main()
{
    scan_chunk(gl_WorkGroupID.x);
    if (!last_to_finish()) {
        return;
    }
    float best = EXCLUDED;
    uint token = NONE;
    for (uint chunk = LANE; chunk < push.chunks; chunk += WIDTH) {
        if (scratch.chunk_best[chunk] > best) {
            best = scratch.chunk_best[chunk];
            token = scratch.chunk_token[chunk];
        }
    }
    group_best(best, token);
    if (CANDIDATES) {
        list_none(best);
        return;
    }
    if (token != NONE && step_.pick.inverse_temperature != 0.0) {
        token = draw(best);
    }
    advance(token);
}
