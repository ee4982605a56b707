// What the picking shaders share: their bindings, a token's logit after bias and penalties, and
// which workgroup finishes last. The specification is model/sampler.h; a token that can not be
// picked has EXCLUDED for a logit, so that no infinity and no NaN enters any arithmetic.
//
// The vocabulary is cut into chunks of CHUNK tokens, one a workgroup.
#ifndef USE_STEP_WRITE
#define USE_STEP
#endif
#define USE_ACT
#include "bindings.glsl"

layout(local_size_x_id = 0) in;             // power of two, at most 256
layout(constant_id = 8) const uint CHUNK = 1024;
#define WIDTH gl_WorkGroupSize.x
#define LANE gl_LocalInvocationIndex

layout(push_constant) uniform Push { osl_gpu_pick_push push; };
layout(std430, set = 0, binding = 3) buffer Result { osl_gpu_pick_result result; };
layout(std430, set = 0, binding = 4) buffer Seen { uint seen[]; };
layout(std430, set = 0, binding = 5) readonly buffer Allowed { uint allowed[]; };
layout(std430, set = 0, binding = 6) coherent buffer Scratch { osl_gpu_pick_scratch scratch; };

const float EXCLUDED = -3.0e38;
const float BIG = 1.0e30; // logits are clamped to it, as the host's are
const uint NONE = 0xffffffffu;

// precise: products and sums are rounded one by one, as C does it.
float adjusted(uint token)
{
    if (token >= step_.pick.token_count ||
        (step_.pick.use_allowed != 0 && (allowed[token >> 5] >> (token & 31u) & 1u) == 0)) {
        return EXCLUDED;
    }
    precise float logit = act[push.logits + token];
    uint bits = floatBitsToUint(logit);
    if ((bits & 0x7fffffffu) > 0x7f800000u || bits == 0xff800000u) { // NaN, -inf
        return EXCLUDED;
    }
    logit = bits == 0x7f800000u ? BIG : clamp(logit, -BIG, BIG);
    for (uint i = 0; i < step_.pick.bias_count; i++) {
        if (uint(step_.pick.bias_token[i]) == token) {
            logit += step_.pick.bias_value[i];
        }
    }
    uint times = step_.pick.use_seen != 0 ? seen[token] : 0;
    if (times != 0) {
        precise float scaled = logit * (logit > 0 ? step_.pick.repetition_inverse
                                                  : step_.pick.repetition_penalty);
        precise float often = step_.pick.frequency_penalty * float(times);
        logit = (scaled - step_.pick.presence_penalty) - often;
    }
    return logit;
}

// exp((logit - best) / T); below e^-87 nothing, which is where normal floats end.
float weight_of(float logit, float best)
{
    float power = logit > EXCLUDED ? (logit - best) * step_.pick.inverse_temperature : -100.0;
    return power < -87.0 ? 0.0 : exp(power);
}

// Never falls as the logit falls; the subtraction is the only rounding.
uint bucket_of(float logit, float best)
{
    precise float below = best - logit;
    return uint(min(below * 64.0, float(OSL_GPU_PICK_BUCKETS - 1)));
}

// ---- The workgroup that finishes last ---------------------------------------------------------

shared bool finishes_last;

// True in every lane of the one workgroup that comes here after all others; it sees what they
// wrote to scratch before.
bool last_to_finish()
{
    memoryBarrierBuffer();
    barrier();
    if (LANE == 0) {
        finishes_last = atomicAdd(scratch.finished, 1) == gl_NumWorkGroups.x - 1;
    }
    barrier();
    memoryBarrierBuffer();
    if (finishes_last && LANE == 0) {
        scratch.finished = 0;
    }
    return finishes_last;
}
