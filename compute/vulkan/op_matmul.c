/* Launch of the dense products over several tokens. */
#include "compute/vulkan/tile.h"

static const char *const shaders[OSL_VK_WAY_COUNT] = {
    [OSL_VK_WAY_LANES] = "matmul_lanes",
    [OSL_VK_WAY_SHARED] = "matmul",
    [OSL_VK_WAY_FP16] = "matmul_fp16",
    [OSL_VK_WAY_DOT] = "matmul_dot",
    [OSL_VK_WAY_MATRIX] = "matmul_matrix",
};

/* What is the same for all parts and slabs of one product. */
struct product {
    enum osl_buffer in, out;
    uint32_t out_cols;
    bool add, rows_of_logits;
};

static void set_part(struct osl_gpu_matmul *push, uint32_t part, const struct osl_vk_net *net,
                     const struct product *p, uint32_t out_first,
                     const struct osl_vk_matrix *weight, const struct osl_vk_vector *bias,
                     uint32_t row_first, uint32_t rows)
{
    bool biased = bias != NULL && bias->offset != OSL_VK_NO_VECTOR;
    push->rows[part] = rows;
    push->scales_bytes[part] = (uint32_t)osl_vk_scales_offset(weight->layout, rows, weight->cols);
    push->bias_first[part] = biased ? bias->offset + row_first : OSL_GPU_NONE;
    push->out_first[part] = net->buffer[p->out] + out_first + row_first;
}

static enum osl_status record(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              const struct product *p, const struct osl_vk_tile *tile,
                              struct osl_gpu_matmul *push, const struct osl_vk_binding *weights,
                              const struct osl_vk_binding *vec, struct osl_error *error)
{
    uint32_t parts = tile->spec[OSL_VK_TILE_SPEC_PARTS], row_tiles = 0;
    for (uint32_t i = 0; i < parts; i++) {
        push->tiles_before[i] = row_tiles;
        row_tiles += (push->rows[i] + tile->rows - 1) / tile->rows;
    }
    push->in_first = net->buffer[p->in];
    push->out_stride = p->out_cols;
    push->add = p->add;
    push->logits_rows = p->rows_of_logits;
    struct osl_vk_dispatch dispatch = {
        .bind = {[0] = net->step, [1] = net->act, [2] = vec->buffer != NULL ? *vec : net->act},
        .push = push,
        .push_bytes = sizeof *push,
        /* Tokens first, so that workgroups running together share weights; logits' rows are few. */
        .groups = {.rule = p->rows_of_logits ? OSL_VK_LOGITS_ROWS : OSL_VK_TOKENS_X,
                   .x = row_tiles, .y = row_tiles, .z = 1, .tile = tile->tokens},
        .barrier = true,
        .name = p->rows_of_logits              ? "logits"
                : p->out == OSL_BUFFER_QKV    ? "qkv"
                : p->out == OSL_BUFFER_ROUTER ? "router"
                                              : "attn out",
    };
    for (uint32_t i = 0; i < parts; i++) {
        dispatch.bind[4 + i] = weights[i];
    }
    enum osl_status status = osl_vk_pipeline_get(net->device, shaders[tile->way], tile->spec,
                                                 OSL_VK_TILE_SPECS, &dispatch.pipeline, error);
    return status == OSL_OK ? osl_vk_record(r, &dispatch, error) : status;
}

enum osl_status osl_vk_matmul(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              enum osl_buffer in, enum osl_buffer out, uint32_t out_cols,
                              uint32_t out_first, const struct osl_vk_matrix *weight,
                              const struct osl_vk_vector *bias, bool add, bool rows_of_logits,
                              bool joins, struct osl_error *error)
{
    (void)joins;
    OSL_ASSERT(weight->experts <= 1 && weight->cols % OSL_BLOCK_COLS == 0);
    OSL_ASSERT(out_first + weight->rows <= out_cols);
    const struct product p = {.in = in, .out = out, .out_cols = out_cols, .add = add,
                              .rows_of_logits = rows_of_logits};
    /* The router decides who computes: a flipped choice costs more than all rounding elsewhere. */
    struct osl_vk_tile tile;
    osl_vk_tile_dense(net->device, weight, 1, out == OSL_BUFFER_ROUTER, &tile);
    enum osl_status status = OSL_OK;
    for (uint32_t s = 0; status == OSL_OK && s < weight->slab_count; s++) {
        struct osl_gpu_matmul push = {0};
        const struct osl_vk_binding none = {0};
        set_part(&push, 0, net, &p, out_first, weight, bias, s * weight->per_slab,
                 osl_vk_slab_units(weight, s));
        status = record(r, net, &p, &tile, &push, &weight->slab[s],
                        push.bias_first[0] != OSL_GPU_NONE ? &bias->vec : &none, error);
    }
    return status;
}

/* One dispatch for the three where they are alike: each alone has too few rows to fill a large
 * device (k and v of the 20b: 64 workgroups a 512 tokens). Software devices have nothing to fill,
 * and would read all three weights to choose among them. */
enum osl_status osl_vk_qkv_prefill(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                   const struct osl_vk_matrix weight[3],
                                   const struct osl_vk_vector bias[3], struct osl_error *error)
{
    struct osl_vk_tile tile;
    osl_vk_tile_dense(net->device, &weight[0], 3, false, &tile);
    bool together = tile.way != OSL_VK_WAY_LANES;
    uint32_t first[3] = {0}, wide = 0;
    for (uint32_t i = 0; i < 3; i++) {
        first[i] = wide;
        wide += weight[i].rows;
        together = together && weight[i].slab_count == 1 && weight[i].layout == weight[0].layout &&
                   weight[i].cols == weight[0].cols;
    }
    enum osl_status status = OSL_OK;
    if (!together) {
        for (uint32_t i = 0; status == OSL_OK && i < 3; i++) {
            status = osl_vk_matmul(r, net, OSL_BUFFER_NORM, OSL_BUFFER_QKV, wide, first[i],
                                   &weight[i], &bias[i], false, false, false, error);
        }
        return status;
    }
    const struct product p = {.in = OSL_BUFFER_NORM, .out = OSL_BUFFER_QKV, .out_cols = wide};
    struct osl_gpu_matmul push = {0};
    struct osl_vk_binding slabs[3], vec = {0};
    for (uint32_t i = 0; i < 3; i++) {
        set_part(&push, i, net, &p, first[i], &weight[i], &bias[i], 0, weight[i].rows);
        slabs[i] = weight[i].slab[0];
        vec = push.bias_first[i] != OSL_GPU_NONE ? bias[i].vec : vec;
    }
    return record(r, net, &p, &tile, &push, slabs, &vec, error);
}
