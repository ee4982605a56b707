/* Opening Vulkan where it is absent, broken, too old or without a driver, by an entry point of the
 * caller's, and what the validation layer is for. */
#include "tests/vulkan/vk_test.h"

/* ---- The library, hidden or spoilt: the linker leads osl_compute here ---------------------- */

enum osl_status __real_osl_library_open(const char *name, void **out, struct osl_error *error);
enum osl_status __wrap_osl_library_open(const char *name, void **out, struct osl_error *error);
void (*__real_osl_library_symbol(void *library, const char *name))(void);
void (*__wrap_osl_library_symbol(void *library, const char *name))(void);

static const char *open_instead; /* of libvulkan.so.1 */

enum osl_status __wrap_osl_library_open(const char *name, void **out, struct osl_error *error)
{
    assert_string_equal(name, "libvulkan.so.1");
    return __real_osl_library_open(open_instead != NULL ? open_instead : name, out, error);
}

void (*__wrap_osl_library_symbol(void *library, const char *name))(void)
{
    return __real_osl_library_symbol(library, name);
}

static struct osl_vk vk;
static struct osl_vk_device device;

static void expect(enum osl_status wanted, const struct osl_vk_open *open, const char *text)
{
    struct osl_error error;
    assert_int_equal(osl_vk_open(&vk, open, &error), wanted);
    if (strstr(error.text, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, error.text);
    }
    assert_true(vk.instance == VK_NULL_HANDLE && vk.library == NULL && vk.device_count == 0);
    osl_vk_close(&vk); /* twice is fine */
}

static void no_library(void **state)
{
    (void)state;
    struct osl_vk_open open = {0};
    open_instead = "libnothing_of_that_name.so.1";
    expect(OSL_UNSUPPORTED, &open, "install libvulkan1");
    open_instead = "libm.so.6";
    expect(OSL_UNSUPPORTED, &open, "vkGetInstanceProcAddr");
    open_instead = NULL;
}

/* ---- A loader that is played -------------------------------------------------------------- */

static uint32_t played_version;
static VkResult played_result;
static const char *played_missing; /* the one call that is not there */
static PFN_vkGetInstanceProcAddr real_entry;
static PFN_vkGetDeviceProcAddr real_device_entry;
static uint32_t played_devices;
static uint32_t played_api;
static uint32_t instances;
static PFN_vkCreateInstance real_create;
static PFN_vkDestroyInstance real_destroy;
static PFN_vkGetPhysicalDeviceProperties2 real_properties;
static PFN_vkEnumeratePhysicalDevices real_enumerate;
static uint32_t asked_version;

static VKAPI_ATTR VkResult VKAPI_CALL fake_version(uint32_t *out)
{
    *out = played_version;
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL fake_create(const VkInstanceCreateInfo *info,
                                                  const VkAllocationCallbacks *allocator,
                                                  VkInstance *out)
{
    asked_version = info->pApplicationInfo->apiVersion;
    if (played_result != VK_SUCCESS) {
        return played_result;
    }
    instances++;
    return real_create(info, allocator, out);
}

static VKAPI_ATTR void VKAPI_CALL fake_destroy(VkInstance instance,
                                               const VkAllocationCallbacks *allocator)
{
    instances--;
    real_destroy(instance, allocator);
}

/* The real first device, as often as wanted. */
static VKAPI_ATTR VkResult VKAPI_CALL fake_enumerate(VkInstance instance, uint32_t *count,
                                                     VkPhysicalDevice *out)
{
    VkPhysicalDevice first;
    uint32_t one = 1;
    VkResult result = real_enumerate(instance, &one, &first);
    assert_true(result == VK_SUCCESS || result == VK_INCOMPLETE);
    uint32_t room = *count;
    *count = played_devices < room ? played_devices : room;
    for (uint32_t i = 0; i < *count; i++) {
        out[i] = first;
    }
    return played_devices > room ? VK_INCOMPLETE : VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL fake_properties(VkPhysicalDevice physical,
                                                  VkPhysicalDeviceProperties2 *out)
{
    real_properties(physical, out);
    out->properties.apiVersion = played_api != 0 ? played_api : out->properties.apiVersion;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_entry(VkDevice handle, const char *name)
{
    bool missing = played_missing != NULL && strcmp(name, played_missing) == 0;
    return missing ? NULL : real_device_entry(handle, name);
}

static PFN_vkVoidFunction entry(void *instance, const char *name)
{
    if (played_missing != NULL && strcmp(name, played_missing) == 0) {
        return NULL;
    }
    PFN_vkVoidFunction real = real_entry(instance, name);
    if (strcmp(name, "vkEnumerateInstanceVersion") == 0) {
        return (PFN_vkVoidFunction)fake_version;
    }
    if (strcmp(name, "vkCreateInstance") == 0) {
        real_create = (PFN_vkCreateInstance)real;
        return (PFN_vkVoidFunction)fake_create;
    }
    if (strcmp(name, "vkDestroyInstance") == 0) {
        real_destroy = (PFN_vkDestroyInstance)real;
        return (PFN_vkVoidFunction)fake_destroy;
    }
    if (strcmp(name, "vkEnumeratePhysicalDevices") == 0) {
        real_enumerate = (PFN_vkEnumeratePhysicalDevices)real;
        return (PFN_vkVoidFunction)fake_enumerate;
    }
    if (strcmp(name, "vkGetPhysicalDeviceProperties2") == 0) {
        real_properties = (PFN_vkGetPhysicalDeviceProperties2)real;
        return (PFN_vkVoidFunction)fake_properties;
    }
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        real_device_entry = (PFN_vkGetDeviceProcAddr)real;
        return (PFN_vkVoidFunction)device_entry;
    }
    return real;
}

static const struct osl_vk_open played = {.entry = entry};

static int fresh(void **state)
{
    (void)state;
    played_version = VK_API_VERSION_1_3;
    played_result = VK_SUCCESS;
    played_missing = NULL;
    played_devices = 1;
    played_api = 0;
    assert_int_equal(instances, 0);
    return 0;
}

static void entry_of_the_caller(void **state)
{
    (void)state;
    struct osl_error error;
    assert_ok(osl_vk_open(&vk, &played, &error), error);
    assert_null(vk.library);
    assert_int_equal(instances, 1);
    assert_int_equal(vk.device_count, 1);
    osl_vk_close(&vk);
    assert_int_equal(instances, 0);
}

static void loader_too_old(void **state)
{
    (void)state;
    played_version = VK_API_VERSION_1_1;
    expect(OSL_UNSUPPORTED, &played, "version 1.1, 1.2 is needed");
    played_missing = "vkEnumerateInstanceVersion"; /* as Vulkan 1.0 is */
    expect(OSL_UNSUPPORTED, &played, "version 1.0, 1.2 is needed");
}

static void version_is_no_newer_than_we_know(void **state)
{
    (void)state;
    static const uint32_t versions[][2] = {
        {VK_API_VERSION_1_2, VK_API_VERSION_1_2},
        {VK_API_VERSION_1_3, VK_API_VERSION_1_3},
        {VK_MAKE_API_VERSION(0, 1, 7, 5), VK_API_VERSION_1_3},
    };
    for (size_t i = 0; i < 3; i++) {
        struct osl_error error;
        played_version = versions[i][0];
        assert_ok(osl_vk_open(&vk, &played, &error), error);
        assert_int_equal(asked_version, versions[i][1]);
        assert_true(vk.facts[0].usable);
        /* Under the older rules the device is opened by extensions, with the same features. */
        assert_ok(osl_vk_device_open(&vk, 0, OSL_VK_TIER_MATRIX, NULL, &device, &error), error);
        osl_vk_device_close(&device);
        osl_vk_close(&vk);
    }
}

static void a_call_is_missing(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "vkCreateInstance",           "vkEnumerateInstanceExtensionProperties",
        "vkDestroyInstance",          "vkEnumeratePhysicalDevices",
        "vkGetPhysicalDeviceProperties2", "vkCreateDevice",
        "vkGetDeviceProcAddr",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        played_missing = wanted[i];
        expect(OSL_UNSUPPORTED, &played, "libvulkan1");
        instances = 0; /* nothing can destroy it where vkDestroyInstance is missing */
    }
    struct osl_error error;
    played_missing = "vkCmdDispatchIndirect";
    assert_ok(osl_vk_open(&vk, &played, &error), error);
    assert_int_equal(osl_vk_device_open(&vk, 0, OSL_VK_TIER_BASE, NULL, &device, &error),
                     OSL_UNSUPPORTED);
    assert_non_null(strstr(error.text, "vkCmdDispatchIndirect"));
    assert_true(device.handle == VK_NULL_HANDLE);
    osl_vk_close(&vk);
}

static void instance_is_refused(void **state)
{
    (void)state;
    played_result = VK_ERROR_INCOMPATIBLE_DRIVER;
    expect(OSL_UNSUPPORTED, &played, "no driver is installed");
    played_result = VK_ERROR_OUT_OF_HOST_MEMORY;
    expect(OSL_MEMORY, &played, "vkCreateInstance: out of host memory");
    played_result = VK_ERROR_INITIALIZATION_FAILED;
    expect(OSL_DEVICE, &played, "vkCreateInstance: initialization failed");
}

static void no_device_and_many(void **state)
{
    (void)state;
    struct osl_error error;
    played_devices = 0;
    expect(OSL_UNSUPPORTED, &played, "no device");
    played_devices = OSL_VK_DEVICES_MAX + 5;
    assert_ok(osl_vk_open(&vk, &played, &error), error);
    assert_int_equal(vk.device_count, OSL_VK_DEVICES_MAX);
    assert_int_equal(vk.facts[OSL_VK_DEVICES_MAX - 1].index, OSL_VK_DEVICES_MAX - 1);
    osl_vk_close(&vk);
}

static void device_of_an_old_version(void **state)
{
    (void)state;
    struct osl_error error;
    played_api = VK_MAKE_API_VERSION(0, 1, 1, 200);
    assert_ok(osl_vk_open(&vk, &played, &error), error);
    assert_false(vk.facts[0].usable);
    assert_non_null(strstr(vk.facts[0].refusal, "Vulkan 1.1, 1.2 is needed"));
    assert_int_equal(osl_vk_device_open(&vk, 0, OSL_VK_TIER_BASE, NULL, &device, &error),
                     OSL_UNSUPPORTED);
    assert_non_null(strstr(error.text, "1.2 is needed"));
    osl_vk_close(&vk);
}

static void no_driver(void **state)
{
    (void)state;
    struct osl_vk_open open = {0};
    const char *files = getenv("VK_DRIVER_FILES");
    const char *old_files = getenv("VK_ICD_FILENAMES");
    setenv("VK_DRIVER_FILES", "/nowhere/no.json", 1);
    setenv("VK_ICD_FILENAMES", "/nowhere/no.json", 1); /* what older loaders read */
    expect(OSL_UNSUPPORTED, &open, "mesa-vulkan-drivers");
    files != NULL ? setenv("VK_DRIVER_FILES", files, 1) : unsetenv("VK_DRIVER_FILES");
    old_files != NULL ? setenv("VK_ICD_FILENAMES", old_files, 1) : unsetenv("VK_ICD_FILENAMES");
}

static void mistakes_are_counted(void **state)
{
    (void)state;
    struct osl_vk_open open = {.validation = true};
    struct osl_error error;
    assert_ok(osl_vk_open(&vk, &open, &error), error);
    if (!vk.validation) {
        osl_vk_close(&vk);
        print_message("no validation layer here\n");
        skip();
    }
    assert_ok(osl_vk_device_open(&vk, 0, OSL_VK_TIER_BASE, NULL, &device, &error), error);
    assert_int_equal(vk.validation_messages, 0);
    osl_log_set_sink(NULL, NULL, OSL_LOG_ERROR);
    VkFence fence = VK_NULL_HANDLE;
    VkFenceCreateInfo wrong = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    if (device.CreateFence(device.handle, &wrong, NULL, &fence) == VK_SUCCESS) {
        device.DestroyFence(device.handle, fence, NULL);
    }
    uint32_t messages = vk.validation_messages;
    assert_true(messages > 0);
    bool logged = false;
    char line[OSL_LOG_LINE_BYTES];
    enum osl_log_level level;
    for (uint32_t i = 0; osl_log_line(i, &level, line); i++) {
        logged = logged || strstr(line, "VUID-VkFenceCreateInfo-sType-sType") != NULL;
    }
    assert_true(logged);
    osl_vk_device_close(&device);
    osl_vk_close(&vk);
    assert_int_equal(vk.validation_messages, messages); /* still told after closing */
}

/* Two writes of one buffer without a barrier: only synchronization validation sees it. */
static void missing_barriers_are_counted(void **state)
{
    (void)state;
    struct osl_vk_open open = {.validation = true};
    struct osl_error error;
    struct osl_vk_buffer *buffer;
    VkCommandPool pool;
    VkCommandBuffer command;
    assert_ok(osl_vk_open(&vk, &open, &error), error);
    if (!vk.validation) {
        osl_vk_close(&vk);
        skip();
    }
    assert_ok(osl_vk_device_open(&vk, 0, OSL_VK_TIER_BASE, NULL, &device, &error), error);
    assert_ok(osl_vk_buffer_make(&device, OSL_VK_MEMORY_DEVICE, 4096, &buffer, &error), error);
    VkCommandPoolCreateInfo pool_info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                         .queueFamilyIndex = device.queue_family};
    assert_int_equal(device.CreateCommandPool(device.handle, &pool_info, NULL, &pool), 0);
    VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    assert_int_equal(device.AllocateCommandBuffers(device.handle, &info, &command), 0);
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    assert_int_equal(device.BeginCommandBuffer(command, &begin), 0);
    device.CmdFillBuffer(command, buffer->handle, 0, 4096, 1);
    assert_int_equal(vk.validation_messages, 0);
    device.CmdFillBuffer(command, buffer->handle, 0, 4096, 2);
    assert_true(vk.validation_messages > 0);
    assert_int_equal(device.EndCommandBuffer(command), 0);
    device.DestroyCommandPool(device.handle, pool, NULL);
    osl_vk_device_close(&device);
    osl_vk_close(&vk);
}

static void results_have_a_status_and_words(void **state)
{
    (void)state;
    struct osl_error error;
    assert_int_equal(osl_vk_fail(&error, "vkQueueSubmit", VK_ERROR_DEVICE_LOST), OSL_DEVICE);
    assert_string_equal(error.text, "vkQueueSubmit: device lost (-4); the system log says why");
    assert_int_equal(osl_vk_fail(&error, "vkWaitForFences", VK_TIMEOUT), OSL_DEVICE);
    assert_int_equal(osl_vk_fail(&error, "x", VK_ERROR_OUT_OF_DEVICE_MEMORY), OSL_MEMORY);
    assert_int_equal(osl_vk_fail(&error, "x", VK_ERROR_FEATURE_NOT_PRESENT), OSL_UNSUPPORTED);
    assert_int_equal(osl_vk_fail(&error, "x", (VkResult)-12345), OSL_DEVICE);
    assert_int_equal(osl_vk_fail(NULL, "x", VK_ERROR_UNKNOWN), OSL_DEVICE);
}

int main(void)
{
    const struct CMUnitTest without[] = {
        cmocka_unit_test(no_library),
        cmocka_unit_test(results_have_a_status_and_words),
    };
    const struct CMUnitTest with[] = {
        cmocka_unit_test_setup(entry_of_the_caller, fresh),
        cmocka_unit_test_setup(loader_too_old, fresh),
        cmocka_unit_test_setup(version_is_no_newer_than_we_know, fresh),
        cmocka_unit_test_setup(a_call_is_missing, fresh),
        cmocka_unit_test_setup(instance_is_refused, fresh),
        cmocka_unit_test_setup(no_device_and_many, fresh),
        cmocka_unit_test_setup(device_of_an_old_version, fresh),
        cmocka_unit_test_setup(no_driver, fresh),
        cmocka_unit_test_setup(mistakes_are_counted, fresh),
        cmocka_unit_test_setup(missing_barriers_are_counted, fresh),
    };
    int failed = cmocka_run_group_tests(without, NULL, NULL);
    if (failed != 0) {
        return failed;
    }
    vk_test_open(&vk); /* is there something to play on? */
    osl_vk_close(&vk);
    void *library = NULL;
    struct osl_error error;
    if (__real_osl_library_open("libvulkan.so.1", &library, &error) != OSL_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    real_entry = (PFN_vkGetInstanceProcAddr)__real_osl_library_symbol(library,
                                                                      "vkGetInstanceProcAddr");
    failed = cmocka_run_group_tests(with, NULL, NULL);
    osl_library_close(library);
    return failed;
}
