/* Which device runs the model: the list of Vulkan devices, the choice among them and the CPU, and
 * what the model takes there. */
#ifndef OSL_MODEL_DEVICE_H
#define OSL_MODEL_DEVICE_H

#include "compute/vulkan/vulkan.h"
#include "ossicle.h"

/* The choice, part of the plan. */
struct osl_device_choice {
    bool vulkan;
    struct osl_vk_facts facts;    /* of the device */
    enum osl_vk_tier tier_most;
    struct osl_vulkan_need need;
    bool fits;                    /* the device has room */
    char short_of[OSL_ERROR_TEXT_BYTES]; /* else: what lacks */
    char note[256];               /* auto: why the CPU, where there is Vulkan */
};

/* Chooses by config->device. limits: what the CPU would get; those of the device come back in
 * choice_out->need. auto never fails: it falls back to the CPU. ARGUMENT names a tier or index
 * that is none, UNSUPPORTED what is missing. */
OSL_MUST_USE enum osl_status osl_device_choose(const struct ossicle_config *config,
                                               const struct osl_schedule *schedule,
                                               const struct osl_vulkan_limits *limits,
                                               struct osl_device_choice *choice_out,
                                               struct osl_error *error);

/* What config says of Vulkan. */
struct osl_vulkan_open osl_device_open(const struct ossicle_config *config);

#endif
