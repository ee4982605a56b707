/* The CPU executor: checks at init, the walk over the schedule, and what both kinds of step
 * share.
 *
 * Work between two barriers is a phase. Within a phase threads take pieces at run time, so that
 * all finish together; a piece never depends on who takes it or on where pieces are cut, so the
 * numbers never depend on the number of threads. Every reading of the abort flag is made by
 * thread 0 and published by a barrier, so that all threads leave at the same place. */
#include "executor_step.h"

#include <math.h>
#include <string.h>

uint64_t osl_executor_bytes(void)
{
    return (sizeof(struct osl_executor) + 63) / 64 * 64;
}

/* ---- Checks at init ---------------------------------------------------------------------- */

/* Floats in a token's row of a buffer; 0 for the executor's own. */
static uint64_t buffer_cols(const struct osl_shape *shape, enum osl_buffer buffer)
{
    uint64_t heads = shape->heads;
    switch (buffer) {
    case OSL_BUFFER_X:
    case OSL_BUFFER_NORM: return shape->hidden;
    case OSL_BUFFER_QKV: return (heads + 2 * (uint64_t)shape->kv_heads) * shape->head_dim;
    case OSL_BUFFER_ATTN: return heads * shape->head_dim;
    case OSL_BUFFER_ROUTER: return shape->experts;
    case OSL_BUFFER_EXPERT_H: return shape->ff; /* per chosen expert */
    case OSL_BUFFER_EXPERT_Y: return shape->hidden;
    case OSL_BUFFER_LOGITS: return shape->vocab;
    default: return 0;
    }
}

uint32_t osl_input_cols(const struct osl_executor *executor, enum osl_buffer buffer)
{
    return (uint32_t)buffer_cols(&executor->shape, buffer);
}

static bool shape_fits(const struct osl_shape *s)
{
    return s->layers >= 1 && s->layers <= OSL_LAYERS_MAX && s->hidden >= 1 && s->ff >= 1 &&
           s->hidden % OSL_BLOCK_COLS == 0 && s->ff % OSL_BLOCK_COLS == 0 &&
           s->hidden <= OSL_COLS_MAX && s->ff <= OSL_COLS_MAX && s->head_dim >= 1 &&
           s->head_dim % OSL_BLOCK_COLS == 0 && s->head_dim <= OSL_HEAD_DIM_MAX &&
           s->kv_heads >= 1 && s->kv_heads <= OSL_KV_HEADS_MAX && s->heads % s->kv_heads == 0 &&
           s->heads >= s->kv_heads && s->heads / s->kv_heads <= OSL_GROUP_MAX &&
           (uint64_t)s->heads * s->head_dim <= OSL_COLS_MAX && s->experts >= 1 &&
           s->experts <= OSL_EXPERTS_MAX && s->experts_used >= 1 &&
           s->experts_used <= OSL_EXPERTS_USED_MAX && s->experts_used <= s->experts &&
           s->vocab >= 1;
}

static bool weight_fits(const struct osl_weight *weight, uint64_t cols, uint32_t experts)
{
    return weight != NULL && weight->data != NULL && osl_dtype_known(weight->dtype) &&
           weight->cols == cols && weight->experts == experts && weight->rows >= 1 &&
           weight->row_bytes == osl_dtype_row_bytes(weight->dtype, weight->cols) &&
           weight->expert_bytes == weight->rows * weight->row_bytes;
}

static bool vector_fits(const struct osl_weight *vector, uint64_t cols, uint32_t rows)
{
    return vector != NULL && vector->data != NULL && vector->dtype == OSL_DTYPE_F32 &&
           vector->cols == cols && vector->rows == rows;
}

/* Weights and biases of an op; rows of all weights together must fill `rows`. */
static bool op_weights_fit(const struct osl_op *op, uint64_t cols, uint64_t rows, uint32_t experts)
{
    uint64_t sum = 0;
    if (op->weight_count < 1 || op->weight_count > 3) {
        return false;
    }
    for (uint32_t w = 0; w < op->weight_count; w++) {
        if (!weight_fits(op->weight[w], cols, experts)) {
            return false;
        }
        if (op->bias[w] != NULL && !vector_fits(op->bias[w], op->weight[w]->rows, experts)) {
            return false;
        }
        sum += op->weight[w]->rows;
    }
    return sum == rows;
}

static bool cache_fits(const struct osl_executor *executor, uint32_t layer)
{
    const struct osl_kv_layer *kv = &executor->config.schedule->kv[layer];
    const struct osl_executor_limits *limits = &executor->config.limits;
    uint64_t wanted = limits->context_tokens;
    if (kv->window != 0 && (uint64_t)kv->window + limits->prefill_tokens < wanted) {
        wanted = (uint64_t)kv->window + limits->prefill_tokens;
    }
    return kv->k != NULL && kv->v != NULL && kv->capacity % OSL_ATTEND_BLOCK == 0 &&
           kv->capacity >= wanted;
}

static bool op_fits(const struct osl_executor *executor, const struct osl_op *op)
{
    const struct osl_shape *s = &executor->shape;
    if (op->layer >= s->layers || op->in >= OSL_BUFFER_COUNT || op->out >= OSL_BUFFER_COUNT) {
        return false;
    }
    uint64_t in_cols = buffer_cols(s, op->in);
    switch (op->kind) {
    case OSL_OP_EMBED: return weight_fits(op->weight[0], s->hidden, 1);
    case OSL_OP_RMSNORM:
        return op->in == OSL_BUFFER_X && op->out == OSL_BUFFER_NORM &&
               vector_fits(op->gain, s->hidden, 1);
    case OSL_OP_MATMUL:
        return (op->in == OSL_BUFFER_NORM || op->in == OSL_BUFFER_ATTN) &&
               (op->out == OSL_BUFFER_X || op->out == OSL_BUFFER_QKV ||
                op->out == OSL_BUFFER_ROUTER) &&
               op_weights_fit(op, in_cols, buffer_cols(s, op->out), 1);
    case OSL_OP_ROPE_STORE:
    case OSL_OP_ATTEND:
        return cache_fits(executor, op->layer) &&
               (op->kind == OSL_OP_ROPE_STORE || vector_fits(op->sinks, s->heads, 1));
    case OSL_OP_ROUTE: return true;
    case OSL_OP_EXPERT_UP:
        return op->weight_count == 2 &&
               op_weights_fit(op, s->hidden, 2 * (uint64_t)s->ff, s->experts) &&
               op->weight[0]->rows == s->ff;
    case OSL_OP_EXPERT_DOWN:
        return op->weight_count == 1 && op_weights_fit(op, s->ff, s->hidden, s->experts);
    case OSL_OP_LOGITS:
        return op->weight_count == 1 && vector_fits(op->gain, s->hidden, 1) &&
               op_weights_fit(op, s->hidden, s->vocab, 1);
    }
    return false;
}

static const char *op_name(enum osl_op_kind kind)
{
    static const char *const names[] = {
        [OSL_OP_EMBED] = "embed",         [OSL_OP_RMSNORM] = "rmsnorm",
        [OSL_OP_MATMUL] = "matmul",       [OSL_OP_ROPE_STORE] = "rope and store",
        [OSL_OP_ATTEND] = "attend",       [OSL_OP_ROUTE] = "route",
        [OSL_OP_EXPERT_UP] = "expert up", [OSL_OP_EXPERT_DOWN] = "expert down",
        [OSL_OP_LOGITS] = "logits",
    };
    return (uint32_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

/* Checks one op, and notes which inputs its weights want quantised. */
static enum osl_status take_op(struct osl_executor *executor, uint32_t index,
                               struct osl_error *error)
{
    const struct osl_op *op = &executor->config.schedule->ops[index];
    if (!op_fits(executor, op)) {
        return osl_fail(error, OSL_ARGUMENT,
                        "operation %u (%s) of layer %u does not fit the model's shape", index,
                        op_name(op->kind), op->layer);
    }
    if (op->kind == OSL_OP_EMBED) {
        return OSL_OK; /* looked up, not multiplied */
    }
    const struct osl_kernels *kernels = executor->config.kernels;
    for (uint32_t w = 0; w < op->weight_count; w++) {
        enum osl_dtype dtype = op->weight[w]->dtype;
        if (kernels->matvec[dtype] == NULL || kernels->matmul[dtype] == NULL) {
            return osl_fail(error, OSL_UNSUPPORTED,
                            "operation %u (%s) of layer %u: the %s kernels have none for %s", index,
                            op_name(op->kind), op->layer, kernels->name, osl_dtype_name(dtype));
        }
        bool q8 = kernels->quantized[dtype];
        executor->q8_logits |= q8 && op->kind == OSL_OP_LOGITS;
        executor->q8_norm |= q8 && op->kind != OSL_OP_LOGITS && op->in == OSL_BUFFER_NORM;
        executor->q8_router |= q8 && op->kind == OSL_OP_MATMUL && op->out == OSL_BUFFER_ROUTER;
        executor->q8_attn |= q8 && op->in == OSL_BUFFER_ATTN;
        executor->q8_expert_h |= q8 && op->kind == OSL_OP_EXPERT_DOWN;
    }
    return OSL_OK;
}

/* Ops that hand something to the next one without a barrier must be followed by it: see
 * executor_decode.c. */
static bool order_fits(const struct osl_schedule *schedule)
{
    for (uint32_t i = 0; i < schedule->op_count; i++) {
        const struct osl_op *op = &schedule->ops[i];
        const struct osl_op *next = i + 1 < schedule->op_count ? op + 1 : NULL;
        bool pair = next != NULL && next->layer == op->layer;
        if ((op->kind == OSL_OP_ROPE_STORE && !(pair && next->kind == OSL_OP_ATTEND)) ||
            (op->kind == OSL_OP_ROUTE && !(pair && next->kind == OSL_OP_EXPERT_UP)) ||
            (op->kind == OSL_OP_EXPERT_UP && !(pair && next->kind == OSL_OP_EXPERT_DOWN)) ||
            (op->kind == OSL_OP_RMSNORM && !(pair && next->kind == OSL_OP_MATMUL))) {
            return false;
        }
    }
    return true;
}

enum osl_status osl_executor_init(void *memory, uint64_t bytes,
                                  const struct osl_executor_config *config,
                                  struct osl_executor **out, struct osl_error *error)
{
    *out = NULL;
    if (memory == NULL || (uintptr_t)memory % 64 != 0 || bytes < osl_executor_bytes()) {
        return osl_fail(error, OSL_MEMORY, "the executor needs %llu bytes, aligned to 64",
                        (unsigned long long)osl_executor_bytes());
    }
    const struct osl_executor_limits *limits = &config->limits;
    if (config->schedule == NULL || config->kernels == NULL || config->team == NULL ||
        !shape_fits(&config->schedule->shape) || config->schedule->op_count > OSL_OPS_MAX ||
        (uint32_t)config->schedule->kv_type >= OSL_KV_TYPES || !order_fits(config->schedule) ||
        limits->prefill_tokens < 1 || limits->logits_rows < 1 || limits->context_tokens < 1 ||
        limits->thread_count < 1 || limits->thread_count > OSL_THREADS_MAX ||
        limits->decode_tokens > OSL_DECODE_TOKENS_MAX ||
        limits->decode_tokens > limits->prefill_tokens) {
        return osl_fail(error, OSL_ARGUMENT, "the executor's configuration is impossible");
    }
    for (uint32_t i = 0; i < OSL_BUFFER_COUNT; i++) {
        if (config->buffer[i] == NULL || (uintptr_t)config->buffer[i] % 64 != 0) {
            return osl_fail(error, OSL_ARGUMENT, "buffer %u of the executor is not placed", i);
        }
    }
    struct osl_executor *executor = memory;
    memset(executor, 0, sizeof *executor);
    executor->config = *config;
    executor->shape = config->schedule->shape;
    osl_scratch_layout(&executor->shape, limits, &executor->layout);
    for (uint32_t i = 0; i < config->schedule->op_count; i++) {
        enum osl_status status = take_op(executor, i, error);
        if (status != OSL_OK) {
            return status;
        }
    }
    *out = executor;
    return OSL_OK;
}

/* ---- Shared by both kinds of step -------------------------------------------------------- */

bool osl_worker_meet(struct osl_worker *worker)
{
    struct osl_executor *executor = worker->executor;
    struct osl_phase *this_phase = &executor->phases[worker->phase % 2];
    struct osl_phase *next_phase = &executor->phases[(worker->phase + 1) % 2];
    if (worker->index == 0) {
        const atomic_bool *abort = executor->config.abort;
        this_phase->stop = abort != NULL && atomic_load_explicit(abort, memory_order_relaxed);
        osl_share_reset(&next_phase->share);
    }
    osl_share_reset(&next_phase->near[worker->index]);
    osl_worker_wait(worker);
    worker->phase++;
    return !this_phase->stop;
}

struct osl_kv_view osl_layer_view(const struct osl_executor *executor, uint32_t layer,
                                  uint32_t kv_head)
{
    const struct osl_kv_layer *kv = &executor->config.schedule->kv[layer];
    return (struct osl_kv_view){
        .k = osl_layer_row(executor, layer, false, kv_head, 0),
        .v = osl_layer_row(executor, layer, true, kv_head, 0),
        .capacity = kv->capacity,
        .window = kv->window,
    };
}

void *osl_layer_row(const struct osl_executor *executor, uint32_t layer, bool value,
                    uint32_t kv_head, uint32_t position)
{
    const struct osl_schedule *schedule = executor->config.schedule;
    const struct osl_kv_layer *kv = &schedule->kv[layer];
    uint64_t row_bytes = osl_kv_row_bytes(schedule->kv_type, schedule->shape.head_dim);
    uint64_t row = (uint64_t)kv_head * kv->capacity + position % kv->capacity;
    return (uint8_t *)(value ? kv->v : kv->k) + row * row_bytes;
}

/* Looks the tokens up and computes the rotations of their positions. The angle is a double: at
 * position 131,072 a float would be off by 0.008. */
static bool embed(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_schedule *schedule = executor->config.schedule;
    const struct osl_step *step = executor->step;
    const struct osl_weight *table = op->weight[0];
    uint32_t half = executor->shape.head_dim / 2;
    float *cos_rows = osl_scratch_at(executor, executor->layout.rope_cos);
    float *sin_rows = osl_scratch_at(executor, executor->layout.rope_sin);
    for (uint32_t t; (t = osl_worker_take(worker, 1, step->token_count)) < step->token_count;) {
        OSL_ASSERT(step->tokens[t] >= 0);
        OSL_ASSERT((uint32_t)step->tokens[t] < table->rows);
        osl_dequantize_row(
            osl_buffer_f32(executor, OSL_BUFFER_X) + (uint64_t)t * executor->shape.hidden,
            osl_weight_row(table, 0, (uint32_t)step->tokens[t]), table->dtype, table->cols);
        double position = (double)step->position_first + t;
        for (uint32_t i = 0; i < half; i++) {
            double angle = position * (double)schedule->rope_inverse_frequency[i];
            cos_rows[(uint64_t)t * half + i] = (float)cos(angle) * schedule->rope_concentration;
            sin_rows[(uint64_t)t * half + i] = (float)sin(angle) * schedule->rope_concentration;
        }
    }
    if (worker->index == 0) {
        executor->weight_bytes += step->token_count * table->row_bytes;
    }
    osl_worker_count_bytes(worker, step->token_count * table->row_bytes);
    return osl_worker_meet(worker);
}

static void fill_nan(const struct osl_executor *executor, enum osl_buffer buffer)
{
    struct osl_buffer_need needs[OSL_BUFFER_COUNT];
    osl_executor_need(&executor->shape, &executor->config.limits, needs);
    memset(executor->config.buffer[buffer], 0xff, needs[buffer].bytes);
}

/* Fills what the op is about to make live with NaN (all bits set). In the middle of two barriers,
 * since other threads may still be reading what lies in the same place. */
static bool poison(struct osl_worker *worker, const struct osl_op *op)
{
    if (!osl_worker_meet(worker)) {
        return false;
    }
    if (worker->index == 0) {
        bool writes = !op->add && op->kind != OSL_OP_ROPE_STORE && op->kind != OSL_OP_ROUTE &&
                      op->kind != OSL_OP_EXPERT_DOWN;
        if (op->kind == OSL_OP_EXPERT_DOWN) {
            fill_nan(worker->executor, OSL_BUFFER_EXPERT_Y);
        } else if (writes) {
            fill_nan(worker->executor, op->out);
        }
        if (op->kind == OSL_OP_EMBED) {
            fill_nan(worker->executor, OSL_BUFFER_SCRATCH);
        }
    }
    return osl_worker_meet(worker);
}

/* ---- The walk ---------------------------------------------------------------------------- */

static bool run_op(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_step *step = worker->executor->step;
    if (op->kind == OSL_OP_LOGITS && step->logits_row_count == 0) {
        return true;
    }
    if (worker->executor->config.poison && !poison(worker, op)) {
        return false;
    }
    if (op->kind == OSL_OP_EMBED) {
        return embed(worker, op);
    }
    if (op->kind == OSL_OP_LOGITS &&
        (step->kind == OSL_STEP_DECODE || step->logits_row_count == 1)) {
        return osl_decode_logits(worker, op, step->logits_row_first, step->logits_row_count);
    }
    return step->kind == OSL_STEP_DECODE ? osl_decode_op(worker, op) : osl_prefill_op(worker, op);
}

static void walk(void *context, uint32_t thread_index, uint32_t thread_count)
{
    struct osl_executor *executor = context;
    const struct osl_scratch_layout *layout = &executor->layout;
    OSL_ASSERT(thread_count <= executor->config.limits.thread_count);
    struct osl_worker worker = {
        .executor = executor,
        .index = thread_index,
        .count = thread_count,
        .own = osl_scratch_at(executor, layout->thread + thread_index * layout->thread_bytes),
        .slot_ns = executor->config.profile ? osl_clock_ns() : 0,
    };
    const struct osl_schedule *schedule = executor->config.schedule;
    bool going = osl_worker_meet(&worker);
    for (uint32_t i = 0; going && i < schedule->op_count; i++) {
        (void)osl_worker_enter(&worker, osl_slot_of(schedule, &schedule->ops[i]));
        going = run_op(&worker, &schedule->ops[i]);
    }
    osl_worker_back(&worker, OSL_SLOT_EMBED); /* what was under way has ended */
    if (thread_index == 0) {
        executor->aborted = !going;
    }
}

enum osl_status osl_executor_run(struct osl_executor *executor, const struct osl_step *step)
{
    const struct osl_executor_limits *limits = &executor->config.limits;
    OSL_ASSERT(step->token_count >= 1);
    OSL_ASSERT(step->token_count <= limits->prefill_tokens);
    OSL_ASSERT(step->kind == OSL_STEP_PREFILL || step->token_count <= osl_decode_tokens(limits));
    OSL_ASSERT(step->position_first <= limits->context_tokens - step->token_count);
    OSL_ASSERT(step->logits_row_count <= limits->logits_rows);
    OSL_ASSERT(step->logits_row_first <= step->token_count);
    OSL_ASSERT(step->logits_row_count <= step->token_count - step->logits_row_first);
    executor->step = step;
    executor->weight_bytes = 0;
    executor->aborted = false;
    for (uint32_t i = 0; i < 2; i++) {
        osl_share_reset(&executor->phases[i].share);
        for (uint32_t t = 0; t < limits->thread_count; t++) {
            osl_share_reset(&executor->phases[i].near[t]);
        }
    }
    for (uint32_t i = 0; i < executor->shape.kv_heads; i++) {
        atomic_store_explicit(&executor->parts_done[i], 0, memory_order_relaxed);
    }
    osl_team_run(executor->config.team, walk, executor);
    executor->step = NULL;
    return executor->aborted ? OSL_ABORTED : OSL_OK;
}

const float *osl_executor_logits(const struct osl_executor *executor)
{
    return osl_buffer_f32(executor, OSL_BUFFER_LOGITS);
}

uint64_t osl_executor_weight_bytes(const struct osl_executor *executor)
{
    return executor->weight_bytes;
}
