/* The command line's entry: which command, then its own file. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "out.h"
#include "term.h"

static const struct osl_command *const commands[] = {
    &osl_cmd_run,      &osl_cmd_chat,    &osl_cmd_plan,     &osl_cmd_score,
    &osl_cmd_tokenize, &osl_cmd_harmony, &osl_cmd_bench,    &osl_cmd_inspect,
    &osl_cmd_verify,   &osl_cmd_devices, &osl_cmd_selftest, &osl_cmd_version,
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_exit_codes(void)
{
    osl_out_text("\nExit codes:\n  0 done");
    for (int code = OSSICLE_ARGUMENT; code <= OSSICLE_ABORTED; code++) {
        osl_out_format(",%s%d %s", code % 4 == 0 ? "\n  " : " ", code,
                       ossicle_status_text((enum ossicle_status)code));
    }
    osl_out_text(",\n  130 Ctrl-C, 143 SIGTERM\n");
}

static void print_help(void)
{
    osl_out_text("ossicle: gpt-oss on your own machine, in memory that is planned first\n\n"
                 "usage: ossicle COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        osl_out_format("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    osl_out_text("\n`ossicle COMMAND --help` tells the rest.\n");
    print_exit_codes();
}

static void print_command_help(const struct osl_command *command)
{
    osl_out_format("usage: ossicle %s\n\n%s\n", command->usage, command->help);
    osl_out_text("Options:\n");
    osl_options_help(command->bit);
    print_exit_codes();
}

static const struct osl_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static enum ossicle_status unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (uint32_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i]->name;
    }
    const char *near = osl_nearest(name, names, COMMAND_COUNT);
    osl_complain("unknown command '%.40s'%s%s%s", name, near != NULL ? "; did you mean " : "",
                 near != NULL ? near : "", near != NULL ? "?" : "; `ossicle --help` lists them");
    return OSSICLE_ARGUMENT;
}

static enum ossicle_status run_command(const struct osl_command *command, int count,
                                       char *const *argv)
{
    static struct osl_args args;
    struct ossicle_error error = {0};
    osl_complain_as(command->name);
    enum ossicle_status status =
        osl_options_parse(command->bit, command->positionals_max, count, argv, &args, &error);
    if (status != OSSICLE_OK) {
        osl_complain("%s (see `ossicle %s --help`)", error.text, command->name);
        return status;
    }
    if (args.help) {
        print_command_help(command);
        return OSSICLE_OK;
    }
    osl_signals_install();
    return command->run(&args);
}

static bool is_word(const char *text, const char *one, const char *other)
{
    return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

static enum ossicle_status run(int argc, char *const *argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (argc < 2) {
        osl_complain("no command given; `ossicle --help` lists them");
        return OSSICLE_ARGUMENT;
    }
    if (is_word(name, "--help", "-h") || (strcmp(name, "help") == 0 && argc == 2)) {
        print_help();
        return OSSICLE_OK;
    }
    bool help = strcmp(name, "help") == 0;
    name = help ? argv[2] : strcmp(name, "--version") == 0 ? "version" : name;
    const struct osl_command *command = find_command(name);
    if (command == NULL) {
        return unknown_command(name);
    }
    if (help) {
        print_command_help(command);
        return OSSICLE_OK;
    }
    return run_command(command, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    enum ossicle_status status = osl_out_finish(run(argc, argv));
    osl_progress_end();
    return osl_exit_code(status);
}
