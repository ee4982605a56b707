/* What a row of bench comes to, against what the machine can do. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

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

double osl_median_of(double *values, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        double value = values[i];
        uint32_t at = i;
        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
    return count == 0 ? 0.0 : (values[(count - 1) / 2] + values[count / 2]) / 2.0;
}

struct osl_spread osl_bench_ns(const struct osl_bench_row *row)
{
    double values[OSL_BENCH_REPETITIONS_MAX];
    for (uint32_t i = 0; i < row->count; i++) {
        values[i] = (double)row->samples_ns[i];
    }
    return osl_spread_of(values, row->count);
}

double osl_bench_sample(const struct osl_bench_row *row, uint32_t i)
{
    return (row->prompt + row->generated) * 1e9 / (double)row->samples_ns[i];
}

struct osl_spread osl_bench_speed(const struct osl_bench_row *row)
{
    double values[OSL_BENCH_REPETITIONS_MAX];
    for (uint32_t i = 0; i < row->count; i++) {
        values[i] = osl_bench_sample(row, i);
    }
    return osl_spread_of(values, row->count);
}

const char *osl_bench_backend(const struct ossicle_stats *stats)
{
    return stats->device_tier[0] != '\0' ? "Vulkan" : "CPU";
}

const char *osl_bench_gpu(const struct ossicle_stats *stats)
{
    return stats->device_tier[0] != '\0' ? stats->device : "";
}

struct ossicle_time osl_bench_matmuls(const struct osl_bench_times *times)
{
    struct ossicle_time sum = {.name = "matmuls together"};
    for (uint32_t i = 0; i < times->count; i++) {
        const struct ossicle_time *op = &times->ops[i];
        if (op->operations > 0) {
            sum.dispatches += op->dispatches;
            sum.ns += op->ns;
            sum.waited_ns += op->waited_ns;
            sum.bytes += op->bytes;
            sum.operations += op->operations;
            sum.peak_ns += op->peak_ns;
        }
    }
    return sum;
}

uint32_t osl_bench_steps(const struct osl_bench_times *times)
{
    for (uint32_t i = 0; i < times->count; i++) {
        if (strcmp(times->ops[i].name, "embed") == 0 && times->ops[i].dispatches > 0) {
            return times->ops[i].dispatches;
        }
    }
    return 1;
}

/* Weights and cache a token, which is a step. A device that counts nothing says only what a step
 * reads of weights. */
static void count_bytes(const struct osl_bench_row *row, struct osl_bench_rates *out)
{
    double steps = osl_bench_steps(&row->decode);
    double all = 0.0;
    double cache = 0.0;
    for (uint32_t i = 0; i < row->decode.count; i++) {
        const struct ossicle_time *op = &row->decode.ops[i];
        all += (double)op->bytes;
        cache += strncmp(op->name, "attend", 6) == 0 ? (double)op->bytes : 0.0;
    }
    out->cache_bytes = cache / steps;
    out->weight_bytes = all > 0.0 ? (all - cache) / steps : (double)row->weight_bytes;
}

void osl_bench_rates(const struct osl_bench_row *row, struct osl_bench_rates *out)
{
    double total_ns = osl_bench_ns(row).mean * row->count;
    memset(out, 0, sizeof *out);
    if (row->generated > 0 && row->count > 0) {
        count_bytes(row, out);
    }
    if (row->prompt == 0 && row->generated > 0) {
        out->bytes_per_second = (out->weight_bytes + out->cache_bytes) * osl_bench_speed(row).mean;
        if (row->bandwidth > 0.0) {
            out->bandwidth_fraction = out->bytes_per_second / row->bandwidth;
            out->bandwidth_fraction_median = out->bytes_per_second / row->bandwidth_median;
        }
    }
    if (row->prompt > 0 && row->generated == 0 && total_ns > 0.0) {
        struct ossicle_time sum = osl_bench_matmuls(&row->prefill);
        out->operations = (double)sum.operations / ((double)row->prompt * row->count);
        out->operations_per_second = (double)sum.operations * 1e9 / total_ns;
        out->peak = sum.peak_ns > 0.0 ? (double)sum.operations * 1e9 / sum.peak_ns : 0.0;
        out->peak_fraction = sum.peak_ns / total_ns;
    }
}
