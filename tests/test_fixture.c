/* The files that other tests stand on: published keys in order, weights as spread as they say,
 * the same bytes however they are made; and the reference pass gives what it gave. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixtures/fixture.h"
#include "fixtures/vocab.h"
#include "model/gguf.h"
#include "reference/reference.h"

static struct fixture fixture;
static uint8_t *bytes;
static uint64_t byte_count;
static char path[] = "/tmp/ossicle-fixture-XXXXXX";

static int setup(void **state)
{
    struct fixture_options options;
    int file = mkstemp(path);
    if (file < 0 || !fixture_preset(&options, "tiny") || !fixture_build(&fixture, &options)) {
        return 1;
    }
    close(file);
    bytes = fixture_bytes(&fixture, &byte_count);
    return bytes == NULL || !fixture_write(&fixture, path, 1, false);
}

static int teardown(void **state)
{
    unlink(path);
    free(bytes);
    fixture_free(&fixture);
    return 0;
}

/* Shared formats note, section 6.2. */
static const struct {
    const char *name;
    enum osl_gguf_type type, element;
} published[] = {
    {"general.architecture", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"general.type", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"general.name", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"general.basename", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"general.size_label", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"general.license", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"general.tags", OSL_GGUF_ARRAY, OSL_GGUF_STRING},
    {"gpt-oss.block_count", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.context_length", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.embedding_length", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.feed_forward_length", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.attention.head_count", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.attention.head_count_kv", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.rope.freq_base", OSL_GGUF_F32, OSL_GGUF_F32},
    {"gpt-oss.attention.layer_norm_rms_epsilon", OSL_GGUF_F32, OSL_GGUF_F32},
    {"gpt-oss.expert_count", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.expert_used_count", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.attention.key_length", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.attention.value_length", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.attention.sliding_window", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.expert_feed_forward_length", OSL_GGUF_U32, OSL_GGUF_U32},
    {"gpt-oss.rope.scaling.type", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"gpt-oss.rope.scaling.factor", OSL_GGUF_F32, OSL_GGUF_F32},
    {"gpt-oss.rope.scaling.original_context_length", OSL_GGUF_U32, OSL_GGUF_U32},
    {"tokenizer.ggml.model", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"tokenizer.ggml.pre", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"tokenizer.ggml.tokens", OSL_GGUF_ARRAY, OSL_GGUF_STRING},
    {"tokenizer.ggml.token_type", OSL_GGUF_ARRAY, OSL_GGUF_I32},
    {"tokenizer.ggml.merges", OSL_GGUF_ARRAY, OSL_GGUF_STRING},
    {"tokenizer.ggml.bos_token_id", OSL_GGUF_U32, OSL_GGUF_U32},
    {"tokenizer.ggml.eos_token_id", OSL_GGUF_U32, OSL_GGUF_U32},
    {"tokenizer.ggml.padding_token_id", OSL_GGUF_U32, OSL_GGUF_U32},
    {"tokenizer.chat_template", OSL_GGUF_STRING, OSL_GGUF_STRING},
    {"general.quantization_version", OSL_GGUF_U32, OSL_GGUF_U32},
    {"general.file_type", OSL_GGUF_U32, OSL_GGUF_U32},
};

static void fixture_has_the_published_keys_in_order(void **state)
{
    static struct osl_gguf gguf;
    struct osl_error error;
    assert_int_equal(osl_gguf_parse(&gguf, "tiny", bytes, byte_count, &error), OSL_OK);
    assert_int_equal(gguf.key_count, sizeof published / sizeof published[0]);
    for (uint32_t i = 0; i < gguf.key_count; i++) {
        assert_true(osl_slice_equal(gguf.keys[i].name, published[i].name));
        assert_int_equal(gguf.keys[i].type, published[i].type);
        assert_int_equal(gguf.keys[i].element, published[i].element);
    }
}

static void fixture_is_the_same_in_memory_and_from_any_threads(void **state)
{
    uint8_t *read_back = malloc(byte_count);
    assert_non_null(read_back);
    for (uint32_t threads = 1; threads <= 3; threads++) {
        assert_true(fixture_write(&fixture, path, threads, false));
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fread(read_back, 1, byte_count, file), byte_count);
        assert_int_equal(fgetc(file), EOF);
        fclose(file);
        assert_memory_equal(read_back, bytes, byte_count);
    }
    free(read_back);
}

/* Mean and spread of every tensor, by the reference's reader, within what its size allows. */
static void fixture_weights_spread_as_they_say(void **state)
{
    static struct reference model;
    static const uint32_t types[] = {FIXTURE_Q8_0, FIXTURE_BF16, FIXTURE_F16, FIXTURE_F32};
    for (size_t type = 0; type < sizeof types / sizeof types[0]; type++) {
        static struct fixture other;
        struct fixture_options options = fixture.options;
        options.dense = types[type];
        assert_true(fixture_build(&other, &options));
        assert_true(fixture_write(&other, path, 2, false));
        reference_open(&model, path);
        for (uint32_t i = 0; i < other.tensor_count; i++) {
            const struct fixture_tensor *t = &other.tensors[i];
            uint64_t rows = t->dims[1] * t->dims[2];
            double *row = reference_alloc(t->dims[0], sizeof *row);
            double sum = 0, square = 0, count = (double)(rows * t->dims[0]);
            for (uint64_t r = 0; r < rows; r++) {
                reference_row(&model.tensors[i], r, row);
                for (uint64_t c = 0; c < t->dims[0]; c++) {
                    sum += row[c] - (double)t->mean;
                    square += (row[c] - (double)t->mean) * (row[c] - (double)t->mean);
                }
            }
            free(row);
            double spread = sqrt(square / count) / (double)t->spread;
            /* MXFP4's scales are few and four times apart in the square, and miss by up to 0.04 */
            double slack = t->dtype == FIXTURE_MXFP4 ? 0.04 + 2.5 / sqrt(count / 32)
                                                     : 0.02 + 2.5 / sqrt(count);
            if (fabs(spread - 1) > slack ||
                fabs(sum / count) > 4.5 * (double)t->spread / sqrt(count)) {
                fail_msg("%s: spread %g times what was asked, mean off by %g", t->name, spread,
                         sum / count);
            }
        }
        reference_close(&model);
        fixture_free(&other);
    }
}

/* What merging makes of a token's bytes must be the token; see vocab.c. */
static void fixture_vocabulary_can_be_reached(void **state)
{
    static struct vocab vocab;
    static const uint32_t sizes[] = {256, 300, 2000, 50000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(vocab_init(&vocab));
        assert_true(vocab_make_small(&vocab, sizes[i]));
        assert_int_equal(vocab.count, sizes[i]);
        for (uint32_t rank = 256; rank < vocab.count; rank += 1 + rank / 500) {
            const struct vocab_token *token = &vocab.tokens[rank];
            assert_true(vocab_reachable(&vocab, vocab.text + token->start, token->bytes));
            assert_int_equal(vocab_find(&vocab, vocab.text + token->start, token->bytes), rank);
        }
        vocab_free(&vocab);
    }
}

/* Compared with llama.cpp when this was written; any change since then shows here. */
static void reference_gives_what_it_gave(void **state)
{
    static struct reference model;
    static const struct {
        uint32_t count;
        int32_t ids[40];
        int32_t best;
        double logprob;
    } rows[] = {
        {1, {17}, 64, -2.25345823},
        {5, {1, 2, 3, 4, 5}, 364, -2.29039666},
        {30,
         {100, 3,  250, 7,   580, 99, 99, 12,  301, 44, 8,  120, 66, 5,   19,
          410, 23, 500, 333, 2,   71, 18, 260, 90,  31, 77, 140, 9,  555, 6},
         521,
         -0.90850704},
    };
    assert_true(fixture_write(&fixture, path, 1, false));
    reference_open(&model, path);
    double *logits = reference_alloc(model.vocab, sizeof *logits);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reference_logits(&model, rows[i].ids, rows[i].count, logits);
        uint32_t best = 0;
        double sum = 0;
        for (uint32_t id = 0; id < model.vocab; id++) {
            best = logits[id] > logits[best] ? id : best;
            sum += exp(logits[id]);
        }
        if (best != (uint32_t)rows[i].best ||
            fabs(logits[best] - log(sum) - rows[i].logprob) > 1e-6) {
            fail_msg("%zu: %u %.9f", i, best, logits[best] - log(sum));
        }
    }
    free(logits);
    reference_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixture_has_the_published_keys_in_order),
        cmocka_unit_test(fixture_is_the_same_in_memory_and_from_any_threads),
        cmocka_unit_test(fixture_weights_spread_as_they_say),
        cmocka_unit_test(fixture_vocabulary_can_be_reached),
        cmocka_unit_test(reference_gives_what_it_gave),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
