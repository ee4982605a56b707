/* Plain attention: softmax over the visible keys and the sink, in two passes over at most one
 * segment of scores, merged segment by segment in rising order. Prefill does exactly what decode
 * does, one query at a time.
 *
 * Order of sums: a score adds dimensions in rising order; the weights and the weighted values add
 * keys in rising order. Source: formats.md, section 2, step 3. */
#include "platform/platform.h"

#include <math.h>

#include "half.h"
#include "tables.h"

static void load_row(float *out, const void *rows, uint32_t index, enum osl_kv_type type,
                     uint32_t head_dim)
{
    const uint8_t *row = (const uint8_t *)rows + (size_t)index * osl_kv_row_bytes(type, head_dim);
    if (type == OSL_KV_F16) {
        osl_dequantize_row(out, row, OSL_DTYPE_F16, head_dim);
        return;
    }
    for (uint32_t d = 0; d < head_dim; d++) {
        uint16_t scale = osl_load_u16(row + head_dim + d / OSL_BLOCK_COLS * 2);
        out[d] = (float)(int8_t)row[d] * osl_f32_from_f16(scale);
    }
}

/* One head over keys [begin, end) of one segment into part[head_dim + 2]. */
static void attend_head(const struct osl_attend *a, enum osl_kv_type type, const float *q,
                        uint32_t begin, uint32_t end, float *part)
{
    float score[OSL_ATTEND_SEGMENT];
    float row[OSL_HEAD_DIM_MAX];
    float most = -INFINITY;
    float sum = 0.0f;
    float *value = part + 2;

    for (uint32_t key = begin; key < end; key++) {
        load_row(row, a->kv.k, key % a->kv.capacity, type, a->head_dim);
        float dot = 0.0f;
        for (uint32_t d = 0; d < a->head_dim; d++) {
            dot += q[d] * row[d];
        }
        score[key - begin] = dot * a->scale;
        most = score[key - begin] > most ? score[key - begin] : most;
    }
    for (uint32_t d = 0; d < a->head_dim; d++) {
        value[d] = 0.0f;
    }
    for (uint32_t key = begin; key < end; key++) {
        load_row(row, a->kv.v, key % a->kv.capacity, type, a->head_dim);
        float weight = expf(score[key - begin] - most);
        sum += weight;
        for (uint32_t d = 0; d < a->head_dim; d++) {
            value[d] += weight * row[d];
        }
    }
    part[0] = most;
    part[1] = sum;
}

static void attend_part(const struct osl_attend *a, enum osl_kv_type type, uint32_t key_begin,
                        uint32_t key_end, float *part)
{
    OSL_ASSERT_HOT(key_begin <= key_end && key_end - key_begin <= OSL_ATTEND_SEGMENT);
    OSL_ASSERT_HOT(a->head_dim <= OSL_HEAD_DIM_MAX);
    for (uint32_t h = 0; h < a->group; h++) {
        attend_head(a, type, a->q + (size_t)h * a->head_dim, key_begin, key_end,
                    part + (size_t)h * (a->head_dim + 2));
    }
}

/* A head's running state: the largest score so far, and sums relative to it. `out` holds the
 * weighted values. An empty part (sum 0) changes no bit; a NaN goes through. */
struct head_state {
    float most;
    float sum;
};

static void merge_part(struct head_state *state, float *out, const float *part, uint32_t head_dim)
{
    if (part[1] == 0.0f) {
        return;
    }
    float most = part[0] > state->most ? part[0] : state->most;
    float keep = expf(state->most - most);
    float add = expf(part[0] - most);
    state->most = most;
    state->sum = state->sum * keep + part[1] * add;
    for (uint32_t d = 0; d < head_dim; d++) {
        out[d] = out[d] * keep + part[2 + d] * add;
    }
}

static void begin_head(struct head_state *state, float *out, float sink, uint32_t head_dim)
{
    *state = (struct head_state){.most = sink, .sum = 1.0f};
    for (uint32_t d = 0; d < head_dim; d++) {
        out[d] = 0.0f;
    }
}

static void end_head(const struct head_state *state, float *out, uint32_t head_dim)
{
    for (uint32_t d = 0; d < head_dim; d++) {
        out[d] /= state->sum;
    }
}

void osl_plain_attend_merge(const struct osl_attend *a, const float *parts, uint32_t part_count)
{
    size_t part_floats = OSL_ATTEND_PART_FLOATS((size_t)a->group, a->head_dim);
    for (uint32_t h = 0; h < a->group; h++) {
        struct head_state state;
        float *out = a->out + (size_t)h * a->head_dim;
        begin_head(&state, out, a->sinks[h], a->head_dim);
        for (uint32_t p = 0; p < part_count; p++) {
            merge_part(&state, out, parts + p * part_floats + (size_t)h * (a->head_dim + 2),
                       a->head_dim);
        }
        end_head(&state, out, a->head_dim);
    }
}

static void attend_prefill(const struct osl_attend *a, enum osl_kv_type type, uint32_t first,
                           uint32_t tokens)
{
    float part[OSL_HEAD_DIM_MAX + 2];
    for (uint32_t t = 0; t < tokens; t++) {
        uint32_t end = first + t + 1;
        uint32_t begin = a->kv.window != 0 && end > a->kv.window ? end - a->kv.window : 0;
        for (uint32_t h = 0; h < a->group; h++) {
            struct head_state state;
            const float *q = a->q + (size_t)t * a->q_stride + (size_t)h * a->head_dim;
            float *out = a->out + (size_t)t * a->out_stride + (size_t)h * a->head_dim;
            begin_head(&state, out, a->sinks[h], a->head_dim);
            for (uint32_t key = begin; key < end;) {
                uint32_t next = (key / OSL_ATTEND_SEGMENT + 1) * OSL_ATTEND_SEGMENT;
                next = next < end ? next : end;
                attend_head(a, type, q, key, next, part);
                merge_part(&state, out, part, a->head_dim);
                key = next;
            }
            end_head(&state, out, a->head_dim);
        }
    }
}

void osl_plain_attend_prefill_f16(const struct osl_attend *a, uint32_t first, uint32_t tokens,
                                  void *scratch)
{
    attend_prefill(a, OSL_KV_F16, first, tokens);
}

void osl_plain_attend_prefill_q8(const struct osl_attend *a, uint32_t first, uint32_t tokens,
                                 void *scratch)
{
    attend_prefill(a, OSL_KV_Q8, first, tokens);
}

void osl_plain_attend_part_f16(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                               float *part)
{
    attend_part(a, OSL_KV_F16, key_begin, key_end, part);
}

void osl_plain_attend_part_q8(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                              float *part)
{
    attend_part(a, OSL_KV_Q8, key_begin, key_end, part);
}
