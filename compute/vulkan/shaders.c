/* The embedded shaders: finding one, and the hash of all. */
#include <string.h>

#include "compute/vulkan/core.h"

const struct osl_vk_shader *osl_vk_shader_find(const char *name)
{
    OSL_ASSERT(name != NULL);
    for (const struct osl_vk_shader *const *row = osl_vk_shaders; *row != NULL; row++) {
        if (strcmp((*row)->name, name) == 0) {
            return *row;
        }
    }
    return NULL;
}

bool osl_vk_shaders_know(const char *extension)
{
    return strstr(osl_vk_shaders_lack, extension) == NULL;
}

void osl_vk_shader_hash(uint8_t digest_out[32])
{
    struct osl_sha256 hash;
    osl_sha256_begin(&hash);
    for (const struct osl_vk_shader *const *row = osl_vk_shaders; *row != NULL; row++) {
        /* With its final zero and its length a name cannot run into the next module. */
        osl_sha256_add(&hash, (*row)->name, strlen((*row)->name) + 1);
        osl_sha256_add(&hash, &(*row)->bytes, sizeof (*row)->bytes);
        osl_sha256_add(&hash, (*row)->words, (*row)->bytes);
    }
    osl_sha256_end(&hash, digest_out);
}
