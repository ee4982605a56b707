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
// constant_id 0 workgroup size, 8 tokens a chunk (a multiple of 4 times that), 9 whether candidates
// are wanted.
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

shared uint first_lane, picked;
shared float picked_rest;

void scan_chunk(uint chunk)
{
    float best = EXCLUDED, weight = 0.0, count = 0.0;
    uint token = NONE;
    uint first = chunk * CHUNK, end = first + CHUNK;
    for (uint i = first + LANE * 4; i < end; i += WIDTH * 4) {
        vec4 logit = adjusted(i);
        for (uint c = 0; c < 4; c++) {
            token = logit[c] > best ? i + c : token;
            best = max(best, logit[c]);
        }
        count += dot(vec4(greaterThan(logit, vec4(EXCLUDED))), vec4(1.0));
    }
    group_best(best, token);
    if (step_.pick.inverse_temperature != 0.0) {
        vec4 weights = vec4(0.0);
        for (uint i = first + LANE * 4; i < end; i += WIDTH * 4) {
            weights += weight_of(adjusted(i), best);
        }
        weight = group_sum((weights.x + weights.y) + (weights.z + weights.w));
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

// After group_scan(mine): the lane whose part of the sum holds target. Neither rounding nor a
// number next to 0 or 1 must choose a lane, chunk or token whose own part is next to nothing:
// targets keep away from both ends, lanes have to have some, and where within one the sum falls
// short, the largest is taken.
const float MOST_PART = 1.0 - 1.0 / 1048576.0;
const float LEAST_PART = 1e-9;
uint lane_at(float mine, float target)
{
    barrier();
    if (LANE == 0) {
        first_lane = WIDTH - 1;
    }
    barrier();
    if (mine > LEAST_PART * lane_value[WIDTH - 1] && lane_value[LANE] > target) {
        atomicMin(first_lane, LANE);
    }
    barrier();
    return first_lane;
}

float chunk_weight(uint chunk, float best)
{
    return chunk < push.chunks
               ? scratch.chunk_weight[chunk] * weight_of(vec4(scratch.chunk_best[chunk]), best).x
               : 0.0;
}

// The token at `target` of a chunk's weights, as target is of their sum.
uint draw_in_chunk(uint chunk, float best, float target)
{
    uint each = CHUNK / WIDTH; // a multiple of 4
    uint first = chunk * CHUNK + LANE * each, end = first + each;
    float mine = 0.0;
    for (uint i = first; i < end; i += 4) {
        vec4 weight = weight_of(adjusted(i), best);
        mine += (weight.x + weight.y) + (weight.z + weight.w);
    }
    group_scan(mine);
    float all = lane_value[WIDTH - 1];
    target = clamp(target, LEAST_PART * all, MOST_PART * all);
    if (lane_at(mine, target) == LANE) {
        float sum = LANE > 0 ? min(lane_value[LANE - 1], target) : 0.0, most = 0.0;
        for (uint i = first; i < end && sum <= target; i += 4) {
            vec4 weight = weight_of(adjusted(i), best);
            for (uint c = 0; c < 4 && sum <= target; c++) {
                sum += weight[c];
                if (weight[c] > most || sum > target) {
                    most = weight[c];
                    picked = i + c;
                }
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
    float uniform_draw = step_.pick.uniform_draw[step_.ring_index];
    float target = clamp(uniform_draw, LEAST_PART, MOST_PART) * lane_value[WIDTH - 1];
    if (lane_at(mine, target) == LANE) {
        float sum = LANE > 0 ? min(lane_value[LANE - 1], target) : 0.0, most = 0.0;
        for (uint i = 0; i < each && sum <= target; i++) {
            float weight = chunk_weight(LANE * each + i, best);
            if (weight > most || sum + weight > target) {
                most = weight;
                picked = LANE * each + i;
                picked_rest = target - sum;
            }
            sum += weight;
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
