/* How fast the kernels of a table are on this machine, next to a plain read of the same memory.
 *
 *   kernel_bench [TABLE [MEGABYTES [ROUNDS [OP]]]]
 *
 * Default: the best table, 256 MiB, 5 rounds, all ops; OP is one of those printed.
 *
 * Everything is measured for some 20 ms a round, in turn; the best run is printed. Runs are short
 * (reads and matvecs go over 16 MiB at a time, on and on through the region, which must be larger
 * than the caches), so that on a busy machine some are not interrupted. One line each: what,
 * pages, threads, value, unit, and the share of the plain read (of the table's own width) or of
 * the rate of its multiplying instruction. Not a test: it judges nothing. Matvec counts weight
 * bytes, matmul two operations a weight and token. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "compute/cpu/half.h"
#include "compute/executor.h"
#include "platform/platform.h"

#define COLS 2880
#define TOKENS 512
#define THREADS 2
#define MATMUL_ROWS 320
#define HEADS 8 /* kv heads in the attention cases */
#define GROUP 8
#define HEAD_DIM 64
#define KEYS 8192
#define QUERIES 32
#define CASES_MAX 64
#define WINDOW_BYTES (16u << 20)
#define SLICE_NS 20000000

enum what { READ, MATVEC, MATMUL, DECODE, PREFILL };

struct bench_case {
    enum what what;
    enum osl_dtype dtype; /* or kv type */
    uint32_t tokens;
    uint32_t threads;
    bool huge;
    uint32_t planes; /* of packed activations, 0: as quantize makes them */
    double best;     /* units per second */
    double ceiling;  /* the same, by plain reads or the instruction alone; 0: not known */
};

struct bench {
    const struct osl_kernels *k;
    struct osl_team *team[THREADS + 1];
    uint8_t *memory[2]; /* plain pages, huge pages */
    uint64_t bytes;
    uint64_t window; /* of this run */
    struct osl_act act;
    struct osl_act packed[3]; /* by planes, where the table packs */
    float *out;
    uint8_t *scratch[THREADS];
    float *queries;
    float *attended;
    float sinks[GROUP];
    const struct bench_case *current;
    uint64_t checks[THREADS][8];
};

static void die(const char *what)
{
    fprintf(stderr, "kernel_bench: %s\n", what);
    exit(1);
}

static void *must(void *memory)
{
    if (memory == NULL) {
        die("not enough memory; pass a smaller number of megabytes");
    }
    return memory;
}

static uint32_t random_state = 1;
static float random_float(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(int32_t)random_state * 0x1p-31f;
}

/* Fills the region with one random row of the type, repeated; returns how many rows fit. */
static uint32_t fill_rows(uint8_t *memory, uint64_t bytes, enum osl_dtype dtype)
{
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, COLS);
    for (uint32_t c = 0; c < COLS; c++) {
        float value = random_float();
        uint16_t half = osl_f16_from_f32(value);
        uint32_t bits = osl_f32_bits(value);
        switch (dtype) {
        case OSL_DTYPE_F32:
            memcpy(memory + 4 * (size_t)c, &value, 4);
            break;
        case OSL_DTYPE_F16:
            memcpy(memory + 2 * (size_t)c, &half, 2);
            break;
        case OSL_DTYPE_BF16:
            half = (uint16_t)(bits >> 16);
            memcpy(memory + 2 * (size_t)c, &half, 2);
            break;
        case OSL_DTYPE_Q8_0:
            memory[c / 32 * 34] = 0;
            memory[c / 32 * 34 + 1] = 0x24;
            memory[c / 32 * 34 + 2 + c % 32] = (uint8_t)(random_state >> 24);
            break;
        case OSL_DTYPE_MXFP4:
            memory[c / 32 * 17] = 122;
            memory[c / 32 * 17 + 1 + c % 16] = (uint8_t)(random_state >> 24);
            break;
        }
    }
    uint32_t rows = (uint32_t)(bytes / row_bytes);
    for (uint32_t r = 1; r < rows; r++) {
        memcpy(memory + r * row_bytes, memory, row_bytes);
    }
    return rows;
}

/* Where a table has no reader: eight sums that the compiler makes vectors of; the result is kept,
 * so the reads are too. */
static void read_all(uint64_t sum[8], const uint8_t *from, uint64_t bytes)
{
    uint64_t lane[8] = {0};
    for (uint64_t at = 0; at + 64 <= bytes; at += 64) {
        uint64_t value[8];
        memcpy(value, from + at, sizeof value);
        __builtin_prefetch(from + at + 2048);
        for (int i = 0; i < 8; i++) {
            lane[i] ^= value[i];
        }
    }
    memcpy(sum, lane, sizeof lane);
}

static struct osl_attend attend_of(struct bench *b, uint32_t head, const uint8_t *cache,
                                   enum osl_kv_type type)
{
    uint64_t head_bytes = (uint64_t)KEYS * osl_kv_row_bytes(type, HEAD_DIM);
    return (struct osl_attend){
        .q = b->queries + (size_t)head * GROUP * HEAD_DIM,
        .out = b->attended + (size_t)head * GROUP * HEAD_DIM,
        .q_stride = HEADS * GROUP * HEAD_DIM,
        .out_stride = HEADS * GROUP * HEAD_DIM,
        .group = GROUP,
        .head_dim = HEAD_DIM,
        .scale = 0.125f,
        .sinks = b->sinks,
        .kv = {.k = cache + head * 2 * head_bytes, .v = cache + (head * 2 + 1) * head_bytes,
               .capacity = KEYS}};
}

static void attend_heads(struct bench *b, const uint8_t *cache, uint32_t thread, uint32_t threads)
{
    enum osl_kv_type type = (enum osl_kv_type)b->current->dtype;
    float part[OSL_ATTEND_PART_FLOATS(GROUP, HEAD_DIM)];
    for (uint32_t head = thread; head < HEADS; head += threads) {
        struct osl_attend a = attend_of(b, head, cache, type);
        if (b->current->what == PREFILL) {
            b->k->attend_prefill[type](&a, KEYS - QUERIES, QUERIES, b->scratch[thread]);
            continue;
        }
        for (uint32_t key = 0; key < KEYS; key += OSL_ATTEND_SEGMENT) {
            b->k->attend_part[type](&a, key, key + OSL_ATTEND_SEGMENT, part);
        }
    }
}

/* One thread's share of the case. */
static void work(void *context, uint32_t thread, uint32_t threads)
{
    struct bench *b = context;
    const struct bench_case *c = b->current;
    const uint8_t *memory = b->memory[c->huge];
    if (c->what == READ) {
        uint64_t share = WINDOW_BYTES / threads;
        memory += b->window * WINDOW_BYTES;
        if (b->k->read != NULL) {
            b->k->read(memory + thread * share, share);
        } else {
            read_all(b->checks[thread], memory + thread * share, share);
        }
        return;
    }
    if (c->what == DECODE || c->what == PREFILL) {
        attend_heads(b, memory, thread, threads);
        return;
    }
    uint64_t row_bytes = osl_dtype_row_bytes(c->dtype, COLS);
    uint32_t rows = c->what == MATVEC ? (uint32_t)(WINDOW_BYTES / row_bytes) : MATMUL_ROWS;
    uint32_t share = rows / threads / 32 * 32;
    uint32_t first = thread * share;
    if (c->what == MATVEC) {
        memory += b->window * (WINDOW_BYTES / row_bytes) * row_bytes;
        b->k->matvec[c->dtype](b->out + first, memory + first * row_bytes, row_bytes, share, COLS,
                               &b->act);
        return;
    }
    b->k->matmul[c->dtype](b->out + first, MATMUL_ROWS, memory + first * row_bytes, row_bytes,
                           share, COLS, c->planes > 0 ? &b->packed[c->planes] : &b->act, NULL,
                           c->tokens, b->scratch[thread]);
}

/* Bytes read, or operations done, by one run. */
static double amount(const struct bench *b, const struct bench_case *c)
{
    uint64_t row_bytes;
    switch (c->what) {
    case READ:
        return (double)WINDOW_BYTES;
    case MATVEC:
        row_bytes = osl_dtype_row_bytes(c->dtype, COLS);
        return (double)(WINDOW_BYTES / row_bytes / c->threads / 32 * 32 * c->threads * row_bytes);
    case MATMUL:
        return 2.0 * COLS * (MATMUL_ROWS / c->threads / 32 * 32 * c->threads) * c->tokens;
    case DECODE:
        return 2.0 * HEADS * KEYS * osl_kv_row_bytes((enum osl_kv_type)c->dtype, HEAD_DIM);
    default:
        return 4.0 * HEADS * GROUP * HEAD_DIM * QUERIES * (KEYS - QUERIES / 2);
    }
}

static void run_case(struct bench *b, struct bench_case *c)
{
    static int filled[2] = {-1, -1};
    int layout = c->what == MATVEC || c->what == MATMUL ? (int)c->dtype
                 : c->what == READ                      ? filled[c->huge]
                                                        : 100;
    const struct osl_ceiling *ceiling = &b->k->ceiling[c->what == MATMUL ? c->dtype : 0];
    b->current = c;
    if (c->what == MATMUL && ceiling->peak != NULL) {
        double peak = osl_peak_rate(b->team[c->threads], c->threads, ceiling->peak, 2) /
                      (c->planes > 0 ? c->planes : ceiling->products);
        c->ceiling = peak > c->ceiling ? peak : c->ceiling;
    }
    if (layout != filled[c->huge]) { /* a cache of halves serves both kv types well enough */
        fill_rows(b->memory[c->huge], b->bytes, layout == 100 ? OSL_DTYPE_F16 : c->dtype);
        filled[c->huge] = layout;
        b->window = 0; /* the end of the region is what the caches hold now */
    }
    uint64_t start = osl_clock_ns();
    uint64_t before;
    uint64_t after = start;
    do {
        b->window = (b->window + 1) % (b->bytes / WINDOW_BYTES);
        before = after;
        osl_team_run(b->team[c->threads], work, b);
        after = osl_clock_ns();
        double rate = amount(b, c) / ((double)(after - before) * 1e-9);
        c->best = rate > c->best ? rate : c->best;
    } while (after - start < SLICE_NS);
}

static uint32_t list_cases(const struct osl_kernels *k, struct bench_case *cases)
{
    static const enum osl_dtype dtypes[] = {OSL_DTYPE_MXFP4, OSL_DTYPE_Q8_0, OSL_DTYPE_BF16,
                                            OSL_DTYPE_F16, OSL_DTYPE_F32};
    static const uint32_t tokens[] = {4, 64, TOKENS};
    uint32_t n = 0;
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        for (uint32_t huge = 0; huge < 2; huge++) {
            cases[n++] = (struct bench_case){READ, 0, 0, threads, huge, 0, 0, 0};
            for (uint32_t d = 0; d < 5; d++) {
                cases[n++] = (struct bench_case){MATVEC, dtypes[d], 0, threads, huge, 0, 0, 0};
            }
        }
        for (uint32_t d = 0; d < 5; d++) {
            bool packs = k->pack != NULL && k->quantized[dtypes[d]];
            for (uint32_t i = 0; i < (packs ? 2 : 1); i++) {
                for (uint32_t t = d < 2 ? 0 : 2; t < 3; t++) {
                    cases[n++] = (struct bench_case){MATMUL, dtypes[d], tokens[t], threads, true,
                                                     packs ? 2 - i : 0, 0, 0};
                }
            }
        }
        for (uint32_t type = 0; type < OSL_KV_TYPES; type++) {
            cases[n++] =
                (struct bench_case){DECODE, (enum osl_dtype)type, 0, threads, true, 0, 0, 0};
            cases[n++] =
                (struct bench_case){PREFILL, (enum osl_dtype)type, 0, threads, true, 0, 0, 0};
        }
    }
    return n;
}

static const char *const names[] = {"read", "matvec", "matmul", "attend_part", "attend_prefill"};

static void print_case(const struct bench_case *c)
{
    const char *type = c->what == READ ? "-"
                       : c->what >= DECODE
                           ? (c->dtype == (enum osl_dtype)OSL_KV_F16 ? "f16" : "q8")
                           : osl_dtype_name(c->dtype);
    bool bytes = c->what == READ || c->what == MATVEC || c->what == DECODE;
    static const char *const bits[3] = {"", "  8 bits", " 16 bits"};
    printf("%-14s %-6s tokens %3u  %-5s pages  %u threads  %8.1f %s%s", names[c->what], type,
           c->what == MATMUL ? c->tokens : 1, c->huge ? "huge" : "plain", c->threads,
           c->best * 1e-9, bytes ? "GB/s" : "GOP/s", bits[c->planes]);
    if (c->ceiling > 0.0) {
        printf("  %3.0f %% of %.1f", 100.0 * c->best / c->ceiling, c->ceiling * 1e-9);
    }
    printf("\n");
}

/* A plain read goes with every op that is bound by memory. */
static bool wanted(const struct bench_case *c, const char *op)
{
    return op == NULL || strcmp(op, names[c->what]) == 0 ||
           (c->what == READ && (strcmp(op, "matvec") == 0 || strcmp(op, "attend_part") == 0));
}

/* What is bound by memory is held against the read of the same pages by as many threads. */
static void hold_against_reads(struct bench_case *cases, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t r = 0; r < count; r++) {
            const struct bench_case *read = &cases[r];
            if ((cases[i].what == MATVEC || cases[i].what == DECODE) && read->what == READ &&
                read->huge == cases[i].huge && read->threads == cases[i].threads) {
                cases[i].ceiling = read->best;
            }
        }
    }
}

static void prepare(struct bench *b)
{
    struct osl_error error;
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        uint64_t bytes = osl_team_bytes(threads);
        void *memory = must(aligned_alloc(65536, (bytes + 65535) / 65536 * 65536));
        if (osl_team_start(memory, bytes, threads, &b->team[threads], &error) != OSL_OK) {
            die(error.text);
        }
        b->scratch[threads - 1] = must(aligned_alloc(64, OSL_MATMUL_SCRATCH_BYTES(COLS)));
    }
    for (uint32_t huge = 0; huge < 2; huge++) {
        b->memory[huge] = must(aligned_alloc(2 << 20, b->bytes));
        madvise(b->memory[huge], b->bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
        memset(b->memory[huge], 0, b->bytes);
    }
    float *x = must(malloc((size_t)TOKENS * COLS * sizeof *x));
    int8_t *q = must(malloc((size_t)TOKENS * OSL_ACT_ROW_BYTES(COLS)));
    float *scale = must(malloc((size_t)TOKENS * (COLS / 32) * sizeof *scale));
    int32_t *sum = must(malloc((size_t)TOKENS * (COLS / 32) * sizeof *sum));
    for (size_t i = 0; i < (size_t)TOKENS * COLS; i++) {
        x[i] = random_float();
    }
    b->k->quantize(q, scale, sum, x, TOKENS * COLS);
    b->act = (struct osl_act){.f32 = x,
                              .q = q,
                              .scale = scale,
                              .sum = sum,
                              .f32_stride = COLS,
                              .q_stride = OSL_ACT_ROW_BYTES(COLS),
                              .block_stride = COLS / 32};
    for (uint32_t planes = 1; b->k->pack != NULL && planes <= 2; planes++) {
        uint32_t stride = OSL_PACK_ROW_BYTES(COLS, planes);
        uint8_t *rows = must(malloc((size_t)TOKENS * stride));
        b->k->pack(rows, x, TOKENS * COLS, planes);
        b->packed[planes] = (struct osl_act){
            .f32 = x, .q = (int8_t *)rows, .f32_stride = COLS, .q_stride = stride,
            .planes = planes};
    }
    size_t outputs = WINDOW_BYTES / osl_dtype_row_bytes(OSL_DTYPE_MXFP4, COLS) + 1;
    outputs = outputs > (size_t)TOKENS * MATMUL_ROWS ? outputs : (size_t)TOKENS * MATMUL_ROWS;
    b->out = must(malloc(outputs * sizeof *b->out));
    size_t heads = (size_t)QUERIES * HEADS * GROUP * HEAD_DIM;
    b->queries = must(malloc(heads * sizeof *b->queries));
    b->attended = must(malloc(heads * sizeof *b->attended));
    for (size_t i = 0; i < heads; i++) {
        b->queries[i] = random_float();
    }
}

int main(int argc, char **argv)
{
    static struct bench b;
    static struct bench_case cases[CASES_MAX];
    uint32_t rounds = argc > 3 ? (uint32_t)atoi(argv[3]) : 5;
    b.bytes = (uint64_t)(argc > 2 ? atoi(argv[2]) : 256) << 20;
    b.k = osl_kernels_find(argc > 1 ? argv[1] : NULL);
    if (b.k == NULL || b.bytes < (64u << 20) || rounds < 1) {
        die("usage: kernel_bench [TABLE [MEGABYTES, 64 or more [ROUNDS [OP]]]]");
    }
    prepare(&b);
    uint32_t count = list_cases(b.k, cases);
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < count; i++) {
            if (wanted(&cases[i], argc > 4 ? argv[4] : NULL)) {
                run_case(&b, &cases[i]);
            }
        }
    }
    hold_against_reads(cases, count);
    printf("table %s, %u columns\n", b.k->name, COLS);
    for (uint32_t i = 0; i < count; i++) {
        if (wanted(&cases[i], argc > 4 ? argv[4] : NULL)) {
            print_case(&cases[i]);
        }
    }
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        osl_team_stop(b.team[threads]);
    }
    return 0;
}
