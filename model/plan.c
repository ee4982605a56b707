/* The plan: every byte, from the header and the configuration. See plan.h. */
#include "plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "sampler.h"
#include "tokenizer.h"

#define REGION_ALIGNMENT 4096u
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
    [OSL_REGION_DRIVER_EMBEDDING] = "embedding",
    [OSL_REGION_DRIVER_STAGING] = "staging",
    [OSL_REGION_DEVICE_WEIGHTS] = "weights",
    [OSL_REGION_DEVICE_KV_FULL] = "kv cache, full layers",
    [OSL_REGION_DEVICE_KV_RING] = "kv cache, window rings",
    [OSL_REGION_DEVICE_MARKS] = "marks",
    [OSL_REGION_DEVICE_ACTIVATIONS] = "activations",
    [OSL_REGION_DEVICE_LOGITS] = "logits",
};

const char *osl_region_name(enum osl_region region)
{
    return region < OSL_REGION_COUNT ? region_names[region] : "?";
}

/* What only the CPU's executor uses: with a GPU, kept for the case that it fails. */
static bool is_executors(enum osl_region region)
{
    return region == OSL_REGION_KV_FULL || region == OSL_REGION_KV_RING ||
           region == OSL_REGION_MARKS || region == OSL_REGION_ACTIVATIONS ||
           region == OSL_REGION_LOGITS || region == OSL_REGION_SCRATCH;
}

const char *osl_region_where(const struct osl_plan *plan, enum osl_region region)
{
    if (region < OSL_REGION_HOST_COUNT) {
        return plan->device.vulkan && is_executors(region) ? "reserve" : "host";
    }
    return region >= OSL_REGION_DEVICE_FIRST         ? "device"
           : region >= OSL_REGION_DRIVER_EMBEDDING ? "driver"
           : region == OSL_REGION_MODEL_FILE       ? plan->given ? "given" : "mapped"
                                                   : "process";
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

/* The machine's threads, or as many as there is work for. */
static uint32_t threads_worth(const struct osl_hparams *hparams,
                              const struct osl_model_weights *weights)
{
    uint32_t most = osl_threads_recommended();
    uint64_t experts = weights->expert_bytes / hparams->shape.experts * hparams->shape.experts_used;
    uint64_t worth = (weights->dense_bytes + experts) / OSL_THREAD_BYTES + 1;
    return worth < most ? (uint32_t)worth : most;
}

/* Fills in what the configuration left open and refuses what can not be. */
static enum osl_status settle_options(const struct ossicle_config *config,
                                      const struct osl_hparams *hparams,
                                      const struct osl_model_weights *weights,
                                      struct osl_plan *plan, struct osl_error *error)
{
    uint32_t context_default = hparams->context_tokens < OSL_CONTEXT_DEFAULT
                                   ? hparams->context_tokens
                                   : OSL_CONTEXT_DEFAULT;
    plan->context_tokens = config->context_tokens ? config->context_tokens : context_default;
    plan->prefill_tokens = config->prefill_tokens ? config->prefill_tokens : OSL_PREFILL_DEFAULT;
    plan->threads = config->threads ? config->threads : threads_worth(hparams, weights);
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
        (status = check_range("device", config->device, 0, OSSICLE_DEVICE_VULKAN, error)) ||
        (status = check_range("lookup", config->lookup, 0, OSSICLE_LOOKUP_ON, error)) ||
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
    /* Mapped starts at once, can be evicted and decodes as fast: 32 tokens of the 12 GB model in
     * 1.68, 1.71, 1.70 s, even with the file in pages of 4 KiB; resident 1.53, 1.67, 1.89 s, after
     * 0.9 s (page cache) to 2.4 s (disk) of loading. Medians of 3, alternating, 2 Zen 5 cores. */
    plan->resident = config->weights == OSSICLE_WEIGHTS_RESIDENT;
    return OSL_OK;
}

/* Chooses the device; a Vulkan one may take fewer tokens in a step, and rings of its own length. */
static enum osl_status plan_device(const struct ossicle_config *config,
                                   const struct osl_schedule *schedule, struct osl_plan *plan,
                                   struct osl_error *error)
{
    const struct osl_vulkan_limits limits = {
        .prefill_tokens = plan->prefill_tokens,
        .logits_rows = plan->limits.logits_rows,
        .context_tokens = plan->context_tokens,
        .marks = plan->marks + 1, /* and the turn's own */
        .import_weights = config->weights == OSSICLE_WEIGHTS_MAPPED,
    };
    struct osl_device_choice *device = &plan->device;
    enum osl_status status = osl_device_choose(config, schedule, &limits, device, error);
    if (status != OSL_OK || !device->vulkan) {
        return status;
    }
    plan->resident = false; /* the weights are the device's */
    const struct osl_vulkan_need *need = &device->need;
    if (device->fits && need->prefill_tokens < plan->prefill_tokens) {
        plan->prefill_tokens = plan->limits.prefill_tokens = need->prefill_tokens;
        if (plan->limits.logits_rows > plan->prefill_tokens) {
            plan->limits.logits_rows = plan->prefill_tokens;
        }
    }
    plan->bytes[OSL_REGION_DRIVER_EMBEDDING] = need->embedding_bytes;
    plan->bytes[OSL_REGION_DRIVER_STAGING] = need->staging_bytes;
    plan->bytes[OSL_REGION_DEVICE_WEIGHTS] = need->weights_bytes;
    plan->bytes[OSL_REGION_DEVICE_KV_FULL] = need->kv_full_bytes;
    plan->bytes[OSL_REGION_DEVICE_KV_RING] = need->kv_ring_bytes;
    plan->bytes[OSL_REGION_DEVICE_MARKS] = need->marks_bytes;
    plan->bytes[OSL_REGION_DEVICE_ACTIVATIONS] = need->activations_bytes;
    plan->bytes[OSL_REGION_DEVICE_LOGITS] = need->logits_bytes;
    return OSL_OK;
}

/* What a decode step may draft, and its logits. A GPU takes one token, and so does the CPU that
 * takes over from one. */
static void plan_lookup(const struct ossicle_config *config, struct osl_plan *plan)
{
    struct osl_executor_limits *limits = &plan->limits;
    limits->decode_tokens = 1;
    if (config->lookup != OSSICLE_LOOKUP_OFF && !plan->device.vulkan && !config->tokens_only) {
        limits->decode_tokens = plan->prefill_tokens < OSL_DECODE_TOKENS_MAX
                                    ? plan->prefill_tokens
                                    : OSL_DECODE_TOKENS_MAX;
    }
    if (limits->logits_rows < limits->decode_tokens) {
        limits->logits_rows = limits->decode_tokens;
    }
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
    const struct osl_device_choice *device = &plan->device;
    if (device->vulkan && device->fits) { /* rows are saved, and taken over, by slot */
        OSL_ASSERT(device->need.ring_capacity >= plan->ring_capacity &&
                   device->need.full_capacity >= plan->full_capacity);
        plan->ring_capacity = device->need.ring_capacity;
        plan->full_capacity = device->need.full_capacity;
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

static void plan_totals(const struct ossicle_config *config, struct osl_plan *plan)
{
    uint64_t at = 0;
    plan->total_bytes = plan->device_bytes = 0;
    for (uint32_t r = 0; r < OSL_REGION_COUNT; r++) {
        plan->bytes[r] = round_up(plan->bytes[r], REGION_ALIGNMENT);
        bool device = r >= OSL_REGION_DEVICE_FIRST;
        plan->device_bytes += device ? plan->bytes[r] : 0;
        plan->total_bytes += device && !plan->device.facts.unified ? 0 : plan->bytes[r];
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

enum osl_status osl_model_open(const struct ossicle_config *config, struct osl_gguf *gguf,
                               struct osl_error *error)
{
    const char *name = config->model_path;
    if (config->model_data == NULL) {
        return osl_gguf_open(gguf, name, error);
    }
    if ((uintptr_t)config->model_data % OSSICLE_ALIGNMENT != 0) {
        return osl_fail(error, OSL_ARGUMENT, "model_data must be aligned to %d bytes",
                        OSSICLE_ALIGNMENT);
    }
    return osl_gguf_parse(gguf, name != NULL ? name : "model_data", config->model_data,
                          config->model_bytes, error);
}

enum osl_status osl_plan_build(const struct ossicle_config *config, const struct osl_gguf *gguf,
                               const struct osl_hparams *hparams,
                               const struct osl_model_weights *weights,
                               struct osl_schedule *schedule, struct osl_plan *plan,
                               struct osl_error *error)
{
    memset(plan, 0, sizeof *plan);
    enum osl_status status = settle_options(config, hparams, weights, plan, error);
    if (status != OSL_OK) {
        return status;
    }
    plan->given = osl_gguf_in_memory(gguf);
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
    osl_forward_write(schedule, hparams, weights, plan->kv_type);
    if ((status = plan_device(config, schedule, plan, error)) != OSL_OK) {
        return status;
    }
    plan_lookup(config, plan);
    plan_cache(shape, plan);
    plan_buffers(shape, plan);
    status = osl_tokenizer_need(gguf, plan->text_bytes, &plan->bytes[OSL_REGION_TOKENIZER], error);
    if (status != OSL_OK) {
        return status;
    }
    plan->bytes[OSL_REGION_ENGINE] =
        osl_engine_bytes() + (plan->device.vulkan ? osl_vulkan_bytes() : 0);
    plan->bytes[OSL_REGION_SESSION] = osl_session_bytes(plan);
    plan->bytes[OSL_REGION_SAMPLER] = osl_sampler_bytes(shape->vocab);
    plan->bytes[OSL_REGION_THREADS] = osl_weights_threads_bytes(plan);
    plan->bytes[OSL_REGION_PROGRAM] = OSL_PROGRAM_BYTES;
    if (plan->resident) {
        plan->bytes[OSL_REGION_WEIGHTS] = osl_plan_resident_bytes(gguf);
        plan->bytes[OSL_REGION_MODEL_FILE] = gguf->data_offset + weights->embed_bytes;
    } else if (plan->device.vulkan && plan->device.need.embedding_bytes > 0) {
        /* weights pass through the page cache to the device, once */
        plan->bytes[OSL_REGION_MODEL_FILE] = gguf->data_offset;
    } else {
        plan->bytes[OSL_REGION_MODEL_FILE] = gguf->file.bytes;
    }
    plan_totals(config, plan);
    return OSL_OK;
}

