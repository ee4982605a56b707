/* Tools: what the model is told of them, and answers that go on with their results. */
#include "tools.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "out.h"
#include "term.h"

#define TOOLS_BYTES_MAX (1u << 20)
#define SHOWN_BYTES_MAX 200 /* of a result, on stderr */
#define WHY_BYTES 160

static const cJSON *described_name(const cJSON *item)
{
    const cJSON *function = cJSON_GetObjectItemCaseSensitive(item, "function");
    return cJSON_GetObjectItemCaseSensitive(function != NULL ? function : item, "name");
}

/* Does the array describe the NAME of "NAME=COMMAND"? */
static bool is_described(const cJSON *tree, const char *command)
{
    size_t length = strcspn(command, "=");
    for (const cJSON *item = tree->child; item != NULL; item = item->next) {
        const cJSON *name = described_name(item);
        if (cJSON_IsString(name) && strlen(name->valuestring) == length &&
            memcmp(name->valuestring, command, length) == 0) {
            return true;
        }
    }
    return false;
}

static enum ossicle_status check_commands(const struct osl_args *args,
                                          const struct osl_tools *tools,
                                          struct ossicle_error *error)
{
    struct osl_host_json_arena arena = {.bytes = osl_host_json_arena_need(tools->json.count)};
    cJSON *tree = NULL;
    arena.base = osl_pages(arena.bytes);
    if (arena.base == NULL) {
        return osl_fault(error, OSSICLE_MEMORY, "%s: no memory to read it", args->tools);
    }
    enum ossicle_status status = osl_host_json_parse(args->tools, tools->json.bytes,
                                                     tools->json.count, &arena, &tree, error);
    if (status == OSSICLE_OK && !cJSON_IsArray(tree)) {
        status = osl_fault(error, OSSICLE_FORMAT,
                           "%s: not an array of tools, as \"tools\" of chat-completions is",
                           args->tools);
    }
    for (uint32_t i = 0; i < tools->count && status == OSSICLE_OK; i++) {
        const char *command = tools->commands[i];
        if (!is_described(tree, command)) {
            status = osl_fault(error, OSSICLE_ARGUMENT, "--tool %.*s: %s describes no such tool",
                               (int)strcspn(command, "="), command, args->tools);
        }
    }
    osl_pages_free(arena.base, arena.bytes);
    return status;
}

enum ossicle_status osl_tools_open(const struct osl_args *args, struct osl_tools *tools)
{
    struct ossicle_error error = {0};
    enum ossicle_status status = OSSICLE_OK;
    *tools = (struct osl_tools){
        .commands = args->tool_commands,
        .count = args->tool_count,
        .seconds =
            args->tool_seconds > 0 ? args->tool_seconds : (uint32_t)OSL_TOOL_SECONDS_DEFAULT,
    };
    if (args->tools != NULL) {
        status = osl_text_read(args->tools, TOOLS_BYTES_MAX, &tools->json, &error);
        if (status == OSSICLE_OK) {
            status = check_commands(args, tools, &error);
        }
    } else if (args->tool_count > 0) {
        status = osl_fault(&error, OSSICLE_ARGUMENT,
                           "--tool %.*s: nothing tells the model of it; --tools FILE.json does",
                           (int)strcspn(args->tool_commands[0], "="), args->tool_commands[0]);
    }
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
        osl_tools_close(tools);
    }
    return status;
}

void osl_tools_close(struct osl_tools *tools)
{
    osl_text_free(&tools->json);
}

/* The command that answers calls of a tool, NULL: none. The last one given counts. */
static const char *command_of(const struct osl_tools *tools, const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = tools->count; i-- > 0;) {
        if (strncmp(tools->commands[i], name, length) == 0 && tools->commands[i][length] == '=') {
            return tools->commands[i] + length + 1;
        }
    }
    return NULL;
}

static bool is_object(const struct osl_host_answer *answer)
{
    struct ossicle_error error;
    struct osl_host_json_arena arena = {
        .bytes = osl_host_json_arena_need(answer->tool_arguments.count)};
    cJSON *tree = NULL;
    arena.base = osl_pages(arena.bytes);
    bool good = arena.base != NULL &&
                osl_host_json_parse("arguments", answer->tool_arguments.bytes,
                                    (size_t)answer->tool_arguments.count - 1, &arena, &tree,
                                    &error) == OSSICLE_OK &&
                cJSON_IsObject(tree);
    osl_pages_free(arena.base, arena.bytes);
    return good;
}

void osl_tool_call_print(const struct osl_host_answer *answer)
{
    size_t bytes = (size_t)answer->tool_arguments.count - 1;
    osl_out_text("{\"name\": ");
    osl_out_json_text(answer->tool_name.bytes);
    osl_out_text(", \"arguments\": ");
    if (is_object(answer)) {
        for (size_t i = 0; i < bytes; i++) { /* outside of strings, where alone it may stand */
            char byte = answer->tool_arguments.bytes[i];
            osl_out_bytes(byte == '\n' || byte == '\r' ? " " : &byte, 1);
        }
    } else {
        osl_out_json(answer->tool_arguments.bytes, bytes);
    }
    osl_out_text("}\n");
}

/* One line on stderr for who watches: [NAME gets ARGUMENTS], [NAME gives RESULT]. */
static void show(const char *name, const char *does, const char *text, size_t bytes)
{
    size_t shown = bytes < SHOWN_BYTES_MAX ? bytes : SHOWN_BYTES_MAX;
    while (shown < bytes && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80) {
        shown--; /* no half character */
    }
    const char *end = shown < bytes ? " ...]\n" : "]\n";
    (void)(osl_write_all(STDERR_FILENO, "[", 1) &&
           osl_write_safely(STDERR_FILENO, name, strlen(name)) &&
           osl_write_all(STDERR_FILENO, does, strlen(does)) &&
           osl_write_safely(STDERR_FILENO, text, shown) &&
           osl_write_all(STDERR_FILENO, end, strlen(end)));
}

void osl_tool_call_show(const struct osl_host_answer *answer)
{
    show(answer->tool_name.bytes, " gets ", answer->tool_arguments.bytes,
         (size_t)answer->tool_arguments.count - 1);
}

/* Runs the command; what it prints, or an error in JSON, is the result. */
static size_t run_command(const struct osl_tools *tools, const struct osl_host_answer *answer,
                          const char *command, char result[OSL_TOOL_RESULT_BYTES_MAX])
{
    const char *name = answer->tool_name.bytes;
    char why[WHY_BYTES] = "the arguments are no JSON object";
    size_t bytes = 0;
    bool good = is_object(answer) &&
                osl_tool_run(command, answer->tool_arguments.bytes,
                             (size_t)answer->tool_arguments.count - 1, tools->seconds, result,
                             OSL_TOOL_RESULT_BYTES_MAX, &bytes, why, sizeof why);
    if (!good) {
        osl_complain("tool %s: %s", name, why);
        for (char *at = why; *at != '\0'; at++) {
            *at = *at == '"' || *at == '\\' || (unsigned char)*at < ' ' ? '\'' : *at;
        }
        return (size_t)snprintf(result, OSL_TOOL_RESULT_BYTES_MAX, "{\"error\":\"%s\"}", why);
    }
    bytes -= bytes > 0 && result[bytes - 1] == '\n';
    return bytes;
}

enum ossicle_status osl_tools_answer(const struct osl_tools *tools,
                                     const struct osl_host_engine *engine,
                                     struct osl_host_answer *answer)
{
    static char result[OSL_TOOL_RESULT_BYTES_MAX];
    uint32_t tokens_most = answer->sampling.max_tokens;
    enum ossicle_status status = OSSICLE_OK;
    osl_host_answer_reset(answer);
    for (uint32_t calls = 0;; calls++) {
        status = osl_host_answer_stream(engine, answer);
        const char *command = status == OSSICLE_OK && answer->reason == OSSICLE_DONE_TOOL_CALL
                                  ? command_of(tools, answer->tool_name.bytes)
                                  : NULL;
        if (command == NULL) {
            break;
        }
        if (calls == OSL_TOOL_CALLS_MAX) {
            osl_complain("%d calls of tools and no answer: stopped here", OSL_TOOL_CALLS_MAX);
            status = OSSICLE_CAPACITY;
            break;
        }
        if (!answer->quiet) {
            osl_tool_call_show(answer);
        }
        size_t bytes = run_command(tools, answer, command, result);
        if (osl_signal_caught() != 0) {
            answer->reason = OSSICLE_DONE_CANCELLED;
            break;
        }
        if (!answer->quiet) {
            show(answer->tool_name.bytes, " gives ", result, bytes);
        }
        osl_host_answer_result(answer, result, bytes);
        status = ossicle_say_tool(engine->engine, answer->tool_name.bytes, result, bytes);
        if (status != OSSICLE_OK) {
            osl_host_engine_complain(engine, status);
            break;
        }
        if (tokens_most > 0 && answer->written_tokens >= tokens_most) {
            answer->reason = OSSICLE_DONE_LENGTH;
            break;
        }
        answer->sampling.max_tokens = tokens_most > 0 ? tokens_most - answer->written_tokens : 0;
    }
    answer->sampling.max_tokens = tokens_most;
    return status;
}
