/* Attention on the device against the plain C, over shapes, positions, windows, cache types and
 * tiers; and that neither how a prompt is cut nor what lies beside a query changes a bit. */
#include "vk_test.h"

#include "compute/vulkan/check_attend.h"

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_rig rig;
static uint8_t *memory;

/* Never square, odd where it can be: {hidden, heads, kv_heads, head_dim, window}. */
static const struct {
    uint32_t heads, kv_heads, head_dim, window;
} shapes[] = {
    {8, 1, 64, 128}, /* the group of the 20b */
    {6, 2, 32, 16},  /* rows of 34 bytes in q8 */
    {10, 2, 96, 40}, /* lanes that do not divide the chunks of a row */
    {3, 3, 64, 7},   /* no group */
    {32, 1, 64, 65}, /* heads in chunks */
    {7, 1, 256, 33}, /* a lane takes several chunks of a row */
    {11, 1, 160, 24},
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static struct osl_vk_check_case case_of(size_t shape, enum osl_kv_type kv_type, uint32_t tokens,
                                        uint32_t position, uint32_t seed)
{
    return (struct osl_vk_check_case){
        .shape = {.layers = 1,
                  .hidden = 96,
                  .ff = 32,
                  .heads = shapes[shape].heads,
                  .kv_heads = shapes[shape].kv_heads,
                  .head_dim = shapes[shape].head_dim,
                  .experts = 4,
                  .experts_used = 2,
                  .vocab = 64,
                  .window = shapes[shape].window,
                  .rms_eps = 1e-5f},
        .kv_type = kv_type,
        .tokens = tokens,
        .position = position,
        .seed = seed,
    };
}

static void check(const char *name, const struct osl_vk_check_case *c)
{
    const struct osl_vk_check *check = osl_vk_checks_attend;
    while (strcmp(check->name, name) != 0) {
        check++;
        assert_non_null(check->name);
    }
    float worst = 0.0f;
    struct osl_error error;
    assert_ok(check->run(&rig, c, memory, OSL_VK_CHECK_BYTES, &worst, &error), error);
    if (!(worst <= 1.0f)) {
        fail_msg("%s is off %g times what is allowed: heads %u, kv_heads %u, head_dim %u, window "
                 "%u, kv type %d, tokens %u, position %u, seed %u",
                 name, (double)worst, c->shape.heads, c->shape.kv_heads, c->shape.head_dim,
                 c->shape.window, (int)c->kv_type, c->tokens, c->position, c->seed);
    }
    assert_int_equal(vk.validation_messages, 0);
}

/* Both cache types where a software driver compiles fast, else one: unrolled over the dimensions, a
 * pipeline takes seconds. */
static bool has_kind(size_t shape, int kv_type)
{
    return shapes[shape].head_dim <= 64 || (int)shape % OSL_KV_TYPES == kv_type;
}

static void check_all_kinds(const char *name, uint32_t tokens, const uint32_t *positions,
                            size_t position_count)
{
    uint32_t seed = 1;
    for (size_t kind = 0; kind < SHAPES * OSL_KV_TYPES; kind++) {
        size_t shape = kind / OSL_KV_TYPES;
        int kv_type = (int)(kind % OSL_KV_TYPES);
        for (size_t i = 0; has_kind(shape, kv_type) && i < position_count; i++) {
            struct osl_vk_check_case c =
                case_of(shape, (enum osl_kv_type)kv_type, tokens, positions[i], seed++);
            check(name, &c);
        }
    }
}

/* Positions about a window's edges, in windows of each shape's own; the cache type alternates where
 * both are to be had. */
static void check_windows(const char *name, uint32_t tokens, uint32_t last)
{
    uint32_t seed = 100;
    for (size_t shape = 0; shape < SHAPES; shape++) {
        uint32_t window = shapes[shape].window;
        const uint32_t positions[] = {0,          window - 2, window - 1,      window,
                                      window + 1, 3 * window, 10 * window + 3, last};
        for (int i = 0; i < 8; i++) {
            int kv_type = has_kind(shape, i % 2) ? i % 2 : (i + 1) % 2;
            struct osl_vk_check_case c =
                case_of(shape, (enum osl_kv_type)kv_type, tokens, positions[i], seed++);
            check(name, &c);
        }
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void decode_full_positions(void **state)
{
    const uint32_t positions[] = {0, 1, 31, 63, 64, 65, 200, 511, 577};
    check_all_kinds("attend decode", 1, positions, COUNT(positions));
}

/* Many blocks to a part, all parts in use, and one short of either. */
static void decode_long_context(void **state)
{
    const uint32_t positions[] = {2047, 2048, 2900, 4095, 4160};
    for (size_t i = 0; i < COUNT(positions); i++) {
        struct osl_vk_check_case c = case_of(0, i % 2, 1, positions[i], 70 + (uint32_t)i);
        check("attend decode", &c);
    }
    struct osl_vk_check_case c = case_of(0, OSL_KV_F16, 1, 49151, 80);
    check("attend decode", &c);
}

static void decode_window_edges(void **state)
{
    check_windows("attend decode window", 1, 131071);
}

static void prefill_full_positions(void **state)
{
    const uint32_t positions[] = {0, 5, 64, 250};
    check_all_kinds("attend prefill", 21, positions, COUNT(positions));
    const uint32_t one[] = {0, 63, 130};
    check_all_kinds("attend prefill", 1, one, COUNT(one));
}

static void prefill_several_tiles(void **state)
{
    struct osl_vk_check_case c = case_of(0, OSL_KV_F16, 150, 1000, 7);
    check("attend prefill", &c);
    c = case_of(1, OSL_KV_Q8, 97, 333, 8);
    check("attend prefill", &c);
}

static void prefill_window_edges(void **state)
{
    check_windows("attend prefill window", 37, 131072 - 37);
}

/* ---- Bits -------------------------------------------------------------------------------- */

#define SPLIT_TOKENS 53u
#define SPLIT_FIRST 91u

struct whole {
    struct osl_vk_kv kv;
    struct osl_vk_vector sinks;
    uint32_t width, out_width;
    float *qkv, *sinks_here;
};

/* Runs tokens [from, to) of `whole` at their positions, over the cache as it is, into out. */
static void run_piece(const struct whole *w, uint32_t from, uint32_t to, bool decode, float *out)
{
    struct osl_error error;
    const struct osl_step step = {.token_count = to - from, .position_first = SPLIT_FIRST + from};
    assert_ok(osl_vk_rig_act_write(&rig, rig.net.buffer[OSL_BUFFER_QKV],
                                   w->qkv + (size_t)from * w->width, (to - from) * w->width,
                                   &error),
              error);
    assert_ok(osl_vk_rig_begin(&rig, &error), error);
    if (decode) {
        assert_ok(osl_vk_attend_decode(&rig.recorder, &rig.net, &w->kv, &w->sinks, &error), error);
    } else {
        assert_ok(osl_vk_rope_store(&rig.recorder, &rig.net, &w->kv, &error), error);
        assert_ok(osl_vk_attend_prefill(&rig.recorder, &rig.net, &w->kv, &w->sinks, &error), error);
    }
    assert_ok(osl_vk_rig_run(&rig, &step, &error), error);
    if (decode) { /* again: the counters are back at zero, and what was stored is not read */
        assert_ok(osl_vk_rig_rerun(&rig, &step, &error), error);
    }
    assert_ok(osl_vk_rig_act_read(&rig, rig.net.buffer[OSL_BUFFER_ATTN],
                                  out + (size_t)from * w->out_width, (to - from) * w->out_width,
                                  &error),
              error);
}

/* A prompt in one piece, in three, token by token; then decode twice, all over a fresh cache whose
 * rows were never written: the same bits of prefill however cut, and decode close to it. */
static void split_case(size_t shape, enum osl_kv_type kv_type, bool windowed)
{
    struct osl_vk_check_case c = case_of(shape, kv_type, SPLIT_TOKENS, SPLIT_FIRST, 5);
    struct osl_check_inputs inputs = {.at = memory, .left = OSL_VK_CHECK_BYTES, .seed = 11};
    struct osl_error error;
    const struct osl_shape *s = &c.shape;
    const uint32_t cuts[][6] = {{0, SPLIT_TOKENS}, {0, 1, 20, SPLIT_TOKENS}, {0, 7, 8, 16, 53}};
    struct whole w = {.width = (s->heads + 2 * s->kv_heads) * s->head_dim,
                      .out_width = s->heads * s->head_dim};
    w.qkv = osl_check_floats(&inputs, (uint64_t)SPLIT_TOKENS * w.width, 2.0f);
    w.sinks_here = osl_check_floats(&inputs, s->heads, 3.0f);
    size_t out_bytes = (size_t)SPLIT_TOKENS * w.out_width * sizeof(float);
    float *first = osl_check_take(&inputs, out_bytes);
    float *again = osl_check_take(&inputs, out_bytes);
    for (size_t cut = 0; cut <= COUNT(cuts); cut++) {
        bool decode = cut == COUNT(cuts);
        struct osl_check_cache cache;
        struct osl_check_inputs left = inputs;
        assert_ok(osl_vk_rig_shape(&rig, s, kv_type, SPLIT_TOKENS, 1, 256, &error), error);
        assert_ok(osl_check_cache_make(&rig, &left, windowed ? s->window : 0, 192, SPLIT_TOKENS,
                                       &cache, &error),
                  error);
        memset(cache.k, 0, cache.bytes); /* positions before the first: zeros, seen by all alike */
        memset(cache.v, 0, cache.bytes);
        assert_ok(osl_check_cache_send(&rig, &cache, &error), error);
        assert_ok(osl_vk_rig_vector(&rig, w.sinks_here, s->heads, &w.sinks, &error), error);
        w.kv = cache.kv;
        for (uint32_t i = 0; decode && i < SPLIT_TOKENS; i++) {
            run_piece(&w, i, i + 1, true, again);
        }
        for (uint32_t i = 0; !decode && cuts[cut][i] < SPLIT_TOKENS; i++) {
            run_piece(&w, cuts[cut][i], cuts[cut][i + 1], false, cut == 0 ? first : again);
        }
        for (size_t i = 0; cut > 0 && i < out_bytes / sizeof(float); i++) {
            if (decode) {
                assert_true(first[i] - again[i] < 4e-4f && again[i] - first[i] < 4e-4f);
            } else {
                assert_memory_equal(&first[i], &again[i], sizeof(float));
            }
        }
    }
}

static void prefill_bits_whatever_the_cut(void **state)
{
    split_case(0, OSL_KV_F16, false);
    split_case(1, OSL_KV_Q8, false);
    split_case(1, OSL_KV_F16, true);
    split_case(2, OSL_KV_F16, true);
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
    if (!device.subgroup) {
        print_message("no subgroup arithmetic here: base again\n");
    }
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
        cmocka_unit_test(decode_full_positions),         cmocka_unit_test(decode_long_context),
        cmocka_unit_test(decode_window_edges),           cmocka_unit_test(prefill_full_positions),
        cmocka_unit_test(prefill_several_tiles),         cmocka_unit_test(prefill_window_edges),
        cmocka_unit_test(prefill_bits_whatever_the_cut),
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
