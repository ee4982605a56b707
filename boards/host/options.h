/* The options of all commands: one table, one parser, one help text made from both.
 *
 * Strict: an unknown option, a missing or impossible value and a surplus argument are errors that
 * name the option and what would be right. `--name value` and `--name=value` both work; `--`
 * ends the options. */
#ifndef OSL_HOST_OPTIONS_H
#define OSL_HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/ossicle.h"

/* One bit a command, to say which options it takes. */
enum osl_command_bit {
    OSL_CMD_RUN = 1u << 0,
    OSL_CMD_CHAT = 1u << 1,
    OSL_CMD_PLAN = 1u << 2,
    OSL_CMD_SCORE = 1u << 3,
    OSL_CMD_TOKENIZE = 1u << 4,
    OSL_CMD_HARMONY = 1u << 5,
    OSL_CMD_BENCH = 1u << 6,
    OSL_CMD_INSPECT = 1u << 7,
    OSL_CMD_VERIFY = 1u << 8,
    OSL_CMD_SELFTEST = 1u << 9,
    OSL_CMD_VERSION = 1u << 10,
    OSL_CMD_DEVICES = 1u << 11,
};
#define OSL_CMD_ALL 0xfffu

#define OSL_POSITIONALS_MAX 256
#define OSL_LIST_MAX 64
#define OSL_OPTIONS_MAX 72
#define OSL_TOOL_COMMANDS_MAX 32

struct osl_list {
    uint32_t values[OSL_LIST_MAX];
    uint32_t count;
};

enum osl_device_choice { OSL_DEVICE_CHOICE_AUTO, OSL_DEVICE_CHOICE_CPU, OSL_DEVICE_CHOICE_VULKAN };
enum osl_output_choice { OSL_OUTPUT_TABLE, OSL_OUTPUT_JSON, OSL_OUTPUT_CSV };

/* What was given. Sampling and loading fields count only if their option is on the line
 * (osl_option_given): their defaults are the library's and the board's. */
struct osl_args {
    const char *positionals[OSL_POSITIONALS_MAX];
    uint32_t positional_count;
    bool given[OSL_OPTIONS_MAX]; /* by row of the table: see osl_option_given */
    bool help, json, verbose;
    /* loading a model */
    const char *model, *board, *cpu_level;
    uint32_t context, threads, prefill;
    int device, kv, weights, tier, lookup; /* choices; all but device only when given */
    int32_t device_index;          /* -1: not given */
    bool validation, as_card, profile;
    uint64_t budget_bytes;
    /* run and chat */
    uint32_t tokens, top_k, penalty_tokens;
    uint64_t seed;
    float temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
    int reasoning; /* enum ossicle_reasoning */
    const char *system, *identity, *date;
    const char *stops[OSSICLE_STOPS_MAX];
    uint32_t stop_count;
    struct ossicle_bias bias[OSSICLE_BIAS_MAX];
    uint32_t bias_count;
    const char *tools;                               /* a file */
    const char *tool_commands[OSL_TOOL_COMMANDS_MAX]; /* NAME=COMMAND */
    uint32_t tool_count, tool_seconds;
    bool show_reasoning, hide_reasoning, stats;
    /* score, tokenize, harmony, verify */
    const char *ids_path, *text, *role, *manifest;
    uint32_t top;
    bool decode, specials, tolerant;
    /* bench */
    struct osl_list prompts, generations, depths, pairs; /* pairs: p, n, p, n ... */
    uint32_t repetitions;
    int output; /* enum osl_output_choice */
    bool no_warmup;
};

/* Reads argv[0..count) (after the command's name). positionals_max: how many arguments that are
 * no options the command takes. ARGUMENT with a line in *error on the first thing wrong. With
 * --help seen, args->help is set and the rest is not looked at. */
OSSICLE_MUST_USE enum ossicle_status osl_options_parse(uint32_t command, uint32_t positionals_max,
                                                       int count, char *const *argv,
                                                       struct osl_args *args,
                                                       struct ossicle_error *error);

/* Was the option `name` ("--seed") on the line? A name not in the table is our own bug. */
bool osl_option_given(const struct osl_args *args, const char *name);

/* Prints the options of a command to stdout, a line each, for --help. */
void osl_options_help(uint32_t command);

/* Whole text to a number, nothing around it. BYTES: 1.5G = 1.5e9; K, M, G, T are decimal, KiB, Ki
 * and so on are powers of 1024. False when it is no such number or too large. */
bool osl_parse_uint(const char *text, uint64_t max, uint64_t *out);
bool osl_parse_bytes(const char *text, uint64_t *out);
/* "512,1024", "1-5", "16-64+16", "16-128*2", any mix; appended to list. */
bool osl_parse_list(const char *text, uint32_t max, struct osl_list *list);

/* The candidate closest to text by edit distance, NULL if none is near. */
const char *osl_nearest(const char *text, const char *const *candidates, uint32_t count);

/* Fills *error; returns status. */
enum ossicle_status osl_fault(struct ossicle_error *error, enum ossicle_status status,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
