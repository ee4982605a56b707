/* Weights to f32: the layouts of formats.md, section 7, and nothing else. */
#include "platform/platform.h"

#include "compute/kernels.h"
#include "half.h"

/* E2M1, bit 3 the sign. Minus zero is stored as plus zero, as ggml does. */
static const float mxfp4_value[16] = {0.0f, 0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                      0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

static void dequantize_mxfp4(float *out, const uint8_t *row, uint32_t cols)
{
    for (uint32_t c = 0; c < cols; c += OSL_BLOCK_COLS) {
        float scale = osl_f32_from_e8m0(row[0]);
        for (uint32_t j = 0; j < 16; j++) {
            out[c + j] = mxfp4_value[row[1 + j] & 15] * scale;
            out[c + 16 + j] = mxfp4_value[row[1 + j] >> 4] * scale;
        }
        row += OSL_MXFP4_BLOCK_BYTES;
    }
}

static void dequantize_q8_0(float *out, const uint8_t *row, uint32_t cols)
{
    for (uint32_t c = 0; c < cols; c += OSL_BLOCK_COLS) {
        float scale = osl_f32_from_f16(osl_load_u16(row));
        for (uint32_t j = 0; j < OSL_BLOCK_COLS; j++) {
            out[c + j] = (float)(int8_t)row[2 + j] * scale;
        }
        row += OSL_Q8_0_BLOCK_BYTES;
    }
}

void osl_dequantize_row(float *out, const void *row, enum osl_dtype dtype, uint32_t cols)
{
    const uint8_t *bytes = row;
    OSL_ASSERT(cols % osl_dtype_block_cols(dtype) == 0);
    switch (dtype) {
    case OSL_DTYPE_F32:
        memcpy(out, row, (size_t)cols * sizeof *out);
        break;
    case OSL_DTYPE_F16:
        for (uint32_t c = 0; c < cols; c++) {
            out[c] = osl_f32_from_f16(osl_load_u16(bytes + 2 * (size_t)c));
        }
        break;
    case OSL_DTYPE_BF16:
        for (uint32_t c = 0; c < cols; c++) {
            out[c] = osl_f32_from_bf16(osl_load_u16(bytes + 2 * (size_t)c));
        }
        break;
    case OSL_DTYPE_Q8_0:
        dequantize_q8_0(out, bytes, cols);
        break;
    case OSL_DTYPE_MXFP4:
        dequantize_mxfp4(out, bytes, cols);
        break;
    }
}
