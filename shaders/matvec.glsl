// Rows of weights times a vector (vector.glsl), a team of lanes for every ROWS rows.
//
// A lane takes every LANES-th block of 32 columns: it holds the block of the vector in registers
// and uses it for all its rows, so that weights are read in 16-byte pieces, neighbours by
// neighbours. SPREAD (8 lanes, weights of bytes or nibbles; for software drivers) gives every lane
// 4 columns of every block instead: all lanes then read the same words, which such a driver does
// in scalar code, at a third of what a gather of 8 lanes costs.
//
// Sums are f32. With DOT, sums within a block are exact integers.
//
// The includer has included vector.glsl and weights.glsl, and defines PLACES, 1 or 2: how many
// weights go through together; OSL_SUM holds a sum of each.
layout(constant_id = 3) const uint LAYOUT = OSL_Q8_0;
layout(constant_id = 4) const uint SLABS = 1u; // of one weight
layout(constant_id = 6) const uint SPREAD = 0u;

const bool NIBBLES = LAYOUT == OSL_MXFP4 || LAYOUT == OSL_MXFP4_NATIVE;

#ifdef DOT
#extension GL_EXT_spirv_intrinsics : require
// OpSDotKHR on words of 4 signed bytes; GL_EXT_integer_dot_product is younger than Debian 12.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018],
                  id = 4450) int osl_dot4(uint a, uint b, spirv_literal int format);

float osl_dot_block(osl_place p, uint row, uint block, osl_x x)
{
    uvec4 a = osl_block_elements(LAYOUT, p, row, block, 0u);
    uvec4 b = NIBBLES ? a >> 4 : osl_block_elements(LAYOUT, p, row, block, 1u);
    vec2 scale = osl_block_scale(LAYOUT, p, row, block);
    int high = 0, low = 0;
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        uint w0 = NIBBLES ? osl_nibbles_biased(a[i] & 0x0f0f0f0fu) : a[i];
        uint w1 = NIBBLES ? osl_nibbles_biased(b[i] & 0x0f0f0f0fu) : b[i];
        high += osl_dot4(w0, x.high[0][i], 0) + osl_dot4(w1, x.high[1][i], 0);
        low += osl_dot4(w0, x.low[0][i], 0) + osl_dot4(w1, x.low[1][i], 0);
    }
    int total = high * 256 + low - (NIBBLES ? 12 * x.sum : 0);
    return float(total) * x.scale * scale.y * scale.x;
}
#else
float osl_dot_block(osl_place p, uint row, uint block, osl_x x)
{
    vec4 sum = vec4(0.0);
    if (LAYOUT <= OSL_BF16) {
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            sum = fma(osl_block_floats(LAYOUT, p, row, block, i), x.quad[i], sum);
        }
        return sum.x + sum.y + sum.z + sum.w;
    }
    uvec4 a = osl_block_elements(LAYOUT, p, row, block, 0u);
    uvec4 b = NIBBLES ? a >> 4 : osl_block_elements(LAYOUT, p, row, block, 1u);
    vec2 scale = osl_block_scale(LAYOUT, p, row, block);
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        vec4 w0 = NIBBLES ? osl_bytes_unsigned(osl_nibbles_biased(a[i] & 0x0f0f0f0fu))
                          : osl_bytes_signed(a[i]);
        vec4 w1 = NIBBLES ? osl_bytes_unsigned(osl_nibbles_biased(b[i] & 0x0f0f0f0fu))
                          : osl_bytes_signed(b[i]);
        sum = fma(w0, x.quad[i], sum);
        sum = fma(w1, x.quad[i + 4u], sum);
    }
    float total = sum.x + sum.y + sum.z + sum.w - (NIBBLES ? 12.0 * x.sum : 0.0);
    return total * scale.y * scale.x;
}

// ---- Spread ----------------------------------------------------------------------------------

// A lane's four columns: byte (lane & 3) of each second word, or nibble `lane` of each word.
uint osl_spread_column(uint lane, uint i)
{
    return NIBBLES ? 4u * i + (lane >> 1) + 16u * (lane & 1u) : 8u * i + lane;
}

vec4 osl_spread_x(uint vector, uint block, uint lane)
{
    vec4 x;
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        uint col = osl_spread_column(lane, i);
        x[i] = STAGED != 0u
                   ? osl_x4[(col >> 2) * BLOCKS_ALL + vector * BLOCKS + block][col & 3u]
                   : act[(osl_x_first + (vector * BLOCKS + block) * 8u) * 4u + col];
    }
    return x;
}

// E2M1's magnitude, doubled.
float osl_magnitude(uint n)
{
    uint top = n >> 2;
    return float(n + (n & (top * 3u)) + ((n & (n >> 1) & top) << 1));
}

// A nibble in the low bits, as a doubled integer.
float osl_spread_nibble(uint n)
{
#ifdef SUBGROUP
    // lanes 0..7 hold the table: one permutation where the formula is nine operations
    float size = subgroupShuffle(osl_magnitude(gl_SubgroupInvocationID & 7u), n & 7u);
#else
    float size = osl_magnitude(n & 7u);
#endif
    return uintBitsToFloat(floatBitsToUint(size) | ((n & 8u) << 28));
}

// The scales of a block of ROWS rows: of row[lane] where lanes can ask one another, so that a
// subgroup works them out at once; else nothing.
vec2 osl_spread_scales(osl_place p, uint row, uint block)
{
#ifdef SUBGROUP
    return osl_block_scale(LAYOUT, p, row, block);
#else
    return vec2(0.0);
#endif
}

float osl_spread_dot(osl_place p, uint row, uint block, vec4 x, uint lane, vec2 scales, uint r)
{
    uvec4 a = osl_block_elements(LAYOUT, p, row, block, 0u);
#ifdef SUBGROUP
    vec2 scale = subgroupShuffle(scales, r);
#else
    vec2 scale = osl_block_scale(LAYOUT, p, row, block);
#endif
    vec4 w;
    if (NIBBLES) {
        a >>= lane * 4u;
        w = vec4(osl_spread_nibble(a.x), osl_spread_nibble(a.y), osl_spread_nibble(a.z),
                 osl_spread_nibble(a.w));
    } else {
        uvec4 b = osl_block_elements(LAYOUT, p, row, block, 1u);
        uvec4 four = lane < 4u ? uvec4(a.xz, b.xz) : uvec4(a.yw, b.yw);
        w = vec4(ivec4(four << (24u - 8u * (lane & 3u))) >> 24);
    }
    return fma(w.x, x.x, fma(w.y, x.y, fma(w.z, x.z, w.w * x.w))) * scale.y * scale.x;
}
#endif

#if PLACES == 2
#define OSL_EACH(call) vec2(call(0), call(1))
#else
#define OSL_EACH(call) call(0)
#endif

// sum[r] += this lane's share of row[r] of each place times a vector.
void osl_rows_dot(osl_place p[PLACES], uint row[ROWS], uint vector, inout OSL_SUM sum[ROWS])
{
#ifndef DOT
    if (SPREAD != 0u) {
        uint lane = osl_lane(), own = row[0];
        [[unroll]] for (uint r = 1u; r < ROWS; r++) {
            own = lane == r ? row[r] : own;
        }
        for (uint block = 0u; block < BLOCKS; block++) {
            vec4 x = osl_spread_x(vector, block, lane);
            vec2 scales[PLACES];
            for (uint i = 0u; i < PLACES; i++) {
                scales[i] = osl_spread_scales(p[i], own, block);
            }
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
#define OSL_ONE(i) osl_spread_dot(p[i], row[r], block, x, lane, scales[i], r)
                sum[r] += OSL_EACH(OSL_ONE);
#undef OSL_ONE
            }
        }
        return;
    }
#endif
    for (uint block = osl_lane(); block < BLOCKS; block += LANES) {
        osl_x x = osl_x_block(vector, block);
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
#define OSL_ONE(i) osl_dot_block(p[i], row[r], block, x)
            sum[r] += OSL_EACH(OSL_ONE);
#undef OSL_ONE
        }
    }
}
