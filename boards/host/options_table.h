/* The table of all commands' options: what each is called, holds and means. Only the parser
 * (options.c) reads it; a row's place is its place in osl_args.given. */
#ifndef OSL_HOST_OPTIONS_TABLE_H
#define OSL_HOST_OPTIONS_TABLE_H

#include "options.h"

enum osl_option_kind {
    OSL_KIND_FLAG,   /* bool */
    OSL_KIND_TEXT,   /* const char * */
    OSL_KIND_DATE,   /* the same, YYYY-MM-DD */
    OSL_KIND_UINT,   /* uint32_t, least..most */
    OSL_KIND_UINT64, /* uint64_t */
    OSL_KIND_REAL,   /* float, least..most */
    OSL_KIND_BYTES,  /* uint64_t */
    OSL_KIND_CHOICE, /* int, index into choices */
    OSL_KIND_LIST,   /* struct osl_list of least..most */
    OSL_KIND_PAIR,   /* struct osl_list, two values appended */
    OSL_KIND_STOP,   /* appended to stops */
    OSL_KIND_BIAS,   /* appended to bias */
    OSL_KIND_TOOL,   /* appended to tool_commands */
    OSL_KIND_DEVICE, /* a choice, or vulkan:N */
};

struct osl_option {
    const char *name;
    const char *alias; /* NULL: none */
    enum osl_option_kind kind;
    uint32_t commands;
    size_t field;
    const char *value; /* what stands for it in the help */
    const char *help;
    double least, most;
    const char *const *choices; /* NULL-terminated */
};

extern const struct osl_option osl_options[];
extern const uint32_t osl_option_count;

#endif
