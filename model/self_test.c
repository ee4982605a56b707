/* The self-test: every kernel in use against the plain one, on fixed inputs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compute/kernels.h"
#include "ossicle.h"
#include "platform/platform.h"

#define COLS 192u
#define ROWS 37u
#define TOKENS 5u
#define HEAD_DIM 64u
#define GROUP 4u
#define KEYS 128u

/* Activations of 8 bits keep about half a percent of each product, so results may differ from the
 * plain ones by this much of the sum of magnitudes; f32 paths differ by rounding alone. */
#define TOLERANCE_QUANTIZED 0.01f
#define TOLERANCE_F32 1e-4f

struct check {
    const struct osl_kernels *plain;
    const struct osl_kernels *kernels;
    void (*line)(void *user, const char *text, bool pass);
    void *user;
    uint32_t seed;
    bool failed;
    float x[TOKENS * COLS];
    int8_t q[TOKENS * OSL_ACT_ROW_BYTES(COLS)];
    float scale[TOKENS * COLS / OSL_BLOCK_COLS];
    int32_t sum[TOKENS * COLS / OSL_BLOCK_COLS];
    _Alignas(4) uint8_t packed[TOKENS * OSL_PACK_ROW_BYTES(COLS, 2)];
    uint8_t weight[ROWS * COLS * 4];
    float want[TOKENS * COLS], got[TOKENS * COLS];
    _Alignas(64) uint8_t scratch[OSL_MATMUL_SCRATCH_BYTES(COLS)];
    _Alignas(64) uint8_t attend_scratch[OSL_ATTEND_SCRATCH_BYTES];
    uint8_t k[KEYS * HEAD_DIM * 2], v[KEYS * HEAD_DIM * 2];
    float q_heads[TOKENS * GROUP * HEAD_DIM];
    float out_want[TOKENS * GROUP * HEAD_DIM], out_got[TOKENS * GROUP * HEAD_DIM];
};

static uint32_t draw(struct check *c)
{
    c->seed = c->seed * 1664525u + 1013904223u;
    return c->seed >> 8;
}

static float draw_float(struct check *c)
{
    return (float)draw(c) / 8388608.0f - 1.0f;
}

static void report(struct check *c, const char *what, float worst, float tolerance)
{
    bool pass = worst <= tolerance; /* false for NaN */
    c->failed = c->failed || !pass;
    char text[160];
    snprintf(text, sizeof text, "%-10s %-24s worst %.2e of %.0e", c->kernels->name, what,
             (double)worst, (double)tolerance);
    if (c->line != NULL) {
        c->line(c->user, text, pass);
    }
}

/* Largest difference relative to the largest magnitude wanted. */
static float worst_of(const float *got, const float *want, uint32_t count)
{
    float worst = 0.0f, largest = 1e-6f;
    for (uint32_t i = 0; i < count; i++) {
        float difference = fabsf(got[i] - want[i]);
        if (!(difference <= worst)) {
            worst = difference;
        }
        largest = fabsf(want[i]) > largest ? fabsf(want[i]) : largest;
    }
    return worst / largest;
}

static void fill_weight(struct check *c, enum osl_dtype dtype)
{
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, COLS);
    for (uint32_t i = 0; i < ROWS * row_bytes; i++) {
        c->weight[i] = (uint8_t)draw(c);
    }
    uint32_t block = osl_dtype_block_bytes(dtype);
    for (uint64_t at = 0; at < ROWS * row_bytes; at += block) {
        uint8_t *b = c->weight + at;
        if (dtype == OSL_DTYPE_MXFP4) {
            b[0] = (uint8_t)(120 + b[0] % 8);
        } else if (dtype == OSL_DTYPE_Q8_0 || dtype == OSL_DTYPE_F16) {
            b[1] = (uint8_t)(0x20 + b[1] % 16 + (dtype == OSL_DTYPE_F16 ? b[1] & 0x80 : 0));
        } else {
            uint8_t *high = b + block - 1; /* exponents near 1 for F32 and BF16 */
            *high = (uint8_t)(0x3e | (*high & 0x80));
        }
    }
}

/* The inputs as a table's matmul reads them where it packs. */
static struct osl_act pack(struct check *c, uint32_t planes)
{
    uint32_t stride = OSL_PACK_ROW_BYTES(COLS, planes);
    for (uint32_t t = 0; t < TOKENS; t++) {
        c->kernels->pack(c->packed + t * stride, c->x + t * COLS, COLS, planes);
    }
    return (struct osl_act){
        .f32 = c->x, .f32_stride = COLS, .q = (int8_t *)c->packed, .q_stride = stride,
        .planes = planes};
}

static void check_matmul(struct check *c, enum osl_dtype dtype)
{
    fill_weight(c, dtype);
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, COLS);
    const struct osl_act act = {.f32 = c->x,
                                .q = c->q,
                                .scale = c->scale,
                                .sum = c->sum,
                                .f32_stride = COLS,
                                .q_stride = OSL_ACT_ROW_BYTES(COLS),
                                .block_stride = COLS / OSL_BLOCK_COLS};
    float tolerance = c->kernels->quantized[dtype] ? TOLERANCE_QUANTIZED : TOLERANCE_F32;
    char what[48];
    c->plain->matvec[dtype](c->want, c->weight, row_bytes, ROWS, COLS, &act);
    c->kernels->matvec[dtype](c->got, c->weight, row_bytes, ROWS, COLS, &act);
    snprintf(what, sizeof what, "matvec %s", osl_dtype_name(dtype));
    report(c, what, worst_of(c->got, c->want, ROWS), tolerance);
    c->plain->matmul[dtype](c->want, ROWS, c->weight, row_bytes, ROWS, COLS, &act, NULL, TOKENS,
                            c->scratch);
    bool packs = c->kernels->pack != NULL && c->kernels->quantized[dtype];
    for (uint32_t planes = packs ? 2 : 0, left = packs ? 2 : 1; left > 0; left--, planes = 1) {
        const struct osl_act in = packs ? pack(c, planes) : act;
        c->kernels->matmul[dtype](c->got, ROWS, c->weight, row_bytes, ROWS, COLS, &in, NULL,
                                  TOKENS, c->scratch);
        snprintf(what, sizeof what, planes == 1 ? "matmul %s, 8 bits" : "matmul %s",
                 osl_dtype_name(dtype));
        report(c, what, worst_of(c->got, c->want, TOKENS * ROWS), tolerance);
    }
}

static void check_attention(struct check *c, enum osl_kv_type type)
{
    static const float sinks[GROUP] = {0.5f, -1.0f, 2.0f, 0.0f};
    uint32_t row = osl_kv_row_bytes(type, HEAD_DIM);
    for (uint32_t key = 0; key < KEYS; key++) {
        float head[HEAD_DIM];
        for (uint32_t which = 0; which < 2; which++) {
            for (uint32_t i = 0; i < HEAD_DIM; i++) {
                head[i] = draw_float(c);
            }
            c->kernels->kv_store[type]((which ? c->v : c->k) + key * row, head, HEAD_DIM);
        }
    }
    struct osl_attend a = {.q = c->q_heads,
                           .q_stride = GROUP * HEAD_DIM,
                           .out_stride = GROUP * HEAD_DIM,
                           .group = GROUP,
                           .head_dim = HEAD_DIM,
                           .scale = 0.5f,
                           .sinks = sinks,
                           .kv = {c->k, c->v, KEYS, 50}};
    uint32_t floats = TOKENS * GROUP * HEAD_DIM;
    a.out = c->out_want;
    c->plain->attend_prefill[type](&a, KEYS - TOKENS, TOKENS, c->attend_scratch);
    a.out = c->out_got;
    c->kernels->attend_prefill[type](&a, KEYS - TOKENS, TOKENS, c->attend_scratch);
    report(c, type == OSL_KV_F16 ? "attend prefill f16" : "attend prefill q8",
           worst_of(c->out_got, c->out_want, floats), TOLERANCE_QUANTIZED);
    float part[OSL_ATTEND_PART_FLOATS(GROUP, HEAD_DIM)];
    a.out = c->out_want;
    c->plain->attend_part[type](&a, 3, KEYS, part);
    c->plain->attend_merge(&a, part, 1);
    a.out = c->out_got;
    c->kernels->attend_part[type](&a, 3, KEYS, part);
    c->kernels->attend_merge(&a, part, 1);
    report(c, type == OSL_KV_F16 ? "attend decode f16" : "attend decode q8",
           worst_of(c->out_got, c->out_want, GROUP * HEAD_DIM), TOLERANCE_QUANTIZED);
}

static void check_vectors(struct check *c)
{
    float gain[COLS], up[COLS];
    for (uint32_t i = 0; i < COLS; i++) {
        gain[i] = draw_float(c);
        up[i] = 10.0f * draw_float(c);
    }
    c->plain->rmsnorm(c->want, c->x, gain, COLS, 1e-5f);
    c->kernels->rmsnorm(c->got, c->x, gain, COLS, 1e-5f);
    report(c, "rmsnorm", worst_of(c->got, c->want, COLS), TOLERANCE_F32);
    for (uint32_t i = 0; i < COLS; i++) {
        c->want[i] = c->got[i] = 10.0f * c->x[i];
    }
    c->plain->swiglu(c->want, up, COLS, 1.702f, 7.0f);
    c->kernels->swiglu(c->got, up, COLS, 1.702f, 7.0f);
    report(c, "swiglu", worst_of(c->got, c->want, COLS), TOLERANCE_F32);
    float cosines[HEAD_DIM / 2], sines[HEAD_DIM / 2];
    for (uint32_t i = 0; i < HEAD_DIM / 2; i++) {
        cosines[i] = draw_float(c);
        sines[i] = draw_float(c);
    }
    memcpy(c->want, c->x, sizeof(float) * 2 * HEAD_DIM);
    memcpy(c->got, c->x, sizeof(float) * 2 * HEAD_DIM);
    c->plain->rope(c->want, 2, HEAD_DIM, cosines, sines);
    c->kernels->rope(c->got, 2, HEAD_DIM, cosines, sines);
    report(c, "rope", worst_of(c->got, c->want, 2 * HEAD_DIM), TOLERANCE_F32);
}

enum ossicle_status ossicle_self_test(void (*line)(void *user, const char *text, bool pass),
                                      void *user)
{
    static const enum osl_dtype dtypes[] = {OSL_DTYPE_MXFP4, OSL_DTYPE_Q8_0, OSL_DTYPE_BF16,
                                            OSL_DTYPE_F16, OSL_DTYPE_F32};
    const struct osl_kernels *levels[OSL_LEVELS_MAX];
    uint32_t level_count = osl_kernels_list(levels);
    struct check c = {.plain = osl_kernels_find("plain"), .line = line, .user = user};
    for (uint32_t l = 0; l < level_count; l++) {
        c.kernels = levels[l];
        c.seed = 20261121u;
        for (uint32_t i = 0; i < TOKENS * COLS; i++) {
            c.x[i] = draw_float(&c);
        }
        for (uint32_t i = 0; i < TOKENS * GROUP * HEAD_DIM; i++) {
            c.q_heads[i] = draw_float(&c);
        }
        for (uint32_t t = 0; t < TOKENS; t++) {
            uint32_t block = t * COLS / OSL_BLOCK_COLS;
            c.kernels->quantize(c.q + t * OSL_ACT_ROW_BYTES(COLS), c.scale + block, c.sum + block,
                                c.x + t * COLS, COLS);
        }
        for (uint32_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
            check_matmul(&c, dtypes[d]);
        }
        check_attention(&c, OSL_KV_F16);
        check_attention(&c, OSL_KV_Q8);
        check_vectors(&c);
    }
    return c.failed ? OSSICLE_DEVICE : OSSICLE_OK;
}
