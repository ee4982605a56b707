/* Attention but decode of the q8 cache (attend_q8_avx512vnni.c): see attend_vec.h. */
#include "vec_avx512.h"

#include "x86_tables.h"

#define VEC_FN(stem) osl_avx512_##stem
#define ATTEND_ROWS 8 /* 16 sums of 32 registers */
#include "attend_vec.h"
#include "attend_part_vec.h"
