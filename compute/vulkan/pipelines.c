/* Pipelines: made at the first asking, found again afterwards. */
#include <string.h>

#include "compute/vulkan/core.h"

/* SPIR-V 1.6, 2.3 (a module begins with five words) and 3.49: an instruction's first word has its
 * length above its code. Capabilities come before everything else. */
#define SPIRV_HEAD_WORDS 5
#define SPIRV_OP_CAPABILITY 17
/* SPIR-V 1.6, 3.31, and the extensions' own documents. */
enum capability {
    CAPABILITY_SHADER = 1,
    CAPABILITY_FLOAT16 = 9,
    CAPABILITY_INT8 = 39,
    CAPABILITY_SUBGROUP = 61,
    CAPABILITY_SUBGROUP_ARITHMETIC = 63,
    CAPABILITY_SUBGROUP_BALLOT = 64,
    CAPABILITY_SUBGROUP_SHUFFLE = 65,
    CAPABILITY_STORAGE_16 = 4433,
    CAPABILITY_STORAGE_8 = 4448,
    CAPABILITY_MEMORY_MODEL = 5345,
    CAPABILITY_MEMORY_MODEL_DEVICE = 5346,
    CAPABILITY_ADDRESS = 5347,
    CAPABILITY_DOT_4X8 = 6018,
    CAPABILITY_DOT = 6019,
    CAPABILITY_MATRIX = 6022,
};

/* Whether this device was opened with it: see make_wish in device.c. */
static bool has_capability(const struct osl_vk_device *device, uint32_t capability)
{
    switch (capability) {
    case CAPABILITY_SHADER: return true;
    case CAPABILITY_SUBGROUP:
    case CAPABILITY_SUBGROUP_ARITHMETIC:
    case CAPABILITY_SUBGROUP_BALLOT:
    case CAPABILITY_SUBGROUP_SHUFFLE: return device->subgroup;
    case CAPABILITY_FLOAT16:
    case CAPABILITY_STORAGE_16: return device->fp16;
    case CAPABILITY_ADDRESS: return device->address;
    case CAPABILITY_DOT_4X8:
    case CAPABILITY_DOT: return device->dot;
    case CAPABILITY_INT8: return device->dot && device->facts->int8;
    case CAPABILITY_STORAGE_8: return device->dot && device->facts->storage8;
    case CAPABILITY_MATRIX:
    case CAPABILITY_MEMORY_MODEL:
    case CAPABILITY_MEMORY_MODEL_DEVICE: return device->matrix;
    default: return false;
    }
}

/* A module may use no more than the tier: drivers often let it pass, and a forced tier would then
 * not be what it says. */
static enum osl_status check_module(const struct osl_vk_device *device,
                                    const struct osl_vk_shader *shader, struct osl_error *error)
{
    const uint32_t count = shader->bytes / sizeof *shader->words;
    for (uint32_t at = SPIRV_HEAD_WORDS; at + 1 < count; at += 2) {
        if (shader->words[at] != (2u << 16 | SPIRV_OP_CAPABILITY)) {
            break;
        }
        if (!has_capability(device, shader->words[at + 1])) {
            return osl_fail(error, OSL_UNSUPPORTED,
                            "shader %.60s: needs SPIR-V capability %u, which %.100s has not been "
                            "opened with (tier %s)",
                            shader->name, shader->words[at + 1], device->facts->name,
                            osl_vk_tier_name(device->tier));
        }
    }
    return OSL_OK;
}

static const struct osl_vk_pipeline *find(const struct osl_vk_device *device, const char *shader,
                                          const uint32_t *spec, uint32_t spec_count)
{
    for (uint32_t i = 0; i < device->pipeline_count; i++) {
        const struct osl_vk_pipeline *p = &device->pipelines[i];
        if (p->spec_count == spec_count && strcmp(p->shader, shader) == 0 &&
            (spec_count == 0 || memcmp(p->spec, spec, spec_count * sizeof *spec) == 0)) {
            return p;
        }
    }
    return NULL;
}

/* The subgroup size to require (constant 1), where the device lets us; 0: the driver chooses, and
 * the shader reads the size at run time. */
static uint32_t required_size(const struct osl_vk_device *device, const uint32_t *spec,
                              uint32_t spec_count)
{
    const struct osl_vk_facts *facts = device->facts;
    if (!device->subgroup || !facts->subgroup_size_control || spec_count < 2) {
        return 0;
    }
    uint32_t size = spec[1];
    bool allowed = size >= facts->subgroup_min && size <= facts->subgroup_max &&
                   (size & (size - 1)) == 0 &&
                   (uint64_t)size * facts->subgroups_max >= spec[0];
    return allowed ? size : 0;
}

static VkResult make(struct osl_vk_device *device, VkShaderModule module, const uint32_t *spec,
                     uint32_t spec_count, VkPipeline *out)
{
    VkSpecializationMapEntry entries[OSL_VK_SPECS_MAX];
    for (uint32_t i = 0; i < spec_count; i++) {
        entries[i] = (VkSpecializationMapEntry){
            .constantID = i, .offset = i * 4, .size = sizeof *spec};
    }
    VkSpecializationInfo constants = {
        .mapEntryCount = spec_count,
        .pMapEntries = entries,
        .dataSize = spec_count * sizeof *spec,
        .pData = spec,
    };
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = required_size(device, spec, spec_count),
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = &constants,
            },
        .layout = device->pipeline_layout,
    };
    if (size.requiredSubgroupSize != 0) {
        info.stage.pNext = &size;
        if (spec[0] % size.requiredSubgroupSize == 0) {
            info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
        }
    }
    return device->CreateComputePipelines(device->handle, device->cache, 1, &info, NULL, out);
}

enum osl_status osl_vk_pipeline_get(struct osl_vk_device *device, const char *shader,
                                    const uint32_t *spec, uint32_t spec_count,
                                    const struct osl_vk_pipeline **out, struct osl_error *error)
{
    OSL_ASSERT(device != NULL && shader != NULL && out != NULL);
    OSL_ASSERT(spec_count <= OSL_VK_SPECS_MAX && (spec != NULL || spec_count == 0));
    const struct osl_vk_pipeline *found = find(device, shader, spec, spec_count);
    if (found != NULL) {
        *out = found;
        return OSL_OK;
    }
    const struct osl_vk_shader *embedded = osl_vk_shader_find(shader);
    if (embedded == NULL) {
        return osl_fail(error, OSL_UNSUPPORTED, "this build has no shader %.60s%s%s", shader,
                        osl_vk_shaders_lack[0] == '\0' ? "" : "; its glslang lacked ",
                        osl_vk_shaders_lack);
    }
    enum osl_status status = check_module(device, embedded, error);
    if (status != OSL_OK) {
        return status;
    }
    if (device->pipeline_count == OSL_VK_PIPELINES_MAX) {
        return osl_fail(error, OSL_CAPACITY, "more than %d pipelines", OSL_VK_PIPELINES_MAX);
    }
    VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = embedded->bytes,
        .pCode = embedded->words,
    };
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = device->CreateShaderModule(device->handle, &info, NULL, &module);
    const char *call = "vkCreateShaderModule";
    uint64_t began_ns = osl_clock_ns();
    struct osl_vk_pipeline *pipeline = &device->pipelines[device->pipeline_count];
    memset(pipeline, 0, sizeof *pipeline);
    if (result == VK_SUCCESS) {
        call = "vkCreateComputePipelines";
        result = make(device, module, spec, spec_count, &pipeline->handle);
        device->DestroyShaderModule(device->handle, module, NULL);
    }
    if (result != VK_SUCCESS) {
        struct osl_error reason;
        status = osl_vk_fail(&reason, call, result);
        return osl_fail(error, status, "shader %.60s: %.300s", shader, reason.text);
    }
    osl_log(OSL_LOG_DEBUG, "vulkan: pipeline of %.60s made in %.1f ms", shader,
            (double)(osl_clock_ns() - began_ns) * 1e-6);
    pipeline->shader = embedded->name;
    pipeline->spec_count = spec_count;
    if (spec_count > 0) {
        memcpy(pipeline->spec, spec, spec_count * sizeof *spec);
    }
    device->pipeline_count++;
    *out = pipeline;
    return OSL_OK;
}
