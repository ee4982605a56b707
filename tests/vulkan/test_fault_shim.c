/* The fault shim itself, with plain Vulkan calls on whatever device comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fault_shim.h"

#define SKIPPED 77

/* The calls of vk.h's table, by way of the shim. */
static struct {
    OSL_VK_GLOBAL_CALLS(OSL_VK_MEMBER)
    OSL_VK_INSTANCE_CALLS(OSL_VK_MEMBER)
    OSL_VK_DEVICE_CALLS(OSL_VK_MEMBER)
} vk;

#define GLOBAL(name) vk.name = (PFN_vk##name)fault_shim_entry(NULL, "vk" #name);
#define OF_INSTANCE(name) vk.name = (PFN_vk##name)fault_shim_entry(instance, "vk" #name);
#define OF_DEVICE(name) vk.name = (PFN_vk##name)vk.GetDeviceProcAddr(device, "vk" #name);

static VkInstance make_instance(void)
{
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &application};
    VkInstance instance = NULL;
    OSL_VK_GLOBAL_CALLS(GLOBAL)
    if (vk.CreateInstance(&info, NULL, &instance) != VK_SUCCESS) {
        return NULL;
    }
    OSL_VK_INSTANCE_CALLS(OF_INSTANCE)
    return instance;
}

static VkPhysicalDevice first_device(VkInstance instance)
{
    uint32_t count = 1;
    VkPhysicalDevice physical = NULL;
    VkResult result = vk.EnumeratePhysicalDevices(instance, &count, &physical);
    return result == VK_SUCCESS || result == VK_INCOMPLETE ? physical : NULL;
}

static VkResult make_device(VkInstance instance, VkDevice *out)
{
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue};
    return vk.CreateDevice(first_device(instance), &info, NULL, out);
}

static VkInstance instance;
static VkDevice device;

static int set_up(void **state)
{
    (void)state;
    assert_true(fault_shim_open());
    instance = make_instance();
    assert_non_null(instance);
    assert_int_equal(make_device(instance, &device), VK_SUCCESS);
    OSL_VK_DEVICE_CALLS(OF_DEVICE)
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct fault_shim_seen seen;
    vk.DestroyDevice(device, NULL);
    vk.DestroyInstance(instance, NULL);
    fault_shim_look(&seen);
    assert_int_equal(seen.live, 0);
    assert_true(seen.memory_bytes == 0);
    return 0;
}

static VkResult make_fence(VkFence *out)
{
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    return vk.CreateFence(device, &info, NULL, out);
}

/* Submits nothing, and waits for it. */
static VkResult submit_wait(void)
{
    VkQueue queue;
    VkFence fence;
    vk.GetDeviceQueue(device, 0, 0, &queue);
    assert_int_equal(make_fence(&fence), VK_SUCCESS);
    VkResult result = vk.QueueSubmit(queue, 0, NULL, fence);
    if (result == VK_SUCCESS) {
        result = vk.WaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX);
    }
    vk.DestroyFence(device, fence, NULL);
    return result;
}

static VkResult allocate(VkDeviceMemory *out)
{
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .allocationSize = 4096};
    return vk.AllocateMemory(device, &info, NULL, out);
}

static void every_call_has_a_wrapper(void **state)
{
    (void)state;
#define IS_WRAPPED(name)                                                                           \
    assert_ptr_equal(vk.name, fault_shim_entry(instance, "vk" #name));                             \
    assert_non_null(vk.name);
    OSL_VK_GLOBAL_CALLS(IS_WRAPPED)
    OSL_VK_INSTANCE_CALLS(IS_WRAPPED)
    OSL_VK_DEVICE_CALLS(IS_WRAPPED)
    assert_null(fault_shim_entry(instance, "vkNoSuchCall"));
    uint32_t sites = 0;
    while (fault_shim_site(sites) != NULL) {
        sites++;
    }
    assert_in_range(sites, 30, 60);
}

static void calls_are_counted(void **state)
{
    (void)state;
    struct fault_shim_seen seen;
    fault_shim_recount();
    assert_int_equal(submit_wait(), VK_SUCCESS);
    fault_shim_look(&seen);
    assert_int_equal(seen.results, 3);
    assert_int_equal(seen.submits, 1);
    assert_int_equal(seen.making, 3); /* queue, fence made, fence destroyed */
    assert_int_equal(fault_shim_calls("WaitForFences"), 1);
    assert_int_equal(fault_shim_calls("CreateDevice"), 0);
}

static void nth_call_fails_once(void **state)
{
    (void)state;
    VkDeviceMemory memory[3];
    fault_shim_arm("AllocateMemory", 2, VK_ERROR_OUT_OF_DEVICE_MEMORY, false);
    assert_int_equal(allocate(&memory[0]), VK_SUCCESS);
    assert_false(fault_shim_fired());
    assert_int_equal(allocate(&memory[1]), VK_ERROR_OUT_OF_DEVICE_MEMORY);
    assert_true(fault_shim_fired());
    assert_string_equal(fault_shim_fired_entry(), "AllocateMemory");
    assert_int_equal(allocate(&memory[2]), VK_SUCCESS);
    vk.FreeMemory(device, memory[0], NULL);
    vk.FreeMemory(device, memory[2], NULL);
}

static void nth_of_all_fails(void **state)
{
    (void)state;
    VkFence fence;
    fault_shim_arm(NULL, 3, VK_ERROR_OUT_OF_HOST_MEMORY, false);
    assert_int_equal(submit_wait(), VK_ERROR_OUT_OF_HOST_MEMORY);
    assert_string_equal(fault_shim_fired_entry(), "WaitForFences");
    assert_int_equal(make_fence(&fence), VK_SUCCESS);
    vk.DestroyFence(device, fence, NULL);
}

static void stays_failing(void **state)
{
    (void)state;
    VkDeviceMemory memory;
    fault_shim_arm("AllocateMemory", 1, VK_ERROR_OUT_OF_HOST_MEMORY, true);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(allocate(&memory), VK_ERROR_OUT_OF_HOST_MEMORY);
    }
    fault_shim_disarm();
    assert_int_equal(allocate(&memory), VK_SUCCESS);
    vk.FreeMemory(device, memory, NULL);
}

static void lost_device_stays_lost(void **state)
{
    (void)state;
    fault_shim_arm("QueueSubmit", 1, VK_ERROR_DEVICE_LOST, false);
    assert_int_equal(submit_wait(), VK_ERROR_DEVICE_LOST);
    assert_int_equal(submit_wait(), VK_ERROR_DEVICE_LOST);
    assert_int_equal(vk.DeviceWaitIdle(device), VK_ERROR_DEVICE_LOST);
    VkDevice other;
    assert_int_equal(make_device(instance, &other), VK_SUCCESS);
    vk.DestroyDevice(device, NULL);
    device = other;
    OSL_VK_DEVICE_CALLS(OF_DEVICE)
    assert_int_equal(submit_wait(), VK_SUCCESS);
}

static void timeouts_hit_waits_only(void **state)
{
    (void)state;
    fault_shim_arm(NULL, 1, VK_TIMEOUT, false);
    assert_int_equal(submit_wait(), VK_TIMEOUT);
    assert_string_equal(fault_shim_fired_entry(), "WaitForFences");
    assert_int_equal(submit_wait(), VK_SUCCESS);
    fault_shim_arm(NULL, 1, VK_TIMEOUT, true);
    assert_int_equal(submit_wait(), VK_TIMEOUT);
    assert_int_equal(submit_wait(), VK_TIMEOUT);
}

static void leaks_and_strangers_show(void **state)
{
    (void)state;
    struct fault_shim_seen seen;
    VkFence fence;
    VkDeviceMemory memory;
    assert_int_equal(allocate(&memory), VK_SUCCESS);
    fault_shim_look(&seen);
    assert_int_equal(seen.live, 3);
    assert_true(seen.memory_bytes == 4096);
    fault_shim_arm("CreateFence", 1, VK_ERROR_OUT_OF_HOST_MEMORY, false);
    assert_int_equal(make_fence(&fence), VK_ERROR_OUT_OF_HOST_MEMORY);
    vk.DestroyFence(device, fence, NULL); /* what a failed call left is not to be used */
    vk.DestroyFence(device, VK_NULL_HANDLE, NULL);
    vk.FreeMemory(device, memory, NULL);
    VkFence left;
    assert_int_equal(make_fence(&left), VK_SUCCESS);
    vk.DestroyDevice(device, NULL);
    fault_shim_look(&seen);
    assert_int_equal(seen.strange, 1);
    assert_int_equal(seen.leaked, 1);
    assert_int_equal(make_device(instance, &device), VK_SUCCESS);
    OSL_VK_DEVICE_CALLS(OF_DEVICE)
}

static void legal_results_are_the_specification(void **state)
{
    (void)state;
    assert_true(fault_shim_legal("QueueSubmit", VK_ERROR_DEVICE_LOST));
    assert_true(fault_shim_legal("WaitForFences", VK_TIMEOUT));
    assert_true(fault_shim_legal("CreateDevice", VK_ERROR_INITIALIZATION_FAILED));
    assert_false(fault_shim_legal("CreateBuffer", VK_ERROR_DEVICE_LOST));
    assert_false(fault_shim_legal("QueueSubmit", VK_TIMEOUT));
    assert_false(fault_shim_legal("ResetFences", VK_ERROR_OUT_OF_HOST_MEMORY));
}

static void corrupts_what_it_is_shown(void **state)
{
    (void)state;
    /* A header, then OpFAdd and OpIAdd with four operands each. */
    static const uint32_t words[] = {0x07230203,     0x10000, 0, 9, 0, 5u << 16 | 129, 1, 2, 3, 4,
                                     5u << 16 | 128, 1,       2, 3, 4};
    struct osl_vk_shader none = {"none", words + 10, sizeof words - 10 * sizeof words[0]};
    struct osl_vk_shader some = {"some", words, sizeof words};
    struct fault_shim_seen seen;
    assert_false(fault_shim_corrupt(&none));
    assert_true(fault_shim_corrupt(&some));
    VkShaderModuleCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = sizeof words,
                                     .pCode = words};
    VkShaderModule module;
    assert_int_equal(vk.CreateShaderModule(device, &info, NULL, &module), VK_SUCCESS);
    vk.DestroyShaderModule(device, module, NULL);
    fault_shim_look(&seen);
    assert_int_equal(seen.corrupted, 1);
}

int main(void)
{
    if (!fault_shim_open()) {
        puts("SKIP: no libvulkan.so.1 here: apt-get install libvulkan1");
        return SKIPPED;
    }
    instance = make_instance();
    VkPhysicalDevice physical = instance != NULL ? first_device(instance) : NULL;
    if (instance != NULL) {
        vk.DestroyInstance(instance, NULL);
    }
    if (physical == NULL) {
        puts("SKIP: no Vulkan driver here: apt-get install mesa-vulkan-drivers");
        return SKIPPED;
    }
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(every_call_has_a_wrapper),
        CASE(calls_are_counted),
        CASE(nth_call_fails_once),
        CASE(nth_of_all_fails),
        CASE(stays_failing),
        CASE(lost_device_stays_lost),
        CASE(timeouts_hit_waits_only),
        CASE(leaks_and_strangers_show),
        CASE(legal_results_are_the_specification),
        CASE(corrupts_what_it_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
