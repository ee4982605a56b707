/* Tokens picked on the device: a queue of submissions, each a decode step and a pick, whose tokens
 * land in a ring in host memory. A submission a token, so that its fence says when it is there.
 *
 * The draws of tokens to come lie in the step block in host memory, by place in the ring; a load of
 * them may run while the host fills in later ones, since it never touches those a pending pick
 * will read. */
#include "compute/vulkan/executor.h"

#include <string.h>

_Static_assert(OSL_PICK_AHEAD_MAX <= OSL_GPU_RING, "every token under way has a place");
_Static_assert(OSL_PICK_AHEAD_MAX < OSL_VK_FLIGHT_MAX, "and a fence");

/* With a profile the host picks, so that every step's timestamps are its own. */
uint32_t osl_vulkan_ahead_most(const struct osl_backend *backend)
{
    const struct osl_vulkan *v = (const struct osl_vulkan *)(const void *)backend;
    return v->recorder.queries != VK_NULL_HANDLE ? 0 : OSL_PICK_AHEAD_MAX;
}

static struct osl_gpu_step *host_step(struct osl_vulkan *v)
{
    return (struct osl_gpu_step *)(void *)v->up->mapped;
}

/* The allowed set and the seen counts; nothing is waited for, what follows on the queue sees
 * them. */
static enum osl_status load_sets(struct osl_vulkan *v, const struct osl_pick *pick,
                                 struct osl_error *error)
{
    if (pick->allowed == NULL && pick->seen == NULL) {
        return OSL_OK;
    }
    struct osl_vk_transfer *transfer = &v->transfer[0];
    enum osl_status status = osl_vk_transfer_wait(transfer, osl_vulkan_watchdog_ns(v), error);
    if (status == OSL_OK) {
        status = osl_vk_transfer_begin(transfer, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    uint64_t vocab = v->net.shape.vocab;
    if (pick->allowed != NULL) {
        uint64_t bytes = (vocab + 31) / 32 * 4;
        memcpy(v->up->mapped + v->up_parts.allowed, pick->allowed,
               ((uint64_t)pick->token_count + 31) / 32 * 4);
        osl_vk_transfer_copy(transfer, v->up, v->up_parts.allowed, v->aux, v->pick.allowed.offset,
                             bytes);
    }
    if (pick->seen != NULL) {
        memcpy(v->up->mapped + v->up_parts.seen, pick->seen, vocab * 4);
        osl_vk_transfer_copy(transfer, v->up, v->up_parts.seen, v->aux, v->pick.seen.offset,
                             vocab * 4);
    }
    osl_vk_flush(&v->device, v->up);
    return osl_vk_transfer_submit(transfer, error);
}

/* Logits row 0 of the last step are to be picked from; the token will stand at `position`. */
static enum osl_status load_pick(struct osl_vulkan *v, const struct osl_pick *pick,
                                 uint32_t position, struct osl_error *error)
{
    OSL_ASSERT(v->logits_rows == 1 && position >= 1);
    enum osl_status status = osl_vulkan_settle(v, error); /* the step block may still be read */
    if (status == OSL_OK) {
        osl_vk_pick_fill(pick, 0, &host_step(v)->pick);
        const struct osl_step before = {.kind = OSL_STEP_DECODE,
                                        .token_count = 1,
                                        .position_first = position - 1,
                                        .logits_row_count = 1};
        osl_vulkan_fill_step(v, &before);
        status = load_sets(v, pick, error);
    }
    return status;
}

static void begin_ahead(struct osl_vulkan *v, uint32_t position)
{
    v->ahead.active = true;
    v->ahead.picked = 0;
    v->ahead.taken = 0;
    v->ahead.position = position;
}

/* Draws of the next `count` tokens into their places. */
static void add_draws(struct osl_vulkan *v, const struct osl_pick *pick, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        host_step(v)->pick.uniform_draw[(v->ahead.picked + i) % OSL_GPU_RING] =
            pick->uniform_draw[i];
    }
    osl_vk_flush(&v->device, v->up);
}

static enum osl_status submit_ahead(struct osl_vulkan *v, const struct osl_pick *pick,
                                    uint32_t position, uint32_t count, struct osl_error *error)
{
    const struct osl_vk_commands *c = &v->commands;
    struct osl_vk_ahead *ahead = &v->ahead;
    enum osl_status status = OSL_OK;
    VkCommandBuffer head = c->load_draws;
    uint32_t done = 0;
    if (!ahead->active) {
        status = load_pick(v, pick, position, error);
        if (status != OSL_OK) {
            return status;
        }
        begin_ahead(v, position);
        const VkCommandBuffer commands[] = {c->load[OSL_STEP_DECODE], c->pick};
        status = osl_vulkan_submit(v, OSL_STEP_DECODE, commands, 2, 0, &ahead->number[0], error);
        ahead->picked = 1;
        head = NULL;
        done = 1;
    } else {
        OSL_ASSERT(position == ahead->position); /* of the last token picked */
        add_draws(v, pick, count);
        ahead->position++;
    }
    for (; status == OSL_OK && done < count; done++) {
        uint64_t *number = &ahead->number[ahead->picked % OSL_GPU_RING];
        status = osl_vulkan_submit_token(v, head, c->pick, number, error);
        ahead->picked++;
        ahead->position += done > 0 ? 1 : 0;
        head = NULL;
    }
    return status;
}

enum osl_status osl_vulkan_ahead(struct osl_backend *backend, const struct osl_pick *pick,
                                 uint32_t position, uint32_t count)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    if (v->lost) {
        return OSL_DEVICE;
    }
    OSL_ASSERT(count >= 1 && count <= OSL_PICK_AHEAD_MAX);
    OSL_ASSERT(!v->ahead.active ||
               v->ahead.picked - v->ahead.taken + count <= OSL_PICK_AHEAD_MAX);
    OSL_ASSERT((uint64_t)position + count <= (uint64_t)v->places.limits.context_tokens + 1);
    enum osl_status status = submit_ahead(v, pick, position, count, &error);
    return status == OSL_OK ? OSL_OK : osl_vulkan_lose(v, &error);
}

enum osl_status osl_vulkan_take(struct osl_backend *backend, int32_t *token_out)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    if (v->lost) {
        return OSL_DEVICE;
    }
    OSL_ASSERT(v->ahead.active && v->ahead.taken < v->ahead.picked);
    uint32_t place = (uint32_t)(v->ahead.taken % OSL_GPU_RING);
    enum osl_status status = osl_vulkan_wait_for(v, v->ahead.number[place], &error);
    if (status != OSL_OK) {
        return osl_vulkan_lose(v, &error);
    }
    osl_vk_invalidate(&v->device, v->down);
    const struct osl_gpu_pick_result *result =
        (const void *)(v->down->mapped + v->result_offset);
    *token_out = result->ring[place];
    v->ahead.taken++;
    return OSL_OK;
}

enum osl_status osl_vulkan_drop(struct osl_backend *backend)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    if (v->lost) {
        return OSL_DEVICE;
    }
    v->ahead.active = false;
    enum osl_status status = osl_vulkan_settle(v, &error);
    return status == OSL_OK ? OSL_OK : osl_vulkan_lose(v, &error);
}

static enum osl_status find_candidates(struct osl_vulkan *v, const struct osl_pick *pick,
                                       struct osl_error *error)
{
    const struct osl_vk_commands *c = &v->commands;
    uint64_t number = 0;
    enum osl_status status = load_pick(v, pick, 1, error); /* the position is not looked at */
    if (status == OSL_OK) {
        const VkCommandBuffer commands[] = {c->load[OSL_STEP_DECODE], c->candidates};
        status = osl_vulkan_submit(v, OSL_STEP_DECODE, commands, 2, 0, &number, error);
    }
    return status == OSL_OK ? osl_vulkan_wait_for(v, number, error) : status;
}

enum osl_status osl_vulkan_candidates(struct osl_backend *backend, const struct osl_pick *pick,
                                      struct osl_candidates *out)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    struct osl_error error;
    *out = (struct osl_candidates){0};
    if (v->lost) {
        return OSL_DEVICE;
    }
    OSL_ASSERT(!v->ahead.active);
    enum osl_status status = find_candidates(v, pick, &error);
    if (status != OSL_OK) {
        return osl_vulkan_lose(v, &error);
    }
    osl_vk_invalidate(&v->device, v->down);
    const struct osl_gpu_pick_result *result =
        (const void *)(v->down->mapped + v->result_offset);
    *out = (struct osl_candidates){
        .count = result->candidate_count <= OSL_GPU_CANDIDATES_MAX ? result->candidate_count : 0,
        .token = result->candidate_token,
        .logit = result->candidate_logit,
        .log_sum = result->log_sum,
        .pickable = result->pickable,
    };
    return OSL_OK;
}
