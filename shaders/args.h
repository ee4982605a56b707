/* Blocks that C and the shaders share. Included by both: only uint, int, float and fixed arrays,
 * std430 layout equal to C's. */
#ifndef OSL_SHADERS_ARGS_H
#define OSL_SHADERS_ARGS_H

#ifdef VULKAN /* glslang */
#define OSL_GPU_STRUCT
#define OSL_GPU_UINT uint
#define OSL_GPU_INT int
#define OSL_GPU_FLOAT float
#else
#include <stdint.h>
#define OSL_GPU_STRUCT struct
#define OSL_GPU_UINT uint32_t
#define OSL_GPU_INT int32_t
#define OSL_GPU_FLOAT float
#endif

#define OSL_GPU_SLOTS 48    /* indirect dispatches whose size depends on the step */
#define OSL_GPU_COUNTERS 1024
#define OSL_GPU_BIASES 64
#define OSL_GPU_RING 64     /* tokens a run ahead may be */
#define OSL_GPU_CANDIDATES 256
#define OSL_GPU_CANDIDATES_MAX (OSL_GPU_CANDIDATES * 4)
#define OSL_GPU_PICK_CHUNKS 256   /* pieces the vocabulary is picked from */
#define OSL_GPU_PICK_BUCKETS 2048 /* of falling logit, to find the candidates */

/* Rules of slots, as enum osl_vk_rule has them. */
#define OSL_GPU_RULE_TOKENS 1
#define OSL_GPU_RULE_TOKENS_X 2
#define OSL_GPU_RULE_LOGITS_ROWS 3
#define OSL_GPU_RULE_EXPERT_TILES 4
#define OSL_GPU_RULE_SEGMENTS 5

#define OSL_GPU_SEEN_USE 1  /* penalties are on */
#define OSL_GPU_SEEN_GROW 2 /* and what is picked counts as seen from then on */

/* VkDispatchIndirectCommand, and what it is made from, so that a shader can renew it. */
struct osl_gpu_slot {
    OSL_GPU_UINT x, y, z;
    OSL_GPU_UINT rule; /* enum osl_vk_rule */
    OSL_GPU_UINT tile;
    OSL_GPU_UINT pad0, pad1, pad2;
};

/* How the next token is picked. */
struct osl_gpu_pick {
    OSL_GPU_UINT token_count;  /* ids below it may be picked */
    OSL_GPU_UINT use_allowed;  /* the bit set is looked at */
    OSL_GPU_UINT use_seen;     /* OSL_GPU_SEEN_ bits; 0: no penalties */
    OSL_GPU_UINT bias_count;
    OSL_GPU_FLOAT inverse_temperature; /* 0: greedy; at most 1e8 */
    OSL_GPU_FLOAT repetition_penalty;
    OSL_GPU_FLOAT repetition_inverse; /* its reciprocal, rounded by the host: division is not exact
                                       * on a device */
    OSL_GPU_FLOAT presence_penalty;
    OSL_GPU_FLOAT frequency_penalty;
    OSL_GPU_UINT pad0, pad1, pad2;
    OSL_GPU_INT bias_token[OSL_GPU_BIASES];
    OSL_GPU_FLOAT bias_value[OSL_GPU_BIASES];
    OSL_GPU_FLOAT uniform_draw[OSL_GPU_RING]; /* in [0, 1), one for each token ahead */
};

/* The step buffer. Written by the host before a step; a pick turns it into the next decode step. */
struct osl_gpu_step {
    OSL_GPU_UINT token_count;
    OSL_GPU_UINT position_first;
    OSL_GPU_UINT logits_row_first;
    OSL_GPU_UINT logits_row_count;
    OSL_GPU_UINT ring_index; /* where the next picked token goes: result.ring[ring_index] */
    OSL_GPU_UINT pad0, pad1, pad2;
    OSL_GPU_STRUCT osl_gpu_slot slot[OSL_GPU_SLOTS];
    OSL_GPU_STRUCT osl_gpu_pick pick;
    /* int tokens[prefill_tokens] follows */
};

/* What picking leaves for the host. */
struct osl_gpu_pick_result {
    OSL_GPU_INT ring[OSL_GPU_RING]; /* -1: nothing could be picked */
    OSL_GPU_UINT candidate_count;   /* may exceed the room: then none are listed */
    OSL_GPU_FLOAT best;             /* largest logit after bias and penalties */
    OSL_GPU_FLOAT log_sum;          /* ln sum exp((logit - best) * inverse_temperature) */
    OSL_GPU_UINT pickable;          /* tokens that could be picked at all */
    OSL_GPU_INT candidate_token[OSL_GPU_CANDIDATES_MAX]; /* in no order */
    OSL_GPU_FLOAT candidate_logit[OSL_GPU_CANDIDATES_MAX];
};

/* What the picking shaders hand to one another. Zero before the first pick. */
struct osl_gpu_pick_scratch {
    OSL_GPU_UINT finished; /* workgroups so far; zero between dispatches */
    OSL_GPU_UINT gathered; /* candidates listed so far */
    OSL_GPU_UINT bucket_last; /* the last bucket whose tokens are candidates */
    OSL_GPU_FLOAT best;
    OSL_GPU_FLOAT chunk_best[OSL_GPU_PICK_CHUNKS];
    OSL_GPU_UINT chunk_token[OSL_GPU_PICK_CHUNKS];   /* the first that has it */
    OSL_GPU_FLOAT chunk_weight[OSL_GPU_PICK_CHUNKS]; /* sum exp((logit - chunk_best) / T) */
    OSL_GPU_UINT chunk_count[OSL_GPU_PICK_CHUNKS];   /* that can be picked */
    OSL_GPU_UINT bucket_count[OSL_GPU_PICK_BUCKETS];
};

/* Push constants of the picking shaders. */
struct osl_gpu_pick_push {
    OSL_GPU_UINT logits; /* offset in ACT, floats */
    OSL_GPU_UINT chunks;
    OSL_GPU_UINT experts;
    OSL_GPU_UINT experts_used;
};

/* ---- Push constants of the decode shaders (op_matvec.c). Offsets in ACT and VEC are floats, those
 * in slabs bytes. */
#define OSL_GPU_NONE 0xffffffffu /* a bias that is not there */

struct osl_gpu_matvec {
    OSL_GPU_UINT x, gain;
    OSL_GPU_FLOAT eps;
    OSL_GPU_UINT group_rows;     /* rows a workgroup makes */
    OSL_GPU_UINT group_first[3]; /* of each weight */
    OSL_GPU_UINT rows[3];
    OSL_GPU_UINT scales[3];
    OSL_GPU_UINT bias[3];
    OSL_GPU_UINT y[3];
    OSL_GPU_UINT address[6]; /* of each weight, low word first; for "_address" alone */
};

struct osl_gpu_router {
    OSL_GPU_UINT x, gain;
    OSL_GPU_FLOAT eps;
    OSL_GPU_UINT norm, router, ids, weights, counter;
    OSL_GPU_UINT scales, bias;
};

struct osl_gpu_expert_up {
    OSL_GPU_UINT x, h, ids;
    OSL_GPU_UINT rows, group_rows; /* of an expert */
    OSL_GPU_UINT per_slab, expert_bytes, scales;
    OSL_GPU_UINT bias[2];
    OSL_GPU_FLOAT alpha, limit;
};

struct osl_gpu_expert_down {
    OSL_GPU_UINT x, h, ids, weights;
    OSL_GPU_UINT rows, group_rows;
    OSL_GPU_UINT per_slab, expert_bytes, scales;
    OSL_GPU_UINT bias;
};

#endif
