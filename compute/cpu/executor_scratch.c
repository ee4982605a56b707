/* How much of each buffer a model needs, and what lies where in SCRATCH. */
#include "executor_step.h"

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Takes bytes from the end of what is placed so far; every part starts a cache line. */
static uint64_t take(uint64_t *end, uint64_t bytes)
{
    uint64_t at = *end;
    *end = (at + bytes + 63) / 64 * 64;
    return at;
}

/* Quantised or packed, whichever the table wants. */
#define BLOCK_BYTES_MAX OSL_PACK_BLOCK_BYTES(2)
_Static_assert(BLOCK_BYTES_MAX >= OSL_ACT_BLOCK_BYTES, "either fits");

static struct osl_q8_layout take_q8(uint64_t *end, uint64_t elements)
{
    struct osl_q8_layout layout;
    layout.q = take(end, elements / OSL_BLOCK_COLS * BLOCK_BYTES_MAX);
    layout.scale = take(end, elements / OSL_BLOCK_COLS * sizeof(float));
    layout.sum = take(end, elements / OSL_BLOCK_COLS * sizeof(int32_t));
    return layout;
}

/* Inputs are NORM [hidden], ATTN [heads * head_dim] and EXPERT_H [used][ff]. */
static uint64_t input_elements_max(const struct osl_shape *shape)
{
    uint64_t attn = (uint64_t)shape->heads * shape->head_dim;
    return max_u64(max_u64(shape->hidden, attn), (uint64_t)shape->experts_used * shape->ff);
}

static uint32_t input_cols_max(const struct osl_shape *shape)
{
    uint64_t attn = (uint64_t)shape->heads * shape->head_dim;
    return (uint32_t)max_u64(max_u64(shape->hidden, attn), shape->ff);
}

/* Threads are a line apart from being a page apart: caches would map them to the same sets. */
#define THREAD_SKEW_BYTES 192

static void layout_thread(const struct osl_shape *shape, uint32_t tokens, uint64_t decode_tokens,
                          struct osl_scratch_layout *layout)
{
    uint64_t matvec_end = 0;
    uint32_t group = shape->heads / shape->kv_heads;
    layout->norm = take(&matvec_end, decode_tokens * shape->hidden * sizeof(float));
    layout->own = take_q8(&matvec_end, decode_tokens * input_elements_max(shape));
    layout->prepared = take(
        &matvec_end, OSL_MATVEC_TOKENS_SCRATCH_BYTES(input_cols_max(shape), decode_tokens));
    layout->heads = take(&matvec_end, (uint64_t)(group + 1) * shape->head_dim * sizeof(float));
    layout->rows = take(&matvec_end, decode_tokens * shape->experts_used * OSL_CHUNK_ROWS_MAX *
                                         sizeof(float));

    uint64_t matmul_end = 0;
    uint64_t tile_bytes = (uint64_t)tokens * OSL_MATMUL_TILE_ROWS * sizeof(float);
    layout->unpacked = take(&matmul_end, OSL_MATMUL_SCRATCH_BYTES(input_cols_max(shape)));
    layout->tile = take(&matmul_end, 2 * tile_bytes);
    layout->attend = 0;

    layout->thread_bytes =
        max_u64(max_u64(matvec_end, matmul_end), OSL_ATTEND_SCRATCH_BYTES) + THREAD_SKEW_BYTES;
}

void osl_scratch_layout(const struct osl_shape *shape, const struct osl_executor_limits *limits,
                        struct osl_scratch_layout *layout_out)
{
    struct osl_scratch_layout *layout = layout_out;
    uint64_t end = 0;
    uint64_t tokens = limits->prefill_tokens > 0 ? limits->prefill_tokens : 1;
    uint64_t routes = tokens * shape->experts_used;
    uint64_t rope_bytes = tokens * (shape->head_dim / 2) * sizeof(float);
    layout->act = take_q8(&end, tokens * input_elements_max(shape));
    layout->rope_cos = take(&end, rope_bytes);
    layout->rope_sin = take(&end, rope_bytes);
    layout->route_ids = take(&end, routes * sizeof(uint16_t));
    layout->route_weights = take(&end, routes * sizeof(float));
    layout->group_token = take(&end, routes * sizeof(uint32_t));
    layout->group_place = take(&end, routes * sizeof(uint32_t));
    layout->group_begin = take(&end, ((uint64_t)shape->experts + 1) * sizeof(uint32_t));
    /* A window that is no longer than a segment touches two of them. */
    layout->segments_max = limits->context_tokens / OSL_ATTEND_SEGMENT + 2;
    uint32_t group = shape->heads / shape->kv_heads;
    uint64_t decode_tokens = osl_decode_tokens(limits);
    layout->parts =
        take(&end, shape->kv_heads * decode_tokens * layout->segments_max *
                       OSL_ATTEND_PART_FLOATS((uint64_t)group, shape->head_dim) * sizeof(float));
    layout_thread(shape, (uint32_t)tokens, decode_tokens, layout);
    layout->thread = end;
    layout->bytes = end + limits->thread_count * layout->thread_bytes;
}

void osl_executor_need(const struct osl_shape *shape, const struct osl_executor_limits *limits,
                       struct osl_buffer_need need_out[OSL_BUFFER_COUNT])
{
    struct osl_scratch_layout layout;
    osl_scratch_layout(shape, limits, &layout);
    uint64_t tokens = limits->prefill_tokens > 0 ? limits->prefill_tokens : 1;
    uint64_t row = tokens * sizeof(float);
    uint64_t used = shape->experts_used;
    uint64_t qkv = ((uint64_t)shape->heads + 2 * (uint64_t)shape->kv_heads) * shape->head_dim;
    uint64_t logits_rows = limits->logits_rows > 0 ? limits->logits_rows : 1;
    const struct osl_buffer_need needs[OSL_BUFFER_COUNT] = {
        [OSL_BUFFER_X] = {"residual stream", row * shape->hidden, OSL_STAGE_ATTN_NORM,
                          OSL_STAGE_LOGITS},
        [OSL_BUFFER_NORM] = {"normalised input", row * shape->hidden, OSL_STAGE_ATTN_NORM,
                             OSL_STAGE_LOGITS},
        [OSL_BUFFER_QKV] = {"queries, keys, values", row * qkv, OSL_STAGE_QKV, OSL_STAGE_ATTEND},
        [OSL_BUFFER_ATTN] = {"attention output", row * shape->heads * shape->head_dim,
                             OSL_STAGE_ATTEND, OSL_STAGE_ATTN_OUT},
        /* Decode starts on the experts while other threads still choose theirs. */
        [OSL_BUFFER_ROUTER] = {"router logits", row * shape->experts, OSL_STAGE_ROUTE,
                               OSL_STAGE_EXPERT_UP},
        [OSL_BUFFER_EXPERT_H] = {"expert hidden", row * used * shape->ff, OSL_STAGE_EXPERT_UP,
                                 OSL_STAGE_EXPERT_DOWN},
        [OSL_BUFFER_EXPERT_Y] = {"expert output", row * used * shape->hidden, OSL_STAGE_EXPERT_DOWN,
                                 OSL_STAGE_EXPERT_DOWN},
        [OSL_BUFFER_LOGITS] = {"logits", logits_rows * shape->vocab * sizeof(float),
                               OSL_STAGE_LOGITS, OSL_STAGE_LOGITS},
        [OSL_BUFFER_SCRATCH] = {"executor scratch", layout.bytes, OSL_STAGE_ATTN_NORM,
                                OSL_STAGE_LOGITS},
    };
    for (uint32_t i = 0; i < OSL_BUFFER_COUNT; i++) {
        need_out[i] = needs[i];
        need_out[i].bytes = (needs[i].bytes + 63) / 64 * 64;
    }
}
