// Way "lanes": no shared memory and no barrier. An invocation holds LANE_ROWS weight rows of one
// block in registers and multiplies them with TILE_TOKENS tokens; the token's columns are the same
// for all invocations, so a compiler that knows loads them once. For devices that run a workgroup
// on one CPU thread (software Vulkan), where barriers are dear and caches do the sharing.
// TILE_ROWS is workgroup size * LANE_ROWS.
#ifndef LANE_TOKENS
#define LANE_TOKENS 6
#define LANE_ROWS 4
#endif

#ifdef TILE_PAIR
const uint LANE_STEP = 2u; // registers a row of the output
#else
const uint LANE_STEP = 1u;
#endif

struct lane_block {
    uint q[8];
    float scale;
};

lane_block lane_load(osl_place p, uint row, uint b)
{
    lane_block w;
    if (LAYOUT > OSL_BF16) {
        osl_block_bytes(LAYOUT, p, row, b, w.q);
        vec2 s = osl_block_scale(LAYOUT, p, row, b);
        w.scale = s.x * s.y;
    }
    return w;
}

vec4 lane_quad(lane_block w, osl_place p, uint row, uint b, uint quad)
{
    if (LAYOUT <= OSL_BF16) {
        return osl_block_floats(LAYOUT, p, row, b, quad);
    }
    return osl_bytes_signed(w.q[quad]) * w.scale;
}

void tile_run(uint rows, uint row_first, uint slots, osl_place p0, osl_place p1)
{
    float sum[LANE_ROWS][LANE_TOKENS];
    uint x[LANE_TOKENS], row[LANE_ROWS];
    uint mine = row_first + gl_LocalInvocationID.x, apart = gl_WorkGroupSize.x;
    [[unroll]] for (uint t = 0u; t < LANE_TOKENS; t++) {
        x[t] = tile_x(t) >> 2;
        [[unroll]] for (uint r = 0u; r < LANE_ROWS; r++) {
            sum[r][t] = 0.0;
        }
    }
    [[unroll]] for (uint r = 0u; r < LANE_ROWS; r++) {
        row[r] = min(mine + r / LANE_STEP * apart, rows - 1u);
    }
    for (uint b = 0u; b < BLOCKS; b++) {
        lane_block w[LANE_ROWS];
        [[unroll]] for (uint r = 0u; r < LANE_ROWS; r++) {
#ifdef TILE_PAIR
            w[r] = lane_load((r & 1u) == 0u ? p0 : p1, row[r], b);
#else
            w[r] = lane_load(p0, row[r], b);
#endif
        }
        [[unroll]] for (uint q = 0u; q < 8u; q++) {
            vec4 wq[LANE_ROWS];
            [[unroll]] for (uint r = 0u; r < LANE_ROWS; r++) {
#ifdef TILE_PAIR
                wq[r] = lane_quad(w[r], (r & 1u) == 0u ? p0 : p1, row[r], b, q);
#else
                wq[r] = lane_quad(w[r], p0, row[r], b, q);
#endif
            }
            [[unroll]] for (uint t = 0u; t < LANE_TOKENS; t++) {
                vec4 a = act4[x[t] + b * 8u + q];
                [[unroll]] for (uint r = 0u; r < LANE_ROWS; r++) {
                    sum[r][t] = fma(wq[r].x, a.x, sum[r][t]);
                    sum[r][t] = fma(wq[r].y, a.y, sum[r][t]);
                    sum[r][t] = fma(wq[r].z, a.z, sum[r][t]);
                    sum[r][t] = fma(wq[r].w, a.w, sum[r][t]);
                }
            }
        }
    }
    [[unroll]] for (uint r = 0u; r < LANE_ROWS; r += LANE_STEP) {
        [[unroll]] for (uint t = 0u; t < LANE_TOKENS; t++) {
            if (mine + r / LANE_STEP * apart < rows && t < slots) {
#ifdef TILE_PAIR
                tile_store(t, row[r], vec2(sum[r][t], sum[r + 1u][t]));
#else
                tile_store(t, row[r], sum[r][t]);
#endif
            }
        }
    }
}
