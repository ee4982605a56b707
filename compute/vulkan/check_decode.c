/* What the checks of decode launches share: see check_decode.h. */
#include "compute/vulkan/check_decode.h"

#include <math.h>
#include <string.h>

#include "compute/cpu/half.h"

#define CONTEXT 64u
/* Of a block's largest activation, where they are quantised: half a step, and one more where the
 * low byte is held within its range. */
#define QUANTISED_SHARE (1.5 / OSL_ACT_LIMIT)

/* ---- Inputs ------------------------------------------------------------------------------ */

void *osl_mv_take(struct osl_mv *w, uint64_t bytes)
{
    uint64_t whole = (bytes + 63) / 64 * 64;
    OSL_ASSERT(whole <= w->left);
    void *out = w->at;
    w->at += whole;
    w->left -= whole;
    return out;
}

/* splitmix64 */
uint64_t osl_mv_random(struct osl_mv *w)
{
    uint64_t z = (w->seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static float random_float(struct osl_mv *w)
{
    return (float)((double)(int64_t)osl_mv_random(w) * 0x1p-63);
}

float *osl_mv_floats(struct osl_mv *w, uint64_t count, float range)
{
    float *out = osl_mv_take(w, count * sizeof *out);
    for (uint64_t i = 0; i < count; i++) {
        out[i] = random_float(w) * range;
    }
    return out;
}

void osl_mv_open(struct osl_mv *w, struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                 const struct osl_shape *shape, void *memory, uint64_t bytes,
                 struct osl_error *error)
{
    *w = (struct osl_mv){.rig = rig,
                         .c = c,
                         .shape = *shape,
                         .at = memory,
                         .left = bytes,
                         .seed = c->seed,
                         .error = error};
    w->row = osl_mv_take(w, OSL_COLS_MAX * sizeof *w->row);
    w->status = osl_vk_rig_shape(rig, shape, c->kv_type, OSL_MV_LOGITS_ROW + 2, 1, CONTEXT, error);
}

/* A block of 32 columns at about `range`; now and then a scale of zero, a subnormal one, the
 * smallest an e8m0 knows, or a large one. */
static void fill_block(struct osl_mv *w, enum osl_dtype dtype, float range, uint8_t *out)
{
    static const float odd[8] = {1, 1, 0.5f, 2, -1, 0, 0x1p-13f, 8};
    float scale = range * odd[osl_mv_random(w) % 8];
    if (dtype == OSL_DTYPE_Q8_0 || dtype == OSL_DTYPE_MXFP4) {
        uint32_t head = dtype == OSL_DTYPE_Q8_0 ? 2 : 1;
        uint32_t words = dtype == OSL_DTYPE_Q8_0 ? 4 : 2;
        for (uint32_t i = 0; i < words; i++) {
            uint64_t bits = osl_mv_random(w);
            memcpy(out + head + 8 * i, &bits, sizeof bits);
        }
        uint16_t half = osl_f16_from_f32(scale / 127);
        if (dtype == OSL_DTYPE_Q8_0) {
            memcpy(out, &half, sizeof half);
        } else {
            out[0] = scale == 0.0f ? (uint8_t)(osl_mv_random(w) % 3)
                                   : (uint8_t)(127 + ilogbf(fabsf(scale) / 6));
        }
        return;
    }
    for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
        float value = random_float(w) * scale;
        uint16_t half = dtype == OSL_DTYPE_F16 ? osl_f16_from_f32(value)
                                               : (uint16_t)(osl_f32_bits(value) >> 16);
        if (dtype == OSL_DTYPE_F32) {
            memcpy(out + 4 * i, &value, sizeof value);
        } else {
            memcpy(out + 2 * i, &half, sizeof half);
        }
    }
}

void osl_mv_make(struct osl_mv *w, enum osl_dtype dtype, uint32_t rows, uint32_t cols,
                 uint32_t experts, struct osl_mv_weight *out)
{
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, cols);
    uint64_t block_bytes = row_bytes / (cols / OSL_BLOCK_COLS);
    uint8_t *data = osl_mv_take(w, experts * rows * row_bytes);
    for (uint64_t at = 0; at < experts * rows * row_bytes; at += block_bytes) {
        fill_block(w, dtype, 6.0f / sqrtf((float)cols), data + at);
    }
    *out = (struct osl_mv_weight){.host = {.data = data,
                                           .dtype = dtype,
                                           .rows = rows,
                                           .cols = cols,
                                           .experts = experts,
                                           .row_bytes = row_bytes,
                                           .expert_bytes = rows * row_bytes},
                                  .bias_device = {.offset = OSL_VK_NO_VECTOR}};
}

void osl_mv_send_weight(struct osl_mv *w, struct osl_mv_weight *weight, uint32_t slabs, float bias)
{
    const struct osl_weight *host = &weight->host;
    uint64_t matrix =
        osl_vk_matrix_bytes(osl_vk_layout_of(host->dtype, false), host->rows, host->cols);
    uint64_t slab =
        host->experts > 1 ? matrix * ((host->experts + slabs - 1) / slabs) : matrix / slabs + 1024;
    bool cut = w->c->seed % 2 == 1 && slabs > 1;
    uint32_t count = host->experts * host->rows;
    if (bias != 0.0f) {
        weight->bias = osl_mv_floats(w, count, bias);
    }
    if (w->status == OSL_OK) {
        w->status = osl_vk_rig_matrix(w->rig, host, cut ? slab : 0, &weight->device, w->error);
    }
    if (w->status == OSL_OK && weight->bias != NULL) {
        w->status = osl_vk_rig_vector(w->rig, weight->bias, count, &weight->bias_device, w->error);
    }
}

void osl_mv_send(struct osl_mv *w, uint32_t offset, const void *data, uint32_t count)
{
    if (w->status == OSL_OK) {
        w->status = osl_vk_rig_act_write(w->rig, offset, data, count, w->error);
    }
}

void *osl_mv_read(struct osl_mv *w, uint32_t offset, uint32_t count)
{
    float *out = osl_mv_take(w, count * sizeof *out);
    if (w->status == OSL_OK) {
        w->status = osl_vk_rig_act_read(w->rig, offset, out, count, w->error);
    }
    return out;
}

bool osl_mv_begin(struct osl_mv *w)
{
    if (w->status == OSL_OK) {
        w->status = osl_vk_rig_begin(w->rig, w->error);
    }
    return w->status == OSL_OK;
}

const struct osl_step osl_mv_step = {.kind = OSL_STEP_DECODE,
                                     .token_count = 1,
                                     .logits_row_first = OSL_MV_LOGITS_ROW,
                                     .logits_row_count = 1};

void osl_mv_run(struct osl_mv *w)
{
    if (w->status == OSL_OK) {
        w->status = osl_vk_rig_run(w->rig, &osl_mv_step, w->error);
    }
}

/* ---- References -------------------------------------------------------------------------- */

double osl_mv_row(struct osl_mv *w, const struct osl_mv_weight *weight, uint32_t expert,
                  uint32_t row, const float *x, double *allowed_out)
{
    const struct osl_weight *host = &weight->host;
    const uint8_t *data = host->data;
    osl_dequantize_row(w->row, data + expert * host->expert_bytes + row * host->row_bytes,
                       host->dtype, host->cols);
    bool bytes = host->dtype == OSL_DTYPE_Q8_0 || host->dtype == OSL_DTYPE_MXFP4;
    double sum = 0.0, size = 0.0, coarse = 0.0;
    for (uint32_t c = 0; c < host->cols; c += OSL_BLOCK_COLS) {
        double most = 0.0, weights = 0.0;
        for (uint32_t i = c; i < c + OSL_BLOCK_COLS; i++) {
            sum += (double)w->row[i] * x[i];
            size += fabs((double)w->row[i] * x[i]);
            most = fmax(most, fabs((double)x[i]));
            weights += fabs((double)w->row[i]);
        }
        coarse += bytes && w->rig->device->dot ? most * weights : 0.0;
    }
    double bias = weight->bias == NULL ? 0.0 : weight->bias[expert * host->rows + row];
    *allowed_out = OSL_MV_SUM_SHARE * (size + fabs(bias)) + QUANTISED_SHARE * coarse + 1e-30;
    return sum + bias;
}

void osl_mv_compare(struct osl_mv *w, double got, double want, double allowed)
{
    float share = (float)(fabs(got - want) / allowed);
    if (!(share <= w->worst)) {
        w->worst = share == share ? share : 1e30f;
    }
}

void osl_mv_compare_rows(struct osl_mv *w, const struct osl_mv_weight *weight, const float *x,
                         uint32_t offset, const float *old)
{
    const float *got = osl_mv_read(w, offset, weight->host.rows);
    for (uint32_t row = 0; w->status == OSL_OK && row < weight->host.rows; row++) {
        double allowed, was = old == NULL ? 0.0 : old[row];
        double want = osl_mv_row(w, weight, 0, row, x, &allowed);
        osl_mv_compare(w, got[row], want + was, allowed + OSL_MV_SUM_SHARE * fabs(was));
    }
}

float *osl_mv_send_norm(struct osl_mv *w, uint32_t offset, struct osl_vk_vector *gain_out)
{
    uint32_t hidden = w->shape.hidden;
    const float *x = osl_mv_floats(w, hidden, 3.0f);
    const float *gain = osl_mv_floats(w, hidden, 2.0f);
    float *norm = osl_mv_take(w, hidden * sizeof *norm);
    osl_kernels_find("plain")->rmsnorm(norm, x, gain, hidden, w->shape.rms_eps);
    osl_mv_send(w, offset, x, hidden);
    if (w->status == OSL_OK) {
        w->status = osl_vk_rig_vector(w->rig, gain, hidden, gain_out, w->error);
    }
    return norm;
}
