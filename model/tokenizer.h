/* Byte-pair encoding with the o200k split, built from a GGUF's tokens and merges.
 *
 * The tables live in caller memory of osl_tokenizer_need bytes; encoding uses a fixed work area in
 * there too, so nothing is allocated. Text of any length is taken piece by piece (one match of the
 * split, model/split.h); a piece that is no token is merged in O(n log n) in the work area, which
 * takes pieces of up to text_bytes_max: about 16.3 bytes for each. Ids are those tiktoken gives.
 * Special tokens are never made from text unless asked for. One encode at a time. */
#ifndef OSL_TOKENIZER_H
#define OSL_TOKENIZER_H

#include "gguf.h"

#define OSL_MERGES_MAX 1048576
#define OSL_TOKEN_BYTES_MAX 1024
/* Largest text_bytes_max. */
#define OSL_TOKENIZER_TEXT_MAX (1u << 30)

/* Ids that Harmony needs, looked up by text at build time; -1 when the vocabulary lacks one. */
struct osl_special_ids {
    int32_t start, end, message, channel, constrain, call, ret, endoftext;
};

struct osl_tokenizer; /* in caller memory */

/* Bytes of caller memory for this file's vocabulary and text pieces of up to text_bytes_max
 * (1..OSL_TOKENIZER_TEXT_MAX). Checks the tokenizer keys (types, counts, maxima), so that a broken
 * file fails here; UNSUPPORTED for another tokenizer than gpt2 with the gpt-4o split. Pure. */
OSL_MUST_USE enum osl_status osl_tokenizer_need(const struct osl_gguf *gguf,
                                                uint64_t text_bytes_max, uint64_t *bytes_out,
                                                struct osl_error *error);

/* Builds the tables; token strings are copied (the file may be unmapped afterwards). 64-byte
 * aligned memory, as many bytes as osl_tokenizer_need said for the same arguments, or more (else
 * MEMORY). FORMAT names the key and index of a token or merge that cannot be right. Under 150 ms
 * for 201,088 tokens and 446,189 merges. *out is NULL on failure. */
OSL_MUST_USE enum osl_status osl_tokenizer_build(const struct osl_gguf *gguf,
                                                 uint64_t text_bytes_max, void *memory,
                                                 uint64_t bytes, struct osl_tokenizer **out,
                                                 struct osl_error *error);

/* Tokens in the vocabulary, fillers included. */
uint32_t osl_tokenizer_count(const struct osl_tokenizer *tokenizer);
/* One more than the highest id that is no filler: ids from here on must not be sampled. */
uint32_t osl_tokenizer_text_count(const struct osl_tokenizer *tokenizer);
const struct osl_special_ids *osl_tokenizer_special(const struct osl_tokenizer *tokenizer);

/* Bytes of a token, special ones as their literal text; an id outside the vocabulary gives an
 * empty slice. */
struct osl_slice osl_tokenizer_bytes(const struct osl_tokenizer *tokenizer, int32_t id);
/* True for every id in the vocabulary that is not ordinary text: control tokens and fillers. */
bool osl_tokenizer_is_special(const struct osl_tokenizer *tokenizer, int32_t id);

/* Encodes text; ids beyond capacity are counted, not written (ids may be NULL if capacity is 0).
 * CAPACITY if a piece of the split that is no token is longer than text_bytes_max: then count_out
 * is unchanged and ids hold the pieces before it. Bytes that are not UTF-8 become byte tokens,
 * like any other. Time: O(bytes log bytes).
 * with_specials: the literal text of a special token becomes its id, the longest one where several
 * fit (tools and tests only; filler tokens, type 5, are never matched). */
OSL_MUST_USE enum osl_status osl_tokenizer_encode(struct osl_tokenizer *tokenizer, const char *text,
                                                  uint64_t bytes, bool with_specials, int32_t *ids,
                                                  uint64_t capacity, uint64_t *count_out,
                                                  struct osl_error *error);

#endif
