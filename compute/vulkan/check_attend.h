/* What the checks of attention and of rows share: inputs in the memory a check is given, and the
 * comparison. Private to check_attend.c and check_rows.c. */
#ifndef OSL_VK_CHECK_ATTEND_H
#define OSL_VK_CHECK_ATTEND_H

#include "compute/vulkan/rig.h"

struct osl_check_inputs {
    uint8_t *at;
    uint64_t left;
    uint64_t seed;
};

/* 64-byte aligned memory; the checks' inputs are sized to fit OSL_VK_CHECK_BYTES. */
static inline void *osl_check_take(struct osl_check_inputs *inputs, uint64_t bytes)
{
    uint64_t whole = (bytes + 63) / 64 * 64;
    OSL_ASSERT(whole <= inputs->left);
    void *out = inputs->at;
    inputs->at += whole;
    inputs->left -= whole;
    return out;
}

/* splitmix64 */
static inline uint64_t osl_check_random(struct osl_check_inputs *inputs)
{
    uint64_t z = (inputs->seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [-range, range). */
static inline float osl_check_float(struct osl_check_inputs *inputs, float range)
{
    return (float)((double)(int64_t)osl_check_random(inputs) * 0x1p-63) * range;
}

static inline float *osl_check_floats(struct osl_check_inputs *inputs, uint64_t count, float range)
{
    float *out = osl_check_take(inputs, count * sizeof *out);
    for (uint64_t i = 0; i < count; i++) {
        out[i] = osl_check_float(inputs, range);
    }
    return out;
}

/* The error over what is allowed joins worst; what is no number fails. */
static inline void osl_check_compare(float *worst, float got, float want, float allowed)
{
    float off = got > want ? got - want : want - got;
    float share = off / allowed;
    if (!(share <= *worst)) {
        *worst = share == share ? share : 1e30f;
    }
}

/* Cosines and sines of a position, as the CPU's executor makes them. */
void osl_check_rotations(const struct osl_vk_rig *rig, uint32_t position, float *cos_out,
                         float *sin_out);

/* A layer's cache on the host and on the rig. Rows nobody wrote are NaN in either type. */
struct osl_check_cache {
    struct osl_vk_kv kv;
    uint8_t *k, *v; /* [kv_heads][capacity] rows */
    uint32_t row_bytes;
    uint64_t bytes; /* of each */
};
/* Room for `tokens` more behind a window, or for positions below `end` without one. */
enum osl_status osl_check_cache_make(struct osl_vk_rig *rig, struct osl_check_inputs *inputs,
                                     uint32_t window, uint32_t end, uint32_t tokens,
                                     struct osl_check_cache *out, struct osl_error *error);
enum osl_status osl_check_cache_send(struct osl_vk_rig *rig, const struct osl_check_cache *cache,
                                     struct osl_error *error);
enum osl_status osl_check_cache_fetch(struct osl_vk_rig *rig, struct osl_check_cache *cache,
                                      struct osl_error *error);
uint8_t *osl_check_cache_row(const struct osl_check_cache *cache, bool value, uint32_t head,
                             uint32_t position);
/* The stored rows of `tokens` positions from `first` on against what QKV [token][..] asks for:
 * values to the bit, keys within a step of their type (they were rotated first). */
void osl_check_stored(const struct osl_vk_rig *rig, struct osl_check_inputs *inputs,
                      const struct osl_check_cache *cache, const float *qkv, uint32_t first,
                      uint32_t tokens, float *worst);

/* As osl_vk_check.run. check_rows.c */
typedef enum osl_status osl_check_fn(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                     void *memory, uint64_t bytes, float *worst_out,
                                     struct osl_error *error);
osl_check_fn osl_vk_check_embed, osl_vk_check_norm, osl_vk_check_logits_norm,
    osl_vk_check_rope_store;

#endif
