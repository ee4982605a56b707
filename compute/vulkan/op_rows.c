/* Launches that make one row a token: embedding, norms, rotation with the cache store. */
#include <math.h>
#include <string.h>

#include "compute/vulkan/ops.h"

#define SPEC_LAYOUT 3
#define SPEC_COLS 8      /* embed, rmsnorm */
#define SPEC_ROWS_KIND 9 /* rmsnorm: rows of logits */
#define SPEC_HEAD_DIM 8  /* rope_store */
#define SPEC_GROUP 9
#define SPEC_KV_TYPE 10
#define SPECS 11
#define TWO_PI 6.283185307179586476925
#define TWO_TO_32 4294967296.0

/* Lanes of a workgroup that makes one row. A row of the 20b is 90 blocks or 720 vec4s: 128 lanes,
 * which every device has, walk it in 1 or 6 rounds of 16-byte accesses, neighbours side by side; no
 * subgroup is wider, so none is left half empty. A software device runs a workgroup on one thread,
 * a subgroup's width at a time: more lanes than that only cost it barriers. */
static uint32_t row_lanes(const struct osl_vk_facts *facts)
{
    return facts->type == OSL_VK_SOFTWARE ? facts->subgroup_size : 128;
}

void osl_vk_rope_fill(uint32_t *words_out, uint32_t head_dim, const float *inverse_frequency,
                      float concentration)
{
    uint32_t half = head_dim / 2;
    for (uint32_t i = 0; i < half; i++) {
        double turns = (double)inverse_frequency[i] / TWO_PI;
        double high = (turns - floor(turns)) * TWO_TO_32; /* exact scaling */
        words_out[i] = (uint32_t)high;
        words_out[half + i] = (uint32_t)((high - floor(high)) * TWO_TO_32);
    }
    memcpy(&words_out[2 * half], &concentration, sizeof concentration);
}

enum osl_status osl_vk_embed(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                             const struct osl_vk_matrix *table, struct osl_error *error)
{
    const struct osl_vk_facts *facts = net->device->facts;
    OSL_ASSERT(table->cols == net->shape.hidden && table->experts <= 1);
    const uint32_t spec[SPECS] = {
        row_lanes(facts),
        facts->subgroup_size, [SPEC_LAYOUT] = table->layout, [SPEC_COLS] = table->cols};
    const struct osl_vk_pipeline *pipeline = NULL;
    enum osl_status status =
        osl_vk_pipeline_get(net->device, "embed", spec, SPECS, &pipeline, error);
    for (uint32_t s = 0; status == OSL_OK && s < table->slab_count; s++) {
        uint32_t first = s * table->per_slab;
        uint32_t left = table->rows - first;
        uint32_t rows = left < table->per_slab ? left : table->per_slab;
        const uint32_t push[] = {net->buffer[OSL_BUFFER_X], first, rows,
                                 (uint32_t)osl_vk_scales_offset(table->layout, rows, table->cols)};
        const struct osl_vk_dispatch dispatch = {
            .pipeline = pipeline,
            .bind = {[0] = net->step, [1] = net->act, [4] = table->slab[s]},
            .push = push,
            .push_bytes = sizeof push,
            .groups = {.rule = OSL_VK_TOKENS, .x = 1, .z = 1, .tile = 1},
            .barrier = s == 0,
            .name = "embed",
        };
        status = osl_vk_record(r, &dispatch, error);
    }
    return status;
}

static enum osl_status record_norm(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                   const struct osl_vk_vector *gain, bool logits_rows,
                                   struct osl_error *error)
{
    const struct osl_vk_facts *facts = net->device->facts;
    const struct {
        uint32_t x, out, gain;
        float eps;
    } push = {net->buffer[OSL_BUFFER_X], net->buffer[OSL_BUFFER_NORM], gain->offset,
              net->shape.rms_eps};
    const uint32_t spec[] = {
        row_lanes(facts),
        facts->subgroup_size, [SPEC_COLS] = net->shape.hidden, [SPEC_ROWS_KIND] = logits_rows};
    const struct osl_vk_pipeline *pipeline = NULL;
    enum osl_status status =
        osl_vk_pipeline_get(net->device, net->device->subgroup ? "rmsnorm_subgroup" : "rmsnorm",
                            spec, sizeof spec / sizeof spec[0], &pipeline, error);
    if (status != OSL_OK) {
        return status;
    }
    const struct osl_vk_dispatch dispatch = {
        .pipeline = pipeline,
        .bind = {[0] = net->step, [1] = net->act, [2] = gain->vec},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = logits_rows ? OSL_VK_LOGITS_ROWS : OSL_VK_TOKENS,
                   .x = 1,
                   .z = 1,
                   .tile = 1},
        .barrier = true,
        .name = logits_rows ? "logits norm" : "norm",
    };
    return osl_vk_record(r, &dispatch, error);
}

enum osl_status osl_vk_rmsnorm(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                               const struct osl_vk_vector *gain, struct osl_error *error)
{
    return record_norm(r, net, gain, false, error);
}

enum osl_status osl_vk_norm_logits_rows(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                        const struct osl_vk_vector *gain, struct osl_error *error)
{
    return record_norm(r, net, gain, true, error);
}

enum osl_status osl_vk_rope_store(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                  const struct osl_vk_kv *kv, struct osl_error *error)
{
    const struct osl_vk_facts *facts = net->device->facts;
    const struct osl_shape *s = &net->shape;
    const uint32_t push[] = {net->buffer[OSL_BUFFER_QKV], s->kv_heads, kv->capacity};
    const uint32_t spec[] = {row_lanes(facts), facts->subgroup_size, [SPEC_HEAD_DIM] = s->head_dim,
                             [SPEC_GROUP] = s->heads / s->kv_heads, [SPEC_KV_TYPE] = net->kv_type};
    const struct osl_vk_pipeline *pipeline = NULL;
    enum osl_status status = osl_vk_pipeline_get(net->device, "rope_store", spec,
                                                 sizeof spec / sizeof spec[0], &pipeline, error);
    if (status != OSL_OK) {
        return status;
    }
    const struct osl_vk_dispatch dispatch = {
        .pipeline = pipeline,
        .bind = {[0] = net->step, [1] = net->act, [3] = net->rope, [4] = kv->k, [5] = kv->v},
        .push = push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_TOKENS, .x = 1, .z = 1, .tile = 1},
        .barrier = true,
        .name = "rope store",
    };
    return osl_vk_record(r, &dispatch, error);
}
