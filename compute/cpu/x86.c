/* The x86 tables, and which of them this machine can run: the instructions, and the state the
 * operating system saves. Source: Intel SDM volume 1, 14.3 and 15.3; volume 2, CPUID. */
#include "platform/platform.h"

#include <cpuid.h>

#include "peak.h"
#include "x86_tables.h"

#define LEAF1_ECX_FMA (1u << 12)
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF1_ECX_AVX (1u << 28)
#define LEAF1_ECX_F16C (1u << 29)
#define LEAF7_EBX_AVX2 (1u << 5)
#define LEAF7_EBX_AVX512F (1u << 16)
#define LEAF7_EBX_AVX512DQ (1u << 17)
#define LEAF7_EBX_AVX512BW (1u << 30)
#define LEAF7_EBX_AVX512VL (1u << 31)
#define LEAF7_ECX_AVX512VNNI (1u << 11)
#define LEAF7_1_EAX_AVX_VNNI (1u << 4)
#define XCR0_YMM 0x06u /* SSE and AVX state */
#define XCR0_ZMM 0xe6u /* and the mask registers and both parts of the 512-bit ones */

static uint32_t saved_state(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

struct features {
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx;
    uint32_t leaf7_ecx;
    uint32_t leaf7_1_eax; /* zero where there is no such subleaf */
    uint32_t xcr0;
};

static struct features read_features(void)
{
    struct features f = {0};
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
    if (__get_cpuid_count(1, 0, &eax, &ebx, &ecx, &edx)) {
        f.leaf1_ecx = ecx;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        f.leaf7_ebx = ebx;
        f.leaf7_ecx = ecx;
        if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) {
            f.leaf7_1_eax = eax;
        }
    }
    if (f.leaf1_ecx & LEAF1_ECX_OSXSAVE) {
        f.xcr0 = saved_state();
    }
    return f;
}

static bool has(uint32_t value, uint32_t bits)
{
    return (value & bits) == bits;
}

bool osl_cpu_has_avx2(void)
{
    struct features f = read_features();
    return has(f.leaf1_ecx, LEAF1_ECX_FMA | LEAF1_ECX_AVX | LEAF1_ECX_F16C) &&
           has(f.leaf7_ebx, LEAF7_EBX_AVX2) && has(f.xcr0, XCR0_YMM);
}

bool osl_cpu_has_avxvnni(void)
{
    return osl_cpu_has_avx2() && has(read_features().leaf7_1_eax, LEAF7_1_EAX_AVX_VNNI);
}

bool osl_cpu_has_avx512vnni(void)
{
    struct features f = read_features();
    return osl_cpu_has_avx2() && has(f.xcr0, XCR0_ZMM) &&
           has(f.leaf7_ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW |
                                LEAF7_EBX_AVX512VL) &&
           has(f.leaf7_ecx, LEAF7_ECX_AVX512VNNI);
}

/* dot: the level of the kernels that differ between avx2 and avxvnni. */
#define X86_TABLE(table_name, level, dot, words, int8_peak, int8_products, float_peak)         \
    {                                                                                          \
        .name = table_name,                                                                    \
        .quantized = {[OSL_DTYPE_Q8_0] = true, [OSL_DTYPE_MXFP4] = true},                      \
        .matvec = {[OSL_DTYPE_F32] = osl_##level##_matvec_f32,                                 \
                   [OSL_DTYPE_F16] = osl_##level##_matvec_f16,                                 \
                   [OSL_DTYPE_BF16] = osl_##level##_matvec_bf16,                               \
                   [OSL_DTYPE_Q8_0] = osl_##level##_matvec_q8_0,                               \
                   [OSL_DTYPE_MXFP4] = osl_##dot##_matvec_mxfp4},                              \
        .matvec_tokens = {[OSL_DTYPE_Q8_0] = osl_##level##_matvec_tokens_q8_0,                 \
                          [OSL_DTYPE_MXFP4] = osl_##dot##_matvec_tokens_mxfp4},                \
        .matmul = {[OSL_DTYPE_F32] = osl_##level##_matmul_f32,                                 \
                   [OSL_DTYPE_F16] = osl_##level##_matmul_f16,                                 \
                   [OSL_DTYPE_BF16] = osl_##level##_matmul_bf16,                               \
                   [OSL_DTYPE_Q8_0] = osl_##dot##_matmul_q8_0,                                 \
                   [OSL_DTYPE_MXFP4] = osl_##dot##_matmul_mxfp4},                              \
        .quantize = osl_##level##_quantize,                                                    \
        .pack = osl_##level##_pack,                                                            \
        .pack_words = (words),                                                                 \
        .rmsnorm = osl_##level##_rmsnorm,                                                      \
        .swiglu = osl_##level##_swiglu,                                                        \
        .rope = osl_##level##_rope,                                                            \
        .kv_store = {[OSL_KV_F16] = osl_##level##_kv_store_f16,                                \
                     [OSL_KV_Q8] = osl_##level##_kv_store_q8},                                 \
        .attend_prefill = {[OSL_KV_F16] = osl_##level##_attend_prefill_f16,                    \
                           [OSL_KV_Q8] = osl_##level##_attend_prefill_q8},                     \
        .attend_part = {[OSL_KV_F16] = osl_##level##_attend_part_f16,                          \
                        [OSL_KV_Q8] = osl_##dot##_attend_part_q8},                             \
        .attend_merge = osl_plain_attend_merge,                                                \
        .ceiling = {[OSL_DTYPE_F32] = {&float_peak, 1},                                        \
                    [OSL_DTYPE_F16] = {&float_peak, 1},                                        \
                    [OSL_DTYPE_BF16] = {&float_peak, 1},                                       \
                    [OSL_DTYPE_Q8_0] = {&int8_peak, int8_products},                            \
                    [OSL_DTYPE_MXFP4] = {&int8_peak, int8_products}},                          \
        .read = osl_##level##_read,                                                            \
    }

const struct osl_kernels osl_kernels_avx2 =
    X86_TABLE("avx2", avx2, avx2, true, osl_peak_vpmaddubsw_ymm, 2, osl_peak_fma_ymm);
const struct osl_kernels osl_kernels_avxvnni =
    X86_TABLE("avxvnni", avx2, avxvnni, true, osl_peak_vpdpbusd_ymm, 2, osl_peak_fma_ymm);
const struct osl_kernels osl_kernels_avx512vnni =
    X86_TABLE("avx512vnni", avx512, avx512, false, osl_peak_vpdpbusd_zmm, 2, osl_peak_fma_zmm);
