/* Valid GGUF files with one thing changed, and what a refusal must look like. */
#ifndef OSL_GGUF_EDIT_H
#define OSL_GGUF_EDIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixtures/fixture.h"
#include "model/gguf.h"

#define EDIT_NAME "edit.gguf" /* the file's name in errors */

/* A file in memory of exactly its size, so that a sanitizer sees a byte read past the end. */
struct edit {
    uint8_t *data;
    uint64_t bytes;
};

/* A fixture's file; free with edit_free. */
struct edit edit_fixture(const struct fixture_options *options);
struct edit edit_tiny(void);
struct edit edit_copy(const struct edit *from);
void edit_free(struct edit *edit);

/* The header of `from`, parsed; it must be valid. Lives as long as `from`; one at a time. */
const struct osl_gguf *edit_parsed(const struct edit *from);

/* Where things stand in the bytes. */
uint64_t edit_key_start(const struct edit *from, const char *key);
uint64_t edit_value_at(const struct edit *from, const char *key);
uint64_t edit_tensor_start(const struct edit *from, const char *tensor);

/* A copy without a key, with a value replaced or (if there is no such key) a key added at the
 * end; payload is the value as stored, after the type. */
struct edit edit_without_key(const struct edit *from, const char *key);
struct edit edit_with_key(const struct edit *from, const char *key, uint32_t type,
                          const void *payload, uint64_t payload_bytes);
struct edit edit_with_u32(const struct edit *from, const char *key, uint32_t value);
struct edit edit_with_f32(const struct edit *from, const char *key, float value);
struct edit edit_with_string(const struct edit *from, const char *key, const char *value);

/* A copy without a tensor's info (its data stays, as a gap), or with the info of `tensor` (added
 * if there is none) saying this; offset counts from the start of the data. */
struct edit edit_without_tensor(const struct edit *from, const char *tensor);
struct edit edit_with_tensor(const struct edit *from, const char *tensor,
                             const struct osl_gguf_tensor *says);

/* A copy with bytes at a place overwritten. */
struct edit edit_patch(const struct edit *from, uint64_t at, const void *data, uint64_t bytes);
struct edit edit_patch_u32(const struct edit *from, uint64_t at, uint32_t value);
struct edit edit_patch_u64(const struct edit *from, uint64_t at, uint64_t value);

/* One printable line that names the file and holds every word of `words` ("|" between them). */
void edit_check_error(const struct osl_error *error, enum osl_status status, const char *words);

/* Parses and frees the edit; it must be refused like that. */
void edit_refused(struct edit edit, enum osl_status status, const char *words);
/* The same for an edit that the reader takes. */
void edit_accepted(struct edit edit);

#endif
