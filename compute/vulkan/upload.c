/* Weights into the device: each byte of the file is read once, re-laid, and written either where
 * it stays (memory that the host sees) or into one half of the staging buffer while the other is
 * copied. */
#include "compute/vulkan/executor.h"

#include <string.h>

#define PIECE_BYTES (8ull << 20) /* between two looks at the abort flag */
#define TIMEOUT_NS 30000000000u

struct upload {
    struct osl_vulkan *v;
    uint64_t done_bytes, total_bytes; /* on the device */
    uint32_t turn;                    /* half of the staging buffer */
};

static bool stopped(struct upload *u)
{
    const struct osl_vulkan_config *config = &u->v->config;
    if (config->abort != NULL && atomic_load_explicit(config->abort, memory_order_relaxed)) {
        return true;
    }
    return config->progress != NULL &&
           !config->progress(config->user, "upload", u->done_bytes, u->total_bytes);
}

/* Copies rows from the staging half to their planes: elements, then scales. */
static enum osl_status copy_staged(struct upload *u, enum osl_vk_layout layout, uint32_t first,
                                   uint32_t count, uint32_t rows, uint32_t cols,
                                   const struct osl_vk_buffer *to, uint64_t to_offset,
                                   uint64_t from_offset, struct osl_error *error)
{
    struct osl_vulkan *v = u->v;
    struct osl_vk_transfer *transfer = &v->transfer[u->turn];
    enum osl_status status = osl_vk_transfer_begin(transfer, error);
    if (status != OSL_OK) {
        return status;
    }
    uint64_t row = osl_vk_matrix_row_bytes(layout, cols);
    uint64_t scale_row = osl_vk_scale_row_bytes(layout, cols);
    osl_vk_transfer_copy(transfer, v->up, from_offset, to, to_offset + first * row, count * row);
    if (scale_row != 0) {
        osl_vk_transfer_copy(transfer, v->up,
                             from_offset + osl_vk_scales_offset(layout, count, cols), to,
                             to_offset + osl_vk_scales_offset(layout, rows, cols) +
                                 first * scale_row,
                             count * scale_row);
    }
    return osl_vk_transfer_submit(transfer, error);
}

static enum osl_status put_rows(struct upload *u, enum osl_vk_layout layout, const uint8_t *file,
                                uint32_t first, uint32_t count, uint32_t rows, uint32_t cols,
                                const struct osl_vk_buffer *to, uint64_t to_offset,
                                struct osl_error *error)
{
    struct osl_vulkan *v = u->v;
    if (to->mapped != NULL) {
        osl_vk_relayout(layout, file, first, count, rows, cols, to->mapped + to_offset);
        return OSL_OK;
    }
    u->turn ^= 1;
    enum osl_status status = osl_vk_transfer_wait(&v->transfer[u->turn], TIMEOUT_NS, error);
    if (status != OSL_OK) {
        return status;
    }
    uint64_t half = v->up_parts.piece + u->turn * v->up_parts.piece_bytes;
    osl_vk_relayout(layout, file, 0, count, count, cols, v->up->mapped + half);
    osl_vk_flush(&v->device, v->up);
    return copy_staged(u, layout, first, count, rows, cols, to, to_offset, half, error);
}

/* One matrix of a slab. file: its first row. */
static enum osl_status put_matrix(struct upload *u, enum osl_vk_layout layout, const uint8_t *file,
                                  uint64_t file_row_bytes, uint32_t rows, uint32_t cols,
                                  const struct osl_vk_buffer *to, uint64_t to_offset,
                                  struct osl_error *error)
{
    uint64_t row = osl_vk_matrix_row_bytes(layout, cols) + osl_vk_scale_row_bytes(layout, cols);
    uint64_t most = to->mapped != NULL ? PIECE_BYTES : u->v->up_parts.piece_bytes;
    uint32_t piece = row < most ? (uint32_t)(most / row) : 1;
    OSL_ASSERT(to->mapped != NULL || row <= most);
    for (uint32_t first = 0; first < rows; first += piece) {
        if (stopped(u)) {
            return osl_fail(error, OSL_ABORTED, "cancelled while uploading the model");
        }
        uint32_t count = rows - first < piece ? rows - first : piece;
        enum osl_status status = put_rows(u, layout, file + first * file_row_bytes, first, count,
                                          rows, cols, to, to_offset, error);
        if (status != OSL_OK) {
            return status;
        }
        u->done_bytes += count * row;
    }
    return OSL_OK;
}

static enum osl_status put_weight(struct upload *u, const struct osl_weight *weight,
                                  const struct osl_vk_matrix *matrix, struct osl_error *error)
{
    bool by_expert = matrix->experts > 1;
    uint32_t units = by_expert ? matrix->experts : matrix->rows;
    const uint8_t *data = weight->data;
    if (matrix->slab[0].buffer->heap == OSL_VK_HEAPS_MAX) {
        return OSL_OK; /* imported: it is there */
    }
    for (uint32_t s = 0; s < matrix->slab_count; s++) {
        const struct osl_vk_binding *slab = &matrix->slab[s];
        uint32_t first = s * matrix->per_slab;
        uint32_t count = units - first < matrix->per_slab ? units - first : matrix->per_slab;
        enum osl_status status = OSL_OK;
        if (!by_expert) {
            status = put_matrix(u, matrix->layout, data + first * weight->row_bytes,
                                weight->row_bytes, count, matrix->cols, slab->buffer, slab->offset,
                                error);
        }
        for (uint32_t e = 0; by_expert && status == OSL_OK && e < count; e++) {
            status = put_matrix(u, matrix->layout, data + (first + e) * weight->expert_bytes,
                                weight->row_bytes, matrix->rows, matrix->cols, slab->buffer,
                                slab->offset + e * matrix->expert_bytes, error);
        }
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

static enum osl_status put_vector(struct upload *u, const struct osl_weight *vector,
                                  const struct osl_vk_vector *place, struct osl_error *error)
{
    if (vector == NULL) {
        return OSL_OK;
    }
    OSL_ASSERT(place->offset != OSL_VK_NO_VECTOR);
    return put_matrix(u, OSL_VK_F32, vector->data, vector->row_bytes, vector->rows, vector->cols,
                      place->vec.buffer, place->vec.offset + (uint64_t)place->offset * 4, error);
}

enum osl_status osl_vulkan_upload(struct osl_vulkan *v, struct osl_error *error)
{
    const struct osl_schedule *schedule = v->config.schedule;
    struct upload u = {.v = v,
                       .total_bytes = v->places.weights_bytes + v->places.embedding_bytes};
    enum osl_status status = OSL_OK;
    for (uint32_t i = 0; status == OSL_OK && i < schedule->op_count; i++) {
        const struct osl_op *op = &schedule->ops[i];
        const struct osl_vk_bound *bound = &v->bound[i];
        status = put_vector(&u, op->gain, &bound->gain, error);
        if (status == OSL_OK) {
            status = put_vector(&u, op->sinks, &bound->sinks, error);
        }
        uint32_t weights = op->kind == OSL_OP_EMBED ? 1 : op->weight_count;
        for (uint32_t w = 0; status == OSL_OK && w < weights; w++) {
            status = put_vector(&u, op->bias[w], &bound->bias[w], error);
            if (status == OSL_OK) {
                status = put_weight(&u, op->weight[w], &bound->weight[w], error);
            }
        }
    }
    for (uint32_t t = 0; t < 2; t++) { /* also after a failure: what is pending must end */
        enum osl_status ended = osl_vk_transfer_wait(&v->transfer[t], TIMEOUT_NS, error);
        status = status == OSL_OK ? ended : status;
    }
    for (uint32_t i = 0; i < v->device.buffer_count; i++) {
        if (v->device.buffers[i].mapped != NULL) {
            osl_vk_flush(&v->device, &v->device.buffers[i]);
        }
    }
    return status;
}
