/* The pipeline cache file: kept, found again, and left aside when anything about it is wrong.
 * lavapipe's own cache data is empty, so a driver is played that gives some: it stands between us
 * and the real one for two calls. */
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vulkan/vk_test.h"

#define DATA_BYTES 5000
#define HEAD_BYTES 112 /* of ours, before the driver's data */

static struct osl_vk vk;
static struct osl_vk_device device;
static char folder[] = "/tmp/ossicle-cache-XXXXXX";
static char path[4096];

/* The played driver. */
static PFN_vkGetInstanceProcAddr real_entry;
static PFN_vkGetDeviceProcAddr real_device_entry;
static PFN_vkCreatePipelineCache real_create;
static uint8_t driver_data[DATA_BYTES];
static size_t driver_bytes;    /* given by vkGetPipelineCacheData */
static size_t initial_bytes;   /* last given to vkCreatePipelineCache */
static bool refuse_initial;

static VKAPI_ATTR VkResult VKAPI_CALL fake_create(VkDevice handle,
                                                  const VkPipelineCacheCreateInfo *info,
                                                  const VkAllocationCallbacks *allocator,
                                                  VkPipelineCache *out)
{
    initial_bytes = info->initialDataSize;
    if (info->initialDataSize > 0) {
        assert_int_equal(info->initialDataSize, driver_bytes);
        assert_memory_equal(info->pInitialData, driver_data, driver_bytes);
        if (refuse_initial) {
            return VK_ERROR_INITIALIZATION_FAILED;
        }
    }
    VkPipelineCacheCreateInfo empty = *info;
    empty.initialDataSize = 0;
    empty.pInitialData = NULL;
    return real_create(handle, &empty, allocator, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL fake_data(VkDevice handle, VkPipelineCache cache,
                                                size_t *bytes, void *data)
{
    (void)handle;
    (void)cache;
    if (data != NULL) {
        assert_true(*bytes >= driver_bytes);
        memcpy(data, driver_data, driver_bytes);
    }
    *bytes = driver_bytes;
    return VK_SUCCESS;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_entry(VkDevice handle, const char *name)
{
    if (strcmp(name, "vkCreatePipelineCache") == 0) {
        real_create = (PFN_vkCreatePipelineCache)real_device_entry(handle, name);
        return (PFN_vkVoidFunction)fake_create;
    }
    if (strcmp(name, "vkGetPipelineCacheData") == 0) {
        return (PFN_vkVoidFunction)fake_data;
    }
    return real_device_entry(handle, name);
}

static PFN_vkVoidFunction entry(void *instance, const char *name)
{
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        real_device_entry = (PFN_vkGetDeviceProcAddr)real_entry(instance, name);
        return (PFN_vkVoidFunction)device_entry;
    }
    return real_entry(instance, name);
}

/* Data as a driver gives it: the specified head, then anything. */
static void play_data(size_t bytes, uint8_t fill)
{
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    vk.GetPhysicalDeviceProperties2(vk.physical[vk_test_index(&vk)], &properties);
    memset(driver_data, fill, sizeof driver_data);
    uint32_t head[4] = {32, 1, properties.properties.vendorID, properties.properties.deviceID};
    memcpy(driver_data, head, sizeof head);
    memcpy(driver_data + 16, properties.properties.pipelineCacheUUID, VK_UUID_SIZE);
    driver_bytes = bytes;
}

static void open_device(void)
{
    struct osl_error error;
    refuse_initial = false;
    initial_bytes = SIZE_MAX;
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), OSL_VK_TIER_BASE, folder, &device,
                                 &error),
              error);
}

/* Opens and says whether the file was taken. */
static bool opens_with_cache(void)
{
    open_device();
    bool loaded = device.cache_loaded;
    assert_true(loaded == (initial_bytes != 0));
    assert_true(device.cache != VK_NULL_HANDLE);
    osl_vk_device_close(&device);
    return loaded;
}

static void save_device(void)
{
    open_device();
    osl_vk_device_save_cache(&device, folder);
    osl_vk_device_close(&device);
}

static uint8_t kept[DATA_BYTES + HEAD_BYTES + 64];

static size_t read_file(void)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t bytes = fread(kept, 1, sizeof kept, file);
    fclose(file);
    return bytes;
}

static void write_file(size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(kept, 1, bytes, file), bytes);
    fclose(file);
}

static int fresh(void **state)
{
    (void)state;
    unlink(path);
    play_data(DATA_BYTES, 0x5a);
    return 0;
}

static void is_kept_and_found_again(void **state)
{
    (void)state;
    assert_false(opens_with_cache());
    save_device();
    assert_int_equal(read_file(), HEAD_BYTES + DATA_BYTES);
    assert_memory_equal(kept + HEAD_BYTES, driver_data, DATA_BYTES);
    assert_true(opens_with_cache());
}

static void is_written_only_when_it_changed(void **state)
{
    (void)state;
    save_device();
    struct stat before;
    struct stat after;
    assert_int_equal(stat(path, &before), 0);
    open_device();
    osl_vk_device_save_cache(&device, folder);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* a writer makes a new file */
    driver_data[DATA_BYTES - 1] ^= 1;
    osl_vk_device_save_cache(&device, folder);
    assert_int_equal(stat(path, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    osl_vk_device_save_cache(&device, folder);
    struct stat last;
    assert_int_equal(stat(path, &last), 0);
    assert_int_equal(after.st_ino, last.st_ino);
    osl_vk_device_close(&device);
}

static void any_byte_wrong_is_noticed(void **state)
{
    (void)state;
    save_device();
    size_t bytes = read_file();
    for (size_t i = 0; i < bytes; i += i < HEAD_BYTES + 64 ? 1 : 97) {
        kept[i] ^= 0x10;
        write_file(bytes);
        kept[i] ^= 0x10;
        if (opens_with_cache()) {
            fail_msg("byte %zu was changed and nobody noticed", i);
        }
    }
    write_file(bytes);
    assert_true(opens_with_cache());
}

static void any_cut_is_noticed(void **state)
{
    (void)state;
    save_device();
    size_t bytes = read_file();
    for (size_t cut = 0; cut < bytes; cut += cut < HEAD_BYTES + 40 ? 1 : 331) {
        write_file(cut);
        if (opens_with_cache()) {
            fail_msg("cut to %zu bytes and nobody noticed", cut);
        }
    }
    memset(kept + bytes, 0, 1);
    write_file(bytes + 1);
    assert_false(opens_with_cache());
}

/* Whole, ours by the digest, but not what this driver makes. */
static void data_of_another_driver_build_is_left_aside(void **state)
{
    (void)state;
    for (size_t word = 0; word < 8; word++) {
        play_data(DATA_BYTES, 0x11);
        driver_data[word == 0 ? 1 : word * 4] ^= 0x40; /* the head longer than the data, too */
        save_device();
        assert_false(opens_with_cache());
    }
    play_data(DATA_BYTES, 0x11);
    save_device();
    assert_true(opens_with_cache());
}

static void a_refusal_by_the_driver_is_survived(void **state)
{
    (void)state;
    save_device();
    struct osl_error error;
    refuse_initial = true;
    assert_ok(osl_vk_device_open(&vk, vk_test_index(&vk), OSL_VK_TIER_BASE, folder, &device,
                                 &error),
              error);
    assert_false(device.cache_loaded);
    assert_int_equal(initial_bytes, 0); /* asked again, with nothing */
    osl_vk_device_close(&device);
}

static void of_another_device_driver_or_version_is_left_aside(void **state)
{
    (void)state;
    struct osl_vk_facts *facts = &vk.facts[vk_test_index(&vk)];
    save_device();
    facts->driver_uuid[3] ^= 1;
    assert_false(opens_with_cache());
    facts->driver_uuid[3] ^= 1;
    facts->device_uuid[15] ^= 1; /* past what is in the name */
    assert_false(opens_with_cache());
    facts->device_uuid[15] ^= 1;
    facts->driver_version++; /* a file of its own */
    assert_false(opens_with_cache());
    facts->driver_version--;
    assert_true(opens_with_cache());
}

static void nothing_is_kept_where_there_is_nothing(void **state)
{
    (void)state;
    play_data(32, 0); /* a head alone: a driver without a cache */
    save_device();
    assert_int_equal(access(path, F_OK), -1);
    open_device();
    osl_vk_device_save_cache(&device, NULL);
    play_data(DATA_BYTES, 1);
    osl_vk_device_save_cache(&device, "/nowhere/at/all"); /* logged, no more */
    osl_vk_device_close(&device);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(opens_with_cache());
    save_device();
    rmdir(path);
}

static void name_file(void)
{
    const struct osl_vk_facts *facts = &vk.facts[vk_test_index(&vk)];
    size_t at = (size_t)snprintf(path, sizeof path, "%s/pipelines-", folder);
    for (uint32_t i = 0; i < 8; i++) {
        at += (size_t)snprintf(path + at, sizeof path - at, "%02x", facts->device_uuid[i]);
    }
    snprintf(path + at, sizeof path - at, "-%08x", facts->driver_version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(is_kept_and_found_again, fresh),
        cmocka_unit_test_setup(is_written_only_when_it_changed, fresh),
        cmocka_unit_test_setup(any_byte_wrong_is_noticed, fresh),
        cmocka_unit_test_setup(any_cut_is_noticed, fresh),
        cmocka_unit_test_setup(data_of_another_driver_build_is_left_aside, fresh),
        cmocka_unit_test_setup(a_refusal_by_the_driver_is_survived, fresh),
        cmocka_unit_test_setup(of_another_device_driver_or_version_is_left_aside, fresh),
        cmocka_unit_test_setup(nothing_is_kept_where_there_is_nothing, fresh),
    };
    void *library = dlopen("libvulkan.so.1", RTLD_NOW);
    if (library == NULL) {
        printf("SKIPPED: %s\n", dlerror());
        return VK_TEST_SKIP;
    }
    real_entry = (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr");
    vk_test_open_by(&vk, entry);
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    name_file();
    osl_log_set_sink(NULL, NULL, OSL_LOG_ERROR); /* hundreds of warnings are wanted here */
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    vk_test_close(&vk);
    dlclose(library);
    return failed;
}
