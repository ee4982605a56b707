/* Re-laying weights for the device: every element and scale is found again, tails and padding
 * included, and the pieces of a weight cover it exactly once. Needs no Vulkan driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/vulkan/ops.h"

static uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint8_t *random_bytes(uint64_t bytes, uint64_t seed)
{
    uint8_t *data = malloc(bytes);
    assert_non_null(data);
    for (uint64_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)random_next(&seed);
    }
    return data;
}

static const struct {
    uint32_t rows, cols;
} shapes[] = {{1, 32}, {3, 64}, {7, 96}, {5, 160}, {33, 2880}, {2, 4096}};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static const enum osl_dtype dtypes[] = {OSL_DTYPE_F32, OSL_DTYPE_F16, OSL_DTYPE_BF16,
                                        OSL_DTYPE_Q8_0, OSL_DTYPE_MXFP4};
#define DTYPES (sizeof dtypes / sizeof dtypes[0])

/* The bytes of the file's row, found again in the planes. */
static void expect_row(enum osl_vk_layout layout, const uint8_t *file_row, const uint8_t *laid,
                       uint32_t row, uint32_t rows, uint32_t cols)
{
    bool q8 = layout == OSL_VK_Q8_0;
    uint32_t element_bytes = q8 ? 32 : 16;
    uint32_t scale_bytes = q8 ? 2 : 1;
    uint32_t stride = osl_vk_scale_stride(layout, cols) * scale_bytes;
    const uint8_t *elements = laid + (uint64_t)row * (cols / 32) * element_bytes;
    const uint8_t *scales =
        laid + (uint64_t)rows * (cols / 32) * element_bytes + (uint64_t)row * stride;
    assert_int_equal(stride % 4, 0);
    for (uint32_t b = 0; b < cols / 32; b++) {
        const uint8_t *block = file_row + (uint64_t)b * (element_bytes + scale_bytes);
        assert_memory_equal(scales + b * scale_bytes, block, scale_bytes);
        assert_memory_equal(elements + b * element_bytes, block + scale_bytes, element_bytes);
    }
    for (uint32_t i = cols / 32 * scale_bytes; i < stride; i++) {
        assert_int_equal(scales[i], 0);
    }
}

static void expect_matrix(enum osl_dtype dtype, bool native, uint32_t rows, uint32_t cols)
{
    enum osl_vk_layout layout = osl_vk_layout_of(dtype, native);
    uint64_t row_bytes = osl_dtype_row_bytes(dtype, cols);
    uint64_t bytes = osl_vk_matrix_bytes(layout, rows, cols);
    uint8_t *file = random_bytes(rows * row_bytes, rows * 31 + cols);
    uint8_t *laid = malloc(bytes + 1);
    assert_non_null(laid);
    memset(laid, 0xa5, bytes + 1);
    /* in three pieces, last first: pieces must not depend on each other */
    uint32_t third = (rows + 2) / 3;
    for (uint32_t first = (rows - 1) / third * third;; first -= third) {
        uint32_t count = rows - first < third ? rows - first : third;
        osl_vk_relayout(layout, file + first * row_bytes, first, count, rows, cols, laid);
        if (first == 0) {
            break;
        }
    }
    assert_int_equal(laid[bytes], 0xa5);
    assert_int_equal(bytes % 256, 0);
    if (osl_vk_scale_stride(layout, cols) == 0) {
        assert_memory_equal(laid, file, rows * row_bytes);
        assert_int_equal(osl_vk_scales_offset(layout, rows, cols), 0);
    }
    for (uint32_t r = 0; r < rows && osl_vk_scale_stride(layout, cols) != 0; r++) {
        expect_row(layout, file + r * row_bytes, laid, r, rows, cols);
    }
    free(file);
    free(laid);
}

static void relayout_keeps_every_byte(void **state)
{
    for (uint32_t d = 0; d < DTYPES; d++) {
        for (uint32_t s = 0; s < SHAPES; s++) {
            expect_matrix(dtypes[d], false, shapes[s].rows, shapes[s].cols);
            expect_matrix(dtypes[d], true, shapes[s].rows, shapes[s].cols);
        }
    }
}

static void scale_rows_begin_at_four_bytes(void **state)
{
    assert_int_equal(osl_vk_scale_stride(OSL_VK_Q8_0, 96), 4);
    assert_int_equal(osl_vk_scale_stride(OSL_VK_Q8_0, 2880), 90);
    assert_int_equal(osl_vk_scale_stride(OSL_VK_MXFP4, 32), 4);
    assert_int_equal(osl_vk_scale_stride(OSL_VK_MXFP4, 2880), 92);
    assert_int_equal(osl_vk_scale_stride(OSL_VK_BF16, 2880), 0);
}

/* Units that the slabs hold, each within its size. */
static void expect_cut(enum osl_dtype dtype, uint32_t rows, uint32_t cols, uint32_t experts,
                       uint64_t slab_bytes, uint32_t slabs)
{
    enum osl_vk_layout layout = osl_vk_layout_of(dtype, false);
    struct osl_vk_matrix matrix;
    assert_true(osl_vk_matrix_cut(layout, rows, cols, experts, slab_bytes, &matrix));
    assert_int_equal(matrix.slab_count, slabs);
    uint32_t units = experts > 1 ? experts : rows;
    assert_true((uint64_t)matrix.per_slab * slabs >= units);
    assert_true((uint64_t)matrix.per_slab * (slabs - 1) < units);
    for (uint32_t s = 0; s < slabs; s++) {
        assert_true(osl_vk_slab_bytes(&matrix, s) <= slab_bytes);
        assert_int_equal(osl_vk_slab_bytes(&matrix, s) % 256, 0);
    }
}

static void cut_fits_bindings(void **state)
{
    uint64_t small = (uint64_t)128 << 20;
    uint64_t large = UINT32_MAX;
    /* the 20b: a layer's gates, and the output matrix */
    expect_cut(OSL_DTYPE_MXFP4, 2880, 2880, 32, small, 2);
    expect_cut(OSL_DTYPE_MXFP4, 2880, 2880, 32, large, 1);
    expect_cut(OSL_DTYPE_Q8_0, 201088, 2880, 1, small, 5);
    expect_cut(OSL_DTYPE_Q8_0, 201088, 2880, 1, large, 1);
    expect_cut(OSL_DTYPE_BF16, 201088, 2880, 1, small, 9);
    expect_cut(OSL_DTYPE_F32, 5, 96, 1, 768, 3); /* rows of 384 bytes, two a slab */
    expect_cut(OSL_DTYPE_MXFP4, 3, 64, 5, 512, 3);
}

static void cut_refuses_what_does_not_fit(void **state)
{
    struct osl_vk_matrix matrix;
    assert_false(osl_vk_matrix_cut(OSL_VK_F32, 100, 96, 1, 256, &matrix)); /* a row is larger */
    assert_false(osl_vk_matrix_cut(OSL_VK_F32, 100, 64, 1, 256, &matrix)); /* 100 slabs */
    assert_false(osl_vk_matrix_cut(OSL_VK_F32, 4, 64, 5, 1024, &matrix));  /* 5 of experts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relayout_keeps_every_byte),
        cmocka_unit_test(scale_rows_begin_at_four_bytes),
        cmocka_unit_test(cut_fits_bindings),
        cmocka_unit_test(cut_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
