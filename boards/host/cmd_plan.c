/* ossicle plan: every byte, before anything is taken. */
#include "commands.h"
#include "engine.h"
#include "out.h"

static void print_json(const struct osl_host_engine *engine)
{
    const struct ossicle_plan *plan = &engine->plan;
    osl_out_text("{\"model\": ");
    osl_out_json_text(plan->model_name);
    osl_out_text(", \"board\": ");
    osl_out_json_text(engine->profile.name);
    osl_out_text(", \"device\": ");
    osl_out_json_text(plan->device);
    osl_out_format(", \"device_index\": %d, \"device_note\": ", plan->device_index);
    osl_out_json_text(plan->device_note);
    osl_out_format(", \"context\": %u, \"prefill\": %u, \"threads\": %u, "
                   "\"kv\": \"%s\", \"weights\": \"%s\", \"regions\": [",
                   plan->context_tokens, plan->prefill_tokens, plan->threads, plan->kv,
                   plan->weights);
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct ossicle_region *region = &plan->regions[i];
        osl_out_text(i > 0 ? ", {\"name\": " : "{\"name\": ");
        osl_out_json_text(region->name);
        osl_out_text(", \"where\": ");
        osl_out_json_text(region->where);
        osl_out_format(", \"bytes\": %llu}", (unsigned long long)region->bytes);
    }
    osl_out_format("], \"total_bytes\": %llu, \"memory_bytes\": %llu, \"device_bytes\": %llu, "
                   "\"budget_bytes\": %llu, \"fits\": %s, \"verdict\": ",
                   (unsigned long long)plan->total_bytes, (unsigned long long)plan->memory_bytes,
                   (unsigned long long)plan->device_bytes, (unsigned long long)plan->budget_bytes,
                   plan->fits ? "true" : "false");
    osl_out_json_text(plan->verdict);
    osl_out_text("}\n");
}

static void print_line(const char *name, const char *where, uint64_t bytes)
{
    char size[OSL_SIZE_TEXT_BYTES];
    osl_out_format("%-28s %-8s %16llu  %10s\n", name, where, (unsigned long long)bytes,
                   osl_size_text(bytes, size));
}

static void print_table(const struct osl_host_engine *engine)
{
    const struct ossicle_plan *plan = &engine->plan;
    osl_out_format("%s on %s%s: context %u, prefill %u, %u threads, cache %s, weights %s\n",
                   plan->model_name, engine->profile.name,
                   engine->profile_picked ? " (picked by auto)" : "", plan->context_tokens,
                   plan->prefill_tokens, plan->threads, plan->kv, plan->weights);
    if (plan->device_index >= 0) {
        osl_out_format("on vulkan:%d, %s\n", plan->device_index, plan->device);
    } else {
        osl_out_format("on the CPU%s%s\n", plan->device_note[0] != '\0' ? ", not on a GPU: " : "",
                       plan->device_note);
    }
    osl_out_format("\n%-28s %-8s %16s\n", "region", "where", "bytes");
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct ossicle_region *region = &plan->regions[i];
        print_line(region->name, region->where, region->bytes);
    }
    if (plan->device_index >= 0) {
        print_line("total of the device", "", plan->device_bytes);
        print_line("total of the machine", "", plan->total_bytes);
    } else {
        print_line("total", "", plan->total_bytes);
    }
    print_line("budget of the machine", "", plan->budget_bytes);
    osl_out_format("\n%s\n", plan->verdict);
}

static enum ossicle_status run(const struct osl_args *args)
{
    static struct osl_host_engine engine;
    enum ossicle_status status = osl_host_engine_configure(args, &engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    status = osl_host_engine_plan(&engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    if (args->json) {
        print_json(&engine);
    } else {
        print_table(&engine);
    }
    return engine.plan.fits ? OSSICLE_OK : OSSICLE_MEMORY;
}

const struct osl_command osl_cmd_plan = {
    .name = "plan",
    .bit = OSL_CMD_PLAN,
    .usage = "plan [-m FILE] [options]",
    .summary = "the memory a model takes, region by region, and whether it fits",
    .help =
        "Reads the file's header alone. Prints what runs the model, each region of memory, the "
        "totals\n"
        "of the device and of the machine (which counts the device's regions too where both share\n"
        "one memory), the budget and the verdict. Exit code 6 if it does not fit. where says: "
        "host\n"
        "(taken at start), mapped (the file), given (the demo in the program's own file), "
        "process (the program), device (the GPU's), driver "
        "(the\n"
        "machine's, taken by the GPU's driver), reserve (touched only if the CPU has to take over\n"
        "from a lost GPU). --json has device, device_index (-1: the CPU), device_note (auto: why "
        "the\n"
        "CPU), regions [{name, where, bytes}], total_bytes, memory_bytes, device_bytes,\n"
        "budget_bytes, fits, verdict.\n",
    .run = run,
};
