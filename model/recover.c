/* Lost devices: the backend is made anew and what the conversation had read is read again, each
 * token by the kind of step that read it first, so that every number, and the text, stays the
 * same. Marks are captured again as they are passed. Nothing has been drawn for a token that was
 * not picked, since picking needs the logits first.
 *
 * Tokens [read, known) are to be read again; `known` is what has been read at least once. */
#include "engine.h"

#include <string.h>

#define RESTARTS_IN_ROW_MAX 3 /* without a new token between them */

void osl_recover_lost(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    engine->lost = true;
    session->read = 0;
    session->written = 0;
    for (uint32_t m = 0; m <= OSL_MARKS_MAX; m++) {
        session->marks[m].captured = false;
    }
}

bool osl_recover_pending(const ossicle *engine)
{
    return engine->lost || engine->session.read < engine->session.known;
}

static enum osl_status take_over(ossicle *engine)
{
    if (engine->cpu == NULL || engine->cpu == engine->backend) {
        return osl_fail(&engine->error, OSL_DEVICE,
                        "the device was lost %d times in a row and the CPU has no memory planned "
                        "to go on (%s); restart the program, or use --device cpu",
                        RESTARTS_IN_ROW_MAX, engine->lost_error.text);
    }
    osl_engine_log(engine, OSSICLE_LOG_WARN,
                   "the device was lost %d times in a row (%s): the CPU goes on from here",
                   RESTARTS_IN_ROW_MAX, engine->lost_error.text);
    osl_backend_close(engine->backend);
    engine->backend = engine->cpu;
    engine->lost = false;
    return OSL_OK;
}

static enum osl_status restart(ossicle *engine)
{
    if (engine->restarts_in_row == RESTARTS_IN_ROW_MAX) {
        return take_over(engine);
    }
    engine->restarts_in_row++;
    engine->restarts++;
    engine->lost_error.text[0] = '\0';
    enum osl_status status = osl_backend_restart(engine->backend, &engine->lost_error);
    if (status == OSL_OK) {
        engine->lost = false;
        osl_engine_log(engine, OSSICLE_LOG_WARN,
                       "the device was lost and has been restarted: %u tokens are read again",
                       engine->session.known);
    } else if (engine->lost_error.text[0] == '\0') {
        osl_fail(&engine->lost_error, status, "it could not be restarted");
    }
    return status == OSL_ABORTED ? OSL_ABORTED : OSL_OK;
}

enum osl_status osl_recover_step(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    OSL_ASSERT(osl_recover_pending(engine));
    if (engine->lost) {
        return restart(engine);
    }
    bool decode = osl_read_was_decode(engine, session->read);
    uint32_t end = session->read + 1;
    while (!decode && end < session->known && end - session->read < engine->plan.prefill_tokens &&
           !osl_read_was_decode(engine, end)) {
        end++;
    }
    enum osl_status status = osl_read_step(engine, decode ? OSL_STEP_DECODE : OSL_STEP_PREFILL,
                                           end - session->read);
    if (status == OSL_DEVICE) {
        osl_recover_lost(engine);
        return OSL_OK;
    }
    return status;
}

enum osl_status osl_recover_now(ossicle *engine)
{
    struct osl_session *session = &engine->session;
    if (!osl_recover_pending(engine)) {
        return OSL_OK;
    }
    atomic_store_explicit(&engine->cancel, false, memory_order_relaxed);
    enum osl_status status = OSL_OK;
    while (status == OSL_OK && osl_recover_pending(engine)) {
        status = osl_recover_step(engine);
        if (status == OSL_ABORTED ||
            (status == OSL_OK && engine->progress != NULL &&
             !engine->progress(engine->user, "reading again", session->read, session->known))) {
            status = osl_fail(&engine->error, OSL_ABORTED,
                              "cancelled while a lost device's tokens were read again");
        }
    }
    return status;
}
