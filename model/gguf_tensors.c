/* Tensor infos: shapes, types and offsets, all bounded against the file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compute/dtype.h"
#include "gguf_cursor.h"

/* Rank and dims; elements_out is below 2^63. */
static enum osl_status take_dims(struct osl_cursor *c, struct osl_gguf_tensor *tensor,
                                 uint64_t *elements_out)
{
    uint64_t start = c->offset;
    enum osl_status status = osl_cursor_u32(c, "its rank", &tensor->rank);
    if (status != OSL_OK) {
        return status;
    }
    if (tensor->rank == 0 || tensor->rank > OSL_GGUF_RANK_MAX) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: %s: its rank at byte %" PRIu64 " is %" PRIu32
                        ", expected 1 to %d; " OSL_GGUF_DAMAGED,
                        osl_gguf_label(c->gguf).text, c->what, start, tensor->rank,
                        OSL_GGUF_RANK_MAX);
    }
    *elements_out = 1;
    for (uint32_t i = 0; i < OSL_GGUF_RANK_MAX; i++) {
        tensor->dims[i] = 1;
    }
    for (uint32_t i = 0; i < tensor->rank; i++) {
        start = c->offset;
        status = osl_cursor_u64(c, "its dimension", &tensor->dims[i]);
        if (status != OSL_OK) {
            return status;
        }
        if (tensor->dims[i] == 0 || tensor->dims[i] > INT64_MAX / *elements_out) {
            return osl_fail(
                c->error, OSL_FORMAT,
                "%s: %s: dimension %" PRIu32 " at byte %" PRIu64 " is %" PRIu64
                ", expected 1 or more and below 2^63 elements in all; " OSL_GGUF_DAMAGED,
                osl_gguf_label(c->gguf).text, c->what, i, start, tensor->dims[i]);
        }
        *elements_out *= tensor->dims[i];
    }
    return OSL_OK;
}

/* Bytes of a type that compute/ knows. */
static enum osl_status size_tensor(struct osl_cursor *c, struct osl_gguf_tensor *tensor,
                                   uint64_t elements, uint64_t type_offset)
{
    tensor->bytes = 0;
    if (!osl_dtype_known(tensor->dtype)) {
        return OSL_OK;
    }
    uint32_t cols = osl_dtype_block_cols((enum osl_dtype)tensor->dtype);
    uint32_t bytes = osl_dtype_block_bytes((enum osl_dtype)tensor->dtype);
    if (tensor->dims[0] % cols != 0) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: %s: its type at byte %" PRIu64 " is %s but its rows of %" PRIu64
                        " are not whole blocks of %" PRIu32 "; " OSL_GGUF_DAMAGED,
                        osl_gguf_label(c->gguf).text, c->what, type_offset,
                        osl_dtype_name(tensor->dtype), tensor->dims[0], cols);
    }
    uint64_t blocks = elements / cols;
    tensor->bytes = blocks > UINT64_MAX / bytes ? UINT64_MAX : blocks * bytes;
    return OSL_OK;
}

static enum osl_status take_tensor(struct osl_cursor *c, struct osl_gguf_tensor *tensor)
{
    enum osl_status status = osl_cursor_name(c, OSL_GGUF_NAME_MAX, &tensor->name);
    if (status != OSL_OK) {
        return status;
    }
    snprintf(c->what, sizeof c->what, "tensor '%s'", osl_gguf_quote(tensor->name).text);
    uint64_t elements = 0;
    status = take_dims(c, tensor, &elements);
    if (status != OSL_OK) {
        return status;
    }
    uint64_t type_offset = c->offset;
    status = osl_cursor_u32(c, "its type", &tensor->dtype);
    if (status == OSL_OK) {
        status = size_tensor(c, tensor, elements, type_offset);
    }
    uint64_t offset_offset = c->offset;
    if (status == OSL_OK) {
        status = osl_cursor_u64(c, "its offset", &tensor->offset);
    }
    if (status != OSL_OK) {
        return status;
    }
    if (tensor->offset % c->gguf->alignment != 0) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: %s: its offset at byte %" PRIu64 " is %" PRIu64
                        ", expected a multiple of %" PRIu32 "; " OSL_GGUF_DAMAGED,
                        osl_gguf_label(c->gguf).text, c->what, offset_offset, tensor->offset,
                        c->gguf->alignment);
    }
    return OSL_OK;
}

static enum osl_status take_infos(struct osl_cursor *c, uint32_t count)
{
    struct osl_gguf *gguf = c->gguf;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t start = c->offset;
        snprintf(c->what, sizeof c->what, "tensor %" PRIu32 " of %" PRIu32, i + 1, count);
        enum osl_status status = take_tensor(c, &gguf->tensors[i]);
        if (status != OSL_OK) {
            return status;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (gguf->tensors[j].name.bytes == gguf->tensors[i].name.bytes &&
                memcmp(gguf->tensors[j].name.data, gguf->tensors[i].name.data,
                       gguf->tensors[i].name.bytes) == 0) {
                return osl_fail(c->error, OSL_FORMAT,
                                "%s: %s is there twice, the second time at byte %" PRIu64
                                "; " OSL_GGUF_DAMAGED,
                                osl_gguf_label(gguf).text, c->what, start);
            }
        }
        gguf->tensor_count = i + 1;
    }
    return OSL_OK;
}

/* Makes offsets absolute; each tensor must lie inside the file. */
static enum osl_status place_tensors(struct osl_cursor *c)
{
    struct osl_gguf *gguf = c->gguf;
    uint64_t mask = gguf->alignment - 1;
    gguf->data_offset = (c->offset + mask) & ~mask;
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        struct osl_gguf_tensor *tensor = &gguf->tensors[i];
        uint64_t room = gguf->map.bytes;
        uint64_t start = gguf->data_offset;
        bool inside = start <= room && tensor->offset <= room - start &&
                      tensor->bytes <= room - start - tensor->offset;
        if (!inside) {
            return osl_fail(c->error, OSL_FORMAT,
                            "%s: tensor '%s' has %" PRIu64 " bytes from %" PRIu64
                            " after byte %" PRIu64 ", but the file ends at byte %" PRIu64
                            "; it was cut short, get it again",
                            osl_gguf_label(gguf).text, osl_gguf_quote(tensor->name).text,
                            tensor->bytes, tensor->offset, start, room);
        }
        tensor->offset += start;
    }
    return OSL_OK;
}

/* No two tensors share a byte. Every pair is compared: at most a million, under 2 ms. */
static enum osl_status check_overlap(struct osl_cursor *c)
{
    const struct osl_gguf *gguf = c->gguf;
    for (uint32_t i = 1; i < gguf->tensor_count; i++) {
        const struct osl_gguf_tensor *a = &gguf->tensors[i];
        for (uint32_t j = 0; j < i; j++) {
            const struct osl_gguf_tensor *b = &gguf->tensors[j];
            if (a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes) {
                return osl_fail(c->error, OSL_FORMAT,
                                "%s: tensor '%s' at byte %" PRIu64
                                " overlaps tensor '%s', bytes %" PRIu64 " to %" PRIu64
                                "; " OSL_GGUF_DAMAGED,
                                osl_gguf_label(gguf).text, osl_gguf_quote(a->name).text, a->offset,
                                osl_gguf_quote(b->name).text, b->offset, b->offset + b->bytes);
            }
        }
    }
    return OSL_OK;
}

enum osl_status osl_gguf_take_tensors(struct osl_cursor *c, uint32_t count)
{
    enum osl_status status = take_infos(c, count);
    if (status == OSL_OK) {
        status = place_tensors(c);
    }
    return status == OSL_OK ? check_overlap(c) : status;
}
