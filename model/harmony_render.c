/* Messages to pieces: the header of every message, and the system and developer messages
 * (harmony.md 3.1, 3.3, 4, 5). */
#include <string.h>

#include "harmony_render.h"

#define CONSTRAIN "<|constrain|>"

static const char default_identity[] = "You are ChatGPT, a large language model trained by OpenAI.";
static const char default_cutoff[] = "2024-06";
static const char default_channels[] = "analysis, commentary, final";

static const char *const special_texts[OSL_SPECIAL_COUNT] = {
    [OSL_SPECIAL_START] = "<|start|>",     [OSL_SPECIAL_END] = "<|end|>",
    [OSL_SPECIAL_MESSAGE] = "<|message|>", [OSL_SPECIAL_CHANNEL] = "<|channel|>",
    [OSL_SPECIAL_CONSTRAIN] = CONSTRAIN,   [OSL_SPECIAL_CALL] = "<|call|>",
    [OSL_SPECIAL_RETURN] = "<|return|>",   [OSL_SPECIAL_ENDOFTEXT] = "<|endoftext|>",
};

const char *osl_special_text(enum osl_special special)
{
    OSL_ASSERT((uint32_t)special < OSL_SPECIAL_COUNT);
    return special_texts[special];
}

bool osl_header_word(const char *word)
{
    for (const char *c = word; *c != '\0'; c++) {
        if ((unsigned char)*c <= 0x20 || *c == 0x7f) {
            return false;
        }
    }
    return *word != '\0';
}

/* ---- One message ------------------------------------------------------------------------- */

static enum osl_status emit_text(const struct osl_harmony_sink *sink, const char *text)
{
    return sink->text(sink->context, text, strlen(text));
}

/* A type's word, past the marker (a space after which is left out: harmony.md 3.1). */
static const char *type_word(const char *content_type, bool *is_constrained_out)
{
    *is_constrained_out = strncmp(content_type, CONSTRAIN, strlen(CONSTRAIN)) == 0;
    if (*is_constrained_out) {
        content_type += strlen(CONSTRAIN);
        content_type += strspn(content_type, " ");
    }
    return content_type;
}

static bool known_role(const char *role)
{
    static const char *const roles[] = {"user", "assistant", "system", "developer", "tool"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (strcmp(role, roles[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum osl_status osl_message_check(const struct osl_harmony_message *message,
                                  struct osl_error *error)
{
    bool is_constrained;
    if (message->role == NULL || !known_role(message->role)) {
        return osl_fail(error, OSL_ARGUMENT,
                        "message: role \"%.40s\" is none of user, assistant, system, developer, "
                        "tool",
                        message->role != NULL ? message->role : "");
    }
    if (strcmp(message->role, "tool") == 0 && message->name == NULL) {
        return osl_fail(error, OSL_ARGUMENT,
                        "message: a tool message needs the tool's name (functions.NAME)");
    }
    const struct {
        const char *field, *word;
    } fields[] = {
        {"name", message->name},
        {"recipient", message->recipient},
        {"channel", message->channel},
        {"content_type",
         message->content_type != NULL ? type_word(message->content_type, &is_constrained) : NULL},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].word != NULL && !osl_header_word(fields[i].word)) {
            return osl_fail(error, OSL_ARGUMENT,
                            "message: %s \"%.80s\" must be one word, without spaces or control "
                            "characters",
                            fields[i].field, fields[i].word);
        }
    }
    return OSL_OK;
}

static enum osl_status emit_role(const struct osl_harmony_sink *sink,
                                 const struct osl_harmony_message *message)
{
    if (strcmp(message->role, "tool") == 0) {
        return emit_text(sink, message->name);
    }
    enum osl_status status = emit_text(sink, message->role);
    if (message->name != NULL) {
        status = status != OSL_OK ? status : emit_text(sink, ":");
        status = status != OSL_OK ? status : emit_text(sink, message->name);
    }
    return status;
}

static enum osl_status emit_type(const struct osl_harmony_sink *sink, const char *content_type)
{
    bool is_constrained;
    const char *word = type_word(content_type, &is_constrained);
    enum osl_status status = emit_text(sink, " ");
    if (is_constrained) {
        status = status != OSL_OK ? status : sink->special(sink->context, OSL_SPECIAL_CONSTRAIN);
    }
    return status != OSL_OK ? status : emit_text(sink, word);
}

enum osl_status osl_message_emit(const struct osl_harmony_sink *sink,
                                 const struct osl_harmony_message *message,
                                 enum osl_special terminator)
{
    void *context = sink->context;
    enum osl_status status = sink->special(context, OSL_SPECIAL_START);
    status = status != OSL_OK ? status : emit_role(sink, message);
    if (message->recipient != NULL && strcmp(message->recipient, "all") != 0) {
        status = status != OSL_OK ? status : emit_text(sink, " to=");
        status = status != OSL_OK ? status : emit_text(sink, message->recipient);
    }
    if (message->channel != NULL) {
        status = status != OSL_OK ? status : sink->special(context, OSL_SPECIAL_CHANNEL);
        status = status != OSL_OK ? status : emit_text(sink, message->channel);
    }
    if (message->content_type != NULL) {
        status = status != OSL_OK ? status : emit_type(sink, message->content_type);
    }
    status = status != OSL_OK ? status : sink->special(context, OSL_SPECIAL_MESSAGE);
    if (message->content_bytes > 0) {
        status = status != OSL_OK ? status
                                  : sink->text(context, message->content, message->content_bytes);
    }
    if (terminator == OSL_SPECIAL_COUNT) {
        bool is_call = message->recipient != NULL && strcmp(message->role, "assistant") == 0;
        terminator = is_call ? OSL_SPECIAL_CALL : OSL_SPECIAL_END;
    }
    return status != OSL_OK ? status : sink->special(context, terminator);
}

enum osl_status osl_harmony_message(const struct osl_harmony_sink *sink,
                                    const struct osl_harmony_message *message,
                                    struct osl_error *error)
{
    enum osl_status status = osl_message_check(message, error);
    return status != OSL_OK ? status : osl_message_emit(sink, message, OSL_SPECIAL_COUNT);
}

enum osl_status osl_harmony_completion(const struct osl_harmony_sink *sink)
{
    enum osl_status status = sink->special(sink->context, OSL_SPECIAL_START);
    return status != OSL_OK ? status : emit_text(sink, "assistant");
}

/* ---- System and developer message -------------------------------------------------------- */

/* What joins a line or a section to those before it; nothing comes before the first. */
static void put_join(struct osl_writer_text *out, const char *join)
{
    if (osl_put_bytes(out) > 0) {
        osl_put(out, join);
    }
}

static void put_line(struct osl_writer_text *out, bool *is_first, const char *label,
                     struct osl_text text)
{
    if (text.data != NULL) {
        osl_put(out, *is_first ? "" : "\n");
        osl_put(out, label);
        osl_put_text(out, text);
        *is_first = false;
    }
}

static void put_channels(struct osl_writer_text *out, const struct osl_opening *opening)
{
    osl_put(out, "# Valid channels: ");
    osl_put_text(out, opening->channels);
    osl_put(out,
            opening->channels_optional ? "." : ". Channel must be included for every message.");
    if (opening->tools.function_count > 0) {
        osl_put(out, "\nCalls to these tools must go to the commentary channel: 'functions'.");
    }
}

static void put_system(struct osl_writer_text *out, const struct osl_opening *opening)
{
    static const char *const efforts[] = {
        [OSL_REASONING_MEDIUM] = "Reasoning: medium",
        [OSL_REASONING_LOW] = "Reasoning: low",
        [OSL_REASONING_HIGH] = "Reasoning: high",
    };
    bool is_first = true;
    put_line(out, &is_first, "", opening->identity);
    put_line(out, &is_first, "Knowledge cutoff: ", opening->knowledge_cutoff);
    put_line(out, &is_first, "Current date: ", opening->current_date);
    if (opening->reasoning != OSL_REASONING_OMIT) {
        osl_put(out, is_first ? "" : "\n\n");
        osl_put(out, efforts[opening->reasoning]);
        is_first = false;
    }
    if (opening->tools.browser || opening->tools.python) {
        osl_put(out, is_first ? "" : "\n\n");
        osl_tools_put_own(out, &opening->tools);
        is_first = false;
    }
    if (opening->channels.bytes > 0) {
        osl_put(out, is_first ? "" : "\n\n");
        put_channels(out, opening);
    }
}

static enum osl_status put_developer(struct osl_writer_text *out, const char *what,
                                     const struct osl_opening *opening, struct osl_error *error)
{
    if (opening->instructions.data != NULL) {
        osl_put(out, "# Instructions\n\n");
        osl_put_text(out, opening->instructions);
    }
    if (opening->tools.function_count == 0) {
        return OSL_OK;
    }
    put_join(out, "\n\n");
    return osl_tools_put_functions(out, what, &opening->tools, error);
}

enum osl_status osl_opening_put(struct osl_arena *arena, const char *what,
                                const struct osl_opening *opening,
                                struct osl_opening_text *text_out, struct osl_error *error)
{
    struct osl_writer_text system;
    struct osl_writer_text developer;
    OSL_ASSERT((uint32_t)opening->reasoning <= OSL_REASONING_OMIT);
    osl_put_begin(&system, arena);
    put_system(&system, opening);
    uint64_t system_bytes = osl_put_bytes(&system);
    osl_put_begin(&developer, arena);
    enum osl_status status = put_developer(&developer, what, opening, error);
    if (status != OSL_OK) {
        return status;
    }
    if (system.full || developer.full) {
        return osl_fail(error, OSL_MEMORY,
                        "%s: the text of its tools does not fit the scratch memory (%llu bytes); "
                        "give more",
                        what, (unsigned long long)arena->bytes);
    }
    bool has_developer = opening->instructions.data != NULL || opening->tools.function_count > 0;
    text_out->system = (struct osl_text){osl_put_data(&system), system_bytes};
    text_out->developer = (struct osl_text){has_developer ? osl_put_data(&developer) : NULL,
                                            osl_put_bytes(&developer)};
    return OSL_OK;
}

enum osl_status osl_opening_emit(const struct osl_harmony_sink *sink,
                                 const struct osl_opening_text *text)
{
    struct osl_harmony_message message = {
        .role = "system", .content = text->system.data, .content_bytes = text->system.bytes};
    enum osl_status status = osl_message_emit(sink, &message, OSL_SPECIAL_COUNT);
    if (status == OSL_OK && text->developer.data != NULL) {
        message = (struct osl_harmony_message){.role = "developer",
                                               .content = text->developer.data,
                                               .content_bytes = text->developer.bytes};
        status = osl_message_emit(sink, &message, OSL_SPECIAL_COUNT);
    }
    return status;
}

/* NULL becomes otherwise, "" becomes absent. */
static struct osl_text field(const char *text, const char *otherwise)
{
    text = text != NULL ? text : otherwise;
    return text == NULL || *text == '\0' ? (struct osl_text){NULL, 0}
                                         : (struct osl_text){text, strlen(text)};
}

enum osl_status osl_harmony_open(const struct osl_harmony_sink *sink,
                                 const struct osl_harmony_system *system, struct osl_arena *arena,
                                 struct osl_error *error)
{
    uint64_t used_before = arena->used;
    struct osl_opening_text text;
    struct osl_opening opening = {
        .identity = field(system->identity, default_identity),
        .knowledge_cutoff = field(system->knowledge_cutoff, default_cutoff),
        .current_date = field(system->current_date, NULL),
        .channels = field(system->channels, default_channels),
        .instructions = field(system->instructions, NULL),
        .channels_optional = system->channels_optional,
        .reasoning = system->reasoning,
    };
    enum osl_status status = OSL_OK;
    if (system->tools_json != NULL) {
        const cJSON *list = NULL;
        status = osl_json_parse("tools", system->tools_json, system->tools_json_bytes, arena, &list,
                                error);
        status = status != OSL_OK ? status : osl_tools_read("tools", list, &opening.tools, error);
    }
    status = status != OSL_OK ? status : osl_opening_put(arena, "tools", &opening, &text, error);
    status = status != OSL_OK ? status : osl_opening_emit(sink, &text);
    arena->used = used_before;
    return status;
}
