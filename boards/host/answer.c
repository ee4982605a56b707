/* One answer, streamed. */
#include "answer.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "out.h"
#include "term.h"

#define TOKEN_BYTES_MAX 1024 /* a token's text is never longer */
#define TOOL_NAME_BYTES 4096
#define DIM "\033[2m"
#define PLAIN "\033[0m"

static bool keep_open(struct osl_kept *kept, uint64_t capacity)
{
    kept->bytes = osl_pages(capacity);
    kept->capacity = capacity;
    return kept->bytes != NULL;
}

static void keep(struct osl_kept *kept, const char *bytes, size_t count)
{
    uint64_t room = kept->capacity - kept->count;
    size_t part = count < room ? count : (size_t)room;
    if (kept->bytes != NULL) {
        memcpy(kept->bytes + kept->count, bytes, part);
        kept->count += part;
    }
}

static void fill_sampling(const struct osl_args *args, const struct osl_host_engine *engine,
                          struct ossicle_sampling *sampling)
{
    ossicle_sampling_advised(engine->engine, sampling);
    sampling->max_tokens = args->tokens;
    sampling->seed = args->seed;
    sampling->bias = args->bias;
    sampling->bias_count = args->bias_count;
    sampling->stop_count = args->stop_count;
    memcpy(sampling->stops, args->stops, sizeof sampling->stops);
#define TAKE(option, field)                                                                        \
    if (osl_option_given(args, option)) {                                                          \
        sampling->field = args->field;                                                             \
    }
    TAKE("--temperature", temperature)
    TAKE("--top-k", top_k)
    TAKE("--top-p", top_p)
    TAKE("--min-p", min_p)
    TAKE("--repetition-penalty", repetition_penalty)
    TAKE("--presence-penalty", presence_penalty)
    TAKE("--frequency-penalty", frequency_penalty)
    TAKE("--penalty-tokens", penalty_tokens)
#undef TAKE
}

enum ossicle_status osl_host_answer_prepare(const struct osl_args *args,
                                            const struct osl_host_engine *engine,
                                            struct osl_host_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    answer->quiet = args->json;
    answer->terminal = osl_is_terminal(STDOUT_FILENO);
    bool shown = answer->terminal ? !args->hide_reasoning : args->show_reasoning;
    answer->reasoning_fd = !shown ? -1 : answer->terminal ? STDOUT_FILENO : STDERR_FILENO;
    fill_sampling(args, engine, &answer->sampling);
    if (!osl_option_given(args, "--seed") &&
        getrandom(&answer->sampling.seed, sizeof answer->sampling.seed, 0) !=
            (ssize_t)sizeof answer->sampling.seed) {
        answer->sampling.seed = osl_now_ns();
    }
    uint64_t capacity = (uint64_t)engine->plan.context_tokens * TOKEN_BYTES_MAX;
    if (!keep_open(&answer->tool_name, TOOL_NAME_BYTES) ||
        !keep_open(&answer->tool_arguments, capacity) ||
        (answer->quiet &&
         (!keep_open(&answer->text, capacity) || !keep_open(&answer->reasoning, capacity) ||
          !keep_open(&answer->commentary, capacity) || !keep_open(&answer->calls, capacity)))) {
        osl_complain("no memory to keep the answer");
        osl_host_answer_release(answer);
        return OSSICLE_MEMORY;
    }
    return OSSICLE_OK;
}

void osl_host_answer_release(struct osl_host_answer *answer)
{
    struct osl_kept *all[] = {&answer->text, &answer->reasoning, &answer->commentary,
                              &answer->tool_name, &answer->tool_arguments, &answer->calls};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        osl_pages_free(all[i]->bytes, all[i]->capacity);
        *all[i] = (struct osl_kept){0};
    }
}

static bool show(struct osl_host_answer *answer, int fd, const char *text, size_t bytes)
{
    bool written =
        osl_is_terminal(fd) ? osl_write_safely(fd, text, bytes) : osl_write_all(fd, text, bytes);
    if (bytes > 0 && fd == STDOUT_FILENO) {
        answer->line_open = text[bytes - 1] != '\n';
        osl_complain_apart(answer->terminal && answer->line_open);
    }
    return written;
}

static bool undim(struct osl_host_answer *answer)
{
    answer->dimmed = false;
    osl_colour_changed(-1);
    return osl_write_all(answer->reasoning_fd, PLAIN, strlen(PLAIN));
}

/* Ends what was shown of a channel before another's text: reasoning gets its line ended and the
 * terminal its colour back; text after text gets an empty line between. */
static bool change_channel(struct osl_host_answer *answer, enum ossicle_channel channel)
{
    bool good = true;
    bool shown_before =
        answer->channel == OSSICLE_CHANNEL_COMMENTARY || answer->channel == OSSICLE_CHANNEL_FINAL;
    if (answer->channel == channel) {
        return true;
    }
    if (answer->dimmed) {
        good = undim(answer);
    }
    if (answer->channel == OSSICLE_CHANNEL_ANALYSIS && answer->reasoning_fd >= 0) {
        const char *gap = answer->terminal ? "\n\n" : "\n";
        good = good && osl_write_all(answer->reasoning_fd, gap, strlen(gap));
        answer->line_open = false;
    } else if (shown_before) {
        good = good && osl_write_all(STDOUT_FILENO, "\n\n", 2);
        answer->line_open = false;
    }
    answer->channel = channel;
    if (channel == OSSICLE_CHANNEL_ANALYSIS && answer->reasoning_fd >= 0 &&
        osl_is_terminal(answer->reasoning_fd)) {
        answer->dimmed = true;
        osl_colour_changed(answer->reasoning_fd);
        good = good && osl_write_all(answer->reasoning_fd, DIM, strlen(DIM));
    }
    return good;
}

static bool take_text(struct osl_host_answer *answer, const struct ossicle_event *event)
{
    bool reasoning = event->channel == OSSICLE_CHANNEL_ANALYSIS;
    if (event->text_bytes == 0) {
        return true;
    }
    if (answer->quiet) {
        keep(reasoning                                      ? &answer->reasoning
             : event->channel == OSSICLE_CHANNEL_COMMENTARY ? &answer->commentary
                                                            : &answer->text,
             event->text, event->text_bytes);
        return true;
    }
    int fd = reasoning ? answer->reasoning_fd : STDOUT_FILENO;
    if (fd < 0) {
        return true;
    }
    return change_channel(answer, event->channel) &&
           show(answer, fd, event->text, event->text_bytes);
}

/* The last call; for --json among the others, as if nothing will come of it. */
static void keep_call(struct osl_host_answer *answer, const struct ossicle_event *event)
{
    answer->tool_name.count = answer->tool_arguments.count = 0;
    keep(&answer->tool_name, event->tool, strlen(event->tool) + 1);
    keep(&answer->tool_arguments, event->text, event->text_bytes);
    keep(&answer->tool_arguments, "", 1);
    keep(&answer->calls, answer->tool_name.bytes, (size_t)answer->tool_name.count);
    keep(&answer->calls, answer->tool_arguments.bytes, strlen(answer->tool_arguments.bytes) + 1);
    keep(&answer->calls, "-", 2);
}

void osl_host_answer_result(struct osl_host_answer *answer, const char *result, size_t bytes)
{
    if (answer->calls.count >= 2) {
        answer->calls.count -= 2;
        keep(&answer->calls, "+", 1);
        keep(&answer->calls, result, strnlen(result, bytes));
        keep(&answer->calls, "", 1);
    }
}

static bool take_tool_call(struct osl_host_answer *answer, const struct ossicle_event *event)
{
    keep_call(answer, event);
    return answer->quiet || change_channel(answer, OSSICLE_CHANNEL_NONE);
}

/* One event; false when what it brought could not be written. */
static bool take_event(struct osl_host_answer *answer, const struct ossicle_event *event)
{
    switch (event->kind) {
    case OSSICLE_EVENT_PREFILL:
        if (!event->again) {
            answer->prompt_tokens = answer->prompt_before + event->prefill_total;
        }
        osl_progress(event->again ? "reading again" : "reading", event->prefill_done,
                     event->prefill_total);
        return true;
    case OSSICLE_EVENT_TEXT:
        answer->written_tokens += event->token >= 0;
        return take_text(answer, event);
    case OSSICLE_EVENT_TOOL_CALL: return take_tool_call(answer, event);
    case OSSICLE_EVENT_DONE: answer->reason = event->reason; return true;
    case OSSICLE_EVENT_FAULT: return true;
    }
    return true;
}

/* A bar is shown while tokens are read, also in the middle of an answer when the device was lost;
 * the text has the terminal to itself. */
static void follow_progress(struct osl_host_answer *answer, const struct ossicle_event *event)
{
    bool reading = event->kind == OSSICLE_EVENT_PREFILL;
    if (reading != answer->reading) {
        osl_progress_silence(!reading && !answer->quiet);
    }
    answer->reading = reading;
}

/* Steps to the end; *written_out is false if stdout or stderr failed meanwhile. */
static enum ossicle_status step_through(const struct osl_host_engine *engine,
                                        struct osl_host_answer *answer, bool *written_out)
{
    uint64_t start_ns = osl_now_ns();
    uint64_t first_ns = 0;
    struct ossicle_event event;
    *written_out = true;
    for (;;) {
        enum ossicle_status status = ossicle_step(engine->engine, &event);
        if (status != OSSICLE_OK) {
            return status;
        }
        follow_progress(answer, &event);
        if (event.kind != OSSICLE_EVENT_PREFILL && first_ns == 0) {
            first_ns = osl_now_ns();
        }
        if (*written_out && !take_event(answer, &event)) {
            *written_out = false;
            ossicle_cancel(engine->engine);
        }
        if (event.kind == OSSICLE_EVENT_FAULT) {
            return event.status;
        }
        if (answer->quiet && event.kind == OSSICLE_EVENT_TEXT) {
            osl_progress("writing", answer->written_tokens,
                         answer->sampling.max_tokens > 0 ? answer->sampling.max_tokens
                                                         : engine->plan.context_tokens);
        }
        if (event.kind == OSSICLE_EVENT_DONE) {
            answer->prompt_ns += first_ns - start_ns;
            if (answer->first_ns == 0) {
                answer->first_ns = first_ns - engine->start_ns;
            }
            answer->written_ns += osl_now_ns() - first_ns;
            return OSSICLE_OK;
        }
    }
}

void osl_host_answer_reset(struct osl_host_answer *answer)
{
    answer->prompt_tokens = answer->written_tokens = 0;
    answer->prompt_ns = answer->written_ns = answer->first_ns = 0;
}

enum ossicle_status osl_host_answer_stream(const struct osl_host_engine *engine,
                                           struct osl_host_answer *answer)
{
    bool written = true;
    answer->channel = OSSICLE_CHANNEL_NONE;
    answer->line_open = false;
    answer->reading = true;
    answer->prompt_before = answer->prompt_tokens;
    enum ossicle_status status = ossicle_begin(engine->engine, &answer->sampling);
    if (status == OSSICLE_OK) {
        status = step_through(engine, answer, &written);
    }
    osl_progress_silence(false);
    osl_complain_apart(false);
    if (answer->dimmed) {
        written = undim(answer) && written;
    }
    bool reasoning_last = answer->channel == OSSICLE_CHANNEL_ANALYSIS;
    if (reasoning_last && answer->reasoning_fd == STDERR_FILENO) {
        (void)osl_write_all(STDERR_FILENO, "\n", 1);
    } else if (answer->line_open) {
        written = osl_write_all(STDOUT_FILENO, "\n", 1) && written;
    }
    if (status != OSSICLE_OK) {
        return osl_host_engine_complain(engine, status);
    }
    if (!written) {
        osl_complain("the answer could not be written out: %m");
        return OSSICLE_IO;
    }
    return OSSICLE_OK;
}

enum ossicle_status osl_conversation_open(const struct osl_args *args, const char *tools_json,
                                          const struct osl_host_engine *engine)
{
    struct ossicle_conversation conversation = {
        .identity = args->identity,
        .current_date = args->date,
        .reasoning = (enum ossicle_reasoning)args->reasoning,
        .instructions = args->system,
        .tools_json = tools_json,
    };
    enum ossicle_status status = ossicle_open(engine->engine, &conversation);
    return status == OSSICLE_OK ? OSSICLE_OK : osl_host_engine_complain(engine, status);
}

const char *osl_host_answer_reason(const struct osl_host_answer *answer)
{
    switch (answer->reason) {
    case OSSICLE_DONE_STOP:
    case OSSICLE_DONE_STOP_TEXT: return "stop";
    case OSSICLE_DONE_LENGTH: return "length";
    case OSSICLE_DONE_TOOL_CALL: return "tool_calls";
    case OSSICLE_DONE_CANCELLED: return "cancelled";
    }
    return "stop";
}

static double per_second(uint32_t tokens, uint64_t ns)
{
    return ns > 0 ? (double)tokens * 1e9 / (double)ns : 0.0;
}

void osl_host_answer_stats(const struct osl_host_engine *engine,
                           const struct osl_host_answer *answer)
{
    struct ossicle_stats stats;
    ossicle_stats(engine->engine, &stats);
    bool on_gpu = stats.device_tier[0] != '\0';
    osl_complain("%u prompt tokens in %.2f s (%.1f t/s), %u tokens in %.2f s (%.1f t/s), boot "
                 "%.2f s, weights %s, first token after %.2f s, context %u of %u, %u threads, %s, "
                 "seed %llu, %s%s%s%s",
                 answer->prompt_tokens, (double)answer->prompt_ns / 1e9,
                 per_second(answer->prompt_tokens, answer->prompt_ns), answer->written_tokens,
                 (double)answer->written_ns / 1e9,
                 per_second(answer->written_tokens, answer->written_ns),
                 (double)stats.boot_ns / 1e9, engine->plan.weights,
                 (double)answer->first_ns / 1e9, stats.context_used, stats.context_tokens,
                 stats.threads, stats.cpu_level, (unsigned long long)answer->sampling.seed,
                 osl_host_answer_reason(answer), on_gpu ? ", on " : "", on_gpu ? stats.device : "",
                 stats.device_restarts > 0 ? ", restarted after it was lost" : "");
    if (stats.drafted_tokens > 0) {
        osl_complain("%llu tokens drafted, %llu accepted",
                     (unsigned long long)stats.drafted_tokens,
                     (unsigned long long)stats.accepted_tokens);
    }
}
