/* Which way a product is computed, and in which shapes: by what the device reports. */
#include "compute/vulkan/tile.h"

#define SPEC_ROWS 2
#define SPEC_LAYOUT 3
#define SPEC_COLS 8
#define SPEC_TOKENS 9
#define SPEC_THREAD_TOKENS 10
#define SPEC_USED 12

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

static enum osl_vk_way choose(const struct osl_vk_device *device, enum osl_vk_layout layout,
                              bool exact)
{
    if (software(device)) {
        return OSL_VK_WAY_LANES;
    }
    if (exact || layout == OSL_VK_F32) {
        return OSL_VK_WAY_SHARED;
    }
    return device->fp16 ? OSL_VK_WAY_FP16 : OSL_VK_WAY_SHARED;
}

static void shape(const struct osl_vk_device *device, struct osl_vk_tile *tile,
                  const struct osl_vk_matrix *weight, bool few, uint32_t used)
{
    const struct osl_vk_facts *facts = device->facts;
    uint32_t lanes = 0;
    if (tile->way == OSL_VK_WAY_LANES) {
        lanes = facts->subgroup_size;
        tile->rows = lanes * LANE_ROWS;
        tile->tokens = LANE_TOKENS;
    } else if (few && tile->way == OSL_VK_WAY_SHARED) {
        lanes = FEW_LANES;
        tile->rows = FEW_TILE_ROWS;
        tile->tokens = FEW_TILE_TOKENS;
    } else {
        lanes = SHARED_LANES;
        tile->rows = SHARED_ROWS;
        tile->tokens = osl_vk_tile_members(device);
    }
    tile->spec[0] = lanes;
    tile->spec[1] = facts->subgroup_size;
    tile->spec[SPEC_ROWS] = tile->rows;
    tile->spec[SPEC_LAYOUT] = weight->layout;
    tile->spec[SPEC_COLS] = weight->cols;
    tile->spec[SPEC_TOKENS] = tile->tokens;
    tile->spec[SPEC_THREAD_TOKENS] = tile->rows / THREAD_ROWS * tile->tokens / lanes;
    tile->spec[SPEC_USED] = used;
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
