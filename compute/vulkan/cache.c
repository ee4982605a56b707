/* The pipeline cache. */
#include "compute/vulkan/core.h"

enum osl_status osl_vk_cache_open(struct osl_vk_device *device, const char *state_dir,
                                  struct osl_error *error)
{
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    VkResult result =
        device->CreatePipelineCache(device->handle, &info, NULL, &device->cache);
    if (result != VK_SUCCESS) {
        device->cache = VK_NULL_HANDLE;
        return osl_vk_fail(error, "vkCreatePipelineCache", result);
    }
    return OSL_OK;
}

void osl_vk_device_save_cache(struct osl_vk_device *device, const char *state_dir)
{
}
