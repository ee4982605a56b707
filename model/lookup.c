/* Decode steps with a draft behind the last token: see lookup.h. */
#include "engine.h"

#include <string.h>

/* Tokens that a decode step may have here; 1: nothing is drafted. */
static uint32_t tokens_most(const ossicle *engine)
{
    uint32_t most = engine->lookup.mode == OSSICLE_LOOKUP_OFF ? 1 : engine->backend->decode_tokens;
    return most > 1 ? most : 1;
}

/* What a decode step reads, by the schedule. */
static void init_cost(ossicle *engine)
{
    const struct osl_schedule *schedule = &engine->schedule;
    double dense = 0.0, expert = 0.0;
    for (uint32_t i = 0; i < schedule->op_count; i++) {
        const struct osl_op *op = &schedule->ops[i];
        bool routed = op->kind == OSL_OP_EXPERT_UP || op->kind == OSL_OP_EXPERT_DOWN;
        for (uint32_t w = 0; op->kind != OSL_OP_EMBED && w < op->weight_count; w++) {
            *(routed ? &expert : &dense) += (double)op->weight[w]->expert_bytes;
        }
    }
    osl_lookup_cost_init(&engine->lookup.cost, dense, expert, schedule->shape.experts,
                         schedule->shape.experts_used);
}

void osl_lookup_boot(ossicle *engine, enum ossicle_lookup mode, void *memory)
{
    struct osl_lookup *lookup = &engine->lookup;
    *lookup = (struct osl_lookup){.mode = mode};
    if (tokens_most(engine) > 1) {
        osl_lookup_index_init(&lookup->index, memory, engine->plan.context_tokens);
        init_cost(engine);
    }
}

void osl_lookup_begin(ossicle *engine)
{
    struct osl_lookup *lookup = &engine->lookup;
    lookup->draft_length = lookup->row = 0;
    lookup->guess_at = 0;
    lookup->tokens_most = tokens_most(engine);
    if (lookup->tokens_most > 1) {
        osl_lookup_index_clear(&lookup->index);
    }
}

/* How the guess at the text's last token turned out; a guess at the one after it. Returns where the
 * text was before, 0: nowhere. */
static uint32_t follow(ossicle *engine, uint32_t *run_out)
{
    struct osl_lookup *lookup = &engine->lookup;
    const struct osl_session *session = &engine->session;
    uint32_t count = session->count;
    if (lookup->guess_at != 0 && lookup->guess_at + 1 == count) {
        osl_lookup_cost_seen(&lookup->cost, lookup->guess_run,
                             session->tokens[count - 1] == lookup->guess);
    }
    uint32_t place = osl_lookup_follow(&lookup->index, session->tokens, count, run_out);
    lookup->guess_at = place != 0 ? count : 0;
    if (place != 0) {
        lookup->guess = session->tokens[place];
        lookup->guess_run = *run_out;
    }
    return place;
}

/* How many tokens to draft: no more than may be picked before the answer is full. */
static uint32_t draft_length(const ossicle *engine, uint32_t run)
{
    const struct osl_answer *answer = &engine->answer;
    uint32_t most = engine->lookup.tokens_most - 1;
    uint32_t used = engine->session.count + 2;
    uint32_t room = engine->plan.context_tokens > used ? engine->plan.context_tokens - used : 0;
    most = most < room ? most : room;
    if (answer->max_tokens > 0) {
        uint32_t left = answer->max_tokens - answer->produced;
        most = left == 0 ? 0 : most < left - 1 ? most : left - 1;
    }
    return engine->lookup.mode == OSSICLE_LOOKUP_ON
               ? most
               : osl_lookup_cost_length(&engine->lookup.cost, run, most);
}

bool osl_lookup_goes_on(ossicle *engine)
{
    struct osl_lookup *lookup = &engine->lookup;
    const struct osl_session *session = &engine->session;
    if (lookup->row == lookup->draft_length || session->read + 1 != session->count ||
        session->tokens[session->read] != lookup->draft[lookup->row]) {
        return false;
    }
    uint32_t run = 0;
    lookup->row++;
    lookup->accepted++;
    osl_lookup_cost_won(&lookup->cost);
    (void)follow(engine, &run);
    osl_read_note(engine, OSL_STEP_DECODE, 1);
    return true;
}

enum osl_status osl_lookup_step(ossicle *engine)
{
    struct osl_lookup *lookup = &engine->lookup;
    const struct osl_session *session = &engine->session;
    lookup->draft_length = lookup->row = 0;
    if (lookup->tokens_most == 1) {
        return osl_read_step(engine, OSL_STEP_DECODE, 1);
    }
    OSL_ASSERT(session->read + 1 == session->count);
    uint32_t run = 0;
    uint32_t place = follow(engine, &run);
    uint32_t length = place != 0 ? draft_length(engine, run) : 0;
    uint64_t start_ns = osl_clock_ns();
    enum osl_status status = OSL_OK;
    if (length == 0) {
        status = osl_read_step(engine, OSL_STEP_DECODE, 1);
    } else {
        osl_lookup_copy(session->tokens, session->count, place, length, lookup->draft);
        status = osl_read_drafted(engine, lookup->draft, length);
    }
    if (status == OSL_OK) {
        osl_lookup_cost_step(&lookup->cost, 1 + length, osl_clock_ns() - start_ns);
        lookup->draft_length = length;
        lookup->drafted += length;
    }
    return status;
}
