/* Picking against the plain C op: compute/pick.h. */
#include <math.h>
#include <string.h>

#include "compute/pick.h"
#include "compute/vulkan/rig.h"

/* Two full chunks and a tail, whatever the model's vocabulary: the pipelines are the same. */
#define VOCAB 2531u
#define RING_INDEX 3u /* not 0, to see that it is looked at */
#define CONTEXT 4096u
/* A draw may go either way within this of a token's edge, as a part of the sum: floats summed in
 * some order, exp to a few ulp. Measured on lavapipe: 7e-7, next to 0 and 1. */
#define EDGE 1e-5
#define LOG_SUM_ERROR 1e-4
#define WRONG 1e9f

struct work {
    struct osl_pick pick;
    float logits[VOCAB], adjusted[VOCAB];
    uint32_t seen[VOCAB], allowed[(VOCAB + 31) / 32];
    int32_t bias_token[3];
    float bias_value[3];
    struct osl_gpu_step step;
    struct osl_gpu_pick_result result;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Logits in eighths, so that there are ties; one in 16 tokens seen, one in 8 not allowed. */
static void fill(struct work *w, uint32_t seed)
{
    memset(w, 0, sizeof *w);
    for (uint32_t i = 0; i < VOCAB; i++) {
        w->logits[i] = (float)(int32_t)(next_random(&seed) % 129) / 8.0f - 8.0f;
        w->seen[i] = next_random(&seed) % 16 == 0 ? 1 + next_random(&seed) % 3 : 0;
        w->allowed[i / 32] |= (uint32_t)(next_random(&seed) % 8 != 0) << i % 32;
    }
    w->logits[7] = NAN;
    w->logits[1500] = -INFINITY;
    for (uint32_t b = 0; b < 3; b++) {
        w->bias_token[b] = (int32_t)(next_random(&seed) % VOCAB);
        w->bias_value[b] = (float)b - 0.7f;
    }
    w->pick = (struct osl_pick){
        .token_count = VOCAB - 5,
        .allowed = w->allowed,
        .temperature = 0.8f,
        .repetition_penalty = 1.1f,
        .presence_penalty = 0.3f,
        .frequency_penalty = 0.2f,
        .seen = w->seen,
        .bias_count = 3,
        .bias_token = w->bias_token,
        .bias_value = w->bias_value,
    };
}

static enum osl_status upload(struct osl_vk_rig *rig, const struct work *w,
                              struct osl_error *error)
{
    enum osl_status status = osl_vk_rig_act_write(rig, rig->net.buffer[OSL_BUFFER_LOGITS],
                                                  w->logits, VOCAB, error);
    if (status == OSL_OK) {
        status = osl_vk_rig_write(rig, &rig->pick.seen, 0, w->seen, sizeof w->seen, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_write(rig, &rig->pick.allowed, 0, w->allowed, sizeof w->allowed, error);
    }
    return status;
}

/* Records picking (or candidates) for the work in memory. */
static enum osl_status begin(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                             void *memory, uint64_t bytes, bool candidates,
                             struct osl_error *error)
{
    OSL_ASSERT(bytes >= sizeof(struct work));
    struct work *w = memory;
    fill(w, c->seed);
    struct osl_shape shape = c->shape;
    shape.vocab = VOCAB;
    enum osl_status status = osl_vk_rig_shape(rig, &shape, c->kv_type, 1, 1, CONTEXT, error);
    if (status == OSL_OK) {
        status = upload(rig, w, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_begin(rig, error);
    }
    if (status == OSL_OK) {
        status = candidates ? osl_vk_candidates(&rig->recorder, &rig->net, &rig->pick, error)
                            : osl_vk_pick(&rig->recorder, &rig->net, &rig->pick, error);
    }
    return status;
}

static enum osl_status run(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                           struct work *w, bool again, struct osl_error *error)
{
    const struct osl_step step = {.kind = OSL_STEP_DECODE,
                                  .token_count = 1,
                                  .position_first = c->position,
                                  .logits_row_count = 1};
    osl_vk_pick_fill(&w->pick, RING_INDEX, &rig->step_host.pick);
    rig->step_host.ring_index = RING_INDEX;
    enum osl_status status =
        again ? osl_vk_rig_rerun(rig, &step, error) : osl_vk_rig_run(rig, &step, error);
    if (status == OSL_OK) {
        status = osl_vk_rig_read(rig, &rig->pick.result, 0, &w->result, sizeof w->result, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_read(rig, &rig->net.step, 0, &w->step, sizeof w->step, error);
    }
    return status;
}

static bool advanced(const struct work *w, const struct osl_vk_check_case *c)
{
    const struct osl_gpu_step *step = &w->step;
    return step->token_count == 1 && step->position_first == c->position + 1 &&
           step->logits_row_first == 0 && step->logits_row_count == 1 &&
           step->ring_index == RING_INDEX + 1;
}

static enum osl_status check_greedy(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                    void *memory, uint64_t bytes, float *worst_out,
                                    struct osl_error *error)
{
    struct work *w = memory;
    enum osl_status status = begin(rig, c, memory, bytes, false, error);
    if (status != OSL_OK) {
        return status;
    }
    w->pick.temperature = 0;
    status = run(rig, c, w, false, error);
    if (status == OSL_OK) {
        osl_pick_adjust(&w->pick, w->logits, w->adjusted);
        int32_t expected = osl_pick_greedy(w->adjusted, w->pick.token_count);
        bool right = w->result.ring[RING_INDEX] == expected && advanced(w, c);
        *worst_out = right ? 0 : WRONG;
    }
    return status;
}

/* How far `uniform` is outside the token's part of the sum, over EDGE. */
static float draw_error(const struct work *w, int32_t token, float uniform)
{
    uint32_t count = w->pick.token_count;
    int32_t best = osl_pick_greedy(w->adjusted, count);
    double sum = 0, first = 0, end = 0;
    for (uint32_t i = 0; i < count; i++) {
        double weight = exp(((double)w->adjusted[i] - (double)w->adjusted[best]) /
                            (double)w->pick.temperature);
        first = (int32_t)i == token ? sum : first;
        sum += weight;
        end = (int32_t)i == token ? sum : end;
    }
    double at = (double)uniform * sum;
    double outside = at < first ? first - at : at > end ? at - end : 0;
    return end > first ? (float)(outside / sum / EDGE) : WRONG;
}

static enum osl_status check_draw(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                  void *memory, uint64_t bytes, float *worst_out,
                                  struct osl_error *error)
{
    static const float uniforms[] = {0, 0.25f, 0.6180340f, 0x1.fffffep-1f};
    struct work *w = memory;
    float worst = 0;
    enum osl_status status = begin(rig, c, memory, bytes, false, error);
    if (status != OSL_OK) {
        return status;
    }
    osl_pick_adjust(&w->pick, w->logits, w->adjusted);
    for (uint32_t u = 0; status == OSL_OK && u < sizeof uniforms / sizeof uniforms[0]; u++) {
        w->pick.uniform_draw[0] = uniforms[u];
        status = run(rig, c, w, u > 0, error);
        if (status == OSL_OK) {
            float off = draw_error(w, w->result.ring[RING_INDEX], uniforms[u]);
            worst = fmaxf(worst, advanced(w, c) ? off : WRONG);
        }
    }
    *worst_out = status == OSL_OK ? worst : *worst_out;
    return status;
}

/* Every listed token is there once with its own logit, and none left out is as large. */
static bool candidates_right(struct work *w)
{
    const struct osl_gpu_pick_result *r = &w->result;
    if (r->candidate_count < OSL_GPU_CANDIDATES || r->candidate_count > OSL_GPU_CANDIDATES_MAX) {
        return false;
    }
    float least = INFINITY;
    for (uint32_t i = 0; i < r->candidate_count; i++) {
        int32_t token = r->candidate_token[i];
        if (token < 0 || (uint32_t)token >= w->pick.token_count ||
            w->adjusted[token] != r->candidate_logit[i]) {
            return false;
        }
        least = fminf(least, r->candidate_logit[i]);
        w->adjusted[token] = -INFINITY;
    }
    for (uint32_t i = 0; i < w->pick.token_count; i++) {
        if (w->adjusted[i] >= least) {
            return false;
        }
    }
    return true;
}

static enum osl_status check_candidates(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                        void *memory, uint64_t bytes, float *worst_out,
                                        struct osl_error *error)
{
    struct work *w = memory;
    enum osl_status status = begin(rig, c, memory, bytes, true, error);
    if (status == OSL_OK) {
        status = run(rig, c, w, false, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    osl_pick_adjust(&w->pick, w->logits, w->adjusted);
    int32_t best = osl_pick_greedy(w->adjusted, w->pick.token_count);
    double largest = (double)w->adjusted[best], sum = 0;
    uint32_t pickable = 0;
    for (uint32_t i = 0; i < w->pick.token_count; i++) {
        sum += exp(((double)w->adjusted[i] - largest) / (double)w->pick.temperature);
        pickable += w->adjusted[i] != -INFINITY;
    }
    float off = (float)(fabs((double)w->result.log_sum - log(sum)) / LOG_SUM_ERROR);
    bool right = w->result.best == w->adjusted[best] && w->result.pickable == pickable &&
                 w->step.ring_index == RING_INDEX && w->step.position_first == c->position;
    *worst_out = right && candidates_right(w) ? off : WRONG;
    return status;
}

const struct osl_vk_check osl_vk_checks_pick[] = {
    {"pick greedy", check_greedy},
    {"pick draw", check_draw},
    {"candidates", check_candidates},
    {NULL, NULL},
};
