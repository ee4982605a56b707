/* Experts in prefill: tokens grouped by expert, each expert's rows unpacked once for all of its
 * tokens, outputs added to the residual in the order in which a token chose them. */
#include "executor_prefill.h"

#include <string.h>

/* The routes of a step, sorted by expert. Entries [begin[e], begin[e+1]) belong to expert e and
 * are rows of EXPERT_H and EXPERT_Y. */
struct groups {
    uint16_t *ids;   /* [tokens][used] */
    float *weights;  /* [tokens][used] */
    uint32_t *token; /* [entries] */
    uint32_t *place; /* [tokens][used]: the entry */
    uint32_t *begin; /* [experts + 1] */
};

static struct groups groups_of(const struct osl_executor *executor)
{
    const struct osl_scratch_layout *layout = &executor->layout;
    return (struct groups){
        .ids = osl_scratch_at(executor, layout->route_ids),
        .weights = osl_scratch_at(executor, layout->route_weights),
        .token = osl_scratch_at(executor, layout->group_token),
        .place = osl_scratch_at(executor, layout->group_place),
        .begin = osl_scratch_at(executor, layout->group_begin),
    };
}

/* Counting sort of the routes by expert; stable, so an expert's tokens rise. */
static void sort_routes(const struct osl_executor *executor)
{
    const struct osl_shape *s = &executor->shape;
    struct groups groups = groups_of(executor);
    uint32_t entries = executor->step->token_count * s->experts_used;
    uint32_t next[OSL_EXPERTS_MAX];
    memset(groups.begin, 0, (s->experts + 1) * sizeof groups.begin[0]);
    for (uint32_t i = 0; i < entries; i++) {
        OSL_ASSERT_HOT(groups.ids[i] < s->experts);
        groups.begin[groups.ids[i] + 1]++;
    }
    for (uint32_t e = 0; e < s->experts; e++) {
        groups.begin[e + 1] += groups.begin[e];
        next[e] = groups.begin[e];
    }
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t place = next[groups.ids[i]]++;
        groups.token[place] = i / s->experts_used;
        groups.place[i] = place;
    }
}

bool osl_prefill_route(struct osl_worker *worker)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    struct groups groups = groups_of(executor);
    uint32_t tokens = executor->step->token_count;
    for (uint32_t t; (t = osl_worker_take(worker, 1, tokens)) < tokens;) {
        uint64_t at = (uint64_t)t * s->experts_used;
        osl_route(osl_buffer_f32(executor, OSL_BUFFER_ROUTER) + (uint64_t)t * s->experts,
                  s->experts, s->experts_used, groups.ids + at, groups.weights + at);
    }
    if (!osl_worker_meet(worker)) {
        return false;
    }
    if (worker->index == 0) {
        sort_routes(executor);
    }
    return osl_worker_meet(worker);
}

/* A piece of expert work: an expert that has tokens, and a tile of its rows. */
struct expert_piece {
    uint32_t expert;
    uint32_t row;
    uint32_t rows;
    uint32_t first;  /* entry */
    uint32_t tokens; /* 0: no piece is left */
};

static struct expert_piece take_expert(struct osl_worker *worker, const struct osl_weight *weight)
{
    struct groups groups = groups_of(worker->executor);
    uint32_t tiles = (weight->rows + TILE - 1) / TILE;
    uint32_t pieces = tiles * weight->experts;
    for (uint32_t piece; (piece = osl_worker_take(worker, 1, pieces)) < pieces;) {
        uint32_t expert = piece / tiles;
        uint32_t row = piece % tiles * TILE;
        struct expert_piece taken = {
            .expert = expert,
            .row = row,
            .rows = weight->rows - row < TILE ? weight->rows - row : TILE,
            .first = groups.begin[expert],
            .tokens = groups.begin[expert + 1] - groups.begin[expert],
        };
        if (taken.tokens > 0) {
            return taken;
        }
    }
    return (struct expert_piece){0};
}

static void count_experts(struct osl_worker *worker, const struct osl_op *op)
{
    struct groups groups = groups_of(worker->executor);
    uint32_t experts = worker->executor->shape.experts;
    uint32_t chosen = 0;
    for (uint32_t e = 0; e < experts; e++) {
        chosen += groups.begin[e + 1] > groups.begin[e];
    }
    for (uint32_t w = 0; w < op->weight_count; w++) {
        osl_worker_count(worker, op->weight[w], chosen, groups.begin[experts]);
    }
}

bool osl_prefill_expert_up(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    struct groups groups = groups_of(executor);
    struct osl_act x = osl_prefill_act(executor, osl_buffer_f32(executor, OSL_BUFFER_NORM), 0,
                                       s->hidden, osl_prefill_planes_up(executor));
    struct expert_piece piece = take_expert(worker, op->weight[0]);
    for (struct expert_piece next; piece.tokens > 0; piece = next) {
        next = take_expert(worker, op->weight[0]);
        const uint32_t *token = groups.token + piece.first;
        for (uint32_t w = 0; w < 2; w++) {
            const struct expert_piece *ahead = w == 0 ? &piece : &next;
            osl_prefill_look_ahead(&x, op->weight[1 - w], ahead->expert, ahead->row, ahead->rows);
            osl_prefill_multiply(worker, osl_prefill_tile(worker, w), op->weight[w], op->bias[w],
                                 piece.expert, piece.row, piece.rows, &x, token, piece.tokens);
        }
        executor->config.kernels->swiglu(osl_prefill_tile(worker, 0), osl_prefill_tile(worker, 1),
                                         piece.tokens * piece.rows, s->swiglu_alpha,
                                         s->swiglu_limit);
        struct osl_prefill_target to = {
            .out = osl_buffer_f32(executor, OSL_BUFFER_EXPERT_H) + (uint64_t)piece.first * s->ff +
                   piece.row,
            .stride = s->ff,
        };
        osl_prefill_put(&to, osl_prefill_tile(worker, 0), piece.rows, piece.tokens);
    }
    count_experts(worker, op);
    return osl_worker_meet(worker);
}

/* X[t] += sum over its experts, in the order chosen, of weight * EXPERT_Y. */
static bool add_experts(struct osl_worker *worker)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    struct groups groups = groups_of(executor);
    uint32_t tokens = executor->step->token_count;
    const float *y = osl_buffer_f32(executor, OSL_BUFFER_EXPERT_Y);
    (void)osl_worker_enter(worker, OSL_SLOT_ADD_EXPERTS);
    for (uint32_t t; (t = osl_worker_take(worker, 1, tokens)) < tokens;) {
        const uint32_t *place = groups.place + (uint64_t)t * s->experts_used;
        const float *weight = groups.weights + (uint64_t)t * s->experts_used;
        float *x = osl_buffer_f32(executor, OSL_BUFFER_X) + (uint64_t)t * s->hidden;
        float *sum = osl_buffer_f32(executor, OSL_BUFFER_NORM) + (uint64_t)t * s->hidden;
        for (uint32_t k = 0; k < s->experts_used; k++) {
            const float *row = y + (uint64_t)place[k] * s->hidden;
            for (uint32_t c = 0; c < s->hidden; c++) {
                float value = weight[k] * row[c];
                sum[c] = k == 0 ? value : sum[c] + value;
            }
        }
        for (uint32_t c = 0; c < s->hidden; c++) {
            x[c] += sum[c];
        }
    }
    return osl_worker_meet(worker);
}

bool osl_prefill_expert_down(struct osl_worker *worker, const struct osl_op *op)
{
    const struct osl_executor *executor = worker->executor;
    const struct osl_shape *s = &executor->shape;
    uint32_t entries = executor->step->token_count * s->experts_used;
    if (executor->q8_expert_h && !osl_prefill_quantize(worker, OSL_BUFFER_EXPERT_H, entries)) {
        return false;
    }
    const float *h = osl_buffer_f32(executor, OSL_BUFFER_EXPERT_H);
    struct expert_piece piece = take_expert(worker, op->weight[0]);
    for (struct expert_piece next; piece.tokens > 0; piece = next) {
        next = take_expert(worker, op->weight[0]);
        struct osl_act x = osl_prefill_act(executor, h, piece.first, s->ff, OSL_PREFILL_PLANES);
        osl_prefill_look_ahead(&x, op->weight[0], next.expert, next.row, next.rows);
        osl_prefill_multiply(worker, osl_prefill_tile(worker, 0), op->weight[0], op->bias[0],
                             piece.expert, piece.row, piece.rows, &x, NULL, piece.tokens);
        struct osl_prefill_target to = {
            .out = osl_buffer_f32(executor, OSL_BUFFER_EXPERT_Y) +
                   (uint64_t)piece.first * s->hidden + piece.row,
            .stride = s->hidden,
        };
        osl_prefill_put(&to, osl_prefill_tile(worker, 0), piece.rows, piece.tokens);
    }
    count_experts(worker, op);
    return osl_worker_meet(worker) && add_experts(worker);
}
