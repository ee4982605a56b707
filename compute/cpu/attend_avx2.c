/* Attention but decode of the q8 cache (attend_q8_avx2.c): see attend_vec.h. */
#include "vec_avx2.h"

#include "x86_tables.h"

#define VEC_FN(stem) osl_avx2_##stem
#define ATTEND_ROWS 4 /* 8 sums of 16 registers */
#include "attend_vec.h"
#include "attend_part_vec.h"
