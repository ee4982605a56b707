/* What scoring asks of logits: the normaliser, and the largest few. */
#include <math.h>

#include "model/exp.h"
#include "model/sampler.h"

/* Independent sums, so that additions need not wait for one another. */
#define SUMS 8

double osl_log_sum_exp(const float *logits, uint32_t vocab)
{
    float best = -INFINITY;
    for (uint32_t i = 0; i < vocab; i++) {
        best = logits[i] > best ? logits[i] : best;
    }
    if (isinf(best)) {
        return (double)best;
    }
    double sums[SUMS] = { 0 };
    uint32_t whole = vocab / SUMS * SUMS;
    for (uint32_t i = 0; i < whole; i += SUMS) {
        for (uint32_t lane = 0; lane < SUMS; lane++) {
            float logit = logits[i + lane];
            /* A NaN fails the comparison and counts as -inf. */
            double below = logit <= best ? (double)logit - (double)best : OSL_EXP_LEAST;
            sums[lane] += osl_exp(below);
        }
    }
    for (uint32_t i = whole; i < vocab; i++) {
        double below = logits[i] <= best ? (double)logits[i] - (double)best : OSL_EXP_LEAST;
        sums[i - whole] += osl_exp(below);
    }
    double sum = 0;
    for (uint32_t lane = 0; lane < SUMS; lane++) {
        sum += sums[lane];
    }
    return (double)best + log(sum);
}

/* A heap of candidates with the worst at the root. */
struct heap {
    int32_t *ids;
    float *logits;
    uint32_t count;
};

static bool is_worse(const struct heap *heap, uint32_t a, uint32_t b)
{
    return heap->logits[a] < heap->logits[b] ||
           (heap->logits[a] == heap->logits[b] && heap->ids[a] > heap->ids[b]);
}

static void swap_entries(struct heap *heap, uint32_t a, uint32_t b)
{
    int32_t id = heap->ids[a];
    float logit = heap->logits[a];
    heap->ids[a] = heap->ids[b];
    heap->logits[a] = heap->logits[b];
    heap->ids[b] = id;
    heap->logits[b] = logit;
}

static void sink(struct heap *heap, uint32_t at)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->count) {
            return;
        }
        if (child + 1 < heap->count && is_worse(heap, child + 1, child)) {
            child++;
        }
        if (!is_worse(heap, child, at)) {
            return;
        }
        swap_entries(heap, at, child);
        at = child;
    }
}

static void rise(struct heap *heap, uint32_t at)
{
    while (at > 0 && is_worse(heap, at, (at - 1) / 2)) {
        swap_entries(heap, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

uint32_t osl_top_logits(const float *logits, uint32_t vocab, uint32_t count, int32_t *ids_out,
                        float *logits_out)
{
    struct heap heap = { ids_out, logits_out, 0 };
    for (uint32_t i = 0; i < vocab && count > 0; i++) {
        /* Ids rise, so an equal logit never displaces one that is there. */
        if (heap.count == count && !(logits[i] > logits_out[0])) {
            continue;
        }
        if (isnan(logits[i])) {
            continue;
        }
        uint32_t at = heap.count < count ? heap.count++ : 0;
        ids_out[at] = (int32_t)i;
        logits_out[at] = logits[i];
        if (at > 0) {
            rise(&heap, at);
        } else {
            sink(&heap, 0);
        }
    }
    uint32_t found = heap.count;
    while (heap.count > 1) {
        heap.count--;
        swap_entries(&heap, 0, heap.count);
        sink(&heap, 0);
    }
    return found;
}
