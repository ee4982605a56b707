/* ossicle selftest: every kernel against the plain C. */
#include "commands.h"
#include "out.h"

struct checks {
    bool json;
    uint32_t count;
    uint32_t failed;
};

static void print_check(void *user, const char *text, bool pass)
{
    struct checks *checks = user;
    if (checks->json) {
        osl_out_text(checks->count > 0 ? ", {\"check\": " : "{\"check\": ");
        osl_out_json_text(text);
        osl_out_format(", \"pass\": %s}", pass ? "true" : "false");
    } else {
        osl_out_format("%-4s  %s\n", pass ? "ok" : "FAIL", text);
        osl_out_flush();
    }
    checks->count++;
    checks->failed += !pass;
}

static enum ossicle_status run(const struct osl_args *args)
{
    struct checks checks = {.json = args->json};
    if (args->json) {
        osl_out_text("{\"checks\": [");
    }
    enum ossicle_status status = ossicle_self_test(print_check, &checks);
    if (args->json) {
        osl_out_format("], \"ok\": %s}\n", status == OSSICLE_OK ? "true" : "false");
    } else {
        osl_out_format("%u checks, %u failed\n", checks.count, checks.failed);
    }
    if (status != OSSICLE_OK) {
        osl_complain("a kernel differs from the plain C; --cpu-level NAME avoids it");
    }
    return status;
}

const struct osl_command osl_cmd_selftest = {
    .name = "selftest",
    .bit = OSL_CMD_SELFTEST,
    .usage = "selftest [--json]",
    .summary = "every kernel in use against plain C, on this machine",
    .help =
        "Compares every kernel this machine would use with the plain C of the same operation, on\n"
        "fixed inputs; one row a check. Exit code 8 if any differs.\n",
    .run = run,
};
