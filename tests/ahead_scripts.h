/* What a conversation does that goes on ahead of the program: scripts for the tests of running
 * ahead, on a fake device and on real ones. */
#ifndef OSL_TEST_AHEAD_SCRIPTS_H
#define OSL_TEST_AHEAD_SCRIPTS_H

#include "engine_fixture.h"

static const char script_tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_time\",\"description\":\"Now.\"}}]";

/* What a script leaves: everything it said and the conversation it ended in. */
struct outcome {
    int32_t ids[4096], tokens[1024];
    uint32_t id_count, token_count, read;
};

static inline void note(struct outcome *out, const struct answer_log *log)
{
    assert_true(out->id_count + log->count < 4096);
    memcpy(out->ids + out->id_count, log->ids, log->count * sizeof *log->ids);
    out->id_count += log->count;
    out->ids[out->id_count++] = -100 - (int32_t)log->reason;
}

static inline void finish(const ossicle *engine, struct outcome *out)
{
    out->token_count = engine->session.count;
    out->read = engine->session.read;
    memcpy(out->tokens, engine->session.tokens, engine->session.count * sizeof *out->tokens);
}

static inline void run_raw(ossicle *engine, struct outcome *out)
{
    int32_t ids[40];
    struct answer_log log;
    some_ids(ids, 40, engine->hparams.shape.vocab, 3);
    MUST(engine, ossicle_open(engine, NULL));
    MUST(engine, ossicle_say_tokens(engine, ids, 40));
    for (uint64_t seed = 0; seed < 5; seed++) {
        answer(engine, seed, 31, true, &log);
        note(out, &log);
    }
}

static inline void run_conversations(ossicle *engine, struct outcome *out)
{
    struct answer_log log;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct ossicle_conversation conversation = {.tools_json = seed % 2 ? script_tools : NULL};
        MUST(engine, ossicle_open(engine, &conversation));
        for (uint32_t turn = 0; turn < 3; turn++) {
            MUST(engine, ossicle_say(engine, OSSICLE_USER, "hello", 5));
            answer(engine, seed * 10 + turn, 60, false, &log);
            note(out, &log);
            if (log.reason == OSSICLE_DONE_TOOL_CALL) {
                MUST(engine, ossicle_say_tool(engine, "get_time", "now", 3));
                answer(engine, seed, 60, false, &log);
                note(out, &log);
            }
        }
    }
}

/* Rewinding right after an answer, when dropped rows lie behind the mark. */
static inline void run_marks(ossicle *engine, struct outcome *out)
{
    int32_t ids[70];
    struct answer_log log;
    uint32_t mark, later;
    some_ids(ids, 70, engine->hparams.shape.vocab, 9);
    MUST(engine, ossicle_open(engine, NULL));
    MUST(engine, ossicle_say_tokens(engine, ids, 70));
    MUST(engine, ossicle_mark(engine, &mark));
    for (uint64_t seed = 0; seed < 4; seed++) {
        MUST(engine, ossicle_say(engine, OSSICLE_USER, "go on", 5));
        answer(engine, seed, 20 + 9 * (uint32_t)seed, false, &log);
        note(out, &log);
        MUST(engine, ossicle_mark(engine, &later));
        answer(engine, seed, 7, true, &log);
        note(out, &log);
        MUST(engine, ossicle_rewind(engine, seed % 2 ? later : mark));
        answer(engine, seed, 25, true, &log);
        note(out, &log);
        MUST(engine, ossicle_rewind(engine, mark));
    }
}

static inline void answer_with(ossicle *engine, struct ossicle_sampling *sampling,
                               struct outcome *out)
{
    struct answer_log log;
    struct ossicle_bias bias[BIAS_MAX];
    if (!sampling->raw || few_tokens > 0) {
        bias_ends(engine, bias, sampling);
    }
    MUST(engine, ossicle_begin(engine, sampling));
    log_answer(engine, &log);
    note(out, &log);
}

static inline void run_penalties(ossicle *engine, struct outcome *out)
{
    MUST(engine, ossicle_open(engine, NULL));
    for (uint32_t i = 0; i < 8; i++) {
        struct ossicle_sampling sampling;
        ossicle_sampling_init(&sampling);
        sampling.seed = i;
        sampling.max_tokens = 30;
        sampling.temperature = i % 2 ? 0.8f : 0;
        sampling.repetition_penalty = 1.3f;
        sampling.frequency_penalty = 0.4f;
        sampling.penalty_tokens = i < 4 ? 0 : 12;
        sampling.raw = i % 4 < 2;
        MUST(engine, ossicle_say(engine, OSSICLE_USER, "again and again", 15));
        answer_with(engine, &sampling, out);
    }
}

static inline void run_stops(ossicle *engine, struct outcome *out)
{
    for (uint32_t i = 0; i < 12; i++) {
        struct ossicle_sampling sampling;
        ossicle_sampling_init(&sampling);
        sampling.seed = i;
        sampling.max_tokens = 80;
        sampling.stops[0] = "e";
        sampling.stop_count = 1;
        if (i % 3 == 0) {
            MUST(engine, ossicle_open(engine, NULL));
        }
        MUST(engine, ossicle_say(engine, OSSICLE_USER, "stop me", 7));
        answer_with(engine, &sampling, out);
    }
}

/* Cancelled after some tokens, then another answer. */
static inline void run_cancels(ossicle *engine, struct outcome *out)
{
    struct answer_log log;
    MUST(engine, ossicle_open(engine, NULL));
    for (uint32_t i = 0; i < 6; i++) {
        MUST(engine, ossicle_say(engine, OSSICLE_USER, "wait", 4));
        struct ossicle_sampling sampling;
        ossicle_sampling_init(&sampling);
        sampling.seed = i;
        MUST(engine, ossicle_begin(engine, &sampling));
        struct ossicle_event event = {.kind = OSSICLE_EVENT_PREFILL};
        for (uint32_t tokens = 0; tokens < 5 + 4 * i && event.kind != OSSICLE_EVENT_DONE;) {
            MUST(engine, ossicle_step(engine, &event));
            if (event.kind == OSSICLE_EVENT_TEXT) {
                out->ids[out->id_count++] = event.token;
                tokens++;
            }
        }
        ossicle_cancel(engine);
        log_answer(engine, &log);
        note(out, &log);
        answer(engine, i, 10, true, &log);
        note(out, &log);
    }
}

#endif
