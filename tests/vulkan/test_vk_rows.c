/* Embedding, norms, rotation and store on the device against the plain C and the double. */
#include "vk_test.h"

#include <math.h>

#include "compute/vulkan/check_attend.h"

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_rig rig;
static uint8_t *memory;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct osl_shape shape_of(uint32_t hidden, uint32_t heads, uint32_t kv_heads,
                                 uint32_t head_dim)
{
    return (struct osl_shape){.layers = 1,
                              .hidden = hidden,
                              .ff = 32,
                              .heads = heads,
                              .kv_heads = kv_heads,
                              .head_dim = head_dim,
                              .experts = 4,
                              .experts_used = 2,
                              .vocab = 101,
                              .window = 24,
                              .rms_eps = 1e-5f};
}

static void check(osl_check_fn *run, const struct osl_vk_check_case *c)
{
    float worst = 0.0f;
    struct osl_error error;
    assert_ok(run(&rig, c, memory, OSL_VK_CHECK_BYTES, &worst, &error), error);
    if (!(worst <= 1.0f)) {
        fail_msg("off %g times what is allowed: hidden %u, head_dim %u, embedding %d, kv type %d, "
                 "tokens %u, position %u, seed %u",
                 (double)worst, c->shape.hidden, c->shape.head_dim, (int)c->embedding,
                 (int)c->kv_type, c->tokens, c->position, c->seed);
    }
    assert_int_equal(vk.validation_messages, 0);
}

static void embed_every_type_and_slab(void **state)
{
    const enum osl_dtype types[] = {OSL_DTYPE_F32, OSL_DTYPE_F16, OSL_DTYPE_BF16, OSL_DTYPE_Q8_0,
                                    OSL_DTYPE_MXFP4};
    const uint32_t hidden[] = {32, 96, 160, 2880};
    for (size_t i = 0; i < COUNT(types) * COUNT(hidden); i++) {
        struct osl_vk_check_case c = {.shape = shape_of(hidden[i / COUNT(types)], 4, 2, 32),
                                      .embedding = types[i % COUNT(types)],
                                      .tokens = 1 + (uint32_t)i % 7 * 3,
                                      .seed = (uint32_t)i};
        check(osl_vk_check_embed, &c);
    }
}

static void norm_partial_rows(void **state)
{
    const uint32_t hidden[] = {32, 64, 96, 640, 2880, 3008};
    for (size_t i = 0; i < COUNT(hidden); i++) {
        for (uint32_t tokens = 1; tokens < 12; tokens += 5) {
            struct osl_vk_check_case c = {
                .shape = shape_of(hidden[i], 4, 2, 32), .tokens = tokens, .seed = (uint32_t)i};
            check(osl_vk_check_norm, &c);
            check(osl_vk_check_logits_norm, &c);
        }
    }
}

static void rope_store_shapes(void **state)
{
    const struct {
        uint32_t heads, kv_heads, head_dim;
    } shapes[] = {{16, 2, 64}, {6, 2, 32}, {10, 2, 96}, {3, 3, 160}, {7, 1, 256}};
    const uint32_t positions[] = {0, 1, 23, 4095, 131060};
    for (size_t i = 0; i < COUNT(shapes) * COUNT(positions) * OSL_KV_TYPES; i++) {
        size_t s = i % COUNT(shapes);
        struct osl_vk_check_case c = {
            .shape = shape_of(96, shapes[s].heads, shapes[s].kv_heads, shapes[s].head_dim),
            .kv_type = (enum osl_kv_type)(i / COUNT(shapes) % OSL_KV_TYPES),
            .tokens = 1 + (uint32_t)i % 3 * 5,
            .position = positions[i / COUNT(shapes) / OSL_KV_TYPES],
            .seed = (uint32_t)i};
        check(osl_vk_check_rope_store, &c);
    }
}

/* ---- Angles ------------------------------------------------------------------------------ */

#define ANGLE_TOKENS 64u

/* Query pairs of (1, 0) come back as cosine and sine, times the concentration. */
static void rope_angles_to_the_double(void **state)
{
    const struct osl_shape shape = shape_of(96, 1, 1, 64);
    const uint32_t firsts[] = {0, 64, 4000, 65500, 99971, 131072 - ANGLE_TOKENS};
    const uint32_t width = 3 * 64;
    static float qkv[ANGLE_TOKENS * 3 * 64], in[ANGLE_TOKENS * 3 * 64];
    struct osl_error error;
    double worst = 0.0;
    for (uint32_t i = 0; i < ANGLE_TOKENS * width; i++) {
        in[i] = i % width < 32 ? 1.0f : 0.0f;
    }
    for (size_t f = 0; f < COUNT(firsts); f++) {
        const struct osl_step step = {.token_count = ANGLE_TOKENS, .position_first = firsts[f]};
        struct osl_vk_kv kv;
        assert_ok(osl_vk_rig_shape(&rig, &shape, OSL_KV_F16, ANGLE_TOKENS, 1, 128, &error), error);
        assert_ok(osl_vk_rig_kv(&rig, 128, 64, &kv, &error), error);
        uint32_t at = rig.net.buffer[OSL_BUFFER_QKV];
        assert_ok(osl_vk_rig_act_write(&rig, at, in, ANGLE_TOKENS * width, &error), error);
        assert_ok(osl_vk_rig_begin(&rig, &error), error);
        assert_ok(osl_vk_rope_store(&rig.recorder, &rig.net, &kv, &error), error);
        assert_ok(osl_vk_rig_run(&rig, &step, &error), error);
        assert_ok(osl_vk_rig_act_read(&rig, at, qkv, ANGLE_TOKENS * width, &error), error);
        for (uint32_t t = 0; t < ANGLE_TOKENS; t++) {
            for (uint32_t i = 0; i < 32; i++) {
                double angle = (double)(firsts[f] + t) * (double)rig.rope[i];
                double c = (double)qkv[t * width + i] / (double)rig.rope[32] - cos(angle);
                double s = (double)qkv[t * width + 32 + i] / (double)rig.rope[32] - sin(angle);
                worst = fmax(worst, fmax(fabs(c), fabs(s)));
            }
        }
    }
    print_message("cosines and sines within %.1e of the double\n", worst);
    assert_true(worst < 3e-7);
}

/* ---- Store ------------------------------------------------------------------------------- */

/* Values that a division rounded some other way, or a flushed subnormal, would store differently:
 * quotients half way between integers, scales half way between halves, tiny and huge blocks. */
static void awkward_block(struct osl_check_inputs *inputs, uint32_t kind, float *x)
{
    float largest =
        ldexpf(1.0f + (float)(osl_check_random(inputs) % 2048) / 2048.0f, (int)kind - 34);
    for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
        float step = largest / 127.0f;
        float half = (float)(osl_check_random(inputs) % 127) + 0.5f;
        x[i] = i % 3 == 0 ? half * step : osl_check_float(inputs, largest);
        x[i] = i % 5 == 0 ? -x[i] : x[i];
    }
    x[kind % OSL_BLOCK_COLS] = largest;
    if (kind % 16 == 15) {
        memset(x, 0, OSL_BLOCK_COLS * sizeof *x);
    }
}

static void store_bits(void **state)
{
    const struct osl_shape shape = shape_of(96, 2, 2, 96);
    const uint32_t tokens = 48, width = 6 * 96;
    static float in[48 * 6 * 96];
    struct osl_error error;
    for (int kv_type = OSL_KV_F16; kv_type < OSL_KV_TYPES; kv_type++) {
        for (uint32_t seed = 0; seed < 8; seed++) {
            struct osl_check_inputs inputs = {
                .at = memory, .left = OSL_VK_CHECK_BYTES, .seed = seed};
            for (uint32_t b = 0; b < tokens * width / OSL_BLOCK_COLS; b++) {
                awkward_block(&inputs, b % 48, in + b * OSL_BLOCK_COLS);
            }
            const struct osl_step step = {.token_count = tokens, .position_first = 0};
            struct osl_check_cache cache;
            float worst = 0.0f;
            assert_ok(
                osl_vk_rig_shape(&rig, &shape, (enum osl_kv_type)kv_type, tokens, 1, 64, &error),
                error);
            assert_ok(osl_check_cache_make(&rig, &inputs, 0, tokens, tokens, &cache, &error),
                      error);
            assert_ok(osl_check_cache_send(&rig, &cache, &error), error);
            assert_ok(osl_vk_rig_act_write(&rig, rig.net.buffer[OSL_BUFFER_QKV], in, tokens * width,
                                           &error),
                      error);
            assert_ok(osl_vk_rig_begin(&rig, &error), error);
            assert_ok(osl_vk_rope_store(&rig.recorder, &rig.net, &cache.kv, &error), error);
            assert_ok(osl_vk_rig_run(&rig, &step, &error), error);
            assert_ok(osl_check_cache_fetch(&rig, &cache, &error), error);
            osl_check_stored(&rig, &inputs, &cache, in, 0, tokens, &worst);
            assert_true(worst <= 1.0f);
        }
    }
}

/* ---- Tiers ------------------------------------------------------------------------------- */

static void open_tier(enum osl_vk_tier tier)
{
    struct osl_error error;
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), tier, NULL, &device, &error), error);
    assert_ok(osl_vk_rig_open(&rig, &device, &error), error);
}

static int open_base(void **state)
{
    open_tier(OSL_VK_TIER_BASE);
    return 0;
}

static int open_subgroup(void **state)
{
    open_tier(OSL_VK_TIER_SUBGROUP);
    return 0;
}

static int close_tier(void **state)
{
    osl_vk_rig_close(&rig);
    osl_vk_device_close(&device);
    return vk.validation_messages == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embed_every_type_and_slab),
        cmocka_unit_test(norm_partial_rows),
        cmocka_unit_test(rope_store_shapes),
        cmocka_unit_test(rope_angles_to_the_double),
        cmocka_unit_test(store_bits),
    };
    vk_test_open(&vk);
    memory = malloc(OSL_VK_CHECK_BYTES);
    assert_non_null(memory);
    int failed = cmocka_run_group_tests_name("base", tests, open_base, close_tier);
    failed += cmocka_run_group_tests_name("subgroup", tests, open_subgroup, close_tier);
    free(memory);
    vk_test_close(&vk);
    return failed;
}
