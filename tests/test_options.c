/* The command line's options: values, ranges, near misses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boards/host/options.h"

#define WORDS_MAX 80

static struct osl_args args;
static struct ossicle_error error;

/* Parses a line of words parted by single blanks. */
static enum ossicle_status parse(uint32_t command, uint32_t positionals_max, const char *line)
{
    static char copy[512];
    char *words[WORDS_MAX];
    int count = 0;
    char *rest = NULL;
    strcpy(copy, line);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    memset(&error, 0, sizeof error);
    return osl_options_parse(command, positionals_max, count, words, &args, &error);
}

static void assert_refused(uint32_t command, const char *line, const char *text)
{
    assert_int_equal(parse(command, 1, line), OSSICLE_ARGUMENT);
    if (strstr(error.text, text) == NULL) {
        fail_msg("'%s' gave '%s', without '%s'", line, error.text, text);
    }
}

static void options_take_both_spellings(void **state)
{
    (void)state;
    assert_int_equal(parse(OSL_CMD_RUN, 2, "-m a.gguf --context=77 hello -t 3 --temp 0.5 -- -n"),
                     OSSICLE_OK);
    assert_string_equal(args.model, "a.gguf");
    assert_int_equal(args.context, 77);
    assert_int_equal(args.threads, 3);
    assert_true(args.temperature == 0.5f);
    assert_int_equal(args.positional_count, 2);
    assert_string_equal(args.positionals[0], "hello");
    assert_string_equal(args.positionals[1], "-n");
    assert_true(osl_option_given(&args, "--temperature"));
    assert_false(osl_option_given(&args, "--seed"));
}

static void options_hold_every_kind(void **state)
{
    (void)state;
    assert_int_equal(parse(OSL_CMD_RUN, 1,
                           "--budget 1.5G --kv q8 --seed 18446744073709551615 --stop a --stop bb"
                           " --logit-bias 7=-100 --reasoning high -"),
                     OSSICLE_OK);
    assert_true(args.budget_bytes == 1500000000u);
    assert_int_equal(args.kv, 1);
    assert_true(args.seed == UINT64_MAX);
    assert_int_equal(args.stop_count, 2);
    assert_string_equal(args.stops[1], "bb");
    assert_int_equal(args.bias_count, 1);
    assert_int_equal(args.bias[0].token, 7);
    assert_true(args.bias[0].bias == -100.0f);
    assert_int_equal(args.reasoning, OSSICLE_REASONING_HIGH);
    assert_string_equal(args.positionals[0], "-");
}

static void options_tools_are_named_and_bounded(void **state)
{
    (void)state;
    assert_int_equal(parse(OSL_CMD_CHAT, 0, "--tools a.json --tool a=b=c --tool x=./y"),
                     OSSICLE_OK);
    assert_string_equal(args.tools, "a.json");
    assert_int_equal(args.tool_count, 2);
    assert_string_equal(args.tool_commands[0], "a=b=c");
    assert_string_equal(args.tool_commands[1], "x=./y");
    assert_refused(OSL_CMD_RUN, "--tool date", "not NAME=COMMAND");
    assert_refused(OSL_CMD_RUN, "--tool =date", "not NAME=COMMAND");
    assert_refused(OSL_CMD_RUN, "--tool get_time=", "not NAME=COMMAND");
    assert_refused(OSL_CMD_RUN, "--tool-seconds 0", "nearest valid value is 1");
    assert_refused(OSL_CMD_PLAN, "--tools a.json", "unknown option");
    char many[(OSL_TOOL_COMMANDS_MAX + 1) * sizeof "--tool a=b"] = "";
    for (int i = 0; i < OSL_TOOL_COMMANDS_MAX; i++) {
        strcat(many, "--tool a=b ");
    }
    assert_int_equal(parse(OSL_CMD_RUN, 0, many), OSSICLE_OK);
    assert_int_equal(args.tool_count, OSL_TOOL_COMMANDS_MAX);
    assert_refused(OSL_CMD_RUN, strcat(many, "--tool a=b"), "at most 32");
}

static void options_refuse_and_name_the_nearest(void **state)
{
    (void)state;
    assert_refused(OSL_CMD_RUN, "--contxt 5", "did you mean --context?");
    assert_refused(OSL_CMD_RUN, "--temprature=1", "did you mean --temperature?");
    assert_refused(OSL_CMD_RUN, "--xyzzyxyzzy", "unknown option '--xyzzyxyzzy'; --help");
    assert_refused(OSL_CMD_RUN, "--top-p 1.5",
                   "--top-p: 1.5 is out of range; the nearest valid "
                   "value is 1");
    assert_refused(OSL_CMD_RUN, "--context 0", "nearest valid value is 16");
    assert_refused(OSL_CMD_RUN, "--device gpu", "'gpu' is none of auto, cpu, vulkan");
    assert_refused(OSL_CMD_RUN, "--weights residnt", "did you mean resident?");
    assert_refused(OSL_CMD_RUN, "-n", "-n needs a value: -n N");
    assert_refused(OSL_CMD_RUN, "--context 12x", "'12x' is no whole number");
    assert_refused(OSL_CMD_RUN, "--context -5", "'-5' is no whole number");
    assert_refused(OSL_CMD_RUN, "--context 4294967297", "out of range");
    assert_refused(OSL_CMD_RUN, "--temperature nan", "is no number");
    assert_refused(OSL_CMD_RUN, "--temperature 1e", "is no number");
    assert_refused(OSL_CMD_RUN, "--budget 5X", "is no size");
    assert_refused(OSL_CMD_RUN, "--json=1", "--json takes no value");
    assert_refused(OSL_CMD_RUN, "--logit-bias 7=101", "ID=BIAS");
    assert_refused(OSL_CMD_RUN, "--logit-bias 7", "ID=BIAS");
    assert_refused(OSL_CMD_RUN, "one two", "surplus argument 'two'");
    assert_refused(OSL_CMD_RUN, "--device cpu --vulkan-tier base", "--device cpu rules it out");
    assert_refused(OSL_CMD_RUN, "--device vulkan:16", "N of 0 to 15");
    assert_refused(OSL_CMD_DEVICES, "--device cpu", "unknown option '--device'");
    assert_refused(OSL_CMD_VERSION, "-m x", "unknown option '-m'");
    assert_refused(OSL_CMD_BENCH, "-pg 5", "not P,N");
    assert_refused(OSL_CMD_BENCH, "-p 5,", "no list");
}

static void options_bench_lists_replace_then_add(void **state)
{
    (void)state;
    assert_int_equal(parse(OSL_CMD_BENCH, 0, "-p 512,1024 -p 7 -n 16-64+16 -d 8-64*2 -pg 5,6"),
                     OSSICLE_OK);
    assert_int_equal(args.prompts.count, 3);
    assert_int_equal(args.prompts.values[0], 512);
    assert_int_equal(args.prompts.values[2], 7);
    assert_int_equal(args.generations.count, 4);
    assert_int_equal(args.generations.values[3], 64);
    assert_int_equal(args.depths.count, 4);
    assert_int_equal(args.depths.values[1], 16);
    assert_int_equal(args.pairs.count, 2);
}

static void options_lists_are_bounded(void **state)
{
    struct osl_list list = {.count = 0};
    (void)state;
    assert_false(osl_parse_list("1-65", 1000, &list));
    list.count = 0;
    assert_true(osl_parse_list("1-64", 1000, &list));
    list.count = 0;
    assert_false(osl_parse_list("0-8*2", 1000, &list));
    assert_false(osl_parse_list("8-1", 1000, &list));
    assert_false(osl_parse_list("1001", 1000, &list));
    assert_false(osl_parse_list("", 1000, &list));
}

static void options_sizes_are_decimal_or_binary(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"0", 0},           {"17", 17},
        {"17B", 17},        {"2K", 2000},
        {"2KiB", 2048},     {"2Ki", 2048},
        {"3MB", 3000000},   {"1.5g", 1500000000u},
        {"1GiB", 1u << 30}, {"0.5T", 500000000000u},
    };
    uint64_t bytes;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(osl_parse_bytes(rows[i].text, &bytes));
        assert_true(bytes == rows[i].bytes);
    }
    static const char *const bad[] = {"",    "G",    "-1",  "1e9",      "0x10", "1 G",
                                      "1GG", "1KBi", "nan", "9999999T", "1.2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (osl_parse_bytes(bad[i], &bytes)) {
            fail_msg("'%s' was taken for a size", bad[i]);
        }
    }
}

static void options_whole_numbers_do_not_overflow(void **state)
{
    uint64_t value;
    (void)state;
    assert_true(osl_parse_uint("18446744073709551615", UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    assert_false(osl_parse_uint("18446744073709551616", UINT64_MAX, &value));
    assert_false(osl_parse_uint("99999999999999999999999", UINT64_MAX, &value));
    assert_true(osl_parse_uint("5", 5, &value));
    assert_false(osl_parse_uint("6", 5, &value));
    assert_false(osl_parse_uint("+5", 5, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_take_both_spellings),
        cmocka_unit_test(options_hold_every_kind),
        cmocka_unit_test(options_tools_are_named_and_bounded),
        cmocka_unit_test(options_refuse_and_name_the_nearest),
        cmocka_unit_test(options_bench_lists_replace_then_add),
        cmocka_unit_test(options_lists_are_bounded),
        cmocka_unit_test(options_sizes_are_decimal_or_binary),
        cmocka_unit_test(options_whole_numbers_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
