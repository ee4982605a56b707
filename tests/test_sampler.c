/* The sampler against a brute-force one that sorts everything in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pcg32.h"
#include "model/sampler.h"

#define VOCAB_MAX 2503

static float logits[VOCAB_MAX];
static uint32_t allowed[VOCAB_MAX / 32 + 1];

static const struct osl_sampling plain = {
    .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 1,
};

static struct osl_sampler *make(uint32_t vocab)
{
    uint64_t bytes = osl_sampler_bytes(vocab);
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0xc3, bytes);
    return osl_sampler_init(memory, bytes, vocab);
}

static void begin(struct osl_sampler *sampler, const struct osl_sampling *sampling)
{
    struct osl_error error = { 0 };
    if (osl_sampler_begin(sampler, sampling, &error) != OSL_OK) {
        fail_msg("%s", error.text);
    }
}

/* ---- Brute force -------------------------------------------------------------------------- */

struct entry {
    double logit, probability;
    int32_t token;
};

static int by_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->logit != y->logit) {
        return x->logit > y->logit ? -1 : 1;
    }
    return x->token < y->token ? -1 : 1;
}

static void normalise(struct entry *entries, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += entries[i].probability;
    }
    for (uint32_t i = 0; i < count; i++) {
        entries[i].probability /= sum;
    }
}

static struct entry entries[VOCAB_MAX];

/* Filters as sampler.h words them; returns how many entries are left, in order. */
static uint32_t brute_filter(const struct osl_sampling *s, const uint32_t *seen, uint32_t vocab,
                             const uint32_t *mask)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        double logit = (double)logits[i];
        if (isnan(logit) || logit == -INFINITY || (mask && !(mask[i / 32] >> i % 32 & 1))) {
            continue;
        }
        for (uint32_t k = 0; k < s->bias_count; k++) {
            logit += s->bias[k].token == (int32_t)i ? (double)s->bias[k].bias : 0;
        }
        if (seen[i] > 0) {
            logit = logit > 0 ? logit / (double)s->repetition_penalty
                              : logit * (double)s->repetition_penalty;
            logit -= (double)s->presence_penalty + seen[i] * (double)s->frequency_penalty;
        }
        entries[count++] = (struct entry){ logit, 0, (int32_t)i };
    }
    qsort(entries, count, sizeof entries[0], by_order);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].probability =
            exp((entries[i].logit - entries[0].logit) / (double)s->temperature);
    }
    count = s->top_k > 0 && s->top_k < count ? s->top_k : count;
    normalise(entries, count);
    if (s->top_p < 1) {
        double sum = 0;
        uint32_t kept = 0;
        while (kept < count && (kept == 0 || sum < (double)s->top_p - 1e-13)) {
            sum += entries[kept++].probability;
        }
        count = kept;
    }
    uint32_t kept = 0;
    while (kept < count &&
           entries[kept].probability >= (double)s->min_p * entries[0].probability * (1 - 1e-13)) {
        kept++;
    }
    normalise(entries, kept);
    return kept;
}

/* Fails unless `token` is where `unit` falls; within 1e-9 of a boundary it may go either way. */
static void assert_drawn(int32_t token, double unit, uint32_t kept, const char *what)
{
    double before = 0;
    for (uint32_t i = 0; i < kept; i++) {
        double after = before + entries[i].probability;
        if (entries[i].token == token) {
            if (unit < before - 1e-9 || unit > after + 1e-9) {
                fail_msg("%s: token %d has [%.12f, %.12f), u is %.12f", what, token, before,
                         after, unit);
            }
            return;
        }
        before = after;
    }
    fail_msg("%s: token %d was filtered out (%u kept)", what, token, kept);
}

/* ---- Logits ------------------------------------------------------------------------------- */

enum shape { SPREAD, FLAT, FEW_VALUES, ONE_HIGH, WITH_HOLES, NARROW, SHAPES };

/* Multiples of 1/64, so that biases and penalties of the tests are exact in float. */
static void fill_logits(enum shape shape, uint32_t vocab, struct osl_pcg32 *random)
{
    for (uint32_t i = 0; i < vocab; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < 12; k++) {
            sum += osl_pcg32_unit(random);
        }
        float value = (float)(floor((sum - 6) * 3 * 64) / 64);
        switch (shape) {
        case FLAT: value = -2.5f; break;
        case FEW_VALUES: value = floorf(value / 4) * 4; break;
        case NARROW: value = value / 4096; break;
        case WITH_HOLES:
            value = i % 7 == 3 ? NAN : i % 5 == 1 ? -INFINITY : value;
            break;
        default: break;
        }
        logits[i] = value;
    }
    if (shape == ONE_HIGH) {
        logits[vocab / 2] = 1e20f;
        logits[vocab / 3] = -1e25f;
    }
    if (shape == WITH_HOLES) {
        logits[0] = 0.5f;
    }
}

static void assert_equals_brute(struct osl_sampling sampling, bool masked, const char *what)
{
    static const uint32_t vocabs[] = { 1, 2, 37, 1000, VOCAB_MAX };
    static uint32_t seen[VOCAB_MAX];
    struct osl_pcg32 random;
    osl_pcg32_seed(&random, 5, 7);
    for (uint32_t v = 0; v < sizeof vocabs / sizeof vocabs[0]; v++) {
        uint32_t vocab = vocabs[v];
        struct osl_sampler *sampler = make(vocab);
        for (uint32_t round = 0; round < 2 * SHAPES; round++) {
            fill_logits(round % SHAPES, vocab, &random);
            sampling.seed = osl_pcg32_next(&random);
            for (uint32_t i = 0; i < sampling.bias_count; i++) {
                sampling.bias[i].token = (int32_t)(osl_pcg32_next(&random) % vocab);
            }
            begin(sampler, &sampling);
            memset(seen, 0, sizeof seen);
            for (uint32_t i = 0; i < vocab; i += 3) {
                for (uint32_t k = 0; k <= i % 4; k++) {
                    osl_sampler_seen(sampler, (int32_t)i);
                    seen[i]++;
                }
            }
            for (uint32_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
                allowed[i] = osl_pcg32_next(&random) | 1;
            }
            struct osl_pcg32 units;
            osl_pcg32_seed(&units, sampling.seed, sampling.seed);
            const uint32_t *mask = masked ? allowed : NULL;
            uint32_t kept = brute_filter(&sampling, seen, vocab, mask);
            for (uint32_t pick = 0; pick < 8; pick++) {
                int32_t token = osl_sampler_pick(sampler, logits, vocab, mask);
                assert_drawn(token, osl_pcg32_unit(&units), kept, what);
            }
        }
        free(sampler);
    }
}

static void draws_equal_brute_force(void **state)
{
    struct osl_sampling s = plain;
    assert_equals_brute(s, false, "plain");
    assert_equals_brute(s, true, "allowed");
    static const float temperatures[] = { 0.015625f, 0.7f, 2, 100 };
    for (uint32_t i = 0; i < 4; i++) {
        s = plain;
        s.temperature = temperatures[i];
        assert_equals_brute(s, false, "temperature");
    }
    static const uint32_t ks[] = { 1, 2, 5, 40, 999, 1000000 };
    for (uint32_t i = 0; i < 6; i++) {
        s = plain;
        s.top_k = ks[i];
        assert_equals_brute(s, false, "top_k");
    }
    static const float ps[] = { 0, 1e-6f, 0.1f, 0.55f, 0.95f, 0.9999f };
    for (uint32_t i = 0; i < 6; i++) {
        s = plain;
        s.top_p = ps[i];
        assert_equals_brute(s, false, "top_p");
        s = plain;
        s.min_p = ps[i];
        assert_equals_brute(s, false, "min_p");
    }
    s = plain;
    s.min_p = 1;
    assert_equals_brute(s, false, "min_p 1");
}

static void penalties_and_bias_equal_brute_force(void **state)
{
    struct osl_sampling s = plain;
    s.repetition_penalty = 2;
    assert_equals_brute(s, false, "repetition");
    s.repetition_penalty = 0.5f;
    assert_equals_brute(s, false, "repetition below 1");
    s = plain;
    s.presence_penalty = 0.5f;
    assert_equals_brute(s, false, "presence");
    s = plain;
    s.frequency_penalty = -0.25f;
    assert_equals_brute(s, false, "frequency");
    s = plain;
    s.bias_count = OSL_BIAS_MAX;
    for (uint32_t i = 0; i < s.bias_count; i++) {
        s.bias[i].bias = (float)((int)i % 9 - 4);
    }
    assert_equals_brute(s, false, "bias");
    s.repetition_penalty = 2;
    s.presence_penalty = 1;
    s.frequency_penalty = 0.25f;
    s.temperature = 0.8f;
    s.top_k = 50;
    s.top_p = 0.9f;
    s.min_p = 0.05f;
    assert_equals_brute(s, true, "all together");
}

/* ---- Greedy and edges --------------------------------------------------------------------- */

static int32_t pick_greedy(const float *values, uint32_t count, uint32_t token_count)
{
    struct osl_sampling s = plain;
    s.temperature = 0;
    struct osl_sampler *sampler = make(count);
    begin(sampler, &s);
    int32_t token = osl_sampler_pick(sampler, values, token_count, NULL);
    free(sampler);
    return token;
}

static void greedy_takes_the_lowest_of_the_best(void **state)
{
    const float ties[] = { 1, 3, -1, 3, 3 };
    const float zeros[] = { -0.0f, 0.0f };
    const float holes[] = { NAN, -5, INFINITY, NAN, INFINITY };
    const float nothing[] = { NAN, -INFINITY, NAN };
    const float low[] = { -INFINITY, -3e38f };
    assert_int_equal(pick_greedy(ties, 5, 5), 1);
    assert_int_equal(pick_greedy(ties, 5, 1), 0);
    assert_int_equal(pick_greedy(ties, 5, 0), -1);
    assert_int_equal(pick_greedy(ties, 5, 99), 1);
    assert_int_equal(pick_greedy(zeros, 2, 2), 0);
    assert_int_equal(pick_greedy(holes, 5, 5), 2);
    assert_int_equal(pick_greedy(nothing, 3, 3), -1);
    assert_int_equal(pick_greedy(low, 2, 2), 1);
}

static void what_is_not_allowed_is_never_picked(void **state)
{
    const float values[] = { 9, 8, 7, 6 };
    const uint32_t only_two = 1u << 2, none = 0, beyond = 1u << 3;
    struct osl_sampling s = plain;
    struct osl_sampler *sampler = make(4);
    for (uint32_t greedy = 0; greedy < 2; greedy++) {
        s.temperature = (float)greedy;
        begin(sampler, &s);
        assert_int_equal(osl_sampler_pick(sampler, values, 4, &only_two), 2);
        assert_int_equal(osl_sampler_pick(sampler, values, 4, &none), -1);
        assert_int_equal(osl_sampler_pick(sampler, values, 3, &beyond), -1);
    }
    free(sampler);
}

static void forgetting_undoes_seeing(void **state)
{
    const float values[] = { 2, 1.5f };
    struct osl_sampling s = plain;
    s.temperature = 0;
    s.frequency_penalty = 1;
    struct osl_sampler *sampler = make(2);
    begin(sampler, &s);
    osl_sampler_seen(sampler, 0);
    assert_int_equal(osl_sampler_pick(sampler, values, 2, NULL), 1);
    osl_sampler_forget(sampler, 0);
    osl_sampler_forget(sampler, 0); /* once too often does no harm */
    assert_int_equal(osl_sampler_pick(sampler, values, 2, NULL), 0);
    osl_sampler_seen(sampler, -1);
    osl_sampler_seen(sampler, 2);
    osl_sampler_seen(sampler, 0);
    begin(sampler, &s);
    assert_int_equal(osl_sampler_pick(sampler, values, 2, NULL), 0);
    free(sampler);
}

static void settings_out_of_range_are_named(void **state)
{
    static const struct { size_t offset; float value; const char *name; } cases[] = {
        { offsetof(struct osl_sampling, temperature), -0.1f, "temperature" },
        { offsetof(struct osl_sampling, temperature), NAN, "temperature" },
        { offsetof(struct osl_sampling, temperature), INFINITY, "temperature" },
        { offsetof(struct osl_sampling, top_p), 1.5f, "top_p" },
        { offsetof(struct osl_sampling, min_p), -1, "min_p" },
        { offsetof(struct osl_sampling, repetition_penalty), 0, "repetition_penalty" },
        { offsetof(struct osl_sampling, presence_penalty), 101, "presence_penalty" },
        { offsetof(struct osl_sampling, frequency_penalty), NAN, "frequency_penalty" },
    };
    struct osl_error error;
    struct osl_sampler *sampler = make(10);
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct osl_sampling s = plain;
        memcpy((char *)&s + cases[i].offset, &cases[i].value, sizeof(float));
        assert_int_equal(osl_sampler_begin(sampler, &s, &error), OSL_ARGUMENT);
        assert_non_null(strstr(error.text, cases[i].name));
    }
    struct osl_sampling s = plain;
    s.bias_count = OSL_BIAS_MAX + 1;
    assert_int_equal(osl_sampler_begin(sampler, &s, &error), OSL_ARGUMENT);
    s.bias_count = 1;
    s.bias[0].token = 10;
    assert_int_equal(osl_sampler_begin(sampler, &s, &error), OSL_ARGUMENT);
    s.bias[0].token = 9;
    s.bias[0].bias = NAN;
    assert_int_equal(osl_sampler_begin(sampler, &s, &error), OSL_ARGUMENT);
    s.bias[0].bias = -100;
    assert_int_equal(osl_sampler_begin(sampler, &s, &error), OSL_OK);
    free(sampler);
}

/* ---- The generator, and what it makes ----------------------------------------------------- */

static void pcg32_gives_the_reference_sequence(void **state)
{
    /* From the demonstration program of the PCG paper's C library, round 1. */
    static const uint32_t expected[] = { 0xa15c02b7, 0x7b47f409, 0xba1d3330,
                                         0x83d2f293, 0xbfa4784b, 0xcbed606e };
    struct osl_pcg32 generator;
    osl_pcg32_seed(&generator, 42, 54);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(osl_pcg32_next(&generator), expected[i]);
    }
}

/* Chi-square with 9 degrees of freedom: 27.9 is passed once in a thousand fair runs. */
static void assert_fair(const uint32_t *counts, const double *probabilities, uint32_t draws)
{
    double chi_square = 0;
    for (uint32_t i = 0; i < 10; i++) {
        double expected = probabilities[i] * draws;
        chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    if (chi_square > 27.9) {
        fail_msg("chi-square is %f", chi_square);
    }
}

static void draws_follow_the_distribution(void **state)
{
    const uint32_t draws = 40000;
    uint32_t along[10] = { 0 }, across[10] = { 0 };
    double probabilities[10], sum = 0;
    for (uint32_t i = 0; i < 10; i++) {
        logits[i] = (float)(i * 7 % 10) * 0.3f;
        sum += exp((double)logits[i]);
    }
    for (uint32_t i = 0; i < 10; i++) {
        probabilities[i] = exp((double)logits[i]) / sum;
    }
    struct osl_sampling s = plain;
    struct osl_sampler *one = make(10), *many = make(10);
    s.seed = 12345;
    begin(one, &s);
    for (uint32_t i = 0; i < draws; i++) {
        along[osl_sampler_pick(one, logits, 10, NULL)]++;
        s.seed = i; /* first draws of neighbouring seeds must be as fair */
        begin(many, &s);
        across[osl_sampler_pick(many, logits, 10, NULL)]++;
    }
    assert_fair(along, probabilities, draws);
    assert_fair(across, probabilities, draws);
    free(one);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_equal_brute_force),
        cmocka_unit_test(penalties_and_bias_equal_brute_force),
        cmocka_unit_test(greedy_takes_the_lowest_of_the_best),
        cmocka_unit_test(what_is_not_allowed_is_never_picked),
        cmocka_unit_test(forgetting_undoes_seeing),
        cmocka_unit_test(settings_out_of_range_are_named),
        cmocka_unit_test(pcg32_gives_the_reference_sequence),
        cmocka_unit_test(draws_follow_the_distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
