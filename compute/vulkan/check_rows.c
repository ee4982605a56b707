/* Checks of the launches that make rows: embedding, norms, rotation and store. */
#include "compute/vulkan/check_attend.h"

#include <math.h>
#include <string.h>

/* A sum of f32 in another order, a root and two products: a few ulp of the result. */
#define NORM_ALLOWED 2e-6f
/* Sine and cosine within 2e-7 of the double, times 1.25 and values up to 2, and two roundings. */
#define ROTATED_ALLOWED 2e-6f
#define SLABS 3u

static struct osl_check_inputs inputs_of(const struct osl_vk_check_case *c, void *memory,
                                         uint64_t bytes)
{
    return (struct osl_check_inputs){.at = memory, .left = bytes, .seed = c->seed};
}

/* ---- Embedding --------------------------------------------------------------------------- */

/* Rows of a table as a file has them: scales and floats of moderate size, all quants. */
static void fill_table(struct osl_check_inputs *inputs, uint8_t *data, uint64_t bytes,
                       enum osl_dtype dtype)
{
    const struct osl_kernels *plain = osl_kernels_find("plain");
    for (uint64_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)osl_check_random(inputs);
    }
    uint32_t step = dtype == OSL_DTYPE_F32     ? 4
                    : dtype == OSL_DTYPE_Q8_0  ? OSL_Q8_0_BLOCK_BYTES
                    : dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_BLOCK_BYTES
                                               : 2;
    for (uint64_t i = 0; i + step <= bytes; i += step) {
        float value = osl_check_float(inputs, 4.0f);
        float row[OSL_BLOCK_COLS] = {value};
        uint16_t half[OSL_BLOCK_COLS];
        uint32_t word;
        memcpy(&word, &value, sizeof word);
        uint16_t bfloat = (uint16_t)(word >> 16);
        plain->kv_store[OSL_KV_F16](half, row, OSL_BLOCK_COLS);
        switch (dtype) {
        case OSL_DTYPE_F32: memcpy(data + i, &value, 4); break;
        case OSL_DTYPE_BF16: memcpy(data + i, &bfloat, 2); break;
        case OSL_DTYPE_MXFP4: data[i] = (uint8_t)(120 + osl_check_random(inputs) % 16); break;
        default: /* F16, and the scale of Q8_0 */ memcpy(data + i, half, 2); break;
        }
    }
}

enum osl_status osl_vk_check_embed(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                   void *memory, uint64_t bytes, float *worst_out,
                                   struct osl_error *error)
{
    struct osl_check_inputs inputs = inputs_of(c, memory, bytes);
    const struct osl_shape *s = &c->shape;
    uint64_t row_bytes = osl_dtype_row_bytes(c->embedding, s->hidden);
    struct osl_weight weight = {.dtype = c->embedding,
                                .rows = s->vocab,
                                .cols = s->hidden,
                                .experts = 1,
                                .row_bytes = row_bytes,
                                .expert_bytes = row_bytes * s->vocab};
    uint8_t *data = osl_check_take(&inputs, weight.expert_bytes);
    int32_t *tokens = osl_check_take(&inputs, c->tokens * sizeof *tokens);
    float *got = osl_check_take(&inputs, (uint64_t)c->tokens * s->hidden * sizeof *got);
    float *want = osl_check_take(&inputs, s->hidden * sizeof *want);
    fill_table(&inputs, data, weight.expert_bytes, c->embedding);
    weight.data = data;
    for (uint32_t t = 0; t < c->tokens; t++) { /* the last row, the first, then any */
        tokens[t] = t == 0   ? (int32_t)s->vocab - 1
                    : t == 1 ? 0
                             : (int32_t)(osl_check_random(&inputs) % s->vocab);
    }
    const struct osl_step step = {.token_count = c->tokens, .tokens = tokens};
    struct osl_vk_matrix table;
    uint64_t slab = osl_vk_matrix_bytes(osl_vk_layout_of(c->embedding, false),
                                        (s->vocab + SLABS - 1) / SLABS, s->hidden);
    enum osl_status status = osl_vk_rig_shape(rig, s, c->kv_type, c->tokens, 1, 64, error);
    status = status == OSL_OK ? osl_vk_rig_matrix(rig, &weight, slab, &table, error) : status;
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    status = status == OSL_OK ? osl_vk_embed(&rig->recorder, &rig->net, &table, error) : status;
    status = status == OSL_OK ? osl_vk_rig_run(rig, &step, error) : status;
    status = status == OSL_OK ? osl_vk_rig_act_read(rig, rig->net.buffer[OSL_BUFFER_X], got,
                                                    c->tokens * s->hidden, error)
                              : status;
    *worst_out = 0.0f;
    for (uint32_t t = 0; status == OSL_OK && t < c->tokens; t++) {
        osl_dequantize_row(want, data + (uint32_t)tokens[t] * row_bytes, c->embedding, s->hidden);
        for (uint32_t d = 0; d < s->hidden; d++) { /* a product of exact factors: one rounding */
            osl_check_compare(worst_out, got[t * s->hidden + d], want[d],
                              1.2e-7f * fabsf(want[d]) + 1e-30f);
        }
    }
    return status;
}

/* ---- Norms ------------------------------------------------------------------------------- */

static enum osl_status run_norm(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                bool logits_rows, void *memory, uint64_t bytes, float *worst_out,
                                struct osl_error *error)
{
    struct osl_check_inputs inputs = inputs_of(c, memory, bytes);
    uint32_t cols = c->shape.hidden;
    uint32_t first = logits_rows ? c->tokens / 2 : 0;
    uint32_t rows = logits_rows ? c->tokens - first : c->tokens;
    float *x = osl_check_floats(&inputs, (uint64_t)c->tokens * cols, 3.0f);
    float *gain = osl_check_floats(&inputs, cols, 2.0f);
    float *got = osl_check_take(&inputs, (uint64_t)rows * cols * sizeof *got);
    float *want = osl_check_take(&inputs, cols * sizeof *want);
    for (uint64_t i = 0; i < (uint64_t)c->tokens * cols; i++) { /* rows of different size */
        x[i] *= 1.0f + 50.0f * (float)(i / cols);
    }
    const struct osl_step step = {.token_count = c->tokens,
                                  .logits_row_first = first,
                                  .logits_row_count = logits_rows ? rows : 0};
    struct osl_vk_vector vector;
    struct osl_vk_net *net = &rig->net;
    enum osl_status status =
        osl_vk_rig_shape(rig, &c->shape, c->kv_type, c->tokens, c->tokens, 64, error);
    status = status == OSL_OK ? osl_vk_rig_vector(rig, gain, cols, &vector, error) : status;
    status = status == OSL_OK
                 ? osl_vk_rig_act_write(rig, net->buffer[OSL_BUFFER_X], x, c->tokens * cols, error)
                 : status;
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    if (status == OSL_OK) {
        status = logits_rows ? osl_vk_norm_logits_rows(&rig->recorder, net, &vector, error)
                             : osl_vk_rmsnorm(&rig->recorder, net, &vector, error);
    }
    status = status == OSL_OK ? osl_vk_rig_run(rig, &step, error) : status;
    status = status == OSL_OK
                 ? osl_vk_rig_act_read(rig, net->buffer[OSL_BUFFER_NORM], got, rows * cols, error)
                 : status;
    *worst_out = 0.0f;
    for (uint32_t t = 0; status == OSL_OK && t < rows; t++) {
        osl_kernels_find("plain")->rmsnorm(want, x + (uint64_t)(first + t) * cols, gain, cols,
                                           c->shape.rms_eps);
        for (uint32_t d = 0; d < cols; d++) {
            osl_check_compare(worst_out, got[t * cols + d], want[d],
                              NORM_ALLOWED * fabsf(want[d]) + 1e-30f);
        }
    }
    return status;
}

enum osl_status osl_vk_check_norm(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                  void *memory, uint64_t bytes, float *worst_out,
                                  struct osl_error *error)
{
    return run_norm(rig, c, false, memory, bytes, worst_out, error);
}

enum osl_status osl_vk_check_logits_norm(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                         void *memory, uint64_t bytes, float *worst_out,
                                         struct osl_error *error)
{
    return run_norm(rig, c, true, memory, bytes, worst_out, error);
}

/* ---- Rotation and store ------------------------------------------------------------------ */

enum osl_status osl_vk_check_rope_store(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                        void *memory, uint64_t bytes, float *worst_out,
                                        struct osl_error *error)
{
    struct osl_check_inputs inputs = inputs_of(c, memory, bytes);
    const struct osl_shape *s = &c->shape;
    uint32_t width = (s->heads + 2 * s->kv_heads) * s->head_dim;
    float *qkv = osl_check_floats(&inputs, (uint64_t)c->tokens * width, 2.0f);
    float *got = osl_check_take(&inputs, (uint64_t)c->tokens * width * sizeof *got);
    float *cos_row = osl_check_take(&inputs, s->head_dim * sizeof *cos_row);
    float *sin_row = cos_row + s->head_dim / 2;
    const struct osl_step step = {.token_count = c->tokens, .position_first = c->position};
    struct osl_check_cache cache;
    uint32_t at = 0;
    enum osl_status status =
        osl_vk_rig_shape(rig, s, c->kv_type, c->tokens, 1, c->position + c->tokens, error);
    at = rig->net.buffer[OSL_BUFFER_QKV];
    status = status == OSL_OK
                 ? osl_check_cache_make(rig, &inputs, s->window, c->position + c->tokens, c->tokens,
                                        &cache, error)
                 : status;
    status = status == OSL_OK ? osl_check_cache_send(rig, &cache, error) : status;
    status =
        status == OSL_OK ? osl_vk_rig_act_write(rig, at, qkv, c->tokens * width, error) : status;
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    status =
        status == OSL_OK ? osl_vk_rope_store(&rig->recorder, &rig->net, &cache.kv, error) : status;
    status = status == OSL_OK ? osl_vk_rig_run(rig, &step, error) : status;
    status =
        status == OSL_OK ? osl_vk_rig_act_read(rig, at, got, c->tokens * width, error) : status;
    status = status == OSL_OK ? osl_check_cache_fetch(rig, &cache, error) : status;
    *worst_out = 0.0f;
    if (status != OSL_OK) {
        return status;
    }
    osl_check_stored(rig, &inputs, &cache, qkv, c->position, c->tokens, worst_out);
    for (uint32_t t = 0; t < c->tokens; t++) {
        osl_check_rotations(rig, c->position + t, cos_row, sin_row);
        osl_kernels_find("plain")->rope(qkv + (uint64_t)t * width, s->heads, s->head_dim, cos_row,
                                        sin_row);
        for (uint32_t d = 0; d < s->heads * s->head_dim; d++) {
            osl_check_compare(worst_out, got[t * width + d], qkv[t * width + d], ROTATED_ALLOWED);
        }
    }
    return OSL_OK;
}
