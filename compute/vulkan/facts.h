/* What is known of a Vulkan device, in our own words: no Vulkan types, so that anyone may read it.
 * Workgroup shapes are chosen by these facts, never by vendor. */
#ifndef OSL_VK_FACTS_H
#define OSL_VK_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OSL_VK_DEVICES_MAX 16
#define OSL_VK_HEAPS_MAX 16

/* What shaders may use, each on top of those before it, each only where reported and tested. */
enum osl_vk_tier {
    OSL_VK_TIER_BASE,     /* guaranteed limits only: see style.md, Shaders */
    OSL_VK_TIER_SUBGROUP, /* subgroup arithmetic, any width 4..128 */
    OSL_VK_TIER_FP16,     /* 16-bit floats in arithmetic and storage */
    OSL_VK_TIER_DOT,      /* packed 4x8-bit integer dot product */
    OSL_VK_TIER_MATRIX,   /* KHR_cooperative_matrix, f16 x f16 -> f32 */
    OSL_VK_TIER_COUNT
};
/* "base", "subgroup", "fp16", "dot", "matrix" */
const char *osl_vk_tier_name(enum osl_vk_tier tier);

enum osl_vk_type {
    OSL_VK_DISCRETE,
    OSL_VK_INTEGRATED,
    OSL_VK_VIRTUAL,
    OSL_VK_SOFTWARE,
    OSL_VK_OTHER
};

struct osl_vk_heap {
    uint64_t bytes;
    uint64_t budget_bytes; /* VK_EXT_memory_budget, or 0.8 of bytes without it; of host memory no
                            * more than is available */
    bool device_local;
    bool host_visible; /* some type of it is */
};

struct osl_vk_facts {
    uint32_t index; /* N of --device vulkan:N */
    char name[256];
    char driver[256]; /* name and its own version text: "llvmpipe, Mesa 22.3.6 (LLVM 15.0.6)" */
    uint8_t driver_uuid[16], device_uuid[16];
    uint32_t driver_version, api_version, vendor_id, device_id;
    enum osl_vk_type type;
    bool usable;       /* has what the base tier needs */
    char refusal[160]; /* why not */

    uint32_t heap_count;
    struct osl_vk_heap heaps[OSL_VK_HEAPS_MAX];
    bool unified;    /* integrated, software, or all memory is device local and host visible:
                      * one copy serves host and device */
    bool large_bar;  /* all of a discrete device's memory is host visible */
    uint64_t binding_bytes;    /* maxStorageBufferRange, at most 4 GiB - 1 */
    uint64_t allocation_bytes; /* largest single allocation */
    uint32_t offset_alignment; /* of storage bindings, at most 256 */
    bool import;               /* VK_EXT_external_memory_host */
    uint64_t import_alignment;
    bool memory_budget;

    uint32_t shared_bytes, invocations; /* per workgroup */
    uint32_t groups_max[3];
    uint32_t subgroup_size, subgroup_min, subgroup_max;
    uint32_t subgroups_max;        /* in a workgroup, where a size is required */
    bool subgroup_arithmetic;      /* basic, arithmetic, ballot, shuffle in compute */
    bool subgroup_size_control;    /* a required size may be asked for, full subgroups too */
    bool fp16, storage16, storage8, int8;
    bool dot, dot_accelerated;     /* packed 4x8 signed */
    bool address;                  /* shaders may read buffers by address */
    bool matrix_offered;           /* KHR_cooperative_matrix, whether or not this build knows it */
    bool matrix;                   /* with at least one f16 x f16 -> f32 subgroup shape */
    uint32_t matrix_m, matrix_n, matrix_k; /* the shape chosen */
    float timestamp_ns;            /* per tick; 0: no timestamps on the queue */
    enum osl_vk_tier tier_reported; /* highest one whose parts are all there, this build included */
};

#define OSL_VK_ADVICE_BYTES 240

/* What would make this device serve better: writes line `index` (0, 1, ...) to text_out, one
 * sentence that says what is amiss and what to do. False, and nothing written, where there are no
 * more. Pure. bytes: at least OSL_VK_ADVICE_BYTES. */
bool osl_vk_advice(const struct osl_vk_facts *facts, uint32_t index, char *text_out,
                   size_t bytes);

#endif
