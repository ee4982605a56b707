/* bf16, the upper half of a float32, to and from float32, rounded to the nearest. */
#ifndef OSSICLE_DEMO_FAST_H
#define OSSICLE_DEMO_FAST_H

#include <stdint.h>

typedef uint16_t bf16;

static inline float wide(bf16 x)
{
    union {
        uint32_t u;
        float f;
    } v = {.u = (uint32_t)x << 16};
    return v.f;
}

static inline bf16 narrow(float x)
{
    union {
        float f;
        uint32_t u;
    } v = {.f = x};
    return (bf16)((v.u + 0x7fff + ((v.u >> 16) & 1)) >> 16);
}

#endif
