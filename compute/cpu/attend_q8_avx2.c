/* Decode attention over the q8 cache with vpmaddwd: see attend_q8_vec.h. */
#define VEC_FN(stem) osl_avx2_##stem
#include "attend_q8_ymm.h"
