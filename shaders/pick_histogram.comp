#version 460
// Counts tokens by bucket of falling logit, 64 buckets a unit below the best one; the workgroup
// that finishes last says up to which bucket tokens are candidates: the first at which there are
// OSL_GPU_CANDIDATES, or all tokens where they have room. The last bucket, of all that is 32 units
// below the best or further, is never counted: it is taken only with all the others.
//
// Dispatch: x = chunks of the vocabulary, after pick_token with candidates.
// constant_id 0 workgroup size, 8 tokens a chunk (a multiple of 4 times that).
#extension GL_GOOGLE_include_directive : require
#include "pick.glsl"

const uint BUCKET_END = OSL_GPU_PICK_BUCKETS - 1;

shared uint lane_count[WIDTH];

// Leaves in lane_count how many tokens are in the buckets of lanes 0..i.
void scan_counts(uint mine)
{
    lane_count[LANE] = mine;
    for (uint reach = 1; reach < WIDTH; reach *= 2) {
        barrier();
        uint before = LANE >= reach ? lane_count[LANE - reach] : 0;
        barrier();
        lane_count[LANE] += before;
    }
    barrier();
}

void main()
{
    float best = scratch.best;
    uint first = gl_WorkGroupID.x * CHUNK;
    for (uint i = LANE * 4; i < CHUNK; i += WIDTH * 4) {
        vec4 logit = adjusted(first + i);
        for (uint c = 0; c < 4; c++) {
            uint bucket = bucket_of(logit[c], best);
            if (logit[c] > EXCLUDED && bucket < BUCKET_END) {
                atomicAdd(scratch.bucket_count[bucket], 1);
            }
        }
    }
    if (!last_to_finish()) {
        return;
    }
    uint each = (BUCKET_END + WIDTH - 1) / WIDTH;
    uint start = LANE * each, end = min(start + each, BUCKET_END), mine = 0;
    for (uint b = start; b < end; b++) {
        mine += scratch.bucket_count[b];
    }
    scan_counts(mine);
    uint sum = lane_count[LANE] - mine, above = lane_count[WIDTH - 1];
    uint pickable = 0;
    for (uint chunk = 0; chunk < push.chunks; chunk++) {
        pickable += scratch.chunk_count[chunk];
    }
    if (pickable <= OSL_GPU_CANDIDATES_MAX) {
        if (LANE == 0) {
            scratch.bucket_last = BUCKET_END;
            result.candidate_count = pickable;
        }
    } else if (above < OSL_GPU_CANDIDATES) {
        if (LANE == 0) {
            scratch.bucket_last = BUCKET_END - 1;
            result.candidate_count = above;
        }
    } else if (sum < OSL_GPU_CANDIDATES && sum + mine >= OSL_GPU_CANDIDATES) {
        uint b = start;
        for (; sum + scratch.bucket_count[b] < OSL_GPU_CANDIDATES; b++) {
            sum += scratch.bucket_count[b];
        }
        scratch.bucket_last = b;
        result.candidate_count = sum + scratch.bucket_count[b];
    }
}
