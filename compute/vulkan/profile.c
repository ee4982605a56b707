/* What the device does with its time: bandwidth over the weights, and timestamps around ops. */
#include "compute/vulkan/executor.h"

#include <string.h>

#define STREAM_BYTES_MAX (4ull << 30) /* more would not make the figure better */
#define STREAM_LANES 128u
#define STREAM_VECTORS 16u /* of 16 bytes, that an invocation reads */
#define STREAM_GROUPS_X 32768u

/* ---- Bandwidth --------------------------------------------------------------------------- */

/* Reads [0, bytes) of a buffer, as much of it as STREAM_BYTES_MAX leaves: dispatches that do not
 * wait for one another. */
static enum osl_status stream_buffer(struct osl_vulkan *v, const struct osl_vk_pipeline *pipeline,
                                     const struct osl_vk_buffer *buffer, uint64_t bytes,
                                     struct osl_error *error)
{
    uint64_t most = v->device.facts->binding_bytes / 4096 * 4096;
    uint64_t left = STREAM_BYTES_MAX - v->commands.stream_bytes;
    enum osl_status status = OSL_OK;
    for (uint64_t at = 0, piece; status == OSL_OK && at < bytes && left > 0; at += piece) {
        piece = bytes - at < most ? bytes - at : most;
        piece = piece < left ? piece : left;
        const struct {
            uint32_t vectors, counters;
        } push = {(uint32_t)(piece / 16), v->net.counters};
        uint64_t per_group = (uint64_t)STREAM_LANES * STREAM_VECTORS;
        uint64_t groups = (push.vectors + per_group - 1) / per_group;
        uint32_t x = groups < STREAM_GROUPS_X ? (uint32_t)groups : STREAM_GROUPS_X;
        const struct osl_vk_dispatch dispatch = {
            .pipeline = pipeline,
            .bind = {[1] = v->net.act, [4] = {buffer, at, piece}},
            .push = &push,
            .push_bytes = sizeof push,
            .groups = {.rule = OSL_VK_FIXED,
                       .x = x,
                       .y = (uint32_t)((groups + x - 1) / x),
                       .z = 1},
            .barrier = v->commands.stream_bytes == 0,
            .name = "stream",
        };
        status = osl_vk_record(&v->recorder, &dispatch, error);
        v->commands.stream_bytes += piece;
        left -= piece;
    }
    return status;
}

enum osl_status osl_vulkan_record_stream(struct osl_vulkan *v, uint32_t unused,
                                         struct osl_error *error)
{
    const uint32_t spec[] = {STREAM_LANES, v->device.facts->subgroup_size, 1, 0, 0,
                             0,            0,                              0, STREAM_VECTORS};
    const struct osl_vk_imports *imports = &v->places.imports;
    const struct osl_vk_areas *weights = &v->places.weights;
    const struct osl_vk_pipeline *pipeline = NULL;
    enum osl_status status = osl_vk_pipeline_get(&v->device, "stream", spec,
                                                 sizeof spec / sizeof spec[0], &pipeline, error);
    v->commands.stream_bytes = 0;
    for (uint32_t i = 0; status == OSL_OK && i < imports->count; i++) {
        status = stream_buffer(v, pipeline, imports->part[i].buffer, imports->part[i].bytes, error);
    }
    for (uint32_t i = 0; status == OSL_OK && i < weights->count; i++) {
        status = stream_buffer(v, pipeline, weights->buffer[i], weights->bytes[i], error);
    }
    return status;
}

double osl_vulkan_bandwidth(struct osl_backend *backend, uint32_t repeats)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    double best = 0.0;
    for (uint32_t i = 0; i < repeats && !v->lost; i++) {
        uint64_t number = 0;
        enum osl_status status = osl_vulkan_settle(v, &error);
        uint64_t begin_ns = osl_clock_ns();
        if (status == OSL_OK) {
            status = osl_vulkan_submit(v, OSL_STEP_DECODE, &v->commands.stream, 1, 0, &number,
                                       &error);
        }
        if (status == OSL_OK) {
            status = osl_vulkan_wait_for(v, number, &error);
        }
        if (status != OSL_OK) {
            (void)osl_vulkan_lose(v, &error);
            return 0.0;
        }
        double seconds = (double)(osl_clock_ns() - begin_ns) * 1e-9;
        double rate = (double)v->commands.stream_bytes / seconds;
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- Timestamps -------------------------------------------------------------------------- */

static void add_time(struct osl_vk_timed *timed, const char *name, uint64_t ns)
{
    uint32_t i = 0;
    while (i < timed->count && strcmp(timed->op[i].name, name) != 0) {
        i++;
    }
    if (i == OSL_VK_TIMED_MAX) {
        return;
    }
    if (i == timed->count) {
        timed->op[timed->count++] = (struct osl_time){.name = name};
    }
    timed->op[i].dispatches++;
    timed->op[i].ns += ns;
}

static enum osl_status add_command(struct osl_vulkan *v, struct osl_vk_timed *timed,
                                   VkCommandBuffer command, struct osl_error *error)
{
    uint32_t index = 0;
    while (index < v->recorder.command_count && v->recorder.commands[index] != command) {
        index++;
    }
    OSL_ASSERT(index < v->recorder.command_count);
    for (uint32_t q = v->query_first[index]; q < v->query_end[index]; q++) {
        uint64_t ticks[2] = {0};
        VkResult result = v->device.GetQueryPoolResults(
            v->device.handle, v->recorder.queries, 2 * q, 2, sizeof ticks, ticks, sizeof ticks[0],
            VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
        if (result != VK_SUCCESS) {
            return osl_vk_fail(error, "vkGetQueryPoolResults", result);
        }
        double ns = (double)(ticks[1] - ticks[0]) * (double)v->device.facts->timestamp_ns;
        add_time(timed, v->recorder.query_names[q], ticks[1] > ticks[0] ? (uint64_t)ns : 0);
    }
    return OSL_OK;
}

enum osl_status osl_vulkan_profile_step(struct osl_vulkan *v, enum osl_step_kind kind,
                                        VkCommandBuffer logits, struct osl_error *error)
{
    struct osl_vk_timed *timed = &v->timed[kind];
    enum osl_status status = add_command(v, timed, v->commands.embed, error);
    for (uint32_t l = 0; status == OSL_OK && l < v->net.shape.layers; l++) {
        status = add_command(v, timed, v->commands.layer[kind][l], error);
    }
    return status == OSL_OK && logits != NULL ? add_command(v, timed, logits, error) : status;
}

uint32_t osl_vulkan_times(struct osl_backend *backend, bool prefill, struct osl_time *out,
                          uint32_t most)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_vk_timed *timed = &v->timed[prefill ? OSL_STEP_PREFILL : OSL_STEP_DECODE];
    uint32_t count = timed->count < most ? timed->count : most;
    memcpy(out, timed->op, count * sizeof out[0]);
    timed->count = 0;
    return count;
}
