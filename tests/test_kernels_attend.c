/* Attention of every table against double precision: sinks, groups, windows, rings, and the
 * promise that a query's bits depend on nothing but itself and its keys. */
#include "kernel_cases.h"

/* Weighted values against the sum of |weight * value|: exp (1.5e-7), a score's f32 sum of up to
 * 256 terms of size up to about 4 (which exp turns into a relative error), and the sums. */
#define TOLERANCE 2e-5
/* Queries rounded to 16 bits per 32, as decode of the q8 cache does but in plain C and NEON without
 * dot products: a score of size 4 is off by 2e-5 or so, and its weight by as much of itself. 4e-5
 * seen. */
#define TOLERANCE_ROUNDED 1e-4
/* x86 also rounds weights, times their values' scales, to 15 bits of the block's largest: half a
 * step of the largest there is, for each key and unit of its int8. */
#define WEIGHT_STEP (1.0 / 32767)
#define FLOOR 1e-37 /* weights too small for f32 are zero */

struct problem {
    const struct osl_kernels *k;
    enum osl_kv_type type;
    uint32_t group;
    uint32_t dim;
    uint32_t window;
    uint32_t capacity;
    uint32_t positions; /* keys written, from 0; the ring keeps the last */
    uint64_t seed;
    uint8_t *k_rows;
    uint8_t *v_rows;
    float *queries; /* [positions][group * dim + 3] */
    uint32_t q_stride;
    float sinks[OSL_GROUP_MAX];
    void *scratch;
};

static void problem_make(struct problem *p)
{
    uint64_t state = p->seed;
    uint32_t bytes = osl_kv_row_bytes(p->type, p->dim);
    p->k_rows = case_alloc((size_t)p->capacity * bytes); /* all NaN: unwritten rows show */
    p->v_rows = case_alloc((size_t)p->capacity * bytes);
    for (uint32_t position = 0; position < p->positions; position++) {
        float *key = case_floats(p->dim, 1.5f, &state);
        float *value = case_floats(p->dim, 3.0f, &state);
        size_t at = (size_t)(position % p->capacity) * bytes;
        p->k->kv_store[p->type](p->k_rows + at, key, p->dim);
        p->k->kv_store[p->type](p->v_rows + at, value, p->dim);
        free(key);
        free(value);
    }
    p->q_stride = p->group * p->dim + 3;
    p->queries = case_floats((size_t)p->positions * p->q_stride, 2.0f, &state);
    for (uint32_t h = 0; h < p->group; h++) {
        p->sinks[h] = case_float(&state) * 3.0f;
    }
    p->scratch = case_alloc(OSL_ATTEND_SCRATCH_BYTES);
}

static void problem_free(struct problem *p)
{
    free(p->k_rows);
    free(p->v_rows);
    free(p->queries);
    free(p->scratch);
}

static struct osl_attend attend_at(const struct problem *p, uint32_t position, float *out,
                                   uint32_t out_stride)
{
    return (struct osl_attend){.q = p->queries + (size_t)position * p->q_stride,
                               .out = out,
                               .q_stride = p->q_stride,
                               .out_stride = out_stride,
                               .group = p->group,
                               .head_dim = p->dim,
                               .scale = 1.0f / sqrtf((float)p->dim),
                               .sinks = p->sinks,
                               .kv = {.k = p->k_rows, .v = p->v_rows, .capacity = p->capacity,
                                      .window = p->window}};
}

static double kv_value(const struct problem *p, const uint8_t *rows, uint32_t position, uint32_t d)
{
    const uint8_t *row =
        rows + (size_t)(position % p->capacity) * osl_kv_row_bytes(p->type, p->dim);
    if (p->type == OSL_KV_F16) {
        return (double)osl_f32_from_f16(osl_load_u16(row + 2 * (size_t)d));
    }
    return (double)(int8_t)row[d] *
           (double)osl_f32_from_f16(osl_load_u16(row + p->dim + d / 32 * 2));
}

static uint32_t first_seen(const struct problem *p, uint32_t position)
{
    return p->window != 0 && position + 1 > p->window ? position + 1 - p->window : 0;
}

static bool rounds_weights(const struct problem *p)
{
    return p->type == OSL_KV_Q8 &&
           (strcmp(p->k->name, "avx512vnni") == 0 || strcmp(p->k->name, "avxvnni") == 0 ||
            strcmp(p->k->name, "avx2") == 0);
}

static bool rounds_queries(const struct problem *p)
{
    return rounds_weights(p) || (p->type == OSL_KV_Q8 && (strcmp(p->k->name, "dotprod") == 0 ||
                                                          strcmp(p->k->name, "i8mm") == 0));
}

/* What rounded weights may move element d by; keys [begin, begin + count), the largest of their
 * weights. */
static double weights_rounding(const struct problem *p, uint32_t begin, uint32_t count,
                               double largest_weight, uint32_t d)
{
    double largest_scale = 0.0;
    double units = 0.0;
    for (uint32_t key = begin; key < begin + count; key++) {
        const uint8_t *row = p->v_rows + (size_t)(key % p->capacity) *
                                             osl_kv_row_bytes(p->type, p->dim);
        uint16_t scale = osl_load_u16(row + p->dim + d / 32 * 2);
        largest_scale = fmax(largest_scale, (double)osl_f32_from_f16(scale));
        units += fabs((double)(int8_t)row[d]);
    }
    return WEIGHT_STEP / 2.0 * largest_weight * largest_scale * units;
}

/* Checks one head's output of the query at `position`. */
static void check(const struct problem *p, const char *op, uint32_t position, uint32_t head,
                  const float *out)
{
    static double weight[4096];
    const float *q = p->queries + (size_t)position * p->q_stride + (size_t)head * p->dim;
    uint32_t begin = first_seen(p, position);
    double most = (double)p->sinks[head];
    bool decode = strcmp(op, "prefill") != 0;
    double tolerance = decode && rounds_queries(p) ? TOLERANCE_ROUNDED : TOLERANCE;
    double largest = 0.0;
    assert_in_range(position - begin, 0, 4095);
    for (uint32_t key = begin; key <= position; key++) {
        double score = 0.0;
        for (uint32_t d = 0; d < p->dim; d++) {
            score += (double)q[d] * kv_value(p, p->k_rows, key, d);
        }
        weight[key - begin] = score / sqrt((double)p->dim);
        most = fmax(most, weight[key - begin]);
    }
    double sum = exp((double)p->sinks[head] - most);
    for (uint32_t key = begin; key <= position; key++) {
        weight[key - begin] = exp(weight[key - begin] - most);
        sum += weight[key - begin];
        largest = fmax(largest, weight[key - begin]);
    }
    for (uint32_t d = 0; d < p->dim; d++) {
        double want = 0.0;
        double magnitude = 0.0;
        for (uint32_t key = begin; key <= position; key++) {
            double term = weight[key - begin] / sum * kv_value(p, p->v_rows, key, d);
            want += term;
            magnitude += fabs(term);
        }
        double allowed = tolerance * magnitude + FLOOR;
        if (decode && rounds_weights(p)) {
            allowed += weights_rounding(p, begin, position + 1 - begin, largest / sum, d);
        }
        if (!(fabs((double)out[d] - want) <= allowed)) {
            fail_msg("%s %s kv %d group %u dim %u window %u capacity %u seed %llu position %u "
                     "head %u element %u: got %.9g, want %.9g",
                     p->k->name, op, (int)p->type, p->group, p->dim, p->window, p->capacity,
                     (unsigned long long)p->seed, position, head, d, (double)out[d], want);
        }
    }
}

static void check_prefill(const struct problem *p, uint32_t first, uint32_t tokens)
{
    uint32_t stride = p->group * p->dim + 1;
    float *out = case_alloc((size_t)tokens * stride * sizeof *out);
    struct osl_attend a = attend_at(p, first, out, stride);
    p->k->attend_prefill[p->type](&a, first, tokens, p->scratch);
    for (uint32_t t = 0; t < tokens; t++) {
        for (uint32_t h = 0; h < p->group; h++) {
            check(p, "prefill", first + t, h, out + (size_t)t * stride + (size_t)h * p->dim);
        }
        assert_int_equal(osl_f32_bits(out[(size_t)t * stride + stride - 1]), 0xffffffffu);
    }
    free(out);
}

/* Decode as the executor does it: one part a segment, then the merge. */
static void decode(const struct problem *p, uint32_t position, float *out)
{
    struct osl_attend a = attend_at(p, position, out, 0);
    uint32_t begin = first_seen(p, position);
    uint32_t floats = OSL_ATTEND_PART_FLOATS(p->group, p->dim);
    uint32_t count = position / OSL_ATTEND_SEGMENT - begin / OSL_ATTEND_SEGMENT + 1;
    float *parts = case_alloc((size_t)count * floats * sizeof *parts);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t segment = (begin / OSL_ATTEND_SEGMENT + i) * OSL_ATTEND_SEGMENT;
        uint32_t from = segment > begin ? segment : begin;
        uint32_t to = segment + OSL_ATTEND_SEGMENT;
        p->k->attend_part[p->type](&a, from, to < position + 1 ? to : position + 1,
                                   parts + (size_t)i * floats);
    }
    p->k->attend_merge(&a, parts, count);
    free(parts);
}

static void check_decode(const struct problem *p, uint32_t position)
{
    float *out = case_alloc((size_t)p->group * p->dim * sizeof *out);
    decode(p, position, out);
    for (uint32_t h = 0; h < p->group; h++) {
        check(p, "decode", position, h, out + (size_t)h * p->dim);
    }
    free(out);
}

static void attend_matches_double_over_shapes(void **state)
{
    static const uint32_t dims[] = {32, 64, 96, 128, 256};
    static const uint32_t groups[] = {1, 2, 3, 5, 7, 8, 11, 32};
    CASE_EACH_TABLE (k) {
        for (uint32_t i = 0; i < 5 * 8; i++) {
            struct problem p = {.k = k, .type = i % 2 ? OSL_KV_Q8 : OSL_KV_F16,
                                .group = groups[i % 8], .dim = dims[i % 5],
                                .window = i % 3 ? 0 : 37, .capacity = 192, .positions = 141,
                                .seed = 100 + i};
            problem_make(&p);
            check_prefill(&p, 0, 3);
            check_prefill(&p, 61, 7); /* across a block */
            check_decode(&p, 0);
            check_decode(&p, 63);
            check_decode(&p, 64);
            check_decode(&p, 140);
            problem_free(&p);
        }
    }
}

static void attend_window_edges(void **state)
{
    CASE_EACH_TABLE (k) {
        for (uint32_t window = 1; window <= 130; window += window < 3 ? 1 : 21) {
            struct problem p = {.k = k, .type = window % 2 ? OSL_KV_F16 : OSL_KV_Q8, .group = 4,
                                .dim = 32, .window = window, .capacity = 256, .positions = 200,
                                .seed = window};
            problem_make(&p);
            check_prefill(&p, 0, 200); /* every position, more than one tile of queries */
            for (uint32_t position = 0; position < 200; position += 7) {
                check_decode(&p, position);
            }
            problem_free(&p);
        }
    }
}

/* Positions past the capacity of the ring: rows are overwritten, the window stays. */
static void attend_ring_wraps(void **state)
{
    CASE_EACH_TABLE (k) {
        for (int type = 0; type < OSL_KV_TYPES; type++) {
            struct problem p = {.k = k, .type = (enum osl_kv_type)type, .group = 3, .dim = 64,
                                .window = 50, .capacity = 128, .positions = 128 * 2 + 40,
                                .seed = 77};
            problem_make(&p);
            check_prefill(&p, 256 - 9, 49); /* blocks 192.. and 256.. at either end of the ring */
            check_prefill(&p, 295, 1);
            check_decode(&p, 255);
            check_decode(&p, 256);
            check_decode(&p, 270);
            check_decode(&p, 295);
            problem_free(&p);
        }
    }
}

static void attend_many_segments(void **state)
{
    CASE_EACH_TABLE (k) {
        for (int type = 0; type < OSL_KV_TYPES; type++) {
            struct problem p = {.k = k, .type = (enum osl_kv_type)type, .group = 2, .dim = 32,
                                .capacity = 2304, .positions = 2200, .seed = 5};
            problem_make(&p);
            check_decode(&p, 1023);
            check_decode(&p, 1024);
            check_decode(&p, 2199);
            check_prefill(&p, 1020, 6);
            check_prefill(&p, 2199, 1);
            problem_free(&p);
        }
    }
}

/* Part bounds at any key, as the window leaves them. */
static void attend_part_odd_bounds(void **state)
{
    CASE_EACH_TABLE (k) {
        struct problem p = {.k = k, .group = 3, .dim = 64, .capacity = 256, .positions = 256,
                            .seed = 8};
        float out[3 * 64];
        problem_make(&p);
        for (uint32_t begin = 1; begin < 200; begin += 13) {
            p.window = 230 - begin;
            decode(&p, 229, out);
            for (uint32_t h = 0; h < 3; h++) {
                check(&p, "part", 229, h, out + (size_t)h * 64);
            }
        }
        problem_free(&p);
    }
}

/* An empty part changes no bit, wherever it comes. */
static void attend_merge_ignores_empty_parts(void **state)
{
    CASE_EACH_TABLE (k) {
        struct problem p = {.k = k, .group = 2, .dim = 32, .capacity = 128, .positions = 100,
                            .seed = 4};
        uint32_t floats = OSL_ATTEND_PART_FLOATS(2, 32);
        float parts[3][OSL_ATTEND_PART_FLOATS(2, 32)];
        float alone[64];
        float among[64];
        problem_make(&p);
        struct osl_attend a = attend_at(&p, 99, alone, 0);
        k->attend_part[OSL_KV_F16](&a, 0, 0, parts[0]);
        k->attend_part[OSL_KV_F16](&a, 0, 100, parts[1]);
        k->attend_part[OSL_KV_F16](&a, 100, 100, parts[2]);
        k->attend_merge(&a, parts[1], 1);
        a.out = among;
        k->attend_merge(&a, parts[0], 3);
        assert_memory_equal(alone, among, sizeof alone);
        assert_int_equal(floats, 2 * 34);
        problem_free(&p);
    }
}

/* Any cut of the queries gives the same bits. */
static void attend_prefill_does_not_depend_on_the_call(void **state)
{
    enum { TOKENS = 150, WIDTH = 5 * 64 };
    CASE_EACH_TABLE (k) {
        for (uint32_t window = 0; window < 2; window++) {
            struct problem p = {.k = k, .type = OSL_KV_F16, .group = 5, .dim = 64,
                                .window = window * 70, .capacity = 256, .positions = TOKENS,
                                .seed = 6};
            float *whole = case_alloc(TOKENS * WIDTH * sizeof *whole);
            float *cut = case_alloc(TOKENS * WIDTH * sizeof *cut);
            problem_make(&p);
            struct osl_attend a = attend_at(&p, 0, whole, WIDTH);
            k->attend_prefill[p.type](&a, 0, TOKENS, p.scratch);
            for (uint32_t at = 1; at < TOKENS; at += 17) {
                a = attend_at(&p, 0, cut, WIDTH);
                k->attend_prefill[p.type](&a, 0, at, p.scratch);
                a = attend_at(&p, at, cut + (size_t)at * WIDTH, WIDTH);
                k->attend_prefill[p.type](&a, at, TOKENS - at, p.scratch);
                assert_memory_equal(whole, cut, TOKENS * WIDTH * sizeof *whole);
            }
            problem_free(&p);
            free(whole);
            free(cut);
        }
    }
}

/* Scores that differ by more than exp can hold, either way, and a sink above or below them. */
static void attend_large_scores_and_sinks(void **state)
{
    static const float sinks[4] = {-1e4f, 1e4f, -INFINITY, 0.0f};
    CASE_EACH_TABLE (k) {
        struct problem p = {.k = k, .group = 4, .dim = 32, .capacity = 192, .positions = 130,
                            .seed = 31};
        problem_make(&p);
        for (uint32_t h = 0; h < 4; h++) {
            p.sinks[h] = sinks[h];
        }
        /* one key stands out by far; all scores are then sums of equal terms, so that the scores'
         * own rounding stays out of the comparison */
        for (uint32_t i = 0; i < p.positions * p.q_stride; i++) {
            p.queries[i] = 8.0f;
        }
        for (uint32_t position = 0; position < p.positions; position++) {
            float key[32];
            for (uint32_t d = 0; d < 32; d++) {
                key[d] = position == 70 ? 8.0f : (float)(position % 7) - 12.0f;
            }
            k->kv_store[p.type](p.k_rows + (size_t)position * 64, key, 32);
        }
        check_prefill(&p, 60, 70);
        check_decode(&p, 129);
        problem_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attend_matches_double_over_shapes),
        cmocka_unit_test(attend_window_edges),
        cmocka_unit_test(attend_ring_wraps),
        cmocka_unit_test(attend_many_segments),
        cmocka_unit_test(attend_part_odd_bounds),
        cmocka_unit_test(attend_merge_ignores_empty_parts),
        cmocka_unit_test(attend_prefill_does_not_depend_on_the_call),
        cmocka_unit_test(attend_large_scores_and_sinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
