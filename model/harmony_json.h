/* JSON for the chat format: cJSON's tree, built in a caller's arena, with what cJSON loses kept.
 *
 * A strict pre-pass checks the whole text before cJSON sees it (syntax, UTF-8, nesting, numbers)
 * and writes a copy that survives cJSON: numbers as marked strings, so that 1, 1.0 and integers
 * of any size keep their text; NUL inside strings in a form that does not end a C string. Nodes
 * then mean:
 *   cJSON_String  osl_json_text gives bytes and length, NULs included
 *   cJSON_Raw     a number; valuestring is its text as it was written
 *   valueint      the line the value begins on, from 1
 * Keys are unique; a NUL in a key stays as C0 80.
 *
 * cJSON's hooks are one per process: they are ours only while osl_json_parse holds its lock, and
 * the C library's again afterwards. A program with hooks of its own must set them again. */
#ifndef OSL_HARMONY_JSON_H
#define OSL_HARMONY_JSON_H

#include <cjson/cJSON.h>

#include "harmony.h"

#define OSL_JSON_DEPTH_MAX 192   /* arrays and objects inside one another */
#define OSL_JSON_KEYS_MAX 1024   /* of one object */
#define OSL_JSON_NUMBER_BYTES 256 /* one number */

struct osl_text {
    const char *data;
    uint64_t bytes;
};

/* Parses text [bytes], which is copied. `what` names it in errors ("request"). FORMAT names line
 * and byte; MEMORY if the arena is too small, and the arena is then as before. */
OSL_MUST_USE enum osl_status osl_json_parse(const char *what, const char *text, uint64_t bytes,
                                            struct osl_arena *arena, const cJSON **root_out,
                                            struct osl_error *error);

/* Member of an object, NULL if absent or if node is no object (NULL included). A null value is
 * returned as a node. */
const cJSON *osl_json_get(const cJSON *node, const char *key);

/* The same, but a null value counts as absent. */
const cJSON *osl_json_get_set(const cJSON *node, const char *key);

/* Text of a string node; of anything else {NULL, 0}. */
struct osl_text osl_json_text(const cJSON *node);

bool osl_json_is(const cJSON *node, const char *text); /* a string node with this text */

/* ---- Text growing at the end of an arena ------------------------------------------------- */

/* One at a time per arena; nothing else may be taken from it meanwhile. */
struct osl_writer_text {
    struct osl_arena *arena;
    uint64_t start;
    bool full; /* something did not fit; what was written is then incomplete */
};
void osl_put_begin(struct osl_writer_text *out, struct osl_arena *arena);
uint64_t osl_put_bytes(const struct osl_writer_text *out); /* written so far */
const char *osl_put_data(const struct osl_writer_text *out);
void osl_put(struct osl_writer_text *out, const char *text);
void osl_put_text(struct osl_writer_text *out, struct osl_text text);
void osl_put_key(struct osl_writer_text *out, const char *key); /* C0 80 becomes NUL again */
void osl_put_spaces(struct osl_writer_text *out, uint32_t count);

/* A JSON string with its quotes; C0 80, as in keys, is written as \u0000. */
void osl_put_quoted(struct osl_writer_text *out, struct osl_text text);

/* Compact JSON of a tree. Numbers are re-printed in shortest form (harmony.md 6.3): an integer
 * as it is, 0.10 as 0.1, 1e3 as 1000.0. */
void osl_put_json(struct osl_writer_text *out, const cJSON *node);

/* ---- Numbers and characters -------------------------------------------------------------- */

/* Value of a JSON number's text; independent of the locale. Infinite when out of range. */
double osl_number_value(const char *text, uint64_t bytes);

/* Shortest form of a JSON number's text: terminated, at most OSL_JSON_NUMBER_BYTES. */
void osl_number_shortest(const char *text, uint64_t bytes, char out[OSL_JSON_NUMBER_BYTES]);

/* Bytes of the UTF-8 character at text[0..bytes), 0 if there is none: a wrong or missing byte, an
 * overlong form, a surrogate, or beyond U+10FFFF. */
uint32_t osl_utf8_char(const char *text, uint64_t bytes);

#endif
