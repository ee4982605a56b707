/* AVX-VNNI's version of matmul_ymm.h. */
#define YMM_FN(stem) osl_avxvnni_##stem
#define YMM_VNNI
#include "matmul_ymm.h"
