/* What scoring asks of logits: our exp, the normaliser, and the largest few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/exp.h"
#include "model/pcg32.h"
#include "model/sampler.h"

#define VOCAB_MAX 1000

static float logits[VOCAB_MAX];

/* Spread over -16..16 in steps of 1/4, so that there are ties. */
static void fill_logits(uint32_t vocab, struct osl_pcg32 *random)
{
    for (uint32_t i = 0; i < vocab; i++) {
        logits[i] = (float)((int)(osl_pcg32_next(random) >> 25) - 64) / 4;
    }
}

static void exp_is_as_good_as_the_library(void **state)
{
    double worst = 0;
    for (uint32_t i = 0; i <= 700000; i++) {
        double x = -(double)i / 1000.0 - 1e-5 * (i % 7);
        if (x >= OSL_EXP_LEAST) {
            double relative = fabs(osl_exp(x) / exp(x) - 1);
            worst = relative > worst ? relative : worst;
        }
    }
    assert_true(osl_exp(0) == 1);
    assert_true(osl_exp(-INFINITY) > 0 && osl_exp(-INFINITY) < 1e-300);
    if (worst > 1e-15) {
        fail_msg("worst relative error %g", worst);
    }
}

static void log_sum_exp_equals_long_double(void **state)
{
    struct osl_pcg32 random;
    osl_pcg32_seed(&random, 3, 3);
    for (uint32_t vocab = 1; vocab < 40; vocab++) {
        fill_logits(vocab, &random);
        long double sum = 0;
        for (uint32_t i = 0; i < vocab; i++) {
            sum += expl((long double)logits[i]);
        }
        assert_true(fabs(osl_log_sum_exp(logits, vocab) - (double)logl(sum)) < 1e-13);
    }
    const float holes[] = { NAN, 1, -INFINITY, 1 }, none[] = { NAN, -INFINITY };
    const float high[] = { 1, INFINITY };
    assert_true(fabs(osl_log_sum_exp(holes, 4) - 1 - log(2)) < 1e-14);
    assert_true(osl_log_sum_exp(none, 2) == -INFINITY);
    assert_true(osl_log_sum_exp(high, 2) == INFINITY);
}

/* Marks the best token that is not marked yet; -1 if all that are left are NaN. */
static int32_t take_best(bool *marked, uint32_t vocab)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < vocab; i++) {
        if (!marked[i] && !isnan(logits[i]) && (best < 0 || logits[i] > logits[best])) {
            best = (int32_t)i;
        }
    }
    if (best >= 0) {
        marked[best] = true;
    }
    return best;
}

static void top_logits_are_sorted_with_ties_by_id(void **state)
{
    static const uint32_t vocabs[] = { 1, 2, 37, VOCAB_MAX };
    static const uint32_t counts[] = { 0, 1, 2, 3, 10, 64, 999, 1000, 1001 };
    struct osl_pcg32 random;
    osl_pcg32_seed(&random, 9, 9);
    for (uint32_t round = 0; round < 4 * 9; round++) {
        uint32_t vocab = vocabs[round % 4], count = counts[round / 4];
        int32_t ids[VOCAB_MAX + 1];
        float values[VOCAB_MAX + 1];
        bool marked[VOCAB_MAX] = { false };
        fill_logits(vocab, &random);
        for (uint32_t i = 5; i < vocab; i += 11) {
            logits[i] = i % 2 ? NAN : i % 4 ? -INFINITY : INFINITY;
        }
        uint32_t found = osl_top_logits(logits, vocab, count, ids, values);
        for (uint32_t i = 0; i < found; i++) {
            assert_int_equal(ids[i], take_best(marked, vocab));
            assert_true(values[i] == logits[ids[i]]);
        }
        assert_true(found == count || (found < count && take_best(marked, vocab) < 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_as_good_as_the_library),
        cmocka_unit_test(log_sum_exp_equals_long_double),
        cmocka_unit_test(top_logits_are_sorted_with_ties_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
