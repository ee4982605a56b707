/* Attention on vectors: prefill, and what decode (attend_part_vec.h) shares with it. Included by
 * one file per instruction set, which defines VEC_FN and ATTEND_ROWS, the query heads whose sums
 * fit the registers at once.
 *
 * Keys go in blocks of 64 aligned in absolute position. A block's scores are one product of the
 * group's queries with the transposed keys, its values another with the softmax weights; keys a
 * query does not see enter neither, so a block it sees nothing of changes no bit of its state.
 * Scores add dimensions in rising order, values add keys in rising order, each step fused. */
#include "platform/platform.h"

#include "tables.h"
#include "vec_math.h"

#define BLOCK OSL_ATTEND_BLOCK
#define PAIR (2 * VEC_LANES)
#define QUERY_TILE 64 /* tokens that share an unpacked block in prefill */

_Static_assert(BLOCK % PAIR == 0 && OSL_BLOCK_COLS % PAIR == 0, "products take two vectors");

/* Softmax of one head so far: the largest score, and the sum of exp(score - most). */
struct head_state {
    float most;
    float sum;
};

/* c[r][0..PAIR) += sum_k a[r][k] * b[k][0..PAIR) for `rows` rows, a constant. */
OSL_INLINE void multiply_rows(const int rows, float *c, size_t c_stride, const float *a,
                              size_t a_stride, const float *b, size_t b_stride, uint32_t depth)
{
    vec sum[2][ATTEND_ROWS];
    OSL_UNROLL
    for (int r = 0; r < rows; r++) {
        sum[0][r] = vec_load(c + (size_t)r * c_stride);
        sum[1][r] = vec_load(c + (size_t)r * c_stride + VEC_LANES);
    }
    for (uint32_t k = 0; k < depth; k++) {
        vec b0 = vec_load(b + k * b_stride);
        vec b1 = vec_load(b + k * b_stride + VEC_LANES);
        OSL_UNROLL
        for (int r = 0; r < rows; r++) {
            vec value = vec_splat(a[(size_t)r * a_stride + k]);
            sum[0][r] = vec_fma(value, b0, sum[0][r]);
            sum[1][r] = vec_fma(value, b1, sum[1][r]);
        }
    }
    OSL_UNROLL
    for (int r = 0; r < rows; r++) {
        vec_store(c + (size_t)r * c_stride, sum[0][r]);
        vec_store(c + (size_t)r * c_stride + VEC_LANES, sum[1][r]);
    }
}

/* The same for any number of rows and `width` columns, a multiple of PAIR. */
static void multiply(uint32_t rows, uint32_t width, float *c, size_t c_stride, const float *a,
                     size_t a_stride, const float *b, size_t b_stride, uint32_t depth)
{
    for (uint32_t column = 0; column < width; column += PAIR) {
        uint32_t r = 0;
        for (; r + ATTEND_ROWS <= rows; r += ATTEND_ROWS) {
            multiply_rows(ATTEND_ROWS, c + r * c_stride + column, c_stride, a + r * a_stride,
                          a_stride, b + column, b_stride, depth);
        }
        for (; r + 2 <= rows; r += 2) {
            multiply_rows(2, c + r * c_stride + column, c_stride, a + r * a_stride, a_stride,
                          b + column, b_stride, depth);
        }
        if (r < rows) {
            multiply_rows(1, c + r * c_stride + column, c_stride, a + r * a_stride, a_stride,
                          b + column, b_stride, depth);
        }
    }
}

OSL_INLINE vec load_kv(enum osl_kv_type type, const uint8_t *row, uint32_t head_dim, uint32_t d)
{
    if (type == OSL_KV_F16) {
        return vec_load_f16(row + 2 * (size_t)d);
    }
    uint16_t scale = osl_load_u16(row + head_dim + d / OSL_BLOCK_COLS * 2);
    return vec_mul(vec_load_i8(row + d), vec_splat_f16(scale));
}

/* Keys [lo, hi) of a block, widened to whole vectors, dimensions [d, d+count):
 * out[(dimension - d) * BLOCK + key]. `rows` is the block's first row. */
OSL_INLINE void unpack_keys(enum osl_kv_type type, float *out, const uint8_t *rows,
                            uint32_t head_dim, uint32_t d, uint32_t count, uint32_t lo,
                            uint32_t hi)
{
    size_t row_bytes = osl_kv_row_bytes(type, head_dim);
    for (uint32_t key = lo / VEC_LANES * VEC_LANES; key < hi; key += VEC_LANES) {
        for (uint32_t i = 0; i < count; i += VEC_LANES) {
            vec square[VEC_LANES];
            OSL_UNROLL
            for (uint32_t lane = 0; lane < VEC_LANES; lane++) {
                const uint8_t *row = rows + (key + lane) * row_bytes;
                square[lane] = load_kv(type, row, head_dim, d + i);
            }
            vec_transpose(square);
            OSL_UNROLL
            for (uint32_t lane = 0; lane < VEC_LANES; lane++) {
                vec_store(out + (size_t)(i + lane) * BLOCK + key, square[lane]);
            }
        }
    }
}

/* Values of keys [lo, hi): out[key * count + (dimension - d)]. */
OSL_INLINE void unpack_values(enum osl_kv_type type, float *out, const uint8_t *rows,
                              uint32_t head_dim, uint32_t d, uint32_t count, uint32_t lo,
                              uint32_t hi)
{
    size_t row_bytes = osl_kv_row_bytes(type, head_dim);
    for (uint32_t key = lo; key < hi; key++) {
        for (uint32_t i = 0; i < count; i += VEC_LANES) {
            vec_store(out + (size_t)key * count + i,
                      load_kv(type, rows + key * row_bytes, head_dim, d + i));
        }
    }
}

/* Raw scores of one head to softmax weights in place; keys outside [lo, hi) get 0. Scales the
 * values gathered so far to the new largest score. */
static void soften(float score[BLOCK], float scale, uint32_t lo, uint32_t hi,
                   struct head_state *state, float *value, uint32_t head_dim)
{
    vec scales = vec_splat(scale);
    vec largest = vec_splat(-INFINITY);
    for (uint32_t key = 0; key < BLOCK; key += VEC_LANES) {
        vec_store(score + key, vec_mul(vec_load(score + key), scales));
    }
    for (uint32_t key = 0; key < lo; key++) {
        score[key] = -INFINITY;
    }
    for (uint32_t key = hi; key < BLOCK; key++) {
        score[key] = -INFINITY;
    }
    for (uint32_t key = 0; key < BLOCK; key += VEC_LANES) {
        largest = vec_max(largest, vec_load(score + key));
    }
    float block_most = vec_largest(largest);
    if (block_most > state->most) {
        float keep = vec_exp_scalar(state->most - block_most);
        vec keeps = vec_splat(keep);
        state->most = block_most;
        state->sum *= keep;
        for (uint32_t d = 0; d < head_dim; d += VEC_LANES) {
            vec_store(value + d, vec_mul(vec_load(value + d), keeps));
        }
    }
    vec most = vec_splat(state->most);
    vec sum = vec_zero();
    for (uint32_t key = 0; key < BLOCK; key += VEC_LANES) {
        vec weight = vec_exp(vec_sub(vec_load(score + key), most));
        vec_store(score + key, weight);
        sum = vec_add(sum, weight);
    }
    state->sum += vec_sum(sum);
}

/* Keys [begin, end) are those that the query at `position` sees. */
static inline uint32_t first_seen(const struct osl_attend *a, uint32_t position)
{
    uint32_t window = a->kv.window;
    return window != 0 && position + 1 > window ? position + 1 - window : 0;
}

/* Where prefill keeps things; all f32. */
struct prefill_scratch {
    float keys[OSL_HEAD_DIM_MAX * BLOCK];
    float values[OSL_HEAD_DIM_MAX * BLOCK];
    float score[OSL_GROUP_MAX * BLOCK];
    struct head_state state[QUERY_TILE * OSL_GROUP_MAX];
};
_Static_assert(sizeof(struct prefill_scratch) <= OSL_ATTEND_SCRATCH_BYTES, "prefill's scratch");

/* One query token against keys [lo, hi) of the unpacked block. */
static void attend_block(const struct osl_attend *a, struct prefill_scratch *s, const float *q,
                         float *out, struct head_state *state, uint32_t lo, uint32_t hi)
{
    uint32_t first = lo / PAIR * PAIR;
    uint32_t width = (hi - first + PAIR - 1) / PAIR * PAIR;
    memset(s->score, 0, (size_t)a->group * BLOCK * sizeof *s->score);
    multiply(a->group, width, s->score + first, BLOCK, q, a->head_dim, s->keys + first, BLOCK,
             a->head_dim);
    for (uint32_t h = 0; h < a->group; h++) {
        soften(s->score + (size_t)h * BLOCK, a->scale, lo, hi, state + h,
               out + (size_t)h * a->head_dim, a->head_dim);
    }
    multiply(a->group, a->head_dim, out, a->head_dim, s->score + lo, BLOCK,
             s->values + (size_t)lo * a->head_dim, a->head_dim, hi - lo);
}

/* Query tokens [t_first, t_end) of the call, at most QUERY_TILE. */
OSL_INLINE void attend_tile(enum osl_kv_type type, const struct osl_attend *a, uint32_t first,
                            uint32_t t_first, uint32_t t_end, struct prefill_scratch *s)
{
    size_t row_bytes = osl_kv_row_bytes(type, a->head_dim);
    uint32_t end = first + t_end;
    for (uint32_t t = t_first; t < t_end; t++) {
        memset(a->out + (size_t)t * a->out_stride, 0,
               (size_t)a->group * a->head_dim * sizeof *a->out);
        for (uint32_t h = 0; h < a->group; h++) {
            s->state[(t - t_first) * a->group + h] = (struct head_state){a->sinks[h], 1.0f};
        }
    }
    for (uint32_t base = first_seen(a, first + t_first) / BLOCK * BLOCK; base < end;
         base += BLOCK) {
        size_t offset = (size_t)(base % a->kv.capacity) * row_bytes;
        uint32_t filled = end - base < BLOCK ? end - base : BLOCK;
        unpack_keys(type, s->keys, (const uint8_t *)a->kv.k + offset, a->head_dim, 0, a->head_dim,
                    0, filled);
        unpack_values(type, s->values, (const uint8_t *)a->kv.v + offset, a->head_dim, 0,
                      a->head_dim, 0, filled);
        for (uint32_t t = t_first; t < t_end; t++) {
            uint32_t position = first + t;
            uint32_t begin = first_seen(a, position);
            uint32_t lo = begin > base ? begin - base : 0;
            uint32_t hi = position + 1 < base + BLOCK ? position + 1 : base + BLOCK;
            if (hi > base + lo) {
                attend_block(a, s, a->q + (size_t)t * a->q_stride,
                             a->out + (size_t)t * a->out_stride,
                             s->state + (size_t)(t - t_first) * a->group, lo, hi - base);
            }
        }
    }
    for (uint32_t t = t_first; t < t_end; t++) {
        for (uint32_t h = 0; h < a->group; h++) {
            float *out = a->out + (size_t)t * a->out_stride + (size_t)h * a->head_dim;
            vec sum = vec_splat(s->state[(t - t_first) * a->group + h].sum);
            for (uint32_t d = 0; d < a->head_dim; d += VEC_LANES) {
                vec_store(out + d, vec_div(vec_load(out + d), sum));
            }
        }
    }
}

OSL_INLINE void attend_prefill(enum osl_kv_type type, const struct osl_attend *a, uint32_t first,
                               uint32_t tokens, void *scratch)
{
    OSL_ASSERT_HOT(a->group <= OSL_GROUP_MAX && a->head_dim <= OSL_HEAD_DIM_MAX);
    OSL_ASSERT_HOT(a->head_dim % OSL_BLOCK_COLS == 0 && a->kv.capacity % BLOCK == 0);
    for (uint32_t t = 0; t < tokens; t += QUERY_TILE) {
        uint32_t t_end = tokens - t < QUERY_TILE ? tokens : t + QUERY_TILE;
        attend_tile(type, a, first, t, t_end, scratch);
    }
}

void VEC_FN(attend_prefill_f16)(const struct osl_attend *a, uint32_t first, uint32_t tokens,
                                void *scratch)
{
    attend_prefill(OSL_KV_F16, a, first, tokens, scratch);
}

void VEC_FN(attend_prefill_q8)(const struct osl_attend *a, uint32_t first, uint32_t tokens,
                               void *scratch)
{
    attend_prefill(OSL_KV_Q8, a, first, tokens, scratch);
}
