/* The file of self-test results: see kept.h. */
#include "compute/vulkan/kept.h"
#include "compute/vulkan/vulkan.h"

#include <stdio.h>
#include <string.h>

#define KEPT_MAGIC "OSLVKST2"
#define RECORDS_MAX 16     /* models, tiers and drivers tried; the oldest falls out */
#define NAME_UUID_BYTES 8  /* of the device's UUID, in the file's name */
#define TAG_BYTES 16

struct record {
    uint8_t key[32];
    uint8_t tag[TAG_BYTES]; /* of device, driver and shaders alone */
    struct osl_vk_verdict verdict;
};

/* Newest first. Little-endian machines only, as everything else here. */
struct kept_file {
    char magic[8];
    uint32_t count;
    uint32_t pad;
    struct record records[RECORDS_MAX];
    uint8_t digest[32]; /* of all before it */
};

static void digest_of(const struct kept_file *file, uint8_t digest_out[32])
{
    struct osl_sha256 hash;
    osl_sha256_begin(&hash);
    osl_sha256_add(&hash, file, offsetof(struct kept_file, digest));
    osl_sha256_end(&hash, digest_out);
}

static bool make_path(const char *state_dir, const struct osl_vk_facts *facts,
                      char out[OSL_PATH_BYTES])
{
    char uuid[2 * NAME_UUID_BYTES + 1];
    for (uint32_t i = 0; i < NAME_UUID_BYTES; i++) {
        snprintf(uuid + (size_t)2 * i, 3, "%02x", facts->device_uuid[i]);
    }
    int length = snprintf(out, OSL_PATH_BYTES, "%s/selftest-%s", state_dir, uuid);
    return length > 0 && length < OSL_PATH_BYTES;
}

/* All zero where the file is not there or is not whole. */
static void load(const char *state_dir, const struct osl_vk_facts *facts, struct kept_file *out)
{
    char path[OSL_PATH_BYTES];
    struct osl_file file;
    struct osl_error error;
    memset(out, 0, sizeof *out);
    if (!make_path(state_dir, facts, path) || osl_file_open(&file, path, &error) != OSL_OK) {
        return;
    }
    uint8_t digest[32] = {0};
    bool whole = file.bytes == sizeof *out &&
                 osl_file_read(&file, 0, out, sizeof *out, &error) == OSL_OK;
    osl_file_close(&file);
    if (whole) {
        digest_of(out, digest);
    }
    if (!whole || memcmp(digest, out->digest, sizeof digest) != 0 ||
        memcmp(out->magic, KEPT_MAGIC, sizeof out->magic) != 0 || out->count > RECORDS_MAX) {
        osl_log(OSL_LOG_WARN, "vulkan: %.160s is damaged; the self-test is run again", path);
        memset(out, 0, sizeof *out);
    }
}

static void hash_machine(struct osl_sha256 *hash, const struct osl_vk_facts *facts)
{
    uint8_t shaders[32];
    osl_vk_shader_hash(shaders);
    osl_sha256_begin(hash);
    osl_sha256_add(hash, facts->device_uuid, sizeof facts->device_uuid);
    osl_sha256_add(hash, facts->driver_uuid, sizeof facts->driver_uuid);
    osl_sha256_add(hash, facts->driver, strlen(facts->driver));
    osl_sha256_add(hash, &facts->driver_version, sizeof facts->driver_version);
    osl_sha256_add(hash, &facts->type, sizeof facts->type); /* shapes go by it */
    osl_sha256_add(hash, shaders, sizeof shaders);
}

static void tag_of(const struct osl_vk_facts *facts, uint8_t tag_out[TAG_BYTES])
{
    struct osl_sha256 hash;
    uint8_t digest[32];
    hash_machine(&hash, facts);
    osl_sha256_end(&hash, digest);
    memcpy(tag_out, digest, TAG_BYTES);
}

void osl_vk_kept_key(const struct osl_vk_facts *facts, enum osl_vk_tier tier_most,
                     const struct osl_vk_check_case *c, uint8_t key_out[32])
{
    const struct osl_shape *s = &c->shape;
    const uint32_t words[] = {
        tier_most,  s->hidden,     s->ff,  s->heads,        s->kv_heads, s->head_dim, s->experts,
        s->vocab,   s->experts_used, s->window, c->kv_type, c->dense,    c->router,   c->expert,
        c->output,  c->embedding,  c->tokens,   c->position, c->seed, c->native,
    };
    struct osl_sha256 hash;
    hash_machine(&hash, facts);
    osl_sha256_add(&hash, words, sizeof words);
    osl_sha256_end(&hash, key_out);
}

bool osl_vk_kept_find(const char *state_dir, const struct osl_vk_facts *facts,
                      const uint8_t key[32], struct osl_vk_verdict *out)
{
    struct kept_file file;
    if (state_dir == NULL) {
        return false;
    }
    load(state_dir, facts, &file);
    for (uint32_t i = 0; i < file.count; i++) {
        if (memcmp(file.records[i].key, key, sizeof file.records[i].key) == 0 &&
            file.records[i].verdict.tier < OSL_VK_TIER_COUNT) {
            *out = file.records[i].verdict;
            return true;
        }
    }
    return false;
}

/* Of several, the highest: a lower one may only mean that no more was asked for. A verdict may name
 * a tier that the device has not, as what was asked for. */
bool osl_vulkan_tier_kept(const struct osl_vk_facts *facts, const char *state_dir,
                          enum osl_vk_tier *out)
{
    struct kept_file file;
    uint8_t tag[TAG_BYTES];
    bool found = false;
    uint32_t best = 0;
    if (state_dir == NULL) {
        return false;
    }
    load(state_dir, facts, &file);
    tag_of(facts, tag);
    for (uint32_t i = 0; i < file.count; i++) {
        const struct osl_vk_verdict *verdict = &file.records[i].verdict;
        if (memcmp(file.records[i].tag, tag, sizeof tag) == 0 && verdict->passed > 0 &&
            verdict->tier < OSL_VK_TIER_COUNT) {
            best = verdict->tier > best ? verdict->tier : best;
            found = true;
        }
    }
    if (found) {
        *out = best < facts->tier_reported ? (enum osl_vk_tier)best : facts->tier_reported;
    }
    return found;
}

void osl_vk_kept_store(const char *state_dir, const struct osl_vk_facts *facts,
                       const uint8_t key[32], const struct osl_vk_verdict *verdict)
{
    struct kept_file old, file;
    struct osl_writer writer;
    struct osl_error error = {.text = "the state folder's name is too long"};
    char path[OSL_PATH_BYTES];
    if (state_dir == NULL) {
        return;
    }
    load(state_dir, facts, &old);
    memset(&file, 0, sizeof file);
    memcpy(file.magic, KEPT_MAGIC, sizeof file.magic);
    memcpy(file.records[0].key, key, sizeof file.records[0].key);
    tag_of(facts, file.records[0].tag);
    file.records[0].verdict = *verdict;
    file.count = 1;
    for (uint32_t i = 0; i < old.count && file.count < RECORDS_MAX; i++) {
        if (memcmp(old.records[i].key, key, sizeof old.records[i].key) != 0) {
            file.records[file.count++] = old.records[i];
        }
    }
    digest_of(&file, file.digest);
    enum osl_status status = make_path(state_dir, facts, path)
                                 ? osl_writer_open(&writer, path, &error)
                                 : OSL_ARGUMENT;
    if (status == OSL_OK) {
        status = osl_writer_append(&writer, &file, sizeof file, &error);
        status = status == OSL_OK ? osl_writer_commit(&writer, &error) : status;
    }
    if (status != OSL_OK) {
        osl_log(OSL_LOG_WARN, "vulkan: the self-test's result is not kept: %.180s", error.text);
    }
}
