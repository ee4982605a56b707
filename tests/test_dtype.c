/* Weight types: block and row sizes of the published layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compute/dtype.h"

static void dtype_row_bytes_match_layout(void **state)
{
    (void)state;
    assert_int_equal(osl_dtype_row_bytes(OSL_DTYPE_MXFP4, 2880), 90 * 17);
    assert_int_equal(osl_dtype_row_bytes(OSL_DTYPE_Q8_0, 2880), 90 * 34);
    assert_int_equal(osl_dtype_row_bytes(OSL_DTYPE_BF16, 96), 192);
    assert_int_equal(osl_dtype_row_bytes(OSL_DTYPE_F32, 3), 12);
}

static void dtype_unknown_numbers_are_refused(void **state)
{
    (void)state;
    assert_false(osl_dtype_known(2));
    assert_false(osl_dtype_known(40));
    assert_false(osl_dtype_known(UINT32_MAX));
    assert_true(osl_dtype_known(OSL_DTYPE_F32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtype_row_bytes_match_layout),
        cmocka_unit_test(dtype_unknown_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
