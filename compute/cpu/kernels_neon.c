/* The ARM tables, and which of them this CPU runs. Advanced SIMD itself is part of every AArch64
 * core Linux runs on. */
#include "platform/platform.h"

#include "neon.h"
#include "peak.h"
#include "tables.h"

bool osl_cpu_has_dotprod(void)
{
    return (osl_cpu_features() & OSL_CPU_ARM_DOTPROD) != 0;
}

/* The table borrows its matvecs from dotprod, so both are asked for. */
bool osl_cpu_has_i8mm(void)
{
    return osl_cpu_has_dotprod() && (osl_cpu_features() & OSL_CPU_ARM_I8MM) != 0;
}

#define E8M0_1(e) ((e) < 2u ? 0x00200000u << ((e)&1u) : (e) == 255u ? 0x7fc00000u : ((e)-1u) << 23)
#define E8M0_4(e) E8M0_1(e), E8M0_1((e) + 1u), E8M0_1((e) + 2u), E8M0_1((e) + 3u)
#define E8M0_16(e) E8M0_4(e), E8M0_4((e) + 4u), E8M0_4((e) + 8u), E8M0_4((e) + 12u)
#define E8M0_64(e) E8M0_16(e), E8M0_16((e) + 16u), E8M0_16((e) + 32u), E8M0_16((e) + 48u)

const uint32_t osl_neon_e8m0_half_bits[256] = {E8M0_64(0u), E8M0_64(64u), E8M0_64(128u),
                                               E8M0_64(192u)};

#define START_4 0x4b400000, 0x4b400000, 0x4b400000, 0x4b400000
#define START_16 START_4, START_4, START_4, START_4

const int32_t osl_neon_starts[2][OSL_NEON_STARTS * 4] = {{0}, {START_16, START_16}};

/* Where the levels agree: all but products of integers. */
#define COMMON_KERNELS                                                                             \
    .quantized = {[OSL_DTYPE_Q8_0] = true, [OSL_DTYPE_MXFP4] = true},                              \
    .quantize = osl_neon_quantize, .rmsnorm = osl_neon_rmsnorm, .swiglu = osl_neon_swiglu,         \
    .rope = osl_neon_rope,                                                                         \
    .kv_store = {[OSL_KV_F16] = osl_neon_kv_store_f16, [OSL_KV_Q8] = osl_neon_kv_store_q8},        \
    .attend_prefill =                                                                              \
        {[OSL_KV_F16] = osl_neon_attend_prefill_f16, [OSL_KV_Q8] = osl_neon_attend_prefill_q8},    \
    .attend_merge = osl_neon_attend_merge, .read = osl_neon_read

#define ATTEND_PART(q8_level)                                                                      \
    {                                                                                              \
        [OSL_KV_F16] = osl_neon_attend_part_f16, [OSL_KV_Q8] = osl_##q8_level##_attend_part_q8     \
    }

#define DENSE_KERNELS(op)                                                                          \
    [OSL_DTYPE_F32] = osl_neon_##op##_f32, [OSL_DTYPE_F16] = osl_neon_##op##_f16,                  \
    [OSL_DTYPE_BF16] = osl_neon_##op##_bf16

#define QUANTIZED_KERNELS(level, op)                                                               \
    [OSL_DTYPE_Q8_0] = osl_##level##_##op##_q8_0, [OSL_DTYPE_MXFP4] = osl_##level##_##op##_mxfp4

/* Activations are two planes of int8. */
#define CEILINGS(int8_peak)                                                                        \
    .ceiling = {[OSL_DTYPE_F32] = {&osl_peak_fmla, 1},                                             \
                [OSL_DTYPE_F16] = {&osl_peak_fmla, 1},                                             \
                [OSL_DTYPE_BF16] = {&osl_peak_fmla, 1},                                            \
                [OSL_DTYPE_Q8_0] = {&int8_peak, 2},                                                \
                [OSL_DTYPE_MXFP4] = {&int8_peak, 2}}

const struct osl_kernels osl_kernels_neon = {
    .name = "neon",
    .matvec = {DENSE_KERNELS(matvec), QUANTIZED_KERNELS(neon, matvec)},
    .matmul = {DENSE_KERNELS(matmul), QUANTIZED_KERNELS(neon, matmul)},
    .attend_part = ATTEND_PART(neon),
    COMMON_KERNELS,
    CEILINGS(osl_peak_smull),
};

const struct osl_kernels osl_kernels_dotprod = {
    .name = "dotprod",
    .grouped = {[OSL_DTYPE_MXFP4] = true},
    .matvec = {DENSE_KERNELS(matvec), QUANTIZED_KERNELS(dotprod, matvec)},
    .matvec_tokens = {[OSL_DTYPE_Q8_0] = osl_dotprod_matvec_tokens_q8_0,
                      [OSL_DTYPE_MXFP4] = osl_dotprod_matvec_tokens_mxfp4},
    .matmul = {DENSE_KERNELS(matmul), QUANTIZED_KERNELS(dotprod, matmul)},
    .attend_part = ATTEND_PART(dotprod),
    .pack = osl_neon_pack,
    .pack_signed = true,
    COMMON_KERNELS,
    CEILINGS(osl_peak_sdot),
};

const struct osl_kernels osl_kernels_i8mm = {
    .name = "i8mm",
    .grouped = {[OSL_DTYPE_MXFP4] = true},
    .matvec = {DENSE_KERNELS(matvec), QUANTIZED_KERNELS(dotprod, matvec)},
    .matvec_tokens = {[OSL_DTYPE_Q8_0] = osl_dotprod_matvec_tokens_q8_0,
                      [OSL_DTYPE_MXFP4] = osl_i8mm_matvec_tokens_mxfp4},
    .matmul = {DENSE_KERNELS(matmul), QUANTIZED_KERNELS(i8mm, matmul)},
    .attend_part = ATTEND_PART(dotprod),
    .pack = osl_neon_pack,
    .pack_signed = true,
    COMMON_KERNELS,
    CEILINGS(osl_peak_smmla),
};
