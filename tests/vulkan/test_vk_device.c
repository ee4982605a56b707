/* The device: facts, tiers, buffers, pipelines. */
#include "tests/vulkan/vk_test.h"

static struct osl_vk vk;
static struct osl_vk_device device;

static void open_device(enum osl_vk_tier tier)
{
    struct osl_error error;
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), tier, NULL, &device, &error), error);
}

static void facts_are_sane(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < vk.device_count; i++) {
        const struct osl_vk_facts *f = &vk.facts[i];
        assert_int_equal(f->index, i);
        assert_true(f->name[0] != '\0');
        assert_true(f->usable == (f->refusal[0] == '\0'));
        if (!f->usable) {
            continue;
        }
        assert_true(f->api_version >= VK_API_VERSION_1_2);
        assert_true(f->driver[0] != '\0' && f->driver_version != 0);
        assert_true(f->heap_count >= 1 && f->heap_count <= OSL_VK_HEAPS_MAX);
        for (uint32_t heap = 0; heap < f->heap_count; heap++) {
            assert_true(f->heaps[heap].bytes > 0);
            assert_true(f->heaps[heap].budget_bytes <= f->heaps[heap].bytes);
        }
        assert_true(f->binding_bytes >= 128u << 20 && f->binding_bytes <= UINT32_MAX);
        assert_true(f->allocation_bytes >= 1u << 30);
        assert_in_range(f->offset_alignment, 1, 256);
        assert_true(f->shared_bytes >= 16u << 10 && f->invocations >= 128);
        assert_true(f->groups_max[0] >= 65535 && f->groups_max[1] >= 65535);
        assert_in_range(f->subgroup_min, 1, f->subgroup_size);
        assert_in_range(f->subgroup_max, f->subgroup_size, 128);
        assert_true(!f->import || (f->import_alignment & (f->import_alignment - 1)) == 0);
        assert_true(!f->matrix || (f->matrix_m >= 4 && f->matrix_n >= 4 && f->matrix_k >= 4));
        assert_true(!f->large_bar || f->type == OSL_VK_DISCRETE);
        assert_true((uint32_t)f->tier_reported < OSL_VK_TIER_COUNT);
    }
}

static void tiers_switch_on_what_they_say(void **state)
{
    (void)state;
    const struct osl_vk_facts *f = &vk.facts[vk_test_index(&vk)];
    for (uint32_t tier = 0; tier < OSL_VK_TIER_COUNT; tier++) {
        open_device(tier);
        assert_int_equal(device.subgroup, tier >= OSL_VK_TIER_SUBGROUP && f->subgroup_arithmetic);
        assert_true(!device.fp16 || tier >= OSL_VK_TIER_FP16);
        assert_true(!device.dot || tier >= OSL_VK_TIER_DOT);
        assert_true(!device.matrix || (tier == OSL_VK_TIER_MATRIX && device.fp16));
        osl_vk_device_close(&device);
    }
    printf("reported: %s\n", osl_vk_tier_name(f->tier_reported));
}

static void no_such_device(void **state)
{
    (void)state;
    struct osl_error error;
    assert_int_equal(osl_vk_device_open(&vk, vk.device_count, OSL_VK_TIER_BASE, NULL, &device,
                                        &error),
                     OSL_ARGUMENT);
}

static void buffers_of_every_kind(void **state)
{
    (void)state;
    open_device(OSL_VK_TIER_BASE);
    struct osl_error error;
    struct osl_vk_buffer *made[4];
    for (uint32_t kind = 0; kind < 4; kind++) {
        assert_ok(osl_vk_buffer_make(&device, kind, 100000 + kind, &made[kind], &error), error);
        assert_int_equal(made[kind]->bytes, 100000 + kind);
        assert_true(kind == OSL_VK_MEMORY_DEVICE || made[kind]->mapped != NULL);
        if (made[kind]->mapped != NULL) {
            memset(made[kind]->mapped, (int)kind, made[kind]->bytes);
        }
        for (uint32_t other = 0; other < kind; other++) {
            assert_ptr_not_equal(made[kind], made[other]);
        }
    }
    osl_vk_buffer_free(&device, made[1]);
    struct osl_vk_buffer *again;
    assert_ok(osl_vk_buffer_make(&device, OSL_VK_MEMORY_UPLOAD, 77, &again, &error), error);
    assert_ptr_equal(again, made[1]);
    osl_vk_device_close(&device);
}

static void buffer_over_the_budget_is_refused(void **state)
{
    (void)state;
    open_device(OSL_VK_TIER_BASE);
    struct osl_vk_facts *f = &vk.facts[vk_test_index(&vk)];
    struct osl_vk_facts kept = *f;
    for (uint32_t heap = 0; heap < f->heap_count; heap++) {
        f->heaps[heap].budget_bytes = 3 << 20;
    }
    struct osl_error error;
    struct osl_vk_buffer *first;
    struct osl_vk_buffer *second = NULL;
    assert_ok(osl_vk_buffer_make(&device, OSL_VK_MEMORY_UPLOAD, 2 << 20, &first, &error), error);
    uint32_t heap = first->heap;
    assert_true(device.heap_used_bytes[heap] >= 2 << 20);
    /* Other heaps may serve the same purpose: full as well. */
    for (uint32_t i = 0; i < f->heap_count; i++) {
        f->heaps[i].budget_bytes = i == heap ? 3 << 20 : 0;
    }
    assert_int_equal(
        osl_vk_buffer_make(&device, OSL_VK_MEMORY_UPLOAD, 2 << 20, &second, &error), OSL_MEMORY);
    assert_null(second);
    assert_non_null(strstr(error.text, "2 MiB are needed"));
    osl_vk_buffer_free(&device, first);
    assert_int_equal(device.heap_used_bytes[heap], 0);
    assert_ok(osl_vk_buffer_make(&device, OSL_VK_MEMORY_UPLOAD, 2 << 20, &second, &error), error);
    osl_vk_device_close(&device);
    *f = kept;
}

static void pipelines_are_made_once(void **state)
{
    (void)state;
    open_device(OSL_VK_TIER_MATRIX);
    struct osl_error error;
    const struct osl_vk_pipeline *a;
    const struct osl_vk_pipeline *b;
    const struct osl_vk_pipeline *c;
    uint32_t spec[] = {64, device.facts->subgroup_size};
    assert_ok(osl_vk_pipeline_get(&device, "probe", spec, 2, &a, &error), error);
    assert_ok(osl_vk_pipeline_get(&device, "probe", spec, 2, &b, &error), error);
    assert_ptr_equal(a, b);
    spec[0] = 32;
    assert_ok(osl_vk_pipeline_get(&device, "probe", spec, 2, &c, &error), error);
    assert_ptr_not_equal(a, c);
    assert_ok(osl_vk_pipeline_get(&device, "probe", NULL, 0, &c, &error), error);
    assert_int_equal(device.pipeline_count, 3);
    assert_int_equal(osl_vk_pipeline_get(&device, "no_such", spec, 2, &c, &error),
                     OSL_UNSUPPORTED);
    osl_vk_device_close(&device);
}

static void shaders_use_no_more_than_the_tier(void **state)
{
    (void)state;
    struct osl_error error;
    const struct osl_vk_pipeline *p;
    open_device(OSL_VK_TIER_BASE);
    assert_int_equal(osl_vk_pipeline_get(&device, "rmsnorm_subgroup", NULL, 0, &p, &error),
                     OSL_UNSUPPORTED);
    assert_non_null(strstr(error.text, "capability 61"));
    assert_non_null(strstr(error.text, "tier base"));
    osl_vk_device_close(&device);
}

/* With the constants' defaults, which compile and are right (style.md, Shaders). */
static void every_shader_becomes_a_pipeline(void **state)
{
    (void)state;
    uint32_t left_out = 0;
    open_device(OSL_VK_TIER_MATRIX);
    for (uint32_t i = 0; osl_vk_shaders[i] != NULL; i++) {
        if (strstr(osl_vk_shaders[i]->name, "_matrix") != NULL) {
            continue; /* matrices have the device's own shapes: no default is right everywhere */
        }
        struct osl_error error;
        const struct osl_vk_pipeline *p;
        enum osl_status status =
            osl_vk_pipeline_get(&device, osl_vk_shaders[i]->name, NULL, 0, &p, &error);
        if (status != OSL_OK && status != OSL_UNSUPPORTED) {
            fail_msg("%s", error.text);
        }
        left_out += status != OSL_OK;
    }
    assert_true(left_out == 0 || device.facts->tier_reported < OSL_VK_TIER_MATRIX);
    osl_vk_device_close(&device);
}

static void shaders_are_found_and_hashed(void **state)
{
    (void)state;
    const struct osl_vk_shader *probe = osl_vk_shader_find("probe");
    assert_non_null(probe);
    assert_int_equal(probe->words[0], 0x07230203); /* SPIR-V's magic number */
    assert_int_equal(probe->bytes % 4, 0);
    assert_null(osl_vk_shader_find("no_such"));
    for (uint32_t i = 1; osl_vk_shaders[i] != NULL; i++) {
        assert_true(strcmp(osl_vk_shaders[i - 1]->name, osl_vk_shaders[i]->name) < 0);
        assert_ptr_equal(osl_vk_shader_find(osl_vk_shaders[i]->name), osl_vk_shaders[i]);
    }
    uint8_t a[32];
    uint8_t b[32];
    osl_vk_shader_hash(a);
    osl_vk_shader_hash(b);
    assert_memory_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_sane),
        cmocka_unit_test(tiers_switch_on_what_they_say),
        cmocka_unit_test(no_such_device),
        cmocka_unit_test(buffers_of_every_kind),
        cmocka_unit_test(buffer_over_the_budget_is_refused),
        cmocka_unit_test(pipelines_are_made_once),
        cmocka_unit_test(shaders_use_no_more_than_the_tier),
        cmocka_unit_test(every_shader_becomes_a_pipeline),
        cmocka_unit_test(shaders_are_found_and_hashed),
    };
    vk_test_open(&vk);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vk_test_close(&vk);
    return failed;
}
