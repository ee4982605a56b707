/* Launch of the dense products over several tokens. */
#include "compute/vulkan/tile.h"

static const char *const shaders[OSL_VK_WAY_COUNT] = {
    [OSL_VK_WAY_LANES] = "matmul_lanes",
    [OSL_VK_WAY_SHARED] = "matmul",
    [OSL_VK_WAY_FP16] = "matmul_fp16",
    [OSL_VK_WAY_DOT] = "matmul_dot",
    [OSL_VK_WAY_MATRIX] = "matmul_matrix",
};

enum osl_status osl_vk_matmul(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              enum osl_buffer in, enum osl_buffer out, uint32_t out_cols,
                              uint32_t out_first, const struct osl_vk_matrix *weight,
                              const struct osl_vk_vector *bias, bool add, bool rows_of_logits,
                              bool joins, struct osl_error *error)
{
    OSL_ASSERT(weight->experts <= 1 && weight->cols % OSL_BLOCK_COLS == 0);
    OSL_ASSERT(out_first + weight->rows <= out_cols);
    /* The router decides who computes: a flipped choice costs more than all rounding elsewhere. */
    bool exact = out == OSL_BUFFER_ROUTER;
    struct osl_vk_tile tile;
    osl_vk_tile_dense(net->device, weight, exact, &tile);
    const struct osl_vk_pipeline *pipeline = NULL;
    enum osl_status status = osl_vk_pipeline_get(net->device, shaders[tile.way], tile.spec,
                                                 OSL_VK_TILE_SPECS, &pipeline, error);
    bool biased = bias != NULL && bias->offset != OSL_VK_NO_VECTOR;
    for (uint32_t s = 0; status == OSL_OK && s < weight->slab_count; s++) {
        uint32_t first = s * weight->per_slab;
        uint32_t rows = osl_vk_slab_units(weight, s);
        const struct osl_gpu_matmul push = {
            .rows = rows,
            .scales_bytes = (uint32_t)osl_vk_scales_offset(weight->layout, rows, weight->cols),
            .in_first = net->buffer[in],
            .out_first = net->buffer[out] + out_first + first,
            .out_stride = out_cols,
            .bias_first = {biased ? bias->offset + first : OSL_GPU_NONE, OSL_GPU_NONE},
            .add = add,
            .logits_rows = rows_of_logits,
        };
        /* Tokens first, so that workgroups running together share weights; rows of logits are few. */
        uint32_t row_tiles = (rows + tile.rows - 1) / tile.rows;
        const struct osl_vk_dispatch dispatch = {
            .pipeline = pipeline,
            .bind = {[0] = net->step, [1] = net->act, [2] = biased ? bias->vec : net->act,
                     [4] = weight->slab[s]},
            .push = &push,
            .push_bytes = sizeof push,
            .groups = {.rule = rows_of_logits ? OSL_VK_LOGITS_ROWS : OSL_VK_TOKENS_X,
                       .x = row_tiles, .y = row_tiles, .z = 1, .tile = tile.tokens},
            .barrier = s == 0 && !joins,
            .name = rows_of_logits              ? "logits"
                    : out == OSL_BUFFER_QKV    ? "qkv"
                    : out == OSL_BUFFER_ROUTER ? "router"
                                               : "attn out",
        };
        status = osl_vk_record(r, &dispatch, error);
    }
    return status;
}
