/* What `devices` advises, on devices that are made up: nothing where all is well, and each sentence
 * where it belongs. No driver is needed. */
#include "tests/vulkan/vk_test.h"

#define GIB ((uint64_t)1 << 30)

/* A device that lacks nothing. */
static struct osl_vk_facts good(enum osl_vk_type type)
{
    struct osl_vk_facts f = {
        .type = type,
        .usable = true,
        .api_version = VK_API_VERSION_1_3,
        .heap_count = 2,
        .heaps = {{.bytes = 24 * GIB, .budget_bytes = 23 * GIB, .device_local = true},
                  {.bytes = 16 * GIB, .budget_bytes = 15 * GIB, .host_visible = true}},
        .unified = type == OSL_VK_INTEGRATED || type == OSL_VK_SOFTWARE,
        .large_bar = type == OSL_VK_DISCRETE,
        .import = true,
        .memory_budget = true,
        .subgroup_arithmetic = true,
        .fp16 = true,
        .storage16 = true,
    };
    return f;
}

/* Exactly one line, with this in it; NULL: none. */
static void expect(const struct osl_vk_facts *facts, const char *part)
{
    char text[OSL_VK_ADVICE_BYTES];
    text[0] = '\0';
    bool found = osl_vk_advice(facts, 0, text, sizeof text);
    assert_int_equal(found, part != NULL);
    if (part != NULL && strstr(text, part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, text);
    }
    /* Cut sentences would end otherwise. */
    assert_true(strlen(text) < sizeof text - 1);
    if (found) {
        assert_false(osl_vk_advice(facts, 1, text, sizeof text));
    }
}

static void nothing_for_good_devices(void **state)
{
    (void)state;
    struct osl_vk_facts f = good(OSL_VK_DISCRETE);
    expect(&f, NULL);
    f = good(OSL_VK_INTEGRATED);
    expect(&f, NULL);
    f.usable = false;
    f.memory_budget = false;
    expect(&f, NULL);
}

static void each_where_it_belongs(void **state)
{
    (void)state;
    struct osl_vk_facts f = good(OSL_VK_SOFTWARE);
    expect(&f, "--device cpu");
    f = good(OSL_VK_DISCRETE);
    f.large_bar = false;
    expect(&f, "resizable BAR is off");
    f = good(OSL_VK_INTEGRATED);
    f.heaps[0].bytes = GIB / 2;
    f.heaps[0].budget_bytes = GIB / 2;
    f.heaps[1].bytes = GIB / 4;
    f.heaps[1].budget_bytes = GIB / 4;
    expect(&f, "gives it 0.8 GiB of the machine's memory, 0.5 GiB of it a carve-out");
    f = good(OSL_VK_DISCRETE);
    f.heaps[0].budget_bytes = 6 * GIB;
    expect(&f, "only 6.0 of its 24.0 GiB");
    f = good(OSL_VK_DISCRETE);
    f.memory_budget = false;
    expect(&f, "VK_EXT_memory_budget");
    f = good(OSL_VK_INTEGRATED);
    f.import = false;
    expect(&f, "VK_EXT_external_memory_host");
    f = good(OSL_VK_DISCRETE);
    f.import = false;
    expect(&f, NULL);
    f.api_version = VK_API_VERSION_1_2;
    expect(&f, "of Vulkan 1.2");
    f = good(OSL_VK_DISCRETE);
    f.subgroup_arithmetic = false;
    expect(&f, "no subgroup arithmetic");
    f = good(OSL_VK_DISCRETE);
    f.storage16 = false;
    expect(&f, "16-bit floats");
}

static void matrices_by_what_was_built(void **state)
{
    (void)state;
    struct osl_vk_facts f = good(OSL_VK_DISCRETE);
    f.matrix_offered = true;
#ifdef VK_KHR_cooperative_matrix
    bool built = strstr(osl_vk_shaders_lack, "cooperative_matrix") == NULL;
#else
    bool built = false;
#endif
    expect(&f, built ? NULL : "built without them");
}

static void several_lines_in_turn(void **state)
{
    (void)state;
    struct osl_vk_facts f = {.usable = true, .type = OSL_VK_DISCRETE};
    char text[OSL_VK_ADVICE_BYTES];
    char before[OSL_VK_ADVICE_BYTES] = "";
    uint32_t lines = 0;
    while (osl_vk_advice(&f, lines, text, sizeof text)) {
        assert_string_not_equal(text, before);
        memcpy(before, text, sizeof text);
        lines++;
        assert_true(lines < 16);
    }
    assert_int_equal(lines, 5); /* window, budget, version, subgroups, halves */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_for_good_devices),
        cmocka_unit_test(each_where_it_belongs),
        cmocka_unit_test(matrices_by_what_was_built),
        cmocka_unit_test(several_lines_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
