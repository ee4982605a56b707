// Sorts the step's members (token * used + k) by expert, in rising order within one, and lists
// tiles of at most args.tile members of one expert; tiles that the dispatch of the products covers
// but that do not exist get expert OSL_GPU_NONE. One workgroup in all. An invocation walks the
// members for one expert, in one of several parts of them; so any workgroup size is right.
// constant_id 11: experts, 12: used, 13: parts (parts * experts counts fit 4 KiB).
// Plain C: what the executor does before expert products.
#version 460
#extension GL_GOOGLE_include_directive : require
#define USE_STEP
#define USE_ACT_UINT
#include "bindings.glsl"
#include "matmul_args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 11) const uint EXPERTS = 32;
layout(constant_id = 12) const uint USED = 4;
layout(constant_id = 13) const uint PARTS = 4;
layout(push_constant) uniform Push { osl_gpu_route args; };

const uint CHUNK = 1024u; // ids in shared memory at a time
shared uint ids[CHUNK];
shared uint counts[EXPERTS * PARTS]; // [expert][part], then where the part's members begin

void main()
{
    uint id = gl_LocalInvocationID.x, size = gl_WorkGroupSize.x;
    uint members = step_.token_count * USED;
    for (uint i = id; i < EXPERTS * PARTS; i += size) {
        counts[i] = 0u;
    }
    for (uint pass = 0u; pass < 2u; pass++) {
        for (uint first = 0u; first < members; first += CHUNK) {
            uint count = min(members - first, CHUNK);
            barrier();
            for (uint i = id; i < count; i += size) {
                ids[i] = act_u[args.routes + first + i];
            }
            barrier();
            // a part is a stretch of the chunk; chunks follow each other, so the order within an
            // expert is: by part, then by chunk, then by index
            uint stretch = (count + PARTS - 1u) / PARTS;
            for (uint i = id; i < EXPERTS * PARTS; i += size) {
                uint expert = i / PARTS, from = i % PARTS * stretch;
                uint at = counts[i];
                for (uint m = from; m < min(from + stretch, count); m++) {
                    if (ids[m] == expert) {
                        if (pass == 1u) {
                            act_u[args.members + at] = first + m;
                        }
                        at++;
                    }
                }
                counts[i] = at;
            }
        }
        barrier();
        if (pass == 0u && id == 0u) {
            uint begin = 0u, tile = 0u;
            for (uint e = 0u; e < EXPERTS; e++) {
                uint expert_first = begin;
                for (uint p = 0u; p < PARTS; p++) {
                    uint count = counts[e * PARTS + p];
                    counts[e * PARTS + p] = begin;
                    begin += count;
                }
                for (uint m = expert_first; m < begin; m += args.tile) {
                    uint at = args.tiles + tile * OSL_GPU_TILE_WORDS;
                    act_u[at + OSL_GPU_TILE_EXPERT] = e;
                    act_u[at + OSL_GPU_TILE_FIRST] = m;
                    act_u[at + OSL_GPU_TILE_COUNT] = min(begin - m, args.tile);
                    tile++;
                }
            }
            uint tiles = (members + args.tile - 1u) / args.tile + EXPERTS;
            for (; tile < tiles; tile++) {
                act_u[args.tiles + tile * OSL_GPU_TILE_WORDS + OSL_GPU_TILE_EXPERT] = OSL_GPU_NONE;
            }
        }
        barrier();
    }
}
