/* See executor_rig.h: random weights, the schedule, placement. */
#include "executor_rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Odd shapes: no two dimensions alike, tails everywhere (vocabulary and ff are not whole tiles),
 * one and eight query heads per kv head, windows shorter and longer than the texts.
 * Seeds are chosen so that the choice of experts is clear for many tokens (see tokens_sure). */
const struct rig_model rig_models[RIG_MODELS] = {
    {.shape = {.layers = 2,
               .hidden = 96,
               .ff = 160,
               .heads = 8,
               .kv_heads = 1,
               .head_dim = 32,
               .experts = 5,
               .experts_used = 3,
               .vocab = 131,
               .window = 7},
     .dense = OSL_DTYPE_Q8_0,
     .expert = OSL_DTYPE_MXFP4,
     .embed = OSL_DTYPE_Q8_0,
     .kv_type = OSL_KV_F16,
     .seed = 34},
    {.shape = {.layers = 3,
               .hidden = 160,
               .ff = 96,
               .heads = 3,
               .kv_heads = 3,
               .head_dim = 64,
               .experts = 4,
               .experts_used = 2,
               .vocab = 77,
               .window = 200},
     .dense = OSL_DTYPE_BF16,
     .expert = OSL_DTYPE_MXFP4,
     .embed = OSL_DTYPE_BF16,
     .kv_type = OSL_KV_Q8,
     .seed = 42},
    {.shape = {.layers = 1,
               .hidden = 224,
               .ff = 288,
               .heads = 16,
               .kv_heads = 2,
               .head_dim = 64,
               .experts = 9,
               .experts_used = 4,
               .vocab = 330,
               .window = 24},
     .dense = OSL_DTYPE_Q8_0,
     .expert = OSL_DTYPE_Q8_0,
     .embed = OSL_DTYPE_F16,
     .kv_type = OSL_KV_F16,
     .seed = 11},
    {.shape = {.layers = 1,
               .hidden = 64,
               .ff = 32,
               .heads = 10,
               .kv_heads = 2,
               .head_dim = 96,
               .experts = 3,
               .experts_used = 1,
               .vocab = 50,
               .window = 16},
     .dense = OSL_DTYPE_F16,
     .expert = OSL_DTYPE_BF16,
     .embed = OSL_DTYPE_F32,
     .kv_type = OSL_KV_Q8,
     .seed = 4},
    {.shape = {.layers = 2,
               .hidden = 128,
               .ff = 64,
               .heads = 4,
               .kv_heads = 2,
               .head_dim = 32,
               .experts = 2,
               .experts_used = 2,
               .vocab = 65,
               .window = 33},
     .dense = OSL_DTYPE_F32,
     .expert = OSL_DTYPE_F32,
     .embed = OSL_DTYPE_MXFP4,
     .kv_type = OSL_KV_F16,
     .seed = 5},
};

static uint64_t rig_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [-1, 1). */
static float rig_uniform(uint64_t *state)
{
    return (float)(int32_t)(rig_random(state) >> 32) * 0x1p-31f;
}

static void *rig_take(struct rig *rig, uint64_t bytes)
{
    void *at = rig->memory + rig->used;
    rig->used = (rig->used + bytes + 63) / 64 * 64;
    OSL_ASSERT(rig->used <= RIG_MEMORY_BYTES);
    return at;
}

/* One row of random weights of about unit variance times 1/sqrt(cols). */
static void fill_row(uint8_t *row, enum osl_dtype dtype, uint32_t cols, float spread,
                     uint64_t *state)
{
    for (uint32_t c = 0; c < cols; c++) {
        float value = rig_uniform(state) * spread;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        uint16_t half = (uint16_t)(bits >> 16);
        if (dtype == OSL_DTYPE_F32) {
            memcpy(row + 4 * (size_t)c, &value, 4);
        } else if (dtype == OSL_DTYPE_BF16) {
            memcpy(row + 2 * (size_t)c, &half, 2);
        } else if (dtype == OSL_DTYPE_F16) {
            /* sign and random mantissa, exponent of spread: between spread/2 and spread */
            uint16_t exponent = (uint16_t)((ilogbf(spread) - 1 + 15) << 10);
            half = (uint16_t)((bits >> 16 & 0x8000u) | exponent | (bits & 0x3ffu));
            memcpy(row + 2 * (size_t)c, &half, 2);
        } else if (dtype == OSL_DTYPE_Q8_0) {
            uint8_t *block = row + c / 32 * 34;
            uint16_t scale = (uint16_t)((ilogbf(spread) - 7 + 15) << 10 | (bits & 0x3ffu));
            if (c % 32 == 0) {
                memcpy(block, &scale, 2);
            }
            block[2 + c % 32] = (uint8_t)(int8_t)((int)(bits >> 8 & 0xff) - 128);
        } else {
            uint8_t *block = row + c / 32 * 17;
            if (c % 32 == 0) {
                block[0] = (uint8_t)(127 + ilogbf(spread) - 2 + (int)(bits & 1));
            }
            if (c % 32 < 16) {
                block[1 + c % 32] = (uint8_t)(bits >> 4);
            }
        }
    }
}

static void make_weight(struct rig *rig, struct osl_weight *out, enum osl_dtype dtype,
                        uint32_t experts, uint32_t rows, uint32_t cols, uint64_t *state)
{
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, cols);
    uint8_t *data = rig_take(rig, experts * rows * row_bytes + 4096);
    /* Power of two, so that the formats with exponents keep to it. */
    float spread = exp2f(roundf(log2f(1.7f / sqrtf((float)cols))));
    for (uint64_t row = 0; row < (uint64_t)experts * rows; row++) {
        fill_row(data + row * row_bytes, dtype, cols, spread, state);
    }
    *out = (struct osl_weight){.data = data,
                               .dtype = dtype,
                               .rows = rows,
                               .cols = cols,
                               .experts = experts,
                               .row_bytes = row_bytes,
                               .expert_bytes = rows * row_bytes};
}

/* A vector, or one per expert: centre + spread * uniform. */
static void make_vector(struct rig *rig, struct osl_weight *out, uint32_t rows, uint32_t cols,
                        float centre, float spread, uint64_t *state)
{
    float *data = rig_take(rig, (uint64_t)rows * cols * sizeof(float));
    for (uint64_t i = 0; i < (uint64_t)rows * cols; i++) {
        data[i] = centre + spread * rig_uniform(state);
    }
    *out = (struct osl_weight){.data = data,
                               .dtype = OSL_DTYPE_F32,
                               .rows = rows,
                               .cols = cols,
                               .experts = 1,
                               .row_bytes = cols * 4,
                               .expert_bytes = (uint64_t)rows * cols * 4};
}

static void make_layer(struct rig *rig, struct rig_layer *w, uint64_t *state)
{
    const struct osl_shape *s = &rig->model.shape;
    enum osl_dtype dense = rig->model.dense;
    enum osl_dtype expert = rig->model.expert;
    uint32_t kv = s->kv_heads * s->head_dim;
    uint32_t attn = s->heads * s->head_dim;
    make_vector(rig, &w->attn_norm, 1, s->hidden, 1.0f, 0.3f, state);
    make_weight(rig, &w->q, dense, 1, attn, s->hidden, state);
    make_vector(rig, &w->q_bias, 1, attn, 0.0f, 0.5f, state);
    make_weight(rig, &w->k, dense, 1, kv, s->hidden, state);
    make_vector(rig, &w->k_bias, 1, kv, 0.0f, 0.5f, state);
    make_weight(rig, &w->v, dense, 1, kv, s->hidden, state);
    make_vector(rig, &w->v_bias, 1, kv, 0.0f, 0.5f, state);
    make_weight(rig, &w->out, dense, 1, s->hidden, attn, state);
    make_vector(rig, &w->out_bias, 1, s->hidden, 0.0f, 0.3f, state);
    make_vector(rig, &w->sinks, 1, s->heads, 0.0f, 2.0f, state);
    make_vector(rig, &w->mlp_norm, 1, s->hidden, 1.0f, 0.3f, state);
    make_weight(rig, &w->router, OSL_DTYPE_F32, 1, s->experts, s->hidden, state);
    make_vector(rig, &w->router_bias, 1, s->experts, 0.0f, 2.0f, state);
    make_weight(rig, &w->gate, expert, s->experts, s->ff, s->hidden, state);
    make_vector(rig, &w->gate_bias, s->experts, s->ff, 0.0f, 1.0f, state);
    make_weight(rig, &w->up, expert, s->experts, s->ff, s->hidden, state);
    make_vector(rig, &w->up_bias, s->experts, s->ff, 0.0f, 1.0f, state);
    make_weight(rig, &w->down, expert, s->experts, s->hidden, s->ff, state);
    make_vector(rig, &w->down_bias, s->experts, s->hidden, 0.0f, 0.5f, state);
}

static struct osl_op *append(struct rig *rig, enum osl_op_kind kind, uint32_t layer,
                             enum osl_buffer in, enum osl_buffer out)
{
    struct osl_op *op = &rig->schedule.ops[rig->schedule.op_count++];
    *op = (struct osl_op){.kind = kind, .layer = layer, .in = in, .out = out};
    return op;
}

static void give(struct osl_op *op, const struct osl_weight *weight, const struct osl_weight *bias)
{
    op->weight[op->weight_count] = weight;
    op->bias[op->weight_count++] = bias;
}

static void write_layer(struct rig *rig, uint32_t layer)
{
    const struct rig_layer *w = &rig->weights.layer[layer];
    append(rig, OSL_OP_RMSNORM, layer, OSL_BUFFER_X, OSL_BUFFER_NORM)->gain = &w->attn_norm;
    struct osl_op *op = append(rig, OSL_OP_MATMUL, layer, OSL_BUFFER_NORM, OSL_BUFFER_QKV);
    give(op, &w->q, &w->q_bias);
    give(op, &w->k, &w->k_bias);
    give(op, &w->v, &w->v_bias);
    append(rig, OSL_OP_ROPE_STORE, layer, OSL_BUFFER_QKV, OSL_BUFFER_QKV);
    append(rig, OSL_OP_ATTEND, layer, OSL_BUFFER_QKV, OSL_BUFFER_ATTN)->sinks = &w->sinks;
    op = append(rig, OSL_OP_MATMUL, layer, OSL_BUFFER_ATTN, OSL_BUFFER_X);
    op->add = true;
    give(op, &w->out, &w->out_bias);
    append(rig, OSL_OP_RMSNORM, layer, OSL_BUFFER_X, OSL_BUFFER_NORM)->gain = &w->mlp_norm;
    give(append(rig, OSL_OP_MATMUL, layer, OSL_BUFFER_NORM, OSL_BUFFER_ROUTER), &w->router,
         &w->router_bias);
    append(rig, OSL_OP_ROUTE, layer, OSL_BUFFER_ROUTER, OSL_BUFFER_ROUTER);
    op = append(rig, OSL_OP_EXPERT_UP, layer, OSL_BUFFER_NORM, OSL_BUFFER_EXPERT_H);
    give(op, &w->gate, &w->gate_bias);
    give(op, &w->up, &w->up_bias);
    op = append(rig, OSL_OP_EXPERT_DOWN, layer, OSL_BUFFER_EXPERT_H, OSL_BUFFER_X);
    op->add = true;
    give(op, &w->down, &w->down_bias);
}

void rig_make(struct rig *rig, const struct rig_model *model)
{
    memset(rig, 0, sizeof *rig);
    rig->model = *model;
    const struct osl_shape *s = &rig->model.shape;
    void *memory = NULL;
    OSL_ASSERT(osl_memory_reserve(RIG_MEMORY_BYTES, false, &memory, NULL) == OSL_OK);
    rig->memory = memory;
    uint64_t state = model->seed;
    make_weight(rig, &rig->weights.embed, model->embed, 1, s->vocab, s->hidden, &state);
    for (uint32_t layer = 0; layer < s->layers; layer++) {
        make_layer(rig, &rig->weights.layer[layer], &state);
    }
    make_vector(rig, &rig->weights.output_norm, 1, s->hidden, 1.0f, 0.3f, &state);
    make_weight(rig, &rig->weights.output, model->dense, 1, s->vocab, s->hidden, &state);
    rig->kept = rig->used;

    rig->schedule.shape = *s;
    rig->schedule.kv_type = model->kv_type;
    rig->schedule.rope_concentration = 1.25f;
    for (uint32_t i = 0; i < s->head_dim / 2; i++) {
        rig->schedule.rope_inverse_frequency[i] =
            (float)pow(10000.0, -2.0 * (double)i / (double)s->head_dim);
    }
    struct osl_op *embed = append(rig, OSL_OP_EMBED, 0, OSL_BUFFER_X, OSL_BUFFER_X);
    embed->weight[0] = &rig->weights.embed;
    for (uint32_t layer = 0; layer < s->layers; layer++) {
        write_layer(rig, layer);
    }
    struct osl_op *logits = append(rig, OSL_OP_LOGITS, 0, OSL_BUFFER_X, OSL_BUFFER_LOGITS);
    logits->gain = &rig->weights.output_norm;
    give(logits, &rig->weights.output, NULL);
}

static uint64_t layer_bytes(const struct rig *rig, uint32_t layer)
{
    const struct osl_shape *s = &rig->model.shape;
    return (uint64_t)s->kv_heads * rig->schedule.kv[layer].capacity *
           osl_kv_row_bytes(rig->model.kv_type, s->head_dim);
}

static void place_cache(struct rig *rig)
{
    const struct osl_shape *s = &rig->model.shape;
    for (uint32_t layer = 0; layer < s->layers; layer++) {
        struct osl_kv_layer *kv = &rig->schedule.kv[layer];
        uint32_t wanted = rig->options.context_tokens;
        kv->window = layer % 2 == 0 ? s->window : 0;
        if (kv->window != 0 && kv->window + rig->options.prefill_tokens < wanted) {
            wanted = kv->window + rig->options.prefill_tokens;
        }
        kv->capacity = (wanted + OSL_ATTEND_BLOCK - 1) / OSL_ATTEND_BLOCK * OSL_ATTEND_BLOCK;
        kv->k = rig_take(rig, layer_bytes(rig, layer));
        kv->v = rig_take(rig, layer_bytes(rig, layer));
        memset(kv->k, 0, layer_bytes(rig, layer));
        memset(kv->v, 0, layer_bytes(rig, layer));
    }
}

/* First fit by lifetime: each buffer as low as those it overlaps in time allow. */
static void place_buffers(struct rig *rig, const struct osl_executor_limits *limits,
                          void *buffer[OSL_BUFFER_COUNT])
{
    struct osl_buffer_need needs[OSL_BUFFER_COUNT];
    uint64_t offset[OSL_BUFFER_COUNT];
    uint64_t total = 0;
    osl_executor_need(&rig->model.shape, limits, needs);
    for (uint32_t b = 0; b < OSL_BUFFER_COUNT; b++) {
        uint64_t at = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (uint32_t o = 0; o < b; o++) {
                bool alive = !rig->options.overlay ||
                             (needs[o].first <= needs[b].last && needs[b].first <= needs[o].last);
                if (alive && at < offset[o] + needs[o].bytes && offset[o] < at + needs[b].bytes) {
                    at = offset[o] + needs[o].bytes;
                    moved = true;
                }
            }
        }
        offset[b] = at;
        total = total > at + needs[b].bytes ? total : at + needs[b].bytes;
    }
    uint8_t *base = rig_take(rig, total);
    for (uint32_t b = 0; b < OSL_BUFFER_COUNT; b++) {
        buffer[b] = base + offset[b];
    }
}

static void end_executor(struct rig *rig)
{
    osl_team_stop(rig->team);
    rig->team = NULL;
    rig->executor = NULL;
    rig->used = rig->kept;
}

void rig_start(struct rig *rig, const struct rig_options *options)
{
    end_executor(rig);
    rig->options = *options;
    atomic_store(&rig->abort, false);
    struct osl_error error;
    struct osl_executor_config config = {
        .schedule = &rig->schedule,
        .kernels = options->kernels,
        .limits = {.prefill_tokens = options->prefill_tokens,
                   .logits_rows = options->logits_rows,
                   .context_tokens = options->context_tokens,
                   .thread_count = options->threads,
                   .decode_tokens = options->decode_tokens},
        .abort = &rig->abort,
        .poison = options->poison,
        .profile = options->profile,
    };
    place_cache(rig);
    place_buffers(rig, &config.limits, config.buffer);
    uint64_t team_bytes = osl_team_bytes(options->threads);
    void *team_memory = rig_take(rig, team_bytes);
    OSL_ASSERT(osl_team_start(team_memory, team_bytes, options->threads, &rig->team, &error) ==
               OSL_OK);
    config.team = rig->team;
    void *memory = rig_take(rig, osl_executor_bytes());
    enum osl_status status =
        osl_executor_init(memory, osl_executor_bytes(), &config, &rig->executor, &error);
    OSL_ASSERT(status == OSL_OK);
}

void rig_stop(struct rig *rig)
{
    end_executor(rig);
    osl_memory_release(rig->memory, RIG_MEMORY_BYTES);
}

int32_t rig_token(const struct rig *rig, uint32_t t)
{
    uint64_t state = rig->model.seed * 31 + t;
    return (int32_t)(rig_random(&state) % rig->model.shape.vocab);
}

enum osl_status rig_step(struct rig *rig, enum osl_step_kind kind, uint32_t first, uint32_t count,
                         uint32_t logits_first, uint32_t logits_count)
{
    int32_t tokens[RIG_TOKENS_MAX];
    OSL_ASSERT(count <= RIG_TOKENS_MAX);
    for (uint32_t t = 0; t < count; t++) {
        tokens[t] = rig_token(rig, first + t);
    }
    struct osl_step step = {.kind = kind,
                            .token_count = count,
                            .position_first = first,
                            .tokens = tokens,
                            .logits_row_first = logits_first,
                            .logits_row_count = logits_count};
    return osl_executor_run(rig->executor, &step);
}

static uint64_t hash_bytes(uint64_t hash, const void *data, uint64_t bytes)
{
    const uint8_t *at = data;
    for (uint64_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return hash;
}

uint64_t rig_hash(const struct rig *rig, uint32_t rows)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t layer = 0; layer < rig->model.shape.layers; layer++) {
        hash = hash_bytes(hash, rig->schedule.kv[layer].k, layer_bytes(rig, layer));
        hash = hash_bytes(hash, rig->schedule.kv[layer].v, layer_bytes(rig, layer));
    }
    return hash_bytes(hash, osl_executor_logits(rig->executor),
                      (uint64_t)rows * rig->model.shape.vocab * sizeof(float));
}
