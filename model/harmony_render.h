/* What the parts of the Harmony renderer share. */
#ifndef OSL_HARMONY_RENDER_H
#define OSL_HARMONY_RENDER_H

#include "harmony_json.h"

#define OSL_SCHEMA_DEPTH_MAX 64 /* objects, arrays and oneOf inside one another */

/* Writes a JSON schema as the TypeScript-like type of harmony.md 6.2 and 6.3, at indent 0. NULL, or
 * what is wrong with it: "is nested deeper than ...". */
OSL_MUST_USE const char *osl_schema_put(struct osl_writer_text *out, const cJSON *schema);

#define OSL_TOOL_NAME_MAX (OSL_HARMONY_NAME_BYTES - 11) /* the parser's bound, "functions." aside */

/* A request's "tools", checked. */
struct osl_tools {
    const cJSON *list; /* NULL: none */
    uint32_t function_count;
    bool browser, python; /* the model's own tools */
};
OSL_MUST_USE enum osl_status osl_tools_read(const char *what, const cJSON *list,
                                            struct osl_tools *tools_out, struct osl_error *error);

/* "# Tools" and the block of namespace functions (harmony.md 6.1); there must be functions. */
OSL_MUST_USE enum osl_status osl_tools_put_functions(struct osl_writer_text *out, const char *what,
                                                     const struct osl_tools *tools,
                                                     struct osl_error *error);

/* "# Tools" and the blocks of browser and python (6.5); there must be one. */
void osl_tools_put_own(struct osl_writer_text *out, const struct osl_tools *tools);

/* The node of a tool entry that holds name, description and parameters. */
const cJSON *osl_tool_function(const cJSON *entry);

/* System and developer message as text; data NULL is "absent". */
struct osl_opening {
    struct osl_text identity, knowledge_cutoff, current_date, channels, instructions;
    bool channels_optional;
    enum osl_reasoning reasoning;
    struct osl_tools tools;
};
struct osl_opening_text {
    struct osl_text system, developer; /* developer.data NULL: no such message */
};
/* Writes both into the arena, where they stay. */
OSL_MUST_USE enum osl_status osl_opening_put(struct osl_arena *arena, const char *what,
                                             const struct osl_opening *opening,
                                             struct osl_opening_text *text_out,
                                             struct osl_error *error);
OSL_MUST_USE enum osl_status osl_opening_emit(const struct osl_harmony_sink *sink,
                                              const struct osl_opening_text *text);

/* osl_harmony_message in two halves: the check, and the emission with a chosen terminator
 * (OSL_SPECIAL_COUNT: the one of harmony.md 3.1). */
OSL_MUST_USE enum osl_status osl_message_check(const struct osl_harmony_message *message,
                                               struct osl_error *error);
OSL_MUST_USE enum osl_status osl_message_emit(const struct osl_harmony_sink *sink,
                                              const struct osl_harmony_message *message,
                                              enum osl_special terminator);

/* Whether a name can stand in a header: not empty, no spaces or control characters. */
bool osl_header_word(const char *word);

/* Whether a node is a string that can be the name of a tool. */
bool osl_is_tool_name(const cJSON *node);

#endif
