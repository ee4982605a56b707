/* The plan as users see it: a table of regions and a verdict. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "plan.h"

void ossicle_config_init(struct ossicle_config *config)
{
    memset(config, 0, sizeof *config);
    config->device_index = -1;
}

/* Decimal gigabytes or megabytes, as memory is sold. */
static void print_bytes(char out[32], uint64_t bytes)
{
    if (bytes >= 1000000000u) {
        snprintf(out, 32, "%.2f GB", (double)bytes / 1e9);
    } else {
        snprintf(out, 32, "%.1f MB", (double)bytes / 1e6);
    }
}

/* What would make it fit: the largest context that does, if any. */
static void write_verdict(const struct osl_plan *plan, const struct osl_shape *shape,
                          struct ossicle_plan *out)
{
    char total[32], budget[32], over[32];
    print_bytes(total, plan->total_bytes);
    print_bytes(budget, plan->budget_bytes);
    if (out->fits) {
        print_bytes(over, plan->budget_bytes - plan->total_bytes);
        snprintf(out->verdict, sizeof out->verdict, "fits: %s of %s, %s to spare", total, budget,
                 over);
        return;
    }
    if (plan->device.vulkan && !plan->device.fits) {
        snprintf(out->verdict, sizeof out->verdict, "does not fit: %.230s",
                 plan->device.short_of);
        return;
    }
    uint64_t excess = plan->total_bytes - plan->budget_bytes;
    print_bytes(over, excess);
    uint64_t row = osl_kv_row_bytes(plan->kv_type, shape->head_dim);
    uint64_t token_bytes = row * 2 * shape->kv_heads * (shape->layers / 2);
    uint64_t fewer = token_bytes ? excess / token_bytes + OSL_ATTEND_BLOCK : UINT64_MAX;
    int used = snprintf(out->verdict, sizeof out->verdict,
                        "does not fit: needs %s, the budget is %s, %s short", total, budget, over);
    if (fewer + 256 < plan->context_tokens) {
        snprintf(out->verdict + used, sizeof out->verdict - (size_t)used,
                 "; --context %" PRIu64 " would fit", plan->context_tokens - fewer);
    } else {
        snprintf(out->verdict + used, sizeof out->verdict - (size_t)used,
                 "; free memory, raise --budget, or take a smaller model%s",
                 plan->kv_type == OSL_KV_F16 ? ", or try --kv q8" : "");
    }
}

void osl_plan_report(const struct osl_plan *plan, const struct osl_hparams *hparams,
                     struct ossicle_plan *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t r = 0; r < OSL_REGION_COUNT; r++) {
        if (plan->bytes[r] == 0) {
            continue;
        }
        struct ossicle_region *region = &out->regions[out->region_count++];
        snprintf(region->name, sizeof region->name, "%s", osl_region_name((enum osl_region)r));
        snprintf(region->where, sizeof region->where, "%s",
                 osl_region_where(plan, (enum osl_region)r));
        region->bytes = plan->bytes[r];
    }
    out->total_bytes = plan->total_bytes;
    out->memory_bytes = plan->host_bytes;
    out->budget_bytes = plan->budget_bytes;
    const struct osl_device_choice *device = &plan->device;
    out->device_bytes = plan->device_bytes;
    out->fits =
        plan->total_bytes <= plan->budget_bytes && (!device->vulkan || device->fits);
    out->device_index = device->vulkan ? (int32_t)device->facts.index : -1;
    snprintf(out->device, sizeof out->device, "%s", device->vulkan ? device->facts.name : "cpu");
    snprintf(out->device_note, sizeof out->device_note, "%s", device->note);
    out->context_tokens = plan->context_tokens;
    out->prefill_tokens = plan->prefill_tokens;
    out->threads = plan->threads;
    snprintf(out->model_name, sizeof out->model_name, "%s", hparams->name);
    snprintf(out->weights, sizeof out->weights, "%s",
             device->vulkan    ? "device"
             : plan->resident ? "resident"
             : plan->given    ? "given"
                              : "mapped");
    snprintf(out->kv, sizeof out->kv, "%s", plan->kv_type == OSL_KV_Q8 ? "q8" : "f16");
    write_verdict(plan, &hparams->shape, out);
}

enum ossicle_status ossicle_plan(const struct ossicle_config *config, struct ossicle_plan *plan_out,
                                 struct ossicle_error *error_out)
{
    struct osl_error error = {OSL_OK, ""};
    struct osl_gguf gguf;
    struct osl_hparams hparams;
    struct osl_model_weights weights;
    struct osl_schedule schedule;
    struct osl_plan plan;
    enum osl_status status = osl_model_open(config, &gguf, &error);
    if (status == OSL_OK) {
        if ((status = osl_bind_hparams(&gguf, &hparams, &error)) == OSL_OK &&
            (status = osl_bind_weights(&gguf, &hparams, &weights, &error)) == OSL_OK &&
            (status = osl_plan_build(config, &gguf, &hparams, &weights, &schedule, &plan,
                                     &error)) == OSL_OK) {
            osl_plan_report(&plan, &hparams, plan_out);
        }
        osl_gguf_close(&gguf);
    }
    osl_error_publish(&error, error_out);
    return (enum ossicle_status)status;
}
