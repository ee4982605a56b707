/* Attention of a decode step. A unit of work is a kv head and a segment of keys, for all tokens of
 * the step, so that a segment is read from memory once. The tokens' own keys and values go into the
 * cache with the segment that holds them, before any token reads it. The thread that finishes the
 * last part of a kv head merges the parts, in the order of their keys.
 *
 * A token sees the keys up to its own, and in a windowed layer no more than the window. Its parts
 * are those of a step of its own: segments lie at fixed positions. The ring holds the first token's
 * window and the last token's row: capacity >= window + prefill_tokens (checked at init). */
#include "executor_step.h"

#include <math.h>
#include <string.h>

/* The keys and values of the step's tokens at positions [from, to), rotated, into the cache: with
 * the segment that holds them, before any token reads it. */
static void store_rows(const struct osl_worker *worker, const struct osl_op *op, uint32_t kv_head,
                       uint32_t from, uint32_t to)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_kernels *kernels = executor->config.kernels;
    const struct osl_shape *s = &executor->shape;
    enum osl_kv_type kv_type = executor->config.schedule->kv_type;
    uint32_t half = s->head_dim / 2;
    const float *cos_rows = osl_scratch_at(executor, executor->layout.rope_cos);
    const float *sin_rows = osl_scratch_at(executor, executor->layout.rope_sin);
    float *rotated = (float *)(void *)(worker->own + executor->layout.heads);
    uint64_t qkv_cols = osl_input_cols(executor, OSL_BUFFER_QKV);
    for (uint32_t t = 0; t < executor->step->token_count; t++) {
        uint32_t position = executor->step->position_first + t;
        if (position < from || position >= to) {
            continue;
        }
        const float *key = osl_buffer_f32(executor, OSL_BUFFER_QKV) + t * qkv_cols +
                           ((uint64_t)s->heads + kv_head) * s->head_dim;
        const float *value = key + (uint64_t)s->kv_heads * s->head_dim;
        memcpy(rotated, key, s->head_dim * sizeof(float));
        kernels->rope(rotated, 1, s->head_dim, cos_rows + (uint64_t)t * half,
                      sin_rows + (uint64_t)t * half);
        kernels->kv_store[kv_type](osl_layer_row(executor, op->layer, false, kv_head, position),
                                   rotated, s->head_dim);
        kernels->kv_store[kv_type](osl_layer_row(executor, op->layer, true, kv_head, position),
                                   value, s->head_dim);
    }
}

/* The keys a token of the step sees: [begin, end), in `segments` segments from `segment_first`. */
struct span {
    uint32_t begin;
    uint32_t end;
    uint32_t segment_first;
    uint32_t segments;
};

static struct span span_of(const struct osl_executor *executor, uint32_t layer, uint32_t token)
{
    uint32_t window = executor->config.schedule->kv[layer].window;
    struct span span = {.end = executor->step->position_first + token + 1};
    span.begin = window != 0 && span.end > window ? span.end - window : 0;
    span.segment_first = span.begin / OSL_ATTEND_SEGMENT;
    span.segments = (span.end - 1) / OSL_ATTEND_SEGMENT - span.segment_first + 1;
    return span;
}

/* One token's query heads of a kv head, as the kernels see them but for q. */
static struct osl_attend attend_of(const struct osl_executor *executor, const struct osl_op *op,
                                   uint32_t kv_head, uint32_t token)
{
    const struct osl_shape *s = &executor->shape;
    uint32_t group = s->heads / s->kv_heads;
    uint64_t out = ((uint64_t)token * s->heads + (uint64_t)kv_head * group) * s->head_dim;
    return (struct osl_attend){
        .out = osl_buffer_f32(executor, OSL_BUFFER_ATTN) + out,
        .q_stride = group * s->head_dim,
        .out_stride = s->heads * s->head_dim,
        .group = group,
        .head_dim = s->head_dim,
        .scale = 1.0f / sqrtf((float)s->head_dim),
        .sinks = (const float *)op->sinks->data + (uint64_t)kv_head * group,
        .kv = osl_layer_view(executor, op->layer, kv_head),
    };
}

/* One kv head and token over the keys [begin, end) of one segment. The query heads are rotated in
 * the thread's own memory. */
static void attend_part(const struct osl_worker *worker, struct osl_attend *attend,
                        uint32_t kv_head, uint32_t token, uint32_t begin, uint32_t end,
                        float *part)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_kernels *kernels = executor->config.kernels;
    uint64_t half = attend->head_dim / 2;
    const float *cos_rows = osl_scratch_at(executor, executor->layout.rope_cos);
    const float *sin_rows = osl_scratch_at(executor, executor->layout.rope_sin);
    const float *qkv = osl_buffer_f32(executor, OSL_BUFFER_QKV) +
                       (uint64_t)token * osl_input_cols(executor, OSL_BUFFER_QKV);
    uint64_t group_floats = (uint64_t)attend->group * attend->head_dim;
    float *heads = (float *)(void *)(worker->own + executor->layout.heads);
    memcpy(heads, qkv + kv_head * group_floats, group_floats * sizeof(float));
    kernels->rope(heads, attend->group, attend->head_dim, cos_rows + token * half,
                  sin_rows + token * half);
    attend->q = heads;
    kernels->attend_part[executor->config.schedule->kv_type](attend, begin, end, part);
}

bool osl_decode_attend(struct osl_worker *worker, const struct osl_op *op)
{
    struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    uint32_t tokens = executor->step->token_count;
    uint64_t part_floats = OSL_ATTEND_PART_FLOATS((uint64_t)s->heads / s->kv_heads, s->head_dim);
    struct span first = span_of(executor, op->layer, 0);
    struct span last = span_of(executor, op->layer, tokens - 1);
    uint32_t segments = last.segment_first + last.segments - first.segment_first;
    OSL_ASSERT(segments <= executor->layout.segments_max);

    uint32_t units = s->kv_heads * segments;
    for (uint32_t unit; (unit = osl_worker_take(worker, 1, units)) < units;) {
        uint32_t kv_head = unit / segments;
        uint32_t segment = first.segment_first + unit % segments;
        uint32_t from = segment * OSL_ATTEND_SEGMENT;
        uint32_t to = from + OSL_ATTEND_SEGMENT;
        float *parts = (float *)osl_scratch_at(executor, executor->layout.parts) +
                       (uint64_t)kv_head * tokens * segments * part_floats;
        store_rows(worker, op, kv_head, from, to);
        for (uint32_t t = 0; t < tokens; t++) {
            struct span span = span_of(executor, op->layer, t);
            uint32_t begin = from > span.begin ? from : span.begin;
            uint32_t end = to < span.end ? to : span.end;
            if (begin < end) {
                struct osl_attend attend = attend_of(executor, op, kv_head, t);
                uint64_t part = (uint64_t)t * segments + segment - span.segment_first;
                attend_part(worker, &attend, kv_head, t, begin, end, parts + part * part_floats);
            }
        }
        /* Release our parts, acquire the others': whoever counts the last merges them all. */
        uint32_t done =
            atomic_fetch_add_explicit(&executor->parts_done[kv_head], 1, memory_order_acq_rel);
        if (done + 1 == segments) {
            for (uint32_t t = 0; t < tokens; t++) {
                struct osl_attend attend = attend_of(executor, op, kv_head, t);
                executor->config.kernels->attend_merge(
                    &attend, parts + (uint64_t)t * segments * part_floats,
                    span_of(executor, op->layer, t).segments);
            }
            atomic_store_explicit(&executor->parts_done[kv_head], 0, memory_order_relaxed);
        }
    }
    osl_worker_count_bytes(worker, 2ull * s->kv_heads * (last.end - first.begin) *
                                       osl_kv_row_bytes(executor->config.schedule->kv_type,
                                                        s->head_dim));
    return osl_worker_meet(worker);
}
