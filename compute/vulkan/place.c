/* Placement: see place.h. */
#include "compute/vulkan/place.h"

#include <stdio.h>
#include <string.h>

#define ALIGNMENT 256u              /* of a binding's offset, on any device */
#define AREA_BYTES_MAX (2ull << 30) /* few allocations, yet heaps are seldom one whole */
#define VECTOR_FLOATS 64u           /* vectors begin at multiples of it */
#define MIB (1ull << 20)

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

/* ---- Areas ------------------------------------------------------------------------------- */

/* Room for a piece, as a binding. False: more areas than there may be. */
static bool take(struct osl_vk_areas *areas, uint64_t bytes, struct osl_vk_binding *out)
{
    uint64_t whole = round_up(bytes, ALIGNMENT);
    if (areas->count == 0 || areas->bytes[areas->count - 1] + whole > areas->most) {
        if (areas->count == OSL_VK_AREAS_MAX || whole > areas->most) {
            return false;
        }
        areas->bytes[areas->count++] = 0;
    }
    uint32_t area = areas->count - 1;
    *out = (struct osl_vk_binding){
        .buffer = areas->buffer[area], .offset = areas->bytes[area], .bytes = bytes};
    areas->bytes[area] += whole;
    return true;
}

/* The same areas with nothing in them yet. */
static struct osl_vk_areas emptied(const struct osl_vk_areas *areas)
{
    struct osl_vk_areas empty = *areas;
    empty.count = 0;
    return empty;
}

static uint64_t total(const struct osl_vk_areas *areas)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < areas->count; i++) {
        sum += areas->bytes[i];
    }
    return sum;
}

/* ---- Weights ----------------------------------------------------------------------------- */

static uint64_t vector_floats(const struct osl_weight *vector)
{
    return vector == NULL ? 0 : round_up((uint64_t)vector->rows * vector->cols, VECTOR_FLOATS);
}

static uint64_t op_vector_floats(const struct osl_op *op)
{
    uint64_t floats = vector_floats(op->gain) + vector_floats(op->sinks);
    for (uint32_t w = 0; w < op->weight_count; w++) {
        floats += vector_floats(op->bias[w]);
    }
    return floats;
}

/* The output's gain lies beside no layer's vectors: it is bound with the output matrix. */
static bool same_vectors(const struct osl_op *a, const struct osl_op *b)
{
    return a->layer == b->layer && (a->kind == OSL_OP_LOGITS) == (b->kind == OSL_OP_LOGITS);
}

static struct osl_vk_vector bind_vector(const struct osl_weight *vector,
                                        const struct osl_vk_binding *vec, uint32_t *at)
{
    struct osl_vk_vector out = {.vec = *vec, .offset = OSL_VK_NO_VECTOR};
    if (vector != NULL) {
        out.offset = *at;
        *at += (uint32_t)vector_floats(vector);
    }
    return out;
}

static void bind_vectors(const struct osl_op *op, const struct osl_vk_binding *vec, uint32_t *at,
                         struct osl_vk_bound *out)
{
    out->gain = bind_vector(op->gain, vec, at);
    out->sinks = bind_vector(op->sinks, vec, at);
    for (uint32_t w = 0; w < 3; w++) {
        out->bias[w] = bind_vector(w < op->weight_count ? op->bias[w] : NULL, vec, at);
    }
}

static bool bind_matrix(const struct osl_vk_facts *facts, const struct osl_weight *weight,
                        struct osl_vk_areas *areas, struct osl_vk_matrix *out)
{
    if (!osl_vk_matrix_cut(osl_vk_layout_of(weight->dtype, false), weight->rows, weight->cols,
                           weight->experts, facts->binding_bytes, out)) {
        return false;
    }
    for (uint32_t s = 0; s < out->slab_count; s++) {
        if (!take(areas, osl_vk_slab_bytes(out, s), &out->slab[s])) {
            return false;
        }
    }
    return true;
}

/* All weights of an op, where they lie in host memory or in the areas. The one that does not fit,
 * or NULL. */
static const struct osl_weight *bind_matrices(const struct osl_vk_facts *facts,
                                              const struct osl_op *op,
                                              const struct osl_vk_imports *imports,
                                              struct osl_vk_areas *areas,
                                              struct osl_vk_bound *out)
{
    uint32_t weights = op->kind == OSL_OP_EMBED ? 1 : op->weight_count;
    bool import = imports->count > 0 && osl_vk_import_fits(facts, op);
    for (uint32_t w = 0; w < weights; w++) {
        if (import) {
            osl_vk_import_bind(facts, op->weight[w], imports, &out->weight[w]);
        } else if (!bind_matrix(facts, op->weight[w], areas, &out->weight[w])) {
            return op->weight[w];
        }
    }
    return NULL;
}

static enum osl_status fail_weight(const struct osl_vk_facts *facts,
                                   const struct osl_weight *weight, uint32_t layer,
                                   struct osl_error *error)
{
    return osl_fail(error, OSL_UNSUPPORTED,
                    "%.100s: a weight of layer %u, %u x %u x %u, does not fit bindings of %llu MiB "
                    "and allocations of %llu MiB; use --device cpu",
                    facts->name, layer, weight->experts, weight->rows, weight->cols,
                    (unsigned long long)(facts->binding_bytes / MIB),
                    (unsigned long long)(facts->allocation_bytes / MIB));
}

/* Ops of a layer follow one another: its vectors first, in one piece, then its matrices.
 * bound: NULL while planning. */
static enum osl_status walk_weights(const struct osl_vk_facts *facts,
                                    const struct osl_schedule *schedule,
                                    const struct osl_vk_imports *imports,
                                    struct osl_vk_areas *areas, struct osl_vk_bound *bound,
                                    struct osl_error *error)
{
    struct osl_vk_bound unkept;
    for (uint32_t first = 0, end; first < schedule->op_count; first = end) {
        const struct osl_op *ops = schedule->ops;
        struct osl_vk_binding vec = {0};
        uint64_t floats = 0;
        for (end = first; end < schedule->op_count && same_vectors(&ops[first], &ops[end]); end++) {
            floats += op_vector_floats(&ops[end]);
        }
        if (floats > 0 &&
            (floats * 4 > facts->binding_bytes || !take(areas, floats * 4, &vec))) {
            return osl_fail(error, OSL_UNSUPPORTED,
                            "%.100s: the vectors of layer %u do not fit a binding; use --device "
                            "cpu",
                            facts->name, ops[first].layer);
        }
        uint32_t at = 0;
        for (uint32_t i = first; i < end; i++) {
            struct osl_vk_bound *out = bound != NULL ? &bound[i] : &unkept;
            bind_vectors(&ops[i], &vec, &at, out);
            const struct osl_weight *stray =
                ops[i].kind == OSL_OP_EMBED ? NULL
                                            : bind_matrices(facts, &ops[i], imports, areas, out);
            if (stray != NULL) {
                return fail_weight(facts, stray, ops[i].layer, error);
            }
        }
    }
    return OSL_OK;
}

/* The token table lies in host memory of its own. */
static bool walk_embedding(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                           const struct osl_vk_imports *imports, struct osl_vk_areas *areas,
                           struct osl_vk_bound *bound)
{
    struct osl_vk_bound unkept;
    for (uint32_t i = 0; i < schedule->op_count; i++) {
        struct osl_vk_bound *out = bound != NULL ? &bound[i] : &unkept;
        if (schedule->ops[i].kind == OSL_OP_EMBED &&
            bind_matrices(facts, &schedule->ops[i], imports, areas, out) != NULL) {
            return false;
        }
    }
    return true;
}

/* ---- Cache ------------------------------------------------------------------------------- */

static void size_cache(const struct osl_schedule *schedule, struct osl_vk_places *places)
{
    uint32_t window = schedule->shape.window;
    places->full_capacity =
        (uint32_t)round_up(places->limits.context_tokens, OSL_ATTEND_BLOCK);
    places->ring_capacity = (uint32_t)round_up((uint64_t)window + places->limits.prefill_tokens,
                                               OSL_ATTEND_BLOCK);
    if (places->ring_capacity > places->full_capacity) {
        places->ring_capacity = places->full_capacity;
    }
}

static uint64_t half_bytes(const struct osl_schedule *schedule, uint32_t rows)
{
    return (uint64_t)schedule->shape.kv_heads * rows *
           osl_kv_row_bytes(schedule->kv_type, schedule->shape.head_dim);
}

/* False: too many areas. */
static bool walk_cache(const struct osl_schedule *schedule, const struct osl_vk_places *places,
                       struct osl_vk_areas *areas, struct osl_vk_kv *kv)
{
    for (uint32_t layer = 0; layer < schedule->shape.layers; layer++) {
        struct osl_vk_kv unkept;
        struct osl_vk_kv *out = kv != NULL ? &kv[layer] : &unkept;
        uint32_t window = schedule->kv[layer].window;
        out->capacity = window != 0 ? places->ring_capacity : places->full_capacity;
        /* A window as long as the context hides nothing. */
        out->window = window < out->capacity ? window : 0;
        if (!take(areas, half_bytes(schedule, out->capacity), &out->k) ||
            !take(areas, half_bytes(schedule, out->capacity), &out->v)) {
            return false;
        }
    }
    return true;
}

static enum osl_status place_cache(const struct osl_vk_facts *facts,
                                   const struct osl_schedule *schedule,
                                   struct osl_vk_places *places, struct osl_error *error)
{
    size_cache(schedule, places);
    uint64_t full = half_bytes(schedule, places->full_capacity);
    if (full > facts->binding_bytes) {
        uint64_t row = half_bytes(schedule, 1);
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%.100s: a layer's keys for a context of %u tokens take %llu MiB, a "
                        "binding holds %llu MiB: --context %llu would fit",
                        facts->name, places->limits.context_tokens,
                        (unsigned long long)(full / MIB),
                        (unsigned long long)(facts->binding_bytes / MIB),
                        (unsigned long long)(facts->binding_bytes / row / OSL_ATTEND_BLOCK *
                                             OSL_ATTEND_BLOCK));
    }
    if (!walk_cache(schedule, places, &places->cache, NULL)) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%.100s: the cache of %u tokens takes more than %u allocations; choose "
                        "less context",
                        facts->name, places->limits.context_tokens, OSL_VK_AREAS_MAX);
    }
    for (uint32_t layer = 0; layer < schedule->shape.layers; layer++) {
        bool windowed = schedule->kv[layer].window != 0;
        uint32_t rows = windowed ? places->ring_capacity : places->full_capacity;
        uint64_t bytes = 2 * round_up(half_bytes(schedule, rows), ALIGNMENT);
        places->kv_ring_bytes += windowed ? bytes : 0;
        places->kv_full_bytes += windowed ? 0 : bytes;
        places->mark_bytes += windowed ? 2 * half_bytes(schedule, schedule->kv[layer].window) : 0;
    }
    places->mark_bytes = round_up(places->mark_bytes, ALIGNMENT);
    places->marks_bytes = places->mark_bytes * places->limits.marks;
    return OSL_OK;
}

/* ---- Staging and small buffers ----------------------------------------------------------- */

#define PIECE_BYTES (8ull << 20)        /* uploads, through a discrete device's bus */
#define PIECE_BYTES_DIRECT (1ull << 20) /* weights are written where they lie; cache rows are not */

struct osl_vk_up osl_vk_up_parts(const struct osl_vk_facts *facts,
                                 const struct osl_vk_places *places, uint32_t vocab)
{
    struct osl_vk_up up;
    up.allowed = round_up(places->step_bytes, ALIGNMENT);
    up.seen = up.allowed + round_up(((uint64_t)vocab + 31) / 32 * 4, ALIGNMENT);
    up.piece = up.seen + round_up((uint64_t)vocab * 4, ALIGNMENT);
    up.piece_bytes = facts->unified || facts->large_bar ? PIECE_BYTES_DIRECT : PIECE_BYTES;
    return up;
}

static void place_small(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                        struct osl_vk_places *places)
{
    const struct osl_shape *s = &schedule->shape;
    places->step_bytes = round_up(
        sizeof(struct osl_gpu_step) + (uint64_t)places->limits.prefill_tokens * 4, ALIGNMENT);
    places->aux_bytes = round_up(OSL_VK_ROPE_WORDS(s->head_dim) * 4, ALIGNMENT) +
                        round_up((uint64_t)s->vocab * 4, ALIGNMENT) +
                        round_up(((uint64_t)s->vocab + 31) / 32 * 4, ALIGNMENT) +
                        round_up(sizeof(struct osl_gpu_pick_scratch), ALIGNMENT);
    struct osl_vk_up up = osl_vk_up_parts(facts, places, s->vocab);
    places->up_bytes = up.piece + 2 * up.piece_bytes;
    uint64_t logits = (uint64_t)places->limits.logits_rows * s->vocab * 4;
    places->down_bytes = round_up(logits, ALIGNMENT);
    if (places->down_bytes < up.piece_bytes) {
        places->down_bytes = up.piece_bytes;
    }
    places->down_bytes += round_up(sizeof(struct osl_gpu_pick_result), ALIGNMENT);
}

/* ---- All of it --------------------------------------------------------------------------- */

enum osl_status osl_vk_place(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                             const struct osl_vulkan_limits *limits, struct osl_vk_places *places,
                             struct osl_error *error)
{
    memset(places, 0, sizeof *places);
    uint64_t most =
        facts->allocation_bytes < AREA_BYTES_MAX ? facts->allocation_bytes : AREA_BYTES_MAX;
    places->limits = *limits;
    places->weights.most = most / ALIGNMENT * ALIGNMENT;
    places->cache.most = places->weights.most;
    enum osl_status status = osl_vk_place_act(facts, schedule, places, error);
    if (status != OSL_OK) {
        return status;
    }
    if (!limits->import_weights || !facts->import || !facts->unified ||
        !osl_vk_import_find(facts, schedule, &places->imports)) {
        places->imports.count = 0;
    }
    status = walk_weights(facts, schedule, &places->imports, &places->weights, NULL, error);
    if (status != OSL_OK) {
        return status;
    }
    struct osl_vk_areas table = {.most = facts->allocation_bytes / ALIGNMENT * ALIGNMENT};
    if (!walk_embedding(facts, schedule, &places->imports, &table, NULL) || table.count > 1) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%.100s: the token table does not fit one allocation of %llu MiB; use "
                        "--device cpu",
                        facts->name, (unsigned long long)(facts->allocation_bytes / MIB));
    }
    places->embedding_bytes = total(&table);
    places->weights_bytes = total(&places->weights);
    status = place_cache(facts, schedule, places, error);
    place_small(facts, schedule, places);
    return status;
}

void osl_vk_bind(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                 const struct osl_vk_places *places, const struct osl_vk_buffer *embedding,
                 struct osl_vk_bound *bound, struct osl_vk_kv *kv)
{
    struct osl_vk_areas weights = emptied(&places->weights);
    struct osl_vk_areas cache = emptied(&places->cache);
    struct osl_vk_areas table = {.most = places->embedding_bytes, .buffer = {embedding}};
    enum osl_status status =
        walk_weights(facts, schedule, &places->imports, &weights, bound, NULL);
    bool all = walk_embedding(facts, schedule, &places->imports, &table, bound) &&
               walk_cache(schedule, places, &cache, kv);
    /* planned by the same walk */
    OSL_ASSERT(status == OSL_OK && all);
    OSL_ASSERT(weights.count == places->weights.count && cache.count == places->cache.count);
}
