/* Boots engines on the tiny fixture model for the engine's tests. */
#ifndef OSL_ENGINE_FIXTURE_H
#define OSL_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/engine.h"
#include "model/ossicle.h"

/* Written by the ctest fixture "models": seeded random weights, small vocabulary, window 16. */
#define TINY_MODEL OSL_BINARY_DIR "/tests/models/tiny.gguf"

struct rig {
    struct ossicle_config config;
    struct ossicle_plan plan;
    void *memory;
    ossicle *engine;
};

static inline void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    ossicle_config_init(&rig->config);
    rig->config.model_path = TINY_MODEL;
    rig->config.context_tokens = 768;
    rig->config.prefill_tokens = 32;
    rig->config.threads = 2;
    rig->config.text_bytes = 1 << 16;
    rig->config.poison = true;
}

static inline void rig_boot(struct rig *rig)
{
    struct ossicle_error error = {OSSICLE_OK, ""};
    if (ossicle_plan(&rig->config, &rig->plan, &error) != OSSICLE_OK) {
        fail_msg("plan: %s", error.text);
    }
    rig->memory = aligned_alloc(OSSICLE_ALIGNMENT, rig->plan.memory_bytes);
    assert_non_null(rig->memory);
    /* the engine must not rely on zeroed memory */
    memset(rig->memory, 0xa5, rig->plan.memory_bytes);
    if (ossicle_boot(&rig->config, rig->memory, rig->plan.memory_bytes, &rig->engine, &error) !=
        OSSICLE_OK) {
        fail_msg("boot: %s", error.text);
    }
}

static inline void rig_halt(struct rig *rig)
{
    ossicle_halt(rig->engine);
    free(rig->memory);
    rig->memory = NULL;
    rig->engine = NULL;
}

#define MUST(engine, call)                                                                         \
    do {                                                                                           \
        if ((call) != OSSICLE_OK) {                                                                \
            fail_msg("%s: %s", #call, ossicle_error_text(engine));                                 \
        }                                                                                          \
    } while (0)

/* Steps to the end; keeps the ids and the texts. Returns how it ended. */
struct answer_log {
    int32_t ids[1024];
    uint32_t count;
    char text[8192];
    size_t text_bytes;
    enum ossicle_done reason;
    uint32_t calls;
};

static inline void log_answer(ossicle *engine, struct answer_log *log)
{
    struct ossicle_event event;
    memset(log, 0, sizeof *log);
    for (uint32_t turn = 0; turn < 4096; turn++) {
        MUST(engine, ossicle_step(engine, &event));
        if (event.kind == OSSICLE_EVENT_DONE) {
            log->reason = event.reason;
            return;
        }
        assert_int_not_equal(event.kind, OSSICLE_EVENT_FAULT);
        log->calls += event.kind == OSSICLE_EVENT_TOOL_CALL;
        if (event.kind == OSSICLE_EVENT_TEXT) {
            if (event.token >= 0) {
                log->ids[log->count++] = event.token;
            }
            assert_true(log->text_bytes + event.text_bytes < sizeof log->text);
            memcpy(log->text + log->text_bytes, event.text, event.text_bytes);
            log->text_bytes += event.text_bytes;
        }
    }
    fail_msg("an answer did not end");
}

#define BIAS_MAX 8
/* Where it is not 0, nearly nothing but so many tokens (at most 5) is written: texts repeat. */
static uint32_t few_tokens;

/* Random weights seldom end a message by themselves: a bias makes them. */
static inline void bias_ends(ossicle *engine, struct ossicle_bias bias[BIAS_MAX],
                             struct ossicle_sampling *sampling)
{
    const struct osl_special_ids *ids = osl_tokenizer_special(engine->tokenizer);
    bias[0] = (struct ossicle_bias){ids->end, 6.0f};
    bias[1] = (struct ossicle_bias){ids->ret, 6.0f};
    bias[2] = (struct ossicle_bias){ids->call, 6.0f};
    sampling->bias = bias;
    sampling->bias_count = 3;
    for (uint32_t i = 0; i < few_tokens; i++) {
        bias[sampling->bias_count++] = (struct ossicle_bias){(int32_t)(70 + 3 * i), 9.0f};
    }
}

static inline void answer(ossicle *engine, uint64_t seed, uint32_t max_tokens, bool raw,
                          struct answer_log *log)
{
    struct ossicle_sampling sampling;
    ossicle_sampling_init(&sampling);
    sampling.seed = seed;
    sampling.max_tokens = max_tokens;
    sampling.raw = raw;
    struct ossicle_bias bias[BIAS_MAX];
    if (!raw || few_tokens > 0) {
        bias_ends(engine, bias, &sampling);
    }
    MUST(engine, ossicle_begin(engine, &sampling));
    log_answer(engine, log);
}

/* count ids that look random but are the same every time. */
static inline void some_ids(int32_t *ids, uint32_t count, uint32_t vocab, uint32_t seed)
{
    for (uint32_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        ids[i] = (int32_t)((seed >> 8) % vocab);
    }
}

#endif
