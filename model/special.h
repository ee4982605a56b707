/* Which id of a vocabulary is which special token of Harmony. */
#ifndef OSL_SPECIAL_H
#define OSL_SPECIAL_H

#include "harmony.h"
#include "tokenizer.h"

/* -1 where the vocabulary lacks it, and for OSL_SPECIAL_COUNT. */
int32_t osl_special_id(const struct osl_tokenizer *tokenizer, enum osl_special special);

/* OSL_SPECIAL_COUNT for any other token. */
enum osl_special osl_special_of(const struct osl_tokenizer *tokenizer, int32_t token);

#endif
