/* Matrix times one token for quantised weights, plain ARMv8.0: widening multiplies and pairwise
 * sums in place of sdot. Contract: compute/kernels.h; the walk: matvec_neon.h. */
#include "matvec_neon.h"

OSL_NEON_DEFINE_MATVEC(osl_neon_matvec_mxfp4, OSL_DTYPE_MXFP4, osl_neon_add_block_products)
OSL_NEON_DEFINE_MATVEC(osl_neon_matvec_q8_0, OSL_DTYPE_Q8_0, osl_neon_add_block_products)
