/* What the ARM tables promise beyond compute/kernels.h: which one is chosen, that dotprod and i8mm
 * multiply to the same bits, and the stated error of the exponential. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/cpu/half.h"
#include "compute/cpu/neon.h"
#include "compute/cpu/tables.h"

/* tests/aarch64.sh names the table it expects of the processor it emulates. */
static void best_table_fits_the_processor(void **state)
{
    const char *expected = getenv("OSL_EXPECT_KERNELS");
    const struct osl_kernels *best = osl_kernels_find(NULL);
    assert_non_null(best);
    if (expected != NULL) {
        assert_string_equal(best->name, expected);
    }
    assert_ptr_equal(osl_kernels_find("neon"), &osl_kernels_neon);
    assert_ptr_equal(osl_kernels_find("plain"), &osl_kernels_plain);
    assert_true(osl_cpu_has_dotprod() || !osl_cpu_has_i8mm());
}

static void e8m0_table_is_half_of_the_scale(void **state)
{
    for (uint32_t e = 0; e < 255; e++) {
        assert_true((double)osl_neon_e8m0_half((uint8_t)e) ==
                    (double)osl_f32_from_e8m0((uint8_t)e) / 2);
    }
    assert_true(isnan(osl_neon_e8m0_half(255)));
}

static float exp_of(float x)
{
    return vgetq_lane_f32(osl_neon_exp(vdupq_n_f32(x)), 0);
}

/* Every 97th float from -87.6 to 88.3 and about zero: one unit in the last place, as stated. */
static void exp_keeps_its_stated_error(void **state)
{
    double worst = 0.0;
    float at = 0.0f;
    for (uint32_t bits = 0; bits < 0x42b09998u; bits += 97 * 16) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            float x = osl_f32_from_bits(bits | sign << 31);
            if (x < -87.6f) {
                continue;
            }
            double exact = exp((double)x);
            double ulp = ldexp(1.0, ilogb(exact) - 23);
            ulp = ulp < 0x1p-149 ? 0x1p-149 : ulp;
            double error = fabs((double)exp_of(x) - exact) / ulp;
            if (!(error <= worst)) {
                worst = error;
                at = x;
            }
        }
    }
    if (!(worst <= 1.0)) {
        print_error("exp(%a) is off by %g ulp\n", (double)at, worst);
    }
    assert_true(worst <= 1.0);
    assert_true(exp_of(0.0f) == 1.0f);
    assert_true(exp_of(-INFINITY) == 0.0f && exp_of(-100.0f) == 0.0f);
    assert_true(isinf(exp_of(INFINITY)) && isinf(exp_of(100.0f)));
    assert_true(isnan(exp_of(NAN)));
}

#define ROWS 37
#define COLS 224
#define TOKENS 7

static uint64_t seed = 0x0551c1e;
static uint32_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

/* Rows of random weights whose scales are finite and vary by powers of two. */
static void fill_weights(uint8_t *data, enum osl_dtype dtype)
{
    uint32_t block_bytes = osl_dtype_block_bytes(dtype);
    for (uint32_t b = 0; b < ROWS * (COLS / OSL_BLOCK_COLS); b++, data += block_bytes) {
        for (uint32_t i = 0; i < block_bytes; i++) {
            data[i] = (uint8_t)next_random();
        }
        if (dtype == OSL_DTYPE_MXFP4) {
            data[0] = (uint8_t)(120 + next_random() % 8);
        } else {
            data[1] = (uint8_t)(0x20 + next_random() % 16); /* upper byte of the f16 scale */
        }
    }
}

static void run_matmul(float *out, const struct osl_kernels *table, enum osl_dtype dtype,
                       const uint8_t *weights, const float *x, uint32_t planes)
{
    static uint8_t packed[TOKENS * OSL_PACK_ROW_BYTES(COLS, 2)];
    static _Alignas(64) uint8_t scratch[OSL_MATMUL_SCRATCH_BYTES(COLS)];
    const uint32_t stride = OSL_PACK_ROW_BYTES(COLS, planes);
    for (uint32_t t = 0; t < TOKENS; t++) {
        table->pack(packed + t * stride, x + t * COLS, COLS, planes);
    }
    struct osl_act act = {
        .q = (const int8_t *)packed, .q_stride = stride, .f32 = x, .f32_stride = COLS,
        .planes = planes};
    table->matmul[dtype](out, ROWS, weights, osl_dtype_row_bytes(dtype, COLS), ROWS, COLS, &act,
                         NULL, TOKENS, scratch);
}

static void levels_that_pack_multiply_to_the_same_bits(void **state)
{
    static const enum osl_dtype dtypes[] = {OSL_DTYPE_MXFP4, OSL_DTYPE_Q8_0};
    static uint8_t weights[ROWS * COLS / OSL_BLOCK_COLS * OSL_Q8_0_BLOCK_BYTES];
    static float x[TOKENS * COLS];
    static float expected[TOKENS * ROWS];
    static float got[TOKENS * ROWS];
    if (!osl_cpu_has_i8mm()) {
        skip();
    }
    for (uint32_t i = 0; i < TOKENS * COLS; i++) {
        x[i] = ((float)next_random() - 0x1p30f) * 0x1p-28f;
    }
    for (uint32_t d = 0; d < 2; d++) {
        fill_weights(weights, dtypes[d]);
        for (uint32_t planes = 1; planes <= 2; planes++) {
            run_matmul(expected, &osl_kernels_dotprod, dtypes[d], weights, x, planes);
            run_matmul(got, &osl_kernels_i8mm, dtypes[d], weights, x, planes);
            if (memcmp(got, expected, sizeof got) != 0) {
                print_error("%s, %u planes\n", osl_dtype_name(dtypes[d]), planes);
                fail();
            }
        }
    }
}

/* Sums of one plane are floats from the start: the largest there are must come out whole. */
static void largest_sums_of_one_plane_are_exact(void **state)
{
    static float x[32];
    float out[1];
    uint8_t packed[OSL_PACK_ROW_BYTES(32, 1)];
    uint8_t weights[OSL_Q8_0_BLOCK_BYTES];
    static _Alignas(64) uint8_t scratch[OSL_MATMUL_SCRATCH_BYTES(32)];
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t count = osl_kernels_list(tables);
    for (uint32_t i = 0; i < 32; i++) {
        x[i] = -127.0f;
    }
    memset(weights, 0x80, sizeof weights);
    memcpy(weights, (const uint8_t[]){0x00, 0x3c}, 2); /* a scale of 1 */
    for (uint32_t i = 0; i < count; i++) {
        if (tables[i]->pack == NULL) {
            continue;
        }
        tables[i]->pack(packed, x, 32, 1);
        struct osl_act act = {.q = (const int8_t *)packed, .q_stride = sizeof packed, .planes = 1};
        tables[i]->matmul[OSL_DTYPE_Q8_0](out, 1, weights, sizeof weights, 1, 32, &act, NULL, 1,
                                          scratch);
        assert_true(out[0] == 128.0f * 127.0f * 32.0f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_table_fits_the_processor),
        cmocka_unit_test(e8m0_table_is_half_of_the_scale),
        cmocka_unit_test(exp_keeps_its_stated_error),
        cmocka_unit_test(levels_that_pack_multiply_to_the_same_bits),
        cmocka_unit_test(largest_sums_of_one_plane_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
