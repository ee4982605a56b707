/* ossicle harmony: the chat format alone, without a model. */
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "json.h"
#include "out.h"
#include "term.h"

#define INPUT_BYTES_MAX (16u << 20)
#define OUTPUT_LEAST_BYTES (64u << 10)
#define OUTPUT_BYTES_MAX (1ull << 32)
#define SCRATCH_SPARE_BYTES (1u << 20)

/* Text in, text out; what both directions share. */
typedef enum ossicle_status convert_fn(const struct osl_args *args, const struct osl_text *in,
                                       void *scratch, size_t scratch_bytes, char *out,
                                       size_t capacity, size_t *bytes_out,
                                       struct ossicle_error *error);

static enum ossicle_status render(const struct osl_args *args, const struct osl_text *in,
                                  void *scratch, size_t scratch_bytes, char *out, size_t capacity,
                                  size_t *bytes_out, struct ossicle_error *error)
{
    (void)args;
    return ossicle_harmony_render(in->bytes, in->count, scratch, scratch_bytes, out, capacity,
                                  bytes_out, error);
}

static enum ossicle_status parse(const struct osl_args *args, const struct osl_text *in,
                                 void *scratch, size_t scratch_bytes, char *out, size_t capacity,
                                 size_t *bytes_out, struct ossicle_error *error)
{
    return ossicle_harmony_parse(in->bytes, in->count, args->role, !args->tolerant, scratch,
                                 scratch_bytes, out, capacity, bytes_out, error);
}

/* Converts with as much room for the result as it takes: twice as much after each CAPACITY. The
 * scratch is for a JSON tree of the whole input, touched only as far as it is used. */
static enum ossicle_status convert(const struct osl_args *args, convert_fn *function,
                                   const struct osl_text *in, bool line_end,
                                   struct ossicle_error *error)
{
    uint64_t scratch_bytes = 2 * osl_host_json_arena_need(in->count) + SCRATCH_SPARE_BYTES;
    void *scratch = osl_pages(scratch_bytes);
    enum ossicle_status status =
        scratch != NULL ? OSSICLE_CAPACITY : osl_fault(error, OSSICLE_MEMORY, "no memory");
    uint64_t capacity = OUTPUT_LEAST_BYTES + 4 * in->count;
    for (; status == OSSICLE_CAPACITY && capacity <= OUTPUT_BYTES_MAX; capacity *= 2) {
        size_t bytes = 0;
        char *out = osl_pages(capacity);
        if (out == NULL) {
            status = osl_fault(error, OSSICLE_MEMORY, "no memory for the result");
            break;
        }
        status = function(args, in, scratch, (size_t)scratch_bytes, out, (size_t)capacity, &bytes,
                          error);
        if (status == OSSICLE_OK) {
            osl_out_bytes(out, bytes);
            osl_out_text(line_end ? "\n" : "");
        }
        osl_pages_free(out, capacity);
    }
    osl_pages_free(scratch, scratch_bytes);
    return status;
}

static enum ossicle_status run(const struct osl_args *args)
{
    struct ossicle_error error = {0};
    struct osl_text in = {0};
    const char *what = args->positional_count > 0 ? args->positionals[0] : "";
    bool parsing = strcmp(what, "parse") == 0;
    if (!parsing && strcmp(what, "render") != 0) {
        osl_complain("render or parse, not '%s' (see `ossicle harmony --help`)", what);
        return OSSICLE_ARGUMENT;
    }
    if (!parsing && (args->role != NULL || args->tolerant)) {
        osl_complain("--role and --tolerant are for harmony parse");
        return OSSICLE_ARGUMENT;
    }
    enum ossicle_status status = osl_text_read("-", INPUT_BYTES_MAX, &in, &error);
    if (status == OSSICLE_OK) {
        bool line_end = parsing || osl_is_terminal(STDOUT_FILENO);
        status = convert(args, parsing ? parse : render, &in, line_end, &error);
    }
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
    }
    osl_text_free(&in);
    return status;
}

const struct osl_command osl_cmd_harmony = {
    .name = "harmony",
    .bit = OSL_CMD_HARMONY,
    .positionals_max = 1,
    .usage = "harmony render|parse [--role ROLE] [--tolerant]",
    .summary = "the chat format alone: requests to text, text to messages",
    .help =
        "render: a JSON object on stdin, as in chat-completions, with messages, tools,\n"
        "reasoning_effort, model_identity, knowledge_cutoff, current_date, instructions; prints "
        "the\n"
        "exact text the model would read, with the start of the assistant's message. Absent or "
        "null\n"
        "fields are left out of the text.\n\n"
        "parse: text with special tokens spelled out on stdin; prints a JSON array of messages\n"
        "{role, name, channel, recipient, content_type, content}, absent ones left out.\n",
    .run = run,
};
