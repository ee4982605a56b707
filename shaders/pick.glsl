// What the picking shaders share: their bindings, a token's logit after bias and penalties, and
// which workgroup finishes last. The specification is model/sampler.h; a token that can not be
// picked has EXCLUDED for a logit, so that no infinity and no NaN enters any arithmetic.
//
// The vocabulary is cut into chunks of CHUNK tokens, one a workgroup; a lane takes four at a time.
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

// Of tokens first .. first + 3, first a multiple of 4. precise: products and sums are rounded one
// by one, as C does it.
vec4 adjusted(uint first)
{
    uint token_count = step_.pick.token_count;
    if (first >= token_count) {
        return vec4(EXCLUDED);
    }
    precise vec4 logit = act4[(push.logits + first) / 4];
    uvec4 bits = floatBitsToUint(logit);
    uvec4 size = bits & 0x7fffffffu;
    logit = clamp(mix(logit, vec4(BIG), equal(size, uvec4(0x7f800000u))), -BIG, BIG);
    for (uint i = 0; i < step_.pick.bias_count; i++) {
        uint at = uint(step_.pick.bias_token[i]) - first;
        if (at < 4) {
            logit[at] += step_.pick.bias_value[i];
        }
    }
    if (step_.pick.use_seen != 0) {
        for (uint c = 0; c < 4; c++) {
            uint times = first + c < token_count ? seen[first + c] : 0;
            precise float scaled = logit[c] * (logit[c] > 0 ? step_.pick.repetition_inverse
                                                            : step_.pick.repetition_penalty);
            precise float often = step_.pick.frequency_penalty * float(times);
            precise float less = (scaled - step_.pick.presence_penalty) - often;
            logit[c] = times != 0 ? less : logit[c];
        }
    }
    uint may = step_.pick.use_allowed != 0 ? allowed[first / 32] >> (first & 31u) : 15u;
    may &= first + 4 > token_count ? (1u << (token_count - first)) - 1 : 15u;
    bvec4 can = notEqual(uvec4(may) & uvec4(1, 2, 4, 8), uvec4(0));
    bvec4 number = lessThanEqual(size, uvec4(0x7f800000u)); // no NaN
    bvec4 above = notEqual(bits, uvec4(0xff800000u));       // no -inf
    logit = mix(vec4(EXCLUDED), logit, can);
    return mix(vec4(EXCLUDED), mix(vec4(EXCLUDED), logit, number), above);
}

// exp((logit - best) / T); below e^-87 nothing, which is where normal floats end.
vec4 weight_of(vec4 logit, float best)
{
    bvec4 there = greaterThan(logit, vec4(EXCLUDED));
    vec4 below = max(mix(vec4(best), logit, there) - best, vec4(-BIG)); // times 1e8: still finite
    vec4 power = below * step_.pick.inverse_temperature;
    vec4 weight = mix(vec4(0.0), exp(max(power, -100.0)), greaterThan(power, vec4(-87.0)));
    return mix(vec4(0.0), weight, there);
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
