/* The schedule as recorded commands: a command buffer a layer and kind of step, so that a
 * submission can hold any run of layers, and one for a whole token. */
#include "compute/vulkan/executor.h"

#include <stddef.h>
#include <string.h>

/* ---- What can be recorded ---------------------------------------------------------------- */

/* The order of a layer's ops. Decode records several of them as one launch, so none may be missing
 * or stand elsewhere. */
static const enum osl_op_kind layer_order[] = {
    OSL_OP_RMSNORM, OSL_OP_MATMUL, OSL_OP_ROPE_STORE, OSL_OP_ATTEND,    OSL_OP_MATMUL,
    OSL_OP_RMSNORM, OSL_OP_MATMUL, OSL_OP_ROUTE,      OSL_OP_EXPERT_UP, OSL_OP_EXPERT_DOWN,
};
enum { AT_ATTN_NORM, AT_QKV, AT_ROPE, AT_ATTEND, AT_OUT, AT_MLP_NORM, AT_ROUTER, AT_ROUTE, AT_UP,
       AT_DOWN, LAYER_OPS };

static bool layer_fits(const struct osl_op *ops, uint32_t layer)
{
    for (uint32_t i = 0; i < LAYER_OPS; i++) {
        if (ops[i].kind != layer_order[i] || ops[i].layer != layer) {
            return false;
        }
    }
    return ops[AT_QKV].out == OSL_BUFFER_QKV && ops[AT_QKV].weight_count == 3 &&
           ops[AT_OUT].out == OSL_BUFFER_X && ops[AT_OUT].add &&
           ops[AT_OUT].weight_count == 1 && ops[AT_ROUTER].out == OSL_BUFFER_ROUTER &&
           ops[AT_ROUTER].weight_count == 1 && ops[AT_UP].weight_count == 2 &&
           ops[AT_DOWN].weight_count == 1 && ops[AT_ATTEND].sinks != NULL;
}

enum osl_status osl_vulkan_check_schedule(const struct osl_schedule *schedule,
                                          struct osl_error *error)
{
    uint32_t layers = schedule->shape.layers;
    bool fits = layers >= 1 && layers <= OSL_LAYERS_MAX &&
                schedule->op_count == layers * LAYER_OPS + 2 &&
                schedule->ops[0].kind == OSL_OP_EMBED &&
                schedule->ops[schedule->op_count - 1].kind == OSL_OP_LOGITS &&
                (uint32_t)schedule->kv_type < OSL_KV_TYPES;
    for (uint32_t layer = 0; fits && layer < layers; layer++) {
        fits = layer_fits(&schedule->ops[1 + layer * LAYER_OPS], layer);
    }
    return fits ? OSL_OK
                : osl_fail(error, OSL_UNSUPPORTED,
                           "the Vulkan backend records the forward pass of gpt-oss only, and this "
                           "schedule is not it");
}

/* ---- Launches ---------------------------------------------------------------------------- */

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum osl_status try_status = (call);                                                       \
        if (try_status != OSL_OK) {                                                                \
            return try_status;                                                                     \
        }                                                                                          \
    } while (0)

static enum osl_status record_decode_layer(struct osl_vulkan *v, uint32_t layer,
                                           struct osl_error *error)
{
    struct osl_vk_recorder *r = &v->recorder;
    const struct osl_vk_net *net = &v->net;
    const struct osl_vk_bound *at = &v->bound[1 + layer * LAYER_OPS];
    TRY(osl_vk_qkv(r, net, &at[AT_ATTN_NORM].gain, at[AT_QKV].weight, at[AT_QKV].bias, error));
    TRY(osl_vk_attend_decode(r, net, &v->kv[layer], &at[AT_ATTEND].sinks, error));
    TRY(osl_vk_attn_out(r, net, &at[AT_OUT].weight[0], &at[AT_OUT].bias[0], error));
    TRY(osl_vk_router(r, net, &at[AT_MLP_NORM].gain, &at[AT_ROUTER].weight[0],
                      &at[AT_ROUTER].bias[0], error));
    TRY(osl_vk_expert_up(r, net, at[AT_UP].weight, at[AT_UP].bias, error));
    return osl_vk_expert_down(r, net, &at[AT_DOWN].weight[0], &at[AT_DOWN].bias[0], error);
}

static enum osl_status record_matmul(struct osl_vulkan *v, const struct osl_op *op,
                                     const struct osl_vk_bound *at, struct osl_error *error)
{
    OSL_ASSERT(op->weight_count == 1);
    return osl_vk_matmul(&v->recorder, &v->net, op->in, op->out, op->weight[0]->rows, 0,
                         &at->weight[0], &at->bias[0], op->add, false, false, error);
}

static enum osl_status record_prefill_layer(struct osl_vulkan *v, uint32_t layer,
                                            struct osl_error *error)
{
    struct osl_vk_recorder *r = &v->recorder;
    const struct osl_vk_net *net = &v->net;
    const struct osl_vk_kv *kv = &v->kv[layer];
    const struct osl_op *op = &v->config.schedule->ops[1 + layer * LAYER_OPS];
    const struct osl_vk_bound *at = &v->bound[1 + layer * LAYER_OPS];
    TRY(osl_vk_rmsnorm(r, net, &at[AT_ATTN_NORM].gain, error));
    TRY(osl_vk_qkv_prefill(r, net, at[AT_QKV].weight, at[AT_QKV].bias, error));
    TRY(osl_vk_rope_store(r, net, kv, error));
    TRY(osl_vk_attend_prefill(r, net, kv, &at[AT_ATTEND].sinks, error));
    TRY(record_matmul(v, &op[AT_OUT], &at[AT_OUT], error));
    TRY(osl_vk_rmsnorm(r, net, &at[AT_MLP_NORM].gain, error));
    TRY(record_matmul(v, &op[AT_ROUTER], &at[AT_ROUTER], error));
    TRY(osl_vk_route_group(r, net, error));
    TRY(osl_vk_expert_up_prefill(r, net, at[AT_UP].weight, at[AT_UP].bias, error));
    return osl_vk_expert_down_prefill(r, net, &at[AT_DOWN].weight[0], &at[AT_DOWN].bias[0], error);
}

static const struct osl_vk_bound *last_op(const struct osl_vulkan *v)
{
    return &v->bound[v->config.schedule->op_count - 1];
}

static enum osl_status record_logits_one(struct osl_vulkan *v, uint32_t layer,
                                         struct osl_error *error)
{
    const struct osl_vk_bound *at = last_op(v);
    return osl_vk_logits(&v->recorder, &v->net, &at->gain, &at->weight[0], error);
}

static enum osl_status record_logits_rows(struct osl_vulkan *v, uint32_t layer,
                                          struct osl_error *error)
{
    const struct osl_vk_bound *at = last_op(v);
    TRY(osl_vk_norm_logits_rows(&v->recorder, &v->net, &at->gain, error));
    return osl_vk_matmul(&v->recorder, &v->net, OSL_BUFFER_NORM, OSL_BUFFER_LOGITS,
                         v->net.shape.vocab, 0, &at->weight[0], &at->bias[0], false, true, false,
                         error);
}

static enum osl_status record_embed(struct osl_vulkan *v, uint32_t layer, struct osl_error *error)
{
    return osl_vk_embed(&v->recorder, &v->net, &v->bound[0].weight[0], error);
}

static enum osl_status record_token(struct osl_vulkan *v, uint32_t layer, struct osl_error *error)
{
    TRY(record_embed(v, 0, error));
    for (uint32_t l = 0; l < v->net.shape.layers; l++) {
        TRY(record_decode_layer(v, l, error));
    }
    return record_logits_one(v, 0, error);
}

/* The step block, and as many tokens as the kind of step has. What ran before may still be reading
 * the step buffer. */
static enum osl_status record_load(struct osl_vulkan *v, uint32_t kind, struct osl_error *error)
{
    uint64_t tokens = kind == OSL_STEP_DECODE ? 1 : v->places.limits.prefill_tokens;
    osl_vk_record_barrier(&v->recorder);
    osl_vk_record_copy(&v->recorder, v->up, 0, v->step, 0,
                       sizeof(struct osl_gpu_step) + tokens * 4);
    osl_vk_record_barrier(&v->recorder);
    return OSL_OK;
}

static enum osl_status record_load_draws(struct osl_vulkan *v, uint32_t unused,
                                         struct osl_error *error)
{
    const uint64_t at = offsetof(struct osl_gpu_step, pick.uniform_draw);
    osl_vk_record_barrier(&v->recorder);
    osl_vk_record_copy(&v->recorder, v->up, at, v->step, at, OSL_GPU_RING * 4);
    osl_vk_record_barrier(&v->recorder);
    return OSL_OK;
}

/* The step that a pick leaves has sizes for indirect dispatches, and the host reads the token. */
static enum osl_status record_pick(struct osl_vulkan *v, uint32_t unused, struct osl_error *error)
{
    TRY(osl_vk_pick(&v->recorder, &v->net, &v->pick, error));
    osl_vk_record_barrier(&v->recorder);
    return OSL_OK;
}

static enum osl_status record_candidates(struct osl_vulkan *v, uint32_t unused,
                                         struct osl_error *error)
{
    TRY(osl_vk_candidates(&v->recorder, &v->net, &v->pick, error));
    osl_vk_record_barrier(&v->recorder);
    return OSL_OK;
}

static enum osl_status record_reset(struct osl_vulkan *v, uint32_t unused, struct osl_error *error)
{
    v->device.CmdResetQueryPool(v->recorder.now, v->recorder.queries, 0, 2 * OSL_VK_TIMES_MAX);
    return OSL_OK;
}

/* ---- Recording --------------------------------------------------------------------------- */

typedef enum osl_status record_fn(struct osl_vulkan *v, uint32_t argument,
                                  struct osl_error *error);

/* One command buffer. */
static enum osl_status record(struct osl_vulkan *v, record_fn *fill, uint32_t argument,
                              VkCommandBuffer *out, struct osl_error *error)
{
    struct osl_vk_recorder *r = &v->recorder;
    TRY(osl_vk_record_begin(r, error));
    uint32_t index = r->command_count - 1;
    v->query_first[index] = r->query_count;
    enum osl_status status = fill(v, argument, error);
    v->query_end[index] = r->query_count;
    enum osl_status ended = osl_vk_record_end(r, out, error);
    return status == OSL_OK ? ended : status;
}

enum osl_status osl_vulkan_record_all(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_commands *c = &v->commands;
    *c = (struct osl_vk_commands){0};
    TRY(record(v, record_load, OSL_STEP_PREFILL, &c->load[OSL_STEP_PREFILL], error));
    TRY(record(v, record_load, OSL_STEP_DECODE, &c->load[OSL_STEP_DECODE], error));
    TRY(record(v, record_embed, 0, &c->embed, error));
    for (uint32_t l = 0; l < v->net.shape.layers; l++) {
        TRY(record(v, record_prefill_layer, l, &c->layer[OSL_STEP_PREFILL][l], error));
        TRY(record(v, record_decode_layer, l, &c->layer[OSL_STEP_DECODE][l], error));
    }
    TRY(record(v, record_logits_one, 0, &c->logits_one, error));
    TRY(record(v, record_logits_rows, 0, &c->logits_rows, error));
    TRY(record(v, record_load_draws, 0, &c->load_draws, error));
    TRY(record(v, record_candidates, 0, &c->candidates, error));
    TRY(record(v, record_pick, 0, &c->pick, error));
    v->report.dispatches_per_token = v->recorder.dispatches;
    v->report.barriers_per_token = v->recorder.barriers;
    v->report.submissions_per_token = 1;
    if (v->recorder.queries != VK_NULL_HANDLE) {
        TRY(record(v, record_reset, 0, &c->reset_queries, error));
    }
    TRY(record(v, osl_vulkan_record_stream, 0, &c->stream, error));
    TRY(record(v, record_token, 0, &c->token, error));
    v->report.dispatches_per_token += v->recorder.dispatches;
    v->report.barriers_per_token += v->recorder.barriers;
    return OSL_OK;
}
