/* What loader.c, facts.c, device.c, buffers.c and pipelines.c share among themselves. */
#ifndef OSL_VK_CORE_H
#define OSL_VK_CORE_H

#include "compute/vulkan/vk.h"

#define OSL_VK_EXTENSIONS_MAX 384 /* drivers report some 200; more are not looked at */

/* What a device, the instance or a layer offers. Some 100 KiB, on the stack while opening. */
struct osl_vk_extensions {
    uint32_t count;
    VkExtensionProperties list[OSL_VK_EXTENSIONS_MAX];
};
bool osl_vk_extension_has(const struct osl_vk_extensions *extensions, const char *name);

/* Lists a device's extensions; none when it cannot. */
void osl_vk_extensions_list(const struct osl_vk *vk, VkPhysicalDevice physical,
                            struct osl_vk_extensions *out);

/* Whether what Vulkan 1.3 took over from an extension may be used, by version or by extension. */
bool osl_vk_promoted(const struct osl_vk *vk, uint32_t device_version,
                     const struct osl_vk_extensions *extensions, const char *name);

/* Puts a structure at the head of a pNext chain. */
void osl_vk_chain(void **head, void *item, VkStructureType type);

/* Fills vk->facts[index]; a device we cannot use gets a refusal and as many facts as it gave. */
void osl_vk_facts_read(struct osl_vk *vk, uint32_t index);

/* Bytes that may still be taken from each heap by this process, asked of the driver now. Without
 * VK_EXT_memory_budget: facts' budget, nothing subtracted. */
void osl_vk_budget_read(const struct osl_vk *vk, uint32_t index,
                        uint64_t left_out[OSL_VK_HEAPS_MAX]);

/* The family to compute on and its timestamp bits; false when the device has none. */
bool osl_vk_queue_choose(const struct osl_vk *vk, VkPhysicalDevice physical, uint32_t *family_out,
                         uint32_t *timestamp_bits_out);

/* Whether this build's glslang knew a GLSL extension that shaders were said to need. */
bool osl_vk_shaders_know(const char *extension);

/* Makes device->cache, from the file in state_dir where there is one that fits. */
OSL_MUST_USE enum osl_status osl_vk_cache_open(struct osl_vk_device *device,
                                               const char *state_dir, struct osl_error *error);

#endif
