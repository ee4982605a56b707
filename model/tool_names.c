/* Names of tools, checked: they go into headers that the model is held to. */
#include "tool_names.h"

#include <string.h>

#include "harmony_render.h"

static bool name_is_sound(struct osl_text name)
{
    if (name.data == NULL || name.bytes == 0 || name.bytes >= OSL_TOOL_NAME_BYTES) {
        return false;
    }
    for (uint64_t i = 0; i < name.bytes; i++) {
        char c = name.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || c == '.';
        if (!good) {
            return false;
        }
    }
    return true;
}

enum osl_status osl_tool_names(const char *tools_json, uint64_t bytes, struct osl_arena *arena,
                               struct osl_tool_names *names, struct osl_error *error)
{
    const cJSON *list = NULL;
    enum osl_status status = osl_json_parse("tools", tools_json, bytes, arena, &list, error);
    if (status != OSL_OK) {
        return status;
    }
    names->count = 0;
    uint32_t index = 0;
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, list)
    {
        const cJSON *type = osl_json_get_set(entry, "type");
        bool function = osl_json_get_set(entry, "function") != NULL || type == NULL ||
                        osl_json_is(type, "function");
        struct osl_text name = osl_json_text(osl_json_get(osl_tool_function(entry), "name"));
        if (function && !name_is_sound(name)) {
            return osl_fail(error, OSL_FORMAT,
                            "tools: entry %u: its name must be 1 to %d of a-z A-Z 0-9 _ . -", index,
                            OSL_TOOL_NAME_BYTES - 1);
        }
        if (function && names->count == OSL_TOOLS_MAX) {
            return osl_fail(error, OSL_CAPACITY, "tools: more than %d functions", OSL_TOOLS_MAX);
        }
        if (function) {
            memcpy(names->name[names->count], name.data, name.bytes);
            names->name[names->count++][name.bytes] = '\0';
        }
        index++;
    }
    return OSL_OK;
}
