/* Ossicle: the control API. Runs gpt-oss models in memory that is planned and given up front.
 *
 * Poll-driven, like firmware: every call does a bounded piece of work and returns; the caller owns
 * the loop and the memory. After ossicle_boot nothing is allocated, by heap or mmap. One engine
 * holds one conversation at a time. Calls on one engine come from one thread, except ossicle_cancel
 * (any thread, or a signal handler). Several engines can live in one process.
 *
 *     ossicle_config_init(&config);
 *     config.model_path = "model.gguf";
 *     ossicle_plan(&config, &plan, &error);            what it takes, or why it cannot be
 *     memory = aligned_alloc(OSSICLE_ALIGNMENT, plan.memory_bytes);
 *     ossicle_boot(&config, memory, plan.memory_bytes, &engine, &error);
 *     ossicle_open(engine, NULL), ossicle_say(engine, OSSICLE_USER, "Hello", 5);
 *     ossicle_begin(engine, NULL);
 *     do { ossicle_step(engine, &event); ... } while (event.kind != OSSICLE_EVENT_DONE && ...);
 *     ossicle_halt(engine);
 *
 * The model's file stays mapped. Cut short or unreadable meanwhile it ends a step with IO, not the
 * process: while an engine lives there is a handler for SIGBUS, which leaves addresses outside the
 * map to the action it replaced. Whoever sets one later should call the one that was there.
 *
 * Text is UTF-8 with a byte count and may hold any byte; sizes are in bytes unless named
 * otherwise. On failure outputs keep their value, and ossicle_error says in one line what was
 * wrong, where, and what to do. */
#ifndef OSSICLE_H
#define OSSICLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OSSICLE_VERSION_MAJOR 0
#define OSSICLE_VERSION_MINOR 1
#define OSSICLE_VERSION_PATCH 0

#if defined(__GNUC__)
#define OSSICLE_MUST_USE __attribute__((warn_unused_result))
#else
#define OSSICLE_MUST_USE
#endif

/* Alignment of the memory given to ossicle_boot. 2 MiB lets the kernel use huge pages. */
#define OSSICLE_ALIGNMENT 4096

/* ---- Status ------------------------------------------------------------------------------ */

/* Values are only ever appended. Programs use them as exit codes. */
enum ossicle_status {
    OSSICLE_OK = 0,
    OSSICLE_ARGUMENT = 1,    /* the caller passed something impossible */
    OSSICLE_STATE = 2,       /* right call, wrong moment */
    OSSICLE_IO = 3,          /* the operating system refused or a disk failed */
    OSSICLE_FORMAT = 4,      /* a file or JSON text is broken */
    OSSICLE_UNSUPPORTED = 5, /* the file or device is fine, but not for this program */
    OSSICLE_MEMORY = 6,      /* the memory given, or the budget, is too small */
    OSSICLE_CAPACITY = 7,    /* the context or a fixed table is full */
    OSSICLE_DEVICE = 8,      /* the compute device failed */
    OSSICLE_ABORTED = 9,     /* cancelled */
};

const char *ossicle_status_text(enum ossicle_status status); /* a few words, never NULL */

#define OSSICLE_ERROR_BYTES 512
struct ossicle_error {
    enum ossicle_status status;
    char text[OSSICLE_ERROR_BYTES]; /* one line, terminated */
};

const char *ossicle_version(void); /* "0.1.0" */

/* ---- Configuration ----------------------------------------------------------------------- */

enum ossicle_device {
    OSSICLE_DEVICE_AUTO = 0,   /* a real GPU that works and has room, else the CPU */
    OSSICLE_DEVICE_CPU = 1,
    OSSICLE_DEVICE_VULKAN = 2, /* device_index, or the best there is; fails rather than fall back */
};
/* Drafts in CPU steps, of what was said before: the same text. AUTO: where it pays; ON: tests. */
enum ossicle_lookup { OSSICLE_LOOKUP_AUTO = 0, OSSICLE_LOOKUP_OFF = 1, OSSICLE_LOOKUP_ON = 2 };
enum ossicle_kv { OSSICLE_KV_F16 = 0, OSSICLE_KV_Q8 = 1 };
enum ossicle_weights {
    OSSICLE_WEIGHTS_AUTO = 0,     /* mapped, which was measured to decode no slower */
    OSSICLE_WEIGHTS_MAPPED = 1,   /* used from the page cache: starts at once, read ahead of use */
    OSSICLE_WEIGHTS_RESIDENT = 2, /* read first, into the memory given: nothing can evict it */
};
enum ossicle_log_level {
    OSSICLE_LOG_DEBUG = 0,
    OSSICLE_LOG_INFO = 1,
    OSSICLE_LOG_WARN = 2,
    OSSICLE_LOG_ERROR = 3,
};

struct ossicle_config {
    const char *model_path;       /* a GGUF file; must stay valid until boot returns */
    /* Or such a file in memory: the program's own, or flash. Aligned to OSSICLE_ALIGNMENT, used as
     * it lies, never written; must outlive the engine. model_path, if not NULL, names it. */
    const void *model_data;
    uint64_t model_bytes;
    uint32_t context_tokens;      /* 0: 4096, or the model's own if that is less */
    uint32_t prefill_tokens;      /* tokens a prefill step takes, 0: 512; 1..4096 */
    uint32_t threads;             /* 0: what the machine recommends, fewer for a tiny model */
    uint32_t marks;               /* message boundaries that can be rewound to exactly without
                                   * reading again; 0: 8; at most 64 */
    enum ossicle_device device;
    int32_t device_index;         /* which one of ossicle_devices; -1: the best */
    const char *vulkan_tier;      /* NULL: the highest that proves right; else "base", "subgroup",
                                   * "fp16", "dot" or "matrix": none above it */
    const char *state_dir;        /* folder for compiled shaders and self-test results, which save
                                   * time at the next boot; NULL: nothing is kept */
    /* vkGetInstanceProcAddr of a platform that links Vulkan itself; NULL: the system's loader */
    void (*(*vulkan_entry)(void *instance, const char *name))(void);
    bool vulkan_validation;       /* tests: with the validation layer, messages go to the log */
    bool vulkan_as_card;          /* tests: a software device gets what a discrete GPU would */
    bool profile;                 /* time every kind of op, for ossicle_times */
    enum ossicle_kv kv;
    enum ossicle_lookup lookup;
    enum ossicle_weights weights;
    const char *cpu_level;        /* NULL: best; else a name ossicle_stats may report */
    uint32_t ahead_tokens;        /* tokens that a GPU may pick ahead of the program, 0: as many as
                                   * take about 20 ms; at most 64. The text does not depend on it */
    uint64_t budget_bytes;        /* most memory all told; 0: what the machine has left */
    uint64_t text_bytes;          /* longest text in one call; 0: 1 MiB. About 25 bytes each */
    bool score_all;               /* room for log-probabilities at every position (score --text) */
    bool tokens_only;             /* only (de)tokenize will be called: weights are left alone */
    bool poison;                  /* tests: scratch is filled with NaN before it is used */
    void (*log)(void *user, enum ossicle_log_level level, const char *line);
    bool (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    void *user;                   /* for log and progress, which says false to stop */
};
void ossicle_config_init(struct ossicle_config *config); /* every field to its default */

/* ---- Devices ----------------------------------------------------------------------------- */

#define OSSICLE_DEVICES_MAX 16
#define OSSICLE_HEAPS_MAX 16
#define OSSICLE_ADVICE_MAX 8
struct ossicle_heap {
    uint64_t bytes;
    uint64_t budget_bytes; /* what may be taken of it now */
    bool device_local;     /* the GPU's own, or its share of the machine's */
    bool host_visible;
};
struct ossicle_device_facts {
    uint32_t index;   /* config.device_index */
    char name[256];
    char driver[256];
    char type[16];    /* "discrete", "integrated", "virtual", "software", "other" */
    bool usable;
    char refusal[160]; /* why not */
    char tier[16];     /* the highest that it reports and this build has */
    char tier_kept[16]; /* the one that proved right at an earlier boot; "" where none is kept */
    bool unified;      /* one memory serves CPU and GPU */
    uint32_t heap_count;
    struct ossicle_heap heaps[OSSICLE_HEAPS_MAX];
    uint32_t subgroup_size;
    uint32_t advice_count; /* what would make it serve better */
    char advice[OSSICLE_ADVICE_MAX][240];
};

/* Lists the Vulkan devices, at most OSSICLE_DEVICES_MAX; uses config's state_dir and vulkan_entry.
 * UNSUPPORTED where there is no Vulkan: the error says what is missing. */
OSSICLE_MUST_USE enum ossicle_status ossicle_devices(const struct ossicle_config *config,
                                                     struct ossicle_device_facts *devices_out,
                                                     uint32_t *count_out,
                                                     struct ossicle_error *error);

/* The CPU, which always is one of the devices. */
struct ossicle_cpu_facts {
    char level[16];   /* of the kernels, where cpu_level is NULL */
    uint32_t threads; /* where threads is 0 */
};
void ossicle_cpu(struct ossicle_cpu_facts *facts_out);

/* ---- Plan -------------------------------------------------------------------------------- */

#define OSSICLE_REGIONS_MAX 32
struct ossicle_region {
    char name[32];
    char where[16]; /* "host": in the memory given to boot; "mapped": the file's page cache;
                     * "given": model_data; "process": the program itself; "device": the GPU's;
                     * "driver": host memory that the GPU's driver makes; "reserve": host memory
                     * that is touched only if the CPU has to take over from a lost GPU */
    uint64_t bytes; /* what it adds; regions that share memory by lifetime are counted once */
};

struct ossicle_plan {
    struct ossicle_region regions[OSSICLE_REGIONS_MAX];
    uint32_t region_count;
    uint64_t total_bytes;  /* sum of the regions in the machine's memory (the device's too where
                            * it is the same): the process's resident size stays below this */
    uint64_t memory_bytes; /* what ossicle_boot wants: the "host" and "reserve" regions */
    uint64_t device_bytes; /* sum of the "device" regions */
    uint64_t budget_bytes; /* what was compared with */
    bool fits;
    char verdict[256];       /* one line: fits with how much to spare, or what to change */
    uint32_t context_tokens; /* what the zeros in the configuration became */
    uint32_t prefill_tokens;
    uint32_t threads;
    char model_name[64];
    char weights[16]; /* "mapped", "given", "resident" or "device" */
    char kv[8];       /* "f16" or "q8" */
    char device[256]; /* "cpu", or the name of the Vulkan device */
    int32_t device_index; /* -1: the CPU */
    char device_note[256]; /* auto: why the CPU, where there is Vulkan; else "" */
};

/* Computes every byte from the file's header alone, in milliseconds. OSSICLE_OK also when it
 * does not fit (see fits); a status when the file or the configuration is wrong. Keeps nothing;
 * uses about 300 KiB of stack, as does ossicle_boot. */
OSSICLE_MUST_USE enum ossicle_status ossicle_plan(const struct ossicle_config *config,
                                                  struct ossicle_plan *plan_out,
                                                  struct ossicle_error *error);

/* ---- Life -------------------------------------------------------------------------------- */

typedef struct ossicle ossicle;

/* Builds an engine in memory [memory_bytes], aligned to OSSICLE_ALIGNMENT, which stays the
 * caller's and must outlive it. Fails with MEMORY if it is smaller than the plan says or if the
 * plan does not fit its budget. On failure *engine_out is NULL and nothing is left open. */
OSSICLE_MUST_USE enum ossicle_status ossicle_boot(const struct ossicle_config *config, void *memory,
                                                  uint64_t memory_bytes, ossicle **engine_out,
                                                  struct ossicle_error *error);

/* Stops the threads and closes the file; the memory can then be reused. NULL is fine. */
void ossicle_halt(ossicle *engine);

/* What the last failing call on this engine had to say; "" if none. Valid until the next call. */
const char *ossicle_error_text(const ossicle *engine);

/* ---- Conversation ------------------------------------------------------------------------ */

enum ossicle_role { OSSICLE_USER = 0, OSSICLE_ASSISTANT = 1, OSSICLE_TOOL = 2 };
enum ossicle_reasoning {
    OSSICLE_REASONING_MEDIUM = 0,
    OSSICLE_REASONING_LOW = 1,
    OSSICLE_REASONING_HIGH = 2,
};

/* NULL fields take the default in brackets; strings are terminated and copied. */
struct ossicle_conversation {
    const char *identity;         /* [ChatGPT's, which the model was trained with] */
    const char *knowledge_cutoff; /* [2024-06]; "" leaves the line out */
    const char *current_date;     /* [left out] YYYY-MM-DD */
    enum ossicle_reasoning reasoning;
    const char *instructions; /* [none] what others call the system prompt */
    const char *tools_json;   /* [none] a JSON array as in chat-completions "tools" */
};

/* Forgets the conversation and starts a new one. conversation may be NULL. */
OSSICLE_MUST_USE enum ossicle_status ossicle_open(ossicle *engine,
                                                  const struct ossicle_conversation *conversation);

/* Appends a whole message (assistant: on the final channel). CAPACITY if it does not fit what is
 * left of the context; the conversation is then as before. */
OSSICLE_MUST_USE enum ossicle_status ossicle_say(ossicle *engine, enum ossicle_role role,
                                                 const char *text, size_t bytes);

/* Appends the result of the tool `name` ("get_weather" or "functions.get_weather"). */
OSSICLE_MUST_USE enum ossicle_status ossicle_say_tool(ossicle *engine, const char *name,
                                                      const char *text, size_t bytes);

/* Appends raw token ids, with no Harmony around them (benchmarks, tests). */
OSSICLE_MUST_USE enum ossicle_status ossicle_say_tokens(ossicle *engine, const int32_t *ids,
                                                        size_t count);

/* ---- Generation -------------------------------------------------------------------------- */

#define OSSICLE_STOPS_MAX 8
#define OSSICLE_STOP_BYTES_MAX 128
#define OSSICLE_BIAS_MAX 64

struct ossicle_bias {
    int32_t token;
    float bias; /* added to the logit, -100..100 */
};

/* Order of work: bias, penalties, temperature, top-k, top-p, min-p, draw. Random numbers come from
 * PCG32 seeded with `seed` (documented in model/sampler.h): same seed, same settings, same text on
 * the same device. Where a GPU draws by itself (no top-k, top-p, min-p) it goes through the tokens
 * in another order than the CPU: the same probabilities, another text for a seed. However far it
 * runs ahead (ahead_tokens), the text is the same. */
struct ossicle_sampling {
    float temperature;        /* 0: greedy. Default 1 */
    uint32_t top_k;           /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off; fraction of the best token's probability */
    float repetition_penalty; /* 1: off; divides positive logits of seen tokens, times negative */
    float presence_penalty;   /* 0: off; subtracted once from seen tokens */
    float frequency_penalty;  /* 0: off; subtracted per occurrence */
    uint32_t penalty_tokens;  /* how far back tokens count as seen; 0: the answer being written */
    uint64_t seed;
    const struct ossicle_bias *bias;
    uint32_t bias_count;
    const char *stops[OSSICLE_STOPS_MAX]; /* the final channel ends before any of these */
    uint32_t stop_count;
    uint32_t max_tokens; /* 0: up to the context */
    bool raw;            /* no Harmony: text as it comes, only max_tokens ends it (benchmarks) */
};
void ossicle_sampling_init(struct ossicle_sampling *sampling);
/* The same, but as the model's file advises (general.sampling.temp, top_k, top_p, min_p). */
void ossicle_sampling_advised(const ossicle *engine, struct ossicle_sampling *sampling);

/* Starts an answer; sampling may be NULL: as advised. Arrays and strings in it are copied. */
OSSICLE_MUST_USE enum ossicle_status ossicle_begin(ossicle *engine,
                                                   const struct ossicle_sampling *sampling);

enum ossicle_event_kind {
    OSSICLE_EVENT_PREFILL = 0,   /* done of total prompt tokens read */
    OSSICLE_EVENT_TEXT = 1,      /* text on a channel; 0 bytes for half a character, a header */
    OSSICLE_EVENT_TOOL_CALL = 2, /* name and arguments of a whole call; DONE follows */
    OSSICLE_EVENT_DONE = 3,
    OSSICLE_EVENT_FAULT = 4,     /* status says what; the conversation is as before begin */
};
enum ossicle_channel {
    OSSICLE_CHANNEL_NONE = 0,
    OSSICLE_CHANNEL_ANALYSIS = 1,
    OSSICLE_CHANNEL_COMMENTARY = 2, /* a preamble, for the user to see */
    OSSICLE_CHANNEL_FINAL = 3,
};
enum ossicle_done {
    OSSICLE_DONE_STOP = 0,      /* the model ended its turn */
    OSSICLE_DONE_STOP_TEXT = 1, /* one of `stops` */
    OSSICLE_DONE_LENGTH = 2,    /* max_tokens or the context */
    OSSICLE_DONE_TOOL_CALL = 3,
    OSSICLE_DONE_CANCELLED = 4,
};

/* Pointers are valid until the next call on this engine. */
struct ossicle_event {
    enum ossicle_event_kind kind;
    uint32_t prefill_done;
    uint32_t prefill_total;
    bool again; /* PREFILL: the device was lost and the whole conversation is being read again,
                 * maybe in the middle of an answer, which then goes on as if nothing had been */
    enum ossicle_channel channel;
    const char *text; /* TEXT: whole UTF-8 characters; TOOL_CALL: the arguments as written */
    size_t text_bytes;
    int32_t token;     /* TEXT: the sampled id, -1 if none */
    const char *tool;  /* TOOL_CALL: name without "functions." */
    enum ossicle_done reason;
    enum ossicle_status status; /* FAULT */
};

/* One bounded piece of work: a chunk of prompt or one token. STATE if nothing was begun. */
OSSICLE_MUST_USE enum ossicle_status ossicle_step(ossicle *engine, struct ossicle_event *event_out);

/* Makes the step under way, or the next, end with DONE CANCELLED. What was written of the final
 * message stays in the conversation, cut short. Safe in a signal handler and from any thread. */
void ossicle_cancel(ossicle *engine);

/* ---- Going back and keeping -------------------------------------------------------------- */

/* Remembers this message boundary; the same conversation continued from it gives the same bits.
 * When all marks are taken the oldest is forgotten, and with a turn's reasoning, which is dropped
 * when the turn ends, the marks set within it (between a tool call and the answer). */
OSSICLE_MUST_USE enum ossicle_status ossicle_mark(ossicle *engine, uint32_t *mark_out);

/* Goes back to a mark; later marks are forgotten. STATE if it was forgotten. */
OSSICLE_MUST_USE enum ossicle_status ossicle_rewind(ossicle *engine, uint32_t mark);

/* Writes the conversation and its cache to a file: whole or not at all, checksummed. */
OSSICLE_MUST_USE enum ossicle_status ossicle_save(ossicle *engine, const char *path);

/* Replaces the conversation by a saved one. Refuses (FORMAT, UNSUPPORTED) a damaged file, one of
 * another model or cache type, and (CAPACITY) one too long for this context: nothing changes. */
OSSICLE_MUST_USE enum ossicle_status ossicle_load(ossicle *engine, const char *path);

/* ---- Tools and tests --------------------------------------------------------------------- */

/* Text to ids, special tokens never made from text unless `specials`. Writes at most capacity
 * ids; *count_out is how many there are (call again with more room). */
OSSICLE_MUST_USE enum ossicle_status ossicle_tokenize(ossicle *engine, const char *text,
                                                      size_t bytes, bool specials, int32_t *ids,
                                                      size_t capacity, size_t *count_out);

/* Ids to bytes, special tokens spelled out. Same convention for capacity. */
OSSICLE_MUST_USE enum ossicle_status ossicle_detokenize(ossicle *engine, const int32_t *ids,
                                                        size_t count, char *text, size_t capacity,
                                                        size_t *bytes_out);

#define OSSICLE_TOP_MAX 1024
struct ossicle_candidate {
    int32_t token;
    float logprob; /* natural log */
};

/* Reads ids from an empty context (the conversation is forgotten) and writes the top_count (up to
 * OSSICLE_TOP_MAX) best next tokens, best first, ties to the lower id. With logprobs
 * (config.score_all), also logprobs[i] = log p(ids[i] | before), [0] is 0. Long: progress is
 * reported, cancel works. */
OSSICLE_MUST_USE enum ossicle_status ossicle_score(ossicle *engine, const int32_t *ids,
                                                   size_t count, struct ossicle_candidate *top,
                                                   uint32_t top_count, float *logprobs);

struct ossicle_stats {
    uint32_t context_tokens;
    uint32_t context_used;
    uint32_t vocab_tokens;
    uint32_t threads;
    uint64_t boot_ns;
    uint64_t prefill_tokens, prefill_ns; /* since boot */
    uint64_t decode_tokens, decode_ns, drafted_tokens, accepted_tokens; /* by lookup */
    uint64_t weight_bytes_last_step; /* read by the last decode step */
    uint64_t model_bytes;
    uint64_t model_parameters;
    char model_name[64];
    char cpu_level[16];
    char device[256];     /* what runs the model now: "cpu", or the Vulkan device's name */
    char device_tier[16]; /* "" on the CPU */
    uint64_t device_bytes;
    uint32_t dispatches_per_token, barriers_per_token, submissions_per_token; /* of the device */
    uint32_t device_restarts; /* after the device was lost */
    uint32_t validation_messages;
    uint64_t device_checks_ns; /* of the self-test at boot; 0 where kept results were used */
    char device_note[256];    /* auto: why the CPU, where there is Vulkan; else "" */
};
void ossicle_stats(const ossicle *engine, struct ossicle_stats *stats_out);

/* Read bandwidth over the weights with this engine's threads, bytes per second, best of repeats. */
double ossicle_bandwidth(ossicle *engine, uint32_t repeats);

/* Each kind of op, summed over the prefill or decode steps since the last call ("embed" runs once
 * in each); at most `most`; returns how many. Times with config.profile only; bytes and operations
 * on the CPU, always; a Vulkan device says nothing without profile. */
struct ossicle_time {
    char name[32];
    uint32_t dispatches;        /* times it ran */
    uint64_t ns, waited_ns;     /* of ns, that threads waited for one another, on average */
    uint64_t bytes, operations; /* of weights and cache; of matrices, two for a weight and token */
    double peak_ns;             /* that operations take at ossicle_peaks; 0: not known */
};
uint32_t ossicle_times(ossicle *engine, bool prefill, struct ossicle_time *out, uint32_t most);

/* How fast the instructions that multiply matrices are, on all threads, a type of weight each: of
 * the instruction's products, a product of a weight takes `products`. Some milliseconds each, best
 * of repeats; ossicle_times goes by the best since repeats was 0, which forgets. Returns how many,
 * at most `most`: none on a Vulkan device and in the plain level. */
struct ossicle_peak {
    char type[8], instruction[24];
    uint32_t products;
    double operations_per_second; /* two for each product */
};
uint32_t ossicle_peaks(ossicle *engine, uint32_t repeats, struct ossicle_peak *out, uint32_t most);

/* Runs every shader of a Vulkan device against the plain C op, on the widths of the 20b; uses
 * config's device_index, vulkan_tier, state_dir and vulkan_entry. line as below. *tier_out [16] is
 * the tier that proved right. DEVICE if none did. */
OSSICLE_MUST_USE enum ossicle_status ossicle_self_test_device(
    const struct ossicle_config *config, void (*line)(void *user, const char *text, bool pass),
    void *user, char tier_out[16], struct ossicle_error *error);

/* Compares every kernel in use with the plain C op on fixed inputs. Calls line (may be NULL) with
 * one row of text per check. OK if all pass, DEVICE if not. */
OSSICLE_MUST_USE enum ossicle_status ossicle_self_test(void (*line)(void *user, const char *text,
                                                                    bool pass),
                                                       void *user);

/* Describes config's model by its header: whether it runs here, metadata, tensors. piece gets a
 * line of text at a time, newline included; json: one JSON object in pieces. Printable whatever the
 * file holds. A file that cannot be read as a GGUF is an error; one that does not run is not. */
OSSICLE_MUST_USE enum ossicle_status ossicle_inspect(const struct ossicle_config *config, bool json,
                                                     void (*piece)(void *user, const char *text),
                                                     void *user, struct ossicle_error *error);

/* ---- Harmony without a model ------------------------------------------------------------- */

/* request_json: an object with messages, tools, reasoning_effort, model_identity,
 * knowledge_cutoff, current_date, instructions, as in chat-completions; absent and null fields
 * leave no text, others are ignored -> exact text with the assistant start, terminated.
 * memory is scratch for the JSON tree: 16 times the request and 64 KiB is enough for most.
 * FORMAT names line and place; MEMORY / CAPACITY if memory or text is too small. */
OSSICLE_MUST_USE enum ossicle_status ossicle_harmony_render(const char *request_json, size_t bytes,
                                                            void *memory, size_t memory_bytes,
                                                            char *text, size_t text_capacity,
                                                            size_t *text_bytes_out,
                                                            struct ossicle_error *error);

/* Text with special tokens spelled out -> JSON array of {role, name, channel, recipient,
 * content_type, content}, absent ones left out, terminated. role: NULL, or the role that the text
 * begins inside of ("assistant"). strict: a malformed header is FORMAT, and json then holds the
 * messages finished before it; else it is recovered (harmony.md section 10). memory is scratch
 * for the longest message. One newline behind the last message is no part of the text. */
OSSICLE_MUST_USE enum ossicle_status ossicle_harmony_parse(const char *text, size_t bytes,
                                                           const char *role, bool strict,
                                                           void *memory, size_t memory_bytes,
                                                           char *json, size_t json_capacity,
                                                           size_t *json_bytes_out,
                                                           struct ossicle_error *error);

#ifdef __cplusplus
}
#endif
#endif
