/* exp on vectors, and what every *_vec.h file wants. Include one of vec_avx2.h, vec_avx512.h
 * first, and define VEC_FN(stem), the external name of a kernel. */
#ifndef OSL_VEC_MATH_H
#define OSL_VEC_MATH_H

#include <math.h>

#include "half.h"
#include "unroll.h"

/* e^x, relative error below 1.5e-7 where the result is normal; exp(0) is exactly 1, exp(-inf) 0,
 * NaN stays. x = n ln 2 + r with |r| <= ln 2 / 2, and e^r = 1 + r (1 + r q(r)), q the polynomial
 * of degree 4 with the least relative error of the whole (3.1e-9, fitted by reweighted least
 * squares on 400 Chebyshev nodes). First e^r alone. */
static inline vec vec_exp_within(vec x, vec n)
{
    vec r = vec_fma(n, vec_splat(-0x1.62e400p-1f), x); /* n times the upper bits is exact */
    r = vec_fma(n, vec_splat(-0x1.7f7d1cp-20f), r);
    vec q = vec_splat(0x1.6a242cp-10f);
    q = vec_fma(q, r, vec_splat(0x1.1239e4p-7f));
    q = vec_fma(q, r, vec_splat(0x1.5558f2p-5f));
    q = vec_fma(q, r, vec_splat(0x1.555492p-3f));
    q = vec_fma(q, r, vec_splat(0x1.fffffcp-2f));
    vec one = vec_splat(1.0f);
    return vec_fma(vec_fma(q, r, one), r, one);
}

static inline vec vec_exp(vec x)
{
    x = vec_min(vec_splat(89.0f), x);   /* beyond: infinity */
    x = vec_max(vec_splat(-104.0f), x); /* below: zero */
    vec n = vec_nearest(vec_mul(x, vec_splat(0x1.715476p+0f)));
    return vec_scale_exponent(vec_exp_within(x, n), n);
}

static inline float vec_exp_scalar(float x)
{
    float lanes[VEC_LANES];
    vec_store(lanes, vec_exp(vec_splat(x)));
    return lanes[0];
}

#endif
