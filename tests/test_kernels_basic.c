/* Small formats, dequantisation, routing, and the list of kernel tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compute/cpu/half.h"
#include "compute/kernels.h"

static double f16_value(uint16_t half)
{
    int exponent = (half >> 10) & 31;
    double mantissa = half & 0x3ff;
    double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -value : value;
}

static void half_to_float_is_exact_for_every_value(void **state)
{
    for (uint32_t half = 0; half < 0x10000; half++) {
        float value = osl_f32_from_f16((uint16_t)half);
        if (((half >> 10) & 31) == 31) {
            assert_true((half & 0x3ff) != 0 ? isnan(value) : isinf(value));
            assert_int_equal(signbit(value) != 0, half >> 15);
            continue;
        }
        assert_true((double)value == f16_value((uint16_t)half));
        assert_int_equal(osl_f16_from_f32(value), half);
    }
}

static void float_to_half_takes_the_nearest_and_even_on_ties(void **state)
{
    for (uint32_t half = 0; half < 0x7bff; half++) { /* between each two finite neighbours */
        float low = osl_f32_from_f16((uint16_t)half);
        float high = osl_f32_from_f16((uint16_t)(half + 1));
        float middle = (low + high) / 2; /* exact */
        assert_int_equal(osl_f16_from_f32(middle), half + (half & 1));
        assert_int_equal(osl_f16_from_f32(nextafterf(middle, 0.0f)), half);
        assert_int_equal(osl_f16_from_f32(nextafterf(middle, 1e9f)), half + 1);
        assert_int_equal(osl_f16_from_f32(-middle), 0x8000u | (half + (half & 1)));
    }
    assert_int_equal(osl_f16_from_f32(65519.9f), 0x7bff);
    assert_int_equal(osl_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(osl_f16_from_f32(-INFINITY), 0xfc00);
    assert_true(isnan(osl_f32_from_f16(osl_f16_from_f32(NAN))));
}

static void e8m0_covers_subnormal_and_nan(void **state)
{
    for (int e = 0; e < 255; e++) {
        assert_true((double)osl_f32_from_e8m0((uint8_t)e) == ldexp(1.0, e - 127));
    }
    assert_true(isnan(osl_f32_from_e8m0(255)));
}

/* Every nibble value, both halves of a block, at an odd address, in the second block. */
static void dequantize_mxfp4_has_ggml_nibble_order(void **state)
{
    static const double table[16] = {0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6};
    uint8_t row[2 * OSL_MXFP4_BLOCK_BYTES + 1] = {0};
    float out[64];
    uint8_t *block = row + 1 + OSL_MXFP4_BLOCK_BYTES;
    row[1] = 127;
    block[0] = 130;
    for (int j = 0; j < 16; j++) {
        block[1 + j] = (uint8_t)(j | (15 - j) << 4);
    }
    osl_dequantize_row(out, row + 1, OSL_DTYPE_MXFP4, 64);
    for (int j = 0; j < 16; j++) {
        assert_true(out[j] == 0.0f && out[16 + j] == 0.0f);
        assert_true((double)out[32 + j] == table[j] * 8);
        assert_true((double)out[48 + j] == table[15 - j] * 8);
    }
}

static void dequantize_mxfp4_scale_extremes(void **state)
{
    uint8_t row[OSL_MXFP4_BLOCK_BYTES] = {0, 0x72}; /* element 0: 1, element 16: 6 */
    float out[32];
    osl_dequantize_row(out, row, OSL_DTYPE_MXFP4, 32);
    assert_true((double)out[0] == ldexp(1, -127) && (double)out[16] == ldexp(6, -127));
    row[0] = 1;
    osl_dequantize_row(out, row, OSL_DTYPE_MXFP4, 32);
    assert_true((double)out[0] == ldexp(1, -126));
    row[0] = 252;
    osl_dequantize_row(out, row, OSL_DTYPE_MXFP4, 32);
    assert_true((double)out[16] == ldexp(6, 125));
    row[0] = 255;
    osl_dequantize_row(out, row, OSL_DTYPE_MXFP4, 32);
    assert_true(isnan(out[0]) && isnan(out[1]));
}

static void dequantize_other_types(void **state)
{
    uint8_t q8[2 * OSL_Q8_0_BLOCK_BYTES] = {0};
    float out[64];
    q8[34] = 0x00; /* f16 0.5 = 0x3800 */
    q8[35] = 0x38;
    for (int j = 0; j < 32; j++) {
        q8[36 + j] = (uint8_t)(j * 8 - 128);
    }
    osl_dequantize_row(out, q8, OSL_DTYPE_Q8_0, 64);
    for (int j = 0; j < 32; j++) {
        assert_true(out[j] == 0.0f);
        assert_true(out[32 + j] == 0.5f * (float)(j * 8 - 128));
    }
    const uint16_t bf16[2] = {0x3f80, 0xc040};
    osl_dequantize_row(out, bf16, OSL_DTYPE_BF16, 2);
    assert_true(out[0] == 1.0f && out[1] == -3.0f);
    const uint16_t f16[2] = {0x3c00, 0x0001};
    osl_dequantize_row(out, f16, OSL_DTYPE_F16, 2);
    assert_true(out[0] == 1.0f && out[1] == 0x1p-24f);
    const float f32[2] = {1.25f, -3.5f};
    osl_dequantize_row(out, f32, OSL_DTYPE_F32, 2);
    assert_memory_equal(out, f32, sizeof f32);
}

static void route_picks_largest_first(void **state)
{
    const float logits[6] = {-1.0f, 3.0f, 0.5f, 3.5f, -9.0f, 1.0f};
    uint16_t ids[3];
    float weights[3];
    osl_route(logits, 6, 3, ids, weights);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], 1);
    assert_int_equal(ids[2], 5);
    double sum = 1 + exp(-0.5) + exp(-2.5);
    assert_true(fabs((double)weights[0] - 1 / sum) < 1e-7);
    assert_true(fabs((double)weights[1] - exp(-0.5) / sum) < 1e-7);
    assert_true(fabs((double)weights[2] - exp(-2.5) / sum) < 1e-7);
}

static void route_ties_go_to_the_lower_index(void **state)
{
    const float logits[5] = {1.0f, 2.0f, 2.0f, 1.0f, 2.0f};
    uint16_t ids[4];
    float weights[4];
    osl_route(logits, 5, 4, ids, weights);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 4);
    assert_int_equal(ids[3], 0);
    assert_true(weights[0] == weights[2]);
}

static void route_survives_nan_and_huge_logits(void **state)
{
    const float logits[4] = {NAN, 1e30f, NAN, -1e30f};
    uint16_t ids[4];
    float weights[4];
    osl_route(logits, 4, 4, ids, weights);
    uint32_t seen = 0;
    for (int k = 0; k < 4; k++) {
        assert_in_range(ids[k], 0, 3);
        seen |= 1u << ids[k];
    }
    assert_int_equal(seen, 15);
    const float huge[3] = {1e30f, -1e30f, 1e30f};
    osl_route(huge, 3, 2, ids, weights);
    assert_true(weights[0] == 0.5f && weights[1] == 0.5f);
}

static void tables_are_complete_and_end_with_plain(void **state)
{
    static const enum osl_dtype dtypes[] = {OSL_DTYPE_F32, OSL_DTYPE_F16, OSL_DTYPE_BF16,
                                            OSL_DTYPE_Q8_0, OSL_DTYPE_MXFP4};
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t count = osl_kernels_list(tables);
    assert_in_range(count, 1, OSL_LEVELS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct osl_kernels *k = tables[i];
        print_message("table %s\n", k->name);
        for (uint32_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
            assert_non_null(k->matvec[dtypes[d]]);
            assert_non_null(k->matmul[dtypes[d]]);
        }
        assert_non_null(k->quantize);
        assert_non_null(k->rmsnorm);
        assert_non_null(k->swiglu);
        assert_non_null(k->rope);
        assert_non_null(k->attend_merge);
        for (int type = 0; type < OSL_KV_TYPES; type++) {
            assert_non_null(k->kv_store[type]);
            assert_non_null(k->attend_prefill[type]);
            assert_non_null(k->attend_part[type]);
        }
        assert_ptr_equal(osl_kernels_find(k->name), k);
    }
    assert_string_equal(tables[count - 1]->name, "plain");
    assert_ptr_equal(osl_kernels_find(NULL), tables[0]);
    assert_null(osl_kernels_find("plainer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_to_float_is_exact_for_every_value),
        cmocka_unit_test(float_to_half_takes_the_nearest_and_even_on_ties),
        cmocka_unit_test(e8m0_covers_subnormal_and_nan),
        cmocka_unit_test(dequantize_mxfp4_has_ggml_nibble_order),
        cmocka_unit_test(dequantize_mxfp4_scale_extremes),
        cmocka_unit_test(dequantize_other_types),
        cmocka_unit_test(route_picks_largest_first),
        cmocka_unit_test(route_ties_go_to_the_lower_index),
        cmocka_unit_test(route_survives_nan_and_huge_logits),
        cmocka_unit_test(tables_are_complete_and_end_with_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
