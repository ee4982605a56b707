/* The CPU behind the face that model/ sees. The cache lies in host memory, so reading, writing and
 * marks are copies; nothing can be lost, and no token is picked here. */
#include "compute/cpu/backend.h"

#include <string.h>

struct cpu_backend {
    struct osl_backend face; /* first: what model/ holds points here */
    struct osl_executor *executor;
    const struct osl_schedule *schedule;
    uint8_t *marks;
    uint64_t mark_bytes;
    uint32_t mark_count;
    uint32_t reads; /* by cpu_bandwidth, since the start */
};

#define EXECUTOR_OFFSET ((sizeof(struct cpu_backend) + 63) / 64 * 64)

static struct cpu_backend *own(struct osl_backend *backend)
{
    return (struct cpu_backend *)(void *)backend;
}

static const struct cpu_backend *own_const(const struct osl_backend *backend)
{
    return (const struct cpu_backend *)(const void *)backend;
}

static enum osl_status cpu_run(struct osl_backend *backend, const struct osl_step *step)
{
    return osl_executor_run(own(backend)->executor, step);
}

static enum osl_status cpu_logits(struct osl_backend *backend, const float **out)
{
    *out = osl_executor_logits(own(backend)->executor);
    return OSL_OK;
}

/* First byte of a row of a layer's cache; half as in backend.h. */
static uint8_t *cache_row(const struct cpu_backend *cpu, uint32_t layer, uint32_t half,
                          uint32_t slot, uint32_t rows)
{
    const struct osl_shape *shape = &cpu->schedule->shape;
    const struct osl_kv_layer *kv = &cpu->schedule->kv[layer];
    OSL_ASSERT(layer < shape->layers && half < 2 * shape->kv_heads);
    OSL_ASSERT(rows <= kv->capacity && slot <= kv->capacity - rows);
    uint64_t row_bytes = osl_kv_row_bytes(cpu->schedule->kv_type, shape->head_dim);
    uint64_t head = half % shape->kv_heads;
    uint8_t *base = half < shape->kv_heads ? kv->k : kv->v;
    return base + (head * kv->capacity + slot) * row_bytes;
}

static uint64_t rows_bytes(const struct cpu_backend *cpu, uint32_t rows)
{
    return (uint64_t)rows * osl_kv_row_bytes(cpu->schedule->kv_type, cpu->schedule->shape.head_dim);
}

static enum osl_status cpu_cache_read(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                      uint32_t slot, uint32_t rows, void *out)
{
    const struct cpu_backend *cpu = own(backend);
    memcpy(out, cache_row(cpu, layer, half, slot, rows), rows_bytes(cpu, rows));
    return OSL_OK;
}

static enum osl_status cpu_cache_write(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                       uint32_t slot, uint32_t rows, const void *in)
{
    const struct cpu_backend *cpu = own(backend);
    memcpy(cache_row(cpu, layer, half, slot, rows), in, rows_bytes(cpu, rows));
    return OSL_OK;
}

static enum osl_status cpu_mark(struct osl_backend *backend, uint32_t mark, uint32_t position,
                                bool restore)
{
    const struct cpu_backend *cpu = own(backend);
    const struct osl_shape *shape = &cpu->schedule->shape;
    OSL_ASSERT(mark < cpu->mark_count);
    uint8_t *copy = cpu->marks + mark * cpu->mark_bytes;
    uint64_t row_bytes = rows_bytes(cpu, 1);
    uint32_t rows = position < shape->window ? position : shape->window;
    for (uint32_t layer = 0; layer < shape->layers; layer++) {
        const struct osl_kv_layer *kv = &cpu->schedule->kv[layer];
        for (uint32_t half = 0; kv->window != 0 && half < 2 * shape->kv_heads; half++) {
            for (uint32_t r = 0; r < rows; r++) {
                uint32_t slot = (position - rows + r) % kv->capacity;
                uint8_t *in_ring = cache_row(cpu, layer, half, slot, 1);
                memcpy(restore ? in_ring : copy, restore ? copy : in_ring, row_bytes);
                copy += row_bytes;
            }
        }
    }
    return OSL_OK;
}

static uint32_t cpu_ahead_most(const struct osl_backend *backend)
{
    return 0;
}

/* Nobody asks a backend that picks nothing ahead for a token. */
static enum osl_status cpu_ahead(struct osl_backend *backend, const struct osl_pick *pick,
                                 uint32_t position, uint32_t count)
{
    OSL_ASSERT(!"the CPU picks no tokens by itself");
    return OSL_STATE;
}

static enum osl_status cpu_take(struct osl_backend *backend, int32_t *token_out)
{
    OSL_ASSERT(!"the CPU picks no tokens by itself");
    return OSL_STATE;
}

static enum osl_status cpu_drop(struct osl_backend *backend)
{
    return OSL_OK;
}

static enum osl_status cpu_restart(struct osl_backend *backend, struct osl_error *error)
{
    return OSL_OK;
}

static uint64_t cpu_weight_bytes(const struct osl_backend *backend)
{
    return osl_executor_weight_bytes(own_const(backend)->executor);
}

/* Over all experts of one layer, 400 MB of the real model, a matrix's in turn: what is read again
 * has long left the caches. */
static double cpu_bandwidth(struct osl_backend *backend, uint32_t repeats)
{
    struct cpu_backend *cpu = own(backend);
    const struct osl_weight *experts[3] = {NULL, NULL, NULL};
    double best = 0.0;
    for (uint32_t i = 0; experts[2] == NULL; i++) {
        OSL_ASSERT(i < cpu->schedule->op_count);
        const struct osl_op *op = &cpu->schedule->ops[i];
        if (op->kind == OSL_OP_EXPERT_UP) {
            experts[0] = op->weight[0];
            experts[1] = op->weight[1];
        } else if (op->kind == OSL_OP_EXPERT_DOWN) {
            experts[2] = op->weight[0];
        }
    }
    for (uint32_t i = 0; i < repeats; i++, cpu->reads++) {
        const struct osl_weight *weight = experts[cpu->reads % 3];
        double speed = osl_executor_read_bandwidth(cpu->executor, weight->data,
                                                   weight->expert_bytes * weight->experts, 1);
        best = speed > best ? speed : best;
    }
    return best;
}

static uint32_t cpu_times(struct osl_backend *backend, bool prefill, struct osl_time *out,
                          uint32_t most)
{
    return osl_executor_times(own(backend)->executor,
                              prefill ? OSL_STEP_PREFILL : OSL_STEP_DECODE, out, most);
}

static uint32_t cpu_peaks(struct osl_backend *backend, uint32_t repeats,
                          struct osl_peak_found *out, uint32_t most)
{
    return osl_executor_peaks(own(backend)->executor, repeats, out, most);
}

static void cpu_close(struct osl_backend *backend)
{
}

static const struct osl_backend_ops cpu_ops = {
    .name = "cpu",
    .run = cpu_run,
    .logits = cpu_logits,
    .cache_read = cpu_cache_read,
    .cache_write = cpu_cache_write,
    .mark = cpu_mark,
    .ahead_most = cpu_ahead_most,
    .ahead = cpu_ahead,
    .take = cpu_take,
    .drop = cpu_drop,
    .restart = cpu_restart,
    .weight_bytes = cpu_weight_bytes,
    .bandwidth = cpu_bandwidth,
    .times = cpu_times,
    .peaks = cpu_peaks,
    .close = cpu_close,
};

uint64_t osl_cpu_mark_bytes(const struct osl_schedule *schedule)
{
    const struct osl_shape *shape = &schedule->shape;
    uint64_t rows = 0;
    for (uint32_t layer = 0; layer < shape->layers; layer++) {
        rows += schedule->kv[layer].window != 0 ? 2ull * shape->kv_heads * shape->window : 0;
    }
    return rows * osl_kv_row_bytes(schedule->kv_type, shape->head_dim);
}

uint64_t osl_cpu_backend_bytes(void)
{
    return EXECUTOR_OFFSET + osl_executor_bytes();
}

enum osl_status osl_cpu_backend_init(void *memory, uint64_t bytes,
                                     const struct osl_cpu_backend_config *config,
                                     struct osl_backend **out, struct osl_error *error)
{
    *out = NULL;
    if (memory == NULL || (uintptr_t)memory % 64 != 0 || bytes < osl_cpu_backend_bytes()) {
        return osl_fail(error, OSL_MEMORY, "the CPU backend needs %llu bytes, aligned to 64",
                        (unsigned long long)osl_cpu_backend_bytes());
    }
    struct cpu_backend *cpu = memory;
    *cpu = (struct cpu_backend){
        .face = {.ops = &cpu_ops, .decode_tokens = config->executor.limits.decode_tokens},
        .schedule = config->executor.schedule,
        .marks = config->marks,
        .mark_bytes = osl_cpu_mark_bytes(config->executor.schedule),
        .mark_count = config->mark_count,
    };
    enum osl_status status =
        osl_executor_init((uint8_t *)memory + EXECUTOR_OFFSET, bytes - EXECUTOR_OFFSET,
                          &config->executor, &cpu->executor, error);
    if (status == OSL_OK) {
        *out = &cpu->face;
    }
    return status;
}
