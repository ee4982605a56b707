// Way "matrix": cooperative matrices, f16 x f16 with f32 sums, of the shape the device reports
// (MATRIX_M x MATRIX_N x MATRIX_K). Both tiles are staged as f16 32 columns at a time (see
// tile_stage.glsl for how scales stay out of f16). GRID_ROWS x GRID_TOKENS subgroups share the
// tile; each holds the sums of its part in matrices, which go through shared memory at the end,
// one at a time, since nothing is known of where their elements are.
//   constant_id 1 subgroup size, required to be the actual one; 14..16 M, N, K; 10 GRID_ROWS
// Workgroup size is subgroup size * GRID_ROWS * GRID_TOKENS.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#define TILE_FP16
#include "tile_stage.glsl"

layout(constant_id = 1) const uint SUBGROUP_SIZE = 32;
layout(constant_id = 10) const uint GRID_ROWS = 2;
layout(constant_id = 15) const uint MATRIX_N = 16;
layout(constant_id = 16) const uint MATRIX_K = 16;
const uint SUBGROUPS = gl_WorkGroupSize.x / SUBGROUP_SIZE;
const uint GRID_TOKENS = SUBGROUPS / GRID_ROWS;
const uint DOWN = TILE_ROWS / GRID_ROWS / MATRIX_M;       // matrices of a subgroup
const uint ACROSS = TILE_TOKENS / GRID_TOKENS / MATRIX_N;

// A subgroup's matrix [row][token]; gate and up side by side where there are two weights.
shared float matrix_out[SUBGROUPS * STAGE_STEP * MATRIX_M * MATRIX_N];

#define MATRIX_A coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA>
#define MATRIX_B coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB>
#define MATRIX_SUM coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>

// First tile row of matrix i of a subgroup. Where there are two weights, matrices take turns: runs
// of MATRIX_M rows of gate, then the same of up.
uint matrix_row(uint grid_row, uint i)
{
    return (grid_row * DOWN + i) * MATRIX_M;
}

void matrix_store(uint rows, uint row_first, uint slots, uint m, uint slot_first, uint base)
{
    for (uint i = gl_SubgroupInvocationID; i < MATRIX_M * MATRIX_N; i += SUBGROUP_SIZE) {
        // neighbours are neighbours in the row, so that what they write is side by side
        uint r = i % MATRIX_M, slot = slot_first + i / MATRIX_M;
        uint row = stage_row(row_first, m + r);
        if (row < rows && slot < slots) {
            uint at = base + r * MATRIX_N + i / MATRIX_M;
#ifdef TILE_PAIR
            tile_store(slot, row,
                       vec2(matrix_out[at] * stage_factor(m + r),
                            matrix_out[at + MATRIX_M * MATRIX_N] *
                                stage_factor(m + MATRIX_M + r)));
#else
            tile_store(slot, row, matrix_out[at] * stage_factor(m + r));
#endif
        }
    }
}

void tile_run(uint rows, uint row_first, uint slots, osl_place p0, osl_place p1)
{
    uint grid_row = gl_SubgroupID % GRID_ROWS, grid_token = gl_SubgroupID / GRID_ROWS;
    MATRIX_SUM sum[DOWN * ACROSS];
    [[unroll]] for (uint i = 0u; i < DOWN * ACROSS; i++) {
        sum[i] = MATRIX_SUM(0.0);
    }
    stage_begin(rows, row_first, p0, p1);
    for (uint b = 0u; b < BLOCKS; b++) {
        stage_block(rows, row_first, b, p0, p1);
        barrier();
        [[unroll]] for (uint k = 0u; k < 32u; k += MATRIX_K) {
            MATRIX_A w[DOWN];
            [[unroll]] for (uint i = 0u; i < DOWN; i++) {
                coopMatLoad(w[i], stage_w, matrix_row(grid_row, i) * STAGE_STRIDE + k / 4u,
                            STAGE_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
            }
            [[unroll]] for (uint j = 0u; j < ACROSS; j++) {
                MATRIX_B x;
                coopMatLoad(x, stage_x,
                            (grid_token * ACROSS + j) * MATRIX_N * STAGE_STRIDE + k / 4u,
                            STAGE_STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0u; i < DOWN; i++) {
                    sum[i * ACROSS + j] = coopMatMulAdd(w[i], x, sum[i * ACROSS + j]);
                }
            }
        }
        barrier();
    }
    uint base = gl_SubgroupID * STAGE_STEP * MATRIX_M * MATRIX_N;
    [[unroll]] for (uint i = 0u; i < DOWN; i += STAGE_STEP) {
        [[unroll]] for (uint j = 0u; j < ACROSS; j++) {
            coopMatStore(sum[i * ACROSS + j], matrix_out, base, MATRIX_N,
                         gl_CooperativeMatrixLayoutRowMajor);
#ifdef TILE_PAIR
            coopMatStore(sum[(i + 1u) * ACROSS + j], matrix_out, base + MATRIX_M * MATRIX_N,
                         MATRIX_N, gl_CooperativeMatrixLayoutRowMajor);
#endif
            barrier();
            matrix_store(rows, row_first, slots, matrix_row(grid_row, i),
                         (grid_token * ACROSS + j) * MATRIX_N, base);
            barrier();
        }
    }
}
