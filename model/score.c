/* Tokenise, detokenise and score: for tools and tests. */
#include "engine.h"

#include <math.h>
#include <string.h>

enum ossicle_status ossicle_tokenize(ossicle *engine, const char *text, size_t bytes, bool specials,
                                     int32_t *ids, size_t capacity, size_t *count_out)
{
    uint64_t count = 0;
    enum osl_status status = osl_tokenizer_encode(engine->tokenizer, text, bytes, specials, ids,
                                                  capacity, &count, &engine->error);
    if (status == OSL_OK) {
        *count_out = count;
    }
    return (enum ossicle_status)status;
}

enum ossicle_status ossicle_detokenize(ossicle *engine, const int32_t *ids, size_t count,
                                       char *text, size_t capacity, size_t *bytes_out)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= engine->hparams.shape.vocab) {
            return (enum ossicle_status)osl_fail(&engine->error, OSL_ARGUMENT,
                                                 "token %zu is %d: ids are 0 to %u", i, ids[i],
                                                 engine->hparams.shape.vocab - 1);
        }
        struct osl_slice token = osl_tokenizer_bytes(engine->tokenizer, ids[i]);
        if (used < capacity) {
            size_t room = capacity - used;
            memcpy(text + used, token.data, token.bytes < room ? token.bytes : room);
        }
        used += token.bytes;
    }
    *bytes_out = used;
    return OSSICLE_OK;
}

/* log p of the token that follows each row of the step. */
static void take_logprobs(const float *logits, uint32_t vocab, const int32_t *ids, uint32_t first,
                          uint32_t rows, size_t count, float *logprobs)
{
    for (uint32_t r = 0; r < rows && first + r + 1 < count; r++) {
        const float *row = logits + (uint64_t)r * vocab;
        double total = osl_log_sum_exp(row, vocab);
        logprobs[first + r + 1] = (float)(row[ids[first + r + 1]] - total);
    }
}

/* The best next tokens, from the logits of the last position. */
static void take_top(const float *logits, uint32_t vocab, struct ossicle_candidate *top,
                     uint32_t top_count)
{
    double total = osl_log_sum_exp(logits, vocab);
    int32_t ids[OSSICLE_TOP_MAX];
    float values[OSSICLE_TOP_MAX];
    uint32_t got = osl_top_logits(logits, vocab, top_count, ids, values);
    for (uint32_t i = 0; i < top_count; i++) {
        top[i] = i < got ? (struct ossicle_candidate){ids[i], (float)(values[i] - total)}
                         : (struct ossicle_candidate){-1, -INFINITY};
    }
}

static enum osl_status check_score(ossicle *engine, const int32_t *ids, size_t count,
                                   uint32_t top_count, const float *logprobs)
{
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return osl_fail(&engine->error, OSL_STATE, "an answer is being written: cancel it first");
    }
    if (count == 0 || count > engine->plan.context_tokens) {
        return osl_fail(&engine->error, count == 0 ? OSL_ARGUMENT : OSL_CAPACITY,
                        "%zu tokens to score: 1 to %u fit this context; choose a larger --context",
                        count, engine->plan.context_tokens);
    }
    if (top_count > OSSICLE_TOP_MAX || top_count > engine->hparams.shape.vocab) {
        return osl_fail(&engine->error, OSL_ARGUMENT, "top %u: at most %d", top_count,
                        OSSICLE_TOP_MAX);
    }
    if (logprobs != NULL && engine->plan.limits.logits_rows == 1 &&
        engine->plan.prefill_tokens > 1) {
        return osl_fail(&engine->error, OSL_STATE,
                        "log-probabilities at every position need config.score_all at boot");
    }
    return OSL_OK;
}

struct scoring {
    const int32_t *ids;
    size_t count;
    struct ossicle_candidate *top;
    uint32_t top_count;
    float *logprobs;
};

/* Reads some more tokens and takes what is asked of their logits. */
static enum osl_status score_some(ossicle *engine, const struct scoring *scoring)
{
    struct osl_session *session = &engine->session;
    bool all = scoring->logprobs != NULL;
    uint32_t vocab = engine->hparams.shape.vocab;
    uint32_t most = all ? engine->plan.limits.logits_rows : engine->plan.prefill_tokens;
    uint32_t first = session->read, tokens = session->count - first;
    tokens = tokens < most ? tokens : most;
    bool last = first + tokens == session->count;
    struct osl_step step = {
        .kind = OSL_STEP_PREFILL,
        .token_count = tokens,
        .position_first = first,
        .tokens = session->tokens + first,
        .logits_row_first = all ? 0 : tokens - 1,
        .logits_row_count = all ? tokens : last ? 1 : 0,
    };
    enum osl_status status = osl_read_run(engine, &step);
    const float *logits = NULL;
    if (status == OSL_OK && step.logits_row_count > 0) {
        status = osl_backend_logits(engine->backend, &logits);
    }
    if (status != OSL_OK) {
        return status;
    }
    if (all) {
        take_logprobs(logits, vocab, scoring->ids, first, tokens, scoring->count,
                      scoring->logprobs);
    }
    if (last && scoring->top_count > 0) {
        take_top(logits + (uint64_t)(step.logits_row_count - 1) * vocab, vocab, scoring->top,
                 scoring->top_count);
    }
    osl_read_note(engine, OSL_STEP_PREFILL, tokens);
    return OSL_OK;
}

enum ossicle_status ossicle_score(ossicle *engine, const int32_t *ids, size_t count,
                                  struct ossicle_candidate *top, uint32_t top_count,
                                  float *logprobs)
{
    enum osl_status status = check_score(engine, ids, count, top_count, logprobs);
    if (status != OSL_OK) {
        return (enum ossicle_status)status;
    }
    const struct scoring scoring = {ids, count, top, top_count, logprobs};
    struct osl_session *session = &engine->session;
    osl_session_reset(engine);
    atomic_store_explicit(&engine->cancel, false, memory_order_relaxed);
    status = (enum osl_status)ossicle_say_tokens(engine, ids, count);
    if (status == OSL_OK && logprobs != NULL) {
        logprobs[0] = 0.0f;
    }
    while (status == OSL_OK && session->read < session->count) {
        bool again = osl_recover_pending(engine);
        status = again ? osl_recover_step(engine) : score_some(engine, &scoring);
        if (status == OSL_ABORTED) {
            osl_fail(&engine->error, status, "cancelled while scoring");
        } else if (status == OSL_DEVICE && !again) {
            osl_recover_lost(engine);
            status = OSL_OK;
        } else if (status == OSL_OK && engine->progress != NULL &&
                   !engine->progress(engine->user, "scoring", session->read, session->count)) {
            status = osl_fail(&engine->error, OSL_ABORTED, "cancelled while scoring");
        }
    }
    osl_session_reset(engine);
    return (enum ossicle_status)status;
}
