/* Matrix times one token for quantised weights, with sdot (ARMv8.2 dot product).
 * Contract: compute/kernels.h; the walk: matvec_neon.h. */
#include "matvec_neon.h"

OSL_NEON_INLINE int32x4_t dot_products(int32x4_t sum, enum osl_dtype dtype,
                                       struct osl_neon_block block, int8x16_t x_low,
                                       int8x16_t x_high)
{
    return vdotq_s32(vdotq_s32(sum, block.low, x_low), block.high, x_high);
}

OSL_NEON_DEFINE_MATVEC(osl_dotprod_matvec_q8_0, OSL_DTYPE_Q8_0, dot_products)
