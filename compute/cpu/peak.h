/* The yardsticks of `bench`: how fast a level's own instructions can read memory and multiply.
 *
 * Each is a loop in assembly over registers alone (bursts) or loads alone (reads), so that no
 * compiler makes it faster or slower than the machine is, whatever it is told to optimise. A table
 * names, for each type of weight, the instruction that its matmul multiplies with and how many of
 * its products one product of a weight takes (struct osl_ceiling). */
#ifndef OSL_PEAK_H
#define OSL_PEAK_H

#include "compute/kernels.h"

#if defined(__x86_64__)
extern const struct osl_peak osl_peak_vpdpbusd_zmm;
extern const struct osl_peak osl_peak_fma_zmm;
extern const struct osl_peak osl_peak_vpdpbusd_ymm;
extern const struct osl_peak osl_peak_vpmaddubsw_ymm;
extern const struct osl_peak osl_peak_fma_ymm;
osl_read_fn osl_avx512_read;
osl_read_fn osl_avx2_read;
#elif defined(__aarch64__)
extern const struct osl_peak osl_peak_smmla;
extern const struct osl_peak osl_peak_sdot;
extern const struct osl_peak osl_peak_smull;
extern const struct osl_peak osl_peak_fmla;
osl_read_fn osl_neon_read;
#endif

#endif
