/* Sampling in O(vocab): every filter keeps a prefix of the tokens in falling order, so filters and
 * the draw are all "walk down the order until". The order is never made whole: tokens are counted
 * into buckets of falling logit, whole buckets are walked by their sums, and only the bucket in
 * which a walk ends is sorted. */
#include "model/sampler.h"

#include <math.h>
#include <string.h>

#include "compute/pick.h"
#include "model/candidates.h"
#include "model/exp.h"
#include "model/pcg32.h"

#define ALIGNMENT 64
#define BUCKETS 2048
/* Natural-log units below the best logit that buckets are spread over; all that is further down
 * shares the last one. 201,088 tokens there weigh less than 1e-12 together. */
#define SPREAD_MAX 40.0f
#define BUCKET_SCALE_MAX 1e30f /* where all logits are nearly the same */
#define BLOCK 256 /* tokens whose weights are computed at once */
#define DIGIT_BITS 11
#define DIGITS (1u << DIGIT_BITS)
#define DIGIT_PASSES 3 /* of 11 bits: a 32-bit key */
#define TEMPERATURE_MAX 100.0f
#define PENALTY_MAX 100.0f

struct candidate {
    uint32_t key; /* rises as the logit falls */
    int32_t token;
};

struct osl_sampler {
    uint32_t vocab;
    struct osl_sampling sampling;
    struct osl_pcg32 generator;
    bool penalised; /* any penalty is on */
    int32_t bias_token[OSL_BIAS_MAX];
    float bias_value[OSL_BIAS_MAX];

    uint32_t *seen;               /* [vocab] times each token was seen */
    float *logits;                /* [vocab] after bias and penalties; -inf if not to be picked */
    struct candidate *sorted;     /* [vocab] the bucket looked at last, in order */
    struct candidate *sort_other; /* [vocab] */

    /* Of the pick under way. */
    float best;
    double inverse_temperature;
    float bucket_scale; /* buckets per unit of logit */
    uint32_t bucket_counts[BUCKETS];
    double bucket_weights[BUCKETS]; /* sums of exp((logit - best) / temperature) */
    uint32_t sorted_bucket; /* which one `sorted` holds, BUCKETS if none */
};

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

uint64_t osl_sampler_bytes(uint32_t vocab)
{
    uint64_t count = vocab;
    return rounded(sizeof(struct osl_sampler)) + rounded(count * sizeof(uint32_t)) +
           rounded(count * sizeof(float)) + 2 * rounded(count * sizeof(struct candidate));
}

struct osl_sampler *osl_sampler_init(void *memory, uint64_t bytes, uint32_t vocab)
{
    OSL_ASSERT(vocab >= 1);
    OSL_ASSERT(bytes >= osl_sampler_bytes(vocab));
    OSL_ASSERT((uintptr_t)memory % ALIGNMENT == 0);
    struct osl_sampler *s = memory;
    uint8_t *next = (uint8_t *)memory + rounded(sizeof *s);
    memset(s, 0, sizeof *s);
    s->vocab = vocab;
    s->seen = (void *)next;
    next += rounded(vocab * sizeof *s->seen);
    s->logits = (void *)next;
    next += rounded(vocab * sizeof *s->logits);
    s->sorted = (void *)next;
    next += rounded(vocab * sizeof *s->sorted);
    s->sort_other = (void *)next;
    memset(s->seen, 0, vocab * sizeof *s->seen);
    return s;
}

/* ---- Settings ----------------------------------------------------------------------------- */

static enum osl_status check_range(const char *name, float value, float least, float most,
                                   struct osl_error *error)
{
    if (!(value >= least && value <= most)) {
        return osl_fail(error, OSL_ARGUMENT, "sampling: %s is %g; give %g to %g", name,
                        (double)value, (double)least, (double)most);
    }
    return OSL_OK;
}

static enum osl_status check_bias(const struct osl_sampling *sampling, uint32_t vocab,
                                  struct osl_error *error)
{
    if (sampling->bias_count > OSL_BIAS_MAX) {
        return osl_fail(error, OSL_ARGUMENT, "sampling: %u biases; give at most %u",
                        sampling->bias_count, OSL_BIAS_MAX);
    }
    for (uint32_t i = 0; i < sampling->bias_count; i++) {
        int32_t token = sampling->bias[i].token;
        if (token < 0 || (uint32_t)token >= vocab) {
            return osl_fail(error, OSL_ARGUMENT,
                            "sampling: bias[%u] is for token %d; give 0 to %u", i, token,
                            vocab - 1);
        }
        enum osl_status status =
            check_range("bias", sampling->bias[i].bias, -PENALTY_MAX, PENALTY_MAX, error);
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

enum osl_status osl_sampler_begin(struct osl_sampler *s, const struct osl_sampling *sampling,
                                  struct osl_error *error)
{
    const struct { const char *name; float value, least, most; } ranges[] = {
        { "temperature", sampling->temperature, 0, TEMPERATURE_MAX },
        { "top_p", sampling->top_p, 0, 1 },
        { "min_p", sampling->min_p, 0, 1 },
        { "repetition_penalty", sampling->repetition_penalty, 1 / PENALTY_MAX, PENALTY_MAX },
        { "presence_penalty", sampling->presence_penalty, -PENALTY_MAX, PENALTY_MAX },
        { "frequency_penalty", sampling->frequency_penalty, -PENALTY_MAX, PENALTY_MAX },
    };
    for (uint32_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum osl_status status = check_range(ranges[i].name, ranges[i].value, ranges[i].least,
                                             ranges[i].most, error);
        if (status != OSL_OK) {
            return status;
        }
    }
    enum osl_status status = check_bias(sampling, s->vocab, error);
    if (status != OSL_OK) {
        return status;
    }
    s->sampling = *sampling;
    s->penalised = sampling->repetition_penalty != 1 || sampling->presence_penalty != 0 ||
                   sampling->frequency_penalty != 0;
    for (uint32_t i = 0; i < sampling->bias_count; i++) {
        s->bias_token[i] = sampling->bias[i].token;
        s->bias_value[i] = sampling->bias[i].bias;
    }
    osl_pcg32_seed(&s->generator, sampling->seed, sampling->seed);
    memset(s->seen, 0, s->vocab * sizeof *s->seen);
    return OSL_OK;
}

void osl_sampler_seen(struct osl_sampler *s, int32_t token)
{
    if (token >= 0 && (uint32_t)token < s->vocab) {
        s->seen[token]++;
    }
}

void osl_sampler_forget(struct osl_sampler *s, int32_t token)
{
    if (token >= 0 && (uint32_t)token < s->vocab && s->seen[token] > 0) {
        s->seen[token]--;
    }
}

/* ---- Buckets ------------------------------------------------------------------------------ */

static double weight_of(const struct osl_sampler *s, float logit)
{
    return osl_exp(((double)logit - (double)s->best) * s->inverse_temperature);
}

/* Never falls as the logit falls, so buckets are in order. */
static uint32_t bucket_of(const struct osl_sampler *s, float logit)
{
    float place = (s->best - logit) * s->bucket_scale;
    return place < BUCKETS - 1 ? (uint32_t)place : BUCKETS - 1;
}

static void fill_buckets(struct osl_sampler *s, uint32_t count)
{
    float least = s->best;
    for (uint32_t i = 0; i < count; i++) {
        float logit = s->logits[i] == -INFINITY ? s->best : s->logits[i];
        least = logit < least ? logit : least;
    }
    float spread = s->best - least, spread_max = SPREAD_MAX * s->sampling.temperature;
    spread = spread < spread_max ? spread : spread_max;
    float scale = spread > 0 ? BUCKETS / spread : 0;
    s->bucket_scale = scale < BUCKET_SCALE_MAX ? scale : BUCKET_SCALE_MAX;
    s->sorted_bucket = BUCKETS;
    memset(s->bucket_counts, 0, sizeof s->bucket_counts);
    memset(s->bucket_weights, 0, sizeof s->bucket_weights);
    for (uint32_t start = 0; start < count; start += BLOCK) {
        double weights[BLOCK];
        uint32_t size = count - start < BLOCK ? count - start : BLOCK;
        const float *logits = s->logits + start;
        for (uint32_t i = 0; i < size; i++) {
            weights[i] = weight_of(s, logits[i]);
        }
        for (uint32_t i = 0; i < size; i++) {
            if (logits[i] != -INFINITY) {
                uint32_t bucket = bucket_of(s, logits[i]);
                s->bucket_counts[bucket]++;
                s->bucket_weights[bucket] += weights[i];
            }
        }
    }
}

/* Rises as the logit falls; equal for -0 and 0. */
static uint32_t falling_key(float logit)
{
    uint32_t bits;
    logit += 0.0f;
    memcpy(&bits, &logit, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

static float key_logit(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key : ~key & 0x7fffffffu;
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

/* Leaves a bucket in s->sorted, best first, ties by id: a radix sort is stable, and tokens are
 * gathered by rising id. */
static void sort_bucket(struct osl_sampler *s, uint32_t bucket, uint32_t count)
{
    if (s->sorted_bucket == bucket) {
        return;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (s->logits[i] != -INFINITY && bucket_of(s, s->logits[i]) == bucket) {
            s->sorted[found++] = (struct candidate){ falling_key(s->logits[i]), (int32_t)i };
        }
    }
    OSL_ASSERT(found == s->bucket_counts[bucket]);
    for (uint32_t pass = 0; found > 1 && pass < DIGIT_PASSES; pass++) {
        uint32_t ends[DIGITS] = { 0 }, shift = pass * DIGIT_BITS, before = 0;
        for (uint32_t i = 0; i < found; i++) {
            ends[s->sorted[i].key >> shift & (DIGITS - 1)]++;
        }
        for (uint32_t digit = 0; digit < DIGITS; digit++) {
            uint32_t size = ends[digit];
            ends[digit] = before;
            before += size;
        }
        for (uint32_t i = 0; i < found; i++) {
            s->sort_other[ends[s->sorted[i].key >> shift & (DIGITS - 1)]++] = s->sorted[i];
        }
        struct candidate *swap = s->sorted;
        s->sorted = s->sort_other;
        s->sort_other = swap;
    }
    s->sorted_bucket = bucket;
}

/* ---- Walking down the order --------------------------------------------------------------- */

/* Where a walk ends: a prefix of the order, and its last token. */
struct prefix {
    uint32_t count;
    double weight;
    int32_t token;
};

/* The fewest tokens, at least one, that are count_max, or weigh more than weight_above, or are
 * followed by one that weighs less than weight_least; else all. */
struct walk {
    uint32_t count_max;
    double weight_above;
    double weight_least;
};

static bool walk_ends_in(const struct osl_sampler *s, const struct walk *walk, uint32_t bucket,
                         const struct prefix *before)
{
    double lowest = s->bucket_scale > 0 ? (bucket + 2) / (double)s->bucket_scale : 0;
    bool holds_light = bucket == BUCKETS - 1 || s->bucket_scale == 0 ||
                       osl_exp(-lowest * s->inverse_temperature) < walk->weight_least;
    return s->bucket_counts[bucket] >= walk->count_max - before->count ||
           before->weight + s->bucket_weights[bucket] > walk->weight_above ||
           (walk->weight_least > 0 && holds_light);
}

static struct prefix walk_down(struct osl_sampler *s, struct walk walk, uint32_t count)
{
    struct prefix prefix = { 0, 0, -1 };
    uint32_t last = BUCKETS;
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
        if (s->bucket_counts[bucket] == 0) {
            continue;
        }
        if (!walk_ends_in(s, &walk, bucket, &prefix)) {
            prefix.count += s->bucket_counts[bucket];
            prefix.weight += s->bucket_weights[bucket];
            last = bucket;
            continue;
        }
        sort_bucket(s, bucket, count);
        for (uint32_t i = 0; i < s->bucket_counts[bucket]; i++) {
            double weight = weight_of(s, key_logit(s->sorted[i].key));
            if (prefix.count > 0 && weight < walk.weight_least) {
                return prefix;
            }
            prefix.count++;
            prefix.weight += weight;
            prefix.token = s->sorted[i].token;
            if (prefix.count == walk.count_max || prefix.weight > walk.weight_above) {
                return prefix;
            }
        }
        last = BUCKETS; /* the token is known */
    }
    if (last != BUCKETS) {
        sort_bucket(s, last, count);
        prefix.token = s->sorted[s->bucket_counts[last] - 1].token;
    }
    return prefix;
}

static int32_t draw(struct osl_sampler *s, uint32_t count)
{
    const struct osl_sampling *sampling = &s->sampling;
    const struct walk all = { UINT32_MAX, INFINITY, 0 };
    fill_buckets(s, count);
    struct walk walk = all;
    struct prefix kept = { UINT32_MAX, 0, -1 };
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
        kept.weight += s->bucket_weights[bucket];
    }
    if (sampling->top_k != 0) {
        walk.count_max = sampling->top_k;
        kept = walk_down(s, walk, count);
    }
    if (sampling->top_p < 1) {
        walk = all;
        walk.count_max = kept.count;
        /* To reach p is to exceed the next number below it. */
        walk.weight_above = nextafter((double)sampling->top_p * kept.weight, -1);
        kept = walk_down(s, walk, count);
    }
    if (sampling->min_p > 0) {
        walk = all;
        walk.count_max = kept.count;
        walk.weight_least = (double)sampling->min_p;
        kept = walk_down(s, walk, count);
    }
    walk = all;
    walk.count_max = kept.count;
    walk.weight_above = osl_pcg32_unit(&s->generator) * kept.weight;
    return walk_down(s, walk, count).token;
}

static void fill_pick(const struct osl_sampler *s, uint32_t token_count, const uint32_t *allowed,
                      struct osl_pick *out)
{
    const struct osl_sampling *sampling = &s->sampling;
    *out = (struct osl_pick){
        .token_count = token_count < s->vocab ? token_count : s->vocab,
        .allowed = allowed,
        .temperature = sampling->temperature,
        .repetition_penalty = sampling->repetition_penalty,
        .presence_penalty = sampling->presence_penalty,
        .frequency_penalty = sampling->frequency_penalty,
        .seen = s->penalised ? s->seen : NULL,
        .bias_count = sampling->bias_count,
        .bias_token = s->bias_token,
        .bias_value = s->bias_value,
    };
}

int32_t osl_sampler_pick(struct osl_sampler *s, const float *logits, uint32_t token_count,
                         const uint32_t *allowed)
{
    struct osl_pick pick;
    fill_pick(s, token_count, allowed, &pick);
    uint32_t count = pick.token_count;
    osl_pick_adjust(&pick, logits, s->logits);
    int32_t best = osl_pick_greedy(s->logits, count);
    if (best < 0 || s->sampling.temperature == 0) {
        return best;
    }
    s->best = s->logits[best];
    s->inverse_temperature = 1.0 / (double)s->sampling.temperature;
    int32_t token = draw(s, count);
    OSL_ASSERT(token >= 0);
    return token;
}

/* ---- Where a backend picks ---------------------------------------------------------------- */

bool osl_sampler_plain(const struct osl_sampler *s)
{
    const struct osl_sampling *sampling = &s->sampling;
    return sampling->temperature == 0 ||
           (sampling->top_k == 0 && sampling->top_p >= 1 && sampling->min_p <= 0);
}

bool osl_sampler_penalises(const struct osl_sampler *s)
{
    return s->penalised;
}

void osl_sampler_ahead(const struct osl_sampler *s, uint32_t token_count, const uint32_t *allowed,
                       uint32_t under_way, uint32_t count, struct osl_pick *out)
{
    OSL_ASSERT(count <= OSL_PICK_AHEAD_MAX);
    fill_pick(s, token_count, allowed, out);
    struct osl_pcg32 generator = s->generator;
    for (uint32_t i = 0; s->sampling.temperature > 0 && i < under_way + count; i++) {
        double unit = osl_pcg32_unit(&generator);
        if (i >= under_way) {
            out->uniform_draw[i - under_way] = (float)unit; /* 24 bits: exact */
        }
    }
}

void osl_sampler_drawn(struct osl_sampler *s)
{
    if (s->sampling.temperature > 0) {
        osl_pcg32_next(&s->generator);
    }
}

bool osl_sampler_pick_candidates(struct osl_sampler *s, const struct osl_candidates *candidates,
                                 int32_t *token_out)
{
    _Static_assert(sizeof(struct osl_candidate) <= sizeof *s->sorted, "shares its memory");
    OSL_ASSERT(candidates->count <= s->vocab);
    struct osl_pcg32 generator = s->generator;
    double unit = osl_pcg32_unit(&generator);
    if (!osl_candidates_pick(&s->sampling, candidates, (void *)s->sorted, unit, token_out)) {
        return false;
    }
    s->generator = generator;
    return true;
}
