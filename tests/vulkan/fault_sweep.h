/* Runs a piece of work once without a fault, then with one at its call sites in turn, each with
 * every result that the specification allows there, and "device lost" wherever it is not. Checks
 * after each that nothing is left behind, nothing strange was destroyed and that work which failed
 * said why.
 *
 * The first, the middle and the last call of every entry point, or all calls with OSL_FAULTS=all in
 * the environment; OSL_FAULTS=N runs only the N-th case, to look at one that fails. */
#ifndef FAULT_SWEEP_H
#define FAULT_SWEEP_H

#include "fault_shim.h"

struct fault_work {
    const char *name;
    /* Opens everything, works, closes everything. OSL_OK: it ended well, whatever happened below;
     * then *right_out says whether the results are right. Anything else: error says why. */
    enum osl_status (*run)(void *user, bool *right_out, struct osl_error *error);
    void *user;
    /* A status that such work may end with; NULL: any. */
    bool (*may_end)(enum osl_status status);
    uint64_t budget_ns; /* of the whole sweep, OSL_FAULTS=all excepted; 0: none */
};

/* Cases run; fails the cmocka test on the first that breaks a rule, naming it. */
uint32_t fault_sweep(const struct fault_work *work);

#endif
