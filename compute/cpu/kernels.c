/* The list of tables. A new one is one line here, one in tables.h, and its files in the build. */
#include "platform/platform.h"

#include <string.h>

#include "tables.h"

const struct osl_kernels osl_kernels_plain = {
    .name = "plain",
    .matvec = {[OSL_DTYPE_F32] = osl_plain_matvec_f32,
               [OSL_DTYPE_F16] = osl_plain_matvec_f16,
               [OSL_DTYPE_BF16] = osl_plain_matvec_bf16,
               [OSL_DTYPE_Q8_0] = osl_plain_matvec_q8_0,
               [OSL_DTYPE_MXFP4] = osl_plain_matvec_mxfp4},
    .matmul = {[OSL_DTYPE_F32] = osl_plain_matmul_f32,
               [OSL_DTYPE_F16] = osl_plain_matmul_f16,
               [OSL_DTYPE_BF16] = osl_plain_matmul_bf16,
               [OSL_DTYPE_Q8_0] = osl_plain_matmul_q8_0,
               [OSL_DTYPE_MXFP4] = osl_plain_matmul_mxfp4},
    .quantize = osl_plain_quantize,
    .rmsnorm = osl_plain_rmsnorm,
    .swiglu = osl_plain_swiglu,
    .rope = osl_plain_rope,
    .kv_store = {[OSL_KV_F16] = osl_plain_kv_store_f16, [OSL_KV_Q8] = osl_plain_kv_store_q8},
    .attend_prefill = {[OSL_KV_F16] = osl_plain_attend_prefill_f16,
                       [OSL_KV_Q8] = osl_plain_attend_prefill_q8},
    .attend_part = {[OSL_KV_F16] = osl_plain_attend_part_f16,
                    [OSL_KV_Q8] = osl_plain_attend_part_q8},
    .attend_merge = osl_plain_attend_merge,
};

static bool always(void)
{
    return true;
}

struct candidate {
    const struct osl_kernels *table;
    bool (*runnable)(void);
};

/* Best first. */
static const struct candidate candidates[] = {
#if defined(__aarch64__)
    {&osl_kernels_i8mm, osl_cpu_has_i8mm},
    {&osl_kernels_dotprod, osl_cpu_has_dotprod},
    {&osl_kernels_neon, always},
#elif defined(__x86_64__)
    {&osl_kernels_avx512vnni, osl_cpu_has_avx512vnni},
    {&osl_kernels_avxvnni, osl_cpu_has_avxvnni},
    {&osl_kernels_avx2, osl_cpu_has_avx2},
#endif
    {&osl_kernels_plain, always},
};

_Static_assert(sizeof candidates / sizeof candidates[0] <= OSL_LEVELS_MAX, "raise OSL_LEVELS_MAX");

uint32_t osl_kernels_list(const struct osl_kernels *out[OSL_LEVELS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        if (candidates[i].runnable()) {
            out[count++] = candidates[i].table;
        }
    }
    return count;
}

const struct osl_kernels *osl_kernels_find(const char *name)
{
    const struct osl_kernels *tables[OSL_LEVELS_MAX];
    uint32_t count = osl_kernels_list(tables);
    for (uint32_t i = 0; i < count; i++) {
        if (name == NULL || strcmp(name, tables[i]->name) == 0) {
            return tables[i];
        }
    }
    return NULL;
}
