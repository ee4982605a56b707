/* The table of options and its parser. */
#include "options.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

#define LOADS                                                                                      \
    (OSL_CMD_RUN | OSL_CMD_CHAT | OSL_CMD_PLAN | OSL_CMD_SCORE | OSL_CMD_TOKENIZE | OSL_CMD_BENCH)
#define USES_DEVICE (LOADS & ~(uint32_t)OSL_CMD_TOKENIZE)
#define TALKS (OSL_CMD_RUN | OSL_CMD_CHAT)
#define CONTEXT_TOKENS_MIN 16
#define CONTEXT_TOKENS_MAX 1048576
#define PREFILL_TOKENS_MAX 4096
#define THREADS_MAX 256
#define TOP_K_MAX 262144
#define SCORE_TOP_MAX 1024 /* what ossicle_score gives at most */
#define REPETITIONS_MAX 1000
#define BENCH_TOKENS_MAX 1048576
#define HELP_COLUMN 27

enum option_kind {
    KIND_FLAG,   /* bool */
    KIND_TEXT,   /* const char * */
    KIND_DATE,   /* the same, YYYY-MM-DD */
    KIND_UINT,   /* uint32_t, least..most */
    KIND_UINT64, /* uint64_t */
    KIND_REAL,   /* float, least..most */
    KIND_BYTES,  /* uint64_t */
    KIND_CHOICE, /* int, index into choices */
    KIND_LIST,   /* struct osl_list of least..most */
    KIND_PAIR,   /* struct osl_list, two values appended */
    KIND_STOP,   /* appended to stops */
    KIND_BIAS,   /* appended to bias */
    KIND_DEVICE, /* a choice, or vulkan:N */
};

struct option {
    const char *name;
    const char *alias; /* NULL: none */
    enum option_kind kind;
    uint32_t commands;
    size_t field;
    const char *value; /* what stands for it in the help */
    const char *help;
    double least, most;
    const char *const *choices; /* NULL-terminated */
};

#define FIELD(name) offsetof(struct osl_args, name)

static const char *const device_choices[] = {"auto", "cpu", "vulkan", NULL};
static const char *const tier_choices[] = {"base", "subgroup", "fp16", "dot", "matrix", NULL};
static const char *const kv_choices[] = {"f16", "q8", NULL};
static const char *const weights_choices[] = {"auto", "mapped", "resident", NULL};
static const char *const reasoning_choices[] = {"medium", "low", "high", NULL};
static const char *const output_choices[] = {"table", "json", "csv", "md", NULL};

static const struct option options[] = {
    {"--help", "-h", KIND_FLAG, OSL_CMD_ALL, FIELD(help), NULL, "this text", 0, 0, NULL},
    {"--json", NULL, KIND_FLAG, OSL_CMD_ALL & ~(uint32_t)OSL_CMD_CHAT, FIELD(json), NULL,
     "output for a program", 0, 0, NULL},
    {"--model", "-m", KIND_TEXT, LOADS, FIELD(model), "FILE", "the model, a gpt-oss GGUF file", 0,
     0, NULL},
    {"--device", NULL, KIND_DEVICE, USES_DEVICE, FIELD(device), "D",
     "auto (a real GPU with room, else the CPU), cpu, vulkan, or vulkan:N as `devices` counts", 0,
     0, device_choices},
    {"--vulkan-tier", NULL, KIND_CHOICE, USES_DEVICE, FIELD(tier), "TIER",
     "no shaders above it: base, subgroup, fp16, dot or matrix (default: the best that is right)",
     0, 0, tier_choices},
    {"--vulkan-validation", NULL, KIND_FLAG, USES_DEVICE, FIELD(validation), NULL,
     "for developers: with Vulkan's validation layer, its messages on stderr", 0, 0, NULL},
    {"--context", "-c", KIND_UINT, LOADS, FIELD(context), "N",
     "tokens of context to make room for (default: the board's)", CONTEXT_TOKENS_MIN,
     CONTEXT_TOKENS_MAX, NULL},
    {"--threads", "-t", KIND_UINT, LOADS, FIELD(threads), "T",
     "threads; 0: what the machine recommends (default: the board's)", 0, THREADS_MAX, NULL},
    {"--board", NULL, KIND_TEXT, LOADS, FIELD(board), "NAME",
     "profile: auto (default), a name, or a FILE.json", 0, 0, NULL},
    {"--kv", NULL, KIND_CHOICE, LOADS, FIELD(kv), "TYPE", "cache type: f16 or q8", 0, 0,
     kv_choices},
    {"--weights", NULL, KIND_CHOICE, LOADS, FIELD(weights), "WHERE",
     "auto, mapped (page cache, starts at once) or resident (read once into huge pages)", 0, 0,
     weights_choices},
    {"--budget", NULL, KIND_BYTES, LOADS, FIELD(budget_bytes), "BYTES",
     "most memory all told: 14G is 14e9, 14GiB is 14 x 2^30 (default: the board's)", 0, 0, NULL},
    {"--prefill", NULL, KIND_UINT, LOADS, FIELD(prefill), "N",
     "tokens of prompt read in one step, 1 to 4096 (default 512)", 1, PREFILL_TOKENS_MAX, NULL},
    {"--cpu-level", NULL, KIND_TEXT, LOADS, FIELD(cpu_level), "NAME",
     "CPU kernels to use instead of the best (selftest lists them)", 0, 0, NULL},
    {"--verbose", "-v", KIND_FLAG, LOADS, FIELD(verbose), NULL, "log lines on stderr", 0, 0, NULL},

    {"--tokens", "-n", KIND_UINT, TALKS, FIELD(tokens), "N",
     "most tokens to write, reasoning included (default: up to the context)", 1, CONTEXT_TOKENS_MAX,
     NULL},
    {"--reasoning", NULL, KIND_CHOICE, TALKS, FIELD(reasoning), "EFFORT",
     "low, medium (default) or high", 0, 0, reasoning_choices},
    {"--system", NULL, KIND_TEXT, TALKS, FIELD(system), "TEXT", "instructions to the model", 0, 0,
     NULL},
    {"--identity", NULL, KIND_TEXT, TALKS, FIELD(identity), "TEXT",
     "first line of the system message", 0, 0, NULL},
    {"--date", NULL, KIND_DATE, TALKS, FIELD(date), "YYYY-MM-DD",
     "tell the model the date (default: not told)", 0, 0, NULL},
    {"--seed", "-s", KIND_UINT64, TALKS, FIELD(seed), "S",
     "same seed, same settings, same text (default: random)", 0, 0, NULL},
    {"--temperature", "--temp", KIND_REAL, TALKS, FIELD(temperature), "T",
     "0: always the best token (default 1)", 0, 100, NULL},
    {"--top-k", NULL, KIND_UINT, TALKS, FIELD(top_k), "K", "0: off (default)", 0, TOP_K_MAX, NULL},
    {"--top-p", NULL, KIND_REAL, TALKS, FIELD(top_p), "P", "1: off (default)", 0, 1, NULL},
    {"--min-p", NULL, KIND_REAL, TALKS, FIELD(min_p), "P", "0: off (default)", 0, 1, NULL},
    {"--repetition-penalty", NULL, KIND_REAL, TALKS, FIELD(repetition_penalty), "R",
     "1: off (default)", 0.01, 100, NULL},
    {"--presence-penalty", NULL, KIND_REAL, TALKS, FIELD(presence_penalty), "R", "0: off (default)",
     -100, 100, NULL},
    {"--frequency-penalty", NULL, KIND_REAL, TALKS, FIELD(frequency_penalty), "R",
     "0: off (default)", -100, 100, NULL},
    {"--penalty-tokens", NULL, KIND_UINT, TALKS, FIELD(penalty_tokens), "N",
     "how far back the penalties look; 0: the answer (default)", 0, CONTEXT_TOKENS_MAX, NULL},
    {"--logit-bias", NULL, KIND_BIAS, TALKS, FIELD(bias), "ID=B",
     "add B (-100 to 100) to a token's logit; may be repeated", -100, 100, NULL},
    {"--stop", NULL, KIND_STOP, TALKS, FIELD(stops), "TEXT",
     "end the answer before this text; may be repeated", 0, 0, NULL},
    {"--show-reasoning", NULL, KIND_FLAG, TALKS, FIELD(show_reasoning), NULL,
     "reasoning on stderr when stdout is no terminal", 0, 0, NULL},
    {"--hide-reasoning", NULL, KIND_FLAG, TALKS, FIELD(hide_reasoning), NULL,
     "no reasoning on the terminal either", 0, 0, NULL},
    {"--stats", NULL, KIND_FLAG, OSL_CMD_RUN, FIELD(stats), NULL,
     "tokens, times and speeds on stderr at the end", 0, 0, NULL},

    {"--ids", NULL, KIND_TEXT, OSL_CMD_SCORE, FIELD(ids_path), "FILE",
     "JSON array of arrays of token ids ('-': stdin)", 0, 0, NULL},
    {"--text", NULL, KIND_TEXT, OSL_CMD_SCORE, FIELD(text), "TEXT",
     "a text, a file that holds one, or '-' for stdin", 0, 0, NULL},
    {"--top", NULL, KIND_UINT, OSL_CMD_SCORE, FIELD(top), "K",
     "how many of the best next tokens, 1 to 1024 (default 10)", 1, SCORE_TOP_MAX, NULL},
    {"--decode", NULL, KIND_FLAG, OSL_CMD_TOKENIZE, FIELD(decode), NULL, "ids to text", 0, 0, NULL},
    {"--specials", NULL, KIND_FLAG, OSL_CMD_TOKENIZE | OSL_CMD_SCORE, FIELD(specials), NULL,
     "<|start|> and its like become special tokens", 0, 0, NULL},
    {"--role", NULL, KIND_TEXT, OSL_CMD_HARMONY, FIELD(role), "ROLE",
     "parse: the text begins inside a message of this role", 0, 0, NULL},
    {"--tolerant", NULL, KIND_FLAG, OSL_CMD_HARMONY, FIELD(tolerant), NULL,
     "parse: mend malformed headers instead of refusing them", 0, 0, NULL},
    {"--manifest", NULL, KIND_TEXT, OSL_CMD_VERIFY, FIELD(manifest), "F",
     "file of '<sha256>  <name>' lines to compare with", 0, 0, NULL},

    {"--n-prompt", "-p", KIND_LIST, OSL_CMD_BENCH, FIELD(prompts), "LIST",
     "prompt lengths to read (default 512); 0: none", 0, BENCH_TOKENS_MAX, NULL},
    {"--n-gen", "-n", KIND_LIST, OSL_CMD_BENCH, FIELD(generations), "LIST",
     "numbers of tokens to write (default 128); 0: none", 0, BENCH_TOKENS_MAX, NULL},
    {"--n-prompt-gen", "-pg", KIND_PAIR, OSL_CMD_BENCH, FIELD(pairs), "P,N",
     "read P, then write N, timed together; may be repeated", 0, BENCH_TOKENS_MAX, NULL},
    {"--n-depth", "-d", KIND_LIST, OSL_CMD_BENCH, FIELD(depths), "LIST",
     "tokens already in the context (default 0)", 0, BENCH_TOKENS_MAX, NULL},
    {"--repetitions", "-r", KIND_UINT, OSL_CMD_BENCH, FIELD(repetitions), "R",
     "times each test is run (default 5)", 1, REPETITIONS_MAX, NULL},
    {"--output", "-o", KIND_CHOICE, OSL_CMD_BENCH, FIELD(output), "FORMAT",
     "table (default), json or csv", 0, 0, output_choices},
    {"--no-warmup", NULL, KIND_FLAG, OSL_CMD_BENCH, FIELD(no_warmup), NULL,
     "skip the untimed first run", 0, 0, NULL},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])
_Static_assert(OPTION_COUNT <= OSL_OPTIONS_MAX, "osl_args.given is too short");

static const struct option *find_option(uint32_t command, const char *name, size_t length)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
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
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(options[i].name, name) == 0 && args->given[i]) {
            return true;
        }
    }
    return false;
}

static enum ossicle_status unknown_option(uint32_t command, const char *name, size_t length,
                                          struct ossicle_error *error)
{
    const char *names[OPTION_COUNT * 2];
    uint32_t count = 0;
    char word[96];
    snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1),
             name);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((options[i].commands & command) != 0) {
            names[count++] = options[i].name;
            if (options[i].alias != NULL) {
                names[count++] = options[i].alias;
            }
        }
    }
    const char *near = osl_nearest(word, names, count);
    return osl_fault(error, OSSICLE_ARGUMENT, "unknown option '%s'%s%s%s", word,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "; --help lists them");
}

static enum ossicle_status set_number(const struct option *option, const char *value, void *field,
                                      struct ossicle_error *error)
{
    uint64_t whole = 0;
    double real = 0.0;
    bool is_real = option->kind == KIND_REAL;
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

static enum ossicle_status set_choice(const struct option *option, const char *value, void *field,
                                      struct ossicle_error *error)
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
static enum ossicle_status set_device(const struct option *option, const char *value,
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

static enum ossicle_status set_list(const struct option *option, const char *value, bool first,
                                    struct osl_list *list, struct ossicle_error *error)
{
    uint32_t before = first ? 0 : list->count; /* the first one replaces the default */
    list->count = before;
    bool parsed = osl_parse_list(value, (uint32_t)option->most, list);
    if (option->kind == KIND_PAIR && parsed && list->count != before + 2) {
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

static enum ossicle_status set_option(const struct option *option, const char *value,
                                      struct osl_args *args, struct ossicle_error *error)
{
    void *field = (char *)args + option->field;
    size_t row = (size_t)(option - options);
    bool first = !args->given[row];
    args->given[row] = true;
    switch (option->kind) {
    case KIND_FLAG: *(bool *)field = true; return OSSICLE_OK;
    case KIND_TEXT: *(const char **)field = value; return OSSICLE_OK;
    case KIND_DATE:
        *(const char **)field = value;
        return is_date(value) ? OSSICLE_OK
                              : osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is not YYYY-MM-DD",
                                          option->name, value);
    case KIND_UINT:
    case KIND_REAL: return set_number(option, value, field, error);
    case KIND_CHOICE: return set_choice(option, value, field, error);
    case KIND_LIST:
    case KIND_PAIR: return set_list(option, value, first, field, error);
    case KIND_STOP: return set_stop(value, args, error);
    case KIND_BIAS: return set_bias(value, args, error);
    case KIND_DEVICE: return set_device(option, value, args, error);
    case KIND_UINT64:
        if (!osl_parse_uint(value, UINT64_MAX, field)) {
            return osl_fault(error, OSSICLE_ARGUMENT, "%s: '%s' is no whole number", option->name,
                             value);
        }
        return OSSICLE_OK;
    case KIND_BYTES:
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
        const struct option *option = find_option(command, word, length);
        if (option == NULL) {
            return unknown_option(command, word, length, error);
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (option->kind == KIND_FLAG && value != NULL) {
            return osl_fault(error, OSSICLE_ARGUMENT, "%s takes no value", option->name);
        }
        if (option->kind != KIND_FLAG && value == NULL) {
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
    return OSSICLE_OK;
}

void osl_options_help(uint32_t command)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
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
