/* Who executes the schedule: the CPU team or a Vulkan device, behind one face for model/.
 *
 * A backend lives in memory the caller placed by plan and allocates nothing after it was made.
 * OSL_DEVICE from any call means that the device is lost (or does not answer): its cache is gone,
 * every further call says OSL_DEVICE until osl_backend_restart has succeeded, after which the
 * cache is empty and the caller reads its tokens again. The CPU never says so. */
#ifndef OSL_BACKEND_H
#define OSL_BACKEND_H

#include "compute/schedule.h"
#include "platform/platform.h"

#define OSL_PICK_AHEAD_MAX 64 /* steps that may be under way */

/* How a backend that can picks a token by itself (see osl_backend_ahead). Penalties as
 * model/sampler.h has them; a draw walks the tokens in rising order of id, not in falling order of
 * probability as the host's sampler does: other tokens for the same seed, the same distribution. */
struct osl_pick {
    uint32_t token_count;    /* ids below it may be picked */
    const uint32_t *allowed; /* bit set over them, NULL: all; read during the call only */
    float temperature;       /* 0: greedy, ties to the lower id */
    float repetition_penalty, presence_penalty, frequency_penalty; /* 1, 0, 0: off */
    const uint32_t *seen;    /* [vocab] times seen, where a penalty is on; as allowed */
    bool seen_grows;         /* tokens picked count as seen by those after them; else, with
                              * penalties, one step ahead at most */
    uint32_t bias_count;
    const int32_t *bias_token;
    const float *bias_value;
    float uniform_draw[OSL_PICK_AHEAD_MAX]; /* in [0, 1): of the tokens to come, in order */
};

/* The most likely tokens after bias and penalties, for filters that the host applies: any token
 * not listed has a lower logit than every one that is. */
struct osl_candidates {
    uint32_t count;       /* 0: too many alike, or nothing can be picked: take the logits */
    const int32_t *token; /* in no order */
    const float *logit;
    float log_sum;     /* ln sum exp((logit - largest) / temperature) of all that can be picked */
    uint32_t pickable; /* how many can be */
};

/* What one kind of op did, summed over steps. */
struct osl_time {
    const char *name;
    uint32_t dispatches; /* times it ran */
    uint64_t ns;         /* 0: not timed */
    uint64_t waited_ns;  /* of ns, that threads waited for one another, on average */
    uint64_t bytes;      /* of weights and cache read */
    uint64_t operations; /* of matrices: two for each product */
    double peak_ns;      /* that these take at the peaks found; 0: none is known */
};

/* The fastest that matrices of a type can be multiplied here: the instruction's rate in operations
 * per second, a product of a weight taking so many of its products. */
struct osl_peak_found {
    enum osl_dtype dtype;
    const char *instruction;
    uint32_t products;
    double rate;
};

struct osl_backend;

struct osl_backend_ops {
    const char *name; /* "cpu" or "vulkan" */
    enum osl_status (*run)(struct osl_backend *, const struct osl_step *);
    enum osl_status (*logits)(struct osl_backend *, const float **out);
    enum osl_status (*cache_read)(struct osl_backend *, uint32_t layer, uint32_t half,
                                  uint32_t slot, uint32_t rows, void *out);
    enum osl_status (*cache_write)(struct osl_backend *, uint32_t layer, uint32_t half,
                                   uint32_t slot, uint32_t rows, const void *in);
    enum osl_status (*mark)(struct osl_backend *, uint32_t mark, uint32_t position, bool restore);
    uint32_t (*ahead_most)(const struct osl_backend *);
    enum osl_status (*ahead)(struct osl_backend *, const struct osl_pick *, uint32_t position,
                             uint32_t count);
    enum osl_status (*take)(struct osl_backend *, int32_t *token_out);
    enum osl_status (*drop)(struct osl_backend *);
    enum osl_status (*candidates)(struct osl_backend *, const struct osl_pick *,
                                  struct osl_candidates *out); /* NULL: it cannot */
    enum osl_status (*restart)(struct osl_backend *, struct osl_error *);
    uint64_t (*weight_bytes)(const struct osl_backend *);
    double (*bandwidth)(struct osl_backend *, uint32_t repeats);
    uint32_t (*times)(struct osl_backend *, bool prefill, struct osl_time *out,
                      uint32_t most); /* NULL: counts nothing */
    uint32_t (*peaks)(struct osl_backend *, uint32_t repeats, struct osl_peak_found *out,
                      uint32_t most); /* NULL: knows none */
    void (*close)(struct osl_backend *);
};

/* First member of whatever a backend is. */
struct osl_backend {
    const struct osl_backend_ops *ops;
    uint32_t decode_tokens; /* a DECODE step may have so many; 0: 1 */
};

/* Runs one step. OSL_OK, OSL_DEVICE, or OSL_ABORTED: then positions >= position_first hold garbage
 * in the cache and the step can be run again. */
static inline enum osl_status osl_backend_run(struct osl_backend *b, const struct osl_step *step)
{
    return b->ops->run(b, step);
}

/* [logits_row_count][vocab] of the last step, in host memory, valid until the next call. A device
 * copies them only when asked. */
static inline enum osl_status osl_backend_logits(struct osl_backend *b, const float **out)
{
    return b->ops->logits(b, out);
}

/* Rows of a layer's cache as they are stored, osl_kv_row_bytes each: half is the kv head of K,
 * then kv_heads + the kv head of V; [slot, slot + rows) lies within the capacity. */
static inline enum osl_status osl_backend_cache_read(struct osl_backend *b, uint32_t layer,
                                                     uint32_t half, uint32_t slot, uint32_t rows,
                                                     void *out)
{
    return b->ops->cache_read(b, layer, half, slot, rows, out);
}
static inline enum osl_status osl_backend_cache_write(struct osl_backend *b, uint32_t layer,
                                                      uint32_t half, uint32_t slot, uint32_t rows,
                                                      const void *in)
{
    return b->ops->cache_write(b, layer, half, slot, rows, in);
}

/* Copies the windowed layers' rows [position - window, position) to (or back from) mark `mark`,
 * 0 .. marks planned - 1. Device marks stay on the device. */
static inline enum osl_status osl_backend_mark(struct osl_backend *b, uint32_t mark,
                                               uint32_t position, bool restore)
{
    return b->ops->mark(b, mark, position, restore);
}

/* How many tokens this backend can pick by itself ahead of the host; 0: not at all (the CPU). */
static inline uint32_t osl_backend_ahead_most(const struct osl_backend *b)
{
    return b->ops->ahead_most(b);
}

/* After a step whose last row has logits: picks from them, feeds the token to a decode step at
 * `position`, picks again, `count` (1 .. ahead_most) times in all, the last token unread. Returns
 * at once; take gives the tokens one by one (-1: none could be picked), waiting as needed.
 * Called again with no run and no drop in between, it goes on: the last token picked, which stands
 * at `position`, is fed to a decode step first, `count` steps in all. pick is then the same but
 * for its draws, and allowed and seen are not read again. At most ahead_most tokens are untaken
 * at any time. */
static inline enum osl_status osl_backend_ahead(struct osl_backend *b, const struct osl_pick *pick,
                                                uint32_t position, uint32_t count)
{
    return b->ops->ahead(b, pick, position, count);
}
static inline enum osl_status osl_backend_take(struct osl_backend *b, int32_t *token_out)
{
    return b->ops->take(b, token_out);
}
/* Waits for what is under way and forgets tokens not taken; cache rows of positions past those
 * taken hold garbage. */
static inline enum osl_status osl_backend_drop(struct osl_backend *b)
{
    return b->ops->drop(b);
}

/* After a step whose last row has logits, nothing being under way: the tokens a filter needs,
 * valid until the next call; osl_backend_logits can be asked after it. temperature above 0. Without
 * this op: none. */
static inline enum osl_status osl_backend_candidates(struct osl_backend *b,
                                                     const struct osl_pick *pick,
                                                     struct osl_candidates *out)
{
    *out = (struct osl_candidates){0};
    return b->ops->candidates == NULL ? OSL_OK : b->ops->candidates(b, pick, out);
}

/* Makes a lost device anew, weights included; the cache is empty then. */
static inline enum osl_status osl_backend_restart(struct osl_backend *b, struct osl_error *error)
{
    return b->ops->restart(b, error);
}

/* Bytes of weight matrices read by the last step, for bench. */
static inline uint64_t osl_backend_weight_bytes(const struct osl_backend *b)
{
    return b->ops->weight_bytes(b);
}
/* Read bandwidth of the memory the weights are in, bytes per second, best of repeats. */
static inline double osl_backend_bandwidth(struct osl_backend *b, uint32_t repeats)
{
    return b->ops->bandwidth(b, repeats);
}
/* What prefill or decode steps did since the last call, a kind of op each ("embed" runs once a
 * step); at most `most`; returns how many. Times only where they were asked for at the start. */
static inline uint32_t osl_backend_times(struct osl_backend *b, bool prefill, struct osl_time *out,
                                         uint32_t most)
{
    return b->ops->times == NULL ? 0 : b->ops->times(b, prefill, out, most);
}
/* Measures the peaks for the types of the model's matrices, a few milliseconds each, best of
 * repeats; osl_backend_times goes by the best found since repeats was 0, which forgets. */
static inline uint32_t osl_backend_peaks(struct osl_backend *b, uint32_t repeats,
                                         struct osl_peak_found *out, uint32_t most)
{
    return b->ops->peaks == NULL ? 0 : b->ops->peaks(b, repeats, out, most);
}
static inline void osl_backend_close(struct osl_backend *b)
{
    b->ops->close(b);
}

#endif
