/* Bias, penalties, greedy and a draw, in plain C: the specification of shaders/pick_token.comp. */
#include "compute/pick.h"

#include <math.h>

#define BIG 1e30f /* keeps what comes finite: bias and penalties are at most 100 */

static float clamped(float logit)
{
    if (logit != logit || logit == -INFINITY) {
        return -INFINITY;
    }
    return logit > BIG ? BIG : logit < -BIG ? -BIG : logit;
}

void osl_pick_adjust(const struct osl_pick *pick, const float *logits, float *adjusted)
{
    uint32_t count = pick->token_count;
    for (uint32_t i = 0; i < count; i++) {
        adjusted[i] = clamped(logits[i]);
    }
    for (uint32_t b = 0; b < pick->bias_count; b++) {
        if ((uint32_t)pick->bias_token[b] < count) {
            adjusted[pick->bias_token[b]] += pick->bias_value[b];
        }
    }
    float repetition = pick->repetition_penalty, inverse = 1 / repetition;
    for (uint32_t i = 0; pick->seen != NULL && i < count; i++) {
        if (pick->seen[i] != 0) {
            float logit = adjusted[i] * (adjusted[i] > 0 ? inverse : repetition);
            adjusted[i] = logit - pick->presence_penalty -
                          pick->frequency_penalty * (float)pick->seen[i];
        }
    }
    for (uint32_t i = 0; pick->allowed != NULL && i < count; i++) {
        if (!(pick->allowed[i / 32] >> i % 32 & 1)) {
            adjusted[i] = -INFINITY;
        }
    }
}

int32_t osl_pick_greedy(const float *adjusted, uint32_t count)
{
    float best = -INFINITY;
    int32_t token = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (adjusted[i] > best) {
            best = adjusted[i];
            token = (int32_t)i;
        }
    }
    return token;
}

int32_t osl_pick_draw(const float *adjusted, uint32_t count, float temperature, float uniform)
{
    int32_t token = osl_pick_greedy(adjusted, count);
    if (token < 0 || temperature == 0) {
        return token;
    }
    double best = (double)adjusted[token], inverse = 1.0 / (double)temperature, total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += exp(((double)adjusted[i] - best) * inverse);
    }
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        double weight = exp(((double)adjusted[i] - best) * inverse);
        sum += weight;
        token = weight > 0 ? (int32_t)i : token;
        if (weight > 0 && sum > (double)uniform * total) {
            break;
        }
    }
    return token;
}
