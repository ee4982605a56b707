/* The forward pass as data: a fixed array of operations, written once by model/ at boot and
 * walked by an executor for every step. Ten kinds of op; shapes, buffers and weights are bound in
 * the ops, what changes per step sits in struct osl_step.
 *
 * Buffers are named, not pointed at: the plan places them (overlaid by lifetime) and each
 * executor binds the names to its own memory. All are f32, row t belongs to token t of the step. */
#ifndef OSL_SCHEDULE_H
#define OSL_SCHEDULE_H

#include <stdint.h>

#include "dtype.h"
#include "kernels.h"

#define OSL_LAYERS_MAX 64
#define OSL_OPS_MAX (OSL_LAYERS_MAX * 10 + 8)

/* Dimensions of the model, as the executor needs them. */
struct osl_shape {
    uint32_t layers;
    uint32_t hidden;
    uint32_t ff; /* expert intermediate */
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t experts;
    uint32_t experts_used;
    uint32_t vocab;
    uint32_t window; /* of the windowed layers */
    float rms_eps;
    float swiglu_alpha;
    float swiglu_limit;
};

enum osl_buffer {
    OSL_BUFFER_X,       /* residual stream [hidden] */
    OSL_BUFFER_NORM,    /* normalised input of a block [hidden] */
    OSL_BUFFER_QKV,     /* [(heads + 2 kv_heads) * head_dim]: q heads, k heads, v heads */
    OSL_BUFFER_ATTN,    /* attention output [heads * head_dim] */
    OSL_BUFFER_ROUTER,  /* router logits [experts] */
    OSL_BUFFER_EXPERT_H, /* [experts_used][ff], after SwiGLU */
    OSL_BUFFER_EXPERT_Y, /* [experts_used][hidden], prefill only */
    OSL_BUFFER_LOGITS,  /* [vocab], logits_rows_max rows */
    OSL_BUFFER_SCRATCH, /* the executor's own: quantised activations, routes, groups, per thread */
    OSL_BUFFER_COUNT
};

enum osl_op_kind {
    OSL_OP_EMBED,       /* x = table[token] */
    OSL_OP_RMSNORM,     /* out = rmsnorm(in) * gain */
    OSL_OP_MATMUL,      /* out = in W + b, up to 3 weights side by side; or out += (add) */
    OSL_OP_ROPE_STORE,  /* rotate q and k in QKV, store k and v in the layer's cache */
    OSL_OP_ATTEND,      /* ATTN = attention(QKV's q, cache), with sinks and window */
    OSL_OP_ROUTE,       /* top-k of router logits: ids and weights, kept in SCRATCH */
    OSL_OP_EXPERT_UP,   /* EXPERT_H = swiglu(gate(NORM) + bg, up(NORM) + bu) per chosen expert */
    OSL_OP_EXPERT_DOWN, /* X += sum_k weight_k * (down_k(EXPERT_H) + bd) */
    OSL_OP_LOGITS,      /* LOGITS = rmsnorm(X) * gain, then W; for the rows the step asks for */
};

struct osl_op {
    enum osl_op_kind kind;
    uint32_t layer;
    enum osl_buffer in;
    enum osl_buffer out;
    uint32_t weight_count; /* MATMUL: 1..3, outputs concatenated */
    bool add;              /* MATMUL: add to out instead of writing */
    const struct osl_weight *weight[3]; /* EXPERT_UP: gate, up. RMSNORM, LOGITS: see gain */
    const struct osl_weight *bias[3];   /* F32, entry may be NULL */
    const struct osl_weight *gain;      /* RMSNORM, LOGITS: F32 [hidden] */
    const struct osl_weight *sinks;     /* ATTEND: F32 [heads] */
};

/* One layer's cache: [kv_head][capacity] rows of osl_kv_row_bytes for K, the same for V. */
struct osl_kv_layer {
    void *k;
    void *v;
    uint32_t capacity; /* positions held; multiple of OSL_ATTEND_BLOCK. p lives at p % capacity */
    uint32_t window;   /* 0: sees everything */
};

struct osl_schedule {
    struct osl_shape shape;
    struct osl_op ops[OSL_OPS_MAX];
    uint32_t op_count;
    enum osl_kv_type kv_type;
    struct osl_kv_layer kv[OSL_LAYERS_MAX];
    /* [context][head_dim/2] would be large; instead inverse frequencies and concentration, and the
     * executor computes the rows a step needs (double precision angle, then float). */
    float rope_inverse_frequency[OSL_HEAD_DIM_MAX / 2];
    float rope_concentration;
};

enum osl_step_kind { OSL_STEP_PREFILL, OSL_STEP_DECODE };

#define OSL_DECODE_TOKENS_MAX 8 /* in a DECODE step */

/* A step: token_count tokens of one sequence at consecutive positions. DECODE is through the matvec
 * path, for one token or a few of which each gets the bits of a step of its own; a weight is read
 * once for all. PREFILL is 1..prefill_tokens tokens through the matmul path: its numbers do
 * not depend on how a prompt is cut into steps, but differ in rounding from DECODE's. */
struct osl_step {
    enum osl_step_kind kind;
    uint32_t token_count;
    uint32_t position_first;
    const int32_t *tokens;
    uint32_t logits_row_first; /* rows [first, first+count) of the step get logits */
    uint32_t logits_row_count; /* 0: none (the LOGITS op is skipped); those of a DECODE step, and
                                * 1 of a PREFILL, go through matvec */
};

#endif
