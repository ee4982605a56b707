/* Copies outside the recordings: see transfer.h. */
#include "compute/vulkan/transfer.h"

#include <string.h>

#include "compute/vulkan/record.h"

enum osl_status osl_vk_transfer_open(struct osl_vk_transfer *transfer,
                                     struct osl_vk_device *device, struct osl_error *error)
{
    *transfer = (struct osl_vk_transfer){.device = device};
    VkResult result = device->CreateFence(
        device->handle, &(VkFenceCreateInfo){.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO}, NULL,
        &transfer->fence);
    if (result != VK_SUCCESS) {
        transfer->fence = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreateFence", result);
    }
    result = device->CreateCommandPool(
        device->handle,
        &(VkCommandPoolCreateInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                   .queueFamilyIndex = device->queue_family},
        NULL, &transfer->pool);
    if (result != VK_SUCCESS) {
        transfer->pool = VK_NULL_HANDLE;
        osl_vk_transfer_close(transfer);
        return osl_vk_fail(error, "vkCreateCommandPool", result);
    }
    result = device->AllocateCommandBuffers(
        device->handle,
        &(VkCommandBufferAllocateInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .commandPool = transfer->pool,
                                       .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                       .commandBufferCount = 1},
        &transfer->command);
    if (result != VK_SUCCESS) {
        osl_vk_transfer_close(transfer);
        return osl_vk_fail(error, "vkAllocateCommandBuffers", result);
    }
    return OSL_OK;
}

void osl_vk_transfer_close(struct osl_vk_transfer *transfer)
{
    struct osl_vk_device *device = transfer->device;
    if (device == NULL) {
        return;
    }
    if (transfer->pool != VK_NULL_HANDLE) {
        device->DestroyCommandPool(device->handle, transfer->pool, NULL);
    }
    if (transfer->fence != VK_NULL_HANDLE) {
        device->DestroyFence(device->handle, transfer->fence, NULL);
    }
    memset(transfer, 0, sizeof *transfer);
}

enum osl_status osl_vk_transfer_begin(struct osl_vk_transfer *transfer, struct osl_error *error)
{
    struct osl_vk_device *device = transfer->device;
    if (transfer->pending) { /* the wait for it ran out */
        return osl_fail(error, OSL_DEVICE, "%.100s: an earlier copy has not ended in time",
                        device->facts->name);
    }
    VkResult result = device->ResetCommandPool(device->handle, transfer->pool, 0);
    if (result != VK_SUCCESS) {
        return osl_vk_fail(error, "vkResetCommandPool", result);
    }
    result = device->BeginCommandBuffer(
        transfer->command,
        &(VkCommandBufferBeginInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                    .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT});
    if (result != VK_SUCCESS) {
        return osl_vk_fail(error, "vkBeginCommandBuffer", result);
    }
    osl_vk_command_barrier(device, transfer->command);
    return OSL_OK;
}

void osl_vk_transfer_copy(struct osl_vk_transfer *transfer, const struct osl_vk_buffer *from,
                          uint64_t from_offset, const struct osl_vk_buffer *to, uint64_t to_offset,
                          uint64_t bytes)
{
    OSL_ASSERT(bytes > 0 && from_offset + bytes <= from->bytes && to_offset + bytes <= to->bytes);
    transfer->device->CmdCopyBuffer(
        transfer->command, from->handle, to->handle, 1,
        &(VkBufferCopy){.srcOffset = from_offset, .dstOffset = to_offset, .size = bytes});
}

void osl_vk_transfer_fill(struct osl_vk_transfer *transfer, const struct osl_vk_buffer *to,
                          uint64_t offset, uint64_t bytes, uint32_t value)
{
    OSL_ASSERT(bytes > 0 && offset % 4 == 0 && bytes % 4 == 0 && offset + bytes <= to->bytes);
    transfer->device->CmdFillBuffer(transfer->command, to->handle, offset, bytes, value);
}

enum osl_status osl_vk_transfer_submit(struct osl_vk_transfer *transfer, struct osl_error *error)
{
    struct osl_vk_device *device = transfer->device;
    osl_vk_command_barrier(device, transfer->command);
    VkResult result = device->EndCommandBuffer(transfer->command);
    if (result != VK_SUCCESS) {
        return osl_vk_fail(error, "vkEndCommandBuffer", result);
    }
    enum osl_status status = osl_vk_submit(device, transfer->fence, &transfer->command, 1, error);
    transfer->pending = status == OSL_OK;
    return status;
}

enum osl_status osl_vk_transfer_wait(struct osl_vk_transfer *transfer, uint64_t timeout_ns,
                                     struct osl_error *error)
{
    if (!transfer->pending) {
        return OSL_OK;
    }
    enum osl_status status = osl_vk_wait(transfer->device, transfer->fence, timeout_ns, error);
    transfer->pending = status != OSL_OK;
    return status;
}

enum osl_status osl_vk_transfer_run(struct osl_vk_transfer *transfer, uint64_t timeout_ns,
                                    struct osl_error *error)
{
    enum osl_status status = osl_vk_transfer_submit(transfer, error);
    return status == OSL_OK ? osl_vk_transfer_wait(transfer, timeout_ns, error) : status;
}
