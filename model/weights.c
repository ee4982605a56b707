/* How the weights come into memory: read into the caller's, or used where the file is mapped and
 * brought in ahead of the first steps. */
#include "engine.h"

#include <string.h>

#define RESIDENT_READ_BYTES (64u << 20) /* between two progress reports */
#define WEIGHT_ALIGNMENT 64u
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
    uint64_t bytes;
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

static bool report(const ossicle *engine, const char *stage, uint64_t done, uint64_t total)
{
    return engine->progress == NULL || engine->progress(engine->user, stage, done, total);
}

/* Reads every weight but the embedding into the caller's memory. */
enum osl_status osl_weights_load(ossicle *engine, uint8_t *to)
{
    uint64_t done = 0, total = engine->plan.bytes[OSL_REGION_WEIGHTS];
    for (uint32_t i = 0; i < engine->gguf.tensor_count; i++) {
        const struct osl_gguf_tensor *tensor = &engine->gguf.tensors[i];
        if (osl_resident_skips(tensor)) {
            continue;
        }
        for (uint64_t at = 0; at < tensor->bytes; at += RESIDENT_READ_BYTES) {
            uint64_t bytes = tensor->bytes - at;
            bytes = bytes < RESIDENT_READ_BYTES ? bytes : RESIDENT_READ_BYTES;
            enum osl_status status = osl_file_read(&engine->gguf.file, tensor->offset + at,
                                                   to + done + at, bytes, &engine->error);
            if (status != OSL_OK) {
                return status;
            }
            if (!report(engine, "reading weights", done + at + bytes, total)) {
                return osl_fail(&engine->error, OSL_ABORTED, "cancelled while reading weights");
            }
        }
        struct move move = {engine->gguf.map.data + tensor->offset, tensor->bytes, to + done};
        move_weights(&engine->weights, engine->hparams.shape.layers, &move);
        done += round_up(tensor->bytes, WEIGHT_ALIGNMENT);
    }
    OSL_ASSERT(done <= total);
    return OSL_OK;
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
