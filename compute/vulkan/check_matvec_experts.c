/* Checks of the decode launches of the experts. */
#include "compute/vulkan/check_decode.h"

#include <math.h>
#include <string.h>

#define NORM_SHARE 4e-6f  /* f32 sum of squares, inverse square root to 2 ulp, two products */
#define ROUTE_SHARE 2e-5f /* exp to 3 ulp + 2 ulp for each unit of its argument, division 2.5 */

/* Two experts alike, of which the first must come first, and both be chosen now and then; a
 * counter left behind would show when it all runs again. */
enum osl_status osl_mv_check_router(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                    void *memory, uint64_t bytes, float *worst_out,
                                    struct osl_error *error)
{
    struct osl_mv w;
    const struct osl_shape *s = &c->shape;
    const struct osl_vk_net *net = &rig->net;
    osl_mv_open(&w, rig, c, s, memory, bytes, error);
    struct osl_mv_weight weight;
    struct osl_vk_vector gain = {0};
    osl_mv_make(&w, c->router, s->experts, s->hidden, 1, &weight);
    uint32_t twin = s->experts - 1, first = c->seed % twin;
    uint8_t *rows = osl_mv_take(&w, weight.host.expert_bytes);
    memcpy(rows, weight.host.data, weight.host.expert_bytes);
    memcpy(rows + twin * weight.host.row_bytes, rows + first * weight.host.row_bytes,
           weight.host.row_bytes);
    weight.host.data = rows;
    weight.bias = osl_mv_floats(&w, s->experts, 1.0f);
    weight.bias[first] = weight.bias[twin] = c->seed % 2 == 0 ? 30.0f : 0.25f;
    osl_mv_send_weight(&w, &weight, 1, 0.0f);
    const float *norm = osl_mv_send_norm(&w, net->buffer[OSL_BUFFER_X], &gain);
    if (osl_mv_begin(&w)) {
        w.status =
            osl_vk_router(&rig->recorder, net, &gain, &weight.device, &weight.bias_device, error);
    }
    osl_mv_run(&w);
    if (w.status == OSL_OK) {
        w.status = osl_vk_rig_rerun(rig, &osl_mv_step, error);
    }
    osl_mv_compare_rows(&w, &weight, norm, net->buffer[OSL_BUFFER_ROUTER], NULL);
    const float *got_norm = osl_mv_read(&w, net->buffer[OSL_BUFFER_NORM], s->hidden);
    const float *logits = osl_mv_read(&w, net->buffer[OSL_BUFFER_ROUTER], s->experts);
    const uint32_t *ids = osl_mv_read(&w, net->routes, s->experts_used);
    uint32_t used_all = net->limits.prefill_tokens * s->experts_used;
    const float *weights = osl_mv_read(&w, net->routes + used_all, s->experts_used);
    uint16_t ids_wanted[OSL_EXPERTS_USED_MAX];
    float weights_wanted[OSL_EXPERTS_USED_MAX];
    if (w.status == OSL_OK) {
        osl_route(logits, s->experts, s->experts_used, ids_wanted, weights_wanted);
        for (uint32_t k = 0; k < s->experts_used; k++) {
            osl_mv_compare(&w, ids[k], ids_wanted[k], 0.5);
            float logit = logits[ids_wanted[0]] - logits[ids_wanted[k]];
            osl_mv_compare(&w, weights[k], weights_wanted[k],
                           ROUTE_SHARE * weights_wanted[k] * (1.0f + logit / 16.0f) + 1e-30);
        }
        for (uint32_t i = 0; i < s->hidden; i++) {
            osl_mv_compare(&w, got_norm[i], norm[i], NORM_SHARE * fabs(norm[i]) + 1e-30);
        }
    }
    *worst_out = w.worst;
    return w.status;
}

/* Experts chosen, the last among them, and their weights. */
static void send_routes(struct osl_mv *w, uint32_t *ids, float **weights_out)
{
    const struct osl_shape *s = &w->shape;
    const struct osl_vk_net *net = &w->rig->net;
    uint32_t used_all = net->limits.prefill_tokens * s->experts_used;
    uint32_t from = (uint32_t)(osl_mv_random(w) % s->experts);
    for (uint32_t k = 0; k < s->experts_used; k++) {
        ids[k] = (from + s->experts - 1 - k) % s->experts;
    }
    ids[s->experts_used / 2] = ids[0];
    ids[0] = s->experts - 1;
    *weights_out = osl_mv_floats(w, s->experts_used, 1.0f);
    osl_mv_send(w, net->routes, ids, s->experts_used);
    osl_mv_send(w, net->routes + used_all, *weights_out, s->experts_used);
}

/* What a gate and an up that are off make of it. swiglu(g, u) = g sigmoid(a g) (u + 1): the first
 * part's slope is at most 1.1. */
static double swiglu_allowed(double gate, double up, double gate_allowed, double up_allowed)
{
    return 1.2 * gate_allowed * (fabs(up) + 1.0) + up_allowed * fabs(gate) +
           1e-6 * (fabs(gate) + 1.0) * (fabs(up) + 1.0);
}

enum osl_status osl_mv_check_expert_up(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                       void *memory, uint64_t bytes, float *worst_out,
                                       struct osl_error *error)
{
    struct osl_mv w;
    struct osl_shape s = c->shape;
    s.ff = osl_mv_fewer(s.ff, OSL_MV_ROWS);
    osl_mv_open(&w, rig, c, &s, memory, bytes, error);
    struct osl_mv_weight weight[2];
    struct osl_vk_matrix matrices[2] = {{0}};
    struct osl_vk_vector biases[2] = {{{0}, 0}};
    for (uint32_t i = 0; i < 2; i++) {
        osl_mv_make(&w, c->expert, s.ff, s.hidden, s.experts, &weight[i]);
        osl_mv_send_weight(&w, &weight[i], 2, i == 0 && c->seed % 3 == 0 ? 0.0f : 1.0f);
        matrices[i] = weight[i].device;
        biases[i] = weight[i].bias_device;
    }
    uint32_t ids[OSL_EXPERTS_USED_MAX];
    float *weights;
    send_routes(&w, ids, &weights);
    const float *x = osl_mv_floats(&w, s.hidden, 3.0f);
    osl_mv_send(&w, rig->net.buffer[OSL_BUFFER_NORM], x, s.hidden);
    if (osl_mv_begin(&w)) {
        w.status = osl_vk_expert_up(&rig->recorder, &rig->net, matrices, biases, error);
    }
    osl_mv_run(&w);
    const float *got = osl_mv_read(&w, rig->net.buffer[OSL_BUFFER_EXPERT_H], s.experts_used * s.ff);
    for (uint32_t i = 0; w.status == OSL_OK && i < s.experts_used * s.ff; i++) {
        double allowed[2];
        float gate = (float)osl_mv_row(&w, &weight[0], ids[i / s.ff], i % s.ff, x, &allowed[0]);
        float up = (float)osl_mv_row(&w, &weight[1], ids[i / s.ff], i % s.ff, x, &allowed[1]);
        float want = gate;
        osl_kernels_find("plain")->swiglu(&want, &up, 1, s.swiglu_alpha, s.swiglu_limit);
        osl_mv_compare(&w, got[i], want,
                       swiglu_allowed(fmin(gate, s.swiglu_limit), fmin(up, s.swiglu_limit),
                                      allowed[0], allowed[1]));
    }
    *worst_out = w.worst;
    return w.status;
}

enum osl_status osl_mv_check_expert_down(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                         void *memory, uint64_t bytes, float *worst_out,
                                         struct osl_error *error)
{
    struct osl_mv w;
    struct osl_shape s = c->shape;
    s.hidden = osl_mv_fewer(s.hidden, OSL_MV_ROWS);
    osl_mv_open(&w, rig, c, &s, memory, bytes, error);
    struct osl_mv_weight weight;
    osl_mv_make(&w, c->expert, s.hidden, s.ff, s.experts, &weight);
    osl_mv_send_weight(&w, &weight, 4, c->seed % 3 == 0 ? 0.0f : 1.0f);
    uint32_t ids[OSL_EXPERTS_USED_MAX];
    float *weights;
    send_routes(&w, ids, &weights);
    const float *h = osl_mv_floats(&w, s.experts_used * s.ff, 2.0f);
    const float *old = osl_mv_floats(&w, s.hidden, 3.0f);
    osl_mv_send(&w, rig->net.buffer[OSL_BUFFER_EXPERT_H], h, s.experts_used * s.ff);
    osl_mv_send(&w, rig->net.buffer[OSL_BUFFER_X], old, s.hidden);
    if (osl_mv_begin(&w)) {
        w.status = osl_vk_expert_down(&rig->recorder, &rig->net, &weight.device,
                                      &weight.bias_device, error);
    }
    osl_mv_run(&w);
    const float *got = osl_mv_read(&w, rig->net.buffer[OSL_BUFFER_X], s.hidden);
    for (uint32_t row = 0; w.status == OSL_OK && row < s.hidden; row++) {
        double want = old[row], allowed = OSL_MV_SUM_SHARE * fabs(want);
        for (uint32_t k = 0; k < s.experts_used; k++) {
            double off;
            want += weights[k] * osl_mv_row(&w, &weight, ids[k], row, h + k * s.ff, &off);
            allowed += fabs(weights[k]) * off;
        }
        osl_mv_compare(&w, got[row], want, allowed);
    }
    *worst_out = w.worst;
    return w.status;
}
