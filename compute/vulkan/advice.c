/* What would make a device serve better, as sentences for people. Only what somebody can change, or
 * must know to understand a slow device. */
#include <inttypes.h>
#include <stdio.h>

#include "compute/vulkan/core.h"

#define GIB ((double)(1u << 30))
/* The 20b with 32,768 tokens of context takes 13.3 GB (design.md): below that it does not fit. */
#define MODEL_BYTES 13300000000ull
/* What others may hold of a heap before it is worth a word. */
#define BUDGET_LOW_PERCENT 75

struct heaps {
    uint64_t bytes, budget_bytes; /* of what weights can be put in */
    uint64_t local_bytes;         /* device local ones only */
};

static struct heaps add_up(const struct osl_vk_facts *facts)
{
    struct heaps sum = {0};
    for (uint32_t i = 0; i < facts->heap_count; i++) {
        const struct osl_vk_heap *heap = &facts->heaps[i];
        if (heap->device_local || facts->unified) {
            sum.bytes += heap->bytes;
            sum.budget_bytes += heap->budget_bytes;
            sum.local_bytes += heap->device_local ? heap->bytes : 0;
        }
    }
    return sum;
}

/* Each of these writes its sentence and says true, or does not apply. */
typedef bool advice(const struct osl_vk_facts *facts, char *out, size_t bytes);

static bool software(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    if (facts->type == OSL_VK_SOFTWARE) {
        snprintf(out, bytes, "this is the processor, playing a GPU: --device cpu is faster; for a "
                             "real GPU install its driver");
    }
    return facts->type == OSL_VK_SOFTWARE;
}

static bool window_small(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    bool applies = facts->type == OSL_VK_DISCRETE && !facts->large_bar;
    if (applies) {
        snprintf(out, bytes, "resizable BAR is off, so weights are loaded by way of a staging "
                             "buffer: switch on \"Above 4G decoding\" and \"Resizable BAR\" in the "
                             "firmware setup");
    }
    return applies;
}

static bool shared_small(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    struct heaps sum = add_up(facts);
    struct osl_memory_facts host;
    osl_memory_facts(&host);
    bool applies = facts->type == OSL_VK_INTEGRATED && sum.bytes < MODEL_BYTES &&
                   host.total_bytes > sum.bytes;
    if (applies) {
        snprintf(out, bytes, "the driver gives it %.1f GiB of the machine's memory, %.1f GiB of it "
                             "a carve-out: give it more in the firmware setup (UMA frame buffer) "
                             "or by the kernel (ttm.pages_limit)",
                 (double)sum.bytes / GIB, (double)sum.local_bytes / GIB);
    }
    return applies;
}

static bool memory_taken(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    struct heaps sum = add_up(facts);
    bool applies = facts->memory_budget && facts->type != OSL_VK_SOFTWARE &&
                   sum.budget_bytes < sum.bytes / 100 * BUDGET_LOW_PERCENT;
    if (applies) {
        snprintf(out, bytes, "only %.1f of its %.1f GiB are to be had: end other programs that use "
                             "it",
                 (double)sum.budget_bytes / GIB, (double)sum.bytes / GIB);
    }
    return applies;
}

static bool budget_unknown(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    bool applies = !facts->memory_budget && facts->type != OSL_VK_SOFTWARE;
    if (applies) {
        snprintf(out, bytes, "the driver does not say how much memory is free, so a fifth is left "
                             "alone: update it (VK_EXT_memory_budget)");
    }
    return applies;
}

static bool not_imported(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    bool applies = facts->unified && !facts->import;
    if (applies) {
        snprintf(out, bytes, "the driver cannot use weights where they are mapped, so they are in "
                             "memory twice while loading: update it "
                             "(VK_EXT_external_memory_host)");
    }
    return applies;
}

static bool driver_old(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    bool applies = facts->api_version < VK_API_VERSION_1_3;
    if (applies) {
        snprintf(out, bytes, "its driver is of Vulkan %u.%u; newer ones have faster instructions: "
                             "update it",
                 VK_API_VERSION_MAJOR(facts->api_version),
                 VK_API_VERSION_MINOR(facts->api_version));
    }
    return applies;
}

static bool no_subgroups(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    if (!facts->subgroup_arithmetic) {
        snprintf(out, bytes, "no subgroup arithmetic, so sums take the slow way: update the "
                             "driver, if there is a newer one");
    }
    return !facts->subgroup_arithmetic;
}

static bool no_half(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
    bool applies = !facts->fp16 || !facts->storage16;
    if (applies) {
        snprintf(out, bytes, "no arithmetic on 16-bit floats, so prompts are read with 32-bit "
                             "ones: update the driver, if there is a newer one");
    }
    return applies;
}

static bool matrix_not_built(const struct osl_vk_facts *facts, char *out, size_t bytes)
{
#ifdef VK_KHR_cooperative_matrix
    bool known = osl_vk_shaders_know("GL_KHR_cooperative_matrix");
#else
    bool known = false;
#endif
    bool applies = facts->matrix_offered && !known;
    if (applies) {
        snprintf(out, bytes, "its matrix instructions are not used, this program was built without "
                             "them: build it with glslang 13 and Vulkan headers 1.3.255, or newer");
    }
    return applies;
}

bool osl_vk_advice(const struct osl_vk_facts *facts, uint32_t index, char *text_out,
                   size_t bytes)
{
    static advice *const all[] = {
        software,     window_small, shared_small, memory_taken, budget_unknown,
        not_imported, driver_old,   no_subgroups, no_half,      matrix_not_built,
    };
    OSL_ASSERT(facts != NULL && text_out != NULL && bytes >= OSL_VK_ADVICE_BYTES);
    if (!facts->usable) {
        return false; /* its refusal says it all */
    }
    char text[OSL_VK_ADVICE_BYTES];
    uint32_t found = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i](facts, text, sizeof text) && found++ == index) {
            snprintf(text_out, bytes, "%s", text);
            return true;
        }
    }
    return false;
}
