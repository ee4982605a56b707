/* The forward pass in double precision, written from the formats note (section 2) and nothing of
 * the library: whole matrices, whole softmax, every key kept. Only the cache's own rounding is
 * repeated, since it is part of what is specified. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "executor_rig.h"

static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31;
    double mantissa = (half & 0x3ff) / 1024.0;
    double value = exponent == 0 ? ldexp(mantissa, -14) : ldexp(1.0 + mantissa, exponent - 15);
    return half & 0x8000 ? -value : value;
}

double rig_element(const struct osl_weight *weight, uint32_t expert, uint32_t row, uint32_t col)
{
    static const double fp4[16] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6};
    const uint8_t *at =
        (const uint8_t *)weight->data + expert * weight->expert_bytes + row * weight->row_bytes;
    uint16_t half;
    float single;
    switch (weight->dtype) {
    case OSL_DTYPE_F32: memcpy(&single, at + 4 * (size_t)col, 4); return single;
    case OSL_DTYPE_F16: memcpy(&half, at + 2 * (size_t)col, 2); return half_value(half);
    case OSL_DTYPE_BF16: {
        uint32_t bits;
        memcpy(&half, at + 2 * (size_t)col, 2);
        bits = (uint32_t)half << 16;
        memcpy(&single, &bits, 4);
        return single;
    }
    case OSL_DTYPE_Q8_0:
        at += col / 32 * 34;
        memcpy(&half, at, 2);
        return half_value(half) * (int8_t)at[2 + col % 32];
    case OSL_DTYPE_MXFP4: {
        at += col / 32 * 17;
        uint8_t pair = at[1 + col % 16];
        return ldexp(fp4[col % 32 < 16 ? pair & 15 : pair >> 4], at[0] - 127);
    }
    }
    return NAN;
}

/* out = weight x + bias. */
static void linear(double *out, const struct osl_weight *weight, const struct osl_weight *bias,
                   uint32_t expert, const double *x)
{
    for (uint32_t r = 0; r < weight->rows; r++) {
        double sum = 0.0;
        for (uint32_t c = 0; c < weight->cols; c++) {
            sum += rig_element(weight, expert, r, c) * x[c];
        }
        out[r] = sum + (bias == NULL ? 0.0 : rig_element(bias, 0, expert, r));
    }
}

static void norm(double *out, const double *x, const struct osl_weight *gain, double eps)
{
    double square = 0.0;
    for (uint32_t c = 0; c < gain->cols; c++) {
        square += x[c] * x[c];
    }
    for (uint32_t c = 0; c < gain->cols; c++) {
        out[c] = x[c] / sqrt(square / gain->cols + eps) * rig_element(gain, 0, 0, c);
    }
}

static void rotate(const struct rig *rig, double *heads, uint32_t count, uint32_t position)
{
    uint32_t dim = rig->model.shape.head_dim;
    double concentration = (double)rig->schedule.rope_concentration;
    for (uint32_t h = 0; h < count; h++) {
        double *head = heads + (size_t)h * dim;
        for (uint32_t i = 0; i < dim / 2; i++) {
            double angle = position * (double)rig->schedule.rope_inverse_frequency[i];
            double a = head[i];
            double b = head[i + dim / 2];
            head[i] = (a * cos(angle) - b * sin(angle)) * concentration;
            head[i + dim / 2] = (b * cos(angle) + a * sin(angle)) * concentration;
        }
    }
}

/* To the eleven bits of an f16. */
static double to_half(double value)
{
    int exponent;
    (void)frexp(value, &exponent);
    double step = ldexp(1.0, exponent - 11);
    return nearbyint(value / step) * step;
}

/* What the cache makes of a head's row. */
static void store(double *out, const double *in, uint32_t dim, enum osl_kv_type type)
{
    for (uint32_t block = 0; block < dim; block += 32) {
        double most = 0.0;
        for (uint32_t i = block; i < block + 32; i++) {
            most = fmax(most, fabs(in[i]));
        }
        double scale = to_half(most / 127.0);
        for (uint32_t i = block; i < block + 32; i++) {
            double steps = fmax(-127.0, fmin(127.0, nearbyint(in[i] / scale)));
            out[i] = type == OSL_KV_F16 ? to_half(in[i]) : steps * scale;
        }
    }
}

struct pass {
    const struct rig *rig;
    double *keys; /* [layers][tokens][kv_heads][head_dim] */
    double *values;
    uint32_t tokens;
    double margin;
};

static double *cached(const struct pass *pass, double *all, uint32_t layer, uint32_t token)
{
    const struct osl_shape *s = &pass->rig->model.shape;
    return all + ((size_t)layer * pass->tokens + token) * s->kv_heads * s->head_dim;
}

static void attention(struct pass *pass, uint32_t layer, uint32_t token, const double *x,
                      double *out)
{
    const struct osl_shape *s = &pass->rig->model.shape;
    const struct rig_layer *w = &pass->rig->weights.layer[layer];
    uint32_t dim = s->head_dim;
    double *q = calloc((size_t)s->heads * dim, sizeof *q);
    double *kv = calloc((size_t)s->kv_heads * dim, sizeof *kv);
    double *score = calloc(token + 1, sizeof *score);
    linear(q, &w->q, &w->q_bias, 0, x);
    rotate(pass->rig, q, s->heads, token);
    for (int value = 0; value < 2; value++) {
        linear(kv, value ? &w->v : &w->k, value ? &w->v_bias : &w->k_bias, 0, x);
        if (!value) {
            rotate(pass->rig, kv, s->kv_heads, token);
        }
        for (uint32_t h = 0; h < s->kv_heads; h++) {
            store(cached(pass, value ? pass->values : pass->keys, layer, token) + (size_t)h * dim,
                  kv + (size_t)h * dim, dim, pass->rig->model.kv_type);
        }
    }
    for (uint32_t h = 0; h < s->heads; h++) {
        size_t head = (size_t)(h / (s->heads / s->kv_heads)) * dim;
        double sink = rig_element(&w->sinks, 0, 0, h);
        double most = sink;
        for (uint32_t t = 0; t <= token; t++) {
            bool visible = layer % 2 != 0 || token - t < s->window;
            score[t] = -INFINITY;
            if (!visible) {
                continue;
            }
            const double *key = cached(pass, pass->keys, layer, t) + head;
            score[t] = 0.0;
            for (uint32_t d = 0; d < dim; d++) {
                score[t] += q[(size_t)h * dim + d] * key[d];
            }
            score[t] /= sqrt((double)dim);
            most = fmax(most, score[t]);
        }
        double sum = exp(sink - most);
        memset(out + (size_t)h * dim, 0, dim * sizeof *out);
        for (uint32_t t = 0; t <= token; t++) {
            const double *value = cached(pass, pass->values, layer, t) + head;
            double weight = exp(score[t] - most);
            if (weight == 0.0) {
                continue;
            }
            sum += weight;
            for (uint32_t d = 0; d < dim; d++) {
                out[(size_t)h * dim + d] += weight * value[d];
            }
        }
        for (uint32_t d = 0; d < dim; d++) {
            out[(size_t)h * dim + d] /= sum;
        }
    }
    free(q);
    free(kv);
    free(score);
}

static void experts(struct pass *pass, uint32_t layer, const double *x, double *out)
{
    const struct osl_shape *s = &pass->rig->model.shape;
    const struct rig_layer *w = &pass->rig->weights.layer[layer];
    double logit[OSL_EXPERTS_MAX];
    bool taken[OSL_EXPERTS_MAX] = {false};
    uint32_t ids[OSL_EXPERTS_USED_MAX];
    double *gate = calloc(s->ff, sizeof *gate);
    double *up = calloc(s->ff, sizeof *up);
    double *y = calloc(s->hidden, sizeof *y);
    linear(logit, &w->router, &w->router_bias, 0, x);
    for (uint32_t k = 0; k <= s->experts_used && k < s->experts; k++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t e = 0; e < s->experts; e++) {
            best = !taken[e] && (best == UINT32_MAX || logit[e] > logit[best]) ? e : best;
        }
        if (k == s->experts_used) { /* the first one left out */
            pass->margin = fmin(pass->margin, logit[ids[k - 1]] - logit[best]);
            break;
        }
        taken[best] = true;
        ids[k] = best;
    }
    double sum = 0.0;
    for (uint32_t k = 0; k < s->experts_used; k++) {
        sum += exp(logit[ids[k]] - logit[ids[0]]);
    }
    memset(out, 0, s->hidden * sizeof *out);
    for (uint32_t k = 0; k < s->experts_used; k++) {
        double weight = exp(logit[ids[k]] - logit[ids[0]]) / sum;
        linear(gate, &w->gate, &w->gate_bias, ids[k], x);
        linear(up, &w->up, &w->up_bias, ids[k], x);
        for (uint32_t i = 0; i < s->ff; i++) {
            double limit = (double)s->swiglu_limit;
            double g = fmin(gate[i], limit);
            double u = fmax(fmin(up[i], limit), -limit);
            gate[i] = g / (1.0 + exp(-(double)s->swiglu_alpha * g)) * (u + 1.0);
        }
        linear(y, &w->down, &w->down_bias, ids[k], gate);
        for (uint32_t c = 0; c < s->hidden; c++) {
            out[c] += weight * y[c];
        }
    }
    free(gate);
    free(up);
    free(y);
}

void rig_reference(const struct rig *rig, uint32_t count, double *logits_out, double *margin_out)
{
    const struct osl_shape *s = &rig->model.shape;
    size_t cache = (size_t)s->layers * count * s->kv_heads * s->head_dim;
    struct pass pass = {.rig = rig,
                        .keys = calloc(cache, sizeof(double)),
                        .values = calloc(cache, sizeof(double)),
                        .tokens = count};
    double *x = calloc(s->hidden, sizeof *x);
    double *t = calloc(s->hidden, sizeof *t);
    double *attn = calloc((size_t)s->heads * s->head_dim, sizeof *attn);
    double *add = calloc(s->hidden, sizeof *add);
    for (uint32_t token = 0; token < count; token++) {
        pass.margin = INFINITY;
        for (uint32_t c = 0; c < s->hidden; c++) {
            x[c] = rig_element(&rig->weights.embed, 0, (uint32_t)rig_token(rig, token), c);
        }
        for (uint32_t layer = 0; layer < s->layers; layer++) {
            const struct rig_layer *w = &rig->weights.layer[layer];
            norm(t, x, &w->attn_norm, (double)s->rms_eps);
            attention(&pass, layer, token, t, attn);
            linear(add, &w->out, &w->out_bias, 0, attn);
            for (uint32_t c = 0; c < s->hidden; c++) {
                x[c] += add[c];
            }
            norm(t, x, &w->mlp_norm, (double)s->rms_eps);
            experts(&pass, layer, t, add);
            for (uint32_t c = 0; c < s->hidden; c++) {
                x[c] += add[c];
            }
        }
        norm(t, x, &rig->weights.output_norm, (double)s->rms_eps);
        linear(logits_out + (size_t)token * s->vocab, &rig->weights.output, NULL, 0, t);
        margin_out[token] = pass.margin;
    }
    free(pass.keys);
    free(pass.values);
    free(x);
    free(t);
    free(attn);
    free(add);
}
