/* Cache rows to and from the host, and marks, which stay on the device. */
#include "compute/vulkan/executor.h"

#include <string.h>

static uint64_t row_bytes(const struct osl_vulkan *v)
{
    return osl_kv_row_bytes(v->net.kv_type, v->net.shape.head_dim);
}

/* Where a row of a layer's cache lies; half as in backend.h. */
static uint64_t row_place(const struct osl_vulkan *v, uint32_t layer, uint32_t half, uint32_t slot,
                          const struct osl_vk_buffer **buffer_out)
{
    uint32_t heads = v->net.shape.kv_heads;
    const struct osl_vk_kv *kv = &v->kv[layer];
    const struct osl_vk_binding *side = half < heads ? &kv->k : &kv->v;
    OSL_ASSERT(layer < v->net.shape.layers && half < 2 * heads && slot < kv->capacity);
    *buffer_out = side->buffer;
    return side->offset + ((uint64_t)(half % heads) * kv->capacity + slot) * row_bytes(v);
}

static enum osl_status begin(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_transfer *transfer = &v->transfer[0];
    enum osl_status status = osl_vk_transfer_wait(transfer, osl_vulkan_watchdog_ns(v), error);
    return status == OSL_OK ? osl_vk_transfer_begin(transfer, error) : status;
}

static enum osl_status end(struct osl_vulkan *v, struct osl_error *error)
{
    return osl_vk_transfer_run(&v->transfer[0], osl_vulkan_watchdog_ns(v), error);
}

static enum osl_status read_rows(struct osl_vulkan *v, uint32_t layer, uint32_t half,
                                 uint32_t slot, uint32_t rows, uint8_t *out,
                                 struct osl_error *error)
{
    uint64_t row = row_bytes(v);
    uint32_t most = (uint32_t)(v->result_offset / row); /* of `down`, all but the result */
    v->logits_ready = 0; /* they lay there */
    for (uint32_t done = 0, count; done < rows; done += count) {
        count = rows - done < most ? rows - done : most;
        const struct osl_vk_buffer *from = NULL;
        uint64_t at = row_place(v, layer, half, slot + done, &from);
        enum osl_status status = begin(v, error);
        if (status == OSL_OK) {
            osl_vk_transfer_copy(&v->transfer[0], from, at, v->down, 0, count * row);
            status = end(v, error);
        }
        if (status != OSL_OK) {
            return status;
        }
        osl_vk_invalidate(&v->device, v->down);
        memcpy(out + done * row, v->down->mapped, count * row);
    }
    return OSL_OK;
}

static enum osl_status write_rows(struct osl_vulkan *v, uint32_t layer, uint32_t half,
                                  uint32_t slot, uint32_t rows, const uint8_t *in,
                                  struct osl_error *error)
{
    uint64_t row = row_bytes(v);
    uint32_t most = (uint32_t)(2 * v->up_parts.piece_bytes / row);
    for (uint32_t done = 0, count; done < rows; done += count) {
        count = rows - done < most ? rows - done : most;
        const struct osl_vk_buffer *to = NULL;
        uint64_t at = row_place(v, layer, half, slot + done, &to);
        enum osl_status status = begin(v, error);
        if (status == OSL_OK) {
            memcpy(v->up->mapped + v->up_parts.piece, in + done * row, count * row);
            osl_vk_flush(&v->device, v->up);
            osl_vk_transfer_copy(&v->transfer[0], v->up, v->up_parts.piece, to, at, count * row);
            status = end(v, error);
        }
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

enum osl_status osl_vulkan_cache_read(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                      uint32_t slot, uint32_t rows, void *out)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    OSL_ASSERT(v->lost || slot + rows <= v->kv[layer].capacity);
    enum osl_status status =
        v->lost ? OSL_DEVICE : read_rows(v, layer, half, slot, rows, out, &error);
    return status == OSL_OK || v->lost ? status : osl_vulkan_lose(v, &error);
}

enum osl_status osl_vulkan_cache_write(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                       uint32_t slot, uint32_t rows, const void *in)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    OSL_ASSERT(v->lost || slot + rows <= v->kv[layer].capacity);
    enum osl_status status =
        v->lost ? OSL_DEVICE : write_rows(v, layer, half, slot, rows, in, &error);
    return status == OSL_OK || v->lost ? status : osl_vulkan_lose(v, &error);
}

/* The rows before `position`, in rising order of position: as they turn in the ring, one or two
 * pieces. */
static void copy_ring(struct osl_vulkan *v, uint32_t layer, uint32_t half, uint32_t position,
                      uint32_t rows, uint64_t *mark_at, bool restore)
{
    uint64_t row = row_bytes(v);
    uint32_t capacity = v->kv[layer].capacity;
    for (uint32_t done = 0, count; done < rows; done += count) {
        uint32_t slot = (position - rows + done) % capacity;
        count = rows - done < capacity - slot ? rows - done : capacity - slot;
        const struct osl_vk_buffer *buffer = NULL;
        uint64_t at = row_place(v, layer, half, slot, &buffer);
        const struct osl_vk_buffer *from = restore ? v->marks : buffer;
        const struct osl_vk_buffer *to = restore ? buffer : v->marks;
        osl_vk_transfer_copy(&v->transfer[0], from, restore ? *mark_at : at, to,
                             restore ? at : *mark_at, count * row);
        *mark_at += count * row;
    }
}

enum osl_status osl_vulkan_mark(struct osl_backend *backend, uint32_t mark, uint32_t position,
                                bool restore)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    const struct osl_schedule *schedule = v->config.schedule;
    const struct osl_shape *shape = &v->net.shape;
    struct osl_error error;
    if (v->lost) {
        return OSL_DEVICE;
    }
    OSL_ASSERT(mark < v->places.limits.marks);
    uint32_t rows = position < shape->window ? position : shape->window;
    if (rows == 0 || v->places.mark_bytes == 0) {
        return OSL_OK;
    }
    enum osl_status status = begin(v, &error);
    uint64_t at = mark * v->places.mark_bytes;
    for (uint32_t layer = 0; status == OSL_OK && layer < shape->layers; layer++) {
        for (uint32_t half = 0; schedule->kv[layer].window != 0 && half < 2 * shape->kv_heads;
             half++) {
            copy_ring(v, layer, half, position, rows, &at, restore);
        }
    }
    if (status == OSL_OK) {
        status = osl_vk_transfer_submit(&v->transfer[0], &error);
    }
    return status == OSL_OK ? OSL_OK : osl_vulkan_lose(v, &error);
}
