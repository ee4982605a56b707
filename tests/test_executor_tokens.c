/* Decode steps of several tokens: each token gets the bits of a step of its own, whatever stands
 * beside it, was rejected before it, or lies at the edge of a window, a ring or a segment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executor_rig.h"

#define TOKENS 90
#define VOCAB_MAX 330

static struct rig rig;
static float expected[TOKENS * VOCAB_MAX];

static void start(const struct osl_kernels *kernels, uint32_t threads, uint32_t context_tokens)
{
    struct rig_options options = {.threads = threads,
                                  .prefill_tokens = OSL_DECODE_TOKENS_MAX,
                                  .context_tokens = context_tokens,
                                  .logits_rows = OSL_DECODE_TOKENS_MAX,
                                  .decode_tokens = OSL_DECODE_TOKENS_MAX,
                                  .overlay = true,
                                  .poison = true,
                                  .kernels = kernels};
    rig_start(&rig, &options);
}

/* Tokens [first, first + count) of the text, those from `wrong` on replaced by others; logits of
 * rows [row, count). */
static void decode(uint32_t first, uint32_t count, uint32_t wrong, uint32_t row)
{
    int32_t tokens[OSL_DECODE_TOKENS_MAX];
    for (uint32_t t = 0; t < count; t++) {
        int32_t other = (rig_token(&rig, first + t) + 1) % (int32_t)rig.model.shape.vocab;
        tokens[t] = t >= wrong ? other : rig_token(&rig, first + t);
    }
    struct osl_step step = {.kind = OSL_STEP_DECODE,
                            .token_count = count,
                            .position_first = first,
                            .tokens = tokens,
                            .logits_row_first = row,
                            .logits_row_count = count - row};
    assert_int_equal(osl_executor_run(rig.executor, &step), OSL_OK);
}

/* One token a step from `first` on. */
static void expect(uint32_t first, uint32_t end)
{
    uint64_t vocab = rig.model.shape.vocab;
    assert_true(vocab <= VOCAB_MAX);
    for (uint32_t t = first; t < end; t++) {
        decode(t, 1, 1, 0);
        memcpy(expected + (t - first) * vocab, osl_executor_logits(rig.executor),
               vocab * sizeof(float));
    }
}

/* The same in steps of 1 to 8 tokens of which some are wrong and, with those after them, not
 * kept. */
static void compare(uint32_t first, uint32_t end)
{
    static const uint32_t counts[] = {8, 1, 2, 5, 3, 8, 7, 4, 6};
    static const uint32_t kept[] = {3, 1, 2, 1, 3, 8, 6, 4, 2};
    uint64_t vocab = rig.model.shape.vocab;
    uint32_t turn = 0;
    for (uint32_t t = first; t < end; turn++) {
        uint32_t left = end - t;
        uint32_t count = counts[turn % 9] < left ? counts[turn % 9] : left;
        uint32_t right = kept[turn % 9] < count ? kept[turn % 9] : count;
        uint32_t row = turn % 4 == 3 ? right - 1 : 0;
        decode(t, count, right, row);
        assert_memory_equal(osl_executor_logits(rig.executor), expected + (t - first + row) * vocab,
                            (right - row) * vocab * sizeof(float));
        t += right;
    }
}

/* The text turns most rings: 7 + 8 and up positions, in whole blocks of 64. */
static void tokens_beside_it_do_not_change_a_token(void **state)
{
    (void)state;
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t table_count = osl_kernels_list(tables);
    for (size_t m = 0; m < RIG_MODELS; m++) {
        struct rig_model model = rig_models[m];
        model.shape.rms_eps = 1e-5f;
        model.shape.swiglu_alpha = 1.702f;
        model.shape.swiglu_limit = 7.0f;
        rig_make(&rig, &model);
        for (uint32_t i = 0; i < table_count; i++) {
            start(tables[i], 1, TOKENS);
            expect(0, TOKENS);
            start(tables[i], 1 + (uint32_t)m % 3, TOKENS);
            compare(0, TOKENS);
        }
        rig_stop(&rig);
    }
}

/* Steps that lie across the end of a segment, in a layer that sees everything and in one whose
 * window does too. */
static void tokens_cross_segments(void **state)
{
    (void)state;
    enum { FIRST = 2 * OSL_ATTEND_SEGMENT - 10, END = 2 * OSL_ATTEND_SEGMENT + 45 };
    struct rig_model model = rig_models[4];
    model.shape.rms_eps = 1e-5f;
    model.shape.swiglu_alpha = 1.702f;
    model.shape.swiglu_limit = 7.0f;
    rig_make(&rig, &model);
    for (uint32_t run = 0; run < 2; run++) {
        start(osl_kernels_find(NULL), run == 0 ? 1 : 5, END);
        for (uint32_t t = 0; t < FIRST; t += 8) {
            uint32_t count = FIRST - t < 8 ? FIRST - t : 8;
            assert_int_equal(rig_step(&rig, OSL_STEP_PREFILL, t, count, 0, 0), OSL_OK);
        }
        if (run == 0) {
            expect(FIRST, END);
        } else {
            compare(FIRST, END);
        }
    }
    rig_stop(&rig);
}

/* All experts of the model are chosen: eight tokens read each matrix once. */
static void a_weight_is_counted_once_for_all_tokens(void **state)
{
    (void)state;
    struct rig_model model = rig_models[4];
    rig_make(&rig, &model);
    start(osl_kernels_find(NULL), 2, TOKENS);
    decode(0, 1, 1, 0);
    uint64_t one = osl_executor_weight_bytes(rig.executor);
    decode(1, 8, 8, 0);
    assert_int_equal(osl_executor_weight_bytes(rig.executor),
                     one + 7 * rig.weights.embed.row_bytes);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_beside_it_do_not_change_a_token),
        cmocka_unit_test(tokens_cross_segments),
        cmocka_unit_test(a_weight_is_counted_once_for_all_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
