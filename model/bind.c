/* Hyperparameters from a gpt-oss file's keys, each within its named maximum.
 * Keys: shared formats note, section 6.2. What no key carries is a constant of the architecture. */
#include "bind.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ARCHITECTURE "gpt-oss"
#define ARCHITECTURE_OLLAMA "gptoss"
#define SWIGLU_ALPHA 1.702f
#define SWIGLU_LIMIT 7.0f
#define YARN_BETA_FAST 32.0f
#define YARN_BETA_SLOW 1.0f
#define ROPE_BASE_MAX 1e9f
#define YARN_FACTOR_MAX 1e4f
#define YARN_BETA_MAX 1e4f
#define TEMPERATURE_MAX 100.0f
#define WINDOW_PATTERN 2 /* every second layer, from the first, sees only the window */

struct source {
    const struct osl_gguf *gguf;
    struct osl_error *error;
};

static uint64_t value_offset(const struct source *s, const char *name)
{
    const struct osl_gguf_key *key = osl_gguf_key_find(s->gguf, name);
    OSL_ASSERT(key != NULL);
    return (uint64_t)(key->value - s->gguf->map.data);
}

static enum osl_status get_u32(const struct source *s, const char *name, uint32_t least,
                               uint32_t most, uint32_t *out)
{
    uint32_t value = 0;
    enum osl_status status = osl_gguf_u32(s->gguf, name, &value, s->error);
    if (status != OSL_OK) {
        return status;
    }
    if (value < least || value > most) {
        return osl_fail(
            s->error, value < least ? OSL_FORMAT : OSL_UNSUPPORTED,
            "%s: key '%s' at byte %" PRIu64 " is %" PRIu32 ", expected %" PRIu32 " to %" PRIu32,
            osl_gguf_label(s->gguf).text, name, value_offset(s, name), value, least, most);
    }
    *out = value;
    return OSL_OK;
}

/* A finite number above `above` and at most `most`. */
static enum osl_status get_f32(const struct source *s, const char *name, float above, float most,
                               float *out)
{
    float value = 0;
    enum osl_status status = osl_gguf_f32(s->gguf, name, &value, s->error);
    if (status != OSL_OK) {
        return status;
    }
    if (!(value > above && value <= most)) {
        return osl_fail(s->error, OSL_FORMAT,
                        "%s: key '%s' at byte %" PRIu64 " is %g, expected above %g and at most %g",
                        osl_gguf_label(s->gguf).text, name, value_offset(s, name), (double)value,
                        (double)above, (double)most);
    }
    *out = value;
    return OSL_OK;
}

/* Under either name, else the default stays. */
static enum osl_status get_f32_optional(const struct source *s, const char *name,
                                        const char *other_name, float most, float *inout)
{
    if (osl_gguf_key_find(s->gguf, name) != NULL) {
        return get_f32(s, name, 0, most, inout);
    }
    if (osl_gguf_key_find(s->gguf, other_name) != NULL) {
        return get_f32(s, other_name, 0, most, inout);
    }
    return OSL_OK;
}

static enum osl_status check_file_kind(const struct source *s)
{
    struct osl_slice name;
    enum osl_status status = osl_gguf_string(s->gguf, "general.architecture", &name, s->error);
    if (status != OSL_OK) {
        return status;
    }
    if (!osl_slice_equal(name, ARCHITECTURE)) {
        bool ollama = osl_slice_equal(name, ARCHITECTURE_OLLAMA);
        return osl_fail(s->error, OSL_UNSUPPORTED,
                        "%s: key 'general.architecture' at byte %" PRIu64
                        " is '%s', expected 'gpt-oss'%s",
                        osl_gguf_label(s->gguf).text, value_offset(s, "general.architecture"),
                        osl_gguf_quote(name).text,
                        ollama ? "; this is Ollama's own conversion, get the GGUF that "
                                 "ggml-org publishes"
                               : "; Ossicle runs no other model");
    }
    uint32_t parts = 0;
    if (osl_gguf_key_find(s->gguf, "split.count") == NULL) {
        return OSL_OK;
    }
    status = osl_gguf_u32(s->gguf, "split.count", &parts, s->error);
    if (status == OSL_OK && parts > 1) {
        return osl_fail(s->error, OSL_UNSUPPORTED,
                        "%s: key 'split.count' at byte %" PRIu64 " says that the model is split "
                        "into %" PRIu32 " files, expected one; join them with "
                        "llama-gguf-split --merge",
                        osl_gguf_label(s->gguf).text, value_offset(s, "split.count"), parts);
    }
    return status;
}

static enum osl_status get_vocab(const struct source *s, uint32_t *out)
{
    static const char name[] = "tokenizer.ggml.tokens";
    const struct osl_gguf_key *key = osl_gguf_key_find(s->gguf, name);
    if (key == NULL) {
        return osl_fail(s->error, OSL_FORMAT,
                        "%s: key '%s' is missing from the header that ends at byte %" PRIu64
                        ", expected an array of strings; convert the model again",
                        osl_gguf_label(s->gguf).text, name, s->gguf->data_offset);
    }
    if (key->type != OSL_GGUF_ARRAY || key->element != OSL_GGUF_STRING) {
        return osl_fail(s->error, OSL_FORMAT,
                        "%s: key '%s' at byte %" PRIu64 " is %s of %s, expected array of string",
                        osl_gguf_label(s->gguf).text, name, value_offset(s, name),
                        osl_gguf_type_name(key->type), osl_gguf_type_name(key->element));
    }
    if (key->count < 1 || key->count > OSL_VOCAB_MAX) {
        return osl_fail(s->error, OSL_UNSUPPORTED,
                        "%s: key '%s' at byte %" PRIu64 " has %" PRIu64 " tokens, expected 1 to %d",
                        osl_gguf_label(s->gguf).text, name, value_offset(s, name), key->count,
                        OSL_VOCAB_MAX);
    }
    *out = (uint32_t)key->count;
    return OSL_OK;
}

/* The plain counts, each in its own range. */
static enum osl_status get_sizes(const struct source *s, struct osl_hparams *h,
                                 uint32_t *value_length_out)
{
    const struct {
        const char *name;
        uint32_t least, most;
        uint32_t *out;
    } rows[] = {
        {ARCHITECTURE ".block_count", 1, OSL_LAYERS_MAX, &h->shape.layers},
        {ARCHITECTURE ".context_length", 1, OSL_CONTEXT_MAX, &h->context_tokens},
        {ARCHITECTURE ".embedding_length", OSL_BLOCK_COLS, OSL_HIDDEN_MAX, &h->shape.hidden},
        {ARCHITECTURE ".expert_feed_forward_length", OSL_BLOCK_COLS, OSL_FF_MAX, &h->shape.ff},
        {ARCHITECTURE ".attention.head_count", 1, OSL_HEADS_MAX, &h->shape.heads},
        {ARCHITECTURE ".attention.head_count_kv", 1, OSL_HEADS_MAX, &h->shape.kv_heads},
        {ARCHITECTURE ".attention.key_length", OSL_BLOCK_COLS, OSL_HEAD_DIM_MAX,
         &h->shape.head_dim},
        {ARCHITECTURE ".attention.value_length", OSL_BLOCK_COLS, OSL_HEAD_DIM_MAX,
         value_length_out},
        {ARCHITECTURE ".attention.sliding_window", 1, OSL_CONTEXT_MAX, &h->shape.window},
        {ARCHITECTURE ".expert_count", 1, OSL_EXPERTS_MAX, &h->shape.experts},
        {ARCHITECTURE ".expert_used_count", 1, OSL_EXPERTS_USED_MAX, &h->shape.experts_used},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum osl_status status = get_u32(s, rows[i].name, rows[i].least, rows[i].most, rows[i].out);
        if (status != OSL_OK) {
            return status;
        }
    }
    return get_vocab(s, &h->shape.vocab);
}

/* One relation between two keys. */
static enum osl_status relate(const struct source *s, bool holds, const char *name, uint32_t value,
                              const char *expected, uint32_t other)
{
    if (holds) {
        return OSL_OK;
    }
    return osl_fail(s->error, OSL_UNSUPPORTED,
                    "%s: key '%s' at byte %" PRIu64 " is %" PRIu32 ", expected %s %" PRIu32,
                    osl_gguf_label(s->gguf).text, name, value_offset(s, name), value, expected,
                    other);
}

static enum osl_status check_relations(const struct source *s, const struct osl_shape *shape,
                                       uint32_t value_length)
{
    const struct {
        bool holds;
        const char *name;
        uint32_t value;
        const char *expected;
        uint32_t other;
    } rows[] = {
        {shape->hidden % OSL_BLOCK_COLS == 0, ARCHITECTURE ".embedding_length", shape->hidden,
         "a multiple of", OSL_BLOCK_COLS},
        {shape->ff % OSL_BLOCK_COLS == 0, ARCHITECTURE ".expert_feed_forward_length", shape->ff,
         "a multiple of", OSL_BLOCK_COLS},
        {shape->head_dim % OSL_BLOCK_COLS == 0, ARCHITECTURE ".attention.key_length",
         shape->head_dim, "a multiple of", OSL_BLOCK_COLS},
        {value_length == shape->head_dim, ARCHITECTURE ".attention.value_length", value_length,
         "attention.key_length, which is", shape->head_dim},
        {shape->heads % shape->kv_heads == 0, ARCHITECTURE ".attention.head_count_kv",
         shape->kv_heads, "a divisor of attention.head_count, which is", shape->heads},
        {shape->heads / shape->kv_heads <= OSL_GROUP_MAX, ARCHITECTURE ".attention.head_count",
         shape->heads, "at most this many heads for each of head_count_kv:", OSL_GROUP_MAX},
        {shape->heads * shape->head_dim <= OSL_COLS_MAX, ARCHITECTURE ".attention.head_count",
         shape->heads, "head_count times key_length to be at most", OSL_COLS_MAX},
        {shape->experts_used <= shape->experts, ARCHITECTURE ".expert_used_count",
         shape->experts_used, "at most expert_count, which is", shape->experts},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum osl_status status =
            relate(s, rows[i].holds, rows[i].name, rows[i].value, rows[i].expected, rows[i].other);
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

/* Keys that other converters may write and that only repeat what we assume. */
static enum osl_status check_repeated(const struct source *s, const struct osl_hparams *h)
{
    static const char dims[] = ARCHITECTURE ".rope.dimension_count";
    static const char pattern[] = ARCHITECTURE ".attention.sliding_window_pattern";
    static const char base[] = ARCHITECTURE ".rope.freq_base_swa";
    enum osl_status status = OSL_OK;
    uint32_t count = 0;
    if (osl_gguf_key_find(s->gguf, dims) != NULL) {
        status = osl_gguf_u32(s->gguf, dims, &count, s->error);
        if (status == OSL_OK) {
            status = relate(s, count == h->shape.head_dim, dims, count,
                            "attention.key_length, which is", h->shape.head_dim);
        }
    }
    if (status == OSL_OK && osl_gguf_key_find(s->gguf, pattern) != NULL) {
        status = osl_gguf_u32(s->gguf, pattern, &count, s->error);
        if (status == OSL_OK) {
            status = relate(s, count == WINDOW_PATTERN, pattern, count, "gpt-oss's own,",
                            WINDOW_PATTERN);
        }
    }
    if (status == OSL_OK && osl_gguf_key_find(s->gguf, base) != NULL) {
        float value = 0;
        status = osl_gguf_f32(s->gguf, base, &value, s->error);
        if (status == OSL_OK && value != h->rope_base) {
            status = osl_fail(s->error, OSL_UNSUPPORTED,
                              "%s: key '%s' at byte %" PRIu64
                              " is %g, expected rope.freq_base, which is %g",
                              osl_gguf_label(s->gguf).text, base, value_offset(s, base),
                              (double)value, (double)h->rope_base);
        }
    }
    return status;
}

static enum osl_status get_yarn(const struct source *s, struct osl_hparams *h)
{
    static const char prefix[] = ARCHITECTURE ".rope.scaling.type";
    struct osl_slice type;
    enum osl_status status = osl_gguf_string(s->gguf, prefix, &type, s->error);
    if (status != OSL_OK) {
        return status;
    }
    h->yarn_factor = 1;
    h->yarn_original_context = h->context_tokens;
    h->yarn_beta_fast = YARN_BETA_FAST;
    h->yarn_beta_slow = YARN_BETA_SLOW;
    if (osl_slice_equal(type, "none")) {
        return OSL_OK;
    }
    if (!osl_slice_equal(type, "yarn")) {
        return osl_fail(s->error, OSL_UNSUPPORTED,
                        "%s: key '%s' at byte %" PRIu64 " is '%s', expected 'yarn' or 'none'",
                        osl_gguf_label(s->gguf).text, prefix, value_offset(s, prefix),
                        osl_gguf_quote(type).text);
    }
    status = get_f32(s, ARCHITECTURE ".rope.scaling.factor", 0, YARN_FACTOR_MAX, &h->yarn_factor);
    if (status == OSL_OK) {
        status = get_u32(s, ARCHITECTURE ".rope.scaling.original_context_length", 1,
                         OSL_CONTEXT_MAX, &h->yarn_original_context);
    }
    if (status == OSL_OK) {
        status =
            get_f32_optional(s, ARCHITECTURE ".rope.scaling.yarn_beta_fast",
                             ARCHITECTURE ".yarn_beta_fast", YARN_BETA_MAX, &h->yarn_beta_fast);
    }
    if (status == OSL_OK) {
        status =
            get_f32_optional(s, ARCHITECTURE ".rope.scaling.yarn_beta_slow",
                             ARCHITECTURE ".yarn_beta_slow", YARN_BETA_MAX, &h->yarn_beta_slow);
    }
    if (status == OSL_OK && !(h->yarn_beta_fast > h->yarn_beta_slow)) {
        status = osl_fail(s->error, OSL_FORMAT,
                          "%s: keys 'yarn_beta_fast' and 'yarn_beta_slow' before byte %" PRIu64
                          " are %g and %g, expected the first to be larger",
                          osl_gguf_label(s->gguf).text, s->gguf->data_offset,
                          (double)h->yarn_beta_fast, (double)h->yarn_beta_slow);
    }
    return status;
}

/* How the file advises to draw: keys that llama.cpp writes and reads. Advice outside of what can be
 * (a top_k of -1 stands for none) is no fault of the model. */
static void get_advice(const struct source *s, struct osl_hparams *h)
{
    float real;
    uint32_t whole;
    struct osl_error ignored;
    h->temperature = h->top_p = 1;
    if (osl_gguf_f32(s->gguf, "general.sampling.temp", &real, &ignored) == OSL_OK && real >= 0 &&
        real <= TEMPERATURE_MAX) {
        h->temperature = real;
    }
    if (osl_gguf_f32(s->gguf, "general.sampling.top_p", &real, &ignored) == OSL_OK && real >= 0 &&
        real <= 1) {
        h->top_p = real;
    }
    if (osl_gguf_f32(s->gguf, "general.sampling.min_p", &real, &ignored) == OSL_OK && real >= 0 &&
        real <= 1) {
        h->min_p = real;
    }
    if (osl_gguf_u32(s->gguf, "general.sampling.top_k", &whole, &ignored) == OSL_OK) {
        h->top_k = whole;
    }
}

/* general.name if it is a string, else the file's name. */
static void get_name(const struct source *s, char out[64])
{
    const struct osl_gguf_key *key = osl_gguf_key_find(s->gguf, "general.name");
    struct osl_slice name = {NULL, 0};
    uint64_t cursor = 0;
    if (key == NULL || key->type != OSL_GGUF_STRING || !osl_gguf_string_next(key, &cursor, &name) ||
        name.bytes == 0) {
        const char *slash = strrchr(s->gguf->file.path, '/');
        name.data = slash != NULL ? slash + 1 : s->gguf->file.path;
        name.bytes = strlen(name.data);
    }
    snprintf(out, 64, "%.63s", osl_gguf_quote(name).text);
}

enum osl_status osl_bind_hparams(const struct osl_gguf *gguf, struct osl_hparams *hparams_out,
                                 struct osl_error *error)
{
    struct source s = {.gguf = gguf, .error = error};
    struct osl_hparams h = {.shape = {.swiglu_alpha = SWIGLU_ALPHA, .swiglu_limit = SWIGLU_LIMIT}};
    uint32_t value_length = 0;
    enum osl_status status = check_file_kind(&s);
    if (status == OSL_OK) {
        status = get_sizes(&s, &h, &value_length);
    }
    if (status == OSL_OK) {
        status = check_relations(&s, &h.shape, value_length);
    }
    if (status == OSL_OK) {
        status =
            get_f32(&s, ARCHITECTURE ".attention.layer_norm_rms_epsilon", 0, 1, &h.shape.rms_eps);
    }
    if (status == OSL_OK) {
        status = get_f32(&s, ARCHITECTURE ".rope.freq_base", 1, ROPE_BASE_MAX, &h.rope_base);
    }
    if (status == OSL_OK) {
        status = get_yarn(&s, &h);
    }
    if (status == OSL_OK) {
        status = check_repeated(&s, &h);
    }
    if (status == OSL_OK) {
        get_name(&s, h.name);
        get_advice(&s, &h);
        *hparams_out = h;
    }
    return status;
}

void osl_yarn(const struct osl_hparams *hparams, float *inverse_frequency_out,
              float *concentration_out)
{
    const double pi = 3.14159265358979323846;
    uint32_t half = hparams->shape.head_dim / 2;
    double base_log = log((double)hparams->rope_base);
    double factor = (double)hparams->yarn_factor;
    double original = (double)hparams->yarn_original_context;
    /* The pair whose wavelength fits beta times into the original context. */
    double low = half * log(original / (2 * pi * (double)hparams->yarn_beta_fast)) / base_log;
    double high = half * log(original / (2 * pi * (double)hparams->yarn_beta_slow)) / base_log;
    OSL_ASSERT(half > 0 && base_log > 0);
    for (uint32_t i = 0; i < half; i++) {
        double frequency = exp(-base_log * (double)i / (double)half);
        if (factor > 1) {
            double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
            frequency = frequency / factor * ramp + frequency * (1 - ramp);
        }
        inverse_frequency_out[i] = (float)frequency;
    }
    *concentration_out = factor > 1 ? (float)(0.1 * log(factor) + 1) : 1.0f;
}
