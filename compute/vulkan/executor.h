/* The backend on a Vulkan device, as its modules see it: boot.c makes it, upload.c fills it,
 * forward.c records the schedule, run.c submits steps, ahead.c picks tokens on the device, rows.c
 * moves cache rows and marks, profile.c measures. Private to them.
 *
 * Steps are recorded once, at boot: a command buffer a layer and kind of step. What differs from
 * step to step is in the step buffer, which a recorded copy fills from host memory. Nothing is
 * allocated afterwards. */
#ifndef OSL_VK_EXECUTOR_H
#define OSL_VK_EXECUTOR_H

#include "compute/vulkan/kept.h"
#include "compute/vulkan/place.h"
#include "compute/vulkan/record.h"
#include "compute/vulkan/rig.h"
#include "compute/vulkan/transfer.h"
#include "compute/vulkan/vulkan.h"

#define OSL_VK_FLIGHT_MAX 128 /* submissions under way at most */
#define OSL_VK_TIMED_MAX 32   /* ops that the profile tells apart, by kind of step */
#define OSL_VK_KINDS 2        /* of steps: enum osl_step_kind */

struct osl_vk_commands {
    VkCommandBuffer load[OSL_VK_KINDS]; /* the step buffer, from host memory */
    VkCommandBuffer embed;
    VkCommandBuffer layer[OSL_VK_KINDS][OSL_LAYERS_MAX];
    VkCommandBuffer logits_one, logits_rows;
    VkCommandBuffer token; /* embed, decode layers and logits_one in one */
    VkCommandBuffer load_draws, pick, candidates;
    VkCommandBuffer reset_queries; /* profile only */
    VkCommandBuffer stream;        /* reads weights, for the bandwidth */
    uint64_t stream_bytes;
};

/* Submissions, numbered in order; number n has fence n % OSL_VK_FLIGHT_MAX. */
struct osl_vk_flight {
    VkFence fence[OSL_VK_FLIGHT_MAX];
    uint64_t next, done;                    /* [done, next) are under way */
    uint64_t submit_ns[OSL_VK_FLIGHT_MAX];
    uint32_t cost[OSL_VK_FLIGHT_MAX];       /* of pace; 0: not measured */
    enum osl_step_kind kind[OSL_VK_FLIGHT_MAX];
    uint64_t done_ns;                       /* when the last one waited for had ended */
};

/* How much a submission may hold, adapted to measured time. A unit of cost is a layer of decode, or
 * a layer of prefill and a token; `logits` is what logits of one row cost, in layers. */
struct osl_vk_pace {
    double unit_ns[OSL_VK_KINDS]; /* 0: not measured yet */
    uint32_t logits;
};

struct osl_vk_ahead {
    bool active;                 /* since the last run or drop */
    uint64_t picked, taken;      /* tokens */
    uint64_t number[OSL_GPU_RING]; /* the submission that picks token t: [t % OSL_GPU_RING] */
    uint32_t position;           /* that the last token picked will have */
};

struct osl_vk_timed {
    uint32_t count;
    struct osl_time op[OSL_VK_TIMED_MAX];
};

struct osl_vulkan {
    struct osl_backend face; /* first: what model/ holds points here */
    struct osl_vulkan_config config;
    struct osl_vulkan_report report;
    enum osl_vk_tier tier; /* the highest one that the self-test left */
    bool lost;
    bool opened, device_opened, recorder_opened;

    struct osl_vk vk;
    struct osl_vk_device device;
    struct osl_vk_places places;
    struct osl_vk_up up_parts;
    struct osl_vk_buffer *act, *step, *aux, *marks, *embedding, *up, *down;
    uint64_t result_offset; /* in down: struct osl_gpu_pick_result */
    struct osl_vk_net net;
    struct osl_vk_pick_net pick;
    struct osl_vk_kv kv[OSL_LAYERS_MAX];
    struct osl_vk_transfer transfer[2]; /* 0 for all but uploads, which take turns */

    struct osl_vk_commands commands;
    struct osl_vk_flight flight;
    struct osl_vk_pace pace;
    struct osl_vk_ahead ahead;
    struct osl_vk_timed timed[OSL_VK_KINDS];
    uint32_t query_first[OSL_VK_COMMANDS_MAX], query_end[OSL_VK_COMMANDS_MAX];
    /* Of weights as the file has them: all dense ones of the layers, an expert of every layer, the
     * output, a row of the token table. */
    uint64_t dense_bytes, expert_bytes, output_bytes, row_bytes;
    uint64_t weight_bytes;                         /* of the last step */
    uint32_t logits_rows;  /* of the last step */
    uint32_t logits_ready; /* rows of them in `down` */

    union { /* the self-test ends before the schedule is recorded */
        struct osl_vk_rig rig;
        struct {
            struct osl_vk_recorder recorder;
            struct osl_vk_bound bound[OSL_OPS_MAX];
        };
    };
};

static inline struct osl_vulkan *osl_vulkan_own(struct osl_backend *backend)
{
    return (struct osl_vulkan *)(void *)backend;
}

/* A step's error has nowhere to go but the log; the device is taken for lost. */
enum osl_status osl_vulkan_lose(struct osl_vulkan *v, const struct osl_error *error);

/* ---- upload.c ---------------------------------------------------------------------------- */

/* Every weight to its place; ABORTED when progress says so or the abort flag is set. */
OSL_MUST_USE enum osl_status osl_vulkan_upload(struct osl_vulkan *v, struct osl_error *error);

/* ---- forward.c --------------------------------------------------------------------------- */

/* Refuses a schedule that is not the forward pass this can record. */
OSL_MUST_USE enum osl_status osl_vulkan_check_schedule(const struct osl_schedule *schedule,
                                                       struct osl_error *error);
OSL_MUST_USE enum osl_status osl_vulkan_record_all(struct osl_vulkan *v, struct osl_error *error);

/* ---- flight.c ---------------------------------------------------------------------------- */

OSL_MUST_USE enum osl_status osl_vulkan_flight_open(struct osl_vulkan *v, struct osl_error *error);
void osl_vulkan_flight_close(struct osl_vulkan *v);
/* Submits; waits for an earlier one where too many are under way. number_out may be NULL. */
OSL_MUST_USE enum osl_status osl_vulkan_submit(struct osl_vulkan *v, enum osl_step_kind kind,
                                               const VkCommandBuffer *commands, uint32_t count,
                                               uint32_t cost, uint64_t *number_out,
                                               struct osl_error *error);
/* Waits until all up to a number have ended, and learns from how long they took. */
OSL_MUST_USE enum osl_status osl_vulkan_wait_for(struct osl_vulkan *v, uint64_t number,
                                                 struct osl_error *error);
/* Nothing is under way any more. */
OSL_MUST_USE enum osl_status osl_vulkan_settle(struct osl_vulkan *v, struct osl_error *error);
uint64_t osl_vulkan_watchdog_ns(const struct osl_vulkan *v);
/* Cost that a submission may have now. */
uint32_t osl_vulkan_cost_most(const struct osl_vulkan *v, enum osl_step_kind kind);

/* ---- run.c ------------------------------------------------------------------------------- */

enum osl_status osl_vulkan_run(struct osl_backend *backend, const struct osl_step *step);
enum osl_status osl_vulkan_logits(struct osl_backend *backend, const float **out);
uint64_t osl_vulkan_weight_bytes(const struct osl_backend *backend);
/* The step block in host memory, to be loaded: everything but pick and tokens. */
void osl_vulkan_fill_step(struct osl_vulkan *v, const struct osl_step *step);
/* Submits a decode step whose step block is on the device, `head` before it and `tail` after it
 * where not NULL, in as many submissions as pace wants. number_out: the last one's. */
OSL_MUST_USE enum osl_status osl_vulkan_submit_token(struct osl_vulkan *v, VkCommandBuffer head,
                                                     VkCommandBuffer tail, uint64_t *number_out,
                                                     struct osl_error *error);

/* ---- ahead.c, rows.c, profile.c ---------------------------------------------------------- */

uint32_t osl_vulkan_ahead_most(const struct osl_backend *backend);
enum osl_status osl_vulkan_ahead(struct osl_backend *backend, const struct osl_pick *pick,
                                 uint32_t position, uint32_t count);
enum osl_status osl_vulkan_take(struct osl_backend *backend, int32_t *token_out);
enum osl_status osl_vulkan_drop(struct osl_backend *backend);
enum osl_status osl_vulkan_candidates(struct osl_backend *backend, const struct osl_pick *pick,
                                      struct osl_candidates *out);

enum osl_status osl_vulkan_cache_read(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                      uint32_t slot, uint32_t rows, void *out);
enum osl_status osl_vulkan_cache_write(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                       uint32_t slot, uint32_t rows, const void *in);
enum osl_status osl_vulkan_mark(struct osl_backend *backend, uint32_t mark, uint32_t position,
                                bool restore);

OSL_MUST_USE enum osl_status osl_vulkan_record_stream(struct osl_vulkan *v, uint32_t unused,
                                                      struct osl_error *error);
double osl_vulkan_bandwidth(struct osl_backend *backend, uint32_t repeats);
uint32_t osl_vulkan_times(struct osl_backend *backend, bool prefill, struct osl_time *out,
                          uint32_t most);
/* Adds the timestamps of the commands that a step was made of; logits may be NULL. */
OSL_MUST_USE enum osl_status osl_vulkan_profile_step(struct osl_vulkan *v, enum osl_step_kind kind,
                                                     VkCommandBuffer logits,
                                                     struct osl_error *error);

/* The highest tier that a device has in use. */
enum osl_vk_tier osl_vulkan_tier(const struct osl_vk_device *device);

/* ---- self_test.c ------------------------------------------------------------------------- */

struct osl_vk_checked {
    uint32_t passed, failed;
    bool broken; /* one failed by an error: text in *error */
};

/* What is checked for a model: its own widths and types, on small inputs. */
struct osl_vk_check_case osl_vulkan_check_case(const struct osl_schedule *schedule,
                                               const struct osl_vulkan_limits *limits);
/* Runs every check on a device just opened. A check that fails by an error counts as failed, but
 * for want of memory. rig: room for it, not opened; line may be NULL. */
OSL_MUST_USE enum osl_status
osl_vulkan_self_test(struct osl_vk_device *device, struct osl_vk_rig *rig,
                     const struct osl_vk_check_case *c,
                     void (*line)(void *user, const char *text, bool pass), void *user,
                     struct osl_vk_checked *out, struct osl_error *error);

/* What osl_vulkan_open.as_card says, done to the facts. */
void osl_vulkan_play(struct osl_vk *vk, const struct osl_vulkan_open *open);

#endif
