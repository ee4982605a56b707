/* Decode: one token, bound by how fast weights can be read, or a few, for which they are read once:
 * a piece of a weight serves every token before the next piece is touched.
 *
 * A layer takes six barriers: after QKV, attention, the output rows, the router, experts up and
 * experts down. What lies between is small enough for every thread to do for itself, which costs
 * less than a barrier and its imbalance: norms, quantising a row of activations, choosing the
 * experts. Attention is executor_decode_attend.c's.
 *
 * A token's numbers are made by the same calls in the same order whatever its neighbours are, so
 * they are those of a step of its own.
 *
 * Reading without a barrier after is safe because what is read (X, ROUTER) is written again only
 * after a later barrier. */
#include "executor_step.h"

/* Pieces of about this many bytes of weights: small enough to finish together (a piece is 20 us at
 * most), large enough to stream. With 24 to 128 KiB two Zen 5 cores wrote 14.6 tokens a second,
 * with these 16 to 17 (20b, 2026-11-21). */
#define PIECE_BYTES_MIN ((uint64_t)64 << 10)
#define PIECE_BYTES_MAX ((uint64_t)512 << 10)
#define PIECES_PER_THREAD 16

/* Rows that stay in a core's own cache until all tokens have had them, where a kernel takes one at
 * a time and lays its activations out anew each time, which takes as long as three rows. */
#define KEPT_BYTES ((uint64_t)128 << 10)

/* Rows of a piece, of `rows` in all that take `row_bytes` each. */
static uint32_t piece_rows(const struct osl_worker *worker, uint64_t rows, uint64_t row_bytes)
{
    uint64_t bytes = rows * row_bytes / ((uint64_t)worker->count * PIECES_PER_THREAD);
    bytes = bytes < PIECE_BYTES_MIN ? PIECE_BYTES_MIN : bytes;
    bytes = bytes > PIECE_BYTES_MAX ? PIECE_BYTES_MAX : bytes;
    uint64_t piece = bytes / row_bytes;
    if (piece >= 16) {
        return piece > OSL_CHUNK_ROWS_MAX ? OSL_CHUNK_ROWS_MAX : (uint32_t)(piece / 16 * 16);
    }
    return piece < 4 ? 4 : (uint32_t)piece;
}

/* Quantises `rows` rows of cols into the thread's own place, if asked, and returns all of it as
 * the kernels want it. */
static struct osl_act own_act(const struct osl_worker *worker, const float *f32, uint32_t rows,
                              uint32_t cols, bool q8)
{
    const struct osl_q8_layout *own = &worker->executor->layout.own;
    int8_t *q = (int8_t *)worker->own + own->q;
    float *scale = (float *)(void *)(worker->own + own->scale);
    int32_t *sum = (int32_t *)(void *)(worker->own + own->sum);
    struct osl_act act = {.f32 = f32, .f32_stride = cols};
    if (q8) {
        uint32_t blocks = cols / OSL_BLOCK_COLS;
        for (uint32_t r = 0; r < rows; r++) {
            worker->executor->config.kernels->quantize(
                q + (uint64_t)r * OSL_ACT_ROW_BYTES(cols), scale + (uint64_t)r * blocks,
                sum + (uint64_t)r * blocks, f32 + (uint64_t)r * cols, cols);
        }
        act.q = q;
        act.scale = scale;
        act.sum = sum;
        act.q_stride = OSL_ACT_ROW_BYTES(cols);
        act.block_stride = blocks;
    }
    return act;
}

/* Row `row` of activations, as row 0. */
static struct osl_act act_row(const struct osl_act *act, uint32_t row)
{
    struct osl_act one = *act;
    one.f32 += (uint64_t)row * act->f32_stride;
    if (act->q != NULL) {
        one.q += (uint64_t)row * act->q_stride;
        one.scale += (uint64_t)row * act->block_stride;
        one.sum += (uint64_t)row * act->block_stride;
    }
    return one;
}

/* The rows of x, of which there are `tokens`, one by one. */
static void act_rows(const struct osl_act *x, uint32_t tokens, struct osl_act *rows_out)
{
    for (uint32_t t = 0; t < tokens; t++) {
        rows_out[t] = act_row(x, t);
    }
}

/* out[t][r] = weight row r . x[t] + bias, for rows [row, row + rows) of an expert. */
static void matvec_rows(const struct osl_worker *worker, float *const *out,
                        const struct osl_weight *weight, const struct osl_weight *bias,
                        uint32_t expert, uint32_t row, uint32_t rows, const struct osl_act *x,
                        uint32_t tokens)
{
    OSL_ASSERT_HOT(row + rows <= weight->rows);
    const struct osl_kernels *kernels = worker->executor->config.kernels;
    osl_matvec_tokens_fn *at_once = tokens > 1 ? kernels->matvec_tokens[weight->dtype] : NULL;
    if (at_once != NULL) {
        at_once(out, osl_weight_row(weight, expert, row), weight->row_bytes, rows, weight->cols, x,
                tokens, worker->own + worker->executor->layout.prepared);
    }
    uint64_t kept = KEPT_BYTES / weight->row_bytes + 1;
    uint32_t part = tokens == 1 || kept > rows ? rows : (uint32_t)kept;
    for (uint32_t done = 0; at_once == NULL && done < rows; done += part) {
        uint32_t count = rows - done < part ? rows - done : part;
        for (uint32_t t = 0; t < tokens; t++) {
            kernels->matvec[weight->dtype](out[t] + done,
                                           osl_weight_row(weight, expert, row + done),
                                           weight->row_bytes, count, weight->cols, &x[t]);
        }
    }
    const float *b = osl_bias_row(bias, expert, row);
    for (uint32_t t = 0; b != NULL && t < tokens; t++) {
        for (uint32_t r = 0; r < rows; r++) {
            out[t][r] += b[r];
        }
    }
}

static float *own_norm(const struct osl_worker *worker)
{
    return (float *)(void *)(worker->own + worker->executor->layout.norm);
}

static float *own_rows(const struct osl_worker *worker)
{
    return (float *)(void *)(worker->own + worker->executor->layout.rows);
}

/* Of the step's tokens [first, first + count), into the thread's own rows. */
static void rmsnorm(const struct osl_worker *worker, const struct osl_op *op, uint32_t first,
                    uint32_t count)
{
    const struct osl_executor *executor = worker->executor;
    uint64_t hidden = executor->shape.hidden;
    const float *x = osl_buffer_f32(executor, OSL_BUFFER_X) + first * hidden;
    for (uint32_t t = 0; t < count; t++) {
        executor->config.kernels->rmsnorm(own_norm(worker) + t * hidden, x + t * hidden,
                                          op->gain->data, executor->shape.hidden,
                                          executor->shape.rms_eps);
    }
}

static void count_weights(struct osl_worker *worker, const struct osl_op *op, uint32_t matrices,
                          uint32_t products)
{
    for (uint32_t w = 0; w < op->weight_count; w++) {
        osl_worker_count(worker, op->weight[w], matrices, products);
    }
}

static bool matmul(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const float *in =
        op->in == OSL_BUFFER_NORM ? own_norm(worker) : osl_buffer_f32(executor, op->in);
    bool q8 = false;
    uint64_t rows = 0;
    for (uint32_t w = 0; w < op->weight_count; w++) {
        q8 |= osl_weight_q8(executor, op->weight[w]);
        rows += op->weight[w]->rows;
    }
    uint32_t tokens = executor->step->token_count;
    struct osl_act x = own_act(worker, in, tokens, osl_input_cols(executor, op->in), q8);
    struct osl_act each[OSL_DECODE_TOKENS_MAX];
    act_rows(&x, tokens, each);
    uint32_t piece = piece_rows(worker, rows, op->weight[0]->row_bytes);
    uint32_t pieces[3] = {0, 0, 0};
    uint32_t piece_count = 0;
    for (uint32_t w = 0; w < op->weight_count; w++) {
        pieces[w] = (op->weight[w]->rows + piece - 1) / piece;
        piece_count += pieces[w];
    }
    for (uint32_t i; (i = osl_worker_take(worker, 1, piece_count)) < piece_count;) {
        float *out = osl_buffer_f32(executor, op->out);
        uint32_t w = 0;
        while (i >= pieces[w]) { /* a piece never spans two weights */
            i -= pieces[w];
            out += op->weight[w]->rows;
            w++;
        }
        uint32_t row = i * piece;
        uint32_t left = op->weight[w]->rows - row;
        uint32_t count = left < piece ? left : piece;
        float *to[OSL_DECODE_TOKENS_MAX];
        for (uint32_t t = 0; t < tokens; t++) {
            to[t] = op->add ? own_rows(worker) + t * OSL_CHUNK_ROWS_MAX : out + t * rows + row;
        }
        matvec_rows(worker, to, op->weight[w], op->bias[w], 0, row, count, each, tokens);
        for (uint32_t t = 0; op->add && t < tokens; t++) {
            for (uint32_t r = 0; r < count; r++) {
                out[t * rows + row + r] += to[t][r];
            }
        }
    }
    count_weights(worker, op, 1, tokens);
    return osl_worker_meet(worker);
}

/* ---- Experts ----------------------------------------------------------------------------- */

/* Chooses for every token, then notes for every expert which tokens it serves. */
static void route(struct osl_worker *worker)
{
    const struct osl_shape *s = &worker->executor->shape;
    const float *logits = osl_buffer_f32(worker->executor, OSL_BUFFER_ROUTER);
    worker->use_count = 0;
    for (uint32_t t = 0; t < worker->executor->step->token_count; t++) {
        uint16_t ids[OSL_EXPERTS_USED_MAX];
        osl_route(logits + (uint64_t)t * s->experts, s->experts, s->experts_used, ids,
                  worker->route_weights + (uint64_t)t * s->experts_used);
        for (uint32_t slot = 0; slot < s->experts_used; slot++) {
            uint32_t u = 0;
            while (u < worker->use_count && worker->uses[u].expert != ids[slot]) {
                u++;
            }
            struct osl_expert_use *use = &worker->uses[u];
            if (u == worker->use_count) {
                *use = (struct osl_expert_use){.expert = ids[slot]};
                worker->use_count++;
            }
            use->place[use->count++] = (uint16_t)(t * s->experts_used + slot);
        }
    }
}

static bool expert_up(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    const struct osl_weight *gate = op->weight[0];
    const struct osl_weight *up = op->weight[1];
    bool q8 = osl_weight_q8(executor, gate) || osl_weight_q8(executor, up);
    struct osl_act x =
        own_act(worker, own_norm(worker), executor->step->token_count, s->hidden, q8);
    uint64_t rows = (uint64_t)worker->use_count * s->ff;
    uint32_t piece = piece_rows(worker, rows, gate->row_bytes + up->row_bytes);
    uint32_t pieces = (s->ff + piece - 1) / piece;
    uint32_t piece_count = pieces * worker->use_count;
    for (uint32_t i; (i = osl_worker_take(worker, 1, piece_count)) < piece_count;) {
        const struct osl_expert_use *use = &worker->uses[i / pieces];
        uint32_t row = i % pieces * piece;
        uint32_t count = s->ff - row < piece ? s->ff - row : piece;
        struct osl_act each[OSL_DECODE_TOKENS_MAX];
        float *to[2][OSL_DECODE_TOKENS_MAX];
        for (uint32_t n = 0; n < use->count; n++) {
            each[n] = act_row(&x, use->place[n] / s->experts_used);
            to[0][n] = osl_buffer_f32(executor, OSL_BUFFER_EXPERT_H) +
                       (uint64_t)use->place[n] * s->ff + row;
            to[1][n] = own_rows(worker) + n * OSL_CHUNK_ROWS_MAX;
        }
        matvec_rows(worker, to[0], gate, op->bias[0], use->expert, row, count, each, use->count);
        matvec_rows(worker, to[1], up, op->bias[1], use->expert, row, count, each, use->count);
        for (uint32_t n = 0; n < use->count; n++) {
            executor->config.kernels->swiglu(to[0][n], to[1][n], count, s->swiglu_alpha,
                                             s->swiglu_limit);
        }
    }
    count_weights(worker, op, worker->use_count, executor->step->token_count * s->experts_used);
    return osl_worker_meet(worker);
}

/* X[r] += sum over a token's experts, in the order chosen, of weight * (down row . h + bias). The
 * thread's own rows hold what every expert gives, by place. */
static void add_experts(const struct osl_worker *worker, uint32_t row, uint32_t count)
{
    const struct osl_shape *s = &worker->executor->shape;
    for (uint32_t t = 0; t < worker->executor->step->token_count; t++) {
        float *out =
            osl_buffer_f32(worker->executor, OSL_BUFFER_X) + (uint64_t)t * s->hidden + row;
        const float *weight = worker->route_weights + (uint64_t)t * s->experts_used;
        float *sum = own_rows(worker) + (uint64_t)t * s->experts_used * OSL_CHUNK_ROWS_MAX;
        for (uint32_t r = 0; r < count; r++) {
            sum[r] *= weight[0];
        }
        for (uint32_t slot = 1; slot < s->experts_used; slot++) {
            const float *one = sum + (uint64_t)slot * OSL_CHUNK_ROWS_MAX;
            for (uint32_t r = 0; r < count; r++) {
                float value = weight[slot] * one[r];
                sum[r] = sum[r] + value;
            }
        }
        for (uint32_t r = 0; r < count; r++) {
            out[r] += sum[r];
        }
    }
}

static bool expert_down(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    const struct osl_weight *down = op->weight[0];
    uint32_t inputs = executor->step->token_count * s->experts_used;
    struct osl_act h = own_act(worker, osl_buffer_f32(executor, OSL_BUFFER_EXPERT_H), inputs,
                               s->ff, osl_weight_q8(executor, down));
    uint32_t piece = piece_rows(worker, s->hidden, down->row_bytes * s->experts_used);
    uint32_t piece_count = (s->hidden + piece - 1) / piece;
    for (uint32_t i; (i = osl_worker_take(worker, 1, piece_count)) < piece_count;) {
        uint32_t row = i * piece;
        uint32_t count = s->hidden - row < piece ? s->hidden - row : piece;
        for (uint32_t u = 0; u < worker->use_count; u++) {
            const struct osl_expert_use *use = &worker->uses[u];
            struct osl_act each[OSL_DECODE_TOKENS_MAX];
            float *to[OSL_DECODE_TOKENS_MAX];
            for (uint32_t n = 0; n < use->count; n++) {
                each[n] = act_row(&h, use->place[n]);
                to[n] = own_rows(worker) + (uint64_t)use->place[n] * OSL_CHUNK_ROWS_MAX;
            }
            matvec_rows(worker, to, down, op->bias[0], use->expert, row, count, each, use->count);
        }
        add_experts(worker, row, count);
    }
    count_weights(worker, op, worker->use_count, executor->step->token_count * s->experts_used);
    return osl_worker_meet(worker);
}

/* ---- Dispatch ---------------------------------------------------------------------------- */

bool osl_decode_logits(struct osl_worker *worker, const struct osl_op *op, uint32_t first,
                       uint32_t count)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_weight *weight = op->weight[0];
    OSL_ASSERT(count <= osl_decode_tokens(&executor->config.limits));
    rmsnorm(worker, op, first, count);
    struct osl_act x =
        own_act(worker, own_norm(worker), count, weight->cols, osl_weight_q8(executor, weight));
    struct osl_act each[OSL_DECODE_TOKENS_MAX];
    act_rows(&x, count, each);
    float *out = osl_buffer_f32(executor, OSL_BUFFER_LOGITS);
    uint32_t piece = piece_rows(worker, weight->rows, weight->row_bytes);
    for (uint32_t at; (at = osl_worker_take(worker, piece, weight->rows)) < weight->rows;) {
        uint32_t rows = weight->rows - at < piece ? weight->rows - at : piece;
        float *to[OSL_DECODE_TOKENS_MAX];
        for (uint32_t t = 0; t < count; t++) {
            to[t] = out + (uint64_t)t * weight->rows + at;
        }
        matvec_rows(worker, to, weight, op->bias[0], 0, at, rows, each, count);
    }
    count_weights(worker, op, 1, count);
    return osl_worker_meet(worker);
}

bool osl_decode_op(struct osl_worker *worker, const struct osl_op *op)
{
    switch (op->kind) {
    case OSL_OP_RMSNORM: rmsnorm(worker, op, 0, worker->executor->step->token_count); return true;
    case OSL_OP_MATMUL: return matmul(worker, op);
    case OSL_OP_ROPE_STORE: return true; /* part of the ATTEND that follows (checked at init) */
    case OSL_OP_ATTEND: return osl_decode_attend(worker, op);
    case OSL_OP_ROUTE: route(worker); return true;
    case OSL_OP_EXPERT_UP: return expert_up(worker, op);
    case OSL_OP_EXPERT_DOWN: return expert_down(worker, op);
    case OSL_OP_EMBED:
    case OSL_OP_LOGITS: break; /* executor.c: the same for both kinds of step */
    }
    OSL_ASSERT(false);
    return false;
}
