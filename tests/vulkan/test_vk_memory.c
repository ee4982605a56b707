/* Which memory a buffer gets: on the heaps of machines that are played, by what their drivers are
 * known to report, with the real device behind them; and host memory used in place. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compute/vulkan/record.h"
#include "tests/vulkan/vk_test.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define WAIT_NS 20000000000ull

static struct osl_vk vk;
static struct osl_vk_device device;
static struct osl_vk_recorder recorder;

/* ---- Played machines ---------------------------------------------------------------------- */

#define DL VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define HV VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT
#define HC VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
#define CA VK_MEMORY_PROPERTY_HOST_CACHED_BIT
#define AMD VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD
#define PRO VK_MEMORY_PROPERTY_PROTECTED_BIT
#define LOCAL VK_MEMORY_HEAP_DEVICE_LOCAL_BIT

struct machine {
    const char *name;
    VkPhysicalDeviceType type;
    VkMemoryHeap heaps[4];
    uint64_t budget[4], usage[4]; /* 0: heap's size, nothing */
    VkMemoryType types[12];
    uint32_t heap_count, type_count;
    bool unified, large_bar;
    uint32_t wanted[4]; /* type for DEVICE, UPLOAD, READBACK, HOST */
};

static const struct machine machines[] = {
    {.name = "discrete, small window",
     .type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
     .heap_count = 3,
     .heaps = {{12 * GIB, LOCAL}, {32 * GIB, 0}, {246 * MIB, LOCAL}},
     .type_count = 5,
     .types = {{0, 1}, {DL, 0}, {HV | HC, 1}, {HV | HC | CA, 1}, {DL | HV | HC, 2}},
     .wanted = {1, 2, 3, 2}},
    {.name = "discrete, ReBAR",
     .type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
     .heap_count = 2,
     .heaps = {{80 * GIB, LOCAL}, {128 * GIB, 0}},
     .type_count = 5,
     .types = {{0, 1}, {DL, 0}, {HV | HC, 1}, {HV | HC | CA, 1}, {DL | HV | HC, 0}},
     .large_bar = true,
     .wanted = {4, 2, 3, 2}},
    {.name = "discrete, vendor's own flags",
     .type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
     .heap_count = 2,
     .heaps = {{16 * GIB, LOCAL}, {32 * GIB, 0}},
     .type_count = 7,
     .types = {{DL | AMD, 0}, {DL, 0}, {DL | HV | HC | AMD, 0}, {DL | HV | HC, 0},
               {HV | HC | AMD, 1}, {HV | HC, 1}, {HV | HC | CA, 1}},
     .large_bar = true,
     .wanted = {3, 5, 6, 5}},
    {.name = "integrated, two heaps",
     .type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
     .heap_count = 2,
     .heaps = {{5 * GIB, 0}, {10 * GIB, LOCAL}},
     .type_count = 5,
     .types = {{DL, 1}, {HV | HC, 0}, {DL | HV | HC, 1}, {HV | HC | CA, 0}, {DL | PRO, 1}},
     .unified = true,
     .wanted = {2, 1, 3, 1}},
    {.name = "integrated, carve-out too small",
     .type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
     .heap_count = 2,
     .heaps = {{8 * GIB, 0}, {1 * MIB, LOCAL}},
     .type_count = 4,
     .types = {{DL, 1}, {HV | HC, 0}, {DL | HV | HC, 1}, {HV | HC | CA, 0}},
     .unified = true,
     .wanted = {1, 1, 3, 1}},
    {.name = "integrated, one heap",
     .type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
     .heap_count = 1,
     .heaps = {{12 * GIB, LOCAL}},
     .type_count = 3,
     .types = {{DL, 0}, {DL | HV | HC, 0}, {DL | HV | HC | CA, 0}},
     .unified = true,
     .wanted = {1, 1, 2, 1}},
    {.name = "integrated, cached and coherent only",
     .type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
     .heap_count = 1,
     .heaps = {{12 * GIB, LOCAL}},
     .type_count = 1,
     .types = {{DL | HV | HC | CA, 0}},
     .unified = true},
    {.name = "integrated, cached is not coherent",
     .type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
     .heap_count = 1,
     .heaps = {{4 * GIB, LOCAL}},
     .type_count = 2,
     .types = {{DL | HV | HC, 0}, {DL | HV | CA, 0}},
     .unified = true,
     .wanted = {0, 0, 1, 0}},
    {.name = "discrete, window full by the driver's word",
     .type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
     .heap_count = 3,
     .heaps = {{8 * GIB, LOCAL}, {16 * GIB, 0}, {256 * MIB, LOCAL}},
     .budget = {7 * GIB, 12 * GIB, 200 * MIB},
     .usage = {1 * GIB, 0, 199 * MIB},
     .type_count = 3,
     .types = {{DL, 0}, {DL | HV | HC, 2}, {HV | HC | CA, 1}},
     .wanted = {0, 2, 2, 2}},
};

static const struct machine *machine; /* NULL: the real one */
static uint32_t allocated_type;
static PFN_vkGetInstanceProcAddr real_entry;
static PFN_vkGetDeviceProcAddr real_device_entry;
static PFN_vkGetPhysicalDeviceProperties2 real_properties;
static PFN_vkGetPhysicalDeviceMemoryProperties2 real_memory;
static PFN_vkGetBufferMemoryRequirements real_needs;
static PFN_vkAllocateMemory real_allocate;
static PFN_vkMapMemory real_map;
static bool refuse_map;

static VKAPI_ATTR void VKAPI_CALL fake_properties(VkPhysicalDevice physical,
                                                  VkPhysicalDeviceProperties2 *out)
{
    real_properties(physical, out);
    out->properties.deviceType = machine != NULL ? machine->type : out->properties.deviceType;
}

static VKAPI_ATTR void VKAPI_CALL fake_memory(VkPhysicalDevice physical,
                                              VkPhysicalDeviceMemoryProperties2 *out)
{
    real_memory(physical, out);
    if (machine == NULL) {
        return;
    }
    VkPhysicalDeviceMemoryProperties *p = &out->memoryProperties;
    p->memoryHeapCount = machine->heap_count;
    p->memoryTypeCount = machine->type_count;
    memcpy(p->memoryHeaps, machine->heaps, sizeof machine->heaps);
    memcpy(p->memoryTypes, machine->types, sizeof machine->types);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = out->pNext;
    for (uint32_t i = 0; budget != NULL && i < machine->heap_count; i++) {
        budget->heapBudget[i] =
            machine->budget[i] != 0 ? machine->budget[i] : machine->heaps[i].size;
        budget->heapUsage[i] = machine->usage[i];
    }
}

static VKAPI_ATTR void VKAPI_CALL fake_needs(VkDevice handle, VkBuffer buffer,
                                             VkMemoryRequirements *out)
{
    real_needs(handle, buffer, out);
    out->memoryTypeBits =
        machine != NULL ? (1u << machine->type_count) - 1 : out->memoryTypeBits;
}

static VKAPI_ATTR VkResult VKAPI_CALL fake_allocate(VkDevice handle,
                                                    const VkMemoryAllocateInfo *info,
                                                    const VkAllocationCallbacks *allocator,
                                                    VkDeviceMemory *out)
{
    allocated_type = info->memoryTypeIndex;
    VkMemoryAllocateInfo real = *info;
    real.memoryTypeIndex = machine != NULL ? 0 : info->memoryTypeIndex;
    return real_allocate(handle, &real, allocator, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL fake_map(VkDevice handle, VkDeviceMemory memory,
                                               VkDeviceSize offset, VkDeviceSize bytes,
                                               VkMemoryMapFlags flags, void **out)
{
    return refuse_map ? VK_ERROR_MEMORY_MAP_FAILED
                      : real_map(handle, memory, offset, bytes, flags, out);
}

#define FAKE(called, fake, real)                                                                   \
    if (strcmp(name, called) == 0) {                                                               \
        real = (__typeof__(real))found;                                                            \
        return (PFN_vkVoidFunction)fake;                                                           \
    }

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_entry(VkDevice handle, const char *name)
{
    PFN_vkVoidFunction found = real_device_entry(handle, name);
    FAKE("vkGetBufferMemoryRequirements", fake_needs, real_needs)
    FAKE("vkAllocateMemory", fake_allocate, real_allocate)
    FAKE("vkMapMemory", fake_map, real_map)
    return found;
}

static PFN_vkVoidFunction entry(void *instance, const char *name)
{
    PFN_vkVoidFunction found = real_entry(instance, name);
    FAKE("vkGetPhysicalDeviceProperties2", fake_properties, real_properties)
    FAKE("vkGetPhysicalDeviceMemoryProperties2", fake_memory, real_memory)
    FAKE("vkGetDeviceProcAddr", device_entry, real_device_entry)
    return found;
}

/* The validation layer would compare what is played with what is there: it is off for these. */
static void open_played(const struct machine *played)
{
    machine = played;
    struct osl_vk_open open = {.entry = entry};
    struct osl_error error;
    assert_ok(osl_vk_open(&vk, &open, &error), error);
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), OSL_VK_TIER_BASE, NULL, &device, &error),
              error);
}

static void close_played(void)
{
    osl_vk_device_close(&device);
    osl_vk_close(&vk);
    machine = NULL;
}

static void types_by_what_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const struct machine *m = &machines[i];
        open_played(m);
        const struct osl_vk_facts *f = device.facts;
        assert_int_equal(f->unified, m->unified);
        assert_int_equal(f->large_bar, m->large_bar);
        for (uint32_t kind = 0; kind < 4; kind++) {
            struct osl_vk_buffer *buffer;
            struct osl_error error;
            assert_ok(osl_vk_buffer_make(&device, kind, 2 * MIB, &buffer, &error), error);
            if (allocated_type != m->wanted[kind]) {
                fail_msg("%s: kind %u got type %u, not %u", m->name, kind, allocated_type,
                         m->wanted[kind]);
            }
            VkMemoryPropertyFlags flags = m->types[allocated_type].propertyFlags;
            assert_int_equal(buffer->mapped != NULL, (flags & HV) != 0);
            assert_int_equal(buffer->coherent, (flags & HC) != 0);
            assert_int_equal(buffer->heap, m->types[allocated_type].heapIndex);
        }
        close_played();
    }
}

static void weights_never_spill_into_host_memory(void **state)
{
    (void)state;
    struct machine m = machines[0];
    m.heaps[0].size = 1 * MIB;
    m.heaps[2].size = 1 * MIB;
    open_played(&m);
    struct osl_vk_buffer *buffer = NULL;
    struct osl_error error;
    assert_int_equal(
        osl_vk_buffer_make(&device, OSL_VK_MEMORY_DEVICE, 2 * MIB, &buffer, &error), OSL_MEMORY);
    assert_null(buffer);
    assert_non_null(strstr(error.text, "of heap 0 (device)"));
    assert_int_equal(device.heap_used_bytes[0], 0);
    close_played();
}

static void use_by_others_counts(void **state)
{
    (void)state;
    struct machine m = machines[8];
    m.usage[0] = 7 * GIB - 3 * MIB;
    open_played(&m);
    if (!device.facts->memory_budget) {
        close_played();
        print_message("no VK_EXT_memory_budget here\n");
        skip();
    }
    struct osl_vk_buffer *buffer;
    struct osl_error error;
    assert_ok(osl_vk_buffer_make(&device, OSL_VK_MEMORY_DEVICE, 2 * MIB, &buffer, &error), error);
    m.usage[0] += 2 * MIB;
    assert_int_equal(
        osl_vk_buffer_make(&device, OSL_VK_MEMORY_DEVICE, 2 * MIB, &buffer, &error), OSL_MEMORY);
    assert_non_null(strstr(error.text, "2 MiB are needed and 1 MiB are left"));
    close_played();
}

static void device_memory_need_not_be_mapped(void **state)
{
    (void)state;
    struct osl_vk_buffer *buffer;
    struct osl_error error;
    open_played(&machines[1]);
    refuse_map = true;
    assert_ok(osl_vk_buffer_make(&device, OSL_VK_MEMORY_DEVICE, 2 * MIB, &buffer, &error), error);
    assert_null(buffer->mapped);
    assert_int_equal(
        osl_vk_buffer_make(&device, OSL_VK_MEMORY_UPLOAD, 2 * MIB, &buffer, &error), OSL_MEMORY);
    refuse_map = false;
    assert_int_equal(device.heap_used_bytes[1], 0); /* what failed was given back */
    close_played();
}

/* ---- Host memory in place ----------------------------------------------------------------- */

static void open_real(void)
{
    struct osl_error error;
    vk_test_open(&vk);
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), OSL_VK_TIER_BASE, NULL, &device, &error),
              error);
}

/* The device copies bytes of a buffer to where the host can read them. */
static void read_back(const struct osl_vk_buffer *from, uint64_t bytes, void *out)
{
    struct osl_error error;
    struct osl_vk_buffer *back;
    VkCommandBuffer command;
    VkFence fence;
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    struct osl_vk_binding step = {0};
    assert_ok(osl_vk_buffer_make(&device, OSL_VK_MEMORY_READBACK, bytes, &back, &error), error);
    assert_ok(osl_vk_recorder_open(&recorder, &device, &step, false, &error), error);
    assert_int_equal(device.CreateFence(device.handle, &info, NULL, &fence), VK_SUCCESS);
    assert_ok(osl_vk_record_begin(&recorder, &error), error);
    osl_vk_record_copy(&recorder, from, 0, back, 0, bytes);
    osl_vk_record_barrier(&recorder);
    assert_ok(osl_vk_record_end(&recorder, &command, &error), error);
    assert_ok(osl_vk_submit_wait(&device, fence, &command, 1, WAIT_NS, &error), error);
    osl_vk_invalidate(&device, back);
    memcpy(out, back->mapped, bytes);
    device.DestroyFence(device.handle, fence, NULL);
    osl_vk_recorder_close(&recorder);
    osl_vk_buffer_free(&device, back);
}

static void host_memory_in_place(void **state)
{
    (void)state;
    open_real();
    uint64_t alignment = device.facts->import_alignment;
    if (!device.facts->import) {
        osl_vk_device_close(&device);
        vk_test_close(&vk);
        print_message("no VK_EXT_external_memory_host here\n");
        skip();
    }
    uint64_t bytes = alignment * 3;
    uint8_t *data = NULL;
    assert_int_equal(posix_memalign((void **)&data, alignment, bytes), 0);
    uint8_t *out = malloc(bytes);
    assert_non_null(out);
    for (uint64_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    struct osl_error error;
    struct osl_vk_buffer *buffer;
    assert_ok(osl_vk_buffer_import(&device, data, bytes, &buffer, &error), error);
    assert_ptr_equal(buffer->mapped, data);
    for (uint32_t heap = 0; heap < device.facts->heap_count; heap++) {
        assert_int_equal(device.heap_used_bytes[heap], 0);
    }
    read_back(buffer, bytes, out);
    assert_memory_equal(data, out, bytes);
    osl_vk_buffer_free(&device, buffer);
    assert_int_equal(data[1], 7); /* still the host's */
    osl_vk_device_close(&device);
    vk_test_close(&vk);
    free(data);
    free(out);
}

/* A file mapped read-only, as weights are. A driver may refuse; it must then say UNSUPPORTED. */
static void mapped_file_in_place(void **state)
{
    (void)state;
    open_real();
    uint64_t bytes = 4 * device.facts->import_alignment;
    if (!device.facts->import) {
        osl_vk_device_close(&device);
        vk_test_close(&vk);
        skip();
    }
    char name[] = "/tmp/ossicle-import-XXXXXX";
    int file = mkstemp(name);
    uint8_t *data = malloc(bytes);
    uint8_t *out = malloc(bytes);
    assert_true(file >= 0 && data != NULL && out != NULL);
    for (uint64_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)(i * 13 + i / 100);
    }
    assert_int_equal(write(file, data, bytes), bytes);
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    assert_true(map != MAP_FAILED);
    struct osl_error error;
    struct osl_vk_buffer *buffer;
    enum osl_status status = osl_vk_buffer_import(&device, map, bytes, &buffer, &error);
    assert_true(status == OSL_OK || status == OSL_UNSUPPORTED);
    if (status == OSL_OK) {
        read_back(buffer, bytes, out);
        assert_memory_equal(data, out, bytes);
    } else {
        print_message("not taken: %s\n", error.text);
    }
    osl_vk_device_close(&device);
    vk_test_close(&vk);
    munmap(map, bytes);
    close(file);
    unlink(name);
    free(data);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_by_what_they_are),
        cmocka_unit_test(weights_never_spill_into_host_memory),
        cmocka_unit_test(use_by_others_counts),
        cmocka_unit_test(device_memory_need_not_be_mapped),
        cmocka_unit_test(host_memory_in_place),
        cmocka_unit_test(mapped_file_in_place),
    };
    vk_test_open(&vk); /* is there something to play on? */
    osl_vk_close(&vk);
    void *library = NULL;
    struct osl_error error;
    if (osl_library_open("libvulkan.so.1", &library, &error) != OSL_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    real_entry =
        (PFN_vkGetInstanceProcAddr)osl_library_symbol(library, "vkGetInstanceProcAddr");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    osl_library_close(library);
    return failed;
}
