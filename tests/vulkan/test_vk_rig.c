/* The workbench and the recorder, by the probe shader (act[i] = 2 act[i] + i). */
#include "tests/vulkan/vk_test.h"

#include <math.h>

#include "compute/vulkan/rig.h"

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_rig rig;

static const struct osl_shape shape = {.layers = 1,
                                       .hidden = 96,
                                       .ff = 64,
                                       .heads = 4,
                                       .kv_heads = 2,
                                       .head_dim = 32,
                                       .experts = 5,
                                       .experts_used = 2,
                                       .vocab = 131,
                                       .window = 7,
                                       .rms_eps = 1e-5f};

static int start(void **state)
{
    (void)state;
    struct osl_error error;
    vk_test_open(&vk);
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), OSL_VK_TIER_BASE, NULL, &device, &error),
              error);
    assert_ok(osl_vk_rig_open(&rig, &device, &error), error);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    osl_vk_rig_close(&rig);
    osl_vk_device_close(&device);
    vk_test_close(&vk);
    return 0;
}

static void take_shape(uint32_t prefill_tokens)
{
    struct osl_error error;
    assert_ok(osl_vk_rig_shape(&rig, &shape, OSL_KV_F16, prefill_tokens, 3, 1024, &error), error);
}

/* Records the probe over count floats at ACT's beginning. */
static void record_probe(uint32_t count, struct osl_vk_groups groups, bool barrier)
{
    struct osl_error error;
    const struct osl_vk_pipeline *pipeline = NULL;
    const uint32_t spec[] = {64};
    assert_ok(osl_vk_pipeline_get(&device, "probe", spec, 1, &pipeline, &error), error);
    struct osl_vk_dispatch dispatch = {.pipeline = pipeline,
                                       .bind = {[1] = rig.net.act},
                                       .push = &count,
                                       .push_bytes = 4,
                                       .groups = groups,
                                       .barrier = barrier,
                                       .name = "probe"};
    assert_ok(osl_vk_record(&rig.recorder, &dispatch, &error), error);
}

static const struct osl_vk_groups one_to_four = {.rule = OSL_VK_FIXED, .x = 4, .y = 1, .z = 1};

static void act_begins_as_nan(void **state)
{
    struct osl_error error;
    float values[200];
    take_shape(8);
    assert_ok(osl_vk_rig_act_read(&rig, rig.net.buffer[OSL_BUFFER_QKV], values, 200, &error),
              error);
    for (uint32_t i = 0; i < 200; i++) {
        assert_true(isnan(values[i]));
    }
    assert_ok(osl_vk_rig_act_read(&rig, rig.net.counters, values, 200, &error), error);
    for (uint32_t i = 0; i < 200; i++) {
        assert_true(values[i] == 0.0f);
    }
}

static void dispatches_see_those_before(void **state)
{
    struct osl_error error;
    float in[256], out[256];
    take_shape(8);
    for (uint32_t i = 0; i < 256; i++) {
        in[i] = 0.5f * (float)i;
    }
    assert_ok(osl_vk_rig_act_write(&rig, 0, in, 256, &error), error);
    assert_ok(osl_vk_rig_begin(&rig, &error), error);
    record_probe(200, one_to_four, true);
    record_probe(200, one_to_four, true);
    assert_int_equal(rig.recorder.dispatches, 2);
    assert_int_equal(rig.recorder.barriers, 2);
    assert_int_equal(rig.recorder.set_count, 1); /* equal bindings share */
    struct osl_step step = {.token_count = 1};
    assert_ok(osl_vk_rig_run(&rig, &step, &error), error);
    for (uint32_t again = 0; again < 2; again++) {
        assert_ok(osl_vk_rig_act_read(&rig, 0, out, 256, &error), error);
        for (uint32_t i = 0; i < 256; i++) {
            float once = i < 200 ? 2.0f * in[i] + (float)i : in[i];
            float twice = i < 200 ? 2.0f * once + (float)i : in[i];
            assert_true(out[i] == twice);
            in[i] = twice;
        }
        assert_ok(osl_vk_rig_rerun(&rig, &step, &error), error);
    }
}

/* One recording, steps of several sizes: the number of workgroups follows the step. */
static void slots_follow_the_step(void **state)
{
    static const struct {
        struct osl_vk_groups groups;
        struct osl_step step;
        uint32_t workgroups;
    } cases[] = {
        {{OSL_VK_TOKENS_X, 9, 1, 1, 3}, {.token_count = 7}, 3},
        {{OSL_VK_TOKENS_X, 9, 1, 1, 3}, {.token_count = 1}, 1},
        {{OSL_VK_TOKENS, 2, 9, 1, 4}, {.token_count = 8}, 2 * 2},
        {{OSL_VK_LOGITS_ROWS, 1, 9, 1, 2}, {.token_count = 8, .logits_row_count = 3}, 2},
        {{OSL_VK_EXPERT_TILES, 1, 9, 1, 4}, {.token_count = 3}, 2 + 5},
        {{OSL_VK_SEGMENTS, 1, 9, 1, 64}, {.token_count = 3, .position_first = 126}, 3},
    };
    for (uint32_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct osl_error error;
        struct osl_gpu_slot slots[OSL_GPU_SLOTS];
        take_shape(8);
        assert_ok(osl_vk_rig_begin(&rig, &error), error);
        record_probe(1, cases[c].groups, true);
        record_probe(2, cases[c].groups, true);
        assert_int_equal(rig.recorder.slot_count, 1);
        assert_ok(osl_vk_rig_run(&rig, &cases[c].step, &error), error);
        struct osl_vk_step_sizes sizes = {.token_count = cases[c].step.token_count,
                                          .position_first = cases[c].step.position_first,
                                          .logits_row_count = cases[c].step.logits_row_count,
                                          .experts_used = shape.experts_used,
                                          .experts = shape.experts};
        osl_vk_slots_fill(&rig.recorder, &sizes, slots);
        assert_int_equal(slots[0].x * slots[0].y * slots[0].z, cases[c].workgroups);
    }
}

static void indirect_size_is_what_runs(void **state)
{
    struct osl_error error;
    float zero[512] = {0};
    float out[512];
    take_shape(8);
    assert_ok(osl_vk_rig_begin(&rig, &error), error);
    record_probe(512, (struct osl_vk_groups){OSL_VK_TOKENS_X, 1, 1, 1, 2}, true);
    for (uint32_t turn = 0; turn < 3; turn++) {
        uint32_t tokens = 8 - 3 * turn;
        assert_ok(osl_vk_rig_act_write(&rig, 0, zero, 512, &error), error);
        struct osl_step step = {.token_count = tokens};
        assert_ok(turn == 0 ? osl_vk_rig_run(&rig, &step, &error)
                              : osl_vk_rig_rerun(&rig, &step, &error),
                  error);
        assert_ok(osl_vk_rig_act_read(&rig, 0, out, 512, &error), error);
        uint32_t ran = (tokens + 1) / 2 * 64;
        for (uint32_t i = 0; i < 512; i++) {
            assert_true(out[i] == (i < ran ? (float)i : 0.0f));
        }
    }
}

/* Larger than the staging buffer, in slabs, and read back as it should lie. */
static void matrix_lies_as_its_layout_says(void **state)
{
    enum { ROWS = 700, COLS = 8192 };
    struct osl_error error;
    uint64_t row_bytes = osl_dtype_row_bytes(OSL_DTYPE_Q8_0, COLS);
    uint8_t *file = malloc(ROWS * row_bytes);
    uint8_t *wanted = malloc(osl_vk_matrix_bytes(OSL_VK_Q8_0, ROWS, COLS));
    uint8_t *found = malloc(osl_vk_matrix_bytes(OSL_VK_Q8_0, ROWS, COLS));
    assert_true(file != NULL && wanted != NULL && found != NULL);
    for (uint64_t i = 0; i < ROWS * row_bytes; i++) {
        file[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    struct osl_weight weight = {.data = file,
                                .dtype = OSL_DTYPE_Q8_0,
                                .rows = ROWS,
                                .cols = COLS,
                                .experts = 1,
                                .row_bytes = row_bytes,
                                .expert_bytes = ROWS * row_bytes};
    static const uint64_t slabs[] = {0, 3u << 20};
    for (uint32_t s = 0; s < 2; s++) {
        struct osl_vk_matrix matrix;
        take_shape(1);
        assert_ok(osl_vk_rig_matrix(&rig, &weight, slabs[s], &matrix, &error), error);
        assert_int_equal(matrix.slab_count, s == 0 ? 1 : 3);
        for (uint32_t i = 0; i < matrix.slab_count; i++) {
            uint32_t first = i * matrix.per_slab;
            uint32_t count = ROWS - first < matrix.per_slab ? ROWS - first : matrix.per_slab;
            uint64_t bytes = osl_vk_scales_offset(OSL_VK_Q8_0, count, COLS) +
                             count * osl_vk_scale_row_bytes(OSL_VK_Q8_0, COLS);
            osl_vk_relayout(OSL_VK_Q8_0, file + first * row_bytes, 0, count, count, COLS, wanted);
            assert_ok(osl_vk_rig_read(&rig, &matrix.slab[i], 0, found, bytes, &error), error);
            assert_memory_equal(found, wanted, bytes);
        }
    }
    free(file);
    free(wanted);
    free(found);
}

static void shape_too_large_is_refused(void **state)
{
    struct osl_error error;
    struct osl_shape large = shape;
    large.ff = 16384;
    assert_int_equal(osl_vk_rig_shape(&rig, &large, OSL_KV_F16, 2048, 1, 64, &error), OSL_MEMORY);
    take_shape(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(act_begins_as_nan),
        cmocka_unit_test(dispatches_see_those_before),
        cmocka_unit_test(slots_follow_the_step),
        cmocka_unit_test(indirect_size_is_what_runs),
        cmocka_unit_test(matrix_lies_as_its_layout_says),
        cmocka_unit_test(shape_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
