/* matvec and matmul of every table and weight type against double precision, and the promise that
 * no result depends on what shares the call. */
#include "kernel_cases.h"

/* f32 rounding only: the reference multiplies the very activations the table reads, so what
 * is left are the roundings of one f32 sum of up to a few thousand terms. Matmul adds in one
 * chain, where the worst case grows with the count; measured below 1e-6. */
#define TOLERANCE 4e-6
/* Quantised activations against f32 ones, in units of one and a half steps at every weight, or of
 * half a step where they are packed; a step more of the larger scale where they are grouped. */
#define QUANTIZED_TOLERANCE 1.02
/* Products of two scales may be subnormal and lose bits; no weight of use is that small. */
#define FLOOR 1e-30

struct expected {
    double value;
    double magnitude; /* sum of |w x| */
    double step;      /* sum of |w| scale times 1.5 or 0.5, what quantising may cost */
};

/* How a kernel reads activations. */
enum reading { READS_F32, READS_QUANTIZED, READS_GROUPED, READS_PACKED };

/* A row of weights on a token's activations as they are read; planes of packed ones. */
static struct expected expect(const float *weight, uint32_t cols, const struct case_act *x,
                              enum reading reading, uint32_t planes, uint32_t token)
{
    struct expected e = {0.0, 0.0, 0.0};
    for (uint32_t c = 0; c < cols; c++) {
        double scale = (double)x->scale[(size_t)token * x->act.block_stride + c / 32];
        double together;
        double value = case_act_value(x, reading == READS_QUANTIZED, token, c);
        double step = 1.5 * scale;
        if (reading == READS_GROUPED) {
            value = case_grouped_value(x, cols, token, c, &together);
            step += together;
        } else if (reading == READS_PACKED) {
            value = case_packed_value(x, planes, token, cols, c);
            step = 0.5 * scale * OSL_ACT_LIMIT / OSL_PACK_LIMIT(planes);
        }
        double term = (double)weight[c] * value;
        e.value += term;
        e.magnitude += fabs(term);
        e.step += fabs((double)weight[c]) * step;
    }
    return e;
}

struct problem {
    const struct osl_kernels *k;
    enum osl_dtype dtype;
    uint32_t rows;
    uint32_t cols;
    uint32_t tokens;
    uint64_t seed;
    uint64_t row_bytes;
    uint8_t *weight; /* odd address for the block types */
    uint8_t *weight_base;
    float *unpacked; /* [rows][cols] */
    struct case_act x;
    uint8_t *scratch;
};

static void problem_make(struct problem *p, const struct osl_kernels *k, enum osl_dtype dtype,
                         uint32_t rows, uint32_t cols, uint32_t tokens)
{
    uint64_t state = rows * 1000003u + cols * 101u + tokens + dtype;
    *p = (struct problem){.k = k, .dtype = dtype, .rows = rows, .cols = cols, .tokens = tokens,
                          .seed = state};
    uint32_t shift = dtype == OSL_DTYPE_MXFP4 ? 1 : dtype == OSL_DTYPE_Q8_0 ? 2 : 0;
    p->row_bytes = osl_dtype_row_bytes(dtype, cols);
    p->weight_base = case_alloc(rows * p->row_bytes + shift);
    p->weight = p->weight_base + shift;
    p->unpacked = case_alloc((size_t)rows * cols * sizeof *p->unpacked);
    for (uint32_t r = 0; r < rows; r++) {
        case_fill_row(p->weight + r * p->row_bytes, dtype, cols, &state);
        osl_dequantize_row(p->unpacked + (size_t)r * cols, p->weight + r * p->row_bytes, dtype,
                           cols);
    }
    case_act_make(&p->x, k, tokens, cols, &state);
    p->scratch = case_alloc(OSL_MATMUL_SCRATCH_BYTES(cols));
}

static void problem_free(struct problem *p)
{
    free(p->weight_base);
    free(p->unpacked);
    free(p->scratch);
    case_act_free(&p->x);
}

/* What matvec reads, or matmul of so many planes. */
static enum reading reading_of(const struct problem *p, const char *op, uint32_t planes)
{
    if (!p->k->quantized[p->dtype]) {
        return READS_F32;
    }
    if (planes > 0) {
        return READS_PACKED;
    }
    return op[3] == 'v' && p->k->grouped[p->dtype] ? READS_GROUPED : READS_QUANTIZED;
}

static void check(const struct problem *p, const char *op, uint32_t planes, uint32_t row,
                  uint32_t token, float got)
{
    enum reading reading = reading_of(p, op, planes);
    const float *weight = p->unpacked + (size_t)row * p->cols;
    struct expected e = expect(weight, p->cols, &p->x, reading, planes, token);
    struct expected exact = expect(weight, p->cols, &p->x, READS_F32, planes, token);
    double slack = reading == READS_F32 ? 0.0 : QUANTIZED_TOLERANCE * e.step;
    if (!(fabs((double)got - e.value) <= TOLERANCE * e.magnitude + FLOOR) ||
        !(fabs((double)got - exact.value) <= slack + TOLERANCE * exact.magnitude + FLOOR)) {
        fail_msg("%s %s, %u planes, %s %ux%u seed %llu row %u token %u: got %.9g, want %.9g "
                 "(f32 %.9g), magnitude %g",
                 p->k->name, op, planes, osl_dtype_name(p->dtype), p->rows, p->cols,
                 (unsigned long long)p->seed, row, token, (double)got, e.value, exact.value,
                 e.magnitude);
    }
}

static void run_matvec(const struct problem *p)
{
    float *out = case_alloc(p->rows * sizeof *out);
    p->k->matvec[p->dtype](out, p->weight, p->row_bytes, p->rows, p->cols, &p->x.act);
    for (uint32_t r = 0; r < p->rows; r++) {
        check(p, "matvec", 0, r, 0, out[r]);
    }
    free(out);
}

/* All tokens of x, in order and in falling order. */
static void run_matmul_planes(const struct problem *p, uint32_t planes)
{
    struct osl_act act = case_act_packed(&p->x, p->cols, planes);
    uint32_t stride = p->rows + 3;
    float *out = case_alloc((size_t)p->tokens * stride * sizeof *out);
    uint32_t *index = case_alloc(p->tokens * sizeof *index);
    for (uint32_t permuted = 0; permuted < 2; permuted++) {
        for (uint32_t t = 0; t < p->tokens; t++) {
            index[t] = permuted ? p->tokens - 1 - t : t;
        }
        memset(out, 0xff, (size_t)p->tokens * stride * sizeof *out);
        p->k->matmul[p->dtype](out, stride, p->weight, p->row_bytes, p->rows, p->cols, &act,
                               permuted ? index : NULL, p->tokens, p->scratch);
        for (uint32_t t = 0; t < p->tokens; t++) {
            for (uint32_t r = 0; r < p->rows; r++) {
                check(p, "matmul", planes, r, index[t], out[(size_t)t * stride + r]);
            }
            for (uint32_t r = p->rows; r < stride; r++) { /* nothing written past the rows */
                assert_int_equal(osl_f32_bits(out[(size_t)t * stride + r]), 0xffffffffu);
            }
        }
    }
    free(out);
    free(index);
}

static void run_matmul(const struct problem *p)
{
    CASE_EACH_PLANES (planes, p->k, p->dtype) {
        run_matmul_planes(p, planes);
    }
}

static void matvec_matches_double_over_shapes(void **state)
{
    static const uint32_t cols[] = {32, 64, 96, 128, 160, 224, 256, 480, 544, 736, 2880};
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            for (uint32_t c = 0; c < sizeof cols / sizeof cols[0]; c++) {
                struct problem p;
                problem_make(&p, k, case_dtypes[d], 1 + c * 3, cols[c], 1);
                run_matvec(&p);
                problem_free(&p);
            }
        }
    }
}

static void matmul_matches_double_over_rows(void **state)
{
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            for (uint32_t rows = 1; rows <= 40; rows++) {
                struct problem p;
                problem_make(&p, k, case_dtypes[d], rows, rows % 2 ? 96 : 160, 3);
                run_matmul(&p);
                problem_free(&p);
            }
        }
    }
}

static void matmul_matches_double_over_tokens(void **state)
{
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            for (uint32_t tokens = 1; tokens <= 27; tokens += tokens < 14 ? 1 : 4) {
                struct problem p;
                problem_make(&p, k, case_dtypes[d], tokens % 2 ? 33 : 64, 32 * (tokens % 5 + 1),
                             tokens);
                run_matmul(&p);
                problem_free(&p);
            }
        }
    }
}

static void matmul_matches_double_at_model_width(void **state)
{
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            struct problem p;
            problem_make(&p, k, case_dtypes[d], 21, 2880, 7);
            run_matmul(&p);
            problem_free(&p);
        }
    }
}

/* Any cut of the rows gives the bits of the whole. */
static void matvec_rows_do_not_depend_on_the_call(void **state)
{
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            struct problem p;
            problem_make(&p, k, case_dtypes[d], 23, 288, 1);
            float whole[23];
            float cut[23];
            k->matvec[p.dtype](whole, p.weight, p.row_bytes, 23, p.cols, &p.x.act);
            for (uint32_t at = 1; at < 23; at++) {
                k->matvec[p.dtype](cut, p.weight, p.row_bytes, at, p.cols, &p.x.act);
                k->matvec[p.dtype](cut + at, p.weight + at * p.row_bytes, p.row_bytes, 23 - at,
                                   p.cols, &p.x.act);
                assert_memory_equal(whole, cut, sizeof whole);
            }
            problem_free(&p);
        }
    }
}

/* Several tokens at once: each gets matvec's bits. The scratch is no larger than promised. */
static void check_tokens(const struct problem *p, uint32_t tokens)
{
    struct osl_act x[8];
    float one[23];
    float all[8][23];
    float *out[8];
    for (uint32_t t = 0; t < tokens; t++) {
        x[t] = p->x.act;
        x[t].f32 += (size_t)t * p->x.act.f32_stride;
        x[t].q += (size_t)t * p->x.act.q_stride;
        x[t].scale += (size_t)t * p->x.act.block_stride;
        x[t].sum += (size_t)t * p->x.act.block_stride;
        out[t] = all[(t * 3 + 1) % 8]; /* in no order */
    }
    void *scratch = case_alloc(OSL_MATVEC_TOKENS_SCRATCH_BYTES(p->cols, tokens));
    p->k->matvec_tokens[p->dtype](out, p->weight, p->row_bytes, p->rows, p->cols, x, tokens,
                                  scratch);
    for (uint32_t t = 0; t < tokens; t++) {
        p->k->matvec[p->dtype](one, p->weight, p->row_bytes, p->rows, p->cols, &x[t]);
        assert_memory_equal(one, out[t], p->rows * sizeof(float));
    }
    free(scratch);
}

static void matvec_of_tokens_gives_each_its_bits(void **state)
{
    static const uint32_t cols[] = {32, 64, 96, 128, 160, 512, 544, 992, 2880};
    static const uint32_t rows[] = {1, 16, 23};
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            for (uint32_t c = 0; k->matvec_tokens[case_dtypes[d]] != NULL && c < 9; c++) {
                struct problem p;
                problem_make(&p, k, case_dtypes[d], rows[c % 3], cols[c], 8);
                for (uint32_t tokens = 2; tokens <= 8; tokens++) {
                    check_tokens(&p, tokens);
                }
                problem_free(&p);
            }
        }
    }
}

enum { CUT_ROWS = 53, CUT_TOKENS = 15 };

static void matmul_cut(const struct problem *p, uint32_t planes)
{
    static float whole[CUT_TOKENS][CUT_ROWS];
    static float cut[CUT_TOKENS][CUT_ROWS];
    struct osl_act act = case_act_packed(&p->x, p->cols, planes);
    osl_matmul_fn *matmul = p->k->matmul[p->dtype];
    matmul(whole[0], CUT_ROWS, p->weight, p->row_bytes, CUT_ROWS, p->cols, &act, NULL, CUT_TOKENS,
           p->scratch);
    for (uint32_t at = 1; at < CUT_ROWS; at += 3) {
        matmul(cut[0], CUT_ROWS, p->weight, p->row_bytes, at, p->cols, &act, NULL, CUT_TOKENS,
               p->scratch);
        matmul(cut[0] + at, CUT_ROWS, p->weight + at * p->row_bytes, p->row_bytes, CUT_ROWS - at,
               p->cols, &act, NULL, CUT_TOKENS, p->scratch);
        assert_memory_equal(whole, cut, sizeof whole);
    }
    uint32_t index[CUT_TOKENS];
    for (uint32_t t = 0; t < CUT_TOKENS; t++) {
        index[t] = t;
    }
    for (uint32_t at = 1; at < CUT_TOKENS; at++) {
        matmul(cut[0], CUT_ROWS, p->weight, p->row_bytes, CUT_ROWS, p->cols, &act, NULL, at,
               p->scratch);
        matmul(cut[at], CUT_ROWS, p->weight, p->row_bytes, CUT_ROWS, p->cols, &act, index + at,
               CUT_TOKENS - at, p->scratch);
        assert_memory_equal(whole, cut, sizeof whole);
    }
}

/* Any cut of rows and of tokens, at every place, gives the bits of the whole. */
static void matmul_results_do_not_depend_on_the_call(void **state)
{
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            struct problem p;
            problem_make(&p, k, case_dtypes[d], CUT_ROWS, 224, CUT_TOKENS);
            CASE_EACH_PLANES (planes, k, p.dtype) {
                matmul_cut(&p, planes);
            }
            problem_free(&p);
        }
    }
}

/* The scale 255 shows in its row, whatever the scales beside it, and in no other. */
static void scale_that_is_no_number_shows_in_its_row(void **state)
{
    static const uint8_t beside[] = {0, 127, 252, 253, 254, 255};
    CASE_EACH_TABLE (k) {
        for (uint32_t place = 0; place < 5 * sizeof beside; place++) {
            struct problem p;
            float out[3];
            problem_make(&p, k, OSL_DTYPE_MXFP4, 3, 160, 1);
            for (uint32_t c = 0; c < 160; c++) {
                p.x.f32[c] *= 1e-20f; /* what is a number stays one */
            }
            case_act_again(&p.x, k, 0, 160);
            for (uint32_t b = 0; b < 5; b++) {
                p.weight[p.row_bytes + b * 17] = b == place % 5 ? 255 : beside[place / 5];
            }
            k->matvec[p.dtype](out, p.weight, p.row_bytes, 3, 160, &p.x.act);
            assert_true(isfinite(out[0]) && !isfinite(out[1]) && isfinite(out[2]));
            problem_free(&p);
        }
    }
}

/* Blocks of zeros, on either side, give exact zeros, not NaN. */
static void zero_weights_and_zero_activations_give_zero(void **state)
{
    CASE_EACH_TABLE (k) {
        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            for (uint32_t side = 0; side < 2; side++) {
                struct problem p;
                float out[2 * 5];
                problem_make(&p, k, case_dtypes[d], 5, 96, 2);
                if (side == 0) {
                    memset(p.weight, 0, 5 * p.row_bytes);
                } else {
                    memset(p.x.f32, 0, 2 * (size_t)p.x.act.f32_stride * sizeof *p.x.f32);
                    case_act_again(&p.x, k, 0, 96);
                    case_act_again(&p.x, k, 1, 96);
                }
                k->matvec[p.dtype](out, p.weight, p.row_bytes, 5, 96, &p.x.act);
                for (uint32_t r = 0; r < 5; r++) {
                    if (out[r] != 0.0f) {
                        fail_msg("%s %s side %u: %g", k->name, osl_dtype_name(p.dtype), side,
                                 (double)out[r]);
                    }
                }
                CASE_EACH_PLANES (planes, k, p.dtype) {
                    struct osl_act act = case_act_packed(&p.x, 96, planes);
                    k->matmul[p.dtype](out, 5, p.weight, p.row_bytes, 5, 96, &act, NULL, 2,
                                       p.scratch);
                    for (uint32_t r = 0; r < 10; r++) {
                        assert_true(out[r] == 0.0f);
                    }
                }
                problem_free(&p);
            }
        }
    }
}

/* The lowest scale bytes are subnormal as f32, and half of them more so: large activations bring
 * the results back to where they can be compared. */
static void mxfp4_smallest_scales_count(void **state)
{
    CASE_EACH_TABLE (k) {
        struct problem p;
        float out[2 * 4];
        problem_make(&p, k, OSL_DTYPE_MXFP4, 4, 160, 2);
        for (uint32_t r = 0; r < 4; r++) {
            for (uint32_t block = 0; block < 5; block++) {
                p.weight[r * p.row_bytes + block * 17] = (uint8_t)(r == 3 ? block % 3 : r);
            }
            osl_dequantize_row(p.unpacked + r * 160, p.weight + r * p.row_bytes, p.dtype, 160);
        }
        for (uint32_t t = 0; t < 2; t++) {
            float *row = p.x.f32 + (size_t)t * p.x.act.f32_stride;
            for (uint32_t c = 0; c < 160; c++) {
                row[c] *= 1e30f;
            }
            case_act_again(&p.x, k, t, 160);
        }
        k->matvec[p.dtype](out, p.weight, p.row_bytes, 4, 160, &p.x.act);
        for (uint32_t r = 0; r < 4; r++) {
            check(&p, "matvec", 0, r, 0, out[r]);
        }
        CASE_EACH_PLANES (planes, k, p.dtype) {
            struct osl_act act = case_act_packed(&p.x, 160, planes);
            k->matmul[p.dtype](out, 4, p.weight, p.row_bytes, 4, 160, &act, NULL, 2, p.scratch);
            for (uint32_t r = 0; r < 8; r++) {
                check(&p, "matmul", planes, r % 4, r / 4, out[r]);
            }
        }
        problem_free(&p);
    }
}

/* A broken scale or activation is seen, never turned into a number. */
static void nan_and_broken_scales_show(void **state)
{
    CASE_EACH_TABLE (k) {
        struct problem p;
        float out[5];
        problem_make(&p, k, OSL_DTYPE_MXFP4, 5, 96, 1);
        p.weight[2 * p.row_bytes + 17] = 255;
        k->matvec[p.dtype](out, p.weight, p.row_bytes, 5, 96, &p.x.act);
        assert_true(isfinite(out[1]) && !isfinite(out[2]) && isfinite(out[3]));
        CASE_EACH_PLANES (planes, k, p.dtype) {
            struct osl_act act = case_act_packed(&p.x, 96, planes);
            k->matmul[p.dtype](out, 5, p.weight, p.row_bytes, 5, 96, &act, NULL, 1, p.scratch);
            assert_true(isfinite(out[1]) && !isfinite(out[2]) && isfinite(out[3]));
        }
        problem_free(&p);

        for (uint32_t d = 0; d < CASE_DTYPES; d++) {
            problem_make(&p, k, case_dtypes[d], 5, 96, 1);
            p.x.f32[40] = NAN;
            case_act_again(&p.x, k, 0, 96);
            k->matvec[p.dtype](out, p.weight, p.row_bytes, 5, 96, &p.x.act);
            assert_true(isnan(out[0]) && isnan(out[4]));
            CASE_EACH_PLANES (planes, k, p.dtype) {
                struct osl_act act = case_act_packed(&p.x, 96, planes);
                k->matmul[p.dtype](out, 5, p.weight, p.row_bytes, 5, 96, &act, NULL, 1, p.scratch);
                assert_true(isnan(out[0]) && isnan(out[4]));
            }
            problem_free(&p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matvec_matches_double_over_shapes),
        cmocka_unit_test(matmul_matches_double_over_rows),
        cmocka_unit_test(matmul_matches_double_over_tokens),
        cmocka_unit_test(matmul_matches_double_at_model_width),
        cmocka_unit_test(matvec_rows_do_not_depend_on_the_call),
        cmocka_unit_test(matvec_of_tokens_gives_each_its_bits),
        cmocka_unit_test(matmul_results_do_not_depend_on_the_call),
        cmocka_unit_test(scale_that_is_no_number_shows_in_its_row),
        cmocka_unit_test(zero_weights_and_zero_activations_give_zero),
        cmocka_unit_test(mxfp4_smallest_scales_count),
        cmocka_unit_test(nan_and_broken_scales_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
