// The vectors a matvec shader multiplies rows by, VECTORS of COLS each, in blocks of 32 columns.
//
// Where STAGED the workgroup puts them into shared memory first (osl_stage), normalised if asked;
// otherwise they are read from ACT each time, where neighbours' reads hit a cache. With DOT they
// are always staged, as 16 bits in two planes of int8 and a scale a block (compute/kernels.h:
// 8 bits alone were measured to be too coarse), quantised by every workgroup for itself: that is
// some 10 operations a column, where a row of weights takes 2 to 5, and saves a barrier or a
// second form of every activation.
//
// The includer has included bindings.glsl (ACT, VEC) and reduce.glsl.
layout(constant_id = 7) const uint STAGED = 0u;
layout(constant_id = 8) const uint COLS = 32u;
layout(constant_id = 9) const uint VECTORS = 1u;

layout(std430, set = 0, binding = 2) readonly buffer Vec4 { vec4 vec4s[]; };

const uint BLOCKS = COLS / 32u;
const uint BLOCKS_ALL = BLOCKS * VECTORS;

uint osl_x_first; // where the vectors begin in ACT, in quads

#ifdef DOT
// Words 0..3 and 4..7 of a block's bytes, at [block] and [BLOCKS_ALL + block], so that neighbours
// read neighbours.
shared uvec4 osl_high[BLOCKS_ALL * 2u], osl_low[BLOCKS_ALL * 2u];
shared float osl_x_scale[BLOCKS_ALL];
shared int osl_x_sum[BLOCKS_ALL];

struct osl_x {
    uvec4 high[2], low[2];
    float scale;
    int sum; // of the integers, 256 high + low
};

osl_x osl_x_block(uint vector, uint block)
{
    uint at = vector * BLOCKS + block;
    return osl_x(uvec4[2](osl_high[at], osl_high[BLOCKS_ALL + at]),
                 uvec4[2](osl_low[at], osl_low[BLOCKS_ALL + at]), osl_x_scale[at], osl_x_sum[at]);
}

uint osl_pack(ivec4 bytes)
{
    uvec4 u = uvec4(bytes) & 255u;
    return u.x | u.y << 8 | u.z << 16 | u.w << 24;
}

void osl_stage_block(uint at, vec4 x[8])
{
    vec4 most4 = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        most4 = max(most4, abs(x[i]));
    }
    float most = max(max(most4.x, most4.y), max(most4.z, most4.w));
    // below that the block is too small to matter, and the reciprocal may be infinite
    float inverse = most > 1e-30 ? 32512.0 / most : 0.0;
    uint high[8], low[8];
    int sum = 0;
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        vec4 value = roundEven(x[i] * inverse);
        ivec4 h = ivec4(roundEven(value * (1.0 / 256.0)));
        ivec4 l = clamp(ivec4(value) - h * 256, -127, 127);
        ivec4 both = h * 256 + l;
        sum += both.x + both.y + both.z + both.w;
        high[i] = osl_pack(h);
        low[i] = osl_pack(l);
    }
    osl_high[at] = uvec4(high[0], high[1], high[2], high[3]);
    osl_high[BLOCKS_ALL + at] = uvec4(high[4], high[5], high[6], high[7]);
    osl_low[at] = uvec4(low[0], low[1], low[2], low[3]);
    osl_low[BLOCKS_ALL + at] = uvec4(low[4], low[5], low[6], low[7]);
    osl_x_scale[at] = most / 32512.0;
    osl_x_sum[at] = sum;
}
#else
// Quad i of a block at [i * BLOCKS_ALL + block].
shared vec4 osl_x4[STAGED != 0u ? BLOCKS_ALL * 8u : 1u];

struct osl_x {
    vec4 quad[8];
    float sum;
};

vec4 osl_x_quad(uint vector, uint block, uint quad)
{
    uint at = vector * BLOCKS + block;
    return STAGED != 0u ? osl_x4[quad * BLOCKS_ALL + at] : act4[osl_x_first + at * 8u + quad];
}

osl_x osl_x_block(uint vector, uint block)
{
    osl_x x;
    vec4 sum = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        x.quad[i] = osl_x_quad(vector, block, i);
        sum += x.quad[i];
    }
    x.sum = sum.x + sum.y + sum.z + sum.w;
    return x;
}
#endif

// Puts the vectors where osl_x_block finds them; with norm, the only one normalised by gain (in
// VEC, quads). Does nothing where they stay in ACT. Source: gpt-oss reference model, RMSNorm.
void osl_stage(bool norm, uint gain, float eps)
{
    float factor = 1.0;
    if (norm) {
        float sum = 0.0;
        for (uint quad = osl_index(); quad < COLS / 4u; quad += GROUP) {
            vec4 x = act4[osl_x_first + quad];
            sum += dot(x, x);
        }
        factor = inversesqrt(osl_group_sum(sum) / float(COLS) + eps);
    }
#ifdef DOT
    for (uint at = osl_index(); at < BLOCKS_ALL; at += GROUP) {
        vec4 x[8];
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            x[i] = act4[osl_x_first + at * 8u + i] * factor;
            x[i] *= norm ? vec4s[gain + at * 8u + i] : vec4(1.0);
        }
        osl_stage_block(at, x);
    }
    barrier();
#else
    if (STAGED != 0u) {
        for (uint quad = osl_index(); quad < BLOCKS_ALL * 8u; quad += GROUP) {
            vec4 x = act4[osl_x_first + quad] * factor;
            x *= norm ? vec4s[gain + quad] : vec4(1.0);
            osl_x4[(quad & 7u) * BLOCKS_ALL + (quad >> 3)] = x;
        }
        barrier();
    }
#endif
}
