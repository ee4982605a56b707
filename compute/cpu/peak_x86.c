/* Peaks and reads of the x86 levels: see peak.h.
 *
 * Twelve registers are written in turn: two instructions a cycle with a latency of four to five
 * leave none waiting. All hold zeros, and no subnormal number that would slow them down. */
#include "peak.h"

#define ACCUMULATORS 12
#define FOR_EACH ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n\t"
#define XMM_ALL                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13"

/* r: zmm or ymm. operations_each: two for every product that is added. */
#define PEAK(peak_name, text, instruction, r, operations_each)                                     \
    static void burst_##peak_name(uint64_t rounds)                                                 \
    {                                                                                              \
        __asm__ volatile("vzeroall\n\t.p2align 6\n"                                                \
                         "1:\n\t" FOR_EACH instruction " %%" r "12, %%" r "13, %%" r "\\i\n\t"     \
                         ".endr\n\t"                                                               \
                         "dec %0\n\tjnz 1b\n\tvzeroupper"                                          \
                         : "+r"(rounds)                                                            \
                         :                                                                         \
                         : "cc", XMM_ALL, "xmm14", "xmm15");                                       \
    }                                                                                              \
    const struct osl_peak osl_peak_##peak_name = {text, burst_##peak_name,                         \
                                                  ACCUMULATORS * (operations_each)}

PEAK(vpdpbusd_zmm, "vpdpbusd zmm", "vpdpbusd", "zmm", 128);
PEAK(fma_zmm, "fma zmm", "vfmadd231ps", "zmm", 32);
/* As CPUs without AVX-512 have it: assemblers take its longer form if not told. */
PEAK(vpdpbusd_ymm, "vpdpbusd ymm", "%{vex%} vpdpbusd", "ymm", 64);
PEAK(vpmaddubsw_ymm, "vpmaddubsw ymm", "vpmaddubsw", "ymm", 64);
PEAK(fma_ymm, "fma ymm", "vfmadd231ps", "ymm", 16);

/* 256 bytes a round, 8 KiB ahead: of 2 to 16 KiB none was better on Zen 5, and all of them far
 * better than a loop in C without wide vectors, which stopped at 40 GB/s of 78 (2026-11-21). */
#define AHEAD "8192"
#define READ(level, loads)                                                                         \
    void osl_##level##_read(const void *data, uint64_t bytes)                                      \
    {                                                                                              \
        uint64_t rounds = bytes / 256;                                                             \
        if (rounds > 0) {                                                                          \
            __asm__ volatile("1:\n\t"                                                              \
                             "prefetcht0 " AHEAD "(%0)\n\tprefetcht0 64+" AHEAD "(%0)\n\t"         \
                             "prefetcht0 128+" AHEAD "(%0)\n\tprefetcht0 192+" AHEAD               \
                             "(%0)\n\t" loads "add $256, %0\n\tdec %1\n\tjnz 1b\n\tvzeroupper"     \
                             : "+r"(data), "+r"(rounds)                                            \
                             :                                                                     \
                             : "cc", "memory", XMM_ALL);                                           \
        }                                                                                          \
    }

#define LOAD(at, register) "vmovups " at "(%0), %%" register "\n\t"
READ(avx512, LOAD("0", "zmm0") LOAD("64", "zmm1") LOAD("128", "zmm2") LOAD("192", "zmm3"))
READ(avx2, LOAD("0", "ymm0") LOAD("32", "ymm1") LOAD("64", "ymm2") LOAD("96", "ymm3")
               LOAD("128", "ymm4") LOAD("160", "ymm5") LOAD("192", "ymm6") LOAD("224", "ymm7"))
