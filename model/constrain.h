/* Headers are constrained while sampling, so that a malformed one can not be written.
 *
 * While the model writes a message header, only tokens that keep it a prefix of a well-formed one
 * are allowed; within content, only ordinary tokens and the terminator that fits the message.
 * Well-formed headers are those of harmony.md section 3 for the channels and tools at hand. */
#ifndef OSL_CONSTRAIN_H
#define OSL_CONSTRAIN_H

#include "harmony.h"
#include "tokenizer.h"

#define OSL_CONSTRAIN_HEADER_BYTES 320 /* longest well-formed header */

struct osl_constrain {
    const struct osl_tokenizer *tokenizer;
    const char *const *tools; /* function names, without "functions." */
    uint32_t tool_count;
    bool in_content;
    bool content_ready; /* the bit set holds the content rule of this message */
    bool call;          /* the message has a recipient */
    bool final;         /* the message is on the final channel */
    char header[OSL_CONSTRAIN_HEADER_BYTES]; /* written so far; a special is one byte, 1 + number */
    uint32_t header_bytes;
};

/* Starts inside the header of an assistant message: "<|start|>assistant" stands already. */
void osl_constrain_begin(struct osl_constrain *constrain, const struct osl_tokenizer *tokenizer,
                         const char *const *tools, uint32_t tool_count);

/* Sets the bits of the tokens that may come next; allowed has one bit per id below token_count,
 * in whole 32-bit words. Always allows at least one token. */
void osl_constrain_allowed(struct osl_constrain *constrain, uint32_t *allowed,
                           uint32_t token_count);

/* Follows the token that was picked. */
void osl_constrain_follow(struct osl_constrain *constrain, int32_t token);

#endif
