/* What the kernel says of the processor. Linux reports what all cores share. */
#include "platform/platform.h"

#include <sys/auxv.h>

/* AT_HWCAP and AT_HWCAP2 bits. Source: Linux, Documentation/arm64/elf_hwcaps.rst. Named here
 * because older C libraries do not. */
#define ARM_HWCAP_ASIMDDP (1ul << 20)
#define ARM_HWCAP2_I8MM (1ul << 13)

uint32_t osl_cpu_features(void)
{
    uint32_t features = 0;
#if defined(__aarch64__)
    if ((getauxval(AT_HWCAP) & ARM_HWCAP_ASIMDDP) != 0) {
        features |= OSL_CPU_ARM_DOTPROD;
    }
    if ((getauxval(AT_HWCAP2) & ARM_HWCAP2_I8MM) != 0) {
        features |= OSL_CPU_ARM_I8MM;
    }
#endif
    return features;
}
