/* Reading what a physical device is and can do. */
#include <stdio.h>
#include <string.h>

#include "compute/vulkan/core.h"

/* What the base tier needs; the first four are guaranteed by Vulkan 1.2, the number of bindings is
 * not (4 are), but every driver since has more. */
#define BASE_BINDING_BYTES (128u << 20)
#define BASE_SHARED_BYTES (16u << 10)
#define BASE_INVOCATIONS 128
#define OFFSET_ALIGNMENT_MOST 256
/* Of a heap whose budget the driver does not tell: the rest is for the desktop and others. */
#define BUDGET_SHARE_PERCENT 80
#define FAMILIES_MAX 16
#define MATRIX_SHAPES_MAX 128

const char *osl_vk_tier_name(enum osl_vk_tier tier)
{
    static const char *const names[OSL_VK_TIER_COUNT] = {"base", "subgroup", "fp16", "dot",
                                                         "matrix"};
    OSL_ASSERT((uint32_t)tier < OSL_VK_TIER_COUNT);
    return names[tier];
}

/* Everything asked of the driver at once. */
struct answers {
    struct osl_vk_extensions extensions;
    VkPhysicalDeviceProperties2 properties;
    VkPhysicalDeviceVulkan11Properties properties_11;
    VkPhysicalDeviceVulkan12Properties properties_12;
    VkPhysicalDeviceSubgroupSizeControlProperties subgroup;
    VkPhysicalDeviceShaderIntegerDotProductProperties dot_properties;
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT import;
    VkPhysicalDeviceMaintenance4Properties maintenance;
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDeviceVulkan11Features features_11;
    VkPhysicalDeviceVulkan12Features features_12;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_features;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot_features;
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix_features;
    VkPhysicalDeviceCooperativeMatrixPropertiesKHR matrix_properties;
#endif
};

void osl_vk_chain(void **head, void *item, VkStructureType type)
{
    VkBaseOutStructure *base = item; /* every one of them begins like this */
    base->sType = type;
    base->pNext = *head;
    *head = item;
}

void osl_vk_extensions_list(const struct osl_vk *vk, VkPhysicalDevice physical,
                            struct osl_vk_extensions *out)
{
    out->count = OSL_VK_EXTENSIONS_MAX;
    VkResult result =
        vk->EnumerateDeviceExtensionProperties(physical, NULL, &out->count, out->list);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        out->count = 0;
    }
}

bool osl_vk_promoted(const struct osl_vk *vk, uint32_t device_version,
                     const struct osl_vk_extensions *extensions, const char *name)
{
    return (device_version >= VK_API_VERSION_1_3 && vk->api_version >= VK_API_VERSION_1_3) ||
           osl_vk_extension_has(extensions, name);
}

/* Only structures the device knows may be in a chain. */
static void ask(const struct osl_vk *vk, VkPhysicalDevice physical, uint32_t api_version,
                struct answers *a)
{
    const struct osl_vk_extensions *e = &a->extensions;
    void *properties = NULL;
    void *features = NULL;
    osl_vk_chain(&properties, &a->properties_11,
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
    osl_vk_chain(&properties, &a->properties_12,
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
    osl_vk_chain(&features, &a->features_11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
    osl_vk_chain(&features, &a->features_12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    if (osl_vk_promoted(vk, api_version, e, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        osl_vk_chain(&properties, &a->subgroup,
              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
        osl_vk_chain(&features, &a->subgroup_features,
              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
    }
    if (osl_vk_promoted(vk, api_version, e, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
        osl_vk_chain(&properties, &a->dot_properties,
              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES);
        osl_vk_chain(&features, &a->dot_features,
              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
    }
    if (osl_vk_promoted(vk, api_version, e, VK_KHR_MAINTENANCE_4_EXTENSION_NAME)) {
        osl_vk_chain(&properties, &a->maintenance,
                     VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES);
    }
    if (osl_vk_extension_has(e, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)) {
        osl_vk_chain(&properties, &a->import,
              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT);
    }
#ifdef VK_KHR_cooperative_matrix
    if (osl_vk_extension_has(e, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) {
        osl_vk_chain(&properties, &a->matrix_properties,
              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR);
        osl_vk_chain(&features, &a->matrix_features,
              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
    }
#endif
    a->properties.pNext = properties;
    a->features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    a->features.pNext = features;
    vk->GetPhysicalDeviceProperties2(physical, &a->properties);
    vk->GetPhysicalDeviceFeatures2(physical, &a->features);
}

bool osl_vk_queue_choose(const struct osl_vk *vk, VkPhysicalDevice physical, uint32_t *family_out,
                         uint32_t *timestamp_bits_out)
{
    VkQueueFamilyProperties families[FAMILIES_MAX];
    uint32_t count = FAMILIES_MAX;
    vk->GetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0 || families[i].queueCount == 0) {
            continue;
        }
        if (best == UINT32_MAX) {
            best = i;
            continue;
        }
        /* A queue without graphics does not wait behind the desktop's frames; but not one that
         * cannot be timed. */
        bool better = (families[best].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0 &&
                      (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0 &&
                      families[i].timestampValidBits >= families[best].timestampValidBits;
        best = better ? i : best;
    }
    if (best == UINT32_MAX) {
        return false;
    }
    *family_out = best;
    *timestamp_bits_out = families[best].timestampValidBits;
    return true;
}

/* Properties of a heap's memory types together. */
static VkMemoryPropertyFlags heap_types(const VkPhysicalDeviceMemoryProperties *memory,
                                        uint32_t heap)
{
    VkMemoryPropertyFlags all = 0;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        if (memory->memoryTypes[i].heapIndex == heap) {
            all |= memory->memoryTypes[i].propertyFlags;
        }
    }
    return all;
}

/* Memory as it is now; *budget_out has heap budgets and use where the driver tells them. */
static void ask_memory(const struct osl_vk *vk, VkPhysicalDevice physical, bool with_budget,
                       VkPhysicalDeviceMemoryProperties *memory_out,
                       VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget_out)
{
    memset(budget_out, 0, sizeof *budget_out);
    budget_out->sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        .pNext = with_budget ? budget_out : NULL,
    };
    vk->GetPhysicalDeviceMemoryProperties2(physical, &memory);
    *memory_out = memory.memoryProperties;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void read_memory(const struct osl_vk *vk, VkPhysicalDevice physical,
                        struct osl_vk_facts *facts)
{
    VkPhysicalDeviceMemoryProperties memory;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget;
    ask_memory(vk, physical, facts->memory_budget, &memory, &budget);
    struct osl_memory_facts host;
    osl_memory_facts(&host);

    facts->heap_count = memory.memoryHeapCount;
    uint64_t largest = 0;
    bool all_both = true;
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        struct osl_vk_heap *heap = &facts->heaps[i];
        VkMemoryPropertyFlags types = heap_types(&memory, i);
        heap->bytes = memory.memoryHeaps[i].size;
        heap->device_local = (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
        heap->host_visible = (types & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0;
        heap->budget_bytes = facts->memory_budget ? smaller(budget.heapBudget[i], heap->bytes)
                                                  : heap->bytes / 100 * BUDGET_SHARE_PERCENT;
        /* Host memory: what others hold counts, whatever the driver says. */
        if (!heap->device_local || facts->type == OSL_VK_SOFTWARE) {
            heap->budget_bytes = smaller(heap->budget_bytes, host.available_bytes);
        }
        all_both = all_both && heap->device_local && heap->host_visible;
        if (heap->device_local && heap->bytes > largest) {
            largest = heap->bytes;
            facts->large_bar = facts->type == OSL_VK_DISCRETE && heap->host_visible;
        }
    }
    facts->unified =
        all_both || facts->type == OSL_VK_INTEGRATED || facts->type == OSL_VK_SOFTWARE;
}

void osl_vk_budget_read(const struct osl_vk *vk, uint32_t index,
                        uint64_t left_out[OSL_VK_HEAPS_MAX])
{
    const struct osl_vk_facts *facts = &vk->facts[index];
    VkPhysicalDeviceMemoryProperties memory;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget;
    memset(left_out, 0, OSL_VK_HEAPS_MAX * sizeof *left_out);
    ask_memory(vk, vk->physical[index], facts->memory_budget, &memory, &budget);
    for (uint32_t i = 0; i < facts->heap_count; i++) {
        uint64_t limit = facts->heaps[i].budget_bytes;
        if (facts->memory_budget) {
            /* Usage is all of this process's, on some software drivers all of the machine's. */
            limit = smaller(limit, budget.heapBudget[i] -
                                       smaller(budget.heapBudget[i], budget.heapUsage[i]));
        }
        left_out[i] = limit;
    }
}

static void read_subgroups(struct osl_vk_facts *facts, const struct answers *a)
{
    const VkSubgroupFeatureFlags wanted =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
        VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    const VkPhysicalDeviceVulkan11Properties *p = &a->properties_11;
    facts->subgroup_size = p->subgroupSize;
    facts->subgroup_min = p->subgroupSize;
    facts->subgroup_max = p->subgroupSize;
    facts->subgroup_arithmetic =
        (p->subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
        (p->subgroupSupportedOperations & wanted) == wanted && p->subgroupSize >= 4 &&
        p->subgroupSize <= 128;
    if (a->subgroup.minSubgroupSize != 0) {
        facts->subgroup_min = a->subgroup.minSubgroupSize;
        facts->subgroup_max = a->subgroup.maxSubgroupSize;
        facts->subgroups_max = a->subgroup.maxComputeWorkgroupSubgroups;
    }
    facts->subgroup_size_control =
        a->subgroup_features.subgroupSizeControl != VK_FALSE &&
        a->subgroup_features.computeFullSubgroups != VK_FALSE &&
        (a->subgroup.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
}

/* The shape with most multiplications an instruction; of equals the squarest. */
static void read_matrix(const struct osl_vk *vk, VkPhysicalDevice physical,
                        struct osl_vk_facts *facts, const struct answers *a)
{
#ifdef VK_KHR_cooperative_matrix
    if (a->matrix_features.cooperativeMatrix == VK_FALSE ||
        (a->matrix_properties.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) ==
            0 ||
        a->features_12.vulkanMemoryModel == VK_FALSE ||
        vk->GetPhysicalDeviceCooperativeMatrixPropertiesKHR == NULL) {
        return;
    }
    VkCooperativeMatrixPropertiesKHR shapes[MATRIX_SHAPES_MAX];
    for (uint32_t i = 0; i < MATRIX_SHAPES_MAX; i++) {
        shapes[i] = (VkCooperativeMatrixPropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
    }
    uint32_t count = MATRIX_SHAPES_MAX;
    VkResult result =
        vk->GetPhysicalDeviceCooperativeMatrixPropertiesKHR(physical, &count, shapes);
    uint64_t best = 0;
    for (uint32_t i = 0; (result == VK_SUCCESS || result == VK_INCOMPLETE) && i < count; i++) {
        const VkCooperativeMatrixPropertiesKHR *s = &shapes[i];
        if (s->AType != VK_COMPONENT_TYPE_FLOAT16_KHR ||
            s->BType != VK_COMPONENT_TYPE_FLOAT16_KHR ||
            s->CType != VK_COMPONENT_TYPE_FLOAT32_KHR ||
            s->ResultType != VK_COMPONENT_TYPE_FLOAT32_KHR ||
            s->scope != VK_SCOPE_SUBGROUP_KHR) {
            continue;
        }
        uint64_t longest = s->MSize > s->NSize ? s->MSize : s->NSize;
        uint64_t rank = ((uint64_t)s->MSize * s->NSize * s->KSize << 16) - longest;
        if (rank > best) {
            best = rank;
            facts->matrix = true;
            facts->matrix_m = s->MSize;
            facts->matrix_n = s->NSize;
            facts->matrix_k = s->KSize;
        }
    }
#else
    (void)vk;
    (void)physical;
    (void)facts;
    (void)a;
#endif
}

static void read_limits(struct osl_vk_facts *facts, const struct answers *a)
{
    const VkPhysicalDeviceLimits *limits = &a->properties.properties.limits;
    facts->binding_bytes = limits->maxStorageBufferRange;
    facts->allocation_bytes = a->properties_11.maxMemoryAllocationSize;
    if (a->maintenance.maxBufferSize != 0) { /* one buffer covers an allocation */
        facts->allocation_bytes = smaller(facts->allocation_bytes, a->maintenance.maxBufferSize);
    }
    facts->offset_alignment = (uint32_t)limits->minStorageBufferOffsetAlignment;
    facts->shared_bytes = limits->maxComputeSharedMemorySize;
    facts->invocations = limits->maxComputeWorkGroupInvocations;
    memcpy(facts->groups_max, limits->maxComputeWorkGroupCount, sizeof facts->groups_max);
    facts->import_alignment = a->import.minImportedHostPointerAlignment;
    facts->import = osl_vk_extension_has(&a->extensions,
                                         VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME) &&
                    facts->import_alignment != 0;
    facts->matrix_offered =
        osl_vk_extension_has(&a->extensions, "VK_KHR_cooperative_matrix");
    facts->storage16 = a->features_11.storageBuffer16BitAccess != VK_FALSE;
    facts->storage8 = a->features_12.storageBuffer8BitAccess != VK_FALSE;
    facts->fp16 = a->features_12.shaderFloat16 != VK_FALSE;
    facts->int8 = a->features_12.shaderInt8 != VK_FALSE;
    facts->address = a->features_12.bufferDeviceAddress != VK_FALSE;
    facts->dot = a->dot_features.shaderIntegerDotProduct != VK_FALSE;
    facts->dot_accelerated =
        facts->dot &&
        a->dot_properties.integerDotProduct4x8BitPackedSignedAccelerated != VK_FALSE;
}

/* Why it cannot be used; "" if it can. */
static void judge(struct osl_vk_facts *facts, const struct answers *a, bool has_queue)
{
    const VkPhysicalDeviceLimits *limits = &a->properties.properties.limits;
    char *out = facts->refusal;
    size_t bytes = sizeof facts->refusal;
    if (!has_queue) {
        snprintf(out, bytes, "has no compute queue");
    } else if (limits->maxPerStageDescriptorStorageBuffers < OSL_VK_BINDINGS ||
               limits->maxDescriptorSetStorageBuffers < OSL_VK_BINDINGS ||
               limits->maxPerStageResources < OSL_VK_BINDINGS) {
        snprintf(out, bytes, "a shader may have %u storage buffers, %u are needed",
                 limits->maxPerStageDescriptorStorageBuffers, OSL_VK_BINDINGS);
    } else if (facts->binding_bytes < BASE_BINDING_BYTES) {
        snprintf(out, bytes, "a storage buffer may have %llu bytes, 128 MiB are needed",
                 (unsigned long long)facts->binding_bytes);
    } else if (facts->shared_bytes < BASE_SHARED_BYTES || facts->invocations < BASE_INVOCATIONS ||
               limits->maxPushConstantsSize < OSL_VK_PUSH_BYTES ||
               facts->offset_alignment > OFFSET_ALIGNMENT_MOST) {
        snprintf(out, bytes, "limits are below what Vulkan 1.2 guarantees; update the driver");
    } else if (facts->heap_count == 0 || facts->heap_count > OSL_VK_HEAPS_MAX) {
        snprintf(out, bytes, "has no memory");
    } else {
        facts->usable = true;
    }
}

static enum osl_vk_tier highest(const struct osl_vk_facts *facts)
{
    if (!facts->subgroup_arithmetic) {
        return OSL_VK_TIER_BASE;
    }
    bool fp16 = facts->fp16 && facts->storage16;
    if (fp16 && facts->matrix && osl_vk_shaders_know("GL_KHR_cooperative_matrix")) {
        return OSL_VK_TIER_MATRIX;
    }
    if (facts->dot) {
        return OSL_VK_TIER_DOT;
    }
    return fp16 ? OSL_VK_TIER_FP16 : OSL_VK_TIER_SUBGROUP;
}

static enum osl_vk_type type_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return OSL_VK_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return OSL_VK_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return OSL_VK_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return OSL_VK_SOFTWARE;
    default:
        return OSL_VK_OTHER;
    }
}

void osl_vk_facts_read(struct osl_vk *vk, uint32_t index)
{
    VkPhysicalDevice physical = vk->physical[index];
    struct osl_vk_facts *facts = &vk->facts[index];
    memset(facts, 0, sizeof *facts);
    facts->index = index;

    VkPhysicalDeviceProperties2 first = {.sType =
                                             VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    vk->GetPhysicalDeviceProperties2(physical, &first);
    const VkPhysicalDeviceProperties *properties = &first.properties;
    snprintf(facts->name, sizeof facts->name, "%s", properties->deviceName);
    facts->api_version = properties->apiVersion;
    facts->driver_version = properties->driverVersion;
    facts->vendor_id = properties->vendorID;
    facts->device_id = properties->deviceID;
    facts->type = type_of(properties->deviceType);
    if (properties->apiVersion < VK_API_VERSION_1_2) {
        snprintf(facts->refusal, sizeof facts->refusal,
                 "its driver is of Vulkan %u.%u, 1.2 is needed; update the driver",
                 VK_API_VERSION_MAJOR(properties->apiVersion),
                 VK_API_VERSION_MINOR(properties->apiVersion));
        return;
    }

    struct answers a;
    memset(&a, 0, sizeof a);
    a.properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    osl_vk_extensions_list(vk, physical, &a.extensions);
    ask(vk, physical, properties->apiVersion, &a);
    snprintf(facts->driver, sizeof facts->driver, "%.100s, %.150s", a.properties_12.driverName,
             a.properties_12.driverInfo);
    memcpy(facts->driver_uuid, a.properties_11.driverUUID, sizeof facts->driver_uuid);
    memcpy(facts->device_uuid, a.properties_11.deviceUUID, sizeof facts->device_uuid);
    facts->memory_budget =
        osl_vk_extension_has(&a.extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    read_memory(vk, physical, facts);
    read_limits(facts, &a);
    read_subgroups(facts, &a);
    read_matrix(vk, physical, facts, &a);
    facts->tier_reported = highest(facts);
    uint32_t family = 0;
    uint32_t bits = 0;
    bool has_queue = osl_vk_queue_choose(vk, physical, &family, &bits);
    facts->timestamp_ns = bits == 0 ? 0 : properties->limits.timestampPeriod;
    judge(facts, &a, has_queue);
}
