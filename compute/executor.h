/* The CPU executor: a thread team walking a schedule with a barrier between operations.
 * Owns no memory: osl_executor_need says how much of each buffer, the plan places it. */
#ifndef OSL_EXECUTOR_H
#define OSL_EXECUTOR_H

#include <stdatomic.h>

#include "backend.h"
#include "kernels.h"
#include "platform/platform.h"
#include "schedule.h"

struct osl_executor_limits {
    uint32_t prefill_tokens;  /* most tokens in a step */
    uint32_t logits_rows;     /* most rows of logits in a step, 1.. */
    uint32_t context_tokens;  /* most positions */
    uint32_t thread_count;
    uint32_t decode_tokens;   /* most tokens in a DECODE step, at most prefill_tokens and
                               * OSL_DECODE_TOKENS_MAX; 0: 1 */
};

/* Lifetimes within one layer, for overlaying: a buffer is live from its first to its last stage.
 * Buffers that overlap in stages never share memory; the rest may. */
enum osl_stage {
    OSL_STAGE_ATTN_NORM,
    OSL_STAGE_QKV,
    OSL_STAGE_ATTEND,
    OSL_STAGE_ATTN_OUT,
    OSL_STAGE_MLP_NORM,
    OSL_STAGE_ROUTE,
    OSL_STAGE_EXPERT_UP,
    OSL_STAGE_EXPERT_DOWN,
    OSL_STAGE_LOGITS,
    OSL_STAGE_COUNT
};

struct osl_buffer_need {
    const char *name;
    uint64_t bytes; /* 64-byte aligned placement expected */
    enum osl_stage first;
    enum osl_stage last; /* inclusive */
};

/* Fills one need per buffer. Pure. */
void osl_executor_need(const struct osl_shape *shape, const struct osl_executor_limits *limits,
                       struct osl_buffer_need need_out[OSL_BUFFER_COUNT]);

struct osl_executor; /* lives in caller memory */
uint64_t osl_executor_bytes(void);

struct osl_executor_config {
    const struct osl_schedule *schedule; /* must outlive the executor */
    const struct osl_kernels *kernels;
    struct osl_team *team;
    struct osl_executor_limits limits;
    void *buffer[OSL_BUFFER_COUNT]; /* placed by the plan */
    const atomic_bool *abort;       /* polled between ops; may be set from a signal handler */
    bool poison;  /* tests: fill overlaid buffers with NaN when they become live */
    bool profile; /* time every kind of op, for osl_executor_times */
};

OSL_MUST_USE enum osl_status osl_executor_init(void *memory, uint64_t bytes,
                                               const struct osl_executor_config *config,
                                               struct osl_executor **out, struct osl_error *error);

/* Runs one step. OSL_OK, or OSL_ABORTED: then positions >= position_first hold garbage in the
 * cache (windowed rings keep the `window` positions before it, since capacity >= window +
 * prefill_tokens) and the step can be run again. Never allocates. */
enum osl_status osl_executor_run(struct osl_executor *executor, const struct osl_step *step);

/* [logits_row_count][vocab] of the last step. */
const float *osl_executor_logits(const struct osl_executor *executor);

/* Bytes of weight matrices read by the last step, for bench's bandwidth: every matrix and every
 * expert that was chosen once, an embedding row per token; norms and biases are not counted. */
uint64_t osl_executor_weight_bytes(const struct osl_executor *executor);

/* What steps of a kind read and did since the last call, by kind of op, and with config.profile how
 * long it took; as osl_backend_times. */
uint32_t osl_executor_times(struct osl_executor *executor, enum osl_step_kind kind,
                            struct osl_time *out, uint32_t most);

/* As osl_backend_peaks. */
uint32_t osl_executor_peaks(struct osl_executor *executor, uint32_t repeats,
                            struct osl_peak_found *out, uint32_t most);

/* Operations per second of an instruction on all threads of a team; best of `repeats` bursts. */
double osl_peak_rate(struct osl_team *team, uint32_t thread_count, const struct osl_peak *peak,
                     uint32_t repeats);

/* Read bandwidth of this machine in bytes/s with this team: streams over [data, data+bytes), a
 * region of weights larger than the caches, and takes the best of `repeats`. */
double osl_executor_read_bandwidth(struct osl_executor *executor, const void *data, uint64_t bytes,
                                   uint32_t repeats);

#endif
