/* See fake_device.h. */
#include "fake_device.h"

#include <math.h>
#include <string.h>

static struct fake_device *own(struct osl_backend *backend)
{
    return (struct fake_device *)(void *)backend;
}

/* Counts down to the loss. */
static bool loses(struct fake_device *fake)
{
    if (!fake->lost && fake->lost_after > 0 && --fake->lost_after == 0) {
        fake->lost = true;
        fake->losses++;
        fake->live = false;
        fake->queued = 0;
    }
    return fake->lost;
}

static enum osl_status fake_run(struct osl_backend *backend, const struct osl_step *step)
{
    struct fake_device *fake = own(backend);
    if (loses(fake)) {
        return OSL_DEVICE;
    }
    OSL_ASSERT(!fake->live);
    fake->position = step->position_first + step->token_count;
    return fake->cpu->ops->run(fake->cpu, step);
}

static enum osl_status fake_logits(struct osl_backend *backend, const float **out)
{
    struct fake_device *fake = own(backend);
    OSL_ASSERT(!fake->live);
    fake->logits_read++;
    return loses(fake) ? OSL_DEVICE : fake->cpu->ops->logits(fake->cpu, out);
}

static enum osl_status fake_cache_read(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                       uint32_t slot, uint32_t rows, void *out)
{
    struct fake_device *fake = own(backend);
    OSL_ASSERT(!fake->live);
    return fake->lost ? OSL_DEVICE
                      : fake->cpu->ops->cache_read(fake->cpu, layer, half, slot, rows, out);
}

static enum osl_status fake_cache_write(struct osl_backend *backend, uint32_t layer, uint32_t half,
                                        uint32_t slot, uint32_t rows, const void *in)
{
    struct fake_device *fake = own(backend);
    OSL_ASSERT(!fake->live);
    return fake->lost ? OSL_DEVICE
                      : fake->cpu->ops->cache_write(fake->cpu, layer, half, slot, rows, in);
}

static enum osl_status fake_mark(struct osl_backend *backend, uint32_t mark, uint32_t position,
                                 bool restore)
{
    struct fake_device *fake = own(backend);
    OSL_ASSERT(!fake->live);
    return fake->lost ? OSL_DEVICE : fake->cpu->ops->mark(fake->cpu, mark, position, restore);
}

static uint32_t fake_ahead_most(const struct osl_backend *backend)
{
    return ((const struct fake_device *)(const void *)backend)->most;
}

/* A device reads what pointers point at during the call only. */
static void keep(struct fake_device *fake, const struct osl_pick *pick)
{
    fake->pick = *pick;
    if (pick->allowed != NULL) {
        memcpy(fake->allowed, pick->allowed, (pick->token_count + 31) / 32 * 4);
        fake->pick.allowed = fake->allowed;
    }
    if (pick->seen != NULL) {
        memcpy(fake->seen, pick->seen, fake->vocab * 4);
        fake->pick.seen = fake->seen;
    }
    memcpy(fake->bias_token, pick->bias_token, pick->bias_count * sizeof *pick->bias_token);
    memcpy(fake->bias_value, pick->bias_value, pick->bias_count * sizeof *pick->bias_value);
    fake->pick.bias_token = fake->bias_token;
    fake->pick.bias_value = fake->bias_value;
}

static enum osl_status feed(struct fake_device *fake)
{
    int32_t token = fake->last < 0 ? 0 : fake->last;
    const struct osl_step step = {.kind = OSL_STEP_DECODE,
                                  .token_count = 1,
                                  .position_first = fake->position++,
                                  .tokens = &token,
                                  .logits_row_count = 1};
    return fake->cpu->ops->run(fake->cpu, &step);
}

static enum osl_status pick_one(struct fake_device *fake, float uniform)
{
    const float *logits = NULL;
    enum osl_status status = fake->cpu->ops->logits(fake->cpu, &logits);
    if (status != OSL_OK) {
        return status;
    }
    osl_pick_adjust(&fake->pick, logits, fake->adjusted);
    fake->last = osl_pick_draw(fake->adjusted, fake->pick.token_count, fake->pick.temperature,
                               uniform);
    fake->last = fake->blind ? -1 : fake->last;
    if (fake->pick.seen != NULL && fake->pick.seen_grows && fake->last >= 0) {
        fake->seen[fake->last]++;
    }
    fake->queue[(fake->first + fake->queued++) % OSL_PICK_AHEAD_MAX] = fake->last;
    fake->picked++;
    return OSL_OK;
}

static enum osl_status fake_ahead(struct osl_backend *backend, const struct osl_pick *pick,
                                  uint32_t position, uint32_t count)
{
    struct fake_device *fake = own(backend);
    OSL_ASSERT(count >= 1 && count <= fake->most - fake->queued);
    if (loses(fake)) {
        return OSL_DEVICE;
    }
    OSL_ASSERT(position == fake->position);
    if (!fake->live) {
        keep(fake, pick);
    }
    OSL_ASSERT(count == 1 || pick->seen == NULL || pick->seen_grows);
    enum osl_status status = OSL_OK;
    for (uint32_t i = 0; status == OSL_OK && i < count; i++) {
        status = fake->live ? feed(fake) : OSL_OK;
        if (status == OSL_OK) {
            status = pick_one(fake, pick->uniform_draw[i]);
        }
        fake->live = true;
    }
    fake->deepest = fake->queued > fake->deepest ? fake->queued : fake->deepest;
    return status;
}

static enum osl_status fake_take(struct osl_backend *backend, int32_t *token_out)
{
    struct fake_device *fake = own(backend);
    if (loses(fake)) {
        return OSL_DEVICE;
    }
    OSL_ASSERT(fake->queued > 0);
    *token_out = fake->queue[fake->first];
    fake->first = (fake->first + 1) % OSL_PICK_AHEAD_MAX;
    fake->queued--;
    fake->taken++;
    return OSL_OK;
}

static enum osl_status fake_drop(struct osl_backend *backend)
{
    struct fake_device *fake = own(backend);
    fake->live = false;
    fake->queued = 0;
    return loses(fake) ? OSL_DEVICE : OSL_OK;
}

/* All that is within 20 of the best. */
static enum osl_status fake_candidates(struct osl_backend *backend, const struct osl_pick *pick,
                                       struct osl_candidates *out)
{
    struct fake_device *fake = own(backend);
    OSL_ASSERT(!fake->live && pick->temperature > 0);
    if (loses(fake)) {
        return OSL_DEVICE;
    }
    const float *logits = NULL;
    enum osl_status status = fake->cpu->ops->logits(fake->cpu, &logits);
    if (status != OSL_OK || !fake->lists) {
        return status;
    }
    osl_pick_adjust(pick, logits, fake->adjusted);
    int32_t best = osl_pick_greedy(fake->adjusted, pick->token_count);
    double sum = 0;
    for (uint32_t i = pick->token_count; best >= 0 && i-- > 0;) { /* in no order */
        float logit = fake->adjusted[i];
        sum += exp(((double)logit - (double)fake->adjusted[best]) / (double)pick->temperature);
        out->pickable += logit != -INFINITY;
        if (logit > fake->adjusted[best] - 20) {
            fake->candidate[out->count] = (int32_t)i;
            fake->logit[out->count++] = logit;
        }
    }
    out->count = out->count > fake->list_most ? 0 : out->count;
    out->token = fake->candidate;
    out->logit = fake->logit;
    out->log_sum = (float)log(sum);
    fake->listed++;
    return OSL_OK;
}

static enum osl_status fake_restart(struct osl_backend *backend, struct osl_error *error)
{
    struct fake_device *fake = own(backend);
    fake->lost = false;
    fake->live = false;
    fake->queued = 0;
    return OSL_OK;
}

static uint64_t fake_weight_bytes(const struct osl_backend *backend)
{
    return 0;
}

static double fake_bandwidth(struct osl_backend *backend, uint32_t repeats)
{
    return 0;
}

static void fake_close(struct osl_backend *backend)
{
}

static const struct osl_backend_ops fake_ops = {
    .name = "fake",
    .run = fake_run,
    .logits = fake_logits,
    .cache_read = fake_cache_read,
    .cache_write = fake_cache_write,
    .mark = fake_mark,
    .ahead_most = fake_ahead_most,
    .ahead = fake_ahead,
    .take = fake_take,
    .drop = fake_drop,
    .candidates = fake_candidates,
    .restart = fake_restart,
    .weight_bytes = fake_weight_bytes,
    .bandwidth = fake_bandwidth,
    .close = fake_close,
};

void fake_device_put(struct fake_device *fake, struct osl_backend **backend, uint32_t vocab,
                     uint32_t most)
{
    OSL_ASSERT(vocab <= FAKE_VOCAB_MAX && most <= OSL_PICK_AHEAD_MAX);
    *fake = (struct fake_device){.face.ops = &fake_ops,
                                 .cpu = *backend,
                                 .vocab = vocab,
                                 .most = most,
                                 .lists = true,
                                 .list_most = FAKE_VOCAB_MAX};
    *backend = &fake->face;
}

void fake_device_remove(struct fake_device *fake, struct osl_backend **backend)
{
    *backend = fake->cpu;
}
