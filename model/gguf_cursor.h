/* The cursor of the GGUF header walk. Private to model/gguf*.c.
 * Nothing is read that osl_cursor_need has not found to lie inside the file. */
#ifndef OSL_GGUF_CURSOR_H
#define OSL_GGUF_CURSOR_H

#include "gguf.h"

#define OSL_GGUF_DAMAGED "the file is damaged or not a GGUF; get it again"

struct osl_cursor {
    struct osl_gguf *gguf;
    struct osl_error *error;
    uint64_t offset;
    uint64_t limit;
    char what[OSL_ERROR_TEXT_BYTES / 2]; /* "key 'general.name'": what is being read */
};

/* OK if `bytes` more are there; else an error that names c->what, field and the offset. */
enum osl_status osl_cursor_need(struct osl_cursor *c, uint64_t bytes, const char *field);
enum osl_status osl_cursor_u32(struct osl_cursor *c, const char *field, uint32_t *out);
enum osl_status osl_cursor_u64(struct osl_cursor *c, const char *field, uint64_t *out);
/* Length and bytes. */
enum osl_status osl_cursor_string(struct osl_cursor *c, const char *field, struct osl_slice *out);
/* A key's or a tensor's name: 1 to bytes_max bytes of printable ASCII without blanks. */
enum osl_status osl_cursor_name(struct osl_cursor *c, uint64_t bytes_max, struct osl_slice *out);

/* `count` tensor infos from the cursor on, then the data they name: inside the file, apart. */
enum osl_status osl_gguf_take_tensors(struct osl_cursor *c, uint32_t count);

#endif
