/* The rows of bench as llama-bench's table, and what stands below it. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "out.h"

#define MEBI 1048576.0
#define GIBI 1073741824.0
#define SUMMARY_LINE_BYTES 224
#define SUMMARY_LINES_MAX 64

static char summary[SUMMARY_LINE_BYTES * SUMMARY_LINES_MAX];
static size_t summary_bytes;
static double least_bandwidth, best_bandwidth; /* of the rows */
static struct osl_bench_start start;
static struct ossicle_peak peaks[OSL_BENCH_PEAKS_MAX];
static uint32_t peak_count;

static void test_name(const struct osl_bench_row *row, char out[48])
{
    int used = 0;
    if (row->prompt > 0) {
        used = snprintf(out, 48, "pp%u", row->prompt);
    }
    if (row->generated > 0) {
        used += snprintf(out + used, 48 - (size_t)used, "%stg%u", row->prompt > 0 ? "+" : "",
                         row->generated);
    }
    if (row->depth > 0) {
        snprintf(out + used, 48 - (size_t)used, " @ d%u", row->depth);
    }
}

static void add_line(const char *line)
{
    size_t length = strlen(line);
    if (summary_bytes + length < sizeof summary) {
        memcpy(summary + summary_bytes, line, length + 1);
        summary_bytes += length;
    }
}

/* A line under the table for each row that only generates or only reads. */
static void summarise(const struct osl_bench_row *row)
{
    char test[48];
    char line[SUMMARY_LINE_BYTES];
    struct osl_bench_rates rates;
    double speed = osl_bench_speed(row).mean;
    test_name(row, test);
    osl_bench_rates(row, &rates);
    if (rates.bandwidth_fraction > 0.0) {
        snprintf(line, sizeof line,
                 "%s: %.3f GB of weights and %.3f GB of cache a token at %.2f t/s: %.1f GB/s, "
                 "%.0f %% of the %.1f that reads reach in the middle, %.0f %% of %.1f at best\n",
                 test, rates.weight_bytes / 1e9, rates.cache_bytes / 1e9, speed,
                 rates.bytes_per_second / 1e9, 100.0 * rates.bandwidth_fraction_median,
                 row->bandwidth_median / 1e9, 100.0 * rates.bandwidth_fraction,
                 row->bandwidth / 1e9);
        add_line(line);
    }
    if (rates.operations > 0.0) {
        snprintf(line, sizeof line, "%s: %.3f GOP of matrices a token at %.2f t/s: %.1f GOP/s",
                 test, rates.operations / 1e9, speed, rates.operations_per_second / 1e9);
        add_line(line);
        if (rates.peak > 0.0) {
            snprintf(line, sizeof line, ", %.0f %% of the %.1f allowed",
                     100.0 * rates.peak_fraction, rates.peak / 1e9);
            add_line(line);
        }
        add_line("\n");
    }
    start = row->start;
    least_bandwidth = row->bandwidth < least_bandwidth || best_bandwidth == 0.0 ? row->bandwidth
                                                                                : least_bandwidth;
    best_bandwidth = row->bandwidth > best_bandwidth ? row->bandwidth : best_bandwidth;
    for (uint32_t i = 0; i < row->peak_count; i++) {
        peak_count = row->peak_count;
        peaks[i] = row->peaks[i].operations_per_second > peaks[i].operations_per_second
                       ? row->peaks[i]
                       : peaks[i];
    }
}

static void print_table_row(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    struct ossicle_stats stats;
    struct osl_spread ts = osl_bench_speed(row);
    char test[48];
    char speed[48];
    char size[24];
    char parameters[24];
    ossicle_stats(engine->engine, &stats);
    test_name(row, test);
    double bytes = (double)stats.model_bytes;
    double count = (double)stats.model_parameters;
    snprintf(size, sizeof size, bytes >= GIBI ? "%.2f GiB" : "%.2f MiB",
             bytes / (bytes >= GIBI ? GIBI : MEBI));
    snprintf(parameters, sizeof parameters, count >= 1e9 ? "%.2f B" : "%.2f M",
             count / (count >= 1e9 ? 1e9 : 1e6));
    snprintf(speed, sizeof speed, "%.2f \xc2\xb1 %.2f", ts.mean, ts.deviation);
    /* The sign is two bytes and one column. */
    osl_out_format("| %-30s | %10s | %10s | %-10s | %7u | %15s | %21s |\n", stats.model_name, size,
                   parameters, osl_bench_backend(&stats), stats.threads, test, speed);
}

void osl_bench_print_begin(int output, bool profiled)
{
    if (output == OSL_OUTPUT_JSON) {
        osl_out_text("[\n");
    } else if (output == OSL_OUTPUT_CSV) {
        osl_bench_csv_names(profiled);
    } else {
        osl_out_format("| %-30s | %10s | %10s | %-10s | %7s | %15s | %20s |\n", "model", "size",
                       "params", "backend", "threads", "test", "t/s");
        osl_out_text("| ------------------------------ | ---------: | ---------: | ---------- | "
                     "------: | --------------: | -------------------: |\n");
    }
    osl_out_flush();
}

void osl_bench_print_row(int output, const struct osl_host_engine *engine,
                         const struct osl_bench_row *row, bool first)
{
    if (output == OSL_OUTPUT_JSON) {
        osl_out_text(first ? "" : ",\n");
        osl_bench_json_row(engine, row);
    } else if (output == OSL_OUTPUT_CSV) {
        osl_bench_csv_row(engine, row);
    } else {
        char test[48];
        test_name(row, test);
        print_table_row(engine, row);
        summarise(row);
        osl_bench_times_keep(test, row);
    }
    osl_out_flush();
}

/* Each instruction once, with the types it multiplies. */
static void print_peaks(void)
{
    for (uint32_t i = 0; i < peak_count; i++) {
        bool again = false;
        for (uint32_t before = 0; before < i; before++) {
            again |= strcmp(peaks[before].instruction, peaks[i].instruction) == 0;
        }
        if (again) {
            continue;
        }
        osl_out_format("%s %s %.0f GOP/s (", i > 0 ? "," : "arithmetic peak:", peaks[i].instruction,
                       peaks[i].operations_per_second / 1e9);
        for (uint32_t same = i; same < peak_count; same++) {
            if (strcmp(peaks[same].instruction, peaks[i].instruction) == 0) {
                osl_out_format("%s%s", same > i ? ", " : "", peaks[same].type);
            }
        }
        osl_out_text(")");
    }
    osl_out_text(peak_count > 0 ? "\n" : "");
}

/* What ran it and what it could read and multiply, the denominators of the lines that follow. */
static void print_foot(const struct osl_host_engine *engine, const struct ossicle_stats *stats)
{
    osl_out_format("\nbuild: ossicle %s (%s)\n", ossicle_version(), stats->cpu_level);
    if (osl_bench_gpu(stats)[0] != '\0') {
        osl_out_format("device: vulkan:%d, %s, tier %s\n"
                       "a decode step: %u dispatches, %u barriers, %u submissions\n",
                       engine->plan.device_index, stats->device, stats->device_tier,
                       stats->dispatches_per_token, stats->barriers_per_token,
                       stats->submissions_per_token);
    }
    osl_out_format("start: ready in %.3f s with weights %s, the first token %.3f s later, behind a "
                   "prompt of %u\n",
                   (double)start.load_ns / 1e9, engine->plan.weights,
                   (double)start.first_token_ns / 1e9, start.prompt);
    osl_out_format("read bandwidth: %.1f to %.1f GB/s", least_bandwidth / 1e9,
                   best_bandwidth / 1e9);
    if (osl_bench_gpu(stats)[0] != '\0') {
        osl_out_text(" by the device, around each test\n");
    } else {
        osl_out_format(" with %u threads, around each test\n", stats->threads);
    }
    print_peaks();
    if (stats->device_restarts > 0) {
        osl_out_format("the device was lost and restarted %u times: the speeds are too low\n",
                       stats->device_restarts);
    }
}

void osl_bench_print_end(int output, const struct osl_host_engine *engine)
{
    struct ossicle_stats stats;
    ossicle_stats(engine->engine, &stats);
    if (output == OSL_OUTPUT_JSON) {
        osl_out_text("\n]\n");
    } else if (output == OSL_OUTPUT_TABLE) {
        print_foot(engine, &stats);
        osl_out_bytes(summary, summary_bytes);
        osl_bench_times_print();
    }
}
