#version 460
// Lists the candidates: every token in a bucket up to the one that pick_histogram found, in no
// order. What has no room is not listed; result.candidate_count then says more than the room.
//
// Dispatch: x = chunks of the vocabulary. constant_id 0 workgroup size, 8 tokens a chunk.
#extension GL_GOOGLE_include_directive : require
#include "pick.glsl"

void main()
{
    float best = scratch.best;
    uint first = gl_WorkGroupID.x * CHUNK;
    for (uint i = LANE; i < CHUNK; i += WIDTH) {
        float logit = adjusted(first + i);
        if (logit > EXCLUDED && bucket_of(logit, best) <= scratch.bucket_last) {
            uint at = atomicAdd(scratch.gathered, 1);
            if (at < OSL_GPU_CANDIDATES_MAX) {
                result.candidate_token[at] = int(first + i);
                result.candidate_logit[at] = logit;
            }
        }
    }
}
