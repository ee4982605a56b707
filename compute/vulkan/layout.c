/* How weights lie on the device: see ops.h. Pure byte moving, no Vulkan. */
#include <string.h>

#include "compute/vulkan/ops.h"

#define MATRIX_ALIGNMENT 256u /* of a binding, at most: facts.h */
#define SLAB_ROWS 256u        /* slabs are cut at whole tiles of rows, whatever the tile */

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

enum osl_vk_layout osl_vk_layout_of(enum osl_dtype dtype, bool native)
{
    switch (dtype) {
    case OSL_DTYPE_F32: return OSL_VK_F32;
    case OSL_DTYPE_F16: return OSL_VK_F16;
    case OSL_DTYPE_BF16: return OSL_VK_BF16;
    case OSL_DTYPE_Q8_0: return native ? OSL_VK_Q8_0_NATIVE : OSL_VK_Q8_0;
    case OSL_DTYPE_MXFP4: return native ? OSL_VK_MXFP4_NATIVE : OSL_VK_MXFP4;
    }
    osl_panic(__FILE__, __LINE__, "a weight type without a layout");
}

uint32_t osl_vk_scale_stride(enum osl_vk_layout layout, uint32_t cols)
{
    uint32_t blocks = cols / OSL_BLOCK_COLS;
    switch (layout) {
    case OSL_VK_Q8_0: return (uint32_t)round_up(blocks, 2);
    case OSL_VK_MXFP4: return (uint32_t)round_up(blocks, 4);
    default: return 0;
    }
}

uint64_t osl_vk_matrix_row_bytes(enum osl_vk_layout layout, uint32_t cols)
{
    uint64_t blocks = cols / OSL_BLOCK_COLS;
    switch (layout) {
    case OSL_VK_F32: return (uint64_t)cols * 4;
    case OSL_VK_F16:
    case OSL_VK_BF16: return (uint64_t)cols * 2;
    case OSL_VK_Q8_0: return cols;
    case OSL_VK_MXFP4: return cols / 2;
    case OSL_VK_Q8_0_NATIVE: return blocks * OSL_Q8_0_BLOCK_BYTES;
    case OSL_VK_MXFP4_NATIVE: return blocks * OSL_MXFP4_BLOCK_BYTES;
    }
    return 0;
}

uint64_t osl_vk_scale_row_bytes(enum osl_vk_layout layout, uint32_t cols)
{
    return (uint64_t)osl_vk_scale_stride(layout, cols) * (layout == OSL_VK_Q8_0 ? 2 : 1);
}

uint64_t osl_vk_scales_offset(enum osl_vk_layout layout, uint32_t rows, uint32_t cols)
{
    bool apart = osl_vk_scale_stride(layout, cols) != 0;
    return apart ? rows * osl_vk_matrix_row_bytes(layout, cols) : 0;
}

uint64_t osl_vk_matrix_bytes(enum osl_vk_layout layout, uint32_t rows, uint32_t cols)
{
    uint64_t row = osl_vk_matrix_row_bytes(layout, cols) + osl_vk_scale_row_bytes(layout, cols);
    return round_up(rows * row, MATRIX_ALIGNMENT);
}

bool osl_vk_matrix_cut(enum osl_vk_layout layout, uint32_t rows, uint32_t cols, uint32_t experts,
                       uint64_t slab_bytes, struct osl_vk_matrix *out)
{
    uint32_t units = experts > 1 ? experts : rows;
    uint64_t expert_bytes = osl_vk_matrix_bytes(layout, rows, cols);
    uint64_t most; /* units that fit a slab */
    *out = (struct osl_vk_matrix){.layout = layout,
                                  .rows = rows,
                                  .cols = cols,
                                  .experts = experts,
                                  .expert_bytes = expert_bytes};
    if (experts > 1) {
        most = slab_bytes / expert_bytes;
    } else {
        uint64_t row = osl_vk_matrix_row_bytes(layout, cols) + osl_vk_scale_row_bytes(layout, cols);
        most = slab_bytes / MATRIX_ALIGNMENT * MATRIX_ALIGNMENT / row;
    }
    if (most == 0) {
        return false;
    }
    /* As few as can be, and those alike; whole tiles where there are several. */
    uint64_t count = most >= units ? 1 : (units + most - 1) / most;
    uint64_t per_slab = (units + count - 1) / count;
    if (experts <= 1 && count > 1 && most >= SLAB_ROWS) {
        per_slab = round_up(per_slab, SLAB_ROWS);
        per_slab = per_slab > most ? most / SLAB_ROWS * SLAB_ROWS : per_slab;
    }
    count = (units + per_slab - 1) / per_slab;
    if (count > sizeof out->slab / sizeof out->slab[0] ||
        (experts > 1 && count > OSL_VK_SLABS_MAX)) {
        return false;
    }
    out->per_slab = (uint32_t)per_slab;
    out->slab_count = (uint32_t)count;
    return true;
}

uint64_t osl_vk_slab_bytes(const struct osl_vk_matrix *matrix, uint32_t slab)
{
    uint32_t units = matrix->experts > 1 ? matrix->experts : matrix->rows;
    uint32_t left = units - slab * matrix->per_slab;
    uint32_t here = left < matrix->per_slab ? left : matrix->per_slab;
    OSL_ASSERT(slab < matrix->slab_count);
    return matrix->experts > 1 ? here * matrix->expert_bytes
                               : osl_vk_matrix_bytes(matrix->layout, here, matrix->cols);
}

void osl_vk_relayout(enum osl_vk_layout layout, const void *file_rows, uint32_t first,
                     uint32_t count, uint32_t rows, uint32_t cols, uint8_t *out)
{
    OSL_ASSERT(first <= rows && count <= rows - first);
    uint64_t row = osl_vk_matrix_row_bytes(layout, cols);
    uint32_t stride = osl_vk_scale_stride(layout, cols);
    const uint8_t *block = file_rows;
    uint8_t *elements = out + first * row;
    if (stride == 0) {
        memcpy(elements, file_rows, count * row);
        return;
    }
    bool q8 = layout == OSL_VK_Q8_0;
    uint32_t scale_bytes = q8 ? 2 : 1;
    uint32_t element_bytes = q8 ? OSL_BLOCK_COLS : OSL_BLOCK_COLS / 2;
    uint32_t blocks = cols / OSL_BLOCK_COLS;
    uint64_t scale_row = (uint64_t)stride * scale_bytes;
    uint8_t *scales = out + osl_vk_scales_offset(layout, rows, cols) + first * scale_row;
    for (uint32_t r = 0; r < count; r++) {
        for (uint32_t b = 0; b < blocks; b++) {
            /* constant sizes, so that these become single moves */
            if (q8) {
                memcpy(scales + b * 2, block, 2);
                memcpy(elements, block + 2, OSL_BLOCK_COLS);
            } else {
                scales[b] = block[0];
                memcpy(elements, block + 1, OSL_BLOCK_COLS / 2);
            }
            elements += element_bytes;
            block += element_bytes + scale_bytes;
        }
        memset(scales + (uint64_t)blocks * scale_bytes, 0, (stride - blocks) * scale_bytes);
        scales += scale_row;
    }
}
