/* ossicle bench: prompt and generation speed, as llama-bench measures them.
 *
 * For each depth: every -p, then every -n, then every -pg. A test is run once untimed (a warm-up)
 * and then -r times. What is in the context before (the depth) is read once, remembered by a mark
 * and gone back to before each repetition, so only the test itself is timed. Generation is timed
 * from its first token to its last: `generated` steps lie between. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "commands.h"
#include "out.h"
#include "term.h"

#define READS 6 /* at a time, and as many before any counts: the first may fault */
#define PEAK_REPEATS 3
/* A test that only generates starts from one token and writes one more than it times; two places
 * stay free for the end of a message. */
#define CONTEXT_SPARE_TOKENS 8
#define FIRST_PROMPT_TOKENS 64 /* about a question of one line with Harmony's preamble */
#define CONTEXT_LEAST_TOKENS (FIRST_PROMPT_TOKENS + CONTEXT_SPARE_TOKENS)
#define TESTS_MAX (OSL_LIST_MAX * 3)
#define LCG_FACTOR 6364136223846793005ull /* Knuth, MMIX */
#define LCG_STEP 1442695040888963407ull

struct bench {
    struct osl_host_engine engine;
    int32_t *ids; /* random tokens, as many as the longest test reads */
    uint64_t ids_bytes;
    uint32_t ids_count;
    uint32_t base; /* mark of the empty context */
    struct osl_bench_start start;
    struct osl_bench_row row;
};

struct test {
    uint32_t prompt, generated;
};

/* All tests of one depth, in llama-bench's order; 0 means none. */
static uint32_t list_tests(const struct osl_args *args, struct test tests[TESTS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < args->prompts.count; i++) {
        tests[count] = (struct test){.prompt = args->prompts.values[i]};
        count += args->prompts.values[i] > 0;
    }
    for (uint32_t i = 0; i < args->generations.count; i++) {
        tests[count] = (struct test){.generated = args->generations.values[i]};
        count += args->generations.values[i] > 0;
    }
    for (uint32_t i = 0; i + 1 < args->pairs.count; i += 2) {
        tests[count] =
            (struct test){.prompt = args->pairs.values[i], .generated = args->pairs.values[i + 1]};
        count += tests[count].prompt > 0 || tests[count].generated > 0;
    }
    return count;
}

/* Begins raw generation and steps until the prompt is read; then ends it. */
static enum ossicle_status read_only(ossicle *engine, uint64_t *end_ns_out)
{
    struct ossicle_sampling sampling;
    struct ossicle_event event = {.kind = OSSICLE_EVENT_PREFILL};
    ossicle_sampling_init(&sampling);
    sampling.raw = true;
    sampling.temperature = 0.0f;
    sampling.max_tokens = 1;
    enum ossicle_status status = ossicle_begin(engine, &sampling);
    bool reading = true;
    while (status == OSSICLE_OK && reading) {
        status = ossicle_step(engine, &event);
        reading = status == OSSICLE_OK && event.kind == OSSICLE_EVENT_PREFILL &&
                  event.prefill_done < event.prefill_total;
    }
    *end_ns_out = osl_now_ns();
    if (status == OSSICLE_OK && event.kind == OSSICLE_EVENT_PREFILL) {
        ossicle_cancel(engine);
    }
    while (status == OSSICLE_OK && event.kind != OSSICLE_EVENT_DONE) {
        status = event.kind == OSSICLE_EVENT_FAULT ? event.status : ossicle_step(engine, &event);
    }
    return status;
}

/* Generates `generated` tokens after the first; times from the start given, or if that is 0 from
 * the first token. */
static enum ossicle_status generate(ossicle *engine, uint32_t generated, uint64_t start_ns,
                                    uint64_t *took_ns_out)
{
    struct ossicle_sampling sampling;
    struct ossicle_event event;
    uint32_t written = 0;
    ossicle_sampling_init(&sampling);
    sampling.raw = true;
    sampling.temperature = 0.0f;
    sampling.max_tokens = generated + 1;
    enum ossicle_status status = ossicle_begin(engine, &sampling);
    for (;;) {
        status = status == OSSICLE_OK ? ossicle_step(engine, &event) : status;
        if (status != OSSICLE_OK) {
            return status;
        }
        if (event.kind == OSSICLE_EVENT_FAULT) {
            return event.status;
        }
        if (event.kind == OSSICLE_EVENT_TEXT && event.token >= 0) {
            written++;
            start_ns = written == 1 && start_ns == 0 ? osl_now_ns() : start_ns;
            *took_ns_out = osl_now_ns() - start_ns;
        }
        if (event.kind == OSSICLE_EVENT_DONE) {
            return event.reason == OSSICLE_DONE_CANCELLED ? OSSICLE_ABORTED : OSSICLE_OK;
        }
    }
}

/* One repetition from the mark. */
static enum ossicle_status run_once(struct bench *bench, const struct test *test, uint32_t mark,
                                    uint64_t *took_ns_out)
{
    ossicle *engine = bench->engine.engine;
    uint64_t end_ns = 0;
    enum ossicle_status status = ossicle_rewind(engine, mark);
    if (status == OSSICLE_OK) {
        uint32_t count = test->prompt > 0 ? test->prompt : 1;
        status = ossicle_say_tokens(engine, bench->ids, count);
    }
    if (status != OSSICLE_OK) {
        return status;
    }
    uint64_t start_ns = osl_now_ns();
    if (test->generated == 0) {
        status = read_only(engine, &end_ns);
        *took_ns_out = end_ns - start_ns;
        return status;
    }
    return generate(engine, test->generated, test->prompt > 0 ? start_ns : 0, took_ns_out);
}

/* The yardsticks, in the same seconds as the test: before it, between repetitions and after. On a
 * shared machine what neighbours leave changes by the millisecond: the best read is what can be had
 * for a moment, the middle one what can be had for as long as a test takes. */
static void measure_machine(struct bench *bench)
{
    struct osl_bench_row *row = &bench->row;
    struct ossicle_peak found[OSL_BENCH_PEAKS_MAX];
    for (uint32_t i = 0; i < READS; i++) {
        double read = ossicle_bandwidth(bench->engine.engine, 1);
        row->bandwidth = read > row->bandwidth ? read : row->bandwidth;
        row->reads[row->read_count % OSL_BENCH_READS_MAX] = read;
        row->read_count++;
    }
    if (row->prompt > 0) {
        row->peak_count =
            ossicle_peaks(bench->engine.engine, PEAK_REPEATS, found, OSL_BENCH_PEAKS_MAX);
        for (uint32_t i = 0; i < row->peak_count; i++) {
            double before = row->peaks[i].operations_per_second;
            row->peaks[i] = found[i];
            if (before > found[i].operations_per_second) {
                row->peaks[i].operations_per_second = before;
            }
        }
    }
}

/* Forgets what came before the test: what steps did, and the peaks. */
static void forget_counts(struct bench *bench)
{
    ossicle *engine = bench->engine.engine;
    struct osl_bench_row *row = &bench->row;
    (void)ossicle_times(engine, true, row->prefill.ops, OSL_BENCH_TIMES_MAX);
    (void)ossicle_times(engine, false, row->decode.ops, OSL_BENCH_TIMES_MAX);
    (void)ossicle_peaks(engine, 0, row->peaks, OSL_BENCH_PEAKS_MAX);
}

/* What a test is about: reading for a prompt, writing for what is generated. */
static void take_counts(struct bench *bench)
{
    ossicle *engine = bench->engine.engine;
    struct osl_bench_row *row = &bench->row;
    struct ossicle_stats stats;
    ossicle_stats(engine, &stats);
    if (row->prompt > 0) {
        row->prefill.count = ossicle_times(engine, true, row->prefill.ops, OSL_BENCH_TIMES_MAX);
    }
    if (row->generated > 0) {
        row->decode.count = ossicle_times(engine, false, row->decode.ops, OSL_BENCH_TIMES_MAX);
        row->weight_bytes = stats.weight_bytes_last_step;
    }
}

static enum ossicle_status run_test(struct bench *bench, const struct osl_args *args,
                                    const struct test *test, uint32_t depth, uint32_t mark)
{
    struct osl_bench_row *row = &bench->row;
    time_t now = time(NULL);
    struct tm calendar;
    uint64_t took_ns = 0;
    enum ossicle_status status = OSSICLE_OK;
    memset(row, 0, sizeof *row);
    row->start = bench->start;
    row->prompt = test->prompt;
    row->generated = test->generated;
    row->depth = depth;
    row->profiled = args->profile;
    strftime(row->time, sizeof row->time, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &calendar));
    if (!args->no_warmup) {
        struct test warm = {.prompt = test->prompt, .generated = test->generated > 0};
        status = run_once(bench, &warm, mark, &took_ns);
    }
    forget_counts(bench);
    (void)ossicle_bandwidth(bench->engine.engine, READS);
    measure_machine(bench);
    for (uint32_t i = 0; status == OSSICLE_OK && i < args->repetitions; i++) {
        osl_progress("measuring", i, args->repetitions);
        status = run_once(bench, test, mark, &took_ns);
        row->samples_ns[row->count++] = took_ns > 0 ? took_ns : 1;
        measure_machine(bench);
        if (osl_signal_caught() != 0) {
            status = OSSICLE_ABORTED;
        }
    }
    osl_progress_end();
    row->bandwidth_median = osl_median_of(
        row->reads, row->read_count < OSL_BENCH_READS_MAX ? row->read_count : OSL_BENCH_READS_MAX);
    if (status == OSSICLE_OK) {
        take_counts(bench);
    }
    return status;
}

/* The first token of all: what is not in memory or not made by now is waited for here. */
static enum ossicle_status measure_start(struct bench *bench)
{
    uint32_t context = bench->engine.plan.context_tokens;
    uint32_t room = context > CONTEXT_SPARE_TOKENS ? context - CONTEXT_SPARE_TOKENS : 1;
    uint32_t prompt = room < FIRST_PROMPT_TOKENS ? room : FIRST_PROMPT_TOKENS;
    uint64_t start_ns = osl_now_ns();
    bench->start.prompt = prompt;
    enum ossicle_status status = ossicle_say_tokens(bench->engine.engine, bench->ids, prompt);
    return status == OSSICLE_OK
               ? generate(bench->engine.engine, 0, start_ns, &bench->start.first_token_ns)
               : status;
}

/* The context as it is before each test of a depth, and a mark to come back to. Nothing but the
 * random tokens is in it: no conversation is opened. */
static enum ossicle_status prepare_depth(struct bench *bench, uint32_t depth, uint32_t *mark_out)
{
    ossicle *engine = bench->engine.engine;
    uint64_t end_ns;
    enum ossicle_status status = ossicle_rewind(engine, bench->base);
    *mark_out = bench->base;
    if (status == OSSICLE_OK && depth > 0) {
        status = ossicle_say_tokens(engine, bench->ids, depth);
        status = status == OSSICLE_OK ? read_only(engine, &end_ns) : status;
        status = status == OSSICLE_OK ? ossicle_mark(engine, mark_out) : status;
    }
    return status;
}

static enum ossicle_status run_all(struct bench *bench, const struct osl_args *args, int output)
{
    struct test tests[TESTS_MAX];
    uint32_t test_count = list_tests(args, tests);
    enum ossicle_status status = ossicle_mark(bench->engine.engine, &bench->base);
    bool first = true;
    status = status == OSSICLE_OK ? measure_start(bench) : status;
    osl_bench_print_begin(output, args->profile);
    for (uint32_t d = 0; status == OSSICLE_OK && d < args->depths.count; d++) {
        uint32_t mark = 0;
        status = prepare_depth(bench, args->depths.values[d], &mark);
        for (uint32_t i = 0; status == OSSICLE_OK && i < test_count; i++) {
            status = run_test(bench, args, &tests[i], args->depths.values[d], mark);
            if (status == OSSICLE_OK) {
                osl_bench_print_row(output, &bench->engine, &bench->row, first);
                first = false;
            }
        }
    }
    if (status != OSSICLE_OK && osl_signal_caught() == 0) {
        osl_host_engine_complain(&bench->engine, status);
    }
    osl_bench_print_end(output, &bench->engine);
    return status;
}

static uint32_t largest(const struct osl_list *list)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        most = list->values[i] > most ? list->values[i] : most;
    }
    return most;
}

/* Context for the deepest and longest test, unless --context says. */
static uint32_t context_needed(const struct osl_args *args)
{
    struct test tests[TESTS_MAX];
    uint32_t test_count = list_tests(args, tests);
    uint64_t most = 0;
    for (uint32_t i = 0; i < test_count; i++) {
        uint64_t tokens = (uint64_t)tests[i].prompt + tests[i].generated;
        most = tokens > most ? tokens : most;
    }
    most += largest(&args->depths) + CONTEXT_SPARE_TOKENS;
    most = most < CONTEXT_LEAST_TOKENS ? CONTEXT_LEAST_TOKENS : most;
    return most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
}

static bool make_ids(struct bench *bench, uint32_t count)
{
    struct ossicle_stats stats;
    uint64_t state = LCG_STEP;
    ossicle_stats(bench->engine.engine, &stats);
    bench->ids_count = count;
    bench->ids_bytes = (uint64_t)count * sizeof(int32_t);
    bench->ids = osl_pages(bench->ids_bytes);
    for (uint32_t i = 0; bench->ids != NULL && i < count; i++) {
        state = state * LCG_FACTOR + LCG_STEP;
        bench->ids[i] = (int32_t)((state >> 33) % stats.vocab_tokens);
    }
    return bench->ids != NULL;
}

static enum ossicle_status run(const struct osl_args *args)
{
    static struct bench bench;
    struct test tests[TESTS_MAX];
    int output = args->json ? OSL_OUTPUT_JSON : args->output > OSL_OUTPUT_CSV ? 0 : args->output;
    if (list_tests(args, tests) == 0) {
        osl_complain("nothing to measure: give -p, -n or -pg a number above 0");
        return OSSICLE_ARGUMENT;
    }
    enum ossicle_status status = osl_host_engine_configure(args, &bench.engine);
    if (!osl_option_given(args, "--lookup")) { /* a token a step is what is compared */
        bench.engine.config.lookup = OSSICLE_LOOKUP_OFF;
    }
    if (status != OSSICLE_OK) {
        return status;
    }
    if (args->context == 0) {
        bench.engine.config.context_tokens = context_needed(args);
        bench.engine.context_by_board = false;
    }
    bench.engine.config.marks = 2;
    status = osl_host_engine_start(&bench.engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    bench.start.load_ns = osl_now_ns() - bench.engine.start_ns;
    if (!make_ids(&bench, context_needed(args))) {
        osl_complain("no memory for the random tokens");
        status = OSSICLE_MEMORY;
    } else {
        status = run_all(&bench, args, output);
    }
    osl_pages_free(bench.ids, bench.ids_bytes);
    osl_host_engine_stop(&bench.engine);
    return status;
}

const struct osl_command osl_cmd_bench = {
    .name = "bench",
    .bit = OSL_CMD_BENCH,
    .usage = "bench [-m FILE] [-p 512] [-n 128] [-pg P,N] [-d 0] [-r 5] [-o table|json|csv]",
    .summary = "prompt and generation speed in llama-bench's shape, and bandwidth reached",
    .help =
        "Runs every -p, -n and -pg at every depth -d, each once to warm up and -r times timed, "
        "and\n"
        "prints tokens per second as llama-bench does (its table, its keys in JSON and CSV). "
        "Numbers may\n"
        "be lists: 512,1024 or 128-512*2. Beside each test, in the same seconds, it measures how "
        "fast the\n"
        "machine reads memory and, on the CPU, multiplies; under the table it says, and in JSON "
        "and CSV:\n"
        "  weight_bytes_per_token, cache_bytes_per_token  read for a token that is written\n"
        "  bytes_per_second, read_bandwidth, bandwidth_fraction  both together; what plain reads "
        "reach\n"
        "    at best, and the share; read_bandwidth_median, bandwidth_fraction_median: by the "
        "middle one\n"
        "  operations_per_token, operations_per_second  of the matrices, for a token that is read\n"
        "  arithmetic_peak, arithmetic_fraction  what the multiplying instructions (peaks, in "
        "JSON) allow\n"
        "  weights, load_ns, first_token_ns, first_token_prompt  how weights are held, the time "
        "until "
        "the\n    engine is ready, from then until its first token, and the prompt read for that\n"
        "On a Vulkan device also its name, its tier and how many dispatches, barriers and "
        "submissions a\n"
        "token takes. --profile adds each kind of op in a step: times it ran, time, share, how "
        "long threads\n"
        "waited for one another, bytes and operations a second; in CSV each op is a line that "
        "repeats its\ntest's columns. On a GPU it slows all of them down a little.\n",
    .run = run,
};
