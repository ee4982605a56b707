/* Tools that the model may call, and the commands that answer.
 *
 * --tools FILE tells the model of them; --tool NAME=COMMAND says what answers the calls of one.
 * Only commands that the user named are run, never a shell: COMMAND is cut into words at blanks.
 * The arguments, a JSON object, come on its stdin; what it prints is the result. */
#ifndef OSL_HOST_TOOLS_H
#define OSL_HOST_TOOLS_H

#include "answer.h"

#define OSL_TOOL_CALLS_MAX 16 /* in one answer, so that a model that only calls comes to an end */
#define OSL_TOOL_RESULT_BYTES_MAX 65536
#define OSL_TOOL_SECONDS_DEFAULT 30
#define OSL_EXIT_TOOL_CALL 20 /* run: the model calls a tool that no command answers */

struct osl_tools {
    struct osl_text json; /* as in chat-completions "tools"; bytes NULL: none */
    const char *const *commands; /* NAME=COMMAND each */
    uint32_t count;
    uint32_t seconds; /* a command may take */
};

/* Reads what --tools names and checks that it describes every --tool. Complains on failure. */
OSSICLE_MUST_USE enum ossicle_status osl_tools_open(const struct osl_args *args,
                                                    struct osl_tools *tools);
void osl_tools_close(struct osl_tools *tools);

/* As osl_host_answer_stream; calls that a command answers are run, and the answer goes on with
 * their results. reason is TOOL_CALL at the end if no command answers the last call. */
OSSICLE_MUST_USE enum ossicle_status osl_tools_answer(const struct osl_tools *tools,
                                                      const struct osl_host_engine *engine,
                                                      struct osl_host_answer *answer);

/* Shows the last call to who watches: one line on stderr. */
void osl_tool_call_show(const struct osl_host_answer *answer);

/* Prints the call as one line of JSON, {"name": ..., "arguments": {...}}, to the stdout buffer;
 * arguments that are no JSON object become a string. */
void osl_tool_call_print(const struct osl_host_answer *answer);

/* Runs a command, its words cut at blanks, with input [input_bytes] on its standard input; its
 * standard error is ours. It has a process group of its own, which is killed when it takes too
 * long, prints more than out_capacity bytes, or a signal comes. True if it ended by itself with
 * exit code 0; else why [why_bytes] says in a few words what was wrong. */
bool osl_tool_run(const char *command, const char *input, size_t input_bytes, uint32_t seconds,
                  char *out, size_t out_capacity, size_t *out_bytes, char *why, size_t why_bytes);

#endif
