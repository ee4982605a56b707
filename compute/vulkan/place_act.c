/* Placement of the activations: every buffer as low in ACT as its lifetime allows, largest first.
 * Buffers that live at the same time never share memory. Launches are apart by barriers, so what
 * one stage leaves may be overwritten by the next. */
#include "compute/vulkan/place.h"

#include <string.h>

#include "compute/executor.h"

#define STEP_FLOATS 64u /* offsets are multiples of it */
#define MIB (1ull << 20)

enum piece {
    PIECE_PARTS = OSL_BUFFER_COUNT,
    PIECE_ROUTES,
    PIECE_GROUPS,
    PIECE_COUNTERS,
    PIECE_COUNT
};

struct need {
    uint64_t floats;
    enum osl_stage first, last;
};

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

static void fill_needs(const struct osl_shape *s, const struct osl_vulkan_limits *limits,
                       struct need needs[PIECE_COUNT])
{
    uint64_t tokens = limits->prefill_tokens;
    uint64_t chosen = tokens * s->experts_used;
    const struct need all[PIECE_COUNT] = {
        [OSL_BUFFER_X] = {tokens * s->hidden, OSL_STAGE_ATTN_NORM, OSL_STAGE_LOGITS},
        [OSL_BUFFER_NORM] = {tokens * s->hidden, OSL_STAGE_ATTN_NORM, OSL_STAGE_LOGITS},
        [OSL_BUFFER_QKV] = {tokens * (s->heads + 2 * s->kv_heads) * s->head_dim, OSL_STAGE_QKV,
                            OSL_STAGE_ATTEND},
        [OSL_BUFFER_ATTN] = {tokens * s->heads * s->head_dim, OSL_STAGE_ATTEND,
                             OSL_STAGE_ATTN_OUT},
        [OSL_BUFFER_ROUTER] = {tokens * s->experts, OSL_STAGE_MLP_NORM, OSL_STAGE_ROUTE},
        [OSL_BUFFER_EXPERT_H] = {chosen * s->ff, OSL_STAGE_EXPERT_UP, OSL_STAGE_EXPERT_DOWN},
        [OSL_BUFFER_EXPERT_Y] = {chosen * s->hidden, OSL_STAGE_EXPERT_DOWN, OSL_STAGE_EXPERT_DOWN},
        /* read by the host or by a pick after the step */
        [OSL_BUFFER_LOGITS] = {(uint64_t)limits->logits_rows * s->vocab, OSL_STAGE_ATTN_NORM,
                               OSL_STAGE_LOGITS},
        [PIECE_PARTS] = {osl_vk_parts_floats(s, limits->context_tokens), OSL_STAGE_ATTEND,
                         OSL_STAGE_ATTEND},
        [PIECE_ROUTES] = {chosen * 2, OSL_STAGE_MLP_NORM, OSL_STAGE_EXPERT_DOWN},
        [PIECE_GROUPS] = {osl_vk_groups_words(s, limits->prefill_tokens), OSL_STAGE_ROUTE,
                          OSL_STAGE_EXPERT_DOWN},
        [PIECE_COUNTERS] = {OSL_GPU_COUNTERS, OSL_STAGE_ATTN_NORM, OSL_STAGE_LOGITS},
    };
    memcpy(needs, all, sizeof all);
    for (uint32_t i = 0; i < PIECE_COUNT; i++) {
        needs[i].floats = round_up(needs[i].floats, STEP_FLOATS);
    }
}

/* Lowest offset where `subject` collides with nothing placed that lives at the same time. */
static uint64_t lowest(const struct need *needs, const uint64_t *offset, const bool *placed,
                       uint32_t subject)
{
    const struct need *own = &needs[subject];
    uint64_t at = 0;
    for (uint32_t turn = 0; turn < PIECE_COUNT; turn++) { /* each moves past one piece at least */
        for (uint32_t i = 0; i < PIECE_COUNT; i++) {
            const struct need *other = &needs[i];
            if (placed[i] && other->first <= own->last && own->first <= other->last &&
                at < offset[i] + other->floats && offset[i] < at + own->floats) {
                at = offset[i] + other->floats;
            }
        }
    }
    return at;
}

static uint64_t place_all(const struct osl_shape *s, const struct osl_vulkan_limits *limits,
                          struct osl_vk_act *act)
{
    struct need needs[PIECE_COUNT];
    uint64_t offset[PIECE_COUNT] = {0};
    bool placed[PIECE_COUNT] = {false};
    uint64_t end = 0;
    fill_needs(s, limits, needs);
    for (uint32_t turn = 0; turn < PIECE_COUNT; turn++) {
        uint32_t largest = PIECE_COUNT;
        for (uint32_t i = 0; i < PIECE_COUNT; i++) {
            if (!placed[i] && (largest == PIECE_COUNT || needs[i].floats > needs[largest].floats)) {
                largest = i;
            }
        }
        offset[largest] = lowest(needs, offset, placed, largest);
        placed[largest] = true;
        uint64_t top = offset[largest] + needs[largest].floats;
        end = top > end ? top : end;
    }
    for (uint32_t i = 0; i < OSL_BUFFER_COUNT; i++) {
        act->buffer[i] = (uint32_t)offset[i];
    }
    act->parts = (uint32_t)offset[PIECE_PARTS];
    act->routes = (uint32_t)offset[PIECE_ROUTES];
    act->groups = (uint32_t)offset[PIECE_GROUPS];
    act->counters = (uint32_t)offset[PIECE_COUNTERS];
    act->logits_bytes = needs[OSL_BUFFER_LOGITS].floats * 4;
    act->bytes = end * 4;
    return act->bytes;
}

enum osl_status osl_vk_place_act(const struct osl_vk_facts *facts,
                                 const struct osl_schedule *schedule, struct osl_vk_places *places,
                                 struct osl_error *error)
{
    struct osl_vulkan_limits *limits = &places->limits;
    uint32_t rows_asked = limits->logits_rows;
    for (;; limits->prefill_tokens = (limits->prefill_tokens + 1) / 2) {
        limits->logits_rows =
            rows_asked < limits->prefill_tokens ? rows_asked : limits->prefill_tokens;
        uint64_t bytes = place_all(&schedule->shape, limits, &places->act);
        if (bytes <= facts->binding_bytes && bytes <= facts->allocation_bytes) {
            return OSL_OK;
        }
        if (limits->prefill_tokens == 1) {
            return osl_fail(error, OSL_UNSUPPORTED,
                            "%.100s: the activations of one token take %llu MiB, a binding holds "
                            "%llu MiB; use --device cpu",
                            facts->name, (unsigned long long)(bytes / MIB),
                            (unsigned long long)(facts->binding_bytes / MIB));
        }
    }
}
