/* AVX2's version of matvec_mxfp4_ymm.h. */
#define MATVEC_MXFP4 osl_avx2_matvec_mxfp4
#include "matvec_mxfp4_ymm.h"
