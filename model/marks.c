/* Marks: message boundaries that can be gone back to exactly.
 *
 * Full layers need nothing: rows past the boundary are overwritten. A windowed layer's ring loses
 * rows as it turns, so the `window` rows before the boundary are copied once they are all there.
 * A step reads at most prefill_tokens, and a ring holds window + prefill_tokens, so right after
 * the step that passes a boundary its rows are still in the ring. */
#include "engine.h"

#include <string.h>

/* Where the backend keeps it: the turn's own mark comes last. */
static uint32_t place(const ossicle *engine, uint32_t index)
{
    return index == OSL_TURN_MARK ? engine->plan.marks : index;
}

void osl_marks_capture(ossicle *engine)
{
    for (uint32_t m = 0; m <= OSL_MARKS_MAX; m++) {
        struct osl_mark *mark = &engine->session.marks[m];
        if (mark->used && !mark->captured && mark->position <= engine->session.read) {
            if (osl_backend_mark(engine->backend, place(engine, m), mark->position, false) !=
                OSL_OK) {
                osl_recover_lost(engine);
                return;
            }
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
    session->known = session->known < position ? session->known : position;
    if (position < session->read) {
        OSL_ASSERT(mark->captured);
        session->read = session->written = position; /* the rings are those of that moment */
        if (osl_backend_mark(engine->backend, place(engine, index), position, true) != OSL_OK) {
            osl_recover_lost(engine);
        }
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
