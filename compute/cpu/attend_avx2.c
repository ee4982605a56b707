/* Attention: see attend_vec.h. */
#include "vec_avx2.h"

#include "x86_tables.h"

#define VEC_FN(stem) osl_avx2_##stem
#define ATTEND_ROWS 4 /* 8 sums of 16 registers */
#include "attend_vec.h"
#include "attend_part_vec.h"

void osl_avx2_attend_part_q8(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                             float *part)
{
    attend_part(OSL_KV_Q8, a, key_begin, key_end, part);
}
