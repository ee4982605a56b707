/* From a file's directory to the model: hyperparameters within named maxima, and every weight
 * bound once by name with dtype and shape checked. After this hot code has no string lookups and
 * no doubts. The only module that knows tensor names. */
#ifndef OSL_BIND_H
#define OSL_BIND_H

#include "compute/schedule.h"
#include "gguf.h"

#define OSL_HIDDEN_MAX 8192
#define OSL_FF_MAX 8192
#define OSL_HEADS_MAX 256
#define OSL_VOCAB_MAX 262144
#define OSL_CONTEXT_MAX 1048576

struct osl_hparams {
    struct osl_shape shape;
    uint32_t context_tokens; /* the model's own */
    float rope_base;
    float yarn_factor; /* <= 1: no scaling */
    uint32_t yarn_original_context;
    float yarn_beta_fast; /* 32 */
    float yarn_beta_slow; /* 1 */
    /* as the file advises to draw, bounded; what it leaves open as in ossicle_sampling_init */
    float temperature, top_p, min_p;
    uint32_t top_k;
    char name[64];        /* general.name, or the file's name; printable */
};

struct osl_layer_weights {
    struct osl_weight attn_norm, q, q_bias, k, k_bias, v, v_bias, attn_out, attn_out_bias, sinks;
    struct osl_weight mlp_norm, router, router_bias;
    struct osl_weight gate, gate_bias, up, up_bias, down, down_bias;
};

struct osl_model_weights {
    struct osl_weight embed, output_norm, output;
    struct osl_layer_weights layer[OSL_LAYERS_MAX];
    uint64_t embed_bytes;  /* looked up, never streamed */
    uint64_t dense_bytes;  /* everything else but the experts */
    uint64_t expert_bytes; /* weights and biases of all experts */
    uint64_t parameters;
};

/* Reads and bounds the hyperparameters (gpt-oss only; UNSUPPORTED names any other architecture). */
OSL_MUST_USE enum osl_status osl_bind_hparams(const struct osl_gguf *gguf,
                                              struct osl_hparams *hparams_out,
                                              struct osl_error *error);

/* Binds all weights; data pointers point into gguf->map. Unknown extra tensors are refused,
 * missing ones, wrong dtypes and wrong shapes named with what was expected. Norms, biases and
 * sinks are F32; dense weights and the router F32, F16, BF16 or Q8_0; experts these or MXFP4.
 * On failure *weights_out is undefined. */
OSL_MUST_USE enum osl_status osl_bind_weights(const struct osl_gguf *gguf,
                                              const struct osl_hparams *hparams,
                                              struct osl_model_weights *weights_out,
                                              struct osl_error *error);

/* YaRN with unrounded bounds: inverse frequencies [head_dim/2] and the concentration.
 * Source: gpt-oss reference, RotaryEmbedding; formats note, section 2. */
void osl_yarn(const struct osl_hparams *hparams, float *inverse_frequency_out,
              float *concentration_out);

#endif
