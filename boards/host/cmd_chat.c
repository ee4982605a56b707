/* ossicle chat: a conversation. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "commands.h"
#include "line.h"
#include "out.h"
#include "term.h"
#include "tools.h"

struct chat {
    const struct osl_args *args;
    struct osl_host_engine engine;
    struct osl_host_answer answer;
    struct osl_tools tools;
    bool calling;  /* the model called a tool: the next line is its result */
    bool terminal; /* a person sits there: errors do not end the program's success */
    bool quitting;
    bool answered;              /* there are statistics to show */
    enum ossicle_status status; /* of the first thing that failed in a pipe */
};

struct chat_command {
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *help;
    enum ossicle_status (*run)(struct chat *chat, const char *argument);
};

static enum ossicle_status do_reset(struct chat *chat, const char *argument)
{
    (void)argument;
    enum ossicle_status status =
        osl_conversation_open(chat->args, chat->tools.json.bytes, &chat->engine);
    if (status == OSSICLE_OK) {
        chat->calling = false;
        osl_complain("a new conversation");
    }
    return status;
}

static enum ossicle_status do_save(struct chat *chat, const char *argument)
{
    enum ossicle_status status = ossicle_save(chat->engine.engine, argument);
    if (status != OSSICLE_OK) {
        return osl_host_engine_complain(&chat->engine, status);
    }
    osl_complain("saved to %s", argument);
    return OSSICLE_OK;
}

static enum ossicle_status do_load(struct chat *chat, const char *argument)
{
    enum ossicle_status status = ossicle_load(chat->engine.engine, argument);
    if (status != OSSICLE_OK) {
        return osl_host_engine_complain(&chat->engine, status);
    }
    chat->calling = false;
    osl_complain("loaded %s", argument);
    return OSSICLE_OK;
}

static enum ossicle_status do_stats(struct chat *chat, const char *argument)
{
    struct ossicle_stats stats;
    (void)argument;
    if (chat->answered) {
        osl_host_answer_stats(&chat->engine, &chat->answer);
        return OSSICLE_OK;
    }
    ossicle_stats(chat->engine.engine, &stats);
    osl_complain("nothing answered yet; context %u of %u, %u threads, %s, boot %.2f s",
                 stats.context_used, stats.context_tokens, stats.threads, stats.cpu_level,
                 (double)stats.boot_ns / 1e9);
    return OSSICLE_OK;
}

static enum ossicle_status do_quit(struct chat *chat, const char *argument)
{
    (void)argument;
    chat->quitting = true;
    return OSSICLE_OK;
}

static enum ossicle_status do_help(struct chat *chat, const char *argument);

static const struct chat_command chat_commands[] = {
    {"/help", NULL, "this list", do_help},
    {"/reset", NULL, "forget the conversation", do_reset},
    {"/save", "FILE", "keep the conversation in a file", do_save},
    {"/load", "FILE", "go on with a kept one", do_load},
    {"/stats", NULL, "tokens, times and speeds of the last answer", do_stats},
    {"/quit", NULL, "leave (as does Ctrl-D)", do_quit},
};
#define CHAT_COMMAND_COUNT (sizeof chat_commands / sizeof chat_commands[0])

static enum ossicle_status do_help(struct chat *chat, const char *argument)
{
    (void)chat;
    (void)argument;
    for (size_t i = 0; i < CHAT_COMMAND_COUNT; i++) {
        const struct chat_command *command = &chat_commands[i];
        osl_out_format("  %s%s%-*s %s\n", command->name, command->argument != NULL ? " " : "",
                       (int)(12 - strlen(command->name)),
                       command->argument != NULL ? command->argument : "", command->help);
    }
    osl_out_text("  A backslash at a line's end goes on with the next line; what is pasted stays\n"
                 "  together. Ctrl-C stops the answer. A message that begins with a slash: //like "
                 "this.\n");
    osl_out_flush();
    return OSSICLE_OK;
}

static enum ossicle_status run_chat_command(struct chat *chat, const char *text)
{
    const char *names[CHAT_COMMAND_COUNT];
    size_t length = strcspn(text, " ");
    const char *argument = text + length + strspn(text + length, " ");
    char name[32];
    for (size_t i = 0; i < CHAT_COMMAND_COUNT; i++) {
        const struct chat_command *command = &chat_commands[i];
        names[i] = command->name;
        if (strlen(command->name) != length || strncmp(command->name, text, length) != 0) {
            continue;
        }
        if ((command->argument != NULL) != (*argument != '\0')) {
            osl_complain("usage: %s %s", command->name,
                         command->argument != NULL ? command->argument : "");
            return OSSICLE_ARGUMENT;
        }
        return command->run(chat, argument);
    }
    snprintf(name, sizeof name, "%.*s", length < 31 ? (int)length : 31, text);
    const char *near = osl_nearest(name, names, CHAT_COMMAND_COUNT);
    osl_complain("no command '%s'; %s%s", name, near != NULL ? "did you mean " : "/help lists them",
                 near != NULL ? near : "");
    return OSSICLE_ARGUMENT;
}

static enum ossicle_status answer_message(struct chat *chat, const char *text, size_t bytes)
{
    ossicle *engine = chat->engine.engine;
    enum ossicle_status status =
        chat->calling ? ossicle_say_tool(engine, chat->answer.tool_name.bytes, text, bytes)
                      : ossicle_say(engine, OSSICLE_USER, text, bytes);
    if (status != OSSICLE_OK) {
        osl_host_engine_complain(&chat->engine, status);
        if (status == OSSICLE_CAPACITY) {
            osl_complain("the message was not taken; /reset starts anew, --context N makes room");
        }
        return status;
    }
    /* Each turn draws from its own stream: the same question again may be answered differently. */
    chat->answer.sampling.seed += chat->answered;
    status = osl_tools_answer(&chat->tools, &chat->engine, &chat->answer);
    chat->answered = true;
    chat->calling = status == OSSICLE_OK && chat->answer.reason == OSSICLE_DONE_TOOL_CALL;
    if (chat->calling) {
        osl_tool_call_show(&chat->answer);
        osl_complain("the next line is what %s gives", chat->answer.tool_name.bytes);
    }
    if (status == OSSICLE_OK && chat->answer.reason == OSSICLE_DONE_LENGTH &&
        chat->args->tokens == 0) {
        osl_complain("the context of %u tokens is full; /reset starts anew, --context N makes room",
                     chat->engine.plan.context_tokens);
    }
    if (status == OSSICLE_OK && chat->answer.reason == OSSICLE_DONE_CANCELLED) {
        osl_complain("stopped");
    }
    return status;
}

/* What to do about a message; a SIGINT is used up by having stopped the answer. */
static void take_message(struct chat *chat, const char *text, size_t bytes)
{
    enum ossicle_status status = OSSICLE_OK;
    if (bytes == 0 && !chat->calling) {
        return;
    }
    if (text[0] == '/' && text[1] == '/') {
        status = answer_message(chat, text + 1, bytes - 1);
    } else if (text[0] == '/') {
        status = run_chat_command(chat, text);
    } else {
        status = answer_message(chat, text, bytes);
    }
    if (osl_signal_is_interrupt()) {
        osl_signal_forget();
    }
    if (!chat->terminal && chat->status == OSSICLE_OK) {
        chat->status = status;
    }
}

static void loop(struct chat *chat)
{
    while (!chat->quitting && (osl_signal_caught() == 0)) {
        const char *text;
        size_t bytes;
        switch (osl_line_read(&text, &bytes)) {
        case OSL_LINE_TEXT: take_message(chat, text, bytes); break;
        case OSL_LINE_END: chat->quitting = true; break;
        case OSL_LINE_INTERRUPTED:
            if (chat->terminal && osl_signal_is_interrupt()) {
                osl_signal_forget();
                osl_complain("/quit or Ctrl-D leaves");
            }
            break;
        case OSL_LINE_TOO_LONG:
            osl_complain("a message of more than %u bytes was not taken", OSL_LINE_BYTES_MAX);
            chat->status = chat->terminal ? OSSICLE_OK : OSSICLE_CAPACITY;
            break;
        case OSL_LINE_FAILED:
            osl_complain("standard input: %m");
            chat->status = OSSICLE_IO;
            chat->quitting = true;
            break;
        }
    }
}

static enum ossicle_status converse(struct chat *chat)
{
    enum ossicle_status status =
        osl_conversation_open(chat->args, chat->tools.json.bytes, &chat->engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    if (!osl_line_open(chat->terminal)) {
        osl_complain("no memory for line editing");
        return OSSICLE_MEMORY;
    }
    if (chat->terminal) {
        osl_complain("%s, context %u tokens; /help lists the commands",
                     chat->engine.plan.model_name, chat->engine.plan.context_tokens);
    }
    loop(chat);
    osl_line_close();
    return chat->status;
}

static enum ossicle_status run(const struct osl_args *args)
{
    static struct chat chat;
    chat.args = args;
    chat.terminal = osl_is_terminal(STDIN_FILENO) && osl_is_terminal(STDOUT_FILENO);
    enum ossicle_status status = osl_host_engine_configure(args, &chat.engine);
    if (status == OSSICLE_OK) {
        status = osl_tools_open(args, &chat.tools);
    }
    if (status != OSSICLE_OK) {
        return status;
    }
    status = osl_host_engine_start(&chat.engine);
    if (status == OSSICLE_OK) {
        status = osl_host_answer_prepare(args, &chat.engine, &chat.answer);
        if (status == OSSICLE_OK) {
            status = converse(&chat);
            osl_host_answer_release(&chat.answer);
        }
        osl_host_engine_stop(&chat.engine);
    }
    osl_tools_close(&chat.tools);
    return status;
}

const struct osl_command osl_cmd_chat = {
    .name = "chat",
    .bit = OSL_CMD_CHAT,
    .usage = "chat [-m FILE] [options]",
    .summary = "a conversation",
    .help =
        "Reads messages with line editing and history, or a line each from a pipe; a backslash at "
        "a\n"
        "line's end goes on with the next, and what is pasted stays together. Ctrl-C stops the\n"
        "answer and keeps the conversation. /help /reset /save FILE /load FILE /stats /quit.\n"
        "Tools are as in run; where no --tool NAME=COMMAND answers a call, the next line is its "
        "result.\n",
    .run = run,
};
