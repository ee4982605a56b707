/* Greedy picking and scores; the rest of sampler.h follows. */
#include "sampler.h"

#include <math.h>

struct osl_sampler {
    uint32_t vocab;
    struct osl_sampling sampling;
    uint64_t random;
};

uint64_t osl_sampler_bytes(uint32_t vocab)
{
    (void)vocab;
    return sizeof(struct osl_sampler);
}

struct osl_sampler *osl_sampler_init(void *memory, uint64_t bytes, uint32_t vocab)
{
    OSL_ASSERT(bytes >= osl_sampler_bytes(vocab));
    struct osl_sampler *sampler = memory;
    sampler->vocab = vocab;
    return sampler;
}

enum osl_status osl_sampler_begin(struct osl_sampler *sampler, const struct osl_sampling *sampling,
                                  struct osl_error *error)
{
    (void)error;
    sampler->sampling = *sampling;
    sampler->random = sampling->seed * 2 + 1;
    return OSL_OK;
}

void osl_sampler_seen(struct osl_sampler *sampler, int32_t token)
{
    (void)sampler, (void)token;
}

void osl_sampler_forget(struct osl_sampler *sampler, int32_t token)
{
    (void)sampler, (void)token;
}

/* Gumbel noise of a linear congruential generator makes the largest logit a draw. */
static float noise(struct osl_sampler *sampler)
{
    sampler->random = sampler->random * 6364136223846793005u + 1442695040888963407u;
    double u = ((double)(sampler->random >> 40) + 0.5) / 16777216.0;
    return sampler->sampling.temperature > 0.0f ? (float)-log(-log(u)) : 0.0f;
}

int32_t osl_sampler_pick(struct osl_sampler *sampler, const float *logits, uint32_t token_count,
                         const uint32_t *allowed)
{
    int32_t best = -1;
    float most = 0.0f;
    for (uint32_t id = 0; id < token_count && id < sampler->vocab; id++) {
        bool may = allowed == NULL || (allowed[id / 32] >> (id % 32) & 1);
        float value = logits[id] + noise(sampler);
        for (uint32_t b = 0; b < sampler->sampling.bias_count; b++) {
            value += sampler->sampling.bias[b].token == (int32_t)id ? sampler->sampling.bias[b].bias
                                                                    : 0.0f;
        }
        if (may && !isnan(value) && (best < 0 || value > most)) {
            best = (int32_t)id;
            most = value;
        }
    }
    return best;
}

double osl_log_sum_exp(const float *logits, uint32_t vocab)
{
    double most = -INFINITY, total = 0.0;
    for (uint32_t id = 0; id < vocab; id++) {
        most = logits[id] > most ? logits[id] : most;
    }
    for (uint32_t id = 0; id < vocab; id++) {
        total += isnan(logits[id]) ? 0.0 : exp(logits[id] - most);
    }
    return most + log(total);
}

uint32_t osl_top_logits(const float *logits, uint32_t vocab, uint32_t count, int32_t *ids_out,
                        float *logits_out)
{
    uint32_t kept = 0;
    for (uint32_t id = 0; id < vocab && count > 0; id++) {
        if (isnan(logits[id]) || (kept == count && logits[id] <= logits_out[count - 1])) {
            continue;
        }
        uint32_t at = kept < count ? kept++ : count - 1;
        for (; at > 0 && logits_out[at - 1] < logits[id]; at--) {
            logits_out[at] = logits_out[at - 1];
            ids_out[at] = ids_out[at - 1];
        }
        logits_out[at] = logits[id];
        ids_out[at] = (int32_t)id;
    }
    return kept;
}
