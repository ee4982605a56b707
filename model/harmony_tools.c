/* The tools sections of the developer and the system message (harmony.md 6.1, 6.5). */
#include <string.h>

#include "harmony_render.h"

/* The model's own tools, exactly as it was trained to see them (harmony.md 6.5). */
static const char browser_block[] =
    "## browser\n\n"
    "// Tool for browsing.\n"
    "// The `cursor` appears in brackets before each browsing display: `[{cursor}]`.\n"
    "// Cite information from the tool using the following format:\n"
    "// `【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.\n"
    "// Do not quote more than 10 words directly from the tool output.\n"
    "// sources=web (default: web)\n"
    "namespace browser {\n\n"
    "// Searches for information related to `query` and displays `topn` results.\n"
    "type search = (_: {\n"
    "query: string,\n"
    "topn?: number, // default: 10\n"
    "source?: string,\n"
    "}) => any;\n\n"
    "// Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, "
    "showing `num_lines` lines.\n"
    "// Valid link ids are displayed with the formatting: `【{id}†.*】`.\n"
    "// If `cursor` is not provided, the most recent page is implied.\n"
    "// If `id` is a string, it is treated as a fully qualified URL associated with `source`.\n"
    "// If `loc` is not provided, the viewport will be positioned at the beginning of the "
    "document or centered on the most relevant passage, if available.\n"
    "// Use this function without `id` to scroll to a new location of an opened page.\n"
    "type open = (_: {\n"
    "id?: number | string, // default: -1\n"
    "cursor?: number, // default: -1\n"
    "loc?: number, // default: -1\n"
    "num_lines?: number, // default: -1\n"
    "view_source?: boolean, // default: false\n"
    "source?: string,\n"
    "}) => any;\n\n"
    "// Finds exact matches of `pattern` in the current page, or the page given by `cursor`.\n"
    "type find = (_: {\n"
    "pattern: string,\n"
    "cursor?: number, // default: -1\n"
    "}) => any;\n\n"
    "} // namespace browser";

static const char python_block[] =
    "## python\n\n"
    "Use this tool to execute Python code in your chain of thought. The code will not be shown "
    "to the user. This tool should be used for internal reasoning, but not for code that is "
    "intended to be visible to the user (e.g. when creating plots, tables, or files).\n\n"
    "When you send a message containing Python code to python, it will be executed in a stateful "
    "Jupyter notebook environment. python will respond with the output of the execution or time "
    "out after 120.0 seconds. The drive at '/mnt/data' can be used to save and persist user "
    "files. Internet access for this session is UNKNOWN. Depends on the cluster.";

const cJSON *osl_tool_function(const cJSON *entry)
{
    const cJSON *function = osl_json_get_set(entry, "function");
    return function != NULL ? function : entry; /* the flat form of the Responses API */
}

bool osl_is_tool_name(const cJSON *node)
{
    struct osl_text name = osl_json_text(node); /* a NUL inside would end it early */
    return name.data != NULL && strlen(name.data) == name.bytes &&
           name.bytes <= OSL_TOOL_NAME_MAX && osl_header_word(name.data);
}

static enum osl_status read_function(const char *what, const cJSON *entry, uint32_t index,
                                     struct osl_error *error)
{
    const cJSON *function = osl_tool_function(entry);
    const cJSON *description = osl_json_get_set(function, "description");
    if (!osl_is_tool_name(osl_json_get(function, "name"))) {
        return osl_fail(error, OSL_FORMAT,
                        "%s: line %d: tools[%u].function.name must be a string of 1 to %d bytes "
                        "without spaces",
                        what, function->valueint, index, OSL_TOOL_NAME_MAX);
    }
    if (description != NULL && !cJSON_IsString(description)) {
        return osl_fail(error, OSL_FORMAT,
                        "%s: line %d: tools[%u].function.description must be a string", what,
                        description->valueint, index);
    }
    return OSL_OK;
}

enum osl_status osl_tools_read(const char *what, const cJSON *list, struct osl_tools *tools_out,
                               struct osl_error *error)
{
    struct osl_tools tools = {.list = list};
    uint32_t index = 0;
    if (list != NULL && !cJSON_IsArray(list)) {
        return osl_fail(error, OSL_FORMAT, "%s: line %d: tools must be an array", what,
                        list->valueint);
    }
    for (const cJSON *entry = list != NULL ? list->child : NULL; entry != NULL;
         entry = entry->next, index++) {
        const cJSON *type = osl_json_get_set(entry, "type");
        enum osl_status status = OSL_OK;
        if (osl_json_is(type, "browser")) {
            tools.browser = true;
        } else if (osl_json_is(type, "python")) {
            tools.python = true;
        } else if (cJSON_IsObject(entry) && (type == NULL || osl_json_is(type, "function"))) {
            tools.function_count++;
            status = read_function(what, entry, index, error);
        } else {
            status = osl_fail(error, OSL_FORMAT,
                              "%s: line %d: tools[%u] must be an object whose type is "
                              "\"function\", \"browser\" or \"python\"",
                              what, entry->valueint, index);
        }
        if (status != OSL_OK) {
            return status;
        }
    }
    *tools_out = tools;
    return OSL_OK;
}

/* Each line as "// LINE\n". A final newline makes no further line (harmony.md 6.1). */
static void put_lines(struct osl_writer_text *out, struct osl_text text)
{
    uint64_t from = 0;
    while (from < text.bytes) {
        const char *newline = memchr(text.data + from, '\n', text.bytes - from);
        uint64_t end = newline != NULL ? (uint64_t)(newline - text.data) : text.bytes;
        uint64_t kept = end - from;
        if (newline != NULL && kept > 0 && text.data[end - 1] == '\r') {
            kept--;
        }
        osl_put(out, "// ");
        osl_put_text(out, (struct osl_text){text.data + from, kept});
        osl_put(out, "\n");
        from = end + 1;
    }
}

enum osl_status osl_tools_put_functions(struct osl_writer_text *out, const char *what,
                                        const struct osl_tools *tools, struct osl_error *error)
{
    OSL_ASSERT(tools->function_count > 0);
    uint32_t index = 0;
    osl_put(out, "# Tools\n\n## functions\n\nnamespace functions {\n\n");
    for (const cJSON *entry = tools->list->child; entry != NULL; entry = entry->next, index++) {
        const cJSON *function = osl_tool_function(entry);
        const cJSON *type = osl_json_get_set(entry, "type");
        const cJSON *parameters = osl_json_get_set(function, "parameters");
        if (type != NULL && !osl_json_is(type, "function")) {
            continue;
        }
        put_lines(out, osl_json_text(osl_json_get(function, "description")));
        osl_put(out, "type ");
        osl_put_text(out, osl_json_text(osl_json_get(function, "name")));
        osl_put(out, parameters != NULL ? " = (_: " : " = (");
        const char *problem = parameters != NULL ? osl_schema_put(out, parameters) : NULL;
        if (problem != NULL) {
            return osl_fail(error, OSL_FORMAT, "%s: line %d: tools[%u].function.parameters %s",
                            what, parameters->valueint, index, problem);
        }
        osl_put(out, ") => any;\n\n");
    }
    osl_put(out, "} // namespace functions");
    return OSL_OK;
}

void osl_tools_put_own(struct osl_writer_text *out, const struct osl_tools *tools)
{
    osl_put(out, "# Tools");
    if (tools->browser) {
        osl_put(out, "\n\n");
        osl_put(out, browser_block);
    }
    if (tools->python) {
        osl_put(out, "\n\n");
        osl_put(out, python_block);
    }
}
