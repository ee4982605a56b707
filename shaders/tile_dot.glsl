// Way "dot": products of 8-bit integers, four at a time (SPV_KHR_integer_dot_product). Weights are
// Q8_0's bytes or MXFP4's doubled integers; activations are quantised to 16 bits per 32 columns
// while they are staged, as two planes of int8: value = (256 high + low) * scale, as
// compute/kernels.h describes; 8 bits alone were measured to be too coarse. A block's sums are
// exact integers; scales are applied in f32. Four invocations quantise a token's block together
// (subgroups are at least 4 wide).
#extension GL_EXT_spirv_intrinsics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019],
                  id = 4450)
int osl_dot4(uint a, uint b, spirv_literal int format);
#define PACKED_4X8 0

const uint THREAD_ROWS = 4u;
layout(constant_id = 10) const uint THREAD_TOKENS = 4;
const uint STRIDE = 3u; // uvec4s of a row: 2, and one that keeps banks apart
const float LIMIT = 32512.0;
const uint RUN = TILE_ROWS / 4u; // as tile_stage.glsl

shared uvec4 dot_w[TILE_ROWS * STRIDE];
shared uvec4 dot_high[TILE_TOKENS * STRIDE];
shared uvec4 dot_low[TILE_TOKENS * STRIDE];
shared float dot_w_scale[TILE_ROWS];
shared float dot_x_scale[TILE_TOKENS];
shared uint dot_from[TILE_TOKENS];

// The weight's row that tile row m holds; with TILE_PAIR runs of the two weights take turns.
uint dot_row(uint row_first, uint m)
{
#ifdef TILE_PAIR
    return row_first + m / (2u * RUN) * RUN + m % RUN;
#else
    return row_first + m;
#endif
}

void stage_weights(uint m, osl_place p, uint row, uint block)
{
    uint q[8];
    osl_block_bytes(LAYOUT, p, row, block, q);
    vec2 scale = osl_block_scale(LAYOUT, p, row, block);
    dot_w[m * STRIDE] = uvec4(q[0], q[1], q[2], q[3]);
    dot_w[m * STRIDE + 1u] = uvec4(q[4], q[5], q[6], q[7]);
    dot_w_scale[m] = scale.x * scale.y;
}

uint pack(ivec4 v)
{
    uvec4 u = uvec4(v) & 255u;
    return u.x | u.y << 8 | u.z << 16 | u.w << 24;
}

// Eight columns of a token: part 0..3 of the block.
void stage_tokens(uint slot, uint part, uint block)
{
    uint at = dot_from[slot] + block * 8u + part * 2u;
    vec4 x[2] = vec4[2](act4[at], act4[at + 1u]);
    vec4 most = max(abs(x[0]), abs(x[1]));
    float largest = max(max(most.x, most.y), max(most.z, most.w));
    largest = max(largest, subgroupShuffleXor(largest, 1u));
    largest = max(largest, subgroupShuffleXor(largest, 2u));
    float inverse = largest > 0.0 ? LIMIT / largest : 0.0;
    uint high[2], low[2];
    [[unroll]] for (uint i = 0u; i < 2u; i++) {
        vec4 integer = roundEven(x[i] * inverse);
        vec4 upper = clamp(roundEven(integer / 256.0), -127.0, 127.0);
        high[i] = pack(ivec4(upper));
        low[i] = pack(ivec4(clamp(integer - upper * 256.0, -127.0, 127.0)));
    }
    uint to = slot * STRIDE + (part >> 1), lane = (part & 1u) * 2u;
    dot_high[to][lane] = high[0];
    dot_high[to][lane + 1u] = high[1];
    dot_low[to][lane] = low[0];
    dot_low[to][lane + 1u] = low[1];
    if (part == 0u) {
        dot_x_scale[slot] = largest / LIMIT;
    }
}

void stage_block(uint rows, uint row_first, uint block, osl_place p0, osl_place p1)
{
    uint id = gl_LocalInvocationID.x;
    for (uint m = id; m < TILE_ROWS; m += gl_WorkGroupSize.x) {
        uint row = min(dot_row(row_first, m), rows - 1u);
#ifdef TILE_PAIR
        if ((m / RUN & 1u) == 1u) {
            stage_weights(m, p1, row, block);
            continue;
        }
#endif
        stage_weights(m, p0, row, block);
    }
    for (uint i = id; i < TILE_TOKENS * 4u; i += gl_WorkGroupSize.x) {
        stage_tokens(i >> 2, i & 3u, block);
    }
}

int dot_eight(uvec4 a, uvec4 b, uvec4 x, uvec4 y)
{
    return osl_dot4(a.x, x.x, PACKED_4X8) + osl_dot4(a.y, x.y, PACKED_4X8) +
           osl_dot4(a.z, x.z, PACKED_4X8) + osl_dot4(a.w, x.w, PACKED_4X8) +
           osl_dot4(b.x, y.x, PACKED_4X8) + osl_dot4(b.y, y.y, PACKED_4X8) +
           osl_dot4(b.z, y.z, PACKED_4X8) + osl_dot4(b.w, y.w, PACKED_4X8);
}

void tile_run(uint rows, uint row_first, uint slots, osl_place p0, osl_place p1)
{
    uint id = gl_LocalInvocationID.x;
    uint across = TILE_ROWS / THREAD_ROWS, down = TILE_TOKENS / THREAD_TOKENS;
    uint my_row = id % across, my_token = id / across;
    float sum[THREAD_ROWS * THREAD_TOKENS];
    [[unroll]] for (uint i = 0u; i < THREAD_ROWS * THREAD_TOKENS; i++) {
        sum[i] = 0.0;
    }
    for (uint i = id; i < TILE_TOKENS; i += gl_WorkGroupSize.x) {
        dot_from[i] = tile_x(i) >> 2;
    }
    barrier();
    for (uint b = 0u; b < BLOCKS; b++) {
        stage_block(rows, row_first, b, p0, p1);
        barrier();
        uvec4 wa[THREAD_ROWS], wb[THREAD_ROWS];
        float ws[THREAD_ROWS];
        [[unroll]] for (uint r = 0u; r < THREAD_ROWS; r++) {
            uint m = my_row + r * across;
            wa[r] = dot_w[m * STRIDE];
            wb[r] = dot_w[m * STRIDE + 1u];
            ws[r] = dot_w_scale[m];
        }
        [[unroll]] for (uint t = 0u; t < THREAD_TOKENS; t++) {
            uint slot = my_token + t * down;
            uvec4 ha = dot_high[slot * STRIDE], hb = dot_high[slot * STRIDE + 1u];
            uvec4 la = dot_low[slot * STRIDE], lb = dot_low[slot * STRIDE + 1u];
            float xs = dot_x_scale[slot];
            [[unroll]] for (uint r = 0u; r < THREAD_ROWS; r++) {
                int whole = 256 * dot_eight(wa[r], wb[r], ha, hb) + dot_eight(wa[r], wb[r], la, lb);
                sum[t * THREAD_ROWS + r] = fma(float(whole), ws[r] * xs, sum[t * THREAD_ROWS + r]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint t = 0u; t < THREAD_TOKENS; t++) {
        uint slot = my_token + t * down;
#ifdef TILE_PAIR
        [[unroll]] for (uint r = 0u; r < THREAD_ROWS; r += 2u) {
            uint row = dot_row(row_first, my_row + r * across);
            if (row < rows && slot < slots) {
                uint at = t * THREAD_ROWS + r;
                tile_store(slot, row, vec2(sum[at], sum[at + 1u]));
            }
        }
#else
        [[unroll]] for (uint r = 0u; r < THREAD_ROWS; r++) {
            uint row = row_first + my_row + r * across;
            if (row < rows && slot < slots) {
                tile_store(slot, row, sum[t * THREAD_ROWS + r]);
            }
        }
#endif
    }
}
