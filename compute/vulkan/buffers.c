/* Buffers: which memory type, and never more of a heap than its budget. */
#include <string.h>

#include "compute/vulkan/core.h"

#define MIB (1ull << 20)

static const VkBufferUsageFlags usage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
    VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT;

/* How well a memory type serves a purpose: 0 not at all, else the more the better. By what the
 * type is, and the size of its heap: no vendors, no indices. */
static uint64_t rank_type(const struct osl_vk_device *device, enum osl_vk_memory kind,
                          uint32_t type)
{
    const VkPhysicalDeviceMemoryProperties *memory = &device->memory;
    VkMemoryPropertyFlags flags = memory->memoryTypes[type].propertyFlags;
    const struct osl_vk_facts *facts = device->facts;
    bool local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
    bool visible = (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0;
    bool coherent = (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
    bool cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
    const VkMemoryPropertyFlags known =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    if ((flags & ~known) != 0) {
        return 0; /* lazily made, protected, or of a feature not switched on */
    }
    switch (kind) {
    case OSL_VK_MEMORY_DEVICE: {
        /* A discrete device's weights in host memory would be slower than the CPU. Where memory
         * is shared, a carve-out too small for the model may be left for the rest. */
        if (!local && !facts->unified) {
            return 0;
        }
        /* A host-visible window of a device whose other memory is not is small and dear. */
        bool direct = facts->unified || facts->large_bar;
        return 1 + (local ? 8u : 0u) + (visible == direct ? 4u : 0u) +
               (coherent == visible ? 2u : 0u) + (cached ? 0u : 1u);
    }
    case OSL_VK_MEMORY_UPLOAD:
        /* Plain host memory first: write-combining suits writing front to back. */
        return !visible ? 0 : 1 + (coherent ? 8u : 0u) + (local ? 0u : 4u) + (cached ? 0u : 2u);
    case OSL_VK_MEMORY_READBACK:
        /* Reading uncached memory is some fifty times slower than copying it. */
        return !visible ? 0 : 1 + (cached ? 8u : 0u) + (coherent ? 4u : 0u) + (local ? 0u : 2u);
    case OSL_VK_MEMORY_HOST:
        return !visible ? 0 : 1 + (local ? 0u : 8u) + (coherent ? 4u : 0u) + (cached ? 0u : 2u);
    }
    return 0;
}

/* Bytes still to be had of each heap: what the driver says, and by our own count. */
static void heaps_left(const struct osl_vk_device *device, uint64_t left_out[OSL_VK_HEAPS_MAX])
{
    const struct osl_vk_facts *facts = device->facts;
    osl_vk_budget_read(device->vk, facts->index, left_out);
    for (uint32_t i = 0; i < facts->heap_count; i++) {
        uint64_t used = device->heap_used_bytes[i];
        uint64_t budget = facts->heaps[i].budget_bytes;
        uint64_t counted = budget > used ? budget - used : 0;
        left_out[i] = left_out[i] < counted ? left_out[i] : counted;
    }
}

/* The best type whose heap has room. Of types alike, the one of the larger heap. */
static enum osl_status choose_type(const struct osl_vk_device *device, enum osl_vk_memory kind,
                                   const VkMemoryRequirements *needs, uint32_t *type_out,
                                   struct osl_error *error)
{
    uint64_t left[OSL_VK_HEAPS_MAX];
    heaps_left(device, left);
    const VkPhysicalDeviceMemoryProperties *memory = &device->memory;
    uint64_t best = 0;
    uint64_t best_bytes = 0;
    uint32_t full = UINT32_MAX; /* the heap that would have been taken */
    uint64_t full_rank = 0;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        uint32_t heap = memory->memoryTypes[i].heapIndex;
        uint64_t rank = (needs->memoryTypeBits >> i & 1) == 0 ? 0 : rank_type(device, kind, i);
        if (rank != 0 && needs->size > left[heap]) {
            full = rank > full_rank ? heap : full;
            full_rank = rank > full_rank ? rank : full_rank;
        } else if (rank > best ||
                   (rank != 0 && rank == best && memory->memoryHeaps[heap].size > best_bytes)) {
            best = rank;
            best_bytes = memory->memoryHeaps[heap].size;
            *type_out = i;
        }
    }
    if (best != 0) {
        return OSL_OK;
    }
    if (full == UINT32_MAX) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%.100s: has no memory type for this purpose; update the driver",
                        device->facts->name);
    }
    return osl_fail(error, OSL_MEMORY,
                    "%.100s: %llu MiB are needed and %llu MiB are left of heap %u (%s); end other "
                    "programs that use the GPU, or choose less context",
                    device->facts->name, (unsigned long long)((needs->size + MIB - 1) / MIB),
                    (unsigned long long)(left[full] / MIB), full,
                    device->facts->heaps[full].device_local ? "device" : "host");
}

/* An unused entry of device->buffers, zeroed. */
static struct osl_vk_buffer *take_entry(struct osl_vk_device *device)
{
    uint32_t i = 0;
    while (i < device->buffer_count && device->buffers[i].handle != VK_NULL_HANDLE) {
        i++;
    }
    if (i == OSL_VK_BUFFERS_MAX) {
        return NULL;
    }
    device->buffer_count = i == device->buffer_count ? i + 1 : device->buffer_count;
    memset(&device->buffers[i], 0, sizeof device->buffers[i]);
    return &device->buffers[i];
}

static enum osl_status check_size(const struct osl_vk_device *device, uint64_t bytes,
                                  struct osl_error *error)
{
    OSL_ASSERT(bytes > 0);
    if (bytes > device->facts->allocation_bytes) {
        return osl_fail(error, OSL_MEMORY,
                        "%.100s: an allocation of %llu MiB is more than the driver's %llu MiB",
                        device->facts->name, (unsigned long long)(bytes / MIB),
                        (unsigned long long)(device->facts->allocation_bytes / MIB));
    }
    return OSL_OK;
}

/* Allocates and binds; buffer->handle is there. */
static enum osl_status back_buffer(struct osl_vk_device *device, struct osl_vk_buffer *buffer,
                                   const VkMemoryAllocateInfo *info, struct osl_error *error)
{
    VkDevice handle = device->handle;
    VkResult result = device->AllocateMemory(handle, info, NULL, &buffer->memory);
    if (result != VK_SUCCESS) {
        buffer->memory = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkAllocateMemory", result);
    }
    result = device->BindBufferMemory(handle, buffer->handle, buffer->memory, 0);
    return result == VK_SUCCESS ? OSL_OK : osl_vk_fail(error, "vkBindBufferMemory", result);
}

static enum osl_status map_buffer(struct osl_vk_device *device, struct osl_vk_buffer *buffer,
                                  enum osl_vk_memory kind, struct osl_error *error)
{
    void *data = NULL;
    VkResult result =
        device->MapMemory(device->handle, buffer->memory, 0, VK_WHOLE_SIZE, 0, &data);
    if (result == VK_SUCCESS) {
        buffer->mapped = data;
        return OSL_OK;
    }
    /* Device memory is mapped for speed alone: where the window to it is full, staging serves. */
    if (kind == OSL_VK_MEMORY_DEVICE && result != VK_ERROR_DEVICE_LOST) {
        return OSL_OK;
    }
    return osl_vk_fail(error, "vkMapMemory", result);
}

static enum osl_status make_handle(struct osl_vk_device *device, uint64_t bytes,
                                   const void *chain, struct osl_vk_buffer **out,
                                   struct osl_error *error)
{
    bool addressed = chain == NULL && device->address;
    struct osl_vk_buffer *buffer = take_entry(device);
    if (buffer == NULL) {
        return osl_fail(error, OSL_CAPACITY, "more than %d device buffers", OSL_VK_BUFFERS_MAX);
    }
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .pNext = chain,
        .size = bytes,
        .usage = usage | (addressed ? VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT : 0u),
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkResult result = device->CreateBuffer(device->handle, &info, NULL, &buffer->handle);
    if (result != VK_SUCCESS) {
        buffer->handle = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreateBuffer", result);
    }
    buffer->bytes = bytes;
    buffer->heap = OSL_VK_HEAPS_MAX;
    *out = buffer;
    return OSL_OK;
}

enum osl_status osl_vk_buffer_make(struct osl_vk_device *device, enum osl_vk_memory kind,
                                   uint64_t bytes, struct osl_vk_buffer **out,
                                   struct osl_error *error)
{
    OSL_ASSERT(device != NULL && out != NULL);
    struct osl_vk_buffer *buffer = NULL;
    enum osl_status status = check_size(device, bytes, error);
    if (status == OSL_OK) {
        status = make_handle(device, bytes, NULL, &buffer, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    VkMemoryRequirements needs;
    device->GetBufferMemoryRequirements(device->handle, buffer->handle, &needs);
    uint32_t type = 0;
    status = choose_type(device, kind, &needs, &type, error);
    if (status == OSL_OK) {
        VkMemoryPropertyFlags flags = device->memory.memoryTypes[type].propertyFlags;
        const VkMemoryAllocateFlagsInfo addressed = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
            .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
        };
        const VkMemoryAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
            .pNext = device->address ? &addressed : NULL,
            .allocationSize = needs.size,
            .memoryTypeIndex = type,
        };
        buffer->coherent = (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
        status = back_buffer(device, buffer, &info, error);
        if (status == OSL_OK && (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0) {
            status = map_buffer(device, buffer, kind, error);
        }
    }
    if (status != OSL_OK) {
        osl_vk_buffer_free(device, buffer);
        return status;
    }
    buffer->heap = device->memory.memoryTypes[type].heapIndex;
    buffer->taken_bytes = needs.size;
    device->heap_used_bytes[buffer->heap] += needs.size;
    if (device->address && device->GetBufferDeviceAddress != NULL) {
        const VkBufferDeviceAddressInfo which = {
            .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = buffer->handle};
        buffer->address = device->GetBufferDeviceAddress(device->handle, &which);
    }
    *out = buffer;
    return OSL_OK;
}

/* A type by which both the buffer and the pointer can be had; coherent before others. */
static bool import_type(const struct osl_vk_device *device, uint32_t bits, uint32_t *type_out)
{
    bool found = false;
    for (uint32_t i = 0; i < device->memory.memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = device->memory.memoryTypes[i].propertyFlags;
        if ((bits >> i & 1) == 0) {
            continue;
        }
        if (!found || (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0) {
            *type_out = i;
        }
        found = true;
    }
    return found;
}

enum osl_status osl_vk_buffer_import(struct osl_vk_device *device, void *data, uint64_t bytes,
                                     struct osl_vk_buffer **out, struct osl_error *error)
{
    OSL_ASSERT(device != NULL && data != NULL && out != NULL && bytes > 0);
    const struct osl_vk_facts *facts = device->facts;
    if (!facts->import || device->GetMemoryHostPointerPropertiesEXT == NULL) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%.100s: cannot use host memory in place "
                        "(no VK_EXT_external_memory_host)",
                        facts->name);
    }
    OSL_ASSERT((uintptr_t)data % facts->import_alignment == 0);
    OSL_ASSERT(bytes % facts->import_alignment == 0);
    const VkExternalMemoryHandleTypeFlagBits host =
        VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    VkMemoryHostPointerPropertiesEXT properties = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    VkResult result =
        device->GetMemoryHostPointerPropertiesEXT(device->handle, host, data, &properties);
    if (result != VK_SUCCESS) {
        enum osl_status status = osl_vk_fail(error, "vkGetMemoryHostPointerPropertiesEXT", result);
        return status == OSL_DEVICE ? status : OSL_UNSUPPORTED;
    }
    VkExternalMemoryBufferCreateInfo external = {
        .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, .handleTypes = host};
    struct osl_vk_buffer *buffer = NULL;
    enum osl_status status = check_size(device, bytes, error);
    if (status == OSL_OK) {
        status = make_handle(device, bytes, &external, &buffer, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    VkMemoryRequirements needs;
    device->GetBufferMemoryRequirements(device->handle, buffer->handle, &needs);
    uint32_t type = 0;
    if (needs.size > bytes ||
        !import_type(device, needs.memoryTypeBits & properties.memoryTypeBits, &type)) {
        status = osl_fail(error, OSL_UNSUPPORTED,
                          "%.100s: the driver does not take this host memory", facts->name);
    } else {
        VkImportMemoryHostPointerInfoEXT import = {
            .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
            .handleType = host,
            .pHostPointer = data,
        };
        VkMemoryAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
            .pNext = &import,
            .allocationSize = bytes,
            .memoryTypeIndex = type,
        };
        VkMemoryPropertyFlags flags = device->memory.memoryTypes[type].propertyFlags;
        buffer->coherent = (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
        status = back_buffer(device, buffer, &info, error);
        /* Which pages a driver can pin is only known by trying: any refusal means no. */
        status = status == OSL_OK || status == OSL_DEVICE ? status : OSL_UNSUPPORTED;
    }
    if (status != OSL_OK) {
        osl_vk_buffer_free(device, buffer);
        return status;
    }
    buffer->mapped = data;
    *out = buffer;
    return OSL_OK;
}

void osl_vk_buffer_free(struct osl_vk_device *device, struct osl_vk_buffer *buffer)
{
    if (buffer == NULL) {
        return;
    }
    if (buffer->handle != VK_NULL_HANDLE) {
        device->DestroyBuffer(device->handle, buffer->handle, NULL);
    }
    if (buffer->memory != VK_NULL_HANDLE) {
        device->FreeMemory(device->handle, buffer->memory, NULL); /* unmaps it too */
    }
    if (buffer->heap < OSL_VK_HEAPS_MAX) {
        OSL_ASSERT(device->heap_used_bytes[buffer->heap] >= buffer->taken_bytes);
        device->heap_used_bytes[buffer->heap] -= buffer->taken_bytes;
    }
    memset(buffer, 0, sizeof *buffer);
}
