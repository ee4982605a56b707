/* The plan: every byte, from the header and the configuration. See plan.h. */
#include "plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "sampler.h"
#include "tokenizer.h"

#define REGION_ALIGNMENT 4096u
#define WEIGHT_ALIGNMENT 64u
#define BUFFER_ALIGNMENT 64u

static const char *const region_names[OSL_REGION_COUNT] = {
    [OSL_REGION_ENGINE] = "engine",
    [OSL_REGION_WEIGHTS] = "weights",
    [OSL_REGION_KV_FULL] = "kv cache, full layers",
    [OSL_REGION_KV_RING] = "kv cache, window rings",
    [OSL_REGION_MARKS] = "marks",
    [OSL_REGION_ACTIVATIONS] = "activations",
    [OSL_REGION_LOGITS] = "logits",
    [OSL_REGION_SCRATCH] = "executor scratch",
    [OSL_REGION_TOKENIZER] = "tokenizer",
    [OSL_REGION_SAMPLER] = "sampler",
    [OSL_REGION_SESSION] = "session",
    [OSL_REGION_THREADS] = "threads",
    [OSL_REGION_MODEL_FILE] = "model file",
    [OSL_REGION_PROGRAM] = "program",
};

const char *osl_region_name(enum osl_region region)
{
    return region < OSL_REGION_COUNT ? region_names[region] : "?";
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

static enum osl_status check_range(const char *option, uint64_t value, uint64_t least,
                                   uint64_t most, struct osl_error *error)
{
    if (value >= least && value <= most) {
        return OSL_OK;
    }
    return osl_fail(error, OSL_ARGUMENT, "%s is %" PRIu64 ": choose %" PRIu64 " to %" PRIu64,
                    option, value, least, most);
}

/* Fills in what the configuration left open and refuses what can not be. */
static enum osl_status settle_options(const struct ossicle_config *config,
                                      const struct osl_hparams *hparams, struct osl_plan *plan,
                                      struct osl_error *error)
{
    uint32_t context_default = hparams->context_tokens < OSL_CONTEXT_DEFAULT
                                   ? hparams->context_tokens
                                   : OSL_CONTEXT_DEFAULT;
    plan->context_tokens = config->context_tokens ? config->context_tokens : context_default;
    plan->prefill_tokens = config->prefill_tokens ? config->prefill_tokens : OSL_PREFILL_DEFAULT;
    plan->threads = config->threads ? config->threads : osl_threads_recommended();
    plan->marks = config->marks ? config->marks : OSL_MARKS_DEFAULT;
    plan->text_bytes = config->text_bytes ? config->text_bytes : OSL_TEXT_BYTES_DEFAULT;
    if (plan->context_tokens > hparams->context_tokens) {
        return osl_fail(error, OSL_ARGUMENT,
                        "context of %u tokens: this model was made for at most %u",
                        plan->context_tokens, hparams->context_tokens);
    }
    enum osl_status status;
    if ((status = check_range("context", plan->context_tokens, 16, OSL_CONTEXT_MAX, error)) ||
        (status = check_range("prefill", plan->prefill_tokens, 1, OSL_PREFILL_MAX, error)) ||
        (status = check_range("threads", plan->threads, 1, OSL_THREADS_MAX, error)) ||
        (status = check_range("marks", plan->marks, 1, OSL_MARKS_MAX, error)) ||
        (status = check_range("text bytes", plan->text_bytes, 1024, OSL_TEXT_BYTES_MAX, error)) ||
        (status = check_range("device", config->device, 0, OSSICLE_DEVICE_CPU, error)) ||
        (status = check_range("kv type", config->kv, 0, OSSICLE_KV_Q8, error)) ||
        (status = check_range("weights", config->weights, 0, OSSICLE_WEIGHTS_RESIDENT, error))) {
        return status;
    }
    if (plan->prefill_tokens > plan->context_tokens) {
        plan->prefill_tokens = plan->context_tokens;
    }
    plan->kernels = osl_kernels_find(config->cpu_level);
    if (plan->kernels == NULL) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "cpu level \"%s\" is unknown or not what this machine can run",
                        config->cpu_level);
    }
    plan->kv_type = config->kv == OSSICLE_KV_Q8 ? OSL_KV_Q8 : OSL_KV_F16;
    /* Mapped starts at once and holds the weights once; see the README for what was measured. */
    plan->resident = config->weights == OSSICLE_WEIGHTS_RESIDENT;
    return OSL_OK;
}

static void plan_cache(const struct osl_shape *shape, struct osl_plan *plan)
{
    uint64_t row = osl_kv_row_bytes(plan->kv_type, shape->head_dim);
    uint64_t position = row * 2 * shape->kv_heads; /* K and V of one layer and position */
    uint32_t windowed = (shape->layers + 1) / 2;
    plan->full_capacity = (uint32_t)round_up(plan->context_tokens, OSL_ATTEND_BLOCK);
    plan->ring_capacity =
        (uint32_t)round_up((uint64_t)shape->window + plan->prefill_tokens, OSL_ATTEND_BLOCK);
    if (plan->ring_capacity > plan->full_capacity) {
        plan->ring_capacity = plan->full_capacity;
    }
    plan->ring_mark_bytes = position * windowed * shape->window;
    plan->bytes[OSL_REGION_KV_FULL] = position * plan->full_capacity * (shape->layers - windowed);
    plan->bytes[OSL_REGION_KV_RING] = position * plan->ring_capacity * windowed;
    /* one more for the turn under way, whose reasoning is dropped when it has ended */
    plan->bytes[OSL_REGION_MARKS] = (plan->marks + 1) * plan->ring_mark_bytes;
}

static bool stages_meet(const struct osl_buffer_need *a, const struct osl_buffer_need *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset where `need` collides with no placed buffer that is live at the same time. */
static uint64_t lowest_offset(const struct osl_buffer_need *needs, const uint64_t *offset,
                              const bool *placed, uint32_t subject)
{
    uint64_t at = 0;
    bool moved = true;
    while (moved) { /* each turn moves past one buffer: at most OSL_BUFFER_COUNT turns */
        moved = false;
        for (uint32_t b = 0; b < OSL_BUFFER_COUNT; b++) {
            if (placed[b] && stages_meet(&needs[b], &needs[subject]) &&
                at < offset[b] + needs[b].bytes && offset[b] < at + needs[subject].bytes) {
                at = round_up(offset[b] + needs[b].bytes, BUFFER_ALIGNMENT);
                moved = true;
            }
        }
    }
    return at;
}

/* Activations, largest first, each as low as its lifetime allows. */
static void plan_buffers(const struct osl_shape *shape, struct osl_plan *plan)
{
    struct osl_buffer_need needs[OSL_BUFFER_COUNT];
    bool placed[OSL_BUFFER_COUNT] = {false};
    osl_executor_need(shape, &plan->limits, needs);
    plan->bytes[OSL_REGION_LOGITS] = needs[OSL_BUFFER_LOGITS].bytes;
    plan->bytes[OSL_REGION_SCRATCH] = needs[OSL_BUFFER_SCRATCH].bytes;
    uint64_t end = 0;
    for (uint32_t turn = 0; turn < OSL_BUFFER_COUNT; turn++) {
        uint32_t largest = OSL_BUFFER_COUNT;
        for (uint32_t b = 0; b < OSL_BUFFER_COUNT; b++) {
            if (b != OSL_BUFFER_LOGITS && b != OSL_BUFFER_SCRATCH && !placed[b] &&
                (largest == OSL_BUFFER_COUNT || needs[b].bytes > needs[largest].bytes)) {
                largest = b;
            }
        }
        if (largest == OSL_BUFFER_COUNT) {
            break;
        }
        plan->buffer_offset[largest] = lowest_offset(needs, plan->buffer_offset, placed, largest);
        placed[largest] = true;
        uint64_t top = plan->buffer_offset[largest] + needs[largest].bytes;
        end = top > end ? top : end;
    }
    plan->bytes[OSL_REGION_ACTIVATIONS] = end;
}

/* What the resident copy takes: every tensor but the embedding, aligned. */
uint64_t osl_plan_resident_bytes(const struct osl_gguf *gguf)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        if (!osl_resident_skips(&gguf->tensors[i])) {
            total += round_up(gguf->tensors[i].bytes, WEIGHT_ALIGNMENT);
        }
    }
    return total;
}

static void plan_totals(const struct ossicle_config *config, struct osl_plan *plan)
{
    uint64_t at = 0;
    plan->total_bytes = 0;
    for (uint32_t r = 0; r < OSL_REGION_COUNT; r++) {
        plan->bytes[r] = round_up(plan->bytes[r], REGION_ALIGNMENT);
        plan->total_bytes += plan->bytes[r];
        if (r < OSL_REGION_HOST_COUNT) {
            plan->offset[r] = at;
            at += plan->bytes[r];
        }
    }
    plan->host_bytes = at;
    struct osl_memory_facts facts;
    osl_memory_facts(&facts);
    plan->budget_bytes = config->budget_bytes ? config->budget_bytes : facts.available_bytes;
}

enum osl_status osl_plan_build(const struct ossicle_config *config, const struct osl_gguf *gguf,
                               const struct osl_hparams *hparams,
                               const struct osl_model_weights *weights, struct osl_plan *plan,
                               struct osl_error *error)
{
    memset(plan, 0, sizeof *plan);
    enum osl_status status = settle_options(config, hparams, plan, error);
    if (status != OSL_OK) {
        return status;
    }
    const struct osl_shape *shape = &hparams->shape;
    plan->limits = (struct osl_executor_limits){
        .prefill_tokens = plan->prefill_tokens,
        .logits_rows = config->score_all ? OSL_SCORE_ROWS : 1,
        .context_tokens = plan->context_tokens,
        .thread_count = plan->threads,
    };
    if (plan->limits.logits_rows > plan->prefill_tokens) {
        plan->limits.logits_rows = plan->prefill_tokens;
    }
    plan_cache(shape, plan);
    plan_buffers(shape, plan);
    status = osl_tokenizer_need(gguf, plan->text_bytes, &plan->bytes[OSL_REGION_TOKENIZER], error);
    if (status != OSL_OK) {
        return status;
    }
    plan->bytes[OSL_REGION_ENGINE] = osl_engine_bytes();
    plan->bytes[OSL_REGION_SESSION] = osl_session_bytes(plan);
    plan->bytes[OSL_REGION_SAMPLER] = osl_sampler_bytes(shape->vocab);
    plan->bytes[OSL_REGION_THREADS] = osl_team_bytes(plan->threads);
    plan->bytes[OSL_REGION_PROGRAM] = OSL_PROGRAM_BYTES;
    if (plan->resident) {
        plan->bytes[OSL_REGION_WEIGHTS] = osl_plan_resident_bytes(gguf);
        plan->bytes[OSL_REGION_MODEL_FILE] = gguf->data_offset + weights->embed_bytes;
    } else {
        plan->bytes[OSL_REGION_MODEL_FILE] = gguf->file.bytes;
    }
    plan_totals(config, plan);
    return OSL_OK;
}

/* ---- The public face --------------------------------------------------------------------- */

void ossicle_config_init(struct ossicle_config *config)
{
    memset(config, 0, sizeof *config);
}

/* Decimal gigabytes or megabytes, as memory is sold. */
static void print_bytes(char out[32], uint64_t bytes)
{
    if (bytes >= 1000000000u) {
        snprintf(out, 32, "%.2f GB", (double)bytes / 1e9);
    } else {
        snprintf(out, 32, "%.1f MB", (double)bytes / 1e6);
    }
}

/* What would make it fit: the largest context that does, if any. */
static void write_verdict(const struct osl_plan *plan, const struct osl_shape *shape,
                          struct ossicle_plan *out)
{
    char total[32], budget[32], over[32];
    print_bytes(total, plan->total_bytes);
    print_bytes(budget, plan->budget_bytes);
    if (out->fits) {
        print_bytes(over, plan->budget_bytes - plan->total_bytes);
        snprintf(out->verdict, sizeof out->verdict, "fits: %s of %s, %s to spare", total, budget,
                 over);
        return;
    }
    uint64_t excess = plan->total_bytes - plan->budget_bytes;
    print_bytes(over, excess);
    uint64_t row = osl_kv_row_bytes(plan->kv_type, shape->head_dim);
    uint64_t token_bytes = row * 2 * shape->kv_heads * (shape->layers / 2);
    uint64_t fewer = token_bytes ? excess / token_bytes + OSL_ATTEND_BLOCK : UINT64_MAX;
    int used = snprintf(out->verdict, sizeof out->verdict,
                        "does not fit: needs %s, the budget is %s, %s short", total, budget, over);
    if (fewer + 256 < plan->context_tokens) {
        snprintf(out->verdict + used, sizeof out->verdict - (size_t)used,
                 "; --context %" PRIu64 " would fit", plan->context_tokens - fewer);
    } else {
        snprintf(out->verdict + used, sizeof out->verdict - (size_t)used,
                 "; free memory, raise --budget, or take a smaller model%s",
                 plan->kv_type == OSL_KV_F16 ? ", or try --kv q8" : "");
    }
}

void osl_plan_report(const struct osl_plan *plan, const struct osl_hparams *hparams,
                     struct ossicle_plan *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t r = 0; r < OSL_REGION_COUNT; r++) {
        if (plan->bytes[r] == 0) {
            continue;
        }
        struct ossicle_region *region = &out->regions[out->region_count++];
        snprintf(region->name, sizeof region->name, "%s", region_names[r]);
        const char *where = r < OSL_REGION_HOST_COUNT    ? "host"
                            : r == OSL_REGION_MODEL_FILE ? "mapped"
                                                         : "process";
        snprintf(region->where, sizeof region->where, "%s", where);
        region->bytes = plan->bytes[r];
    }
    out->total_bytes = plan->total_bytes;
    out->memory_bytes = plan->host_bytes;
    out->budget_bytes = plan->budget_bytes;
    out->fits = plan->total_bytes <= plan->budget_bytes;
    out->context_tokens = plan->context_tokens;
    out->prefill_tokens = plan->prefill_tokens;
    out->threads = plan->threads;
    snprintf(out->model_name, sizeof out->model_name, "%s", hparams->name);
    snprintf(out->weights, sizeof out->weights, "%s", plan->resident ? "resident" : "mapped");
    snprintf(out->kv, sizeof out->kv, "%s", plan->kv_type == OSL_KV_Q8 ? "q8" : "f16");
    write_verdict(plan, &hparams->shape, out);
}

enum ossicle_status ossicle_plan(const struct ossicle_config *config, struct ossicle_plan *plan_out,
                                 struct ossicle_error *error_out)
{
    struct osl_error error = {OSL_OK, ""};
    struct osl_gguf gguf;
    struct osl_hparams hparams;
    struct osl_model_weights weights;
    struct osl_plan plan;
    enum osl_status status = osl_gguf_open(&gguf, config->model_path, &error);
    if (status == OSL_OK) {
        if ((status = osl_bind_hparams(&gguf, &hparams, &error)) == OSL_OK &&
            (status = osl_bind_weights(&gguf, &hparams, &weights, &error)) == OSL_OK &&
            (status = osl_plan_build(config, &gguf, &hparams, &weights, &plan, &error)) == OSL_OK) {
            osl_plan_report(&plan, &hparams, plan_out);
        }
        osl_gguf_close(&gguf);
    }
    osl_error_publish(&error, error_out);
    return (enum ossicle_status)status;
}
