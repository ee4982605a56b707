/* What the tests of picking share: a rig for one vocabulary, and cases by chance. */
#ifndef OSL_TEST_VK_PICK_CASES_H
#define OSL_TEST_VK_PICK_CASES_H

#include <math.h>

#include "compute/pick.h"
#include "compute/vulkan/rig.h"
#include "model/pcg32.h"
#include "model/sampler.h"
#include "tests/vulkan/vk_test.h"

#define VOCAB_MAX 201088u
#define VOCAB_SPARE 37u /* rows without a text at the end */
#define SEED 20261121u

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_rig rig;
static struct osl_pcg32 generator;
static struct osl_sampler *sampler;
static uint32_t vocab;

static float logits[VOCAB_MAX], adjusted[VOCAB_MAX];
static uint32_t seen[VOCAB_MAX], allowed[VOCAB_MAX / 32 + 1];
static struct osl_gpu_pick_result result;

static const struct osl_sampling plain = {
    .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = SEED};

static inline uint32_t below(uint32_t limit)
{
    return osl_pcg32_next(&generator) % limit;
}

static inline float unit(void)
{
    return (float)osl_pcg32_unit(&generator);
}

/* ---- Cases -------------------------------------------------------------------------------- */

static const struct osl_shape shape = {
    .layers = 1, .hidden = 96, .ff = 96, .heads = 4, .kv_heads = 2, .head_dim = 32, .experts = 5,
    .experts_used = 3, .window = 16};

enum recording { PICK, CANDIDATES };

/* A rig for a vocabulary with `count` launches recorded. */
static inline void record(uint32_t vocab_wanted, enum recording what, uint32_t count)
{
    struct osl_error error;
    struct osl_shape own = shape;
    own.vocab = vocab = vocab_wanted;
    assert_ok(osl_vk_rig_shape(&rig, &own, OSL_KV_F16, 1, 1, 256, &error), error);
    assert_ok(osl_vk_rig_begin(&rig, &error), error);
    for (uint32_t i = 0; i < count; i++) {
        assert_ok((what == PICK ? osl_vk_pick : osl_vk_candidates)(&rig.recorder, &rig.net,
                                                                   &rig.pick, &error),
                  error);
    }
    assert_ok(osl_vk_record_end(&rig.recorder, &rig.launches, &error), error);
    uint64_t bytes = (osl_sampler_bytes(vocab) + 63) / 64 * 64;
    free(sampler);
    sampler = osl_sampler_init(aligned_alloc(64, bytes), bytes, vocab);
}

static inline void upload(void)
{
    struct osl_error error;
    assert_ok(osl_vk_rig_act_write(&rig, rig.net.buffer[OSL_BUFFER_LOGITS], logits, vocab, &error),
              error);
    assert_ok(osl_vk_rig_write(&rig, &rig.pick.seen, 0, seen, vocab * 4, &error), error);
    assert_ok(osl_vk_rig_write(&rig, &rig.pick.allowed, 0, allowed, (vocab + 31) / 32 * 4, &error),
              error);
}

/* Runs what was recorded; the token of the first pick is in result.ring[0]. */
static inline void run(const struct osl_pick *pick)
{
    struct osl_error error;
    const struct osl_step step = {.token_count = 1, .position_first = 40, .logits_row_count = 1};
    osl_vk_pick_fill(pick, 0, &rig.step_host.pick);
    rig.step_host.ring_index = 0;
    assert_ok(osl_vk_rig_rerun(&rig, &step, &error), error);
    assert_ok(osl_vk_rig_read(&rig, &rig.pick.result, 0, &result, sizeof result, &error), error);
}

/* Logits in steps of 1/8 (many ties) or fine, now and then none that is a number; a mask, biases
 * and penalties by chance. Fills *sampling and the arrays. */
static inline const uint32_t *make_case(struct osl_sampling *sampling)
{
    bool coarse = below(2) == 0, masked = below(2) == 0;
    float spread = 0.5f + 12 * unit();
    for (uint32_t i = 0; i < vocab; i++) {
        float logit = spread * (unit() + unit() + unit() - 1.5f);
        logits[i] = coarse ? (float)(int32_t)(logit * 8) / 8 : logit;
    }
    for (uint32_t i = below(8); i > 0; i--) {
        static const float odd[] = {NAN, -INFINITY, INFINITY, -NAN, -0.0f, 1e35f, -1e35f, 1e-40f};
        logits[below(vocab)] = odd[below(8)];
    }
    uint32_t keep = below(3) == 0 ? 50 : 2;
    memset(allowed, 0, sizeof allowed);
    for (uint32_t i = 0; i < vocab; i++) {
        allowed[i / 32] |= (uint32_t)(below(keep) == 0) << i % 32;
    }
    sampling->seed = below(1u << 30);
    sampling->repetition_penalty = below(2) == 0 ? 1 : 0.7f + unit();
    sampling->presence_penalty = below(2) == 0 ? 0 : 2 * unit() - 1;
    sampling->frequency_penalty = below(2) == 0 ? 0 : 2 * unit() - 1;
    sampling->bias_count = below(3) == 0 ? OSL_BIAS_MAX : below(4);
    for (uint32_t b = 0; b < sampling->bias_count; b++) {
        sampling->bias[b].token = (int32_t)(b > 0 && below(4) == 0
                                                ? (uint32_t)sampling->bias[b - 1].token
                                                : below(vocab));
        sampling->bias[b].bias = 20 * unit() - 10;
    }
    struct osl_error error;
    assert_ok(osl_sampler_begin(sampler, sampling, &error), error);
    memset(seen, 0, sizeof seen);
    for (uint32_t i = below(200); i > 0; i--) {
        uint32_t token = below(vocab);
        seen[token]++;
        osl_sampler_seen(sampler, (int32_t)token);
    }
    return masked ? allowed : NULL;
}

static inline void assert_token(int32_t token, int32_t expected,
                                const struct osl_sampling *sampling, uint32_t i)
{
    if (token != expected) {
        fail_msg("vocab %u, case %u, seed %llu: token %d, expected %d", vocab, i,
                 (unsigned long long)sampling->seed, token, expected);
    }
}

/* ---- Every tier --------------------------------------------------------------------------- */

static inline int open_tier(void **state)
{
    struct osl_error error;
    enum osl_vk_tier tier = *(const enum osl_vk_tier *)*state;
    osl_pcg32_seed(&generator, SEED, SEED);
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), tier, NULL, &device, &error), error);
    assert_ok(osl_vk_rig_open(&rig, &device, &error), error);
    return 0;
}

static inline int close_tier(void **state)
{
    osl_vk_rig_close(&rig);
    osl_vk_device_close(&device);
    free(sampler);
    sampler = NULL;
    return 0;
}

static inline int close_vulkan(void **state)
{
    vk_test_close(&vk);
    return 0;
}

static enum osl_vk_tier tiers[] = {OSL_VK_TIER_BASE, OSL_VK_TIER_SUBGROUP};
#define TIERS(test)                                                                                \
    {#test " base", test, open_tier, close_tier, &tiers[0]},                                       \
    {#test " subgroup", test, open_tier, close_tier, &tiers[1]}

#endif
