/* One answer, from begin to done, streamed as it comes. Shared by run and chat.
 *
 * Between the first byte and the end only write(2) is called: no stdio, no memory. */
#ifndef OSL_HOST_ANSWER_H
#define OSL_HOST_ANSWER_H

#include "engine.h"

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
    struct osl_kept text, reasoning, commentary, tool_name, tool_arguments;
    /* what came of it */
    enum ossicle_done reason;
    uint32_t prompt_tokens, written_tokens;
    uint64_t prompt_ns, written_ns;
    uint64_t first_ns; /* from the start of the engine to the first token, loading included */
    /* private */
    enum ossicle_channel channel; /* of the text written last */
    bool line_open;               /* the last byte on stdout was no newline */
    bool dimmed;
    bool reading; /* the last event was about the prompt */
};

/* Reads the sampling options; a seed not given comes from the system. IO, MEMORY or ARGUMENT with a
 * complaint. */
OSSICLE_MUST_USE enum ossicle_status osl_host_answer_prepare(const struct osl_args *args,
                                                             uint32_t context_tokens,
                                                             struct osl_host_answer *answer);
void osl_host_answer_release(struct osl_host_answer *answer);

/* Begins and steps until the answer is done; complains on failure. A cancelled answer is OK with
 * reason CANCELLED. */
OSSICLE_MUST_USE enum ossicle_status osl_host_answer_stream(const struct osl_host_engine *engine,
                                                            struct osl_host_answer *answer);

/* Starts a conversation as --system, --reasoning, --identity and --date say. */
OSSICLE_MUST_USE enum ossicle_status osl_conversation_open(const struct osl_args *args,
                                                           const struct osl_host_engine *engine);

/* One line on stderr: tokens, times, speeds, seed. */
void osl_host_answer_stats(const struct osl_host_engine *engine,
                           const struct osl_host_answer *answer);

/* "stop", "length", "tool_calls" or "cancelled". */
const char *osl_host_answer_reason(const struct osl_host_answer *answer);

#endif
