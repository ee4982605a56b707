/* Marks: message boundaries that can be gone back to exactly.
 *
 * Full layers need nothing: rows past the boundary are overwritten. A windowed layer's ring loses
 * rows as it turns, so the `window` rows before the boundary are copied once they are all there.
 * A step reads at most prefill_tokens, and a ring holds window + prefill_tokens, so right after
 * the step that passes a boundary its rows are still in the ring. */
#include "engine.h"

#include <string.h>

static uint8_t *snapshot(const ossicle *engine, uint32_t index)
{
    uint32_t slot = index == OSL_TURN_MARK ? engine->plan.marks : index;
    return engine->ring_marks + slot * engine->plan.ring_mark_bytes;
}

/* Copies rows [position - window, position) of every ring to or from a snapshot. */
static void copy_rings(ossicle *engine, uint32_t position, uint8_t *copy, bool restore)
{
    const struct osl_shape *shape = &engine->hparams.shape;
    uint64_t row = osl_kv_row_bytes(engine->plan.kv_type, shape->head_dim);
    uint32_t rows = position < shape->window ? position : shape->window;
    for (uint32_t layer = 0; layer < shape->layers; layer++) {
        const struct osl_kv_layer *kv = &engine->schedule.kv[layer];
        for (uint32_t half = 0; kv->window != 0 && half < 2 * shape->kv_heads; half++) {
            uint8_t *base = half < shape->kv_heads ? kv->k : kv->v;
            base += (uint64_t)(half % shape->kv_heads) * kv->capacity * row;
            for (uint32_t r = 0; r < rows; r++) {
                uint8_t *in_ring = base + (position - rows + r) % kv->capacity * row;
                memcpy(restore ? in_ring : copy, restore ? copy : in_ring, row);
                copy += row;
            }
        }
    }
}

void osl_marks_capture(ossicle *engine)
{
    for (uint32_t m = 0; m <= OSL_MARKS_MAX; m++) {
        struct osl_mark *mark = &engine->session.marks[m];
        if (mark->used && !mark->captured && mark->position <= engine->session.read) {
            copy_rings(engine, mark->position, snapshot(engine, m), false);
            mark->captured = true;
        }
    }
}

void osl_marks_set(ossicle *engine, uint32_t index)
{
    struct osl_session *session = &engine->session;
    session->marks[index] = (struct osl_mark){.used = true,
                                              .id = ++session->mark_next_id,
                                              .position = session->count,
                                              .turn = session->turn};
    osl_marks_capture(engine);
}

void osl_marks_forget_after(ossicle *engine, uint32_t position)
{
    for (uint32_t m = 0; m <= OSL_MARKS_MAX; m++) {
        struct osl_mark *mark = &engine->session.marks[m];
        if (mark->used && mark->position > position) {
            mark->used = false;
        }
    }
}

void osl_marks_return(ossicle *engine, uint32_t position, uint32_t index)
{
    struct osl_session *session = &engine->session;
    const struct osl_mark *mark = &session->marks[index];
    OSL_ASSERT(mark->used && mark->position == position && position <= session->count);
    if (position < session->read) {
        OSL_ASSERT(mark->captured);
        copy_rings(engine, position, snapshot(engine, index), true);
        session->read = position;
    }
    session->count = position;
    osl_marks_forget_after(engine, position);
}

enum ossicle_status ossicle_mark(ossicle *engine, uint32_t *mark_out)
{
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_STATE,
                                             "marks are set between answers, not within one");
    }
    struct osl_session *session = &engine->session;
    uint32_t chosen = 0;
    for (uint32_t m = 0; m < engine->plan.marks; m++) {
        if (!session->marks[m].used) {
            chosen = m;
            break;
        }
        if (session->marks[m].id < session->marks[chosen].id) {
            chosen = m;
        }
    }
    osl_marks_set(engine, chosen);
    *mark_out = session->marks[chosen].id;
    return OSSICLE_OK;
}

enum ossicle_status ossicle_rewind(ossicle *engine, uint32_t mark_id)
{
    struct osl_session *session = &engine->session;
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_STATE,
                                             "cancel the answer before going back");
    }
    for (uint32_t m = 0; m < engine->plan.marks; m++) {
        const struct osl_mark *mark = &session->marks[m];
        if (mark->used && mark->id == mark_id) {
            session->turn = mark->turn;
            osl_marks_return(engine, mark->position, m);
            return OSSICLE_OK;
        }
    }
    return (enum ossicle_status)osl_fail(
        &engine->error, OSL_STATE,
        "mark %u was forgotten: %u marks are kept, plan for more with config.marks", mark_id,
        engine->plan.marks);
}
