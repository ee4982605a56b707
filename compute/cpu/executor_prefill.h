/* What the files of prefill share: packed activations, tiles of results, where those go. */
#ifndef OSL_EXECUTOR_PREFILL_H
#define OSL_EXECUTOR_PREFILL_H

#include "executor_step.h"

#define TILE OSL_MATMUL_TILE_ROWS

/* Planes of activations packed for matmul. One, of 8 bits, for what the experts' gate and up rows
 * read, which is half of all arithmetic and is done twice as fast; two, of 16 bits, elsewhere. On
 * the parity models this moves log-probabilities by 0.01 on average and rounding to BF16, the
 * precision of the published weights, moves them by 0.008; one plane for the down rows, whose
 * inputs have heavy tails, would add 0.009 and for the dense rows 0.01. */
#define OSL_PREFILL_PLANES_UP 1
#define OSL_PREFILL_PLANES 2

/* A router that reads packed activations shares them with the experts, and wants two planes. */
static inline uint32_t osl_prefill_planes_up(const struct osl_executor *executor)
{
    return executor->q8_router ? OSL_PREFILL_PLANES : OSL_PREFILL_PLANES_UP;
}

/* The shared activations, row 0 at `row`. Quantised parts are there whether filled or not. */
struct osl_act osl_prefill_act(const struct osl_executor *executor, const float *f32, uint32_t row,
                               uint32_t cols, uint32_t planes);

/* Quantises rows [0, rows) of a buffer; a phase of its own. */
bool osl_prefill_quantize(struct osl_worker *worker, enum osl_buffer buffer, uint32_t rows);

/* Rows that the thread multiplies next, none if rows is 0. Threads hold one piece more than they
 * work on, so that they know: reading the weights costs no time then (Zen 5: 10 % of a prompt). */
static inline void osl_prefill_look_ahead(struct osl_act *x, const struct osl_weight *weight,
                                          uint32_t expert, uint32_t row, uint32_t rows)
{
    x->ahead = osl_weight_row(weight, expert, row);
    x->ahead_bytes = rows * weight->row_bytes;
}

/* The thread's own tile of results, one of two. */
float *osl_prefill_tile(const struct osl_worker *worker, uint32_t which);

/* tile[t][r] = weight row r . x[t] + bias, for rows [row, row + rows) of an expert. */
void osl_prefill_multiply(const struct osl_worker *worker, float *tile,
                          const struct osl_weight *weight, const struct osl_weight *bias,
                          uint32_t expert, uint32_t row, uint32_t rows, const struct osl_act *x,
                          const uint32_t *token_index, uint32_t tokens);

/* Where a matmul's outputs go: rows `stride` floats apart. */
struct osl_prefill_target {
    float *out;
    uint64_t stride;
    bool add;
};
void osl_prefill_put(const struct osl_prefill_target *target, const float *tile, uint32_t rows,
                     uint32_t tokens);

/* executor_experts.c */
bool osl_prefill_route(struct osl_worker *worker);
bool osl_prefill_expert_up(struct osl_worker *worker, const struct osl_op *op);
bool osl_prefill_expert_down(struct osl_worker *worker, const struct osl_op *op);

#endif
