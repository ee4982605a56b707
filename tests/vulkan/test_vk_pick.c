/* Picking on the device: greedy as the host's sampler picks, draws where the numbers fall, and the
 * step buffer ready for the token picked. */
#include "tests/vulkan/pick_cases.h"

#define EDGE 1e-5

static void checks_pass(void **state)
{
    void *memory = malloc(OSL_VK_CHECK_BYTES);
    for (uint32_t seed = 1; seed <= 6; seed++) {
        const struct osl_vk_check_case c = {
            .shape = shape, .tokens = 1, .position = seed * 63, .seed = seed};
        for (const struct osl_vk_check *check = osl_vk_checks_pick; check->name; check++) {
            struct osl_error error;
            float worst = NAN;
            assert_ok(check->run(&rig, &c, memory, OSL_VK_CHECK_BYTES, &worst, &error), error);
            if (!(worst <= 1)) {
                fail_msg("%s, seed %u: worst %g", check->name, seed, (double)worst);
            }
        }
    }
    free(memory);
}

static void greedy_is_the_hosts(void **state)
{
    const struct { uint32_t vocab, cases; } sweep[] = {{601, 700}, {5000, 300}, {201088, 12}};
    for (uint32_t s = 0; s < 3; s++) {
        record(sweep[s].vocab, PICK, 1);
        for (uint32_t i = 0; i < sweep[s].cases; i++) {
            struct osl_sampling sampling = plain;
            sampling.temperature = 0;
            const uint32_t *mask = make_case(&sampling);
            uint32_t token_count = vocab - below(VOCAB_SPARE);
            upload();
            struct osl_pick pick;
            osl_sampler_ahead(sampler, token_count, mask, 0, 1, &pick);
            run(&pick);
            assert_token(result.ring[0], osl_sampler_pick(sampler, logits, token_count, mask),
                         &sampling, i);
        }
    }
}

/* How far the number is outside the token's part of the sum of all, as a part of that sum. */
static double off_target(const struct osl_pick *pick, int32_t token, float uniform)
{
    int32_t best = osl_pick_greedy(adjusted, pick->token_count);
    double sum = 0, first = 0, end = 0;
    for (uint32_t i = 0; i < pick->token_count; i++) {
        first = (int32_t)i == token ? sum : first;
        sum += exp(((double)adjusted[i] - (double)adjusted[best]) / (double)pick->temperature);
        end = (int32_t)i == token ? sum : end;
    }
    double at = (double)uniform * sum;
    return end <= first ? 1 : (at < first ? first - at : at > end ? at - end : 0) / sum;
}

static void draws_fall_where_the_numbers_say(void **state)
{
    const struct { uint32_t vocab, cases; } sweep[] = {{601, 60}, {5000, 30}, {201088, 3}};
    double worst = 0;
    uint32_t exact = 0, all = 0;
    for (uint32_t s = 0; s < 3; s++) {
        record(sweep[s].vocab, PICK, OSL_GPU_RING);
        for (uint32_t i = 0; i < sweep[s].cases; i++) {
            struct osl_sampling sampling = plain;
            sampling.temperature = i % 8 == 0 ? 1e-12f : 0.05f + 2 * unit();
            const uint32_t *mask = make_case(&sampling);
            upload();
            struct osl_pick pick;
            osl_sampler_ahead(sampler, vocab - 1, mask, 0, OSL_PICK_AHEAD_MAX, &pick);
            pick.uniform_draw[0] = 0;
            pick.uniform_draw[1] = 0x1.fffffep-1f;
            run(&pick);
            osl_pick_adjust(&pick, logits, adjusted);
            for (uint32_t d = 0; d < OSL_GPU_RING; d++) {
                double off = off_target(&pick, result.ring[d], pick.uniform_draw[d]);
                if (off > EDGE) {
                    fail_msg("vocab %u, case %u, draw %u: token %d is %g off", vocab, i, d,
                             result.ring[d], off);
                }
                worst = fmax(worst, off);
                all++;
                exact += result.ring[d] == osl_pick_draw(adjusted, pick.token_count,
                                                         pick.temperature, pick.uniform_draw[d]);
            }
        }
    }
    printf("%u of %u draws are the reference's; worst %.1e off\n", exact, all, worst);
    assert_true(exact >= all - all / 200);
}

/* Equal weights, whose sums are exact: a number on a token's edge belongs to the next one. */
static void draws_on_an_edge(void **state)
{
    record(5000, PICK, OSL_GPU_RING);
    struct osl_pick pick;
    struct osl_error error;
    assert_ok(osl_sampler_begin(sampler, &plain, &error), error);
    for (uint32_t stride = 1; stride < 80; stride += 13) {
        for (uint32_t i = 0; i < vocab; i++) {
            logits[i] = i % stride == 0 && i / stride < OSL_GPU_RING ? 3.5f : NAN;
        }
        upload();
        osl_sampler_ahead(sampler, vocab, NULL, 0, OSL_PICK_AHEAD_MAX, &pick);
        for (uint32_t d = 0; d < OSL_GPU_RING; d++) {
            pick.uniform_draw[d] = (float)d / OSL_GPU_RING;
        }
        run(&pick);
        for (uint32_t d = 0; d < OSL_GPU_RING; d++) {
            assert_int_equal(result.ring[d], d * stride);
        }
    }
}

static void draws_follow_the_distribution(void **state)
{
    enum { RUNS = 150, TOKENS = 12 };
    record(3001, PICK, OSL_GPU_RING); /* three chunks */
    double probability[TOKENS], sum = 0, squares = 0;
    uint32_t counts[TOKENS] = {0};
    for (uint32_t i = 0; i < vocab; i++) {
        logits[i] = -200;
    }
    for (uint32_t t = 0; t < TOKENS; t++) {
        logits[t * 271 + 5] = 0.25f * (float)t;
        sum += probability[t] = exp(0.25 * t);
    }
    upload();
    struct osl_error error;
    assert_ok(osl_sampler_begin(sampler, &plain, &error), error);
    for (uint32_t i = 0; i < RUNS; i++) {
        struct osl_pick pick;
        osl_sampler_ahead(sampler, vocab, NULL, i * OSL_GPU_RING, OSL_PICK_AHEAD_MAX, &pick);
        run(&pick);
        for (uint32_t d = 0; d < OSL_GPU_RING; d++) {
            uint32_t t = ((uint32_t)result.ring[d] - 5) / 271;
            assert_true(t < TOKENS && t * 271 + 5 == (uint32_t)result.ring[d]);
            counts[t]++;
        }
    }
    for (uint32_t t = 0; t < TOKENS; t++) {
        double expected = probability[t] / sum * RUNS * OSL_GPU_RING;
        squares += (counts[t] - expected) * (counts[t] - expected) / expected;
    }
    printf("chi square %.1f at 11 degrees of freedom\n", squares);
    assert_true(squares < 31.3); /* once in a thousand seeds */
}

static void nothing_to_pick(void **state)
{
    struct osl_pick pick;
    struct osl_error error;
    record(3000, PICK, 1);
    for (uint32_t i = 0; i < vocab; i++) {
        logits[i] = i % 2 == 0 ? NAN : -INFINITY;
    }
    memset(seen, 0, sizeof seen);
    for (uint32_t greedy = 0; greedy < 2; greedy++) {
        struct osl_sampling sampling = plain;
        sampling.temperature = greedy ? 0 : 1;
        assert_ok(osl_sampler_begin(sampler, &sampling, &error), error);
        osl_sampler_ahead(sampler, vocab, NULL, 0, 1, &pick);
        upload();
        run(&pick);
        assert_int_equal(result.ring[0], -1);
        int32_t fed = -5;
        assert_ok(osl_vk_rig_read(&rig, &rig.net.step, sizeof(struct osl_gpu_step), &fed, 4,
                                  &error),
                  error);
        assert_int_equal(fed, 0); /* a row of the embedding, whatever becomes of it */
    }
}

static void penalties_count_what_was_picked(void **state)
{
    record(2500, PICK, OSL_GPU_RING);
    struct osl_sampling sampling = plain;
    sampling.temperature = 0;
    sampling.frequency_penalty = 0.5f;
    for (uint32_t i = 0; i < vocab; i++) {
        logits[i] = (float)below(1000) / 128;
    }
    struct osl_error error;
    struct osl_pick pick;
    assert_ok(osl_sampler_begin(sampler, &sampling, &error), error);
    memset(seen, 0, sizeof seen);
    upload();
    osl_sampler_ahead(sampler, vocab, NULL, 0, 1, &pick);
    pick.seen_grows = true;
    run(&pick);
    for (uint32_t i = 0; i < OSL_GPU_RING; i++) {
        int32_t token = osl_sampler_pick(sampler, logits, vocab, NULL);
        assert_token(result.ring[i], token, &sampling, i);
        osl_sampler_seen(sampler, token);
    }
    assert_true(result.ring[0] != result.ring[OSL_GPU_RING - 1]);
}

static void step_becomes_the_next(void **state)
{
    record(700, PICK, 3);
    const struct { uint32_t rule, tile; } rules[] = {
        {OSL_VK_TOKENS, 4},       {OSL_VK_TOKENS_X, 32}, {OSL_VK_LOGITS_ROWS, 1},
        {OSL_VK_EXPERT_TILES, 2}, {OSL_VK_SEGMENTS, 32}, {OSL_VK_SEGMENTS, 1}};
    rig.recorder.slot_count = sizeof rules / sizeof rules[0];
    for (uint32_t s = 0; s < rig.recorder.slot_count; s++) {
        rig.recorder.slots[s] = (struct osl_gpu_slot){
            .x = 3 + s, .y = 2, .z = 1, .rule = rules[s].rule, .tile = rules[s].tile};
    }
    struct osl_sampling sampling = plain;
    make_case(&sampling);
    upload();
    struct osl_pick pick;
    struct osl_error error;
    osl_sampler_ahead(sampler, vocab, NULL, 0, 3, &pick);
    osl_vk_pick_fill(&pick, 62, &rig.step_host.pick);
    rig.step_host.ring_index = 62;
    const struct osl_step prefill = {
        .token_count = 21, .position_first = 40, .logits_row_first = 20, .logits_row_count = 1};
    assert_ok(osl_vk_rig_rerun(&rig, &prefill, &error), error);
    assert_ok(osl_vk_rig_read(&rig, &rig.pick.result, 0, &result, sizeof result, &error), error);
    struct osl_gpu_step step;
    int32_t token;
    assert_ok(osl_vk_rig_read(&rig, &rig.net.step, 0, &step, sizeof step, &error), error);
    assert_ok(osl_vk_rig_read(&rig, &rig.net.step, sizeof step, &token, 4, &error), error);
    const struct osl_vk_step_sizes sizes = {.token_count = 1,
                                            .position_first = 63,
                                            .logits_row_count = 1,
                                            .experts_used = shape.experts_used,
                                            .experts = shape.experts};
    struct osl_gpu_slot slots[OSL_GPU_SLOTS];
    osl_vk_slots_fill(&rig.recorder, &sizes, slots);
    assert_memory_equal(step.slot, slots, sizeof slots);
    assert_int_equal(step.token_count, 1);
    assert_int_equal(step.position_first, 63); /* 40 + 21, and two picks further */
    assert_int_equal(step.logits_row_first, 0);
    assert_int_equal(step.logits_row_count, 1);
    assert_int_equal(step.ring_index, 1); /* 62, 63, 0 */
    assert_int_equal(token, result.ring[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIERS(checks_pass),
        TIERS(greedy_is_the_hosts),
        TIERS(draws_fall_where_the_numbers_say),
        TIERS(draws_on_an_edge),
        TIERS(draws_follow_the_distribution),
        TIERS(nothing_to_pick),
        TIERS(penalties_count_what_was_picked),
        TIERS(step_becomes_the_next),
    };
    vk_test_open(&vk);
    return cmocka_run_group_tests(tests, NULL, close_vulkan);
}
