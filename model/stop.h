/* Stop strings: a streaming matcher over pieces of text.
 *
 * Text that could be the beginning of a stop string is held back until it is known; everything
 * else passes at once. Several strings: the match that begins first wins. */
#ifndef OSL_STOP_H
#define OSL_STOP_H

#include "platform/platform.h"

#define OSL_STOPS_MAX 8
#define OSL_STOP_BYTES_MAX 128

struct osl_stop {
    uint32_t count;
    uint32_t length[OSL_STOPS_MAX];
    char text[OSL_STOPS_MAX][OSL_STOP_BYTES_MAX];
    char held[OSL_STOP_BYTES_MAX]; /* a proper prefix of some stop string, not yet passed on */
    uint32_t held_bytes;
};

/* Copies the strings. ARGUMENT if one is empty, too long or there are too many. */
OSL_MUST_USE enum osl_status osl_stop_begin(struct osl_stop *stop, const char *const *stops,
                                            uint32_t count, struct osl_error *error);

/* Takes text; writes what may be shown to out and its size to *bytes_out. out needs room for
 * bytes + OSL_STOP_BYTES_MAX; what does not fit `capacity` is our own bug. True once a stop
 * string was met: out ends right before it, and the rest of text is dropped. */
bool osl_stop_feed(struct osl_stop *stop, const char *text, uint64_t bytes, char *out,
                   uint64_t capacity, uint64_t *bytes_out);

/* The text ended: what was held back is no stop string after all. Returns its bytes. */
uint64_t osl_stop_flush(struct osl_stop *stop, char *out, uint64_t capacity);

#endif
