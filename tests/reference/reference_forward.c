/* The pass, layer by layer, all tokens of a prompt at once. Read it beside the formats note. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

#define SWIGLU_ALPHA 1.702
#define SWIGLU_LIMIT 7.0
#define BETA_FAST 32.0
#define BETA_SLOW 1.0
#define PI 3.14159265358979323846

/* Eight sums side by side: the order is fixed, and a compiler can use vectors for it. */
static double dot(const double *a, const double *b, uint64_t count)
{
    double sums[8] = {0};
    uint64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (uint64_t j = 0; j < 8; j++) {
            sums[j] += a[i + j] * b[i + j];
        }
    }
    for (; i < count; i++) {
        sums[0] += a[i] * b[i];
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* out[t][r] = in[t] . W[r] + b[r] for every token; rows of `expert`, all of them if there is one.
 * bias may be NULL. */
static void linear(const struct reference_tensor *weight, const struct reference_tensor *bias,
                   uint64_t expert, const double *in, uint32_t tokens, double *out)
{
    uint64_t cols = weight->dims[0], rows = weight->dims[1];
    double *row = reference_alloc(cols, sizeof *row);
    double *biases = reference_alloc(rows, sizeof *biases);
    if (bias != NULL) {
        reference_row(bias, expert, biases);
    }
    for (uint64_t r = 0; r < rows; r++) {
        reference_row(weight, expert * rows + r, row);
        for (uint64_t t = 0; t < tokens; t++) {
            out[t * rows + r] = dot(row, in + t * cols, cols) + biases[r];
        }
    }
    free(biases);
    free(row);
}

static void rmsnorm(const struct reference *model, const struct reference_tensor *gain,
                    const double *in, uint32_t tokens, double *out)
{
    uint64_t cols = model->hidden;
    double *gains = reference_alloc(cols, sizeof *gains);
    reference_row(gain, 0, gains);
    for (uint64_t t = 0; t < tokens; t++) {
        double square = dot(in + t * cols, in + t * cols, cols) / (double)cols;
        double scale = 1 / sqrt(square + model->eps);
        for (uint64_t i = 0; i < cols; i++) {
            out[t * cols + i] = in[t * cols + i] * scale * gains[i];
        }
    }
    free(gains);
}

/* Inverse frequency of pair i. */
static double frequency(const struct reference *model, uint32_t i)
{
    double dim = model->head_dim;
    double plain = pow(model->rope_base, -2.0 * i / dim);
    if (model->factor <= 1) {
        return plain;
    }
    double context = model->original_context;
    double low = dim / 2 * log(context / (2 * PI * BETA_FAST)) / log(model->rope_base);
    double high = dim / 2 * log(context / (2 * PI * BETA_SLOW)) / log(model->rope_base);
    if (model->rounded) {
        low = fmax(floor(low), 0);
        high = fmin(ceil(high), dim - 1);
    }
    double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
    return plain / model->factor * ramp + plain * (1 - ramp);
}

/* Turns each head of each token by its position; element i pairs with i + dim/2. */
static void rope(const struct reference *model, double *x, uint32_t heads, uint32_t tokens)
{
    uint32_t dim = model->head_dim;
    double scale = model->factor <= 1 ? 1 : 0.1 * log(model->factor) + 1;
    for (uint32_t i = 0; i < dim / 2; i++) {
        double turn = frequency(model, i);
        for (uint64_t t = 0; t < tokens; t++) {
            double cosine = cos((double)t * turn) * scale;
            double sine = sin((double)t * turn) * scale;
            for (uint64_t h = 0; h < heads; h++) {
                double *head = x + (t * heads + h) * dim;
                double a = head[i], b = head[i + dim / 2];
                head[i] = a * cosine - b * sine;
                head[i + dim / 2] = b * cosine + a * sine;
            }
        }
    }
}

/* One query head of one token over the keys it sees, with its sink. */
static void attend_one(const struct reference *model, const double *q, const double *k,
                       const double *v, uint64_t first, uint64_t last, uint64_t stride, double sink,
                       double *scores, double *out)
{
    uint32_t dim = model->head_dim;
    double most = sink;
    for (uint64_t p = first; p <= last; p++) {
        scores[p] = dot(q, k + p * stride, dim) / sqrt(dim);
        most = fmax(most, scores[p]);
    }
    double sum = exp(sink - most);
    for (uint64_t p = first; p <= last; p++) {
        scores[p] = exp(scores[p] - most);
        sum += scores[p];
    }
    memset(out, 0, dim * sizeof *out);
    for (uint64_t p = first; p <= last; p++) {
        for (uint32_t i = 0; i < dim; i++) {
            out[i] += scores[p] / sum * v[p * stride + i];
        }
    }
}

static void attention(const struct reference *model, uint32_t layer, double *x, uint32_t tokens)
{
    uint64_t dim = model->head_dim, heads = model->heads, kv_heads = model->kv_heads;
    double *norm = reference_alloc((uint64_t)tokens * model->hidden, sizeof *norm);
    double *q = reference_alloc(tokens * heads * dim, sizeof *q);
    double *k = reference_alloc(tokens * kv_heads * dim, sizeof *k);
    double *v = reference_alloc(tokens * kv_heads * dim, sizeof *v);
    double *mixed = reference_alloc(tokens * heads * dim, sizeof *mixed);
    double *scores = reference_alloc(tokens, sizeof *scores);
    double *sinks = reference_alloc(heads, sizeof *sinks);
    reference_row(reference_find(model, layer, "attn_sinks.weight"), 0, sinks);
    rmsnorm(model, reference_find(model, layer, "attn_norm.weight"), x, tokens, norm);
    linear(reference_find(model, layer, "attn_q.weight"),
           reference_find(model, layer, "attn_q.bias"), 0, norm, tokens, q);
    linear(reference_find(model, layer, "attn_k.weight"),
           reference_find(model, layer, "attn_k.bias"), 0, norm, tokens, k);
    linear(reference_find(model, layer, "attn_v.weight"),
           reference_find(model, layer, "attn_v.bias"), 0, norm, tokens, v);
    rope(model, q, model->heads, tokens);
    rope(model, k, model->kv_heads, tokens);
    for (uint64_t t = 0; t < tokens; t++) {
        /* Even layers see the token itself and window - 1 before it. */
        uint64_t first = layer % 2 == 0 && t >= model->window ? t - model->window + 1 : 0;
        for (uint64_t h = 0; h < heads; h++) {
            uint64_t shared = h / (heads / kv_heads) * dim;
            attend_one(model, q + (t * heads + h) * dim, k + shared, v + shared, first, t,
                       kv_heads * dim, sinks[h], scores, mixed + (t * heads + h) * dim);
        }
    }
    linear(reference_find(model, layer, "attn_output.weight"),
           reference_find(model, layer, "attn_output.bias"), 0, mixed, tokens, norm);
    for (uint64_t i = 0; i < (uint64_t)tokens * model->hidden; i++) {
        x[i] += norm[i];
    }
    free(sinks);
    free(scores);
    free(mixed);
    free(v);
    free(k);
    free(q);
    free(norm);
}

/* Weight of each expert for one token: a softmax over the logits of the `used` largest, 0 for
 * the others. Ties go to the lower index. */
static void route(const struct reference *model, const double *logits, double *weights)
{
    double sum = 0, most = 0;
    for (uint32_t e = 0; e < model->experts; e++) {
        weights[e] = 0;
    }
    for (uint32_t n = 0; n < model->used; n++) {
        uint32_t best = model->experts;
        for (uint32_t e = 0; e < model->experts; e++) {
            if (weights[e] == 0 && (best == model->experts || logits[e] > logits[best])) {
                best = e;
            }
        }
        most = n == 0 ? logits[best] : most;
        weights[best] = exp(logits[best] - most);
        sum += weights[best];
    }
    for (uint32_t e = 0; e < model->experts; e++) {
        weights[e] /= sum;
    }
}

/* x[t] += weight[t] * expert(norm[t]) for the tokens that chose it. */
static void run_expert(const struct reference *model, uint32_t layer, uint32_t expert,
                       const double *norm, const double *weights, uint32_t tokens, double *x)
{
    uint64_t hidden = model->hidden, ff = model->ff;
    double *in = reference_alloc(tokens * hidden, sizeof *in);
    uint32_t count = 0;
    for (uint64_t t = 0; t < tokens; t++) {
        if (weights[t * model->experts + expert] != 0) {
            memcpy(in + count++ * hidden, norm + t * hidden, hidden * sizeof *in);
        }
    }
    double *gate = reference_alloc(count * ff, sizeof *gate);
    double *up = reference_alloc(count * ff, sizeof *up);
    if (count > 0) {
        linear(reference_find(model, layer, "ffn_gate_exps.weight"),
               reference_find(model, layer, "ffn_gate_exps.bias"), expert, in, count, gate);
        linear(reference_find(model, layer, "ffn_up_exps.weight"),
               reference_find(model, layer, "ffn_up_exps.bias"), expert, in, count, up);
        for (uint64_t i = 0; i < count * ff; i++) {
            double g = fmin(gate[i], SWIGLU_LIMIT);
            double u = fmin(fmax(up[i], -SWIGLU_LIMIT), SWIGLU_LIMIT);
            gate[i] = g / (1 + exp(-SWIGLU_ALPHA * g)) * (u + 1);
        }
        linear(reference_find(model, layer, "ffn_down_exps.weight"),
               reference_find(model, layer, "ffn_down_exps.bias"), expert, gate, count, in);
    }
    count = 0;
    for (uint64_t t = 0; t < tokens; t++) {
        double weight = weights[t * model->experts + expert];
        if (weight != 0) {
            for (uint64_t i = 0; i < hidden; i++) {
                x[t * hidden + i] += weight * in[count * hidden + i];
            }
            count++;
        }
    }
    free(up);
    free(gate);
    free(in);
}

static void mixture(const struct reference *model, uint32_t layer, double *x, uint32_t tokens)
{
    double *norm = reference_alloc((uint64_t)tokens * model->hidden, sizeof *norm);
    double *logits = reference_alloc((uint64_t)tokens * model->experts, sizeof *logits);
    double *weights = reference_alloc((uint64_t)tokens * model->experts, sizeof *weights);
    rmsnorm(model, reference_find(model, layer, "post_attention_norm.weight"), x, tokens, norm);
    linear(reference_find(model, layer, "ffn_gate_inp.weight"),
           reference_find(model, layer, "ffn_gate_inp.bias"), 0, norm, tokens, logits);
    for (uint64_t t = 0; t < tokens; t++) {
        route(model, logits + t * model->experts, weights + t * model->experts);
    }
    for (uint32_t e = 0; e < model->experts; e++) {
        run_expert(model, layer, e, norm, weights, tokens, x);
    }
    free(weights);
    free(logits);
    free(norm);
}

void reference_logits(const struct reference *model, const int32_t *ids, uint32_t count,
                      double *logits_out)
{
    uint64_t hidden = model->hidden;
    double *x = reference_alloc(count * hidden, sizeof *x);
    double *last = reference_alloc(hidden, sizeof *last);
    for (uint64_t t = 0; t < count; t++) {
        reference_row(reference_find(model, REFERENCE_GLOBAL, "token_embd.weight"),
                      (uint64_t)ids[t], x + t * hidden);
    }
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        attention(model, layer, x, count);
        mixture(model, layer, x, count);
    }
    rmsnorm(model, reference_find(model, REFERENCE_GLOBAL, "output_norm.weight"),
            x + (count - 1) * hidden, 1, last);
    linear(reference_find(model, REFERENCE_GLOBAL, "output.weight"), NULL, 0, last, 1, logits_out);
    free(last);
    free(x);
}
