/* The pipeline cache, kept in a file between runs.
 *
 * Drivers check little of what they are given, so the file has a head of ours: which device, driver
 * and shaders it was made with, and the SHA-256 of what follows. Whatever does not fit is left
 * aside and written anew at the next save. Both ends happen at boot. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compute/vulkan/core.h"

#define CACHE_MAGIC "OSLVKPC1"
#define CACHE_BYTES_MAX (64u << 20) /* drivers need some 100 KiB to 5 MiB for all our pipelines */
#define NAME_UUID_BYTES 8           /* of the device's UUID, in the file's name */

/* Little-endian machines only, as everything else here. */
struct cache_head {
    char magic[8];
    uint8_t device_uuid[16], driver_uuid[16];
    uint32_t driver_version;
    uint32_t data_bytes;
    uint8_t shaders[32]; /* osl_vk_shader_hash: entries of older shaders would only be ballast */
    uint8_t data_digest[32];
};
_Static_assert(sizeof(struct cache_head) == 112, "stored");

/* What the driver's own data begins with. Source: Vulkan 1.2, VkPipelineCacheHeaderVersionOne. */
struct driver_head {
    uint32_t head_bytes, version, vendor_id, device_id;
    uint8_t cache_uuid[VK_UUID_SIZE];
};
_Static_assert(sizeof(struct driver_head) == 32, "as the specification says");

static void digest_of(const void *data, uint64_t bytes, uint8_t digest_out[32])
{
    struct osl_sha256 hash;
    osl_sha256_begin(&hash);
    osl_sha256_add(&hash, data, bytes);
    osl_sha256_end(&hash, digest_out);
}

/* One file a device and driver version: going back to an older driver finds its own again. */
static bool cache_path(const struct osl_vk_device *device, const char *state_dir,
                       char out[OSL_PATH_BYTES])
{
    const struct osl_vk_facts *facts = device->facts;
    char uuid[2 * NAME_UUID_BYTES + 1];
    for (uint32_t i = 0; i < NAME_UUID_BYTES; i++) {
        snprintf(uuid + (size_t)2 * i, 3, "%02x", facts->device_uuid[i]);
    }
    int length = snprintf(out, OSL_PATH_BYTES, "%s/pipelines-%s-%08" PRIx32, state_dir, uuid,
                          facts->driver_version);
    return length > 0 && length < OSL_PATH_BYTES;
}

/* Our own half of the check: NULL if the head fits, else why not. */
static const char *check_head(const struct osl_vk_device *device, const struct cache_head *head,
                              uint64_t file_bytes)
{
    const struct osl_vk_facts *facts = device->facts;
    uint8_t shaders[32];
    if (memcmp(head->magic, CACHE_MAGIC, sizeof head->magic) != 0) {
        return "is not a pipeline cache";
    }
    if (head->data_bytes != file_bytes - sizeof *head) {
        return "is cut or has grown";
    }
    if (memcmp(head->device_uuid, facts->device_uuid, sizeof head->device_uuid) != 0) {
        return "is of another device";
    }
    if (memcmp(head->driver_uuid, facts->driver_uuid, sizeof head->driver_uuid) != 0 ||
        head->driver_version != facts->driver_version) {
        return "is of another driver";
    }
    osl_vk_shader_hash(shaders);
    if (memcmp(head->shaders, shaders, sizeof shaders) != 0) {
        return "is of another version of Ossicle";
    }
    return NULL;
}

/* The driver's half: NULL if the data fits it, else why not. */
static const char *check_data(const struct osl_vk_device *device, const struct cache_head *head,
                              const uint8_t *data)
{
    uint8_t digest[32];
    digest_of(data, head->data_bytes, digest);
    if (memcmp(head->data_digest, digest, sizeof digest) != 0) {
        return "is damaged";
    }
    struct driver_head driver;
    if (head->data_bytes < sizeof driver) {
        return "is empty";
    }
    memcpy(&driver, data, sizeof driver);
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    const struct osl_vk *vk = device->vk;
    vk->GetPhysicalDeviceProperties2(vk->physical[device->facts->index], &properties);
    const VkPhysicalDeviceProperties *p = &properties.properties;
    if (driver.head_bytes < sizeof driver || driver.head_bytes > head->data_bytes ||
        driver.version != VK_PIPELINE_CACHE_HEADER_VERSION_ONE) {
        return "has a head that Vulkan does not know";
    }
    if (driver.vendor_id != p->vendorID || driver.device_id != p->deviceID ||
        memcmp(driver.cache_uuid, p->pipelineCacheUUID, sizeof driver.cache_uuid) != 0) {
        return "is of another build of the driver";
    }
    return NULL;
}

/* Makes the cache object; bytes 0: an empty one. */
static VkResult make(struct osl_vk_device *device, const void *data, size_t bytes)
{
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = bytes,
        .pInitialData = data,
    };
    VkResult result = device->CreatePipelineCache(device->handle, &info, NULL, &device->cache);
    device->cache = result == VK_SUCCESS ? device->cache : VK_NULL_HANDLE;
    return result;
}

/* Reads the file after its size was found possible. NULL, or why it is left aside. */
static const char *load_file(struct osl_vk_device *device, const struct osl_file *file)
{
    struct cache_head head;
    if (file->bytes < sizeof head || file->bytes > CACHE_BYTES_MAX) {
        return "has an impossible size";
    }
    if (osl_file_read(file, 0, &head, sizeof head, NULL) != OSL_OK) {
        return "cannot be read";
    }
    const char *refusal = check_head(device, &head, file->bytes);
    if (refusal != NULL || head.data_bytes == 0) {
        return refusal != NULL ? refusal : "is empty";
    }
    void *data = NULL;
    if (osl_memory_reserve(head.data_bytes, false, &data, NULL) != OSL_OK) {
        return "does not fit in memory";
    }
    if (osl_file_read(file, sizeof head, data, head.data_bytes, NULL) != OSL_OK) {
        refusal = "cannot be read";
    }
    refusal = refusal != NULL ? refusal : check_data(device, &head, data);
    if (refusal == NULL && make(device, data, head.data_bytes) != VK_SUCCESS) {
        refusal = "was refused by the driver";
    }
    if (refusal == NULL) {
        device->cache_loaded = true;
        memcpy(device->cache_digest, head.data_digest, sizeof device->cache_digest);
    }
    osl_memory_release(data, head.data_bytes);
    return refusal;
}

static void load(struct osl_vk_device *device, const char *state_dir)
{
    char path[OSL_PATH_BYTES];
    struct osl_file file;
    struct osl_error error;
    if (!cache_path(device, state_dir, path)) {
        osl_log(OSL_LOG_WARN, "vulkan: the state folder's name is too long, no pipeline cache");
        return;
    }
    if (osl_file_open(&file, path, &error) != OSL_OK) {
        osl_log(OSL_LOG_DEBUG, "vulkan: no pipeline cache yet: %.180s", error.text);
        return;
    }
    const char *refusal = load_file(device, &file);
    osl_file_close(&file);
    if (refusal != NULL) {
        osl_log(OSL_LOG_WARN, "vulkan: %.160s %s; it is made anew", path, refusal);
    }
}

enum osl_status osl_vk_cache_open(struct osl_vk_device *device, const char *state_dir,
                                  struct osl_error *error)
{
    OSL_ASSERT(device->cache == VK_NULL_HANDLE);
    if (state_dir != NULL) {
        load(device, state_dir);
    }
    if (device->cache != VK_NULL_HANDLE) {
        return OSL_OK;
    }
    VkResult result = make(device, NULL, 0);
    return result == VK_SUCCESS ? OSL_OK : osl_vk_fail(error, "vkCreatePipelineCache", result);
}

/* Writes head and data; what went wrong is in *error. */
static enum osl_status write_file(const struct osl_vk_device *device, const char *state_dir,
                                  const struct cache_head *head, const void *data,
                                  struct osl_error *error)
{
    char path[OSL_PATH_BYTES];
    struct osl_writer writer;
    if (!cache_path(device, state_dir, path)) {
        return osl_fail(error, OSL_ARGUMENT, "the state folder's name is too long");
    }
    enum osl_status status = osl_writer_open(&writer, path, error);
    if (status == OSL_OK) {
        status = osl_writer_append(&writer, head, sizeof *head, error);
    }
    if (status == OSL_OK) {
        status = osl_writer_append(&writer, data, head->data_bytes, error);
    }
    if (status == OSL_OK) {
        status = osl_writer_commit(&writer, error);
    }
    return status;
}

/* data: size bytes of room for what the driver gives. */
static enum osl_status save(struct osl_vk_device *device, const char *state_dir, void *data,
                            size_t size, struct osl_error *error)
{
    VkResult result = device->GetPipelineCacheData(device->handle, device->cache, &size, data);
    if (result != VK_SUCCESS) {
        return osl_vk_fail(error, "vkGetPipelineCacheData", result);
    }
    struct cache_head head = {
        .driver_version = device->facts->driver_version,
        .data_bytes = (uint32_t)size,
    };
    memcpy(head.magic, CACHE_MAGIC, sizeof head.magic);
    memcpy(head.device_uuid, device->facts->device_uuid, sizeof head.device_uuid);
    memcpy(head.driver_uuid, device->facts->driver_uuid, sizeof head.driver_uuid);
    osl_vk_shader_hash(head.shaders);
    digest_of(data, size, head.data_digest);
    if (device->cache_loaded &&
        memcmp(head.data_digest, device->cache_digest, sizeof head.data_digest) == 0) {
        return OSL_OK;
    }
    enum osl_status status = write_file(device, state_dir, &head, data, error);
    if (status == OSL_OK) {
        device->cache_loaded = true; /* the file is what we hold: saving again writes nothing */
        memcpy(device->cache_digest, head.data_digest, sizeof device->cache_digest);
    }
    return status;
}

void osl_vk_device_save_cache(struct osl_vk_device *device, const char *state_dir)
{
    OSL_ASSERT(device != NULL);
    if (state_dir == NULL || device->cache == VK_NULL_HANDLE) {
        return;
    }
    size_t size = 0;
    struct osl_error error = {.text = "is too large"};
    VkResult result = device->GetPipelineCacheData(device->handle, device->cache, &size, NULL);
    if (result != VK_SUCCESS || size <= sizeof(struct driver_head)) {
        return; /* a driver that keeps nothing, or its own files: lavapipe */
    }
    void *data = NULL;
    enum osl_status status = OSL_MEMORY;
    if (size <= CACHE_BYTES_MAX - sizeof(struct cache_head)) {
        status = osl_memory_reserve(size, false, &data, &error);
    }
    if (status == OSL_OK) {
        status = save(device, state_dir, data, size, &error);
        osl_memory_release(data, size);
    }
    if (status != OSL_OK) {
        osl_log(OSL_LOG_WARN, "vulkan: the pipeline cache is not kept: %.180s", error.text);
    }
}
