/* quantize, rmsnorm, swiglu, rope and kv_store: see elementwise_vec.h. */
#include "vec_avx512.h"

#include "x86_tables.h"

#define VEC_FN(stem) osl_avx512_##stem
#include "elementwise_vec.h"
