/* Checks of routing and of the experts' products over several tokens. */
#include <math.h>
#include <string.h>

#include "compute/vulkan/check_matmul.h"

#define ROWS_CUT 149 /* rows of gate and up where more would only take longer */

/* ---- Routing ----------------------------------------------------------------------------- */

/* Router logits with many ties. Every fifth seed: all alike, so that the first experts get every
 * token and the others none. */
static float *make_logits(struct osl_check_products *p)
{
    uint32_t count = p->c->tokens * p->c->shape.experts;
    float *logits = osl_check_products_floats(p, count, 4.0f);
    for (uint32_t i = 0; i < count; i++) {
        logits[i] = p->c->seed % 5 == 3 ? 1.5f : rintf(logits[i] * 8.0f) / 8.0f;
    }
    return logits;
}

/* What osl_route chooses, [token][used]. */
struct routes {
    uint32_t *expert;
    float *weight;
};

static struct routes choose(struct osl_check_products *p, const float *logits)
{
    const struct osl_shape *s = &p->c->shape;
    uint32_t count = p->c->tokens * s->experts_used;
    struct routes out = {.expert = osl_check_products_take(p, count * sizeof *out.expert),
                         .weight = osl_check_products_take(p, count * sizeof *out.weight)};
    for (uint32_t t = 0; t < p->c->tokens; t++) {
        uint16_t ids[OSL_EXPERTS_USED_MAX];
        osl_route(logits + t * s->experts, s->experts, s->experts_used, ids,
                  out.weight + t * s->experts_used);
        for (uint32_t k = 0; k < s->experts_used; k++) {
            out.expert[t * s->experts_used + k] = ids[k];
        }
    }
    return out;
}

/* Every member once, in a tile of its expert; no tile too long, none beyond those there are. */
static bool groups_right(struct osl_check_products *p, const struct routes *routes,
                         const uint32_t *groups)
{
    const struct osl_shape *s = &p->c->shape;
    uint32_t members = p->c->tokens * s->experts_used;
    uint32_t room = (p->c->tokens + 1) * s->experts_used;
    uint32_t tile = osl_vk_tile_members(p->rig->device);
    uint8_t *seen = osl_check_products_take(p, members);
    memset(seen, 0, members);
    uint32_t found = 0;
    for (uint32_t i = 0; i < (members + tile - 1) / tile + s->experts; i++) {
        const uint32_t *at = groups + room + i * OSL_GPU_TILE_WORDS;
        if (at[OSL_GPU_TILE_EXPERT] == OSL_GPU_NONE) {
            continue;
        }
        uint32_t first = at[OSL_GPU_TILE_FIRST], count = at[OSL_GPU_TILE_COUNT];
        if (count == 0 || count > tile || first >= members || count > members - first) {
            return false;
        }
        for (uint32_t m = first; m < first + count; m++) {
            uint32_t member = groups[m];
            if (member >= members || seen[member] != 0 ||
                routes->expert[member] != at[OSL_GPU_TILE_EXPERT]) {
                return false;
            }
            seen[member] = 1;
            found++;
        }
    }
    return found == members;
}

static enum osl_status run(struct osl_check_products *p, struct osl_error *error)
{
    const struct osl_step step = {.kind = OSL_STEP_PREFILL,
                                  .token_count = p->c->tokens,
                                  .position_first = p->c->position};
    return osl_vk_rig_run(p->rig, &step, error);
}

enum osl_status osl_vk_check_route(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                   void *memory, uint64_t bytes, float *worst_out,
                                   struct osl_error *error)
{
    const struct osl_shape *s = &c->shape;
    struct osl_check_products p;
    enum osl_status status = osl_check_products_open(&p, rig, c, s, memory, bytes, error);
    if (status != OSL_OK) {
        return status;
    }
    const float *logits = make_logits(&p);
    struct routes want = choose(&p, logits);
    uint32_t members = c->tokens * s->experts_used;
    uint32_t words = (uint32_t)osl_vk_groups_words(s, c->tokens + 1);
    uint32_t *groups = osl_check_products_take(&p, words * sizeof *groups);
    uint32_t *experts = osl_check_products_take(&p, members * sizeof *experts);
    float *weights = osl_check_products_take(&p, members * sizeof *weights);
    const struct osl_vk_net *net = &rig->net;
    status = osl_vk_rig_act_write(rig, net->buffer[OSL_BUFFER_ROUTER], logits,
                                  c->tokens * s->experts, error);
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    status = status == OSL_OK ? osl_vk_route_group(&rig->recorder, net, error) : status;
    status = status == OSL_OK ? run(&p, error) : status;
    if (status == OSL_OK) {
        status = osl_vk_rig_act_read(rig, net->routes, (float *)experts, members, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_act_read(rig, net->routes + (c->tokens + 1) * s->experts_used,
                                     weights, members, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_act_read(rig, net->groups, (float *)groups, words, error);
    }
    *worst_out = 0.0f;
    for (uint32_t i = 0; status == OSL_OK && i < members; i++) {
        osl_check_join(worst_out, experts[i], want.expert[i], 0.5);
        osl_check_join(worst_out, weights[i], want.weight[i], 0x1p-18);
    }
    if (status == OSL_OK && !groups_right(&p, &want, groups)) {
        *worst_out = 1e30f;
    }
    return status;
}

/* ---- Products ---------------------------------------------------------------------------- */

/* Opens a check, writes the logits, and says what they choose. */
static enum osl_status open_experts(struct osl_check_products *p, struct osl_vk_rig *rig,
                                    const struct osl_vk_check_case *c,
                                    const struct osl_shape *shape, void *memory, uint64_t bytes,
                                    struct routes *routes, struct osl_error *error)
{
    enum osl_status status = osl_check_products_open(p, rig, c, shape, memory, bytes, error);
    if (status != OSL_OK) {
        return status;
    }
    const float *logits = make_logits(p);
    *routes = choose(p, logits);
    return osl_vk_rig_act_write(rig, rig->net.buffer[OSL_BUFFER_ROUTER], logits,
                                c->tokens * shape->experts, error);
}

/* SwiGLU in double, and by how much it may be off where gate and up may be by these. */
static double swiglu(const struct osl_shape *s, double gate, double gate_off, double up,
                     double up_off, double *off_out)
{
    double limit = s->swiglu_limit;
    double g = gate > limit ? limit : gate;
    double u = up > limit ? limit : up < -limit ? -limit : up;
    double silu = g / (1.0 + exp(-(double)s->swiglu_alpha * g));
    /* the slope of silu is at most 1.1; exp on a device is right to 3 + 2 |x| units */
    *off_out = gate_off * 1.1 * fabs(u + 1.0) + up_off * fabs(silu) +
               (0x1p-18 + 0x1p-22 * fabs(g)) * fabs(silu * (u + 1.0)) + 1e-7;
    return silu * (u + 1.0);
}

static enum osl_status compare_up(struct osl_check_products *p, const struct osl_shape *s,
                                  const struct osl_check_weight w[2], const struct routes *routes,
                                  const float *x, float *worst, struct osl_error *error)
{
    struct osl_vk_tile tile;
    osl_vk_tile_expert(p->rig->device, &w[0].device, s->experts_used, &tile);
    double share = osl_check_share(p, &tile);
    uint32_t members = p->c->tokens * s->experts_used;
    float *got = osl_check_products_take(p, (uint64_t)members * s->ff * sizeof *got);
    double *half = osl_check_products_take(p, 4 * (uint64_t)members * sizeof *half);
    enum osl_status status = osl_vk_rig_act_read(
        p->rig, p->rig->net.buffer[OSL_BUFFER_EXPERT_H], got, members * s->ff, error);
    for (uint32_t e = 0; status == OSL_OK && e < s->experts; e++) {
        for (uint32_t row = 0; row < s->ff; row++) {
            for (uint32_t i = 0; i < 2 && osl_check_row_wanted(row, s->ff); i++) {
                osl_check_row(p, &w[i], e, row);
                for (uint32_t m = 0; m < members; m++) {
                    if (routes->expert[m] != e) {
                        continue;
                    }
                    const float *from = x + m / s->experts_used * (uint64_t)s->hidden;
                    double magnitude;
                    half[4 * m + 2 * i] = osl_check_dot(p, from, s->hidden, &magnitude) +
                                          w[i].bias[e * s->ff + row];
                    half[4 * m + 2 * i + 1] = magnitude * share;
                    if (i == 1) {
                        double off, want = swiglu(s, half[4 * m], half[4 * m + 1], half[4 * m + 2],
                                                  half[4 * m + 3], &off);
                        osl_check_join(worst, got[(uint64_t)m * s->ff + row], want, off);
                    }
                }
            }
        }
    }
    return status;
}

enum osl_status osl_vk_check_expert_up(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                       void *memory, uint64_t bytes, float *worst_out,
                                       struct osl_error *error)
{
    struct osl_shape s = c->shape;
    s.ff = c->seed % 2 == 0 && s.ff > ROWS_CUT ? ROWS_CUT : s.ff; /* its outputs */
    struct osl_check_products p;
    struct osl_check_weight w[2];
    struct routes routes = {0};
    *worst_out = 0.0f;
    enum osl_status status = open_experts(&p, rig, c, &s, memory, bytes, &routes, error);
    if (status != OSL_OK) {
        return status;
    }
    const float *x = osl_check_products_floats(&p, (uint64_t)c->tokens * s.hidden, 1.0f);
    const struct osl_vk_net *net = &rig->net;
    status = osl_vk_rig_act_write(rig, net->buffer[OSL_BUFFER_NORM], x, c->tokens * s.hidden,
                                  error);
    for (uint32_t i = 0; status == OSL_OK && i < 2; i++) {
        status = osl_check_products_weight(&p, c->expert, s.ff, s.hidden, s.experts, true, &w[i],
                                           error);
    }
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    status = status == OSL_OK ? osl_vk_route_group(&rig->recorder, net, error) : status;
    if (status == OSL_OK) {
        const struct osl_vk_matrix weight[2] = {w[0].device, w[1].device};
        const struct osl_vk_vector bias[2] = {w[0].bias_device, w[1].bias_device};
        status = osl_vk_expert_up_prefill(&rig->recorder, net, weight, bias, error);
    }
    status = status == OSL_OK ? run(&p, error) : status;
    return status == OSL_OK ? compare_up(&p, &s, w, &routes, x, worst_out, error) : status;
}

static enum osl_status compare_down(struct osl_check_products *p, const struct osl_check_weight *w,
                                    const struct routes *routes, const float *h, const float *old,
                                    float *worst, struct osl_error *error)
{
    const struct osl_shape *s = &p->c->shape;
    struct osl_vk_tile tile;
    osl_vk_tile_expert(p->rig->device, &w->device, s->experts_used, &tile);
    double share = osl_check_share(p, &tile);
    uint32_t members = p->c->tokens * s->experts_used, count = p->c->tokens * s->hidden;
    float *got = osl_check_products_take(p, count * sizeof *got);
    double *want = osl_check_products_take(p, p->c->tokens * sizeof *want);
    double *off = osl_check_products_take(p, p->c->tokens * sizeof *off);
    enum osl_status status =
        osl_vk_rig_act_read(p->rig, p->rig->net.buffer[OSL_BUFFER_X], got, count, error);
    for (uint32_t row = 0; status == OSL_OK && row < s->hidden; row++) {
        if (!osl_check_row_wanted(row, s->hidden)) {
            continue;
        }
        for (uint32_t t = 0; t < p->c->tokens; t++) {
            want[t] = old[t * s->hidden + row];
            off[t] = 1e-30 + fabs(want[t]) * 0x1p-22;
        }
        for (uint32_t e = 0; e < s->experts; e++) {
            osl_check_row(p, w, e, row);
            for (uint32_t m = 0; m < members; m++) {
                if (routes->expert[m] != e) {
                    continue;
                }
                double magnitude, weight = routes->weight[m];
                double y = osl_check_dot(p, h + (uint64_t)m * s->ff, s->ff, &magnitude) +
                           w->bias[e * s->hidden + row];
                want[m / s->experts_used] += weight * y;
                off[m / s->experts_used] += weight * (magnitude * share + fabs(y) * 0x1p-18);
            }
        }
        for (uint32_t t = 0; t < p->c->tokens; t++) {
            osl_check_join(worst, got[t * s->hidden + row], want[t], off[t]);
        }
    }
    return status;
}

enum osl_status osl_vk_check_expert_down(struct osl_vk_rig *rig,
                                         const struct osl_vk_check_case *c, void *memory,
                                         uint64_t bytes, float *worst_out,
                                         struct osl_error *error)
{
    const struct osl_shape *s = &c->shape;
    struct osl_check_products p;
    struct osl_check_weight w;
    struct routes routes = {0};
    uint32_t members = c->tokens * s->experts_used, count = c->tokens * s->hidden;
    *worst_out = 0.0f;
    enum osl_status status = open_experts(&p, rig, c, s, memory, bytes, &routes, error);
    if (status != OSL_OK) {
        return status;
    }
    const float *h = osl_check_products_floats(&p, (uint64_t)members * s->ff, 1.0f);
    const float *old = osl_check_products_floats(&p, count, 4.0f);
    const struct osl_vk_net *net = &rig->net;
    status = osl_vk_rig_act_write(rig, net->buffer[OSL_BUFFER_EXPERT_H], h, members * s->ff, error);
    if (status == OSL_OK) {
        status = osl_vk_rig_act_write(rig, net->buffer[OSL_BUFFER_X], old, count, error);
    }
    if (status == OSL_OK) {
        status = osl_check_products_weight(&p, c->expert, s->hidden, s->ff, s->experts, true, &w,
                                           error);
    }
    status = status == OSL_OK ? osl_vk_rig_begin(rig, error) : status;
    status = status == OSL_OK ? osl_vk_route_group(&rig->recorder, net, error) : status;
    if (status == OSL_OK) {
        status = osl_vk_expert_down_prefill(&rig->recorder, net, &w.device, &w.bias_device, error);
    }
    status = status == OSL_OK ? run(&p, error) : status;
    return status == OSL_OK ? compare_down(&p, &w, &routes, h, old, worst_out, error) : status;
}
