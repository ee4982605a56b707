/* Checks of attention, decode and prefill, with and without a window; and what they share with the
 * checks of rows. */
#include "compute/vulkan/check_attend.h"

#include <math.h>
#include <string.h>

#define VALUE_RANGE 2.0f /* of queries, keys and values: scores of a few units, no flat softmax */
/* Scores are sums of head_dim f32 products in another order, weights a power of two that Vulkan
 * wants to 3 + 2 |x| ulp; what they weigh adds up to VALUE_RANGE. */
#define ATTEND_ALLOWED (1e-5f * VALUE_RANGE)
/* A key may round to the neighbour of what the plain C stores: half a step of f16 is 2^-11 of the
 * value; one of q8 is a whole step, 1/127 of the block's largest, and its scale a multiple of
 * 2^-24. */
#define KEY_ALLOWED_F16 (1.01f / 1024.0f)
#define KEY_ALLOWED_Q8 (1.01f / 127.0f)

/* ---- Shared ------------------------------------------------------------------------------ */

void osl_check_rotations(const struct osl_vk_rig *rig, uint32_t position, float *cos_out,
                         float *sin_out)
{
    uint32_t half = rig->net.shape.head_dim / 2;
    for (uint32_t i = 0; i < half; i++) {
        double angle = (double)position * (double)rig->rope[i];
        cos_out[i] = (float)cos(angle) * rig->rope[half];
        sin_out[i] = (float)sin(angle) * rig->rope[half];
    }
}

enum osl_status osl_check_cache_make(struct osl_vk_rig *rig, struct osl_check_inputs *inputs,
                                     uint32_t window, uint32_t end, uint32_t tokens,
                                     struct osl_check_cache *out, struct osl_error *error)
{
    const struct osl_shape *s = &rig->net.shape;
    uint32_t rows = window != 0 ? window + tokens : end;
    uint32_t capacity = (rows + OSL_ATTEND_BLOCK - 1) / OSL_ATTEND_BLOCK * OSL_ATTEND_BLOCK;
    out->row_bytes = osl_kv_row_bytes(rig->net.kv_type, s->head_dim);
    out->bytes = (uint64_t)s->kv_heads * capacity * out->row_bytes;
    out->k = osl_check_take(inputs, out->bytes);
    out->v = osl_check_take(inputs, out->bytes);
    memset(out->k, 0xff, out->bytes);
    memset(out->v, 0xff, out->bytes);
    return osl_vk_rig_kv(rig, capacity, window, &out->kv, error);
}

enum osl_status osl_check_cache_send(struct osl_vk_rig *rig, const struct osl_check_cache *cache,
                                     struct osl_error *error)
{
    enum osl_status status = osl_vk_rig_write(rig, &cache->kv.k, 0, cache->k, cache->bytes, error);
    return status != OSL_OK ? status
                            : osl_vk_rig_write(rig, &cache->kv.v, 0, cache->v, cache->bytes, error);
}

enum osl_status osl_check_cache_fetch(struct osl_vk_rig *rig, struct osl_check_cache *cache,
                                      struct osl_error *error)
{
    enum osl_status status = osl_vk_rig_read(rig, &cache->kv.k, 0, cache->k, cache->bytes, error);
    return status != OSL_OK ? status
                            : osl_vk_rig_read(rig, &cache->kv.v, 0, cache->v, cache->bytes, error);
}

uint8_t *osl_check_cache_row(const struct osl_check_cache *cache, bool value, uint32_t head,
                             uint32_t position)
{
    uint64_t row = (uint64_t)head * cache->kv.capacity + position % cache->kv.capacity;
    return (value ? cache->v : cache->k) + row * cache->row_bytes;
}

static void load_row(const struct osl_vk_rig *rig, const uint8_t *row, float *out)
{
    uint32_t dim = rig->net.shape.head_dim;
    if (rig->net.kv_type == OSL_KV_F16) {
        osl_dequantize_row(out, row, OSL_DTYPE_F16, dim);
        return;
    }
    for (uint32_t d = 0; d < dim; d++) {
        uint8_t one[2] = {row[dim + d / OSL_BLOCK_COLS * 2], row[dim + d / OSL_BLOCK_COLS * 2 + 1]};
        float scale;
        osl_dequantize_row(&scale, one, OSL_DTYPE_F16, 1);
        out[d] = (float)(int8_t)row[d] * scale;
    }
}

void osl_check_stored(const struct osl_vk_rig *rig, struct osl_check_inputs *inputs,
                      const struct osl_check_cache *cache, const float *qkv, uint32_t first,
                      uint32_t tokens, float *worst)
{
    const struct osl_kernels *plain = osl_kernels_find("plain");
    const struct osl_shape *s = &rig->net.shape;
    bool q8 = rig->net.kv_type == OSL_KV_Q8;
    uint32_t dim = s->head_dim, width = (s->heads + 2 * s->kv_heads) * dim;
    float *rotation = osl_check_take(inputs, dim * sizeof(float));
    float *key = osl_check_take(inputs, dim * sizeof(float));
    float *got = osl_check_take(inputs, dim * sizeof(float));
    uint8_t *row = osl_check_take(inputs, cache->row_bytes);
    for (uint32_t i = 0; i < tokens * s->kv_heads; i++) {
        uint32_t t = i / s->kv_heads, head = i % s->kv_heads;
        const float *in = qkv + (uint64_t)t * width + (s->heads + head) * dim;
        plain->kv_store[rig->net.kv_type](row, in + s->kv_heads * dim, dim);
        const uint8_t *value = osl_check_cache_row(cache, true, head, first + t);
        osl_check_compare(worst, memcmp(row, value, cache->row_bytes) == 0 ? 0.0f : 2.0f, 0.0f,
                          1.0f);
        osl_check_rotations(rig, first + t, rotation, rotation + dim / 2);
        memcpy(key, in, dim * sizeof *key);
        plain->rope(key, 1, dim, rotation, rotation + dim / 2);
        load_row(rig, osl_check_cache_row(cache, false, head, first + t), got);
        for (uint32_t d = 0; d < dim; d++) {
            float most = 0.0f;
            for (uint32_t j = d / 32 * 32; j < d / 32 * 32 + 32; j++) {
                most = fabsf(key[j]) > most ? fabsf(key[j]) : most;
            }
            osl_check_compare(worst, got[d], key[d],
                              q8 ? KEY_ALLOWED_Q8 * most + 127.0f * 0x1p-25f
                                 : KEY_ALLOWED_F16 * fabsf(key[d]) + 1e-7f);
        }
    }
}

/* Rows of positions [begin, end), for every kv head. */
static void fill_cache(const struct osl_vk_rig *rig, struct osl_check_inputs *inputs,
                       const struct osl_check_cache *cache, uint32_t begin, uint32_t end)
{
    const struct osl_shape *s = &rig->net.shape;
    float row[OSL_HEAD_DIM_MAX];
    for (uint32_t i = 0; i < 2 * s->kv_heads * (end - begin); i++) {
        for (uint32_t d = 0; d < s->head_dim; d++) {
            row[d] = osl_check_float(inputs, VALUE_RANGE);
        }
        uint32_t head = i % (2 * s->kv_heads);
        osl_kernels_find("plain")->kv_store[rig->net.kv_type](
            osl_check_cache_row(cache, head >= s->kv_heads, head % s->kv_heads,
                                begin + i / (2 * s->kv_heads)),
            row, s->head_dim);
    }
}

/* The plain C over all heads. q [tokens][heads * dim .. q_stride], rotated. */
static void attend_plain(const struct osl_vk_rig *rig, struct osl_check_inputs *inputs,
                         const struct osl_check_cache *cache, const float *q, uint32_t q_stride,
                         const float *sinks, uint32_t first, uint32_t tokens, float *out)
{
    const struct osl_shape *s = &rig->net.shape;
    uint32_t group = s->heads / s->kv_heads;
    void *scratch = osl_check_take(inputs, OSL_ATTEND_SCRATCH_BYTES);
    for (uint32_t head = 0; head < s->kv_heads; head++) {
        uint64_t at = (uint64_t)head * group * s->head_dim;
        const struct osl_attend attend = {
            .q = q + at,
            .out = out + at,
            .q_stride = q_stride,
            .out_stride = s->heads * s->head_dim,
            .group = group,
            .head_dim = s->head_dim,
            .scale = 1.0f / sqrtf((float)s->head_dim),
            .sinks = sinks + head * group,
            .kv = {.k = osl_check_cache_row(cache, false, head, 0),
                   .v = osl_check_cache_row(cache, true, head, 0),
                   .capacity = cache->kv.capacity,
                   .window = cache->kv.window},
        };
        osl_kernels_find("plain")->attend_prefill[rig->net.kv_type](&attend, first, tokens,
                                                                    scratch);
    }
}

/* ---- The checks -------------------------------------------------------------------------- */

/* What both kinds begin with: shape, cache, queries and sinks on the device. */
struct attend_case {
    struct osl_check_inputs inputs;
    struct osl_check_cache cache;
    struct osl_vk_vector sinks_there;
    float *qkv, *sinks, *got, *want;
    uint32_t tokens, width, out_width;
};

static enum osl_status prepare(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                               uint32_t window, uint32_t tokens, bool decode, void *memory,
                               uint64_t bytes, struct attend_case *a, struct osl_error *error)
{
    const struct osl_shape *s = &c->shape;
    uint32_t end = c->position + tokens;
    a->inputs = (struct osl_check_inputs){.at = memory, .left = bytes, .seed = c->seed};
    a->tokens = tokens;
    a->width = (s->heads + 2 * s->kv_heads) * s->head_dim;
    a->out_width = s->heads * s->head_dim;
    a->qkv = osl_check_floats(&a->inputs, (uint64_t)tokens * a->width, VALUE_RANGE);
    a->sinks = osl_check_floats(&a->inputs, s->heads, 6.0f);
    a->got = osl_check_take(&a->inputs, (uint64_t)tokens * a->out_width * sizeof(float));
    a->want = osl_check_take(&a->inputs, (uint64_t)tokens * a->out_width * sizeof(float));
    enum osl_status status = osl_vk_rig_shape(rig, s, c->kv_type, tokens, 1, end, error);
    status = status == OSL_OK
                 ? osl_check_cache_make(rig, &a->inputs, window, end, tokens, &a->cache, error)
                 : status;
    if (status == OSL_OK) {
        uint32_t begin = window != 0 && c->position + 1 > window ? c->position + 1 - window : 0;
        fill_cache(rig, &a->inputs, &a->cache, begin, decode ? c->position : end);
        status = osl_check_cache_send(rig, &a->cache, error);
    }
    status = status == OSL_OK ? osl_vk_rig_vector(rig, a->sinks, s->heads, &a->sinks_there, error)
                              : status;
    status = status == OSL_OK ? osl_vk_rig_act_write(rig, rig->net.buffer[OSL_BUFFER_QKV], a->qkv,
                                                     tokens * a->width, error)
                              : status;
    return status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
}

static enum osl_status finish(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                              struct attend_case *a, struct osl_error *error)
{
    const struct osl_step step = {.kind = a->tokens == 1 ? OSL_STEP_DECODE : OSL_STEP_PREFILL,
                                  .token_count = a->tokens,
                                  .position_first = c->position};
    enum osl_status status = osl_vk_rig_run(rig, &step, error);
    return status == OSL_OK ? osl_vk_rig_act_read(rig, rig->net.buffer[OSL_BUFFER_ATTN], a->got,
                                                  a->tokens * a->out_width, error)
                            : status;
}

static void compare(const struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                    struct attend_case *a, float *worst)
{
    attend_plain(rig, &a->inputs, &a->cache, a->qkv, a->width, a->sinks, c->position, a->tokens,
                 a->want);
    for (uint32_t i = 0; i < a->tokens * a->out_width; i++) {
        osl_check_compare(worst, a->got[i], a->want[i], ATTEND_ALLOWED);
    }
}

static enum osl_status run_prefill(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                   uint32_t window, void *memory, uint64_t bytes, float *worst_out,
                                   struct osl_error *error)
{
    struct attend_case a;
    *worst_out = 0.0f;
    enum osl_status status = prepare(rig, c, window, c->tokens, false, memory, bytes, &a, error);
    status = status == OSL_OK ? osl_vk_attend_prefill(&rig->recorder, &rig->net, &a.cache.kv,
                                                      &a.sinks_there, error)
                              : status;
    status = status == OSL_OK ? finish(rig, c, &a, error) : status;
    if (status == OSL_OK) {
        compare(rig, c, &a, worst_out);
    }
    return status;
}

/* The new row is compared by itself, and then taken from the device, so that a key that rounded
 * the other way does not count again. */
static enum osl_status run_decode(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                  uint32_t window, void *memory, uint64_t bytes, float *worst_out,
                                  struct osl_error *error)
{
    struct attend_case a;
    const struct osl_shape *s = &c->shape;
    *worst_out = 0.0f;
    enum osl_status status = prepare(rig, c, window, 1, true, memory, bytes, &a, error);
    status = status == OSL_OK ? osl_vk_attend_decode(&rig->recorder, &rig->net, &a.cache.kv,
                                                     &a.sinks_there, error)
                              : status;
    status = status == OSL_OK ? finish(rig, c, &a, error) : status;
    status = status == OSL_OK ? osl_check_cache_fetch(rig, &a.cache, error) : status;
    if (status != OSL_OK) {
        return status;
    }
    osl_check_stored(rig, &a.inputs, &a.cache, a.qkv, c->position, 1, worst_out);
    float rotation[OSL_HEAD_DIM_MAX];
    osl_check_rotations(rig, c->position, rotation, rotation + s->head_dim / 2);
    osl_kernels_find("plain")->rope(a.qkv, s->heads, s->head_dim, rotation,
                                    rotation + s->head_dim / 2);
    compare(rig, c, &a, worst_out);
    return OSL_OK;
}

static enum osl_status check_prefill(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                     void *memory, uint64_t bytes, float *worst_out,
                                     struct osl_error *error)
{
    return run_prefill(rig, c, 0, memory, bytes, worst_out, error);
}

static enum osl_status check_prefill_window(struct osl_vk_rig *rig,
                                            const struct osl_vk_check_case *c, void *memory,
                                            uint64_t bytes, float *worst_out,
                                            struct osl_error *error)
{
    return run_prefill(rig, c, c->shape.window, memory, bytes, worst_out, error);
}

static enum osl_status check_decode(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                    void *memory, uint64_t bytes, float *worst_out,
                                    struct osl_error *error)
{
    return run_decode(rig, c, 0, memory, bytes, worst_out, error);
}

static enum osl_status check_decode_window(struct osl_vk_rig *rig,
                                           const struct osl_vk_check_case *c, void *memory,
                                           uint64_t bytes, float *worst_out,
                                           struct osl_error *error)
{
    return run_decode(rig, c, c->shape.window, memory, bytes, worst_out, error);
}

const struct osl_vk_check osl_vk_checks_attend[] = {
    {"embed", osl_vk_check_embed},
    {"norm", osl_vk_check_norm},
    {"logits norm", osl_vk_check_logits_norm},
    {"rope store", osl_vk_check_rope_store},
    {"attend prefill", check_prefill},
    {"attend prefill window", check_prefill_window},
    {"attend decode", check_decode},
    {"attend decode window", check_decode_window},
    {NULL, NULL},
};
