// Weights of any layout (enum osl_vk_layout, compute/vulkan/ops.h), a block of 32 columns at a
// time, to f32 or to signed bytes. Declares bindings 4..7 as W0..W3.
//
// A matrix lies in one slab at a place; which slab is a literal or dynamically uniform in the
// workgroup. Rows are counted from the place's first row. `layout` arguments are constants
// (specialization constants), so that a driver keeps one case of each switch.
//
// Exactness: bytes and nibbles become integers by shifts and masks, never through 16-bit or
// subnormal floats, which a driver may flush. Scales are exact: an f16 subnormal is rebuilt in
// f32, and 2^(e-127) with e = 0 is applied as two normal factors. NaN scales stay NaN.
// Sources: shared formats note, sections 5 and 7; OCP Microscaling formats 1.0, 5.3.3 and 5.4.1.
#extension GL_EXT_control_flow_attributes : require
#include "half.glsl"

const uint OSL_F32 = 0u, OSL_F16 = 1u, OSL_BF16 = 2u, OSL_Q8_0 = 3u, OSL_MXFP4 = 4u,
           OSL_Q8_0_NATIVE = 5u, OSL_MXFP4_NATIVE = 6u;

layout(std430, set = 0, binding = 4) readonly buffer W0x4 { uvec4 w0_4[]; };
layout(std430, set = 0, binding = 5) readonly buffer W1x4 { uvec4 w1_4[]; };
layout(std430, set = 0, binding = 6) readonly buffer W2x4 { uvec4 w2_4[]; };
layout(std430, set = 0, binding = 7) readonly buffer W3x4 { uvec4 w3_4[]; };
layout(std430, set = 0, binding = 4) readonly buffer W0x1 { uint w0_1[]; };
layout(std430, set = 0, binding = 5) readonly buffer W1x1 { uint w1_1[]; };
layout(std430, set = 0, binding = 6) readonly buffer W2x1 { uint w2_1[]; };
layout(std430, set = 0, binding = 7) readonly buffer W3x1 { uint w3_1[]; };

// Where a matrix lies: W0 + slab, and in it the bytes at which elements and scales begin (scales
// is not used by layouts without a scale plane). blocks: columns / 32.
struct osl_place {
    uint slab, first, scales, blocks;
};

#ifdef ADDRESS
// Read by address: software drivers check every word of a binding against its end, which is half
// of the work. What a place may read is what its matrix has, so nothing beyond it is read.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer OslWords4 {
    uvec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer OslWords1 {
    uint v[];
};
uvec2 osl_address; // of the slab in use

uvec4 osl_load4(uint slab, uint at)
{
    return OslWords4(osl_address).v[at];
}

uint osl_load1(uint slab, uint at)
{
    return OslWords1(osl_address).v[at];
}
#else
uvec4 osl_load4(uint slab, uint at)
{
    return slab == 0u ? w0_4[at] : slab == 1u ? w1_4[at] : slab == 2u ? w2_4[at] : w3_4[at];
}

uint osl_load1(uint slab, uint at)
{
    return slab == 0u ? w0_1[at] : slab == 1u ? w1_1[at] : slab == 2u ? w2_1[at] : w3_1[at];
}
#endif

// 2^(e-128), for doubled integers, as two factors of which neither is subnormal.
vec2 osl_e8m0_halved(uint e)
{
    float power = uintBitsToFloat(e == 255u ? 0x7fc00000u : max(e, 1u) << 23);
    return vec2(power, e == 0u ? 0.25 : 0.5);
}

// Four nibbles (E2M1, one in each byte's low half) to doubled integers 0 1 2 3 4 6 8 12, in
// bytes, plus 12: 0..24, so that no byte borrows from the next.
// With magnitude bits b2 b1 b0: f = 4 b2 + 2 b1 + b0, + 2 b1 + b0 where b2, + 2 where all three.
uint osl_nibbles_biased(uint n)
{
    uint top = (n >> 2) & 0x01010101u;
    uint value = (n & 0x07070707u) + (n & (top * 3u)) + ((n & (n >> 1) & top) << 1);
    uint negative = value & (((n >> 3) & 0x01010101u) * 15u);
    return value + 0x0c0c0c0cu - (negative << 1);
}

vec4 osl_bytes_unsigned(uint u)
{
    return vec4(u & 255u, (u >> 8) & 255u, (u >> 16) & 255u, u >> 24);
}

vec4 osl_bytes_signed(uint u)
{
    int i = int(u);
    return vec4(bitfieldExtract(i, 0, 8), bitfieldExtract(i, 8, 8), bitfieldExtract(i, 16, 8),
                i >> 24);
}

// The 16 bytes at any byte address of a slab; reads no word beyond the last of them.
uvec4 osl_load_unaligned(uint slab, uint at)
{
    uint word = at >> 2, shift = (at & 3u) * 8u;
    uvec4 low = uvec4(osl_load1(slab, word), osl_load1(slab, word + 1u),
                      osl_load1(slab, word + 2u), osl_load1(slab, word + 3u));
    uint last = osl_load1(slab, (at + 15u) >> 2);
    if (shift == 0u) {
        return low;
    }
    return (low >> shift) | (uvec4(low.yzw, last) << (32u - shift));
}

uint osl_load_byte(uint slab, uint at)
{
    return (osl_load1(slab, at >> 2) >> ((at & 3u) * 8u)) & 255u;
}

// Q8_0 and MXFP4: the block's elements, 32 or 16 bytes. Half 1 of MXFP4 is not used.
uvec4 osl_block_elements(uint layout_, osl_place p, uint row, uint block, uint half_)
{
    uint at = row * p.blocks + block;
    switch (layout_) {
    case OSL_Q8_0:
        return osl_load4(p.slab, (p.first >> 4) + at * 2u + half_);
    case OSL_MXFP4:
        return osl_load4(p.slab, (p.first >> 4) + at);
    case OSL_Q8_0_NATIVE:
        return osl_load_unaligned(p.slab, p.first + at * 34u + 2u + half_ * 16u);
    default:
        return osl_load_unaligned(p.slab, p.first + at * 17u + 1u);
    }
}

// Q8_0 and MXFP4: the block's scale, as factors to multiply a sum by, one after the other. For
// MXFP4 the sum is of doubled integers.
vec2 osl_block_scale(uint layout_, osl_place p, uint row, uint block)
{
    uint at = row * p.blocks + block;
    switch (layout_) {
    case OSL_Q8_0: {
        uint stride = (p.blocks + 1u) >> 1;
        uint pair = osl_load1(p.slab, (p.scales >> 2) + row * stride + (block >> 1));
        return vec2(osl_half(pair >> ((block & 1u) * 16u)), 1.0);
    }
    case OSL_MXFP4: {
        uint stride = (p.blocks + 3u) >> 2;
        uint four = osl_load1(p.slab, (p.scales >> 2) + row * stride + (block >> 2));
        return osl_e8m0_halved((four >> ((block & 3u) * 8u)) & 255u);
    }
    case OSL_Q8_0_NATIVE: {
        uint byte = p.first + at * 34u;
        return vec2(osl_half(osl_load1(p.slab, byte >> 2) >> ((byte & 2u) * 8u)), 1.0);
    }
    default:
        return osl_e8m0_halved(osl_load_byte(p.slab, p.first + at * 17u));
    }
}

// F32, F16 and BF16: columns [4 quad, 4 quad + 4) of a block.
vec4 osl_block_floats(uint layout_, osl_place p, uint row, uint block, uint quad)
{
    uint at = row * p.blocks + block;
    if (layout_ == OSL_F32) {
        return uintBitsToFloat(osl_load4(p.slab, (p.first >> 4) + at * 8u + quad));
    }
    uvec4 eight = osl_load4(p.slab, (p.first >> 4) + at * 4u + (quad >> 1));
    uvec2 four = (quad & 1u) == 0u ? eight.xy : eight.zw;
    if (layout_ == OSL_F16) {
        return vec4(osl_half(four.x), osl_half(four.x >> 16), osl_half(four.y),
                    osl_half(four.y >> 16));
    }
    return uintBitsToFloat(uvec4(four.x << 16, four.x & 0xffff0000u, four.y << 16,
                                 four.y & 0xffff0000u));
}

// Signed bytes of a Q8_0 or MXFP4 block, four columns a word in rising order; MXFP4's are doubled
// integers. To be multiplied by osl_block_scale.
void osl_block_bytes(uint layout_, osl_place p, uint row, uint block, out uint q[8])
{
    uvec4 a = osl_block_elements(layout_, p, row, block, 0u);
    if (layout_ == OSL_Q8_0 || layout_ == OSL_Q8_0_NATIVE) {
        uvec4 b = osl_block_elements(layout_, p, row, block, 1u);
        q = uint[8](a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
        return;
    }
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        // a byte from 0..24 to -12..12: the eighth bit keeps the subtraction from borrowing
        uint biased = osl_nibbles_biased((i < 4u ? a[i & 3u] : a[i & 3u] >> 4) & 0x0f0f0f0fu);
        q[i] = ((biased | 0x80808080u) - 0x0c0c0c0cu) ^ 0x80808080u;
    }
}

// A block of any layout as f32: w[i] holds columns 4 i .. 4 i + 3.
void osl_block_f32(uint layout_, osl_place p, uint row, uint block, out vec4 w[8])
{
    if (layout_ <= OSL_BF16) {
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            w[i] = osl_block_floats(layout_, p, row, block, i);
        }
        return;
    }
    uint q[8];
    osl_block_bytes(layout_, p, row, block, q);
    vec2 scale = osl_block_scale(layout_, p, row, block);
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        w[i] = osl_bytes_signed(q[i]) * scale.y * scale.x;
    }
}
