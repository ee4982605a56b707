/* One message of a chat-completions request to Harmony messages (harmony.md section 8). */
#include <string.h>

#include "harmony_request.h"

#define CALLS_BACK_MAX 1024 /* an answer's call is looked for this far back */

enum osl_status osl_request_bad(const struct osl_request *request, const cJSON *node,
                                const char *problem)
{
    return osl_fail(request->error, OSL_FORMAT, "request: line %d: messages[%u]%s",
                    node != NULL ? node->valueint : request->message->valueint,
                    request->message_index, problem);
}

/* ---- Texts ------------------------------------------------------------------------------- */

static enum osl_status no_room(const struct osl_request *request)
{
    return osl_fail(request->error, OSL_MEMORY,
                    "request: its text does not fit %llu bytes of scratch; give more memory",
                    (unsigned long long)request->arena->bytes);
}

/* What was written, as a text that stays in the arena. */
static enum osl_status put_end(const struct osl_request *request, struct osl_writer_text *out,
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

enum osl_status osl_request_content(const struct osl_request *request, const cJSON *content,
                                    struct osl_text *text_out)
{
    *text_out = osl_json_text(content);
    if (content == NULL || cJSON_IsNull(content) || cJSON_IsString(content)) {
        return OSL_OK;
    }
    if (!cJSON_IsArray(content)) {
        return osl_request_bad(request, content,
                               ".content must be a string, an array of parts or null");
    }
    struct osl_writer_text out;
    osl_put_begin(&out, request->arena);
    for (const cJSON *part = content->child; part != NULL; part = part->next) {
        const cJSON *type = osl_json_get_set(part, "type");
        const cJSON *text = osl_json_get(part, "text");
        bool is_text = type == NULL || osl_json_is(type, "text") ||
                       osl_json_is(type, "input_text") || osl_json_is(type, "output_text");
        if (!is_text || !cJSON_IsString(text)) {
            return osl_request_bad(request, part,
                                   ".content has a part that is no text; the model reads only "
                                   "parts of type \"text\"");
        }
        osl_put_text(&out, osl_json_text(text));
    }
    return put_end(request, &out, text_out);
}

/* A header field: a terminated string, or NULL if absent. */
static enum osl_status read_word(const struct osl_request *request, const char *key,
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

/* ---- Harmony messages ---------------------------------------------------------------------- */

static enum osl_status deliver_text(struct osl_request *request, const char *role,
                                    const char *channel, struct osl_text text)
{
    struct osl_harmony_message message = {
        .role = role, .channel = channel, .content = text.data, .content_bytes = text.bytes};
    return osl_request_deliver(request, &message);
}

/* The full name of a tool; *is_own_out: browser or python, which live on the analysis channel. */
static enum osl_status full_name(const struct osl_request *request, struct osl_text name,
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

static enum osl_status read_arguments(const struct osl_request *request, const cJSON *function,
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

static enum osl_status expand_call(struct osl_request *request, const cJSON *call)
{
    const cJSON *function = osl_json_get(call, "function");
    const cJSON *name = osl_json_get(function, "name");
    struct osl_harmony_message message = {.role = "assistant"};
    struct osl_text arguments = {NULL, 0};
    bool is_own = false;
    if (!osl_is_tool_name(name)) {
        return osl_request_bad(request, call,
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
    return osl_request_deliver(request, &message);
}

/* Reasoning, then the preamble or the answer, then the calls. */
static enum osl_status expand_assistant(struct osl_request *request)
{
    static const char *const keys[] = {"reasoning_content", "reasoning", "thinking"};
    const cJSON *calls = osl_json_get_set(request->message, "tool_calls");
    const cJSON *content = osl_json_get(request->message, "content");
    struct osl_text text = {NULL, 0};
    enum osl_status status = OSL_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && text.bytes == 0; i++) {
        const cJSON *reasoning = osl_json_get_set(request->message, keys[i]);
        if (reasoning != NULL && !cJSON_IsString(reasoning)) {
            return osl_request_bad(request, reasoning, ": its reasoning must be a string");
        }
        text = osl_json_text(reasoning);
    }
    if (calls != NULL && !cJSON_IsArray(calls)) {
        return osl_request_bad(request, calls, ".tool_calls must be an array");
    }
    bool has_calls = calls != NULL && calls->child != NULL;
    if (text.bytes > 0) {
        status = deliver_text(request, "assistant", "analysis", text);
    }
    status = status != OSL_OK ? status : osl_request_content(request, content, &text);
    if (status == OSL_OK && (has_calls ? text.bytes > 0 : text.data != NULL)) {
        status = deliver_text(request, "assistant", has_calls ? "commentary" : "final", text);
    }
    for (const cJSON *call = has_calls ? calls->child : NULL; call != NULL && status == OSL_OK;
         call = call->next) {
        status = expand_call(request, call);
    }
    return status;
}

/* The name of the function called last with this id, not too far before this message. A first
 * child's prev is the last one in cJSON, so the first is where to stop. */
static const cJSON *find_call(const struct osl_request *request, const cJSON *id)
{
    struct osl_text wanted = osl_json_text(id);
    const cJSON *message = request->message;
    uint32_t looked_at = 0;
    while (wanted.data != NULL && message != request->messages->child) {
        message = message->prev;
        const cJSON *calls = osl_json_get(message, "tool_calls");
        const cJSON *call = cJSON_IsArray(calls) ? calls->child : NULL;
        for (; call != NULL && looked_at < CALLS_BACK_MAX; call = call->next, looked_at++) {
            struct osl_text have = osl_json_text(osl_json_get(call, "id"));
            if (have.data != NULL && have.bytes == wanted.bytes &&
                memcmp(have.data, wanted.data, have.bytes) == 0) {
                return osl_json_get(osl_json_get(call, "function"), "name");
            }
        }
        if (++looked_at >= CALLS_BACK_MAX) { /* each answer looks again: bound the work */
            return NULL;
        }
    }
    return NULL;
}

static enum osl_status expand_tool(struct osl_request *request)
{
    struct osl_harmony_message message = {.role = "tool", .recipient = "assistant"};
    struct osl_text text = {NULL, 0};
    bool is_own = false;
    const cJSON *name = find_call(request, osl_json_get(request->message, "tool_call_id"));
    name = name != NULL ? name : osl_json_get_set(request->message, "name");
    if (name == NULL) {
        return osl_request_bad(request, NULL,
                               ": a tool message needs the tool_call_id of a recent call, or "
                               "the tool's name");
    }
    if (!osl_is_tool_name(name)) {
        return osl_request_bad(request, NULL,
                               ": the name of its tool is no string of 1 to 149 bytes without "
                               "spaces");
    }
    enum osl_status status = full_name(request, osl_json_text(name), &message.name, &is_own);
    status = status != OSL_OK
                 ? status
                 : osl_request_content(request, osl_json_get(request->message, "content"), &text);
    if (status != OSL_OK) {
        return status;
    }
    message.channel = is_own ? "analysis" : "commentary";
    message.content = text.data;
    message.content_bytes = text.bytes;
    return osl_request_deliver(request, &message);
}

/* A later system or developer message: instructions of its own, where it stands. */
static enum osl_status expand_instructions(struct osl_request *request)
{
    struct osl_text text = {NULL, 0};
    struct osl_writer_text out;
    enum osl_status status =
        osl_request_content(request, osl_json_get(request->message, "content"), &text);
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
static enum osl_status expand_native(struct osl_request *request, const char *role)
{
    struct osl_harmony_message message = {.role = role};
    struct osl_text text = {NULL, 0};
    enum osl_status status = read_word(request, "name", &message.name);
    status = status != OSL_OK ? status : read_word(request, "recipient", &message.recipient);
    status = status != OSL_OK ? status : read_word(request, "channel", &message.channel);
    status = status != OSL_OK ? status : read_word(request, "content_type", &message.content_type);
    status = status != OSL_OK
                 ? status
                 : osl_request_content(request, osl_json_get(request->message, "content"), &text);
    if (status != OSL_OK) {
        return status;
    }
    message.content = text.data;
    message.content_bytes = text.bytes;
    return osl_request_deliver(request, &message);
}

enum osl_status osl_request_expand(struct osl_request *request)
{
    const cJSON *role = osl_json_get(request->message, "role");
    struct osl_text text = {NULL, 0};
    if (request->message == request->instructions) {
        return OSL_OK;
    }
    if (!cJSON_IsObject(request->message) || !cJSON_IsString(role)) {
        return osl_request_bad(request, NULL, " must be an object with a role");
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
        return osl_request_bad(request, role,
                               ".role must be user, assistant, system, developer or tool");
    }
    enum osl_status status =
        osl_request_content(request, osl_json_get(request->message, "content"), &text);
    return status != OSL_OK ? status : deliver_text(request, "user", NULL, text);
}
