/* What the checks of products over several tokens share: inputs in the memory a check is given,
 * weights, and references. Private to check_matmul.c and check_experts.c. */
#ifndef OSL_VK_CHECK_MATMUL_H
#define OSL_VK_CHECK_MATMUL_H

#include "compute/vulkan/rig.h"
#include "compute/vulkan/tile.h"

struct osl_check_products {
    struct osl_vk_rig *rig;
    const struct osl_vk_check_case *c;
    uint8_t *at;
    uint64_t left;
    uint64_t seed;
    float *row; /* [OSL_COLS_MAX] a weight's row as f32 */
};

/* A weight on host and device with its bias. */
struct osl_check_weight {
    struct osl_weight host;
    struct osl_vk_matrix device;
    float *bias; /* [experts][rows]; NULL: none */
    struct osl_vk_vector bias_device;
};

/* Opens the memory and gives the rig the shape, for one token more than the case has. */
enum osl_status osl_check_products_open(struct osl_check_products *p, struct osl_vk_rig *rig,
                                        const struct osl_vk_check_case *c,
                                        const struct osl_shape *shape, void *memory,
                                        uint64_t bytes, struct osl_error *error);
/* 64-byte aligned memory; the checks' inputs are sized to fit OSL_VK_CHECK_BYTES. */
void *osl_check_products_take(struct osl_check_products *p, uint64_t bytes);
uint64_t osl_check_products_random(struct osl_check_products *p);
float *osl_check_products_floats(struct osl_check_products *p, uint64_t count, float range);
/* A random weight, cut into slabs where the seed is odd. Elements are small enough for a row's
 * product with inputs of [-1, 1) to be about 3; a few blocks have scales far from the others. */
enum osl_status osl_check_products_weight(struct osl_check_products *p, enum osl_dtype dtype,
                                          uint32_t rows, uint32_t cols, uint32_t experts,
                                          bool biased, struct osl_check_weight *out,
                                          struct osl_error *error);

/* Rows whose results are compared: all of few, else those at both ends and every 61st. */
bool osl_check_row_wanted(uint32_t row, uint32_t rows);

/* The weight's row as f32 in p->row. */
void osl_check_row(struct osl_check_products *p, const struct osl_check_weight *w, uint32_t expert,
                   uint32_t row);
/* p->row . x, and in magnitude_out the sum of |products|. */
double osl_check_dot(const struct osl_check_products *p, const float *x, uint32_t cols,
                     double *magnitude_out);
/* What an error of a product may be, as a share of the sum of magnitudes: see check_matmul.c. */
double osl_check_share(const struct osl_check_products *p, const struct osl_vk_tile *tile);

/* The error over what is allowed joins worst; what is no number fails. */
void osl_check_join(float *worst, double got, double want, double allowed);

/* As osl_vk_check.run. check_experts.c */
typedef enum osl_status osl_check_products_fn(struct osl_vk_rig *rig,
                                              const struct osl_vk_check_case *c, void *memory,
                                              uint64_t bytes, float *worst_out,
                                              struct osl_error *error);
osl_check_products_fn osl_vk_check_route, osl_vk_check_expert_up, osl_vk_check_expert_down;

#endif
