/* The kernels of the CPU path: one table per instruction-set level, chosen once at boot.
 *
 * The plain table is the specification: f32 arithmetic, no quantised activations, written to be
 * obviously right, compiled without contraction. Faster tables quantise activations to 16 bits per
 * 32 for Q8_0 and MXFP4 weights (osl_act), as two planes of bytes so that the int8 dot products of
 * the hardware do all the work; other weight types multiply f32 activations. The second plane
 * costs arithmetic, which decode has to spare, and no bytes. A table's matvec may round them once
 * more, to 16 bits per 128 (grouped). 8 bits alone for every product were
 * measured on the fixtures to move log-probabilities by 0.03 to 0.08, and by 0.3 where a token's
 * routing flipped; a table that packs spends them in prefill where the executor asks for one
 * plane, see executor_prefill.h.
 *
 * Promises that every table keeps, because the executor relies on them:
 *  - a result depends only on the row of the weight and the activations of its own token: never
 *    on which rows, tokens or threads share the call. Splitting a call in any way gives the same
 *    bits (matmul against matmul, matvec against matvec; matvec and matmul may differ);
 *  - no allocation, no static mutable state; pointers need natural alignment only, unless said.
 *
 * cols is a multiple of 32 and at most OSL_COLS_MAX (verified when weights are bound). */
#ifndef OSL_KERNELS_H
#define OSL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtype.h"

#define OSL_COLS_MAX 16384
#define OSL_HEAD_DIM_MAX 256     /* head_dim is a multiple of 32 */
#define OSL_GROUP_MAX 32         /* query heads per kv head */
#define OSL_EXPERTS_MAX 256
#define OSL_EXPERTS_USED_MAX 16

/* Activations of one or more tokens, as a matmul reads them. For token t:
 *   f32   row f32 + t * f32_stride, [cols]
 *   q     row q + t * q_stride, [cols/32] blocks of int8 high[32], then int8 low[32], all of them
 *         within +-127; the integer of an element is 256 * high + low
 *   scale row scale + t * block_stride, f32 [cols/32]; value = integer * scale
 *   sum   row sum + t * block_stride, int32 [cols/32], the sum of the block's integers
 * q/scale/sum are filled by quantize and NULL where the table does not use them.
 *
 * For a matmul of a table that packs (below), q holds packed rows of `planes` planes instead, and
 * scale and sum are not read. */
#define OSL_ACT_BLOCK_BYTES 64             /* of q, for 32 elements */
#define OSL_ACT_ROW_BYTES(cols) (2 * (cols)) /* least q_stride */
#define OSL_ACT_GROUP 4                     /* blocks, in tables that group */
#define OSL_ACT_LIMIT 32512                 /* 127 * 256: the largest integer */

/* A packed row, for tables whose matmul wants all of an activation in one stream: blocks of a f32
 * scale and then one or two planes of 32 bytes. One plane: value = (byte - 128) * scale, 8 bits.
 * Two: the first is the high one, value = (256 * high + low - 32768) * scale, 16 bits. Where
 * pack_signed is set bytes are int8: value = byte * scale, and (256 * high + low) * scale. Where
 * pack_words is set two planes are int16 [32]: value = integer * scale. */
#define OSL_PACK_BLOCK_BYTES(planes) (4 + 32 * (planes))
#define OSL_PACK_ROW_BYTES(cols, planes) ((cols) / 32 * OSL_PACK_BLOCK_BYTES(planes))
#define OSL_PACK_LIMIT(planes) ((planes) == 2 ? OSL_ACT_LIMIT : 127)

struct osl_act {
    const float *f32;
    const int8_t *q;
    const float *scale;
    const int32_t *sum;
    uint32_t f32_stride;
    uint32_t q_stride;
    uint32_t block_stride;
    uint32_t planes; /* of packed rows: 1 or 2; else not read */

    /* What the caller multiplies next, for a matmul to prefetch while it computes; NULL: nothing
     * is known. */
    const void *ahead;
    uint64_t ahead_bytes;
};

/* out[r] = sum_c weight[r][c] * x[c] for r in [0, rows): one token (x row 0), one expert.
 *   out     [rows] f32, written
 *   weight  first row wanted; rows are row_bytes apart
 * Reads weight bytes once, in order, prefetching ahead (may touch, never fault, past the end). */
typedef void osl_matvec_fn(float *out, const void *weight, uint64_t row_bytes, uint32_t rows,
                           uint32_t cols, const struct osl_act *x);

/* The same for 2 or more tokens: out[t][r] of token t, whose row is row 0 of x[t]. Each token gets
 * matvec's bits, whatever the others are.
 *   scratch  OSL_MATVEC_TOKENS_SCRATCH_BYTES(cols, tokens) bytes private to the thread, 64-byte
 *            aligned: the activations as the rows want them */
typedef void osl_matvec_tokens_fn(float *const *out, const void *weight, uint64_t row_bytes,
                                  uint32_t rows, uint32_t cols, const struct osl_act *x,
                                  uint32_t tokens, void *scratch);
#define OSL_MATVEC_TOKENS_SCRATCH_BYTES(cols, tokens) \
    ((uint64_t)(tokens) * ((cols) / 32 + 4) * 128)

/* out[t * out_stride + r] = sum_c weight[r][c] * x[token(t)][c], t in [0, tokens), r in [0, rows),
 * token(t) = token_index ? token_index[t] : t, the row of x that is read.
 *   scratch  OSL_MATMUL_SCRATCH_BYTES(cols) bytes private to the thread, 64-byte aligned: a tile
 *            of rows unpacked once and used for every token.
 * Used for prefill; rows is best a multiple of OSL_MATMUL_TILE_ROWS but any value is right. */
typedef void osl_matmul_fn(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,
                           uint32_t rows, uint32_t cols, const struct osl_act *x,
                           const uint32_t *token_index, uint32_t tokens, void *scratch);
#define OSL_MATMUL_TILE_ROWS 32
#define OSL_MATMUL_SCRATCH_BYTES(cols) \
    ((uint64_t)OSL_MATMUL_TILE_ROWS * (cols) * 4 + OSL_MATMUL_TILE_ROWS * ((cols) / 32) * 8 + 4096)

/* Quantises one row of cols f32 per block of 32: scale = amax / OSL_ACT_LIMIT, integer =
 * nearest(x / scale), high = nearest(integer / 256), ties to even, low = what is left, held within
 * +-127 (so an integer may be off by one more). A block of zeros has scale 0. Non-finite input
 * gives q 0 and scale NaN. Every table gives the plain one's bits. */
typedef void osl_quantize_fn(int8_t *q, float *scale, int32_t *sum, const float *x, uint32_t cols);

/* Packs one row of cols f32: integer = nearest(x / scale) held within the limit, ties to even,
 * scale = amax / OSL_PACK_LIMIT(planes) of the block. Zeros and non-finite input as in quantize:
 * every integer is 0, the scale 0 or NaN. out: OSL_PACK_ROW_BYTES(cols, planes), 4-byte aligned. */
typedef void osl_pack_fn(uint8_t *out, const float *x, uint32_t cols, uint32_t planes);

/* out[c] = in[c] / sqrt(mean(in^2) + eps) * gain[c]; out may be in. */
typedef void osl_rmsnorm_fn(float *out, const float *in, const float *gain, uint32_t cols,
                            float eps);

/* gate[i] = g * sigmoid(alpha * g) * (u + 1), g = min(gate[i], limit), u = clamp(up[i], +-limit),
 * in place, n elements. Source: gpt-oss reference, swiglu (alpha 1.702, limit 7). */
typedef void osl_swiglu_fn(float *gate, const float *up, uint32_t n, float alpha, float limit);

/* Rotates `heads` heads of one token in place: pairs (i, i + head_dim/2), cos/sin [head_dim/2] of
 * its position, already times the YaRN concentration. */
typedef void osl_rope_fn(float *heads_data, uint32_t heads, uint32_t head_dim, const float *cos_row,
                         const float *sin_row);

/* ---- Cache and attention ----------------------------------------------------------------- */

enum osl_kv_type { OSL_KV_F16 = 0, OSL_KV_Q8 = 1 };
#define OSL_KV_TYPES 2

/* A cache row of one kv head and token: F16: head_dim halves. Q8: int8 [head_dim], then one f16
 * scale per 32 elements (value = q * scale). */
static inline uint32_t osl_kv_row_bytes(enum osl_kv_type type, uint32_t head_dim)
{
    return type == OSL_KV_F16 ? head_dim * 2 : head_dim + head_dim / OSL_BLOCK_COLS * 2;
}

/* Stores one head's row [head_dim] f32 into a cache row. */
typedef void osl_kv_store_fn(void *row, const float *in, uint32_t head_dim);

/* One kv head of one layer's cache. The row of absolute position p is at index p % capacity;
 * capacity is a multiple of OSL_ATTEND_BLOCK, so an aligned block of positions is contiguous. */
struct osl_kv_view {
    const void *k; /* [capacity] rows */
    const void *v;
    uint32_t capacity;
    uint32_t window; /* keys a query sees, itself included; 0: all */
};

#define OSL_ATTEND_BLOCK 64      /* keys handled at once, aligned in absolute position */
#define OSL_ATTEND_SEGMENT 1024  /* keys in one unit of decode work, aligned likewise */

struct osl_attend {
    const float *q;    /* first query token's first head of this group, rotated, f32 */
    float *out;        /* same place in the output */
    uint32_t q_stride; /* floats between tokens in q */
    uint32_t out_stride;
    uint32_t group; /* query heads of this kv head, consecutive, head_dim apart */
    uint32_t head_dim;
    float scale;        /* on q.k only */
    const float *sinks; /* [group], joins the softmax, not scaled */
    struct osl_kv_view kv;
};

/* Prefill: queries [0, tokens) at absolute positions first + i, causal and windowed; every key up
 * to first + tokens - 1 is in the cache. Online softmax over blocks aligned in absolute position,
 * so a query's bits do not depend on its neighbours in the call.
 *   scratch  OSL_ATTEND_SCRATCH_BYTES private to the thread, 64-byte aligned */
typedef void osl_attend_prefill_fn(const struct osl_attend *a, uint32_t first, uint32_t tokens,
                                   void *scratch);

/* Decode: one query at `position` against keys [key_begin, key_end), all visible to it (the
 * executor has applied the window), inside one segment. Writes partials per head h:
 *   part[h * (head_dim + 2)] = max score, [+1] = sum of exp(score - max), [+2..] = weighted V.
 * No sink here; osl_attend_merge adds it. */
typedef void osl_attend_part_fn(const struct osl_attend *a, uint32_t key_begin, uint32_t key_end,
                                float *part);
#define OSL_ATTEND_PART_FLOATS(group, head_dim) ((group) * ((head_dim) + 2))

/* Merges parts (in rising order of segment) with the sink into out. */
typedef void osl_attend_merge_fn(const struct osl_attend *a, const float *parts,
                                 uint32_t part_count);

/* A block of keys and values as f32, 64 * OSL_HEAD_DIM_MAX * 4 bytes each, and running sums. */
#define OSL_ATTEND_SCRATCH_BYTES (192 * 1024)

/* ---- Yardsticks -------------------------------------------------------------------------- */

/* Reads [data, data + bytes) as fast as the level can and does nothing with it; may leave out the
 * last 255 bytes. */
typedef void osl_read_fn(const void *data, uint64_t bytes);

/* A multiplying instruction, as fast as it goes: `rounds` (1..) rounds in registers alone. */
struct osl_peak {
    const char *instruction;
    void (*burst)(uint64_t rounds);
    uint32_t operations; /* of a round; a multiplication and its addition are two */
};

/* What bounds the matmul of a type of weight: its instruction, and how many products of that one
 * product of a weight takes. Two for activations of 16 bits as two planes of int8. */
struct osl_ceiling {
    const struct osl_peak *peak; /* NULL: unknown */
    uint32_t products;
};

/* ---- Tables ------------------------------------------------------------------------------ */

struct osl_kernels {
    const char *name; /* "plain", "avx2", "avxvnni", "avx512vnni", "neon", "dotprod", ... */
    bool quantized[OSL_DTYPE_END]; /* weight types whose kernels read q/scale/sum */
    bool grouped[OSL_DTYPE_END];   /* matvec brings them to one scale for OSL_ACT_GROUP blocks */
    osl_matvec_fn *matvec[OSL_DTYPE_END];
    osl_matvec_tokens_fn *matvec_tokens[OSL_DTYPE_END]; /* NULL: matvec, token by token */
    osl_matmul_fn *matmul[OSL_DTYPE_END];
    osl_quantize_fn *quantize;
    osl_pack_fn *pack; /* what quantized types read in matmul; NULL: what quantize makes */
    bool pack_signed;
    bool pack_words;
    osl_rmsnorm_fn *rmsnorm;
    osl_swiglu_fn *swiglu;
    osl_rope_fn *rope;
    osl_kv_store_fn *kv_store[OSL_KV_TYPES];
    osl_attend_prefill_fn *attend_prefill[OSL_KV_TYPES];
    osl_attend_part_fn *attend_part[OSL_KV_TYPES];
    osl_attend_merge_fn *attend_merge;
    struct osl_ceiling ceiling[OSL_DTYPE_END]; /* of matmul */
    osl_read_fn *read;                         /* NULL: nothing wider than C */
};

/* Every table this build holds and this CPU can run, best first; the last is always plain.
 * Returns how many were written (at most OSL_LEVELS_MAX). */
#define OSL_LEVELS_MAX 8
uint32_t osl_kernels_list(const struct osl_kernels *out[OSL_LEVELS_MAX]);

/* By name, or the best when name is NULL; NULL if unknown or not runnable here. */
const struct osl_kernels *osl_kernels_find(const char *name);

/* Dequantises one row to f32 (embedding lookup, tests). Any known dtype. */
void osl_dequantize_row(float *out, const void *row, enum osl_dtype dtype, uint32_t cols);

/* Router: the `used` largest of `experts` logits, ties to the lower index, largest first; weights
 * are the softmax over those only. Plain everywhere. Source: gpt-oss reference, MLPBlock. */
void osl_route(const float *logits, uint32_t experts, uint32_t used, uint16_t *ids_out,
               float *weights_out);

#endif
