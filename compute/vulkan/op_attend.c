/* Launches of attention, and the shapes of their workgroups, chosen by the device's facts. */
#include <math.h>

#include "compute/vulkan/ops.h"

#define LOG2_E 1.4426950408889634
#define CHUNK_DIMS 8 /* dimensions in a 16-byte load of an f16 cache */

/* Decode: workgroups that share a kv head's keys. 32 times 8 kv heads fill the largest GPUs (132
 * multiprocessors) twice; with more, merging them would take longer: the last one reads
 * PARTS * group * head_dim floats, 64 KiB here. Up to 2,048 visible keys each of them has one block
 * of OSL_ATTEND_BLOCK. A software device has a thread or so for each CPU. */
#define PARTS_MAX 32
#define PARTS_SOFTWARE 8
/* Decode: query heads of a workgroup. It holds their sums in registers (8 floats a head and lane)
 * and their queries in shared memory; more heads are other workgroups, which read the same keys
 * from the cache of the device. */
#define DECODE_HEADS_MAX 8
#define DECODE_QUERY_FLOATS 512 /* heads * head_dim at most, 2 KiB */
#define DECODE_LANES_MAX 128    /* what every device has */
#define PREFILL_LANES 64
#define PREFILL_TILE_FLOATS 2048 /* of keys, and of values, in shared memory: 8 KiB each */

enum {
    SPEC_LANES = 0,
    SPEC_SUBGROUP = 1,
    SPEC_HEAD_DIM = 8,
    SPEC_GROUP = 9,
    SPEC_KV_TYPE = 10,
    SPEC_HEADS = 11,
    SPEC_PARTS = 12,  /* decode */
    SPEC_TOKENS = 12, /* prefill */
    SPEC_TILE = 13,
    SPEC_TEAMS = 14,  /* decode */
    SPEC_STAGED = 14, /* prefill */
    SPEC_LANE_CHUNKS = 15,
    SPEC_ONE_SUBGROUP = 16,
    SPEC_MERGE_FLOATS = 17,
    SPECS = 18,
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t parts_up(uint32_t value, uint32_t step)
{
    return (value + step - 1) / step;
}

/* ---- Decode ------------------------------------------------------------------------------ */

static uint32_t decode_heads(const struct osl_shape *shape)
{
    uint32_t group = shape->heads / shape->kv_heads;
    return most(1, least(least(group, DECODE_HEADS_MAX), DECODE_QUERY_FLOATS / shape->head_dim));
}

/* Workgroups for every part. */
static uint32_t decode_columns(const struct osl_shape *shape)
{
    return shape->kv_heads * parts_up(shape->heads / shape->kv_heads, decode_heads(shape));
}

uint64_t osl_vk_parts_floats(const struct osl_shape *shape, uint32_t context_tokens)
{

    uint64_t part = (uint64_t)decode_heads(shape) * (shape->head_dim + 4);
    return (uint64_t)decode_columns(shape) * PARTS_MAX * part;
}

/* No more than the aligned blocks that a window can touch. */
static uint32_t decode_parts(const struct osl_vk_net *net, const struct osl_vk_kv *kv)
{
    bool software = net->device->facts->type == OSL_VK_SOFTWARE;
    uint32_t parts = software ? PARTS_SOFTWARE : PARTS_MAX;
    return kv->window != 0 ? least(parts, parts_up(kv->window - 1, OSL_ATTEND_BLOCK) + 1) : parts;
}

static uint32_t decode_shared_bytes(const uint32_t spec[SPECS])
{
    uint32_t dim = spec[SPEC_HEAD_DIM], heads = spec[SPEC_HEADS];
    uint32_t weights = spec[SPEC_TEAMS] * spec[SPEC_TILE] * parts_up(heads, 4) * 16;
    uint32_t floats = dim + heads * dim + 2 * dim + heads + spec[SPEC_MERGE_FLOATS] +
                      (spec[SPEC_TEAMS] + 1) * heads + 1;
    return floats * 4 + weights + 64; /* and some alignment */
}

/* Everything that follows from the number of lanes. A team is a subgroup (any width from
 * subgroup_min up), or the whole workgroup. */
static void decode_size(uint32_t spec[SPECS], uint32_t lanes, uint32_t team_min)
{
    uint32_t chunks = spec[SPEC_HEAD_DIM] / CHUNK_DIMS;
    uint32_t rows = parts_up(lanes, least(chunks, team_min)); /* of sums to be merged, at most */
    spec[SPEC_LANES] = lanes;
    spec[SPEC_TEAMS] = most(1, lanes / team_min);
    spec[SPEC_LANE_CHUNKS] = parts_up(chunks, team_min);
    spec[SPEC_MERGE_FLOATS] =
        most(rows * (spec[SPEC_HEAD_DIM] + 1), 2 * spec[SPEC_HEADS] * spec[SPEC_PARTS]);
}

/* Subgroups of 32 and a tile of 32 keys, or 64 and 64: a key to a lane, and no workgroup barrier
 * until the teams are merged; 128 lanes give a GPU of 32-wide subgroups four independent streams a
 * workgroup to hide latency with. Where subgroups may be narrow (8, Intel), so many teams would not
 * fit 16 KiB, so the workgroup becomes smaller. Without subgroups 64 lanes meet three times a tile.
 * A software device runs one subgroup: then no barrier of the workgroup is left, which there costs
 * a switch of stacks. */
static void decode_spec(const struct osl_vk_net *net, const struct osl_vk_kv *kv,
                        uint32_t spec[SPECS])
{
    const struct osl_vk_facts *facts = net->device->facts;
    const struct osl_shape *s = &net->shape;
    bool software = facts->type == OSL_VK_SOFTWARE;
    bool subgroup = net->device->subgroup;
    spec[SPEC_SUBGROUP] = facts->subgroup_size;
    spec[SPEC_HEAD_DIM] = s->head_dim;
    spec[SPEC_GROUP] = s->heads / s->kv_heads;
    spec[SPEC_KV_TYPE] = net->kv_type;
    spec[SPEC_HEADS] = decode_heads(s);
    spec[SPEC_PARTS] = decode_parts(net, kv);
    spec[SPEC_TILE] = subgroup && !software && facts->subgroup_size < 64 ? 32 : 64;
    spec[SPEC_ONE_SUBGROUP] = subgroup && software;
    uint32_t lanes = software ? facts->subgroup_size : subgroup ? DECODE_LANES_MAX : 64;
    uint32_t team_min = subgroup ? least(facts->subgroup_min, lanes) : lanes;
    decode_size(spec, lanes, team_min);
    while (decode_shared_bytes(spec) > facts->shared_bytes && lanes / 2 >= facts->subgroup_size) {
        lanes /= 2;
        team_min = subgroup ? team_min : lanes;
        decode_size(spec, lanes, team_min);
    }
}

enum osl_status osl_vk_attend_decode(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                     const struct osl_vk_kv *kv, const struct osl_vk_vector *sinks,
                                     struct osl_error *error)
{
    const struct osl_shape *s = &net->shape;
    uint32_t columns = decode_columns(s);
    OSL_ASSERT(columns <= OSL_GPU_COUNTERS);
    OSL_ASSERT(kv->capacity % OSL_ATTEND_BLOCK == 0 && kv->capacity > kv->window);
    uint32_t spec[SPECS] = {0};
    decode_spec(net, kv, spec);
    const struct {
        uint32_t qkv, attn, parts, counters, sinks, kv_heads, capacity, window;
        float scale;
    } push = {
        net->buffer[OSL_BUFFER_QKV],
        net->buffer[OSL_BUFFER_ATTN],
        net->parts,
        net->counters,
        sinks->offset,
        s->kv_heads,
        kv->capacity,
        kv->window,
        (float)(LOG2_E / sqrt((double)s->head_dim)),
    };
    const struct osl_vk_pipeline *pipeline = NULL;
    const char *shader = net->device->subgroup ? "attend_decode_subgroup" : "attend_decode";
    enum osl_status status =
        osl_vk_pipeline_get(net->device, shader, spec, SPECS, &pipeline, error);
    if (status != OSL_OK) {
        return status;
    }
    const struct osl_vk_dispatch dispatch = {
        .pipeline = pipeline,
        .bind = {[0] = net->step,
                 [1] = net->act,
                 [2] = sinks->vec,
                 [3] = net->rope,
                 [4] = kv->k,
                 [5] = kv->v},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_FIXED, .x = columns, .y = spec[SPEC_PARTS], .z = 1},
        .barrier = true,
        .name = kv->window != 0 ? "attend window" : "attend",
    };
    return osl_vk_record(r, &dispatch, error);
}

/* ---- Prefill ----------------------------------------------------------------------------- */

/* A lane for every query: head_dim floats of query and as many of sums are registers, so 64 lanes
 * are two or four subgroups with room for several workgroups beside each other, and a tile of keys
 * unpacked into shared memory serves all of them at a load for 4 multiply-adds, or 4 times 64
 * lanes. A software device reads the cache itself: staging would cost it barriers, and its lanes
 * run one after another anyway. */
enum osl_status osl_vk_attend_prefill(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                      const struct osl_vk_kv *kv, const struct osl_vk_vector *sinks,
                                      struct osl_error *error)
{
    const struct osl_vk_facts *facts = net->device->facts;
    const struct osl_shape *s = &net->shape;
    bool software = facts->type == OSL_VK_SOFTWARE;
    uint32_t group = s->heads / s->kv_heads;
    uint32_t lanes = software ? facts->subgroup_size : PREFILL_LANES;
    uint32_t heads = least(group, lanes);
    uint32_t tokens = lanes / heads;
    uint32_t tile = most(8, least(32, PREFILL_TILE_FLOATS / s->head_dim / 8 * 8));
    const uint32_t spec[SPECS] = {
        [SPEC_LANES] = lanes,          [SPEC_SUBGROUP] = facts->subgroup_size,
        [SPEC_HEAD_DIM] = s->head_dim, [SPEC_GROUP] = group,
        [SPEC_KV_TYPE] = net->kv_type, [SPEC_HEADS] = heads,
        [SPEC_TOKENS] = tokens,        [SPEC_TILE] = tile,
        [SPEC_STAGED] = !software,
    };
    const struct {
        uint32_t qkv, attn, sinks, kv_heads, capacity, window;
        float scale;
    } push = {
        net->buffer[OSL_BUFFER_QKV],
        net->buffer[OSL_BUFFER_ATTN],
        sinks->offset,
        s->kv_heads,
        kv->capacity,
        kv->window,
        (float)(LOG2_E / sqrt((double)s->head_dim)),
    };
    const struct osl_vk_pipeline *pipeline = NULL;
    enum osl_status status =
        osl_vk_pipeline_get(net->device, "attend_prefill", spec, SPECS, &pipeline, error);
    if (status != OSL_OK) {
        return status;
    }
    const struct osl_vk_dispatch dispatch = {
        .pipeline = pipeline,
        .bind = {[0] = net->step, [1] = net->act, [2] = sinks->vec, [4] = kv->k, [5] = kv->v},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_TOKENS,
                   .x = s->kv_heads * parts_up(group, heads),
                   .z = 1,
                   .tile = tokens},
        .barrier = true,
        .name = kv->window != 0 ? "attend window" : "attend",
    };
    return osl_vk_record(r, &dispatch, error);
}
