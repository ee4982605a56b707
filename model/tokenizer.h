/* Byte-pair encoding with the o200k split, built from a GGUF's tokens and merges.
 *
 * The tables live in caller memory of osl_tokenizer_need bytes; encoding uses a fixed work area in
 * there too, so nothing is allocated. Text of any length is taken in pieces; a piece (one match of
 * the split) of any length is merged in O(n log n) in the work area, bounded by text_bytes_max.
 * Special tokens are never made from text by osl_tokenizer_encode. */
#ifndef OSL_TOKENIZER_H
#define OSL_TOKENIZER_H

#include "gguf.h"

#define OSL_MERGES_MAX 1048576
#define OSL_TOKEN_BYTES_MAX 1024

/* Ids that Harmony needs, looked up by text at build time; -1 when the vocabulary lacks one. */
struct osl_special_ids {
    int32_t start, end, message, channel, constrain, call, ret, endoftext;
};

struct osl_tokenizer; /* in caller memory */

/* Bytes of caller memory for this file's vocabulary and texts of up to text_bytes_max in one
 * encode call. Checks the tokenizer keys (types, counts, maxima), so that a broken file fails
 * here. Pure. */
OSL_MUST_USE enum osl_status osl_tokenizer_need(const struct osl_gguf *gguf,
                                                uint64_t text_bytes_max, uint64_t *bytes_out,
                                                struct osl_error *error);

/* Builds the tables; token strings are copied (the file may be unmapped afterwards). 64-byte
 * aligned memory. Under 150 ms for 201,088 tokens and 446,189 merges. */
OSL_MUST_USE enum osl_status osl_tokenizer_build(const struct osl_gguf *gguf,
                                                 uint64_t text_bytes_max, void *memory,
                                                 uint64_t bytes, struct osl_tokenizer **out,
                                                 struct osl_error *error);

uint32_t osl_tokenizer_count(const struct osl_tokenizer *tokenizer);
const struct osl_special_ids *osl_tokenizer_special(const struct osl_tokenizer *tokenizer);

/* Bytes of a token, special ones as their literal text; an id outside the vocabulary gives an
 * empty slice. */
struct osl_slice osl_tokenizer_bytes(const struct osl_tokenizer *tokenizer, int32_t id);
bool osl_tokenizer_is_special(const struct osl_tokenizer *tokenizer, int32_t id);

/* Encodes text; ids beyond capacity are counted, not written. CAPACITY if bytes > text_bytes_max.
 * Bytes that are not UTF-8 become byte tokens, like any other.
 * with_specials: the literal text of a special token becomes its id (tools and tests only;
 * filler tokens, type 5, are never matched). */
OSL_MUST_USE enum osl_status osl_tokenizer_encode(struct osl_tokenizer *tokenizer, const char *text,
                                                  uint64_t bytes, bool with_specials, int32_t *ids,
                                                  uint64_t capacity, uint64_t *count_out,
                                                  struct osl_error *error);

#endif
