/* Listing a header. One writer gathers text and hands it on in pieces. */
#include "inspect.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "ossicle.h"
#include "plan.h"

#define TEXT_POINTS_MAX 60  /* characters shown of a string, in text */
#define ARRAY_POINTS_MAX 20 /* of one in an array */
#define TEXT_FIRST_MAX 4    /* elements shown of an array, in text */
#define JSON_FIRST_MAX 8    /* and in JSON */
#define PUT_BYTES_MAX 256   /* of one formatted put */
#define NAME_COLUMNS 46
#define REPLACEMENT 0xfffd /* what stands for bytes that are no UTF-8, in JSON */

struct writer {
    osl_inspect_piece *piece;
    void *user;
    bool json;
    size_t used;
    char text[OSL_INSPECT_PIECE_BYTES];
};

static void flush(struct writer *w)
{
    if (w->used > 0) {
        w->text[w->used] = '\0';
        w->piece(w->user, w->text);
        w->used = 0;
    }
}

OSL_PRINTF(2, 3) static void put(struct writer *w, const char *format, ...)
{
    if (w->used + PUT_BYTES_MAX >= sizeof w->text) {
        /* Text lines are kept short enough to fit; only JSON is cut here. */
        flush(w);
    }
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(w->text + w->used, PUT_BYTES_MAX, format, args);
    va_end(args);
    OSL_ASSERT(bytes >= 0);
    w->used += bytes < PUT_BYTES_MAX ? (size_t)bytes : PUT_BYTES_MAX - 1;
}

static void end_line(struct writer *w)
{
    put(w, "\n");
    flush(w);
}

/* ---- Strings ----------------------------------------------------------------------------- */

/* The character at the start of a slice; its bytes, or 1 and -1 if it is no UTF-8. */
static uint64_t take_point(struct osl_slice slice, int32_t *point_out)
{
    utf8proc_int32_t point = -1;
    utf8proc_ssize_t room = slice.bytes < 4 ? (utf8proc_ssize_t)slice.bytes : 4;
    utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)slice.data, room, &point);
    *point_out = bytes > 0 ? point : -1;
    return bytes > 0 ? (uint64_t)bytes : 1;
}

/* Neither control, format, surrogate, private, unassigned, nor a separator of lines. */
static bool shows(int32_t point)
{
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    default: return true;
    }
}

static void put_json_point(struct writer *w, int32_t point)
{
    if (point < 0) {
        point = REPLACEMENT;
    }
    if (point == '"' || point == '\\') {
        put(w, "\\%c", (char)point);
    } else if (point >= 0x20 && point < 0x7f) {
        put(w, "%c", (char)point);
    } else if (point < 0x10000) {
        put(w, "\\u%04x", (unsigned)point);
    } else {
        unsigned rest = (unsigned)point - 0x10000;
        put(w, "\\u%04x\\u%04x", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    }
}

static void put_text_point(struct writer *w, int32_t point, struct osl_slice bytes, bool quoted)
{
    if (point < 0) {
        put(w, "\\x%02x", (unsigned char)bytes.data[0]);
    } else if (point == '\n') {
        put(w, "\\n");
    } else if (point == '\\' || (point == '"' && quoted)) {
        put(w, "\\%c", (char)point);
    } else if (shows(point)) {
        put(w, "%.*s", (int)bytes.bytes, bytes.data);
    } else {
        put(w, "\\u{%x}", (unsigned)point);
    }
}

/* JSON: quoted and whole. Text: at most points_max characters, and bare unless quoted. */
static void put_string(struct writer *w, struct osl_slice slice, bool quoted, uint32_t points_max)
{
    uint32_t points = 0;
    uint64_t all = slice.bytes;
    quoted = quoted || w->json;
    put(w, "%s", quoted ? "\"" : "");
    while (slice.bytes > 0) {
        int32_t point;
        uint64_t bytes = take_point(slice, &point);
        if (w->json) {
            put_json_point(w, point);
        } else if (points++ == points_max) {
            put(w, "... (%" PRIu64 " bytes)", all);
            break;
        } else {
            put_text_point(w, point, (struct osl_slice){slice.data, bytes}, quoted);
        }
        slice.data += bytes;
        slice.bytes -= bytes;
    }
    put(w, "%s", quoted ? "\"" : "");
}

static void put_c_string(struct writer *w, const char *text)
{
    put_string(w, (struct osl_slice){text, strlen(text)}, false, UINT32_MAX);
}

/* ---- Values ------------------------------------------------------------------------------ */

static void put_float(struct writer *w, double value, int digits)
{
    if (isfinite(value)) {
        put(w, "%.*g", digits, value);
    } else if (w->json) {
        put(w, "null"); /* JSON has no such numbers */
    } else {
        put(w, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
    }
}

/* One number or bool as stored at `at`, little-endian. */
static void put_scalar(struct writer *w, enum osl_gguf_type type, const uint8_t *at)
{
    uint32_t bytes = osl_gguf_type_bytes(type);
    uint64_t bits = 0;
    float narrow;
    double wide;
    memcpy(&bits, at, bytes);
    switch (type) {
    case OSL_GGUF_BOOL: put(w, "%s", bits != 0 ? "true" : "false"); break;
    case OSL_GGUF_F32:
        memcpy(&narrow, at, sizeof narrow);
        put_float(w, (double)narrow, 9);
        break;
    case OSL_GGUF_F64:
        memcpy(&wide, at, sizeof wide);
        put_float(w, wide, 17);
        break;
    case OSL_GGUF_I8: put(w, "%d", (int8_t)bits); break;
    case OSL_GGUF_I16: put(w, "%d", (int16_t)bits); break;
    case OSL_GGUF_I32: put(w, "%" PRId32, (int32_t)bits); break;
    case OSL_GGUF_I64: put(w, "%" PRId64, (int64_t)bits); break;
    default: put(w, "%" PRIu64, bits); break;
    }
}

/* The first elements of an array, or the one value. */
static void put_elements(struct writer *w, const struct osl_gguf_key *key, uint64_t most)
{
    uint64_t cursor = 0;
    for (uint64_t i = 0; i < key->count && i < most; i++) {
        put(w, "%s", i == 0 ? "" : ", ");
        if (key->element == OSL_GGUF_STRING) {
            struct osl_slice slice = {NULL, 0};
            bool more = osl_gguf_string_next(key, &cursor, &slice);
            OSL_ASSERT(more);
            bool array = key->type == OSL_GGUF_ARRAY;
            put_string(w, slice, array, array ? ARRAY_POINTS_MAX : TEXT_POINTS_MAX);
        } else {
            put_scalar(w, key->element, key->value + i * osl_gguf_type_bytes(key->element));
        }
    }
}

static void put_key(struct writer *w, const struct osl_gguf_key *key)
{
    bool array = key->type == OSL_GGUF_ARRAY;
    if (w->json) {
        put(w, "{\"key\": ");
        put_string(w, key->name, true, UINT32_MAX);
        put(w, ", \"type\": \"%s\"", osl_gguf_type_name(key->type));
        if (array) {
            put(w, ", \"element\": \"%s\", \"count\": %" PRIu64 ", \"first\": [",
                osl_gguf_type_name(key->element), key->count);
            put_elements(w, key, JSON_FIRST_MAX);
            put(w, "]}");
        } else {
            put(w, ", \"value\": ");
            put_elements(w, key, 1);
            put(w, "}");
        }
        return;
    }
    char type[32];
    if (array) {
        snprintf(type, sizeof type, "%s[%" PRIu64 "]", osl_gguf_type_name(key->element),
                 key->count);
    } else {
        snprintf(type, sizeof type, "%s", osl_gguf_type_name(key->type));
    }
    put(w, "  %-*s %-15s ", NAME_COLUMNS, osl_gguf_quote(key->name).text, type);
    put_elements(w, key, array ? TEXT_FIRST_MAX : 1);
    put(w, "%s", array && key->count > TEXT_FIRST_MAX ? ", ..." : "");
    end_line(w);
}

static void put_tensor(struct writer *w, const struct osl_gguf_tensor *tensor)
{
    struct osl_label dims = osl_gguf_dims(tensor->dims, tensor->rank);
    struct osl_label dtype = osl_gguf_dtype_text(tensor->dtype);
    if (w->json) {
        put(w, "{\"name\": ");
        put_string(w, tensor->name, true, UINT32_MAX);
        put(w, ", \"type\": \"%s\", \"dims\": %s, \"offset\": %" PRIu64, dtype.text, dims.text,
            tensor->offset);
        if (tensor->bytes > 0) {
            put(w, ", \"bytes\": %" PRIu64 "}", tensor->bytes);
        } else {
            put(w, ", \"bytes\": null}"); /* a type this build does not know the size of */
        }
        return;
    }
    put(w, "  %-*s %-8s %-20s byte %" PRIu64, NAME_COLUMNS, osl_gguf_quote(tensor->name).text,
        dtype.text, dims.text, tensor->offset);
    if (tensor->bytes > 0) {
        put(w, ", %" PRIu64 " bytes", tensor->bytes);
    }
    end_line(w);
}

/* ---- The whole --------------------------------------------------------------------------- */

/* What the binder says: whether this program can run the file, and why not. */
struct verdict {
    struct osl_hparams hparams;
    uint64_t parameters;
    struct osl_error error; /* status OK: it can */
};

static void judge(const struct osl_gguf *gguf, struct verdict *out)
{
    struct osl_model_weights weights; /* 70 KB: only here, never beside an engine's step */
    memset(out, 0, sizeof *out);
    enum osl_status status = osl_bind_hparams(gguf, &out->hparams, &out->error);
    if (status == OSL_OK) {
        status = osl_bind_weights(gguf, &out->hparams, &weights, &out->error);
    }
    if (status == OSL_OK) {
        out->error.status = OSL_OK;
        out->parameters = weights.parameters;
    }
}

static void put_text(struct writer *w, const struct osl_gguf *gguf, const struct verdict *verdict)
{
    const struct osl_shape *shape = &verdict->hparams.shape;
    put(w, "file    ");
    put_c_string(w, osl_gguf_label(gguf).text);
    put(w, ", %" PRIu64 " bytes", gguf->map.bytes);
    end_line(w);
    put(w, "format  GGUF %" PRIu32 ", alignment %" PRIu32 ", data from byte %" PRIu64,
        gguf->version, gguf->alignment, gguf->data_offset);
    end_line(w);
    if (verdict->error.status == OSL_OK) {
        put(w,
            "runs    yes: %" PRIu32 " layers, %" PRIu32 " of %" PRIu32 " experts a token, %" PRIu64
            " parameters",
            shape->layers, shape->experts_used, shape->experts, verdict->parameters);
    } else {
        put(w, "runs    no: ");
        put_c_string(w, verdict->error.text);
    }
    end_line(w);
    put(w, "%" PRIu32 " keys", gguf->key_count);
    end_line(w);
    for (uint32_t i = 0; i < gguf->key_count; i++) {
        put_key(w, &gguf->keys[i]);
    }
    put(w, "%" PRIu32 " tensors", gguf->tensor_count);
    end_line(w);
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        put_tensor(w, &gguf->tensors[i]);
    }
}

static void put_json(struct writer *w, const struct osl_gguf *gguf, const struct verdict *verdict)
{
    put(w, "{\"file\": ");
    put_c_string(w, gguf->file.path);
    put(w,
        ", \"bytes\": %" PRIu64 ", \"version\": %" PRIu32 ", \"alignment\": %" PRIu32
        ", \"data_offset\": %" PRIu64,
        gguf->map.bytes, gguf->version, gguf->alignment, gguf->data_offset);
    if (verdict->error.status == OSL_OK) {
        put(w, ", \"runs\": true, \"reason\": null, \"parameters\": %" PRIu64, verdict->parameters);
    } else {
        put(w, ", \"runs\": false, \"reason\": ");
        put_c_string(w, verdict->error.text);
        put(w, ", \"parameters\": null");
    }
    put(w, ", \"metadata\": [");
    for (uint32_t i = 0; i < gguf->key_count; i++) {
        put(w, "%s\n ", i == 0 ? "" : ",");
        put_key(w, &gguf->keys[i]);
    }
    put(w, "], \"tensors\": [");
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        put(w, "%s\n ", i == 0 ? "" : ",");
        put_tensor(w, &gguf->tensors[i]);
    }
    put(w, "]}\n");
    flush(w);
}

void osl_inspect(const struct osl_gguf *gguf, bool json, osl_inspect_piece *piece, void *user)
{
    struct writer w = {.piece = piece, .user = user, .json = json};
    struct verdict verdict;
    judge(gguf, &verdict);
    if (json) {
        put_json(&w, gguf, &verdict);
    } else {
        put_text(&w, gguf, &verdict);
    }
}

enum ossicle_status ossicle_inspect(const struct ossicle_config *config, bool json,
                                    void (*piece)(void *user, const char *text), void *user,
                                    struct ossicle_error *error)
{
    struct osl_gguf gguf; /* 160 KB of stack: inspecting is done by programs, not by engines */
    struct osl_error inner = {OSL_OK, ""};
    enum osl_status status = OSL_ARGUMENT;
    if (config == NULL || piece == NULL) {
        (void)osl_fail(&inner, OSL_ARGUMENT, "ossicle_inspect: %s is NULL, expected one",
                       config == NULL ? "config" : "piece");
    } else {
        status = osl_model_open(config, &gguf, &inner);
    }
    if (status == OSL_OK) {
        osl_inspect(&gguf, json, piece, user);
        osl_gguf_close(&gguf);
    } else if (error != NULL) {
        error->status = (enum ossicle_status)inner.status;
        memcpy(error->text, inner.text, sizeof error->text);
    }
    return (enum ossicle_status)status;
}
