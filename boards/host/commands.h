/* The commands: one file each, cmd_<name>.c. */
#ifndef OSL_HOST_COMMANDS_H
#define OSL_HOST_COMMANDS_H

#include "options.h"

struct osl_command {
    const char *name;
    uint32_t bit;             /* of enum osl_command_bit */
    uint32_t positionals_max; /* arguments that are no options */
    const char *usage;        /* after "ossicle " */
    const char *summary;      /* a line in `ossicle --help` */
    const char *help;         /* the rest of `ossicle <name> --help`: paragraphs, newline-ended */
    /* Does the work; complains itself on failure. What it returns is the exit code. */
    enum ossicle_status (*run)(const struct osl_args *args);
};

extern const struct osl_command osl_cmd_run;
extern const struct osl_command osl_cmd_chat;
extern const struct osl_command osl_cmd_plan;
extern const struct osl_command osl_cmd_score;
extern const struct osl_command osl_cmd_tokenize;
extern const struct osl_command osl_cmd_harmony;
extern const struct osl_command osl_cmd_bench;
extern const struct osl_command osl_cmd_inspect;
extern const struct osl_command osl_cmd_verify;
extern const struct osl_command osl_cmd_devices;
extern const struct osl_command osl_cmd_selftest;
extern const struct osl_command osl_cmd_version;

#endif
