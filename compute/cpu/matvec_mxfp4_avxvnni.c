/* AVX-VNNI's version of matvec_mxfp4_ymm.h. */
#define MATVEC_MXFP4 osl_avxvnni_matvec_mxfp4
#define YMM_VNNI
#include "matvec_mxfp4_ymm.h"
