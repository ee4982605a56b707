/* The forward pass of gpt-oss, written once as operations. Reads like the model: see the formats
 * note, section 2. */
#include "engine.h"

static struct osl_op *append(struct osl_schedule *schedule, enum osl_op_kind kind, uint32_t layer,
                             enum osl_buffer in, enum osl_buffer out)
{
    OSL_ASSERT(schedule->op_count < OSL_OPS_MAX);
    struct osl_op *op = &schedule->ops[schedule->op_count++];
    *op = (struct osl_op){.kind = kind, .layer = layer, .in = in, .out = out};
    return op;
}

static void append_norm(struct osl_schedule *schedule, uint32_t layer,
                        const struct osl_weight *gain)
{
    append(schedule, OSL_OP_RMSNORM, layer, OSL_BUFFER_X, OSL_BUFFER_NORM)->gain = gain;
}

static struct osl_op *append_matmul(struct osl_schedule *schedule, uint32_t layer,
                                    enum osl_buffer in, enum osl_buffer out,
                                    const struct osl_weight *weight, const struct osl_weight *bias)
{
    struct osl_op *op = append(schedule, OSL_OP_MATMUL, layer, in, out);
    op->weight[0] = weight;
    op->bias[0] = bias;
    op->weight_count = 1;
    return op;
}

static void write_attention(struct osl_schedule *schedule, uint32_t layer,
                            const struct osl_layer_weights *w)
{
    append_norm(schedule, layer, &w->attn_norm);
    struct osl_op *qkv =
        append_matmul(schedule, layer, OSL_BUFFER_NORM, OSL_BUFFER_QKV, &w->q, &w->q_bias);
    qkv->weight[1] = &w->k;
    qkv->bias[1] = &w->k_bias;
    qkv->weight[2] = &w->v;
    qkv->bias[2] = &w->v_bias;
    qkv->weight_count = 3;
    append(schedule, OSL_OP_ROPE_STORE, layer, OSL_BUFFER_QKV, OSL_BUFFER_QKV);
    append(schedule, OSL_OP_ATTEND, layer, OSL_BUFFER_QKV, OSL_BUFFER_ATTN)->sinks = &w->sinks;
    append_matmul(schedule, layer, OSL_BUFFER_ATTN, OSL_BUFFER_X, &w->attn_out, &w->attn_out_bias)
        ->add = true;
}

static void write_experts(struct osl_schedule *schedule, uint32_t layer,
                          const struct osl_layer_weights *w)
{
    append_norm(schedule, layer, &w->mlp_norm);
    append_matmul(schedule, layer, OSL_BUFFER_NORM, OSL_BUFFER_ROUTER, &w->router, &w->router_bias);
    append(schedule, OSL_OP_ROUTE, layer, OSL_BUFFER_ROUTER, OSL_BUFFER_ROUTER);
    struct osl_op *up =
        append(schedule, OSL_OP_EXPERT_UP, layer, OSL_BUFFER_NORM, OSL_BUFFER_EXPERT_H);
    up->weight[0] = &w->gate;
    up->bias[0] = &w->gate_bias;
    up->weight[1] = &w->up;
    up->bias[1] = &w->up_bias;
    up->weight_count = 2;
    struct osl_op *down =
        append(schedule, OSL_OP_EXPERT_DOWN, layer, OSL_BUFFER_EXPERT_H, OSL_BUFFER_X);
    down->weight[0] = &w->down;
    down->bias[0] = &w->down_bias;
    down->weight_count = 1;
    down->add = true;
}

void osl_forward_write(struct osl_schedule *schedule, const struct osl_hparams *hparams,
                       const struct osl_model_weights *weights, enum osl_kv_type kv_type)
{
    schedule->shape = hparams->shape;
    schedule->op_count = 0;
    schedule->kv_type = kv_type;
    osl_yarn(hparams, schedule->rope_inverse_frequency, &schedule->rope_concentration);
    append(schedule, OSL_OP_EMBED, 0, OSL_BUFFER_X, OSL_BUFFER_X)->weight[0] = &weights->embed;
    for (uint32_t layer = 0; layer < schedule->shape.layers; layer++) {
        schedule->kv[layer].window = osl_layer_windowed(layer) ? schedule->shape.window : 0;
        write_attention(schedule, layer, &weights->layer[layer]);
        write_experts(schedule, layer, &weights->layer[layer]);
    }
    struct osl_op *logits = append(schedule, OSL_OP_LOGITS, 0, OSL_BUFFER_X, OSL_BUFFER_LOGITS);
    logits->gain = &weights->output_norm;
    logits->weight[0] = &weights->output;
    logits->weight_count = 1;
}
