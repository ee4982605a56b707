/* Recording dispatches into command buffers, at boot, to be replayed for every step. */
#ifndef OSL_VK_RECORD_H
#define OSL_VK_RECORD_H

#include "compute/vulkan/vk.h"
#include "shaders/args.h"

/* Barriers. That of a dispatch orders shaders' reads and writes only. What is written by a copy
 * before, read by one after, by the host, or as the size of an indirect dispatch needs
 * osl_vk_record_barrier between. Both reach across command buffers of the queue. */

#define OSL_VK_COMMANDS_MAX 192 /* command buffers */
#define OSL_VK_TIMES_MAX 4096   /* dispatches with timestamps in one command buffer set */

struct osl_vk_set {
    VkDescriptorSet handle;
    struct osl_vk_binding bind[OSL_VK_BINDINGS];
};

struct osl_vk_recorder {
    struct osl_vk_device *device;
    VkCommandPool pool;
    VkDescriptorPool sets_pool;
    struct osl_vk_set sets[OSL_VK_SETS_MAX]; /* equal bindings share a set */
    uint32_t set_count;
    VkCommandBuffer commands[OSL_VK_COMMANDS_MAX];
    uint32_t command_count;
    VkCommandBuffer now;                     /* being recorded; NULL: none */
    struct osl_vk_binding step;              /* where the slots lie */
    struct osl_gpu_slot slots[OSL_GPU_SLOTS]; /* asked for so far; x, y, z of a step are filled by
                                               * osl_vk_slots_fill */
    uint32_t slot_count;
    uint32_t dispatches, barriers;           /* since begin */
    VkQueryPool queries; /* NULL: no profile. Dispatch i is between queries 2i and 2i + 1 */
    uint32_t query_count;
    const char *query_names[OSL_VK_TIMES_MAX];
};

/* Makes the pools. profile: two timestamps around every dispatch; whoever submits resets them
 * before, by a command of its own. */
OSL_MUST_USE enum osl_status osl_vk_recorder_open(struct osl_vk_recorder *recorder,
                                                  struct osl_vk_device *device,
                                                  const struct osl_vk_binding *step, bool profile,
                                                  struct osl_error *error);
void osl_vk_recorder_close(struct osl_vk_recorder *recorder);

/* Opens a new command buffer (it may be submitted again while an earlier submission of it is still
 * pending); ends it and says which one it was. */
OSL_MUST_USE enum osl_status osl_vk_record_begin(struct osl_vk_recorder *recorder,
                                                 struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_record_end(struct osl_vk_recorder *recorder,
                                               VkCommandBuffer *command_out,
                                               struct osl_error *error);
/* Forgets what was recorded, keeping the objects for the next recordings: the command buffers are
 * recorded again from the first. None may be pending. */
void osl_vk_recorder_forget(struct osl_vk_recorder *recorder);
/* Copies bytes of one buffer to another, or fills with a word; no barrier of their own. */
void osl_vk_record_copy(struct osl_vk_recorder *recorder, const struct osl_vk_buffer *from,
                        uint64_t from_offset, const struct osl_vk_buffer *to, uint64_t to_offset,
                        uint64_t bytes);
void osl_vk_record_fill(struct osl_vk_recorder *recorder, const struct osl_vk_buffer *to,
                        uint64_t offset, uint64_t bytes, uint32_t value);
/* Everything before is visible to everything after: compute, transfer, indirect and host. */
void osl_vk_record_barrier(struct osl_vk_recorder *recorder);
/* The same in any command buffer. */
void osl_vk_command_barrier(struct osl_vk_device *device, VkCommandBuffer command);

/* The sizes of every slot for a step. */
struct osl_vk_step_sizes {
    uint32_t token_count, position_first, logits_row_count, experts_used, experts;
};
void osl_vk_slots_fill(const struct osl_vk_recorder *recorder,
                       const struct osl_vk_step_sizes *sizes,
                       struct osl_gpu_slot slots_out[OSL_GPU_SLOTS]);

/* After the host wrote a mapped buffer, before it reads one; nothing where memory is coherent. */
void osl_vk_flush(struct osl_vk_device *device, const struct osl_vk_buffer *buffer);
void osl_vk_invalidate(struct osl_vk_device *device, const struct osl_vk_buffer *buffer);
/* Hands commands over; fence (not pending) is signalled when they have run. */
OSL_MUST_USE enum osl_status osl_vk_submit(struct osl_vk_device *device, VkFence fence,
                                           const VkCommandBuffer *commands, uint32_t count,
                                           struct osl_error *error);
/* Waits at most timeout_ns. DEVICE: lost, or did not end in time. */
OSL_MUST_USE enum osl_status osl_vk_wait(struct osl_vk_device *device, VkFence fence,
                                         uint64_t timeout_ns, struct osl_error *error);
/* Submits commands in order and waits at most timeout_ns. DEVICE: lost, or did not end in time. */
OSL_MUST_USE enum osl_status osl_vk_submit_wait(struct osl_vk_device *device, VkFence fence,
                                                const VkCommandBuffer *commands, uint32_t count,
                                                uint64_t timeout_ns, struct osl_error *error);

#endif
