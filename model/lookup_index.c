/* Where the text has been before: see lookup.h. */
#include "lookup.h"

#include <string.h>

#include "platform/platform.h"

#define MISSED_MAX 1 /* in a row, and still it may go on behind them */

static uint32_t slots_for(uint32_t context_tokens)
{
    uint32_t slots = 64;
    while (slots < context_tokens) {
        slots *= 2;
    }
    return slots;
}

uint64_t osl_lookup_index_bytes(uint32_t context_tokens)
{
    return ((uint64_t)slots_for(context_tokens) + context_tokens) * sizeof(uint32_t);
}

void osl_lookup_index_init(struct osl_lookup_index *index, void *memory, uint32_t context_tokens)
{
    index->slots = slots_for(context_tokens);
    index->last = memory;
    index->before = index->last + index->slots;
    osl_lookup_index_clear(index);
}

void osl_lookup_index_clear(struct osl_lookup_index *index)
{
    memset(index->last, 0, index->slots * sizeof *index->last);
    index->count = 0;
    index->place = index->followed = index->missed = 0;
}

/* Of the OSL_LOOKUP_RUN_MIN tokens before `end`. */
static uint32_t slot_of(const struct osl_lookup_index *index, const int32_t *end)
{
    uint64_t hash = 0;
    for (uint32_t i = 1; i <= OSL_LOOKUP_RUN_MIN; i++) {
        hash = (hash + (uint32_t)end[-(int32_t)i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32) & (index->slots - 1);
}

/* How many tokens before `place` are those at the end of the text. */
static uint32_t run_at(const int32_t *tokens, uint32_t count, uint32_t place)
{
    uint32_t run = 0;
    while (run < OSL_LOOKUP_RUN_MAX && run < place &&
           tokens[place - 1 - run] == tokens[count - 1 - run]) {
        run++;
    }
    return run;
}

uint32_t osl_lookup_find(struct osl_lookup_index *index, const int32_t *tokens, uint32_t count,
                         uint32_t *run_out)
{
    OSL_ASSERT(index->count <= count);
    if (count <= OSL_LOOKUP_RUN_MIN) {
        return 0;
    }
    /* all but the run at the very end: nothing has come after that yet */
    uint32_t place = index->count > OSL_LOOKUP_RUN_MIN ? index->count : OSL_LOOKUP_RUN_MIN;
    for (; place < count; place++) {
        uint32_t slot = slot_of(index, tokens + place);
        index->before[place] = index->last[slot];
        index->last[slot] = place;
    }
    index->count = count;
    uint32_t best = 0, best_run = OSL_LOOKUP_RUN_MIN - 1;
    uint32_t at = index->last[slot_of(index, tokens + count)];
    for (uint32_t i = 0; i < OSL_LOOKUP_TRIES && at != 0; i++) {
        uint32_t run = run_at(tokens, count, at);
        if (run > best_run) {
            best = at;
            best_run = run;
        }
        at = index->before[at];
    }
    *run_out = best_run;
    return best;
}

uint32_t osl_lookup_follow(struct osl_lookup_index *index, const int32_t *tokens, uint32_t count,
                           uint32_t *run_out)
{
    uint32_t run = 0;
    uint32_t place = osl_lookup_find(index, tokens, count, &run);
    if (index->place != 0 && index->followed + 1 == count) {
        bool alike = tokens[count - 1] == tokens[index->place];
        uint32_t next = index->place + 1;
        uint32_t next_run = run_at(tokens, count, next);
        index->missed = alike ? 0 : index->missed + 1;
        if (index->missed <= MISSED_MAX && (place == 0 || run <= next_run)) {
            place = next;
            run = next_run;
        } else {
            index->missed = 0;
        }
    }
    index->place = place;
    index->followed = count;
    *run_out = run;
    return place;
}

void osl_lookup_copy(const int32_t *tokens, uint32_t count, uint32_t place, uint32_t length,
                     int32_t *draft_out)
{
    OSL_ASSERT(place < count);
    for (uint32_t i = 0; i < length; i++) {
        uint32_t from = place + i;
        draft_out[i] = from < count ? tokens[from] : draft_out[from - count];
    }
}
