/* See fault_shim.h. One wrapper an entry point; what they share is fault_enter() and the object
 * list. */
#include "fault_shim_parts.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_NAME(name) #name,
static const char *const call_names[CALL_COUNT] = {FAULT_CALLS(CALL_NAME)};

/* What a call may give, beside success. */
enum {
    HOST = 1,
    MEMORY = 2,
    LOST = 4,
    INIT = 8,
    WAITS = 16,
    VOID = 0, /* returns nothing */
};
#define BOTH (HOST | MEMORY)
static const uint8_t may_give[CALL_COUNT] = {
    [CALL_EnumerateInstanceVersion] = HOST,
    [CALL_EnumerateInstanceExtensionProperties] = BOTH,
    [CALL_EnumerateInstanceLayerProperties] = BOTH,
    [CALL_CreateInstance] = BOTH | INIT,
    [CALL_EnumeratePhysicalDevices] = BOTH | INIT,
    [CALL_EnumerateDeviceExtensionProperties] = BOTH,
    [CALL_CreateDevice] = BOTH | INIT | LOST,
    [CALL_DeviceWaitIdle] = BOTH | LOST,
    [CALL_QueueSubmit] = BOTH | LOST,
    [CALL_QueueWaitIdle] = BOTH | LOST,
    [CALL_AllocateMemory] = BOTH,
    [CALL_MapMemory] = BOTH,
    [CALL_FlushMappedMemoryRanges] = BOTH,
    [CALL_InvalidateMappedMemoryRanges] = BOTH,
    [CALL_BindBufferMemory] = BOTH,
    [CALL_CreateBuffer] = BOTH,
    [CALL_CreateFence] = BOTH,
    [CALL_ResetFences] = MEMORY,
    [CALL_GetFenceStatus] = BOTH | LOST,
    [CALL_WaitForFences] = BOTH | LOST | WAITS,
    [CALL_CreateQueryPool] = BOTH,
    [CALL_GetQueryPoolResults] = BOTH | LOST,
    [CALL_CreateShaderModule] = BOTH,
    [CALL_CreatePipelineCache] = BOTH,
    [CALL_GetPipelineCacheData] = BOTH,
    [CALL_CreateComputePipelines] = BOTH,
    [CALL_CreatePipelineLayout] = BOTH,
    [CALL_CreateDescriptorSetLayout] = BOTH,
    [CALL_CreateDescriptorPool] = BOTH,
    [CALL_AllocateDescriptorSets] = BOTH,
    [CALL_CreateCommandPool] = BOTH,
    [CALL_ResetCommandPool] = MEMORY,
    [CALL_AllocateCommandBuffers] = BOTH,
    [CALL_BeginCommandBuffer] = BOTH,
    [CALL_EndCommandBuffer] = BOTH,
};

static const char *const kind_names[KIND_COUNT] = {
    "instance",
    "device",
    "memory",
    "buffer",
    "fence",
    "query pool",
    "shader module",
    "pipeline cache",
    "pipeline",
    "pipeline layout",
    "descriptor set layout",
    "descriptor pool",
    "command pool",
};

struct fault_shim shim;

/* ---- Objects ------------------------------------------------------------------------------ */

uint64_t fault_bits(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

struct fault_object *fault_find(enum fault_kind kind, uint64_t handle)
{
    for (uint32_t i = 0; i < shim.object_count; i++) {
        if (shim.objects[i].kind == kind && shim.objects[i].handle == handle) {
            return &shim.objects[i];
        }
    }
    return NULL;
}

void fault_born(enum fault_kind kind, uint64_t handle, uint64_t parent, uint64_t bytes)
{
    if (shim.object_count == FAULT_OBJECTS_MAX) {
        fprintf(stderr, "fault_shim: more than %d objects\n", FAULT_OBJECTS_MAX);
        shim.seen.strange++;
        return;
    }
    shim.objects[shim.object_count++] =
        (struct fault_object){.kind = kind, .handle = handle, .parent = parent, .bytes = bytes};
    shim.seen.memory_bytes += bytes;
    if (shim.seen.memory_bytes > shim.seen.memory_bytes_max) {
        shim.seen.memory_bytes_max = shim.seen.memory_bytes;
    }
}

static void forget(struct fault_object *object)
{
    shim.seen.memory_bytes -= object->bytes;
    *object = shim.objects[--shim.object_count];
}

/* true: the driver may be told. */
bool fault_died(enum fault_kind kind, uint64_t handle)
{
    struct fault_object *object = fault_find(kind, handle);
    if (handle == 0) {
        return false;
    }
    if (object == NULL) {
        fprintf(stderr, "fault_shim: a %s is destroyed that is not there\n", kind_names[kind]);
        shim.seen.strange++;
        return false;
    }
    forget(object);
    return true;
}

/* What a device or an instance takes with it. */
void fault_orphan(uint64_t parent)
{
    for (uint32_t i = 0; i < shim.object_count;) {
        if (shim.objects[i].parent != parent) {
            i++;
            continue;
        }
        fprintf(stderr, "fault_shim: left behind: %s\n", kind_names[shim.objects[i].kind]);
        shim.seen.leaked++;
        forget(&shim.objects[i]);
    }
}

/* ---- Calls -------------------------------------------------------------------------------- */

static bool is_running(enum fault_call call)
{
    switch (call) {
    case CALL_QueueSubmit:
    case CALL_WaitForFences:
    case CALL_ResetFences:
    case CALL_GetFenceStatus:
    case CALL_GetQueryPoolResults:
    case CALL_FlushMappedMemoryRanges:
    case CALL_InvalidateMappedMemoryRanges: return true;
    default: return false;
    }
}

static bool is_recording(enum fault_call call)
{
    return call == CALL_ResetCommandPool || call == CALL_BeginCommandBuffer ||
           call == CALL_EndCommandBuffer || strncmp(call_names[call], "Cmd", 3) == 0;
}

void fault_count(enum fault_call call)
{
    shim.calls[call]++;
    shim.seen.results += may_give[call] != VOID;
    shim.seen.recording += is_recording(call);
    shim.seen.making += !is_running(call) && !is_recording(call);
    shim.seen.submits += call == CALL_QueueSubmit;
}

static bool hits(enum fault_call call)
{
    if (!shim.armed || (shim.entry >= 0 && shim.entry != (int)call)) {
        return false;
    }
    if (shim.result == VK_TIMEOUT && (may_give[call] & WAITS) == 0) {
        return false;
    }
    if (shim.nth > 1) {
        shim.nth--;
        return false;
    }
    return true;
}

/* Work under way ends before a call is said to have failed: what is made on the device will be
 * destroyed next, and the driver below is in truth well. */
static void settle(VkDevice device)
{
    if (device != NULL && shim.real.DeviceWaitIdle != NULL) {
        (void)shim.real.DeviceWaitIdle(device);
    }
}

/* Counts a call; anything but VK_SUCCESS is what it gives without being made. */
VkResult fault_enter(enum fault_call call, VkDevice device)
{
    fault_count(call);
    struct fault_object *object =
        device != NULL ? fault_find(KIND_Device, fault_bits(device)) : NULL;
    if (device != NULL && object == NULL) {
        fprintf(stderr, "fault_shim: vk%s on a device that is not there\n", call_names[call]);
        shim.seen.strange++;
        return VK_ERROR_DEVICE_LOST;
    }
    if (hits(call)) {
        shim.fired = true;
        shim.fired_entry = call_names[call];
        /* A lost device stays so by itself; a hanging one too. */
        shim.armed = shim.stays && shim.result != VK_ERROR_DEVICE_LOST;
        settle(device);
        if (object != NULL && shim.result == VK_ERROR_DEVICE_LOST) {
            object->lost = true;
        }
        if (object != NULL && shim.result == VK_TIMEOUT && shim.stays) {
            object->hangs = true;
            shim.armed = false;
        }
        return shim.result;
    }
    if (object != NULL && object->lost && (may_give[call] & LOST) != 0) {
        return VK_ERROR_DEVICE_LOST;
    }
    if (object != NULL && object->hangs && (may_give[call] & WAITS) != 0) {
        return VK_TIMEOUT;
    }
    return VK_SUCCESS;
}

/* The device of a queue or a command buffer. One at a time is in use here: the youngest. */
VkDevice fault_device_now(void)
{
    for (uint32_t i = shim.object_count; i-- > 0;) {
        if (shim.objects[i].kind == KIND_Device) {
            return (VkDevice)(uintptr_t)shim.objects[i].handle;
        }
    }
    return NULL;
}

/* ---- Breaking shaders ---------------------------------------------------------------------- */

#define SPIRV_HEADER_WORDS 5
/* SPIR-V 1.6, 3.49.13 and 3.49.15; each is turned into one with the same operands. */
static const struct {
    uint16_t from, to;
} turns[] = {{129, 133}, /* FAdd, FMul: two subtractions could undo each other */
             {133, 129}, /* FMul, FAdd */
             {184, 186}, /* FOrdLessThan, FOrdGreaterThan */
             {186, 184}};

bool fault_is_corrupt(const VkShaderModuleCreateInfo *info)
{
    for (uint32_t i = 0; i < shim.corrupt_count; i++) {
        if (shim.corrupt[i].bytes == info->codeSize && info->codeSize <= FAULT_MODULE_BYTES_MAX &&
            memcmp(shim.corrupt[i].words, info->pCode, info->codeSize) == 0) {
            return true;
        }
    }
    return false;
}

uint32_t fault_turn(uint32_t *words, uint32_t count)
{
    uint32_t turned = 0;
    for (uint32_t at = SPIRV_HEADER_WORDS; at < count;) {
        uint32_t length = words[at] >> 16;
        for (uint32_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
            if ((words[at] & 0xFFFF) == turns[i].from) {
                words[at] = length << 16 | turns[i].to;
                turned++;
                break;
            }
        }
        at += length > 0 ? length : count;
    }
    return turned;
}

bool fault_shim_corrupt(const struct osl_vk_shader *shader)
{
    static uint32_t words[FAULT_MODULE_BYTES_MAX / 4];
    if (shim.corrupt_count == FAULT_CORRUPT_MAX || shader->bytes > sizeof words) {
        return false;
    }
    memcpy(words, shader->words, shader->bytes);
    if (fault_turn(words, shader->bytes / 4) == 0) {
        return false;
    }
    shim.corrupt[shim.corrupt_count++] = *shader;
    return true;
}

/* ---- What tests ask and tell --------------------------------------------------------------- */

static int call_of(const char *entry)
{
    for (int i = 0; i < CALL_COUNT; i++) {
        if (strcmp(call_names[i], entry) == 0) {
            return i;
        }
    }
    fprintf(stderr, "fault_shim: no call '%s' in vk.h's table\n", entry);
    abort();
}

bool fault_shim_open(void)
{
    void *library = shim.library;
    if (library == NULL) {
        library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    }
    memset(&shim, 0, sizeof shim);
    shim.library = library;
    if (library == NULL) {
        return false;
    }
    /* POSIX lets a data pointer from dlsym be a function's. */
    void *symbol = dlsym(library, "vkGetInstanceProcAddr");
    memcpy(&shim.get, &symbol, sizeof symbol);
    if (shim.get == NULL) {
        return false;
    }
#define RESOLVE(name) shim.real.name = (PFN_vk##name)shim.get(NULL, "vk" #name);
    OSL_VK_GLOBAL_CALLS(RESOLVE)
#undef RESOLVE
    return true;
}

void fault_shim_arm(const char *entry, uint32_t nth, VkResult result, bool stays)
{
    shim.armed = true;
    shim.stays = stays;
    shim.fired = false;
    shim.fired_entry = NULL;
    shim.entry = entry != NULL ? call_of(entry) : -1;
    shim.nth = nth;
    shim.result = result;
}

void fault_shim_disarm(void)
{
    shim.armed = false;
}

bool fault_shim_fired(void)
{
    return shim.fired;
}

const char *fault_shim_fired_entry(void)
{
    return shim.fired_entry;
}

bool fault_shim_legal(const char *entry, VkResult result)
{
    uint8_t may = may_give[call_of(entry)];
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return (may & HOST) != 0;
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return (may & MEMORY) != 0;
    case VK_ERROR_DEVICE_LOST: return (may & LOST) != 0;
    case VK_ERROR_INITIALIZATION_FAILED: return (may & INIT) != 0;
    case VK_TIMEOUT: return (may & WAITS) != 0;
    default: return false;
    }
}

void fault_shim_look(struct fault_shim_seen *out)
{
    *out = shim.seen;
    out->live = shim.object_count;
}

void fault_shim_recount(void)
{
    memset(shim.calls, 0, sizeof shim.calls);
    shim.seen.results = 0;
    shim.seen.making = 0;
    shim.seen.recording = 0;
    shim.seen.submits = 0;
}

const char *fault_shim_site(uint32_t index)
{
    for (uint32_t i = 0; i < CALL_COUNT; i++) {
        if (may_give[i] != VOID && index-- == 0) {
            return call_names[i];
        }
    }
    return NULL;
}

uint32_t fault_shim_calls(const char *entry)
{
    return shim.calls[call_of(entry)];
}

void fault_shim_print_calls(void)
{
    for (uint32_t i = 0; i < CALL_COUNT; i++) {
        if (shim.calls[i] > 0) {
            fprintf(stderr, "fault_shim: %u calls of vk%s\n", shim.calls[i], call_names[i]);
        }
    }
}

void fault_shim_print_live(void)
{
    for (uint32_t kind = 0; kind < KIND_COUNT; kind++) {
        uint32_t live = 0;
        for (uint32_t i = 0; i < shim.object_count; i++) {
            live += shim.objects[i].kind == kind;
        }
        if (live > 0) {
            fprintf(stderr, "fault_shim: %u live of kind %s\n", live, kind_names[kind]);
        }
    }
}
