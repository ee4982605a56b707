/* Decode attention on vectors: one query token, up to eight of a kv head's query heads at once, so
 * that a row of the cache is read and widened once for all of them. Included after attend_vec.h.
 *
 * Keys go in blocks of 64 aligned in absolute position. A score is a product lane by lane over the
 * dimensions, then the sum of its lanes; the sums of all heads (and with 16 lanes of two keys) are
 * made together by vec_sum_each, so nothing is transposed. Scores lie head beside head, which
 * makes the softmax of all heads the same vertical operations. Values add keys in rising order.
 * Rows are prefetched a block ahead, of the keys while scores are made and of the values while
 * values are. */
#ifndef OSL_ATTEND_PART_VEC_H
#define OSL_ATTEND_PART_VEC_H

#define HEADS 8                    /* query heads at once; absent ones repeat the last */
#define TOGETHER (VEC_LANES / HEADS) /* keys whose scores fill a vector */
#define VALUE_VECS (VEC_LANES == 16 ? 2 : 1) /* of sums for each head: what registers hold */
#define CACHE_LINE 64
#define HEAD_DIM_USUAL 64

_Static_assert(VEC_LANES % HEADS == 0, "a vector of scores is whole keys");
_Static_assert(OSL_BLOCK_COLS % (VALUE_VECS * VEC_LANES) == 0, "head_dim is whole steps");

/* Softmax so far; lane l belongs to head l % HEADS. With 16 lanes both have the same `most`, and
 * what both sums hold together counts. */
struct eight_heads {
    float q[HEADS * OSL_HEAD_DIM_MAX]; /* [HEADS][head_dim] */
    float *value[HEADS];
    uint32_t count; /* of heads that are there */
    vec most;
    vec sum;
};

OSL_INLINE void prefetch_row(const uint8_t *row, size_t row_bytes)
{
    for (size_t at = 0; at < row_bytes; at += CACHE_LINE) {
        __builtin_prefetch(row + at);
    }
}

/* sum[i * HEADS + h] += q of head h times row i, lane by lane, dimensions [d, d + VEC_LANES). */
OSL_INLINE void add_products(enum osl_kv_type type, const uint32_t head_dim, uint32_t d,
                             const float *q, const uint8_t *const row[TOGETHER],
                             vec sum[VEC_LANES])
{
    vec k[TOGETHER];
    OSL_UNROLL
    for (uint32_t i = 0; i < TOGETHER; i++) {
        k[i] = load_kv(type, row[i], head_dim, d);
    }
    OSL_UNROLL
    for (uint32_t h = 0; h < HEADS; h++) {
        vec head = vec_load(q + (size_t)h * head_dim + d);
        OSL_UNROLL
        for (uint32_t i = 0; i < TOGETHER; i++) {
            sum[i * HEADS + h] = vec_fma(head, k[i], sum[i * HEADS + h]);
        }
    }
}

/* score[key * HEADS + head] for keys [lo, hi) of the block at rows; up to the next whole vector
 * -INFINITY follows. */
OSL_INLINE void part_scores(enum osl_kv_type type, const uint32_t head_dim, float scale,
                            const struct eight_heads *heads, const uint8_t *rows, uint32_t lo,
                            uint32_t hi, float *score)
{
    size_t row_bytes = osl_kv_row_bytes(type, head_dim);
    vec scales = vec_splat(scale);
    for (uint32_t key = lo; key < hi; key += TOGETHER) {
        const uint8_t *row[TOGETHER];
        vec sum[VEC_LANES];
        OSL_UNROLL
        for (uint32_t k = 0; k < TOGETHER; k++) {
            row[k] = rows + (key + k < hi ? key + k : key) * row_bytes;
            prefetch_row(row[k] + BLOCK * row_bytes, row_bytes);
        }
        OSL_UNROLL
        for (uint32_t i = 0; i < VEC_LANES; i++) {
            sum[i] = vec_zero();
        }
        for (uint32_t d = 0; d < head_dim; d += OSL_BLOCK_COLS) {
            OSL_UNROLL
            for (uint32_t step = 0; step < OSL_BLOCK_COLS; step += VEC_LANES) {
                add_products(type, head_dim, d + step, heads->q, row, sum);
            }
        }
        vec_store(score + key * HEADS, vec_mul(vec_sum_each(sum), scales));
    }
    if ((hi - lo) % TOGETHER != 0) {
        for (uint32_t h = 0; h < HEADS; h++) {
            score[hi * HEADS + h] = -INFINITY;
        }
    }
}

/* Scores to softmax weights in place. keep_out: what the values so far are worth now. */
OSL_INLINE void part_soften(struct eight_heads *heads, uint32_t lo, uint32_t hi, float *score,
                            float keep_out[VEC_LANES])
{
    vec most = vec_splat(-INFINITY);
    for (uint32_t key = lo; key < hi; key += TOGETHER) {
        most = vec_max(most, vec_load(score + key * HEADS));
    }
    most = vec_max(vec_eights_max(most), heads->most); /* not NaN: that shows in the weights */
    vec keep = vec_exp(vec_sub(heads->most, most));
    vec sum = vec_mul(heads->sum, keep);
    for (uint32_t key = lo; key < hi; key += TOGETHER) {
        vec weight = vec_exp(vec_sub(vec_load(score + key * HEADS), most));
        vec_store(score + key * HEADS, weight);
        sum = vec_add(sum, weight);
    }
    heads->most = most;
    heads->sum = sum;
    vec_store(keep_out, keep);
}

OSL_INLINE void part_values(enum osl_kv_type type, const uint32_t head_dim,
                            const struct eight_heads *heads, const uint8_t *rows, uint32_t lo,
                            uint32_t hi, const float *weight, const float keep[VEC_LANES])
{
    size_t row_bytes = osl_kv_row_bytes(type, head_dim);
    for (uint32_t d = 0; d < head_dim; d += VALUE_VECS * VEC_LANES) {
        vec sum[HEADS][VALUE_VECS];
        OSL_UNROLL
        for (uint32_t h = 0; h < HEADS; h++) {
            OSL_UNROLL
            for (uint32_t i = 0; i < VALUE_VECS; i++) {
                sum[h][i] = vec_mul(vec_load(heads->value[h] + d + i * VEC_LANES),
                                    vec_splat(keep[h]));
            }
        }
        for (uint32_t key = lo; key < hi; key++) {
            const uint8_t *row = rows + key * row_bytes;
            vec v[VALUE_VECS];
            if (d == 0) {
                prefetch_row(row + BLOCK * row_bytes, row_bytes);
            }
            OSL_UNROLL
            for (uint32_t i = 0; i < VALUE_VECS; i++) {
                v[i] = load_kv(type, row, head_dim, d + i * VEC_LANES);
            }
            OSL_UNROLL
            for (uint32_t h = 0; h < HEADS; h++) {
                vec w = vec_splat(weight[key * HEADS + h]);
                OSL_UNROLL
                for (uint32_t i = 0; i < VALUE_VECS; i++) {
                    sum[h][i] = vec_fma(w, v[i], sum[h][i]);
                }
            }
        }
        OSL_UNROLL
        for (uint32_t i = 0; i < HEADS * VALUE_VECS; i++) {
            if (i / VALUE_VECS < heads->count) {
                vec_store(heads->value[i / VALUE_VECS] + d + i % VALUE_VECS * VEC_LANES,
                          sum[i / VALUE_VECS][i % VALUE_VECS]);
            }
        }
    }
}

/* Query heads [first, first + HEADS) of the group, as far as there are any. */
OSL_INLINE void part_heads(enum osl_kv_type type, const uint32_t head_dim,
                           const struct osl_attend *a, uint32_t first, uint32_t key_begin,
                           uint32_t key_end, float *part)
{
    size_t row_bytes = osl_kv_row_bytes(type, head_dim);
    size_t stride = head_dim + 2;
    float score[(BLOCK + TOGETHER - 1) * HEADS];
    float keep[VEC_LANES], most[VEC_LANES], sum[VEC_LANES];
    struct eight_heads heads;
    heads.most = vec_splat(-INFINITY);
    heads.sum = vec_zero();
    heads.count = a->group - first < HEADS ? a->group - first : HEADS;
    for (uint32_t h = 0; h < HEADS; h++) {
        uint32_t head = first + (h < heads.count ? h : heads.count - 1);
        memcpy(heads.q + (size_t)h * head_dim, a->q + (size_t)head * head_dim,
               head_dim * sizeof *heads.q);
        heads.value[h] = part + head * stride + 2;
    }
    for (uint32_t base = key_begin / BLOCK * BLOCK; base < key_end; base += BLOCK) {
        uint32_t lo = key_begin > base ? key_begin - base : 0;
        uint32_t hi = key_end - base < BLOCK ? key_end - base : BLOCK;
        size_t offset = (size_t)(base % a->kv.capacity) * row_bytes;
        if (lo < hi) { /* an empty part may lie inside a block */
            part_scores(type, head_dim, a->scale, &heads, (const uint8_t *)a->kv.k + offset, lo,
                        hi, score);
            part_soften(&heads, lo, hi, score, keep);
            part_values(type, head_dim, &heads, (const uint8_t *)a->kv.v + offset, lo, hi, score,
                        keep);
        }
    }
    vec_store(most, heads.most);
    vec_store(sum, vec_eights_sum(heads.sum));
    for (uint32_t h = 0; h < heads.count; h++) {
        part[(first + h) * stride] = most[h];
        part[(first + h) * stride + 1] = sum[h];
    }
}

OSL_INLINE void attend_part(enum osl_kv_type type, const struct osl_attend *a, uint32_t key_begin,
                            uint32_t key_end, float *part)
{
    OSL_ASSERT_HOT(a->group <= OSL_GROUP_MAX && a->head_dim <= OSL_HEAD_DIM_MAX);
    OSL_ASSERT_HOT(a->head_dim % OSL_BLOCK_COLS == 0 && a->kv.capacity % BLOCK == 0);
    OSL_ASSERT_HOT(key_begin <= key_end);
    memset(part, 0, OSL_ATTEND_PART_FLOATS((size_t)a->group, a->head_dim) * sizeof *part);
    for (uint32_t first = 0; first < a->group; first += HEADS) {
        if (a->head_dim == HEAD_DIM_USUAL) { /* compiled for it, without loops over dimensions */
            part_heads(type, HEAD_DIM_USUAL, a, first, key_begin, key_end, part);
        } else {
            part_heads(type, a->head_dim, a, first, key_begin, key_end, part);
        }
    }
}

void VEC_FN(attend_part_f16)(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                             float *part)
{
    attend_part(OSL_KV_F16, a, key_begin, key_end, part);
}

#endif
