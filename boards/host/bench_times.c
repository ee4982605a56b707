/* The times of --profile: where a step spends itself. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "out.h"

#define TEXT_BYTES 65536

static char kept[TEXT_BYTES];
static size_t kept_bytes;

static uint64_t sum_of(const struct osl_bench_times *times)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < times->count; i++) {
        sum += times->ops[i].ns;
    }
    return sum;
}

static void keep_line(const char *line)
{
    size_t length = strlen(line);
    if (kept_bytes + length <= sizeof kept) {
        memcpy(kept + kept_bytes, line, length);
        kept_bytes += length;
    }
}

/* "12.3", or "-" for what is not known. */
static const char *number(char text[24], double value, int decimals, const char *unit)
{
    if (value > 0.0) {
        snprintf(text, 24, "%.*f%s", decimals, value, unit);
    } else {
        snprintf(text, 24, "-");
    }
    return text;
}

static void keep_op(const struct ossicle_time *op, double steps, double all_ns, double bandwidth)
{
    char line[192];
    char waits[24], gigabytes[24], read[24], operations[24], peak[24];
    double ns = op->ns > 0 ? (double)op->ns : 1.0;
    snprintf(
        line, sizeof line, "  %-18s %7.1f %10.3f %5.1f %% %7s %7s %7s %7s %7s\n", op->name,
        op->dispatches / steps, (double)op->ns / 1e6 / steps,
        all_ns > 0.0 ? 100.0 * (double)op->ns / all_ns : 0.0,
        number(waits, 100.0 * (double)op->waited_ns / ns, 1, " %"),
        number(gigabytes, (double)op->bytes / ns, 1, ""),
        number(read, bandwidth > 0.0 ? 1e11 * (double)op->bytes / ns / bandwidth : 0.0, 0, " %"),
        number(operations, (double)op->operations / ns, 1, ""),
        number(peak, 100.0 * op->peak_ns / ns, 0, " %"));
    keep_line(line);
}

static void keep_times(const char *test, const char *step, const struct osl_bench_times *times,
                       double bandwidth)
{
    char line[160];
    uint64_t sum = sum_of(times);
    uint64_t waited_ns = 0;
    if (times->count == 0) {
        return;
    }
    double steps = osl_bench_steps(times);
    struct ossicle_time matmuls = osl_bench_matmuls(times);
    for (uint32_t i = 0; i < times->count; i++) {
        waited_ns += times->ops[i].waited_ns;
    }
    snprintf(line, sizeof line, "\n%s: mean of %.0f %s steps, %.3f ms in ops", test, steps, step,
             (double)sum / 1e6 / steps);
    keep_line(line);
    if (waited_ns > 0) {
        snprintf(line, sizeof line, ", threads waited for one another for %.3f ms",
                 (double)waited_ns / 1e6 / steps);
        keep_line(line);
    }
    snprintf(line, sizeof line, "\n  %-18s %7s %10s %7s %7s %7s %7s %7s %7s\n", "", "runs", "ms",
             "share", "waits", "GB/s", "of read", "GOP/s", "of peak");
    keep_line(line);
    for (uint32_t i = 0; i < times->count; i++) {
        keep_op(&times->ops[i], steps, (double)sum, bandwidth);
    }
    if (matmuls.operations > 0) {
        keep_op(&matmuls, steps, (double)sum, bandwidth);
    }
}

void osl_bench_times_keep(const char *test, const struct osl_bench_row *row)
{
    if (row->profiled) {
        keep_times(test, "prefill", &row->prefill, row->bandwidth);
        keep_times(test, "decode", &row->decode, row->bandwidth);
    }
}

void osl_bench_times_print(void)
{
    osl_out_bytes(kept, kept_bytes);
}

static void print_json_times(const char *key, const struct osl_bench_times *times)
{
    osl_out_format("\"%s_steps\": %u, \"%s\": [", key,
                   times->count > 0 ? osl_bench_steps(times) : 0, key);
    for (uint32_t i = 0; i < times->count; i++) {
        osl_out_text(i > 0 ? ", {\"op\": " : "{\"op\": ");
        osl_out_json_text(times->ops[i].name);
        const struct ossicle_time *op = &times->ops[i];
        osl_out_format(", \"dispatches\": %u, \"ns\": %llu, \"waited_ns\": %llu, \"bytes\": %llu, "
                       "\"operations\": %llu, \"peak_ns\": %.0f}",
                       op->dispatches, (unsigned long long)op->ns,
                       (unsigned long long)op->waited_ns, (unsigned long long)op->bytes,
                       (unsigned long long)op->operations, op->peak_ns);
    }
    osl_out_text("]");
}

void osl_bench_times_json(const struct osl_bench_row *row)
{
    if (row->profiled) {
        osl_out_text(",\n    \"times\": {");
        print_json_times("prefill", &row->prefill);
        osl_out_text(", ");
        print_json_times("decode", &row->decode);
        osl_out_text("}");
    }
}
