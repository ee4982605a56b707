/* Writing an answer: begin, then one bounded step at a time. */
#include "engine.h"

#include <string.h>

static enum osl_status copy_sampling(ossicle *engine, const struct ossicle_sampling *from,
                                     struct osl_sampling *to)
{
    if (from->bias_count > OSSICLE_BIAS_MAX || from->stop_count > OSSICLE_STOPS_MAX ||
        (from->bias_count > 0 && from->bias == NULL)) {
        return osl_fail(&engine->error, OSL_ARGUMENT, "%u biases and %u stops: at most %d and %d",
                        from->bias_count, from->stop_count, OSSICLE_BIAS_MAX, OSSICLE_STOPS_MAX);
    }
    *to = (struct osl_sampling){
        .temperature = from->temperature,
        .top_k = from->top_k,
        .top_p = from->top_p,
        .min_p = from->min_p,
        .repetition_penalty = from->repetition_penalty,
        .presence_penalty = from->presence_penalty,
        .frequency_penalty = from->frequency_penalty,
        .seed = from->seed,
        .bias_count = from->bias_count,
    };
    for (uint32_t b = 0; b < from->bias_count; b++) {
        to->bias[b].token = from->bias[b].token;
        to->bias[b].bias = from->bias[b].bias;
    }
    return OSL_OK;
}

void ossicle_sampling_init(struct ossicle_sampling *sampling)
{
    *sampling =
        (struct ossicle_sampling){.temperature = 1.0f, .top_p = 1.0f, .repetition_penalty = 1.0f};
}

void ossicle_sampling_advised(const ossicle *engine, struct ossicle_sampling *sampling)
{
    const struct osl_hparams *hparams = &engine->hparams;
    ossicle_sampling_init(sampling);
    sampling->temperature = hparams->temperature;
    sampling->top_k = hparams->top_k;
    sampling->top_p = hparams->top_p;
    sampling->min_p = hparams->min_p;
}

/* Tokens already there that count as seen for the penalties. */
static void seed_penalties(ossicle *engine)
{
    const struct osl_session *session = &engine->session;
    struct osl_answer *answer = &engine->answer;
    uint32_t back =
        answer->penalty_tokens < session->count ? answer->penalty_tokens : session->count;
    answer->penalty_first = session->count - back;
    for (uint32_t t = answer->penalty_first; t < session->count; t++) {
        osl_sampler_seen(engine->sampler, session->tokens[t]);
    }
}

static void note_penalty(ossicle *engine, int32_t token)
{
    const struct osl_session *session = &engine->session;
    struct osl_answer *answer = &engine->answer;
    osl_sampler_seen(engine->sampler, token);
    while (answer->penalty_tokens > 0 &&
           session->count - answer->penalty_first > answer->penalty_tokens) {
        osl_sampler_forget(engine->sampler, session->tokens[answer->penalty_first++]);
    }
}

/* Opens the turn if this is its first answer, and renders "<|start|>assistant". */
static enum osl_status begin_harmony(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    if (!session->opened) {
        return osl_fail(&engine->error, OSL_STATE, "no conversation: call ossicle_open first");
    }
    if (!session->turn.open) {
        memset(&session->turn, 0, sizeof session->turn);
        session->turn.open = true;
        session->turn.first = session->count;
        osl_marks_set(engine, OSL_TURN_MARK);
    }
    engine->answer.message_first = session->count;
    struct osl_harmony_sink sink = osl_session_sink(engine);
    enum osl_status status = osl_harmony_completion(&sink);
    if (status == OSL_OK) {
        status = osl_session_flush(engine);
    }
    if (status != OSL_OK) {
        session->count = engine->answer.message_first;
    }
    return status;
}

enum ossicle_status ossicle_begin(ossicle *engine, const struct ossicle_sampling *given)
{
    struct osl_answer *answer = &engine->answer;
    struct osl_session *session = &engine->session;
    if (answer->phase != OSL_PHASE_IDLE) {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_STATE,
                                             "an answer is being written already");
    }
    struct ossicle_sampling sampling;
    ossicle_sampling_advised(engine, &sampling);
    sampling = given != NULL ? *given : sampling;
    struct osl_sampling copy;
    enum osl_status status = copy_sampling(engine, &sampling, &copy);
    if (status == OSL_OK) {
        status = osl_sampler_begin(engine->sampler, &copy, &engine->error);
    }
    if (status == OSL_OK) {
        status = osl_stop_begin(&answer->stop, sampling.stops, sampling.stop_count, &engine->error);
    }
    answer->raw = sampling.raw;
    answer->begin_count = session->count;
    if (status == OSL_OK && !sampling.raw) {
        status = begin_harmony(engine);
    }
    if (status == OSL_OK && session->count == 0) {
        status = osl_fail(&engine->error, OSL_STATE, "nothing to answer: say something first");
    }
    if (status != OSL_OK) {
        return (enum ossicle_status)status;
    }
    if (session->known == session->count) { /* raw, and nothing new: the last token once more */
        osl_session_truncate_read(engine, session->count - 1);
    }
    answer->max_tokens = sampling.max_tokens;
    answer->produced = 0;
    answer->prefill_first = session->known;
    answer->penalty_tokens = sampling.penalty_tokens;
    answer->in_call = false;
    answer->stopped = false;
    answer->text_bytes = 0;
    seed_penalties(engine);
    osl_lookup_begin(engine);
    osl_parser_init(&answer->parser, OSL_PARSE_TOLERANT, "assistant");
    osl_constrain_begin(&answer->constrain, engine->tokenizer, session->tool_list,
                        session->tools.count);
    answer->parser.tools = session->tool_list;
    answer->parser.tool_count = session->tools.count;
    atomic_store_explicit(&engine->cancel, false, memory_order_relaxed);
    answer->phase = OSL_PHASE_PREFILL;
    return OSSICLE_OK;
}

/* ---- Steps ------------------------------------------------------------------------------- */

static enum osl_status run_step(ossicle *engine, enum osl_step_kind kind, uint32_t tokens)
{
    uint64_t start_ns = osl_clock_ns();
    enum osl_status status = kind == OSL_STEP_DECODE ? osl_lookup_step(engine)
                                                     : osl_read_step(engine, kind, tokens);
    uint64_t took_ns = osl_clock_ns() - start_ns;
    if (status != OSL_OK) {
        return status;
    }
    if (kind == OSL_STEP_PREFILL) {
        engine->prefill_tokens += tokens;
        engine->prefill_ns += took_ns;
    } else {
        engine->decode_tokens += tokens;
        engine->decode_ns += took_ns;
        engine->decode_weight_bytes = osl_backend_weight_bytes(engine->backend);
    }
    return OSL_OK;
}

/* What the conversation had read is being read again, by this call and those after it. */
static void event_again(const ossicle *engine, struct ossicle_event *event)
{
    event->kind = OSSICLE_EVENT_PREFILL;
    event->again = true;
    event->prefill_done = engine->session.read;
    event->prefill_total = engine->session.count;
}

/* A step did not end well: the answer was cancelled, the device or the model's file is lost. */
static void step_failed(ossicle *engine, enum osl_status status, struct ossicle_event *event)
{
    if (status == OSL_DEVICE) {
        osl_recover_lost(engine);
        event_again(engine, event);
        return;
    }
    if (status == OSL_IO) {
        osl_answer_fault(engine, event, status);
        return;
    }
    OSL_ASSERT(status == OSL_ABORTED);
    osl_answer_end(engine, OSSICLE_DONE_CANCELLED);
    osl_answer_done(engine, event);
}

static void step_recover(ossicle *engine, struct ossicle_event *event)
{
    enum osl_status status = osl_recover_step(engine);
    if (status == OSL_OK) {
        event_again(engine, event);
    } else if (status == OSL_DEVICE) {
        osl_answer_fault(engine, event, status);
    } else {
        step_failed(engine, status, event);
    }
}

static void step_prefill(ossicle *engine, struct ossicle_event *event)
{
    struct osl_session *session = &engine->session;
    struct osl_answer *answer = &engine->answer;
    uint32_t tokens = session->count - session->read;
    tokens = tokens < engine->plan.prefill_tokens ? tokens : engine->plan.prefill_tokens;
    /* all is read where the device was lost with the last chunk, and read again since */
    enum osl_status status =
        tokens > 0 ? run_step(engine, OSL_STEP_PREFILL, tokens) : OSL_OK;
    if (status != OSL_OK) {
        step_failed(engine, status, event);
        return;
    }
    if (engine->lost) {
        event_again(engine, event);
        return;
    }
    event->kind = OSSICLE_EVENT_PREFILL;
    event->prefill_done = session->read - answer->prefill_first;
    event->prefill_total = session->count - answer->prefill_first;
    if (session->read == session->count) {
        answer->phase = OSL_PHASE_SAMPLE;
    }
}

/* The last token into the cache, unless it is, was drafted there, or the backend sees to it. */
static enum osl_status read_last(ossicle *engine)
{
    if (engine->session.read == engine->session.count || osl_pick_goes_on(engine)) {
        return OSL_OK;
    }
    if (osl_lookup_goes_on(engine)) {
        engine->decode_tokens++;
        return OSL_OK;
    }
    osl_pick_stop(engine);
    return engine->lost ? OSL_DEVICE : run_step(engine, OSL_STEP_DECODE, 1);
}

static void step_token(ossicle *engine, struct ossicle_event *event)
{
    struct osl_session *session = &engine->session;
    struct osl_answer *answer = &engine->answer;
    enum osl_status status = read_last(engine);
    if (status != OSL_OK) {
        step_failed(engine, status, event);
        return;
    }
    /* A stop written after the last token fits: it is replaced by the <|end|> of history. */
    if (session->count + 2 > engine->plan.context_tokens ||
        (answer->max_tokens > 0 && answer->produced == answer->max_tokens)) {
        osl_answer_end(engine, OSSICLE_DONE_LENGTH);
        osl_answer_done(engine, event);
        return;
    }
    int32_t token = -1;
    if ((status = osl_pick_next(engine, &token)) != OSL_OK) {
        step_failed(engine, status, event);
        return;
    }
    if (token < 0) {
        osl_fail(&engine->error, OSL_DEVICE,
                 "no token can be picked: the logits are not numbers; check the model file with "
                 "`verify` and the kernels with `selftest`");
        osl_answer_fault(engine, event, OSL_DEVICE);
        return;
    }
    answer->produced++;
    answer->phase = OSL_PHASE_DECODE;
    event->kind = OSSICLE_EVENT_TEXT;
    event->token = token;
    osl_answer_take(engine, token, event);
    if (answer->phase == OSL_PHASE_DECODE) {
        note_penalty(engine, token);
    }
}

enum ossicle_status ossicle_step(ossicle *engine, struct ossicle_event *event)
{
    struct osl_answer *answer = &engine->answer;
    memset(event, 0, sizeof *event);
    event->token = -1;
    event->text = "";
    if (answer->phase == OSL_PHASE_IDLE) {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_STATE,
                                             "nothing was begun: call ossicle_begin first");
    }
    if (answer->phase == OSL_PHASE_DONE) {
        osl_answer_done(engine, event);
    } else if (atomic_load_explicit(&engine->cancel, memory_order_relaxed)) {
        osl_answer_end(engine, OSSICLE_DONE_CANCELLED);
        osl_answer_done(engine, event);
    } else if (osl_recover_pending(engine)) {
        step_recover(engine, event);
    } else if (answer->phase == OSL_PHASE_PREFILL) {
        step_prefill(engine, event);
    } else {
        step_token(engine, event);
    }
    return OSSICLE_OK;
}
