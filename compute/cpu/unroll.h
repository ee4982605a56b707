/* What the x86 kernels' files ask of compilers beyond the language. */
#ifndef OSL_CPU_UNROLL_H
#define OSL_CPU_UNROLL_H

#define OSL_INLINE static inline __attribute__((always_inline))
#if defined(__clang__) /* takes the other pragma too, but too late for arrays of registers */
#define OSL_UNROLL _Pragma("clang loop unroll(full)")
#define OSL_UNROLL_SOME /* of an unknown count: clang does as it likes */
#else
#define OSL_UNROLL _Pragma("GCC unroll 16")
#define OSL_UNROLL_SOME _Pragma("GCC unroll 8")
#endif

#endif
