/* Making and ending the logical device. */
#include <string.h>

#include "compute/vulkan/core.h"

#define DEVICE_EXTENSIONS_MAX 8
/* Kernels reset a GPU that hangs after some 2 to 10 s; one that does not come back by then is
 * closed as it is. */
#define CLOSE_WAIT_NS 15000000000ull

/* What is asked of the device, as one chain. */
struct wish {
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDeviceVulkan11Features features_11;
    VkPhysicalDeviceVulkan12Features features_12;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
#endif
    const char *extensions[DEVICE_EXTENSIONS_MAX];
    uint32_t extension_count;
};

/* Enables an extension if the device has it: those promoted to a later version may be gone. */
static void wish_extension(struct wish *wish, const struct osl_vk_extensions *offered,
                           const char *name)
{
    if (osl_vk_extension_has(offered, name)) {
        OSL_ASSERT(wish->extension_count < DEVICE_EXTENSIONS_MAX);
        wish->extensions[wish->extension_count++] = name;
    }
}

#ifdef VK_KHR_cooperative_matrix
/* Matrix shaders run under Vulkan's memory model, where atomics want this. */
static VkBool32 device_scope(const struct osl_vk_device *device)
{
    VkPhysicalDeviceVulkan12Features features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                     .pNext = &features};
    device->vk->GetPhysicalDeviceFeatures2(device->vk->physical[device->facts->index], &all);
    return features.vulkanMemoryModelDeviceScope;
}
#endif

/* Only what the facts report and the tier allows: what a forced lower tier runs on is then what a
 * lesser device would give, and the validation layer notices a shader that uses more. */
static void make_wish(const struct osl_vk_device *device, const struct osl_vk_extensions *offered,
                      struct wish *wish)
{
    const struct osl_vk_facts *facts = device->facts;
    void *chain = NULL;
    memset(wish, 0, sizeof *wish);
    osl_vk_chain(&chain, &wish->features_11,
                 VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
    osl_vk_chain(&chain, &wish->features_12,
                 VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    if (device->subgroup && facts->subgroup_size_control) {
        osl_vk_chain(&chain, &wish->subgroup,
                     VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
        wish->subgroup.subgroupSizeControl = VK_TRUE;
        wish->subgroup.computeFullSubgroups = VK_TRUE;
        wish_extension(wish, offered, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    }
    wish->features_12.bufferDeviceAddress = device->address;
    if (device->fp16) {
        wish->features_11.storageBuffer16BitAccess = VK_TRUE;
        wish->features_12.shaderFloat16 = VK_TRUE;
    }
    if (device->dot) {
        osl_vk_chain(&chain, &wish->dot,
                     VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
        wish->dot.shaderIntegerDotProduct = VK_TRUE;
        wish->features_12.shaderInt8 = facts->int8;
        wish->features_12.storageBuffer8BitAccess = facts->storage8;
        wish_extension(wish, offered, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    }
#ifdef VK_KHR_cooperative_matrix
    if (device->matrix) {
        osl_vk_chain(&chain, &wish->matrix,
                     VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
        wish->matrix.cooperativeMatrix = VK_TRUE;
        wish->features_12.vulkanMemoryModel = VK_TRUE;
        wish->features_12.vulkanMemoryModelDeviceScope = device_scope(device);
        wish_extension(wish, offered, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    }
#endif
    if (facts->import) {
        wish_extension(wish, offered, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
    }
    if (facts->memory_budget) {
        wish_extension(wish, offered, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    }
    wish->features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    wish->features.pNext = chain;
}

static enum osl_status load_device(struct osl_vk_device *device, struct osl_error *error)
{
    const struct osl_vk *vk = device->vk;
    const char *missing = NULL;
#define LOAD(name) device->name = (PFN_vk##name)vk->GetDeviceProcAddr(device->handle, "vk" #name);
#define CHECK(name)                                                                                \
    LOAD(name)                                                                                     \
    missing = device->name == NULL ? "vk" #name : missing;
    OSL_VK_DEVICE_CALLS(CHECK)
    OSL_VK_DEVICE_OPTIONAL_CALLS(LOAD)
#undef CHECK
#undef LOAD
    if (missing != NULL) {
        return osl_fail(error, OSL_UNSUPPORTED, "%.100s: the driver has no %s; update it",
                        device->facts->name, missing);
    }
    device->GetDeviceQueue(device->handle, device->queue_family, 0, &device->queue);
    return OSL_OK;
}

static enum osl_status make_device(struct osl_vk_device *device, struct osl_error *error)
{
    const struct osl_vk *vk = device->vk;
    VkPhysicalDevice physical = vk->physical[device->facts->index];
    uint32_t bits = 0;
    if (!osl_vk_queue_choose(vk, physical, &device->queue_family, &bits)) {
        return osl_fail(error, OSL_UNSUPPORTED, "%.100s: has no compute queue",
                        device->facts->name);
    }
    struct osl_vk_extensions offered;
    osl_vk_extensions_list(vk, physical, &offered);
    struct wish wish;
    make_wish(device, &offered, &wish);
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = device->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &wish.features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = wish.extension_count,
        .ppEnabledExtensionNames = wish.extensions,
    };
    VkResult result = vk->CreateDevice(physical, &info, NULL, &device->handle);
    if (result != VK_SUCCESS) {
        device->handle = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreateDevice", result);
    }
    return load_device(device, error);
}

/* One set layout and one pipeline layout serve every shader. */
static enum osl_status make_layouts(struct osl_vk_device *device, struct osl_error *error)
{
    VkDescriptorSetLayoutBinding bindings[OSL_VK_BINDINGS];
    for (uint32_t i = 0; i < OSL_VK_BINDINGS; i++) {
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    }
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = OSL_VK_BINDINGS,
        .pBindings = bindings,
    };
    VkResult result =
        device->CreateDescriptorSetLayout(device->handle, &set, NULL, &device->set_layout);
    if (result != VK_SUCCESS) {
        device->set_layout = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreateDescriptorSetLayout", result);
    }
    VkPushConstantRange push = {
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .offset = 0, .size = OSL_VK_PUSH_BYTES};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &device->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push,
    };
    result =
        device->CreatePipelineLayout(device->handle, &layout, NULL, &device->pipeline_layout);
    if (result != VK_SUCCESS) {
        device->pipeline_layout = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreatePipelineLayout", result);
    }
    return OSL_OK;
}

enum osl_status osl_vk_device_open(struct osl_vk *vk, uint32_t index, enum osl_vk_tier tier,
                                   const char *state_dir, struct osl_vk_device *device,
                                   struct osl_error *error)
{
    OSL_ASSERT(vk != NULL && device != NULL && (uint32_t)tier < OSL_VK_TIER_COUNT);
    memset(device, 0, sizeof *device);
    if (index >= vk->device_count) {
        return osl_fail(error, OSL_ARGUMENT,
                        "vulkan:%u: there is no such device; `devices` lists %u", index,
                        vk->device_count);
    }
    const struct osl_vk_facts *facts = &vk->facts[index];
    if (!facts->usable) {
        return osl_fail(error, OSL_UNSUPPORTED, "vulkan:%u %.100s: %s", index, facts->name,
                        facts->refusal);
    }
    device->vk = vk;
    device->facts = facts;
    device->tier = tier;
    device->subgroup = tier >= OSL_VK_TIER_SUBGROUP && facts->subgroup_arithmetic;
    device->fp16 =
        tier >= OSL_VK_TIER_FP16 && device->subgroup && facts->fp16 && facts->storage16;
    device->dot = tier >= OSL_VK_TIER_DOT && device->subgroup && facts->dot;
    device->matrix = tier >= OSL_VK_TIER_MATRIX && device->fp16 && facts->matrix &&
                     osl_vk_shaders_know("GL_KHR_cooperative_matrix");
    device->address = device->subgroup && facts->address && facts->type == OSL_VK_SOFTWARE;
    enum osl_status status = make_device(device, error);
    if (status == OSL_OK) {
        VkPhysicalDeviceMemoryProperties2 memory = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
        vk->GetPhysicalDeviceMemoryProperties2(vk->physical[index], &memory);
        device->memory = memory.memoryProperties;
        status = make_layouts(device, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_cache_open(device, state_dir, error);
    }
    if (status != OSL_OK) {
        osl_vk_device_close(device);
    }
    return status;
}

/* Not for ever, as vkDeviceWaitIdle does where a GPU hangs. */
void osl_vk_device_settle(struct osl_vk_device *device)
{
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkFence fence = VK_NULL_HANDLE;
    if (device->CreateFence(device->handle, &info, NULL, &fence) != VK_SUCCESS) {
        (void)device->DeviceWaitIdle(device->handle);
        return;
    }
    VkResult result = device->QueueSubmit(device->queue, 0, NULL, fence);
    if (result == VK_SUCCESS) {
        result = device->WaitForFences(device->handle, 1, &fence, VK_TRUE, CLOSE_WAIT_NS);
    }
    if (result == VK_TIMEOUT) {
        osl_log(OSL_LOG_ERROR, "vulkan: %.100s hangs, and is closed as it is",
                device->facts->name);
    }
    device->DestroyFence(device->handle, fence, NULL);
}

void osl_vk_device_close(struct osl_vk_device *device)
{
    OSL_ASSERT(device != NULL);
    if (device->handle != VK_NULL_HANDLE && device->DestroyDevice != NULL) {
        if (device->queue != VK_NULL_HANDLE) {
            osl_vk_device_settle(device); /* a lost device says so at once */
        }
        for (uint32_t i = 0; i < device->pipeline_count; i++) {
            device->DestroyPipeline(device->handle, device->pipelines[i].handle, NULL);
        }
        for (uint32_t i = 0; i < device->buffer_count; i++) {
            osl_vk_buffer_free(device, &device->buffers[i]);
        }
        if (device->cache != VK_NULL_HANDLE) {
            device->DestroyPipelineCache(device->handle, device->cache, NULL);
        }
        if (device->pipeline_layout != VK_NULL_HANDLE) {
            device->DestroyPipelineLayout(device->handle, device->pipeline_layout, NULL);
        }
        if (device->set_layout != VK_NULL_HANDLE) {
            device->DestroyDescriptorSetLayout(device->handle, device->set_layout, NULL);
        }
        device->DestroyDevice(device->handle, NULL);
    }
    memset(device, 0, sizeof *device);
}
