/* One answer, from begin to done, streamed as it comes. Shared by run and chat.
 *
 * Between the first byte and the end only write(2) is called: no stdio, no memory. */
#ifndef OSL_HOST_ANSWER_H
#define OSL_HOST_ANSWER_H

#include "engine.h"
#include "json.h"

/* Text kept for --json; lazily touched pages. */
struct osl_kept {
    char *bytes;
    uint64_t count;
    uint64_t capacity;
};

struct osl_host_answer {
    /* how: set by osl_host_answer_prepare */
    bool quiet;       /* --json: nothing is streamed, all is kept */
    bool terminal;    /* stdout is one */
    int reasoning_fd; /* where reasoning goes, -1: nowhere */
    struct ossicle_sampling sampling;
    struct osl_kept text, reasoning, commentary;
    struct osl_kept tool_name, tool_arguments; /* of the last call, each with its zero byte */
    struct osl_kept calls; /* --json: of each, name and arguments, '+' and result or '-', all three
                            * with a zero byte */
    /* what came of it */
    enum ossicle_done reason;
    uint32_t prompt_tokens, written_tokens;
    uint64_t prompt_ns, written_ns;
    uint64_t first_ns; /* from the start of the engine to the first token, loading included */
    /* private */
    enum ossicle_channel channel; /* of the text written last */
    uint32_t prompt_before;       /* prompt_tokens of the parts before this one */
    bool line_open;               /* the last byte on stdout was no newline */
    bool dimmed;
    bool reading; /* the last event was about the prompt */
};

/* Reads the sampling options; what they leave open is as the model's file advises, a seed comes
 * from the system. MEMORY with a complaint. */
OSSICLE_MUST_USE enum ossicle_status osl_host_answer_prepare(const struct osl_args *args,
                                                             const struct osl_host_engine *engine,
                                                             struct osl_host_answer *answer);
void osl_host_answer_release(struct osl_host_answer *answer);

/* Forgets the tokens and times of the answer before. */
void osl_host_answer_reset(struct osl_host_answer *answer);

/* Begins and steps until the answer is done; complains on failure. A cancelled answer is OK with
 * reason CANCELLED. Tokens and times are added: with calls of tools an answer has several parts. */
OSSICLE_MUST_USE enum ossicle_status osl_host_answer_stream(const struct osl_host_engine *engine,
                                                            struct osl_host_answer *answer);

/* Keeps the result of the last call for --json. */
void osl_host_answer_result(struct osl_host_answer *answer, const char *result, size_t bytes);

/* Starts a conversation as --system, --reasoning, --identity and --date say; tools_json NULL: no
 * tools. */
OSSICLE_MUST_USE enum ossicle_status osl_conversation_open(const struct osl_args *args,
                                                           const char *tools_json,
                                                           const struct osl_host_engine *engine);

/* One line on stderr: tokens, times, speeds, seed. */
void osl_host_answer_stats(const struct osl_host_engine *engine,
                           const struct osl_host_answer *answer);

/* "stop", "length", "tool_calls" or "cancelled". */
const char *osl_host_answer_reason(const struct osl_host_answer *answer);

#endif
