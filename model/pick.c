/* The next token: picked by a device that runs ahead of the program, from a device's candidates,
 * or from all logits.
 *
 * Running ahead, several decode steps are under way and each feeds its token to the next; a call
 * takes one token. The set of allowed tokens stays the same within a message's content (and with
 * no Harmony at all), so that is where steps are queued; in a header the set changes with every
 * token, and one is asked for at a time. When the set changes, the answer ends, or the answer's
 * end is near, tokens not taken are dropped or never asked for. A random number is spent when its
 * token is taken, so the text is the same however far ahead the device was.
 *
 * A token taken counts as read once the one after it is there. Rows of the cache past it may hold
 * what was dropped; they are written again before anyone looks at them. */
#include "engine.h"

/* Steps under way should last about this long: a round trip to the device is some 0.1 ms, and what
 * is dropped at the end of a message is time lost, as is the wait of a cancel. */
#define AHEAD_NS 20000000u

static const uint32_t *allowed_now(ossicle *engine, uint32_t token_count)
{
    if (engine->answer.raw) {
        return NULL;
    }
    osl_constrain_allowed(&engine->answer.constrain, engine->allowed, token_count);
    return engine->allowed;
}

/* The backend can be asked for tokens behind those it picks by itself: the allowed set stays, and
 * so do the penalties but for what is picked. */
static bool settled(const ossicle *engine)
{
    const struct osl_answer *answer = &engine->answer;
    const struct osl_constrain *constrain = &answer->constrain;
    bool forgets = osl_sampler_penalises(engine->sampler) && answer->penalty_tokens > 0;
    return !forgets && (answer->raw || (constrain->in_content && constrain->content_ready));
}

/* Most tokens that can be under way: the window rings, where they turn at all, must keep what they
 * hold before the first. */
static uint32_t depth_most(const ossicle *engine)
{
    uint32_t most = osl_backend_ahead_most(engine->backend);
    most = most < OSL_PICK_AHEAD_MAX ? most : OSL_PICK_AHEAD_MAX;
    if (engine->plan.ring_capacity == engine->plan.full_capacity) {
        return most;
    }
    uint32_t slack = engine->plan.ring_capacity - engine->hparams.shape.window;
    return most < slack ? most : slack;
}

/* How many tokens should be under way. */
static uint32_t depth(const ossicle *engine)
{
    const struct osl_answer *answer = &engine->answer;
    uint64_t wanted = engine->ahead.limit;
    if (wanted == 0) {
        uint64_t tokens = engine->decode_tokens;
        uint64_t step_ns = tokens > 0 ? engine->decode_ns / tokens + 1 : AHEAD_NS;
        wanted = 1 + AHEAD_NS / step_ns;
    }
    wanted = settled(engine) ? wanted : 1;
    /* nothing beyond the context and the answer's own limit */
    uint32_t room = engine->plan.context_tokens - 1 - engine->session.count;
    uint32_t left = answer->max_tokens > 0 ? answer->max_tokens - answer->produced : UINT32_MAX;
    const uint32_t limits[] = {depth_most(engine), room, left};
    for (uint32_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        wanted = wanted < limits[i] ? wanted : limits[i];
    }
    return wanted > 0 ? (uint32_t)wanted : 1;
}

/* Asks for tokens, in halves so that the device always has some left to do. */
static enum osl_status queue(ossicle *engine)
{
    struct osl_ahead *ahead = &engine->ahead;
    struct osl_session *session = &engine->session;
    uint32_t token_count = osl_tokenizer_text_count(engine->tokenizer);
    const uint32_t *allowed = allowed_now(engine, token_count);
    uint32_t wanted = depth(engine);
    if (ahead->queued > wanted / 2) {
        return OSL_OK;
    }
    uint32_t count = wanted - ahead->queued;
    struct osl_pick pick;
    osl_sampler_ahead(engine->sampler, token_count, allowed, ahead->queued, count, &pick);
    pick.seen_grows = engine->answer.penalty_tokens == 0;
    uint32_t position = session->count + ahead->queued - (ahead->live ? 1 : 0);
    enum osl_status status = osl_backend_ahead(engine->backend, &pick, position, count);
    if (status == OSL_OK) {
        ahead->live = true;
        ahead->queued += count;
    }
    return status;
}

static enum osl_status take(ossicle *engine, int32_t *token_out)
{
    struct osl_session *session = &engine->session;
    /* What may be written, however much is asked for: what becomes of the rings later must not
     * depend on that either. */
    osl_read_reaches(engine, session->count + depth_most(engine) - 1);
    uint64_t start_ns = osl_clock_ns();
    enum osl_status status = queue(engine);
    if (status == OSL_OK) {
        status = osl_backend_take(engine->backend, token_out);
    }
    if (status != OSL_OK) {
        if (status == OSL_DEVICE) { /* nothing is under way any more */
            engine->ahead.live = false;
            engine->ahead.queued = 0;
        }
        return status;
    }
    engine->ahead.queued--;
    engine->decode_ns += osl_clock_ns() - start_ns;
    if (session->read < session->count) { /* the device fed the last token to a step of its own */
        osl_read_note(engine, OSL_STEP_DECODE, 1);
        engine->decode_tokens++;
        engine->decode_weight_bytes = osl_backend_weight_bytes(engine->backend);
    }
    if (*token_out >= 0) {
        osl_sampler_drawn(engine->sampler);
    }
    return OSL_OK;
}

static enum osl_status pick_here(ossicle *engine, int32_t *token_out)
{
    uint32_t token_count = osl_tokenizer_text_count(engine->tokenizer);
    const uint32_t *allowed = allowed_now(engine, token_count);
    enum osl_status status = OSL_OK;
    if (!osl_sampler_plain(engine->sampler)) {
        struct osl_pick pick;
        struct osl_candidates candidates;
        osl_sampler_ahead(engine->sampler, token_count, allowed, 0, 1, &pick);
        status = osl_backend_candidates(engine->backend, &pick, &candidates);
        if (status != OSL_OK ||
            osl_sampler_pick_candidates(engine->sampler, &candidates, token_out)) {
            return status;
        }
    }
    const float *logits = NULL;
    status = osl_backend_logits(engine->backend, &logits);
    if (status == OSL_OK) {
        logits += (uint64_t)engine->lookup.row * engine->hparams.shape.vocab;
        *token_out = osl_sampler_pick(engine->sampler, logits, token_count, allowed);
    }
    return status;
}

enum osl_status osl_pick_next(ossicle *engine, int32_t *token_out)
{
    bool ahead =
        osl_backend_ahead_most(engine->backend) > 0 && osl_sampler_plain(engine->sampler);
    return ahead ? take(engine, token_out) : pick_here(engine, token_out);
}

bool osl_pick_goes_on(const ossicle *engine)
{
    return engine->ahead.live && settled(engine);
}

void osl_pick_stop(ossicle *engine)
{
    if (!engine->ahead.live) {
        return;
    }
    engine->ahead.live = false;
    engine->ahead.queued = 0;
    if (osl_backend_drop(engine->backend) == OSL_DEVICE) {
        osl_recover_lost(engine);
    }
}
