/* A strict reader of GGUF headers, versions 2 and 3.
 *
 * Walks a mapped header; every count, length, offset, type and shape is bounded against the file
 * before it is used, and nothing is allocated: the directory is a fixed array in the caller's
 * struct. A file with more tensors or keys than the maxima is refused by name, not truncated.
 * Layout: shared formats note, section 6.1. */
#ifndef OSL_GGUF_H
#define OSL_GGUF_H

#include "platform/platform.h"

#define OSL_GGUF_TENSORS_MAX 1536
#define OSL_GGUF_KEYS_MAX 256
#define OSL_GGUF_RANK_MAX 4
#define OSL_GGUF_NAME_MAX 63      /* bytes of a tensor's name; ggml's own limit */
#define OSL_GGUF_KEY_NAME_MAX 255 /* bytes of a key */
/* Published headers have 13 MB, nearly all of it vocabulary. */
#define OSL_GGUF_HEADER_BYTES_MAX (64u << 20)

enum osl_gguf_type {
    OSL_GGUF_U8,
    OSL_GGUF_I8,
    OSL_GGUF_U16,
    OSL_GGUF_I16,
    OSL_GGUF_U32,
    OSL_GGUF_I32,
    OSL_GGUF_F32,
    OSL_GGUF_BOOL,
    OSL_GGUF_STRING,
    OSL_GGUF_ARRAY,
    OSL_GGUF_U64,
    OSL_GGUF_I64,
    OSL_GGUF_F64,
    OSL_GGUF_TYPE_COUNT,
};

/* A slice of the file: bytes, not terminated. */
struct osl_slice {
    const char *data;
    uint64_t bytes;
};

struct osl_gguf_key {
    struct osl_slice name;
    enum osl_gguf_type type;
    enum osl_gguf_type element; /* of an array */
    uint64_t count;             /* of an array, else 1 */
    const uint8_t *value;       /* first element (strings: at their length) */
    uint64_t value_bytes;       /* all of it, verified inside the file */
};

struct osl_gguf_tensor {
    struct osl_slice name;
    uint32_t dtype; /* GGUF number; may be one we have no kernels for */
    uint32_t rank;
    uint64_t dims[OSL_GGUF_RANK_MAX]; /* innermost first, unused ones 1 */
    uint64_t offset;                  /* from the start of the file */
    uint64_t bytes; /* 0 when dtype is not known to compute/; else offset+bytes is in the file */
};

struct osl_gguf {
    struct osl_file file;
    struct osl_map map; /* the whole file; only header pages are touched by the reader */
    uint32_t version;
    uint32_t alignment;
    uint64_t data_offset;
    uint32_t key_count;
    uint32_t tensor_count;
    struct osl_gguf_key keys[OSL_GGUF_KEYS_MAX];
    struct osl_gguf_tensor tensors[OSL_GGUF_TENSORS_MAX];
};

/* Opens, maps and checks the header. Errors name the file, the key or tensor, and the byte offset.
 * Tensors may lie in any order and with gaps, but aligned, inside the file and apart. On failure
 * nothing is left open. Touches at most OSL_GGUF_HEADER_BYTES_MAX of the map. */
OSL_MUST_USE enum osl_status osl_gguf_open(struct osl_gguf *gguf, const char *path,
                                           struct osl_error *error);
void osl_gguf_close(struct osl_gguf *gguf);

/* Given by osl_gguf_parse: no file and no map of ours lies behind it. */
static inline bool osl_gguf_in_memory(const struct osl_gguf *gguf)
{
    return gguf->map.base == NULL;
}

/* The same on bytes in memory that stay the caller's and must outlive *gguf; `name` stands for
 * the file in errors. osl_gguf_close need not be called. */
OSL_MUST_USE enum osl_status osl_gguf_parse(struct osl_gguf *gguf, const char *name,
                                            const void *data, uint64_t bytes,
                                            struct osl_error *error);

/* ---- Words for errors and listings ------------------------------------------------------- */

struct osl_label {
    char text[160];
};
/* The file's path, its end if it is long; a slice with everything unprintable as \xNN, cut with
 * "..."; dims as "[2880, 4096]"; any GGUF tensor type's name, "type 99" for one without. */
struct osl_label osl_gguf_label(const struct osl_gguf *gguf);
struct osl_label osl_gguf_quote(struct osl_slice slice);
struct osl_label osl_gguf_dims(const uint64_t *dims, uint32_t rank);
struct osl_label osl_gguf_dtype_text(uint32_t dtype);
/* "u32", "string" and so on. */
const char *osl_gguf_type_name(enum osl_gguf_type type);
/* Bytes of one value; 0 for strings and arrays. */
uint32_t osl_gguf_type_bytes(enum osl_gguf_type type);

/* ---- Look-up ----------------------------------------------------------------------------- */

bool osl_slice_equal(struct osl_slice slice, const char *text);

/* NULL if absent. */
const struct osl_gguf_key *osl_gguf_key_find(const struct osl_gguf *gguf, const char *name);
const struct osl_gguf_tensor *osl_gguf_tensor_find(const struct osl_gguf *gguf, const char *name);

/* Walks an array of strings: *cursor starts at 0; false at the end. Bounds were checked at open. */
bool osl_gguf_string_next(const struct osl_gguf_key *key, uint64_t *cursor, struct osl_slice *out);

/* Scalars, with any integer width accepted where the value fits; FORMAT if absent or of another
 * type (names the key). */
OSL_MUST_USE enum osl_status osl_gguf_u32(const struct osl_gguf *gguf, const char *name,
                                          uint32_t *out, struct osl_error *error);
OSL_MUST_USE enum osl_status osl_gguf_f32(const struct osl_gguf *gguf, const char *name, float *out,
                                          struct osl_error *error);
OSL_MUST_USE enum osl_status osl_gguf_string(const struct osl_gguf *gguf, const char *name,
                                             struct osl_slice *out, struct osl_error *error);

#endif
