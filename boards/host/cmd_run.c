/* ossicle run: one question, one answer. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "commands.h"
#include "json.h"
#include "out.h"
#include "term.h"
#include "tools.h"

#define PROMPT_BYTES_MAX (16u << 20)
#define TEXT_BYTES_DEFAULT (1u << 20) /* what ossicle_config.text_bytes is when 0 */

/* The arguments with blanks between, or stdin for a lone "-" (without its last newline). */
static enum ossicle_status read_prompt(const struct osl_args *args, struct osl_text *prompt)
{
    struct ossicle_error error = {0};
    uint64_t needed = 1;
    if (args->positional_count == 0) {
        osl_complain("what is the question? ossicle run \"question\", or - for stdin");
        return OSSICLE_ARGUMENT;
    }
    if (args->positional_count == 1 && strcmp(args->positionals[0], "-") == 0) {
        enum ossicle_status status = osl_text_read("-", PROMPT_BYTES_MAX, prompt, &error);
        if (status != OSSICLE_OK) {
            osl_complain("%s", error.text);
            return status;
        }
        prompt->count -= prompt->count > 0 && prompt->bytes[prompt->count - 1] == '\n';
    } else {
        for (uint32_t i = 0; i < args->positional_count; i++) {
            needed += strlen(args->positionals[i]) + 1;
        }
        *prompt = (struct osl_text){.bytes = osl_pages(needed), .reserved = needed};
        for (uint32_t i = 0; prompt->bytes != NULL && i < args->positional_count; i++) {
            prompt->count +=
                (size_t)snprintf(prompt->bytes + prompt->count, (size_t)needed - prompt->count,
                                 "%s%s", i > 0 ? " " : "", args->positionals[i]);
        }
    }
    if (prompt->bytes == NULL || prompt->count == 0) {
        osl_complain("the question is empty");
        osl_text_free(prompt);
        return OSSICLE_ARGUMENT;
    }
    return OSSICLE_OK;
}

static void put_kept(const char *key, const struct osl_kept *kept)
{
    osl_out_format(", \"%s\": ", key);
    osl_out_json(kept->bytes, (size_t)kept->count);
}

static void put_speed(const char *name, uint32_t tokens, uint64_t ns)
{
    osl_out_format(", \"%s_ms\": %.3f, \"%s_per_second\": %.3f", name, (double)ns / 1e6, name,
                   ns > 0 ? (double)tokens * 1e9 / (double)ns : 0.0);
}

/* Every call of a tool, with the result where a command gave one. */
static void put_calls(const struct osl_kept *calls)
{
    const char *at = calls->bytes, *end = at + calls->count;
    osl_out_text(", \"tool_calls\": [");
    for (bool first = true; at < end; first = false) {
        osl_out_text(first ? "{\"name\": " : ", {\"name\": ");
        osl_out_json_text(at);
        at += strlen(at) + 1;
        osl_out_text(", \"arguments\": ");
        osl_out_json_text(at);
        at += strlen(at) + 1;
        if (at[0] == '+') {
            osl_out_text(", \"result\": ");
            osl_out_json_text(at + 1);
        }
        at += strlen(at) + 1;
        osl_out_text("}");
    }
    osl_out_text("]");
}

static void print_json(const struct osl_host_engine *engine, const struct osl_host_answer *answer)
{
    struct ossicle_stats stats;
    ossicle_stats(engine->engine, &stats);
    osl_out_text("{\"model\": ");
    osl_out_json_text(stats.model_name);
    put_kept("text", &answer->text);
    put_kept("reasoning", &answer->reasoning);
    if (answer->commentary.count > 0) {
        put_kept("commentary", &answer->commentary);
    }
    if (answer->calls.count > 0) {
        put_calls(&answer->calls);
    }
    osl_out_format(", \"finish_reason\": \"%s\", \"seed\": %llu", osl_host_answer_reason(answer),
                   (unsigned long long)answer->sampling.seed);
    osl_out_format(", \"usage\": {\"prompt_tokens\": %u, \"completion_tokens\": %u, "
                   "\"total_tokens\": %u}",
                   answer->prompt_tokens, answer->written_tokens,
                   answer->prompt_tokens + answer->written_tokens);
    osl_out_format(", \"timings\": {\"boot_ms\": %.3f, \"first_token_ms\": %.3f",
                   (double)stats.boot_ns / 1e6, (double)answer->first_ns / 1e6);
    put_speed("prompt", answer->prompt_tokens, answer->prompt_ns);
    put_speed("predicted", answer->written_tokens, answer->written_ns);
    osl_out_format("}, \"lookup\": {\"drafted\": %llu, \"accepted\": %llu}, \"device\": ",
                   (unsigned long long)stats.drafted_tokens,
                   (unsigned long long)stats.accepted_tokens);
    osl_out_json_text(stats.device);
    osl_out_format(", \"device_tier\": \"%s\", \"device_restarts\": %u}\n", stats.device_tier,
                   stats.device_restarts);
}

static enum ossicle_status answer_prompt(const struct osl_args *args,
                                         const struct osl_host_engine *engine,
                                         const struct osl_tools *tools,
                                         const struct osl_text *prompt)
{
    struct osl_host_answer answer;
    enum ossicle_status status = osl_host_answer_prepare(args, engine, &answer);
    if (status != OSSICLE_OK) {
        return status;
    }
    status = osl_conversation_open(args, tools->json.bytes, engine);
    if (status == OSSICLE_OK) {
        status = ossicle_say(engine->engine, OSSICLE_USER, prompt->bytes, prompt->count);
        status = status == OSSICLE_OK ? osl_tools_answer(tools, engine, &answer)
                                      : osl_host_engine_complain(engine, status);
    }
    if (status == OSSICLE_OK && args->json) {
        print_json(engine, &answer);
    }
    if (status == OSSICLE_OK && answer.reason == OSSICLE_DONE_TOOL_CALL) {
        osl_exit_with(OSL_EXIT_TOOL_CALL);
        if (!args->json) {
            osl_tool_call_print(&answer);
        }
    }
    if (status == OSSICLE_OK && answer.reason == OSSICLE_DONE_LENGTH && !args->json &&
        args->tokens == 0) {
        osl_complain("the answer ends here: the context of %u tokens is full; --context N makes "
                     "more room",
                     engine->plan.context_tokens);
    }
    if (status == OSSICLE_OK && args->stats) {
        osl_host_answer_stats(engine, &answer);
    }
    osl_host_answer_release(&answer);
    return status;
}

static enum ossicle_status run(const struct osl_args *args)
{
    static struct osl_host_engine engine;
    struct osl_text prompt = {0};
    struct osl_tools tools = {0};
    enum ossicle_status status = osl_host_engine_configure(args, &engine);
    if (status == OSSICLE_OK) {
        status = osl_tools_open(args, &tools);
    }
    if (status == OSSICLE_OK) {
        status = read_prompt(args, &prompt);
    }
    if (status == OSSICLE_OK) {
        if (prompt.count > TEXT_BYTES_DEFAULT) {
            engine.config.text_bytes = prompt.count;
        }
        status = osl_host_engine_start(&engine);
    }
    if (status == OSSICLE_OK) {
        status = answer_prompt(args, &engine, &tools, &prompt);
        osl_host_engine_stop(&engine);
    }
    osl_text_free(&prompt);
    osl_tools_close(&tools);
    return status;
}

const struct osl_command osl_cmd_run = {
    .name = "run",
    .bit = OSL_CMD_RUN,
    .positionals_max = OSL_POSITIONALS_MAX,
    .usage = "run [-m FILE] [options] \"question\"   (or - for stdin)",
    .summary = "one answer, streamed to stdout",
    .help =
        "Streams the answer to stdout, token by token. The model's reasoning is shown dimmed on a\n"
        "terminal; elsewhere it is left out, or goes to stderr with --show-reasoning. --json "
        "prints\n"
        "one object at the end: text, reasoning, finish_reason, seed, usage, timings, device. "
        "Ctrl-C\n"
        "ends the answer cleanly (exit code 130), a second one at once. A GPU that is lost "
        "meanwhile\n"
        "is set up again, with a line on stderr, and the text goes on as if nothing had been.\n"
        "\n"
        "With --tools FILE the model may call tools. A call that a --tool NAME=COMMAND answers is "
        "run:\n"
        "COMMAND, cut into words at blanks and without a shell, gets the arguments (a JSON object) "
        "on\n"
        "stdin, and what it prints, at most 64 KiB, is the result with which the answer goes on. "
        "Any\n"
        "other call is the last line on stdout, {\"name\": ..., \"arguments\": {...}}, with exit "
        "code 20.\n",
    .run = run,
};
