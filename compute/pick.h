/* Picking a token from logits: the plain C of what a device does by itself. See struct osl_pick in
 * backend.h for the settings. */
#ifndef OSL_PICK_H
#define OSL_PICK_H

#include "compute/backend.h"

/* Logits after bias, penalties and the allowed set, in this order: finite for what may be picked,
 * -inf for the rest (NaN counts as -inf; what is beyond +-1e30 becomes that). A repetition penalty
 * is multiplied or, for positive logits, multiplied by its reciprocal, which float rounds once.
 *   logits    [pick->token_count] f32
 *   adjusted  [pick->token_count] f32, written; may be logits */
void osl_pick_adjust(const struct osl_pick *pick, const float *logits, float *adjusted);

/* The first of the largest; -1 if all are -inf. */
int32_t osl_pick_greedy(const float *adjusted, uint32_t count);

/* Greedy at temperature 0; else the first token, by rising id, at which the sum of
 * exp((adjusted - largest) / temperature) exceeds uniform times the sum of all, in double. -1 if
 * nothing can be picked. */
int32_t osl_pick_draw(const float *adjusted, uint32_t count, float temperature, float uniform);

#endif
