/* matvec and matmul for F32, F16 and BF16 weights: see matmul_float_vec.h. */
#include "vec_avx2.h"

#include "x86_tables.h"

#define VEC_FN(stem) osl_avx2_##stem
#include "matmul_float_vec.h"
