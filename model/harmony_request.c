/* A chat-completions request to Harmony text (harmony.md section 8), and which of its messages are
 * left out (section 7). Every message is made twice: once to check all and to see where the final
 * ones are, once to emit. */
#include <string.h>

#include "harmony_request.h"

#define NO_INDEX UINT32_MAX

/* ---- Harmony messages -------------------------------------------------------------------- */

static void survey(struct osl_request *request, const struct osl_harmony_message *message)
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

static bool is_dropped(const struct osl_request *request, const struct osl_harmony_message *message)
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

enum osl_status osl_request_deliver(struct osl_request *request,
                                    const struct osl_harmony_message *message)
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

static enum osl_status expand_all(struct osl_request *request, bool is_emitting)
{
    enum osl_status status = OSL_OK;
    uint64_t used_before = request->arena->used;
    request->is_emitting = is_emitting;
    request->index = 0;
    request->message_index = 0;
    request->message = request->messages != NULL ? request->messages->child : NULL;
    while (request->message != NULL && status == OSL_OK) {
        status = osl_request_expand(request);
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
static enum osl_status read_instructions(struct osl_request *request, const cJSON *root)
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
            return osl_request_content(request, osl_json_get(message, "content"),
                                       &request->opening.instructions);
        }
    }
    return OSL_OK;
}

static enum osl_status read_request(struct osl_request *request, const cJSON *root)
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
    struct osl_request request = {
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
