/* AVX2's version of matmul_ymm.h. */
#define YMM_FN(stem) osl_avx2_##stem
#include "matmul_ymm.h"
