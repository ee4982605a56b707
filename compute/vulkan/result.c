/* Vulkan's results in our words. */
#include "compute/vulkan/vk.h"

struct meaning {
    VkResult result;
    enum osl_status status;
    const char *text;
    const char *remedy;
};

#define UPDATE "update the driver"
#define CROWDED "end other programs that use the GPU, or choose less context"

static const struct meaning meanings[] = {
    {VK_NOT_READY, OSL_DEVICE, "not ready", "the GPU is far too busy"},
    {VK_TIMEOUT, OSL_DEVICE, "no answer in time", "the GPU hangs or is far too busy"},
    {VK_INCOMPLETE, OSL_DEVICE, "a list was cut", UPDATE},
    {VK_ERROR_OUT_OF_HOST_MEMORY, OSL_MEMORY, "out of host memory", "end other programs"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, OSL_MEMORY, "out of device memory", CROWDED},
    {VK_ERROR_INITIALIZATION_FAILED, OSL_DEVICE, "initialization failed",
     "is the driver whole, and may this user open the device?"},
    {VK_ERROR_DEVICE_LOST, OSL_DEVICE, "device lost", "the system log says why"},
    {VK_ERROR_MEMORY_MAP_FAILED, OSL_MEMORY, "memory could not be mapped", CROWDED},
    {VK_ERROR_LAYER_NOT_PRESENT, OSL_UNSUPPORTED, "layer not present",
     "install vulkan-validationlayers"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, OSL_UNSUPPORTED, "extension not present", UPDATE},
    {VK_ERROR_FEATURE_NOT_PRESENT, OSL_UNSUPPORTED, "feature not present", UPDATE},
    {VK_ERROR_INCOMPATIBLE_DRIVER, OSL_UNSUPPORTED, "no driver", "install the GPU's"},
    {VK_ERROR_TOO_MANY_OBJECTS, OSL_MEMORY, "too many objects", CROWDED},
    {VK_ERROR_FRAGMENTED_POOL, OSL_MEMORY, "a pool is fragmented", CROWDED},
    {VK_ERROR_OUT_OF_POOL_MEMORY, OSL_MEMORY, "a pool is used up", CROWDED},
    {VK_ERROR_INVALID_EXTERNAL_HANDLE, OSL_UNSUPPORTED, "host memory not accepted", UPDATE},
};

enum osl_status osl_vk_fail(struct osl_error *error, const char *call, VkResult result)
{
    OSL_ASSERT(call != NULL && result != VK_SUCCESS);
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        const struct meaning *m = &meanings[i];
        if (m->result == result) {
            return osl_fail(error, m->status, "%s: %s (%d); %s", call, m->text, (int)result,
                            m->remedy);
        }
    }
    return osl_fail(error, OSL_DEVICE, "%s: failed (%d); try another driver version", call,
                    (int)result);
}
