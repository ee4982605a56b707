/* Checks of the dense products over several tokens, and what those of the experts share. */
#include <math.h>
#include <string.h>

#include "compute/cpu/half.h"
#include "compute/vulkan/check_matmul.h"

#define ROWS_ALL 96     /* as many rows are compared one by one */
#define ROWS_END 24
#define ROWS_STEP 61
#define ROWS_CUT 149    /* rows of a weight where more would only take longer */
#define LOGITS_ROWS 3

/* ---- Inputs ------------------------------------------------------------------------------ */

enum osl_status osl_check_products_open(struct osl_check_products *p, struct osl_vk_rig *rig,
                                        const struct osl_vk_check_case *c,
                                        const struct osl_shape *shape, void *memory,
                                        uint64_t bytes, struct osl_error *error)
{
    *p = (struct osl_check_products){
        .rig = rig, .c = c, .at = memory, .left = bytes, .seed = c->seed};
    p->row = osl_check_products_take(p, OSL_COLS_MAX * sizeof *p->row);
    return osl_vk_rig_shape(rig, shape, c->kv_type, c->tokens + 1, LOGITS_ROWS, c->tokens + 64,
                            error);
}

void *osl_check_products_take(struct osl_check_products *p, uint64_t bytes)
{
    uint64_t whole = (bytes + 63) / 64 * 64;
    OSL_ASSERT(whole <= p->left);
    void *out = p->at;
    p->at += whole;
    p->left -= whole;
    return out;
}

/* splitmix64 */
uint64_t osl_check_products_random(struct osl_check_products *p)
{
    uint64_t z = (p->seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static float random_float(struct osl_check_products *p, float range)
{
    return (float)((double)(int64_t)osl_check_products_random(p) * 0x1p-63) * range;
}

float *osl_check_products_floats(struct osl_check_products *p, uint64_t count, float range)
{
    float *out = osl_check_products_take(p, count * sizeof *out);
    for (uint64_t i = 0; i < count; i++) {
        out[i] = random_float(p, range);
    }
    return out;
}

/* A block of 32 columns: random elements at a scale, now and then a scale far off. */
static void fill_block(struct osl_check_products *p, enum osl_dtype dtype, float range,
                       uint8_t *out)
{
    static const float odd[8] = {1, 1, 0.5f, 2, 1, 0, 0x1p-13f, 8};
    float scale = range * odd[osl_check_products_random(p) % 8];
    if (dtype == OSL_DTYPE_Q8_0 || dtype == OSL_DTYPE_MXFP4) {
        uint32_t head = dtype == OSL_DTYPE_Q8_0 ? 2 : 1;
        uint32_t words = dtype == OSL_DTYPE_Q8_0 ? 4 : 2;
        for (uint32_t i = 0; i < words; i++) {
            uint64_t bits = osl_check_products_random(p);
            memcpy(out + head + 8 * i, &bits, sizeof bits);
        }
        uint16_t half = osl_f16_from_f32(osl_check_products_random(p) & 1 ? scale / 127
                                                                           : -scale / 127);
        int exponent = scale == 0.0f ? 0 : 127 + ilogbf(scale / 6);
        if (dtype == OSL_DTYPE_Q8_0) {
            memcpy(out, &half, sizeof half);
        } else {
            out[0] = (uint8_t)exponent;
        }
        return;
    }
    for (uint32_t i = 0; i < OSL_BLOCK_COLS; i++) {
        float value = random_float(p, scale);
        uint32_t bits = osl_f32_bits(value);
        uint16_t half = dtype == OSL_DTYPE_F16 ? osl_f16_from_f32(value) : (uint16_t)(bits >> 16);
        if (dtype == OSL_DTYPE_F32) {
            memcpy(out + 4 * i, &value, sizeof value);
        } else {
            memcpy(out + 2 * i, &half, sizeof half);
        }
    }
}

enum osl_status osl_check_products_weight(struct osl_check_products *p, enum osl_dtype dtype,
                                          uint32_t rows, uint32_t cols, uint32_t experts,
                                          bool biased, struct osl_check_weight *out,
                                          struct osl_error *error)
{
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, cols);
    uint64_t blocks = (uint64_t)experts * rows * (cols / OSL_BLOCK_COLS);
    uint8_t *data = osl_check_products_take(p, experts * rows * row_bytes);
    float range = 6.0f / sqrtf((float)cols);
    for (uint64_t b = 0; b < blocks; b++) {
        fill_block(p, dtype, range, data + b * (row_bytes / (cols / OSL_BLOCK_COLS)));
    }
    *out = (struct osl_check_weight){.host = {.data = data,
                                              .dtype = dtype,
                                              .rows = rows,
                                              .cols = cols,
                                              .experts = experts,
                                              .row_bytes = row_bytes,
                                              .expert_bytes = rows * row_bytes},
                                     .bias_device = {.offset = OSL_VK_NO_VECTOR}};
    uint64_t matrix = osl_vk_matrix_bytes(osl_vk_layout_of(dtype, false), rows, cols);
    uint64_t slab = experts > 1 ? matrix * ((experts + 1) / 2) : matrix / 2 + 1024;
    bool cut = p->c->seed % 2 == 1 && (experts > 1 || rows > 512);
    enum osl_status status =
        osl_vk_rig_matrix(p->rig, &out->host, cut ? slab : 0, &out->device, error);
    if (status == OSL_OK && biased) {
        out->bias = osl_check_products_floats(p, (uint64_t)experts * rows, 1.0f);
        status = osl_vk_rig_vector(p->rig, out->bias, experts * rows, &out->bias_device, error);
    }
    return status;
}

/* ---- References -------------------------------------------------------------------------- */

bool osl_check_row_wanted(uint32_t row, uint32_t rows)
{
    return rows <= ROWS_ALL || row < ROWS_END || row >= rows - ROWS_END || row % ROWS_STEP == 0;
}

void osl_check_row(struct osl_check_products *p, const struct osl_check_weight *w, uint32_t expert,
                   uint32_t row)
{
    const uint8_t *data = w->host.data;
    osl_dequantize_row(p->row, data + expert * w->host.expert_bytes + row * w->host.row_bytes,
                       w->host.dtype, w->host.cols);
}

double osl_check_dot(const struct osl_check_products *p, const float *x, uint32_t cols,
                     double *magnitude_out)
{
    double sum = 0.0, magnitude = 0.0;
    for (uint32_t i = 0; i < cols; i++) {
        double product = (double)p->row[i] * x[i];
        sum += product;
        magnitude += fabs(product);
    }
    *magnitude_out = magnitude;
    return sum;
}

/* f32: sums of up to 16384 products in any grouping, each addition off by 2^-24 of a partial sum;
 * errors of both signs, so a small multiple of its root is ample. f16: either factor is rounded to
 * 11 bits, so a product is off by 2^-11 at most, and blocks far below the row's largest fade.
 * dot: an activation is off by 1.5 in 32512 of its block's largest. */
double osl_check_share(const struct osl_check_products *p, const struct osl_vk_tile *tile)
{
    (void)p;
    switch (tile->way) {
    case OSL_VK_WAY_FP16:
    case OSL_VK_WAY_MATRIX: return 0x1p-11;
    case OSL_VK_WAY_DOT: return 0x1p-12;
    default: return 0x1p-19;
    }
}

void osl_check_join(float *worst, double got, double want, double allowed)
{
    float share = (float)(fabs(got - want) / allowed);
    if (!(share <= *worst)) {
        *worst = share == share ? share : 1e30f;
    }
}

/* ---- Dense ------------------------------------------------------------------------------- */

/* One launch's inputs and where its results are to be. */
struct dense {
    enum osl_buffer in, out;
    uint32_t in_cols, out_cols, out_first, tokens;
    const float *x;   /* [tokens][in_cols] */
    const float *old; /* [tokens][out_cols]; NULL: not added to */
    const struct osl_check_weight *w;
};

static enum osl_status compare_dense(struct osl_check_products *p, const struct dense *d,
                                     float *worst, struct osl_error *error)
{
    struct osl_vk_tile tile;
    osl_vk_tile_dense(p->rig->device, &d->w->device, 1, d->out == OSL_BUFFER_ROUTER, &tile);
    double share = osl_check_share(p, &tile);
    uint32_t rows = d->w->host.rows;
    float *got = osl_check_products_take(p, (uint64_t)d->tokens * d->out_cols * sizeof *got);
    enum osl_status status = osl_vk_rig_act_read(p->rig, p->rig->net.buffer[d->out], got,
                                                 d->tokens * d->out_cols, error);
    for (uint32_t row = 0; status == OSL_OK && row < rows; row++) {
        if (!osl_check_row_wanted(row, rows)) {
            continue;
        }
        osl_check_row(p, d->w, 0, row);
        for (uint32_t t = 0; t < d->tokens; t++) {
            uint64_t at = (uint64_t)t * d->out_cols + d->out_first + row;
            double magnitude;
            double want = osl_check_dot(p, d->x + (uint64_t)t * d->in_cols, d->in_cols, &magnitude);
            want += d->w->bias != NULL ? d->w->bias[row] : 0.0f;
            double old = d->old != NULL ? d->old[at] : 0.0f;
            double off = magnitude * share + (fabs(want) + fabs(old)) * 0x1p-22 + 1e-30;
            osl_check_join(worst, got[at], want + old, off);
        }
    }
    return status;
}

/* The row behind the last token's must be as it was: NaN. */
static enum osl_status compare_untouched(struct osl_check_products *p, enum osl_buffer out,
                                         uint32_t out_cols, float *worst, struct osl_error *error)
{
    float *got = osl_check_products_take(p, out_cols * sizeof *got);
    enum osl_status status =
        osl_vk_rig_act_read(p->rig, p->rig->net.buffer[out] + p->c->tokens * out_cols, got,
                            out_cols, error);
    for (uint32_t i = 0; status == OSL_OK && i < out_cols; i++) {
        *worst = isnan(got[i]) ? *worst : 1e30f;
    }
    return status;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static enum osl_status run(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                           uint32_t logits_rows, struct osl_error *error)
{
    const struct osl_step step = {.kind = OSL_STEP_PREFILL,
                                  .token_count = c->tokens,
                                  .position_first = c->position,
                                  .logits_row_count = logits_rows};
    return osl_vk_rig_run(rig, &step, error);
}

/* Three weights side by side. Fewer heads than the model's are enough. */
static enum osl_status check_qkv(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                 void *memory, uint64_t bytes, float *worst_out,
                                 struct osl_error *error)
{
    struct osl_shape shape = c->shape, *s = &shape;
    shape.heads = c->seed % 2 ? shape.heads : least(shape.heads, shape.kv_heads);
    struct osl_check_products p;
    struct osl_check_weight w[3];
    uint32_t wide = (s->heads + 2 * s->kv_heads) * s->head_dim;
    const uint32_t first[3] = {0, s->heads * s->head_dim, (s->heads + s->kv_heads) * s->head_dim};
    enum osl_status status = osl_check_products_open(&p, rig, c, s, memory, bytes, error);
    if (status != OSL_OK) {
        return status;
    }
    float *x = osl_check_products_floats(&p, (uint64_t)c->tokens * s->hidden, 1.0f);
    status = osl_vk_rig_act_write(rig, rig->net.buffer[OSL_BUFFER_NORM], x, c->tokens * s->hidden,
                                  error);
    for (uint32_t i = 0; status == OSL_OK && i < 3; i++) {
        uint32_t rows = (i == 0 ? s->heads : s->kv_heads) * s->head_dim;
        status = osl_check_products_weight(&p, c->dense, rows, s->hidden, 1, i != 1, &w[i], error);
    }
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    if (status == OSL_OK) {
        const struct osl_vk_matrix weight[3] = {w[0].device, w[1].device, w[2].device};
        const struct osl_vk_vector bias[3] = {w[0].bias_device, w[1].bias_device,
                                              w[2].bias_device};
        status = osl_vk_qkv_prefill(&rig->recorder, &rig->net, weight, bias, error);
    }
    status = status == OSL_OK ? run(rig, c, 0, error) : status;
    *worst_out = 0.0f;
    for (uint32_t i = 0; status == OSL_OK && i < 3; i++) {
        const struct dense d = {.in_cols = s->hidden, .out = OSL_BUFFER_QKV, .out_cols = wide,
                                .out_first = first[i], .tokens = c->tokens, .x = x, .w = &w[i]};
        status = compare_dense(&p, &d, worst_out, error);
    }
    return status == OSL_OK ? compare_untouched(&p, OSL_BUFFER_QKV, wide, worst_out, error)
                            : status;
}

/* One weight; wanted says which buffers, sizes and whether it adds. */
static enum osl_status check_one(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                 const struct osl_shape *shape, enum osl_dtype dtype,
                                 const struct dense *wanted, bool add, bool logits, void *memory,
                                 uint64_t bytes, float *worst_out, struct osl_error *error)
{
    struct osl_check_products p;
    struct osl_check_weight w;
    struct dense d = *wanted;
    enum osl_status status = osl_check_products_open(&p, rig, c, shape, memory, bytes, error);
    if (status != OSL_OK) {
        return status;
    }
    float *x = osl_check_products_floats(&p, (uint64_t)d.tokens * d.in_cols, 1.0f);
    status = osl_vk_rig_act_write(rig, rig->net.buffer[d.in], x, d.tokens * d.in_cols, error);
    if (status == OSL_OK && add) {
        float *old = osl_check_products_floats(&p, (uint64_t)d.tokens * d.out_cols, 4.0f);
        d.old = old;
        status = osl_vk_rig_act_write(rig, rig->net.buffer[d.out], old, d.tokens * d.out_cols,
                                      error);
    }
    if (status == OSL_OK) {
        status = osl_check_products_weight(&p, dtype, d.out_cols, d.in_cols, 1, !logits, &w,
                                           error);
    }
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    if (status == OSL_OK) {
        status = osl_vk_matmul(&rig->recorder, &rig->net, d.in, d.out, d.out_cols, 0, &w.device,
                               &w.bias_device, add, logits, false, error);
    }
    status = status == OSL_OK ? run(rig, c, logits ? d.tokens : 0, error) : status;
    d.x = x;
    d.w = &w;
    *worst_out = 0.0f;
    status = status == OSL_OK ? compare_dense(&p, &d, worst_out, error) : status;
    return status == OSL_OK && !logits
               ? compare_untouched(&p, d.out, d.out_cols, worst_out, error)
               : status;
}

static enum osl_status check_attn_out(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                      void *memory, uint64_t bytes, float *worst_out,
                                      struct osl_error *error)
{
    struct osl_shape shape = c->shape;
    shape.hidden = c->seed % 2 ? shape.hidden : least(shape.hidden, ROWS_CUT); /* its outputs */
    struct dense d = {.in = OSL_BUFFER_ATTN, .in_cols = shape.heads * shape.head_dim,
                      .out = OSL_BUFFER_X, .out_cols = shape.hidden, .tokens = c->tokens};
    return check_one(rig, c, &shape, c->dense, &d, true, false, memory, bytes, worst_out, error);
}

static enum osl_status check_router(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                    void *memory, uint64_t bytes, float *worst_out,
                                    struct osl_error *error)
{
    struct dense d = {.in = OSL_BUFFER_NORM, .in_cols = c->shape.hidden,
                      .out = OSL_BUFFER_ROUTER, .out_cols = c->shape.experts,
                      .tokens = c->tokens};
    return check_one(rig, c, &c->shape, c->router, &d, false, false, memory, bytes, worst_out,
                     error);
}

static enum osl_status check_logits_rows(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                         void *memory, uint64_t bytes, float *worst_out,
                                         struct osl_error *error)
{
    struct osl_shape shape = c->shape;
    shape.vocab = c->seed % 2 ? shape.vocab : least(shape.vocab, ROWS_CUT);
    struct dense d = {.in = OSL_BUFFER_NORM, .in_cols = shape.hidden, .out = OSL_BUFFER_LOGITS,
                      .out_cols = shape.vocab, .tokens = least(c->tokens, LOGITS_ROWS)};
    return check_one(rig, c, &shape, c->output, &d, false, true, memory, bytes, worst_out, error);
}

const struct osl_vk_check osl_vk_checks_matmul[] = {
    {"qkv of a prompt", check_qkv},
    {"attn out of a prompt", check_attn_out},
    {"router of a prompt", check_router},
    {"logits rows", check_logits_rows},
    {"route", osl_vk_check_route},
    {"expert up of a prompt", osl_vk_check_expert_up},
    {"expert down of a prompt", osl_vk_check_expert_down},
    {NULL, NULL},
};
