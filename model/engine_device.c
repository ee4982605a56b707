/* The engine on a Vulkan device: boot, fall back, and what is told of it. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

enum osl_status osl_engine_start_device(ossicle *engine, const struct ossicle_config *config)
{
    const struct osl_plan *plan = &engine->plan;
    const struct osl_vulkan_config vulkan = {
        .open = osl_device_open(config),
        .device = plan->device.facts.index,
        .tier_most = plan->device.tier_most,
        .schedule = &engine->schedule,
        .limits =
            {
                .prefill_tokens = plan->prefill_tokens,
                .logits_rows = plan->limits.logits_rows,
                .context_tokens = plan->context_tokens,
                .marks = plan->marks + 1,
                .import_weights = config->weights == OSSICLE_WEIGHTS_MAPPED,
            },
        .state_dir = config->state_dir,
        .abort = &engine->cancel,
        .profile = config->profile,
        .progress = config->progress,
        .user = config->user,
    };
    struct osl_error error = {OSL_OK, ""};
    struct osl_backend *device = NULL;
    bool ours = !osl_gguf_in_memory(&engine->gguf); /* to say what the kernel keeps of it */
    if (ours) {
        osl_map_advise(engine->gguf.map.data, engine->gguf.map.bytes, OSL_MAP_SEQUENTIAL);
    }
    enum osl_status status =
        osl_vulkan_boot(engine->device_memory, osl_vulkan_bytes(), &vulkan, &device, &error);
    if (status == OSL_OK) {
        if (ours && plan->device.need.embedding_bytes > 0) { /* copied: not resident twice */
            osl_map_advise(engine->gguf.map.data, engine->gguf.map.bytes, OSL_MAP_DONE);
        }
        engine->backend = device;
        return OSL_OK;
    }
    if (status == OSL_ABORTED || config->device != OSSICLE_DEVICE_AUTO) {
        return osl_fail(&engine->error, status, "%s", error.text);
    }
    engine->plan.device.vulkan = false;
    snprintf(engine->device_note, sizeof engine->device_note, "%.255s", error.text);
    osl_engine_log(engine, OSSICLE_LOG_WARN, "the CPU is used: %.200s", error.text);
    return OSL_OK;
}

static bool on_device(const ossicle *engine)
{
    return engine->backend != engine->cpu;
}

void osl_engine_device_stats(const ossicle *engine, struct ossicle_stats *out)
{
    const char *note =
        engine->device_note[0] != '\0' ? engine->device_note : engine->plan.device.note;
    snprintf(out->device_note, sizeof out->device_note, "%s", note);
    out->device_restarts = engine->restarts;
    snprintf(out->device, sizeof out->device, "cpu");
    if (!on_device(engine)) {
        return;
    }
    struct osl_vulkan_report report;
    osl_vulkan_report(engine->backend, &report);
    snprintf(out->device, sizeof out->device, "%s", report.facts.name);
    snprintf(out->device_tier, sizeof out->device_tier, "%s", osl_vk_tier_name(report.tier));
    out->device_bytes = report.device_bytes;
    out->dispatches_per_token = report.dispatches_per_token;
    out->barriers_per_token = report.barriers_per_token;
    out->submissions_per_token = report.submissions_per_token;
    out->device_checks_ns = report.checks_kept ? 0 : report.checks_ns;
}

uint32_t ossicle_times(ossicle *engine, bool prefill, struct ossicle_time *out, uint32_t most)
{
    struct osl_time times[OSL_TIMES_MAX];
    uint32_t count = osl_backend_times(engine->backend, prefill, times,
                                       most < OSL_TIMES_MAX ? most : OSL_TIMES_MAX);
    for (uint32_t t = 0; t < count; t++) {
        out[t] = (struct ossicle_time){
            .dispatches = times[t].dispatches,
            .ns = times[t].ns,
            .waited_ns = times[t].waited_ns,
            .bytes = times[t].bytes,
            .operations = times[t].operations,
            .peak_ns = times[t].peak_ns,
        };
        snprintf(out[t].name, sizeof out[t].name, "%s", times[t].name);
    }
    return count;
}

uint32_t ossicle_peaks(ossicle *engine, uint32_t repeats, struct ossicle_peak *out, uint32_t most)
{
    struct osl_peak_found found[OSL_DTYPE_END];
    uint32_t count = osl_backend_peaks(engine->backend, repeats, found,
                                       most < OSL_DTYPE_END ? most : OSL_DTYPE_END);
    for (uint32_t p = 0; p < count; p++) {
        out[p] = (struct ossicle_peak){
            .products = found[p].products,
            .operations_per_second = found[p].rate,
        };
        snprintf(out[p].type, sizeof out[p].type, "%s", osl_dtype_name(found[p].dtype));
        snprintf(out[p].instruction, sizeof out[p].instruction, "%s", found[p].instruction);
    }
    return count;
}
