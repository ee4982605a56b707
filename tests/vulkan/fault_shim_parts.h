/* What the two halves of the fault shim share: fault_shim.c keeps the books and decides which call
 * fails, fault_shim_calls.c has a wrapper for every call. */
#ifndef FAULT_SHIM_PARTS_H
#define FAULT_SHIM_PARTS_H

#include "fault_shim.h"

#define FAULT_POISON 0xFA01FA01FA00ull
#define FAULT_OBJECTS_MAX 8192
#define FAULT_CORRUPT_MAX 64
#define FAULT_MODULE_BYTES_MAX (1u << 20)

#define FAULT_CALLS(X) OSL_VK_GLOBAL_CALLS(X) OSL_VK_INSTANCE_CALLS(X) OSL_VK_DEVICE_CALLS(X)
#define FAULT_CALL_ENUM(name) CALL_##name,
enum fault_call { FAULT_CALLS(FAULT_CALL_ENUM) CALL_COUNT };

enum fault_kind {
    KIND_Instance,
    KIND_Device,
    KIND_Memory,
    KIND_Buffer,
    KIND_Fence,
    KIND_QueryPool,
    KIND_ShaderModule,
    KIND_PipelineCache,
    KIND_Pipeline,
    KIND_PipelineLayout,
    KIND_DescriptorSetLayout,
    KIND_DescriptorPool,
    KIND_CommandPool,
    KIND_COUNT
};

struct fault_object {
    enum fault_kind kind;
    uint64_t handle;
    uint64_t parent; /* device or instance */
    uint64_t bytes;
    bool lost, hangs; /* of devices */
};

struct fault_shim {
    void *library;
    PFN_vkGetInstanceProcAddr get;
    struct {
        FAULT_CALLS(OSL_VK_MEMBER)
    } real;
    uint32_t calls[CALL_COUNT];
    struct fault_shim_seen seen;
    struct fault_object objects[FAULT_OBJECTS_MAX];
    uint32_t object_count;

    bool armed, stays, fired;
    int entry; /* enum fault_call, or -1: any */
    uint32_t nth;
    VkResult result;
    const char *fired_entry;

    struct osl_vk_shader corrupt[FAULT_CORRUPT_MAX];
    uint32_t corrupt_count;
};
extern struct fault_shim shim;

uint64_t fault_bits(const void *handle);
void fault_count(enum fault_call call);
/* Counts a call; anything but VK_SUCCESS is what it gives without being made. */
VkResult fault_enter(enum fault_call call, VkDevice device);
void fault_born(enum fault_kind kind, uint64_t handle, uint64_t parent, uint64_t bytes);
/* true: it was there, and the driver may be told. */
bool fault_died(enum fault_kind kind, uint64_t handle);
/* Forgets, and counts as leaked, what a device or an instance takes with it. */
void fault_orphan(uint64_t parent);
struct fault_object *fault_find(enum fault_kind kind, uint64_t handle);
/* The device of a queue or a command buffer: one at a time is in use here, the youngest. */
VkDevice fault_device_now(void);
/* Is this module to be broken? */
bool fault_is_corrupt(const VkShaderModuleCreateInfo *info);
/* Turns additions and products into something else; how many. */
uint32_t fault_turn(uint32_t *words, uint32_t count);

#endif
