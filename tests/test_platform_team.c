/* The thread team: every thread runs, barriers hold, sharing covers, sleeping costs nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "platform/platform.h"

#define MEMORY_BYTES ((uint64_t)160 << 20)
static void *memory;

static struct osl_team *start(uint32_t threads)
{
    struct osl_team *team = NULL;
    struct osl_error error;
    assert_true(osl_team_bytes(threads) <= MEMORY_BYTES);
    assert_int_equal(osl_team_start(memory, MEMORY_BYTES, threads, &team, &error), OSL_OK);
    return team;
}

struct probe {
    struct osl_team *team;
    uint32_t rounds;
    uint32_t runs[OSL_THREADS_MAX];
    uint32_t values[OSL_THREADS_MAX];
    atomic_uint wrong;
    struct osl_share share[2];
    uint32_t end;
    uint32_t grain;
    uint8_t taken[10000];
};

static void count_runs(void *context, uint32_t index, uint32_t count)
{
    struct probe *probe = context;
    probe->runs[index]++; /* plain: the team must order it */
    probe->values[index] = count;
}

static void team_runs_every_thread_once(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 7, 16, 64};
    static struct probe probe;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        memset(&probe, 0, sizeof probe);
        struct osl_team *team = start(counts[i]);
        for (uint32_t run = 1; run <= 50; run++) {
            osl_team_run(team, count_runs, &probe);
            for (uint32_t t = 0; t < counts[i]; t++) {
                assert_int_equal(probe.runs[t], run);
                assert_int_equal(probe.values[t], counts[i]);
            }
            assert_int_equal(probe.runs[counts[i]], 0);
        }
        osl_team_stop(team);
    }
}

/* Each round every thread writes its own value and, after the barrier, reads all others'. */
static void exchange(void *context, uint32_t index, uint32_t count)
{
    struct probe *probe = context;
    for (uint32_t round = 0; round < probe->rounds; round++) {
        probe->values[index] = round * 1000 + index;
        osl_team_barrier(probe->team);
        for (uint32_t t = 0; t < count; t++) {
            if (probe->values[t] != round * 1000 + t) {
                atomic_fetch_add(&probe->wrong, 1);
            }
        }
        osl_team_barrier(probe->team);
    }
}

static void team_barriers_hold_when_oversubscribed(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 5, 16};
    static struct probe probe;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        memset(&probe, 0, sizeof probe);
        probe.team = start(counts[i]);
        probe.rounds = 300;
        uint64_t begin = osl_clock_ns();
        osl_team_run(probe.team, exchange, &probe);
        uint64_t ms = (osl_clock_ns() - begin) / 1000000;
        assert_int_equal(atomic_load(&probe.wrong), 0);
        /* 600 barriers of 16 threads on 2 cores take about 25 ms; pure spinning takes slices of
         * milliseconds for each. The bound leaves room for sanitizers and busy machines. */
        assert_true(ms < 10000);
        osl_team_stop(probe.team);
    }
}

static void take_all(void *context, uint32_t index, uint32_t count)
{
    struct probe *probe = context;
    for (uint32_t round = 0; round < probe->rounds; round++) {
        struct osl_share *share = &probe->share[round % 2];
        for (uint32_t at; (at = osl_share_take(share, probe->grain, probe->end)) < probe->end;) {
            for (uint32_t k = at; k < at + probe->grain && k < probe->end; k++) {
                probe->taken[k]++;
            }
        }
        if (index == 0) { /* the counter of the next round, while nobody uses it */
            osl_share_reset(&probe->share[(round + 1) % 2]);
        }
        osl_team_barrier(probe->team);
    }
}

static void team_shares_cover_each_item_once(void **state)
{
    (void)state;
    static struct probe probe;
    static const uint32_t cases[][2] = {{1, 1}, {9999, 7}, {10000, 1}, {64, 64}, {63, 64}, {0, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(&probe, 0, sizeof probe);
        probe.team = start(4);
        probe.rounds = 3;
        probe.end = cases[i][0];
        probe.grain = cases[i][1];
        osl_team_run(probe.team, take_all, &probe);
        for (uint32_t k = 0; k < sizeof probe.taken; k++) {
            assert_int_equal(probe.taken[k], k < probe.end ? 3 : 0);
        }
        osl_team_stop(probe.team);
    }
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_utime.tv_sec + (double)use.ru_utime.tv_usec * 1e-6 +
           (double)use.ru_stime.tv_sec + (double)use.ru_stime.tv_usec * 1e-6;
}

static void team_idle_uses_no_cpu(void **state)
{
    (void)state;
    static struct probe probe;
    memset(&probe, 0, sizeof probe);
    struct osl_team *team = start(2);
    osl_team_run(team, count_runs, &probe);
    struct timespec wait = {0, 20000000}; /* let the spin run out */
    nanosleep(&wait, NULL);
    double before = cpu_seconds();
    wait.tv_nsec = 300000000;
    nanosleep(&wait, NULL);
    assert_true(cpu_seconds() - before < 0.05);
    osl_team_run(team, count_runs, &probe); /* and wakes up again */
    assert_int_equal(probe.runs[1], 2);
    osl_team_stop(team);
}

static void team_refuses_what_it_cannot_hold(void **state)
{
    (void)state;
    struct osl_team *team = NULL;
    struct osl_error error;
    assert_int_equal(osl_team_start(memory, osl_team_bytes(4) - 1, 4, &team, &error), OSL_MEMORY);
    assert_int_equal(osl_team_start((char *)memory + 8, MEMORY_BYTES - 8, 2, &team, &error),
                     OSL_MEMORY);
    assert_int_equal(osl_team_start(memory, MEMORY_BYTES, 0, &team, &error), OSL_ARGUMENT);
    assert_int_equal(osl_team_start(memory, MEMORY_BYTES, OSL_THREADS_MAX + 1, &team, &error),
                     OSL_ARGUMENT);
    assert_null(team);
    osl_team_stop(NULL); /* harmless */
}

/* A kernel's frame must fit the stacks given. */
static void use_stack(void *context, uint32_t index, uint32_t count)
{
    struct probe *probe = context;
    volatile uint8_t frame[96 * 1024];
    for (size_t i = 0; i < sizeof frame; i += 512) {
        frame[i] = (uint8_t)(i + index);
    }
    probe->values[index] = frame[512 * 100] == (uint8_t)(512 * 100 + index);
}

static void team_stacks_hold_large_frames(void **state)
{
    (void)state;
    static struct probe probe;
    memset(&probe, 0, sizeof probe);
    struct osl_team *team = start(3);
    osl_team_run(team, use_stack, &probe);
    for (uint32_t t = 0; t < 3; t++) {
        assert_int_equal(probe.values[t], 1);
    }
    osl_team_stop(team); /* checks the ends of the stacks */
}

static int reserve(void **state)
{
    (void)state;
    return osl_memory_reserve(MEMORY_BYTES, false, &memory, NULL) == OSL_OK ? 0 : -1;
}

static int release(void **state)
{
    (void)state;
    osl_memory_release(memory, MEMORY_BYTES);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(team_runs_every_thread_once),
        cmocka_unit_test(team_barriers_hold_when_oversubscribed),
        cmocka_unit_test(team_shares_cover_each_item_once),
        cmocka_unit_test(team_idle_uses_no_cpu),
        cmocka_unit_test(team_refuses_what_it_cannot_hold),
        cmocka_unit_test(team_stacks_hold_large_frames),
    };
    return cmocka_run_group_tests(tests, reserve, release);
}
