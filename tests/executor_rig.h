/* A small random model, an executor around it, and an independent forward pass in double
 * precision to compare with. */
#ifndef OSL_EXECUTOR_RIG_H
#define OSL_EXECUTOR_RIG_H

#include "compute/executor.h"

#define RIG_TOKENS_MAX 2304
#define RIG_MEMORY_BYTES ((uint64_t)256 << 20)

/* What a model is made of. Windows: even layers, as in gpt-oss. */
struct rig_model {
    struct osl_shape shape;
    enum osl_dtype dense;
    enum osl_dtype expert;
    enum osl_dtype embed;
    enum osl_kv_type kv_type;
    uint64_t seed;
};

#define RIG_MODELS 5
extern const struct rig_model rig_models[RIG_MODELS];

struct rig_layer {
    struct osl_weight attn_norm, q, q_bias, k, k_bias, v, v_bias, out, out_bias, sinks;
    struct osl_weight mlp_norm, router, router_bias;
    struct osl_weight gate, gate_bias, up, up_bias, down, down_bias;
};

struct rig_weights {
    struct osl_weight embed, output_norm, output;
    struct rig_layer layer[OSL_LAYERS_MAX];
};

struct rig_options {
    uint32_t threads;
    uint32_t prefill_tokens;
    uint32_t context_tokens;
    uint32_t logits_rows;
    uint32_t decode_tokens; /* 0: 1 */
    bool overlay; /* place buffers by lifetime, on top of each other */
    bool poison;
    bool profile;
    const struct osl_kernels *kernels;
};

struct rig {
    struct rig_model model;
    struct rig_options options;
    struct rig_weights weights;
    struct osl_schedule schedule;
    struct osl_executor *executor;
    struct osl_team *team;
    atomic_bool abort;
    uint8_t *memory;
    uint64_t used;
    uint64_t kept; /* of used: the model's weights */
};

/* Makes the model; rig_stop frees everything. */
void rig_make(struct rig *rig, const struct rig_model *model);
/* Starts a fresh executor with an empty cache; ends the one before. */
void rig_start(struct rig *rig, const struct rig_options *options);
void rig_stop(struct rig *rig);

/* Token t of the fixed text of this rig. */
int32_t rig_token(const struct rig *rig, uint32_t t);

/* Runs tokens [first, first + count) of the text. */
enum osl_status rig_step(struct rig *rig, enum osl_step_kind kind, uint32_t first, uint32_t count,
                         uint32_t logits_first, uint32_t logits_count);

/* Hash of the whole cache and of `rows` rows of logits: equal bits, equal hash. */
uint64_t rig_hash(const struct rig *rig, uint32_t rows);

/* The reference: logits [count][vocab] of the first `count` tokens, in double. margin_out[t] is
 * the smallest distance, over the layers, between a chosen expert's logit and one not chosen. */
void rig_reference(const struct rig *rig, uint32_t count, double *logits_out, double *margin_out);

/* A weight's element, decoded without the library. */
double rig_element(const struct osl_weight *weight, uint32_t expert, uint32_t row, uint32_t col);

#endif
