/* Reading JSON with cJSON out of a fixed arena: nothing is taken from the heap.
 *
 * cJSON's hooks are process-wide; osl_host_json_parse points them at the arena while it runs and
 * puts the C library's back. Freeing a tree is forgetting its arena. */
#ifndef OSL_HOST_JSON_H
#define OSL_HOST_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/ossicle.h"

struct osl_host_json_arena {
    unsigned char *base;
    size_t bytes;
    size_t used;
};

/* Bytes of arena that any JSON text of `bytes` bytes fits in: a node of at most 64 bytes and its
 * rounding for every two bytes of text, and the text's own strings twice. */
uint64_t osl_host_json_arena_need(uint64_t bytes);

/* Parses text [bytes], which must be terminated by a zero byte at text[bytes]. name stands for the
 * file in errors, which say "name:line: what is wrong". Nothing may follow the value. */
OSSICLE_MUST_USE enum ossicle_status osl_host_json_parse(const char *name, const char *text,
                                                         size_t bytes,
                                                         struct osl_host_json_arena *arena,
                                                         cJSON **tree_out,
                                                         struct ossicle_error *error);

/* Line (from 1) of the occurrence-th member (from 0) called key at nesting depth `depth` (1: in
 * the outermost object) under `parent` (NULL at depth 1); 1 if it is not there. The text must be
 * valid. Keys are compared as written, without resolving escapes. */
uint32_t osl_host_json_line(const char *text, size_t bytes, const char *parent, const char *key,
                            uint32_t occurrence);

/* A whole number within [least, most]; false for anything else. */
bool osl_host_json_whole(const cJSON *item, double least, double most, double *out);

/* Does the text hold \u0000, which a C string can not carry? */
bool osl_host_json_has_nul(const char *text, size_t bytes);

/* Reads a whole file ("-": stdin) of at most `most` bytes into fresh pages, terminated; a longer
 * one, a directory and an unreadable one are errors that name it. */
struct osl_text {
    char *bytes;
    size_t count;
    uint64_t reserved;
};
OSSICLE_MUST_USE enum ossicle_status osl_text_read(const char *path, uint64_t most,
                                                   struct osl_text *text_out,
                                                   struct ossicle_error *error);
void osl_text_free(struct osl_text *text);

#endif
