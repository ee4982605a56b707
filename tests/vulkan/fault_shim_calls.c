/* The wrappers of the fault shim, one a call of vk.h's table. See fault_shim_parts.h. */
#include "fault_shim_parts.h"

#include <string.h>

/* RESULT(call, device, (parameters), (arguments)) */
#define RESULT(name, device, parameters, arguments)                                                \
    static VKAPI_ATTR VkResult VKAPI_CALL shim_##name parameters                                   \
    {                                                                                              \
        VkResult result = fault_enter(CALL_##name, device);                                        \
        return result != VK_SUCCESS ? result : shim.real.name arguments;                           \
    }
#define NOTHING(name, parameters, arguments)                                                       \
    static VKAPI_ATTR void VKAPI_CALL shim_##name parameters                                       \
    {                                                                                              \
        fault_count(CALL_##name);                                                                  \
        shim.real.name arguments;                                                                  \
    }
#define MAKES(verb, name, kind, Handle, Info)                                                      \
    static VKAPI_ATTR VkResult VKAPI_CALL shim_##verb##name(                                       \
        VkDevice device, const Info *info, const VkAllocationCallbacks *allocator, Handle *out)    \
    {                                                                                              \
        VkResult result = fault_enter(CALL_##verb##name, device);                                  \
        if (result != VK_SUCCESS) {                                                                \
            *out = (Handle)(uintptr_t)FAULT_POISON;                                                \
            return result;                                                                         \
        }                                                                                          \
        result = shim.real.verb##name(device, info, allocator, out);                               \
        if (result == VK_SUCCESS) {                                                                \
            fault_born(kind, fault_bits(*out), fault_bits(device), 0);                             \
        }                                                                                          \
        return result;                                                                             \
    }
#define ENDS(verb, name, kind, Handle)                                                             \
    static VKAPI_ATTR void VKAPI_CALL shim_##verb##name(VkDevice device, Handle handle,            \
                                                        const VkAllocationCallbacks *allocator)    \
    {                                                                                              \
        fault_count(CALL_##verb##name);                                                            \
        if (fault_died(kind, fault_bits(handle))) {                                                \
            shim.real.verb##name(device, handle, allocator);                                       \
        }                                                                                          \
    }
#define MAKES_AND_ENDS(name)                                                                       \
    MAKES(Create, name, KIND_##name, Vk##name, Vk##name##CreateInfo)                               \
    ENDS(Destroy, name, KIND_##name, Vk##name)

RESULT(EnumerateInstanceVersion, NULL, (uint32_t * version), (version))
RESULT(EnumerateInstanceExtensionProperties, NULL,
       (const char *layer, uint32_t *most, VkExtensionProperties *out), (layer, most, out))
RESULT(EnumerateInstanceLayerProperties, NULL, (uint32_t * most, VkLayerProperties *out),
       (most, out))
RESULT(EnumeratePhysicalDevices, NULL, (VkInstance instance, uint32_t *most, VkPhysicalDevice *out),
       (instance, most, out))
NOTHING(GetPhysicalDeviceProperties2, (VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *out),
        (physical, out))
NOTHING(GetPhysicalDeviceFeatures2, (VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *out),
        (physical, out))
NOTHING(GetPhysicalDeviceMemoryProperties2,
        (VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties2 *out), (physical, out))
NOTHING(GetPhysicalDeviceQueueFamilyProperties,
        (VkPhysicalDevice physical, uint32_t *most, VkQueueFamilyProperties *out),
        (physical, most, out))
RESULT(EnumerateDeviceExtensionProperties, NULL,
       (VkPhysicalDevice physical, const char *layer, uint32_t *most, VkExtensionProperties *out),
       (physical, layer, most, out))

NOTHING(GetDeviceQueue, (VkDevice device, uint32_t family, uint32_t index, VkQueue *out),
        (device, family, index, out))
RESULT(DeviceWaitIdle, device, (VkDevice device), (device))
RESULT(QueueSubmit, fault_device_now(),
       (VkQueue queue, uint32_t submits, const VkSubmitInfo *info, VkFence fence),
       (queue, submits, info, fence))
RESULT(QueueWaitIdle, fault_device_now(), (VkQueue queue), (queue))
ENDS(Free, Memory, KIND_Memory, VkDeviceMemory)
NOTHING(UnmapMemory, (VkDevice device, VkDeviceMemory memory), (device, memory))
RESULT(FlushMappedMemoryRanges, device,
       (VkDevice device, uint32_t ranges, const VkMappedMemoryRange *range),
       (device, ranges, range))
RESULT(InvalidateMappedMemoryRanges, device,
       (VkDevice device, uint32_t ranges, const VkMappedMemoryRange *range),
       (device, ranges, range))
RESULT(BindBufferMemory, device,
       (VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset),
       (device, buffer, memory, offset))
NOTHING(GetBufferMemoryRequirements, (VkDevice device, VkBuffer buffer, VkMemoryRequirements *out),
        (device, buffer, out))
MAKES_AND_ENDS(Buffer)
MAKES_AND_ENDS(Fence)
RESULT(ResetFences, device, (VkDevice device, uint32_t fences, const VkFence *fence),
       (device, fences, fence))
RESULT(GetFenceStatus, device, (VkDevice device, VkFence fence), (device, fence))
RESULT(WaitForFences, device,
       (VkDevice device, uint32_t fences, const VkFence *fence, VkBool32 all, uint64_t timeout_ns),
       (device, fences, fence, all, timeout_ns))
MAKES_AND_ENDS(QueryPool)
RESULT(GetQueryPoolResults, device,
       (VkDevice device, VkQueryPool pool, uint32_t first, uint32_t queries, size_t bytes,
        void *out, VkDeviceSize stride, VkQueryResultFlags flags),
       (device, pool, first, queries, bytes, out, stride, flags))
ENDS(Destroy, ShaderModule, KIND_ShaderModule, VkShaderModule)
MAKES_AND_ENDS(PipelineCache)
RESULT(GetPipelineCacheData, device,
       (VkDevice device, VkPipelineCache cache, size_t *bytes, void *out),
       (device, cache, bytes, out))
ENDS(Destroy, Pipeline, KIND_Pipeline, VkPipeline)
MAKES_AND_ENDS(PipelineLayout)
MAKES_AND_ENDS(DescriptorSetLayout)
MAKES_AND_ENDS(DescriptorPool)
NOTHING(UpdateDescriptorSets,
        (VkDevice device, uint32_t writes, const VkWriteDescriptorSet *write, uint32_t copies,
         const VkCopyDescriptorSet *copy),
        (device, writes, write, copies, copy))
MAKES_AND_ENDS(CommandPool)
RESULT(ResetCommandPool, device,
       (VkDevice device, VkCommandPool pool, VkCommandPoolResetFlags flags), (device, pool, flags))
RESULT(BeginCommandBuffer, fault_device_now(),
       (VkCommandBuffer commands, const VkCommandBufferBeginInfo *info), (commands, info))
RESULT(EndCommandBuffer, fault_device_now(), (VkCommandBuffer commands), (commands))
NOTHING(CmdBindPipeline, (VkCommandBuffer commands, VkPipelineBindPoint point, VkPipeline pipeline),
        (commands, point, pipeline))
NOTHING(CmdBindDescriptorSets,
        (VkCommandBuffer commands, VkPipelineBindPoint point, VkPipelineLayout layout,
         uint32_t first, uint32_t sets, const VkDescriptorSet *set, uint32_t offsets,
         const uint32_t *offset),
        (commands, point, layout, first, sets, set, offsets, offset))
NOTHING(CmdPushConstants,
        (VkCommandBuffer commands, VkPipelineLayout layout, VkShaderStageFlags stages,
         uint32_t offset, uint32_t bytes, const void *values),
        (commands, layout, stages, offset, bytes, values))
NOTHING(CmdDispatch, (VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z),
        (commands, x, y, z))
NOTHING(CmdDispatchIndirect, (VkCommandBuffer commands, VkBuffer buffer, VkDeviceSize offset),
        (commands, buffer, offset))
NOTHING(CmdPipelineBarrier,
        (VkCommandBuffer commands, VkPipelineStageFlags from, VkPipelineStageFlags to,
         VkDependencyFlags flags, uint32_t memories, const VkMemoryBarrier *memory,
         uint32_t buffers, const VkBufferMemoryBarrier *buffer, uint32_t images,
         const VkImageMemoryBarrier *image),
        (commands, from, to, flags, memories, memory, buffers, buffer, images, image))
NOTHING(CmdCopyBuffer,
        (VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t regions,
         const VkBufferCopy *region),
        (commands, from, to, regions, region))
NOTHING(CmdFillBuffer,
        (VkCommandBuffer commands, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize bytes,
         uint32_t value),
        (commands, buffer, offset, bytes, value))
NOTHING(CmdResetQueryPool,
        (VkCommandBuffer commands, VkQueryPool pool, uint32_t first, uint32_t queries),
        (commands, pool, first, queries))
NOTHING(CmdWriteTimestamp,
        (VkCommandBuffer commands, VkPipelineStageFlagBits stage, VkQueryPool pool, uint32_t query),
        (commands, stage, pool, query))

/* ---- Calls with something of their own ----------------------------------------------------- */

static VKAPI_ATTR VkResult VKAPI_CALL shim_CreateInstance(const VkInstanceCreateInfo *info,
                                                          const VkAllocationCallbacks *allocator,
                                                          VkInstance *out)
{
    VkResult result = fault_enter(CALL_CreateInstance, NULL);
    if (result != VK_SUCCESS) {
        *out = (VkInstance)(uintptr_t)FAULT_POISON;
        return result;
    }
    result = shim.real.CreateInstance(info, allocator, out);
    if (result != VK_SUCCESS) {
        return result;
    }
    fault_born(KIND_Instance, fault_bits(*out), 0, 0);
    /* The loader's own entry points find the device themselves, so one set serves all. */
#define RESOLVE(name) shim.real.name = (PFN_vk##name)shim.get(*out, "vk" #name);
    OSL_VK_INSTANCE_CALLS(RESOLVE)
    OSL_VK_DEVICE_CALLS(RESOLVE)
#undef RESOLVE
    return result;
}

static VKAPI_ATTR void VKAPI_CALL shim_DestroyInstance(VkInstance instance,
                                                       const VkAllocationCallbacks *allocator)
{
    fault_count(CALL_DestroyInstance);
    if (fault_died(KIND_Instance, fault_bits(instance))) {
        fault_orphan(fault_bits(instance));
        shim.real.DestroyInstance(instance, allocator);
    }
}

static VKAPI_ATTR VkResult VKAPI_CALL shim_CreateDevice(VkPhysicalDevice physical,
                                                        const VkDeviceCreateInfo *info,
                                                        const VkAllocationCallbacks *allocator,
                                                        VkDevice *out)
{
    VkResult result = fault_enter(CALL_CreateDevice, NULL);
    if (result != VK_SUCCESS) {
        *out = (VkDevice)(uintptr_t)FAULT_POISON;
        return result;
    }
    result = shim.real.CreateDevice(physical, info, allocator, out);
    if (result == VK_SUCCESS) {
        uint64_t instance = 0;
        for (uint32_t i = 0; i < shim.object_count; i++) {
            instance = shim.objects[i].kind == KIND_Instance ? shim.objects[i].handle : instance;
        }
        fault_born(KIND_Device, fault_bits(*out), instance, 0);
    }
    return result;
}

static VKAPI_ATTR void VKAPI_CALL shim_DestroyDevice(VkDevice device,
                                                     const VkAllocationCallbacks *allocator)
{
    fault_count(CALL_DestroyDevice);
    if (fault_died(KIND_Device, fault_bits(device))) {
        fault_orphan(fault_bits(device));
        shim.real.DestroyDevice(device, allocator);
    }
}

static VKAPI_ATTR VkResult VKAPI_CALL shim_AllocateMemory(VkDevice device,
                                                          const VkMemoryAllocateInfo *info,
                                                          const VkAllocationCallbacks *allocator,
                                                          VkDeviceMemory *out)
{
    VkResult result = fault_enter(CALL_AllocateMemory, device);
    if (result != VK_SUCCESS) {
        *out = (VkDeviceMemory)(uintptr_t)FAULT_POISON;
        return result;
    }
    result = shim.real.AllocateMemory(device, info, allocator, out);
    if (result == VK_SUCCESS) {
        fault_born(KIND_Memory, fault_bits(*out), fault_bits(device), info->allocationSize);
    }
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL shim_MapMemory(VkDevice device, VkDeviceMemory memory,
                                                     VkDeviceSize offset, VkDeviceSize bytes,
                                                     VkMemoryMapFlags flags, void **out)
{
    VkResult result = fault_enter(CALL_MapMemory, device);
    if (result != VK_SUCCESS) {
        *out = (void *)(uintptr_t)FAULT_POISON;
        return result;
    }
    return shim.real.MapMemory(device, memory, offset, bytes, flags, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL
shim_CreateShaderModule(VkDevice device, const VkShaderModuleCreateInfo *info,
                        const VkAllocationCallbacks *allocator, VkShaderModule *out)
{
    static uint32_t words[FAULT_MODULE_BYTES_MAX / 4];
    VkResult result = fault_enter(CALL_CreateShaderModule, device);
    if (result != VK_SUCCESS) {
        *out = (VkShaderModule)(uintptr_t)FAULT_POISON;
        return result;
    }
    VkShaderModuleCreateInfo broken = *info;
    if (fault_is_corrupt(info)) {
        memcpy(words, info->pCode, info->codeSize);
        broken.pCode = words;
        shim.seen.corrupted += fault_turn(words, (uint32_t)(info->codeSize / 4)) > 0;
    }
    result = shim.real.CreateShaderModule(device, &broken, allocator, out);
    if (result == VK_SUCCESS) {
        fault_born(KIND_ShaderModule, fault_bits(*out), fault_bits(device), 0);
    }
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL shim_CreateComputePipelines(
    VkDevice device, VkPipelineCache cache, uint32_t count, const VkComputePipelineCreateInfo *info,
    const VkAllocationCallbacks *allocator, VkPipeline *out)
{
    VkResult result = fault_enter(CALL_CreateComputePipelines, device);
    if (result != VK_SUCCESS) {
        memset(out, 0, count * sizeof *out); /* as the specification has it */
        return result;
    }
    result = shim.real.CreateComputePipelines(device, cache, count, info, allocator, out);
    for (uint32_t i = 0; i < count; i++) {
        if (out[i] != VK_NULL_HANDLE) {
            fault_born(KIND_Pipeline, fault_bits(out[i]), fault_bits(device), 0);
        }
    }
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL shim_AllocateDescriptorSets(
    VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out)
{
    VkResult result = fault_enter(CALL_AllocateDescriptorSets, device);
    if (result != VK_SUCCESS) {
        memset(out, 0, info->descriptorSetCount * sizeof *out);
        return result;
    }
    return shim.real.AllocateDescriptorSets(device, info, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL shim_AllocateCommandBuffers(
    VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out)
{
    VkResult result = fault_enter(CALL_AllocateCommandBuffers, device);
    if (result != VK_SUCCESS) {
        memset(out, 0, info->commandBufferCount * sizeof *out);
        return result;
    }
    return shim.real.AllocateCommandBuffers(device, info, out);
}

static PFN_vkVoidFunction wrapper_of(const char *name);

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL shim_GetDeviceProcAddr(VkDevice device,
                                                                       const char *name)
{
    fault_count(CALL_GetDeviceProcAddr);
    PFN_vkVoidFunction wrapper = wrapper_of(name);
    PFN_vkVoidFunction real = shim.real.GetDeviceProcAddr(device, name);
    return wrapper != NULL && real != NULL ? wrapper : real;
}

#define WRAPPER(name) {"vk" #name, (PFN_vkVoidFunction)shim_##name},
static const struct {
    const char *name;
    PFN_vkVoidFunction call;
} wrappers[CALL_COUNT] = {FAULT_CALLS(WRAPPER)};

static PFN_vkVoidFunction wrapper_of(const char *name)
{
    for (uint32_t i = 0; i < CALL_COUNT; i++) {
        if (strcmp(wrappers[i].name, name) == 0) {
            return wrappers[i].call;
        }
    }
    return NULL;
}

PFN_vkVoidFunction fault_shim_entry(void *instance, const char *name)
{
    PFN_vkVoidFunction wrapper = wrapper_of(name);
    if (strcmp(name, "vkGetInstanceProcAddr") == 0) {
        return (PFN_vkVoidFunction)fault_shim_entry;
    }
    PFN_vkVoidFunction real = shim.get((VkInstance)instance, name);
    return wrapper != NULL && real != NULL ? wrapper : real;
}
