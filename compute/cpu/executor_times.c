/* What a step costs, for bench: bytes read and operations done by each kind of op, always; with
 * config.profile also the time, by thread 0's clock, and how long threads waited for one another.
 * Operations are those of the matrices: two a weight and token, of the chosen experts only. */
#include "executor_prefill.h"

#include <string.h>

#define BURST_NS 2000000 /* long enough that starting the threads does not show */
#define BURST_ROUNDS_FIRST 4096
#define BURST_ROUNDS_MAX ((uint64_t)1 << 32)

/* ---- Counting ---------------------------------------------------------------------------- */

void osl_worker_count(const struct osl_worker *worker, const struct osl_weight *weight,
                      uint64_t matrices, uint64_t products)
{
    struct osl_executor *executor = worker->executor;
    if (worker->index == 0) {
        struct osl_tally *tally = &executor->tally[executor->step->kind][worker->slot];
        tally->bytes += matrices * weight->expert_bytes;
        tally->operations[weight->dtype] += 2 * products * weight->rows * weight->cols;
        executor->weight_bytes += matrices * weight->expert_bytes;
    }
}

void osl_worker_count_bytes(const struct osl_worker *worker, uint64_t bytes)
{
    struct osl_executor *executor = worker->executor;
    if (worker->index == 0) {
        executor->tally[executor->step->kind][worker->slot].bytes += bytes;
    }
}

/* ---- The clock --------------------------------------------------------------------------- */

enum osl_slot osl_slot_of(const struct osl_schedule *schedule, const struct osl_op *op)
{
    switch (op->kind) {
    case OSL_OP_EMBED: return OSL_SLOT_EMBED;
    case OSL_OP_RMSNORM: return OSL_SLOT_RMSNORM;
    case OSL_OP_MATMUL:
        return op->out == OSL_BUFFER_QKV      ? OSL_SLOT_QKV
               : op->out == OSL_BUFFER_ROUTER ? OSL_SLOT_ROUTER
                                              : OSL_SLOT_OUT;
    case OSL_OP_ROPE_STORE: return OSL_SLOT_ROPE;
    case OSL_OP_ATTEND:
        return schedule->kv[op->layer].window != 0 ? OSL_SLOT_ATTEND_WINDOW : OSL_SLOT_ATTEND;
    case OSL_OP_ROUTE: return OSL_SLOT_ROUTE;
    case OSL_OP_EXPERT_UP: return OSL_SLOT_EXPERT_UP;
    case OSL_OP_EXPERT_DOWN: return OSL_SLOT_EXPERT_DOWN;
    case OSL_OP_LOGITS: return OSL_SLOT_LOGITS;
    }
    OSL_ASSERT(false);
    return OSL_SLOT_COUNT;
}

void osl_worker_back(struct osl_worker *worker, enum osl_slot slot)
{
    struct osl_executor *executor = worker->executor;
    if (executor->config.profile && worker->index == 0) {
        uint64_t now_ns = osl_clock_ns();
        executor->tally[executor->step->kind][worker->slot].ns += now_ns - worker->slot_ns;
        worker->slot_ns = now_ns;
    }
    worker->slot = slot;
}

enum osl_slot osl_worker_enter(struct osl_worker *worker, enum osl_slot slot)
{
    struct osl_executor *executor = worker->executor;
    enum osl_slot before = worker->slot;
    osl_worker_back(worker, slot);
    if (worker->index == 0) {
        executor->tally[executor->step->kind][slot].runs++;
    }
    return before;
}

void osl_worker_wait(struct osl_worker *worker)
{
    struct osl_executor *executor = worker->executor;
    if (!executor->config.profile) {
        osl_team_barrier(executor->config.team);
        return;
    }
    _Atomic(uint64_t) *waited_ns = &executor->tally[executor->step->kind][worker->slot].waited_ns;
    uint64_t begin_ns = osl_clock_ns();
    osl_team_barrier(executor->config.team);
    atomic_fetch_add_explicit(waited_ns, osl_clock_ns() - begin_ns, memory_order_relaxed);
}

uint32_t osl_executor_times(struct osl_executor *executor, enum osl_step_kind kind,
                            struct osl_time *out, uint32_t most)
{
    static const char *const names[OSL_SLOT_COUNT] = {
        [OSL_SLOT_EMBED] = "embed",
        [OSL_SLOT_RMSNORM] = "rmsnorm",
        [OSL_SLOT_QKV] = "matmul qkv",
        [OSL_SLOT_ROPE] = "rope and store",
        [OSL_SLOT_ATTEND] = "attend",
        [OSL_SLOT_ATTEND_WINDOW] = "attend in window",
        [OSL_SLOT_OUT] = "matmul out",
        [OSL_SLOT_ROUTER] = "matmul router",
        [OSL_SLOT_ROUTE] = "route",
        [OSL_SLOT_EXPERT_UP] = "expert up",
        [OSL_SLOT_EXPERT_DOWN] = "expert down",
        [OSL_SLOT_QUANTIZE] = "quantize",
        [OSL_SLOT_ADD_EXPERTS] = "add experts",
        [OSL_SLOT_LOGITS] = "logits",
    };
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < OSL_SLOT_COUNT; slot++) {
        struct osl_tally *tally = &executor->tally[kind][slot];
        /* in decode the rotation is part of attention */
        bool own = slot != OSL_SLOT_ROPE || kind == OSL_STEP_PREFILL;
        if (tally->runs > 0 && own && count < most) {
            struct osl_time *time = &out[count++];
            *time = (struct osl_time){
                .name = names[slot],
                .dispatches = tally->runs,
                .ns = tally->ns,
                .waited_ns = tally->waited_ns / executor->config.limits.thread_count,
                .bytes = tally->bytes,
            };
            uint32_t planes = kind == OSL_STEP_PREFILL && slot == OSL_SLOT_EXPERT_UP
                                  ? osl_prefill_planes_up(executor)
                                  : OSL_PREFILL_PLANES;
            for (uint32_t type = 0; type < OSL_DTYPE_END; type++) {
                bool packed = executor->config.kernels->pack != NULL &&
                              executor->config.kernels->quantized[type];
                double rate = executor->peak[type] * (packed ? OSL_PREFILL_PLANES / planes : 1);
                time->operations += tally->operations[type];
                time->peak_ns += rate > 0.0 ? (double)tally->operations[type] * 1e9 / rate : 0.0;
            }
        }
        memset(tally, 0, sizeof *tally);
    }
    return count;
}

/* ---- Peaks ------------------------------------------------------------------------------- */

struct burst {
    const struct osl_peak *peak;
    uint64_t rounds;
};

static void run_burst(void *context, uint32_t thread_index, uint32_t thread_count)
{
    const struct burst *burst = context;
    burst->peak->burst(burst->rounds);
}

double osl_peak_rate(struct osl_team *team, uint32_t thread_count, const struct osl_peak *peak,
                     uint32_t repeats)
{
    struct burst burst = {.peak = peak, .rounds = BURST_ROUNDS_FIRST};
    double best = 0.0;
    for (uint32_t i = 0; i < repeats;) {
        uint64_t begin_ns = osl_clock_ns();
        osl_team_run(team, run_burst, &burst);
        uint64_t took_ns = osl_clock_ns() - begin_ns;
        if (took_ns < BURST_NS && burst.rounds < BURST_ROUNDS_MAX) {
            burst.rounds *= 2;
            continue;
        }
        double operations = (double)peak->operations * (double)burst.rounds * thread_count;
        double rate = operations * 1e9 / (double)took_ns;
        best = rate > best ? rate : best;
        i++;
    }
    return best;
}

/* Types that matrices of the schedule have. */
static void list_types(const struct osl_schedule *schedule, bool used_out[OSL_DTYPE_END])
{
    memset(used_out, 0, OSL_DTYPE_END * sizeof used_out[0]);
    for (uint32_t i = 0; i < schedule->op_count; i++) {
        const struct osl_op *op = &schedule->ops[i];
        for (uint32_t w = 0; op->kind != OSL_OP_EMBED && w < op->weight_count; w++) {
            used_out[op->weight[w]->dtype] = true;
        }
    }
}

uint32_t osl_executor_peaks(struct osl_executor *executor, uint32_t repeats,
                            struct osl_peak_found *out, uint32_t most)
{
    const struct osl_ceiling *ceilings = executor->config.kernels->ceiling;
    bool used[OSL_DTYPE_END];
    uint32_t count = 0;
    list_types(executor->config.schedule, used);
    if (repeats == 0) {
        memset(executor->peak, 0, sizeof executor->peak);
    }
    for (uint32_t type = 0; type < OSL_DTYPE_END && repeats > 0; type++) {
        const struct osl_ceiling *ceiling = &ceilings[type];
        double rate = 0.0;
        if (!used[type] || ceiling->peak == NULL) {
            continue;
        }
        for (uint32_t i = 0; i < count && rate == 0.0; i++) { /* measured for another type */
            rate = strcmp(out[i].instruction, ceiling->peak->instruction) == 0 ? out[i].rate : 0.0;
        }
        if (rate == 0.0) {
            rate = osl_peak_rate(executor->config.team, executor->config.limits.thread_count,
                                 ceiling->peak, repeats);
        }
        double reachable = rate / ceiling->products;
        executor->peak[type] = reachable > executor->peak[type] ? reachable : executor->peak[type];
        if (count < most) {
            out[count++] = (struct osl_peak_found){
                .dtype = (enum osl_dtype)type,
                .instruction = ceiling->peak->instruction,
                .products = ceiling->products,
                .rate = rate,
            };
        }
    }
    return count;
}
