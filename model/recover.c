/* What a lost device takes with it. */
#include "engine.h"

void osl_recover_lost(ossicle *engine)
{
    engine->lost = true;
    engine->session.read = 0;
    for (uint32_t m = 0; m <= OSL_MARKS_MAX; m++) {
        engine->session.marks[m].captured = false;
    }
}
