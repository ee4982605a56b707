/* The rows of bench: llama-bench's table, its keys in JSON, its columns in CSV. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "out.h"

#define MEBI 1048576.0
#define GIBI 1073741824.0
#define SUMMARY_LINE_BYTES 128
#define SUMMARY_LINES_MAX 64

static char summary[SUMMARY_LINE_BYTES * SUMMARY_LINES_MAX];
static size_t summary_bytes;

struct osl_spread osl_spread_of(const double *values, uint32_t count)
{
    double sum = 0.0;
    double squares = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i];
    }
    double mean = count > 0 ? sum / count : 0.0;
    for (uint32_t i = 0; i < count; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    return (struct osl_spread){.mean = mean,
                               .deviation = count > 1 ? sqrt(squares / (count - 1)) : 0.0};
}

static struct osl_spread spread_ns(const struct osl_bench_row *row)
{
    double values[OSL_BENCH_REPETITIONS_MAX];
    for (uint32_t i = 0; i < row->count; i++) {
        values[i] = (double)row->samples_ns[i];
    }
    return osl_spread_of(values, row->count);
}

static double sample_ts(const struct osl_bench_row *row, uint32_t i)
{
    return (row->prompt + row->generated) * 1e9 / (double)row->samples_ns[i];
}

static struct osl_spread spread_ts(const struct osl_bench_row *row)
{
    double values[OSL_BENCH_REPETITIONS_MAX];
    for (uint32_t i = 0; i < row->count; i++) {
        values[i] = sample_ts(row, i);
    }
    return osl_spread_of(values, row->count);
}

/* Share of the measured bandwidth that the weights of a row that only generates used; 0: the row
 * is none. */
static double fraction_of(const struct osl_bench_row *row)
{
    if (row->prompt > 0 || row->generated == 0 || !(row->bandwidth > 0.0)) {
        return 0.0;
    }
    return spread_ts(row).mean * (double)row->weight_bytes / row->bandwidth;
}

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

static bool on_gpu(const struct ossicle_stats *stats)
{
    return stats->device_tier[0] != '\0';
}

static const char *backend_of(const struct ossicle_stats *stats)
{
    return on_gpu(stats) ? "Vulkan" : "CPU";
}

/* Of the Vulkan device; on the CPU "", as llama-bench has it. */
static const char *gpu_of(const struct ossicle_stats *stats)
{
    return on_gpu(stats) ? stats->device : "";
}

/* A line under the table for each row that only generates. */
static void summarise(const struct osl_bench_row *row)
{
    char test[48];
    double fraction = fraction_of(row);
    if (fraction <= 0.0 || summary_bytes + SUMMARY_LINE_BYTES > sizeof summary) {
        return;
    }
    test_name(row, test);
    summary_bytes +=
        (size_t)snprintf(summary + summary_bytes, SUMMARY_LINE_BYTES,
                         "%s: %.3f GB of weights a token at %.2f t/s is %.1f GB/s, %.0f %% of it\n",
                         test, (double)row->weight_bytes / 1e9, spread_ts(row).mean,
                         spread_ts(row).mean * (double)row->weight_bytes / 1e9, 100.0 * fraction);
}

static void print_table_row(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    struct ossicle_stats stats;
    struct osl_spread ts = spread_ts(row);
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
                   parameters, backend_of(&stats), stats.threads, test, speed);
}

static void print_json_row(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    struct ossicle_stats stats;
    struct osl_spread ns = spread_ns(row);
    struct osl_spread ts = spread_ts(row);
    const struct ossicle_plan *plan = &engine->plan;
    ossicle_stats(engine->engine, &stats);
    osl_out_format("  {\n    \"build_commit\": \"%s\",\n    \"build_number\": 0,\n"
                   "    \"cpu_info\": \"%s\",\n    \"gpu_info\": ",
                   ossicle_version(), stats.cpu_level);
    osl_out_json_text(gpu_of(&stats));
    osl_out_format(",\n    \"backends\": \"%s\",\n    \"model_filename\": ", backend_of(&stats));
    osl_out_json_text(engine->config.model_path);
    osl_out_text(",\n    \"model_type\": ");
    osl_out_json_text(stats.model_name);
    osl_out_format(",\n    \"model_size\": %llu,\n    \"model_n_params\": %llu,\n"
                   "    \"n_batch\": %u,\n    \"n_ubatch\": %u,\n    \"n_threads\": %u,\n"
                   "    \"type_k\": \"%s\",\n    \"type_v\": \"%s\",\n",
                   (unsigned long long)stats.model_bytes,
                   (unsigned long long)stats.model_parameters, plan->prefill_tokens,
                   plan->prefill_tokens, stats.threads, plan->kv, plan->kv);
    osl_out_format("    \"n_prompt\": %u,\n    \"n_gen\": %u,\n    \"n_depth\": %u,\n"
                   "    \"test_time\": \"%s\",\n    \"avg_ns\": %.0f,\n    \"stddev_ns\": %.0f,\n"
                   "    \"avg_ts\": %.6f,\n    \"stddev_ts\": %.6f,\n    \"samples_ns\": [",
                   row->prompt, row->generated, row->depth, row->time, ns.mean, ns.deviation,
                   ts.mean, ts.deviation);
    for (uint32_t i = 0; i < row->count; i++) {
        osl_out_format("%s%llu", i > 0 ? ", " : " ", (unsigned long long)row->samples_ns[i]);
    }
    osl_out_text(" ],\n    \"samples_ts\": [");
    for (uint32_t i = 0; i < row->count; i++) {
        osl_out_format("%s%.6g", i > 0 ? ", " : " ", sample_ts(row, i));
    }
    osl_out_format(" ],\n    \"weight_bytes_per_token\": %llu,\n    \"read_bandwidth\": %.0f,\n"
                   "    \"bandwidth_fraction\": ",
                   (unsigned long long)row->weight_bytes, row->bandwidth);
    double fraction = fraction_of(row);
    osl_out_format(fraction > 0.0 ? "%.4f" : "null", fraction);
    osl_out_format(",\n    \"device_tier\": \"%s\",\n    \"dispatches_per_token\": %u,\n"
                   "    \"barriers_per_token\": %u,\n    \"submissions_per_token\": %u",
                   stats.device_tier, stats.dispatches_per_token, stats.barriers_per_token,
                   stats.submissions_per_token);
    osl_bench_times_json(row);
    osl_out_text("\n  }");
}

static void put_csv_text(const char *text)
{
    osl_out_text("\"");
    for (const char *c = text; *c != '\0'; c++) {
        osl_out_bytes(*c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    }
    osl_out_text("\"");
}

static void print_csv_row(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    struct ossicle_stats stats;
    struct osl_spread ns = spread_ns(row);
    struct osl_spread ts = spread_ts(row);
    const struct ossicle_plan *plan = &engine->plan;
    ossicle_stats(engine->engine, &stats);
    osl_out_format("\"%s\",\"0\",\"%s\",", ossicle_version(), stats.cpu_level);
    put_csv_text(gpu_of(&stats));
    osl_out_format(",\"%s\",", backend_of(&stats));
    put_csv_text(engine->config.model_path);
    osl_out_text(",");
    put_csv_text(stats.model_name);
    osl_out_format(
        ",\"%llu\",\"%llu\",\"%u\",\"%u\",\"%u\",\"%s\",\"%s\",\"%u\",\"%u\",\"%u\","
        "\"%s\",\"%.0f\",\"%.0f\",\"%.6f\",\"%.6f\",\"%llu\",\"%.0f\",\"%.4f\",\"%s\",\"%u\",\"%"
        "u\",\"%u\"\n",
        (unsigned long long)stats.model_bytes, (unsigned long long)stats.model_parameters,
        plan->prefill_tokens, plan->prefill_tokens, stats.threads, plan->kv, plan->kv, row->prompt,
        row->generated, row->depth, row->time, ns.mean, ns.deviation, ts.mean, ts.deviation,
        (unsigned long long)row->weight_bytes, row->bandwidth, fraction_of(row), stats.device_tier,
        stats.dispatches_per_token, stats.barriers_per_token, stats.submissions_per_token);
}

void osl_bench_print_begin(int output)
{
    if (output == OSL_OUTPUT_JSON) {
        osl_out_text("[\n");
    } else if (output == OSL_OUTPUT_CSV) {
        osl_out_text("build_commit,build_number,cpu_info,gpu_info,backends,model_filename,"
                     "model_type,model_size,model_n_params,n_batch,n_ubatch,n_threads,type_k,"
                     "type_v,n_prompt,n_gen,n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts,"
                     "weight_bytes_per_token,read_bandwidth,bandwidth_fraction,device_tier,"
                     "dispatches_per_token,barriers_per_token,submissions_per_token\n");
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
        print_json_row(engine, row);
    } else if (output == OSL_OUTPUT_CSV) {
        print_csv_row(engine, row);
    } else {
        char test[48];
        test_name(row, test);
        print_table_row(engine, row);
        summarise(row);
        osl_bench_times_keep(test, row);
    }
    osl_out_flush();
}

/* What ran it and what it could read, the denominator of the lines that follow. */
static void print_foot(const struct osl_host_engine *engine, const struct ossicle_stats *stats,
                       double bandwidth)
{
    osl_out_format("\nbuild: ossicle %s (%s)\n", ossicle_version(), stats->cpu_level);
    if (on_gpu(stats)) {
        osl_out_format("device: vulkan:%d, %s, tier %s\n"
                       "a decode step: %u dispatches, %u barriers, %u submissions\n"
                       "read bandwidth: %.1f GB/s by the device\n",
                       engine->plan.device_index, stats->device, stats->device_tier,
                       stats->dispatches_per_token, stats->barriers_per_token,
                       stats->submissions_per_token, bandwidth / 1e9);
    } else {
        osl_out_format("read bandwidth: %.1f GB/s with %u threads\n", bandwidth / 1e9,
                       stats->threads);
    }
    if (stats->device_restarts > 0) {
        osl_out_format("the device was lost and restarted %u times: the speeds are too low\n",
                       stats->device_restarts);
    }
}

void osl_bench_print_end(int output, const struct osl_host_engine *engine, double bandwidth)
{
    struct ossicle_stats stats;
    ossicle_stats(engine->engine, &stats);
    if (output == OSL_OUTPUT_JSON) {
        osl_out_text("\n]\n");
    } else if (output == OSL_OUTPUT_TABLE) {
        print_foot(engine, &stats, bandwidth);
        osl_out_bytes(summary, summary_bytes);
        osl_bench_times_print();
    }
}
