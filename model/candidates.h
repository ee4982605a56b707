/* The sampler's filters and draw on a device's candidates instead of all logits. */
#ifndef OSL_CANDIDATES_H
#define OSL_CANDIDATES_H

#include "compute/backend.h"
#include "sampler.h"

struct osl_candidate {
    float logit;
    int32_t token;
};

/* Picks as osl_sampler_pick does with the number `unit`, if the candidates hold every token that
 * the filters keep; false if they do not, or if there are none.
 *   candidates  adjusted logits of the largest; temperature above 0
 *   order       [candidates->count] scratch
 * Where tokens are left out, the weight of all that top-p is taken of is the device's sum, in
 * float: a p that falls within about 1e-6 of a token's edge may keep one more or less. */
bool osl_candidates_pick(const struct osl_sampling *sampling,
                         const struct osl_candidates *candidates, struct osl_candidate *order,
                         double unit, int32_t *token_out);

#endif
