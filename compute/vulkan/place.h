/* Where everything lies on the device: the same walk over the schedule sizes the allocations (the
 * plan) and binds every weight, vector and cache to its place in them (boot). Pure: no Vulkan call
 * is made here. */
#ifndef OSL_VK_PLACE_H
#define OSL_VK_PLACE_H

#include "compute/vulkan/ops.h"
#include "compute/vulkan/vulkan.h"

#define OSL_VK_AREAS_MAX 20 /* allocations for weights, and as many for the cache */

/* Pieces laid one after another into few large buffers; none straddles two. */
struct osl_vk_areas {
    uint64_t most; /* bytes of a buffer */
    uint32_t count;
    uint64_t bytes[OSL_VK_AREAS_MAX];
    const struct osl_vk_buffer *buffer[OSL_VK_AREAS_MAX]; /* NULL while planning */
};

/* Host memory that the device uses in place. */
struct osl_vk_imports {
    uint32_t count; /* 0: none */
    struct {
        uintptr_t first; /* multiples of facts->import_alignment */
        uint64_t bytes;
        const struct osl_vk_buffer *buffer;
    } part[OSL_VK_AREAS_MAX];
};

/* Where an op's weights and vectors lie, in the order of struct osl_op. */
struct osl_vk_bound {
    struct osl_vk_matrix weight[3];
    struct osl_vk_vector bias[3], gain, sinks; /* offset OSL_VK_NO_VECTOR: not there */
};

/* Offsets in ACT as struct osl_vk_net has them, and how large ACT is. */
struct osl_vk_act {
    uint32_t buffer[OSL_BUFFER_COUNT];
    uint32_t parts, routes, groups, counters;
    uint64_t logits_bytes; /* of it: LOGITS */
    uint64_t bytes;
};

/* What boot makes, all told. */
struct osl_vk_places {
    struct osl_vulkan_limits limits; /* prefill_tokens and logits_rows as they are here */
    uint32_t ring_capacity, full_capacity;
    struct osl_vk_areas weights, cache;
    struct osl_vk_imports imports; /* weights that are not in `weights` lie here */
    uint64_t weights_bytes, kv_full_bytes, kv_ring_bytes;
    struct osl_vk_act act;
    uint64_t mark_bytes; /* of one mark */
    uint64_t marks_bytes;
    uint64_t step_bytes, aux_bytes; /* rope, seen, allowed, pick's scratch */
    uint64_t embedding_bytes;
    uint64_t up_bytes, down_bytes;  /* staging */
};

/* Sizes everything; with limits.import_weights, weights that can be used where they lie take
 * nothing on devices that share the host's memory. UNSUPPORTED names what the device lacks. */
OSL_MUST_USE enum osl_status osl_vk_place(const struct osl_vk_facts *facts,
                                          const struct osl_schedule *schedule,
                                          const struct osl_vulkan_limits *limits,
                                          struct osl_vk_places *places, struct osl_error *error);

/* Binds: places as osl_vk_place left it, with the buffers of areas and imports filled in.
 *   bound  [schedule->op_count]; kv [layers]; the embedding's slabs lie in `embedding` */
void osl_vk_bind(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                 const struct osl_vk_places *places, const struct osl_vk_buffer *embedding,
                 struct osl_vk_bound *bound, struct osl_vk_kv *kv);

/* The activations: fills places->act, lowering limits.prefill_tokens until ACT fits a binding. */
OSL_MUST_USE enum osl_status osl_vk_place_act(const struct osl_vk_facts *facts,
                                              const struct osl_schedule *schedule,
                                              struct osl_vk_places *places,
                                              struct osl_error *error);

/* import.c. Whether all weights of an op can be used where the host has them: whole bindings at the
 * device's alignment. */
bool osl_vk_import_fits(const struct osl_vk_facts *facts, const struct osl_op *op);
/* The ranges to import for all ops that fit. False: there are none, or too many. */
bool osl_vk_import_find(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                        struct osl_vk_imports *out);
void osl_vk_import_bind(const struct osl_vk_facts *facts, const struct osl_weight *weight,
                        const struct osl_vk_imports *imports, struct osl_vk_matrix *out);

/* The parts of the upload buffer. */
struct osl_vk_up {
    uint64_t allowed, seen, piece; /* the step block is at 0 */
    uint64_t piece_bytes;          /* of each of two pieces */
};
struct osl_vk_up osl_vk_up_parts(const struct osl_vk_facts *facts,
                                 const struct osl_vk_places *places, uint32_t vocab);

#endif
