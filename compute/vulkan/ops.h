/* The ops on Vulkan: what each launch function records, and where things lie on the device.
 *
 * A launch takes everything it needs from struct osl_vk_net and its own arguments, chooses a
 * shader variant by the device's facts, gets the pipeline (boot time) and records one or more
 * dispatches. Specialization constants hold widths (cols, head_dim, group, experts, used) and the
 * workgroup's shape; push constants hold offsets and counts of rows. The plain C op is the
 * specification of every launch.
 *
 * Storage bindings, the same for every shader (shaders/bindings.glsl):
 *   0 STEP   struct osl_gpu_step, then tokens
 *   1 ACT    all activations, f32; offsets in floats, multiples of 64
 *   2 VEC    this layer's f32 vectors (gains, biases, sinks); offsets in floats
 *   3 AUX    the op's own
 *   4..7     W0..W3: slabs of a weight; or K (4) and V (5) of this layer's cache
 * Barriers: a launch sets dispatch.barrier on its first dispatch and wherever it needs one itself,
 * unless its `joins` argument says that it does not depend on the launch before it.
 *
 * Results of a row never depend on which rows, tokens or workgroups share a dispatch, so splitting
 * a prompt in any way gives the same bits (prefill against prefill, decode against decode). */
#ifndef OSL_VK_OPS_H
#define OSL_VK_OPS_H

#include "compute/schedule.h"
#include "compute/vulkan/vk.h"
#include "shaders/args.h"

#define OSL_VK_SLABS_MAX 4

/* How a weight's bytes lie on the device. Planes: all rows' elements first, then all rows' scales,
 * per expert. NATIVE: as in the file, for memory that is shared with it. */
enum osl_vk_layout {
    OSL_VK_F32 = 0,
    OSL_VK_F16 = 1,
    OSL_VK_BF16 = 2,
    OSL_VK_Q8_0 = 3,  /* int8 [rows][cols], then f16 [rows][scale_stride] */
    OSL_VK_MXFP4 = 4, /* 16 bytes a block as in the file [rows][cols/32], then e8m0
                       * [rows][scale_stride] */
    OSL_VK_Q8_0_NATIVE = 5,
    OSL_VK_MXFP4_NATIVE = 6,
};
/* Scales of a row, padded so that rows begin at 4 bytes: cols/32 up to a multiple of 2 (Q8_0) or
 * 4 (MXFP4). */
uint32_t osl_vk_scale_stride(enum osl_vk_layout layout, uint32_t cols);
/* Bytes of a row's elements, and of its scales where they lie apart (else 0). */
uint64_t osl_vk_matrix_row_bytes(enum osl_vk_layout layout, uint32_t cols);
uint64_t osl_vk_scale_row_bytes(enum osl_vk_layout layout, uint32_t cols);
/* Bytes of [rows][cols] in a layout, scales included, up to a multiple of 256. */
uint64_t osl_vk_matrix_bytes(enum osl_vk_layout layout, uint32_t rows, uint32_t cols);
/* Offset of the scale plane in it; 0 for layouts without one. */
uint64_t osl_vk_scales_offset(enum osl_vk_layout layout, uint32_t rows, uint32_t cols);
/* Re-lays rows [first, first + count) of a matrix of `rows` rows. file_rows: row `first` as the
 * file has it; out: the matrix's first byte. The padding behind a row's scales becomes zero. */
void osl_vk_relayout(enum osl_vk_layout layout, const void *file_rows, uint32_t first,
                     uint32_t count, uint32_t rows, uint32_t cols, uint8_t *out);

/* A weight on the device. Dense weights are cut by rows into slabs, expert weights by experts;
 * every slab is a matrix of its own (or several, one an expert, expert_bytes apart) and fits one
 * binding. Slab s holds rows (or experts) [s * per_slab, ...). */
struct osl_vk_matrix {
    enum osl_vk_layout layout;
    uint32_t rows, cols, experts;
    uint32_t slab_count;
    uint32_t per_slab;     /* rows, or experts where experts > 1 */
    uint64_t expert_bytes; /* between experts in a slab */
    struct osl_vk_binding slab[OSL_VK_SLABS_MAX * 4]; /* dense weights may have more than 4 */
};

/* The layout a weight type gets. */
enum osl_vk_layout osl_vk_layout_of(enum osl_dtype dtype, bool native);
/* Cuts a weight into as few slabs of at most slab_bytes as can be, alike in size; everything but
 * slab[] is filled. False: it would take too many. */
bool osl_vk_matrix_cut(enum osl_vk_layout layout, uint32_t rows, uint32_t cols, uint32_t experts,
                       uint64_t slab_bytes, struct osl_vk_matrix *out);
/* Bytes of a slab, a multiple of 256. */
uint64_t osl_vk_slab_bytes(const struct osl_vk_matrix *matrix, uint32_t slab);

/* Where a vector lies: floats from the start of its layer's VEC binding. */
struct osl_vk_vector {
    struct osl_vk_binding vec;
    uint32_t offset;
};
#define OSL_VK_NO_VECTOR UINT32_MAX /* offset of a bias that is not there */

/* One layer's cache: [kv_head][capacity] rows each, as osl_kv_layer. */
struct osl_vk_kv {
    struct osl_vk_binding k, v;
    uint32_t capacity, window;
};

/* Everything the launches share. */
struct osl_vk_net {
    struct osl_vk_device *device;
    struct osl_shape shape;
    enum osl_kv_type kv_type;
    struct osl_executor_limits_vk {
        uint32_t prefill_tokens, logits_rows, context_tokens;
    } limits;
    struct osl_vk_binding step; /* binding 0 */
    struct osl_vk_binding act;  /* binding 1 */
    uint32_t buffer[OSL_BUFFER_COUNT]; /* offsets in ACT, floats; SCRATCH's is the executor's */
    uint32_t parts;    /* ATTEND's partial results, OSL_VK_PARTS_FLOATS */
    uint32_t routes;   /* [token][used] expert ids (uint), then weights (float) behind all ids */
    uint32_t groups;   /* tokens sorted by expert: osl_vk_groups_words */
    uint32_t counters; /* [OSL_GPU_COUNTERS] uint, zero between dispatches that use them */
    struct osl_vk_binding rope; /* AUX of attention: what osl_vk_rope_fill makes */
};

/* ---- Decode: one token. op_matvec.c ------------------------------------------------------- */

/* QKV = rmsnorm(X, gain) W + b; weights q, k, v, outputs side by side. */
enum osl_status osl_vk_qkv(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                           const struct osl_vk_vector *gain, const struct osl_vk_matrix weight[3],
                           const struct osl_vk_vector bias[3], struct osl_error *error);
/* X += ATTN W + b. */
enum osl_status osl_vk_attn_out(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                const struct osl_vk_matrix *weight,
                                const struct osl_vk_vector *bias, struct osl_error *error);
/* NORM = rmsnorm(X, gain); ROUTER = NORM W + b; routes = top-k and their softmax, as osl_route. */
enum osl_status osl_vk_router(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              const struct osl_vk_vector *gain, const struct osl_vk_matrix *weight,
                              const struct osl_vk_vector *bias, struct osl_error *error);
/* EXPERT_H[k] = swiglu(gate(NORM) + bg, up(NORM) + bu) for the chosen experts. Biases are
 * [experts][ff]. */
enum osl_status osl_vk_expert_up(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                 const struct osl_vk_matrix weight[2],
                                 const struct osl_vk_vector bias[2], struct osl_error *error);
/* X += sum_k weight_k (down_k(EXPERT_H[k]) + b). */
enum osl_status osl_vk_expert_down(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                   const struct osl_vk_matrix *weight,
                                   const struct osl_vk_vector *bias, struct osl_error *error);
/* LOGITS row 0 = rmsnorm(X[step.logits_row_first], gain) W; nothing where the step asks for none.
 * A dispatch for every three slabs. */
enum osl_status osl_vk_logits(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              const struct osl_vk_vector *gain, const struct osl_vk_matrix *weight,
                              struct osl_error *error);

/* ---- Attention and elementwise. op_attend.c, op_rows.c ------------------------------------ */

/* What `rope` holds: of every pair the turns that one position makes, as a binary fraction of 64
 * bits (high words, then low words), then the concentration; OSL_VK_ROPE_WORDS in all.
 *   inverse_frequency [head_dim/2], radians a position */
#define OSL_VK_ROPE_WORDS(head_dim) ((head_dim) + 1u)
void osl_vk_rope_fill(uint32_t *words_out, uint32_t head_dim, const float *inverse_frequency,
                      float concentration);

/* X[t] = table[tokens[t]] for the step's tokens; table in host memory or on the device. */
enum osl_status osl_vk_embed(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                             const struct osl_vk_matrix *table, struct osl_error *error);
/* NORM[t] = rmsnorm(X[t], gain) for the step's tokens. */
enum osl_status osl_vk_rmsnorm(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                               const struct osl_vk_vector *gain, struct osl_error *error);
/* Rotates q of QKV[t] in place, rotates k on the way to the cache, stores k and v. Prefill. */
enum osl_status osl_vk_rope_store(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                  const struct osl_vk_kv *kv, struct osl_error *error);
/* ATTN[t] = attention of every token of the step, causal, window, sinks. Prefill. */
enum osl_status osl_vk_attend_prefill(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                      const struct osl_vk_kv *kv,
                                      const struct osl_vk_vector *sinks,
                                      struct osl_error *error);
/* Decode: rotates q and k of QKV, stores k and v, attends split over the context, merges with the
 * sinks into ATTN. One dispatch where the last workgroup to finish a kv head merges it. */
enum osl_status osl_vk_attend_decode(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                     const struct osl_vk_kv *kv,
                                     const struct osl_vk_vector *sinks, struct osl_error *error);
/* Floats `parts` must hold. */
uint64_t osl_vk_parts_floats(const struct osl_shape *shape, uint32_t context_tokens);

/* ---- Prefill matmuls. op_matmul.c, op_experts.c ------------------------------------------- */

/* out[t] (stride out_cols, from column out_first) = in[t] W + b, or += with add; for the step's
 * tokens; with rows_of_logits for the rows that the step asks logits of, in = NORM of X made by
 * osl_vk_norm_logits_rows, out row 0 upward. A barrier before it, whatever joins says: all
 * activations are one buffer to synchronization validation. */
enum osl_status osl_vk_matmul(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              enum osl_buffer in, enum osl_buffer out, uint32_t out_cols,
                              uint32_t out_first, const struct osl_vk_matrix *weight,
                              const struct osl_vk_vector *bias, bool add, bool rows_of_logits,
                              bool joins, struct osl_error *error);
/* QKV[t] = NORM[t] W + b for the step's tokens, three weights side by side: one dispatch where the
 * weights are alike. */
enum osl_status osl_vk_qkv_prefill(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                   const struct osl_vk_matrix weight[3],
                                   const struct osl_vk_vector bias[3], struct osl_error *error);
/* NORM[i] = rmsnorm(X[logits_row_first + i], gain), i < logits_row_count. op_rows.c */
enum osl_status osl_vk_norm_logits_rows(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                        const struct osl_vk_vector *gain,
                                        struct osl_error *error);
/* routes[t] from ROUTER[t], then tokens grouped by expert into groups. */
enum osl_status osl_vk_route_group(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                   struct osl_error *error);
uint64_t osl_vk_groups_words(const struct osl_shape *shape, uint32_t prefill_tokens);
/* EXPERT_H[t][k] = swiglu(gate(NORM[t]) + bg, up(NORM[t]) + bu), expert routes[t][k]. */
enum osl_status osl_vk_expert_up_prefill(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                         const struct osl_vk_matrix weight[2],
                                         const struct osl_vk_vector bias[2],
                                         struct osl_error *error);
/* EXPERT_Y[t][k] = down(EXPERT_H[t][k]) + b; X[t] += sum_k weight_k EXPERT_Y[t][k]. */
enum osl_status osl_vk_expert_down_prefill(struct osl_vk_recorder *r,
                                           const struct osl_vk_net *net,
                                           const struct osl_vk_matrix *weight,
                                           const struct osl_vk_vector *bias,
                                           struct osl_error *error);

/* ---- Picking. op_pick.c ------------------------------------------------------------------- */

/* What picking works on, beside LOGITS row 0. */
struct osl_vk_pick_net {
    struct osl_vk_binding seen;    /* uint [vocab]: times each token counts as seen */
    struct osl_vk_binding allowed; /* uint [(vocab+31)/32] */
    struct osl_vk_binding result;  /* struct osl_gpu_pick_result; only ever written */
    struct osl_vk_binding scratch; /* struct osl_gpu_pick_scratch, zeroed once by the host */
};
struct osl_pick; /* compute/backend.h */
/* The step buffer's part for picks whose first goes to ring[ring_index]; the allowed set and the
 * seen counts are the caller's to upload. */
void osl_vk_pick_fill(const struct osl_pick *pick, uint32_t ring_index, struct osl_gpu_pick *out);
/* Picks the next token by struct osl_gpu_pick in the step buffer (bias, penalties, mask, greedy or
 * a draw), writes it to the ring, and makes the step buffer that of the next decode step. */
enum osl_status osl_vk_pick(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                            const struct osl_vk_pick_net *pick, struct osl_error *error);
/* The candidates for a host that filters (top-k, top-p, min-p): the best OSL_GPU_CANDIDATES or
 * more (or all there are, or all down to 31 below the best), their logits after bias and
 * penalties, and log sum exp over all. Any token left out has a lower logit than all of them. The
 * step buffer stays as it is; inverse_temperature must not be 0. */
enum osl_status osl_vk_candidates(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                  const struct osl_vk_pick_net *pick, struct osl_error *error);

#endif
