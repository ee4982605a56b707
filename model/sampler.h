/* From logits to a token: bias, penalties, temperature, top-k, top-p, min-p, then a draw.
 *
 * Deterministic: the generator is PCG32 (O'Neill 2014, PCG-XSH-RR 64/32; model/pcg32.h), state and
 * stream both set from the seed; one draw a token, u = next >> 8 scaled by 2^-24, and the token is
 * the first of the candidates, in falling order of probability (ties: lower id first), whose
 * cumulative probability exceeds u. Greedy (temperature 0) draws nothing: the largest logit,
 * lowest id. Exponentials are our own (model/exp.h), so every machine gets the same bits.
 *
 * Top-k keeps the k most probable; top-p, of those made to sum to 1, the fewest that reach p, at
 * least one; min-p those of at least that fraction of the best one's probability. */
#ifndef OSL_SAMPLER_H
#define OSL_SAMPLER_H

#include "compute/backend.h"
#include "platform/platform.h"

#define OSL_BIAS_MAX 64

struct osl_sampling {
    float temperature; /* 0: greedy; at most 100 */
    uint32_t top_k;    /* 0: off */
    float top_p;       /* 0..1, 1: off */
    float min_p;       /* 0..1, 0: off */
    float repetition_penalty; /* above 0, at most 100, 1: off; divides positive logits of seen
                               * tokens, multiplies others */
    float presence_penalty, frequency_penalty; /* -100..100, 0: off */
    uint64_t seed;
    struct { int32_t token; float bias; } bias[OSL_BIAS_MAX];
    uint32_t bias_count;
};

struct osl_sampler; /* in caller memory */

/* About 24 bytes for each of vocab logits, vocab at least 1. */
uint64_t osl_sampler_bytes(uint32_t vocab);
/* memory: 64-byte aligned, of at least osl_sampler_bytes(vocab). Call begin before pick. */
struct osl_sampler *osl_sampler_init(void *memory, uint64_t bytes, uint32_t vocab);

/* ARGUMENT names a value out of range (NaN included); the sampler is then as before. Copies
 * *sampling, reseeds the generator, forgets seen tokens. */
OSL_MUST_USE enum osl_status osl_sampler_begin(struct osl_sampler *sampler,
                                               const struct osl_sampling *sampling,
                                               struct osl_error *error);

/* Counts a token as seen, for the penalties; forget undoes one (a window sliding on). Ids outside
 * the vocabulary are ignored. */
void osl_sampler_seen(struct osl_sampler *sampler, int32_t token);
void osl_sampler_forget(struct osl_sampler *sampler, int32_t token);

/* Picks from logits [vocab] (not changed). allowed: NULL, or vocab bits; only set ones may be
 * picked. Ids >= token_count (rows without a text) are never picked. NaN logits count as -inf,
 * which is never picked; -1 if nothing can be (then nothing is drawn either). O(vocab). */
int32_t osl_sampler_pick(struct osl_sampler *sampler, const float *logits, uint32_t token_count,
                         const uint32_t *allowed);

/* ---- Where a backend picks ----------------------------------------------------------------
 *
 * A device picks by itself where no filter is on. It spends the same random number on a token as
 * the host would, and adjusts logits by the same roundings, but its draw walks the tokens in rising
 * order of id instead of falling order of probability, and sums weights in float: the distribution
 * is the same (each probability to about 1e-6), the token for a seed is another. Greedy picks are
 * the same as the host's for the same logits. With filters the device lists candidates and the draw
 * is the host's. Either way a number is spent on a token that was taken and on no other, so the
 * text does not depend on how far ahead the device was. */

/* No filter is on, or none matters (greedy): a backend may pick. */
bool osl_sampler_plain(const struct osl_sampler *sampler);
/* A penalty is on: what was seen matters. */
bool osl_sampler_penalises(const struct osl_sampler *sampler);
/* What a backend needs to pick `count` tokens (at most OSL_PICK_AHEAD_MAX) behind `under_way` ones
 * not taken yet; draws nothing. Pointers in it are the sampler's, valid until it is begun again. */
void osl_sampler_ahead(const struct osl_sampler *sampler, uint32_t token_count,
                       const uint32_t *allowed, uint32_t under_way, uint32_t count,
                       struct osl_pick *out);
/* A token that a backend picked was taken: its random number is spent. */
void osl_sampler_drawn(struct osl_sampler *sampler);
/* Picks from candidates, filters applied, temperature above 0; false (nothing is drawn) if they do
 * not hold all that the filters keep: then osl_sampler_pick does it from the logits. The same token
 * as that, except where model/candidates.h says. */
bool osl_sampler_pick_candidates(struct osl_sampler *sampler,
                                 const struct osl_candidates *candidates, int32_t *token_out);

/* log p of every token is logit - the returned value: log sum exp over [vocab], in double. */
double osl_log_sum_exp(const float *logits, uint32_t vocab);

/* The `count` largest logits, best first, ties to the lower id; returns how many (NaN skipped). */
uint32_t osl_top_logits(const float *logits, uint32_t vocab, uint32_t count, int32_t *ids_out,
                        float *logits_out);

#endif
