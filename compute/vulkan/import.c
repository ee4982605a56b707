/* Weights used where the host has them, on devices that share its memory: which ones can be, and
 * the few ranges of memory to import for them. */
#include "compute/vulkan/place.h"

#define PART_BYTES_MAX (2ull << 30)

/* As the file has it: experts follow one another without padding. False: it cannot be cut. */
static bool cut_native(const struct osl_vk_facts *facts, const struct osl_weight *weight,
                       struct osl_vk_matrix *out)
{
    if (!osl_vk_matrix_cut(osl_vk_layout_of(weight->dtype, true), weight->rows, weight->cols,
                           weight->experts, facts->binding_bytes, out)) {
        return false;
    }
    out->expert_bytes = weight->expert_bytes;
    return true;
}

/* First byte of a slab, and how many there are. Shaders read words, so the last one is whole. */
static uintptr_t slab_range(const struct osl_weight *weight, const struct osl_vk_matrix *matrix,
                            uint32_t slab, uint64_t *bytes_out)
{
    bool by_expert = matrix->experts > 1;
    uint64_t unit = by_expert ? weight->expert_bytes : weight->row_bytes;
    uint32_t units = by_expert ? matrix->experts : matrix->rows;
    uint32_t first = slab * matrix->per_slab;
    uint32_t count = units - first < matrix->per_slab ? units - first : matrix->per_slab;
    *bytes_out = (count * unit + 15) / 16 * 16;
    return (uintptr_t)weight->data + first * unit;
}

static bool weight_fits(const struct osl_vk_facts *facts, const struct osl_weight *weight)
{
    struct osl_vk_matrix matrix;
    if (weight->data == NULL || !cut_native(facts, weight, &matrix)) {
        return false;
    }
    for (uint32_t s = 0; s < matrix.slab_count; s++) {
        uint64_t bytes = 0;
        if (slab_range(weight, &matrix, s, &bytes) % facts->offset_alignment != 0) {
            return false;
        }
    }
    return true;
}

bool osl_vk_import_fits(const struct osl_vk_facts *facts, const struct osl_op *op)
{
    uint32_t weights = op->kind == OSL_OP_EMBED ? 1 : op->weight_count;
    bool fits = weights > 0;
    for (uint32_t w = 0; fits && w < weights; w++) {
        fits = weight_fits(facts, op->weight[w]);
    }
    return fits;
}

static bool holds(const struct osl_vk_imports *imports, uint32_t part, uintptr_t at,
                  uint64_t bytes)
{
    uintptr_t first = imports->part[part].first;
    return at >= first && at + bytes <= first + imports->part[part].bytes;
}

void osl_vk_import_bind(const struct osl_vk_facts *facts, const struct osl_weight *weight,
                        const struct osl_vk_imports *imports, struct osl_vk_matrix *out)
{
    bool cut = cut_native(facts, weight, out);
    OSL_ASSERT(cut);
    for (uint32_t s = 0; s < out->slab_count; s++) {
        uint64_t bytes = 0;
        uintptr_t at = slab_range(weight, out, s, &bytes);
        uint32_t p = 0;
        while (p < imports->count && !holds(imports, p, at, bytes)) {
            p++;
        }
        OSL_ASSERT(p < imports->count);
        out->slab[s] = (struct osl_vk_binding){.buffer = imports->part[p].buffer,
                                               .offset = at - imports->part[p].first,
                                               .bytes = bytes};
    }
}

/* Calls fn for every slab of every weight that is imported. */
typedef void slab_fn(void *user, uintptr_t at, uint64_t bytes);

static void walk_slabs(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                       slab_fn *fn, void *user)
{
    for (uint32_t i = 0; i < schedule->op_count; i++) {
        const struct osl_op *op = &schedule->ops[i];
        uint32_t weights = op->kind == OSL_OP_EMBED ? 1 : op->weight_count;
        for (uint32_t w = 0; osl_vk_import_fits(facts, op) && w < weights; w++) {
            struct osl_vk_matrix matrix;
            bool cut = cut_native(facts, op->weight[w], &matrix);
            for (uint32_t s = 0; cut && s < matrix.slab_count; s++) {
                uint64_t bytes = 0;
                uintptr_t at = slab_range(op->weight[w], &matrix, s, &bytes);
                fn(user, at, bytes);
            }
        }
    }
}

/* Finds the next part: from the lowest slab not yet covered to the last one that is still within
 * reach, none being cut. */
struct search {
    uintptr_t done;         /* slabs below are covered */
    uintptr_t first, limit; /* of the part: lowest slab, and where it must end */
    uintptr_t end;          /* of the last slab within reach */
    uintptr_t straddler;    /* lowest slab that reaches past the limit */
};

static void find_first(void *user, uintptr_t at, uint64_t bytes)
{
    struct search *search = user;
    (void)bytes;
    search->first = at >= search->done && at < search->first ? at : search->first;
}

static void find_straddler(void *user, uintptr_t at, uint64_t bytes)
{
    struct search *search = user;
    if (at >= search->done && at + bytes > search->limit && at < search->straddler) {
        search->straddler = at;
    }
}

static void find_end(void *user, uintptr_t at, uint64_t bytes)
{
    struct search *search = user;
    if (at >= search->done && at < search->straddler && at + bytes > search->end) {
        search->end = at + bytes;
    }
}

bool osl_vk_import_find(const struct osl_vk_facts *facts, const struct osl_schedule *schedule,
                        struct osl_vk_imports *out)
{
    uint64_t most =
        facts->allocation_bytes < PART_BYTES_MAX ? facts->allocation_bytes : PART_BYTES_MAX;
    uint64_t page = facts->import_alignment;
    struct search search = {.done = 0};
    out->count = 0;
    for (;;) { /* a part covers one slab at least, or this ends */
        search.first = UINTPTR_MAX;
        walk_slabs(facts, schedule, find_first, &search);
        if (search.first == UINTPTR_MAX) {
            return out->count > 0;
        }
        uintptr_t begin = search.first / page * page;
        search.limit = begin + most / page * page;
        search.straddler = UINTPTR_MAX;
        search.end = 0;
        walk_slabs(facts, schedule, find_straddler, &search);
        walk_slabs(facts, schedule, find_end, &search);
        if (search.end == 0 || out->count == OSL_VK_AREAS_MAX) {
            return false;
        }
        out->part[out->count].first = begin;
        out->part[out->count].bytes = (search.end - begin + page - 1) / page * page;
        out->part[out->count].buffer = NULL;
        out->count++;
        search.done = search.straddler;
        if (search.straddler == UINTPTR_MAX) {
            return true;
        }
    }
}
