/* Picking the next token: shaders/pick_*.comp. */
#include <string.h>

#include "compute/backend.h"
#include "compute/vulkan/ops.h"

/* Tokens a workgroup looks at, or a multiple: enough workgroups to fill a large device (197 for
 * 201,088 tokens), few enough that the last one combines them in a glance. */
#define CHUNK_LEAST 1024u
#define WIDTH 128u /* guaranteed */
#define WIDTH_LEAST 4u
/* So that no product with it overflows: logits differ by at most some 1e30. Below a temperature of
 * 1e-8 a draw is greedy but for ties anyway. */
#define INVERSE_TEMPERATURE_MAX 1e8f

enum { SPEC_CHUNK = 8, SPEC_CANDIDATES = 9, SPEC_COUNT = 10 };

_Static_assert(OSL_GPU_RULE_TOKENS == OSL_VK_TOKENS && OSL_GPU_RULE_TOKENS_X == OSL_VK_TOKENS_X &&
                   OSL_GPU_RULE_LOGITS_ROWS == OSL_VK_LOGITS_ROWS &&
                   OSL_GPU_RULE_EXPERT_TILES == OSL_VK_EXPERT_TILES &&
                   OSL_GPU_RULE_SEGMENTS == OSL_VK_SEGMENTS,
               "pick_advance.glsl renews slots by these");
_Static_assert(OSL_GPU_RING >= OSL_PICK_AHEAD_MAX, "a draw for every token ahead");

void osl_vk_pick_fill(const struct osl_pick *pick, uint32_t ring_index, struct osl_gpu_pick *out)
{
    OSL_ASSERT(pick->bias_count <= OSL_GPU_BIASES);
    OSL_ASSERT(ring_index < OSL_GPU_RING);
    float inverse = pick->temperature > 0 ? 1 / pick->temperature : 0;
    uint32_t seen = pick->seen == NULL ? 0 : OSL_GPU_SEEN_USE;
    *out = (struct osl_gpu_pick){
        .token_count = pick->token_count,
        .use_allowed = pick->allowed != NULL,
        .use_seen = seen != 0 && pick->seen_grows ? seen | OSL_GPU_SEEN_GROW : seen,
        .bias_count = pick->bias_count,
        .inverse_temperature =
            inverse < INVERSE_TEMPERATURE_MAX ? inverse : INVERSE_TEMPERATURE_MAX,
        .repetition_penalty = pick->repetition_penalty,
        .repetition_inverse = 1 / pick->repetition_penalty,
        .presence_penalty = pick->presence_penalty,
        .frequency_penalty = pick->frequency_penalty,
    };
    for (uint32_t b = 0; b < pick->bias_count; b++) {
        out->bias_token[b] = pick->bias_token[b];
        out->bias_value[b] = pick->bias_value[b];
    }
    for (uint32_t i = 0; i < OSL_PICK_AHEAD_MAX; i++) {
        out->uniform_draw[(ring_index + i) % OSL_GPU_RING] = pick->uniform_draw[i];
    }
}

/* ---- Launches ----------------------------------------------------------------------------- */

/* Lanes of a workgroup. A software driver runs a workgroup on one thread, a subgroup at a time, and
 * saves and loads all live values at a barrier, so there one subgroup is best: on lavapipe (Mesa
 * 22.3, subgroups of 8) greedy over 201,088 took 0.9 ms at 8 lanes, 1.5 at 16, 2.1 at 32. */
static uint32_t width(const struct osl_vk_facts *facts)
{
    uint32_t size = facts->subgroup_size;
    bool power_of_two = (size & (size - 1)) == 0;
    return facts->type == OSL_VK_SOFTWARE && power_of_two && size >= WIDTH_LEAST && size < WIDTH
               ? size
               : WIDTH;
}

static enum osl_status record(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              const struct osl_vk_pick_net *pick, const char *shader,
                              bool candidates, struct osl_error *error)
{
    const struct osl_vk_facts *facts = net->device->facts;
    uint32_t vocab = net->shape.vocab;
    uint32_t chunk = (vocab + OSL_GPU_PICK_CHUNKS - 1) / OSL_GPU_PICK_CHUNKS;
    chunk = (chunk + CHUNK_LEAST - 1) / CHUNK_LEAST * CHUNK_LEAST; /* every lane has fours */
    uint32_t spec[SPEC_COUNT] = {width(facts), facts->subgroup_size};
    spec[SPEC_CHUNK] = chunk;
    spec[SPEC_CANDIDATES] = candidates;
    const struct osl_vk_pipeline *pipeline;
    enum osl_status status =
        osl_vk_pipeline_get(net->device, shader, spec, SPEC_COUNT, &pipeline, error);
    if (status != OSL_OK) {
        return status;
    }
    struct osl_gpu_pick_push push = {
        .logits = net->buffer[OSL_BUFFER_LOGITS],
        .chunks = (vocab + chunk - 1) / chunk,
        .experts = net->shape.experts,
        .experts_used = net->shape.experts_used,
    };
    OSL_ASSERT(push.chunks <= OSL_GPU_PICK_CHUNKS);
    struct osl_vk_dispatch dispatch = {
        .pipeline = pipeline,
        .bind = {net->step, net->act, {.buffer = NULL}, pick->result, pick->seen, pick->allowed,
                 pick->scratch},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_FIXED, .x = push.chunks, .y = 1, .z = 1},
        .barrier = true,
        .name = shader,
    };
    return osl_vk_record(r, &dispatch, error);
}

static const char *token_shader(const struct osl_vk_net *net)
{
    return net->device->subgroup ? "pick_token_subgroup" : "pick_token";
}

enum osl_status osl_vk_pick(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                            const struct osl_vk_pick_net *pick, struct osl_error *error)
{
    return record(r, net, pick, token_shader(net), false, error);
}

enum osl_status osl_vk_candidates(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                  const struct osl_vk_pick_net *pick, struct osl_error *error)
{
    enum osl_status status = record(r, net, pick, token_shader(net), true, error);
    if (status == OSL_OK) {
        status = record(r, net, pick, "pick_histogram", true, error);
    }
    if (status == OSL_OK) {
        status = record(r, net, pick, "pick_gather", true, error);
    }
    return status;
}
