/* ossicle inspect: what a model file says of itself. */
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "out.h"

static void print_piece(void *user, const char *text)
{
    const bool *lines = user;
    osl_out_text(text);
    size_t length = strlen(text);
    if (*lines && (length == 0 || text[length - 1] != '\n')) {
        osl_out_text("\n");
    }
}

static enum ossicle_status run(const struct osl_args *args)
{
    struct ossicle_error error = {0};
    bool lines = !args->json;
    struct ossicle_config config;
    ossicle_config_init(&config);
    enum ossicle_status status = osl_host_model_configure(
        args->positional_count > 0 ? args->positionals[0] : NULL, &config);
    if (status != OSSICLE_OK) {
        return status;
    }
    status = ossicle_inspect(&config, args->json, print_piece, &lines, &error);
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
    } else if (args->json) {
        osl_out_text("\n");
    }
    return status;
}

const struct osl_command osl_cmd_inspect = {
    .name = "inspect",
    .bit = OSL_CMD_INSPECT,
    .positionals_max = 1,
    .usage = "inspect [FILE] [--json]",
    .summary = "a model file's metadata and tensors",
    .help =
        "Reads the header of a GGUF file, strictly, and prints its metadata and its tensors: "
        "name,\n"
        "type, shape, offset, bytes. Without FILE, of the built-in demo. A broken file ends with "
        "exit\n"
        "code 4 and one line that says what is wrong and where.\n",
    .run = run,
};
