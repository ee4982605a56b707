/* The compiled shaders, as the build embeds them. Both files that hold them are generated: one
 * source a module, and the table (see shaders/CMakeLists.txt). */
#ifndef OSL_SHADERS_EMBEDDED_H
#define OSL_SHADERS_EMBEDDED_H

#include <stdint.h>

struct osl_vk_shader {
    const char *name; /* as given to osl_shader() */
    const uint32_t *words;
    uint32_t bytes;
};

/* All of this build, in rising order of name; ends with NULL. */
extern const struct osl_vk_shader *const osl_vk_shaders[];

/* GLSL extensions that this build's glslang does not know, with a blank between: modules that need
 * them were left out. Empty where it knows all. */
extern const char osl_vk_shaders_lack[];

#endif
