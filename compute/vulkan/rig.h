/* A workbench for running launches on small inputs: the boot self-test and the shader tests stand
 * on it. Its buffers are made once and freed with it; nothing of it is used while generating.
 *
 *     rig_shape -> matrix/vector/act_write/aux_write -> begin -> launches -> run -> act_read */
#ifndef OSL_VK_RIG_H
#define OSL_VK_RIG_H

#include "compute/kernels.h"
#include "compute/vulkan/ops.h"
#include "compute/vulkan/record.h"
#include "compute/vulkan/transfer.h"

struct osl_vk_rig {
    struct osl_vk_device *device;
    struct osl_vk_recorder recorder;
    struct osl_vk_net net; /* of the shape last given; offsets in ACT placed */
    struct osl_vk_pick_net pick;
    struct osl_vk_buffer *step, *act, *vec, *aux, *weights, *up, *down; /* up, down: staging */
    uint64_t act_used, vec_used, aux_used, weights_used;
    struct osl_vk_transfer transfer;
    VkCommandBuffer launches;      /* what was recorded last */
    struct osl_gpu_step step_host; /* pick and ring_index are the caller's to fill */
    bool native; /* weights as files have them, not re-laid; false until it is set */
    float rope[OSL_HEAD_DIM_MAX / 2 + 1]; /* inverse frequencies, then the concentration */
};

#define OSL_VK_RIG_ACT_BYTES (24u << 20)
#define OSL_VK_RIG_VEC_BYTES (4u << 20)
#define OSL_VK_RIG_AUX_BYTES (16u << 20) /* caches, seen counts, results */
#define OSL_VK_RIG_WEIGHT_BYTES (48u << 20)
#define OSL_VK_RIG_TOKENS_MAX 2048

OSL_MUST_USE enum osl_status osl_vk_rig_open(struct osl_vk_rig *rig, struct osl_vk_device *device,
                                             struct osl_error *error);
void osl_vk_rig_close(struct osl_vk_rig *rig);

/* Forgets all areas, places the activations of a shape (vocab, experts and layers may be small),
 * fills ACT with NaN and zeroes the counters; pick's areas are zero. Buffers are not overlaid, and
 * a row of each is as wide as schedule.h says. MEMORY if it does not fit the rig. */
OSL_MUST_USE enum osl_status osl_vk_rig_shape(struct osl_vk_rig *rig,
                                              const struct osl_shape *shape,
                                              enum osl_kv_type kv_type, uint32_t prefill_tokens,
                                              uint32_t logits_rows, uint32_t context_tokens,
                                              struct osl_error *error);

/* Uploads a weight in file layout, re-laid; slabs of at most slab_bytes (0: the device's limit). */
OSL_MUST_USE enum osl_status osl_vk_rig_matrix(struct osl_vk_rig *rig,
                                               const struct osl_weight *weight,
                                               uint64_t slab_bytes, struct osl_vk_matrix *out,
                                               struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_rig_vector(struct osl_vk_rig *rig, const float *values,
                                               uint32_t count, struct osl_vk_vector *out,
                                               struct osl_error *error);
/* A zeroed area in AUX, and reading and writing it. */
OSL_MUST_USE enum osl_status osl_vk_rig_area(struct osl_vk_rig *rig, uint64_t bytes,
                                             struct osl_vk_binding *out, struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_rig_write(struct osl_vk_rig *rig,
                                              const struct osl_vk_binding *to, uint64_t offset,
                                              const void *data, uint64_t bytes,
                                              struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_rig_read(struct osl_vk_rig *rig,
                                             const struct osl_vk_binding *from, uint64_t offset,
                                             void *data, uint64_t bytes, struct osl_error *error);
/* A layer's cache in AUX, capacity a multiple of OSL_ATTEND_BLOCK. */
OSL_MUST_USE enum osl_status osl_vk_rig_kv(struct osl_vk_rig *rig, uint32_t capacity,
                                           uint32_t window, struct osl_vk_kv *out,
                                           struct osl_error *error);
/* Floats at an offset of ACT (net.buffer[...] + ...). */
OSL_MUST_USE enum osl_status osl_vk_rig_act_write(struct osl_vk_rig *rig, uint32_t offset,
                                                  const float *data, uint32_t count,
                                                  struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_rig_act_read(struct osl_vk_rig *rig, uint32_t offset,
                                                 float *data, uint32_t count,
                                                 struct osl_error *error);

/* begin: starts recording, forgetting the recording before. run: ends it, fills the step buffer
 * from step (tokens may be NULL) and rig->step_host.pick, submits and waits. The same recording may
 * be run again with rerun. What was begun must be run. */
OSL_MUST_USE enum osl_status osl_vk_rig_begin(struct osl_vk_rig *rig, struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_rig_run(struct osl_vk_rig *rig, const struct osl_step *step,
                                            struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vk_rig_rerun(struct osl_vk_rig *rig, const struct osl_step *step,
                                              struct osl_error *error);

/* ---- Checks ------------------------------------------------------------------------------- */

/* One check: builds small seeded inputs in host memory given to it, runs a launch on the rig and
 * the plain C op beside it, and compares. Each group of ops gives a table of them. The same
 * functions serve the boot self-test (on the model's own widths and dtypes, so that the very
 * pipelines to be used are run) and the tests (sweeping shapes). */
struct osl_vk_check_case {
    struct osl_shape shape; /* widths of the model; vocab, experts, layers cut down */
    enum osl_kv_type kv_type;
    enum osl_dtype dense, router, expert, output, embedding; /* weight types in use */
    bool native;       /* the self-test: weights are used where the host has them */
    uint32_t tokens;   /* prefill tokens of the case */
    uint32_t position; /* of the first token */
    uint32_t seed;
};
struct osl_vk_check {
    const char *name; /* "qkv", "attend decode"; "expert ...": it makes weights of all the case's
                       * experts, and the self-test gives it no more than fit the rig */
    /* memory: scratch for inputs and expected values. OSL_OK: *worst_out is the largest error over
     * what is allowed, passed if at most 1. Any other status: the device failed. */
    enum osl_status (*run)(struct osl_vk_rig *rig, const struct osl_vk_check_case *c, void *memory,
                           uint64_t bytes, float *worst_out, struct osl_error *error);
};
#define OSL_VK_CHECK_BYTES (64u << 20)
extern const struct osl_vk_check osl_vk_checks_matvec[], osl_vk_checks_attend[],
    osl_vk_checks_matmul[], osl_vk_checks_pick[]; /* each ends with a NULL name */

#endif
