/* Peaks and reads of plain ARMv8.0: see peak.h. */
#include "peak_neon.h"

OSL_NEON_PEAK(neon, smull, "8h", "8b", 16);
OSL_NEON_PEAK(neon, fmla, "4s", "4s", 8);

/* 128 bytes a round, 2 KiB ahead, as the matvec kernels prefetch. */
void osl_neon_read(const void *data, uint64_t bytes)
{
    uint64_t rounds = bytes / 128;
    if (rounds > 0) {
        __asm__ volatile("1:\n\t"
                         "prfm pldl1strm, [%0, #2048]\n\tprfm pldl1strm, [%0, #2112]\n\t"
                         "ldp q0, q1, [%0]\n\tldp q2, q3, [%0, #32]\n\t"
                         "ldp q4, q5, [%0, #64]\n\tldp q6, q7, [%0, #96]\n\t"
                         "add %0, %0, #128\n\tsubs %1, %1, #1\n\tb.ne 1b"
                         : "+r"(data), "+r"(rounds)
                         :
                         : "cc", "memory", OSL_NEON_V_ALL);
    }
}
