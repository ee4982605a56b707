/* Opening the system's Vulkan: library, instance, validation layer, physical devices. */
#include <string.h>

#include "compute/vulkan/core.h"

#define LIBRARY "libvulkan.so.1"
#define LAYER "VK_LAYER_KHRONOS_validation"
#define API_LEAST VK_API_VERSION_1_2
/* The newest version whose rules this code was written for. A driver may then be newer. */
#define API_MOST VK_API_VERSION_1_3
#define LAYERS_MAX 64
#define MESSAGE_LINES 6 /* of the log that one validation message may take */
#define MESSAGE_LINE_BYTES 200

bool osl_vk_extension_has(const struct osl_vk_extensions *extensions, const char *name)
{
    for (uint32_t i = 0; i < extensions->count; i++) {
        if (strcmp(extensions->list[i].extensionName, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A message is longer than a line of the log: it is cut into several. */
static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(
    VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
    const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    struct osl_vk *vk = user;
    /* The loader's own remarks (a broken driver file of another vendor, say) are no mistake of
     * ours. */
    bool ours = (types & (VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                          VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT)) != 0;
    if (ours) {
        vk->validation_messages++;
    }
    enum osl_log_level level = ours ? OSL_LOG_ERROR : OSL_LOG_DEBUG;
    const char *text = data->pMessage == NULL ? "" : data->pMessage;
    size_t length = strlen(text);
    osl_log(level, "vulkan: %s: %s",
            severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT ? "error" : "warning",
            data->pMessageIdName == NULL ? "" : data->pMessageIdName);
    for (uint32_t line = 0; line < MESSAGE_LINES && length > 0; line++) {
        size_t part = length < MESSAGE_LINE_BYTES ? length : MESSAGE_LINE_BYTES;
        osl_log(level, "vulkan:   %.*s", (int)part, text);
        text += part;
        length -= part;
    }
    return VK_FALSE;
}

static const VkDebugUtilsMessengerCreateInfoEXT messenger_info = {
    .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
    .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
    .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT |
                   VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                   VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
    .pfnUserCallback = on_message,
};

/* Fills the calls that need no instance. */
static enum osl_status load_global(struct osl_vk *vk, struct osl_error *error)
{
#define LOAD(name)                                                                                 \
    vk->name = (PFN_vk##name)vk->GetInstanceProcAddr(VK_NULL_HANDLE, "vk" #name);
    OSL_VK_GLOBAL_CALLS(LOAD)
#undef LOAD
    uint32_t version = VK_API_VERSION_1_0;
    if (vk->EnumerateInstanceVersion != NULL &&
        vk->EnumerateInstanceVersion(&version) != VK_SUCCESS) {
        version = VK_API_VERSION_1_0;
    }
    if (version < API_LEAST) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "Vulkan: the loader is of version %u.%u, 1.2 is needed; update libvulkan1",
                        VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    }
    vk->api_version = version < API_MOST ? version : API_MOST;
    if (vk->EnumerateInstanceExtensionProperties == NULL || vk->CreateInstance == NULL ||
        vk->EnumerateInstanceLayerProperties == NULL) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "Vulkan: the loader lacks basic functions; reinstall libvulkan1");
    }
    return OSL_OK;
}

/* The layer is installed, and has what we ask of it. */
static bool validation_there(const struct osl_vk *vk)
{
    VkLayerProperties layers[LAYERS_MAX];
    uint32_t count = LAYERS_MAX;
    VkResult result = vk->EnumerateInstanceLayerProperties(&count, layers);
    bool there = false;
    for (uint32_t i = 0; (result == VK_SUCCESS || result == VK_INCOMPLETE) && i < count; i++) {
        there = there || strcmp(layers[i].layerName, LAYER) == 0;
    }
    if (!there) {
        return false;
    }
    struct osl_vk_extensions extensions = {.count = OSL_VK_EXTENSIONS_MAX};
    result = vk->EnumerateInstanceExtensionProperties(LAYER, &extensions.count, extensions.list);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        return false;
    }
    return osl_vk_extension_has(&extensions, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME) &&
           osl_vk_extension_has(&extensions, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
}

static enum osl_status make_instance(struct osl_vk *vk, struct osl_error *error)
{
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "ossicle",
        .pEngineName = "ossicle",
        .apiVersion = vk->api_version,
    };
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info;
    messenger.pUserData = vk;
    static const VkValidationFeatureEnableEXT enable[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger, /* for what happens while the instance is made and destroyed */
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = enable,
    };
    static const char *const layers[] = {LAYER};
    static const char *const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME,
                                             VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
    };
    if (vk->validation) {
        info.pNext = &features;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = layers;
        info.enabledExtensionCount = 2;
        info.ppEnabledExtensionNames = extensions;
    }
    VkResult result = vk->CreateInstance(&info, NULL, &vk->instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "Vulkan: no driver is installed; install the GPU's (Mesa's: "
                        "mesa-vulkan-drivers)");
    }
    return result == VK_SUCCESS ? OSL_OK : osl_vk_fail(error, "vkCreateInstance", result);
}

static enum osl_status load_instance(struct osl_vk *vk, struct osl_error *error)
{
    const char *missing = NULL;
#define LOAD(name) vk->name = (PFN_vk##name)vk->GetInstanceProcAddr(vk->instance, "vk" #name);
#define CHECK(name)                                                                                \
    LOAD(name)                                                                                     \
    missing = vk->name == NULL ? "vk" #name : missing;
    OSL_VK_INSTANCE_CALLS(CHECK)
    OSL_VK_INSTANCE_OPTIONAL_CALLS(LOAD)
#undef CHECK
#undef LOAD
    if (missing != NULL) {
        return osl_fail(error, OSL_UNSUPPORTED, "Vulkan: the loader has no %s; update libvulkan1",
                        missing);
    }
    if (!vk->validation) {
        return OSL_OK;
    }
    if (vk->CreateDebugUtilsMessengerEXT == NULL || vk->DestroyDebugUtilsMessengerEXT == NULL) {
        return osl_fail(error, OSL_UNSUPPORTED, "Vulkan: the validation layer has no messenger");
    }
    VkDebugUtilsMessengerCreateInfoEXT info = messenger_info;
    info.pUserData = vk;
    VkResult result = vk->CreateDebugUtilsMessengerEXT(vk->instance, &info, NULL, &vk->messenger);
    return result == VK_SUCCESS ? OSL_OK
                                : osl_vk_fail(error, "vkCreateDebugUtilsMessengerEXT", result);
}

static enum osl_status list_devices(struct osl_vk *vk, struct osl_error *error)
{
    uint32_t count = OSL_VK_DEVICES_MAX;
    VkResult result = vk->EnumeratePhysicalDevices(vk->instance, &count, vk->physical);
    if (result == VK_INCOMPLETE) {
        osl_log(OSL_LOG_WARN, "vulkan: only the first %d devices are looked at",
                OSL_VK_DEVICES_MAX);
    } else if (result != VK_SUCCESS) {
        return osl_vk_fail(error, "vkEnumeratePhysicalDevices", result);
    }
    if (count == 0) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "Vulkan: no device; install the GPU's driver (Mesa's: "
                        "mesa-vulkan-drivers), or let this user open /dev/dri (group render)");
    }
    vk->device_count = count;
    for (uint32_t i = 0; i < count; i++) {
        osl_vk_facts_read(vk, i);
    }
    return OSL_OK;
}

static enum osl_status open_entry(struct osl_vk *vk, const struct osl_vk_open *open,
                                  struct osl_error *error)
{
    if (open->entry != NULL) {
        vk->GetInstanceProcAddr = (PFN_vkGetInstanceProcAddr)(PFN_vkVoidFunction)open->entry;
        return OSL_OK;
    }
    struct osl_error reason;
    enum osl_status status = osl_library_open(LIBRARY, &vk->library, &reason);
    if (status != OSL_OK) {
        return osl_fail(error, status, "Vulkan is not installed (%.200s); install libvulkan1",
                        reason.text);
    }
    vk->GetInstanceProcAddr =
        (PFN_vkGetInstanceProcAddr)osl_library_symbol(vk->library, "vkGetInstanceProcAddr");
    if (vk->GetInstanceProcAddr == NULL) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        LIBRARY " has no vkGetInstanceProcAddr; reinstall libvulkan1");
    }
    return OSL_OK;
}

enum osl_status osl_vk_open(struct osl_vk *vk, const struct osl_vk_open *open,
                            struct osl_error *error)
{
    OSL_ASSERT(vk != NULL && open != NULL);
    memset(vk, 0, sizeof *vk);
    enum osl_status status = open_entry(vk, open, error);
    if (status == OSL_OK) {
        status = load_global(vk, error);
    }
    if (status == OSL_OK && open->validation) {
        vk->validation = validation_there(vk);
        if (!vk->validation) {
            osl_log(OSL_LOG_WARN,
                    "vulkan: no validation layer; install vulkan-validationlayers");
        }
    }
    if (status == OSL_OK) {
        status = make_instance(vk, error);
    }
    if (status == OSL_OK) {
        status = load_instance(vk, error);
    }
    if (status == OSL_OK) {
        status = list_devices(vk, error);
    }
    if (status != OSL_OK) {
        osl_vk_close(vk);
    }
    return status;
}

void osl_vk_close(struct osl_vk *vk)
{
    OSL_ASSERT(vk != NULL);
    if (vk->messenger != VK_NULL_HANDLE) {
        vk->DestroyDebugUtilsMessengerEXT(vk->instance, vk->messenger, NULL);
    }
    if (vk->instance != VK_NULL_HANDLE && vk->DestroyInstance != NULL) {
        vk->DestroyInstance(vk->instance, NULL);
    }
    osl_library_close(vk->library);
    /* How many messages there were is still asked afterwards. */
    uint32_t messages = vk->validation_messages;
    memset(vk, 0, sizeof *vk);
    vk->validation_messages = messages;
}
