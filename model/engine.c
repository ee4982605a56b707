/* Boot and halt: the one place where memory is placed, the file mapped and threads started. */
#include "engine.h"

#include "compute/cpu/backend.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>


void osl_error_publish(const struct osl_error *error, struct ossicle_error *out)
{
    if (out != NULL && error->status != OSL_OK) {
        out->status = (enum ossicle_status)error->status;
        memcpy(out->text, error->text, sizeof out->text);
    }
}

void osl_engine_log(ossicle *engine, enum ossicle_log_level level, const char *format, ...)
{
    char line[OSL_LOG_LINE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (engine->log != NULL) {
        engine->log(engine->user, level, line);
    }
}

static uint64_t allowed_bytes(const struct osl_hparams *hparams)
{
    return ((uint64_t)hparams->shape.vocab + 31) / 32 * 4;
}

/* The fixed struct, the backend, the JSON arena and the sampler's bit set. */
uint64_t osl_engine_bytes(void)
{
    return sizeof(struct ossicle) + 64 + osl_cpu_backend_bytes() + 64 + OSL_ARENA_BYTES +
           OSL_VOCAB_MAX / 8 + 64;
}

static uint8_t *region(uint8_t *memory, const struct osl_plan *plan, enum osl_region which)
{
    return memory + plan->offset[which];
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

static void place_cache(ossicle *engine, uint8_t *memory)
{
    const struct osl_plan *plan = &engine->plan;
    const struct osl_shape *shape = &engine->hparams.shape;
    uint64_t row = osl_kv_row_bytes(plan->kv_type, shape->head_dim);
    uint8_t *full = region(memory, plan, OSL_REGION_KV_FULL);
    uint8_t *ring = region(memory, plan, OSL_REGION_KV_RING);
    for (uint32_t layer = 0; layer < shape->layers; layer++) {
        bool windowed = osl_layer_windowed(layer);
        uint32_t capacity = windowed ? plan->ring_capacity : plan->full_capacity;
        uint64_t half = row * shape->kv_heads * capacity;
        uint8_t **at = windowed ? &ring : &full;
        engine->schedule.kv[layer] = (struct osl_kv_layer){
            .k = *at,
            .v = *at + half,
            .capacity = capacity,
            .window = engine->schedule.kv[layer].window,
        };
        *at += 2 * half;
    }
    OSL_ASSERT(full <= region(memory, plan, OSL_REGION_KV_FULL) + plan->bytes[OSL_REGION_KV_FULL]);
    OSL_ASSERT(ring <= region(memory, plan, OSL_REGION_KV_RING) + plan->bytes[OSL_REGION_KV_RING]);
}

/* A bit a token: how it was read. */
static uint64_t kinds_bytes(const struct osl_plan *plan)
{
    return round_up(((uint64_t)plan->context_tokens + 7) / 8, 64);
}

/* A place for each token where the text may go on as it did before. */
static uint64_t lookup_bytes(const struct osl_plan *plan)
{
    return plan->limits.decode_tokens > 1 ? osl_lookup_index_bytes(plan->context_tokens) : 0;
}

/* Returns the memory behind it: of the lookup. */
static uint8_t *place_session(ossicle *engine, uint8_t *memory)
{
    const struct osl_plan *plan = &engine->plan;
    struct osl_session *session = &engine->session;
    uint8_t *at = region(memory, plan, OSL_REGION_SESSION);
    session->tokens = (int32_t *)(void *)at;
    at += round_up((uint64_t)plan->context_tokens * sizeof(int32_t), 64);
    session->by_decode = at;
    at += kinds_bytes(plan);
    session->stage = (char *)at;
    session->stage_bytes = plan->text_bytes;
    at += round_up(plan->text_bytes, 64);
    engine->answer.text = (char *)at;
    engine->answer.text_capacity = plan->text_bytes;
    at += round_up(plan->text_bytes, 64);
    return at;
}

uint64_t osl_session_bytes(const struct osl_plan *plan)
{
    return round_up((uint64_t)plan->context_tokens * sizeof(int32_t), 64) + kinds_bytes(plan) +
           2 * round_up(plan->text_bytes, 64) + lookup_bytes(plan);
}

static enum osl_status start_backend(ossicle *engine, uint8_t *memory, void *backend_memory,
                                     const struct ossicle_config *asked)
{
    const struct osl_plan *plan = &engine->plan;
    enum osl_status status =
        osl_team_start(region(memory, plan, OSL_REGION_THREADS), plan->bytes[OSL_REGION_THREADS],
                       plan->threads, &engine->team, &engine->error);
    if (status != OSL_OK) {
        return status;
    }
    OSL_ASSERT(osl_cpu_mark_bytes(&engine->schedule) == plan->ring_mark_bytes);
    struct osl_cpu_backend_config config = {
        .executor =
            {
                .schedule = &engine->schedule,
                .kernels = plan->kernels,
                .team = engine->team,
                .limits = plan->limits,
                .abort = &engine->cancel,
                .poison = asked->poison,
                .profile = asked->profile,
            },
        .marks = region(memory, plan, OSL_REGION_MARKS),
        .mark_count = plan->marks + 1, /* and the turn's */
    };
    void **buffer = config.executor.buffer;
    for (uint32_t b = 0; b < OSL_BUFFER_COUNT; b++) {
        buffer[b] = region(memory, plan, OSL_REGION_ACTIVATIONS) + plan->buffer_offset[b];
    }
    buffer[OSL_BUFFER_LOGITS] = region(memory, plan, OSL_REGION_LOGITS);
    buffer[OSL_BUFFER_SCRATCH] = region(memory, plan, OSL_REGION_SCRATCH);
    status = osl_cpu_backend_init(backend_memory, osl_cpu_backend_bytes(), &config, &engine->cpu,
                                  &engine->error);
    engine->backend = engine->cpu;
    return status;
}

/* The parts of the engine region behind the struct. */
static void *place_engine_parts(ossicle *engine)
{
    uint8_t *at = (uint8_t *)engine + round_up(sizeof *engine, 64);
    void *backend_memory = at;
    at += round_up(osl_cpu_backend_bytes(), 64);
    engine->arena = at;
    at += OSL_ARENA_BYTES;
    engine->allowed = (uint32_t *)(void *)at;
    at += round_up(allowed_bytes(&engine->hparams), 64);
    engine->device_memory = at;
    at += engine->plan.device.vulkan ? osl_vulkan_bytes() : 0;
    OSL_ASSERT(at <= (uint8_t *)engine + engine->plan.bytes[OSL_REGION_ENGINE]);
    return backend_memory;
}

static enum osl_status boot_parts(ossicle *engine, const struct ossicle_config *config,
                                  uint8_t *memory)
{
    const struct osl_plan *plan = &engine->plan;
    void *backend_memory = place_engine_parts(engine);
    if (!plan->resident && !plan->given && !plan->device.vulkan && !config->tokens_only) {
        osl_weights_warm(engine, region(memory, plan, OSL_REGION_THREADS) +
                                     round_up(osl_team_bytes(plan->threads), 64));
    }
    enum osl_status status = osl_tokenizer_build(
        &engine->gguf, plan->text_bytes, region(memory, plan, OSL_REGION_TOKENIZER),
        plan->bytes[OSL_REGION_TOKENIZER], &engine->tokenizer, &engine->error);
    if (status != OSL_OK) {
        return status;
    }
    if (plan->resident) {
        status = osl_weights_load(engine, region(memory, plan, OSL_REGION_WEIGHTS),
                                  region(memory, plan, OSL_REGION_THREADS),
                                  plan->bytes[OSL_REGION_THREADS]);
        if (status != OSL_OK) {
            return status;
        }
    }
    engine->sampler =
        osl_sampler_init(region(memory, plan, OSL_REGION_SAMPLER), plan->bytes[OSL_REGION_SAMPLER],
                         engine->hparams.shape.vocab);
    place_cache(engine, memory);
    uint8_t *lookup_memory = place_session(engine, memory);
    status = start_backend(engine, memory, backend_memory, config);
    if (status == OSL_OK && plan->device.vulkan) {
        status = osl_engine_start_device(engine, config);
    }
    if (status == OSL_OK) {
        osl_lookup_boot(engine, config->lookup, lookup_memory);
        osl_session_reset(engine);
        status = osl_map_check(&engine->gguf.file, &engine->gguf.map, &engine->error);
    }
    return status;
}

/* Header, hyperparameters, weights and plan; needs no more memory than the engine struct. */
static enum osl_status read_model(ossicle *engine, const struct ossicle_config *config,
                                  struct osl_plan *plan)
{
    enum osl_status status = osl_model_open(config, &engine->gguf, &engine->error);
    if (status != OSL_OK) {
        return status;
    }
    if ((status = osl_bind_hparams(&engine->gguf, &engine->hparams, &engine->error)) ||
        (status =
             osl_bind_weights(&engine->gguf, &engine->hparams, &engine->weights, &engine->error)) ||
        (status = osl_plan_build(config, &engine->gguf, &engine->hparams, &engine->weights,
                                 &engine->schedule, plan, &engine->error))) {
        osl_gguf_close(&engine->gguf);
    }
    return status;
}

static enum osl_status check_memory(const struct osl_plan *plan, const struct osl_hparams *hparams,
                                    uint64_t memory_bytes, struct osl_error *error)
{
    if (plan->host_bytes > memory_bytes) {
        return osl_fail(error, OSL_MEMORY,
                        "memory given to boot is %" PRIu64 " bytes, the plan needs %" PRIu64,
                        memory_bytes, plan->host_bytes);
    }
    struct ossicle_plan report_out;
    osl_plan_report(plan, hparams, &report_out);
    if (!report_out.fits) {
        return osl_fail(error, OSL_MEMORY, "%s", report_out.verdict);
    }
    return OSL_OK;
}

enum ossicle_status ossicle_boot(const struct ossicle_config *config, void *memory,
                                 uint64_t memory_bytes, ossicle **engine_out,
                                 struct ossicle_error *error_out)
{
    struct osl_error error = {OSL_OK, ""};
    uint64_t start_ns = osl_clock_ns();
    *engine_out = NULL;
    if (memory == NULL || (uintptr_t)memory % OSSICLE_ALIGNMENT != 0 ||
        memory_bytes < osl_engine_bytes()) {
        osl_fail(&error,
                 memory == NULL || memory_bytes < osl_engine_bytes() ? OSL_MEMORY : OSL_ARGUMENT,
                 "memory given to boot must be aligned to %d bytes and hold at least %" PRIu64,
                 OSSICLE_ALIGNMENT, osl_engine_bytes());
        osl_error_publish(&error, error_out);
        return (enum ossicle_status)error.status;
    }
    ossicle *engine = memory; /* the engine region is the first one */
    memset(engine, 0, sizeof *engine);
    engine->log = config->log;
    engine->ahead.limit = config->ahead_tokens;
    engine->progress = config->progress;
    engine->user = config->user;
    struct osl_plan plan;
    enum osl_status status = read_model(engine, config, &plan);
    if (status != OSL_OK) {
        osl_error_publish(&engine->error, error_out);
        return (enum ossicle_status)status;
    }
    OSL_ASSERT(plan.offset[OSL_REGION_ENGINE] == 0);
    engine->plan = plan;
    status = check_memory(&plan, &engine->hparams, memory_bytes, &engine->error);
    if (status == OSL_OK) {
        status = boot_parts(engine, config, memory);
    }
    if (status != OSL_OK) {
        osl_error_publish(&engine->error, error_out);
        ossicle_halt(engine);
        return (enum ossicle_status)status;
    }
    engine->boot_ns = osl_clock_ns() - start_ns;
    *engine_out = engine;
    return OSSICLE_OK;
}

void ossicle_halt(ossicle *engine)
{
    if (engine == NULL) {
        return;
    }
    if (engine->backend != NULL) {
        osl_backend_close(engine->backend);
        engine->backend = NULL;
    }
    if (engine->backend != NULL && engine->backend != engine->cpu) {
        osl_backend_close(engine->backend);
    }
    if (engine->team != NULL) {
        osl_team_stop(engine->team);
        engine->team = NULL;
    }
    osl_warm_stop(engine->warm);
    engine->warm = NULL;
    osl_gguf_close(&engine->gguf);
}

const char *ossicle_error_text(const ossicle *engine)
{
    return engine->error.text;
}

void ossicle_cancel(ossicle *engine)
{
    atomic_store_explicit(&engine->cancel, true, memory_order_relaxed);
}

void ossicle_stats(const ossicle *engine, struct ossicle_stats *out)
{
    *out = (struct ossicle_stats){
        .context_tokens = engine->plan.context_tokens,
        .context_used = engine->session.count,
        .vocab_tokens = osl_tokenizer_count(engine->tokenizer),
        .threads = engine->plan.threads,
        .boot_ns = engine->boot_ns,
        .prefill_tokens = engine->prefill_tokens,
        .prefill_ns = engine->prefill_ns,
        .decode_tokens = engine->decode_tokens,
        .decode_ns = engine->decode_ns,
        .drafted_tokens = engine->lookup.drafted,
        .accepted_tokens = engine->lookup.accepted,
        .weight_bytes_last_step = engine->decode_weight_bytes,
        .model_bytes = engine->gguf.file.bytes,
        .model_parameters = engine->weights.parameters,
    };
    snprintf(out->model_name, sizeof out->model_name, "%s", engine->hparams.name);
    snprintf(out->cpu_level, sizeof out->cpu_level, "%s", engine->plan.kernels->name);
    osl_engine_device_stats(engine, out);
}

double ossicle_bandwidth(ossicle *engine, uint32_t repeats)
{
    return osl_backend_bandwidth(engine->backend, repeats);
}
