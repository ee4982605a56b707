/* A chat-completions request to Harmony messages (harmony.md section 8), and which of them are
 * left out (section 7). Every message is made twice: once to check all and to see where the final
 * ones are, once to emit. */
#include <string.h>

#include "harmony_render.h"

#define NO_INDEX UINT32_MAX

struct request {
    const struct osl_harmony_sink *sink;
    struct osl_harmony_options options;
    struct osl_arena *arena;
    struct osl_error *error;
    const cJSON *messages;     /* NULL: none */
    const cJSON *instructions; /* the message that became the developer's instructions */
    struct osl_opening opening;
    /* where we are */
    const cJSON *message;
    uint32_t message_index; /* in "messages" */
    uint32_t index;         /* of the Harmony message made next */
    bool is_emitting;
    /* what the first pass saw, as Harmony indices */
    uint32_t first_final, last_final, count;
    bool last_assistant_is_final;
};

static enum osl_status bad(const struct request *request, const cJSON *node, const char *problem)
{
    return osl_fail(request->error, OSL_FORMAT, "request: line %d: messages[%u]%s",
                    node != NULL ? node->valueint : request->message->valueint,
                    request->message_index, problem);
}

/* ---- Texts ------------------------------------------------------------------------------- */

static enum osl_status no_room(const struct request *request)
{
    return osl_fail(request->error, OSL_MEMORY,
                    "request: its text does not fit %llu bytes of scratch; give more memory",
                    (unsigned long long)request->arena->bytes);
}

/* What was written, as a text that stays in the arena. */
static enum osl_status put_end(const struct request *request, struct osl_writer_text *out,
                               struct osl_text *text_out)
{
    uint64_t bytes = osl_put_bytes(out);
    osl_put_text(out, (struct osl_text){"", 1}); /* terminated, for use as a name */
    if (out->full) {
        return no_room(request);
    }
    *text_out = (struct osl_text){osl_put_data(out), bytes};
    return OSL_OK;
}

/* A string, an array of text parts (concatenated), or null (data NULL). */
static enum osl_status read_content(const struct request *request, const cJSON *content,
                                    struct osl_text *text_out)
{
    *text_out = osl_json_text(content);
    if (content == NULL || cJSON_IsNull(content) || cJSON_IsString(content)) {
        return OSL_OK;
    }
    if (!cJSON_IsArray(content)) {
        return bad(request, content, ".content must be a string, an array of parts or null");
    }
    struct osl_writer_text out;
    osl_put_begin(&out, request->arena);
    for (const cJSON *part = content->child; part != NULL; part = part->next) {
        const cJSON *type = osl_json_get_set(part, "type");
        const cJSON *text = osl_json_get(part, "text");
        bool is_text = type == NULL || osl_json_is(type, "text") ||
                       osl_json_is(type, "input_text") || osl_json_is(type, "output_text");
        if (!is_text || !cJSON_IsString(text)) {
            return bad(request, part,
                       ".content has a part that is no text; the model reads only "
                       "parts of type \"text\"");
        }
        osl_put_text(&out, osl_json_text(text));
    }
    return put_end(request, &out, text_out);
}

/* A header field: a terminated string, or NULL if absent. */
static enum osl_status read_word(const struct request *request, const char *key,
                                 const char **word_out)
{
    const cJSON *node = osl_json_get_set(request->message, key);
    struct osl_text text = osl_json_text(node);
    if (node != NULL && (text.data == NULL || strlen(text.data) != text.bytes)) {
        return osl_fail(request->error, OSL_FORMAT,
                        "request: line %d: messages[%u].%s must be a string, without NULs",
                        node->valueint, request->message_index, key);
    }
    *word_out = text.data;
    return OSL_OK;
}

/* ---- Harmony messages -------------------------------------------------------------------- */

static void survey(struct request *request, const struct osl_harmony_message *message)
{
    bool is_final = message->channel != NULL && strcmp(message->channel, "final") == 0;
    if (is_final) {
        request->first_final =
            request->first_final == NO_INDEX ? request->index : request->first_final;
        request->last_final = request->index;
    }
    if (strcmp(message->role, "assistant") == 0) {
        request->last_assistant_is_final = is_final;
    }
}

static bool is_dropped(const struct request *request, const struct osl_harmony_message *message)
{
    uint32_t before = 0;
    if (request->options.drop == OSL_DROP_REFERENCE) {
        before = request->last_assistant_is_final ? request->first_final : 0;
    } else if (request->options.drop == OSL_DROP_LAST_FINAL) {
        before = request->last_final == NO_INDEX ? 0 : request->last_final;
    }
    return request->index < before && message->channel != NULL &&
           strcmp(message->channel, "analysis") == 0;
}

/* One Harmony message was made: look at it, or emit it. */
static enum osl_status deliver(struct request *request, const struct osl_harmony_message *message)
{
    enum osl_status status = OSL_OK;
    if (!request->is_emitting) {
        struct osl_error why;
        if (osl_message_check(message, &why) != OSL_OK) {
            return osl_fail(request->error, OSL_FORMAT, "request: line %d: messages[%u]: %s",
                            request->message->valueint, request->message_index, why.text);
        }
        survey(request, message);
    } else if (!is_dropped(request, message)) {
        bool is_last = request->index + 1 == request->count;
        bool returns = request->options.training && is_last &&
                       strcmp(message->role, "assistant") == 0 && message->channel != NULL &&
                       strcmp(message->channel, "final") == 0;
        status = osl_message_emit(request->sink, message,
                                  returns ? OSL_SPECIAL_RETURN : OSL_SPECIAL_COUNT);
    }
    request->index++;
    return status;
}

static enum osl_status deliver_text(struct request *request, const char *role, const char *channel,
                                    struct osl_text text)
{
    struct osl_harmony_message message = {
        .role = role, .channel = channel, .content = text.data, .content_bytes = text.bytes};
    return deliver(request, &message);
}

/* The full name of a tool; *is_own_out: browser or python, which live on the analysis channel. */
static enum osl_status full_name(const struct request *request, struct osl_text name,
                                 const char **full_out, bool *is_own_out)
{
    const struct osl_tools *tools = &request->opening.tools;
    *is_own_out = (tools->python && strcmp(name.data, "python") == 0) ||
                  (tools->browser && strncmp(name.data, "browser.", 8) == 0);
    *full_out = name.data;
    if (*is_own_out || strncmp(name.data, "functions.", 10) == 0) {
        return OSL_OK;
    }
    struct osl_writer_text out;
    struct osl_text full = {NULL, 0};
    osl_put_begin(&out, request->arena);
    osl_put(&out, "functions.");
    osl_put_text(&out, name);
    enum osl_status status = put_end(request, &out, &full);
    *full_out = status == OSL_OK ? full.data : NULL;
    return status;
}

static enum osl_status read_arguments(const struct request *request, const cJSON *function,
                                      struct osl_text *text_out)
{
    const cJSON *arguments = osl_json_get_set(function, "arguments");
    if (arguments == NULL || cJSON_IsString(arguments)) {
        *text_out = arguments == NULL ? (struct osl_text){"{}", 2} : osl_json_text(arguments);
        return OSL_OK; /* never parsed and printed again: the bytes as they are */
    }
    struct osl_writer_text out;
    osl_put_begin(&out, request->arena);
    osl_put_json(&out, arguments);
    return put_end(request, &out, text_out);
}

static enum osl_status expand_call(struct request *request, const cJSON *call)
{
    const cJSON *function = osl_json_get(call, "function");
    const cJSON *name = osl_json_get(function, "name");
    struct osl_harmony_message message = {.role = "assistant"};
    struct osl_text arguments = {NULL, 0};
    bool is_own = false;
    if (!osl_is_tool_name(name)) {
        return bad(request, call,
                   ".tool_calls has an entry whose function.name is no string of 1 "
                   "to 149 bytes without spaces");
    }
    enum osl_status status = full_name(request, osl_json_text(name), &message.recipient, &is_own);
    status = status != OSL_OK ? status : read_arguments(request, function, &arguments);
    if (status != OSL_OK) {
        return status;
    }
    message.channel = is_own ? "analysis" : "commentary";
    message.content_type = is_own ? "code" : "<|constrain|>json";
    message.content = arguments.data;
    message.content_bytes = arguments.bytes;
    return deliver(request, &message);
}

/* Reasoning, then the preamble or the answer, then the calls. */
static enum osl_status expand_assistant(struct request *request)
{
    static const char *const keys[] = {"reasoning_content", "reasoning", "thinking"};
    const cJSON *calls = osl_json_get_set(request->message, "tool_calls");
    const cJSON *content = osl_json_get(request->message, "content");
    struct osl_text text = {NULL, 0};
    enum osl_status status = OSL_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && text.bytes == 0; i++) {
        const cJSON *reasoning = osl_json_get_set(request->message, keys[i]);
        if (reasoning != NULL && !cJSON_IsString(reasoning)) {
            return bad(request, reasoning, ": its reasoning must be a string");
        }
        text = osl_json_text(reasoning);
    }
    if (calls != NULL && !cJSON_IsArray(calls)) {
        return bad(request, calls, ".tool_calls must be an array");
    }
    bool has_calls = calls != NULL && calls->child != NULL;
    if (text.bytes > 0) {
        status = deliver_text(request, "assistant", "analysis", text);
    }
    status = status != OSL_OK ? status : read_content(request, content, &text);
    if (status == OSL_OK && (has_calls ? text.bytes > 0 : text.data != NULL)) {
        status = deliver_text(request, "assistant", has_calls ? "commentary" : "final", text);
    }
    for (const cJSON *call = has_calls ? calls->child : NULL; call != NULL && status == OSL_OK;
         call = call->next) {
        status = expand_call(request, call);
    }
    return status;
}

/* The name of the function that was called with this id, in the messages before this one. */
static const cJSON *find_call(const struct request *request, const cJSON *id)
{
    struct osl_text wanted = osl_json_text(id);
    const cJSON *found = NULL;
    for (const cJSON *message = request->messages->child;
         message != request->message && wanted.data != NULL; message = message->next) {
        const cJSON *calls = osl_json_get(message, "tool_calls");
        for (const cJSON *call = cJSON_IsArray(calls) ? calls->child : NULL; call != NULL;
             call = call->next) {
            struct osl_text have = osl_json_text(osl_json_get(call, "id"));
            if (have.data != NULL && have.bytes == wanted.bytes &&
                memcmp(have.data, wanted.data, have.bytes) == 0) {
                found = osl_json_get(osl_json_get(call, "function"), "name");
            }
        }
    }
    return found;
}

static enum osl_status expand_tool(struct request *request)
{
    struct osl_harmony_message message = {.role = "tool", .recipient = "assistant"};
    struct osl_text text = {NULL, 0};
    bool is_own = false;
    const cJSON *name = find_call(request, osl_json_get(request->message, "tool_call_id"));
    name = name != NULL ? name : osl_json_get_set(request->message, "name");
    if (name == NULL) {
        return bad(request, NULL,
                   ": a tool message needs the tool_call_id of an earlier call, or "
                   "the tool's name");
    }
    if (!osl_is_tool_name(name)) {
        return bad(request, NULL,
                   ": the name of its tool is no string of 1 to 149 bytes without "
                   "spaces");
    }
    enum osl_status status = full_name(request, osl_json_text(name), &message.name, &is_own);
    status = status != OSL_OK
                 ? status
                 : read_content(request, osl_json_get(request->message, "content"), &text);
    if (status != OSL_OK) {
        return status;
    }
    message.channel = is_own ? "analysis" : "commentary";
    message.content = text.data;
    message.content_bytes = text.bytes;
    return deliver(request, &message);
}

/* A later system or developer message: instructions of its own, where it stands. */
static enum osl_status expand_instructions(struct request *request)
{
    struct osl_text text = {NULL, 0};
    struct osl_writer_text out;
    enum osl_status status =
        read_content(request, osl_json_get(request->message, "content"), &text);
    if (status != OSL_OK) {
        return status;
    }
    osl_put_begin(&out, request->arena);
    osl_put(&out, "# Instructions\n\n");
    osl_put_text(&out, text);
    status = put_end(request, &out, &text);
    return status != OSL_OK ? status : deliver_text(request, "developer", NULL, text);
}

/* A message that names Harmony's own fields, as `harmony parse` prints them. */
static enum osl_status expand_native(struct request *request, const char *role)
{
    struct osl_harmony_message message = {.role = role};
    struct osl_text text = {NULL, 0};
    enum osl_status status = read_word(request, "name", &message.name);
    status = status != OSL_OK ? status : read_word(request, "recipient", &message.recipient);
    status = status != OSL_OK ? status : read_word(request, "channel", &message.channel);
    status = status != OSL_OK ? status : read_word(request, "content_type", &message.content_type);
    status = status != OSL_OK
                 ? status
                 : read_content(request, osl_json_get(request->message, "content"), &text);
    if (status != OSL_OK) {
        return status;
    }
    message.content = text.data;
    message.content_bytes = text.bytes;
    return deliver(request, &message);
}

static enum osl_status expand_message(struct request *request)
{
    const cJSON *role = osl_json_get(request->message, "role");
    struct osl_text text = {NULL, 0};
    if (request->message == request->instructions) {
        return OSL_OK;
    }
    if (!cJSON_IsObject(request->message) || !cJSON_IsString(role)) {
        return bad(request, NULL, " must be an object with a role");
    }
    if (osl_json_get_set(request->message, "channel") != NULL ||
        osl_json_get_set(request->message, "recipient") != NULL ||
        osl_json_get_set(request->message, "content_type") != NULL) {
        return expand_native(request, osl_json_text(role).data);
    }
    if (osl_json_is(role, "assistant")) {
        return expand_assistant(request);
    }
    if (osl_json_is(role, "tool")) {
        return expand_tool(request);
    }
    if (osl_json_is(role, "system") || osl_json_is(role, "developer")) {
        return expand_instructions(request);
    }
    if (!osl_json_is(role, "user")) {
        return bad(request, role, ".role must be user, assistant, system, developer or tool");
    }
    enum osl_status status =
        read_content(request, osl_json_get(request->message, "content"), &text);
    return status != OSL_OK ? status : deliver_text(request, "user", NULL, text);
}

static enum osl_status expand_all(struct request *request, bool is_emitting)
{
    enum osl_status status = OSL_OK;
    uint64_t used_before = request->arena->used;
    request->is_emitting = is_emitting;
    request->index = 0;
    request->message_index = 0;
    request->message = request->messages != NULL ? request->messages->child : NULL;
    while (request->message != NULL && status == OSL_OK) {
        status = expand_message(request);
        request->arena->used = used_before; /* its texts were copied by the sink */
        request->message = request->message->next;
        request->message_index++;
    }
    request->count = request->index;
    return status;
}

/* ---- The request ------------------------------------------------------------------------- */

static enum osl_status read_text(const cJSON *root, const char *key, struct osl_text *text_out,
                                 struct osl_error *error)
{
    const cJSON *node = osl_json_get_set(root, key);
    if (node != NULL && !cJSON_IsString(node)) {
        return osl_fail(error, OSL_FORMAT, "request: line %d: %s must be a string or null",
                        node->valueint, key);
    }
    *text_out = osl_json_text(node);
    return OSL_OK;
}

static enum osl_status read_effort(const cJSON *root, enum osl_reasoning *reasoning_out,
                                   struct osl_error *error)
{
    const cJSON *node = osl_json_get_set(root, "reasoning_effort");
    *reasoning_out = osl_json_is(node, "low")      ? OSL_REASONING_LOW
                     : osl_json_is(node, "medium") ? OSL_REASONING_MEDIUM
                     : osl_json_is(node, "high")   ? OSL_REASONING_HIGH
                                                   : OSL_REASONING_OMIT;
    if (node != NULL && *reasoning_out == OSL_REASONING_OMIT) {
        return osl_fail(error, OSL_FORMAT,
                        "request: line %d: reasoning_effort must be \"low\", \"medium\", \"high\" "
                        "or null",
                        node->valueint);
    }
    return OSL_OK;
}

/* "instructions", or the first system or developer message that is not in Harmony's own form. */
static enum osl_status read_instructions(struct request *request, const cJSON *root)
{
    enum osl_status status =
        read_text(root, "instructions", &request->opening.instructions, request->error);
    if (status != OSL_OK || request->opening.instructions.data != NULL ||
        request->messages == NULL) {
        return status;
    }
    request->message_index = 0;
    for (const cJSON *message = request->messages->child; message != NULL;
         message = message->next, request->message_index++) {
        const cJSON *role = osl_json_get(message, "role");
        if (osl_json_is(role, "system") || osl_json_is(role, "developer")) {
            request->message = message;
            request->instructions = message;
            return read_content(request, osl_json_get(message, "content"),
                                &request->opening.instructions);
        }
    }
    return OSL_OK;
}

static enum osl_status read_request(struct request *request, const cJSON *root)
{
    struct osl_opening *opening = &request->opening;
    struct osl_error *error = request->error;
    if (!cJSON_IsObject(root)) {
        return osl_fail(error, OSL_FORMAT, "request: line %d: must be an object with messages",
                        root->valueint);
    }
    request->messages = osl_json_get_set(root, "messages");
    if (request->messages != NULL && !cJSON_IsArray(request->messages)) {
        return osl_fail(error, OSL_FORMAT, "request: line %d: messages must be an array",
                        request->messages->valueint);
    }
    enum osl_status status = read_text(root, "model_identity", &opening->identity, error);
    status = status != OSL_OK
                 ? status
                 : read_text(root, "knowledge_cutoff", &opening->knowledge_cutoff, error);
    status =
        status != OSL_OK ? status : read_text(root, "current_date", &opening->current_date, error);
    status = status != OSL_OK ? status : read_effort(root, &opening->reasoning, error);
    status = status != OSL_OK ? status
                              : osl_tools_read("request", osl_json_get_set(root, "tools"),
                                               &opening->tools, error);
    return status != OSL_OK ? status : read_instructions(request, root);
}

enum osl_status osl_harmony_request(const struct osl_harmony_sink *sink, const char *json,
                                    uint64_t json_bytes, const struct osl_harmony_options *options,
                                    struct osl_arena *arena, struct osl_error *error)
{
    uint64_t used_before = arena->used;
    const cJSON *root = NULL;
    struct osl_opening_text text;
    struct request request = {
        .sink = sink,
        .arena = arena,
        .error = error,
        .first_final = NO_INDEX,
        .last_final = NO_INDEX,
        .opening.channels = {"analysis, commentary, final", 27},
    };
    if (options != NULL) {
        request.options = *options;
    }
    enum osl_status status = osl_json_parse("request", json, json_bytes, arena, &root, error);
    status = status != OSL_OK ? status : read_request(&request, root);
    status = status != OSL_OK ? status
                              : osl_opening_put(arena, "request", &request.opening, &text, error);
    status = status != OSL_OK ? status : expand_all(&request, false);
    status = status != OSL_OK ? status : osl_opening_emit(sink, &text);
    status = status != OSL_OK ? status : expand_all(&request, true);
    if (status == OSL_OK && !request.options.training) {
        status = osl_harmony_completion(sink);
    }
    arena->used = used_before;
    return status;
}
