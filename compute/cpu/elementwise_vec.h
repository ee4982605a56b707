/* quantize, rmsnorm, swiglu, rope and kv_store on vectors. Included by one file per instruction
 * set, which defines VEC_FN; contracts are in kernels.h.
 *
 * quantize, rope and kv_store give the bits of the plain kernels. rmsnorm adds squares in f32, in
 * 32 partial sums; swiglu uses vec_exp. */
#include "platform/platform.h"

#include "tables.h"
#include "vec_math.h"

static inline vec vec_within(vec value, float limit)
{
    return vec_max(vec_splat(-limit), vec_min(vec_splat(limit), value));
}

/* int8 of one block of 32 divided by scale; zeros where the scale is not above zero. */
static inline void quantize_block(int8_t *q, const vec x[32 / VEC_LANES], float scale)
{
    vec divisor = vec_splat(scale > 0.0f ? scale : INFINITY);
    for (int i = 0; i < 32 / VEC_LANES; i++) {
        vec value = vec_nearest(vec_div(scale > 0.0f ? x[i] : vec_zero(), divisor));
        vec_store_i8(q + i * VEC_LANES, vec_within(value, 127.0f));
    }
}

/* The same in 16 bits, as two planes. Returns the sum of the integers, which f32 holds exactly. */
static inline int32_t quantize_act_block(int8_t *q, const vec x[32 / VEC_LANES], float scale)
{
    vec sum = vec_zero();
    vec divisor = vec_splat(scale > 0.0f ? scale : INFINITY);
    for (int i = 0; i < 32 / VEC_LANES; i++) {
        vec value = vec_nearest(vec_div(scale > 0.0f ? x[i] : vec_zero(), divisor));
        value = vec_within(value, OSL_ACT_LIMIT);
        vec high = vec_nearest(vec_mul(value, vec_splat(1.0f / 256.0f)));
        vec whole = vec_mul(high, vec_splat(256.0f));
        vec low = vec_within(vec_sub(value, whole), 127.0f);
        vec_store_i8(q + i * VEC_LANES, high);
        vec_store_i8(q + OSL_BLOCK_COLS + i * VEC_LANES, low);
        sum = vec_add(sum, vec_add(whole, low));
    }
    return (int32_t)vec_sum(sum);
}

/* The largest magnitude of a block over `limit`; NaN if any value is not finite. */
static inline float block_scale(const vec x[32 / VEC_LANES], float limit)
{
    vec largest = vec_zero();
    for (int i = 0; i < 32 / VEC_LANES; i++) {
        largest = vec_largest_magnitude(largest, x[i]);
    }
    return osl_block_scale(vec_magnitude_bits(largest), limit);
}

static inline void load_block(vec x[32 / VEC_LANES], const float *from)
{
    for (int i = 0; i < 32 / VEC_LANES; i++) {
        x[i] = vec_load(from + i * VEC_LANES);
    }
}

void VEC_FN(quantize)(int8_t *q, float *scale, int32_t *sum, const float *x, uint32_t cols)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0);
    for (uint32_t block = 0; block < cols / OSL_BLOCK_COLS; block++) {
        vec values[32 / VEC_LANES];
        load_block(values, x + (size_t)block * OSL_BLOCK_COLS);
        scale[block] = block_scale(values, OSL_ACT_LIMIT);
        sum[block] =
            quantize_act_block(q + (size_t)block * OSL_ACT_BLOCK_BYTES, values, scale[block]);
    }
}

void VEC_FN(kv_store_f16)(void *row, const float *in, uint32_t head_dim)
{
    for (uint32_t d = 0; d < head_dim; d += VEC_LANES) {
        vec_store_f16((uint8_t *)row + 2 * (size_t)d, vec_load(in + d));
    }
}

void VEC_FN(kv_store_q8)(void *row, const float *in, uint32_t head_dim)
{
    int8_t *q = row;
    uint8_t *scales = (uint8_t *)row + head_dim;
    for (uint32_t d = 0; d < head_dim; d += OSL_BLOCK_COLS) {
        vec values[32 / VEC_LANES];
        load_block(values, in + d);
        uint16_t half = osl_f16_from_f32(block_scale(values, 127.0f));
        quantize_block(q + d, values, osl_f32_from_f16(half));
        memcpy(scales + d / OSL_BLOCK_COLS * 2, &half, sizeof half);
    }
}

#define SQUARE_SUMS (32 / VEC_LANES)

void VEC_FN(rmsnorm)(float *out, const float *in, const float *gain, uint32_t cols, float eps)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0);
    vec sums[SQUARE_SUMS];
    for (int i = 0; i < SQUARE_SUMS; i++) {
        sums[i] = vec_zero();
    }
    for (uint32_t c = 0; c < cols; c += OSL_BLOCK_COLS) {
        for (int i = 0; i < SQUARE_SUMS; i++) {
            vec value = vec_load(in + c + i * VEC_LANES);
            sums[i] = vec_fma(value, value, sums[i]);
        }
    }
    for (int i = 1; i < SQUARE_SUMS; i++) {
        sums[0] = vec_add(sums[0], sums[i]);
    }
    double mean = (double)vec_sum(sums[0]) / cols;
    vec factor = vec_splat((float)(1.0 / sqrt(mean + (double)eps)));
    for (uint32_t c = 0; c < cols; c += VEC_LANES) {
        vec scaled = vec_mul(vec_load(in + c), factor);
        vec_store(out + c, vec_mul(scaled, vec_load(gain + c)));
    }
}

static inline vec swiglu_lanes(vec g, vec u, vec alpha, vec limit)
{
    vec one = vec_splat(1.0f);
    g = vec_min(limit, g); /* this order keeps NaN */
    u = vec_max(vec_sub(vec_zero(), limit), vec_min(limit, u));
    vec denominator = vec_add(one, vec_exp(vec_sub(vec_zero(), vec_mul(alpha, g))));
    return vec_mul(vec_div(g, denominator), vec_add(u, one));
}

void VEC_FN(swiglu)(float *gate, const float *up, uint32_t n, float alpha, float limit)
{
    vec alphas = vec_splat(alpha);
    vec limits = vec_splat(limit);
    uint32_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES) {
        vec_store(gate + i, swiglu_lanes(vec_load(gate + i), vec_load(up + i), alphas, limits));
    }
    if (i < n) {
        float g[VEC_LANES] = {0.0f};
        float u[VEC_LANES] = {0.0f};
        memcpy(g, gate + i, (n - i) * sizeof *g);
        memcpy(u, up + i, (n - i) * sizeof *u);
        vec_store(g, swiglu_lanes(vec_load(g), vec_load(u), alphas, limits));
        memcpy(gate + i, g, (n - i) * sizeof *g);
    }
}

void VEC_FN(rope)(float *heads_data, uint32_t heads, uint32_t head_dim, const float *cos_row,
                  const float *sin_row)
{
    uint32_t half = head_dim / 2;
    OSL_ASSERT_HOT(half % VEC_LANES == 0);
    for (uint32_t h = 0; h < heads; h++) {
        float *low = heads_data + (size_t)h * head_dim;
        float *high = low + half;
        for (uint32_t i = 0; i < half; i += VEC_LANES) {
            vec a = vec_load(low + i);
            vec b = vec_load(high + i);
            vec cosine = vec_load(cos_row + i);
            vec sine = vec_load(sin_row + i);
            vec_store(low + i, vec_sub(vec_mul(a, cosine), vec_mul(b, sine)));
            vec_store(high + i, vec_add(vec_mul(b, cosine), vec_mul(a, sine)));
        }
    }
}
