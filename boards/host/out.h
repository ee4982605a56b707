/* Output without stdio: a fixed buffer in front of stdout, lines straight to stderr.
 *
 * Nothing here allocates, so a command can print while the engine runs without a single call
 * for memory. One process, one thread. A failed write is remembered and reported once, by
 * osl_out_finish. */
#ifndef OSL_HOST_OUT_H
#define OSL_HOST_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/ossicle.h"

#define OSL_OUT_FORMATTED_BYTES 4096 /* most that one osl_out_format call can print */

/* Appends to the stdout buffer; written when it is full and at osl_out_flush. */
void osl_out_bytes(const char *bytes, size_t count);
void osl_out_text(const char *text);
void osl_out_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void osl_out_json(const char *text, size_t bytes);
void osl_out_json_text(const char *text);

void osl_out_flush(void);
/* Forgets what is not written yet: half a result is worse than none. */
void osl_out_discard(void);

/* Flushes; IO with a line on stderr if any write to stdout failed, else status unchanged. */
enum ossicle_status osl_out_finish(enum ossicle_status status);

/* Writes all of it to a file descriptor, repeating interrupted and short writes. */
bool osl_write_all(int fd, const char *bytes, size_t count);

/* One line on stderr: "ossicle NAME: <text>\n", NAME being the command's once it is known. Any
 * progress bar is wiped first. */
void osl_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The terminal's line holds half a line of an answer: on it, complaints begin a new one. */
void osl_complain_apart(bool apart);
/* name must stay valid; NULL: none. */
void osl_complain_as(const char *name);

/* Bytes as people read them: "12.1 GB", "3.0 MB", "17 B"; decimal units. */
#define OSL_SIZE_TEXT_BYTES 24
const char *osl_size_text(uint64_t bytes, char out[OSL_SIZE_TEXT_BYTES]);

/* Zeroed pages from the kernel, present only once touched; NULL when it has none. Used before an
 * engine runs. */
void *osl_pages(uint64_t bytes);
void osl_pages_free(void *pages, uint64_t bytes);

#endif
