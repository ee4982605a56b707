/* Speed tests with llama-bench's meaning, and how their rows are printed. */
#ifndef OSL_HOST_BENCH_H
#define OSL_HOST_BENCH_H

#include "engine.h"

#define OSL_BENCH_REPETITIONS_MAX 1000
#define OSL_BENCH_TIMES_MAX 32

/* --profile: time of each kind of op, summed over the steps of a test. */
struct osl_bench_times {
    struct ossicle_time ops[OSL_BENCH_TIMES_MAX];
    uint32_t count;
};

/* One test: `depth` tokens already in the context, then `prompt` tokens read and `generated`
 * written, one step each; either may be 0. */
struct osl_bench_row {
    uint32_t prompt, generated, depth;
    uint32_t count; /* of samples */
    uint64_t samples_ns[OSL_BENCH_REPETITIONS_MAX];
    char time[24];                          /* when it began, ISO 8601 */
    uint64_t weight_bytes;                  /* read by one decode step; 0 without one */
    double bandwidth;                       /* bytes per second, measured in this run */
    struct osl_bench_times prefill, decode; /* steps timed; empty without */
};

struct osl_spread {
    double mean;
    double deviation; /* of a sample: divided by count - 1; 0 for one value */
};
struct osl_spread osl_spread_of(const double *values, uint32_t count);

/* The rows that --profile adds under the table, and to a row in JSON. bench_times.c. */
void osl_bench_times_keep(const char *test, const struct osl_bench_row *row);
void osl_bench_times_print(void);
void osl_bench_times_json(const struct osl_bench_row *row);

/* Printing: begin, a row each as soon as it is done, end. */
void osl_bench_print_begin(int output);
void osl_bench_print_row(int output, const struct osl_host_engine *engine,
                         const struct osl_bench_row *row, bool first);
void osl_bench_print_end(int output, const struct osl_host_engine *engine, double bandwidth);

#endif
