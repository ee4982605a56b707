/* AVX-VNNI's version of matvec_mxfp4_ymm.h. */
#define MATVEC_MXFP4 osl_avxvnni_matvec_mxfp4
#define YMM_VNNI
#define MATVEC_TOKENS_MXFP4 osl_avxvnni_matvec_tokens_mxfp4
#include "matvec_mxfp4_ymm.h"
#include "matvec_tokens_mxfp4_ymm.h"
