/* The plan: one table of regions that gives sizes, placement, the printed report and what boot
 * places. Computed from the file's header and the configuration alone. */
#ifndef OSL_PLAN_H
#define OSL_PLAN_H

#include "bind.h"
#include "compute/executor.h"
#include "device.h"
#include "ossicle.h"

#define OSL_CONTEXT_DEFAULT 4096
/* Larger steps unpack weights less often: on 2 Zen 5 cores 1,024 tokens read a prompt of 2,048 3 %
 * faster and 2,048 tokens 5 %, for 90 and 270 MB more, and progress is told as rarely. */
#define OSL_PREFILL_DEFAULT 512
#define OSL_PREFILL_MAX 4096
/* Of weights that a token reads, for each thread: with fewer, threads wait for one another longer
 * than they read. The demo reads 1.7 MB; on two Zen 5 cores that others use too, one thread decodes
 * 6,100 to 13,000 tokens a second, two 200 to 4,800. */
#define OSL_THREAD_BYTES (4u << 20)
#define OSL_MARKS_DEFAULT 8
#define OSL_MARKS_MAX 64
#define OSL_TEXT_BYTES_DEFAULT (1u << 20)
#define OSL_TEXT_BYTES_MAX (1u << 30)
#define OSL_SCORE_ROWS 64 /* rows of logits at once when every position is scored */
#define OSL_PROGRAM_BYTES                                                                          \
    (8u << 20) /* the program, its libraries and the main stack: measured                          \
                * 4 to 6 MiB on Debian 12 */

enum osl_region {
    OSL_REGION_ENGINE,
    OSL_REGION_WEIGHTS, /* resident copy; 0 bytes when mapped */
    OSL_REGION_KV_FULL,
    OSL_REGION_KV_RING,
    OSL_REGION_MARKS,
    OSL_REGION_ACTIVATIONS, /* overlaid by lifetime */
    OSL_REGION_LOGITS,
    OSL_REGION_SCRATCH,
    OSL_REGION_TOKENIZER,
    OSL_REGION_SAMPLER,
    OSL_REGION_SESSION,
    OSL_REGION_THREADS,
    OSL_REGION_HOST_COUNT, /* those before it are in the caller's memory */
    OSL_REGION_MODEL_FILE = OSL_REGION_HOST_COUNT,
    OSL_REGION_PROGRAM,
    OSL_REGION_DRIVER_EMBEDDING, /* host memory that a GPU's driver makes */
    OSL_REGION_DRIVER_STAGING,
    OSL_REGION_DEVICE_FIRST, /* from here on the GPU's */
    OSL_REGION_DEVICE_WEIGHTS = OSL_REGION_DEVICE_FIRST,
    OSL_REGION_DEVICE_KV_FULL,
    OSL_REGION_DEVICE_KV_RING,
    OSL_REGION_DEVICE_MARKS,
    OSL_REGION_DEVICE_ACTIVATIONS,
    OSL_REGION_DEVICE_LOGITS,
    OSL_REGION_COUNT
};

struct osl_plan {
    /* the configuration with its zeros filled in */
    uint32_t context_tokens;
    uint32_t prefill_tokens;
    uint32_t threads;
    uint32_t marks;
    uint64_t text_bytes;
    bool resident;
    bool given; /* the file lies in memory that is the caller's */
    enum osl_kv_type kv_type;
    const struct osl_kernels *kernels;
    struct osl_executor_limits limits;
    uint32_t ring_capacity;   /* positions in a windowed layer's ring */
    uint32_t full_capacity;   /* positions in a full layer's cache */
    uint64_t ring_mark_bytes; /* one snapshot of all rings */

    uint64_t bytes[OSL_REGION_COUNT];
    uint64_t offset[OSL_REGION_HOST_COUNT];   /* in the caller's memory, page aligned */
    uint64_t buffer_offset[OSL_BUFFER_COUNT]; /* in ACTIVATIONS; unused for LOGITS, SCRATCH */
    uint64_t host_bytes;
    uint64_t total_bytes; /* of the machine's memory */
    uint64_t device_bytes;
    struct osl_device_choice device;
    uint64_t budget_bytes;
};

/* Windowed layers are the even ones. Source: formats note, section 1. */
static inline bool osl_layer_windowed(uint32_t layer)
{
    return layer % 2 == 0;
}

/* Opens what the configuration names: a file, or model_data. As osl_gguf_open. */
OSL_MUST_USE enum osl_status osl_model_open(const struct ossicle_config *config,
                                            struct osl_gguf *gguf, struct osl_error *error);

/* Fills a plan, and writes the schedule that it is made for (but for its caches). ARGUMENT names
 * the option that is out of range. */
OSL_MUST_USE enum osl_status osl_plan_build(const struct ossicle_config *config,
                                            const struct osl_gguf *gguf,
                                            const struct osl_hparams *hparams,
                                            const struct osl_model_weights *weights,
                                            struct osl_schedule *schedule_out,
                                            struct osl_plan *plan_out, struct osl_error *error);

/* "model file", "kv cache" and so on. */
const char *osl_region_name(enum osl_region region);
/* "host", "mapped" and so on, as ossicle_region has it. */
const char *osl_region_where(const struct osl_plan *plan, enum osl_region region);

#endif
