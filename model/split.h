/* The o200k split: cuts text into the pieces that byte-pair encoding works on.
 *
 * Does by hand exactly what a backtracking engine does with the pattern (formats note, section 8):
 *   1  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|...)?
 *   2  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|...)?
 *   3  \p{N}{1,3}
 *   4   ?[^\s\p{L}\p{N}]+[\r\n/]*
 *   5  \s*[\r\n]+
 *   6  \s+(?!\S)
 *   7  \s+
 * where (?i:...) holds 's 't 're 've 'm 'll 'd, and s also matches U+017F. */
#ifndef OSL_SPLIT_H
#define OSL_SPLIT_H

#include "platform/platform.h"

/* Where the piece beginning at `at` ends; at < bytes, result > at. The text is [0, bytes): its end
 * counts as the end for alternative 6. Bytes that are not UTF-8 count as symbols, one by one.
 * Cutting a whole text takes time linear in its length: no character is read more than a few
 * times, however long a piece. */
uint64_t osl_split_next(const uint8_t *text, uint64_t bytes, uint64_t at);

#endif
