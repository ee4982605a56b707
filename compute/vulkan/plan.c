/* What a model takes on a device, and whether its heaps have it. */
#include "compute/vulkan/place.h"

#define MIB (1ull << 20)

/* What is left of every heap while allocations are put into them one by one, as buffers.c will. */
struct heaps {
    const struct osl_vk_facts *facts;
    uint64_t left[OSL_VK_HEAPS_MAX];
};

/* The heap an allocation would go to; heap_count: none may. As buffers.c ranks them: the device's
 * own memory for what it works on (other memory only where it is all the same memory), the host's
 * for staging and the token table. `room` asks for one with so much left, 0: the first choice. */
static uint32_t choose_heap(const struct heaps *heaps, bool device, uint64_t room)
{
    const struct osl_vk_facts *facts = heaps->facts;
    uint32_t best = facts->heap_count;
    for (uint32_t i = 0; i < facts->heap_count; i++) {
        const struct osl_vk_heap *heap = &facts->heaps[i];
        bool may = device ? heap->device_local || facts->unified : heap->host_visible;
        if (!may || heaps->left[i] < room) {
            continue;
        }
        bool suits = heap->device_local == device;
        bool best_suits =
            best < facts->heap_count && facts->heaps[best].device_local == device;
        if (best == facts->heap_count || (suits && !best_suits) ||
            (suits == best_suits && heap->bytes > facts->heaps[best].bytes)) {
            best = i;
        }
    }
    return best;
}

static enum osl_status put(struct heaps *heaps, bool device, uint64_t bytes,
                           const struct osl_vk_places *places, struct osl_error *error)
{
    const struct osl_vk_facts *facts = heaps->facts;
    if (bytes == 0) {
        return OSL_OK;
    }
    uint32_t heap = choose_heap(heaps, device, bytes);
    if (heap < facts->heap_count) {
        heaps->left[heap] -= bytes;
        return OSL_OK;
    }
    heap = choose_heap(heaps, device, 0);
    if (heap == facts->heap_count) {
        return osl_fail(error, OSL_UNSUPPORTED, "%.100s: no heap for %s memory", facts->name,
                        device ? "device" : "host");
    }
    uint64_t device_bytes = places->weights_bytes + places->kv_full_bytes + places->kv_ring_bytes +
                            places->marks_bytes + places->act.bytes + places->step_bytes +
                            places->aux_bytes;
    uint64_t host_bytes = places->embedding_bytes + places->up_bytes + places->down_bytes;
    uint64_t wanted = facts->unified ? device_bytes + host_bytes
                      : device       ? device_bytes
                                     : host_bytes;
    uint64_t budget = 0;
    for (uint32_t i = 0; i < facts->heap_count; i++) {
        budget += i == heap || facts->unified ? facts->heaps[i].budget_bytes : 0;
    }
    uint64_t short_of = wanted > budget ? wanted - budget : bytes - heaps->left[heap];
    return osl_fail(error, OSL_MEMORY,
                    "%.100s: heap %u (%s) lacks %llu MiB: %llu MiB are needed, %llu MiB may be "
                    "taken; choose less context, or use --device cpu",
                    facts->name, heap, facts->heaps[heap].device_local ? "device" : "host",
                    (unsigned long long)((short_of + MIB - 1) / MIB),
                    (unsigned long long)((wanted + MIB - 1) / MIB),
                    (unsigned long long)(budget / MIB));
}

static enum osl_status check_heaps(const struct osl_vk_facts *facts,
                                   const struct osl_vk_places *places, struct osl_error *error)
{
    struct heaps heaps = {.facts = facts};
    for (uint32_t i = 0; i < facts->heap_count; i++) {
        heaps.left[i] = facts->heaps[i].budget_bytes;
    }
    enum osl_status status = OSL_OK;
    for (uint32_t i = 0; status == OSL_OK && i < places->weights.count; i++) {
        status = put(&heaps, true, places->weights.bytes[i], places, error);
    }
    for (uint32_t i = 0; status == OSL_OK && i < places->cache.count; i++) {
        status = put(&heaps, true, places->cache.bytes[i], places, error);
    }
    const struct {
        bool device;
        uint64_t bytes;
    } rest[] = {{true, places->marks_bytes},
                {true, places->act.bytes + places->step_bytes + places->aux_bytes},
                {false, places->embedding_bytes},
                {false, places->up_bytes},
                {false, places->down_bytes}};
    for (uint32_t i = 0; status == OSL_OK && i < sizeof rest / sizeof rest[0]; i++) {
        status = put(&heaps, rest[i].device, rest[i].bytes, places, error);
    }
    return status;
}

enum osl_status osl_vulkan_plan(const struct osl_vk_facts *facts,
                                const struct osl_schedule *schedule,
                                const struct osl_vulkan_limits *limits,
                                struct osl_vulkan_need *need_out, struct osl_error *error)
{
    struct osl_vk_places places;
    if (!facts->usable) {
        return osl_fail(error, OSL_UNSUPPORTED, "%.100s: %s", facts->name, facts->refusal);
    }
    enum osl_status status = osl_vk_place(facts, schedule, limits, &places, error);
    if (status != OSL_OK) {
        return status;
    }
    *need_out = (struct osl_vulkan_need){
        .weights_bytes = places.weights_bytes,
        .kv_full_bytes = places.kv_full_bytes,
        .kv_ring_bytes = places.kv_ring_bytes,
        .marks_bytes = places.marks_bytes,
        .activations_bytes = places.act.bytes - places.act.logits_bytes + places.step_bytes +
                             places.aux_bytes,
        .logits_bytes = places.act.logits_bytes,
        .embedding_bytes = places.embedding_bytes,
        .staging_bytes = places.up_bytes + places.down_bytes,
        .prefill_tokens = places.limits.prefill_tokens,
        .ring_capacity = places.ring_capacity,
        .full_capacity = places.full_capacity,
    };
    return check_heaps(facts, &places, error);
}
