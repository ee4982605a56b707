/* A burst of one ARM instruction: see peak.h. Sixteen registers are written in turn: four
 * instructions a cycle with a latency of four leave none waiting. All hold zeros. */
#ifndef OSL_PEAK_NEON_H
#define OSL_PEAK_NEON_H

#include "peak.h"

#define OSL_NEON_ACCUMULATORS 16
#define OSL_NEON_FOR_EACH ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
#define OSL_NEON_V_ALL                                                                             \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", \
        "v15", "v16", "v17"

/* level: what a core must have, in the function's name, where tests/aarch64.sh looks for it. to,
 * from: the arrangement of what is written and of both that are read. operations_each: two
 * for every product. */
#define OSL_NEON_PEAK(level, instruction, to, from, operations_each)                               \
    static void burst_##level##_##instruction(uint64_t rounds)                                     \
    {                                                                                              \
        __asm__ volatile(OSL_NEON_FOR_EACH "movi v\\i\\().16b, #0\n\t"                             \
                                           ".endr\n\tmovi v16.16b, #0\n\tmovi v17.16b, #0\n"       \
                                           "1:\n\t" OSL_NEON_FOR_EACH #instruction " v\\i\\()." to \
                                           ", v16." from ", v17." from "\n\t.endr\n\t"             \
                                           "subs %0, %0, #1\n\tb.ne 1b"                            \
                         : "+r"(rounds)                                                            \
                         :                                                                         \
                         : "cc", OSL_NEON_V_ALL);                                                  \
    }                                                                                              \
    const struct osl_peak osl_peak_##instruction = {#instruction, burst_##level##_##instruction,   \
                                                    OSL_NEON_ACCUMULATORS * (operations_each)}

#endif
