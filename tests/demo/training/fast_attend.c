/* Attention within segments, forward and backward, on one thread, for training the demo model on a
 * CPU. fast.py calls it; PlainOps.attend of model.py says what it computes. HEAD is the head
 * dimension; heads of a kind lie one after another while it works, [head][row][HEAD]. */
#include <math.h>
#include <string.h>

#include "fast.h"

#define HEAD 32
#define QUERIES                                                                                    \
    24 /* of one block of scores; a multiple of 6, the rows that products take at once */

typedef float vec __attribute__((vector_size(64), aligned(4)));

/* out [rows][HEAD] (+= if add) = sum over l < depth of a[row * row_step + l * depth_step] *
 * b[l][HEAD] */
static void times_rows(float *out, int add, int rows, const float *a, long row_step,
                       long depth_step, const float *b, int depth)
{
    int r = 0;
    for (; r + 6 <= rows; r += 6) {
        vec s[6][2];
        for (int i = 0; i < 6; i++) {
            for (int h = 0; h < 2; h++) {
                s[i][h] = add ? *(vec *)(out + (r + i) * HEAD + 16 * h) : (vec){0};
            }
        }
        const float *p = a + r * row_step;
        for (int l = 0; l < depth; l++) {
            vec b0 = *(const vec *)(b + l * HEAD), b1 = *(const vec *)(b + l * HEAD + 16);
            for (int i = 0; i < 6; i++) {
                float x = p[i * row_step + l * depth_step];
                s[i][0] += x * b0;
                s[i][1] += x * b1;
            }
        }
        for (int i = 0; i < 6; i++) {
            *(vec *)(out + (r + i) * HEAD) = s[i][0];
            *(vec *)(out + (r + i) * HEAD + 16) = s[i][1];
        }
    }
    for (; r < rows; r++) {
        vec s0 = add ? *(vec *)(out + r * HEAD) : (vec){0};
        vec s1 = add ? *(vec *)(out + r * HEAD + 16) : (vec){0};
        for (int l = 0; l < depth; l++) {
            float x = a[r * row_step + l * depth_step];
            s0 += x * *(const vec *)(b + l * HEAD);
            s1 += x * *(const vec *)(b + l * HEAD + 16);
        }
        *(vec *)(out + r * HEAD) = s0;
        *(vec *)(out + r * HEAD + 16) = s1;
    }
}

/* out [rows][ld], columns [from, to): a [rows][HEAD] times bt [HEAD][ld]. from, to multiples of 16.
 */
static void times_columns(float *out, int rows, const float *a, const float *bt, int ld, int from,
                          int to)
{
    for (int c = from; c < to; c += 32) {
        int two = c + 16 < to;
        int r = 0;
        for (; r + 6 <= rows && two; r += 6) {
            vec s[6][2] = {0};
            for (int d = 0; d < HEAD; d++) {
                vec b0 = *(const vec *)(bt + (long)d * ld + c),
                    b1 = *(const vec *)(bt + (long)d * ld + c + 16);
                for (int i = 0; i < 6; i++) {
                    float x = a[(r + i) * HEAD + d];
                    s[i][0] += x * b0;
                    s[i][1] += x * b1;
                }
            }
            for (int i = 0; i < 6; i++) {
                *(vec *)(out + (long)(r + i) * ld + c) = s[i][0];
                *(vec *)(out + (long)(r + i) * ld + c + 16) = s[i][1];
            }
        }
        for (; r < rows; r++) {
            vec s0 = {0}, s1 = {0};
            for (int d = 0; d < HEAD; d++) {
                float x = a[r * HEAD + d];
                s0 += x * *(const vec *)(bt + (long)d * ld + c);
                if (two) {
                    s1 += x * *(const vec *)(bt + (long)d * ld + c + 16);
                }
            }
            *(vec *)(out + (long)r * ld + c) = s0;
            if (two) {
                *(vec *)(out + (long)r * ld + c + 16) = s1;
            }
        }
    }
}

/* Half-split rotation of one row, bf16 to f32; sign -1 undoes the angle (not the factor). */
static void turn(float *out, const float *in, const float *cos, const float *sin, float sign)
{
    for (int i = 0; i < HEAD / 2; i++) {
        float a = in[i], b = in[i + HEAD / 2], s = sign * sin[i];
        out[i] = a * cos[i] - b * s;
        out[i + HEAD / 2] = b * cos[i] + a * s;
    }
}

/* out [heads of this kind][rows][HEAD] from column group `first` of qkv [rows][columns]. */
static void unpack(float *out, const bf16 *qkv, long columns, int first, int heads, int rows,
                   const int32_t *positions, const float *cos, const float *sin)
{
    for (int h = 0; h < heads; h++) {
        for (int r = 0; r < rows; r++) {
            float x[HEAD];
            for (int i = 0; i < HEAD; i++) {
                x[i] = wide(qkv[r * columns + (first + h) * HEAD + i]);
            }
            float *to = out + ((long)h * rows + r) * HEAD;
            if (cos != NULL) {
                turn(to, x, cos + positions[r] * (HEAD / 2), sin + positions[r] * (HEAD / 2), 1);
            } else {
                memcpy(to, x, sizeof x);
            }
        }
    }
}

struct shape {
    int32_t heads, kv_heads, window, rows; /* window 0: everything is seen */
    const int32_t *segments;               /* [count][4]: first, rows, prefix first, prefix rows */
    int32_t count, keys_max;
    const int32_t *positions;
    const float *cos, *sin; /* [positions][HEAD / 2] */
};

/* All heads of one kind [head][row][HEAD], and one segment's keys side by side. */
struct work {
    float *q, *k, *v, *out, *grad, *dq, *dk, *dv; /* [heads][rows][HEAD] */
    float *keys, *values, *keys_t, *values_t, *dkeys,
        *dvalues;            /* [keys_max][HEAD], _t [HEAD][ld] */
    float *scores, *dscores; /* [QUERIES][ld] */
};

static int padded(int keys)
{
    return (keys + 15) & ~15;
}

static void gather(float *rows_out, float *columns_out, const float *from, const int32_t *segment,
                   int ld)
{
    int prefix = segment[3], keys = prefix + segment[1];
    memcpy(rows_out, from + (long)segment[2] * HEAD, sizeof(float) * HEAD * prefix);
    memcpy(rows_out + prefix * HEAD, from + (long)segment[0] * HEAD,
           sizeof(float) * HEAD * segment[1]);
    if (columns_out == NULL) {
        return;
    }
    for (int d = 0; d < HEAD; d++) {
        for (int j = 0; j < ld; j++) {
            columns_out[(long)d * ld + j] = j < keys ? rows_out[j * HEAD + d] : 0;
        }
    }
}

static void scatter(float *to, const float *rows, const int32_t *segment)
{
    int prefix = segment[3];
    for (int i = 0; i < prefix * HEAD; i++) {
        to[(long)segment[2] * HEAD + i] += rows[i];
    }
    for (int i = 0; i < segment[1] * HEAD; i++) {
        to[(long)segment[0] * HEAD + i] += rows[prefix * HEAD + i];
    }
}

/* The keys that queries [first, first + count) of a segment see together: [from, to). */
static void span(const struct shape *s, int prefix, int first, int count, int *from, int *to)
{
    int low = s->window != 0 ? prefix + first - s->window + 1 : 0;
    *from = (low > 0 ? low : 0) & ~15;
    *to = padded(prefix + first + count);
}

/* Scores to probabilities in place, zero where nothing is seen; lse [count] written if it is asked
 * for, else read. */
static void soften(const struct shape *s, float *scores, int ld, int prefix, int first, int count,
                   int from, int to, float sink, float *lse, int known)
{
    float scale = 1 / sqrtf(HEAD);
    for (int r = 0; r < count; r++) {
        float *row = scores + (long)r * ld;
        int last = prefix + first + r;
        int start = s->window != 0 && last - s->window + 1 > from ? last - s->window + 1 : from;
        if (!known) {
            float max = sink;
            for (int j = start; j <= last; j++) {
                float x = row[j] * scale;
                max = x > max ? x : max;
            }
            float sum = 0;
            for (int j = start; j <= last; j++) {
                float e = expf(row[j] * scale - max);
                row[j] = e;
                sum += e;
            }
            sum += expf(sink - max);
            lse[r] = max + logf(sum);
            float inverse = 1 / sum;
            for (int j = start; j <= last; j++) {
                row[j] *= inverse;
            }
        } else {
            float l = lse[r];
            for (int j = start; j <= last; j++) {
                row[j] = expf(row[j] * scale - l);
            }
        }
        for (int j = from; j < start; j++) {
            row[j] = 0;
        }
        for (int j = last + 1; j < to; j++) {
            row[j] = 0;
        }
    }
}

static float *take(float **at, long count)
{
    float *p = *at;
    *at += (count + 15) & ~15l;
    return p;
}

/* Floats of scratch that attention needs. */
long attend_scratch(int32_t heads, int32_t kv_heads, int32_t rows, int32_t keys_max)
{
    long ld = padded(keys_max) + 16;
    return (4l * heads + 4l * kv_heads) * rows * HEAD + 8 * ld * HEAD + 2l * QUERIES * ld + 1024;
}

static void carve(struct work *w, const struct shape *s, float *scratch)
{
    long rows = (long)s->rows * HEAD, ld = padded(s->keys_max) + 16;
    w->q = take(&scratch, s->heads * rows);
    w->out = take(&scratch, s->heads * rows);
    w->grad = take(&scratch, s->heads * rows);
    w->dq = take(&scratch, s->heads * rows);
    w->k = take(&scratch, s->kv_heads * rows);
    w->v = take(&scratch, s->kv_heads * rows);
    w->dk = take(&scratch, s->kv_heads * rows);
    w->dv = take(&scratch, s->kv_heads * rows);
    w->keys = take(&scratch, ld * HEAD);
    w->values = take(&scratch, ld * HEAD);
    w->keys_t = take(&scratch, ld * HEAD);
    w->values_t = take(&scratch, ld * HEAD);
    w->dkeys = take(&scratch, ld * HEAD);
    w->dvalues = take(&scratch, ld * HEAD);
    w->scores = take(&scratch, QUERIES * ld);
    w->dscores = take(&scratch, QUERIES * ld);
}

static void unpack_qkv(struct work *w, const struct shape *s, const bf16 *qkv)
{
    long columns = (s->heads + 2l * s->kv_heads) * HEAD;
    unpack(w->q, qkv, columns, 0, s->heads, s->rows, s->positions, s->cos, s->sin);
    unpack(w->k, qkv, columns, s->heads, s->kv_heads, s->rows, s->positions, s->cos, s->sin);
    unpack(w->v, qkv, columns, s->heads + s->kv_heads, s->kv_heads, s->rows, NULL, NULL, NULL);
}

/* out [rows][heads * HEAD] bf16; lse [heads][rows] f32, the log of each row's sum with the sink. */
void attend_forward(const struct shape *s, const bf16 *qkv, const float *sinks, bf16 *out,
                    float *lse, float *scratch)
{
    struct work w;
    carve(&w, s, scratch);
    unpack_qkv(&w, s, qkv);
    int group = s->heads / s->kv_heads;
    for (int c = 0; c < s->count; c++) {
        const int32_t *segment = s->segments + 4 * c;
        int prefix = segment[3], ld = padded(prefix + segment[1]);
        for (int h = 0; h < s->heads; h++) {
            if (h % group == 0) {
                long at = (long)(h / group) * s->rows * HEAD;
                gather(w.keys, w.keys_t, w.k + at, segment, ld);
                gather(w.values, NULL, w.v + at, segment, ld);
            }
            for (int first = 0; first < segment[1]; first += QUERIES) {
                int count = segment[1] - first < QUERIES ? segment[1] - first : QUERIES;
                long row = (long)h * s->rows + segment[0] + first;
                int from, to;
                span(s, prefix, first, count, &from, &to);
                times_columns(w.scores, count, w.q + row * HEAD, w.keys_t, ld, from, to);
                soften(s, w.scores, ld, prefix, first, count, from, to, sinks[h], lse + row, 0);
                int depth = prefix + first + count - from;
                times_rows(w.out + row * HEAD, 0, count, w.scores + from, ld, 1,
                           w.values + from * HEAD, depth);
            }
        }
    }
    for (long r = 0; r < s->rows; r++) {
        for (int h = 0; h < s->heads; h++) {
            for (int i = 0; i < HEAD; i++) {
                out[(r * s->heads + h) * HEAD + i] =
                    narrow(w.out[((long)h * s->rows + r) * HEAD + i]);
            }
        }
    }
}

/* One block of queries of one head: adds to dkeys, dvalues, writes dq, returns the sink's gradient.
 */
static float block_backward(const struct shape *s, struct work *w, int head, const int32_t *segment,
                            int first, int count, float sink, float *lse, const float *delta)
{
    int prefix = segment[3], ld = padded(prefix + segment[1]), from, to;
    long row = (long)head * s->rows + segment[0] + first;
    span(s, prefix, first, count, &from, &to);
    times_columns(w->scores, count, w->q + row * HEAD, w->keys_t, ld, from, to);
    soften(s, w->scores, ld, prefix, first, count, from, to, sink, lse + row, 1);
    times_columns(w->dscores, count, w->grad + row * HEAD, w->values_t, ld, from, to);
    float scale = 1 / sqrtf(HEAD), dsink = 0;
    for (int r = 0; r < count; r++) {
        const float *p = w->scores + (long)r * ld;
        float *d = w->dscores + (long)r * ld, mean = delta[row + r];
        for (int j = from; j < to; j++) {
            d[j] = p[j] * (d[j] - mean) * scale;
        }
        dsink -= expf(sink - lse[row + r]) * mean;
    }
    int depth = prefix + first + count - from;
    times_rows(w->dq + row * HEAD, 0, count, w->dscores + from, ld, 1, w->keys + from * HEAD,
               depth);
    times_rows(w->dkeys + from * HEAD, 1, depth, w->dscores + from, 1, ld, w->q + row * HEAD,
               count);
    times_rows(w->dvalues + from * HEAD, 1, depth, w->scores + from, 1, ld, w->grad + row * HEAD,
               count);
    return dsink;
}

static void pack_grad(const struct shape *s, const float *from, int first, int heads, int rotated,
                      bf16 *out)
{
    long columns = (s->heads + 2l * s->kv_heads) * HEAD;
    for (int h = 0; h < heads; h++) {
        for (long r = 0; r < s->rows; r++) {
            float x[HEAD];
            const float *g = from + ((long)h * s->rows + r) * HEAD;
            if (rotated) {
                int at = s->positions[r] * (HEAD / 2);
                turn(x, g, s->cos + at, s->sin + at, -1);
                g = x;
            }
            for (int i = 0; i < HEAD; i++) {
                out[r * columns + (first + h) * HEAD + i] = narrow(g[i]);
            }
        }
    }
}

/* grad, out [rows][heads * HEAD] bf16; delta [heads][rows] scratch; dqkv like qkv; dsinks [heads].
 */
void attend_backward(const struct shape *s, const bf16 *qkv, const float *sinks, const bf16 *out,
                     float *lse, const bf16 *grad, float *delta, bf16 *dqkv, float *dsinks,
                     float *scratch)
{
    struct work w;
    carve(&w, s, scratch);
    unpack_qkv(&w, s, qkv);
    long columns = (long)s->heads * HEAD;
    unpack(w.grad, grad, columns, 0, s->heads, s->rows, NULL, NULL, NULL);
    for (int h = 0; h < s->heads; h++) {
        dsinks[h] = 0;
        for (long r = 0; r < s->rows; r++) {
            float sum = 0;
            for (int i = 0; i < HEAD; i++) {
                sum += w.grad[(h * (long)s->rows + r) * HEAD + i] *
                       wide(out[r * columns + h * HEAD + i]);
            }
            delta[h * (long)s->rows + r] = sum;
        }
    }
    memset(w.dk, 0, sizeof(float) * s->kv_heads * s->rows * HEAD);
    memset(w.dv, 0, sizeof(float) * s->kv_heads * s->rows * HEAD);
    int group = s->heads / s->kv_heads;
    for (int c = 0; c < s->count; c++) {
        const int32_t *segment = s->segments + 4 * c;
        int keys = segment[3] + segment[1], ld = padded(keys);
        for (int h = 0; h < s->heads; h++) {
            long at = (long)(h / group) * s->rows * HEAD;
            if (h % group == 0) {
                gather(w.keys, w.keys_t, w.k + at, segment, ld);
                gather(w.values, w.values_t, w.v + at, segment, ld);
                memset(w.dkeys, 0, sizeof(float) * keys * HEAD);
                memset(w.dvalues, 0, sizeof(float) * keys * HEAD);
            }
            for (int first = 0; first < segment[1]; first += QUERIES) {
                int count = segment[1] - first < QUERIES ? segment[1] - first : QUERIES;
                dsinks[h] += block_backward(s, &w, h, segment, first, count, sinks[h], lse, delta);
            }
            if (h % group == group - 1) {
                scatter(w.dk + at, w.dkeys, segment);
                scatter(w.dv + at, w.dvalues, segment);
            }
        }
    }
    pack_grad(s, w.dq, 0, s->heads, 1, dqkv);
    pack_grad(s, w.dk, s->heads, s->kv_heads, 1, dqkv);
    pack_grad(s, w.dv, s->heads + s->kv_heads, s->kv_heads, 0, dqkv);
}
