/* What a picked token means: text on a channel, a call, the end of a message or of the turn, and
 * how the conversation looks afterwards. */
#include "engine.h"

#include <string.h>

/* There is room: step_token keeps two places free. */
static void append(ossicle *engine, int32_t token)
{
    struct osl_session *session = &engine->session;
    OSL_ASSERT(session->count < engine->plan.context_tokens);
    session->tokens[session->count++] = token;
}

static enum ossicle_channel channel_of(const struct osl_parser *parser)
{
    return strcmp(parser->channel, "final") == 0        ? OSSICLE_CHANNEL_FINAL
           : strcmp(parser->channel, "analysis") == 0   ? OSSICLE_CHANNEL_ANALYSIS
           : strcmp(parser->channel, "commentary") == 0 ? OSSICLE_CHANNEL_COMMENTARY
                                                        : OSSICLE_CHANNEL_NONE;
}

static void record_span(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    struct osl_turn *turn = &session->turn;
    if (turn->span_count == OSL_SPANS_MAX) {
        turn->overflowed = true;
        return;
    }
    turn->spans[turn->span_count++] = (struct osl_span){
        .first = engine->answer.message_first,
        .end = session->count,
        .analysis = channel_of(&engine->answer.parser) == OSSICLE_CHANNEL_ANALYSIS &&
                    !engine->answer.in_call,
    };
    engine->answer.message_first = session->count;
}

/* Once a turn is over its reasoning is dropped (harmony.md section 7, what the model was trained
 * with): back to where the turn began, then its other messages again, to be read by prefill. */
static void drop_reasoning(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    struct osl_turn turn = session->turn;
    memset(&session->turn, 0, sizeof session->turn);
    uint32_t first_dropped = turn.span_count;
    for (uint32_t s = turn.span_count; s > 0; s--) {
        first_dropped = turn.spans[s - 1].analysis ? s - 1 : first_dropped;
    }
    if (turn.overflowed || first_dropped == turn.span_count) {
        return;
    }
    uint32_t old_count = session->count, kept = turn.first, from = turn.first;
    const struct osl_mark *mark = &session->marks[OSL_TURN_MARK];
    if (mark->used && mark->position == turn.first) {
        osl_marks_return(engine, turn.first, OSL_TURN_MARK);
    } else { /* rewound to before that mark was set: read everything again */
        osl_marks_forget_after(engine, turn.first);
        osl_read_forget(engine);
    }
    for (uint32_t s = 0; s < turn.span_count; s++) {
        if (turn.spans[s].analysis) {
            uint32_t keep = turn.spans[s].first - from;
            memmove(session->tokens + kept, session->tokens + from, keep * sizeof(int32_t));
            kept += keep;
            from = turn.spans[s].end;
        }
    }
    memmove(session->tokens + kept, session->tokens + from, (old_count - from) * sizeof(int32_t));
    session->count = kept + (old_count - from);
}

/* A message that was cut short gets its <|end|>; a header that was, is taken back. */
static void close_cut_message(ossicle *engine)
{
    struct osl_answer *answer = &engine->answer;
    if (answer->parser.state == OSL_PARSE_CONTENT && !answer->in_call) {
        append(engine, osl_special_id(engine->tokenizer, OSL_SPECIAL_END));
        record_span(engine);
        return;
    }
    if (engine->session.count > answer->message_first) {
        engine->session.count = answer->message_first;
        osl_session_truncate_read(engine, answer->message_first);
        osl_marks_forget_after(engine, answer->message_first);
    }
}

void osl_answer_end(ossicle *engine, enum ossicle_done reason)
{
    struct osl_answer *answer = &engine->answer;
    osl_pick_stop(engine);
    answer->reason = reason;
    answer->phase = OSL_PHASE_DONE;
    if (answer->raw) {
        return;
    }
    if (reason != OSSICLE_DONE_STOP && reason != OSSICLE_DONE_TOOL_CALL) {
        close_cut_message(engine);
    }
    if (reason != OSSICLE_DONE_TOOL_CALL) {
        drop_reasoning(engine);
    }
}

/* DONE, once what was held back for a stop string is out. */
void osl_answer_done(ossicle *engine, struct ossicle_event *event)
{
    struct osl_answer *answer = &engine->answer;
    uint64_t held = osl_stop_flush(&answer->stop, answer->text, answer->text_capacity);
    if (held > 0 && answer->reason != OSSICLE_DONE_STOP_TEXT) {
        event->kind = OSSICLE_EVENT_TEXT;
        event->channel = OSSICLE_CHANNEL_FINAL;
        event->text = answer->text;
        event->text_bytes = held;
        return;
    }
    event->kind = OSSICLE_EVENT_DONE;
    event->reason = answer->reason;
    answer->phase = OSL_PHASE_IDLE;
}

void osl_answer_fault(ossicle *engine, struct ossicle_event *event, enum osl_status status)
{
    struct osl_session *session = &engine->session;
    osl_pick_stop(engine);
    event->kind = OSSICLE_EVENT_FAULT;
    event->status = (enum ossicle_status)status;
    session->count = engine->answer.begin_count;
    osl_session_truncate_read(engine, session->count);
    osl_marks_forget_after(engine, session->count);
    engine->answer.phase = OSL_PHASE_IDLE;
}

static void take_delta(ossicle *engine, struct ossicle_event *event)
{
    struct osl_answer *answer = &engine->answer;
    const struct osl_parser *parser = &answer->parser;
    if (answer->in_call) {
        uint64_t room = answer->text_capacity - answer->text_bytes;
        uint64_t bytes = parser->delta_bytes < room ? parser->delta_bytes : room;
        memcpy(answer->text + answer->text_bytes, parser->delta, bytes);
        answer->text_bytes += bytes;
        return;
    }
    event->channel = channel_of(parser);
    if (event->channel == OSSICLE_CHANNEL_FINAL) {
        uint64_t bytes = 0;
        answer->stopped = osl_stop_feed(&answer->stop, parser->delta, parser->delta_bytes,
                                        answer->text, answer->text_capacity, &bytes);
        event->text = answer->text;
        event->text_bytes = bytes;
    } else {
        event->text = parser->delta;
        event->text_bytes = parser->delta_bytes;
    }
}

/* A whole call: its event now, DONE next. */
static void take_call(ossicle *engine, struct ossicle_event *event)
{
    static const char prefix[] = "functions.";
    struct osl_answer *answer = &engine->answer;
    bool prefixed = strncmp(answer->tool, prefix, sizeof prefix - 1) == 0;
    event->kind = OSSICLE_EVENT_TOOL_CALL;
    event->channel = OSSICLE_CHANNEL_COMMENTARY;
    event->tool = answer->tool + (prefixed ? sizeof prefix - 1 : 0);
    event->text = answer->text;
    event->text_bytes = answer->text_bytes;
    osl_answer_end(engine, OSSICLE_DONE_TOOL_CALL);
}

static void take_raw(ossicle *engine, int32_t token, struct ossicle_event *event)
{
    struct osl_slice text = osl_tokenizer_bytes(engine->tokenizer, token);
    append(engine, token);
    event->text = text.data;
    event->text_bytes = text.bytes;
}

void osl_answer_take(ossicle *engine, int32_t token, struct ossicle_event *event)
{
    struct osl_answer *answer = &engine->answer;
    struct osl_parser *parser = &answer->parser;
    if (answer->raw) {
        take_raw(engine, token, event);
        return;
    }
    enum osl_special special = osl_special_of(engine->tokenizer, token);
    struct osl_slice text = osl_tokenizer_bytes(engine->tokenizer, token);
    osl_constrain_follow(&answer->constrain, token);
    uint32_t bits = osl_parser_feed(parser, special, text.data, text.bytes);
    /* history holds <|end|> where the model wrote its last word: harmony.md section 3.2 */
    bool last_word = special == OSL_SPECIAL_RETURN || special == OSL_SPECIAL_ENDOFTEXT;
    append(engine, last_word ? osl_special_id(engine->tokenizer, OSL_SPECIAL_END) : token);
    if (bits & OSL_PARSE_BEGIN) {
        answer->in_call = parser->is_call;
        memcpy(answer->tool, parser->recipient, sizeof answer->tool);
        answer->text_bytes = 0;
    }
    if (bits & OSL_PARSE_DELTA) {
        take_delta(engine, event);
    }
    if (bits & OSL_PARSE_FINISH) {
        record_span(engine);
    }
    if ((bits & OSL_PARSE_FINISH) && answer->in_call) {
        take_call(engine, event);
    } else if (answer->stopped) {
        osl_answer_end(engine, OSSICLE_DONE_STOP_TEXT);
    } else if ((bits & OSL_PARSE_END_TURN) || last_word) {
        osl_answer_end(engine, OSSICLE_DONE_STOP);
    }
}
