/* Decode: one token, bound by how fast weights can be read.
 *
 * A layer takes six barriers: after QKV, attention, the output rows, the router, experts up and
 * experts down. What lies between is small enough for every thread to do for itself, which costs
 * less than a barrier and its imbalance: norms, quantising a row of activations, choosing the
 * experts, rotating the query heads a thread works on. The thread that finishes the last part of
 * a kv head's attention merges the parts, in the order of their keys.
 *
 * Reading without a barrier after is safe because what is read (X, ROUTER) is written again only
 * after a later barrier. */
#include "executor_step.h"

#include <math.h>
#include <string.h>

/* Pieces of about this many bytes of weights: small enough to finish together (a piece is 20 us at
 * most), large enough to stream. With 24 to 128 KiB two Zen 5 cores wrote 14.6 tokens a second,
 * with these 16 to 17 (20b, 2026-11-21). */
#define PIECE_BYTES_MIN ((uint64_t)64 << 10)
#define PIECE_BYTES_MAX ((uint64_t)512 << 10)
#define PIECES_PER_THREAD 16

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

/* out[r] = weight row r . x + bias, for rows [row, row + rows) of an expert. */
static void matvec_rows(const struct osl_worker *worker, float *out,
                        const struct osl_weight *weight, const struct osl_weight *bias,
                        uint32_t expert, uint32_t row, uint32_t rows, const struct osl_act *x)
{
    OSL_ASSERT_HOT(row + rows <= weight->rows);
    worker->executor->config.kernels->matvec[weight->dtype](
        out, osl_weight_row(weight, expert, row), weight->row_bytes, rows, weight->cols, x);
    const float *b = osl_bias_row(bias, expert, row);
    for (uint32_t r = 0; b != NULL && r < rows; r++) {
        out[r] += b[r];
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

static void rmsnorm(const struct osl_worker *worker, const struct osl_op *op, uint32_t token)
{
    const struct osl_executor *executor = worker->executor;
    const float *x =
        osl_buffer_f32(executor, OSL_BUFFER_X) + (uint64_t)token * executor->shape.hidden;
    executor->config.kernels->rmsnorm(own_norm(worker), x, op->gain->data, executor->shape.hidden,
                                      executor->shape.rms_eps);
}

static void count_weights(struct osl_worker *worker, const struct osl_op *op, uint32_t experts)
{
    for (uint32_t w = 0; w < op->weight_count; w++) {
        osl_worker_count(worker, op->weight[w], experts, experts);
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
    struct osl_act x = own_act(worker, in, 1, osl_input_cols(executor, op->in), q8);
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
        float *to = op->add ? own_rows(worker) : out + row;
        matvec_rows(worker, to, op->weight[w], op->bias[w], 0, row, count, &x);
        for (uint32_t r = 0; op->add && r < count; r++) {
            out[row + r] += to[r];
        }
    }
    count_weights(worker, op, 1);
    return osl_worker_meet(worker);
}

/* ---- Attention --------------------------------------------------------------------------- */

/* One kv head over the keys [begin, end) of one segment. Query heads are rotated into the
 * thread's own memory; the token's key and value go to the cache with the segment that holds
 * them, which is the last and the only one to read them. */
static void attend_unit(const struct osl_worker *worker, const struct osl_op *op,
                        struct osl_attend *attend, uint32_t kv_head, uint32_t begin, uint32_t end,
                        float *part)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_kernels *kernels = executor->config.kernels;
    const struct osl_shape *s = &executor->shape;
    enum osl_kv_type kv_type = executor->config.schedule->kv_type;
    const float *cos_row = osl_scratch_at(executor, executor->layout.rope_cos);
    const float *sin_row = osl_scratch_at(executor, executor->layout.rope_sin);
    const float *qkv = osl_buffer_f32(executor, OSL_BUFFER_QKV);
    uint32_t position = executor->step->position_first;
    uint64_t group_floats = (uint64_t)attend->group * s->head_dim;
    float *heads = (float *)(void *)(worker->own + executor->layout.heads);

    memcpy(heads, qkv + kv_head * group_floats, group_floats * sizeof(float));
    kernels->rope(heads, attend->group, s->head_dim, cos_row, sin_row);
    if (end == position + 1) {
        const float *key = qkv + ((uint64_t)s->heads + kv_head) * s->head_dim;
        const float *value = key + (uint64_t)s->kv_heads * s->head_dim;
        float *rotated = heads + group_floats;
        memcpy(rotated, key, s->head_dim * sizeof(float));
        kernels->rope(rotated, 1, s->head_dim, cos_row, sin_row);
        kernels->kv_store[kv_type](osl_layer_row(executor, op->layer, false, kv_head, position),
                                   rotated, s->head_dim);
        kernels->kv_store[kv_type](osl_layer_row(executor, op->layer, true, kv_head, position),
                                   value, s->head_dim);
    }
    attend->q = heads;
    kernels->attend_part[kv_type](attend, begin, end, part);
}

static bool attention(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    uint32_t group = s->heads / s->kv_heads;
    uint32_t end = executor->step->position_first + 1;
    uint32_t window = executor->config.schedule->kv[op->layer].window;
    uint32_t begin = window != 0 && end > window ? end - window : 0;
    uint32_t segment_first = begin / OSL_ATTEND_SEGMENT;
    uint32_t segments = (end - 1) / OSL_ATTEND_SEGMENT - segment_first + 1;
    uint64_t part_floats = OSL_ATTEND_PART_FLOATS((uint64_t)group, s->head_dim);
    float *parts = osl_scratch_at(executor, executor->layout.parts);
    OSL_ASSERT(segments <= executor->layout.segments_max);

    uint32_t units = s->kv_heads * segments;
    for (uint32_t unit; (unit = osl_worker_take(worker, 1, units)) < units;) {
        uint32_t kv_head = unit / segments;
        uint32_t segment = unit % segments;
        uint32_t from = (segment_first + segment) * OSL_ATTEND_SEGMENT;
        uint32_t to = from + OSL_ATTEND_SEGMENT;
        float *head_parts = parts + (uint64_t)kv_head * segments * part_floats;
        struct osl_attend attend = {
            .out =
                osl_buffer_f32(executor, OSL_BUFFER_ATTN) + (uint64_t)kv_head * group * s->head_dim,
            .q_stride = group * s->head_dim,
            .out_stride = s->heads * s->head_dim,
            .group = group,
            .head_dim = s->head_dim,
            .scale = 1.0f / sqrtf((float)s->head_dim),
            .sinks = (const float *)op->sinks->data + (uint64_t)kv_head * group,
            .kv = osl_layer_view(executor, op->layer, kv_head),
        };
        attend_unit(worker, op, &attend, kv_head, from > begin ? from : begin, to < end ? to : end,
                    head_parts + segment * part_floats);
        /* Release our part, acquire the others': whoever counts the last merges them all. */
        uint32_t done =
            atomic_fetch_add_explicit(&executor->parts_done[kv_head], 1, memory_order_acq_rel);
        if (done + 1 == segments) {
            executor->config.kernels->attend_merge(&attend, head_parts, segments);
            atomic_store_explicit(&executor->parts_done[kv_head], 0, memory_order_relaxed);
        }
    }
    osl_worker_count_bytes(worker, 2ull * s->kv_heads * (end - begin) *
                                       osl_kv_row_bytes(executor->config.schedule->kv_type,
                                                        s->head_dim));
    return osl_worker_meet(worker);
}

/* ---- Experts ----------------------------------------------------------------------------- */

static bool expert_up(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    const struct osl_weight *gate = op->weight[0];
    const struct osl_weight *up = op->weight[1];
    bool q8 = osl_weight_q8(executor, gate) || osl_weight_q8(executor, up);
    struct osl_act x = own_act(worker, own_norm(worker), 1, s->hidden, q8);
    uint64_t rows = (uint64_t)s->experts_used * s->ff;
    uint32_t piece = piece_rows(worker, rows, gate->row_bytes + up->row_bytes);
    uint32_t pieces = (s->ff + piece - 1) / piece;
    uint32_t piece_count = pieces * s->experts_used;
    for (uint32_t i; (i = osl_worker_take(worker, 1, piece_count)) < piece_count;) {
        uint32_t slot = i / pieces;
        uint32_t row = i % pieces * piece;
        uint32_t count = s->ff - row < piece ? s->ff - row : piece;
        uint32_t expert = worker->route_ids[slot];
        float *out = osl_buffer_f32(executor, OSL_BUFFER_EXPERT_H) + (uint64_t)slot * s->ff + row;
        matvec_rows(worker, out, gate, op->bias[0], expert, row, count, &x);
        matvec_rows(worker, own_rows(worker), up, op->bias[1], expert, row, count, &x);
        executor->config.kernels->swiglu(out, own_rows(worker), count, s->swiglu_alpha,
                                         s->swiglu_limit);
    }
    count_weights(worker, op, s->experts_used);
    return osl_worker_meet(worker);
}

/* X[r] += sum over the chosen experts, in the order chosen, of weight * (down row . h + bias). */
static bool expert_down(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    const struct osl_weight *down = op->weight[0];
    struct osl_act h = own_act(worker, osl_buffer_f32(executor, OSL_BUFFER_EXPERT_H),
                               s->experts_used, s->ff, osl_weight_q8(executor, down));
    float *sum = own_rows(worker);
    float *one = sum + OSL_CHUNK_ROWS_MAX;
    uint32_t piece = piece_rows(worker, s->hidden, down->row_bytes * s->experts_used);
    uint32_t piece_count = (s->hidden + piece - 1) / piece;
    for (uint32_t i; (i = osl_worker_take(worker, 1, piece_count)) < piece_count;) {
        uint32_t row = i * piece;
        uint32_t count = s->hidden - row < piece ? s->hidden - row : piece;
        for (uint32_t slot = 0; slot < s->experts_used; slot++) {
            struct osl_act x = act_row(&h, slot);
            matvec_rows(worker, one, down, op->bias[0], worker->route_ids[slot], row, count, &x);
            for (uint32_t r = 0; r < count; r++) {
                float value = worker->route_weights[slot] * one[r];
                sum[r] = slot == 0 ? value : sum[r] + value;
            }
        }
        float *out = osl_buffer_f32(executor, OSL_BUFFER_X) + row;
        for (uint32_t r = 0; r < count; r++) {
            out[r] += sum[r];
        }
    }
    count_weights(worker, op, s->experts_used);
    return osl_worker_meet(worker);
}

/* ---- Dispatch ---------------------------------------------------------------------------- */

bool osl_decode_logits(struct osl_worker *worker, const struct osl_op *op, uint32_t row)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_weight *weight = op->weight[0];
    rmsnorm(worker, op, row);
    struct osl_act x =
        own_act(worker, own_norm(worker), 1, weight->cols, osl_weight_q8(executor, weight));
    float *out = osl_buffer_f32(executor, OSL_BUFFER_LOGITS);
    uint32_t piece = piece_rows(worker, weight->rows, weight->row_bytes);
    for (uint32_t at; (at = osl_worker_take(worker, piece, weight->rows)) < weight->rows;) {
        uint32_t count = weight->rows - at < piece ? weight->rows - at : piece;
        matvec_rows(worker, out + at, weight, op->bias[0], 0, at, count, &x);
    }
    count_weights(worker, op, 1);
    return osl_worker_meet(worker);
}

bool osl_decode_op(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_shape *s = &worker->executor->shape;
    switch (op->kind) {
    case OSL_OP_RMSNORM: rmsnorm(worker, op, 0); return true;
    case OSL_OP_MATMUL: return matmul(worker, op);
    case OSL_OP_ROPE_STORE: return true; /* part of the ATTEND that follows (checked at init) */
    case OSL_OP_ATTEND: return attention(worker, op);
    case OSL_OP_ROUTE:
        osl_route(osl_buffer_f32(worker->executor, OSL_BUFFER_ROUTER), s->experts, s->experts_used,
                  worker->route_ids, worker->route_weights);
        return true;
    case OSL_OP_EXPERT_UP: return expert_up(worker, op);
    case OSL_OP_EXPERT_DOWN: return expert_down(worker, op);
    case OSL_OP_EMBED:
    case OSL_OP_LOGITS: break; /* executor.c: the same for both kinds of step */
    }
    OSL_ASSERT(false);
    return false;
}
