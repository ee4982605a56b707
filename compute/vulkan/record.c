/* Recording, slots and submission: see record.h. */
#include "compute/vulkan/record.h"

#include <stddef.h>
#include <string.h>

#define POOL_BINDINGS (OSL_VK_SETS_MAX * OSL_VK_BINDINGS)

/* ---- Pools ------------------------------------------------------------------------------- */

static enum osl_status make_pools(struct osl_vk_recorder *recorder, bool profile,
                                  struct osl_error *error)
{
    struct osl_vk_device *device = recorder->device;
    /* Single buffers are recorded again by the test rig only. */
    VkResult result = device->CreateCommandPool(
        device->handle,
        &(VkCommandPoolCreateInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                   .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                   .queueFamilyIndex = device->queue_family},
        NULL, &recorder->pool);
    if (result != VK_SUCCESS) {
        recorder->pool = VK_NULL_HANDLE; /* undefined after a failure, as all that follow */
        return osl_vk_fail(error, "vkCreateCommandPool", result);
    }
    result = device->CreateDescriptorPool(
        device->handle,
        &(VkDescriptorPoolCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
            .maxSets = OSL_VK_SETS_MAX,
            .poolSizeCount = 1,
            .pPoolSizes = &(VkDescriptorPoolSize){.type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                  .descriptorCount = POOL_BINDINGS}},
        NULL, &recorder->sets_pool);
    if (result != VK_SUCCESS) {
        recorder->sets_pool = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreateDescriptorPool", result);
    }
    if (!profile || device->facts->timestamp_ns <= 0.0f) {
        return OSL_OK;
    }
    result = device->CreateQueryPool(
        device->handle,
        &(VkQueryPoolCreateInfo){.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                 .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                 .queryCount = 2 * OSL_VK_TIMES_MAX},
        NULL, &recorder->queries);
    if (result != VK_SUCCESS) {
        recorder->queries = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreateQueryPool", result);
    }
    return OSL_OK;
}

enum osl_status osl_vk_recorder_open(struct osl_vk_recorder *recorder,
                                     struct osl_vk_device *device,
                                     const struct osl_vk_binding *step, bool profile,
                                     struct osl_error *error)
{
    memset(recorder, 0, sizeof *recorder);
    recorder->device = device;
    recorder->step = *step;
    enum osl_status status = make_pools(recorder, profile, error);
    if (status != OSL_OK) {
        osl_vk_recorder_close(recorder);
    }
    return status;
}

void osl_vk_recorder_close(struct osl_vk_recorder *recorder)
{
    struct osl_vk_device *device = recorder->device;
    if (device == NULL) {
        return; /* never opened */
    }
    if (recorder->queries != VK_NULL_HANDLE) {
        device->DestroyQueryPool(device->handle, recorder->queries, NULL);
    }
    if (recorder->sets_pool != VK_NULL_HANDLE) {
        device->DestroyDescriptorPool(device->handle, recorder->sets_pool, NULL);
    }
    if (recorder->pool != VK_NULL_HANDLE) {
        device->DestroyCommandPool(device->handle, recorder->pool, NULL);
    }
    memset(recorder, 0, sizeof *recorder);
}

/* ---- Descriptor sets --------------------------------------------------------------------- */

static bool bindings_equal(const struct osl_vk_binding *a, const struct osl_vk_binding *b)
{
    for (uint32_t i = 0; i < OSL_VK_BINDINGS; i++) {
        if (a[i].buffer != b[i].buffer || a[i].offset != b[i].offset || a[i].bytes != b[i].bytes) {
            return false;
        }
    }
    return true;
}

static void write_set(const struct osl_vk_recorder *recorder, const struct osl_vk_set *set)
{
    const struct osl_vk_device *device = recorder->device;
    VkDescriptorBufferInfo info[OSL_VK_BINDINGS];
    for (uint32_t i = 0; i < OSL_VK_BINDINGS; i++) {
        const struct osl_vk_binding *bind = &set->bind[i];
        info[i] = (VkDescriptorBufferInfo){
            .buffer = bind->buffer->handle, .offset = bind->offset, .range = bind->bytes};
    }
    device->UpdateDescriptorSets(
        device->handle, 1,
        &(VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                .dstSet = set->handle,
                                .descriptorCount = OSL_VK_BINDINGS,
                                .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                .pBufferInfo = info},
        0, NULL);
}

/* The set with these bindings; a binding that is not used gets the step buffer, since every
 * descriptor must be valid. */
static enum osl_status take_set(struct osl_vk_recorder *recorder,
                                const struct osl_vk_binding *wanted, VkDescriptorSet *out,
                                struct osl_error *error)
{
    struct osl_vk_device *device = recorder->device;
    struct osl_vk_binding bind[OSL_VK_BINDINGS];
    for (uint32_t i = 0; i < OSL_VK_BINDINGS; i++) {
        bind[i] = wanted[i].buffer != NULL ? wanted[i] : recorder->step;
        if (bind[i].bytes == 0) {
            bind[i].bytes = bind[i].buffer->bytes - bind[i].offset;
        }
        OSL_ASSERT(bind[i].offset % device->facts->offset_alignment == 0);
        OSL_ASSERT(bind[i].bytes <= device->facts->binding_bytes);
        OSL_ASSERT(bind[i].offset + bind[i].bytes <= bind[i].buffer->bytes);
    }
    for (uint32_t s = 0; s < recorder->set_count; s++) {
        if (bindings_equal(recorder->sets[s].bind, bind)) {
            *out = recorder->sets[s].handle;
            return OSL_OK;
        }
    }
    if (recorder->set_count == OSL_VK_SETS_MAX) {
        return osl_fail(error, OSL_CAPACITY, "recording needs more than %u descriptor sets",
                        OSL_VK_SETS_MAX);
    }
    struct osl_vk_set *set = &recorder->sets[recorder->set_count];
    if (set->handle == VK_NULL_HANDLE) { /* else left by osl_vk_recorder_forget */
        VkResult result = device->AllocateDescriptorSets(
            device->handle,
            &(VkDescriptorSetAllocateInfo){.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                           .descriptorPool = recorder->sets_pool,
                                           .descriptorSetCount = 1,
                                           .pSetLayouts = &device->set_layout},
            &set->handle);
        if (result != VK_SUCCESS) {
            return osl_vk_fail(error, "vkAllocateDescriptorSets", result);
        }
    }
    memcpy(set->bind, bind, sizeof bind);
    write_set(recorder, set);
    recorder->set_count++;
    *out = set->handle;
    return OSL_OK;
}

/* ---- Command buffers --------------------------------------------------------------------- */

enum osl_status osl_vk_record_begin(struct osl_vk_recorder *recorder, struct osl_error *error)
{
    struct osl_vk_device *device = recorder->device;
    OSL_ASSERT(recorder->now == NULL);
    if (recorder->command_count == OSL_VK_COMMANDS_MAX) {
        return osl_fail(error, OSL_CAPACITY, "recording needs more than %u command buffers",
                        OSL_VK_COMMANDS_MAX);
    }
    VkCommandBuffer *command = &recorder->commands[recorder->command_count];
    VkResult result = VK_SUCCESS;
    if (*command == NULL) {
        result = device->AllocateCommandBuffers(
            device->handle,
            &(VkCommandBufferAllocateInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                           .commandPool = recorder->pool,
                                           .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                           .commandBufferCount = 1},
            command);
        if (result != VK_SUCCESS) {
            *command = NULL;
            return osl_vk_fail(error, "vkAllocateCommandBuffers", result);
        }
    }
    result = device->BeginCommandBuffer(
        *command,
        &(VkCommandBufferBeginInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                    .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT});
    if (result != VK_SUCCESS) {
        return osl_vk_fail(error, "vkBeginCommandBuffer", result);
    }
    recorder->command_count++;
    recorder->now = *command;
    recorder->dispatches = 0;
    recorder->barriers = 0;
    return OSL_OK;
}

enum osl_status osl_vk_record_end(struct osl_vk_recorder *recorder, VkCommandBuffer *command_out,
                                  struct osl_error *error)
{
    OSL_ASSERT(recorder->now != NULL);
    VkResult result = recorder->device->EndCommandBuffer(recorder->now);
    *command_out = result == VK_SUCCESS ? recorder->now : NULL;
    recorder->now = NULL;
    return result == VK_SUCCESS ? OSL_OK : osl_vk_fail(error, "vkEndCommandBuffer", result);
}

void osl_vk_recorder_forget(struct osl_vk_recorder *recorder)
{
    OSL_ASSERT(recorder->now == NULL);
    recorder->set_count = 0;
    recorder->command_count = 0;
    recorder->slot_count = 0;
    recorder->query_count = 0;
}

/* Between dispatches only what shaders write and read: the other stages, indirect sizes above all,
 * make some devices drain their front end, so they have barriers of their own where needed. */
static void shader_barrier(struct osl_vk_recorder *recorder)
{
    recorder->device->CmdPipelineBarrier(
        recorder->now, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
        0, 1,
        &(VkMemoryBarrier){.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                           .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                           .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT},
        0, NULL, 0, NULL);
}

void osl_vk_command_barrier(struct osl_vk_device *device, VkCommandBuffer command)
{
    device->CmdPipelineBarrier(
        command, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT |
            VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT | VK_PIPELINE_STAGE_HOST_BIT,
        0, 1,
        &(VkMemoryBarrier){
            .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
            .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
            .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                             VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                             VK_ACCESS_INDIRECT_COMMAND_READ_BIT | VK_ACCESS_HOST_READ_BIT},
        0, NULL, 0, NULL);
}

void osl_vk_record_barrier(struct osl_vk_recorder *recorder)
{
    osl_vk_command_barrier(recorder->device, recorder->now);
    recorder->barriers++;
}

void osl_vk_record_copy(struct osl_vk_recorder *recorder, const struct osl_vk_buffer *from,
                        uint64_t from_offset, const struct osl_vk_buffer *to, uint64_t to_offset,
                        uint64_t bytes)
{
    OSL_ASSERT(bytes > 0 && from_offset + bytes <= from->bytes && to_offset + bytes <= to->bytes);
    recorder->device->CmdCopyBuffer(
        recorder->now, from->handle, to->handle, 1,
        &(VkBufferCopy){.srcOffset = from_offset, .dstOffset = to_offset, .size = bytes});
}

void osl_vk_record_fill(struct osl_vk_recorder *recorder, const struct osl_vk_buffer *to,
                        uint64_t offset, uint64_t bytes, uint32_t value)
{
    OSL_ASSERT(bytes > 0 && offset % 4 == 0 && bytes % 4 == 0 && offset + bytes <= to->bytes);
    recorder->device->CmdFillBuffer(recorder->now, to->handle, offset, bytes, value);
}

/* ---- Dispatches -------------------------------------------------------------------------- */

/* The slot for a size that depends on the step; equal ones share. */
static enum osl_status take_slot(struct osl_vk_recorder *recorder,
                                 const struct osl_vk_groups *groups, uint32_t *out,
                                 struct osl_error *error)
{
    OSL_ASSERT(groups->tile > 0);
    struct osl_gpu_slot wanted = {.x = groups->x,
                                  .y = groups->y,
                                  .z = groups->z,
                                  .rule = groups->rule,
                                  .tile = groups->tile};
    if (groups->rule == OSL_VK_TOKENS_X) {
        wanted.x = 0; /* what the rule gives must not tell slots apart */
    } else {
        wanted.y = 0;
    }
    for (uint32_t s = 0; s < recorder->slot_count; s++) {
        if (memcmp(&recorder->slots[s], &wanted, sizeof wanted) == 0) {
            *out = s;
            return OSL_OK;
        }
    }
    if (recorder->slot_count == OSL_GPU_SLOTS) {
        return osl_fail(error, OSL_CAPACITY, "recording needs more than %u sizes of dispatches",
                        OSL_GPU_SLOTS);
    }
    recorder->slots[recorder->slot_count] = wanted;
    *out = recorder->slot_count++;
    return OSL_OK;
}

static void timestamp(struct osl_vk_recorder *recorder, uint32_t query)
{
    recorder->device->CmdWriteTimestamp(recorder->now, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                        recorder->queries, query);
}

enum osl_status osl_vk_record(struct osl_vk_recorder *recorder,
                              const struct osl_vk_dispatch *dispatch, struct osl_error *error)
{
    struct osl_vk_device *device = recorder->device;
    const struct osl_vk_groups *groups = &dispatch->groups;
    OSL_ASSERT(recorder->now != NULL && dispatch->pipeline != NULL);
    OSL_ASSERT(dispatch->push_bytes % 4 == 0 && dispatch->push_bytes <= OSL_VK_PUSH_BYTES);
    VkDescriptorSet set = VK_NULL_HANDLE;
    uint32_t slot = 0;
    enum osl_status status = take_set(recorder, dispatch->bind, &set, error);
    if (status == OSL_OK && groups->rule != OSL_VK_FIXED) {
        status = take_slot(recorder, groups, &slot, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    if (dispatch->barrier) {
        shader_barrier(recorder);
        recorder->barriers++;
    } else if (device->vk->validation) {
        /* Dispatches side by side write different parts of one binding. Synchronization
         * validation looks at whole bindings and would call that a hazard. */
        shader_barrier(recorder);
    }
    device->CmdBindPipeline(recorder->now, VK_PIPELINE_BIND_POINT_COMPUTE,
                            dispatch->pipeline->handle);
    device->CmdBindDescriptorSets(recorder->now, VK_PIPELINE_BIND_POINT_COMPUTE,
                                  device->pipeline_layout, 0, 1, &set, 0, NULL);
    if (dispatch->push_bytes > 0) {
        device->CmdPushConstants(recorder->now, device->pipeline_layout,
                                 VK_SHADER_STAGE_COMPUTE_BIT, 0, dispatch->push_bytes,
                                 dispatch->push);
    }
    bool timed = recorder->queries != VK_NULL_HANDLE && recorder->query_count < OSL_VK_TIMES_MAX;
    uint32_t query = recorder->query_count;
    if (timed) {
        recorder->query_names[query] = dispatch->name;
        recorder->query_count++;
        timestamp(recorder, 2 * query);
    }
    if (groups->rule == OSL_VK_FIXED) {
        OSL_ASSERT(groups->x > 0 && groups->y > 0 && groups->z > 0);
        device->CmdDispatch(recorder->now, groups->x, groups->y, groups->z);
    } else {
        uint64_t at = offsetof(struct osl_gpu_step, slot) + slot * sizeof(struct osl_gpu_slot);
        device->CmdDispatchIndirect(recorder->now, recorder->step.buffer->handle,
                                    recorder->step.offset + at);
    }
    if (timed) {
        timestamp(recorder, 2 * query + 1);
    }
    recorder->dispatches++;
    return OSL_OK;
}

/* ---- Steps ------------------------------------------------------------------------------- */

static uint32_t tiles(uint64_t count, uint32_t tile)
{
    return (uint32_t)((count + tile - 1) / tile);
}

void osl_vk_slots_fill(const struct osl_vk_recorder *recorder,
                       const struct osl_vk_step_sizes *sizes,
                       struct osl_gpu_slot slots_out[OSL_GPU_SLOTS])
{
    memset(slots_out, 0, OSL_GPU_SLOTS * sizeof slots_out[0]);
    for (uint32_t s = 0; s < recorder->slot_count; s++) {
        struct osl_gpu_slot *slot = &slots_out[s];
        *slot = recorder->slots[s];
        switch ((enum osl_vk_rule)slot->rule) {
        case OSL_VK_TOKENS: slot->y = tiles(sizes->token_count, slot->tile); break;
        case OSL_VK_TOKENS_X: slot->x = tiles(sizes->token_count, slot->tile); break;
        case OSL_VK_LOGITS_ROWS: slot->y = tiles(sizes->logits_row_count, slot->tile); break;
        case OSL_VK_EXPERT_TILES:
            slot->y = tiles((uint64_t)sizes->token_count * sizes->experts_used, slot->tile) +
                      sizes->experts;
            break;
        case OSL_VK_SEGMENTS:
            slot->y = tiles((uint64_t)sizes->position_first + sizes->token_count, slot->tile);
            break;
        case OSL_VK_FIXED: break;
        }
    }
}

void osl_vk_flush(struct osl_vk_device *device, const struct osl_vk_buffer *buffer)
{
    if (!buffer->coherent) {
        /* Fails only for want of memory; then the device shows it by wrong bytes or by its loss. */
        (void)device->FlushMappedMemoryRanges(
            device->handle, 1,
            &(VkMappedMemoryRange){.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                   .memory = buffer->memory,
                                   .size = VK_WHOLE_SIZE});
    }
}

void osl_vk_invalidate(struct osl_vk_device *device, const struct osl_vk_buffer *buffer)
{
    if (!buffer->coherent) {
        (void)device->InvalidateMappedMemoryRanges(
            device->handle, 1,
            &(VkMappedMemoryRange){.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                   .memory = buffer->memory,
                                   .size = VK_WHOLE_SIZE});
    }
}

enum osl_status osl_vk_submit(struct osl_vk_device *device, VkFence fence,
                              const VkCommandBuffer *commands, uint32_t count,
                              struct osl_error *error)
{
    VkResult result = device->ResetFences(device->handle, 1, &fence);
    if (result != VK_SUCCESS) {
        return osl_vk_fail(error, "vkResetFences", result);
    }
    result = device->QueueSubmit(device->queue, 1,
                                 &(VkSubmitInfo){.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                                 .commandBufferCount = count,
                                                 .pCommandBuffers = commands},
                                 fence);
    return result == VK_SUCCESS ? OSL_OK : osl_vk_fail(error, "vkQueueSubmit", result);
}

enum osl_status osl_vk_wait(struct osl_vk_device *device, VkFence fence, uint64_t timeout_ns,
                            struct osl_error *error)
{
    VkResult result = device->WaitForFences(device->handle, 1, &fence, VK_TRUE, timeout_ns);
    if (result == VK_TIMEOUT) {
        return osl_fail(error, OSL_DEVICE,
                        "%s did not finish a submission within %.1f s; it is taken for lost",
                        device->facts->name, (double)timeout_ns * 1e-9);
    }
    return result == VK_SUCCESS ? OSL_OK : osl_vk_fail(error, "vkWaitForFences", result);
}

enum osl_status osl_vk_submit_wait(struct osl_vk_device *device, VkFence fence,
                                   const VkCommandBuffer *commands, uint32_t count,
                                   uint64_t timeout_ns, struct osl_error *error)
{
    enum osl_status status = osl_vk_submit(device, fence, commands, count, error);
    return status == OSL_OK ? osl_vk_wait(device, fence, timeout_ns, error) : status;
}
