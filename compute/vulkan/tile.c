/* Which way a product is computed, and in which shapes: by what the device reports. */
#include "compute/vulkan/tile.h"

#define SPEC_ROWS 2
#define SPEC_LAYOUT 3
#define SPEC_COLS 8
#define SPEC_TOKENS 9
#define SPEC_THREAD_TOKENS 10
#define SPEC_GRID_ROWS 10 /* the same, in another way */
#define SPEC_USED 12
#define SPEC_MATRIX_M 14
#define SPEC_MATRIX_N 15
#define SPEC_MATRIX_K 16

/* Way "lanes". 4 rows by 6 tokens of sums, the tokens' 4 columns and 4 rows' make 32 vectors, what
 * AVX-512VL has; measured on lavapipe (Mesa 26.2, 2 cores of Zen 5), 512 x 1024 MXFP4 by 512
 * tokens, GFLOP/s a core: 4x4 33, 4x6 38, 4x8 30, 2x8 31, 6x4 19, 8x4 17. */
#define LANE_ROWS 4
#define LANE_TOKENS 6

/* Ways through shared memory. A row of a tile is 36 elements. 64 rows by 32 tokens take 13.6 KiB in
 * f32, within the 16 KiB that every device has, and give each of 128 invocations 4 x 4 sums: 16
 * multiplications for 8 numbers read from shared memory, so that its bandwidth is not the limit
 * (it is where a number read serves less than 2). With twice the memory 64 tokens: 4 x 8 sums, 32
 * multiplications for 12 numbers, and weights unpacked half as often. More sums would not fit the
 * registers of an invocation where many invocations share a core's (64 to 128 each). 128
 * invocations are whole subgroups of any width, and several workgroups fit a core, so that one
 * computes while another waits at its barrier. */
#define SHARED_ROWS 64
#define SHARED_LANES 128
#define SHARED_STRIDE_BYTES 144
#define THREAD_ROWS 4
/* A weight of few rows (the router) would leave most of a large device idle: smaller tiles. */
#define FEW_ROWS 64
#define FEW_TILE_ROWS 32
#define FEW_TILE_TOKENS 16
#define FEW_LANES 64

/* Way "matrix". Four subgroups of a tile, 2 x 2, each with a quarter of it in matrices: for 16 x 16
 * ones 2 x 2 of a dense weight's 64 x 64, 4 x 2 of an expert's 128 x 64: there a matrix read from
 * shared memory serves 8 / 3 multiplications instead of 2, and an expert's rows still make
 * thousands of workgroups, which a dense weight's would not. Narrow subgroups (below 32) are taken
 * 4 x 2, so that there are lanes enough to stage. 18 to 24 KiB of shared memory: devices with such
 * matrices have 32 or more. */
#define MATRIX_EXPERT_ROWS 128
#define MATRIX_SHARED_BYTES 24576

_Static_assert(LANE_TOKENS >= OSL_VK_TILE_MEMBERS_LEAST, "groups have room for so many tiles");

static bool software(const struct osl_vk_device *device)
{
    return device->facts->type == OSL_VK_SOFTWARE;
}

uint32_t osl_vk_tile_members(const struct osl_vk_device *device)
{
    if (software(device)) {
        return LANE_TOKENS;
    }
    return device->facts->shared_bytes >= 2 * (SHARED_ROWS + 64) * SHARED_STRIDE_BYTES ? 64 : 32;
}

/* Subgroups along the rows of a tile of the way "matrix"; there are two along its tokens. */
static uint32_t grid_rows(const struct osl_vk_facts *facts)
{
    return facts->subgroup_size < 32 && facts->matrix_m <= 8 ? 4 : 2;
}

static bool matrix_fits(const struct osl_vk_device *device)
{
    const struct osl_vk_facts *facts = device->facts;
    uint32_t rows = grid_rows(facts);
    return device->matrix && facts->subgroup_size_control &&
           facts->shared_bytes >= MATRIX_SHARED_BYTES &&
           facts->invocations >= facts->subgroup_size * rows * 2 &&
           facts->subgroups_max >= rows * 2 && SHARED_ROWS % (rows * 2 * facts->matrix_m) == 0 &&
           osl_vk_tile_members(device) % (2 * facts->matrix_n) == 0 &&
           OSL_BLOCK_COLS % facts->matrix_k == 0;
}

static enum osl_vk_way choose(const struct osl_vk_device *device, enum osl_vk_layout layout,
                              bool exact)
{
    if (software(device)) {
        return OSL_VK_WAY_LANES;
    }
    if (exact || layout == OSL_VK_F32) {
        return OSL_VK_WAY_SHARED;
    }
    if (matrix_fits(device)) {
        return OSL_VK_WAY_MATRIX;
    }
    /* 16 dot products and 5 more instructions for a block, where floats take 32; only where the
     * device has the instruction. */
    if (device->dot && device->facts->dot_accelerated && layout >= OSL_VK_Q8_0) {
        return OSL_VK_WAY_DOT;
    }
    return device->fp16 ? OSL_VK_WAY_FP16 : OSL_VK_WAY_SHARED;
}

static void shape(const struct osl_vk_device *device, struct osl_vk_tile *tile,
                  const struct osl_vk_matrix *weight, bool few, uint32_t used)
{
    const struct osl_vk_facts *facts = device->facts;
    uint32_t lanes = SHARED_LANES;
    tile->rows = SHARED_ROWS;
    tile->tokens = osl_vk_tile_members(device);
    if (tile->way == OSL_VK_WAY_LANES) {
        lanes = facts->subgroup_size;
        tile->rows = lanes * LANE_ROWS;
    } else if (tile->way == OSL_VK_WAY_MATRIX) {
        lanes = facts->subgroup_size * grid_rows(facts) * 2;
        tile->rows = weight->experts > 1 ? MATRIX_EXPERT_ROWS : SHARED_ROWS;
    } else if (few && tile->way == OSL_VK_WAY_SHARED) {
        lanes = FEW_LANES;
        tile->rows = FEW_TILE_ROWS;
        tile->tokens = FEW_TILE_TOKENS;
    }
    tile->spec[0] = lanes;
    tile->spec[1] = facts->subgroup_size;
    tile->spec[SPEC_ROWS] = tile->rows;
    tile->spec[SPEC_LAYOUT] = weight->layout;
    tile->spec[SPEC_COLS] = weight->cols;
    tile->spec[SPEC_TOKENS] = tile->tokens;
    tile->spec[SPEC_THREAD_TOKENS] = tile->rows / THREAD_ROWS * tile->tokens / lanes;
    tile->spec[SPEC_USED] = used;
    if (tile->way == OSL_VK_WAY_MATRIX) {
        tile->spec[SPEC_GRID_ROWS] = grid_rows(facts);
        tile->spec[SPEC_MATRIX_M] = facts->matrix_m;
        tile->spec[SPEC_MATRIX_N] = facts->matrix_n;
        tile->spec[SPEC_MATRIX_K] = facts->matrix_k;
    }
}

void osl_vk_tile_dense(const struct osl_vk_device *device, const struct osl_vk_matrix *weight,
                       uint32_t parts, bool exact, struct osl_vk_tile *out)
{
    *out = (struct osl_vk_tile){.way = choose(device, weight->layout, exact)};
    shape(device, out, weight, parts == 1 && weight->rows <= FEW_ROWS, 1);
    out->spec[OSL_VK_TILE_SPEC_PARTS] = parts;
}

void osl_vk_tile_expert(const struct osl_vk_device *device, const struct osl_vk_matrix *weight,
                        uint32_t used, struct osl_vk_tile *out)
{
    *out = (struct osl_vk_tile){.way = choose(device, weight->layout, false)};
    shape(device, out, weight, false, used);
}

uint32_t osl_vk_slab_units(const struct osl_vk_matrix *weight, uint32_t s)
{
    uint32_t all = weight->experts > 1 ? weight->experts : weight->rows;
    uint32_t left = all - s * weight->per_slab;
    return left < weight->per_slab ? left : weight->per_slab;
}
