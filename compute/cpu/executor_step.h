/* Inside the executor: its state, what a thread carries through a step, and the phases between
 * barriers. executor.c owns init and the walk, executor_scratch.c the layout of SCRATCH,
 * executor_decode*.c, executor_prefill.c and executor_experts.c the ops. */
#ifndef OSL_EXECUTOR_STEP_H
#define OSL_EXECUTOR_STEP_H

#include "compute/executor.h"

#define OSL_KV_HEADS_MAX 256
#define OSL_CHUNK_ROWS_MAX 256 /* rows of a weight in one piece of decode work */
#define OSL_QUERY_TILE 32      /* query tokens in one piece of prefill attention */

/* Quantised activations: rows of int8, and per block of 32 a scale and a sum. */
struct osl_q8_layout {
    uint64_t q;
    uint64_t scale;
    uint64_t sum;
};

/* Byte offsets in SCRATCH. Pure function of shape and limits: osl_scratch_layout. */
struct osl_scratch_layout {
    struct osl_q8_layout act; /* prefill: rows of the op's input, of any of the inputs */
    uint64_t rope_cos;        /* [tokens][head_dim/2] f32 */
    uint64_t rope_sin;
    uint64_t route_ids;     /* [tokens][used] u16 */
    uint64_t route_weights; /* [tokens][used] f32 */
    uint64_t group_token;   /* [tokens*used] u32: which token, sorted by expert */
    uint64_t group_place;   /* [tokens][used] u32: where in that order */
    uint64_t group_begin;   /* [experts+1] u32 */
    uint64_t parts;         /* [kv_heads][tokens][segments] parts of decode attention */
    uint32_t segments_max;
    uint64_t thread; /* first thread's private part */
    uint64_t thread_bytes;

    /* Offsets in a private part. Matvec ops (decode, and a single row of logits): */
    uint64_t norm;            /* [tokens][hidden] f32 */
    struct osl_q8_layout own; /* rows of the input of a matvec */
    uint64_t prepared; /* OSL_MATVEC_TOKENS_SCRATCH_BYTES of the widest input */
    uint64_t heads; /* [group + 1][head_dim] f32: rotated query heads, then the key head */
    uint64_t rows;  /* [tokens][used][OSL_CHUNK_ROWS_MAX] f32 */
    /* Prefill ops, in the same place: */
    uint64_t unpacked; /* OSL_MATMUL_SCRATCH_BYTES of the widest input */
    uint64_t tile;     /* [2][tokens][OSL_MATMUL_TILE_ROWS] f32 */
    uint64_t attend;   /* OSL_ATTEND_SCRATCH_BYTES */

    uint64_t bytes;
};

void osl_scratch_layout(const struct osl_shape *shape, const struct osl_executor_limits *limits,
                        struct osl_scratch_layout *layout_out);

/* What the threads share between two barriers. There are two, used in turn: while one is in use
 * thread 0 readies the other, which everyone has left. */
struct osl_phase {
    struct osl_share share;
    struct osl_share near[OSL_THREADS_MAX]; /* decode: of each thread's own stretch */
    bool stop; /* thread 0's reading of the abort flag, the same for all */
};

/* What time and bytes are counted by: an op, or a part of one. */
enum osl_slot {
    OSL_SLOT_EMBED,
    OSL_SLOT_RMSNORM,
    OSL_SLOT_QKV,
    OSL_SLOT_ROPE,
    OSL_SLOT_ATTEND,
    OSL_SLOT_ATTEND_WINDOW,
    OSL_SLOT_OUT,
    OSL_SLOT_ROUTER,
    OSL_SLOT_ROUTE,
    OSL_SLOT_EXPERT_UP,
    OSL_SLOT_EXPERT_DOWN,
    OSL_SLOT_QUANTIZE,
    OSL_SLOT_ADD_EXPERTS,
    OSL_SLOT_LOGITS,
    OSL_SLOT_COUNT
};

struct osl_tally {
    uint32_t runs;
    uint64_t ns;                   /* by thread 0; with config.profile */
    _Atomic(uint64_t) waited_ns;   /* at barriers, all threads together */
    uint64_t bytes;
    uint64_t operations[OSL_DTYPE_END]; /* of matrices of this type */
};

#define OSL_STEP_KINDS 2

struct osl_executor {
    struct osl_executor_config config;
    struct osl_shape shape;
    struct osl_scratch_layout layout;
    const struct osl_step *step; /* of the running step */
    struct osl_phase phases[2];
    atomic_uint parts_done[OSL_KV_HEADS_MAX]; /* parts of a kv head that are finished */
    uint64_t weight_bytes;                    /* thread 0 counts */
    bool aborted;
    bool q8_norm; /* weights that read NORM, ATTN, EXPERT_H, or the last norm need q8 */
    bool q8_attn;
    bool q8_expert_h;
    bool q8_logits;
    bool q8_router; /* the router reads quantised activations too */
    _Atomic(uint64_t) bandwidth_sink;
    struct osl_tally tally[OSL_STEP_KINDS][OSL_SLOT_COUNT]; /* since they were taken */
    double peak[OSL_DTYPE_END]; /* operations/s that a matmul of the type can reach; 0: not known */
};

/* An expert that tokens of a decode step chose, and which of them: token * used + slot, rising. */
struct osl_expert_use {
    uint16_t expert;
    uint16_t count;
    uint16_t place[OSL_DECODE_TOKENS_MAX]; /* a token chooses an expert at most once */
};
#define OSL_ROUTES_MAX (OSL_DECODE_TOKENS_MAX * OSL_EXPERTS_USED_MAX)

/* One thread in a step. */
struct osl_worker {
    struct osl_executor *executor;
    uint32_t index;
    uint32_t count;
    uint32_t phase;                           /* barriers passed */
    enum osl_slot slot;
    uint64_t slot_ns;                         /* thread 0: when it began */
    uint8_t *own;                             /* private part of SCRATCH */
    /* Decode: every thread routes for itself. */
    float route_weights[OSL_ROUTES_MAX]; /* [tokens][used] */
    struct osl_expert_use uses[OSL_ROUTES_MAX];
    uint32_t use_count;
};

/* The next piece of [0, end), or end: pieces of a thread's own stretch in order, so that what the
 * kernels prefetch past a piece is its next one, then those that others are behind with. */
static inline uint32_t osl_worker_take_near(struct osl_worker *worker, uint32_t end)
{
    struct osl_phase *phase = &worker->executor->phases[worker->phase % 2];
    for (uint32_t i = 0; i < worker->count; i++) {
        uint32_t thread = (worker->index + i) % worker->count;
        uint32_t first = (uint32_t)((uint64_t)end * thread / worker->count);
        uint32_t count = (uint32_t)((uint64_t)end * (thread + 1) / worker->count) - first;
        uint32_t taken = osl_share_take(&phase->near[thread], 1, count);
        if (taken < count) {
            return first + taken;
        }
    }
    return end;
}

/* The next piece of this phase's work: a start below end, or end. */
static inline uint32_t osl_worker_take(struct osl_worker *worker, uint32_t grain, uint32_t end)
{
    if (grain == 1 && worker->executor->step->kind == OSL_STEP_DECODE) {
        return osl_worker_take_near(worker, end);
    }
    return osl_share_take(&worker->executor->phases[worker->phase % 2].share, grain, end);
}

/* What follows is slot's, until another is entered or gone back to; returns what it was. By all
 * threads, at the same place. */
enum osl_slot osl_worker_enter(struct osl_worker *worker, enum osl_slot slot);
void osl_worker_back(struct osl_worker *worker, enum osl_slot slot);
enum osl_slot osl_slot_of(const struct osl_schedule *schedule, const struct osl_op *op);

/* Thread 0 counts for the slot: `matrices` experts of a weight read, and `products` of one of them
 * with a token's row. */
void osl_worker_count(const struct osl_worker *worker, const struct osl_weight *weight,
                      uint64_t matrices, uint64_t products);
/* Bytes of the cache. */
void osl_worker_count_bytes(const struct osl_worker *worker, uint64_t bytes);

/* The barrier, timed with config.profile. */
void osl_worker_wait(struct osl_worker *worker);

/* Ends a phase: all threads meet. False when the step is aborted: return at once. */
bool osl_worker_meet(struct osl_worker *worker);

static inline float *osl_buffer_f32(const struct osl_executor *executor, enum osl_buffer buffer)
{
    return (float *)executor->config.buffer[buffer];
}

static inline void *osl_scratch_at(const struct osl_executor *executor, uint64_t offset)
{
    return (uint8_t *)executor->config.buffer[OSL_BUFFER_SCRATCH] + offset;
}

/* First byte of a row of an expert of a weight. */
static inline const void *osl_weight_row(const struct osl_weight *weight, uint32_t expert,
                                         uint32_t row)
{
    return (const uint8_t *)weight->data + expert * weight->expert_bytes + row * weight->row_bytes;
}

/* A bias vector of an expert, from `row` on; NULL if there is none. */
static inline const float *osl_bias_row(const struct osl_weight *bias, uint32_t expert,
                                        uint32_t row)
{
    return bias == NULL ? NULL : (const float *)bias->data + (uint64_t)expert * bias->cols + row;
}

/* Columns of a row of the buffer an op reads. */
uint32_t osl_input_cols(const struct osl_executor *executor, enum osl_buffer buffer);

/* Table functions of a weight's dtype. */
static inline bool osl_weight_q8(const struct osl_executor *executor,
                                 const struct osl_weight *weight)
{
    return executor->config.kernels->quantized[weight->dtype];
}

/* A kv head of a layer's cache, as the attention kernels see it. */
struct osl_kv_view osl_layer_view(const struct osl_executor *executor, uint32_t layer,
                                  uint32_t kv_head);
/* Its row of a position, in K or V. */
void *osl_layer_row(const struct osl_executor *executor, uint32_t layer, bool value,
                    uint32_t kv_head, uint32_t position);

/* Tokens a DECODE step may have. */
static inline uint32_t osl_decode_tokens(const struct osl_executor_limits *limits)
{
    return limits->decode_tokens > 0 ? limits->decode_tokens : 1;
}

/* One op; false when aborted. The tokens' cos and sin rows are ready. */
bool osl_decode_op(struct osl_worker *worker, const struct osl_op *op);
bool osl_prefill_op(struct osl_worker *worker, const struct osl_op *op);

/* executor_decode_attend.c: rotation, the tokens' rows into the cache, attention. */
bool osl_decode_attend(struct osl_worker *worker, const struct osl_op *op);

/* Logits of the step's tokens [first, first + count), as many as a decode step may have, through
 * matvec: both kinds of step. */
bool osl_decode_logits(struct osl_worker *worker, const struct osl_op *op, uint32_t first,
                       uint32_t count);

#endif
