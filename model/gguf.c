/* The GGUF header walk: prelude, keys, alignment. Layout: shared formats note, section 6.1. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gguf_cursor.h"

#define PRELUDE_BYTES 24    /* magic, version, tensor count, key count */
#define KEY_BYTES_MIN 14    /* length, one letter, type, one byte of value */
#define TENSOR_BYTES_MIN 33 /* length, one letter, rank, one dim, type, offset */
#define ALIGNMENT_DEFAULT 32
#define ALIGNMENT_MIN 8
#define ALIGNMENT_MAX (1u << 20)

static enum osl_status check_bools(struct osl_cursor *c, const struct osl_gguf_key *key)
{
    for (uint64_t i = 0; i < key->count; i++) {
        if (key->value[i] > 1) {
            return osl_fail(c->error, OSL_FORMAT,
                            "%s: %s: the bool at byte %" PRIu64
                            " is %u, expected 0 or 1; " OSL_GGUF_DAMAGED,
                            osl_gguf_label(c->gguf).text, c->what, c->offset + i, key->value[i]);
        }
    }
    return OSL_OK;
}

/* `count` values of `type` from the cursor on. */
static enum osl_status take_values(struct osl_cursor *c, struct osl_gguf_key *key,
                                   enum osl_gguf_type type)
{
    uint64_t start = c->offset;
    enum osl_status status = OSL_OK;
    uint64_t each = type == OSL_GGUF_STRING ? sizeof(uint64_t) : osl_gguf_type_bytes(type);
    if (key->count > (c->limit - c->offset) / each) {
        uint64_t bytes = key->count > UINT64_MAX / each ? UINT64_MAX : key->count * each;
        return osl_cursor_need(c, bytes, key->type == OSL_GGUF_ARRAY ? "its array" : "its value");
    }
    key->value = c->gguf->map.data + start;
    if (type == OSL_GGUF_STRING) {
        struct osl_slice ignored;
        for (uint64_t i = 0; i < key->count && status == OSL_OK; i++) {
            status = osl_cursor_string(c, key->type == OSL_GGUF_ARRAY ? "a string" : "its value",
                                       &ignored);
        }
    } else {
        status = type == OSL_GGUF_BOOL ? check_bools(c, key) : OSL_OK;
        c->offset += key->count * each;
    }
    key->value_bytes = c->offset - start;
    return status;
}

static enum osl_status take_key(struct osl_cursor *c, struct osl_gguf_key *key)
{
    enum osl_status status = osl_cursor_name(c, OSL_GGUF_KEY_NAME_MAX, &key->name);
    if (status != OSL_OK) {
        return status;
    }
    snprintf(c->what, sizeof c->what, "key '%s'", osl_gguf_quote(key->name).text);
    uint32_t type = 0;
    uint64_t type_offset = c->offset;
    status = osl_cursor_u32(c, "its type", &type);
    if (status != OSL_OK) {
        return status;
    }
    key->count = 1;
    uint32_t element = type;
    if (type == OSL_GGUF_ARRAY) {
        type_offset = c->offset;
        status = osl_cursor_u32(c, "its element type", &element);
        if (status == OSL_OK) {
            status = osl_cursor_u64(c, "its array length", &key->count);
        }
        if (status != OSL_OK) {
            return status;
        }
        if (element == OSL_GGUF_ARRAY) {
            return osl_fail(c->error, OSL_UNSUPPORTED,
                            "%s: %s: an array of arrays at byte %" PRIu64
                            ", expected an array of plain values",
                            osl_gguf_label(c->gguf).text, c->what, type_offset);
        }
    }
    if (element >= OSL_GGUF_TYPE_COUNT) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: %s: its type at byte %" PRIu64 " is %" PRIu32
                        ", expected 0 to %d; " OSL_GGUF_DAMAGED,
                        osl_gguf_label(c->gguf).text, c->what, type_offset, element,
                        OSL_GGUF_TYPE_COUNT - 1);
    }
    key->type = (enum osl_gguf_type)type;
    key->element = (enum osl_gguf_type)element;
    return take_values(c, key, key->element);
}

static enum osl_status take_keys(struct osl_cursor *c, uint32_t count)
{
    struct osl_gguf *gguf = c->gguf;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t start = c->offset;
        snprintf(c->what, sizeof c->what, "key %" PRIu32 " of %" PRIu32, i + 1, count);
        enum osl_status status = take_key(c, &gguf->keys[i]);
        if (status != OSL_OK) {
            return status;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (gguf->keys[j].name.bytes == gguf->keys[i].name.bytes &&
                memcmp(gguf->keys[j].name.data, gguf->keys[i].name.data,
                       gguf->keys[i].name.bytes) == 0) {
                return osl_fail(c->error, OSL_FORMAT,
                                "%s: %s is there twice, the second time at byte %" PRIu64
                                "; " OSL_GGUF_DAMAGED,
                                osl_gguf_label(gguf).text, c->what, start);
            }
        }
        gguf->key_count = i + 1;
    }
    return OSL_OK;
}

static enum osl_status read_alignment(struct osl_cursor *c)
{
    struct osl_gguf *gguf = c->gguf;
    gguf->alignment = ALIGNMENT_DEFAULT;
    const struct osl_gguf_key *key = osl_gguf_key_find(gguf, "general.alignment");
    if (key == NULL) {
        return OSL_OK;
    }
    uint64_t offset = (uint64_t)(key->value - gguf->map.data);
    if (key->type != OSL_GGUF_U32) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: key 'general.alignment' at byte %" PRIu64 " is %s, expected u32",
                        osl_gguf_label(gguf).text, offset, osl_gguf_type_name(key->type));
    }
    uint32_t alignment = 0;
    memcpy(&alignment, key->value, sizeof alignment);
    if (alignment < ALIGNMENT_MIN || alignment > ALIGNMENT_MAX ||
        (alignment & (alignment - 1)) != 0) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: key 'general.alignment' at byte %" PRIu64 " is %" PRIu32
                        ", expected a power of two from %d to %u",
                        osl_gguf_label(gguf).text, offset, alignment, ALIGNMENT_MIN, ALIGNMENT_MAX);
    }
    gguf->alignment = alignment;
    return OSL_OK;
}

static enum osl_status check_magic(struct osl_cursor *c)
{
    const struct osl_map *map = &c->gguf->map;
    static const char lfs[] = "version https://git-lfs";
    if (map->bytes >= sizeof lfs - 1 && memcmp(map->data, lfs, sizeof lfs - 1) == 0) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: is a Git LFS pointer (text at byte 0), not the model; "
                        "run git lfs pull",
                        osl_gguf_label(c->gguf).text);
    }
    if (map->bytes < 4 || memcmp(map->data, "GGUF", 4) != 0) {
        struct osl_slice head = {(const char *)map->data, map->bytes < 4 ? map->bytes : 4};
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: is not a GGUF file: its magic at byte 0 is '%s', expected 'GGUF'",
                        osl_gguf_label(c->gguf).text, osl_gguf_quote(head).text);
    }
    c->offset = 4;
    return OSL_OK;
}

static enum osl_status take_version(struct osl_cursor *c)
{
    enum osl_status status = osl_cursor_u32(c, "its version", &c->gguf->version);
    uint32_t version = c->gguf->version;
    if (status != OSL_OK || version == 2 || version == 3) {
        return status;
    }
    uint32_t swapped = __builtin_bswap32(version);
    if (swapped >= 1 && swapped <= 3) {
        return osl_fail(c->error, OSL_UNSUPPORTED,
                        "%s: is big-endian (version bytes at byte 4); get or convert to the "
                        "little-endian file",
                        osl_gguf_label(c->gguf).text);
    }
    return osl_fail(c->error, OSL_UNSUPPORTED,
                    "%s: is GGUF version %" PRIu32 " (at byte 4), expected 2 or 3; "
                    "convert the model again",
                    osl_gguf_label(c->gguf).text, version);
}

/* A count from the prelude: bounded by what the rest of the file could hold, then by our table. */
static enum osl_status take_count(struct osl_cursor *c, const char *thing, uint32_t bytes_min,
                                  uint32_t count_max, uint32_t *count_out)
{
    uint64_t start = c->offset;
    uint64_t count = 0;
    enum osl_status status = osl_cursor_u64(c, thing, &count);
    if (status != OSL_OK) {
        return status;
    }
    uint64_t rest = c->gguf->map.bytes < PRELUDE_BYTES ? 0 : c->gguf->map.bytes - PRELUDE_BYTES;
    if (count > rest / bytes_min) {
        return osl_fail(c->error, OSL_FORMAT,
                        "%s: %s at byte %" PRIu64 " is %" PRIu64 ", more than a file of %" PRIu64
                        " bytes can hold; " OSL_GGUF_DAMAGED,
                        osl_gguf_label(c->gguf).text, thing, start, count, c->gguf->map.bytes);
    }
    if (count > count_max) {
        return osl_fail(c->error, OSL_UNSUPPORTED,
                        "%s: %s at byte %" PRIu64 " is %" PRIu64 ", expected at most %" PRIu32
                        "; this is no gpt-oss model",
                        osl_gguf_label(c->gguf).text, thing, start, count, count_max);
    }
    *count_out = (uint32_t)count;
    return OSL_OK;
}

static enum osl_status parse(struct osl_gguf *gguf, struct osl_error *error)
{
    struct osl_cursor c = {.gguf = gguf, .error = error, .what = "header"};
    c.limit =
        gguf->map.bytes < OSL_GGUF_HEADER_BYTES_MAX ? gguf->map.bytes : OSL_GGUF_HEADER_BYTES_MAX;
    uint32_t tensors = 0, keys = 0;
    enum osl_status status = check_magic(&c);
    if (status == OSL_OK) {
        status = take_version(&c);
    }
    if (status == OSL_OK) {
        status = take_count(&c, "tensor count", TENSOR_BYTES_MIN, OSL_GGUF_TENSORS_MAX, &tensors);
    }
    if (status == OSL_OK) {
        status = take_count(&c, "key count", KEY_BYTES_MIN, OSL_GGUF_KEYS_MAX, &keys);
    }
    if (status == OSL_OK) {
        status = take_keys(&c, keys);
    }
    if (status == OSL_OK) {
        status = read_alignment(&c);
    }
    if (status == OSL_OK) {
        status = osl_gguf_take_tensors(&c, tensors);
    }
    return status;
}

enum osl_status osl_gguf_parse(struct osl_gguf *gguf, const char *name, const void *data,
                               uint64_t bytes, struct osl_error *error)
{
    memset(gguf, 0, sizeof *gguf);
    gguf->file.handle = -1;
    gguf->file.bytes = bytes;
    snprintf(gguf->file.path, sizeof gguf->file.path, "%s", name);
    gguf->map.data = data;
    gguf->map.bytes = bytes;
    return parse(gguf, error);
}

enum osl_status osl_gguf_open(struct osl_gguf *gguf, const char *path, struct osl_error *error)
{
    memset(gguf, 0, sizeof *gguf);
    enum osl_status status = osl_file_open(&gguf->file, path, error);
    if (status != OSL_OK) {
        return status;
    }
    if (gguf->file.bytes == 0) {
        status = osl_fail(error, OSL_FORMAT, "%s: is empty (0 bytes), expected a GGUF file",
                          osl_gguf_label(gguf).text);
    } else {
        status = osl_file_map(&gguf->file, 0, gguf->file.bytes, &gguf->map, error);
    }
    if (status == OSL_OK) {
        status = parse(gguf, error);
        if (status != OSL_OK) {
            osl_file_unmap(&gguf->map);
        }
    }
    if (status != OSL_OK) {
        osl_file_close(&gguf->file);
    }
    return status;
}

void osl_gguf_close(struct osl_gguf *gguf)
{
    osl_file_unmap(&gguf->map);
    osl_file_close(&gguf->file);
}
