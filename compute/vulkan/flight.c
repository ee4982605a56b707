/* Submissions under way, and how long one may be: see executor.h.
 *
 * A submission that takes seconds makes operating systems reset the device (2 s on Windows, 10 s
 * for amdgpu), and cannot be aborted. So none is meant to take longer than TARGET_NS: a step is cut
 * into runs of layers by what layers took before, and a prompt into fewer tokens where one layer
 * is too long. Real GPUs run whole decode steps in one. */
#include "compute/vulkan/executor.h"

#define TARGET_NS 150e6
#define WATCHDOG_DEFAULT_NS 30000000000u
#define COST_UNKNOWN 1u     /* the first submission: one layer */
#define COST_UNKNOWN_TOKENS 64u
#define MEMORY_SHARE 0.75   /* of an older measurement that is kept when a shorter one comes */

enum osl_status osl_vulkan_flight_open(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_device *device = &v->device;
    v->flight = (struct osl_vk_flight){0};
    for (uint32_t i = 0; i < OSL_VK_FLIGHT_MAX; i++) {
        VkResult result = device->CreateFence(
            device->handle, &(VkFenceCreateInfo){.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO},
            NULL, &v->flight.fence[i]);
        if (result != VK_SUCCESS) {
            v->flight.fence[i] = VK_NULL_HANDLE;
            return osl_vk_fail(error, "vkCreateFence", result);
        }
    }
    return OSL_OK;
}

void osl_vulkan_flight_close(struct osl_vulkan *v)
{
    for (uint32_t i = 0; i < OSL_VK_FLIGHT_MAX; i++) {
        if (v->flight.fence[i] != VK_NULL_HANDLE) {
            v->device.DestroyFence(v->device.handle, v->flight.fence[i], NULL);
            v->flight.fence[i] = VK_NULL_HANDLE;
        }
    }
}

/* Learns from a submission that was waited for from before its end. Slower counts at once, so that
 * the next one is shorter; faster only bit by bit. */
static void learn(struct osl_vulkan *v, uint32_t entry, uint64_t end_ns)
{
    const struct osl_vk_flight *flight = &v->flight;
    uint64_t begin_ns = flight->submit_ns[entry] > flight->done_ns ? flight->submit_ns[entry]
                                                                   : flight->done_ns;
    double unit_ns = (double)(end_ns - begin_ns) / (double)flight->cost[entry];
    double *known = &v->pace.unit_ns[flight->kind[entry]];
    *known = *known == 0.0 || unit_ns > *known
                 ? unit_ns
                 : *known * MEMORY_SHARE + unit_ns * (1.0 - MEMORY_SHARE);
}

uint64_t osl_vulkan_watchdog_ns(const struct osl_vulkan *v)
{
    return v->config.watchdog_ns != 0 ? v->config.watchdog_ns : WATCHDOG_DEFAULT_NS;
}

static enum osl_status wait_oldest(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_flight *flight = &v->flight;
    uint32_t entry = (uint32_t)(flight->done % OSL_VK_FLIGHT_MAX);
    VkResult result = v->device.GetFenceStatus(v->device.handle, flight->fence[entry]);
    bool measured = result == VK_NOT_READY && flight->cost[entry] != 0;
    if (result != VK_SUCCESS && result != VK_NOT_READY) {
        return osl_vk_fail(error, "vkGetFenceStatus", result);
    }
    if (result == VK_NOT_READY) {
        enum osl_status status =
            osl_vk_wait(&v->device, flight->fence[entry], osl_vulkan_watchdog_ns(v), error);
        if (status != OSL_OK) {
            return status;
        }
    }
    uint64_t now = osl_clock_ns();
    if (measured) {
        learn(v, entry, now);
    }
    flight->done_ns = now;
    flight->done++;
    return OSL_OK;
}

enum osl_status osl_vulkan_wait_for(struct osl_vulkan *v, uint64_t number, struct osl_error *error)
{
    OSL_ASSERT(number < v->flight.next);
    enum osl_status status = OSL_OK;
    while (status == OSL_OK && v->flight.done <= number) {
        status = wait_oldest(v, error);
    }
    return status;
}

enum osl_status osl_vulkan_settle(struct osl_vulkan *v, struct osl_error *error)
{
    enum osl_status status = OSL_OK;
    while (status == OSL_OK && v->flight.done < v->flight.next) {
        status = wait_oldest(v, error);
    }
    return status;
}

enum osl_status osl_vulkan_submit(struct osl_vulkan *v, enum osl_step_kind kind,
                                  const VkCommandBuffer *commands, uint32_t count, uint32_t cost,
                                  uint64_t *number_out, struct osl_error *error)
{
    struct osl_vk_flight *flight = &v->flight;
    enum osl_status status = OSL_OK;
    if (flight->next - flight->done == OSL_VK_FLIGHT_MAX) {
        status = wait_oldest(v, error);
    }
    uint32_t entry = (uint32_t)(flight->next % OSL_VK_FLIGHT_MAX);
    if (status == OSL_OK) {
        status = osl_vk_submit(&v->device, flight->fence[entry], commands, count, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    flight->submit_ns[entry] = osl_clock_ns();
    flight->cost[entry] = cost;
    flight->kind[entry] = kind;
    if (number_out != NULL) {
        *number_out = flight->next;
    }
    flight->next++;
    return OSL_OK;
}

uint32_t osl_vulkan_cost_most(const struct osl_vulkan *v, enum osl_step_kind kind)
{
    double unit_ns = v->pace.unit_ns[kind];
    if (unit_ns == 0.0) {
        if (kind == OSL_STEP_DECODE) {
            return COST_UNKNOWN;
        }
        /* A discrete device does a layer of any prompt we plan in less. */
        bool quick = v->device.facts->type == OSL_VK_DISCRETE;
        return quick ? v->places.limits.prefill_tokens : COST_UNKNOWN_TOKENS;
    }
    double most = TARGET_NS / unit_ns;
    return most < 1.0 ? 1 : most > 1e6 ? 1000000 : (uint32_t)most;
}
