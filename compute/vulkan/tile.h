/* How a product of a weight with several tokens is cut into workgroups: see shaders/tile.glsl.
 * Private to op_matmul.c and op_experts.c. */
#ifndef OSL_VK_TILE_H
#define OSL_VK_TILE_H

#include "compute/vulkan/ops.h"
#include "shaders/matmul_args.h"

/* The ways of tile.glsl. */
enum osl_vk_way {
    OSL_VK_WAY_LANES,  /* registers only: software devices */
    OSL_VK_WAY_SHARED, /* f32 tiles in shared memory: any device */
    OSL_VK_WAY_FP16,   /* f16 tiles */
    OSL_VK_WAY_DOT,    /* 8-bit integer dot products */
    OSL_VK_WAY_MATRIX, /* cooperative matrices of f16 */
    OSL_VK_WAY_COUNT
};

#define OSL_VK_TILE_SPECS 17 /* specialization constants of every product, see tile.c */
#define OSL_VK_TILE_SPEC_PARTS 13

struct osl_vk_tile {
    enum osl_vk_way way;
    uint32_t rows;   /* of the weight (of both, where there are two) a workgroup */
    uint32_t tokens; /* a workgroup */
    uint32_t spec[OSL_VK_TILE_SPECS];
};

/* Tokens a tile of an expert has on this device, whatever the way, since the router lists tiles
 * without knowing the weights. */
uint32_t osl_vk_tile_members(const struct osl_vk_device *device);
#define OSL_VK_TILE_MEMBERS_LEAST 4 /* that osl_vk_tile_members gives on any device */

/* The way and shape for `parts` dense weights alike. exact: nothing below f32 on any tier. */
void osl_vk_tile_dense(const struct osl_vk_device *device, const struct osl_vk_matrix *weight,
                       uint32_t parts, bool exact, struct osl_vk_tile *out);
/* The same for an expert weight, `used` experts a token. */
void osl_vk_tile_expert(const struct osl_vk_device *device, const struct osl_vk_matrix *weight,
                        uint32_t used, struct osl_vk_tile *out);

/* Rows, or experts, of slab s. */
uint32_t osl_vk_slab_units(const struct osl_vk_matrix *weight, uint32_t s);

#endif
