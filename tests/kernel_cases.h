/* What the tests of kernels share: seeded numbers, weights in every type with awkward scales, and
 * activations as a table wants them. Memory is allocated to size, so that ASan sees any reach. */
#ifndef OSL_TESTS_KERNEL_CASES_H
#define OSL_TESTS_KERNEL_CASES_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/cpu/half.h"
#include "compute/kernels.h"

static const enum osl_dtype case_dtypes[] = {OSL_DTYPE_F32, OSL_DTYPE_F16, OSL_DTYPE_BF16,
                                             OSL_DTYPE_Q8_0, OSL_DTYPE_MXFP4};
#define CASE_DTYPES (sizeof case_dtypes / sizeof case_dtypes[0])

/* splitmix64: one state, any seed. */
static inline uint64_t case_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [-1, 1). */
static inline float case_float(uint64_t *state)
{
    return (float)((double)(int64_t)case_random(state) * 0x1p-63);
}

static inline void *case_alloc(size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, bytes > 0 ? bytes : 1), 0);
    memset(memory, 0xff, bytes); /* NaN as f32 and f16 */
    return memory;
}

static inline float *case_floats(size_t count, float range, uint64_t *state)
{
    float *out = case_alloc(count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        out[i] = case_float(state) * range;
    }
    return out;
}

/* Random rows. Blocks of the block types have scales from zero over tiny to large, and the lowest
 * and highest quants; in half of the rows of MXFP4 the scales are near one another. */
static inline void case_fill_row(uint8_t *row, enum osl_dtype dtype, uint32_t cols,
                                 uint64_t *state)
{
    uint64_t bytes = osl_dtype_row_bytes(dtype, cols);
    bool near = case_random(state) % 2 == 0;
    for (uint64_t i = 0; i < bytes; i++) {
        row[i] = (uint8_t)case_random(state);
    }
    for (uint32_t c = 0; c < cols; c++) {
        float value = case_float(state);
        uint16_t half = osl_f16_from_f32(value);
        uint32_t bits = osl_f32_bits(value);
        switch (dtype) {
        case OSL_DTYPE_F32:
            memcpy(row + 4 * (size_t)c, &value, 4);
            break;
        case OSL_DTYPE_F16:
            memcpy(row + 2 * (size_t)c, &half, 2);
            break;
        case OSL_DTYPE_BF16:
            row[2 * (size_t)c] = (uint8_t)(bits >> 16);
            row[2 * (size_t)c + 1] = (uint8_t)(bits >> 24);
            break;
        case OSL_DTYPE_Q8_0:
            if (c % 32 == 0) {
                static const float scales[6] = {0.01f, 0.0f, 0x1p-24f, -0.02f, 0.005f, 3.0f};
                half = osl_f16_from_f32(scales[case_random(state) % 6]);
                memcpy(row + c / 32 * 34, &half, 2);
                row[c / 32 * 34 + 2 + case_random(state) % 32] = 0x80; /* -128 */
            }
            break;
        case OSL_DTYPE_MXFP4:
            if (c % 32 == 0) {
                static const uint8_t scales[6] = {120, 0, 1, 127, 123, 131};
                uint64_t draw = case_random(state);
                row[c / 32 * 17] = near ? (uint8_t)(122 + draw % 3) : scales[draw % 6];
            }
            break;
        }
    }
}

/* `tokens` rows of activations with everything a table may want, rows apart by odd gaps. */
struct case_act {
    struct osl_act act;
    float *f32;
    int8_t *q;
    float *scale;
    int32_t *sum;
    uint8_t *packed[3]; /* by planes, where the table packs */
    bool pack_signed;
    bool pack_words;
};

/* Packed rows are apart by an odd number of words. */
static inline uint32_t case_pack_stride(uint32_t cols, uint32_t planes)
{
    return OSL_PACK_ROW_BYTES(cols, planes) + 12;
}

/* Quantises a row of activations again, in every format. */
static inline void case_act_again(struct case_act *x, const struct osl_kernels *k, uint32_t token,
                                  uint32_t cols)
{
    const float *row = x->f32 + (size_t)token * x->act.f32_stride;
    size_t block = (size_t)token * x->act.block_stride;
    k->quantize(x->q + token * (size_t)x->act.q_stride, x->scale + block, x->sum + block, row,
                cols);
    for (uint32_t planes = 1; k->pack != NULL && planes <= 2; planes++) {
        k->pack(x->packed[planes] + token * (size_t)case_pack_stride(cols, planes), row, cols,
                planes);
    }
}

/* As matmul reads them: with planes, packed. */
static inline struct osl_act case_act_packed(const struct case_act *x, uint32_t cols,
                                             uint32_t planes)
{
    struct osl_act act = x->act;
    if (planes > 0) {
        act.q = (const int8_t *)x->packed[planes];
        act.q_stride = case_pack_stride(cols, planes);
        act.scale = NULL;
        act.sum = NULL;
        act.planes = planes;
    }
    return act;
}

static inline void case_act_make(struct case_act *x, const struct osl_kernels *k, uint32_t tokens,
                                 uint32_t cols, uint64_t *state)
{
    uint32_t blocks = cols / 32;
    x->act = (struct osl_act){.f32_stride = cols + 5,
                              .q_stride = OSL_ACT_ROW_BYTES(cols) + 7,
                              .block_stride = blocks + 3};
    x->f32 = case_alloc(tokens * (size_t)x->act.f32_stride * sizeof *x->f32);
    x->q = case_alloc(tokens * (size_t)x->act.q_stride);
    x->scale = case_alloc(tokens * (size_t)x->act.block_stride * sizeof *x->scale);
    x->sum = case_alloc(tokens * (size_t)x->act.block_stride * sizeof *x->sum);
    x->pack_signed = k->pack_signed;
    x->pack_words = k->pack_words;
    for (uint32_t planes = 1; planes <= 2; planes++) {
        x->packed[planes] = case_alloc(tokens * (size_t)case_pack_stride(cols, planes));
    }
    for (uint32_t t = 0; t < tokens; t++) {
        float *row = x->f32 + (size_t)t * x->act.f32_stride;
        for (uint32_t c = 0; c < cols; c++) {
            row[c] = case_float(state) * (c % 96 < 32 ? 1.0f : 30.0f);
        }
        for (uint32_t c = 0; c < 32 && t % 3 == 1; c++) {
            row[c] = 0.0f; /* a block of zeros */
        }
        case_act_again(x, k, t, cols);
    }
    x->act.f32 = x->f32;
    x->act.q = x->q;
    x->act.scale = x->scale;
    x->act.sum = x->sum;
}

static inline void case_act_free(struct case_act *x)
{
    free(x->f32);
    free(x->q);
    free(x->scale);
    free(x->sum);
    free(x->packed[1]);
    free(x->packed[2]);
}

/* The integer of element c of a quantised row. */
static inline int32_t case_act_integer(const int8_t *q, uint32_t c)
{
    const int8_t *block = q + (size_t)(c / 32) * OSL_ACT_BLOCK_BYTES;
    return 256 * block[c % 32] + block[32 + c % 32];
}

/* The scale of element c's group, and its value at that, as a table's matvec that groups has them:
 * a block's share of the scale in 32768ths, 32767 for the largest; products rounded half up. */
static inline double case_grouped_value(const struct case_act *x, uint32_t cols, uint32_t token,
                                        uint32_t c, double *scale_out)
{
    const float *scale = x->scale + (size_t)token * x->act.block_stride;
    uint32_t first = c / 32 / OSL_ACT_GROUP * OSL_ACT_GROUP;
    float most = 0.0f;
    for (uint32_t b = first; b < first + OSL_ACT_GROUP && b < cols / 32; b++) {
        most = scale[b] > most ? scale[b] : most;
    }
    float together = most * (32768.0f / 32767.0f);
    *scale_out = (double)together;
    if (most == 0.0f) {
        return 0.0;
    }
    int32_t share = (int32_t)rintf(scale[c / 32] / most * 32767.0f);
    int32_t integer = case_act_integer(x->q + (size_t)token * x->act.q_stride, c);
    return (double)((integer * share + 16384) >> 15) * (double)together;
}

/* One value of activation as the table multiplies it. */
static inline double case_act_value(const struct case_act *x, bool quantized, uint32_t token,
                                    uint32_t c)
{
    if (!quantized) {
        return (double)x->f32[(size_t)token * x->act.f32_stride + c];
    }
    return (double)case_act_integer(x->q + (size_t)token * x->act.q_stride, c) *
           (double)x->scale[(size_t)token * x->act.block_stride + c / 32];
}

/* The same of a packed row: kernels.h gives the format. */
static inline double case_packed_value(const struct case_act *x, uint32_t planes, uint32_t token,
                                       uint32_t cols, uint32_t c)
{
    const uint8_t *block = x->packed[planes] + token * (size_t)case_pack_stride(cols, planes) +
                           (size_t)(c / 32) * OSL_PACK_BLOCK_BYTES(planes);
    float scale;
    memcpy(&scale, block, sizeof scale);
    if (planes == 2 && x->pack_words) {
        int16_t word;
        memcpy(&word, block + 4 + 2 * (size_t)(c % 32), sizeof word);
        return (double)word * (double)scale;
    }
    const uint8_t *high = block + 4 + c % 32;
    const uint8_t *low = high + 32;
    int32_t integer;
    if (x->pack_signed) {
        integer = planes == 2 ? 256 * (int8_t)*high + (int8_t)*low : (int8_t)*high;
    } else {
        integer = planes == 2 ? 256 * *high + *low - 32768 : *high - 128;
    }
    return (double)integer * (double)scale;
}

static inline bool case_packs(const struct osl_kernels *k, enum osl_dtype dtype)
{
    return k->pack != NULL && k->quantized[dtype];
}

/* Runs body for what a matmul reads: 2 planes and 1 where the table packs, else 0. */
#define CASE_EACH_PLANES(planes, k, dtype)                                                \
    for (uint32_t planes = case_packs(k, dtype) ? 2 : 0, case_left = planes > 0 ? 2 : 1;  \
         case_left > 0; case_left--, planes--)

/* Runs body for every table of this machine. */
#define CASE_EACH_TABLE(k)                                                                \
    const struct osl_kernels *case_tables[OSL_LEVELS_MAX];                                \
    uint32_t case_table_count = osl_kernels_list(case_tables);                            \
    const struct osl_kernels *k = case_tables[0];                                         \
    for (uint32_t case_i = 0; case_i < case_table_count && (k = case_tables[case_i], 1); case_i++)

#endif
