/* Vulkan as model/ sees it: which devices there are, what a model takes on one, and a backend on
 * it. No Vulkan types. */
#ifndef OSL_VULKAN_H
#define OSL_VULKAN_H

#include "compute/backend.h"
#include "compute/vulkan/facts.h"

struct osl_vulkan_open {
    /* vkGetInstanceProcAddr, or NULL for the system's loader. Returns a function pointer. */
    void (*(*entry)(void *instance, const char *name))(void);
    bool validation;
    bool as_card; /* tests: a software device is taken for a discrete one, so that the shaders and
                   * shapes that real GPUs get are run */
};

/* Facts of every device, at most OSL_VK_DEVICES_MAX. UNSUPPORTED without libvulkan or a driver. */
OSL_MUST_USE enum osl_status osl_vulkan_list(const struct osl_vulkan_open *open,
                                             struct osl_vk_facts *facts_out, uint32_t *count_out,
                                             struct osl_error *error);

struct osl_vulkan_limits {
    uint32_t prefill_tokens, logits_rows, context_tokens, marks;
    bool import_weights; /* mapped weights are used where they lie, on shared-memory devices */
};

/* What a model takes. Regions named as the plan prints them. */
struct osl_vulkan_need {
    uint64_t weights_bytes, kv_full_bytes, kv_ring_bytes, marks_bytes, activations_bytes,
        logits_bytes;          /* device */
    uint64_t embedding_bytes;  /* host memory made by the driver; 0 where the map is imported */
    uint64_t staging_bytes;    /* host memory made by the driver */
    uint32_t prefill_tokens;   /* of a step here: less than asked where bindings are small */
    uint32_t ring_capacity, full_capacity;
};
/* Pure. UNSUPPORTED names what the device lacks; MEMORY, with *need_out filled all the same, what
 * does not fit which heap. */
OSL_MUST_USE enum osl_status osl_vulkan_plan(const struct osl_vk_facts *facts,
                                             const struct osl_schedule *schedule,
                                             const struct osl_vulkan_limits *limits,
                                             struct osl_vulkan_need *need_out,
                                             struct osl_error *error);

struct osl_vulkan_config {
    struct osl_vulkan_open open;
    uint32_t device; /* index in the list */
    enum osl_vk_tier tier_most;
    const struct osl_schedule *schedule; /* weights point into the mapped file; stays valid */
    struct osl_vulkan_limits limits;
    const char *state_dir; /* pipeline cache and self-test results; NULL: none kept */
    const atomic_bool *abort;
    uint64_t watchdog_ns; /* longest a submission may take; 0: 30 s */
    bool profile;         /* timestamps around every dispatch */
    bool (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    void *user;
};

uint64_t osl_vulkan_bytes(void); /* of host memory for the backend, 64-byte aligned */

/* Opens the device, checks every pipeline it will use against the plain C op (stepping down a tier
 * where one is wrong), uploads the weights and records all commands. DEVICE when even the base
 * tier is wrong, or the device fails. */
OSL_MUST_USE enum osl_status osl_vulkan_boot(void *memory, uint64_t bytes,
                                             const struct osl_vulkan_config *config,
                                             struct osl_backend **out, struct osl_error *error);

/* What the backend turned out to be. */
struct osl_vulkan_report {
    struct osl_vk_facts facts;
    enum osl_vk_tier tier;   /* in use */
    uint32_t checks_passed, checks_failed;
    bool checks_kept;        /* results of an earlier boot were used */
    uint64_t checks_ns;
    uint32_t dispatches_per_token, barriers_per_token, submissions_per_token;
    uint64_t device_bytes;   /* allocated */
    uint32_t restarts;       /* since boot */
};
void osl_vulkan_report(const struct osl_backend *backend, struct osl_vulkan_report *out);

/* Runs every pipeline's check for a device without a model, on widths of the 20b. line gets one row
 * of text a check. */
OSL_MUST_USE enum osl_status osl_vulkan_check(const struct osl_vulkan_open *open, uint32_t device,
                                              enum osl_vk_tier tier_most, const char *state_dir,
                                              void (*line)(void *user, const char *text, bool pass),
                                              void *user, struct osl_vulkan_report *report_out,
                                              struct osl_error *error);

/* The tier that an earlier boot or check found right, for this driver and these shaders. */
bool osl_vulkan_tier_kept(const struct osl_vk_facts *facts, const char *state_dir,
                          enum osl_vk_tier *out);

#endif
