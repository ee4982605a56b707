/* Special tokens by id. See special.h. */
#include "special.h"

int32_t osl_special_id(const struct osl_tokenizer *tokenizer, enum osl_special special)
{
    const struct osl_special_ids *ids = osl_tokenizer_special(tokenizer);
    switch (special) {
    case OSL_SPECIAL_START: return ids->start;
    case OSL_SPECIAL_END: return ids->end;
    case OSL_SPECIAL_MESSAGE: return ids->message;
    case OSL_SPECIAL_CHANNEL: return ids->channel;
    case OSL_SPECIAL_CONSTRAIN: return ids->constrain;
    case OSL_SPECIAL_CALL: return ids->call;
    case OSL_SPECIAL_RETURN: return ids->ret;
    case OSL_SPECIAL_ENDOFTEXT: return ids->endoftext;
    case OSL_SPECIAL_COUNT: break;
    }
    return -1;
}

enum osl_special osl_special_of(const struct osl_tokenizer *tokenizer, int32_t token)
{
    for (int s = 0; token >= 0 && s < OSL_SPECIAL_COUNT; s++) {
        if (osl_special_id(tokenizer, (enum osl_special)s) == token) {
            return (enum osl_special)s;
        }
    }
    return OSL_SPECIAL_COUNT;
}
