/* The rows of bench as CSV: llama-bench's columns, then ours. Every line has as many fields (RFC
 * 4180, 2.4), so that what --profile adds are lines of their own: those of a test repeat its
 * columns and name an op in `op`, which is empty in the test's own line. */
#include "bench.h"
#include "out.h"

static void put_text(const char *text)
{
    osl_out_text("\"");
    for (const char *c = text; *c != '\0'; c++) {
        osl_out_bytes(*c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    }
    osl_out_text("\"");
}

static void put_count(uint64_t count)
{
    osl_out_format(",\"%llu\"", (unsigned long long)count);
}

static void put_number(double value, int decimals)
{
    osl_out_format(",\"%.*f\"", decimals, value);
}

/* llama-bench's columns. */
static void put_test(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    struct ossicle_stats stats;
    struct osl_spread ns = osl_bench_ns(row);
    struct osl_spread ts = osl_bench_speed(row);
    const struct ossicle_plan *plan = &engine->plan;
    ossicle_stats(engine->engine, &stats);
    osl_out_format("\"%s\",\"0\",\"%s\",", ossicle_version(), stats.cpu_level);
    put_text(osl_bench_gpu(&stats));
    osl_out_format(",\"%s\",", osl_bench_backend(&stats));
    put_text(engine->config.model_path);
    osl_out_text(",");
    put_text(stats.model_name);
    put_count(stats.model_bytes);
    put_count(stats.model_parameters);
    put_count(plan->prefill_tokens);
    put_count(plan->prefill_tokens);
    put_count(stats.threads);
    osl_out_format(",\"%s\",\"%s\"", plan->kv, plan->kv);
    put_count(row->prompt);
    put_count(row->generated);
    put_count(row->depth);
    osl_out_format(",\"%s\"", row->time);
    put_number(ns.mean, 0);
    put_number(ns.deviation, 0);
    put_number(ts.mean, 6);
    put_number(ts.deviation, 6);
}

/* Those of our own; the order is that in which they came, for programs that count columns. */
static void put_rates(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    struct ossicle_stats stats;
    struct osl_bench_rates rates;
    ossicle_stats(engine->engine, &stats);
    osl_bench_rates(row, &rates);
    put_number(rates.weight_bytes, 0);
    put_number(row->bandwidth, 0);
    put_number(rates.bandwidth_fraction, 4);
    osl_out_format(",\"%s\"", stats.device_tier);
    put_count(stats.dispatches_per_token);
    put_count(stats.barriers_per_token);
    put_count(stats.submissions_per_token);
    put_number(rates.cache_bytes, 0);
    put_number(rates.bytes_per_second, 0);
    put_number(rates.operations, 0);
    put_number(rates.operations_per_second, 0);
    put_number(rates.peak, 0);
    put_number(rates.peak_fraction, 4);
    put_number(row->bandwidth_median, 0);
    put_number(rates.bandwidth_fraction_median, 4);
    osl_out_format(",\"%s\"", engine->plan.weights);
    put_count(row->start.load_ns);
    put_count(row->start.first_token_ns);
    put_count(row->start.prompt);
}

static void put_op(const char *step, const struct osl_bench_times *times, uint32_t i)
{
    const struct ossicle_time *op = &times->ops[i];
    osl_out_format(",\"%s\",", step);
    put_text(op->name);
    put_count(osl_bench_steps(times));
    put_count(op->dispatches);
    put_count(op->ns);
    put_count(op->waited_ns);
    put_count(op->bytes);
    put_count(op->operations);
    put_number(op->peak_ns, 0);
}

static void put_ops(const struct osl_host_engine *engine, const struct osl_bench_row *row,
                    const char *step, const struct osl_bench_times *times)
{
    for (uint32_t i = 0; i < times->count; i++) {
        put_test(engine, row);
        put_rates(engine, row);
        put_op(step, times, i);
        osl_out_text("\n");
    }
}

void osl_bench_csv_row(const struct osl_host_engine *engine, const struct osl_bench_row *row)
{
    put_test(engine, row);
    put_rates(engine, row);
    osl_out_text(row->profiled ? ",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"\n" : "\n");
    if (row->profiled) {
        put_ops(engine, row, "prefill", &row->prefill);
        put_ops(engine, row, "decode", &row->decode);
    }
}

void osl_bench_csv_names(bool profiled)
{
    osl_out_text("build_commit,build_number,cpu_info,gpu_info,backends,model_filename,"
                 "model_type,model_size,model_n_params,n_batch,n_ubatch,n_threads,type_k,"
                 "type_v,n_prompt,n_gen,n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts,"
                 "weight_bytes_per_token,read_bandwidth,bandwidth_fraction,device_tier,"
                 "dispatches_per_token,barriers_per_token,submissions_per_token,"
                 "cache_bytes_per_token,bytes_per_second,operations_per_token,"
                 "operations_per_second,arithmetic_peak,arithmetic_fraction,"
                 "read_bandwidth_median,bandwidth_fraction_median,weights,load_ns,"
                 "first_token_ns,first_token_prompt");
    osl_out_text(profiled ? ",step,op,op_steps,op_dispatches,op_ns,op_waited_ns,op_bytes,"
                            "op_operations,op_peak_ns\n"
                          : "\n");
}
