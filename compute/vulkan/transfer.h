/* Copies outside the recordings: staging in and out at boot, cache rows, marks, logits. One command
 * buffer of a pool of its own, recorded anew each time; nothing is allocated for it after opening.
 *
 *     begin -> copies -> run (or submit, and wait before the next begin) */
#ifndef OSL_VK_TRANSFER_H
#define OSL_VK_TRANSFER_H

#include "compute/vulkan/vk.h"

struct osl_vk_transfer {
    struct osl_vk_device *device;
    VkCommandPool pool;
    VkCommandBuffer command;
    VkFence fence;
    bool pending; /* submitted and not waited for */
};

OSL_MUST_USE enum osl_status osl_vk_transfer_open(struct osl_vk_transfer *transfer,
                                                  struct osl_vk_device *device,
                                                  struct osl_error *error);
/* Also of one that was never opened, and after the device was lost. */
void osl_vk_transfer_close(struct osl_vk_transfer *transfer);

/* Everything submitted before is visible to the copies, and they to everything after. */
OSL_MUST_USE enum osl_status osl_vk_transfer_begin(struct osl_vk_transfer *transfer,
                                                   struct osl_error *error);
void osl_vk_transfer_copy(struct osl_vk_transfer *transfer, const struct osl_vk_buffer *from,
                          uint64_t from_offset, const struct osl_vk_buffer *to, uint64_t to_offset,
                          uint64_t bytes);
void osl_vk_transfer_fill(struct osl_vk_transfer *transfer, const struct osl_vk_buffer *to,
                          uint64_t offset, uint64_t bytes, uint32_t value);
OSL_MUST_USE enum osl_status osl_vk_transfer_submit(struct osl_vk_transfer *transfer,
                                                    struct osl_error *error);
/* Fine when nothing is pending. */
OSL_MUST_USE enum osl_status osl_vk_transfer_wait(struct osl_vk_transfer *transfer,
                                                  uint64_t timeout_ns, struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_transfer_run(struct osl_vk_transfer *transfer,
                                                 uint64_t timeout_ns, struct osl_error *error);

#endif
