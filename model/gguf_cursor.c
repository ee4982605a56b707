/* Bounded reads from a GGUF header. */
#include "gguf_cursor.h"

#include <inttypes.h>
#include <string.h>

enum osl_status osl_cursor_need(struct osl_cursor *c, uint64_t bytes, const char *field)
{
    if (bytes <= c->limit - c->offset) {
        return OSL_OK;
    }
    uint64_t end = c->gguf->map.bytes;
    if (bytes <= end - c->offset) {
        return osl_fail(c->error, OSL_UNSUPPORTED,
                        "%s: %s: %s at byte %" PRIu64 " goes past %u MiB of header; "
                        "no gpt-oss model has that much",
                        osl_gguf_label(c->gguf).text, c->what, field, c->offset,
                        OSL_GGUF_HEADER_BYTES_MAX >> 20);
    }
    return osl_fail(c->error, OSL_FORMAT,
                    "%s: %s: %s at byte %" PRIu64 " needs %" PRIu64
                    " bytes, but the file ends at byte %" PRIu64
                    "; it was cut short or is damaged, get it again",
                    osl_gguf_label(c->gguf).text, c->what, field, c->offset, bytes, end);
}

enum osl_status osl_cursor_u32(struct osl_cursor *c, const char *field, uint32_t *out)
{
    enum osl_status status = osl_cursor_need(c, sizeof *out, field);
    if (status == OSL_OK) {
        memcpy(out, c->gguf->map.data + c->offset, sizeof *out);
        c->offset += sizeof *out;
    }
    return status;
}

enum osl_status osl_cursor_u64(struct osl_cursor *c, const char *field, uint64_t *out)
{
    enum osl_status status = osl_cursor_need(c, sizeof *out, field);
    if (status == OSL_OK) {
        memcpy(out, c->gguf->map.data + c->offset, sizeof *out);
        c->offset += sizeof *out;
    }
    return status;
}

enum osl_status osl_cursor_string(struct osl_cursor *c, const char *field, struct osl_slice *out)
{
    uint64_t start = c->offset;
    uint64_t bytes = 0;
    enum osl_status status = osl_cursor_u64(c, field, &bytes);
    if (status != OSL_OK) {
        return status;
    }
    status = osl_cursor_need(c, bytes, field);
    if (status != OSL_OK) {
        c->offset = start;
        return status;
    }
    out->data = (const char *)c->gguf->map.data + c->offset;
    out->bytes = bytes;
    c->offset += bytes;
    return OSL_OK;
}

enum osl_status osl_cursor_name(struct osl_cursor *c, uint64_t bytes_max, struct osl_slice *out)
{
    uint64_t start = c->offset;
    enum osl_status status = osl_cursor_string(c, "its name", out);
    if (status != OSL_OK) {
        return status;
    }
    if (out->bytes == 0 || out->bytes > bytes_max) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: %s: its name at byte %" PRIu64 " has %" PRIu64
                        " bytes, expected 1 to %" PRIu64 "; " OSL_GGUF_DAMAGED,
                        osl_gguf_label(c->gguf).text, c->what, start, out->bytes, bytes_max);
    }
    for (uint64_t i = 0; i < out->bytes; i++) {
        if (out->data[i] <= 0x20 || out->data[i] >= 0x7f) {
            return osl_fail(c->error, OSL_FORMAT,
                            "%s: %s: its name '%s' at byte %" PRIu64
                            " is not printable ASCII; " OSL_GGUF_DAMAGED,
                            osl_gguf_label(c->gguf).text, c->what, osl_gguf_quote(*out).text,
                            start);
        }
    }
    return OSL_OK;
}
