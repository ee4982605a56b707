/* The decode launches against the plain C ops, over weight types, tiers and odd shapes. */
#include "tests/vulkan/vk_test.h"

#include "compute/vulkan/rig.h"

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_rig rig;
static void *memory;

/* None square, few of powers of two. 96: three blocks, not a whole team. 2880: the 20b's. 8192
 * columns do not fit shared memory of 16 or 32 KiB, so that the norm is a dispatch of its own. */
static const struct osl_shape shapes[] = {
    {.layers = 1,
     .hidden = 96,
     .ff = 160,
     .heads = 4,
     .kv_heads = 2,
     .head_dim = 32,
     .experts = 5,
     .experts_used = 3,
     .vocab = 601,
     .window = 7,
     .rms_eps = 1e-5f,
     .swiglu_alpha = 1.702f,
     .swiglu_limit = 7.0f},
    {.layers = 1,
     .hidden = 160,
     .ff = 224,
     .heads = 6,
     .kv_heads = 2,
     .head_dim = 64,
     .experts = 32,
     .experts_used = 4,
     .vocab = 1203,
     .window = 7,
     .rms_eps = 1e-5f,
     .swiglu_alpha = 1.702f,
     .swiglu_limit = 1.0f},
    {.layers = 1,
     .hidden = 2880,
     .ff = 2880,
     .heads = 64,
     .kv_heads = 8,
     .head_dim = 64,
     .experts = 6,
     .experts_used = 4,
     .vocab = 149,
     .window = 128,
     .rms_eps = 1e-5f,
     .swiglu_alpha = 1.702f,
     .swiglu_limit = 7.0f},
    {.layers = 1,
     .hidden = 8224,
     .ff = 96,
     .heads = 3,
     .kv_heads = 1,
     .head_dim = 96,
     .experts = 5,
     .experts_used = 1,
     .vocab = 37,
     .window = 7,
     .rms_eps = 1e-5f,
     .swiglu_alpha = 1.702f,
     .swiglu_limit = 7.0f},
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

/* Dense, router, expert and output types together. */
static const enum osl_dtype types[][4] = {
    {OSL_DTYPE_Q8_0, OSL_DTYPE_F32, OSL_DTYPE_MXFP4, OSL_DTYPE_Q8_0},
    {OSL_DTYPE_MXFP4, OSL_DTYPE_BF16, OSL_DTYPE_Q8_0, OSL_DTYPE_F16},
    {OSL_DTYPE_BF16, OSL_DTYPE_Q8_0, OSL_DTYPE_F32, OSL_DTYPE_MXFP4},
    {OSL_DTYPE_F32, OSL_DTYPE_F16, OSL_DTYPE_BF16, OSL_DTYPE_BF16},
    {OSL_DTYPE_F16, OSL_DTYPE_MXFP4, OSL_DTYPE_F16, OSL_DTYPE_F32},
};
#define TYPES (sizeof types / sizeof types[0])

static int start(void **state)
{
    (void)state;
    vk_test_open(&vk);
    memory = malloc(OSL_VK_CHECK_BYTES);
    return memory == NULL ? -1 : 0;
}

static int finish(void **state)
{
    (void)state;
    free(memory);
    vk_test_close(&vk);
    return 0;
}

/* What the device is taken for, so that shapes made for others are tested on this one. */
enum guise {
    ITSELF,
    CARD,   /* workgroups of several subgroups, teams wider than a subgroup, 16 KiB shared */
    SPREAD, /* a software device that keeps uniform values scalar */
};

static void open_tier(enum osl_vk_tier tier, enum guise guise)
{
    struct osl_error error;
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), tier, NULL, &device, &error), error);
    assert_ok(osl_vk_rig_open(&rig, &device, &error), error);
    static struct osl_vk_facts facts;
    facts = *device.facts;
    device.facts = &facts;
    if (guise == CARD) {
        facts.type = OSL_VK_DISCRETE;
        facts.subgroup_size = 32;
        facts.subgroup_size_control = false;
        facts.shared_bytes = 16384;
    } else if (guise == SPREAD) {
        facts.type = OSL_VK_SOFTWARE;
        facts.fp16 = true;
    }
}

static void close_tier(void)
{
    osl_vk_rig_close(&rig);
    osl_vk_device_close(&device);
}

static void run_checks(const struct osl_shape *shape, const enum osl_dtype type[4], uint32_t seed)
{
    struct osl_vk_check_case c = {.shape = *shape,
                                  .kv_type = OSL_KV_F16,
                                  .dense = type[0],
                                  .router = type[1],
                                  .expert = type[2],
                                  .output = type[3],
                                  .tokens = 1,
                                  .position = 5,
                                  .seed = seed};
    for (const struct osl_vk_check *check = osl_vk_checks_matvec; check->name != NULL; check++) {
        struct osl_error error;
        float worst = -1.0f;
        uint64_t start_ns = osl_clock_ns();
        enum osl_status status = check->run(&rig, &c, memory, OSL_VK_CHECK_BYTES, &worst, &error);
        if (status != OSL_OK) {
            fail_msg("%s: %s", check->name, error.text);
        }
        if (!(worst >= 0.0f && worst <= 1.0f)) {
            fail_msg("%s, tier %s, hidden %u, dense %s, router %s, expert %s, output %s, seed %u: "
                     "off by %g of what is allowed",
                     check->name, osl_vk_tier_name(device.tier), shape->hidden,
                     osl_dtype_name(type[0]), osl_dtype_name(type[1]), osl_dtype_name(type[2]),
                     osl_dtype_name(type[3]), seed, (double)worst);
        }
        if (getenv("OSL_VK_SHOW") != NULL) {
            printf("%-14s %-9s hidden %-5u seed %u: %.3f in %.1f ms\n", check->name,
                   osl_vk_tier_name(device.tier), shape->hidden, seed, (double)worst,
                   (double)(osl_clock_ns() - start_ns) * 1e-6);
        }
    }
}

static void sweep(enum osl_vk_tier tier, enum guise guise)
{
    if (vk.facts[vk_test_index(&vk)].tier_reported < tier) {
        skip();
    }
    uint32_t seed = 0;
    for (uint32_t s = 0; s < SHAPES; s++) {
        open_tier(tier, guise);                   /* each shape makes pipelines of its own */
        uint32_t type_count = s == 3 ? 2 : TYPES; /* the widest takes longest */
        for (uint32_t t = 0; t < type_count; t++) {
            run_checks(&shapes[s], types[t], seed++);
        }
        for (uint32_t i = 0; s == 0 && i < 3; i++) { /* all turns of a seed, on the model's types */
            run_checks(&shapes[s], types[0], i);
        }
        close_tier();
    }
}

#define SWEEP(name, tier, guise)                                                                   \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        sweep(tier, guise);                                                                        \
    }
SWEEP(matvec_base, OSL_VK_TIER_BASE, ITSELF)
SWEEP(matvec_subgroup, OSL_VK_TIER_SUBGROUP, ITSELF)
SWEEP(matvec_dot, OSL_VK_TIER_DOT, ITSELF)
SWEEP(matvec_base_card, OSL_VK_TIER_BASE, CARD)
SWEEP(matvec_subgroup_card, OSL_VK_TIER_SUBGROUP, CARD)
SWEEP(matvec_dot_card, OSL_VK_TIER_DOT, CARD)
SWEEP(matvec_base_spread, OSL_VK_TIER_BASE, SPREAD)
SWEEP(matvec_subgroup_spread, OSL_VK_TIER_SUBGROUP, SPREAD)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matvec_base),          cmocka_unit_test(matvec_subgroup),
        cmocka_unit_test(matvec_dot),           cmocka_unit_test(matvec_base_card),
        cmocka_unit_test(matvec_subgroup_card), cmocka_unit_test(matvec_dot_card),
        cmocka_unit_test(matvec_base_spread),   cmocka_unit_test(matvec_subgroup_spread),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
