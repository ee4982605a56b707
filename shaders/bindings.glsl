// The eight storage bindings every shader shares; see compute/vulkan/ops.h. A shader defines what
// it uses before including this:
//   USE_STEP                  step (read only unless USE_STEP_WRITE)
//   USE_ACT                   act[], act4[] (floats, and vec4 views of the same memory)
//   USE_ACT_UINT              act_u[]: counters, routes and groups, coherent
//   USE_VEC                   vec[]
// Weights are declared by weights.glsl, caches and AUX by the shader itself.
#include "args.h"

#ifdef USE_STEP_WRITE
layout(std430, set = 0, binding = 0) buffer Step { osl_gpu_step step_; int step_tokens[]; };
#elif defined(USE_STEP)
layout(std430, set = 0, binding = 0) readonly buffer Step {
    osl_gpu_step step_;
    int step_tokens[];
};
#endif
#ifdef USE_ACT
layout(std430, set = 0, binding = 1) buffer Act { float act[]; };
layout(std430, set = 0, binding = 1) buffer Act4 { vec4 act4[]; };
#endif
#ifdef USE_ACT_UINT
layout(std430, set = 0, binding = 1) coherent buffer ActUint { uint act_u[]; };
#endif
#ifdef USE_VEC
layout(std430, set = 0, binding = 2) readonly buffer Vec { float vec[]; };
#endif
