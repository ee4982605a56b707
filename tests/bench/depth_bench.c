/* How fast decode is behind a long context, without the minutes or hours that reading it takes: the
 * cache is filled with seeded rows instead of computed ones. What is written means nothing, how
 * long it takes is the same: no kernel's time depends on the values. `ossicle bench -d` measures
 * with a context that was read; use it where there is time.
 *
 *   depth_bench MODEL f16|q8 TOKENS ROUNDS LEVEL DEPTH...
 *
 * LEVEL is a kernel table or "best". Depth 0 is measured in every round before each other depth,
 * so that a machine whose memory speed drifts is held against itself. Of each depth: the median of
 * tokens a second, bytes of weights and of the cache a token, GB/s of the step and its share of
 * plain reads in the same seconds, and the speed as a share of depth 0's less the cache's own
 * bytes, with the least and most of all rounds: 100 % where a byte of the cache costs what a byte
 * of the weights does. Not a test: it judges nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "compute/kernels.h"
#include "model/engine.h"
#include "model/ossicle.h"

#define DEPTHS_MAX 8
#define ROUNDS_MAX 32
#define POOL_ROWS 1021 /* a prime: no row is always at the same place of a block */
#define ROW_BYTES_MAX (2 * OSL_HEAD_DIM_MAX)
#define SPARE_TOKENS 64 /* behind the deepest, within what the model was made for */
#define HUGE_PAGE_BYTES (2u << 20)
#define READS 3

struct sample {
    double rate;  /* tokens a second */
    double reads; /* plain, bytes a second */
    double cache_bytes;
    double weight_bytes; /* both a token */
    double zero_rate;    /* depth 0's just before */
    double zero_cache_bytes;
};

static void die(const char *what)
{
    fprintf(stderr, "depth_bench: %s\n", what);
    exit(1);
}

static void must(enum ossicle_status status, ossicle *engine)
{
    if (status != OSSICLE_OK) {
        die(ossicle_error_text(engine));
    }
}

static float random_float(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state * 0x1p-31f;
}

/* Every row of every layer's cache, keys and values alike, from a pool of some. */
static void fill_cache(const ossicle *engine, const struct osl_kernels *kernels)
{
    static uint8_t pool[POOL_ROWS * ROW_BYTES_MAX];
    const struct osl_schedule *schedule = &engine->schedule;
    uint32_t head_dim = schedule->shape.head_dim;
    uint32_t row_bytes = osl_kv_row_bytes(schedule->kv_type, head_dim);
    uint32_t state = 1;
    for (uint32_t r = 0; r < POOL_ROWS; r++) {
        float row[OSL_HEAD_DIM_MAX];
        for (uint32_t d = 0; d < head_dim; d++) {
            row[d] = random_float(&state);
        }
        kernels->kv_store[schedule->kv_type](pool + (size_t)r * row_bytes, row, head_dim);
    }
    for (uint32_t layer = 0; layer < schedule->shape.layers; layer++) {
        const struct osl_kv_layer *kv = &schedule->kv[layer];
        uint64_t rows = (uint64_t)schedule->shape.kv_heads * kv->capacity;
        for (uint64_t at = 0; at < rows; at += POOL_ROWS) {
            uint64_t count = rows - at < POOL_ROWS ? rows - at : POOL_ROWS;
            memcpy((uint8_t *)kv->k + at * row_bytes, pool, count * row_bytes);
            memcpy((uint8_t *)kv->v + at * row_bytes, pool, count * row_bytes);
        }
    }
}

/* Tokens a second of `tokens` decode steps; bytes of a token by what the ops counted. */
static double decode(ossicle *engine, uint32_t tokens, struct sample *sample)
{
    struct ossicle_sampling sampling;
    struct ossicle_event event = {0};
    struct ossicle_stats before, after;
    struct ossicle_time times[64];
    uint32_t written = 0;
    uint64_t first_ns = 0, last_ns = 0;
    double bytes = 0.0;
    ossicle_sampling_init(&sampling);
    sampling.raw = true;
    sampling.temperature = 0.0f;
    sampling.max_tokens = tokens + 1;
    (void)ossicle_times(engine, false, times, 64);
    ossicle_stats(engine, &before);
    must(ossicle_begin(engine, &sampling), engine);
    while (event.kind != OSSICLE_EVENT_DONE) {
        must(ossicle_step(engine, &event), engine);
        if (event.kind == OSSICLE_EVENT_TEXT && event.token >= 0) {
            last_ns = osl_clock_ns();
            first_ns = written++ == 0 ? last_ns : first_ns;
        }
    }
    if (written < 2) {
        die("the answer ended at once");
    }
    ossicle_stats(engine, &after);
    uint32_t ops = ossicle_times(engine, false, times, 64);
    for (uint32_t i = 0; i < ops; i++) {
        bytes += (double)times[i].bytes;
    }
    sample->weight_bytes = (double)after.weight_bytes_last_step;
    sample->cache_bytes =
        bytes / (double)(after.decode_tokens - before.decode_tokens) - sample->weight_bytes;
    return (written - 1) / ((double)(last_ns - first_ns) * 1e-9);
}

/* The conversation is `depth` tokens that count as read. */
static void go_to(ossicle *engine, uint32_t base, uint32_t depth, const int32_t *ids)
{
    must(ossicle_rewind(engine, base), engine);
    must(ossicle_say_tokens(engine, ids, depth + 1), engine);
    osl_read_note(engine, OSL_STEP_PREFILL, depth);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2.0;
}

static void print_depth(uint32_t depth, const struct sample *samples, uint32_t rounds)
{
    double rate[ROUNDS_MAX], speed[ROUNDS_MAX], share[ROUNDS_MAX], kept[ROUNDS_MAX];
    for (uint32_t r = 0; r < rounds; r++) {
        const struct sample *s = &samples[r];
        double bytes = s->weight_bytes + s->cache_bytes;
        rate[r] = s->rate;
        speed[r] = s->rate * bytes * 1e-9;
        share[r] = 100.0 * s->rate * bytes / s->reads;
        kept[r] = 100.0 * s->rate * bytes /
                  (s->zero_rate * (s->weight_bytes + s->zero_cache_bytes));
    }
    double middle = median(kept, rounds);
    printf("%7u %7.2f tok/s  %.2f + %.2f GB  %5.1f GB/s  %3.0f %% of reads  %3.0f %% of depth 0 "
           "less the cache (%.0f..%.0f)\n",
           depth, median(rate, rounds), samples->weight_bytes * 1e-9, samples->cache_bytes * 1e-9,
           median(speed, rounds), median(share, rounds), middle, kept[0], kept[rounds - 1]);
    fflush(stdout);
}

static ossicle *boot(char **argv, uint32_t context)
{
    struct ossicle_config config;
    struct ossicle_plan plan;
    struct ossicle_error error;
    ossicle *engine;
    ossicle_config_init(&config);
    config.model_path = argv[1];
    config.kv = strcmp(argv[2], "q8") == 0 ? OSSICLE_KV_Q8 : OSSICLE_KV_F16;
    config.cpu_level = strcmp(argv[5], "best") == 0 ? NULL : argv[5];
    config.context_tokens = context;
    config.marks = 1;
    config.device = OSSICLE_DEVICE_CPU;
    config.weights = OSSICLE_WEIGHTS_MAPPED;
    config.lookup = OSSICLE_LOOKUP_OFF;
    if (ossicle_plan(&config, &plan, &error) != OSSICLE_OK) {
        die(error.text);
    }
    if (!plan.fits) {
        die(plan.verdict);
    }
    void *memory = aligned_alloc(HUGE_PAGE_BYTES, (plan.memory_bytes / HUGE_PAGE_BYTES + 1) *
                                                      HUGE_PAGE_BYTES);
    if (memory == NULL) {
        die("not enough memory");
    }
    (void)madvise(memory, plan.memory_bytes, MADV_HUGEPAGE); /* as the host board does */
    if (ossicle_boot(&config, memory, plan.memory_bytes, &engine, &error) != OSSICLE_OK) {
        die(error.text);
    }
    return engine;
}

int main(int argc, char **argv)
{
    static struct sample samples[DEPTHS_MAX][ROUNDS_MAX];
    uint32_t depths[DEPTHS_MAX], count = 0, most = 0, base, state = 2;
    for (int i = 6; i < argc && count < DEPTHS_MAX; i++) {
        depths[count] = (uint32_t)atoi(argv[i]);
        most = depths[count] > most ? depths[count] : most;
        count++;
    }
    uint32_t tokens = argc > 4 ? (uint32_t)atoi(argv[3]) : 0;
    uint32_t rounds = argc > 4 ? (uint32_t)atoi(argv[4]) : 0;
    if (count == 0 || tokens < 2 || tokens > SPARE_TOKENS - 16 || rounds < 1 ||
        rounds > ROUNDS_MAX) {
        die("usage: depth_bench MODEL f16|q8 TOKENS ROUNDS LEVEL|best DEPTH...");
    }
    ossicle *engine = boot(argv, most + SPARE_TOKENS);
    struct ossicle_stats stats;
    ossicle_stats(engine, &stats);
    fill_cache(engine, osl_kernels_find(NULL));
    int32_t *ids = malloc((most + 1) * sizeof *ids);
    for (uint32_t i = 0; ids != NULL && i <= most; i++) {
        ids[i] = (int32_t)((random_float(&state) * 0.5f + 0.5f) * (float)(stats.vocab_tokens - 1));
    }
    if (ids == NULL) {
        die("not enough memory");
    }
    must(ossicle_mark(engine, &base), engine);
    printf("%s, %s cache filled and not read, %s, %u threads, %u tokens, %u rounds\n",
           stats.model_name, argv[2], stats.cpu_level, stats.threads, tokens, rounds);
    for (uint32_t r = 0; r <= rounds; r++) { /* one to warm up */
        for (uint32_t d = 0; d < count; d++) {
            struct sample *sample = &samples[d][r > 0 ? r - 1 : 0], zero;
            go_to(engine, base, 0, ids);
            sample->zero_rate = decode(engine, tokens, &zero);
            sample->zero_cache_bytes = zero.cache_bytes;
            sample->reads = ossicle_bandwidth(engine, READS);
            go_to(engine, base, depths[d], ids);
            sample->rate = decode(engine, tokens, sample);
        }
    }
    for (uint32_t d = 0; d < count; d++) {
        print_depth(depths[d], samples[d], rounds);
    }
    ossicle_halt(engine);
    free(ids);
    return 0;
}
