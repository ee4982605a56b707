/* exp of numbers up to 0, for probabilities: the same bits on every machine and at every level of
 * optimisation (no library call, no contraction), in a form that compilers make vectors of. */
#ifndef OSL_EXP_H
#define OSL_EXP_H

#include <stdint.h>
#include <string.h>

/* Below this the result is exp of this, 1e-304: nothing beside any other probability. */
#define OSL_EXP_LEAST (-700.0)

/* x <= 0, not NaN. Relative error below 1e-15: x = n ln 2 + r with |r| <= ln 2 / 2, then Taylor's
 * series to r^12 / 12!, whose rest is below 2e-16. */
static inline double osl_exp(double x)
{
    /* Adding 1.5 * 2^52 leaves the nearest whole number in the low bits. */
    const double shift = 0x1.8p52;
    x = x < OSL_EXP_LEAST ? OSL_EXP_LEAST : x;
    double shifted = x * 0x1.71547652b82fep+0 + shift;
    double n = shifted - shift;
    /* ln 2 in two parts; the first has 21 low bits of 0, so that its product with n is exact. */
    double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
    double sum = 1.0 / 479001600;
    sum = sum * r + 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52; /* 2^n */
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}

#endif
