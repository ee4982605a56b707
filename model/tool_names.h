/* The names of the functions in a chat-completions "tools" array, for the header constraint. */
#ifndef OSL_TOOL_NAMES_H
#define OSL_TOOL_NAMES_H

#include "harmony.h"

#define OSL_TOOLS_MAX 128
#define OSL_TOOL_NAME_BYTES 65 /* chat-completions allows 64, terminated here */

struct osl_tool_names {
    uint32_t count;
    char name[OSL_TOOLS_MAX][OSL_TOOL_NAME_BYTES];
};

/* Built-in tools (entries without a function) are left out. FORMAT names an entry whose name is
 * empty, too long or not of [a-zA-Z0-9_.-]; CAPACITY if there are too many. */
OSL_MUST_USE enum osl_status osl_tool_names(const char *tools_json, uint64_t bytes,
                                            struct osl_arena *arena,
                                            struct osl_tool_names *names_out,
                                            struct osl_error *error);

#endif
