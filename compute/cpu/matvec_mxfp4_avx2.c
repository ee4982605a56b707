/* AVX2's version of matvec_mxfp4_ymm.h. */
#define MATVEC_MXFP4 osl_avx2_matvec_mxfp4
#define MATVEC_TOKENS_MXFP4 osl_avx2_matvec_tokens_mxfp4
#include "matvec_mxfp4_ymm.h"
#include "matvec_tokens_mxfp4_ymm.h"
