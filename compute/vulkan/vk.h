/* Vulkan, opened at run time. Every call of ours goes through one table, so that tests can stand
 * between us and the driver. Private to compute/vulkan/ and its tests; model/ sees vulkan.h.
 *
 * Three layers: struct osl_vk (library, instance, physical devices), struct osl_vk_device (one
 * logical device with its queue, buffers and pipelines), struct osl_vk_recorder (records and runs
 * dispatches). All structs are fixed in size and live in the caller's memory. Vulkan objects are
 * made at boot only; afterwards nothing but submit, wait, map-free reads and writes. */
#ifndef OSL_VK_H
#define OSL_VK_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "compute/vulkan/facts.h"
#include "platform/platform.h"
#include "shaders/embedded.h"

/* ---- The table --------------------------------------------------------------------------- */

#define OSL_VK_GLOBAL_CALLS(X)                                                                     \
    X(EnumerateInstanceVersion) X(EnumerateInstanceExtensionProperties)                            \
    X(EnumerateInstanceLayerProperties) X(CreateInstance)
#define OSL_VK_INSTANCE_CALLS(X)                                                                   \
    X(DestroyInstance) X(EnumeratePhysicalDevices) X(GetPhysicalDeviceProperties2)                 \
    X(GetPhysicalDeviceFeatures2) X(GetPhysicalDeviceMemoryProperties2)                            \
    X(GetPhysicalDeviceQueueFamilyProperties) X(EnumerateDeviceExtensionProperties)                \
    X(CreateDevice) X(GetDeviceProcAddr)
#define OSL_VK_DEVICE_CALLS(X)                                                                     \
    X(DestroyDevice) X(GetDeviceQueue) X(DeviceWaitIdle) X(QueueSubmit) X(QueueWaitIdle)           \
    X(AllocateMemory) X(FreeMemory) X(MapMemory) X(UnmapMemory) X(FlushMappedMemoryRanges)         \
    X(InvalidateMappedMemoryRanges) X(BindBufferMemory) X(GetBufferMemoryRequirements)             \
    X(CreateBuffer) X(DestroyBuffer) X(CreateFence) X(DestroyFence) X(ResetFences)                 \
    X(GetFenceStatus) X(WaitForFences) X(CreateQueryPool) X(DestroyQueryPool)                      \
    X(GetQueryPoolResults) X(CreateShaderModule) X(DestroyShaderModule) X(CreatePipelineCache)     \
    X(DestroyPipelineCache) X(GetPipelineCacheData) X(CreateComputePipelines) X(DestroyPipeline)   \
    X(CreatePipelineLayout) X(DestroyPipelineLayout) X(CreateDescriptorSetLayout)                  \
    X(DestroyDescriptorSetLayout) X(CreateDescriptorPool) X(DestroyDescriptorPool)                 \
    X(AllocateDescriptorSets) X(UpdateDescriptorSets) X(CreateCommandPool) X(DestroyCommandPool)   \
    X(ResetCommandPool) X(AllocateCommandBuffers) X(BeginCommandBuffer) X(EndCommandBuffer)        \
    X(CmdBindPipeline) X(CmdBindDescriptorSets) X(CmdPushConstants) X(CmdDispatch)                 \
    X(CmdDispatchIndirect) X(CmdPipelineBarrier) X(CmdCopyBuffer) X(CmdFillBuffer)                 \
    X(CmdResetQueryPool) X(CmdWriteTimestamp)
/* Those of extensions: NULL where the extension is not there or not asked for. */
#ifdef VK_KHR_cooperative_matrix
#define OSL_VK_MATRIX_CALLS(X) X(GetPhysicalDeviceCooperativeMatrixPropertiesKHR)
#else
#define OSL_VK_MATRIX_CALLS(X)
#endif
#define OSL_VK_INSTANCE_OPTIONAL_CALLS(X)                                                          \
    X(CreateDebugUtilsMessengerEXT) X(DestroyDebugUtilsMessengerEXT) OSL_VK_MATRIX_CALLS(X)
#define OSL_VK_DEVICE_OPTIONAL_CALLS(X)                                                            \
    X(GetBufferDeviceAddress) X(GetMemoryHostPointerPropertiesEXT)

#define OSL_VK_MEMBER(name) PFN_vk##name name;

struct osl_vk {
    void *library; /* NULL where the entry point was given */
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
    uint32_t api_version; /* whose rules we follow: the loader's, at most 1.3 */
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    bool validation; /* the Khronos validation layer is on; its messages go to the log as errors */
    uint32_t validation_messages; /* errors and warnings so far */
    uint32_t device_count;
    VkPhysicalDevice physical[OSL_VK_DEVICES_MAX];
    struct osl_vk_facts facts[OSL_VK_DEVICES_MAX];
    OSL_VK_GLOBAL_CALLS(OSL_VK_MEMBER)
    OSL_VK_INSTANCE_CALLS(OSL_VK_MEMBER)
    OSL_VK_INSTANCE_OPTIONAL_CALLS(OSL_VK_MEMBER)
};

struct osl_vk_open {
    /* vkGetInstanceProcAddr of a platform that links Vulkan itself, or of a test; NULL: the
     * system's loader is opened (libvulkan.so.1). */
    PFN_vkVoidFunction (*entry)(void *instance, const char *name);
    /* Ask for VK_LAYER_KHRONOS_validation with synchronization validation. Where it is not
     * installed a warning is logged and osl_vk.validation stays false. */
    bool validation;
};

/* Opens the library, makes an instance and reads every device's facts. UNSUPPORTED when there is
 * no libvulkan, no driver or none of version 1.2: the text says which and what to install. */
OSL_MUST_USE enum osl_status osl_vk_open(struct osl_vk *vk, const struct osl_vk_open *open,
                                         struct osl_error *error);
void osl_vk_close(struct osl_vk *vk);

/* ---- Device ------------------------------------------------------------------------------ */

#define OSL_VK_BINDINGS 8 /* one descriptor set layout for all: storage buffers 0..7 */
#define OSL_VK_PUSH_BYTES 128
#define OSL_VK_SPECS_MAX 24
#define OSL_VK_PIPELINES_MAX 96
#define OSL_VK_BUFFERS_MAX 64
#define OSL_VK_SETS_MAX 4096

/* One allocation with one buffer over all of it. */
struct osl_vk_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    uint64_t bytes;
    uint8_t *mapped; /* of host-visible kinds; NULL otherwise */
    bool coherent;
    uint64_t address; /* for shaders, where device->address; 0: none (imported) */
    uint64_t taken_bytes; /* of its heap: bytes, rounded up by the driver */
    uint32_t heap; /* index in facts->heaps; OSL_VK_HEAPS_MAX: imported, takes nothing */
};

enum osl_vk_memory {
    OSL_VK_MEMORY_DEVICE,   /* device local; host-visible too where that costs nothing */
    OSL_VK_MEMORY_UPLOAD,   /* host visible, written by the host front to back */
    OSL_VK_MEMORY_READBACK, /* host visible and cached */
    OSL_VK_MEMORY_HOST,     /* host memory that the device reads now and then: the embedding */
};

struct osl_vk_pipeline {
    VkPipeline handle;
    const char *shader; /* name of the embedded module */
    uint32_t spec[OSL_VK_SPECS_MAX];
    uint32_t spec_count;
};

struct osl_vk_device {
    struct osl_vk *vk;
    const struct osl_vk_facts *facts;
    enum osl_vk_tier tier; /* the cap asked for */
    /* What shaders may use: reported, within the cap, and not found wrong by the self-test. */
    bool subgroup, fp16, dot, matrix;
    bool address; /* buffers have addresses: on software devices, see matvec_shape.c */
    VkDevice handle;
    VkQueue queue;
    uint32_t queue_family;
    VkPhysicalDeviceMemoryProperties memory; /* types and heaps */
    uint64_t heap_used_bytes[OSL_VK_HEAPS_MAX]; /* by our own buffers */
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout pipeline_layout;
    VkPipelineCache cache;
    bool cache_loaded; /* the cache file was there and fitted */
    uint8_t cache_digest[32]; /* of what is in that file */
    struct osl_vk_buffer buffers[OSL_VK_BUFFERS_MAX];
    uint32_t buffer_count;
    struct osl_vk_pipeline pipelines[OSL_VK_PIPELINES_MAX];
    uint32_t pipeline_count;
    OSL_VK_DEVICE_CALLS(OSL_VK_MEMBER)
    OSL_VK_DEVICE_OPTIONAL_CALLS(OSL_VK_MEMBER)
};

/* Features that the facts report and the tier allows are switched on. state_dir: where the
 * pipeline cache is kept (NULL: nowhere); a stale, damaged or foreign one is left aside. */
OSL_MUST_USE enum osl_status osl_vk_device_open(struct osl_vk *vk, uint32_t index,
                                                enum osl_vk_tier tier, const char *state_dir,
                                                struct osl_vk_device *device,
                                                struct osl_error *error);
/* Waits for what is under way, at most 15 s: before destroying what it may use. */
void osl_vk_device_settle(struct osl_vk_device *device);
/* Destroys everything made on it; fine after a lost device. */
void osl_vk_device_close(struct osl_vk_device *device);
/* Writes the pipeline cache file if it changed; failing is logged, not an error. */
void osl_vk_device_save_cache(struct osl_vk_device *device, const char *state_dir);

/* A new buffer (usage: storage, transfer both ways, indirect). MEMORY names the heap and what was
 * left of it; a heap is never asked for more than its budget. */
OSL_MUST_USE enum osl_status osl_vk_buffer_make(struct osl_vk_device *device,
                                                enum osl_vk_memory kind, uint64_t bytes,
                                                struct osl_vk_buffer **out,
                                                struct osl_error *error);
/* The same over memory of the host's (VK_EXT_external_memory_host); data and bytes aligned to
 * facts->import_alignment. UNSUPPORTED where the driver will not. */
OSL_MUST_USE enum osl_status osl_vk_buffer_import(struct osl_vk_device *device, void *data,
                                                  uint64_t bytes, struct osl_vk_buffer **out,
                                                  struct osl_error *error);

/* Frees a buffer before its device is closed; NULL is fine. The device must not be using it. */
void osl_vk_buffer_free(struct osl_vk_device *device, struct osl_vk_buffer *buffer);

/* The pipeline of an embedded module with these specialization constants (constant_id i is
 * spec[i]); made at the first asking, the same one given afterwards. UNSUPPORTED: this build has
 * no such module. */
OSL_MUST_USE enum osl_status osl_vk_pipeline_get(struct osl_vk_device *device, const char *shader,
                                                 const uint32_t *spec, uint32_t spec_count,
                                                 const struct osl_vk_pipeline **out,
                                                 struct osl_error *error);

/* An embedded module (shaders/embedded.h); NULL if this build has none of that name. */
const struct osl_vk_shader *osl_vk_shader_find(const char *name);
/* SHA-256 over all embedded modules: names what self-test results were for. */
void osl_vk_shader_hash(uint8_t digest_out[32]);

/* VkResult as an osl_status, with text: "vkQueueSubmit: device lost (-4); ...". */
enum osl_status osl_vk_fail(struct osl_error *error, const char *call, VkResult result);

/* ---- Recording --------------------------------------------------------------------------- */

struct osl_vk_binding {
    const struct osl_vk_buffer *buffer; /* NULL: not used by the shader */
    uint64_t offset;                    /* multiple of 256 */
    uint64_t bytes;                     /* 0: to the end; at most facts->binding_bytes */
};

/* How many workgroups. Those that depend on the step are read from the step buffer when the
 * commands run (vkCmdDispatchIndirect), so that one recording serves every step. */
enum osl_vk_rule {
    OSL_VK_FIXED,        /* x, y, z */
    OSL_VK_TOKENS,       /* y = ceil(token_count / tile) */
    OSL_VK_TOKENS_X,     /* x = ceil(token_count / tile) */
    OSL_VK_LOGITS_ROWS,  /* y = ceil(logits_row_count / tile) */
    OSL_VK_EXPERT_TILES, /* y = ceil(token_count * experts_used / tile) + experts */
    OSL_VK_SEGMENTS,     /* y = ceil((position_first + token_count) / tile) */
};

struct osl_vk_groups {
    enum osl_vk_rule rule;
    uint32_t x, y, z; /* those the rule gives are ignored */
    uint32_t tile;
};

struct osl_vk_dispatch {
    const struct osl_vk_pipeline *pipeline;
    struct osl_vk_binding bind[OSL_VK_BINDINGS];
    const void *push;
    uint32_t push_bytes; /* multiple of 4 */
    struct osl_vk_groups groups;
    bool barrier;     /* waits for all dispatches recorded before it */
    const char *name; /* for the profile: "qkv", static storage */
};

struct osl_vk_recorder; /* compute/vulkan/record.h; the test rig has one of its own */

/* Appends to the command buffer being recorded. Boot time only. */
OSL_MUST_USE enum osl_status osl_vk_record(struct osl_vk_recorder *recorder,
                                           const struct osl_vk_dispatch *dispatch,
                                           struct osl_error *error);

#endif
