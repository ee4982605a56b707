/* The times of --profile: where a step on a Vulkan device spends itself. */
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

/* Every step embeds its tokens in one dispatch. */
static uint32_t steps_of(const struct osl_bench_times *times)
{
    for (uint32_t i = 0; i < times->count; i++) {
        if (strcmp(times->ops[i].name, "embed") == 0 && times->ops[i].dispatches > 0) {
            return times->ops[i].dispatches;
        }
    }
    return 1;
}

static void keep_line(const char *line)
{
    size_t length = strlen(line);
    if (kept_bytes + length <= sizeof kept) {
        memcpy(kept + kept_bytes, line, length);
        kept_bytes += length;
    }
}

static void keep_times(const char *test, const char *step, const struct osl_bench_times *times)
{
    char line[160];
    uint64_t sum = sum_of(times);
    if (times->count == 0) {
        return;
    }
    double steps = steps_of(times);
    snprintf(line, sizeof line, "\n%s: mean of %.0f %s steps, %.3f ms in ops\n", test, steps, step,
             (double)sum / 1e6 / steps);
    keep_line(line);
    for (uint32_t i = 0; i < times->count; i++) {
        const struct ossicle_time *op = &times->ops[i];
        snprintf(line, sizeof line, "  %-20s %6.1f dispatches %9.3f ms %5.1f %%\n", op->name,
                 op->dispatches / steps, (double)op->ns / 1e6 / steps,
                 sum > 0 ? 100.0 * (double)op->ns / (double)sum : 0.0);
        keep_line(line);
    }
}

void osl_bench_times_keep(const char *test, const struct osl_bench_row *row)
{
    keep_times(test, "prefill", &row->prefill);
    keep_times(test, "decode", &row->decode);
}

void osl_bench_times_print(void)
{
    osl_out_bytes(kept, kept_bytes);
}

static void print_json_times(const char *key, const struct osl_bench_times *times)
{
    osl_out_format("\"%s_steps\": %u, \"%s\": [", key, times->count > 0 ? steps_of(times) : 0, key);
    for (uint32_t i = 0; i < times->count; i++) {
        osl_out_text(i > 0 ? ", {\"op\": " : "{\"op\": ");
        osl_out_json_text(times->ops[i].name);
        osl_out_format(", \"dispatches\": %u, \"ns\": %llu}", times->ops[i].dispatches,
                       (unsigned long long)times->ops[i].ns);
    }
    osl_out_text("]");
}

void osl_bench_times_json(const struct osl_bench_row *row)
{
    if (row->prefill.count > 0 || row->decode.count > 0) {
        osl_out_text(",\n    \"times\": {");
        print_json_times("prefill", &row->prefill);
        osl_out_text(", ");
        print_json_times("decode", &row->decode);
        osl_out_text("}");
    }
}
