/* The whole pass on the device: against the CPU executor on odd shapes, and against itself, bit by
 * bit, where steps are cut, replayed or recorded anew. */
#include "tests/vulkan/vk_executor.h"

#include <math.h>

#define TEXT 90u

static const struct osl_vulkan_config plain = {.tier_most = OSL_VK_TIER_MATRIX};

static struct rig_options options_of(uint32_t prefill_tokens, uint32_t logits_rows)
{
    return (struct rig_options){.threads = 1,
                                .prefill_tokens = prefill_tokens,
                                .context_tokens = 128,
                                .logits_rows = logits_rows,
                                .overlay = true,
                                .kernels = osl_kernels_find("plain")};
}

/* Largest difference between rows of logits, over the largest logit. */
static double distance(const float *a, const float *b, uint64_t count)
{
    double worst = 0.0;
    double largest = 0.0;
    for (uint64_t i = 0; i < count; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = !(d <= worst) ? d : worst; /* NaN counts as worst */
        largest = fabs((double)b[i]) > largest ? fabs((double)b[i]) : largest;
    }
    return worst / largest;
}

static const float *device_logits(struct vk_rig *rig)
{
    const float *logits = NULL;
    assert_int_equal(osl_backend_logits(rig->backend, &logits), OSL_OK);
    return logits;
}

/* Prefill of most of the text in two steps, decode of the rest, logits compared on the way. Tokens
 * whose choice of experts is a near tie may differ: a device rounds otherwise. */
static void compare_whole_pass(const struct osl_vulkan_config *config)
{
    for (uint32_t m = 0; m < RIG_MODELS; m++) {
        struct vk_rig rig;
        struct rig_options options = options_of(40, 40);
        uint32_t vocab = rig_models[m].shape.vocab;
        vk_rig_start(&rig, &rig_models[m], &options, config);
        double worst = 0.0;
        uint32_t near = 0, rows = 0;
        for (uint32_t first = 0, count; first < TEXT; first += count) {
            enum osl_step_kind kind = first < 60 ? OSL_STEP_PREFILL : OSL_STEP_DECODE;
            count = first < 60 ? (first == 0 ? 37 : 23) : 1;
            assert_int_equal(rig_step(&rig.cpu, kind, first, count, 0, count), OSL_OK);
            assert_int_equal(vk_rig_step(&rig, kind, first, count, 0, count), OSL_OK);
            const float *expected = osl_executor_logits(rig.cpu.executor);
            const float *found = device_logits(&rig);
            for (uint32_t r = 0; r < count; r++, rows++) {
                double d = distance(found + (uint64_t)r * vocab, expected + (uint64_t)r * vocab,
                                    vocab);
                near += d < 2e-3 ? 1 : 0;
                worst = !(d <= worst) ? d : worst;
            }
        }
        printf("model %u: %u of %u rows near, worst %.2e\n", m, near, rows, worst);
        assert_true(near >= rows * 9 / 10);
        assert_true(worst < 1.0);
        vk_rig_stop(&rig);
    }
}

static void whole_pass_is_the_cpus(void **state)
{
    (void)state;
    compare_whole_pass(&plain);
}

/* The same with weights used where the host has them. */
static void whole_pass_on_imported_weights(void **state)
{
    (void)state;
    struct osl_vulkan_config config = plain;
    config.limits.import_weights = true;
    if (!vk_rig_facts()->import || !vk_rig_facts()->unified) {
        printf("not on this device\n");
        return;
    }
    compare_whole_pass(&config);
}

static uint64_t fnv(uint64_t hash, const void *data, uint64_t bytes)
{
    const uint8_t *at = data;
    for (uint64_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3u;
    }
    return hash;
}

/* Of cache rows [0, count) of every layer and half, and one row of logits. */
static uint64_t hash_state(struct vk_rig *rig, uint32_t count)
{
    const struct osl_shape *s = &rig->schedule.shape;
    uint64_t hash = 0xcbf29ce484222325u;
    uint8_t *rows = malloc((uint64_t)count * osl_kv_row_bytes(rig->schedule.kv_type, s->head_dim));
    hash = fnv(hash, device_logits(rig), (uint64_t)s->vocab * 4);
    for (uint32_t layer = 0; layer < s->layers; layer++) {
        for (uint32_t half = 0; half < 2 * s->kv_heads; half++) {
            uint64_t bytes =
                (uint64_t)count * osl_kv_row_bytes(rig->schedule.kv_type, s->head_dim);
            assert_int_equal(osl_backend_cache_read(rig->backend, layer, half, 0, count, rows),
                             OSL_OK);
            hash = fnv(hash, rows, bytes);
        }
    }
    free(rows);
    return hash;
}

/* Prefill in steps of these lengths, in turn, to token `end`. */
static void prefill_in(struct vk_rig *rig, const uint32_t *lengths, uint32_t kinds, uint32_t end)
{
    uint32_t turn = 0;
    for (uint32_t first = 0, count; first < end; first += count) {
        count = lengths[turn++ % kinds];
        count = end - first < count ? end - first : count;
        bool last = first + count == end;
        assert_int_equal(vk_rig_step(rig, OSL_STEP_PREFILL, first, count, last ? count - 1 : 0,
                                     last ? 1 : 0),
                         OSL_OK);
    }
}

static void prefill_cut_anyhow_is_the_same(void **state)
{
    (void)state;
    static const uint32_t cuts[][3] = {{64, 64, 64}, {1, 1, 1}, {7, 31, 2}, {33, 1, 30}};
    for (uint32_t m = 0; m < RIG_MODELS; m++) {
        struct vk_rig rig;
        struct rig_options options = options_of(64, 1);
        uint64_t hash[4];
        vk_rig_start(&rig, &rig_models[m], &options, &plain);
        for (uint32_t c = 0; c < 4; c++) {
            prefill_in(&rig, cuts[c], 3, 64);
            hash[c] = hash_state(&rig, 64);
            assert_int_equal(hash[c], hash[0]);
        }
        vk_rig_stop(&rig);
    }
}

/* A device so slow that prompts are cut into chunks and steps into single layers: rows of logits
 * from several chunks, and the same bits. */
static void cut_for_time_is_the_same(void **state)
{
    (void)state;
    struct vk_rig rig;
    struct rig_options options = options_of(64, 40);
    uint32_t vocab = rig_models[0].shape.vocab;
    static float whole[40 * 256], one[256];
    vk_rig_start(&rig, &rig_models[0], &options, &plain);
    struct osl_vulkan *v = osl_vulkan_own(rig.backend);
    for (uint32_t slow = 0; slow < 2; slow++) {
        for (uint32_t kind = 0; slow == 1 && kind < OSL_VK_KINDS; kind++) {
            v->pace.unit_ns[kind] = 1e12;
        }
        assert_int_equal(vk_rig_step(&rig, OSL_STEP_PREFILL, 0, 64, 20, 40), OSL_OK);
        const float *logits = device_logits(&rig);
        if (slow == 0) {
            memcpy(whole, logits, 40 * vocab * sizeof whole[0]);
        }
        assert_memory_equal(whole, logits, 40 * vocab * sizeof whole[0]);
        assert_int_equal(vk_rig_step(&rig, OSL_STEP_DECODE, 64, 1, 0, 1), OSL_OK);
        struct osl_vulkan_report report;
        osl_vulkan_report(rig.backend, &report);
        assert_true(slow == 0 || report.submissions_per_token >= rig_models[0].shape.layers);
        logits = device_logits(&rig);
        if (slow == 0) {
            memcpy(one, logits, vocab * sizeof one[0]);
        }
        assert_memory_equal(one, logits, vocab * sizeof one[0]);
    }
    vk_rig_stop(&rig);
}

/* The same steps again, after the device was made anew and after others in between. */
static void replay_equals_recording_anew(void **state)
{
    (void)state;
    static const uint32_t cut[] = {25};
    struct vk_rig rig;
    struct rig_options options = options_of(64, 1);
    struct osl_error error;
    uint64_t hash[3];
    vk_rig_start(&rig, &rig_models[0], &options, &plain);
    for (uint32_t turn = 0; turn < 3; turn++) {
        prefill_in(&rig, cut, 1, 50);
        for (uint32_t t = 50; t < 60; t++) {
            assert_int_equal(vk_rig_step(&rig, OSL_STEP_DECODE, t, 1, 0, 1), OSL_OK);
        }
        hash[turn] = hash_state(&rig, 60);
        assert_int_equal(hash[turn], hash[0]);
        if (turn == 1) {
            assert_ok(osl_backend_restart(rig.backend, &error), error);
        }
    }
    struct osl_vulkan_report report;
    osl_vulkan_report(rig.backend, &report);
    assert_int_equal(report.restarts, 1);
    printf("a token: %u dispatches, %u barriers, %u submissions\n", report.dispatches_per_token,
           report.barriers_per_token, report.submissions_per_token);
    vk_rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_pass_is_the_cpus),
        cmocka_unit_test(whole_pass_on_imported_weights),
        cmocka_unit_test(prefill_cut_anyhow_is_the_same),
        cmocka_unit_test(cut_for_time_is_the_same),
        cmocka_unit_test(replay_equals_recording_anew),
    };
    (void)vk_rig_facts();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
