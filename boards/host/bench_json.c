/* A row of bench as JSON: llama-bench's keys, then ours. */
#include <stdio.h>

#include "bench.h"
#include "out.h"

/* A number, or null for what does not apply. */
static void print_number(const char *key, double value, int decimals)
{
    osl_out_format(",\n    \"%s\": ", key);
    if (value > 0.0) {
        osl_out_format("%.*f", decimals, value);
    } else {
        osl_out_text("null");
    }
}

static void print_rates(const struct osl_bench_row *row)
{
    struct osl_bench_rates rates;
    osl_bench_rates(row, &rates);
    osl_out_format(",\n    \"weight_bytes_per_token\": %.0f", rates.weight_bytes);
    osl_out_format(",\n    \"cache_bytes_per_token\": %.0f", rates.cache_bytes);
    osl_out_format(",\n    \"read_bandwidth\": %.0f", row->bandwidth);
    osl_out_format(",\n    \"read_bandwidth_median\": %.0f", row->bandwidth_median);
    print_number("bytes_per_second", rates.bytes_per_second, 0);
    print_number("bandwidth_fraction", rates.bandwidth_fraction, 4);
    print_number("bandwidth_fraction_median", rates.bandwidth_fraction_median, 4);
    print_number("operations_per_token", rates.operations, 0);
    print_number("operations_per_second", rates.operations_per_second, 0);
    print_number("arithmetic_peak", rates.peak, 0);
    print_number("arithmetic_fraction", rates.peak_fraction, 4);
    osl_out_text(",\n    \"peaks\": [");
    for (uint32_t i = 0; i < row->peak_count; i++) {
        osl_out_format("%s{\"type\": \"%s\", \"instruction\": \"%s\", \"products\": %u, "
                       "\"operations_per_second\": %.0f}",
                       i > 0 ? ", " : "", row->peaks[i].type, row->peaks[i].instruction,
                       row->peaks[i].products, row->peaks[i].operations_per_second);
    }
    osl_out_text("]");
}

void osl_bench_json_row(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    struct ossicle_stats stats;
    struct osl_spread ns = osl_bench_ns(row);
    struct osl_spread ts = osl_bench_speed(row);
    const struct ossicle_plan *plan = &engine->plan;
    ossicle_stats(engine->engine, &stats);
    osl_out_format("  {\n    \"build_commit\": \"%s\",\n    \"build_number\": 0,\n"
                   "    \"cpu_info\": \"%s\",\n    \"gpu_info\": ",
                   ossicle_version(), stats.cpu_level);
    osl_out_json_text(osl_bench_gpu(&stats));
    osl_out_format(",\n    \"backends\": \"%s\",\n    \"model_filename\": ",
                   osl_bench_backend(&stats));
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
        osl_out_format("%s%.6g", i > 0 ? ", " : " ", osl_bench_sample(row, i));
    }
    osl_out_text(" ]");
    print_rates(row);
    osl_out_format(",\n    \"drafted_tokens\": %llu,\n    \"accepted_tokens\": %llu",
                   (unsigned long long)stats.drafted_tokens,
                   (unsigned long long)stats.accepted_tokens);
    osl_out_format(",\n    \"device_tier\": \"%s\",\n    \"dispatches_per_token\": %u,\n"
                   "    \"barriers_per_token\": %u,\n    \"submissions_per_token\": %u",
                   stats.device_tier, stats.dispatches_per_token, stats.barriers_per_token,
                   stats.submissions_per_token);
    osl_out_format(",\n    \"weights\": \"%s\",\n    \"load_ns\": %llu,\n"
                   "    \"first_token_ns\": %llu,\n    \"first_token_prompt\": %u",
                   plan->weights, (unsigned long long)row->start.load_ns,
                   (unsigned long long)row->start.first_token_ns, row->start.prompt);
    osl_bench_times_json(row);
    osl_out_text("\n  }");
}
