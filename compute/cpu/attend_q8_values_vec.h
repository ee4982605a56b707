/* Values times softmax weights, both in integers: the second half of a block of attend_q8_vec.h,
 * which includes this. */
#ifndef OSL_ATTEND_Q8_VALUES_VEC_H
#define OSL_ATTEND_Q8_VALUES_VEC_H

/* Rounds weights times scales; returns what an integer is worth, NaN if a scale is. */
Q8_STEP float round_weights(struct q8_room *room, const struct q8_heads *heads,
                            const struct q8_block *block, uint32_t b)
{
    vec scale[BLOCK / VEC_LANES];
    vec largest = vec_zero();
    uint32_t first = first_key(block);
    uint32_t end = end_key(block);
    for (uint32_t key = first; key < end; key += VEC_LANES) {
        scale[key / VEC_LANES] = scales_at(block, b, key);
        largest = vec_largest_magnitude(largest, scale[key / VEC_LANES]);
    }
    float most = osl_f32_from_bits(vec_magnitude_bits(largest));
    vec factor = vec_splat(most > 0.0f ? WEIGHT_LIMIT / most : 0.0f);
    for (uint32_t key = first; key < end; key += TWO) {
        vec scale0 = vec_mul(scale[key / VEC_LANES], factor);
        vec scale1 = vec_mul(scale[key / VEC_LANES + 1], factor);
        OSL_UNROLL
        for (uint32_t h = 0; h < HEADS; h++) {
            const float *weight = heads->score[h] + key;
            ivec whole0 = whole_of(vec_mul(vec_load(weight), scale0));
            ivec whole1 = whole_of(vec_mul(vec_load(weight + VEC_LANES), scale1));
            ivec_store(room->weights[h] + key, pack_words(whole0, whole1));
        }
    }
    return most / WEIGHT_LIMIT;
}

/* A pair of rows of values, from one element on. Lane i of 128-bit lane l of vector n is dimension
 * 8 * l + 4 * n + i. */
OSL_INLINE void interleave_two(ivec out[2], const uint8_t *row, size_t row_bytes)
{
    ivec even = widen_row(row);
    ivec odd = widen_row(row + row_bytes);
    out[0] = interleave_low(even, odd);
    out[1] = interleave_high(even, odd);
}

/* Where the values of a block's elements [32 b, 32 b + 32) are, and b's share of the rows to come,
 * so much for each pair of keys. */
struct q8_values {
    const uint8_t *row;
    const uint8_t *ahead;
    size_t row_bytes;
    size_t share;
    uint32_t begin;
    uint32_t end;
};

OSL_INLINE void prefetch_share(const struct q8_values *values, uint32_t key)
{
    const uint8_t *at = values->ahead + key / 2 * values->share;
    __builtin_prefetch(at);
    __builtin_prefetch(at + values->share - 1);
}

/* All of them, where more than one round of heads reads them. */
Q8_STEP void interleave_all(struct q8_room *room, const struct q8_values *from)
{
    const struct q8_values values = *from;
    const uint8_t *row = values.row;
    for (uint32_t key = values.begin; key < values.end; key += 2, row += 2 * values.row_bytes) {
        prefetch_share(&values, key);
        OSL_UNROLL
        for (uint32_t at = 0; at < COLS; at += TWO) {
            ivec two[2];
            interleave_two(two, row + at, values.row_bytes);
            ivec_store(room->values[key / 2] + at, two[0]);
            ivec_store(room->values[key / 2] + at + VEC_LANES, two[1]);
        }
    }
}

/* Elements [at, at + TWO) of them to value[first..][d ..] of HEADS_TOGETHER heads. */
Q8_STEP void weigh_two(struct q8_heads *heads, const struct q8_room *room,
                       const struct q8_values *from, uint32_t first, uint32_t at, uint32_t d,
                       float worth)
{
    const struct q8_values values = *from;
    const uint8_t *row = values.row + at;
    uint32_t key = values.begin;
    ivec sum[HEADS_TOGETHER][2];
    clear_sums(sum);
    do { /* see score_keys */
        OSL_UNROLL
        for (uint32_t i = 0; i < PAIRS; i++) {
            ivec two[2];
            if (HEADS_TOGETHER == HEADS) {
                interleave_two(two, row, values.row_bytes);
                prefetch_share(&values, key);
                row += 2 * values.row_bytes;
            } else {
                two[0] = ivec_load(room->values[key / 2] + at);
                two[1] = ivec_load(room->values[key / 2] + at + VEC_LANES);
            }
            add_pairs(sum, room->weights[first] + key, BLOCK, two);
            key += 2;
        }
    } while (key < values.end);
    OSL_UNROLL
    for (uint32_t i = 0; i < 2 * HEADS_TOGETHER; i++) {
        uint32_t h = first + i / 2;
        float *value = heads->value[h] + d + i % 2 * VEC_LANES;
        vec before = vec_mul(vec_load(value), vec_splat(heads->keep[h]));
        vec_store(value, vec_fma(float_of(sum[i / 2][i % 2]), vec_splat(worth * heads->add[h]),
                                 before));
    }
}

/* value[h][32 b ..] of all heads. */
static void weigh_values(struct q8_heads *heads, struct q8_room *room,
                         const struct q8_block *block, uint32_t b, uint32_t head_dim, float worth)
{
    const size_t row_bytes = osl_kv_row_bytes(OSL_KV_Q8, head_dim);
    const size_t share = 2 * row_bytes / (head_dim / COLS);
    struct q8_values values = {
        .row = block->rows + first_key(block) * row_bytes + (size_t)b * COLS,
        .ahead = block->rows + AHEAD * row_bytes + b * (BLOCK / 2) * share,
        .row_bytes = row_bytes,
        .share = share,
        .begin = first_key(block),
        .end = end_key(block),
    };
    if (HEADS_TOGETHER < HEADS) {
        interleave_all(room, &values);
    }
    for (uint32_t at = 0; at < COLS; at += TWO) {
        for (uint32_t first = 0; first < HEADS; first += HEADS_TOGETHER) {
            weigh_two(heads, room, &values, first, at, b * COLS + at, worth);
        }
    }
}

#endif
