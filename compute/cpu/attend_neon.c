/* Attention for ARM, ARMv8.0: contract in compute/kernels.h, the steps of a block in attend_neon.h.
 */
#include "attend_neon.h"

#define PREFILL_PANEL_FLOATS 4096 /* 16 KB: half of a Cortex-A53's first-level cache */
#define PREFILL_HEADS_MAX 64      /* heads times tokens in a tile */
_Static_assert(PREFILL_HEADS_MAX >= OSL_GROUP_MAX, "a tile holds one token at least");
_Static_assert((PREFILL_PANEL_FLOATS + PREFILL_HEADS_MAX * (BLOCK + 2)) * sizeof(float) <=
                   OSL_ATTEND_SCRATCH_BYTES,
               "panel, scores and states fit the scratch");

/* value = value * keep + part * add; the sink is where it all starts. */
static void merge_head(float *out, float sink, const float *part, size_t part_stride,
                       uint32_t part_count, uint32_t head_dim)
{
    float most = sink;
    float sum = 1.0f;
    memset(out, 0, head_dim * sizeof(float));
    for (uint32_t i = 0; i < part_count; i++, part += part_stride) {
        if (part[1] == 0.0f) { /* no key of the segment was seen */
            continue;
        }
        float now = part[0] > most ? part[0] : most;
        float keep = exp_one(most - now);
        float add = exp_one(part[0] - now);
        most = now;
        sum = sum * keep + part[1] * add;
        for (uint32_t d = 0; d < head_dim; d += 4) {
            float32x4_t value = vmulq_n_f32(vld1q_f32(out + d), keep);
            vst1q_f32(out + d, vfmaq_n_f32(value, vld1q_f32(part + 2 + d), add));
        }
    }
    scale_row(out, 1.0f / sum, head_dim);
}

void osl_neon_attend_merge(const struct osl_attend *a, const float *parts, uint32_t part_count)
{
    size_t part_floats = OSL_ATTEND_PART_FLOATS((size_t)a->group, a->head_dim);
    for (uint32_t h = 0; h < a->group; h++) {
        merge_head(a->out + (size_t)h * a->head_dim, a->sinks[h],
                   parts + (size_t)h * (a->head_dim + 2), part_floats, part_count, a->head_dim);
    }
}

/* ---- Prefill ----------------------------------------------------------------------------- */

/* Tokens that share the panels of a block. */
struct tile {
    const struct osl_attend *a;
    enum osl_kv_type type;
    uint32_t first; /* absolute position of its first token */
    uint32_t tokens;
    struct heads heads[PREFILL_HEADS_MAX];
    float *panel_rows;
};

static uint32_t window_begin(const struct osl_attend *a, uint32_t position)
{
    return a->kv.window != 0 && position >= a->kv.window ? position + 1 - a->kv.window : 0;
}

/* What the token at `position` sees of a block; empty when low >= high. */
static struct range visible(const struct osl_attend *a, uint32_t position, uint32_t block)
{
    uint32_t begin = window_begin(a, position);
    uint32_t end = position + 1;
    struct range seen = {begin > block ? begin - block : 0,
                         end <= block ? 0 : (end - block < BLOCK ? end - block : BLOCK)};
    return seen;
}

typedef void block_step(const struct osl_attend *a, const struct heads *heads,
                        const struct panel *panel, struct range seen);

/* Takes the tile through K or V of one block, panel by panel. */
static void tile_panels(const struct tile *tile, const void *cache, uint32_t block,
                        struct range keys, block_step *step)
{
    const struct osl_attend *a = tile->a;
    uint32_t panel = panel_keys(PREFILL_PANEL_FLOATS, a->head_dim);
    for (uint32_t key = keys.low; key < keys.high; key += panel) {
        uint32_t count = keys.high - key < panel ? keys.high - key : panel;
        struct panel wide = widen_panel(tile->panel_rows, cache, a, tile->type, block, key, count);
        for (uint32_t t = 0; t < tile->tokens; t++) {
            step(a, &tile->heads[t], &wide, visible(a, tile->first + t, block));
        }
    }
}

static void run_tile(const struct tile *tile)
{
    const struct osl_attend *a = tile->a;
    uint32_t begin = window_begin(a, tile->first);
    uint32_t end = tile->first + tile->tokens;
    for (uint32_t block = begin / BLOCK * BLOCK; block < end; block += BLOCK) {
        struct range keys = {begin > block ? begin - block : 0,
                             end - block < BLOCK ? end - block : BLOCK};
        tile_panels(tile, a->kv.k, block, keys, block_scores);
        for (uint32_t t = 0; t < tile->tokens; t++) {
            struct range seen = visible(a, tile->first + t, block);
            if (seen.low < seen.high) {
                block_softmax(a, &tile->heads[t], seen);
            }
        }
        tile_panels(tile, a->kv.v, block, keys, block_values);
    }
}

static void attend_prefill(const struct osl_attend *a, enum osl_kv_type type, uint32_t first,
                           uint32_t tokens, float *scratch)
{
    OSL_ASSERT_HOT(a->group <= OSL_GROUP_MAX && a->head_dim <= OSL_HEAD_DIM_MAX);
    const uint32_t tile_tokens = PREFILL_HEADS_MAX / a->group;
    float *score = scratch + PREFILL_PANEL_FLOATS;
    float *state = score + PREFILL_HEADS_MAX * BLOCK;
    struct tile tile = {.a = a, .type = type, .panel_rows = scratch};
    for (uint32_t done = 0; done < tokens; done += tile_tokens) {
        tile.first = first + done;
        tile.tokens = tokens - done < tile_tokens ? tokens - done : tile_tokens;
        for (uint32_t t = 0; t < tile.tokens; t++) {
            float *out = a->out + (size_t)(done + t) * a->out_stride;
            struct heads *heads = &tile.heads[t];
            *heads = (struct heads){a->q + (size_t)(done + t) * a->q_stride,
                                    score + (size_t)t * a->group * BLOCK,
                                    state + (size_t)t * a->group * 2,
                                    out,
                                    2,
                                    a->head_dim};
            memset(out, 0, (size_t)a->group * a->head_dim * sizeof(float));
            for (uint32_t h = 0; h < a->group; h++) { /* the sink, seen by everyone, comes first */
                heads->state[2 * h] = a->sinks[h];
                heads->state[2 * h + 1] = 1.0f;
            }
        }
        run_tile(&tile);
        for (uint32_t t = 0; t < tile.tokens; t++) {
            for (uint32_t h = 0; h < a->group; h++) {
                const struct heads *heads = &tile.heads[t];
                scale_row(heads->value + (size_t)h * a->head_dim, 1.0f / heads->state[2 * h + 1],
                          a->head_dim);
            }
        }
    }
}

void osl_neon_attend_prefill_f16(const struct osl_attend *a, uint32_t first, uint32_t tokens,
                                 void *scratch)
{
    attend_prefill(a, OSL_KV_F16, first, tokens, scratch);
}

void osl_neon_attend_prefill_q8(const struct osl_attend *a, uint32_t first, uint32_t tokens,
                                void *scratch)
{
    attend_prefill(a, OSL_KV_Q8, first, tokens, scratch);
}

void osl_neon_attend_part_f16(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                              float *part)
{
    attend_part(a, OSL_KV_F16, key_begin, key_end, part, NULL, NULL);
}

void osl_neon_attend_part_q8(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                             float *part)
{
    attend_part(a, OSL_KV_Q8, key_begin, key_end, part, NULL, NULL);
}
