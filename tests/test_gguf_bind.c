/* From keys and tensors to the model: what binds, and every key and tensor wrong once. */
#include "gguf_edit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/bind.h"

static struct edit tiny;
static struct osl_model_weights weights;

static int setup(void **state)
{
    tiny = edit_tiny();
    return 0;
}

static int teardown(void **state)
{
    edit_free(&tiny);
    return 0;
}

/* Binds a file that the reader takes. */
static enum osl_status bind(const struct edit *edit, struct osl_hparams *hparams,
                            struct osl_error *error)
{
    const struct osl_gguf *gguf = edit_parsed(edit);
    *error = (struct osl_error){OSL_OK, ""};
    enum osl_status status = osl_bind_hparams(gguf, hparams, error);
    return status == OSL_OK ? osl_bind_weights(gguf, hparams, &weights, error) : status;
}

static void refused(struct edit edit, enum osl_status status, const char *words)
{
    struct osl_hparams hparams;
    struct osl_error error;
    if (bind(&edit, &hparams, &error) == OSL_OK) {
        fail_msg("bound; expected: %s", words);
    }
    edit_free(&edit);
    edit_check_error(&error, status, words);
}

static struct osl_hparams bound(struct edit edit)
{
    struct osl_hparams hparams;
    struct osl_error error;
    if (bind(&edit, &hparams, &error) != OSL_OK) {
        fail_msg("%s", error.text);
    }
    edit_free(&edit);
    return hparams;
}

static void bind_reads_all_hyperparameters(void **state)
{
    struct osl_hparams h = bound(edit_copy(&tiny));
    assert_int_equal(h.shape.layers, 2);
    assert_int_equal(h.shape.hidden, 96);
    assert_int_equal(h.shape.ff, 160);
    assert_int_equal(h.shape.heads, 6);
    assert_int_equal(h.shape.kv_heads, 2);
    assert_int_equal(h.shape.head_dim, 32);
    assert_int_equal(h.shape.experts, 6);
    assert_int_equal(h.shape.experts_used, 3);
    assert_int_equal(h.shape.vocab, 600);
    assert_int_equal(h.shape.window, 16);
    assert_int_equal(h.context_tokens, 2048);
    assert_int_equal(h.yarn_original_context, 4096);
    assert_true(h.shape.rms_eps == 1e-5f && h.rope_base == 150000 && h.yarn_factor == 32);
    assert_true(h.shape.swiglu_alpha == 1.702f && h.shape.swiglu_limit == 7);
    assert_true(h.yarn_beta_fast == 32 && h.yarn_beta_slow == 1);
    assert_string_equal(h.name, "Fixture tiny");
}

static void check_weight(const struct osl_weight *weight, const char *name, uint32_t cols,
                         uint32_t rows, uint32_t experts)
{
    const struct osl_gguf_tensor *tensor = osl_gguf_tensor_find(edit_parsed(&tiny), name);
    assert_non_null(tensor);
    assert_ptr_equal(weight->data, tiny.data + tensor->offset);
    assert_int_equal(weight->dtype, tensor->dtype);
    assert_int_equal(weight->cols, cols);
    assert_int_equal(weight->rows, rows);
    assert_int_equal(weight->experts, experts);
    assert_int_equal(weight->row_bytes * rows, weight->expert_bytes);
    assert_int_equal(weight->expert_bytes * experts, tensor->bytes);
}

static void bind_puts_every_weight_in_its_place(void **state)
{
    struct osl_hparams hparams;
    struct osl_error error;
    assert_int_equal(bind(&tiny, &hparams, &error), OSL_OK);
    const struct osl_layer_weights *l = &weights.layer[1];
    check_weight(&weights.embed, "token_embd.weight", 96, 600, 1);
    check_weight(&weights.output_norm, "output_norm.weight", 96, 1, 1);
    check_weight(&weights.output, "output.weight", 96, 600, 1);
    check_weight(&weights.layer[0].q, "blk.0.attn_q.weight", 96, 192, 1);
    check_weight(&l->attn_norm, "blk.1.attn_norm.weight", 96, 1, 1);
    check_weight(&l->q, "blk.1.attn_q.weight", 96, 192, 1);
    check_weight(&l->q_bias, "blk.1.attn_q.bias", 192, 1, 1);
    check_weight(&l->k, "blk.1.attn_k.weight", 96, 64, 1);
    check_weight(&l->k_bias, "blk.1.attn_k.bias", 64, 1, 1);
    check_weight(&l->v, "blk.1.attn_v.weight", 96, 64, 1);
    check_weight(&l->v_bias, "blk.1.attn_v.bias", 64, 1, 1);
    check_weight(&l->attn_out, "blk.1.attn_output.weight", 192, 96, 1);
    check_weight(&l->attn_out_bias, "blk.1.attn_output.bias", 96, 1, 1);
    check_weight(&l->sinks, "blk.1.attn_sinks.weight", 6, 1, 1);
    check_weight(&l->mlp_norm, "blk.1.post_attention_norm.weight", 96, 1, 1);
    check_weight(&l->router, "blk.1.ffn_gate_inp.weight", 96, 6, 1);
    check_weight(&l->router_bias, "blk.1.ffn_gate_inp.bias", 6, 1, 1);
    check_weight(&l->gate, "blk.1.ffn_gate_exps.weight", 96, 160, 6);
    check_weight(&l->gate_bias, "blk.1.ffn_gate_exps.bias", 160, 6, 1);
    check_weight(&l->up, "blk.1.ffn_up_exps.weight", 96, 160, 6);
    check_weight(&l->up_bias, "blk.1.ffn_up_exps.bias", 160, 6, 1);
    check_weight(&l->down, "blk.1.ffn_down_exps.weight", 160, 96, 6);
    check_weight(&l->down_bias, "blk.1.ffn_down_exps.bias", 96, 6, 1);
    assert_null(weights.layer[2].q.data);
    assert_int_equal(weights.embed_bytes, 600 * 3 * 34);
    uint64_t experts = 2 * 6 * (2 * 160 * 3 * 17 + 96 * 5 * 17 + (2 * 160 + 96) * 4);
    assert_int_equal(weights.expert_bytes, experts);
    uint64_t all = 0;
    for (uint32_t i = 0; i < edit_parsed(&tiny)->tensor_count; i++) {
        all += edit_parsed(&tiny)->tensors[i].bytes;
    }
    assert_int_equal(weights.dense_bytes, all - weights.embed_bytes - experts);
}

/* The published shapes, of which only the header is in memory: nothing else may be touched. */
static void bind_shape(const char *preset, uint64_t *parameters_out, uint64_t *bytes_out)
{
    static struct fixture fixture;
    static struct osl_gguf gguf;
    struct fixture_options options;
    struct osl_hparams hparams;
    struct osl_error error = {OSL_OK, ""};
    assert_true(fixture_preset(&options, preset));
    options.ranks[0] = '\0';
    assert_true(fixture_build(&fixture, &options));
    uint8_t *header = malloc(fixture.header_bytes);
    memcpy(header, fixture.header, fixture.header_bytes);
    enum osl_status status =
        osl_gguf_parse(&gguf, EDIT_NAME, header, fixture.header_bytes + fixture.data_bytes, &error);
    if (status == OSL_OK) {
        status = osl_bind_hparams(&gguf, &hparams, &error);
    }
    if (status == OSL_OK) {
        status = osl_bind_weights(&gguf, &hparams, &weights, &error);
    }
    free(header);
    fixture_free(&fixture);
    if (status != OSL_OK) {
        fail_msg("%s", error.text);
    }
    *parameters_out = weights.parameters;
    *bytes_out = weights.embed_bytes + weights.dense_bytes + weights.expert_bytes;
}

static void bind_takes_the_published_shapes(void **state)
{
    uint64_t parameters = 0, bytes = 0;
    bind_shape("20b", &parameters, &bytes);
    assert_int_equal(parameters, 20914757184);
    assert_int_equal(bytes, 12096558336);
    bind_shape("120b-header", &parameters, &bytes);
    assert_int_equal(parameters, 116829156672);
    assert_non_null(weights.layer[35].down_bias.data);
}

static void bind_takes_the_types_it_says(void **state)
{
    static const uint32_t dense[] = {FIXTURE_F32, FIXTURE_F16, FIXTURE_BF16, FIXTURE_Q8_0};
    for (size_t i = 0; i < sizeof dense / sizeof dense[0]; i++) {
        struct fixture_options options;
        assert_true(fixture_preset(&options, "tiny"));
        options.dense = dense[i];
        options.router = dense[i];
        options.expert = dense[i];
        struct osl_hparams h = bound(edit_fixture(&options));
        assert_int_equal(h.shape.layers, 2);
        assert_int_equal(weights.layer[1].router.dtype, dense[i]);
    }
}

static const char *const needed_keys[] = {
    "general.architecture",
    "gpt-oss.block_count",
    "gpt-oss.context_length",
    "gpt-oss.embedding_length",
    "gpt-oss.expert_feed_forward_length",
    "gpt-oss.attention.head_count",
    "gpt-oss.attention.head_count_kv",
    "gpt-oss.attention.key_length",
    "gpt-oss.attention.value_length",
    "gpt-oss.attention.sliding_window",
    "gpt-oss.attention.layer_norm_rms_epsilon",
    "gpt-oss.expert_count",
    "gpt-oss.expert_used_count",
    "gpt-oss.rope.freq_base",
    "gpt-oss.rope.scaling.type",
    "gpt-oss.rope.scaling.factor",
    "gpt-oss.rope.scaling.original_context_length",
    "tokenizer.ggml.tokens",
};

static void bind_names_missing_keys_and_wrong_types(void **state)
{
    for (size_t i = 0; i < sizeof needed_keys / sizeof needed_keys[0]; i++) {
        char words[128];
        snprintf(words, sizeof words, "'%s'|missing|expected", needed_keys[i]);
        refused(edit_without_key(&tiny, needed_keys[i]), OSL_FORMAT, words);
        uint8_t flag = 1;
        snprintf(words, sizeof words, "'%s'|at byte|is bool|expected", needed_keys[i]);
        refused(edit_with_key(&tiny, needed_keys[i], OSL_GGUF_BOOL, &flag, 1), OSL_FORMAT, words);
    }
    /* an array where a number belongs: some models have one value a layer there */
    uint8_t array[4 + 8 + 8] = {OSL_GGUF_U32, 0, 0, 0, 2};
    refused(edit_with_key(&tiny, "gpt-oss.attention.head_count_kv", OSL_GGUF_ARRAY, array, 20),
            OSL_FORMAT, "head_count_kv|is array|an integer");
    refused(edit_with_key(&tiny, "tokenizer.ggml.tokens", OSL_GGUF_ARRAY, array, 20), OSL_FORMAT,
            "tokens|array of u32|array of string");
}

static void bind_refuses_other_models_and_parts(void **state)
{
    static const char key[] = "general.architecture";
    refused(edit_with_string(&tiny, key, "llama"), OSL_UNSUPPORTED, "'llama'|'gpt-oss'");
    refused(edit_with_string(&tiny, key, "gptoss"), OSL_UNSUPPORTED, "'gptoss'|Ollama|ggml-org");
    refused(edit_with_string(&tiny, key, "gpt-oss\n"), OSL_UNSUPPORTED, "'gpt-oss\\x0a'");
    refused(edit_with_string(&tiny, key, ""), OSL_UNSUPPORTED, "''");
    uint16_t parts = 3;
    refused(edit_with_key(&tiny, "split.count", OSL_GGUF_U16, &parts, 2), OSL_UNSUPPORTED,
            "split.count|3 files|llama-gguf-split --merge");
    parts = 1;
    bound(edit_with_key(&tiny, "split.count", OSL_GGUF_U16, &parts, 2));
    parts = 0;
    bound(edit_with_key(&tiny, "split.count", OSL_GGUF_U16, &parts, 2));
}

static void bind_refuses_numbers_out_of_range(void **state)
{
    static const struct {
        const char *key;
        uint32_t value;
        enum osl_status status;
        const char *words;
    } rows[] = {
        {"block_count", 0, OSL_FORMAT, "is 0, expected 1 to 64"},
        {"block_count", 65, OSL_UNSUPPORTED, "is 65"},
        {"block_count", 3, OSL_FORMAT, "tensor 'blk.2.attn_norm.weight' is missing|41|60"},
        {"block_count", 1, OSL_UNSUPPORTED, "tensor 'blk.1.|not part of a gpt-oss model of 1"},
        {"context_length", 0, OSL_FORMAT, "is 0"},
        {"context_length", UINT32_MAX, OSL_UNSUPPORTED, "1048576"},
        {"embedding_length", 0, OSL_FORMAT, "is 0"},
        {"embedding_length", 97, OSL_UNSUPPORTED, "is 97|multiple of 32"},
        {"embedding_length", 8224, OSL_UNSUPPORTED, "8192"},
        {"expert_feed_forward_length", 0, OSL_FORMAT, "is 0"},
        {"expert_feed_forward_length", 161, OSL_UNSUPPORTED, "multiple of 32"},
        {"expert_feed_forward_length", 1u << 31, OSL_UNSUPPORTED, "8192"},
        {"attention.head_count", 0, OSL_FORMAT, "is 0"},
        {"attention.head_count", 7, OSL_UNSUPPORTED, "head_count_kv|divisor of|which is 7"},
        {"attention.head_count", 66, OSL_UNSUPPORTED, "head_count|is 66|32"},
        {"attention.head_count", 257, OSL_UNSUPPORTED, "256"},
        {"attention.head_count_kv", 0, OSL_FORMAT, "is 0"},
        {"attention.head_count_kv", 4, OSL_UNSUPPORTED, "divisor of|which is 6"},
        {"attention.head_count_kv", 12, OSL_UNSUPPORTED, "divisor of"},
        {"attention.key_length", 0, OSL_FORMAT, "is 0"},
        {"attention.key_length", 48, OSL_UNSUPPORTED, "multiple of 32"},
        {"attention.key_length", 64, OSL_UNSUPPORTED, "value_length|is 32|which is 64"},
        {"attention.key_length", 288, OSL_UNSUPPORTED, "256"},
        {"attention.value_length", 64, OSL_UNSUPPORTED, "value_length|is 64|which is 32"},
        {"attention.sliding_window", 0, OSL_FORMAT, "is 0"},
        {"attention.sliding_window", UINT32_MAX, OSL_UNSUPPORTED, "1048576"},
        {"expert_count", 0, OSL_FORMAT, "is 0"},
        {"expert_count", 257, OSL_UNSUPPORTED, "256"},
        {"expert_count", 2, OSL_UNSUPPORTED, "expert_used_count|is 3|which is 2"},
        {"expert_used_count", 0, OSL_FORMAT, "is 0"},
        {"expert_used_count", 7, OSL_UNSUPPORTED, "is 7|which is 6"},
        {"expert_used_count", 17, OSL_UNSUPPORTED, "is 17"},
        {"rope.scaling.original_context_length", 0, OSL_FORMAT, "is 0"},
        {"rope.dimension_count", 16, OSL_UNSUPPORTED, "is 16|which is 32"},
        {"attention.sliding_window_pattern", 4, OSL_UNSUPPORTED, "is 4"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[64];
        snprintf(key, sizeof key, "gpt-oss.%s", rows[i].key);
        refused(edit_with_u32(&tiny, key, rows[i].value), rows[i].status, rows[i].words);
    }
    bound(edit_with_u32(&tiny, "gpt-oss.rope.dimension_count", 32));
    bound(edit_with_u32(&tiny, "gpt-oss.attention.sliding_window_pattern", 2));
    bound(edit_with_f32(&tiny, "gpt-oss.rope.freq_base_swa", 150000));
    refused(edit_with_f32(&tiny, "gpt-oss.rope.freq_base_swa", 10000), OSL_UNSUPPORTED,
            "freq_base_swa|10000|150000");
}

static void bind_bounds_the_vocabulary(void **state)
{
    const uint64_t count = OSL_VOCAB_MAX + 1;
    const uint64_t bytes = 12 + 8 * count;
    uint8_t *array = calloc(1, bytes);
    assert_non_null(array);
    array[0] = OSL_GGUF_STRING;
    refused(edit_with_key(&tiny, "tokenizer.ggml.tokens", OSL_GGUF_ARRAY, array, 12),
            OSL_UNSUPPORTED, "tokenizer.ggml.tokens|has 0 tokens|1 to 262144");
    memcpy(array + 4, &count, sizeof count);
    refused(edit_with_key(&tiny, "tokenizer.ggml.tokens", OSL_GGUF_ARRAY, array, bytes),
            OSL_UNSUPPORTED, "tokenizer.ggml.tokens|has 262145 tokens|1 to 262144");
    free(array);
}

static void bind_bounds_the_width_of_all_heads(void **state)
{
    struct edit one = edit_with_u32(&tiny, "gpt-oss.attention.head_count", 256);
    struct edit two = edit_with_u32(&one, "gpt-oss.attention.head_count_kv", 8);
    struct edit three = edit_with_u32(&two, "gpt-oss.attention.key_length", 96);
    struct edit four = edit_with_u32(&three, "gpt-oss.attention.value_length", 96);
    refused(four, OSL_UNSUPPORTED, "head_count|is 256|key_length to be at most 16384");
    edit_free(&three);
    edit_free(&two);
    edit_free(&one);
}

static void bind_refuses_bad_floats(void **state)
{
    static const char *const keys[] = {
        "gpt-oss.attention.layer_norm_rms_epsilon",
        "gpt-oss.rope.freq_base",
        "gpt-oss.rope.scaling.factor",
        "gpt-oss.rope.scaling.yarn_beta_fast",
        "gpt-oss.rope.scaling.yarn_beta_slow",
        "gpt-oss.yarn_beta_fast",
        "gpt-oss.yarn_beta_slow",
    };
    static const float values[] = {NAN, INFINITY, -INFINITY, 0, -1, 3e38f};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            refused(edit_with_f32(&tiny, keys[i], values[j]), OSL_FORMAT, keys[i]);
        }
    }
    refused(edit_with_f32(&tiny, "gpt-oss.rope.freq_base", 1), OSL_FORMAT, "above 1");
    refused(edit_with_f32(&tiny, "gpt-oss.yarn_beta_slow", 32), OSL_FORMAT, "32 and 32|larger");
}

static void bind_reads_rope_scaling(void **state)
{
    static const char key[] = "gpt-oss.rope.scaling.type";
    refused(edit_with_string(&tiny, key, "linear"), OSL_UNSUPPORTED, "'linear'|'yarn' or 'none'");
    struct osl_hparams h = bound(edit_with_string(&tiny, key, "none"));
    assert_true(h.yarn_factor == 1);
    h = bound(edit_with_f32(&tiny, "gpt-oss.rope.scaling.yarn_beta_fast", 16));
    assert_true(h.yarn_beta_fast == 16 && h.yarn_beta_slow == 1);
    h = bound(edit_with_f32(&tiny, "gpt-oss.yarn_beta_slow", 2));
    assert_true(h.yarn_beta_fast == 32 && h.yarn_beta_slow == 2);
}

/* The tensor's info changed; offset back to what the file stores. */
static struct edit with_tensor(const char *name, struct osl_gguf_tensor says)
{
    says.offset -= edit_parsed(&tiny)->data_offset;
    return edit_with_tensor(&tiny, name, &says);
}

static void bind_names_every_wrong_tensor(void **state)
{
    uint32_t count = edit_parsed(&tiny)->tensor_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct osl_gguf_tensor was = edit_parsed(&tiny)->tensors[i];
        char name[64], words[400];
        snprintf(name, sizeof name, "%.63s", osl_gguf_quote(was.name).text);
        snprintf(words, sizeof words, "tensor '%s'|is missing|expected 41", name);
        refused(edit_without_tensor(&tiny, name), OSL_FORMAT, words);
        /* a type that has no kernel: what to do is said */
        struct osl_gguf_tensor says = was;
        says.dtype = 12;
        snprintf(words, sizeof words, "tensor '%s'|Q4_K|expected|ggml-org", name);
        refused(with_tensor(name, says), OSL_UNSUPPORTED, words);
        bool vector = was.dtype == FIXTURE_F32 && strstr(name, "gate_inp.weight") == NULL;
        if (vector) {
            says.dtype = FIXTURE_F16;
            snprintf(words, sizeof words, "tensor '%s'|has type F16|expected F32;", name);
            refused(with_tensor(name, says), OSL_UNSUPPORTED, words);
        } else if (strstr(name, "exps") == NULL) {
            says.dtype = FIXTURE_MXFP4;
            snprintf(words, sizeof words, "tensor '%s'|has type MXFP4|expected Q8_0", name);
            refused(with_tensor(name, says), OSL_UNSUPPORTED, words);
        }
        /* each dimension smaller, and one dimension more */
        for (uint32_t dim = 0; dim < was.rank; dim++) {
            says = was;
            says.dims[dim] -= dim == 0 && !vector ? 32 : 1;
            snprintf(words, sizeof words, "tensor '%s'|has shape [|expected %s", name,
                     osl_gguf_dims(was.dims, was.rank).text);
            refused(with_tensor(name, says), OSL_FORMAT, words);
        }
        says = was;
        says.rank++;
        refused(with_tensor(name, says), OSL_FORMAT, words);
    }
}

static void bind_refuses_tensors_it_does_not_know(void **state)
{
    static const char *const names[] = {"rope_freqs.weight",
                                        "blk.2.attn_q.weight",
                                        "blk.00.attn_q.weight",
                                        "blk.01.attn_q.weight",
                                        "blk..attn_q.weight",
                                        "blk.1attn_q.weight",
                                        "blk.-1.attn_q.weight",
                                        "blk.1.attn_qkv.weight",
                                        "blk.99999999999.attn_q.weight",
                                        "blk.1.attn_q.weight.x",
                                        "blk.1.",
                                        "blk.1",
                                        "blk.",
                                        "output.bias",
                                        "blk.4294967296.attn_q.weight",
                                        "blk.1.blk.1.attn_q.bias"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct osl_gguf_tensor says = {
            .name = {names[i], strlen(names[i])}, .rank = 1, .dims = {32, 1, 1, 1}};
        char words[128];
        says.dtype = 99; /* no bytes: overlaps nothing */
        snprintf(words, sizeof words, "tensor '%s'|at byte|not part of", names[i]);
        refused(edit_with_tensor(&tiny, names[i], &says), OSL_UNSUPPORTED, words);
    }
}

static void bind_names_the_model_printably(void **state)
{
    struct osl_hparams h = bound(edit_with_string(&tiny, "general.name", "a\x1b[31mb"));
    assert_string_equal(h.name, "a\\x1b[31mb");
    h = bound(edit_without_key(&tiny, "general.name"));
    assert_string_equal(h.name, EDIT_NAME);
}

/* Values worked out by hand from the formats note, section 2: low 8.092779, high 17.398024. */
static void yarn_has_unrounded_bounds(void **state)
{
    struct osl_hparams h = {.shape = {.head_dim = 64}, .rope_base = 150000};
    float inverse[32];
    float concentration = 0;
    h.yarn_factor = 32;
    h.yarn_original_context = 4096;
    h.yarn_beta_fast = 32;
    h.yarn_beta_slow = 1;
    osl_yarn(&h, inverse, &concentration);
    assert_true(fabsf(concentration - 1.3465736f) < 1e-6f);
    for (uint32_t i = 0; i < 32; i++) {
        double plain = pow(150000, -2.0 * i / 64);
        double ramp = (i - 8.092779115) / (17.398024502 - 8.092779115);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        double wanted = plain * (1 - ramp) + plain / 32 * ramp;
        assert_true(fabs(inverse[i] / wanted - 1) < 1e-6);
    }
    assert_true(inverse[0] == 1);
    /* pair 17 is where rounding the bounds shows: 76 % faster there */
    assert_true(fabs(inverse[17] / (pow(150000, -34.0 / 64) / 32) - 2.326) < 0.002);
    h.yarn_factor = 1;
    osl_yarn(&h, inverse, &concentration);
    assert_true(concentration == 1);
    assert_true(fabs(inverse[31] / pow(150000, -62.0 / 64) - 1) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bind_reads_all_hyperparameters),
        cmocka_unit_test(bind_puts_every_weight_in_its_place),
        cmocka_unit_test(bind_takes_the_published_shapes),
        cmocka_unit_test(bind_takes_the_types_it_says),
        cmocka_unit_test(bind_names_missing_keys_and_wrong_types),
        cmocka_unit_test(bind_refuses_other_models_and_parts),
        cmocka_unit_test(bind_refuses_numbers_out_of_range),
        cmocka_unit_test(bind_bounds_the_vocabulary),
        cmocka_unit_test(bind_bounds_the_width_of_all_heads),
        cmocka_unit_test(bind_refuses_bad_floats),
        cmocka_unit_test(bind_reads_rope_scaling),
        cmocka_unit_test(bind_names_every_wrong_tensor),
        cmocka_unit_test(bind_refuses_tensors_it_does_not_know),
        cmocka_unit_test(bind_names_the_model_printably),
        cmocka_unit_test(yarn_has_unrounded_bounds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
