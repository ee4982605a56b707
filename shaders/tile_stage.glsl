// Staging of 32 columns of a weight tile and of a token tile in shared memory, for the ways that
// multiply from there. With TILE_FP16 the tiles are f16.
//
// f16 and scales: a block's scale may be far outside of f16's range, so a weight row is brought to
// the row's largest scale first (its factor), and the sum is multiplied by that in f32 at the end.
// MXFP4 stays exact (blocks down to 2^-20 of the row's largest, below which they fade out), Q8_0
// is rounded to 11 bits. F16 and BF16 weights have factor 1: BF16 ones above 65504 would be lost,
// and those below 2^-14 keep an absolute precision of 2^-25.
//
// With TILE_PAIR tile rows come in runs: a run of the first weight, then the same rows of the
// second. A run is a quarter of the tile, so that one invocation, whose rows are a run apart, has
// both; or the rows of one cooperative matrix.
#ifdef TILE_FP16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define STAGE4 f16vec4
#else
#define STAGE4 vec4
#endif

#ifdef TILE_PAIR
const uint STAGE_STEP = 2u;
#else
const uint STAGE_STEP = 1u;
#endif
// In fours: 8, and one that keeps banks apart; two where matrices want rows at 16 bytes.
#ifdef TILE_MATRIX
const uint STAGE_STRIDE = 10u;
#else
const uint STAGE_STRIDE = 9u;
#endif
#ifdef TILE_MATRIX
layout(constant_id = 14) const uint MATRIX_M = 16;
const uint STAGE_RUN = MATRIX_M;
#else
const uint STAGE_RUN = TILE_ROWS / 4u;
#endif

shared STAGE4 stage_w[TILE_ROWS * STAGE_STRIDE];
shared STAGE4 stage_x[TILE_TOKENS * STAGE_STRIDE];
shared uint stage_from[TILE_TOKENS]; // where a slot's input row begins, in fours
#ifdef TILE_FP16
shared float stage_factors[TILE_ROWS];
#endif

// The weight's row that tile row m holds, and which weight it is of.
uint stage_row(uint row_first, uint m)
{
#ifdef TILE_PAIR
    return row_first + m / (2u * STAGE_RUN) * STAGE_RUN + m % STAGE_RUN;
#else
    return row_first + m;
#endif
}

uint stage_which(uint m)
{
#ifdef TILE_PAIR
    return m / STAGE_RUN & 1u;
#else
    return 0u;
#endif
}

float stage_factor(uint m)
{
#ifdef TILE_FP16
    return stage_factors[m];
#else
    return 1.0;
#endif
}

#ifdef TILE_FP16
// The largest scale of a row, at least 2^-100 (below that all is as good as zero).
float stage_largest(osl_place p, uint row)
{
    float largest = 0.0;
    for (uint b = 0u; b < BLOCKS; b++) {
        vec2 s = osl_block_scale(LAYOUT, p, row, b);
        largest = max(largest, abs(s.x * s.y));
    }
    return max(largest, 7.888609052210118e-31);
}
#endif

// Call first; the barrier after the first stage_block makes it known.
void stage_begin(uint rows, uint row_first, osl_place p0, osl_place p1)
{
    for (uint i = gl_LocalInvocationID.x; i < TILE_TOKENS; i += gl_WorkGroupSize.x) {
        stage_from[i] = tile_x(i) >> 2;
    }
#ifdef TILE_FP16
    for (uint m = gl_LocalInvocationID.x; m < TILE_ROWS; m += gl_WorkGroupSize.x) {
        float factor = 1.0;
        if (LAYOUT > OSL_BF16) {
            uint row = min(stage_row(row_first, m), rows - 1u);
            if (stage_which(m) == 0u) {
                factor = stage_largest(p0, row);
            } else {
                factor = stage_largest(p1, row);
            }
        }
        stage_factors[m] = factor;
    }
#endif
    barrier();
}

void stage_weights(uint m, osl_place p, uint row, uint block)
{
    vec4 w[8];
    osl_block_f32(LAYOUT, p, row, block, w);
#ifdef TILE_FP16
    float inverse = 1.0 / stage_factors[m];
#else
    float inverse = 1.0;
#endif
    [[unroll]] for (uint q = 0u; q < 8u; q++) {
        stage_w[m * STAGE_STRIDE + q] = STAGE4(w[q] * inverse);
    }
}

// Rows past the last are read as the last; what comes of them is not stored.
void stage_block(uint rows, uint row_first, uint block, osl_place p0, osl_place p1)
{
    for (uint m = gl_LocalInvocationID.x; m < TILE_ROWS; m += gl_WorkGroupSize.x) {
        uint row = min(stage_row(row_first, m), rows - 1u);
        if (stage_which(m) == 0u) {
            stage_weights(m, p0, row, block);
        } else {
            stage_weights(m, p1, row, block);
        }
    }
    for (uint i = gl_LocalInvocationID.x; i < TILE_TOKENS * 8u; i += gl_WorkGroupSize.x) {
        uint slot = i >> 3, q = i & 7u;
        stage_x[slot * STAGE_STRIDE + q] = STAGE4(act4[stage_from[slot] + block * 8u + q]);
    }
}
