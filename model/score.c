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
static void take_logprobs(const ossicle *engine, const int32_t *ids, uint32_t first, uint32_t rows,
                          size_t count, float *logprobs)
{
    uint32_t vocab = engine->hparams.shape.vocab;
    for (uint32_t r = 0; r < rows && first + r + 1 < count; r++) {
        const float *logits = osl_executor_logits(engine->executor) + (uint64_t)r * vocab;
        double total = osl_log_sum_exp(logits, vocab);
        logprobs[first + r + 1] = (float)(logits[ids[first + r + 1]] - total);
    }
}

/* The best next tokens after the last position; logits of its row are `row` of the last step. */
static void take_top(const ossicle *engine, uint32_t row, struct ossicle_candidate *top,
                     uint32_t top_count)
{
    uint32_t vocab = engine->hparams.shape.vocab;
    const float *logits = osl_executor_logits(engine->executor) + (uint64_t)row * vocab;
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

enum ossicle_status ossicle_score(ossicle *engine, const int32_t *ids, size_t count,
                                  struct ossicle_candidate *top, uint32_t top_count,
                                  float *logprobs)
{
    enum osl_status status = check_score(engine, ids, count, top_count, logprobs);
    if (status != OSL_OK) {
        return (enum ossicle_status)status;
    }
    osl_session_reset(engine);
    atomic_store_explicit(&engine->cancel, false, memory_order_relaxed);
    status = (enum osl_status)ossicle_say_tokens(engine, ids, count);
    struct osl_session *session = &engine->session;
    uint32_t rows_most =
        logprobs != NULL ? engine->plan.limits.logits_rows : engine->plan.prefill_tokens;
    uint32_t last_row = 0;
    while (status == OSL_OK && session->read < session->count) {
        uint32_t first = session->read, tokens = session->count - first;
        tokens = tokens < rows_most ? tokens : rows_most;
        bool last = first + tokens == session->count;
        struct osl_step step = {
            .kind = OSL_STEP_PREFILL,
            .token_count = tokens,
            .position_first = first,
            .tokens = session->tokens + first,
            .logits_row_first = logprobs != NULL ? 0 : tokens - 1,
            .logits_row_count = logprobs != NULL ? tokens
                                : last           ? 1
                                                 : 0,
        };
        status = osl_executor_run(engine->executor, &step);
        if (status != OSL_OK) {
            osl_fail(&engine->error, status, "cancelled while scoring");
            break;
        }
        session->read += tokens;
        if (logprobs != NULL) {
            take_logprobs(engine, ids, first, tokens, count, logprobs);
            last_row = tokens - 1;
        }
        if (engine->progress != NULL &&
            !engine->progress(engine->user, "scoring", session->read, session->count)) {
            status = osl_fail(&engine->error, OSL_ABORTED, "cancelled while scoring");
        }
    }
    if (status == OSL_OK) {
        if (logprobs != NULL) {
            logprobs[0] = 0.0f;
        }
        if (top_count > 0) {
            take_top(engine, last_row, top, top_count);
        }
    }
    osl_session_reset(engine);
    return (enum ossicle_status)status;
}
