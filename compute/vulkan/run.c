/* A step: the step block to the device, then recorded commands in submissions of bounded length.
 * Prefill waits for its end; a decode step is left under way, since its logits or its pick are
 * asked for next and wait then. */
#include "compute/vulkan/executor.h"

#include <string.h>

#define ITEMS_MAX (OSL_LAYERS_MAX + 4)
#define AHEAD_MOST 2     /* submissions of a prefill under way: the device must not run dry */
#define CHUNK_LEAST 16u  /* tokens: shorter chunks cost more than they bound */
#define TOO_LONG 4u      /* a layer may take so many times the target before tokens are cut */
#define TOO_LONG_SOFTWARE 32u /* nobody resets a device that is a program: only aborting waits */
#define PREFILL_LEAST 32u /* tokens that a layer of prefill costs at least: it reads its weights */

enum osl_status osl_vulkan_lose(struct osl_vulkan *v, const struct osl_error *error)
{
    osl_log(OSL_LOG_ERROR, "vulkan: %s", error->text);
    v->lost = true;
    v->ahead.active = false;
    return OSL_DEVICE;
}

/* ---- The step block ---------------------------------------------------------------------- */

void osl_vulkan_fill_step(struct osl_vulkan *v, const struct osl_step *step)
{
    struct osl_gpu_step *host = (struct osl_gpu_step *)(void *)v->up->mapped;
    struct osl_gpu_slot slots[OSL_GPU_SLOTS];
    const struct osl_vk_step_sizes sizes = {.token_count = step->token_count,
                                            .position_first = step->position_first,
                                            .logits_row_count = step->logits_row_count,
                                            .experts_used = v->net.shape.experts_used,
                                            .experts = v->net.shape.experts};
    osl_vk_slots_fill(&v->recorder, &sizes, slots);
    host->token_count = step->token_count;
    host->position_first = step->position_first;
    host->logits_row_first = step->logits_row_first;
    host->logits_row_count = step->logits_row_count;
    host->ring_index = 0;
    memcpy(host->slot, slots, sizeof slots);
    if (step->tokens != NULL) {
        memcpy(host + 1, step->tokens, (uint64_t)step->token_count * 4);
    }
    osl_vk_flush(&v->device, v->up);
}

/* ---- Items ------------------------------------------------------------------------------- */

/* What a step is made of, in order, each with what it costs (see struct osl_vk_pace). */
struct items {
    VkCommandBuffer command[ITEMS_MAX];
    uint32_t cost[ITEMS_MAX];
    uint32_t count;
};

static void add_item(struct items *items, VkCommandBuffer command, uint32_t cost)
{
    OSL_ASSERT(items->count < ITEMS_MAX && command != NULL);
    items->command[items->count] = command;
    items->cost[items->count++] = cost;
}

/* What makes `count` rows of logits, NULL: none. A step that asked for several gets all of them
 * from the same op, however it is cut. */
static VkCommandBuffer logits_command(const struct osl_vulkan *v, uint32_t count, bool rows)
{
    return count == 0 ? NULL : rows ? v->commands.logits_rows : v->commands.logits_one;
}

static void list_step(const struct osl_vulkan *v, const struct osl_step *step, bool rows,
                      struct items *items)
{
    const struct osl_vk_commands *c = &v->commands;
    uint32_t tokens = step->token_count;
    uint32_t cost = step->kind == OSL_STEP_DECODE ? 1 : tokens < PREFILL_LEAST ? PREFILL_LEAST
                                                                              : tokens;
    items->count = 0;
    if (c->reset_queries != NULL) {
        add_item(items, c->reset_queries, 0);
    }
    add_item(items, c->load[step->kind], 0);
    add_item(items, c->embed, 0);
    for (uint32_t l = 0; l < v->net.shape.layers; l++) {
        add_item(items, c->layer[step->kind][l], cost);
    }
    if (step->logits_row_count > 0) {
        add_item(items, logits_command(v, step->logits_row_count, rows),
                 v->pace.logits * (rows ? step->logits_row_count : 1));
    }
}

/* Submits items, as many at once as pace allows, with at most `flying` submissions under way
 * (0: any number). ABORTED between two of them. */
static enum osl_status submit_items(struct osl_vulkan *v, enum osl_step_kind kind,
                                    const struct items *items, uint32_t flying,
                                    uint64_t *number_out, struct osl_error *error)
{
    uint32_t submissions = 0;
    for (uint32_t first = 0, end; first < items->count; first = end) {
        uint64_t most = osl_vulkan_cost_most(v, kind);
        uint64_t cost = items->cost[first];
        for (end = first + 1; end < items->count && cost + items->cost[end] <= most; end++) {
            cost += items->cost[end];
        }
        const atomic_bool *abort = v->config.abort;
        if (flying != 0 && abort != NULL && atomic_load_explicit(abort, memory_order_relaxed)) {
            return OSL_ABORTED;
        }
        while (flying != 0 && v->flight.next - v->flight.done >= flying) {
            enum osl_status status = osl_vulkan_wait_for(v, v->flight.done, error);
            if (status != OSL_OK) {
                return status;
            }
        }
        enum osl_status status =
            osl_vulkan_submit(v, kind, &items->command[first], end - first, (uint32_t)cost,
                              number_out, error);
        if (status != OSL_OK) {
            return status;
        }
        submissions++;
    }
    if (kind == OSL_STEP_DECODE) {
        v->report.submissions_per_token = submissions;
    }
    return OSL_OK;
}

enum osl_status osl_vulkan_submit_token(struct osl_vulkan *v, VkCommandBuffer head,
                                        VkCommandBuffer tail, uint64_t *number_out,
                                        struct osl_error *error)
{
    const struct osl_vk_commands *c = &v->commands;
    struct items items = {.count = 0};
    uint32_t layers = v->net.shape.layers;
    if (head != NULL) {
        add_item(&items, head, 0);
    }
    if (layers + v->pace.logits <= osl_vulkan_cost_most(v, OSL_STEP_DECODE)) {
        add_item(&items, c->token, layers + v->pace.logits);
    } else {
        add_item(&items, c->embed, 0);
        for (uint32_t l = 0; l < layers; l++) {
            add_item(&items, c->layer[OSL_STEP_DECODE][l], 1);
        }
        add_item(&items, c->logits_one, v->pace.logits);
    }
    if (tail != NULL) {
        add_item(&items, tail, 0);
    }
    return submit_items(v, OSL_STEP_DECODE, &items, 0, number_out, error);
}

/* ---- Steps ------------------------------------------------------------------------------- */

/* Weight matrices that a step reads, every expert once that was chosen; of a prompt as many as its
 * tokens can choose. */
static uint64_t count_weight_bytes(const struct osl_vulkan *v, const struct osl_step *step)
{
    const struct osl_shape *s = &v->net.shape;
    uint64_t chosen = (uint64_t)step->token_count * s->experts_used;
    chosen = chosen < s->experts ? chosen : s->experts;
    uint64_t bytes = v->dense_bytes + v->expert_bytes * chosen + v->row_bytes * step->token_count;
    return bytes + (step->logits_row_count > 0 ? v->output_bytes : 0);
}

/* Logits of a chunk's rows to the host, behind those of the chunks before it. */
static enum osl_status fetch_logits(struct osl_vulkan *v, uint32_t first, uint32_t count,
                                    struct osl_error *error)
{
    uint64_t row = (uint64_t)v->net.shape.vocab * 4;
    struct osl_vk_transfer *transfer = &v->transfer[0];
    enum osl_status status = osl_vk_transfer_wait(transfer, osl_vulkan_watchdog_ns(v), error);
    if (status == OSL_OK) {
        status = osl_vk_transfer_begin(transfer, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    osl_vk_transfer_copy(transfer, v->act, (uint64_t)v->net.buffer[OSL_BUFFER_LOGITS] * 4, v->down,
                         first * row, count * row);
    return osl_vk_transfer_run(transfer, osl_vulkan_watchdog_ns(v), error);
}

/* Tokens of a chunk: what was asked, unless one layer of so many takes too long. */
static uint32_t chunk_tokens(const struct osl_vulkan *v, uint32_t left)
{
    uint64_t most = (uint64_t)osl_vulkan_cost_most(v, OSL_STEP_PREFILL);
    bool software = v->device.facts->type == OSL_VK_SOFTWARE;
    if (v->pace.unit_ns[OSL_STEP_PREFILL] != 0.0) {
        most *= software ? TOO_LONG_SOFTWARE : TOO_LONG;
    }
    most = most < CHUNK_LEAST ? CHUNK_LEAST : most;
    return left < most ? left : (uint32_t)most;
}

static enum osl_status run_prefill(struct osl_vulkan *v, const struct osl_step *step,
                                   struct osl_error *error)
{
    uint32_t row_end = step->logits_row_first + step->logits_row_count;
    uint32_t rows_done = 0;
    for (uint32_t first = 0, count; first < step->token_count; first += count) {
        count = chunk_tokens(v, step->token_count - first);
        uint32_t row_first = step->logits_row_first > first ? step->logits_row_first : first;
        uint32_t row_last = row_end < first + count ? row_end : first + count;
        uint32_t rows = row_last > row_first ? row_last - row_first : 0;
        const struct osl_step chunk = {
            .kind = OSL_STEP_PREFILL,
            .token_count = count,
            .position_first = step->position_first + first,
            .tokens = step->tokens + first,
            .logits_row_first = rows > 0 ? row_first - first : 0,
            .logits_row_count = rows,
        };
        struct items items;
        osl_vulkan_fill_step(v, &chunk);
        list_step(v, &chunk, step->logits_row_count > 1, &items);
        enum osl_status status =
            submit_items(v, OSL_STEP_PREFILL, &items, AHEAD_MOST, NULL, error);
        enum osl_status settled = osl_vulkan_settle(v, error);
        status = settled != OSL_OK ? settled : status;
        if (status == OSL_OK && v->recorder.queries != VK_NULL_HANDLE) {
            status = osl_vulkan_profile_step(
                v, OSL_STEP_PREFILL, logits_command(v, rows, step->logits_row_count > 1), error);
        }
        if (status == OSL_OK && rows > 0 && rows < step->logits_row_count) {
            status = fetch_logits(v, rows_done, rows, error);
            rows_done += rows;
        }
        if (status != OSL_OK) {
            return status;
        }
    }
    v->logits_ready = rows_done;
    return OSL_OK;
}

static enum osl_status run_decode(struct osl_vulkan *v, const struct osl_step *step,
                                  struct osl_error *error)
{
    const struct osl_vk_commands *c = &v->commands;
    osl_vulkan_fill_step(v, step);
    uint32_t all = v->net.shape.layers + v->pace.logits;
    bool profile = v->recorder.queries != VK_NULL_HANDLE;
    if (step->logits_row_count == 1 && !profile &&
        all <= osl_vulkan_cost_most(v, OSL_STEP_DECODE)) {
        return osl_vulkan_submit_token(v, c->load[OSL_STEP_DECODE], NULL, NULL, error);
    }
    struct items items;
    list_step(v, step, false, &items);
    enum osl_status status = submit_items(v, OSL_STEP_DECODE, &items, AHEAD_MOST, NULL, error);
    if (profile || status != OSL_OK) {
        enum osl_status settled = osl_vulkan_settle(v, error);
        status = settled != OSL_OK ? settled : status;
    }
    return status == OSL_OK && profile
               ? osl_vulkan_profile_step(v, OSL_STEP_DECODE,
                                         logits_command(v, step->logits_row_count, false), error)
               : status;
}

enum osl_status osl_vulkan_run(struct osl_backend *backend, const struct osl_step *step)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    const struct osl_vulkan_limits *limits = &v->places.limits;
    OSL_ASSERT(step->token_count >= 1 && step->token_count <= limits->prefill_tokens);
    OSL_ASSERT(step->kind == OSL_STEP_PREFILL || step->token_count == 1);
    OSL_ASSERT(step->position_first <= limits->context_tokens - step->token_count);
    OSL_ASSERT(step->logits_row_count <= limits->logits_rows);
    OSL_ASSERT(step->logits_row_first <= step->token_count);
    OSL_ASSERT(step->logits_row_count <= step->token_count - step->logits_row_first);
    struct osl_error error;
    if (v->lost) {
        return OSL_DEVICE;
    }
    v->ahead.active = false;
    v->logits_ready = 0;
    v->logits_rows = step->logits_row_count;
    v->weight_bytes = count_weight_bytes(v, step);
    enum osl_status status = osl_vulkan_settle(v, &error); /* the step block may still be read */
    if (status == OSL_OK) {
        status = step->kind == OSL_STEP_PREFILL ? run_prefill(v, step, &error)
                                                : run_decode(v, step, &error);
    }
    return status == OSL_OK || status == OSL_ABORTED ? status : osl_vulkan_lose(v, &error);
}

enum osl_status osl_vulkan_logits(struct osl_backend *backend, const float **out)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    if (v->lost) {
        return OSL_DEVICE;
    }
    if (v->logits_ready < v->logits_rows) {
        enum osl_status status = osl_vulkan_settle(v, &error);
        if (status == OSL_OK) {
            status = fetch_logits(v, 0, v->logits_rows, &error);
        }
        if (status != OSL_OK) {
            return osl_vulkan_lose(v, &error);
        }
        v->logits_ready = v->logits_rows;
    }
    osl_vk_invalidate(&v->device, v->down);
    *out = (const float *)(const void *)v->down->mapped;
    return OSL_OK;
}

uint64_t osl_vulkan_weight_bytes(const struct osl_backend *backend)
{
    return ((const struct osl_vulkan *)(const void *)backend)->weight_bytes;
}
