/* MXFP4 matvec in groups of four blocks, for one token and for several, shared by the levels with
 * sdot, which differ in how they multiply.
 *
 * A block's 64 products of integers take four sdots and its nibbles four instructions more; what
 * decides is what comes after them. So four blocks become one integer before anything is f32:
 *  - the weights' scales are powers of two and neighbours rarely differ by much: within a group
 *    they are in the table that nibbles are looked up in, which is there four times, each twice
 *    the one before. Where they differ by more the group's blocks are added one by one;
 *  - the activations are brought to one scale for a group before the first row: 16 bits per 128.
 * Two rows are taken at once, as two lanes of a vector. A row's numbers come of its own groups in
 * rising order, whatever its neighbour and however many tokens there are; integers are exact, so
 * every level gives the same bits. */
#ifndef OSL_MATVEC_GROUP_NEON_H
#define OSL_MATVEC_GROUP_NEON_H

#include "platform/platform.h"

#include "neon.h"
#include "unroll.h"

#define GROUP_BLOCKS OSL_ACT_GROUP
#define GROUP_BYTES (GROUP_BLOCKS * OSL_MXFP4_BLOCK_BYTES)
#define GROUPS_MAX (OSL_COLS_MAX / OSL_BLOCK_COLS / GROUP_BLOCKS)
#define TABLES 4 /* 12 << 3 is the largest that fits int8 */

/* A block of activations is eight pieces: of the high plane, then of the low one. A token stands
 * alone, or beside another, whose pieces and its own then take turns. */
#define PIECES 8
#define PIECE_BYTES 8
#define ALONE PIECE_BYTES
#define BESIDE (2 * PIECE_BYTES)
#define GROUP_TOKENS 8 /* most */

/* The activations of a call, brought to groups. */
struct group_act {
    const int8_t *q;
    size_t q_stride;     /* between tokens, or pairs of them */
    const float *scale;  /* each twice, for the lanes of two rows */
    size_t scale_stride; /* between tokens */
};

static const int8x16_t group_tables[TABLES] = {
    {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12},
    {0, 2, 4, 6, 8, 12, 16, 24, 0, -2, -4, -6, -8, -12, -16, -24},
    {0, 4, 8, 12, 16, 24, 32, 48, 0, -4, -8, -12, -16, -24, -32, -48},
    {0, 8, 16, 24, 32, 48, 64, 96, 0, -8, -16, -24, -32, -48, -64, -96},
};

/* Compilers would make the offset by an instruction of its own, of which a cycle takes but four. */
OSL_NEON_INLINE int8x16_t group_table(uint32_t index)
{
    int8x16_t table;
    __asm__("ldr %q0, [%1, %w2, uxtw 4]" : "=w"(table) : "r"(group_tables), "r"(index));
    return table;
}

/* ---- Activations ------------------------------------------------------------------------- */

/* Floats of a token's scales. */
OSL_NEON_INLINE size_t group_scales(uint32_t blocks)
{
    return (size_t)(blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS * 2;
}

/* The scale of `count` blocks together, and each block's own as so many 32768ths of the
 * whole: 32767 is the largest. Where the scale is 0 or NaN they are all 0. */
OSL_NEON_INLINE float group_scale(const float *scale, uint32_t count, int16_t part[GROUP_BLOCKS])
{
    float own[GROUP_BLOCKS] = {0};
    memcpy(own, scale, count * sizeof *scale);
    float32x4_t each = vld1q_f32(own);
    float most = vmaxvq_f32(each); /* NaN if one is */
    float32x4_t parts = vmulq_n_f32(vdivq_f32(each, vdupq_n_f32(most)), 32767.0f);
    vst1_s16(part, vmovn_s32(vcvtnq_s32_f32(parts))); /* NaN becomes 0 */
    return most * (32768.0f / 32767.0f);
}

/* Sixteen integers of two planes, of which `part` is the scale, at the group's. */
OSL_NEON_INLINE void regroup(int8x16_t *high, int8x16_t *low, int16_t part)
{
    int16x8_t even = vreinterpretq_s16_s8(vzip1q_s8(vdupq_n_s8(0), *high));
    int16x8_t odd = vreinterpretq_s16_s8(vzip2q_s8(vdupq_n_s8(0), *high));
    even = vqrdmulhq_n_s16(vaddw_s8(even, vget_low_s8(*low)), part);
    odd = vqrdmulhq_n_s16(vaddw_high_s8(odd, *low), part);
    *high = vrshrn_high_n_s16(vrshrn_n_s16(even, 8), odd, 8);
    *low = vmovn_high_s16(vmovn_s16(even), odd);
}

/* One token's activations in groups. Pieces of eight bytes are `step` apart: 8, or 16 beside
 * another token's. */
OSL_NEON_INLINE void group_token(int8_t *q, float *scale, const struct osl_act *x, uint32_t blocks,
                                 const uint32_t step)
{
    for (uint32_t first = 0; first < blocks; first += GROUP_BLOCKS) {
        int16_t part[GROUP_BLOCKS];
        uint32_t count = blocks - first < GROUP_BLOCKS ? blocks - first : GROUP_BLOCKS;
        scale[0] = scale[1] = group_scale(x->scale + first, count, part);
        scale += 2;
        for (uint32_t b = 0; b < count; b++) {
            const int8_t *from = x->q + (size_t)(first + b) * OSL_ACT_BLOCK_BYTES;
            for (uint32_t i = 0; i < 2; i++, q += 2 * step) {
                int8x16_t high = vld1q_s8(from + 16 * i);
                int8x16_t low = vld1q_s8(from + OSL_BLOCK_COLS + 16 * i);
                regroup(&high, &low, part[b]);
                vst1_s8(q, vget_low_s8(high));
                vst1_s8(q + step, vget_high_s8(high));
                vst1_s8(q + 4 * step, vget_low_s8(low));
                vst1_s8(q + 5 * step, vget_high_s8(low));
            }
            q += 4 * step;
        }
    }
}

/* ---- Groups that are not as they should be ------------------------------------------------ */

OSL_NEON_INLINE void unpack(int8x16_t weight[2], const uint8_t *block, int8x16_t table)
{
    uint8x16_t nibbles = vld1q_u8(block + 1);
    weight[0] = vqtbl1q_s8(table, vandq_u8(nibbles, vdupq_n_u8(15)));
    weight[1] = vqtbl1q_s8(table, vshrq_n_u8(nibbles, 4));
}

/* Sixteen bytes of a token's activations. */
OSL_NEON_INLINE int8x16_t x_piece(const int8_t *q, uint32_t step, uint32_t piece)
{
    q += (size_t)piece * 2 * step;
    return vcombine_s8(vld1_s8(q), vld1_s8(q + step));
}

/* The exact product of a block. */
OSL_NEON_INLINE int32_t block_product(const uint8_t *block, int8x16_t table, const int8_t *q,
                                      uint32_t step)
{
    int8x16_t weight[2];
    unpack(weight, block, table);
    int32x4_t sum = vdupq_n_s32(0);
    sum = vdotq_s32(sum, weight[0], x_piece(q, step, 0));
    sum = vdotq_s32(sum, weight[1], x_piece(q, step, 1));
    sum = vshlq_n_s32(sum, 8);
    sum = vdotq_s32(sum, weight[0], x_piece(q, step, 2));
    sum = vdotq_s32(sum, weight[1], x_piece(q, step, 3));
    return vaddvq_s32(sum);
}

OSL_NEON_INLINE uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Which table each block of a group takes, counted from the least of their scales. All are below
 * TABLES, as is what is returned, where the blocks fit. A scale of 255 is NaN, not a power: from
 * 252 on, of which it could be a neighbour, nothing fits. */
OSL_NEON_INLINE uint32_t choose_tables(uint32_t table[GROUP_BLOCKS], uint32_t *least_out,
                                       const uint8_t *row)
{
    const size_t next = OSL_MXFP4_BLOCK_BYTES;
    uint32_t least = lesser(lesser(row[0], row[next]), lesser(row[2 * next], row[3 * next]));
    uint32_t all = (least + 4u) >> 6;
    OSL_UNROLL
    for (uint32_t b = 0; b < GROUP_BLOCKS; b++) {
        table[b] = row[b * next] - least;
        all |= table[b];
    }
    *least_out = least;
    return all;
}

/* acc + one group of one row, or the `count` blocks at the end of it, with any scales. */
__attribute__((noinline)) static float dotprod_add_any(float acc, const uint8_t *row,
                                                       uint32_t count, const int8_t *q,
                                                       uint32_t step, float scale)
{
    uint32_t table[GROUP_BLOCKS], least = 0;
    bool together = count == GROUP_BLOCKS && choose_tables(table, &least, row) < TABLES;
    int32_t sum = 0;
    for (uint32_t b = 0; b < count; b++, q += PIECES * step) {
        const uint8_t *block = row + (size_t)b * OSL_MXFP4_BLOCK_BYTES;
        int32_t product = block_product(block, group_tables[together ? table[b] : 0], q, step);
        sum += product;
        if (!together) {
            acc = __builtin_fmaf((float)product, osl_neon_e8m0_half(block[0]) * scale, acc);
        }
    }
    return together ? __builtin_fmaf((float)sum, osl_neon_e8m0_half((uint8_t)least) * scale, acc)
                    : acc;
}

/* The same. Cold, so that the compiler moves what calls it out of the way of what does not. */
__attribute__((noinline, cold)) static float dotprod_add_rare(float acc, const uint8_t *row,
                                                              uint32_t count, const int8_t *q,
                                                              uint32_t step, float scale)
{
    return dotprod_add_any(acc, row, count, q, step, scale);
}

/* ---- The walk ---------------------------------------------------------------------------- */

/* The integer sums of a group of two rows: lanes 0 and 1 of sum[t] are token t's. */
typedef void group_sums_fn(int32x2_t *sum, const uint32_t tokens, const uint8_t *const row[2],
                           uint32_t table[2][GROUP_BLOCKS], const int8_t *q, size_t q_stride);

/* Where token t's activations are, of those that stand alone or in pairs. */
OSL_NEON_INLINE const int8_t *token_at(const int8_t *q, size_t q_stride, uint32_t t, uint32_t step)
{
    return step == ALONE ? q + t * q_stride : q + t / 2 * q_stride + t % 2 * PIECE_BYTES;
}

OSL_NEON_INLINE void add_any(float32x2_t *acc, const uint32_t tokens, const uint32_t step,
                             const uint8_t *const row[2], uint32_t count, const int8_t *q,
                             const float *scale, const struct group_act *x)
{
    OSL_UNROLL
    for (uint32_t t = 0; t < tokens; t++) {
        const int8_t *at = token_at(q, x->q_stride, t, step);
        float factor = scale[t * x->scale_stride];
        float sum[2] = {vget_lane_f32(acc[t], 0), vget_lane_f32(acc[t], 1)};
        sum[0] = dotprod_add_rare(sum[0], row[0], count, at, step, factor);
        sum[1] = dotprod_add_rare(sum[1], row[1], count, at, step, factor);
        acc[t] = vld1_f32(sum);
    }
}

/* Two rows times `tokens` tokens, a constant. */
OSL_NEON_INLINE void rows_dot(group_sums_fn *group_sums, const uint32_t tokens, const uint32_t step,
                              float32x2_t *acc, const uint8_t *first, const uint8_t *second,
                              uint32_t blocks, const struct group_act *x)
{
    const uint8_t *row[2] = {first, second};
    const int8_t *q = x->q;
    const float *scale = x->scale;
    OSL_UNROLL
    for (uint32_t t = 0; t < tokens; t++) {
        acc[t] = vdup_n_f32(0.0f);
    }
    for (; blocks >= GROUP_BLOCKS; blocks -= GROUP_BLOCKS) {
        __builtin_prefetch(row[0] + OSL_NEON_PREFETCH_BYTES); /* a group is about a cache line */
        __builtin_prefetch(row[1] + OSL_NEON_PREFETCH_BYTES);
        uint32_t table[2][GROUP_BLOCKS], least[2];
        uint32_t most =
            choose_tables(table[0], &least[0], row[0]) | choose_tables(table[1], &least[1], row[1]);
        if (__builtin_expect(most < TABLES, true)) {
            int32x2_t sum[GROUP_TOKENS];
            group_sums(sum, tokens, row, table, q, x->q_stride);
            float32x2_t weight = vcreate_f32(osl_neon_e8m0_half_bits[least[0]] |
                                             (uint64_t)osl_neon_e8m0_half_bits[least[1]] << 32);
            OSL_UNROLL
            for (uint32_t t = 0; t < tokens; t++) {
                float32x2_t factor = vmul_f32(weight, vld1_f32(scale + t * x->scale_stride));
                acc[t] = vfma_f32(acc[t], vcvt_f32_s32(sum[t]), factor);
            }
        } else {
            add_any(acc, tokens, step, row, GROUP_BLOCKS, q, scale, x);
        }
        row[0] += GROUP_BYTES;
        row[1] += GROUP_BYTES;
        q += (size_t)GROUP_BLOCKS * PIECES * step;
        scale += 2;
    }
    if (blocks > 0) {
        add_any(acc, tokens, step, row, blocks, q, scale, x);
    }
}

/* All rows, two by two; the last may stand alone. */
OSL_NEON_INLINE void all_rows(group_sums_fn *group_sums, const uint32_t tokens, const uint32_t step,
                              float *const *out, const uint8_t *weight, uint64_t row_bytes,
                              uint32_t from, uint32_t to, uint32_t blocks,
                              const struct group_act *x)
{
    for (uint32_t r = from; r < to; r += 2) {
        const uint8_t *row = weight + r * row_bytes;
        float32x2_t acc[GROUP_TOKENS];
        bool both = r + 1 < to;
        rows_dot(group_sums, tokens, step, acc, row, both ? row + row_bytes : row, blocks, x);
        OSL_UNROLL
        for (uint32_t t = 0; t < tokens; t++) {
            out[t][r] = vget_lane_f32(acc[t], 0);
            if (both) {
                out[t][r + 1] = vget_lane_f32(acc[t], 1);
            }
        }
    }
}

#endif
