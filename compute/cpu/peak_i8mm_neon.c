/* Peaks of the int8 products of ARMv8.2 and later: see peak.h. */
#include "peak_neon.h"

OSL_NEON_PEAK(dotprod, sdot, "4s", "16b", 32);
OSL_NEON_PEAK(i8mm, smmla, "4s", "16b", 64);
