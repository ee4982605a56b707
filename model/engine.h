/* The engine: everything one conversation needs, in the caller's memory. Private to model/. */
#ifndef OSL_ENGINE_H
#define OSL_ENGINE_H

#include "compute/backend.h"
#include "constrain.h"
#include "harmony.h"
#include "lookup.h"
#include "plan.h"
#include "sampler.h"
#include "special.h"
#include "stop.h"
#include "tokenizer.h"
#include "tool_names.h"

#define OSL_SPANS_MAX 128          /* messages the model writes in one turn, tool loops included */
#define OSL_TIMES_MAX 64         /* kinds of dispatch told apart in a profile */
#define OSL_ARENA_BYTES (1u << 20) /* JSON trees: tools of a conversation */

/* A message the model wrote: [first, end) in the token list. */
struct osl_span {
    uint32_t first;
    uint32_t end;
    bool analysis;
};

/* The model's turn since the last user message; its analysis is dropped once it ended in final. */
struct osl_turn {
    bool open;      /* a begin came since the last user message */
    bool finished;  /* the last answer ended on the final channel */
    uint32_t first; /* token count at the first begin */
    uint32_t span_count;
    bool overflowed; /* more messages than spans: nothing is dropped */
    struct osl_span spans[OSL_SPANS_MAX];
};

struct osl_mark {
    bool used;
    bool captured; /* the rings' state was copied (needed only once tokens were read past it) */
    uint32_t id;
    uint32_t position; /* token count */
    struct osl_turn turn;
};
#define OSL_TURN_MARK OSL_MARKS_MAX /* index of the internal mark at the turn's start */

struct osl_session {
    int32_t *tokens; /* [context] */
    uint32_t count;  /* tokens of the conversation */
    uint32_t read;   /* of those, in the cache */
    uint32_t written; /* cache rows below this may have been written: read, or more */
    uint32_t known;  /* of those, have been read before; more than read after a loss: recover.c */
    uint8_t *by_decode; /* [context] bits: how the known ones were read */
    char *stage;     /* joins pieces of text before they are tokenised */
    uint64_t stage_bytes;
    uint64_t stage_used;
    bool opened;
    struct osl_turn turn;
    struct osl_mark marks[OSL_MARKS_MAX + 1];
    uint32_t mark_next_id;
    struct osl_tool_names tools;
    const char *tool_list[OSL_TOOLS_MAX]; /* points into tools */
};

enum osl_phase {
    OSL_PHASE_IDLE,
    OSL_PHASE_PREFILL,
    OSL_PHASE_SAMPLE, /* logits are there */
    OSL_PHASE_DECODE, /* the last token has not been read yet */
    OSL_PHASE_DONE,   /* DONE is the next event */
};

/* The answer being written. */
struct osl_answer {
    enum osl_phase phase;
    bool raw;
    uint32_t max_tokens;
    uint32_t produced;
    uint32_t begin_count; /* tokens before begin, to go back to on a fault */
    uint32_t prefill_first;
    uint32_t message_first; /* token where the message being written starts */
    uint32_t penalty_tokens;
    uint32_t penalty_first; /* oldest token that counts as seen */
    struct osl_parser parser;
    struct osl_constrain constrain;
    struct osl_stop stop;
    bool in_call;
    bool stopped; /* a stop string was met */
    enum ossicle_done reason;
    char tool[OSL_HARMONY_NAME_BYTES];
    char *text; /* what the event points at, and arguments of a call */
    uint64_t text_bytes;
    uint64_t text_capacity;
};

/* Tokens that the backend picks by itself: pick.c. */
struct osl_ahead {
    bool live;       /* it goes on from the last token taken without a step of ours */
    uint32_t queued; /* asked for and not taken */
    uint32_t limit;  /* most to be under way; 0: as many as its speed asks for */
};

struct ossicle {
    struct osl_gguf gguf;
    struct osl_hparams hparams;
    struct osl_model_weights weights;
    struct osl_plan plan;
    struct osl_schedule schedule;
    struct osl_tokenizer *tokenizer;
    struct osl_sampler *sampler;
    struct osl_team *team;
    struct osl_warm *warm; /* brings mapped weights in; NULL: nobody does */
    uint32_t warm_next;    /* the weight it does next */
    struct osl_backend *backend;   /* runs the schedule */
    struct osl_backend *cpu;       /* that one, or the one that takes over from a device */
    bool lost;                     /* the backend has to be restarted first */
    uint32_t restarts;             /* since boot */
    uint32_t restarts_in_row;      /* since a token was read that had not been before */
    struct osl_error lost_error;   /* of the last restart */
    void *device_memory;           /* of the Vulkan backend */
    char device_note[256];         /* auto: why the CPU, where there is Vulkan */
    uint8_t *arena;
    uint32_t *allowed; /* [vocab bits] for the sampler */
    struct osl_session session;
    struct osl_answer answer;
    struct osl_ahead ahead;
    struct osl_lookup lookup;
    struct osl_error error;
    atomic_bool cancel;
    uint64_t boot_ns, prefill_ns, decode_ns;
    uint64_t prefill_tokens, decode_tokens, decode_weight_bytes;
    void (*log)(void *user, enum ossicle_log_level level, const char *line);
    bool (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    void *user;
};

uint64_t osl_engine_bytes(void);
uint64_t osl_session_bytes(const struct osl_plan *plan);

/* weights.c. The embedding stays in the file: it is only looked up. */
bool osl_resident_skips(const struct osl_gguf_tensor *tensor);
/* Of region THREADS: the team that computes, and whoever brings the weights in. */
uint64_t osl_weights_threads_bytes(const struct osl_plan *plan);
/* Reads all weights but the embedding to the region `to`, by threads in memory. */
OSL_MUST_USE enum osl_status osl_weights_load(ossicle *engine, uint8_t *to, void *memory,
                                              uint64_t bytes);
/* Begins to bring the mapped weights in, in the background: a help, not a need. memory: of
 * osl_warm_bytes. osl_warm_stop(engine->warm) before the file is unmapped. */
void osl_weights_warm(ossicle *engine, void *memory);
uint64_t osl_plan_resident_bytes(const struct osl_gguf *gguf);
void osl_plan_report(const struct osl_plan *plan, const struct osl_hparams *hparams,
                     struct ossicle_plan *out);
/* One line to the configuration's log. */
void osl_engine_log(ossicle *engine, enum ossicle_log_level level, const char *format, ...)
    OSL_PRINTF(3, 4);
void osl_error_publish(const struct osl_error *error, struct ossicle_error *out);

/* Writes the forward pass of gpt-oss; of the caches only their windows. */
void osl_forward_write(struct osl_schedule *schedule, const struct osl_hparams *hparams,
                       const struct osl_model_weights *weights, enum osl_kv_type kv_type);

/* engine_device.c: boots the plan's Vulkan device and puts it in the CPU's place. With auto a
 * device that fails leaves the CPU there, and one line in the log. */
OSL_MUST_USE enum osl_status osl_engine_start_device(ossicle *engine,
                                                     const struct ossicle_config *config);
void osl_engine_device_stats(const ossicle *engine, struct ossicle_stats *out);

/* session.c */
void osl_session_reset(ossicle *engine);
OSL_MUST_USE enum osl_status osl_session_append_ids(ossicle *engine, const int32_t *ids,
                                                    uint64_t count);
struct osl_harmony_sink osl_session_sink(ossicle *engine);
OSL_MUST_USE enum osl_status osl_session_flush(ossicle *engine);

/* read.c: one step; also IO, where the model's file was cut short or failed meanwhile. */
OSL_MUST_USE enum osl_status osl_read_run(ossicle *engine, const struct osl_step *step);
/* [read, read + tokens) by a step of that kind, with logits of the last token where it is
 * the conversation's. OK, ABORTED, IO or DEVICE (tell osl_recover_lost). */
OSL_MUST_USE enum osl_status osl_read_step(ossicle *engine, enum osl_step_kind kind,
                                           uint32_t tokens);
/* The conversation's last token and `length` drafted ones behind it by one decode step, with logits
 * of them all; only the first counts as read. As osl_read_step. */
OSL_MUST_USE enum osl_status osl_read_drafted(ossicle *engine, const int32_t *draft,
                                              uint32_t length);
/* The next tokens are in the cache; captures marks. For whoever runs steps by himself. */
void osl_read_note(ossicle *engine, enum osl_step_kind kind, uint32_t tokens);
bool osl_read_was_decode(const ossicle *engine, uint32_t position);
/* Rows of the cache below position may be written from now on. */
void osl_read_reaches(ossicle *engine, uint32_t position);
/* Tokens from position on count as not read; the rings may make that "none were". */
void osl_session_truncate_read(ossicle *engine, uint32_t position);
void osl_read_forget(ossicle *engine);

/* recover.c: a lost backend. _lost: it said DEVICE, its cache and marks are gone. While _pending,
 * nothing else may run; _step does one bounded piece: OK, ABORTED, IO, or DEVICE when nothing is
 * left to go on with. _now does all of it, for calls that are no steps. */
void osl_recover_lost(ossicle *engine);
bool osl_recover_pending(const ossicle *engine);
OSL_MUST_USE enum osl_status osl_recover_step(ossicle *engine);
OSL_MUST_USE enum osl_status osl_recover_now(ossicle *engine);

/* pick.c: the next token, once logits are there or the backend goes on by itself; -1: none can be
 * picked. OK, ABORTED or DEVICE (tell osl_recover_lost). */
OSL_MUST_USE enum osl_status osl_pick_next(ossicle *engine, int32_t *token_out);
/* The backend reads the last token by itself. */
bool osl_pick_goes_on(const ossicle *engine);
/* Nothing is under way any more: before any other use of the backend. */
void osl_pick_stop(ossicle *engine);

/* lookup.c: memory of osl_lookup_index_bytes, after the backend is there; then at every answer. */
void osl_lookup_boot(ossicle *engine, enum ossicle_lookup mode, void *memory);
void osl_lookup_begin(ossicle *engine);
/* The last token is the one that was drafted there: it is read, its logits are row lookup.row. */
bool osl_lookup_goes_on(ossicle *engine);
/* A decode step of the last token, with a draft where one pays. As osl_read_step. */
OSL_MUST_USE enum osl_status osl_lookup_step(ossicle *engine);

/* answer.c */
void osl_answer_take(ossicle *engine, int32_t token, struct ossicle_event *event);
void osl_answer_end(ossicle *engine, enum ossicle_done reason);
void osl_answer_done(ossicle *engine, struct ossicle_event *event);
void osl_answer_fault(ossicle *engine, struct ossicle_event *event, enum osl_status status);

/* marks.c: the state of the window rings at message boundaries. */
void osl_marks_capture(ossicle *engine); /* after a step: copies what pending marks need */
void osl_marks_set(ossicle *engine, uint32_t index);
void osl_marks_return(ossicle *engine, uint32_t position, uint32_t index);
void osl_marks_forget_after(ossicle *engine, uint32_t position);

#endif
