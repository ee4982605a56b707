/* How the weights come into memory: read into the caller's, or used where the file is mapped and
 * brought in ahead of the first steps. */
#include "engine.h"

#include <string.h>

#define SPAN_GAP_BYTES 4096u /* between tensors, that is rather read than skipped */
#define WEIGHTS_OF_OP 8 /* that an op can name */

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

bool osl_resident_skips(const struct osl_gguf_tensor *tensor)
{
    static const char embedding[] = "token_embd.weight";
    return tensor->name.bytes == sizeof embedding - 1 &&
           memcmp(tensor->name.data, embedding, sizeof embedding - 1) == 0;
}

/* Moves one weight's pointer from the map to the resident copy. */
struct move {
    const uint8_t *from;
    uint8_t *to;
};

static void move_weight(struct osl_weight *weight, const struct move *move)
{
    const uint8_t *data = weight->data;
    if (data == move->from) {
        weight->data = move->to;
    }
}

static void move_weights(struct osl_model_weights *weights, uint32_t layers,
                         const struct move *move)
{
    move_weight(&weights->output_norm, move);
    move_weight(&weights->output, move);
    for (uint32_t l = 0; l < layers; l++) {
        struct osl_layer_weights *w = &weights->layer[l];
        struct osl_weight *const all[] = {&w->attn_norm,     &w->q,     &w->q_bias,    &w->k,
                                          &w->k_bias,        &w->v,     &w->v_bias,    &w->attn_out,
                                          &w->attn_out_bias, &w->sinks, &w->mlp_norm,  &w->router,
                                          &w->router_bias,   &w->gate,  &w->gate_bias, &w->up,
                                          &w->up_bias,       &w->down,  &w->down_bias};
        for (uint32_t i = 0; i < sizeof all / sizeof all[0]; i++) {
            move_weight(all[i], move);
        }
    }
}

uint64_t osl_weights_threads_bytes(const struct osl_plan *plan)
{
    uint64_t team = osl_team_bytes(plan->threads), load = osl_team_bytes(OSL_LOAD_THREADS);
    return plan->resident ? (team > load ? team : load)
           : plan->given  ? team
                          : round_up(team, 64) + osl_warm_bytes();
}

/* A run of tensors that lie side by side in the file, and where its first byte comes to lie in the
 * weights' region: as in the file modulo a block, so that whole blocks are read to their place. */
struct span {
    uint32_t first, end; /* tensors */
    uint64_t offset, bytes;
    uint64_t to;
};

/* The span from tensor `first` on, behind byte `used` of the region; false: there is none left. */
static bool next_span(const struct osl_gguf *gguf, uint32_t first, uint64_t used,
                      struct span *span_out)
{
    while (first < gguf->tensor_count && osl_resident_skips(&gguf->tensors[first])) {
        first++;
    }
    if (first == gguf->tensor_count) {
        return false;
    }
    uint64_t offset = gguf->tensors[first].offset;
    uint64_t end = offset + gguf->tensors[first].bytes;
    uint32_t t = first + 1;
    for (; t < gguf->tensor_count && !osl_resident_skips(&gguf->tensors[t]); t++) {
        const struct osl_gguf_tensor *tensor = &gguf->tensors[t];
        if (tensor->offset < end || tensor->offset - end > SPAN_GAP_BYTES) {
            break;
        }
        end = tensor->offset + tensor->bytes;
    }
    *span_out = (struct span){
        .first = first,
        .end = t,
        .offset = offset,
        .bytes = end - offset,
        .to = round_up(used, OSL_LOAD_ALIGNMENT) + offset % OSL_LOAD_ALIGNMENT,
    };
    return true;
}

/* Bytes of the region up to the end of the span's last block. */
static uint64_t span_top(const struct span *span)
{
    return round_up(span->to + span->bytes, OSL_LOAD_ALIGNMENT);
}

uint64_t osl_plan_resident_bytes(const struct osl_gguf *gguf)
{
    struct span span = {0};
    uint64_t used = 0;
    while (next_span(gguf, span.end, used, &span)) {
        used = span_top(&span);
    }
    return used;
}

struct loading {
    const ossicle *engine;
    uint64_t before; /* bytes of the spans that are done */
    uint64_t total;
};

static bool report(void *context, uint64_t done)
{
    const struct loading *loading = context;
    const ossicle *engine = loading->engine;
    return engine->progress == NULL || engine->progress(engine->user, "reading weights",
                                                        loading->before + done, loading->total);
}

static enum osl_status load_span(ossicle *engine, const struct osl_load_span *span,
                                 struct osl_team *team, struct loading *loading)
{
    const struct osl_gguf *gguf = &engine->gguf;
    if (!osl_gguf_in_memory(gguf)) {
        return osl_file_load(&gguf->file, &gguf->map, span, team, report, loading,
                             &engine->error);
    }
    memcpy(span->to, gguf->map.data + span->offset, span->bytes);
    return report(loading, span->bytes) ? OSL_OK
                                        : osl_fail(&engine->error, OSL_ABORTED,
                                                   "cancelled while reading %.300s",
                                                   gguf->file.path);
}

static enum osl_status load_spans(ossicle *engine, uint8_t *to, struct osl_team *team)
{
    const struct osl_gguf *gguf = &engine->gguf;
    struct loading loading = {engine, 0, engine->plan.bytes[OSL_REGION_WEIGHTS]};
    struct span span = {0};
    uint64_t used = 0;
    while (next_span(gguf, span.end, used, &span)) {
        const struct osl_load_span part = {span.offset, span.bytes, to + span.to};
        enum osl_status status = load_span(engine, &part, team, &loading);
        if (status != OSL_OK) {
            return status;
        }
        for (uint32_t t = span.first; t < span.end; t++) {
            const struct osl_gguf_tensor *tensor = &gguf->tensors[t];
            struct move move = {gguf->map.data + tensor->offset,
                                to + span.to + (tensor->offset - span.offset)};
            move_weights(&engine->weights, engine->hparams.shape.layers, &move);
        }
        loading.before += span.bytes;
        used = span_top(&span);
    }
    OSL_ASSERT(used <= loading.total);
    return OSL_OK;
}

/* The team that loads is gone before the one that computes comes to the same memory. */
enum osl_status osl_weights_load(ossicle *engine, uint8_t *to, void *memory, uint64_t bytes)
{
    struct osl_team *team;
    enum osl_status status =
        osl_team_start(memory, bytes, OSL_LOAD_THREADS, &team, &engine->error);
    if (status == OSL_OK) {
        status = load_spans(engine, to, team);
        osl_team_stop(team);
    }
    return status;
}

/* ---- Mapped ------------------------------------------------------------------------------ */

/* An engine for so few tokens uses only some of the experts: measured with a cold cache, a score of
 * one token takes 1.5 s without and 2.3 s with all of them brought in, a prompt of 57 tokens 3.3
 * and 2.6 s. */
static bool experts_seldom_used(const ossicle *engine)
{
    const struct osl_shape *shape = &engine->hparams.shape;
    return (uint64_t)engine->plan.context_tokens * shape->experts_used < 4ull * shape->experts;
}

/* The next weight in the order of the schedule, which is that of the first steps. */
static bool next_weight(void *context, const void **data_out, uint64_t *bytes_out)
{
    ossicle *engine = context;
    const struct osl_schedule *schedule = &engine->schedule;
    uint32_t experts_most = experts_seldom_used(engine) ? 1 : UINT32_MAX;
    uint32_t at = engine->warm_next;
    for (; at < schedule->op_count * WEIGHTS_OF_OP; at++) {
        const struct osl_op *op = &schedule->ops[at / WEIGHTS_OF_OP];
        const struct osl_weight *const all[WEIGHTS_OF_OP] = {
            op->weight[0], op->weight[1], op->weight[2], op->bias[0],
            op->bias[1],   op->bias[2],   op->gain,      op->sinks};
        const struct osl_weight *weight = all[at % WEIGHTS_OF_OP];
        /* of the embedding a row a token is read */
        if (weight != NULL && op->kind != OSL_OP_EMBED && weight->experts <= experts_most) {
            *data_out = weight->data;
            *bytes_out = weight->experts * weight->expert_bytes;
            break;
        }
    }
    engine->warm_next = at + 1;
    return at < schedule->op_count * WEIGHTS_OF_OP;
}

void osl_weights_warm(ossicle *engine, void *memory)
{
    const struct osl_map *map = &engine->gguf.map;
    struct osl_memory_facts facts;
    osl_map_advise(map->data, map->bytes, OSL_MAP_HUGE);
    osl_memory_facts(&facts);
    if (engine->plan.total_bytes > facts.available_bytes) {
        osl_engine_log(engine, OSSICLE_LOG_INFO,
                       "the file is larger than the memory left: read as it is used");
        return;
    }
    struct osl_error error;
    if (osl_warm_start(memory, osl_warm_bytes(), next_weight, engine, &engine->warm, &error) !=
        OSL_OK) {
        osl_engine_log(engine, OSSICLE_LOG_WARN, "a slower start: %.200s", error.text);
    }
}
