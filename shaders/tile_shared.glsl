// Way "shared": both tiles go through shared memory 32 columns at a time, an invocation sums
// THREAD_ROWS by THREAD_TOKENS outputs in registers. With TILE_FP16 the tiles are f16 (sums stay
// f32): half the shared memory and its traffic, at 2^-11 of every factor.
//
// Shapes: workgroup size * THREAD_TOKENS = TILE_ROWS / THREAD_ROWS * TILE_TOKENS. Rows of a tile
// are 36 floats (or halves) apart, so that invocations side by side, which read rows side by side,
// meet different banks: 4 (or 2) words a load, and 36 mod 32 = 4 (18 * i, all even, all
// different). 64 x 32 of f32 takes 13.5 KiB, within what every device has.
#include "tile_stage.glsl"

const uint THREAD_ROWS = 4u;
layout(constant_id = 10) const uint THREAD_TOKENS = 4;

void tile_run(uint rows, uint row_first, uint slots, osl_place p0, osl_place p1)
{
    uint id = gl_LocalInvocationID.x;
    uint across = TILE_ROWS / THREAD_ROWS, down = TILE_TOKENS / THREAD_TOKENS;
    uint my_row = id % across, my_token = id / across;
    float sum[THREAD_ROWS * THREAD_TOKENS];
    [[unroll]] for (uint i = 0u; i < THREAD_ROWS * THREAD_TOKENS; i++) {
        sum[i] = 0.0;
    }
    stage_begin(rows, row_first, p0, p1);
    for (uint b = 0u; b < BLOCKS; b++) {
        stage_block(rows, row_first, b, p0, p1);
        barrier();
        [[unroll]] for (uint q = 0u; q < 8u; q++) {
            vec4 w[THREAD_ROWS];
            [[unroll]] for (uint r = 0u; r < THREAD_ROWS; r++) {
                w[r] = vec4(stage_w[(my_row + r * across) * STAGE_STRIDE + q]);
            }
            [[unroll]] for (uint t = 0u; t < THREAD_TOKENS; t++) {
                vec4 a = vec4(stage_x[(my_token + t * down) * STAGE_STRIDE + q]);
                [[unroll]] for (uint r = 0u; r < THREAD_ROWS; r++) {
                    float s = sum[t * THREAD_ROWS + r];
                    s = fma(w[r].x, a.x, s);
                    s = fma(w[r].y, a.y, s);
                    s = fma(w[r].z, a.z, s);
                    sum[t * THREAD_ROWS + r] = fma(w[r].w, a.w, s);
                }
            }
        }
        barrier();
    }
    [[unroll]] for (uint t = 0u; t < THREAD_TOKENS; t++) {
        uint slot = my_token + t * down;
        [[unroll]] for (uint r = 0u; r < THREAD_ROWS; r += STAGE_STEP) {
            uint row = stage_row(row_first, my_row + r * across);
            if (row < rows && slot < slots) {
#ifdef TILE_PAIR
                tile_store(slot, row,
                           vec2(sum[t * THREAD_ROWS + r] * stage_factor(my_row + r * across),
                                sum[t * THREAD_ROWS + r + 1u] *
                                    stage_factor(my_row + (r + 1u) * across)));
#else
                tile_store(slot, row,
                           sum[t * THREAD_ROWS + r] * stage_factor(my_row + r * across));
#endif
            }
        }
    }
}
