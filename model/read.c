/* Reading tokens into the cache: the one place that runs the conversation's steps, and keeps how
 * each token was read, since the numbers of a prefill and a decode step differ in rounding. */
#include "engine.h"

#include <string.h>

bool osl_read_was_decode(const ossicle *engine, uint32_t position)
{
    return engine->session.by_decode[position / 8] >> position % 8 & 1;
}

void osl_read_note(ossicle *engine, enum osl_step_kind kind, uint32_t tokens)
{
    struct osl_session *session = &engine->session;
    OSL_ASSERT(tokens <= session->count - session->read);
    for (uint32_t t = session->read; t < session->read + tokens; t++) {
        uint8_t bit = (uint8_t)(1u << t % 8);
        uint8_t *byte = &session->by_decode[t / 8];
        *byte = (uint8_t)(kind == OSL_STEP_DECODE ? *byte | bit : *byte & ~bit);
    }
    session->read += tokens;
    osl_read_reaches(engine, session->read);
    if (session->read > session->known) {
        session->known = session->read;
        engine->restarts_in_row = 0;
    }
    osl_marks_capture(engine);
}

enum osl_status osl_read_run(ossicle *engine, const struct osl_step *step)
{
    enum osl_status status = osl_backend_run(engine->backend, step);
    return status == OSL_OK ? osl_map_check(&engine->gguf.file, &engine->gguf.map, &engine->error)
                            : status;
}

/* Rows that a step may write. A decode step counts as if it had a draft of any length: what becomes
 * of the rings later must not depend on whether one was worth its time. */
static uint32_t reach(const ossicle *engine, const struct osl_step *step)
{
    uint32_t drafted = engine->plan.prefill_tokens < OSL_DECODE_TOKENS_MAX
                           ? engine->plan.prefill_tokens
                           : OSL_DECODE_TOKENS_MAX;
    bool decode = step->kind == OSL_STEP_DECODE;
    return step->position_first + (decode ? drafted : step->token_count);
}

/* Of the step's tokens the first `kept` count as read. */
static enum osl_status run(ossicle *engine, const struct osl_step *step, uint32_t kept)
{
    OSL_ASSERT(!engine->lost && !engine->ahead.live);
    osl_read_reaches(engine, reach(engine, step));
    enum osl_status status = osl_read_run(engine, step);
    if (status == OSL_OK) {
        osl_read_note(engine, step->kind, kept);
    }
    return status;
}

enum osl_status osl_read_step(ossicle *engine, enum osl_step_kind kind, uint32_t tokens)
{
    struct osl_session *session = &engine->session;
    struct osl_step step = {
        .kind = kind,
        .token_count = tokens,
        .position_first = session->read,
        .tokens = session->tokens + session->read,
        .logits_row_first = tokens - 1,
        .logits_row_count = session->read + tokens == session->count ? 1 : 0,
    };
    return run(engine, &step, tokens);
}

enum osl_status osl_read_drafted(ossicle *engine, const int32_t *draft, uint32_t length)
{
    struct osl_session *session = &engine->session;
    int32_t tokens[OSL_DECODE_TOKENS_MAX];
    OSL_ASSERT(session->read + 1 == session->count && length < OSL_DECODE_TOKENS_MAX);
    tokens[0] = session->tokens[session->read];
    memcpy(tokens + 1, draft, length * sizeof *draft);
    const struct osl_step step = {
        .kind = OSL_STEP_DECODE,
        .token_count = 1 + length,
        .position_first = session->read,
        .tokens = tokens,
        .logits_row_count = 1 + length,
    };
    return run(engine, &step, 1);
}

void osl_read_reaches(ossicle *engine, uint32_t position)
{
    struct osl_session *session = &engine->session;
    session->written = session->written > position ? session->written : position;
}

void osl_session_truncate_read(ossicle *engine, uint32_t position)
{
    struct osl_session *session = &engine->session;
    session->known = session->known < position ? session->known : position;
    if (position >= session->read) {
        return;
    }
    uint32_t slack = engine->plan.ring_capacity - engine->hparams.shape.window;
    bool rings_whole = engine->plan.ring_capacity == engine->plan.full_capacity ||
                       session->written - position <= slack;
    if (rings_whole) {
        session->read = position;
    } else {
        osl_read_forget(engine);
    }
}

void osl_read_forget(ossicle *engine)
{
    engine->session.read = 0;
    engine->session.written = 0;
    engine->session.known = 0;
}
