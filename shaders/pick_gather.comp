#version 460
// Lists the candidates: every token in a bucket up to the one that pick_histogram found, in no
// order. What has no room is not listed; result.candidate_count then says more than the room.
//
// Dispatch: x = chunks of the vocabulary.
// constant_id 0 workgroup size, 8 tokens a chunk (a multiple of 4 times that).
#extension GL_GOOGLE_include_directive : require
#include "pick.glsl"

void main()
{
    float best = scratch.best;
    uint first = gl_WorkGroupID.x * CHUNK;
    uint bucket_last = scratch.bucket_last;
    for (uint i = LANE * 4; i < CHUNK; i += WIDTH * 4) {
        vec4 logit = adjusted(first + i);
        for (uint c = 0; c < 4; c++) {
            if (logit[c] > EXCLUDED && bucket_of(logit[c], best) <= bucket_last) {
                uint at = atomicAdd(scratch.gathered, 1);
                if (at < OSL_GPU_CANDIDATES_MAX) {
                    result.candidate_token[at] = int(first + i + c);
                    result.candidate_logit[at] = logit[c];
                }
            }
        }
    }
}
