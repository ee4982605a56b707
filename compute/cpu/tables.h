/* What the files of compute/cpu share: the tables, and plain kernels that faster tables keep
 * where nothing faster pays. */
#ifndef OSL_CPU_TABLES_H
#define OSL_CPU_TABLES_H

#include "compute/kernels.h"

extern const struct osl_kernels osl_kernels_plain;

#if defined(__x86_64__)
extern const struct osl_kernels osl_kernels_avx2;
extern const struct osl_kernels osl_kernels_avxvnni;
extern const struct osl_kernels osl_kernels_avx512vnni;

/* The instructions the table was compiled for, and an operating system that saves their
 * registers. */
bool osl_cpu_has_avx2(void);
bool osl_cpu_has_avxvnni(void);
bool osl_cpu_has_avx512vnni(void);
#endif

#if defined(__aarch64__)
extern const struct osl_kernels osl_kernels_neon;
extern const struct osl_kernels osl_kernels_dotprod;
extern const struct osl_kernels osl_kernels_i8mm;

/* As the system reports it; Advanced SIMD itself every AArch64 core has. */
bool osl_cpu_has_dotprod(void);
bool osl_cpu_has_i8mm(void);
#endif

osl_quantize_fn osl_plain_quantize;
osl_rmsnorm_fn osl_plain_rmsnorm;
osl_swiglu_fn osl_plain_swiglu;
osl_rope_fn osl_plain_rope;
osl_kv_store_fn osl_plain_kv_store_f16;
osl_kv_store_fn osl_plain_kv_store_q8;
osl_attend_prefill_fn osl_plain_attend_prefill_f16;
osl_attend_prefill_fn osl_plain_attend_prefill_q8;
osl_attend_part_fn osl_plain_attend_part_f16;
osl_attend_part_fn osl_plain_attend_part_q8;
osl_attend_merge_fn osl_plain_attend_merge;
osl_matvec_fn osl_plain_matvec_f32;
osl_matvec_fn osl_plain_matvec_f16;
osl_matvec_fn osl_plain_matvec_bf16;
osl_matvec_fn osl_plain_matvec_q8_0;
osl_matvec_fn osl_plain_matvec_mxfp4;
osl_matmul_fn osl_plain_matmul_f32;
osl_matmul_fn osl_plain_matmul_f16;
osl_matmul_fn osl_plain_matmul_bf16;
osl_matmul_fn osl_plain_matmul_q8_0;
osl_matmul_fn osl_plain_matmul_mxfp4;

#endif
