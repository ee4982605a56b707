/* The parser of options, and the help made from their table. */
#include "options_table.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

#define HELP_COLUMN 27

static const struct osl_option *find_option(uint32_t command, const char *name, size_t length)
{
    for (size_t i = 0; i < osl_option_count; i++) {
        const struct osl_option *option = &osl_options[i];
        bool named = strncmp(option->name, name, length) == 0 && option->name[length] == '\0';
        bool aliased = option->alias != NULL && strncmp(option->alias, name, length) == 0 &&
                       option->alias[length] == '\0';
        if ((option->commands & command) != 0 && (named || aliased)) {
            return option;
        }
    }
    return NULL;
}

bool osl_option_given(const struct osl_args *args, const char *name)
{
    for (size_t i = 0; i < osl_option_count; i++) {
        if (strcmp(osl_options[i].name, name) == 0 && args->given[i]) {
            return true;
        }
    }
    return false;
}

static enum ossicle_status unknown_option(uint32_t command, const char *name, size_t length,
                                          struct ossicle_error *error)
{
    const char *names[OSL_OPTIONS_MAX * 2];
    uint32_t count = 0;
    char word[96];
    snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1),
             name);
    for (size_t i = 0; i < osl_option_count; i++) {
        if ((osl_options[i].commands & command) != 0) {
            names[count++] = osl_options[i].name;
            if (osl_options[i].alias != NULL) {
                names[count++] = osl_options[i].alias;
            }
        }
    }
    const char *near = osl_nearest(word, names, count);
    return osl_fault(error, OSSICLE_ARGUMENT, "unknown option '%s'%s%s%s", word,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "; --help lists them");
}

static enum ossicle_status set_number(const struct osl_option *option, const char *value,
                                      void *field, struct ossicle_error *error)
{
    uint64_t whole = 0;
    double real = 0.0;
    bool is_real = option->kind == OSL_KIND_REAL;
    if (is_real) {
        char *end;
        real = strtod(value, &end);
        if (end == value || *end != '\0' || !isfinite(real) || strpbrk(value, "xX ") != NULL) {
            return osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is no number; give %g to %g",
                             option->name, value, option->least, option->most);
        }
    } else if (!osl_parse_uint(value, UINT64_MAX, &whole)) {
        return osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is no whole number; give %.0f to %.0f",
                         option->name, value, option->least, option->most);
    } else {
        real = (double)whole;
    }
    if (real < option->least || real > option->most) {
        return osl_fault(error, OSSICLE_ARGUMENT,
                         "%s: %s is out of range; the nearest valid value is %g", option->name,
                         value, real < option->least ? option->least : option->most);
    }
    if (is_real) {
        float narrow = (float)real;
        memcpy(field, &narrow, sizeof narrow);
    } else {
        uint32_t narrow = (uint32_t)whole;
        memcpy(field, &narrow, sizeof narrow);
    }
    return OSSICLE_OK;
}

static enum ossicle_status set_choice(const struct osl_option *option, const char *value,
                                      void *field, struct ossicle_error *error)
{
    uint32_t count = 0;
    for (; option->choices[count] != NULL; count++) {
        if (strcmp(option->choices[count], value) == 0) {
            int choice = (int)count;
            memcpy(field, &choice, sizeof choice);
            return OSSICLE_OK;
        }
    }
    const char *near = osl_nearest(value, option->choices, count);
    char all[128] = "";
    for (uint32_t i = 0; i < count; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", option->choices[i]);
    }
    return osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is none of %s%s%s%s", option->name, value,
                     all, near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
}

/* vulkan:N, or one of the choices. */
static enum ossicle_status set_device(const struct osl_option *option, const char *value,
                                      struct osl_args *args, struct ossicle_error *error)
{
    static const char numbered[] = "vulkan:";
    uint64_t index = 0;
    args->device_index = -1;
    if (strncmp(value, numbered, sizeof numbered - 1) != 0) {
        return set_choice(option, value, &args->device, error);
    }
    if (!osl_parse_uint(value + sizeof numbered - 1, OSSICLE_DEVICES_MAX - 1, &index)) {
        return osl_fault(error, OSSICLE_ARGUMENT,
                         "%s: '%s' is not vulkan:N with N of 0 to %d; `ossicle devices` lists them",
                         option->name, value, OSSICLE_DEVICES_MAX - 1);
    }
    args->device = OSL_DEVICE_CHOICE_VULKAN;
    args->device_index = (int32_t)index;
    return OSSICLE_OK;
}

static enum ossicle_status set_bias(const char *value, struct osl_args *args,
                                    struct ossicle_error *error)
{
    char id[16];
    uint64_t token = 0;
    char *end = NULL;
    const char *equals = strchr(value, '=');
    size_t length = equals != NULL ? (size_t)(equals - value) : sizeof id;
    double bias = equals != NULL ? strtod(equals + 1, &end) : 0.0;
    if (length < sizeof id) {
        memcpy(id, value, length);
        id[length] = '\0';
    }
    if (length >= sizeof id || !osl_parse_uint(id, INT32_MAX, &token) || end == equals + 1 ||
        *end != '\0' || !(bias >= -100.0 && bias <= 100.0)) {
        return osl_fault(error, OSSICLE_ARGUMENT,
                         "--logit-bias: '%s' is not ID=BIAS with a bias of -100 to 100", value);
    }
    if (args->bias_count == OSSICLE_BIAS_MAX) {
        return osl_fault(error, OSSICLE_ARGUMENT, "--logit-bias: at most %d of them",
                         OSSICLE_BIAS_MAX);
    }
    args->bias[args->bias_count++] =
        (struct ossicle_bias){.token = (int32_t)token, .bias = (float)bias};
    return OSSICLE_OK;
}

static enum ossicle_status set_stop(const char *value, struct osl_args *args,
                                    struct ossicle_error *error)
{
    size_t length = strlen(value);
    if (length == 0 || length > OSSICLE_STOP_BYTES_MAX) {
        return osl_fault(error, OSSICLE_ARGUMENT, "--stop: a text of 1 to %d bytes",
                         OSSICLE_STOP_BYTES_MAX);
    }
    if (args->stop_count == OSSICLE_STOPS_MAX) {
        return osl_fault(error, OSSICLE_ARGUMENT, "--stop: at most %d of them", OSSICLE_STOPS_MAX);
    }
    args->stops[args->stop_count++] = value;
    return OSSICLE_OK;
}

static bool is_date(const char *text)
{
    static const char pattern[] = "dddd-dd-dd";
    if (strlen(text) != strlen(pattern)) {
        return false;
    }
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        if (pattern[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != '-') {
            return false;
        }
    }
    return true;
}

static enum ossicle_status set_list(const struct osl_option *option, const char *value, bool first,
                                    struct osl_list *list, struct ossicle_error *error)
{
    uint32_t before = first ? 0 : list->count; /* the first one replaces the default */
    list->count = before;
    bool parsed = osl_parse_list(value, (uint32_t)option->most, list);
    if (option->kind == OSL_KIND_PAIR && parsed && list->count != before + 2) {
        return osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is not P,N", option->name, value);
    }
    if (!parsed) {
        return osl_fault(error, OSSICLE_ARGUMENT,
                         "%s: '%s' is no list like 512, 128,256, 16-64+16 or 16-128*2 of at most "
                         "%d numbers up to %.0f",
                         option->name, value, OSL_LIST_MAX, option->most);
    }
    return OSSICLE_OK;
}

/* NAME=COMMAND, the command run only when the model calls NAME. */
static enum ossicle_status set_tool(const char *value, struct osl_args *args,
                                    struct ossicle_error *error)
{
    size_t name = strcspn(value, "=");
    const char *command = value[name] == '=' ? value + name + 1 : "";
    if (name == 0 || command[strspn(command, " ")] == '\0') {
        return osl_fault(error, OSSICLE_ARGUMENT,
                         "--tool: '%.80s' is not NAME=COMMAND, such as get_time=date", value);
    }
    if (args->tool_count == OSL_TOOL_COMMANDS_MAX) {
        return osl_fault(error, OSSICLE_ARGUMENT, "--tool: at most %d", OSL_TOOL_COMMANDS_MAX);
    }
    args->tool_commands[args->tool_count++] = value;
    return OSSICLE_OK;
}

static enum ossicle_status set_option(const struct osl_option *option, const char *value,
                                      struct osl_args *args, struct ossicle_error *error)
{
    void *field = (char *)args + option->field;
    size_t row = (size_t)(option - osl_options);
    bool first = !args->given[row];
    args->given[row] = true;
    switch (option->kind) {
    case OSL_KIND_FLAG: *(bool *)field = true; return OSSICLE_OK;
    case OSL_KIND_TEXT: *(const char **)field = value; return OSSICLE_OK;
    case OSL_KIND_DATE:
        *(const char **)field = value;
        return is_date(value) ? OSSICLE_OK
                              : osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is not YYYY-MM-DD",
                                          option->name, value);
    case OSL_KIND_UINT:
    case OSL_KIND_REAL: return set_number(option, value, field, error);
    case OSL_KIND_CHOICE: return set_choice(option, value, field, error);
    case OSL_KIND_LIST:
    case OSL_KIND_PAIR: return set_list(option, value, first, field, error);
    case OSL_KIND_STOP: return set_stop(value, args, error);
    case OSL_KIND_BIAS: return set_bias(value, args, error);
    case OSL_KIND_TOOL: return set_tool(value, args, error);
    case OSL_KIND_DEVICE: return set_device(option, value, args, error);
    case OSL_KIND_UINT64:
        if (!osl_parse_uint(value, UINT64_MAX, field)) {
            return osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is no whole number", option->name,
                             value);
        }
        return OSSICLE_OK;
    case OSL_KIND_BYTES:
        if (!osl_parse_bytes(value, field) || *(uint64_t *)field == 0) {
            return osl_fault(error, OSSICLE_ARGUMENT,
                             "%s: '%s' is no size like 1.5G, 900M, 14GiB or 2000000000",
                             option->name, value);
        }
        return OSSICLE_OK;
    }
    return OSSICLE_OK;
}

static void set_defaults(struct osl_args *args)
{
    memset(args, 0, sizeof *args);
    args->top = 10;
    args->device_index = -1;
    args->repetitions = 5;
    args->prompts = (struct osl_list){.values = {512}, .count = 1};
    args->generations = (struct osl_list){.values = {128}, .count = 1};
    args->depths = (struct osl_list){.values = {0}, .count = 1};
}

/* What is only for a Vulkan device, on a line that rules it out. */
static enum ossicle_status check_device(const struct osl_args *args, struct ossicle_error *error)
{
    static const char *const names[] = {"--vulkan-tier", "--vulkan-validation", "--vulkan-as-card"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (args->device == OSL_DEVICE_CHOICE_CPU && osl_option_given(args, names[i])) {
            return osl_fault(error, OSSICLE_ARGUMENT,
                             "%s is for a Vulkan device, and --device cpu rules it out; leave one "
                             "of them out",
                             names[i]);
        }
    }
    return OSSICLE_OK;
}

enum ossicle_status osl_options_parse(uint32_t command, uint32_t positionals_max, int count,
                                      char *const *argv, struct osl_args *args,
                                      struct ossicle_error *error)
{
    bool options_over = false;
    set_defaults(args);
    for (int i = 0; i < count; i++) {
        const char *word = argv[i];
        if (options_over || word[0] != '-' || word[1] == '\0') {
            if (args->positional_count == positionals_max) {
                return osl_fault(error, OSSICLE_ARGUMENT, "surplus argument '%s'", word);
            }
            args->positionals[args->positional_count++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            options_over = true;
            continue;
        }
        const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
        size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
        const struct osl_option *option = find_option(command, word, length);
        if (option == NULL) {
            return unknown_option(command, word, length, error);
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (option->kind == OSL_KIND_FLAG && value != NULL) {
            return osl_fault(error, OSSICLE_ARGUMENT, "%s takes no value", option->name);
        }
        if (option->kind != OSL_KIND_FLAG && value == NULL) {
            if (i + 1 == count) {
                return osl_fault(error, OSSICLE_ARGUMENT, "%s needs a value: %s %s", word, word,
                                 option->value);
            }
            value = argv[++i];
        }
        enum ossicle_status status = set_option(option, value, args, error);
        if (status != OSSICLE_OK || args->help) {
            return status;
        }
    }
    return check_device(args, error);
}

void osl_options_help(uint32_t command)
{
    for (size_t i = 0; i < osl_option_count; i++) {
        const struct osl_option *option = &osl_options[i];
        if ((option->commands & command) == 0) {
            continue;
        }
        char left[64];
        snprintf(left, sizeof left, "%s%s%s%s%s", option->alias != NULL ? option->alias : "",
                 option->alias != NULL ? ", " : "", option->name, option->value != NULL ? " " : "",
                 option->value != NULL ? option->value : "");
        int column = (int)strlen(left) > HELP_COLUMN ? 0 : HELP_COLUMN;
        osl_out_format("  %-*s%s", column, left, column == 0 ? "\n" : "");
        osl_out_format("%*s %s\n", column == 0 ? HELP_COLUMN + 2 : 0, "", option->help);
    }
}
