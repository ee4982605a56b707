/* What the checks of decode launches share: a case under way, weights on both sides, references
 * in double. Private to check_decode.c, check_matvec.c and check_matvec_experts.c. */
#ifndef OSL_VK_CHECK_DECODE_H
#define OSL_VK_CHECK_DECODE_H

#include "compute/vulkan/rig.h"

#define OSL_MV_ROWS 149u /* of weights whose rows only take time: pipelines know columns alone */
#define OSL_MV_LOGITS_ROW 1u /* not the first */
/* f32 sums of up to 16384 products, in any grouping: additions are off by 2^-24 of a partial sum
 * each, to either side. Nibbles are summed with 12 added to each, some 4 times the magnitude. On
 * lavapipe the worst is 2^-23 of all magnitudes. */
#define OSL_MV_SUM_SHARE 0x1p-21

/* A check under way. Once status is not OSL_OK nothing more is asked of the device. */
struct osl_mv {
    struct osl_vk_rig *rig;
    const struct osl_vk_check_case *c;
    struct osl_shape shape;
    uint8_t *at;
    uint64_t left;
    uint64_t seed;
    float *row; /* [OSL_COLS_MAX] */
    float worst;
    enum osl_status status;
    struct osl_error *error;
};

struct osl_mv_weight {
    struct osl_weight host;
    struct osl_vk_matrix device;
    float *bias; /* NULL: none */
    struct osl_vk_vector bias_device;
};

void *osl_mv_take(struct osl_mv *w, uint64_t bytes); /* 64-byte aligned */
uint64_t osl_mv_random(struct osl_mv *w);
float *osl_mv_floats(struct osl_mv *w, uint64_t count, float range);
/* Gives the rig the shape. */
void osl_mv_open(struct osl_mv *w, struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                 const struct osl_shape *shape, void *memory, uint64_t bytes,
                 struct osl_error *error);
/* A random weight on the host. */
void osl_mv_make(struct osl_mv *w, enum osl_dtype dtype, uint32_t rows, uint32_t cols,
                 uint32_t experts, struct osl_mv_weight *out);
/* And on the device. slabs: about how many it is cut into where the case's seed is odd. bias: each
 * is in [-bias, bias); 0: the one there is, or none. */
void osl_mv_send_weight(struct osl_mv *w, struct osl_mv_weight *weight, uint32_t slabs, float bias);
void osl_mv_send(struct osl_mv *w, uint32_t offset, const void *data, uint32_t count);
void *osl_mv_read(struct osl_mv *w, uint32_t offset, uint32_t count);
/* A vector on the device, its gain there, and its norm. A device's is off by some 1e-6 as a whole,
 * which is small against OSL_MV_SUM_SHARE of magnitudes. */
float *osl_mv_send_norm(struct osl_mv *w, uint32_t offset, struct osl_vk_vector *gain_out);
/* Whether launches may be recorded now; and runs what was. */
bool osl_mv_begin(struct osl_mv *w);
void osl_mv_run(struct osl_mv *w);
extern const struct osl_step osl_mv_step;
/* A row of an expert times x, with its bias, and how far off a device may be. */
double osl_mv_row(struct osl_mv *w, const struct osl_mv_weight *weight, uint32_t expert,
                  uint32_t row, const float *x, double *allowed_out);
/* The error over what is allowed joins worst; what is no number fails. */
void osl_mv_compare(struct osl_mv *w, double got, double want, double allowed);
/* Rows of a weight at an offset of ACT, joined to `old` where there is one. */
void osl_mv_compare_rows(struct osl_mv *w, const struct osl_mv_weight *weight, const float *x,
                         uint32_t offset, const float *old);

static inline uint32_t osl_mv_fewer(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* As osl_vk_check.run. check_matvec_experts.c */
typedef enum osl_status osl_mv_check_fn(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                        void *memory, uint64_t bytes, float *worst_out,
                                        struct osl_error *error);
osl_mv_check_fn osl_mv_check_router, osl_mv_check_expert_up, osl_mv_check_expert_down;

#endif
