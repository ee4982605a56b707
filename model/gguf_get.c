/* Looking things up in a read GGUF header, and the words that errors and listings use. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gguf.h"

#define LABEL_BYTES_MAX 110 /* of a path: what an error line has room for */
#define QUOTE_BYTES_MAX 72  /* of a name, after escaping; tensor names fit whole */

struct type_facts {
    const char *name;
    uint32_t bytes;
};

static const struct type_facts type_table[OSL_GGUF_TYPE_COUNT] = {
    [OSL_GGUF_U8] = {"u8", 1},         [OSL_GGUF_I8] = {"i8", 1},
    [OSL_GGUF_U16] = {"u16", 2},       [OSL_GGUF_I16] = {"i16", 2},
    [OSL_GGUF_U32] = {"u32", 4},       [OSL_GGUF_I32] = {"i32", 4},
    [OSL_GGUF_F32] = {"f32", 4},       [OSL_GGUF_BOOL] = {"bool", 1},
    [OSL_GGUF_STRING] = {"string", 0}, [OSL_GGUF_ARRAY] = {"array", 0},
    [OSL_GGUF_U64] = {"u64", 8},       [OSL_GGUF_I64] = {"i64", 8},
    [OSL_GGUF_F64] = {"f64", 8},
};

/* All tensor types that ggml has; those without a kernel here still get a name in errors.
 * Source: shared formats note, section 7, and ggml.h. */
static const char *const dtype_names[] = {
    [0] = "F32",     [1] = "F16",      [2] = "Q4_0",   [3] = "Q4_1",    [6] = "Q5_0",
    [7] = "Q5_1",    [8] = "Q8_0",     [9] = "Q8_1",   [10] = "Q2_K",   [11] = "Q3_K",
    [12] = "Q4_K",   [13] = "Q5_K",    [14] = "Q6_K",  [15] = "Q8_K",   [16] = "IQ2_XXS",
    [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",
    [22] = "IQ2_S",  [23] = "IQ4_XS",  [24] = "I8",    [25] = "I16",    [26] = "I32",
    [27] = "I64",    [28] = "F64",     [29] = "IQ1_M", [30] = "BF16",   [34] = "TQ1_0",
    [35] = "TQ2_0",  [39] = "MXFP4",
};

const char *osl_gguf_type_name(enum osl_gguf_type type)
{
    return (unsigned)type < OSL_GGUF_TYPE_COUNT ? type_table[type].name : "unknown";
}

uint32_t osl_gguf_type_bytes(enum osl_gguf_type type)
{
    return (unsigned)type < OSL_GGUF_TYPE_COUNT ? type_table[type].bytes : 0;
}

struct osl_label osl_gguf_dtype_text(uint32_t dtype)
{
    struct osl_label out;
    if (dtype < sizeof dtype_names / sizeof dtype_names[0] && dtype_names[dtype] != NULL) {
        snprintf(out.text, sizeof out.text, "%s", dtype_names[dtype]);
    } else {
        snprintf(out.text, sizeof out.text, "type %" PRIu32, dtype);
    }
    return out;
}

struct osl_label osl_gguf_label(const struct osl_gguf *gguf)
{
    struct osl_label out;
    const char *path = gguf->file.path;
    size_t bytes = strlen(path);
    if (bytes <= LABEL_BYTES_MAX) {
        memcpy(out.text, path, bytes + 1);
        return out;
    }
    path += bytes - LABEL_BYTES_MAX;
    while (((unsigned char)*path & 0xc0) == 0x80) {
        path++; /* not from the middle of a character */
    }
    snprintf(out.text, sizeof out.text, "...%s", path);
    return out;
}

struct osl_label osl_gguf_quote(struct osl_slice slice)
{
    struct osl_label out;
    size_t used = 0;
    for (uint64_t i = 0; i < slice.bytes; i++) {
        unsigned char c = (unsigned char)slice.data[i];
        if (used >= QUOTE_BYTES_MAX) {
            snprintf(out.text + used, sizeof out.text - used, "...");
            return out;
        }
        if (c >= 0x20 && c < 0x7f) {
            out.text[used++] = (char)c;
        } else {
            used += (size_t)snprintf(out.text + used, sizeof out.text - used, "\\x%02x", c);
        }
    }
    out.text[used] = '\0';
    return out;
}

struct osl_label osl_gguf_dims(const uint64_t *dims, uint32_t rank)
{
    struct osl_label out;
    size_t used = 1;
    out.text[0] = '[';
    OSL_ASSERT(rank <= OSL_GGUF_RANK_MAX);
    for (uint32_t i = 0; i < rank; i++) {
        used += (size_t)snprintf(out.text + used, sizeof out.text - used, "%s%" PRIu64,
                                 i == 0 ? "" : ", ", dims[i]);
    }
    snprintf(out.text + used, sizeof out.text - used, "]");
    return out;
}

bool osl_slice_equal(struct osl_slice slice, const char *text)
{
    size_t bytes = strlen(text);
    return slice.bytes == bytes && memcmp(slice.data, text, bytes) == 0;
}

const struct osl_gguf_key *osl_gguf_key_find(const struct osl_gguf *gguf, const char *name)
{
    for (uint32_t i = 0; i < gguf->key_count; i++) {
        if (osl_slice_equal(gguf->keys[i].name, name)) {
            return &gguf->keys[i];
        }
    }
    return NULL;
}

const struct osl_gguf_tensor *osl_gguf_tensor_find(const struct osl_gguf *gguf, const char *name)
{
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        if (osl_slice_equal(gguf->tensors[i].name, name)) {
            return &gguf->tensors[i];
        }
    }
    return NULL;
}

bool osl_gguf_string_next(const struct osl_gguf_key *key, uint64_t *cursor, struct osl_slice *out)
{
    OSL_ASSERT(key->element == OSL_GGUF_STRING);
    if (*cursor >= key->value_bytes) {
        return false;
    }
    uint64_t bytes = 0;
    OSL_ASSERT(key->value_bytes - *cursor >= sizeof bytes);
    memcpy(&bytes, key->value + *cursor, sizeof bytes);
    *cursor += sizeof bytes;
    OSL_ASSERT(bytes <= key->value_bytes - *cursor);
    out->data = (const char *)key->value + *cursor;
    out->bytes = bytes;
    *cursor += bytes;
    return true;
}

/* The key, or NULL with an error that says it is missing. */
static const struct osl_gguf_key *require(const struct osl_gguf *gguf, const char *name,
                                          const char *expected, struct osl_error *error)
{
    const struct osl_gguf_key *key = osl_gguf_key_find(gguf, name);
    if (key == NULL) {
        (void)osl_fail(error, OSL_FORMAT,
                       "%s: key '%s' is missing from the header that ends at byte %" PRIu64
                       ", expected %s; convert the model again",
                       osl_gguf_label(gguf).text, name, gguf->data_offset, expected);
    }
    return key;
}

static enum osl_status wrong_type(const struct osl_gguf *gguf, const struct osl_gguf_key *key,
                                  const char *expected, struct osl_error *error)
{
    return osl_fail(error, OSL_FORMAT, "%s: key '%s' at byte %" PRIu64 " is %s, expected %s",
                    osl_gguf_label(gguf).text, osl_gguf_quote(key->name).text,
                    (uint64_t)(key->value - gguf->map.data), osl_gguf_type_name(key->type),
                    expected);
}

/* The value as an integer with its sign; false if the type is none. */
static bool integer_of(const struct osl_gguf_key *key, bool *negative_out, uint64_t *out)
{
    uint32_t bytes = osl_gguf_type_bytes(key->type);
    uint64_t bits = 0;
    bool is_signed = false;
    switch (key->type) {
    case OSL_GGUF_I8:
    case OSL_GGUF_I16:
    case OSL_GGUF_I32:
    case OSL_GGUF_I64: is_signed = true; break;
    case OSL_GGUF_U8:
    case OSL_GGUF_U16:
    case OSL_GGUF_U32:
    case OSL_GGUF_U64: break;
    default: return false;
    }
    memcpy(&bits, key->value, bytes);
    *negative_out = is_signed && (bits >> (bytes * 8 - 1) & 1) != 0;
    *out = bits;
    return true;
}

enum osl_status osl_gguf_u32(const struct osl_gguf *gguf, const char *name, uint32_t *out,
                             struct osl_error *error)
{
    const struct osl_gguf_key *key = require(gguf, name, "an integer", error);
    if (key == NULL) {
        return OSL_FORMAT;
    }
    bool negative = false;
    uint64_t value = 0;
    if (!integer_of(key, &negative, &value)) {
        return wrong_type(gguf, key, "an integer", error);
    }
    if (negative || value > UINT32_MAX) {
        return osl_fail(error, OSL_FORMAT,
                        "%s: key '%s' at byte %" PRIu64 " is %s, expected 0 to 4294967295",
                        osl_gguf_label(gguf).text, name, (uint64_t)(key->value - gguf->map.data),
                        negative ? "negative" : "too large");
    }
    *out = (uint32_t)value;
    return OSL_OK;
}

enum osl_status osl_gguf_f32(const struct osl_gguf *gguf, const char *name, float *out,
                             struct osl_error *error)
{
    const struct osl_gguf_key *key = require(gguf, name, "a number (f32)", error);
    if (key == NULL) {
        return OSL_FORMAT;
    }
    float value = 0;
    double wide = 0;
    if (key->type == OSL_GGUF_F32) {
        memcpy(&value, key->value, sizeof value);
    } else if (key->type == OSL_GGUF_F64) {
        memcpy(&wide, key->value, sizeof wide);
        value = fabs(wide) > 3.4028234e38 ? (float)INFINITY : (float)wide;
    } else {
        return wrong_type(gguf, key, "f32", error);
    }
    if (!isfinite(value)) {
        return osl_fail(error, OSL_FORMAT,
                        "%s: key '%s' at byte %" PRIu64 " is %s, expected a finite number",
                        osl_gguf_label(gguf).text, name, (uint64_t)(key->value - gguf->map.data),
                        isnan(value) ? "NaN" : "infinite");
    }
    *out = value;
    return OSL_OK;
}

enum osl_status osl_gguf_string(const struct osl_gguf *gguf, const char *name,
                                struct osl_slice *out, struct osl_error *error)
{
    const struct osl_gguf_key *key = require(gguf, name, "a string", error);
    if (key == NULL) {
        return OSL_FORMAT;
    }
    if (key->type != OSL_GGUF_STRING) {
        return wrong_type(gguf, key, "a string", error);
    }
    uint64_t cursor = 0;
    bool found = osl_gguf_string_next(key, &cursor, out);
    OSL_ASSERT(found);
    return OSL_OK;
}
