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

uint32_t fault_sweep(const struct fault_work *work)
{
    uint32_t calls[64] = {0};
    bool right = false;
    struct osl_error error = {.text = ""};
    const char *wanted = getenv("OSL_FAULTS");
    bool all = wanted != NULL && strcmp(wanted, "all") == 0;
    uint32_t only = wanted != NULL && !all ? (uint32_t)strtoul(wanted, NULL, 10) : 0;
    assert_true(fault_shim_open());
    if (work->run(work->user, &right, &error) != OSL_OK || !right) {
        fail_msg("%s: wrong without a fault: %s", work->name, error.text);
    }
    check_books(work->name);
    uint32_t sites = 0;
    for (uint32_t i = 0; i < 64 && fault_shim_site(i) != NULL; i++) {
        calls[i] = fault_shim_calls(fault_shim_site(i));
        sites += calls[i];
    }
    uint64_t began_ns = now_ns();
    uint32_t number = 0, run = 0, left_out = 0;
    for (uint32_t i = 0; i < 64 && fault_shim_site(i) != NULL; i++) {
        const uint32_t few[] = {1, (calls[i] + 1) / 2, calls[i]};
        uint32_t last = 0;
        for (uint32_t j = 0; j < (all ? calls[i] : 3); j++) {
            uint32_t nth = all ? j + 1 : few[j];
            struct fault_case c = {fault_shim_site(i), nth, UINT32_MAX, false, 0};
            if (nth <= last) {
                continue;
            }
            last = nth;
            while (next_result(&c)) {
                c.number = ++number;
                if ((only != 0 && number != only)) {
                    continue;
                }
                if (!all && work->budget_ns != 0 && now_ns() - began_ns > work->budget_ns) {
                    left_out++;
                    continue;
                }
                run_case(work, &c);
                run++;
            }
        }
    }
    printf("%s: %u call sites, %u cases run, %u left out by the time limit\n", work->name, sites,
           run, left_out);
    return run;
}
