/* What the executor says of its own cost: operations and bytes against arithmetic by hand, times
 * against a clock around the step, the yardsticks against what no machine can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "executor_rig.h"

static struct rig rig;

static void start(const struct osl_kernels *kernels, uint32_t threads, bool profile)
{
    struct rig_model model = rig_models[0];
    struct rig_options options = {.threads = threads,
                                  .prefill_tokens = 20,
                                  .context_tokens = 64,
                                  .logits_rows = 1,
                                  .profile = profile,
                                  .kernels = kernels};
    model.shape.rms_eps = 1e-5f;
    model.shape.swiglu_alpha = 1.702f;
    model.shape.swiglu_limit = 7.0f;
    rig_make(&rig, &model);
    rig_start(&rig, &options);
}

/* Sums over the kinds of op of one kind of step. */
static struct osl_time sum_of_times(enum osl_step_kind kind)
{
    struct osl_time times[32];
    struct osl_time sum = {.name = "sum"};
    uint32_t count = osl_executor_times(rig.executor, kind, times, 32);
    for (uint32_t t = 0; t < count; t++) {
        assert_true(times[t].dispatches > 0);
        sum.ns += times[t].ns;
        sum.waited_ns += times[t].waited_ns;
        sum.bytes += times[t].bytes;
        sum.operations += times[t].operations;
        sum.peak_ns += times[t].peak_ns;
    }
    return sum;
}

/* Model 0, by hand: 96 wide, experts of 160, 8 query heads and 1 kv head of 32, 3 experts of 5
 * chosen, 131 tokens, 2 layers, the first sees 7 keys. */
#define LAYER_PRODUCTS                                                                             \
    ((8 * 32 + 2 * 32) * 96 /* q, k, v */ + 96 * (8 * 32) /* out */ + 5 * 96 /* router */ +        \
     3 * (2 * 160 * 96 + 96 * 160) /* gate, up, down */)
#define LOGITS_PRODUCTS (131 * 96)

static void operations_are_counted_by_hand(void **state)
{
    (void)state;
    start(osl_kernels_find(NULL), 2, false);
    assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, 20, 19, 1), OSL_OK);
    struct osl_time prefill = sum_of_times(OSL_STEP_PREFILL);
    assert_int_equal(prefill.operations,
                     2 * (20 * 2 * LAYER_PRODUCTS + LOGITS_PRODUCTS)); /* logits of one row */
    assert_int_equal(prefill.bytes, osl_executor_weight_bytes(rig.executor));
    assert_int_equal(prefill.ns, 0); /* not asked for */
    assert_int_equal(sum_of_times(OSL_STEP_PREFILL).operations, 0);

    assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 20, 1, 0, 1), OSL_OK);
    struct osl_time decode = sum_of_times(OSL_STEP_DECODE);
    assert_int_equal(decode.operations, 2 * (2 * LAYER_PRODUCTS + LOGITS_PRODUCTS));
    uint64_t cache_rows = 7 + 21; /* of K and of V, f16 */
    assert_int_equal(decode.bytes, osl_executor_weight_bytes(rig.executor) +
                                       2 * cache_rows * 32 * sizeof(uint16_t));
    assert_int_equal(sum_of_times(OSL_STEP_PREFILL).bytes, 0); /* kept apart */
    rig_stop(&rig);
}

static void profiled_times_fit_in_the_step(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        uint64_t undisturbed_hash = 0;
        for (uint32_t profile = 0; profile < 2; profile++) {
            start(osl_kernels_find(NULL), threads, profile == 1);
            for (uint32_t kind = 0; kind < 2; kind++) {
                uint64_t begin_ns = osl_clock_ns();
                assert_int_equal(rig_step(&rig, (enum osl_step_kind)kind, kind == 0 ? 0 : 20,
                                          kind == 0 ? 20 : 1, 0, kind),
                                 OSL_OK);
                uint64_t took_ns = osl_clock_ns() - begin_ns;
                struct osl_time sum = sum_of_times((enum osl_step_kind)kind);
                assert_true(sum.ns <= took_ns);
                assert_true(sum.waited_ns <= took_ns);
                assert_true(profile == 1 ? sum.ns > 0 : sum.ns == 0);
            }
            uint64_t hash = rig_hash(&rig, 1);
            assert_true(profile == 0 || hash == undisturbed_hash);
            undisturbed_hash = hash;
            rig_stop(&rig);
        }
    }
}

static void peaks_are_found_for_what_is_multiplied(void **state)
{
    (void)state;
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t table_count = osl_kernels_list(tables);
    for (uint32_t i = 0; i < table_count; i++) {
        struct osl_peak_found found[OSL_DTYPE_END];
        start(tables[i], 2, false); /* MXFP4 experts, Q8_0 otherwise */
        uint32_t count = osl_executor_peaks(rig.executor, 1, found, OSL_DTYPE_END);
        bool known = strcmp(tables[i]->name, "plain") != 0;
        assert_true(known ? count >= 2 : count == 0);
        for (uint32_t p = 0; p < count; p++) {
            assert_true(found[p].rate > 1e7 && found[p].rate < 1e16);
            assert_true(found[p].products >= 1);
        }
        double speed =
            osl_executor_read_bandwidth(rig.executor, rig.memory + (128 << 20), 8 << 20, 1);
        assert_true(speed > 1e7 && speed < 1e14);
        assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, 20, 0, 0), OSL_OK);
        double peak_ns = sum_of_times(OSL_STEP_PREFILL).peak_ns;
        assert_true(known ? peak_ns > 0.0 : peak_ns == 0.0);
        assert_int_equal(osl_executor_peaks(rig.executor, 0, found, OSL_DTYPE_END), 0);
        assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, 20, 0, 0), OSL_OK);
        assert_true(sum_of_times(OSL_STEP_PREFILL).peak_ns == 0.0); /* forgotten */
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_counted_by_hand),
        cmocka_unit_test(profiled_times_fit_in_the_step),
        cmocka_unit_test(peaks_are_found_for_what_is_multiplied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
