/* Q8_0 matrix times one token or a few, with sdot (ARMv8.2 dot product). Contract:
 * compute/kernels.h; the walk: matvec_neon.h. */
#include "matvec_neon.h"
#include "matvec_parts.h"

OSL_NEON_INLINE int32x4_t dot_products(int32x4_t sum, enum osl_dtype dtype,
                                       struct osl_neon_block block, int8x16_t x_low,
                                       int8x16_t x_high)
{
    return vdotq_s32(vdotq_s32(sum, block.low, x_low), block.high, x_high);
}

OSL_NEON_DEFINE_MATVEC(osl_dotprod_matvec_q8_0, OSL_DTYPE_Q8_0, dot_products)

/* ---- Several tokens ---------------------------------------------------------------------- */

struct call {
    float *const *out;
    const uint8_t *weight;
    uint64_t row_bytes;
    uint32_t cols;
    const struct osl_act *x;
};

/* Rows [from, to) for 1 to OSL_NEON_ROW_TOKENS tokens. tests/bench/mca.sh looks for it by name. */
__attribute__((noinline)) static void dotprod_q8_0_rows(const void *context, uint32_t from,
                                                        uint32_t to, uint32_t first, uint32_t count)
{
    const enum osl_dtype type = OSL_DTYPE_Q8_0;
    const struct call *call = context;
    float *const *out = call->out + first;
    const struct osl_act *x = call->x + first;
    for (uint32_t r = from; r < to; r++) {
        const uint8_t *row = call->weight + r * call->row_bytes;
        switch (count) {
        case 1: osl_neon_row_dots(type, dot_products, 1, out, r, row, call->cols, x); break;
        case 2: osl_neon_row_dots(type, dot_products, 2, out, r, row, call->cols, x); break;
        case 3: osl_neon_row_dots(type, dot_products, 3, out, r, row, call->cols, x); break;
        default: osl_neon_row_dots(type, dot_products, 4, out, r, row, call->cols, x); break;
        }
    }
}

void osl_dotprod_matvec_tokens_q8_0(float *const *out, const void *weight, uint64_t row_bytes,
                                    uint32_t rows, uint32_t cols, const struct osl_act *x,
                                    uint32_t tokens, void *scratch)
{
    (void)scratch; /* activations are read as they are */
    const struct call call = {out, weight, row_bytes, cols, x};
    osl_take_parts(dotprod_q8_0_rows, OSL_NEON_ROW_TOKENS, &call, rows, tokens);
}
