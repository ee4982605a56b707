/* When a draft pays: see lookup.h. */
#include "lookup.h"

#include <math.h>

#include "platform/platform.h"

#define STEP_SHARE 0.125 /* of a new time in the running average */
#define OVER_SHARE 0.25
#define SEEN_FIRST 4.0   /* runs that the first guess at a class counts as */
#define SEEN_MAX 64.0    /* runs that its share looks back over */
#define OVER_FIRST 1.0   /* two Zen 5 cores, 20b: 1.47, 2.02, 2.31, 3.93 for 2, 3, 4, 8 tokens */
#define TOKEN_MORE 0.15  /* of a step: a token beside the first has to be computed too */
#define OVER_MIN 0.1
#define OVER_MAX 8.0
#define GAIN_MIN 1.05 /* expected, or it is not worth the risk */
#define CREDIT_FIRST 1.0
#define CREDIT_MAX 6.0
#define LOSS_MAX 1.0 /* beyond the credit: a long draft is for a text that has shown its worth */
/* From here on a draft of one token that is likely enough to be right may be tried though it does
 * not seem to pay: it may be that steps take less by now. */
#define CREDIT_TRY 1.5
#define SHARE_TRY 0.4
#define CREDIT_TOKEN 0.01

/* Shares before any was seen, of texts of all kinds: low, so that text without repeats does not pay
 * for finding out. */
static const double first_share[OSL_LOOKUP_CLASSES] = {0.1, 0.2, 0.25, 0.35, 0.45, 0.6, 0.75, 0.85};

static uint32_t class_of(uint32_t run)
{
    static const uint32_t last[OSL_LOOKUP_CLASSES - 1] = {0, 2, 3, 4, 6, 10, 20};
    uint32_t c = 0;
    while (c < OSL_LOOKUP_CLASSES - 1 && run > last[c]) {
        c++;
    }
    return c;
}

void osl_lookup_cost_init(struct osl_lookup_cost *cost, double dense_bytes, double expert_bytes,
                          uint32_t experts, uint32_t experts_used)
{
    *cost = (struct osl_lookup_cost){.over = OVER_FIRST, .credit = CREDIT_FIRST};
    double one = dense_bytes + expert_bytes * experts_used;
    double missed = 1.0; /* the share of experts that no token chose */
    for (uint32_t k = 1; k <= OSL_DECODE_TOKENS_MAX; k++) {
        missed *= 1.0 - (double)experts_used / experts;
        cost->more[k] = (dense_bytes + expert_bytes * experts * (1.0 - missed)) / one - 1.0;
        cost->more[k] += TOKEN_MORE * (k - 1);
    }
    for (uint32_t c = 0; c < OSL_LOOKUP_CLASSES; c++) {
        cost->class[c].share = first_share[c];
        cost->class[c].seen = SEEN_FIRST;
    }
}

uint32_t osl_lookup_cost_length(const struct osl_lookup_cost *cost, uint32_t run, uint32_t most)
{
    OSL_ASSERT(most <= OSL_DRAFT_MAX);
    uint32_t best = 0;
    double best_gain = GAIN_MIN, reached = 1.0, tokens = 1.0;
    if (cost->one_ns <= 0.0 || cost->credit < 0.0) {
        return 0;
    }
    for (uint32_t length = 1; length <= most; length++) {
        reached *= cost->class[class_of(run + length - 1)].share;
        tokens += reached;
        double lost = cost->over * cost->more[length + 1];
        if (lost > cost->credit + LOSS_MAX) {
            break;
        }
        double gain = tokens / (1.0 + lost);
        if (gain > best_gain) {
            best = length;
            best_gain = gain;
        }
    }
    bool may_try = cost->credit >= CREDIT_TRY && cost->class[class_of(run)].share >= SHARE_TRY;
    return best == 0 && most > 0 && may_try ? 1 : best;
}

void osl_lookup_cost_seen(struct osl_lookup_cost *cost, uint32_t run, bool as_before)
{
    uint32_t c = class_of(run);
    double seen = cost->class[c].seen + 1.0;
    cost->class[c].seen = seen < SEEN_MAX ? seen : SEEN_MAX;
    cost->class[c].share += ((as_before ? 1.0 : 0.0) - cost->class[c].share) / cost->class[c].seen;
}

static void add_credit(struct osl_lookup_cost *cost, double steps)
{
    cost->credit += steps;
    cost->credit = cost->credit < CREDIT_MAX ? cost->credit : CREDIT_MAX;
}

void osl_lookup_cost_step(struct osl_lookup_cost *cost, uint32_t tokens, uint64_t ns)
{
    double took = (double)ns;
    if (tokens == 1) {
        /* one slow step, such as a page that came from disk, says little */
        double most = cost->one_ns * 2.0;
        took = cost->one_ns > 0.0 && took > most ? most : took;
        cost->one_ns += cost->one_ns > 0.0 ? (took - cost->one_ns) * STEP_SHARE : took;
        add_credit(cost, CREDIT_TOKEN);
        return;
    }
    OSL_ASSERT(cost->one_ns >= 0.0 && tokens <= OSL_DECODE_TOKENS_MAX);
    if (cost->one_ns <= 0.0) {
        return; /* drafted without being asked what it costs */
    }
    double over = (took / cost->one_ns - 1.0) / cost->more[tokens];
    over = over < OVER_MIN ? OVER_MIN : over > OVER_MAX ? OVER_MAX : over;
    cost->over += (over - cost->over) * OVER_SHARE;
    add_credit(cost, CREDIT_TOKEN + 1.0 - took / cost->one_ns);
}

void osl_lookup_cost_won(struct osl_lookup_cost *cost)
{
    add_credit(cost, 1.0 + CREDIT_TOKEN);
}
