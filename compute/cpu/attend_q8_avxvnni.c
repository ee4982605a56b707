/* Decode attention over the q8 cache with vpdpwssd of 256 bits: see attend_q8_vec.h. Queries are
 * rounded as AVX2 does. */
#define YMM_VNNI
#define osl_avxvnni_quantize osl_avx2_quantize
#define VEC_FN(stem) osl_avxvnni_##stem
#include "attend_q8_ymm.h"
