/* The backend's other calls: cache rows and marks, tokens picked ahead, candidates, aborting, and
 * that nothing is made after boot. */
#include "tests/vulkan/vk_executor.h"

#include <math.h>

static const struct osl_vulkan_config plain = {.tier_most = OSL_VK_TIER_MATRIX};

static struct rig_options options_of(uint32_t prefill_tokens)
{
    return (struct rig_options){.threads = 1,
                                .prefill_tokens = prefill_tokens,
                                .context_tokens = 192,
                                .logits_rows = 1,
                                .overlay = true,
                                .kernels = osl_kernels_find("plain")};
}

static void prompt(struct vk_rig *rig, uint32_t count)
{
    uint32_t most = rig->cpu.options.prefill_tokens;
    for (uint32_t first = 0, piece; first < count; first += piece) {
        piece = count - first < most ? count - first : most;
        bool last = first + piece == count;
        assert_int_equal(vk_rig_step(rig, OSL_STEP_PREFILL, first, piece, last ? piece - 1 : 0,
                                     last ? 1 : 0),
                         OSL_OK);
    }
}

static const float *logits_of(struct vk_rig *rig)
{
    const float *logits = NULL;
    assert_int_equal(osl_backend_logits(rig->backend, &logits), OSL_OK);
    return logits;
}

static int32_t best_of(const float *logits, uint32_t vocab)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocab; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return (int32_t)best;
}

static enum osl_status decode(struct vk_rig *rig, int32_t token, uint32_t position)
{
    const struct osl_step step = {.kind = OSL_STEP_DECODE,
                                  .token_count = 1,
                                  .position_first = position,
                                  .tokens = &token,
                                  .logits_row_count = 1};
    return osl_backend_run(rig->backend, &step);
}

/* Greedy decoding by the host, from the logits of the last step. */
static void decode_on_host(struct vk_rig *rig, uint32_t position, uint32_t count, int32_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i] = best_of(logits_of(rig), rig->schedule.shape.vocab);
        assert_int_equal(decode(rig, out[i], position + i), OSL_OK);
    }
}

static struct osl_pick greedy(const struct vk_rig *rig)
{
    return (struct osl_pick){.token_count = rig->schedule.shape.vocab, .repetition_penalty = 1.0f};
}

static uint64_t row_bytes(const struct vk_rig *rig)
{
    return osl_kv_row_bytes(rig->schedule.kv_type, rig->schedule.shape.head_dim);
}

static uint32_t capacity(const struct vk_rig *rig, uint32_t layer)
{
    return ((const struct osl_vulkan *)(const void *)rig->backend)->kv[layer].capacity;
}

/* All rows of a layer's half, in the caller's memory. */
static void read_half(struct vk_rig *rig, uint32_t layer, uint32_t half, uint8_t *out)
{
    assert_int_equal(osl_backend_cache_read(rig->backend, layer, half, 0, capacity(rig, layer),
                                            out),
                     OSL_OK);
}

static void cache_rows_come_back(void **state)
{
    (void)state;
    for (uint32_t m = 0; m < 2; m++) { /* f16 and q8 */
        struct vk_rig rig;
        struct rig_options options = options_of(40);
        static uint8_t wrote[1 << 20], read[1 << 20], other[1 << 20], other_after[1 << 20];
        vk_rig_start(&rig, &rig_models[m], &options, &plain);
        const struct osl_shape *s = &rig.schedule.shape;
        for (uint32_t layer = 0; layer < s->layers; layer++) {
            for (uint32_t half = 0; half < 2 * s->kv_heads; half++) {
                uint32_t rows = capacity(&rig, layer), slot = 3 + half, count = rows - 11 - half;
                uint32_t beside = (half + 1) % (2 * s->kv_heads);
                for (uint64_t i = 0; i < count * row_bytes(&rig); i++) {
                    wrote[i] = (uint8_t)(i * 37 + layer * 5 + half * 11);
                }
                read_half(&rig, layer, beside, other);
                assert_int_equal(osl_backend_cache_write(rig.backend, layer, half, slot, count,
                                                         wrote),
                                 OSL_OK);
                assert_int_equal(osl_backend_cache_read(rig.backend, layer, half, slot, count,
                                                        read),
                                 OSL_OK);
                assert_memory_equal(read, wrote, count * row_bytes(&rig));
                read_half(&rig, layer, beside, other_after);
                assert_memory_equal(other, other_after, rows * row_bytes(&rig));
            }
        }
        vk_rig_stop(&rig);
    }
}

/* Going back to a mark in windowed layers, whose rings have turned since. */
static void mark_restores_the_rings(void **state)
{
    (void)state;
    enum { FIRST = 51, MORE = 90 };
    for (uint32_t m = 0; m < 3; m++) {
        struct vk_rig rig;
        struct rig_options options = options_of(30);
        int32_t straight[12], again[12];
        vk_rig_start(&rig, &rig_models[m], &options, &plain);
        prompt(&rig, FIRST);
        assert_int_equal(osl_backend_mark(rig.backend, 2, FIRST, false), OSL_OK);
        decode_on_host(&rig, FIRST, 12, straight);
        for (uint32_t t = FIRST; t < FIRST + MORE; t += 30) {
            assert_int_equal(vk_rig_step(&rig, OSL_STEP_PREFILL, t, 30, 0, 0), OSL_OK);
        }
        assert_int_equal(osl_backend_mark(rig.backend, 2, FIRST, true), OSL_OK);
        for (uint32_t i = 0; i < 12; i++) { /* the same tokens give the same logits */
            assert_int_equal(decode(&rig, straight[i], FIRST + i), OSL_OK);
            again[i] = best_of(logits_of(&rig), rig.schedule.shape.vocab);
            assert_true(i == 11 || again[i] == straight[i + 1]);
        }
        vk_rig_stop(&rig);
    }
}

/* Tokens picked ahead, in several calls, are those the host would have picked; after a drop the
 * host goes on from where it took the last one. */
static void ahead_is_what_the_host_picks(void **state)
{
    (void)state;
    enum { FIRST = 33, COUNT = 40 };
    for (uint32_t m = 0; m < 3; m++) {
        struct vk_rig rig;
        struct rig_options options = options_of(40);
        int32_t expected[COUNT], token = 0;
        uint32_t asked = 0, taken = 0;
        vk_rig_start(&rig, &rig_models[m], &options, &plain);
        prompt(&rig, FIRST);
        decode_on_host(&rig, FIRST, COUNT, expected);
        struct osl_pick pick = greedy(&rig);
        prompt(&rig, FIRST);
        assert_true(osl_backend_ahead_most(rig.backend) >= 8);
        static const uint32_t counts[] = {1, 5, 2, 8, 1, 3};
        for (uint32_t c = 0; c < 6; c++) {
            uint32_t position = asked == 0 ? FIRST : FIRST + asked - 1;
            assert_int_equal(osl_backend_ahead(rig.backend, &pick, position, counts[c]), OSL_OK);
            asked += counts[c];
            while (taken + 3 < asked) { /* some stay behind */
                assert_int_equal(osl_backend_take(rig.backend, &token), OSL_OK);
                assert_int_equal(token, expected[taken++]);
            }
        }
        assert_int_equal(osl_backend_drop(rig.backend), OSL_OK);
        assert_int_equal(decode(&rig, expected[taken - 1], FIRST + taken - 1), OSL_OK);
        for (; taken < COUNT; taken++) {
            assert_int_equal(best_of(logits_of(&rig), rig.schedule.shape.vocab),
                             expected[taken]);
            assert_int_equal(decode(&rig, expected[taken], FIRST + taken), OSL_OK);
        }
        vk_rig_stop(&rig);
    }
}

/* A mask and a bias, given with the first call only. */
static void ahead_obeys_the_mask(void **state)
{
    (void)state;
    struct vk_rig rig;
    struct rig_options options = options_of(40);
    uint32_t allowed[16] = {0};
    vk_rig_start(&rig, &rig_models[0], &options, &plain);
    prompt(&rig, 20);
    struct osl_pick pick = greedy(&rig);
    pick.allowed = allowed;
    allowed[1] = 1u << 5; /* token 37 alone */
    assert_int_equal(osl_backend_ahead(rig.backend, &pick, 20, 3), OSL_OK);
    memset(allowed, 0xff, sizeof allowed);
    assert_int_equal(osl_backend_ahead(rig.backend, &pick, 22, 2), OSL_OK);
    for (uint32_t i = 0; i < 5; i++) {
        int32_t token = 0;
        assert_int_equal(osl_backend_take(rig.backend, &token), OSL_OK);
        assert_int_equal(token, 37);
    }
    memset(allowed, 0, sizeof allowed);
    prompt(&rig, 20);
    int32_t none = 0;
    assert_int_equal(osl_backend_ahead(rig.backend, &pick, 20, 1), OSL_OK);
    assert_int_equal(osl_backend_take(rig.backend, &none), OSL_OK);
    assert_int_equal(none, -1);
    vk_rig_stop(&rig);
}

static void candidates_are_the_best_logits(void **state)
{
    (void)state;
    struct vk_rig rig;
    struct rig_options options = options_of(40);
    vk_rig_start(&rig, &rig_models[2], &options, &plain);
    prompt(&rig, 35);
    struct osl_pick pick = greedy(&rig);
    struct osl_candidates candidates;
    pick.temperature = 0.7f;
    assert_int_equal(osl_backend_candidates(rig.backend, &pick, &candidates), OSL_OK);
    uint32_t vocab = rig.schedule.shape.vocab;
    assert_int_equal(candidates.count, vocab); /* few enough to have room */
    assert_int_equal(candidates.pickable, vocab);
    static float by_token[1024];
    for (uint32_t i = 0; i < candidates.count; i++) {
        by_token[candidates.token[i]] = candidates.logit[i];
    }
    const float *logits = logits_of(&rig); /* can be asked after it */
    for (uint32_t i = 0; i < vocab; i++) {
        assert_true(by_token[i] == logits[i]);
    }
    vk_rig_stop(&rig);
}

/* The flag is seen between submissions; the step can be run again, with the same result. */
static void abort_ends_a_step(void **state)
{
    (void)state;
    struct vk_rig rig;
    struct rig_options options = options_of(64);
    vk_rig_start(&rig, &rig_models[1], &options, &plain);
    uint32_t vocab = rig.schedule.shape.vocab;
    static float before[1024];
    prompt(&rig, 64);
    memcpy(before, logits_of(&rig), vocab * sizeof before[0]);
    atomic_store(&rig.abort, true);
    assert_int_equal(vk_rig_step(&rig, OSL_STEP_PREFILL, 32, 32, 31, 1), OSL_ABORTED);
    atomic_store(&rig.abort, false);
    assert_int_equal(vk_rig_step(&rig, OSL_STEP_PREFILL, 32, 32, 31, 1), OSL_OK);
    assert_memory_equal(before, logits_of(&rig), vocab * sizeof before[0]);
    vk_rig_stop(&rig);
}

static void (*shim_entry(void *instance, const char *name))(void)
{
    return fault_shim_entry(instance, name);
}

/* Every call of Vulkan is counted: none that makes or allocates anything after boot. */
static void nothing_is_made_after_boot(void **state)
{
    (void)state;
    static const char *const makers[] = {
        "AllocateMemory", "CreateBuffer", "CreateFence", "CreateQueryPool", "CreateShaderModule",
        "CreatePipelineCache", "CreateComputePipelines", "CreateDescriptorPool",
        "AllocateDescriptorSets", "CreateCommandPool", "AllocateCommandBuffers", "MapMemory"};
    struct vk_rig rig;
    struct rig_options options = options_of(40);
    const struct osl_vulkan_config shimmed = {.open = {.entry = shim_entry},
                                              .tier_most = OSL_VK_TIER_MATRIX};
    int32_t tokens[8];
    static uint8_t rows[1 << 20];
    assert_true(fault_shim_open());
    vk_rig_start(&rig, &rig_models[0], &options, &shimmed);
    fault_shim_recount();
    prompt(&rig, 60);
    assert_int_equal(osl_backend_mark(rig.backend, 0, 60, false), OSL_OK);
    decode_on_host(&rig, 60, 8, tokens);
    struct osl_pick pick = greedy(&rig);
    assert_int_equal(osl_backend_ahead(rig.backend, &pick, 68, 8), OSL_OK);
    assert_int_equal(osl_backend_take(rig.backend, tokens), OSL_OK);
    assert_int_equal(osl_backend_drop(rig.backend), OSL_OK);
    read_half(&rig, 0, 0, rows);
    assert_int_equal(osl_backend_cache_write(rig.backend, 0, 0, 0, 5, rows), OSL_OK);
    assert_int_equal(osl_backend_mark(rig.backend, 0, 60, true), OSL_OK);
    assert_true(osl_backend_bandwidth(rig.backend, 2) > 0.0);
    for (uint32_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        assert_int_equal(fault_shim_calls(makers[i]), 0);
    }
    struct fault_shim_seen seen;
    fault_shim_look(&seen);
    assert_true(seen.submits > 10);
    vk_rig_stop(&rig);
    fault_shim_look(&seen);
    assert_int_equal(seen.live, 0);
    assert_int_equal(seen.strange, 0);
}

static void profile_names_every_op(void **state)
{
    (void)state;
    struct vk_rig rig;
    struct rig_options options = options_of(40);
    struct osl_vulkan_config config = plain;
    struct osl_time times[OSL_VK_TIMED_MAX];
    config.profile = true;
    vk_rig_start(&rig, &rig_models[0], &options, &config);
    prompt(&rig, 40);
    assert_int_equal(decode(&rig, 1, 40), OSL_OK);
    for (uint32_t prefill = 0; prefill < 2; prefill++) {
        uint64_t ns = 0;
        uint32_t count = osl_backend_times(rig.backend, prefill == 1, times, OSL_VK_TIMED_MAX);
        assert_true(count >= 7);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(times[i].dispatches > 0 && strlen(times[i].name) > 0);
            ns += times[i].ns;
        }
        assert_true(ns > 0);
        assert_int_equal(osl_backend_times(rig.backend, prefill == 1, times, OSL_VK_TIMED_MAX), 0);
    }
    vk_rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_rows_come_back),
        cmocka_unit_test(mark_restores_the_rings),
        cmocka_unit_test(ahead_is_what_the_host_picks),
        cmocka_unit_test(ahead_obeys_the_mask),
        cmocka_unit_test(candidates_are_the_best_logits),
        cmocka_unit_test(abort_ends_a_step),
        cmocka_unit_test(nothing_is_made_after_boot),
        cmocka_unit_test(profile_names_every_op),
    };
    (void)vk_rig_facts();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
