/* Speed tests with llama-bench's meaning, and how their rows are printed. */
#ifndef OSL_HOST_BENCH_H
#define OSL_HOST_BENCH_H

#include "engine.h"

#define OSL_BENCH_REPETITIONS_MAX 1000
#define OSL_BENCH_TIMES_MAX 32
#define OSL_BENCH_PEAKS_MAX 8
#define OSL_BENCH_READS_MAX 256

/* Each kind of op, summed over the steps of a test; timed with --profile. */
struct osl_bench_times {
    struct ossicle_time ops[OSL_BENCH_TIMES_MAX];
    uint32_t count;
};

/* What comes before all tests: the engine, and the first token it writes, behind a short prompt. */
struct osl_bench_start {
    uint64_t load_ns;        /* plan, memory, weights: until the engine is ready */
    uint64_t first_token_ns; /* from then on until the token is there */
    uint32_t prompt;         /* tokens read for it */
};

/* One test: `depth` tokens already in the context, then `prompt` tokens read and `generated`
 * written, one step each; either may be 0. */
struct osl_bench_row {
    struct osl_bench_start start;
    uint32_t prompt, generated, depth;
    uint32_t count; /* of samples */
    uint64_t samples_ns[OSL_BENCH_REPETITIONS_MAX];
    char time[24];                     /* when it began, ISO 8601 */
    uint64_t weight_bytes;             /* read by one decode step; 0 without one */
    double reads[OSL_BENCH_READS_MAX]; /* bytes per second, around this test */
    uint32_t read_count;
    double bandwidth, bandwidth_median;             /* of them; best and middle */
    struct ossicle_peak peaks[OSL_BENCH_PEAKS_MAX]; /* around this test, best of each */
    uint32_t peak_count;
    struct osl_bench_times prefill, decode; /* empty where nothing is counted */
    bool profiled;
};

/* What a row comes to; 0 where it does not apply or is not known. Bytes: rows that only generate.
 * Operations: rows that only read. */
struct osl_bench_rates {
    double weight_bytes, cache_bytes; /* a token */
    double bytes_per_second;
    double bandwidth_fraction, bandwidth_fraction_median; /* of the best read, of the middle one */
    double operations;                                    /* a token */
    double operations_per_second;
    double peak; /* operations/s, of the row's mixture of weight types */
    double peak_fraction;
};
void osl_bench_rates(const struct osl_bench_row *row, struct osl_bench_rates *out);

/* Every step embeds its tokens once. */
uint32_t osl_bench_steps(const struct osl_bench_times *times);

/* Sums all kinds of op that have matrices; its name says so. */
struct ossicle_time osl_bench_matmuls(const struct osl_bench_times *times);

struct osl_spread {
    double mean;
    double deviation; /* of a sample: divided by count - 1; 0 for one value */
};
struct osl_spread osl_spread_of(const double *values, uint32_t count);
double osl_median_of(double *values, uint32_t count); /* sorts them */
struct osl_spread osl_bench_ns(const struct osl_bench_row *row);
struct osl_spread osl_bench_speed(const struct osl_bench_row *row); /* tokens per second */
double osl_bench_sample(const struct osl_bench_row *row, uint32_t i);

/* What --profile adds: tables under the table, an object to a row in JSON. bench_times.c. */
void osl_bench_times_keep(const char *test, const struct osl_bench_row *row);
void osl_bench_times_print(void);
void osl_bench_times_json(const struct osl_bench_row *row);

/* As JSON, without a comma before or after. bench_json.c. */
void osl_bench_json_row(const struct osl_host_engine *engine, const struct osl_bench_row *row);
const char *osl_bench_backend(const struct ossicle_stats *stats);
const char *osl_bench_gpu(const struct ossicle_stats *stats); /* on the CPU "", as llama-bench */

/* As CSV: a line for the test and, with --profile, one for each kind of op. bench_csv.c. */
void osl_bench_csv_names(bool profiled);
void osl_bench_csv_row(const struct osl_host_engine *engine, const struct osl_bench_row *row);

/* Printing: begin, a row each as soon as it is done, end. */
void osl_bench_print_begin(int output, bool profiled);
void osl_bench_print_row(int output, const struct osl_host_engine *engine,
                         const struct osl_bench_row *row, bool first);
void osl_bench_print_end(int output, const struct osl_host_engine *engine);

#endif
