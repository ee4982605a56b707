/* What a model takes on devices that are not here, by facts made up: bindings, allocations and
 * heaps of every size. Needs no driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/vulkan/place.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct osl_schedule schedule;
static struct osl_weight weights[16];

static struct osl_weight *make(uint32_t index, enum osl_dtype dtype, uint32_t experts,
                               uint32_t rows, uint32_t cols)
{
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, cols);
    weights[index] = (struct osl_weight){.dtype = dtype,
                                         .rows = rows,
                                         .cols = cols,
                                         .experts = experts,
                                         .row_bytes = row_bytes,
                                         .expert_bytes = rows * row_bytes};
    return &weights[index];
}

static struct osl_op *append(enum osl_op_kind kind, uint32_t layer)
{
    struct osl_op *op = &schedule.ops[schedule.op_count++];
    *op = (struct osl_op){.kind = kind, .layer = layer};
    return op;
}

static void give(struct osl_op *op, const struct osl_weight *weight, const struct osl_weight *bias)
{
    op->weight[op->weight_count] = weight;
    op->bias[op->weight_count++] = bias;
}

/* The 20b: every layer has the same shapes, so the same weights stand for all. */
static int make_20b(void **state)
{
    enum { HIDDEN = 2880, FF = 2880, VOCAB = 201088, EXPERTS = 32 };
    (void)state;
    schedule = (struct osl_schedule){.shape = {.layers = 24,
                                               .hidden = HIDDEN,
                                               .ff = FF,
                                               .heads = 64,
                                               .kv_heads = 8,
                                               .head_dim = 64,
                                               .experts = EXPERTS,
                                               .experts_used = 4,
                                               .vocab = VOCAB,
                                               .window = 128}};
    const struct osl_weight *table = make(0, OSL_DTYPE_Q8_0, 1, VOCAB, HIDDEN);
    const struct osl_weight *q = make(1, OSL_DTYPE_Q8_0, 1, 4096, HIDDEN);
    const struct osl_weight *kv = make(2, OSL_DTYPE_Q8_0, 1, 512, HIDDEN);
    const struct osl_weight *out = make(3, OSL_DTYPE_Q8_0, 1, HIDDEN, 4096);
    const struct osl_weight *router = make(4, OSL_DTYPE_F32, 1, EXPERTS, HIDDEN);
    const struct osl_weight *expert = make(5, OSL_DTYPE_MXFP4, EXPERTS, FF, HIDDEN);
    const struct osl_weight *gain = make(6, OSL_DTYPE_F32, 1, 1, HIDDEN);
    const struct osl_weight *expert_bias = make(7, OSL_DTYPE_F32, 1, EXPERTS, FF);
    const struct osl_weight *sinks = make(8, OSL_DTYPE_F32, 1, 1, 64);
    append(OSL_OP_EMBED, 0)->weight[0] = table;
    for (uint32_t layer = 0; layer < 24; layer++) {
        schedule.kv[layer].window = layer % 2 == 0 ? 128 : 0;
        append(OSL_OP_RMSNORM, layer)->gain = gain;
        struct osl_op *qkv = append(OSL_OP_MATMUL, layer);
        give(qkv, q, NULL);
        give(qkv, kv, NULL);
        give(qkv, kv, NULL);
        append(OSL_OP_ROPE_STORE, layer);
        append(OSL_OP_ATTEND, layer)->sinks = sinks;
        give(append(OSL_OP_MATMUL, layer), out, gain);
        append(OSL_OP_RMSNORM, layer)->gain = gain;
        give(append(OSL_OP_MATMUL, layer), router, NULL);
        append(OSL_OP_ROUTE, layer);
        struct osl_op *up = append(OSL_OP_EXPERT_UP, layer);
        give(up, expert, expert_bias);
        give(up, expert, expert_bias);
        give(append(OSL_OP_EXPERT_DOWN, layer), expert, expert_bias);
    }
    struct osl_op *logits = append(OSL_OP_LOGITS, 0);
    logits->gain = gain;
    give(logits, table, NULL);
    return 0;
}

static struct osl_vk_facts discrete(uint64_t vram, uint64_t binding, uint64_t allocation)
{
    return (struct osl_vk_facts){
        .name = "made up",
        .type = OSL_VK_DISCRETE,
        .usable = true,
        .heap_count = 2,
        .heaps = {{.bytes = vram, .budget_bytes = vram * 9 / 10, .device_local = true},
                  {.bytes = 32 * GIB, .budget_bytes = 24 * GIB, .host_visible = true}},
        .binding_bytes = binding,
        .allocation_bytes = allocation,
        .offset_alignment = 256,
        .subgroup_size = 32,
        .subgroup_min = 32,
        .subgroup_max = 32,
        .shared_bytes = 32768,
        .invocations = 1024,
    };
}

static const struct osl_vulkan_limits usual = {
    .prefill_tokens = 512, .logits_rows = 1, .context_tokens = 32768, .marks = 33};

static void the_20b_fits_16_gb(void **state)
{
    (void)state;
    struct osl_vk_facts facts = discrete(16 * GIB, UINT32_MAX, 4 * GIB);
    struct osl_vulkan_need need;
    struct osl_error error = {OSL_OK, ""};
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &usual, &need, &error), OSL_OK);
    assert_int_equal(need.prefill_tokens, 512);
    assert_int_equal(need.full_capacity, 32768);
    assert_int_equal(need.ring_capacity, 640);
    assert_int_equal(need.kv_full_bytes, 12ull * 32768 * 2048);
    assert_int_equal(need.kv_ring_bytes, 12ull * 640 * 2048);
    /* 24 layers of experts are 10.2 GB, the dense weights 0.9 GB, the output 0.6 GB */
    assert_in_range(need.weights_bytes, 11300000000, 11700000000);
    assert_in_range(need.embedding_bytes, 600000000, 640000000);
    assert_true(need.activations_bytes < 128 * MIB);
    assert_true(need.staging_bytes < 32 * MIB);
}

/* Every binding within 128 MiB, every allocation within what the driver says. */
static void small_bindings_are_kept(void **state)
{
    (void)state;
    static const uint64_t allocations[] = {1 * GIB, 2 * GIB, 4 * GIB};
    for (uint32_t a = 0; a < 3; a++) {
        struct osl_vk_facts facts = discrete(24 * GIB, 128 * MIB, allocations[a]);
        static struct osl_vk_places places;
        static struct osl_vk_bound bound[OSL_OPS_MAX];
        static struct osl_vk_kv kv[OSL_LAYERS_MAX];
        static struct osl_vk_buffer buffers[2 * OSL_VK_AREAS_MAX + 1];
        struct osl_error error = {OSL_OK, ""};
        assert_int_equal(osl_vk_place(&facts, &schedule, &usual, &places, &error), OSL_OK);
        for (uint32_t i = 0; i < OSL_VK_AREAS_MAX; i++) {
            assert_true(places.weights.bytes[i] <= allocations[a]);
            assert_true(places.cache.bytes[i] <= allocations[a]);
            buffers[i].bytes = places.weights.bytes[i];
            buffers[OSL_VK_AREAS_MAX + i].bytes = places.cache.bytes[i];
            places.weights.buffer[i] = &buffers[i];
            places.cache.buffer[i] = &buffers[OSL_VK_AREAS_MAX + i];
        }
        buffers[2 * OSL_VK_AREAS_MAX].bytes = places.embedding_bytes;
        osl_vk_bind(&facts, &schedule, &places, &buffers[2 * OSL_VK_AREAS_MAX], bound, kv);
        for (uint32_t i = 0; i < schedule.op_count; i++) {
            for (uint32_t w = 0; w < 3; w++) {
                const struct osl_vk_matrix *matrix = &bound[i].weight[w];
                bool used = w < schedule.ops[i].weight_count ||
                            (w == 0 && schedule.ops[i].kind == OSL_OP_EMBED);
                for (uint32_t s = 0; used && s < matrix->slab_count; s++) {
                    const struct osl_vk_binding *slab = &matrix->slab[s];
                    assert_true(slab->bytes <= 128 * MIB && slab->offset % 256 == 0);
                    assert_true(slab->offset + slab->bytes <= slab->buffer->bytes);
                }
            }
        }
        for (uint32_t layer = 0; layer < 24; layer++) {
            assert_true(kv[layer].k.bytes <= 128 * MIB && kv[layer].v.bytes <= 128 * MIB);
            assert_int_equal(kv[layer].window, layer % 2 == 0 ? 128 : 0);
        }
    }
}

/* Bytes [offset, offset + bytes) of a buffer. */
struct piece {
    const struct osl_vk_buffer *buffer;
    uint64_t offset, bytes;
};

static int by_place(const void *a, const void *b)
{
    const struct piece *p = a, *q = b;
    if (p->buffer != q->buffer) {
        return p->buffer < q->buffer ? -1 : 1;
    }
    return p->offset < q->offset ? -1 : p->offset > q->offset;
}

static void no_two_pieces_meet(void **state)
{
    (void)state;
    struct osl_vk_facts facts = discrete(24 * GIB, 128 * MIB, 1 * GIB);
    static struct osl_vk_places places;
    static struct osl_vk_bound bound[OSL_OPS_MAX];
    static struct osl_vk_kv kv[OSL_LAYERS_MAX];
    static struct osl_vk_buffer buffers[2 * OSL_VK_AREAS_MAX + 1];
    static struct piece pieces[4096];
    struct osl_error error = {OSL_OK, ""};
    uint32_t count = 0;
    assert_int_equal(osl_vk_place(&facts, &schedule, &usual, &places, &error), OSL_OK);
    for (uint32_t i = 0; i < OSL_VK_AREAS_MAX; i++) {
        places.weights.buffer[i] = &buffers[i];
        places.cache.buffer[i] = &buffers[OSL_VK_AREAS_MAX + i];
    }
    osl_vk_bind(&facts, &schedule, &places, &buffers[2 * OSL_VK_AREAS_MAX], bound, kv);
    for (uint32_t i = 0; i < schedule.op_count; i++) {
        const struct osl_op *op = &schedule.ops[i];
        for (uint32_t w = 0; w < op->weight_count; w++) {
            for (uint32_t s = 0; s < bound[i].weight[w].slab_count; s++) {
                const struct osl_vk_binding *slab = &bound[i].weight[w].slab[s];
                pieces[count++] = (struct piece){slab->buffer, slab->offset, slab->bytes};
            }
            if (op->bias[w] != NULL) {
                const struct osl_vk_vector *v = &bound[i].bias[w];
                uint64_t bytes = (uint64_t)op->bias[w]->rows * op->bias[w]->cols * 4;
                assert_true(v->offset * 4ull + bytes <= v->vec.bytes);
                pieces[count++] =
                    (struct piece){v->vec.buffer, v->vec.offset + v->offset * 4ull, bytes};
            }
        }
    }
    for (uint32_t layer = 0; layer < 24; layer++) {
        pieces[count++] = (struct piece){kv[layer].k.buffer, kv[layer].k.offset, kv[layer].k.bytes};
        pieces[count++] = (struct piece){kv[layer].v.buffer, kv[layer].v.offset, kv[layer].v.bytes};
    }
    qsort(pieces, count, sizeof pieces[0], by_place);
    for (uint32_t i = 1; i < count; i++) {
        assert_true(pieces[i].buffer != pieces[i - 1].buffer ||
                    pieces[i].offset >= pieces[i - 1].offset + pieces[i - 1].bytes);
    }
}

static void small_bindings_take_fewer_tokens(void **state)
{
    (void)state;
    struct osl_vk_facts facts = discrete(24 * GIB, 128 * MIB, 4 * GIB);
    struct osl_vulkan_limits limits = usual;
    struct osl_vulkan_need need;
    struct osl_error error = {OSL_OK, ""};
    limits.prefill_tokens = 4096;
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &limits, &need, &error), OSL_OK);
    assert_true(need.prefill_tokens < 4096 && need.prefill_tokens >= 512);
    assert_true(need.activations_bytes + need.logits_bytes <= 129 * MIB);
    facts.binding_bytes = UINT32_MAX;
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &limits, &need, &error), OSL_OK);
    assert_int_equal(need.prefill_tokens, 4096);
}

/* The text names the heap and what it lacks. */
static void too_small_a_heap_is_named(void **state)
{
    (void)state;
    struct osl_vk_facts facts = discrete(8 * GIB, UINT32_MAX, 4 * GIB);
    struct osl_vulkan_need need = {.prefill_tokens = 77}; /* not yet known */
    struct osl_error error;
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &usual, &need, &error), OSL_MEMORY);
    assert_non_null(strstr(error.text, "heap 0 (device) lacks"));
    assert_int_equal(need.prefill_tokens, 512); /* what it would take is told all the same */
    facts = discrete(24 * GIB, UINT32_MAX, 4 * GIB);
    facts.heaps[1].budget_bytes = 100 * MIB;
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &usual, &need, &error), OSL_MEMORY);
    assert_non_null(strstr(error.text, "heap 1 (host) lacks"));
    facts.usable = false;
    strcpy(facts.refusal, "too old");
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &usual, &need, &error), OSL_UNSUPPORTED);
}

/* A carve-out of 4 GiB beside shared memory: both are the same chips. */
static void shared_memory_takes_both_heaps(void **state)
{
    (void)state;
    struct osl_vk_facts facts = discrete(4 * GIB, UINT32_MAX, 4 * GIB);
    struct osl_vulkan_need need;
    struct osl_error error = {OSL_OK, ""};
    facts.type = OSL_VK_INTEGRATED;
    facts.unified = true;
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &usual, &need, &error), OSL_OK);
    facts.heaps[1].budget_bytes = 8 * GIB;
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &usual, &need, &error), OSL_MEMORY);
}

static void too_long_a_context_names_one_that_fits(void **state)
{
    (void)state;
    struct osl_vk_facts facts = discrete(48 * GIB, 128 * MIB, 4 * GIB);
    struct osl_vulkan_limits limits = usual;
    struct osl_vulkan_need need;
    struct osl_error error;
    limits.context_tokens = 131072; /* 8 heads of 128 bytes: exactly 128 MiB */
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &limits, &need, &error), OSL_OK);
    facts.binding_bytes = 100 * MIB;
    assert_int_equal(osl_vulkan_plan(&facts, &schedule, &limits, &need, &error), OSL_UNSUPPORTED);
    assert_non_null(strstr(error.text, "--context 102400"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_20b_fits_16_gb),
        cmocka_unit_test(small_bindings_are_kept),
        cmocka_unit_test(no_two_pieces_meet),
        cmocka_unit_test(small_bindings_take_fewer_tokens),
        cmocka_unit_test(too_small_a_heap_is_named),
        cmocka_unit_test(shared_memory_takes_both_heaps),
        cmocka_unit_test(too_long_a_context_names_one_that_fits),
    };
    return cmocka_run_group_tests(tests, make_20b, NULL);
}
