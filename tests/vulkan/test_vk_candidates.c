/* Candidates listed by the device: all that the host's filters keep, and the host's token. */
#include "tests/vulkan/pick_cases.h"

static void candidates_give_the_hosts_token(void **state)
{
    const struct { uint32_t vocab, cases; } sweep[] = {{601, 120}, {5000, 120}, {201088, 10}};
    uint32_t covered = 0, all = 0;
    for (uint32_t s = 0; s < 3; s++) {
        record(sweep[s].vocab, CANDIDATES, 1);
        for (uint32_t i = 0; i < sweep[s].cases; i++) {
            struct osl_sampling sampling = plain;
            sampling.temperature = 0.1f + 1.5f * unit();
            sampling.top_k = below(2) == 0 ? 0 : 1 + below(300);
            sampling.top_p = below(2) == 0 ? 1 : unit();
            sampling.min_p = below(2) == 0 ? 0 : 0.3f * unit();
            const uint32_t *mask = make_case(&sampling);
            upload();
            struct osl_pick pick;
            osl_sampler_ahead(sampler, vocab - 3, mask, 0, 1, &pick);
            run(&pick);
            bool fit = result.candidate_count <= OSL_GPU_CANDIDATES_MAX;
            const struct osl_candidates candidates = {
                .count = fit ? result.candidate_count : 0,
                .token = result.candidate_token,
                .logit = result.candidate_logit,
                .log_sum = result.log_sum,
                .pickable = result.pickable,
            };
            int32_t token = -2;
            bool done = osl_sampler_pick_candidates(sampler, &candidates, &token);
            if (done) {
                assert_ok(osl_sampler_begin(sampler, &sampling, &(struct osl_error){0}),
                          (struct osl_error){0});
                for (uint32_t t = 0; t < vocab; t++) {
                    for (uint32_t n = 0; n < seen[t]; n++) {
                        osl_sampler_seen(sampler, (int32_t)t);
                    }
                }
                assert_token(token, osl_sampler_pick(sampler, logits, vocab - 3, mask), &sampling,
                             i);
            }
            covered += done;
            all++;
        }
    }
    printf("%u of %u filters covered by candidates\n", covered, all);
    assert_true(covered > all / 3);
}

static void candidates_are_complete(void **state)
{
    record(20011, CANDIDATES, 1);
    for (uint32_t i = 0; i < 60; i++) {
        struct osl_sampling sampling = plain;
        sampling.temperature = 0.7f;
        const uint32_t *mask = make_case(&sampling);
        upload();
        struct osl_pick pick;
        osl_sampler_ahead(sampler, vocab, mask, 0, 1, &pick);
        run(&pick);
        osl_pick_adjust(&pick, logits, adjusted);
        if (result.candidate_count > OSL_GPU_CANDIDATES_MAX) {
            continue; /* many alike */
        }
        float least = INFINITY;
        for (uint32_t c = 0; c < result.candidate_count; c++) {
            int32_t token = result.candidate_token[c];
            assert_true(adjusted[token] != -INFINITY &&
                        adjusted[token] == result.candidate_logit[c]);
            least = fminf(least, adjusted[token]);
            adjusted[token] = -INFINITY; /* so that it is listed once */
        }
        uint32_t left = 0;
        for (uint32_t t = 0; t < vocab; t++) {
            assert_true(adjusted[t] < least || adjusted[t] == -INFINITY);
            left += adjusted[t] != -INFINITY;
        }
        assert_int_equal(result.candidate_count + left, result.pickable);
    }
}

static void candidates_that_are_too_many(void **state)
{
    record(5000, CANDIDATES, 1);
    struct osl_pick pick;
    struct osl_error error;
    assert_ok(osl_sampler_begin(sampler, &plain, &error), error);
    osl_sampler_ahead(sampler, vocab, NULL, 0, 1, &pick);
    for (uint32_t i = 0; i < vocab; i++) {
        logits[i] = 1.5f;
    }
    upload();
    run(&pick);
    assert_int_equal(result.candidate_count, vocab);
    assert_int_equal(result.pickable, vocab);
    assert_true(fabsf(result.log_sum - logf((float)vocab)) < 1e-4f);
    for (uint32_t i = 5; i < vocab; i++) { /* five at the top, all others far down */
        logits[i] = -100;
    }
    upload();
    run(&pick);
    assert_int_equal(result.candidate_count, 5);
    assert_int_equal(result.pickable, vocab);
    for (uint32_t i = 900; i < vocab; i++) { /* few enough to be listed wherever they are */
        logits[i] = NAN;
    }
    upload();
    run(&pick);
    assert_int_equal(result.candidate_count, 900);
    assert_int_equal(result.pickable, 900);
}

static void no_candidates(void **state)
{
    record(3000, CANDIDATES, 1);
    for (uint32_t i = 0; i < vocab; i++) {
        logits[i] = i % 2 == 0 ? NAN : -INFINITY;
    }
    upload();
    struct osl_error error;
    assert_ok(osl_sampler_begin(sampler, &plain, &error), error);
    struct osl_pick pick;
    osl_sampler_ahead(sampler, vocab, NULL, 0, 1, &pick);
    run(&pick);
    assert_int_equal(result.candidate_count, 0);
    assert_int_equal(result.pickable, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIERS(candidates_give_the_hosts_token),
        TIERS(candidates_are_complete),
        TIERS(candidates_that_are_too_many),
        TIERS(no_candidates),
    };
    vk_test_open(&vk);
    return cmocka_run_group_tests(tests, NULL, close_vulkan);
}
