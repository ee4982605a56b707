// One layer's cache: K at binding 4, V at binding 5, [kv_head][capacity] rows as
// compute/cpu/kv_store.c stores them. A row is counted from the first kv head's first.
//   F16  head_dim halves
//   Q8   int8 [head_dim], then one f16 scale per 32: 34 bytes a block, so that rows of an odd
//        number of blocks begin at odd multiples of 2 bytes
// Reading flushes at most what a driver flushes of f16 subnormals (values below 6.1e-5); scales
// are exact. With USE_KV_STORE rows can be written too, with the plain C's very bits.
#extension GL_EXT_control_flow_attributes : require
#include "half.glsl"

layout(constant_id = 8) const uint HEAD_DIM = 64u;
layout(constant_id = 9) const uint GROUP = 8u;
layout(constant_id = 10) const uint KV_Q8 = 0u; // enum osl_kv_type

const uint HALF_DIM = HEAD_DIM / 2u;
const uint KV_BLOCKS = HEAD_DIM / 32u;
const uint KV_CHUNKS = HEAD_DIM / 8u;
const uint KV_ROW_BYTES_Q8 = KV_BLOCKS * 34u;
const bool KV_ODD = (KV_BLOCKS & 1u) != 0u;

layout(std430, set = 0, binding = 4) readonly buffer K4 { uvec4 k_4[]; };
layout(std430, set = 0, binding = 4) readonly buffer K1 { uint k_1[]; };
layout(std430, set = 0, binding = 5) readonly buffer V4 { uvec4 v_4[]; };
layout(std430, set = 0, binding = 5) readonly buffer V1 { uint v_1[]; };

uint osl_kv_word(bool value, uint at)
{
    return value ? v_1[at] : k_1[at];
}

vec4 osl_kv_bytes(uint u)
{
    int i = int(u);
    return vec4(bitfieldExtract(i, 0, 8), bitfieldExtract(i, 8, 8), bitfieldExtract(i, 16, 8),
                i >> 24);
}

// Dimensions [8 chunk, 8 chunk + 8) of a row of K, or of V (value, a literal).
void osl_kv_load(bool value, uint row, uint chunk, out vec4 a, out vec4 b)
{
    if (KV_Q8 == 0u) {
        uvec4 w = value ? v_4[row * KV_CHUNKS + chunk] : k_4[row * KV_CHUNKS + chunk];
        a = vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
        b = vec4(unpackHalf2x16(w.z), unpackHalf2x16(w.w));
        return;
    }
    uint first = row * KV_ROW_BYTES_Q8;
    uint at = first + chunk * 8u, scale_at = first + HEAD_DIM + (chunk >> 2) * 2u;
    uvec2 w = uvec2(osl_kv_word(value, at >> 2), osl_kv_word(value, (at >> 2) + 1u));
    if (KV_ODD && (at & 2u) != 0u) {
        uint last = osl_kv_word(value, (at >> 2) + 2u);
        w = uvec2((w.x >> 16) | (w.y << 16), (w.y >> 16) | (last << 16));
    }
    float scale = osl_half(osl_kv_word(value, scale_at >> 2) >> ((scale_at & 2u) * 8u));
    a = osl_kv_bytes(w.x) * scale;
    b = osl_kv_bytes(w.y) * scale;
}

#ifdef USE_KV_STORE
layout(std430, set = 0, binding = 4) buffer K1out { uint k_out[]; };
layout(std430, set = 0, binding = 5) buffer V1out { uint v_out[]; };

void osl_kv_put(bool value, uint at, uint word)
{
    if (value) {
        v_out[at] = word;
    } else {
        k_out[at] = word;
    }
}

// 16 bits at an even byte address; the word's other half may be another's.
void osl_kv_put_half(bool value, uint byte_at, uint bits)
{
    uint shift = (byte_at & 2u) * 8u, at = byte_at >> 2;
    if (value) {
        atomicAnd(v_out[at], ~(0xffffu << shift));
        atomicOr(v_out[at], (bits & 0xffffu) << shift);
    } else {
        atomicAnd(k_out[at], ~(0xffffu << shift));
        atomicOr(k_out[at], (bits & 0xffffu) << shift);
    }
}

// What an f32 quotient x / y would round to on the grid below and above `middle`, where x / y lies
// within an ulp or two of the cell around it: -1 below, 0 on the middle, 1 above. middle * y is
// exact in f32 (few bits each), so no division's rounding is relied on.
int osl_side(float x, float y, float middle, bool halved_below)
{
    precise float off = x - middle * y;
    float within = y * (uintBitsToFloat(floatBitsToUint(middle) & 0x7f800000u) * 5.9604645e-8);
    within *= off < 0.0 && halved_below ? 0.5 : 1.0; // numbers lie closer below a power of two
    return abs(off) <= within ? 0 : off < 0.0 ? -1 : 1;
}

// The f16 nearest to the f32 nearest to largest / 127.
uint osl_kv_scale(float largest)
{
    float guess = largest * 0.00787401575;
    uint bits = osl_to_half(guess);
    if (bits >= 0x7c00u) {
        return bits;
    }
    bits -= uint(osl_half(bits) > guess); // the one at or below it
    float below = osl_half(bits);
    float above = bits == 0x7bffu ? 65536.0 : osl_half(bits + 1u);
    int side = osl_side(largest, 127.0, 0.5 * (below + above), bits == 0u);
    return bits + (side > 0 ? 1u : side == 0 ? bits & 1u : 0u);
}

// The integer nearest to the f32 nearest to |x| / scale, ties to even, at most 127, with x's sign.
int osl_kv_quant(float x, float scale)
{
    float below = floor(abs(x) / scale);
    int side = osl_side(abs(x), scale, below + 0.5, below == 0.0);
    int q = int(below);
    q = min(q + (side > 0 ? 1 : side == 0 ? q & 1 : 0), 127);
    return x < 0.0 ? -q : q;
}

// Stores 32 values as block `block` of a row of K, or of V (value, a literal), and gives them back
// as they will be read.
void osl_kv_store(bool value, uint row, uint block, inout float x[32])
{
    if (KV_Q8 == 0u) {
        uint at = row * HALF_DIM + block * 16u;
        for (uint i = 0u; i < 16u; i++) {
            uint low = osl_to_half(x[2u * i]), high = osl_to_half(x[2u * i + 1u]);
            osl_kv_put(value, at + i, low | (high << 16));
            x[2u * i] = osl_half(low);
            x[2u * i + 1u] = osl_half(high);
        }
        return;
    }
    uint most = 0u;
    for (uint i = 0u; i < 32u; i++) {
        most = max(most, floatBitsToUint(x[i]) & 0x7fffffffu);
    }
    uint scale_bits = most >= 0x7f800000u ? 0x7e00u : osl_kv_scale(uintBitsToFloat(most));
    float scale = osl_half(scale_bits);
    bool zero = scale_bits == 0u || scale_bits >= 0x7c00u; // NaN stores 0 and stays NaN
    uint first = row * KV_ROW_BYTES_Q8;
    uint at = first + block * 32u;
    osl_kv_put_half(value, first + HEAD_DIM + block * 2u, scale_bits);
    for (uint i = 0u; i < 8u; i++) {
        uint word = 0u;
        for (uint j = 0u; j < 4u; j++) {
            int q = zero ? 0 : osl_kv_quant(x[4u * i + j], scale);
            word |= (uint(q) & 255u) << (8u * j);
            x[4u * i + j] = float(q) * scale;
        }
        if (KV_ODD && (at & 2u) != 0u) {
            osl_kv_put_half(value, at + 4u * i, word);
            osl_kv_put_half(value, at + 4u * i + 2u, word >> 16);
        } else {
            osl_kv_put(value, (at >> 2) + i, word);
        }
    }
}
#endif
