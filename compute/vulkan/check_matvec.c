/* Checks of the decode launches against the plain C ops: dequantised rows times a vector in double,
 * plain norm, swiglu and route. */
#include "compute/vulkan/check_decode.h"

static enum osl_status check_qkv(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                 void *memory, uint64_t bytes, float *worst_out,
                                 struct osl_error *error)
{
    struct osl_mv w;
    const struct osl_shape *s = &c->shape;
    osl_mv_open(&w, rig, c, s, memory, bytes, error);
    struct osl_mv_weight weight[3];
    struct osl_vk_matrix matrices[3] = {{0}};
    struct osl_vk_vector biases[3] = {{{0}, 0}}, gain = {0};
    const uint32_t rows[3] = {osl_mv_fewer(s->heads * s->head_dim, OSL_MV_ROWS),
                              osl_mv_fewer(s->kv_heads * s->head_dim, OSL_MV_ROWS / 4),
                              osl_mv_fewer(s->kv_heads * s->head_dim, OSL_MV_ROWS / 2)};
    for (uint32_t i = 0; i < 3; i++) {
        /* now and then v is of another type, and k has no bias */
        enum osl_dtype dtype = i == 2 && c->seed % 4 == 3 ? c->output : c->dense;
        osl_mv_make(&w, dtype, rows[i], s->hidden, 1, &weight[i]);
        osl_mv_send_weight(&w, &weight[i], 1, i == 1 && c->seed % 3 == 0 ? 0.0f : 1.0f);
        matrices[i] = weight[i].device;
        biases[i] = weight[i].bias_device;
    }
    const float *norm = osl_mv_send_norm(&w, rig->net.buffer[OSL_BUFFER_X], &gain);
    if (osl_mv_begin(&w)) {
        w.status = osl_vk_qkv(&rig->recorder, &rig->net, &gain, matrices, biases, error);
    }
    osl_mv_run(&w);
    uint32_t y = rig->net.buffer[OSL_BUFFER_QKV];
    for (uint32_t i = 0; i < 3; i++) {
        osl_mv_compare_rows(&w, &weight[i], norm, y, NULL);
        y += rows[i];
    }
    *worst_out = w.worst;
    return w.status;
}

static enum osl_status check_attn_out(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                      void *memory, uint64_t bytes, float *worst_out,
                                      struct osl_error *error)
{
    struct osl_mv w;
    const struct osl_shape *s = &c->shape;
    osl_mv_open(&w, rig, c, s, memory, bytes, error);
    struct osl_mv_weight weight;
    uint32_t cols = s->heads * s->head_dim;
    osl_mv_make(&w, c->dense, osl_mv_fewer(s->hidden, OSL_MV_ROWS), cols, 1, &weight);
    osl_mv_send_weight(&w, &weight, 1, c->seed % 3 == 0 ? 0.0f : 1.0f);
    const float *x = osl_mv_floats(&w, cols, 3.0f);
    const float *old = osl_mv_floats(&w, s->hidden, 3.0f);
    osl_mv_send(&w, rig->net.buffer[OSL_BUFFER_ATTN], x, cols);
    osl_mv_send(&w, rig->net.buffer[OSL_BUFFER_X], old, s->hidden);
    if (osl_mv_begin(&w)) {
        w.status =
            osl_vk_attn_out(&rig->recorder, &rig->net, &weight.device, &weight.bias_device, error);
    }
    osl_mv_run(&w);
    osl_mv_compare_rows(&w, &weight, x, rig->net.buffer[OSL_BUFFER_X], old);
    *worst_out = w.worst;
    return w.status;
}

static enum osl_status check_logits(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                    void *memory, uint64_t bytes, float *worst_out,
                                    struct osl_error *error)
{
    struct osl_mv w;
    const struct osl_shape *s = &c->shape;
    osl_mv_open(&w, rig, c, s, memory, bytes, error);
    struct osl_mv_weight weight;
    struct osl_vk_vector gain = {0};
    osl_mv_make(&w, c->output, s->vocab, s->hidden, 1, &weight);
    osl_mv_send_weight(&w, &weight, 5, 0.0f);
    uint32_t x = rig->net.buffer[OSL_BUFFER_X] + OSL_MV_LOGITS_ROW * s->hidden;
    const float *norm = osl_mv_send_norm(&w, x, &gain);
    if (osl_mv_begin(&w)) {
        w.status = osl_vk_logits(&rig->recorder, &rig->net, &gain, &weight.device, error);
    }
    osl_mv_run(&w);
    osl_mv_compare_rows(&w, &weight, norm, rig->net.buffer[OSL_BUFFER_LOGITS], NULL);
    *worst_out = w.worst;
    return w.status;
}

const struct osl_vk_check osl_vk_checks_matvec[] = {
    {"qkv", check_qkv},
    {"attention out", check_attn_out},
    {"router", osl_mv_check_router},
    {"expert up", osl_mv_check_expert_up},
    {"expert down", osl_mv_check_expert_down},
    {"logits", check_logits},
    {NULL, NULL},
};
