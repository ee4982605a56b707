/* Results of the self-test, kept between runs: a file a device, a few records in it. Everything
 * that could change a result is in a record's key, so that none is ever used for what it was not
 * found for. */
#ifndef OSL_VK_KEPT_H
#define OSL_VK_KEPT_H

#include "compute/vulkan/rig.h"

struct osl_vk_verdict {
    uint32_t tier; /* the highest that passed */
    uint32_t passed, failed;
};

/* Device, driver, shaders, the tier asked for, and the widths and types of the checks. */
void osl_vk_kept_key(const struct osl_vk_facts *facts, enum osl_vk_tier tier_most,
                     const struct osl_vk_check_case *c, uint8_t key_out[32]);
/* False where there is none, or the file is damaged. */
bool osl_vk_kept_find(const char *state_dir, const struct osl_vk_facts *facts,
                      const uint8_t key[32], struct osl_vk_verdict *out);
/* Failing is logged, not an error. */
void osl_vk_kept_store(const char *state_dir, const struct osl_vk_facts *facts,
                       const uint8_t key[32], const struct osl_vk_verdict *verdict);

#endif
