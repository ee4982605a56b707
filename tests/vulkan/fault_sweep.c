/* See fault_sweep.h. */
#include "fault_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SITES_MAX 64         /* entry points */
#define SLOW_NS 20000000000u /* a run that takes so long hangs */

static const VkResult results[] = {VK_ERROR_DEVICE_LOST, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                                   VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_INITIALIZATION_FAILED,
                                   VK_TIMEOUT};
#define RESULTS (sizeof results / sizeof results[0])
static const char *const result_names[RESULTS] = {"DEVICE_LOST", "OUT_OF_DEVICE_MEMORY",
                                                  "OUT_OF_HOST_MEMORY", "INITIALIZATION_FAILED",
                                                  "TIMEOUT"};

struct fault_case {
    const char *entry;
    uint32_t nth;
    uint32_t result;
    bool stays;
    uint32_t number;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check_books(const char *what)
{
    struct fault_shim_seen seen;
    fault_shim_look(&seen);
    if (seen.live != 0 || seen.leaked != 0 || seen.strange != 0) {
        fault_shim_print_live();
        fail_msg("%s: %u objects live, %u leaked, %u destroyed or used that were not there", what,
                 seen.live, seen.leaked, seen.strange);
    }
}

static void run_case(const struct fault_work *work, const struct fault_case *c)
{
    char what[160];
    snprintf(what, sizeof what, "case %u: %s, call %u of vk%s gives %s%s", c->number, work->name,
             c->nth, c->entry, result_names[c->result], c->stays ? " from then on" : "");
    struct osl_error error = {.text = ""};
    bool right = false;
    assert_true(fault_shim_open());
    fault_shim_arm(c->entry, c->nth, results[c->result], c->stays);
    uint64_t began_ns = now_ns();
    enum osl_status status = work->run(work->user, &right, &error);
    uint64_t took_ns = now_ns() - began_ns;
    fault_shim_disarm();
    if (getenv("OSL_FAULTS") != NULL) {
        fprintf(stderr, "%s\n  -> %d %s%s\n", what, (int)status, error.text,
                fault_shim_fired() ? "" : " (not reached)");
    }
    if (status == OSL_OK && !right) {
        fail_msg("%s: ended well with wrong results", what);
    }
    if (status != OSL_OK && (error.text[0] == '\0' || strchr(error.text, '\n') != NULL)) {
        fail_msg("%s: status %d without one line that says why: '%s'", what, (int)status,
                 error.text);
    }
    if (status != OSL_OK && work->may_end != NULL && !work->may_end(status)) {
        fail_msg("%s: status %d is not one it may end with: %s", what, (int)status, error.text);
    }
    if (took_ns > SLOW_NS) {
        fail_msg("%s: took %.1f s", what, (double)took_ns / 1e9);
    }
    check_books(what);
}

/* Sets c to the next result to try at its site; false: none is left. A timeout comes twice: once,
 * and from then on. */
static bool next_result(struct fault_case *c)
{
    if (c->result < RESULTS && results[c->result] == VK_TIMEOUT && !c->stays) {
        c->stays = true;
        return true;
    }
    c->stays = false;
    for (c->result++; c->result < RESULTS; c->result++) {
        if (fault_shim_legal(c->entry, results[c->result]) ||
            results[c->result] == VK_ERROR_DEVICE_LOST) {
            return true;
        }
    }
    return false;
}

/* The n-th call to try at a site that is called `calls` times, 0 .. tries - 1; 0: none, or one
 * tried already. */
static uint32_t nth_call(uint32_t try, uint32_t calls, bool all)
{
    const uint32_t few[] = {1, calls, (calls + 1) / 2};
    if (all) {
        return try < calls ? try + 1 : 0;
    }
    for (uint32_t i = 0; i < try; i++) {
        if (few[i] == few[try]) {
            return 0;
        }
    }
    return calls > 0 ? few[try] : 0;
}

struct sweep {
    uint32_t calls[SITES_MAX]; /* in a run without a fault */
    uint32_t sites, calls_most;
};

static struct sweep count_sites(const struct fault_work *work)
{
    struct sweep sweep = {.calls_most = 0};
    bool right = false;
    struct osl_error error = {.text = ""};
    assert_true(fault_shim_open());
    if (work->run(work->user, &right, &error) != OSL_OK || !right) {
        fail_msg("%s: wrong without a fault: %s", work->name, error.text);
    }
    check_books(work->name);
    for (uint32_t i = 0; i < SITES_MAX && fault_shim_site(i) != NULL; i++) {
        uint32_t calls = fault_shim_calls(fault_shim_site(i));
        sweep.calls[i] = calls;
        sweep.sites += calls;
        sweep.calls_most = calls > sweep.calls_most ? calls : sweep.calls_most;
    }
    return sweep;
}

uint32_t fault_sweep(const struct fault_work *work)
{
    const char *wanted = getenv("OSL_FAULTS");
    bool all = wanted != NULL && strcmp(wanted, "all") == 0;
    uint32_t only = wanted != NULL && !all ? (uint32_t)strtoul(wanted, NULL, 10) : 0;
    struct sweep sweep = count_sites(work);
    uint64_t began_ns = now_ns();
    uint32_t number = 0, run = 0, left_out = 0;
    /* First calls of all entry points, then last ones: what the limit cuts is spread over all. */
    for (uint32_t try = 0; try < (all ? sweep.calls_most : 3); try++) {
        for (uint32_t i = 0; i < SITES_MAX && fault_shim_site(i) != NULL; i++) {
            uint32_t nth = nth_call(try, sweep.calls[i], all);
            struct fault_case c = {fault_shim_site(i), nth, UINT32_MAX, false, 0};
            while (nth > 0 && next_result(&c)) {
                c.number = ++number;
                bool late = !all && work->budget_ns != 0 && now_ns() - began_ns > work->budget_ns;
                left_out += late;
                if (!late && (only == 0 || number == only)) {
                    run_case(work, &c);
                    run++;
                }
            }
        }
    }
    printf("%s: %u call sites, %u cases run, %u left out by the time limit\n", work->name,
           sweep.sites, run, left_out);
    return only != 0 ? UINT32_MAX : run;
}
