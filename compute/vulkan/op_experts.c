/* Launches of the experts over several tokens: who computes what, the products, the sum. */
#include "compute/vulkan/tile.h"

#define SPEC_COLS 8
#define SPEC_EXPERTS 11
#define SPEC_USED 12
#define SPEC_PARTS 13
#define SPECS 14

static const char *const shaders_up[OSL_VK_WAY_COUNT] = {
    [OSL_VK_WAY_LANES] = "expert_up_lanes",
    [OSL_VK_WAY_SHARED] = "expert_up",
    [OSL_VK_WAY_FP16] = "expert_up_fp16",
    [OSL_VK_WAY_DOT] = "expert_up_dot",
    [OSL_VK_WAY_MATRIX] = "expert_up_matrix",
};
static const char *const shaders_down[OSL_VK_WAY_COUNT] = {
    [OSL_VK_WAY_LANES] = "expert_down_lanes",
    [OSL_VK_WAY_SHARED] = "expert_down",
    [OSL_VK_WAY_FP16] = "expert_down_fp16",
    [OSL_VK_WAY_DOT] = "expert_down_dot",
    [OSL_VK_WAY_MATRIX] = "expert_down_matrix",
};

/* Lanes of the elementwise and routing workgroups: a whole number of subgroups of any width, but no
 * more than one subgroup of a software device, which runs them one after the other. */
static uint32_t lanes_of(const struct osl_vk_device *device, uint32_t most)
{
    return device->facts->type == OSL_VK_SOFTWARE ? device->facts->subgroup_size : most;
}

/* ---- Where the groups lie ---------------------------------------------------------------- */

static uint32_t members_most(const struct osl_vk_net *net)
{
    return net->limits.prefill_tokens * net->shape.experts_used;
}

static uint32_t weights_first(const struct osl_vk_net *net)
{
    return net->routes + members_most(net); /* behind all ids */
}

uint64_t osl_vk_groups_words(const struct osl_shape *shape, uint32_t prefill_tokens)
{
    uint64_t members = (uint64_t)prefill_tokens * shape->experts_used;
    uint64_t tiles = members / OSL_VK_TILE_MEMBERS_LEAST + 1 + shape->experts;
    return members + tiles * OSL_GPU_TILE_WORDS;
}

/* ---- Routing ----------------------------------------------------------------------------- */

enum osl_status osl_vk_route_group(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                   struct osl_error *error)
{
    const struct osl_shape *shape = &net->shape;
    OSL_ASSERT(shape->experts_used <= shape->experts && shape->experts <= OSL_EXPERTS_MAX);
    const struct osl_gpu_route push = {
        .logits = net->buffer[OSL_BUFFER_ROUTER],
        .routes = net->routes,
        .weights = weights_first(net),
        .members = net->groups,
        .tiles = net->groups + members_most(net),
        .tile = osl_vk_tile_members(net->device),
    };
    /* Choosing is one token an invocation, in small workgroups so that many cores have some. The
     * grouping is one workgroup: 128 lanes, each an expert in a part of the members. */
    uint32_t choosers = lanes_of(net->device, 32), groupers = lanes_of(net->device, 128);
    uint32_t parts = groupers / shape->experts > 1 ? groupers / shape->experts : 1;
    const uint32_t choose[SPECS] = {choosers, net->device->facts->subgroup_size,
                                    [SPEC_EXPERTS] = shape->experts,
                                    [SPEC_USED] = shape->experts_used};
    const uint32_t group[SPECS] = {groupers, net->device->facts->subgroup_size,
                                   [SPEC_EXPERTS] = shape->experts,
                                   [SPEC_USED] = shape->experts_used,
                                   [SPEC_PARTS] = parts};
    struct osl_vk_dispatch dispatch = {
        .bind = {[0] = net->step, [1] = net->act},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_TOKENS_X, .y = 1, .z = 1, .tile = choosers},
        .barrier = true,
        .name = "route",
    };
    enum osl_status status =
        osl_vk_pipeline_get(net->device, "route", choose, SPECS, &dispatch.pipeline, error);
    if (status == OSL_OK) {
        status = osl_vk_record(r, &dispatch, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_pipeline_get(net->device, "group", group, SPECS, &dispatch.pipeline, error);
    }
    if (status == OSL_OK) {
        dispatch.groups = (struct osl_vk_groups){.rule = OSL_VK_FIXED, .x = 1, .y = 1, .z = 1};
        dispatch.name = "group";
        status = osl_vk_record(r, &dispatch, error);
    }
    return status;
}

/* ---- Products ---------------------------------------------------------------------------- */

/* What up and down share: one dispatch a slab. `weights` are alike. */
struct product {
    const char *const *shaders;
    const char *name;
    enum osl_buffer in, out;
    const struct osl_vk_matrix *weight;
    const struct osl_vk_vector *bias;
    uint32_t weights; /* 1, or 2: gate and up in one pass */
};

static bool alike(const struct osl_vk_matrix *a, const struct osl_vk_matrix *b)
{
    return a->layout == b->layout && a->rows == b->rows && a->cols == b->cols &&
           a->experts == b->experts && a->per_slab == b->per_slab &&
           a->slab_count == b->slab_count && a->expert_bytes == b->expert_bytes;
}

static enum osl_status record_product(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                      const struct product *p, struct osl_error *error)
{
    const struct osl_vk_matrix *weight = p->weight;
    OSL_ASSERT(weight->experts == net->shape.experts);
    OSL_ASSERT(p->weights == 1 || alike(weight, weight + 1));
    struct osl_vk_tile tile;
    osl_vk_tile_expert(net->device, weight, net->shape.experts_used, &tile);
    struct osl_gpu_matmul push = {
        .rows = {weight->rows},
        .scales_bytes = {(uint32_t)osl_vk_scales_offset(weight->layout, weight->rows,
                                                        weight->cols)},
        .in_first = net->buffer[p->in],
        .out_first = {net->buffer[p->out]},
        .out_stride = weight->rows,
        .bias_first = {OSL_GPU_NONE, OSL_GPU_NONE},
        .members = net->groups,
        .tiles = net->groups + members_most(net),
        .expert_bytes = (uint32_t)weight->expert_bytes,
        .swiglu_alpha = net->shape.swiglu_alpha,
        .swiglu_limit = net->shape.swiglu_limit,
    };
    struct osl_vk_binding vec = net->act; /* where no bias is read */
    for (uint32_t i = 0; i < p->weights; i++) {
        if (p->bias[i].offset != OSL_VK_NO_VECTOR) {
            push.bias_first[i] = p->bias[i].offset;
            vec = p->bias[i].vec;
        }
    }
    struct osl_vk_dispatch dispatch = {
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_EXPERT_TILES,
                   .x = (weight->rows * p->weights + tile.rows - 1) / tile.rows,
                   .z = 1,
                   .tile = tile.tokens},
        .barrier = true,
        .name = p->name,
    };
    enum osl_status status =
        osl_vk_pipeline_get(net->device, p->shaders[tile.way], tile.spec, OSL_VK_TILE_SPECS,
                            &dispatch.pipeline, error);
    for (uint32_t s = 0; status == OSL_OK && s < weight->slab_count; s++) {
        push.expert_first = s * weight->per_slab;
        push.expert_count = osl_vk_slab_units(weight, s);
        dispatch.bind[1] = net->act;
        dispatch.bind[2] = vec;
        dispatch.bind[4] = weight->slab[s];
        if (p->weights == 2) {
            dispatch.bind[5] = weight[1].slab[s];
        }
        status = osl_vk_record(r, &dispatch, error);
    }
    return status;
}

enum osl_status osl_vk_expert_up_prefill(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                         const struct osl_vk_matrix weight[2],
                                         const struct osl_vk_vector bias[2],
                                         struct osl_error *error)
{
    const struct product up = {
        .shaders = shaders_up,
        .name = "expert up",
        .in = OSL_BUFFER_NORM,
        .out = OSL_BUFFER_EXPERT_H,
        .weight = weight,
        .bias = bias,
        .weights = 2,
    };
    return record_product(r, net, &up, error);
}

enum osl_status osl_vk_expert_down_prefill(struct osl_vk_recorder *r,
                                           const struct osl_vk_net *net,
                                           const struct osl_vk_matrix *weight,
                                           const struct osl_vk_vector *bias,
                                           struct osl_error *error)
{
    const struct product down = {
        .shaders = shaders_down,
        .name = "expert down",
        .in = OSL_BUFFER_EXPERT_H,
        .out = OSL_BUFFER_EXPERT_Y,
        .weight = weight,
        .bias = bias,
        .weights = 1,
    };
    enum osl_status status = record_product(r, net, &down, error);
    const struct osl_gpu_combine push = {
        .x = net->buffer[OSL_BUFFER_X],
        .y = net->buffer[OSL_BUFFER_EXPERT_Y],
        .weights = weights_first(net),
    };
    uint32_t lanes = lanes_of(net->device, 128), fours = net->shape.hidden / 4;
    const uint32_t spec[SPECS] = {lanes, net->device->facts->subgroup_size,
                                  [SPEC_COLS] = net->shape.hidden,
                                  [SPEC_USED] = net->shape.experts_used};
    struct osl_vk_dispatch combine = {
        .bind = {[1] = net->act},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_TOKENS, .x = (fours + lanes - 1) / lanes, .z = 1, .tile = 1},
        .barrier = true,
        .name = "combine",
    };
    if (status == OSL_OK) {
        status =
            osl_vk_pipeline_get(net->device, "combine", spec, SPECS, &combine.pipeline, error);
    }
    return status == OSL_OK ? osl_vk_record(r, &combine, error) : status;
}
