/* The products over several tokens, routing and the experts, against plain C: every tier and way,
 * weight type, odd shapes; and that a token's bits do not depend on its company. */
#include "tests/vulkan/vk_test.h"

#include "compute/vulkan/check_matmul.h"

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_rig rig;
static void *memory;
static enum osl_vk_type real_type;

/* The GPU's shapes are tested on software devices too: the facts are made to say it is one. */
static void open_rig(enum osl_vk_tier tier, bool as_discrete)
{
    struct osl_error error;
    uint32_t index = vk_test_index(&vk);
    bool pretend = as_discrete && real_type == OSL_VK_SOFTWARE;
    vk.facts[index].type = pretend ? OSL_VK_DISCRETE : real_type;
    assert_ok(osl_vk_device_open(&vk, index, tier, NULL, &device, &error), error);
    assert_ok(osl_vk_rig_open(&rig, &device, &error), error);
}

static void close_rig(void)
{
    osl_vk_rig_close(&rig);
    osl_vk_device_close(&device);
}

static const enum osl_dtype dtypes[] = {OSL_DTYPE_F32, OSL_DTYPE_F16, OSL_DTYPE_BF16,
                                        OSL_DTYPE_Q8_0, OSL_DTYPE_MXFP4};
#define DTYPES (sizeof dtypes / sizeof dtypes[0])

static struct osl_vk_check_case make_case(uint32_t hidden, uint32_t ff, uint32_t heads,
                                          uint32_t head_dim, uint32_t experts, uint32_t used,
                                          uint32_t tokens, enum osl_dtype dtype, uint32_t seed)
{
    return (struct osl_vk_check_case){
        .shape = {.layers = 1, .hidden = hidden, .ff = ff, .heads = heads, .kv_heads = 1,
                  .head_dim = head_dim, .experts = experts, .experts_used = used, .vocab = 811,
                  .window = 64, .rms_eps = 1e-5f, .swiglu_alpha = 1.702f, .swiglu_limit = 7.0f},
        .kv_type = OSL_KV_F16, .dense = dtype, .router = dtype, .expert = dtype, .output = dtype,
        .tokens = tokens, .seed = seed};
}

static float worst_of_all;

static void check_all(const struct osl_vk_check_case *c, const char *only)
{
    for (const struct osl_vk_check *check = osl_vk_checks_matmul; check->name != NULL; check++) {
        struct osl_error error;
        float worst = -1.0f;
        if (only != NULL && strcmp(only, check->name) != 0) {
            continue;
        }
        assert_ok(check->run(&rig, c, memory, OSL_VK_CHECK_BYTES, &worst, &error), error);
        if (!(worst >= 0.0f && worst <= 1.0f)) {
            fail_msg("%s: %g times what is allowed; hidden %u ff %u heads %u x %u experts %u of %u "
                     "tokens %u %s seed %u", check->name, (double)worst, c->shape.hidden,
                     c->shape.ff, c->shape.heads, c->shape.head_dim, c->shape.experts_used,
                     c->shape.experts, c->tokens, osl_dtype_name(c->dense), c->seed);
        }
        worst_of_all = worst > worst_of_all ? worst : worst_of_all;
    }
}

static uint32_t seed = 100;

static const uint32_t shapes[][6] = {
    {96, 160, 3, 64, 5, 2}, {160, 96, 9, 96, 33, 4}, {32, 64, 1, 32, 1, 1}};
static const uint32_t tokens[] = {1, 2, 31, 33, 70};
enum { SHAPES = sizeof shapes / sizeof shapes[0], TOKENS = sizeof tokens / sizeof tokens[0] };

static void check_shape(uint32_t shape, uint32_t dtype, uint32_t token_index)
{
    const uint32_t *w = shapes[shape];
    struct osl_vk_check_case c = make_case(w[0], w[1], w[2], w[3], w[4], w[5],
                                           tokens[token_index % TOKENS], dtypes[dtype], seed++);
    check_all(&c, NULL);
}

/* Widths that are not whole tiles, odd numbers of blocks, one token to three tiles and a tail; of
 * the token counts two with each width and type, so that all meet all widths. */
static void sweep(enum osl_vk_tier tier, bool as_discrete)
{
    open_rig(tier, as_discrete);
    worst_of_all = 0.0f;
    for (uint32_t s = 0; s < SHAPES; s++) {
        for (uint32_t d = 0; d < DTYPES; d++) {
            for (uint32_t t = 0; t < 2; t++) {
                check_shape(s, d, s + d + 2 * t);
            }
        }
    }
    printf("%s%s: worst %.3f of what is allowed\n", osl_vk_tier_name(tier),
           as_discrete ? ", as on a GPU" : "", (double)worst_of_all);
    close_rig();
}

static bool reported(enum osl_vk_tier tier)
{
    return tier <= vk.facts[vk_test_index(&vk)].tier_reported;
}

static void products_as_here(void **state)
{
    (void)state;
    sweep(OSL_VK_TIER_BASE, false);
}

static void products_base(void **state)
{
    (void)state;
    sweep(OSL_VK_TIER_BASE, true);
}

static void products_fp16(void **state)
{
    (void)state;
    if (!reported(OSL_VK_TIER_FP16)) {
        skip();
    }
    sweep(OSL_VK_TIER_FP16, true);
}

static void products_dot(void **state)
{
    (void)state;
    if (!reported(OSL_VK_TIER_DOT)) {
        skip();
    }
    vk.facts[vk_test_index(&vk)].dot_accelerated = true;
    sweep(OSL_VK_TIER_DOT, true);
}

static void products_matrix(void **state)
{
    (void)state;
    if (!reported(OSL_VK_TIER_MATRIX)) {
        skip();
    }
    open_rig(OSL_VK_TIER_MATRIX, true);
    worst_of_all = 0.0f;
    /* f32 weights have no such way; a software device takes seconds to compile each pipeline */
    for (uint32_t d = 1; d < DTYPES; d++) {
        check_shape(d % 2, d, d);
        check_shape(d % 2, d, d + 2);
    }
    printf("matrix, as on a GPU: worst %.3f of what is allowed\n", (double)worst_of_all);
    close_rig();
}

static const struct osl_vk_check *find_check(const char *name)
{
    const struct osl_vk_check *check = osl_vk_checks_matmul;
    while (strcmp(check->name, name) != 0) {
        check++;
    }
    return check;
}

/* Runs the recording that "expert down" left once more, for `count` tokens: their X from x. */
static void rerun_down(uint32_t count, const float *x, float *x_out, uint32_t floats)
{
    struct osl_error error;
    const struct osl_step step = {.kind = OSL_STEP_PREFILL, .token_count = count};
    uint32_t at = rig.net.buffer[OSL_BUFFER_X];
    assert_ok(osl_vk_rig_act_write(&rig, at, x, floats, &error), error);
    assert_ok(osl_vk_rig_rerun(&rig, &step, &error), error);
    assert_ok(osl_vk_rig_act_read(&rig, at, x_out, floats, &error), error);
}

/* The same bits for a token among 70 and among fewer: routing, down and the weighted sum, where
 * every token's place in tiles and groups differs between the runs. */
static void a_tokens_bits_are_its_own(void **state)
{
    (void)state;
    for (uint32_t as_discrete = 0; as_discrete < 2; as_discrete++) {
        open_rig(OSL_VK_TIER_DOT, as_discrete == 1);
        struct osl_vk_check_case c = make_case(96, 160, 3, 64, 5, 2, 70, OSL_DTYPE_MXFP4, 7);
        float worst;
        struct osl_error error;
        uint32_t floats = c.tokens * c.shape.hidden;
        assert_ok(find_check("expert down of a prompt")->run(&rig, &c, memory, OSL_VK_CHECK_BYTES,
                                                             &worst, &error), error);
        float *zero = calloc(floats, sizeof *zero), *all = calloc(floats, sizeof *all);
        float *some = calloc(floats, sizeof *some);
        rerun_down(70, zero, all, floats);
        for (uint32_t count = 1; count < 70; count += 17) {
            rerun_down(count, zero, some, floats);
            assert_memory_equal(some, all, (size_t)count * c.shape.hidden * sizeof *all);
            for (uint32_t i = count * c.shape.hidden; i < floats; i++) {
                assert_true(some[i] == 0.0f); /* tokens the step does not have */
            }
        }
        free(zero);
        free(all);
        free(some);
        close_rig();
    }
}

/* The widths of the 20b, in every tier there is. */
static void products_wide(void **state)
{
    (void)state;
    for (uint32_t tier = 0; tier < OSL_VK_TIER_COUNT && reported(tier); tier++) {
        for (uint32_t as_discrete = 0; as_discrete < (tier == 0 ? 1u : 2u); as_discrete++) {
            open_rig(tier, as_discrete == 1);
            struct osl_vk_check_case c = make_case(2880, 2880, 64, 64, 4, 2, 33, OSL_DTYPE_Q8_0, 8);
            c.expert = OSL_DTYPE_MXFP4;
            c.router = OSL_DTYPE_F32;
            check_all(&c, NULL);
            close_rig();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_as_here), cmocka_unit_test(products_base),
        cmocka_unit_test(products_fp16),    cmocka_unit_test(products_dot),
        cmocka_unit_test(products_matrix),  cmocka_unit_test(a_tokens_bits_are_its_own),
        cmocka_unit_test(products_wide),
    };
    vk_test_open(&vk);
    real_type = vk.facts[vk_test_index(&vk)].type;
    memory = aligned_alloc(64, OSL_VK_CHECK_BYTES);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(memory);
    osl_vk_close(&vk);
    return failed + (vk.validation_messages > 0);
}
