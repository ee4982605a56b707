/* UTF-8 that arrives in pieces (harmony.md 9.3). */
#ifndef OSL_HARMONY_UTF8_H
#define OSL_HARMONY_UTF8_H

#include "platform/platform.h"

#define OSL_UTF8_REPLACEMENT "\xef\xbf\xbd"

/* A character that has begun; all zero is "none". */
struct osl_utf8 {
    uint8_t bytes[4];
    uint32_t count;
};

/* Decodes in [bytes] after what is pending. Whole characters go to out; every maximal ill-formed
 * part becomes one U+FFFD; an incomplete tail stays pending. Where the pieces are cut makes no
 * difference. out has room for 3 * bytes + 6; returns bytes written. *replaced_out, if given, is
 * set when there was an ill-formed part, and left alone else. */
uint64_t osl_utf8_decode(struct osl_utf8 *pending, const char *in, uint64_t bytes, char *out,
                         bool *replaced_out);

/* Nothing more comes: a pending part becomes U+FFFD. out has room for 3 bytes. */
uint64_t osl_utf8_flush(struct osl_utf8 *pending, char *out);

#endif
