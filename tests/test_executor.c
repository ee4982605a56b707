/* The CPU executor: right against double precision, and the same bit for bit however it is cut,
 * with every table of kernels this machine can run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executor_rig.h"

#define TOKENS 37

static struct rig rig;

static void make(size_t index)
{
    struct rig_model model = rig_models[index];
    model.shape.rms_eps = 1e-5f;
    model.shape.swiglu_alpha = 1.702f;
    model.shape.swiglu_limit = 7.0f;
    rig_make(&rig, &model);
}

static void start(const struct osl_kernels *kernels, uint32_t threads, uint32_t prefill_tokens)
{
    struct rig_options options = {.threads = threads,
                                  .prefill_tokens = prefill_tokens,
                                  .context_tokens = 64,
                                  .logits_rows = TOKENS,
                                  .overlay = true,
                                  .poison = true,
                                  .kernels = kernels};
    rig_start(&rig, &options);
}

/* ---- Against double precision ------------------------------------------------------------ */

/* Relative to the largest logit. Rounding in f32 through a few layers: 1e-6 measured; where an
 * element of the cache, or an activation of 16 bits, falls on the other side of a half: 6e-4. */
#define TOLERANCE 2e-3
/* Where a table packs what the experts read in prefill to 8 bits: 0.021 measured. */
#define TOLERANCE_PACKED 4e-2

/* Tokens before the first whose choice of experts hangs on the rounding. */
static uint32_t tokens_sure(const double *margins)
{
    uint32_t count = 0;
    while (count < TOKENS && margins[count] > 0.02) {
        count++;
    }
    return count;
}

static double gap_of(const double *reference, const float *logits, uint32_t vocab)
{
    double most = 0.0;
    double gap = 0.0;
    for (uint32_t v = 0; v < vocab; v++) {
        double apart = fabs((double)logits[v] - reference[v]);
        most = fmax(most, fabs(reference[v]));
        gap = isnan(apart) ? INFINITY : fmax(gap, apart);
    }
    return gap / most;
}

static void check_reference(const struct osl_kernels *kernels, const double *reference,
                            const double *margins)
{
    uint32_t vocab = rig.model.shape.vocab;
    uint32_t sure = tokens_sure(margins);
    double worst[2] = {0.0, 0.0};
    start(kernels, 2, TOKENS);
    assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, TOKENS, 0, TOKENS), OSL_OK);
    for (uint32_t t = 0; t < sure; t++) {
        const float *logits = osl_executor_logits(rig.executor) + (size_t)t * vocab;
        worst[0] = fmax(worst[0], gap_of(reference + (size_t)t * vocab, logits, vocab));
    }
    start(kernels, 2, 1);
    for (uint32_t t = 0; t < sure; t++) {
        assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, t, 1, 0, 1), OSL_OK);
        const float *logits = osl_executor_logits(rig.executor);
        worst[1] = fmax(worst[1], gap_of(reference + (size_t)t * vocab, logits, vocab));
    }
    printf("seed %u, %s: %u tokens, gap prefill %.2g, decode %.2g\n", (unsigned)rig.model.seed,
           kernels->name, sure, worst[0], worst[1]);
    assert_true(sure >= 20);
    assert_true(worst[0] <= (kernels->pack != NULL ? TOLERANCE_PACKED : TOLERANCE));
    assert_true(worst[1] <= TOLERANCE);
}

static void executor_matches_double_precision(void **state)
{
    (void)state;
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t table_count = osl_kernels_list(tables);
    double margins[TOKENS];
    for (size_t m = 0; m < RIG_MODELS; m++) {
        make(m);
        double *reference = calloc((size_t)TOKENS * rig.model.shape.vocab, sizeof *reference);
        rig_reference(&rig, TOKENS, reference, margins);
        for (uint32_t i = 0; i < table_count; i++) {
            check_reference(tables[i], reference, margins);
        }
        free(reference);
        rig_stop(&rig);
    }
}

/* ---- The same bits ----------------------------------------------------------------------- */

static uint64_t decode_hash(const struct osl_kernels *kernels, uint32_t threads)
{
    start(kernels, threads, 1);
    uint64_t hash = 0;
    for (uint32_t t = 0; t < TOKENS; t++) {
        assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, t, 1, 0, 1), OSL_OK);
        hash = hash * 31 + rig_hash(&rig, 1);
    }
    return hash;
}

static void decode_is_the_same_for_any_thread_count(void **state)
{
    (void)state;
    static const uint32_t threads[] = {2, 3, 7};
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t table_count = osl_kernels_list(tables);
    for (size_t m = 0; m < RIG_MODELS; m++) {
        make(m);
        for (uint32_t i = 0; i < table_count; i++) {
            uint64_t one = decode_hash(tables[i], 1);
            for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
                assert_true(decode_hash(tables[i], threads[t]) == one);
            }
        }
        rig_stop(&rig);
    }
}

/* Prefills in chunks, the last token's logits by matvec; the ring's capacity follows from
 * prefill_tokens, so it is the same for all. */
static uint64_t prefill_hash(const struct osl_kernels *kernels, uint32_t threads,
                             const uint32_t *chunks)
{
    start(kernels, threads, TOKENS);
    uint32_t first = 0;
    for (uint32_t i = 0; first < TOKENS; i++) {
        uint32_t count = chunks[i] < TOKENS - first ? chunks[i] : TOKENS - first;
        bool last = first + count == TOKENS;
        assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, first, count, count - 1, last), OSL_OK);
        first += count;
    }
    return rig_hash(&rig, 1);
}

static void prefill_is_the_same_in_any_chunks(void **state)
{
    (void)state;
    static const uint32_t whole[] = {TOKENS};
    static const uint32_t chunks[][TOKENS] = {
        {1, 36}, {36, 1}, {7, 8, 22}, {32, 5}, {2, 3, 5, 7, 11, 9}, {16, 16, 16}, {1, 1, 1, 2, 32}};
    static const uint32_t threads[] = {1, 3, 7};
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t table_count = osl_kernels_list(tables);
    for (size_t m = 0; m < RIG_MODELS; m++) {
        make(m);
        for (uint32_t i = 0; i < table_count; i++) {
            uint64_t hash = prefill_hash(tables[i], 2, whole);
            for (size_t t = 0; t < 3; t++) {
                assert_true(prefill_hash(tables[i], threads[t], whole) == hash);
            }
            for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
                assert_true(prefill_hash(tables[i], 1 + (uint32_t)c % 3, chunks[c]) == hash);
            }
        }
        rig_stop(&rig);
    }
}

/* Logits of several rows, asked for in any pieces of two rows and more. */
static void logits_rows_are_the_same_in_any_pieces(void **state)
{
    (void)state;
    static float all[TOKENS * 330];
    for (size_t m = 0; m < RIG_MODELS; m++) {
        make(m);
        size_t vocab = rig.model.shape.vocab;
        start(osl_kernels_find(NULL), 2, TOKENS);
        assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, TOKENS, 0, TOKENS), OSL_OK);
        memcpy(all, osl_executor_logits(rig.executor), TOKENS * vocab * sizeof(float));
        static const uint32_t rows[][2] = {{0, 2}, {3, 32}, {35, 2}};
        for (size_t i = 0; i < 3; i++) {
            start(osl_kernels_find(NULL), 3, TOKENS);
            assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, TOKENS, rows[i][0], rows[i][1]),
                             OSL_OK);
            assert_memory_equal(osl_executor_logits(rig.executor), all + rows[i][0] * vocab,
                                rows[i][1] * vocab * sizeof(float));
        }
        rig_stop(&rig);
    }
}

/* Decode goes on where prefill stopped, across the ends of attention's segments and with a
 * window that lies across one. */
static void decode_crosses_segments(void **state)
{
    (void)state;
    struct rig_model model = {.shape = {.layers = 2,
                                        .hidden = 32,
                                        .ff = 64,
                                        .heads = 4,
                                        .kv_heads = 2,
                                        .head_dim = 32,
                                        .experts = 3,
                                        .experts_used = 2,
                                        .vocab = 40,
                                        .window = 33,
                                        .rms_eps = 1e-5f,
                                        .swiglu_alpha = 1.702f,
                                        .swiglu_limit = 7.0f},
                              .dense = OSL_DTYPE_BF16,
                              .expert = OSL_DTYPE_F32,
                              .embed = OSL_DTYPE_F32,
                              .kv_type = OSL_KV_F16,
                              .seed = 6};
    rig_make(&rig, &model);
    uint32_t vocab = model.shape.vocab;
    enum { FIRST = OSL_ATTEND_SEGMENT - 2, COUNT = 2 * OSL_ATTEND_SEGMENT + 3 };
    double *reference = calloc((size_t)COUNT * vocab, sizeof *reference);
    double *margins = calloc(COUNT, sizeof *margins);
    rig_reference(&rig, COUNT, reference, margins);
    uint64_t hashes[2];
    for (uint32_t run = 0; run < 2; run++) {
        struct rig_options options = {.threads = run == 0 ? 1 : 5,
                                      .prefill_tokens = 256,
                                      .context_tokens = COUNT,
                                      .logits_rows = 1,
                                      .overlay = true,
                                      .kernels = osl_kernels_find(NULL)};
        double worst = 0.0;
        rig_start(&rig, &options);
        hashes[run] = 0;
        for (uint32_t t = 0; t < COUNT;) {
            bool near_end =
                t % OSL_ATTEND_SEGMENT < 40 || t % OSL_ATTEND_SEGMENT >= FIRST % OSL_ATTEND_SEGMENT;
            bool decode = t >= FIRST && near_end;
            uint32_t count = 1;
            while (!decode && count < 256 &&
                   (t + count) % OSL_ATTEND_SEGMENT != FIRST % OSL_ATTEND_SEGMENT) {
                count++;
            }
            assert_int_equal(
                rig_step(&rig, decode ? OSL_STEP_DECODE : OSL_STEP_PREFILL, t, count, count - 1, 1),
                OSL_OK);
            t += count;
            worst = fmax(worst, gap_of(reference + (size_t)(t - 1) * vocab,
                                       osl_executor_logits(rig.executor), vocab));
            hashes[run] = hashes[run] * 31 + rig_hash(&rig, 1);
        }
        printf("across segments: gap %.2g\n", worst);
        assert_true(worst < TOLERANCE);
    }
    assert_true(hashes[0] == hashes[1]);
    free(reference);
    free(margins);
    rig_stop(&rig);
}

/* What one run leaves in memory must not show in the next: fresh memory, not overlaid and not
 * poisoned, gives the same bits as used, overlaid and poisoned memory. */
static void stale_memory_does_not_show(void **state)
{
    (void)state;
    for (size_t m = 0; m < RIG_MODELS; m++) {
        make(m);
        uint64_t hash[2];
        for (uint32_t run = 0; run < 2; run++) {
            struct rig_options options = {.threads = 2,
                                          .prefill_tokens = 20,
                                          .context_tokens = 64,
                                          .logits_rows = 3,
                                          .overlay = run == 1,
                                          .poison = run == 1,
                                          .kernels = osl_kernels_find(NULL)};
            rig_start(&rig, &options);
            assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, 20, 5, 3), OSL_OK);
            assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 20, 1, 0, 1), OSL_OK);
            assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 21, 5, 0, 0), OSL_OK);
            assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 26, 1, 0, 1), OSL_OK);
            hash[run] = rig_hash(&rig, 1);
        }
        assert_true(hash[0] == hash[1]);
        rig_stop(&rig);
    }
}

/* ---- Aborting ---------------------------------------------------------------------------- */

static struct osl_kernels counting; /* the best table, with a swiglu that raises the flag */
static atomic_uint swiglu_calls;
static uint32_t abort_at;

static void swiglu_that_aborts(float *gate, const float *up, uint32_t n, float alpha, float limit)
{
    if (atomic_fetch_add(&swiglu_calls, 1) + 1 == abort_at) {
        atomic_store(&rig.abort, true);
    }
    osl_kernels_find(NULL)->swiglu(gate, up, n, alpha, limit);
}

static void aborted_step_can_be_run_again(void **state)
{
    (void)state;
    counting = *osl_kernels_find(NULL);
    counting.swiglu = swiglu_that_aborts;
    make(0);
    for (uint32_t threads = 1; threads <= 5; threads += 2) {
        abort_at = 0;
        start(&counting, threads, 20);
        assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, 20, 0, 0), OSL_OK);
        assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 20, 1, 0, 1), OSL_OK);
        uint64_t undisturbed = rig_hash(&rig, 1);
        start(&counting, threads, 20);
        for (abort_at = 1; abort_at < 6; abort_at++) {
            atomic_store(&swiglu_calls, 0);
            assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, 20, 0, 0), OSL_ABORTED);
            /* still raised: refused at the first barrier */
            assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 20, 1, 0, 1), OSL_ABORTED);
            atomic_store(&rig.abort, false);
        }
        abort_at = 0;
        assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, 20, 0, 0), OSL_OK);
        atomic_store(&swiglu_calls, 0);
        abort_at = 1;
        assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 20, 1, 0, 1), OSL_ABORTED);
        atomic_store(&rig.abort, false);
        abort_at = 0;
        assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 20, 1, 0, 1), OSL_OK);
        assert_true(rig_hash(&rig, 1) == undisturbed);
    }
    rig_stop(&rig);
}

/* ---- Facts and refusals ------------------------------------------------------------------ */

/* All weights of a layer that a step reads, with `experts` different experts. */
static uint64_t layer_weight_bytes(uint32_t experts)
{
    const struct rig_layer *w = &rig.weights.layer[0];
    uint64_t expert = w->gate.expert_bytes + w->up.expert_bytes + w->down.expert_bytes;
    return w->q.expert_bytes + w->k.expert_bytes + w->v.expert_bytes + w->out.expert_bytes +
           w->router.expert_bytes + experts * expert;
}

static void weight_bytes_count_each_row_once(void **state)
{
    (void)state;
    make(0); /* three experts of five */
    start(osl_kernels_find(NULL), 2, TOKENS);
    assert_int_equal(rig_step(&rig, OSL_STEP_DECODE, 0, 1, 0, 1), OSL_OK);
    assert_int_equal(osl_executor_weight_bytes(rig.executor), 2 * layer_weight_bytes(3) +
                                                                  rig.weights.embed.row_bytes +
                                                                  rig.weights.output.expert_bytes);
    double speed = osl_executor_read_bandwidth(rig.executor, rig.memory + (128 << 20), 8 << 20, 3);
    assert_true(speed > 1e7 && speed < 1e13);
    rig_stop(&rig);
    make(4); /* two of two, whatever the tokens */
    start(osl_kernels_find(NULL), 2, TOKENS);
    assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, 0, TOKENS, 0, 0), OSL_OK);
    assert_int_equal(osl_executor_weight_bytes(rig.executor),
                     2 * layer_weight_bytes(2) + TOKENS * rig.weights.embed.row_bytes);
    rig_stop(&rig);
}

static void executor_refuses_what_does_not_fit(void **state)
{
    (void)state;
    make(0);
    start(osl_kernels_find(NULL), 2, 8);
    _Alignas(64) static uint8_t memory[1 << 20];
    static struct osl_schedule schedule;
    struct osl_executor *executor = NULL;
    struct osl_error error;
    struct osl_executor_config good = {.schedule = &schedule,
                                       .kernels = osl_kernels_find(NULL),
                                       .team = rig.team,
                                       .limits = {.prefill_tokens = 8,
                                                  .logits_rows = 1,
                                                  .context_tokens = 64,
                                                  .thread_count = 2}};
    for (uint32_t b = 0; b < OSL_BUFFER_COUNT; b++) {
        good.buffer[b] = memory;
    }
    schedule = rig.schedule;
    assert_int_equal(osl_executor_init(memory, sizeof memory, &good, &executor, &error), OSL_OK);
    assert_int_equal(osl_executor_init(memory, 64, &good, &executor, &error), OSL_MEMORY);
    assert_null(executor);

    struct osl_executor_config config = good;
    config.buffer[OSL_BUFFER_NORM] = NULL;
    assert_int_equal(osl_executor_init(memory, sizeof memory, &config, &executor, &error),
                     OSL_ARGUMENT);
    struct osl_weight wrong = rig.weights.layer[1].down;
    wrong.cols += 32;
    for (uint32_t i = 0; i < schedule.op_count; i++) {
        if (schedule.ops[i].kind == OSL_OP_EXPERT_DOWN && schedule.ops[i].layer == 1) {
            schedule.ops[i].weight[0] = &wrong;
        }
    }
    assert_int_equal(osl_executor_init(memory, sizeof memory, &good, &executor, &error),
                     OSL_ARGUMENT);
    assert_non_null(strstr(error.text, "(expert down) of layer 1"));

    schedule = rig.schedule;
    static struct osl_kernels fewer;
    fewer = *osl_kernels_find(NULL);
    fewer.matvec[OSL_DTYPE_MXFP4] = NULL;
    config = good;
    config.kernels = &fewer;
    assert_int_equal(osl_executor_init(memory, sizeof memory, &config, &executor, &error),
                     OSL_UNSUPPORTED);
    assert_non_null(strstr(error.text, "none for MXFP4"));

    schedule.kv[0].capacity = OSL_ATTEND_BLOCK / 2;
    assert_int_equal(osl_executor_init(memory, sizeof memory, &good, &executor, &error),
                     OSL_ARGUMENT);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executor_matches_double_precision),
        cmocka_unit_test(decode_is_the_same_for_any_thread_count),
        cmocka_unit_test(prefill_is_the_same_in_any_chunks),
        cmocka_unit_test(logits_rows_are_the_same_in_any_pieces),
        cmocka_unit_test(decode_crosses_segments),
        cmocka_unit_test(stale_memory_does_not_show),
        cmocka_unit_test(aborted_step_can_be_run_again),
        cmocka_unit_test(weight_bytes_count_each_row_once),
        cmocka_unit_test(executor_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
