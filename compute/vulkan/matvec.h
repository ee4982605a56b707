/* What the decode launches share: the workgroup's shape, and small things. Private to them. */
#ifndef OSL_VK_MATVEC_H
#define OSL_VK_MATVEC_H

#include "compute/vulkan/ops.h"

enum {
    OSL_SPEC_GROUP = 0,
    OSL_SPEC_SUBGROUP = 1,
    OSL_SPEC_ROWS = 2,
    OSL_SPEC_LAYOUT = 3,
    OSL_SPEC_SLABS = 4,
    OSL_SPEC_LANES = 5,
    OSL_SPEC_SPREAD = 6,
    OSL_SPEC_STAGED = 7,
    OSL_SPEC_COLS = 8,
    OSL_SPEC_VECTORS = 9,
    OSL_SPEC_NORM = 10,
    OSL_SPEC_ADD = 11, /* matvec */
    OSL_SPEC_WEIGHTS = 12,
    OSL_SPEC_STEP_ROW = 13,
    OSL_SPEC_EXPERTS = 11, /* router */
    OSL_SPEC_USED = 12,
    OSL_SPEC_COUNT = 14,
};

#define OSL_VK_BIND_VEC 2u
#define OSL_VK_BIND_WEIGHTS 4u

/* What a launch wants, and what it gets. */
struct osl_vk_wish {
    enum osl_vk_layout layout;
    uint32_t cols, vectors;
    uint32_t rows;         /* of all weights, for one vector */
    uint32_t rows_at_once; /* of a team, where registers and rows allow */
    uint32_t group;        /* invocations of a workgroup */
    uint32_t rounds;       /* times a workgroup goes round */
    bool norm;
    bool floats; /* no integer products */
};

struct osl_vk_choice {
    const char *tier;    /* "", "_subgroup", "_dot" */
    uint32_t group_rows; /* rows a workgroup makes */
    uint32_t spec[OSL_SPEC_COUNT];
};

/* False: a normalised vector does not fit shared memory. */
bool osl_vk_matvec_choose(const struct osl_vk_device *device, const struct osl_vk_wish *wish,
                          struct osl_vk_choice *out);
enum osl_status osl_vk_matvec_pipeline(const struct osl_vk_net *net, const char *stem,
                                       const struct osl_vk_choice *choice,
                                       const struct osl_vk_pipeline **out, struct osl_error *error);
/* Of a vector that may be NULL or not there. */
uint32_t osl_vk_bias_offset(const struct osl_vk_vector *bias);

#endif
