/* PCG-XSH-RR 64/32: 64 bits of state, 32 a number. Source: O'Neill, "PCG: A Family of Simple Fast
 * Space-Efficient Statistically Good Algorithms for Random Number Generation", 2014. */
#ifndef OSL_PCG32_H
#define OSL_PCG32_H

#include <stdint.h>

struct osl_pcg32 {
    uint64_t state;
    uint64_t increment; /* odd; picks one of 2^63 streams */
};

static inline uint32_t osl_pcg32_next(struct osl_pcg32 *generator)
{
    uint64_t old = generator->state;
    generator->state = old * 6364136223846793005u + generator->increment;
    uint32_t shifted = (uint32_t)((old >> 18 ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    return shifted >> turn | shifted << (-turn & 31);
}

static inline void osl_pcg32_seed(struct osl_pcg32 *generator, uint64_t state, uint64_t stream)
{
    generator->state = 0;
    generator->increment = stream << 1 | 1;
    osl_pcg32_next(generator);
    generator->state += state;
    osl_pcg32_next(generator);
}

/* Uniform in [0, 1), a multiple of 2^-24. */
static inline double osl_pcg32_unit(struct osl_pcg32 *generator)
{
    return (double)(osl_pcg32_next(generator) >> 8) * 0x1p-24;
}

#endif
