/* The options, a row each; the help text prints them in this order. */
#include "options_table.h"

#define LOADS                                                                                      \
    (OSL_CMD_RUN | OSL_CMD_CHAT | OSL_CMD_PLAN | OSL_CMD_SCORE | OSL_CMD_TOKENIZE | OSL_CMD_BENCH)
#define COMPUTES (LOADS & ~(uint32_t)OSL_CMD_TOKENIZE)
#define USES_DEVICE (COMPUTES | OSL_CMD_SELFTEST)
#define TALKS (OSL_CMD_RUN | OSL_CMD_CHAT)
#define WRITES (TALKS | OSL_CMD_PLAN | OSL_CMD_BENCH)
#define CONTEXT_TOKENS_MIN 16
#define CONTEXT_TOKENS_MAX 1048576
#define PREFILL_TOKENS_MAX 4096
#define THREADS_MAX 256
#define TOP_K_MAX 262144
#define SCORE_TOP_MAX 1024 /* what ossicle_score gives at most */
#define TOOL_SECONDS_MAX 86400
#define REPETITIONS_MAX 1000
#define BENCH_TOKENS_MAX 1048576

#define FIELD(name) offsetof(struct osl_args, name)

static const char *const device_choices[] = {"auto", "cpu", "vulkan", NULL};
static const char *const tier_choices[] = {"base", "subgroup", "fp16", "dot", "matrix", NULL};
static const char *const lookup_choices[] = {"auto", "off", "on", NULL};
static const char *const kv_choices[] = {"f16", "q8", NULL};
static const char *const weights_choices[] = {"auto", "mapped", "resident", NULL};
static const char *const reasoning_choices[] = {"medium", "low", "high", NULL};
static const char *const output_choices[] = {"table", "json", "csv", "md", NULL};

const struct osl_option osl_options[] = {
    {"--help", "-h", OSL_KIND_FLAG, OSL_CMD_ALL, FIELD(help), NULL, "this text", 0, 0, NULL},
    {"--json", NULL, OSL_KIND_FLAG, OSL_CMD_ALL & ~(uint32_t)OSL_CMD_CHAT, FIELD(json), NULL,
     "output for a program", 0, 0, NULL},
    {"--model", "-m", OSL_KIND_TEXT, LOADS, FIELD(model), "FILE",
     "the model, a gpt-oss GGUF file (default: the built-in demo)", 0, 0, NULL},
    {"--device", NULL, OSL_KIND_DEVICE, USES_DEVICE, FIELD(device), "D",
     "auto (a real GPU with room, else the CPU), cpu, vulkan, or vulkan:N as `devices` counts", 0,
     0, device_choices},
    {"--vulkan-tier", NULL, OSL_KIND_CHOICE, USES_DEVICE, FIELD(tier), "TIER",
     "no shaders above it: base, subgroup, fp16, dot or matrix (default: the best that is right)",
     0, 0, tier_choices},
    {"--vulkan-validation", NULL, OSL_KIND_FLAG, COMPUTES, FIELD(validation), NULL,
     "for developers: with Vulkan's validation layer, its messages on stderr", 0, 0, NULL},
    {"--vulkan-as-card", NULL, OSL_KIND_FLAG, COMPUTES, FIELD(as_card), NULL,
     "for developers: a software device runs the shaders that a discrete GPU would", 0, 0, NULL},
    {"--context", "-c", OSL_KIND_UINT, LOADS, FIELD(context), "N",
     "tokens of context to make room for (default: the board's)", CONTEXT_TOKENS_MIN,
     CONTEXT_TOKENS_MAX, NULL},
    {"--threads", "-t", OSL_KIND_UINT, LOADS, FIELD(threads), "T",
     "threads; 0: what the machine recommends (default: the board's)", 0, THREADS_MAX, NULL},
    {"--board", NULL, OSL_KIND_TEXT, LOADS, FIELD(board), "NAME",
     "profile: auto (default), a name, or a FILE.json", 0, 0, NULL},
    {"--kv", NULL, OSL_KIND_CHOICE, LOADS, FIELD(kv), "TYPE", "cache type: f16 or q8", 0, 0,
     kv_choices},
    {"--weights", NULL, OSL_KIND_CHOICE, LOADS, FIELD(weights), "WHERE",
     "auto (mapped), mapped (page cache, starts at once) or resident (read first, never evicted)",
     0, 0,
     weights_choices},
    {"--lookup", NULL, OSL_KIND_CHOICE, WRITES, FIELD(lookup), "WHEN",
     "draft from what was said before: auto (where it pays; bench: off), on or off", 0, 0,
     lookup_choices},
    {"--budget", NULL, OSL_KIND_BYTES, LOADS, FIELD(budget_bytes), "BYTES",
     "most memory all told: 14G is 14e9, 14GiB is 14 x 2^30 (default: the board's)", 0, 0, NULL},
    {"--prefill", NULL, OSL_KIND_UINT, LOADS, FIELD(prefill), "N",
     "tokens of prompt read in one step, 1 to 4096 (default 512)", 1, PREFILL_TOKENS_MAX, NULL},
    {"--cpu-level", NULL, OSL_KIND_TEXT, LOADS, FIELD(cpu_level), "NAME",
     "CPU kernels to use instead of the best (selftest lists them)", 0, 0, NULL},
    {"--verbose", "-v", OSL_KIND_FLAG, LOADS, FIELD(verbose), NULL, "log lines on stderr", 0, 0,
     NULL},

    {"--tokens", "-n", OSL_KIND_UINT, TALKS, FIELD(tokens), "N",
     "most tokens to write, reasoning included (default: up to the context)", 1, CONTEXT_TOKENS_MAX,
     NULL},
    {"--reasoning", NULL, OSL_KIND_CHOICE, TALKS, FIELD(reasoning), "EFFORT",
     "low, medium (default) or high", 0, 0, reasoning_choices},
    {"--system", NULL, OSL_KIND_TEXT, TALKS, FIELD(system), "TEXT", "instructions to the model", 0,
     0, NULL},
    {"--identity", NULL, OSL_KIND_TEXT, TALKS, FIELD(identity), "TEXT",
     "first line of the system message", 0, 0, NULL},
    {"--date", NULL, OSL_KIND_DATE, TALKS, FIELD(date), "YYYY-MM-DD",
     "tell the model the date (default: not told)", 0, 0, NULL},
    {"--seed", "-s", OSL_KIND_UINT64, TALKS, FIELD(seed), "S",
     "same seed, same settings, same text (default: random)", 0, 0, NULL},
    {"--temperature", "--temp", OSL_KIND_REAL, TALKS, FIELD(temperature), "T",
     "0: always the best token (default: as the model's file advises, else 1)", 0, 100, NULL},
    {"--top-k", NULL, OSL_KIND_UINT, TALKS, FIELD(top_k), "K", "0: off (default)", 0, TOP_K_MAX,
     NULL},
    {"--top-p", NULL, OSL_KIND_REAL, TALKS, FIELD(top_p), "P", "1: off (default)", 0, 1, NULL},
    {"--min-p", NULL, OSL_KIND_REAL, TALKS, FIELD(min_p), "P", "0: off (default)", 0, 1, NULL},
    {"--repetition-penalty", NULL, OSL_KIND_REAL, TALKS, FIELD(repetition_penalty), "R",
     "1: off (default)", 0.01, 100, NULL},
    {"--presence-penalty", NULL, OSL_KIND_REAL, TALKS, FIELD(presence_penalty), "R",
     "0: off (default)", -100, 100, NULL},
    {"--frequency-penalty", NULL, OSL_KIND_REAL, TALKS, FIELD(frequency_penalty), "R",
     "0: off (default)", -100, 100, NULL},
    {"--penalty-tokens", NULL, OSL_KIND_UINT, TALKS, FIELD(penalty_tokens), "N",
     "how far back the penalties look; 0: the answer (default)", 0, CONTEXT_TOKENS_MAX, NULL},
    {"--logit-bias", NULL, OSL_KIND_BIAS, TALKS, FIELD(bias), "ID=B",
     "add B (-100 to 100) to a token's logit; may be repeated", -100, 100, NULL},
    {"--stop", NULL, OSL_KIND_STOP, TALKS, FIELD(stops), "TEXT",
     "end the answer before this text; may be repeated", 0, 0, NULL},
    {"--tools", NULL, OSL_KIND_TEXT, TALKS, FIELD(tools), "FILE",
     "functions that the model may call: a JSON array like \"tools\" of chat-completions", 0, 0,
     NULL},
    {"--tool", NULL, OSL_KIND_TOOL, TALKS, FIELD(tool_commands), "NAME=COMMAND",
     "answers calls of NAME: arguments on stdin, result from stdout; no shell; may be repeated", 0,
     0, NULL},
    {"--tool-seconds", NULL, OSL_KIND_UINT, TALKS, FIELD(tool_seconds), "S",
     "most time such a command may take (default 30)", 1, TOOL_SECONDS_MAX, NULL},
    {"--show-reasoning", NULL, OSL_KIND_FLAG, TALKS, FIELD(show_reasoning), NULL,
     "reasoning on stderr when stdout is no terminal", 0, 0, NULL},
    {"--hide-reasoning", NULL, OSL_KIND_FLAG, TALKS, FIELD(hide_reasoning), NULL,
     "no reasoning on the terminal either", 0, 0, NULL},
    {"--stats", NULL, OSL_KIND_FLAG, OSL_CMD_RUN, FIELD(stats), NULL,
     "tokens, times and speeds on stderr at the end", 0, 0, NULL},

    {"--ids", NULL, OSL_KIND_TEXT, OSL_CMD_SCORE, FIELD(ids_path), "FILE",
     "JSON array of arrays of token ids ('-': stdin)", 0, 0, NULL},
    {"--text", NULL, OSL_KIND_TEXT, OSL_CMD_SCORE, FIELD(text), "TEXT",
     "a text, a file that holds one, or '-' for stdin", 0, 0, NULL},
    {"--top", NULL, OSL_KIND_UINT, OSL_CMD_SCORE, FIELD(top), "K",
     "how many of the best next tokens, 1 to 1024 (default 10)", 1, SCORE_TOP_MAX, NULL},
    {"--decode", NULL, OSL_KIND_FLAG, OSL_CMD_TOKENIZE, FIELD(decode), NULL, "ids to text", 0, 0,
     NULL},
    {"--specials", NULL, OSL_KIND_FLAG, OSL_CMD_TOKENIZE | OSL_CMD_SCORE, FIELD(specials), NULL,
     "<|start|> and its like become special tokens", 0, 0, NULL},
    {"--role", NULL, OSL_KIND_TEXT, OSL_CMD_HARMONY, FIELD(role), "ROLE",
     "parse: the text begins inside a message of this role", 0, 0, NULL},
    {"--tolerant", NULL, OSL_KIND_FLAG, OSL_CMD_HARMONY, FIELD(tolerant), NULL,
     "parse: mend malformed headers instead of refusing them", 0, 0, NULL},
    {"--manifest", NULL, OSL_KIND_TEXT, OSL_CMD_VERIFY, FIELD(manifest), "F",
     "file of '<sha256>  <name>' lines to compare with", 0, 0, NULL},

    {"--n-prompt", "-p", OSL_KIND_LIST, OSL_CMD_BENCH, FIELD(prompts), "LIST",
     "prompt lengths to read (default 512); 0: none", 0, BENCH_TOKENS_MAX, NULL},
    {"--n-gen", "-n", OSL_KIND_LIST, OSL_CMD_BENCH, FIELD(generations), "LIST",
     "numbers of tokens to write (default 128); 0: none", 0, BENCH_TOKENS_MAX, NULL},
    {"--n-prompt-gen", "-pg", OSL_KIND_PAIR, OSL_CMD_BENCH, FIELD(pairs), "P,N",
     "read P, then write N, timed together; may be repeated", 0, BENCH_TOKENS_MAX, NULL},
    {"--n-depth", "-d", OSL_KIND_LIST, OSL_CMD_BENCH, FIELD(depths), "LIST",
     "tokens already in the context (default 0)", 0, BENCH_TOKENS_MAX, NULL},
    {"--repetitions", "-r", OSL_KIND_UINT, OSL_CMD_BENCH, FIELD(repetitions), "R",
     "times each test is run (default 5)", 1, REPETITIONS_MAX, NULL},
    {"--output", "-o", OSL_KIND_CHOICE, OSL_CMD_BENCH, FIELD(output), "FORMAT",
     "table (default), json or csv", 0, 0, output_choices},
    {"--no-warmup", NULL, OSL_KIND_FLAG, OSL_CMD_BENCH, FIELD(no_warmup), NULL,
     "skip the untimed first run", 0, 0, NULL},
    {"--profile", NULL, OSL_KIND_FLAG, OSL_CMD_BENCH, FIELD(profile), NULL,
     "the time of each kind of op; on a GPU the tests themselves get slower", 0, 0, NULL},
};
#define OPTION_COUNT (sizeof osl_options / sizeof osl_options[0])
_Static_assert(OPTION_COUNT <= OSL_OPTIONS_MAX, "osl_args.given is too short");
const uint32_t osl_option_count = OPTION_COUNT;
