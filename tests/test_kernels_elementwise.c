/* quantize, rmsnorm, swiglu, rope and kv_store of every table against double precision. */
#include <float.h>

#include "kernel_cases.h"

/* A few f32 roundings; the vector exp is good to 1.5e-7. */
#define TOLERANCE 1e-6

static void close_to(const char *table, const char *op, uint32_t i, float got, double want,
                     double magnitude)
{
    if (!(fabs((double)got - want) <= TOLERANCE * magnitude)) {
        fail_msg("%s %s element %u: got %.9g, want %.9g", table, op, i, (double)got, want);
    }
}

/* ---- quantize ---------------------------------------------------------------------------- */

static void check_quantized(const struct osl_kernels *k, const float *x, uint32_t cols)
{
    int8_t q[OSL_ACT_ROW_BYTES(512)];
    float scale[16];
    int32_t sum[16];
    int8_t q_plain[OSL_ACT_ROW_BYTES(512)];
    float scale_plain[16];
    int32_t sum_plain[16];
    k->quantize(q, scale, sum, x, cols);
    for (uint32_t b = 0; b < cols / 32; b++) {
        double most = 0.0;
        int32_t total = 0;
        for (uint32_t i = b * 32; i < b * 32 + 32; i++) {
            most = fmax(most, fabs((double)x[i]));
            total += case_act_integer(q, i);
            assert_true(q[2 * i - i % 32] >= -127 && q[2 * i - i % 32 + 32] >= -127);
        }
        assert_int_equal(sum[b], total);
        close_to(k->name, "quantize scale", b, scale[b], most / OSL_ACT_LIMIT,
                 most / OSL_ACT_LIMIT);
        for (uint32_t i = b * 32; i < b * 32 + 32; i++) {
            double error = fabs((double)case_act_integer(q, i) * (double)scale[b] - (double)x[i]);
            assert_true(error <= (double)scale[b] * 1.5001);
        }
    }
    osl_kernels_find("plain")->quantize(q_plain, scale_plain, sum_plain, x, cols);
    assert_memory_equal(q, q_plain, OSL_ACT_ROW_BYTES(cols));
    assert_memory_equal(scale, scale_plain, cols / 32 * sizeof *scale);
    assert_memory_equal(sum, sum_plain, cols / 32 * sizeof *sum);
}

static void quantize_takes_the_nearest_and_equals_plain(void **state)
{
    uint64_t seed = 11;
    CASE_EACH_TABLE (k) {
        for (uint32_t cols = 32; cols <= 512; cols += 32) {
            float *x = case_floats(cols, 1.0f, &seed);
            for (uint32_t b = 0; b < cols / 32; b++) {
                static const float ranges[5] = {1.0f, 1e-6f, 3e4f, 1e30f, 1e-30f};
                for (uint32_t i = 0; i < 32; i++) {
                    x[b * 32 + i] *= ranges[b % 5];
                }
            }
            check_quantized(k, x, cols);
            free(x);
        }
    }
}

static void quantize_ties_zeros_and_tiny_values(void **state)
{
    CASE_EACH_TABLE (k) {
        float x[128] = {0.0f};
        x[0] = OSL_ACT_LIMIT; /* scale 1: halves are ties */
        x[1] = -OSL_ACT_LIMIT;
        x[2] = 0.5f;
        x[3] = 1.5f;
        x[4] = -0.5f;
        x[5] = 127.0f;
        x[6] = 128.0f; /* high 0, low held to 127 */
        x[7] = 129.0f;
        x[8] = -128.0f;
        x[9] = 384.0f; /* 1.5 * 256: high 2, low -128, held to -127 */
        for (int i = 64; i < 96; i++) { /* subnormal: the scale is coarse */
            x[i] = (float)(i - 80) * 0x1p-148f;
        }
        x[97] = -FLT_MAX;
        int8_t q[OSL_ACT_ROW_BYTES(128)];
        float scale[4];
        int32_t sum[4];
        static const int32_t want[10] = {OSL_ACT_LIMIT, -OSL_ACT_LIMIT, 0, 2, 0, 127, 127, 129,
                                         -127, 385};
        k->quantize(q, scale, sum, x, 128);
        assert_true(scale[0] == 1.0f);
        for (uint32_t i = 0; i < 10; i++) {
            assert_int_equal(case_act_integer(q, i), want[i]);
        }
        assert_true(scale[1] == 0.0f && sum[1] == 0);
        assert_int_equal(case_act_integer(q, 97), -OSL_ACT_LIMIT);
        int8_t q_plain[OSL_ACT_ROW_BYTES(128)];
        osl_kernels_find("plain")->quantize(q_plain, scale, sum, x, 128);
        assert_memory_equal(q, q_plain, sizeof q);
    }
}

/* Every integer is the nearest in exact arithmetic, or a neighbour where the f32 quotient ties. */
static void pack_takes_the_nearest(void **state)
{
    enum { COLS = 288 };
    CASE_EACH_TABLE (k) {
        for (uint32_t planes = 1; k->pack != NULL && planes <= 2; planes++) {
            uint64_t seed = 77 + planes;
            struct case_act x;
            case_act_make(&x, k, 4, COLS, &seed);
            for (uint32_t c = 0; c < 64; c++) { /* zeros, and tiny values with subnormal scales */
                x.f32[c] = c < 32 ? 0.0f : 0x1p-149f * (float)c;
            }
            x.f32[70] = INFINITY;
            x.f32[2 * x.act.f32_stride + 100] = NAN;
            for (uint32_t t = 0; t < 4; t++) {
                case_act_again(&x, k, t, COLS);
            }
            for (uint32_t i = 0; i < 4 * COLS; i++) {
                const float *row = x.f32 + (size_t)(i / COLS) * x.act.f32_stride;
                double got = case_packed_value(&x, planes, i / COLS, COLS, i % COLS);
                double most = 0.0;
                bool finite = true;
                for (uint32_t j = 0; j < 32; j++) {
                    float value = row[i % COLS / 32 * 32 + j];
                    finite = finite && isfinite(value);
                    most = fmax(most, fabs((double)value));
                }
                /* half a step, and what rounding a subnormal scale costs at the limit */
                double slack = 0.51 * most / OSL_PACK_LIMIT(planes) +
                               OSL_PACK_LIMIT(planes) * 0x1p-149;
                if (finite ? fabs(got - (double)row[i % COLS]) > slack : !isnan(got)) {
                    fail_msg("%s pack, %u planes, element %u: got %.9g of %.9g", k->name, planes,
                             i, got, (double)row[i % COLS]);
                }
            }
            case_act_free(&x);
        }
    }
}

static void quantize_shows_non_finite_blocks(void **state)
{
    static const float bad[3] = {NAN, INFINITY, -INFINITY};
    CASE_EACH_TABLE (k) {
        for (uint32_t at = 0; at < 32; at++) {
            float x[64];
            int8_t q[OSL_ACT_ROW_BYTES(64)];
            float scale[2];
            int32_t sum[2];
            for (uint32_t i = 0; i < 64; i++) {
                x[i] = (float)i;
            }
            x[at] = bad[at % 3];
            k->quantize(q, scale, sum, x, 64);
            assert_true(isnan(scale[0]) && sum[0] == 0);
            for (uint32_t i = 0; i < 32; i++) {
                assert_int_equal(case_act_integer(q, i), 0);
            }
            assert_true(isfinite(scale[1]) && case_act_integer(q, 63) == OSL_ACT_LIMIT);
        }
    }
}

/* ---- rmsnorm ----------------------------------------------------------------------------- */

static void rmsnorm_matches_double(void **state)
{
    uint64_t seed = 5;
    CASE_EACH_TABLE (k) {
        for (uint32_t cols = 32; cols <= 2880; cols += cols < 256 ? 32 : 2624) {
            float *in = case_floats(cols, 40.0f, &seed);
            float *gain = case_floats(cols, 3.0f, &seed);
            float *out = case_alloc(cols * sizeof *out);
            double sum = 0.0;
            for (uint32_t c = 0; c < cols; c++) {
                sum += (double)in[c] * (double)in[c];
            }
            k->rmsnorm(out, in, gain, cols, 1e-5f);
            for (uint32_t c = 0; c < cols; c++) {
                double want = (double)in[c] / sqrt(sum / cols + (double)1e-5f) * (double)gain[c];
                close_to(k->name, "rmsnorm", c, out[c], want, fabs(want));
            }
            k->rmsnorm(in, in, gain, cols, 1e-5f); /* in place */
            assert_memory_equal(in, out, cols * sizeof *out);
            free(in);
            free(gain);
            free(out);
        }
    }
}

/* Where the mean square is far below it, epsilon decides. */
static void rmsnorm_epsilon_is_inside_the_root(void **state)
{
    CASE_EACH_TABLE (k) {
        float in[64];
        float gain[64];
        float out[64];
        for (int c = 0; c < 64; c++) {
            in[c] = 1e-3f;
            gain[c] = 1.0f;
        }
        k->rmsnorm(out, in, gain, 64, 1e-5f);
        double want = (double)1e-3f / sqrt((double)1e-3f * (double)1e-3f + (double)1e-5f);
        close_to(k->name, "rmsnorm", 63, out[63], want, want);
        memset(in, 0, sizeof in);
        k->rmsnorm(out, in, gain, 64, 1e-5f);
        assert_true(out[0] == 0.0f && out[63] == 0.0f);
    }
}

/* ---- swiglu ------------------------------------------------------------------------------ */

static double swiglu(double g, double u, double alpha, double limit)
{
    g = g > limit ? limit : g;
    u = u > limit ? limit : u < -limit ? -limit : u;
    return g / (1 + exp(-alpha * g)) * (u + 1);
}

static void swiglu_matches_double_over_lengths(void **state)
{
    uint64_t seed = 3;
    double alpha = (double)1.702f;
    CASE_EACH_TABLE (k) {
        for (uint32_t n = 1; n <= 67; n++) {
            float *gate = case_floats(n, n % 3 ? 12.0f : 1.0f, &seed);
            float *up = case_floats(n, 12.0f, &seed);
            float *out = case_alloc(n * sizeof *out);
            memcpy(out, gate, n * sizeof *out);
            k->swiglu(out, up, n, 1.702f, 7.0f);
            for (uint32_t i = 0; i < n; i++) {
                double want = swiglu((double)gate[i], (double)up[i], alpha, 7.0);
                double u = fmin(fmax((double)up[i], -7.0), 7.0);
                double size = swiglu((double)gate[i], 0.0, alpha, 7.0) * (fabs(u) + 1);
                /* alpha * g is rounded before exp makes a factor of its error */
                size *= 1 + alpha * fabs((double)gate[i]) / 8;
                close_to(k->name, "swiglu", i, out[i], want, fabs(size));
            }
            for (uint32_t i = 0; i < n; i++) { /* no element knows its place */
                float one = gate[i];
                k->swiglu(&one, up + i, 1, 1.702f, 7.0f);
                assert_int_equal(osl_f32_bits(one), osl_f32_bits(out[i]));
            }
            free(gate);
            free(up);
            free(out);
        }
    }
}

static void swiglu_extremes(void **state)
{
    CASE_EACH_TABLE (k) {
        float gate[6] = {1e30f, -1e30f, NAN, 2.0f, -40.0f, 0.0f};
        float up[6] = {1e30f, 1e30f, 0.0f, NAN, -1e30f, 5.0f};
        k->swiglu(gate, up, 6, 1.702f, 7.0f);
        close_to(k->name, "swiglu", 0, gate[0], swiglu(1e30, 1e30, (double)1.702f, 7), 56);
        assert_true(gate[1] == 0.0f); /* no lower bound on the gate */
        assert_true(isnan(gate[2]) && isnan(gate[3]));
        double want = swiglu(-40, -1e30, (double)1.702f, 7);
        assert_true(fabs((double)gate[4] - want) <= 1e-5 * fabs(want));
        assert_true(gate[5] == 0.0f);
    }
}

/* ---- rope -------------------------------------------------------------------------------- */

static void rope_matches_double_and_equals_plain(void **state)
{
    static const uint32_t dims[] = {32, 64, 96, 128, 256};
    uint64_t seed = 9;
    CASE_EACH_TABLE (k) {
        for (uint32_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
            uint32_t dim = dims[i];
            uint32_t heads = 1 + i * 2;
            float *data = case_floats((size_t)heads * dim, 2.0f, &seed);
            float *turned = case_alloc((size_t)heads * dim * sizeof *turned);
            float *plain = case_alloc((size_t)heads * dim * sizeof *plain);
            float *cosine = case_floats(dim / 2, 1.3f, &seed);
            float *sine = case_floats(dim / 2, 1.3f, &seed);
            memcpy(turned, data, (size_t)heads * dim * sizeof *data);
            memcpy(plain, data, (size_t)heads * dim * sizeof *data);
            k->rope(turned, heads, dim, cosine, sine);
            osl_kernels_find("plain")->rope(plain, heads, dim, cosine, sine);
            assert_memory_equal(turned, plain, (size_t)heads * dim * sizeof *plain);
            for (uint32_t h = 0; h < heads; h++) {
                for (uint32_t d = 0; d < dim / 2; d++) {
                    double a = (double)data[h * dim + d];
                    double b = (double)data[h * dim + dim / 2 + d];
                    double c = (double)cosine[d];
                    double s = (double)sine[d];
                    double size = fabs(a) + fabs(b);
                    close_to(k->name, "rope", d, turned[h * dim + d], a * c - b * s, 2 * size);
                    close_to(k->name, "rope", d + dim / 2, turned[h * dim + dim / 2 + d],
                             b * c + a * s, 2 * size);
                }
            }
            free(data);
            free(turned);
            free(plain);
            free(cosine);
            free(sine);
        }
    }
}

/* ---- kv_store ---------------------------------------------------------------------------- */

static void kv_store_rounds_well_and_equals_plain(void **state)
{
    uint64_t seed = 21;
    const struct osl_kernels *plain = osl_kernels_find("plain");
    CASE_EACH_TABLE (k) {
        for (uint32_t dim = 32; dim <= 256; dim += 32) {
            float *in = case_floats(dim, 20.0f, &seed);
            for (uint32_t i = 0; i < 32; i++) {
                in[i] *= dim == 64 ? 0.0f : dim == 96 ? 1e-7f : 1.0f;
            }
            for (int type = 0; type < OSL_KV_TYPES; type++) {
                uint32_t bytes = osl_kv_row_bytes((enum osl_kv_type)type, dim);
                uint8_t *row = case_alloc(bytes);
                uint8_t *expected = case_alloc(bytes);
                k->kv_store[type](row, in, dim);
                plain->kv_store[type](expected, in, dim);
                assert_memory_equal(row, expected, bytes);
                for (uint32_t d = 0; d < dim && type == OSL_KV_F16; d++) {
                    float value = osl_f32_from_f16(osl_load_u16(row + 2 * (size_t)d));
                    assert_true(fabsf(value - in[d]) <= fabsf(in[d]) * 0x1p-11f + 0x1p-25f);
                }
                for (uint32_t d = 0; d < dim && type == OSL_KV_Q8; d++) {
                    float scale = osl_f32_from_f16(osl_load_u16(row + dim + d / 32 * 2));
                    float value = (float)(int8_t)row[d] * scale;
                    /* half a step; f16 rounds the scale by 2^-11, at most 127/2048 of a step */
                    assert_true(fabsf(value - in[d]) <= scale * 0.57f + 4e-6f);
                }
                free(row);
                free(expected);
            }
            free(in);
        }
    }
}

static void kv_store_shows_non_finite_values(void **state)
{
    CASE_EACH_TABLE (k) {
        float in[64] = {0.0f};
        uint8_t row[128];
        in[37] = INFINITY;
        k->kv_store[OSL_KV_F16](row, in, 64);
        assert_true(isinf(osl_f32_from_f16(osl_load_u16(row + 74))));
        k->kv_store[OSL_KV_Q8](row, in, 64);
        assert_true(osl_load_u16(row + 64) == 0);
        assert_true(isnan(osl_f32_from_f16(osl_load_u16(row + 66))));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize_takes_the_nearest_and_equals_plain),
        cmocka_unit_test(quantize_ties_zeros_and_tiny_values),
        cmocka_unit_test(pack_takes_the_nearest),
        cmocka_unit_test(quantize_shows_non_finite_blocks),
        cmocka_unit_test(rmsnorm_matches_double),
        cmocka_unit_test(rmsnorm_epsilon_is_inside_the_root),
        cmocka_unit_test(swiglu_matches_double_over_lengths),
        cmocka_unit_test(swiglu_extremes),
        cmocka_unit_test(rope_matches_double_and_equals_plain),
        cmocka_unit_test(kv_store_rounds_well_and_equals_plain),
        cmocka_unit_test(kv_store_shows_non_finite_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
