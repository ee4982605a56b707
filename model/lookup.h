/* Prompt lookup: what the text says next is often what it said before. Drafts come from the
 * conversation's own tokens, a decode step reads the last token and a draft behind it, and every
 * token is picked from its logits as it would have been without: by the same numbers, sampler state
 * and random numbers. Where the pick is the draft's token, the logits after it are there already;
 * where it is not, the rest is dropped. So the text is the same bit for bit with and without.
 *
 * Three parts: the index finds the longest recent run of tokens that the text ends with, and goes
 * on behind a token that was another than there, as in a copy with changes; the cost says how long
 * a draft pays, from step times and from how often such runs went on as before; the engine's part
 * (lookup.c) runs the steps. The clock decides whether to draft, never the text. */
#ifndef OSL_LOOKUP_H
#define OSL_LOOKUP_H

#include "compute/schedule.h"
#include "ossicle.h"

#define OSL_DRAFT_MAX (OSL_DECODE_TOKENS_MAX - 1)

/* ---- The index ---------------------------------------------------------------------------- */

#define OSL_LOOKUP_RUN_MIN 3   /* tokens that have to be alike */
#define OSL_LOOKUP_RUN_MAX 32  /* more are not counted */
#define OSL_LOOKUP_TRIES 16    /* places that are compared */

struct osl_lookup_index {
    uint32_t *last;   /* [slots], by hash of three tokens: where the text went on after them */
    uint32_t *before; /* [context], by such a place: the one before it of the slot; 0: none */
    uint32_t slots;   /* a power of two */
    uint32_t count;   /* tokens of the text that are in it */
    uint32_t place;   /* that osl_lookup_follow gave for a text of followed tokens; 0: none */
    uint32_t followed;
    uint32_t missed;  /* tokens in a row that were others than there */
};

/* 8 to 12 bytes a token of context. */
uint64_t osl_lookup_index_bytes(uint32_t context_tokens);
/* memory: of that many bytes. */
void osl_lookup_index_init(struct osl_lookup_index *index, void *memory, uint32_t context_tokens);
/* For another text, or one that was cut: O(context). */
void osl_lookup_index_clear(struct osl_lookup_index *index);
/* Where the text tokens[0, count) went on after the longest run it ends with, of the most recent
 * one; *run_out is how long that run is. 0: there is none of OSL_LOOKUP_RUN_MIN. Takes in what was
 * added since the last call, which has to be the same text's. */
uint32_t osl_lookup_find(struct osl_lookup_index *index, const int32_t *tokens, uint32_t count,
                         uint32_t *run_out);
/* As osl_lookup_find. Asked behind every token it stays with the place it gave last, where no other
 * has a longer run, even if the last token was another than there: then *run_out is 0, and behind
 * the tokens that follow it how many of them were alike. Another such token right behind it ends
 * that. */
uint32_t osl_lookup_follow(struct osl_lookup_index *index, const int32_t *tokens, uint32_t count,
                           uint32_t *run_out);
/* The first `length` tokens from `place` on, as they would go on beyond the end. */
void osl_lookup_copy(const int32_t *tokens, uint32_t count, uint32_t place, uint32_t length,
                     int32_t *draft_out);

/* ---- The cost ----------------------------------------------------------------------------- */

#define OSL_LOOKUP_CLASSES 8 /* runs of 0, to 2, 3, 4, to 6, to 10, to 20, longer */

struct osl_lookup_cost {
    /* A step of k tokens takes one_ns * (1 + over * more[k]): more by the bytes it reads, where
     * experts fall as dice do, and by what it computes; over is what steps showed. */
    double more[OSL_DECODE_TOKENS_MAX + 1];
    double over;
    double one_ns; /* 0: no step was seen */
    struct {
        double share; /* of the runs that went on as before */
        double seen;
    } class[OSL_LOOKUP_CLASSES];
    /* Steps' worth of time that may be lost: every token adds a hundredth, every draft what it won
     * or lost. Nothing is drafted below 0, and nothing that may lose a step more than there is. */
    double credit;
};

/* dense_bytes are read once a step, expert_bytes for every expert that is chosen of a layer. */
void osl_lookup_cost_init(struct osl_lookup_cost *cost, double dense_bytes, double expert_bytes,
                          uint32_t experts, uint32_t experts_used);
/* How long a draft pays behind a run, at most `most`; 0: none does. */
uint32_t osl_lookup_cost_length(const struct osl_lookup_cost *cost, uint32_t run, uint32_t most);
/* A run went on as before, or not. */
void osl_lookup_cost_seen(struct osl_lookup_cost *cost, uint32_t run, bool as_before);
/* A step of `tokens` took so long. */
void osl_lookup_cost_step(struct osl_lookup_cost *cost, uint32_t tokens, uint64_t ns);
/* A drafted token was picked: a step less. */
void osl_lookup_cost_won(struct osl_lookup_cost *cost);

/* ---- The engine's part -------------------------------------------------------------------- */

struct osl_lookup {
    enum ossicle_lookup mode;
    uint32_t tokens_most; /* in a decode step of this answer; 1: nothing is drafted */
    struct osl_lookup_index index; /* of the answer's conversation; not made where it is off */
    struct osl_lookup_cost cost;
    int32_t draft[OSL_DRAFT_MAX]; /* of the step whose logits are there */
    uint32_t draft_length;
    uint32_t row;        /* of those logits, the last token's */
    uint32_t guess_at;   /* the place in the text that was guessed last; 0: none was */
    int32_t guess;
    uint32_t guess_run;
    uint64_t drafted, accepted; /* since boot */
};

#endif
