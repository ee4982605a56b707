/* Board profiles: what a machine is, how it is recognised, how much it may use.
 *
 * A profile is one JSON object. All keys but "match" are required, no others are allowed:
 *   name           1..63 bytes             description  1..199 bytes
 *   memory_budget  "auto" (what the machine has) or a size such as "14.6G" (14.6e9), "8GiB"
 *   context        tokens, 16..1048576     threads      0 (what the machine recommends)..256
 *   kv             "f16" or "q8"           weights      "auto", "mapped" or "resident"
 *   match          an object; without it --board auto never picks the profile. All its rules must
 * hold: device_tree  array of texts, one of them in the device tree's model or compatible   16
 * points gpu_vendors  array of PCI vendor ids as "0x1002", a GPU has one of them              8
 * points gpu_kind     "integrated" or "discrete"; together with gpu_vendors the same GPU      4
 * points arch         array of machine names as uname -m prints them                          2
 * points memory_min, memory_max  sizes, the machine's memory lies between                     1
 * point each Of the profiles that match, the one with the most points wins, ties by name. */
#ifndef OSL_HOST_PROFILE_H
#define OSL_HOST_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine.h"
#include "model/ossicle.h"

#define OSL_PROFILE_NAME_BYTES 64
#define OSL_PROFILE_DESCRIPTION_BYTES 200
#define OSL_PROFILE_LIST_MAX 16
#define OSL_PROFILE_FILE_BYTES_MAX 16384

struct osl_profile_list {
    char texts[OSL_PROFILE_LIST_MAX][OSL_PROFILE_NAME_BYTES];
    uint32_t count; /* 0: no such rule */
};

enum osl_gpu_kind { OSL_GPU_ANY, OSL_GPU_INTEGRATED, OSL_GPU_DISCRETE };

struct osl_profile {
    char name[OSL_PROFILE_NAME_BYTES];
    char description[OSL_PROFILE_DESCRIPTION_BYTES];
    bool matchable;
    struct osl_profile_list arch, device_tree;
    uint16_t gpu_vendors[OSL_PROFILE_LIST_MAX];
    uint32_t gpu_vendor_count;
    enum osl_gpu_kind gpu_kind;
    uint64_t memory_min, memory_max; /* 0: no such rule */
    uint64_t budget_bytes;           /* 0: what the machine has */
    uint32_t context, threads;
    enum ossicle_kv kv;
    enum ossicle_weights weights;
};

/* Profiles built into the program, in order of name. The text is terminated. */
struct osl_embedded_profile {
    const char *file;
    const char *text;
    size_t bytes;
};
extern const struct osl_embedded_profile osl_embedded_profiles[];
extern const uint32_t osl_embedded_profile_count;

/* Reads a profile from text [bytes], terminated by a zero byte at text[bytes]. Errors (FORMAT)
 * read "file:line: key: what is wrong and what is allowed". */
OSSICLE_MUST_USE enum ossicle_status osl_profile_parse(const char *file, const char *text,
                                                       size_t bytes, struct osl_profile *out,
                                                       struct ossicle_error *error);

/* Points of a profile on a machine; -1 if it does not match. */
int osl_profile_points(const struct osl_profile *profile, const struct osl_machine *machine);

/* board: NULL or "auto" picks; a name takes a built-in one; anything with a '/' or ending in
 * ".json" is a file. */
OSSICLE_MUST_USE enum ossicle_status osl_profile_choose(const char *board,
                                                        const struct osl_machine *machine,
                                                        struct osl_profile *out,
                                                        struct ossicle_error *error);

#endif
