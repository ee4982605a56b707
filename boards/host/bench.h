/* Speed tests with llama-bench's meaning, and how their rows are printed. */
#ifndef OSL_HOST_BENCH_H
#define OSL_HOST_BENCH_H

#include "engine.h"

#define OSL_BENCH_REPETITIONS_MAX 1000

/* One test: `depth` tokens already in the context, then `prompt` tokens read and `generated`
 * written, one step each; either may be 0. */
struct osl_bench_row {
    uint32_t prompt, generated, depth;
    uint32_t count; /* of samples */
    uint64_t samples_ns[OSL_BENCH_REPETITIONS_MAX];
    char time[24];         /* when it began, ISO 8601 */
    uint64_t weight_bytes; /* read by one decode step; 0 without one */
    double bandwidth;      /* bytes per second, measured in this run */
};

struct osl_spread {
    double mean;
    double deviation; /* of a sample: divided by count - 1; 0 for one value */
};
struct osl_spread osl_spread_of(const double *values, uint32_t count);

/* Printing: begin, a row each as soon as it is done, end. */
void osl_bench_print_begin(int output);
void osl_bench_print_row(int output, const struct osl_host_engine *engine,
                         const struct osl_bench_row *row, bool first);
void osl_bench_print_end(int output, const struct osl_host_engine *engine, double bandwidth);

#endif
