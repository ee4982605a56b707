/* The kernels of the x86 levels. */
#ifndef OSL_X86_TABLES_H
#define OSL_X86_TABLES_H

#include "tables.h"

#define OSL_X86_KERNELS(level)                              \
    osl_matvec_fn osl_##level##_matvec_f32;                 \
    osl_matvec_fn osl_##level##_matvec_f16;                 \
    osl_matvec_fn osl_##level##_matvec_bf16;                \
    osl_matvec_fn osl_##level##_matvec_q8_0;                \
    osl_matvec_fn osl_##level##_matvec_mxfp4;               \
    osl_matmul_fn osl_##level##_matmul_f32;                 \
    osl_matmul_fn osl_##level##_matmul_f16;                 \
    osl_matmul_fn osl_##level##_matmul_bf16;                \
    osl_matmul_fn osl_##level##_matmul_q8_0;                \
    osl_matmul_fn osl_##level##_matmul_mxfp4;               \
    osl_quantize_fn osl_##level##_quantize;                 \
    osl_rmsnorm_fn osl_##level##_rmsnorm;                   \
    osl_swiglu_fn osl_##level##_swiglu;                     \
    osl_rope_fn osl_##level##_rope;                         \
    osl_kv_store_fn osl_##level##_kv_store_f16;             \
    osl_kv_store_fn osl_##level##_kv_store_q8;              \
    osl_attend_prefill_fn osl_##level##_attend_prefill_f16; \
    osl_attend_prefill_fn osl_##level##_attend_prefill_q8;  \
    osl_attend_part_fn osl_##level##_attend_part_f16;       \
    osl_attend_part_fn osl_##level##_attend_part_q8

OSL_X86_KERNELS(avx2);
OSL_X86_KERNELS(avx512);
/* AVX2's, where the CPU has the dot instructions; the others are AVX2's own. */
osl_matvec_fn osl_avxvnni_matvec_mxfp4;
osl_matmul_fn osl_avxvnni_matmul_q8_0;
osl_matmul_fn osl_avxvnni_matmul_mxfp4;
osl_attend_part_fn osl_avxvnni_attend_part_q8;
osl_pack_fn osl_avx2_pack;
osl_pack_fn osl_avx512_pack;
osl_matvec_tokens_fn osl_avx2_matvec_tokens_q8_0;
osl_matvec_tokens_fn osl_avx2_matvec_tokens_mxfp4;
osl_matvec_tokens_fn osl_avxvnni_matvec_tokens_mxfp4;
osl_matvec_tokens_fn osl_avx512_matvec_tokens_q8_0;
osl_matvec_tokens_fn osl_avx512_matvec_tokens_mxfp4;

#endif
