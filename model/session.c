/* The conversation: messages rendered to tokens, in one list that the cache follows. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

enum osl_status osl_session_append_ids(ossicle *engine, const int32_t *ids, uint64_t count)
{
    struct osl_session *session = &engine->session;
    uint64_t room = engine->plan.context_tokens - session->count;
    if (count > room) {
        return osl_fail(&engine->error, OSL_CAPACITY,
                        "context is full: %u of %u tokens are used and %llu more were to be "
                        "added; start a new conversation or choose a larger --context",
                        session->count, engine->plan.context_tokens, (unsigned long long)count);
    }
    memcpy(session->tokens + session->count, ids, count * sizeof *ids);
    session->count += (uint32_t)count;
    return OSL_OK;
}

/* Tokenises straight into the free end of the token list. */
static enum osl_status append_text(ossicle *engine, const char *text, uint64_t bytes)
{
    struct osl_session *session = &engine->session;
    uint64_t room = engine->plan.context_tokens - session->count, count = 0;
    enum osl_status status =
        osl_tokenizer_encode(engine->tokenizer, text, bytes, false,
                             session->tokens + session->count, room, &count, &engine->error);
    if (status != OSL_OK) {
        return status;
    }
    if (count > room) {
        return osl_fail(&engine->error, OSL_CAPACITY,
                        "context is full: %u of %u tokens are used and this text has %llu; "
                        "start a new conversation or choose a larger --context",
                        session->count, engine->plan.context_tokens, (unsigned long long)count);
    }
    session->count += (uint32_t)count;
    return OSL_OK;
}

enum osl_status osl_session_flush(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    uint64_t bytes = session->stage_used;
    session->stage_used = 0;
    return bytes == 0 ? OSL_OK : append_text(engine, session->stage, bytes);
}

/* Neighbouring pieces are joined before they are tokenised: a token may span them. */
static enum osl_status sink_text(void *context, const char *text, uint64_t bytes)
{
    ossicle *engine = context;
    struct osl_session *session = &engine->session;
    if (bytes == 0) {
        return OSL_OK;
    }
    if (bytes > session->stage_bytes - session->stage_used) {
        return osl_fail(&engine->error, OSL_CAPACITY,
                        "text of more than %llu bytes in one message; raise text_bytes",
                        (unsigned long long)session->stage_bytes);
    }
    memcpy(session->stage + session->stage_used, text, bytes);
    session->stage_used += bytes;
    return OSL_OK;
}

static enum osl_status sink_special(void *context, enum osl_special special)
{
    ossicle *engine = context;
    enum osl_status status = osl_session_flush(engine);
    if (status != OSL_OK) {
        return status;
    }
    int32_t id = osl_special_id(engine->tokenizer, special);
    if (id < 0) {
        return osl_fail(&engine->error, OSL_UNSUPPORTED,
                        "this model's vocabulary has no %s: it can not hold a conversation",
                        osl_special_text(special));
    }
    return osl_session_append_ids(engine, &id, 1);
}

struct osl_harmony_sink osl_session_sink(ossicle *engine)
{
    engine->session.stage_used = 0;
    engine->error.text[0] = '\0';
    engine->error.status = OSL_OK;
    return (struct osl_harmony_sink){engine, sink_text, sink_special};
}

void osl_session_reset(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    session->count = 0;
    session->read = session->written = 0;
    session->known = 0;
    session->opened = false;
    session->stage_used = 0;
    session->tools.count = 0;
    for (uint32_t t = 0; t < OSL_TOOLS_MAX; t++) {
        session->tool_list[t] = session->tools.name[t];
    }
    memset(&session->turn, 0, sizeof session->turn);
    memset(session->marks, 0, sizeof session->marks);
    engine->answer.phase = OSL_PHASE_IDLE;
}

static enum ossicle_status fail_idle(ossicle *engine)
{
    return (enum ossicle_status)osl_fail(
        &engine->error, OSL_STATE, "an answer is being written: step until it is done, or cancel");
}

static const struct osl_harmony_system system_defaults = {.identity = NULL};

enum ossicle_status ossicle_open(ossicle *engine, const struct ossicle_conversation *conversation)
{
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return fail_idle(engine);
    }
    osl_session_reset(engine);
    struct osl_harmony_system system = system_defaults;
    if (conversation != NULL) {
        system.identity = conversation->identity;
        system.knowledge_cutoff = conversation->knowledge_cutoff;
        system.current_date = conversation->current_date;
        system.reasoning = conversation->reasoning == OSSICLE_REASONING_LOW ? OSL_REASONING_LOW
                           : conversation->reasoning == OSSICLE_REASONING_HIGH
                               ? OSL_REASONING_HIGH
                               : OSL_REASONING_MEDIUM;
        system.instructions = conversation->instructions;
        system.tools_json = conversation->tools_json;
        system.tools_json_bytes =
            conversation->tools_json != NULL ? strlen(conversation->tools_json) : 0;
    }
    struct osl_harmony_sink sink = osl_session_sink(engine);
    struct osl_arena arena = {engine->arena, OSL_ARENA_BYTES, 0};
    enum osl_status status = osl_harmony_open(&sink, &system, &arena, &engine->error);
    if (status == OSL_OK && system.tools_json_bytes > 0) {
        arena.used = 0;
        status = osl_tool_names(system.tools_json, system.tools_json_bytes, &arena,
                                &engine->session.tools, &engine->error);
    }
    if (status != OSL_OK) {
        osl_session_reset(engine);
        return (enum ossicle_status)status;
    }
    engine->session.opened = true;
    return OSSICLE_OK;
}

static enum osl_status say_message(ossicle *engine, const struct osl_harmony_message *message)
{
    uint32_t count_before = engine->session.count;
    struct osl_harmony_sink sink = osl_session_sink(engine);
    enum osl_status status = osl_harmony_message(&sink, message, &engine->error);
    if (status != OSL_OK) {
        engine->session.count = count_before;
        engine->session.stage_used = 0;
    }
    return status;
}

static enum osl_status check_say(ossicle *engine, const char *text)
{
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return (enum osl_status)fail_idle(engine);
    }
    if (!engine->session.opened) {
        return osl_fail(&engine->error, OSL_STATE, "no conversation: call ossicle_open first");
    }
    if (text == NULL) {
        return osl_fail(&engine->error, OSL_ARGUMENT, "text is NULL");
    }
    return OSL_OK;
}

enum ossicle_status ossicle_say(ossicle *engine, enum ossicle_role role, const char *text,
                                size_t bytes)
{
    enum osl_status status = check_say(engine, text);
    if (status != OSL_OK) {
        return (enum ossicle_status)status;
    }
    struct osl_harmony_message message = {.content = text, .content_bytes = bytes};
    if (role == OSSICLE_USER) {
        message.role = "user";
    } else if (role == OSSICLE_ASSISTANT) {
        message.role = "assistant";
        message.channel = "final";
    } else {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_ARGUMENT,
                                             "role %d: tool results go through ossicle_say_tool",
                                             (int)role);
    }
    if (role == OSSICLE_USER) { /* a tool call left unanswered ends its turn here */
        memset(&engine->session.turn, 0, sizeof engine->session.turn);
    }
    return (enum ossicle_status)say_message(engine, &message);
}

enum ossicle_status ossicle_say_tool(ossicle *engine, const char *name, const char *text,
                                     size_t bytes)
{
    enum osl_status status = check_say(engine, text);
    if (status != OSL_OK) {
        return (enum ossicle_status)status;
    }
    char full[OSL_HARMONY_NAME_BYTES];
    bool dotted = name != NULL && (strchr(name, '.') != NULL || strcmp(name, "python") == 0);
    int used =
        name == NULL ? 0 : snprintf(full, sizeof full, "%s%s", dotted ? "" : "functions.", name);
    if (used <= 0 || (size_t)used >= sizeof full || name[0] == '\0') {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_ARGUMENT,
                                             "tool name is empty or longer than %zu bytes",
                                             sizeof full - 1);
    }
    struct osl_harmony_message message = {.role = "tool",
                                          .name = full,
                                          .recipient = "assistant",
                                          .channel = "commentary",
                                          .content = text,
                                          .content_bytes = bytes};
    return (enum ossicle_status)say_message(engine, &message);
}

enum ossicle_status ossicle_say_tokens(ossicle *engine, const int32_t *ids, size_t count)
{
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return fail_idle(engine);
    }
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= engine->hparams.shape.vocab) {
            return (enum ossicle_status)osl_fail(&engine->error, OSL_ARGUMENT,
                                                 "token %zu is %d: ids are 0 to %u", i, ids[i],
                                                 engine->hparams.shape.vocab - 1);
        }
    }
    return (enum ossicle_status)osl_session_append_ids(engine, ids, count);
}
