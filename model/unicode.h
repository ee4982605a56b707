/* What the o200k split needs to know about characters: decoding UTF-8 and a few classes.
 *
 * General categories come from utf8proc, brought up to Unicode 16 (what tiktoken uses) where the
 * library is older. Pure functions; any bytes are accepted. */
#ifndef OSL_UNICODE_H
#define OSL_UNICODE_H

#include "platform/platform.h"

/* Bits of a class. A mark is UPPER and LOWER but no LETTER; a newline is also SPACE. */
enum osl_unicode_class {
    OSL_UNICODE_UPPER = 1,   /* Lu Lt Lm Lo M: may stand in the first half of a word */
    OSL_UNICODE_LOWER = 2,   /* Ll Lm Lo M: may stand in the second half */
    OSL_UNICODE_LETTER = 4,  /* L */
    OSL_UNICODE_NUMBER = 8,  /* N */
    OSL_UNICODE_SPACE = 16,  /* property White_Space, what \s means */
    OSL_UNICODE_NEWLINE = 32 /* CR or LF */
};

struct osl_unicode_char {
    uint32_t code;  /* OSL_UNICODE_INVALID for a byte that begins no well-formed character */
    uint32_t bytes; /* 1..4; 1 if invalid */
};
#define OSL_UNICODE_INVALID 0xffffffffu

/* The character at text[0]; bytes >= 1. Strict: overlong forms, surrogates and values above
 * U+10FFFF are invalid, as is a character cut short by the end. */
struct osl_unicode_char osl_unicode_decode(const uint8_t *text, uint64_t bytes);

/* Bits of enum osl_unicode_class; 0 for punctuation, symbols, controls, unassigned and invalid. */
uint32_t osl_unicode_classify(uint32_t code);

#endif
