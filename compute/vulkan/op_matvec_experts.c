/* Decode launches of the experts: the router with its choice, up and down. */
#include "compute/vulkan/matvec.h"

/* Attention counts from the front of the counters. */
#define ROUTER_COUNTER (OSL_GPU_COUNTERS - 1)

/* The VEC binding of a launch: that of any vector it has. */
static struct osl_vk_binding vec_of(const struct osl_vk_vector *a, const struct osl_vk_vector *b)
{
    return a != NULL && a->vec.buffer != NULL ? a->vec
           : b != NULL                        ? b->vec
                                              : (struct osl_vk_binding){0};
}

static uint32_t route_weights(const struct osl_vk_net *net)
{
    return net->routes + net->limits.prefill_tokens * net->shape.experts_used;
}

enum osl_status osl_vk_router(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              const struct osl_vk_vector *gain, const struct osl_vk_matrix *weight,
                              const struct osl_vk_vector *bias, struct osl_error *error)
{
    const struct osl_shape *s = &net->shape;
    OSL_ASSERT(weight->cols == s->hidden && weight->rows == s->experts);
    OSL_ASSERT(weight->slab_count == 1);
    struct osl_vk_wish wish = {.layout = weight->layout,
                               .cols = s->hidden,
                               .vectors = 1,
                               .rows = s->experts,
                               .rows_at_once = 1,
                               .group = 128,
                               .rounds = 1,
                               .norm = true,
                               .floats = true};
    struct osl_vk_choice c;
    if (!osl_vk_matvec_choose(net->device, &wish, &c)) {
        enum osl_status status = osl_vk_rmsnorm(r, net, gain, error);
        if (status != OSL_OK) {
            return status;
        }
        wish.norm = false;
        bool fits = osl_vk_matvec_choose(net->device, &wish, &c);
        OSL_ASSERT(fits);
    }
    c.group_rows = c.spec[OSL_SPEC_GROUP] / c.spec[OSL_SPEC_LANES] * c.spec[OSL_SPEC_ROWS];
    c.spec[OSL_SPEC_EXPERTS] = s->experts;
    c.spec[OSL_SPEC_USED] = s->experts_used;
    struct osl_gpu_router push = {
        .x = net->buffer[wish.norm ? OSL_BUFFER_X : OSL_BUFFER_NORM],
        .gain = gain->offset,
        .eps = s->rms_eps,
        .norm = net->buffer[OSL_BUFFER_NORM],
        .router = net->buffer[OSL_BUFFER_ROUTER],
        .ids = net->routes,
        .weights = route_weights(net),
        .counter = net->counters + ROUTER_COUNTER,
        .scales = (uint32_t)osl_vk_scales_offset(weight->layout, weight->rows, weight->cols),
        .bias = osl_vk_bias_offset(bias),
    };
    struct osl_vk_dispatch dispatch = {
        .bind = {[0] = net->step,
                 [1] = net->act,
                 [OSL_VK_BIND_VEC] = gain->vec,
                 [OSL_VK_BIND_WEIGHTS] = weight->slab[0]},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_FIXED,
                   .x = (s->experts + c.group_rows - 1) / c.group_rows,
                   .y = 1,
                   .z = 1},
        .barrier = true,
        .name = "router",
    };
    enum osl_status status = osl_vk_matvec_pipeline(net, "router", &c, &dispatch.pipeline, error);
    return status == OSL_OK ? osl_vk_record(r, &dispatch, error) : status;
}

static enum osl_status refuse_experts(struct osl_error *error)
{
    return osl_fail(error, OSL_UNSUPPORTED,
                    "gate and up weights differ in type, or lie in more than two pieces each: this "
                    "device binds too little memory at once; use --device cpu");
}

enum osl_status osl_vk_expert_up(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                 const struct osl_vk_matrix weight[2],
                                 const struct osl_vk_vector bias[2], struct osl_error *error)
{
    const struct osl_shape *s = &net->shape;
    OSL_ASSERT(weight[0].cols == s->hidden && weight[0].rows == s->ff);
    OSL_ASSERT(weight[1].cols == s->hidden && weight[1].rows == s->ff);
    uint32_t slabs = weight[0].slab_count;
    if (weight[0].layout != weight[1].layout || slabs > OSL_VK_SLABS_MAX / 2) {
        return refuse_experts(error);
    }
    OSL_ASSERT(weight[1].slab_count == slabs && weight[1].per_slab == weight[0].per_slab);
    struct osl_vk_wish wish = {.layout = weight[0].layout,
                               .cols = s->hidden,
                               .vectors = 1,
                               .rows = s->ff,
                               .rows_at_once = 2,
                               .group = 128,
                               .rounds = 1};
    struct osl_vk_choice c;
    bool fits = osl_vk_matvec_choose(net->device, &wish, &c);
    OSL_ASSERT(fits);
    c.spec[OSL_SPEC_SLABS] = slabs;
    struct osl_gpu_expert_up push = {
        .x = net->buffer[OSL_BUFFER_NORM],
        .h = net->buffer[OSL_BUFFER_EXPERT_H],
        .ids = net->routes,
        .rows = s->ff,
        .group_rows = c.group_rows,
        .per_slab = weight[0].per_slab,
        .expert_bytes = (uint32_t)weight[0].expert_bytes,
        .scales = (uint32_t)osl_vk_scales_offset(wish.layout, s->ff, s->hidden),
        .bias = {osl_vk_bias_offset(&bias[0]), osl_vk_bias_offset(&bias[1])},
        .alpha = s->swiglu_alpha,
        .limit = s->swiglu_limit,
    };
    struct osl_vk_dispatch dispatch = {
        .bind = {[0] = net->step, [1] = net->act, [OSL_VK_BIND_VEC] = vec_of(&bias[0], &bias[1])},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_FIXED,
                   .x = (s->ff + c.group_rows - 1) / c.group_rows,
                   .y = s->experts_used,
                   .z = 1},
        .barrier = true,
        .name = "expert up",
    };
    for (uint32_t i = 0; i < slabs; i++) {
        dispatch.bind[OSL_VK_BIND_WEIGHTS + i] = weight[0].slab[i];
        dispatch.bind[OSL_VK_BIND_WEIGHTS + slabs + i] = weight[1].slab[i];
    }
    enum osl_status status =
        osl_vk_matvec_pipeline(net, "decode_up", &c, &dispatch.pipeline, error);
    return status == OSL_OK ? osl_vk_record(r, &dispatch, error) : status;
}

enum osl_status osl_vk_expert_down(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                   const struct osl_vk_matrix *weight,
                                   const struct osl_vk_vector *bias, struct osl_error *error)
{
    const struct osl_shape *s = &net->shape;
    OSL_ASSERT(weight->cols == s->ff && weight->rows == s->hidden);
    OSL_ASSERT(weight->slab_count <= OSL_VK_SLABS_MAX);
    struct osl_vk_wish wish = {.layout = weight->layout,
                               .cols = s->ff,
                               .vectors = s->experts_used,
                               .rows = s->hidden,
                               .rows_at_once = 2,
                               .group = 128,
                               .rounds = 1};
    struct osl_vk_choice c;
    bool fits = osl_vk_matvec_choose(net->device, &wish, &c);
    OSL_ASSERT(fits);
    c.spec[OSL_SPEC_SLABS] = weight->slab_count;
    struct osl_gpu_expert_down push = {
        .x = net->buffer[OSL_BUFFER_X],
        .h = net->buffer[OSL_BUFFER_EXPERT_H],
        .ids = net->routes,
        .weights = route_weights(net),
        .rows = s->hidden,
        .group_rows = c.group_rows,
        .per_slab = weight->per_slab,
        .expert_bytes = (uint32_t)weight->expert_bytes,
        .scales = (uint32_t)osl_vk_scales_offset(wish.layout, s->hidden, s->ff),
        .bias = osl_vk_bias_offset(bias),
    };
    struct osl_vk_dispatch dispatch = {
        .bind = {[0] = net->step, [1] = net->act, [OSL_VK_BIND_VEC] = bias->vec},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_FIXED,
                   .x = (s->hidden + c.group_rows - 1) / c.group_rows,
                   .y = 1,
                   .z = 1},
        .barrier = true,
        .name = "expert down",
    };
    for (uint32_t i = 0; i < weight->slab_count; i++) {
        dispatch.bind[OSL_VK_BIND_WEIGHTS + i] = weight->slab[i];
    }
    enum osl_status status =
        osl_vk_matvec_pipeline(net, "decode_down", &c, &dispatch.pipeline, error);
    return status == OSL_OK ? osl_vk_record(r, &dispatch, error) : status;
}
