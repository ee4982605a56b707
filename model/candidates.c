/* Top-k, top-p, min-p and the draw over candidates in falling order. See candidates.h. */
#include "candidates.h"

#include <math.h>

#include "exp.h"

/* A prefix of the order; count may exceed the candidates there are. */
struct kept {
    uint32_t count;
    double weight;
};

static bool before(const struct osl_candidate *a, const struct osl_candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/* Best first, ties to the lower id. Shell's sort, gaps of Ciura 2001: about a thousand at most. */
static void sort(struct osl_candidate *order, uint32_t count)
{
    static const uint32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (uint32_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        for (uint32_t i = gaps[g]; i < count; i++) {
            struct osl_candidate moved = order[i];
            uint32_t at = i;
            for (; at >= gaps[g] && before(&moved, &order[at - gaps[g]]); at -= gaps[g]) {
                order[at] = order[at - gaps[g]];
            }
            order[at] = moved;
        }
    }
}

struct walk {
    const struct osl_candidate *order;
    uint32_t count;
    double inverse_temperature;
};

static double weight_of(const struct walk *walk, uint32_t i)
{
    return osl_exp(((double)walk->order[i].logit - (double)walk->order[0].logit) *
                   walk->inverse_temperature);
}

/* The fewest, at least one, that are kept->count, or weigh more than `above`, or are followed by
 * one that weighs less than `least`. False: that is further down than the candidates go. */
static bool cut(const struct walk *walk, double above, double least, struct kept *kept)
{
    struct kept prefix = {0, 0};
    for (uint32_t i = 0; i < walk->count && i < kept->count; i++) {
        double weight = weight_of(walk, i);
        if (i > 0 && weight < least) {
            *kept = prefix;
            return true;
        }
        prefix.count++;
        prefix.weight += weight;
        if (prefix.weight > above) {
            *kept = prefix;
            return true;
        }
    }
    if (kept->count > walk->count) {
        return false;
    }
    *kept = prefix;
    return true;
}

bool osl_candidates_pick(const struct osl_sampling *sampling,
                         const struct osl_candidates *candidates, struct osl_candidate *order,
                         double unit, int32_t *token_out)
{
    OSL_ASSERT(sampling->temperature > 0);
    if (candidates->count == 0) {
        return false;
    }
    for (uint32_t i = 0; i < candidates->count; i++) {
        order[i] = (struct osl_candidate){candidates->logit[i], candidates->token[i]};
    }
    sort(order, candidates->count);
    struct walk walk = {order, candidates->count, 1.0 / (double)sampling->temperature};
    struct kept kept = {candidates->pickable, exp((double)candidates->log_sum)};
    if (candidates->pickable <= candidates->count && !cut(&walk, INFINITY, 0, &kept)) {
        return false; /* never: these are all */
    }
    if (sampling->top_k != 0 && sampling->top_k < kept.count) {
        kept.count = sampling->top_k;
        if (!cut(&walk, INFINITY, 0, &kept)) {
            return false;
        }
    }
    /* To reach p is to exceed the next number below it. */
    if (sampling->top_p < 1 &&
        !cut(&walk, nextafter((double)sampling->top_p * kept.weight, -1), 0, &kept)) {
        return false;
    }
    if (sampling->min_p > 0 && !cut(&walk, INFINITY, (double)sampling->min_p, &kept)) {
        return false;
    }
    if (kept.count > walk.count) {
        return false;
    }
    if (!cut(&walk, unit * kept.weight, 0, &kept)) {
        return false; /* never: all that is kept is there */
    }
    *token_out = order[kept.count - 1].token;
    return true;
}
