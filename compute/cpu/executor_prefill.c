/* Prefill: many tokens, bound by arithmetic.
 *
 * Inputs are quantised once for all tokens. A matmul is cut into tiles of weight rows, each
 * unpacked once and multiplied with every token that wants it; only where there are fewer tiles
 * than threads can use are tokens cut too. Tokens are grouped by expert (a counting sort, so
 * within an expert they keep their order) and an expert's output is added to the residual in the
 * order in which its token chose it. Nothing of this shows in the numbers: each is a function of
 * one weight row and one token.
 *
 * A layer takes fourteen barriers; at a step of hundreds of tokens they do not matter. */
#include "executor_prefill.h"

#include <math.h>
#include <string.h>

#define TILES_PER_THREAD 4 /* fewer, and tokens are cut too */
#define TOKEN_BLOCK_MIN 16

static uint32_t norm_planes(const struct osl_executor *executor, const struct osl_op *norm)
{
    bool experts = norm->kind == OSL_OP_RMSNORM && norm[1].out == OSL_BUFFER_ROUTER;
    return experts ? osl_prefill_planes_up(executor) : OSL_PREFILL_PLANES;
}

/* The shared activations, row 0 at `row`. Quantised parts are there whether filled or not. */
struct osl_act osl_prefill_act(const struct osl_executor *executor, const float *f32, uint32_t row,
                               uint32_t cols, uint32_t planes)
{
    const struct osl_q8_layout *act = &executor->layout.act;
    uint32_t blocks = cols / OSL_BLOCK_COLS;
    uint32_t q_stride = executor->config.kernels->pack != NULL ? OSL_PACK_ROW_BYTES(cols, planes)
                                                               : OSL_ACT_ROW_BYTES(cols);
    return (struct osl_act){
        .f32 = f32 + (uint64_t)row * cols,
        .q = (int8_t *)osl_scratch_at(executor, act->q) + (uint64_t)row * q_stride,
        .scale = (float *)osl_scratch_at(executor, act->scale) + (uint64_t)row * blocks,
        .sum = (int32_t *)osl_scratch_at(executor, act->sum) + (uint64_t)row * blocks,
        .f32_stride = cols,
        .q_stride = q_stride,
        .block_stride = blocks,
        .planes = planes,
    };
}

static void quantize_row(const struct osl_executor *executor, const float *f32, uint32_t row,
                         uint32_t cols, uint32_t planes)
{
    const struct osl_q8_layout *act = &executor->layout.act;
    const struct osl_kernels *kernels = executor->config.kernels;
    uint64_t blocks = cols / OSL_BLOCK_COLS;
    uint8_t *q = osl_scratch_at(executor, act->q);
    if (kernels->pack != NULL) {
        kernels->pack(q + row * (uint64_t)OSL_PACK_ROW_BYTES(cols, planes), f32, cols, planes);
        return;
    }
    kernels->quantize((int8_t *)q + (uint64_t)row * OSL_ACT_ROW_BYTES(cols),
                      (float *)osl_scratch_at(executor, act->scale) + row * blocks,
                      (int32_t *)osl_scratch_at(executor, act->sum) + row * blocks, f32, cols);
}

/* Quantises rows [0, rows) of a buffer; a phase of its own. */
bool osl_prefill_quantize(struct osl_worker *worker, enum osl_buffer buffer, uint32_t rows)
{
    const struct osl_executor *executor = worker->executor;
    uint32_t cols = osl_input_cols(executor, buffer);
    const float *in = osl_buffer_f32(executor, buffer);
    enum osl_slot slot = osl_worker_enter(worker, OSL_SLOT_QUANTIZE);
    for (uint32_t row; (row = osl_worker_take(worker, 1, rows)) < rows;) {
        quantize_row(executor, in + (uint64_t)row * cols, row, cols, OSL_PREFILL_PLANES);
    }
    bool going = osl_worker_meet(worker);
    osl_worker_back(worker, slot);
    return going;
}

/* NORM[i] = rmsnorm(X[first + i]), quantised too if asked. */
static bool rmsnorm_rows(struct osl_worker *worker, const struct osl_op *op, uint32_t first,
                         uint32_t count, bool q8)
{
    const struct osl_executor *executor = worker->executor;
    uint64_t hidden = executor->shape.hidden;
    uint32_t planes = norm_planes(executor, op);
    for (uint32_t i; (i = osl_worker_take(worker, 1, count)) < count;) {
        float *out = osl_buffer_f32(executor, OSL_BUFFER_NORM) + i * hidden;
        const float *x = osl_buffer_f32(executor, OSL_BUFFER_X) + (first + i) * hidden;
        executor->config.kernels->rmsnorm(out, x, op->gain->data, (uint32_t)hidden,
                                          executor->shape.rms_eps);
        if (q8) {
            quantize_row(executor, out, i, (uint32_t)hidden, planes);
        }
    }
    return osl_worker_meet(worker);
}

float *osl_prefill_tile(const struct osl_worker *worker, uint32_t which)
{
    const struct osl_executor *executor = worker->executor;
    uint64_t tile_floats = (uint64_t)executor->config.limits.prefill_tokens * TILE;
    return (float *)(void *)(worker->own + executor->layout.tile) + which * tile_floats;
}

/* tile[t][r] = weight row r . x[t] + bias, for rows [row, row + rows) of an expert. */
void osl_prefill_multiply(const struct osl_worker *worker, float *tile,
                          const struct osl_weight *weight, const struct osl_weight *bias,
                          uint32_t expert, uint32_t row, uint32_t rows, const struct osl_act *x,
                          const uint32_t *token_index, uint32_t tokens)
{
    OSL_ASSERT_HOT(rows <= TILE && row + rows <= weight->rows);
    OSL_ASSERT_HOT(tokens <= worker->executor->config.limits.prefill_tokens);
    worker->executor->config.kernels->matmul[weight->dtype](
        tile, rows, osl_weight_row(weight, expert, row), weight->row_bytes, rows, weight->cols, x,
        token_index, tokens, worker->own + worker->executor->layout.unpacked);
    const float *b = osl_bias_row(bias, expert, row);
    for (uint32_t t = 0; b != NULL && t < tokens; t++) {
        for (uint32_t r = 0; r < rows; r++) {
            tile[(uint64_t)t * rows + r] += b[r];
        }
    }
}

void osl_prefill_put(const struct osl_prefill_target *target, const float *tile, uint32_t rows,
                     uint32_t tokens)
{
    for (uint32_t t = 0; t < tokens; t++) {
        float *out = target->out + t * target->stride;
        const float *in = tile + (uint64_t)t * rows;
        for (uint32_t r = 0; r < rows; r++) {
            out[r] = target->add ? out[r] + in[r] : in[r];
        }
    }
}

/* How a matmul of up to three weights side by side is cut: into tiles of rows, which never span two
 * weights, and those into blocks of tokens. */
struct cut {
    const struct osl_op *op;
    uint32_t tokens;
    uint32_t block_tokens;
    uint32_t blocks;
    uint32_t pieces;
};

static struct cut cut_op(const struct osl_worker *worker, const struct osl_op *op, uint32_t tokens)
{
    uint32_t tiles = 0;
    for (uint32_t w = 0; w < op->weight_count; w++) {
        tiles += (op->weight[w]->rows + TILE - 1) / TILE;
    }
    uint32_t blocks = (worker->count * TILES_PER_THREAD + tiles - 1) / tiles;
    uint32_t block_tokens = (tokens + blocks - 1) / blocks;
    block_tokens = block_tokens < TOKEN_BLOCK_MIN ? TOKEN_BLOCK_MIN : block_tokens;
    blocks = (tokens + block_tokens - 1) / block_tokens;
    return (struct cut){op, tokens, block_tokens, blocks, tiles * blocks};
}

struct piece {
    uint32_t weight;
    uint32_t column; /* of the output, where the weight begins */
    uint32_t row;
    uint32_t rows;
    uint32_t first;  /* token */
    uint32_t tokens; /* 0: no piece is left */
};

static struct piece take_piece(struct osl_worker *worker, const struct cut *cut)
{
    uint32_t index = osl_worker_take(worker, 1, cut->pieces);
    struct piece piece = {0};
    if (index >= cut->pieces) {
        return piece;
    }
    uint32_t tile = index / cut->blocks;
    const struct osl_weight *weight = cut->op->weight[0];
    for (uint32_t tiles; tile >= (tiles = (weight->rows + TILE - 1) / TILE);) {
        tile -= tiles;
        piece.column += weight->rows;
        weight = cut->op->weight[++piece.weight];
    }
    piece.row = tile * TILE;
    piece.rows = weight->rows - piece.row < TILE ? weight->rows - piece.row : TILE;
    piece.first = index % cut->blocks * cut->block_tokens;
    uint32_t left = cut->tokens - piece.first;
    piece.tokens = left < cut->block_tokens ? left : cut->block_tokens;
    return piece;
}

/* out[t] = or += the op's weights side by side on x[t], for `tokens` tokens. */
static bool matmul_rows(struct osl_worker *worker, const struct osl_op *op, struct osl_act x,
                        uint32_t tokens, struct osl_prefill_target all)
{
    struct cut cut = cut_op(worker, op, tokens);
    for (uint32_t w = 0; w < op->weight_count; w++) {
        osl_worker_count(worker, op->weight[w], 1, tokens);
    }
    struct piece piece = take_piece(worker, &cut);
    for (struct piece next; piece.tokens > 0; piece = next) {
        next = take_piece(worker, &cut);
        struct osl_act part = x;
        part.f32 += (uint64_t)piece.first * x.f32_stride;
        part.q += (uint64_t)piece.first * x.q_stride;
        part.scale += (uint64_t)piece.first * x.block_stride;
        part.sum += (uint64_t)piece.first * x.block_stride;
        osl_prefill_look_ahead(&part, op->weight[next.weight], 0, next.row, next.rows);
        float *result = osl_prefill_tile(worker, 0);
        osl_prefill_multiply(worker, result, op->weight[piece.weight], op->bias[piece.weight], 0,
                             piece.row, piece.rows, &part, NULL, piece.tokens);
        struct osl_prefill_target to = all;
        to.out += piece.first * to.stride + piece.column + piece.row;
        osl_prefill_put(&to, result, piece.rows, piece.tokens);
    }
    return osl_worker_meet(worker);
}

static bool matmul(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_executor *executor = worker->executor;
    uint32_t tokens = executor->step->token_count;
    uint32_t cols = osl_input_cols(executor, op->in);
    /* NORM was quantised when it was written. */
    if (op->in == OSL_BUFFER_ATTN && executor->q8_attn &&
        !osl_prefill_quantize(worker, op->in, tokens)) {
        return false;
    }
    struct osl_prefill_target to = {
        .out = osl_buffer_f32(executor, op->out),
        .stride = osl_input_cols(executor, op->out),
        .add = op->add,
    };
    struct osl_act x =
        osl_prefill_act(executor, osl_buffer_f32(executor, op->in), 0, cols, OSL_PREFILL_PLANES);
    return matmul_rows(worker, op, x, tokens, to);
}

/* ---- Attention --------------------------------------------------------------------------- */

static bool rope_store(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_kernels *kernels = executor->config.kernels;
    const struct osl_shape *s = &executor->shape;
    const struct osl_step *step = executor->step;
    enum osl_kv_type kv_type = executor->config.schedule->kv_type;
    uint64_t half = s->head_dim / 2;
    uint64_t row_floats = osl_input_cols(executor, OSL_BUFFER_QKV);
    const float *cos_rows = osl_scratch_at(executor, executor->layout.rope_cos);
    const float *sin_rows = osl_scratch_at(executor, executor->layout.rope_sin);
    for (uint32_t t; (t = osl_worker_take(worker, 1, step->token_count)) < step->token_count;) {
        float *heads = osl_buffer_f32(executor, OSL_BUFFER_QKV) + t * row_floats;
        const float *key = heads + (uint64_t)s->heads * s->head_dim;
        const float *value = key + (uint64_t)s->kv_heads * s->head_dim;
        uint32_t position = step->position_first + t;
        kernels->rope(heads, s->heads + s->kv_heads, s->head_dim, cos_rows + t * half,
                      sin_rows + t * half);
        for (uint32_t h = 0; h < s->kv_heads; h++) {
            uint64_t at = (uint64_t)h * s->head_dim;
            kernels->kv_store[kv_type](osl_layer_row(executor, op->layer, false, h, position),
                                       key + at, s->head_dim);
            kernels->kv_store[kv_type](osl_layer_row(executor, op->layer, true, h, position),
                                       value + at, s->head_dim);
        }
    }
    return osl_worker_meet(worker);
}

static bool attention(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    const struct osl_step *step = executor->step;
    uint32_t group = s->heads / s->kv_heads;
    uint32_t q_stride = osl_input_cols(executor, OSL_BUFFER_QKV);
    uint32_t out_stride = s->heads * s->head_dim;
    uint32_t query_tiles = (step->token_count + OSL_QUERY_TILE - 1) / OSL_QUERY_TILE;
    uint32_t units = query_tiles * s->kv_heads;
    for (uint32_t unit; (unit = osl_worker_take(worker, 1, units)) < units;) {
        /* Later queries see more keys: the long pieces first, so that all finish together. */
        uint32_t first = (query_tiles - 1 - unit / s->kv_heads) * OSL_QUERY_TILE;
        uint32_t left = step->token_count - first;
        uint64_t head = (uint64_t)(unit % s->kv_heads) * group;
        struct osl_attend attend = {
            .q = osl_buffer_f32(executor, OSL_BUFFER_QKV) + (uint64_t)first * q_stride +
                 head * s->head_dim,
            .out = osl_buffer_f32(executor, OSL_BUFFER_ATTN) + (uint64_t)first * out_stride +
                   head * s->head_dim,
            .q_stride = q_stride,
            .out_stride = out_stride,
            .group = group,
            .head_dim = s->head_dim,
            .scale = 1.0f / sqrtf((float)s->head_dim),
            .sinks = (const float *)op->sinks->data + head,
            .kv = osl_layer_view(executor, op->layer, unit % s->kv_heads),
        };
        executor->config.kernels->attend_prefill[executor->config.schedule->kv_type](
            &attend, step->position_first + first, left < OSL_QUERY_TILE ? left : OSL_QUERY_TILE,
            worker->own + executor->layout.attend);
    }
    return osl_worker_meet(worker);
}

/* ---- Dispatch ---------------------------------------------------------------------------- */

static bool logits(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_step *step = executor->step;
    uint32_t rows = step->logits_row_count;
    if (!rmsnorm_rows(worker, op, step->logits_row_first, rows, executor->q8_logits)) {
        return false;
    }
    struct osl_act x = osl_prefill_act(executor, osl_buffer_f32(executor, OSL_BUFFER_NORM), 0,
                                       executor->shape.hidden, OSL_PREFILL_PLANES);
    struct osl_prefill_target to = {
        .out = osl_buffer_f32(executor, OSL_BUFFER_LOGITS),
        .stride = executor->shape.vocab,
    };
    return matmul_rows(worker, op, x, rows, to);
}

bool osl_prefill_op(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_executor *executor = worker->executor;
    switch (op->kind) {
    case OSL_OP_RMSNORM:
        return rmsnorm_rows(worker, op, 0, executor->step->token_count, executor->q8_norm);
    case OSL_OP_MATMUL: return matmul(worker, op);
    case OSL_OP_ROPE_STORE: return rope_store(worker, op);
    case OSL_OP_ATTEND: return attention(worker, op);
    case OSL_OP_ROUTE: return osl_prefill_route(worker);
    case OSL_OP_EXPERT_UP: return osl_prefill_expert_up(worker, op);
    case OSL_OP_EXPERT_DOWN: return osl_prefill_expert_down(worker, op);
    case OSL_OP_LOGITS: return logits(worker, op);
    case OSL_OP_EMBED: break; /* executor.c: the same for both kinds of step */
    }
    OSL_ASSERT(false);
    return false;
}
