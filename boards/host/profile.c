/* Board profiles: strict reading. */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"

#define CONTEXT_LEAST 16
#define CONTEXT_MOST 1048576
#define THREADS_MOST 256
#define ARENA_BYTES (OSL_PROFILE_FILE_BYTES_MAX * 64 + 4096)

/* Where reading stands, for errors that name file, line and key. */
struct reader {
    const char *file;
    const char *text;
    size_t bytes;
    const char *parent; /* NULL: the outermost object; else the key of the object inside it */
    struct ossicle_error *error;
};

struct key {
    const char *name;
    bool required;
    enum ossicle_status (*read)(struct reader *reader, const cJSON *item, struct osl_profile *out);
};

/* "file:line: key: text" */
static enum ossicle_status wrong(struct reader *reader, const char *key, uint32_t occurrence,
                                 const char *text)
{
    uint32_t line =
        osl_host_json_line(reader->text, reader->bytes, reader->parent, key, occurrence);
    return osl_fault(reader->error, OSSICLE_FORMAT, "%s:%u: %s%s%s: %s", reader->file, line,
                     reader->parent != NULL ? reader->parent : "",
                     reader->parent != NULL ? "." : "", key, text);
}

static enum ossicle_status read_text(struct reader *reader, const cJSON *item, char *out,
                                     size_t capacity)
{
    char text[96];
    if (!cJSON_IsString(item) || item->valuestring[0] == '\0' ||
        strlen(item->valuestring) >= capacity) {
        snprintf(text, sizeof text, "must be a text of 1 to %zu bytes", capacity - 1);
        return wrong(reader, item->string, 0, text);
    }
    strcpy(out, item->valuestring);
    return OSSICLE_OK;
}

static enum ossicle_status read_count(struct reader *reader, const cJSON *item, uint32_t least,
                                      uint32_t most, uint32_t *out)
{
    double value;
    char text[96];
    if (!osl_host_json_whole(item, least, most, &value)) {
        snprintf(text, sizeof text, "must be a whole number from %u to %u", least, most);
        return wrong(reader, item->string, 0, text);
    }
    *out = (uint32_t)value;
    return OSSICLE_OK;
}

/* choices: NULL-terminated. *out is the index. */
static enum ossicle_status read_choice(struct reader *reader, const cJSON *item,
                                       const char *const *choices, uint32_t *out)
{
    char text[96] = "must be";
    for (uint32_t i = 0; choices[i] != NULL; i++) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, choices[i]) == 0) {
            *out = i;
            return OSSICLE_OK;
        }
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s \"%s\"", i > 0 ? " or" : "", choices[i]);
    }
    return wrong(reader, item->string, 0, text);
}

static enum ossicle_status read_size(struct reader *reader, const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsString(item) || !osl_parse_bytes(item->valuestring, out) || *out == 0) {
        return wrong(reader, item->string, 0, "must be a size such as \"14.6G\" or \"8GiB\"");
    }
    return OSSICLE_OK;
}

static enum ossicle_status read_list(struct reader *reader, const cJSON *item,
                                     struct osl_profile_list *out)
{
    const cJSON *entry = NULL;
    uint32_t count = 0;
    bool good = cJSON_IsArray(item);
    cJSON_ArrayForEach(entry, item)
    {
        good = good && cJSON_IsString(entry) && entry->valuestring[0] != '\0' &&
               strlen(entry->valuestring) < OSL_PROFILE_NAME_BYTES && count < OSL_PROFILE_LIST_MAX;
        if (good) {
            strcpy(out->texts[count++], entry->valuestring);
        }
    }
    if (!good || count == 0) {
        return wrong(reader, item->string, 0, "must be an array of 1 to 16 texts of 1 to 63 bytes");
    }
    out->count = count;
    return OSSICLE_OK;
}

static enum ossicle_status read_name(struct reader *reader, const cJSON *item,
                                     struct osl_profile *out)
{
    return read_text(reader, item, out->name, sizeof out->name);
}

static enum ossicle_status read_description(struct reader *reader, const cJSON *item,
                                            struct osl_profile *out)
{
    return read_text(reader, item, out->description, sizeof out->description);
}

static enum ossicle_status read_budget(struct reader *reader, const cJSON *item,
                                       struct osl_profile *out)
{
    if (cJSON_IsString(item) && strcmp(item->valuestring, "auto") == 0) {
        out->budget_bytes = 0;
        return OSSICLE_OK;
    }
    return read_size(reader, item, &out->budget_bytes);
}

static enum ossicle_status read_context(struct reader *reader, const cJSON *item,
                                        struct osl_profile *out)
{
    return read_count(reader, item, CONTEXT_LEAST, CONTEXT_MOST, &out->context);
}

static enum ossicle_status read_threads(struct reader *reader, const cJSON *item,
                                        struct osl_profile *out)
{
    return read_count(reader, item, 0, THREADS_MOST, &out->threads);
}

static enum ossicle_status read_kv(struct reader *reader, const cJSON *item,
                                   struct osl_profile *out)
{
    static const char *const choices[] = {"f16", "q8", NULL};
    uint32_t choice = 0;
    enum ossicle_status status = read_choice(reader, item, choices, &choice);
    out->kv = choice == 0 ? OSSICLE_KV_F16 : OSSICLE_KV_Q8;
    return status;
}

static enum ossicle_status read_weights(struct reader *reader, const cJSON *item,
                                        struct osl_profile *out)
{
    static const char *const choices[] = {"auto", "mapped", "resident", NULL};
    static const enum ossicle_weights values[] = {OSSICLE_WEIGHTS_AUTO, OSSICLE_WEIGHTS_MAPPED,
                                                  OSSICLE_WEIGHTS_RESIDENT};
    uint32_t choice = 0;
    enum ossicle_status status = read_choice(reader, item, choices, &choice);
    out->weights = values[choice];
    return status;
}

static enum ossicle_status read_arch(struct reader *reader, const cJSON *item,
                                     struct osl_profile *out)
{
    return read_list(reader, item, &out->arch);
}

static enum ossicle_status read_device_tree(struct reader *reader, const cJSON *item,
                                            struct osl_profile *out)
{
    return read_list(reader, item, &out->device_tree);
}

static enum ossicle_status read_gpu_vendors(struct reader *reader, const cJSON *item,
                                            struct osl_profile *out)
{
    struct osl_profile_list list = {.count = 0};
    enum ossicle_status status = read_list(reader, item, &list);
    for (uint32_t i = 0; i < list.count; i++) {
        char *end;
        unsigned long id = strtoul(list.texts[i], &end, 16);
        if (strncmp(list.texts[i], "0x", 2) != 0 || *end != '\0' || id == 0 || id > UINT16_MAX) {
            return wrong(reader, item->string, 0, "must hold PCI vendor ids such as \"0x1002\"");
        }
        out->gpu_vendors[i] = (uint16_t)id;
    }
    out->gpu_vendor_count = list.count;
    return status;
}

static enum ossicle_status read_gpu_kind(struct reader *reader, const cJSON *item,
                                         struct osl_profile *out)
{
    static const char *const choices[] = {"integrated", "discrete", NULL};
    uint32_t choice = 0;
    enum ossicle_status status = read_choice(reader, item, choices, &choice);
    out->gpu_kind = choice == 0 ? OSL_GPU_INTEGRATED : OSL_GPU_DISCRETE;
    return status;
}

static enum ossicle_status read_memory_min(struct reader *reader, const cJSON *item,
                                           struct osl_profile *out)
{
    return read_size(reader, item, &out->memory_min);
}

static enum ossicle_status read_memory_max(struct reader *reader, const cJSON *item,
                                           struct osl_profile *out)
{
    return read_size(reader, item, &out->memory_max);
}

static enum ossicle_status read_match(struct reader *reader, const cJSON *item,
                                      struct osl_profile *out);

static const struct key profile_keys[] = {
    {"name", true, read_name},
    {"description", true, read_description},
    {"memory_budget", true, read_budget},
    {"context", true, read_context},
    {"kv", true, read_kv},
    {"threads", true, read_threads},
    {"weights", true, read_weights},
    {"match", false, read_match},
};
static const struct key match_keys[] = {
    {"arch", false, read_arch},
    {"device_tree", false, read_device_tree},
    {"gpu_vendors", false, read_gpu_vendors},
    {"gpu_kind", false, read_gpu_kind},
    {"memory_min", false, read_memory_min},
    {"memory_max", false, read_memory_max},
};
#define KEYS_MAX 8

static enum ossicle_status unknown_key(struct reader *reader, const char *key,
                                       const struct key *keys, uint32_t key_count)
{
    const char *names[KEYS_MAX];
    char text[128];
    for (uint32_t i = 0; i < key_count; i++) {
        names[i] = keys[i].name;
    }
    const char *near = osl_nearest(key, names, key_count);
    snprintf(text, sizeof text, "unknown key%s%s%s", near != NULL ? "; did you mean \"" : "",
             near != NULL ? near : "", near != NULL ? "\"?" : "");
    return wrong(reader, key, 0, text);
}

/* Every member once and known, every required one there. */
static enum ossicle_status read_object(struct reader *reader, const cJSON *object,
                                       const struct key *keys, uint32_t key_count,
                                       struct osl_profile *out)
{
    uint32_t seen[KEYS_MAX] = {0};
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        uint32_t i = 0;
        while (i < key_count && strcmp(keys[i].name, item->string) != 0) {
            i++;
        }
        if (i == key_count) {
            return unknown_key(reader, item->string, keys, key_count);
        }
        if (seen[i]++ > 0) {
            return wrong(reader, item->string, 1, "is there twice");
        }
        enum ossicle_status status = keys[i].read(reader, item, out);
        if (status != OSSICLE_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < key_count; i++) {
        if (keys[i].required && seen[i] == 0) {
            return wrong(reader, keys[i].name, 0, "is missing");
        }
    }
    return OSSICLE_OK;
}

/* Recursion-free: "match" is the only nested object, and its keys hold none. */
static enum ossicle_status read_match(struct reader *reader, const cJSON *item,
                                      struct osl_profile *out)
{
    if (!cJSON_IsObject(item)) {
        return wrong(reader, item->string, 0, "must be an object of rules");
    }
    struct reader inner = *reader;
    inner.parent = "match";
    enum ossicle_status status =
        read_object(&inner, item, match_keys, sizeof match_keys / sizeof match_keys[0], out);
    if (status == OSSICLE_OK && out->memory_max > 0 && out->memory_max < out->memory_min) {
        return wrong(&inner, "memory_max", 0, "must not be below memory_min");
    }
    out->matchable = true;
    return status;
}

enum ossicle_status osl_profile_parse(const char *file, const char *text, size_t bytes,
                                      struct osl_profile *out, struct ossicle_error *error)
{
    static _Alignas(16) unsigned char memory[ARENA_BYTES];
    struct osl_host_json_arena arena = {.base = memory, .bytes = sizeof memory};
    struct reader reader = {.file = file, .text = text, .bytes = bytes, .error = error};
    struct osl_profile profile;
    cJSON *tree = NULL;
    memset(&profile, 0, sizeof profile);
    if (bytes > OSL_PROFILE_FILE_BYTES_MAX) {
        return osl_fault(error, OSSICLE_FORMAT, "%s: longer than the %d bytes of a profile", file,
                         OSL_PROFILE_FILE_BYTES_MAX);
    }
    enum ossicle_status status = osl_host_json_parse(file, text, bytes, &arena, &tree, error);
    if (status != OSSICLE_OK) {
        return status;
    }
    if (!cJSON_IsObject(tree)) {
        return osl_fault(error, OSSICLE_FORMAT, "%s:1: a profile is one JSON object", file);
    }
    status = read_object(&reader, tree, profile_keys, sizeof profile_keys / sizeof profile_keys[0],
                         &profile);
    if (status == OSSICLE_OK) {
        *out = profile;
    }
    return status;
}
