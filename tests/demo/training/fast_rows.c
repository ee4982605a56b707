/* Norms, the elementwise parts of the experts, and the loss, forward and backward, on one thread,
 * for training the demo model on a CPU. fast.py calls them; PlainOps of model.py says what they
 * compute. Widths are multiples of 16. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fast.h"

/* Every 32 values in place to multiples of their largest magnitude / 127, as llama.cpp rounds what
 * it multiplies by weights of 8 and 4 bits. */
void round_to_8_bits(bf16 *x, long blocks)
{
    for (long b = 0; b < blocks; b++, x += 32) {
        float v[32], most = 0;
        for (int i = 0; i < 32; i++) {
            v[i] = wide(x[i]);
            most = fmaxf(most, fabsf(v[i]));
        }
        float step = most / 127, inverse = most > 0 ? 127 / most : 0;
        for (int i = 0; i < 32; i++) {
            x[i] = narrow(rintf(v[i] * inverse) * step);
        }
    }
}

/* x [rows][width] f32 to y bf16; root [rows] written. */
void norm_forward(const float *x, const float *gain, bf16 *y, float *root, long rows, int width,
                  float eps)
{
    for (long r = 0; r < rows; r++) {
        const float *p = x + r * width;
        float sum = 0;
        for (int i = 0; i < width; i++) {
            sum += p[i] * p[i];
        }
        float k = 1 / sqrtf(sum / (float)width + eps);
        root[r] = k;
        for (int i = 0; i < width; i++) {
            y[r * width + i] = narrow(p[i] * k * gain[i]);
        }
    }
}

/* dx written, dgain [width] added to. */
void norm_backward(const float *x, const float *gain, const float *root, const bf16 *dy, float *dx,
                   float *dgain, long rows, int width)
{
    for (long r = 0; r < rows; r++) {
        const float *p = x + r * width;
        const bf16 *g = dy + r * width;
        float k = root[r], sum = 0;
        for (int i = 0; i < width; i++) {
            float d = wide(g[i]);
            sum += d * gain[i] * p[i];
            dgain[i] += d * p[i] * k;
        }
        float mean = sum * k * k / (float)width;
        for (int i = 0; i < width; i++) {
            dx[r * width + i] = k * (wide(g[i]) * gain[i] - p[i] * mean);
        }
    }
}

/* Row `from[slot]` of t for every slot; slots with from -1 (padding) get zeros. */
void gather_rows(const bf16 *t, const int32_t *from, bf16 *out, long slots, int width)
{
    for (long i = 0; i < slots; i++) {
        if (from[i] < 0) {
            memset(out + i * width, 0, sizeof(bf16) * width);
        } else {
            memcpy(out + i * width, t + (long)from[i] * width, sizeof(bf16) * width);
        }
    }
}

/* out [rows][width] bf16: sum over the row's slots. slot [rows][used]. */
void sum_slots(const bf16 *from, const int32_t *slot, bf16 *out, long rows, int used, int width)
{
    for (long r = 0; r < rows; r++) {
        float sum[1024] = {0};
        for (int u = 0; u < used; u++) {
            const bf16 *p = from + (long)slot[r * used + u] * width;
            for (int i = 0; i < width; i++) {
                sum[i] += wide(p[i]);
            }
        }
        for (int i = 0; i < width; i++) {
            out[r * width + i] = narrow(sum[i]);
        }
    }
}

/* gate_up [slots][2 ff] (no bias yet), expert [slots]: act [slots][ff]. */
void swiglu_forward(const bf16 *gate_up, const float *bias, const int32_t *expert, bf16 *act,
                    long slots, int ff, float alpha, float limit)
{
    for (long r = 0; r < slots; r++) {
        const bf16 *g = gate_up + r * 2 * ff, *u = g + ff;
        const float *b = bias + (long)expert[r] * 2 * ff;
        for (int i = 0; i < ff; i++) {
            float x = wide(g[i]) + b[i], y = wide(u[i]) + b[ff + i];
            x = x > limit ? limit : x;
            y = y > limit ? limit : y < -limit ? -limit : y;
            act[r * ff + i] = narrow(x / (1 + expf(-alpha * x)) * (y + 1));
        }
    }
}

static inline void swiglu_row_backward(const bf16 *restrict g, const bf16 *restrict u,
                                       const float *restrict bg, const float *restrict bu,
                                       const bf16 *restrict grad, bf16 *restrict dg,
                                       bf16 *restrict du, float *restrict dbg, float *restrict dbu,
                                       int ff, float alpha, float limit)
{
    for (int i = 0; i < ff; i++) {
        float x0 = wide(g[i]) + bg[i], y0 = wide(u[i]) + bu[i], d = wide(grad[i]);
        float x = fminf(x0, limit), y = fmaxf(fminf(y0, limit), -limit);
        float s = 1 / (1 + expf(-alpha * x));
        float dx = d * (y + 1) * s * (1 + alpha * x * (1 - s)), dy = d * x * s;
        dx = x0 == x ? dx : 0;
        dy = y0 == y ? dy : 0;
        dg[i] = narrow(dx);
        du[i] = narrow(dy);
        dbg[i] += dx;
        dbu[i] += dy;
    }
}

/* dact to dgate_up [slots][2 ff]; dbias [experts][2 ff] added to. */
void swiglu_backward(const bf16 *gate_up, const float *bias, const int32_t *expert,
                     const bf16 *dact, bf16 *dgate_up, float *dbias, long slots, int ff,
                     float alpha, float limit)
{
    for (long r = 0; r < slots; r++) {
        const bf16 *g = gate_up + r * 2 * ff;
        const float *b = bias + (long)expert[r] * 2 * ff;
        float *db = dbias + (long)expert[r] * 2 * ff;
        bf16 *dg = dgate_up + r * 2 * ff;
        swiglu_row_backward(g, g + ff, b, b + ff, dact + r * ff, dg, dg + ff, db, db + ff, ff,
                            alpha, limit);
    }
}

/* out [rows][width] f32: sum of share * (y[slot] + bias[expert]). */
void combine_forward(const bf16 *y, const float *bias, const int32_t *slot, const int32_t *expert,
                     const float *share, float *out, long rows, int used, int width)
{
    for (long r = 0; r < rows; r++) {
        float *o = out + r * width;
        for (int u = 0; u < used; u++) {
            const bf16 *p = y + (long)slot[r * used + u] * width;
            const float *b = bias + (long)expert[slot[r * used + u]] * width;
            float w = share[r * used + u];
            for (int i = 0; i < width; i++) {
                o[i] = (u == 0 ? 0 : o[i]) + w * (wide(p[i]) + b[i]);
            }
        }
    }
}

/* grad [rows][width] f32: dy [slots][width] (padding slots must be zero already), dshare, dbias
 * added to. */
void combine_backward(const float *grad, const bf16 *y, const float *bias, const int32_t *slot,
                      const int32_t *expert, const float *share, bf16 *dy, float *dshare,
                      float *dbias, long rows, int used, int width)
{
    for (long r = 0; r < rows; r++) {
        const float *g = grad + r * width;
        for (int u = 0; u < used; u++) {
            long at = slot[r * used + u];
            const bf16 *p = y + at * width;
            const float *b = bias + (long)expert[at] * width;
            float *db = dbias + (long)expert[at] * width;
            float w = share[r * used + u], sum = 0;
            for (int i = 0; i < width; i++) {
                sum += g[i] * (wide(p[i]) + b[i]);
                db[i] += w * g[i];
                dy[at * width + i] = narrow(w * g[i]);
            }
            dshare[r * used + u] = sum;
        }
    }
}

/* Cross entropy in nats times weight, summed; logits [rows][vocab] become their gradient. */
double loss_and_grad(bf16 *logits, const int64_t *label, const float *weight, float *each,
                     long rows, int vocab)
{
    double total = 0;
    float *e = malloc(sizeof(float) * vocab);
    for (long r = 0; r < rows && e != NULL; r++) {
        bf16 *p = logits + r * vocab;
        float max = -1e30f, sum = 0;
        for (int i = 0; i < vocab; i++) {
            e[i] = wide(p[i]);
            max = e[i] > max ? e[i] : max;
        }
        float at = e[label[r]];
        for (int i = 0; i < vocab; i++) {
            e[i] = expf(e[i] - max);
            sum += e[i];
        }
        float k = weight[r] / sum;
        for (int i = 0; i < vocab; i++) {
            p[i] = narrow(e[i] * k);
        }
        p[label[r]] = narrow(e[label[r]] * k - weight[r]);
        each[r] = max + logf(sum) - at;
        total += (double)each[r] * weight[r];
    }
    free(e);
    return total;
}
