/* The thread team: workers on stacks in the caller's memory, a barrier, and futexes to sleep on.
 *
 * Everything waits in the same way: it looks at a word for a bounded time, then sleeps until the
 * word is changed. Whoever changes a word wakes sleepers only if there are any, so that a team
 * that keeps up makes no system calls. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"

/* How long a thread looks before it sleeps. Going to sleep and being woken costs 5 to 50 us: a
 * wait expected to be shorter is better spent looking. Between runs the caller samples a token. */
#define SPIN_BARRIER_NS 100000u
#define SPIN_IDLE_NS 300000u
#define SPIN_LOOKS 64 /* looks between two readings of the clock */

#define CANARY UINT64_C(0x0551c1e0551c1e05)
#define CANARY_WORDS 8

/* A word to wait on, alone in its cache line, and how many sleep on it. */
struct wait_word {
    _Alignas(64) atomic_uint value;
    atomic_uint sleepers;
};

struct worker {
    struct osl_team *team;
    uint32_t index;
    pthread_t thread;
};

struct osl_team {
    struct wait_word run;        /* counts runs: a change starts one */
    struct wait_word generation; /* counts barriers: a change opens one */
    _Alignas(64) atomic_uint arrived;
    _Alignas(64) osl_team_fn *fn; /* NULL: the worker ends. Published by run.value */
    void *context;
    uint32_t count;
    uint32_t started; /* workers to join */
    bool running;
    uint32_t spin_barrier_ns; /* 0 when there are more threads than CPUs */
    uint32_t spin_idle_ns;
    uint8_t *stacks;
    struct worker workers[OSL_THREADS_MAX];
};

static uint64_t header_bytes(void)
{
    return (sizeof(struct osl_team) + 63) / 64 * 64;
}

uint64_t osl_team_bytes(uint32_t thread_count)
{
    OSL_ASSERT(thread_count >= 1);
    OSL_ASSERT(thread_count <= OSL_THREADS_MAX);
    return header_bytes() + (thread_count - 1) * OSL_STACK_BYTES;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* yield is a no-op on most cores; isb waits a little */
#endif
}

/* Waits until word is no longer `old`. Sequentially consistent on both sides: either the waker
 * sees the sleeper, or the sleeper sees the new value; the kernel compares once more itself. */
static void word_wait(struct wait_word *word, unsigned old, uint32_t spin_ns)
{
    uint64_t begin = spin_ns > 0 ? osl_clock_ns() : 0;
    while (spin_ns > 0) {
        for (int look = 0; look < SPIN_LOOKS; look++) {
            if (atomic_load_explicit(&word->value, memory_order_acquire) != old) {
                return;
            }
            relax();
        }
        if (osl_clock_ns() - begin > spin_ns) {
            break;
        }
    }
    atomic_fetch_add(&word->sleepers, 1);
    while (atomic_load(&word->value) == old) {
        /* Spurious returns, signals and a value already changed all end in the same test. */
        (void)syscall(SYS_futex, &word->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    }
    atomic_fetch_sub(&word->sleepers, 1);
}

static void word_advance(struct wait_word *word)
{
    atomic_fetch_add(&word->value, 1);
    if (atomic_load(&word->sleepers) > 0) {
        (void)syscall(SYS_futex, &word->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}

/* The generation is read before arriving: it cannot move until we have. The last to arrive
 * resets the count before it opens the barrier, so that the next one starts from zero. */
void osl_team_barrier(struct osl_team *team)
{
    if (team->count == 1) {
        return;
    }
    unsigned generation = atomic_load_explicit(&team->generation.value, memory_order_acquire);
    unsigned before = atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel);
    OSL_ASSERT_HOT(before < team->count);
    if (before + 1 == team->count) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        word_advance(&team->generation);
    } else {
        word_wait(&team->generation, generation, team->spin_barrier_ns);
    }
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct osl_team *team = worker->team;
    unsigned seen = 0;
    for (;;) {
        word_wait(&team->run, seen, team->spin_idle_ns);
        seen++; /* the caller starts no run before all have finished the last one */
        if (team->fn == NULL) {
            return NULL;
        }
        team->fn(team->context, worker->index, team->count);
        osl_team_barrier(team);
    }
}

void osl_team_run(struct osl_team *team, osl_team_fn *fn, void *context)
{
    OSL_ASSERT(!team->running);
    OSL_ASSERT(fn != NULL);
    team->running = true;
    team->fn = fn;
    team->context = context;
    word_advance(&team->run);
    fn(context, 0, team->count);
    osl_team_barrier(team);
    team->running = false;
}

static uint8_t *stack_of(const struct osl_team *team, uint32_t index)
{
    return team->stacks + (index - 1) * OSL_STACK_BYTES;
}

void osl_host_worker_signals(sigset_t *blocked_out)
{
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigfillset(blocked_out);
    for (uint32_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        sigdelset(blocked_out, own[i]);
    }
}

/* On a mixed machine the workers keep to the fast CPUs, if those are enough. The caller's own
 * affinity is the caller's business: work is shared out at run time, so it may be slower. */
static void choose_cpus(struct osl_team *team, cpu_set_t *mask_out, bool *pinned_out)
{
    struct osl_cpu_set allowed;
    struct osl_cpu_set fast;
    osl_host_affinity(&allowed);
    osl_host_fast_cpus("", &allowed, &fast);
    uint32_t cpus = osl_cpu_count(&allowed);
    team->spin_barrier_ns = team->count <= cpus ? SPIN_BARRIER_NS : 0;
    team->spin_idle_ns = team->count <= cpus ? SPIN_IDLE_NS : 0;
    *pinned_out = osl_cpu_count(&fast) < cpus && team->count <= osl_cpu_count(&fast);
    CPU_ZERO(mask_out);
    for (uint32_t cpu = 0; cpu < OSL_HOST_CPUS_MAX && cpu < CPU_SETSIZE; cpu++) {
        if (osl_cpu_has(&fast, cpu)) {
            CPU_SET(cpu, mask_out);
        }
    }
}

static int start_worker(struct osl_team *team, uint32_t index, const cpu_set_t *mask)
{
    struct worker *worker = &team->workers[index];
    *worker = (struct worker){.team = team, .index = index};
    uint64_t *canary = (uint64_t *)(void *)stack_of(team, index);
    for (int i = 0; i < CANARY_WORDS; i++) {
        canary[i] = CANARY;
    }
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed != 0) {
        return failed;
    }
    failed = pthread_attr_setstack(&attributes, stack_of(team, index), OSL_STACK_BYTES);
    if (failed == 0 && mask != NULL) {
        failed = pthread_attr_setaffinity_np(&attributes, sizeof *mask, mask);
    }
    if (failed == 0) {
        failed = pthread_create(&worker->thread, &attributes, worker_main, worker);
    }
    pthread_attr_destroy(&attributes);
    if (failed == 0) {
        char name[16];
        snprintf(name, sizeof name, "ossicle-%u", index);
        (void)pthread_setname_np(worker->thread, name); /* only for those who look at top */
    }
    return failed;
}

enum osl_status osl_team_start(void *memory, uint64_t bytes, uint32_t thread_count,
                               struct osl_team **team_out, struct osl_error *error)
{
    *team_out = NULL;
    if (thread_count < 1 || thread_count > OSL_THREADS_MAX) {
        return osl_fail(error, OSL_ARGUMENT, "%u threads wanted; give 1 to %d", thread_count,
                        OSL_THREADS_MAX);
    }
    if (memory == NULL || (uintptr_t)memory % 64 != 0 || bytes < osl_team_bytes(thread_count)) {
        return osl_fail(error, OSL_MEMORY, "%u threads need %llu bytes of memory, aligned to 64",
                        thread_count, (unsigned long long)osl_team_bytes(thread_count));
    }
    struct osl_team *team = memory;
    memset(team, 0, sizeof *team);
    team->count = thread_count;
    team->stacks = (uint8_t *)memory + header_bytes();
    cpu_set_t mask;
    bool pinned;
    choose_cpus(team, &mask, &pinned);
    sigset_t mask_of_workers;
    sigset_t before;
    osl_host_worker_signals(&mask_of_workers);
    pthread_sigmask(SIG_SETMASK, &mask_of_workers, &before);
    int failed = 0;
    for (uint32_t i = 1; i < thread_count && failed == 0; i++) {
        failed = start_worker(team, i, pinned ? &mask : NULL);
        team->started += failed == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        errno = failed;
        enum osl_status status =
            osl_fail(error, OSL_IO, "thread %u of %u cannot be started (%m); ask for fewer threads",
                     team->started + 1, thread_count);
        osl_team_stop(team);
        return status;
    }
    *team_out = team;
    return OSL_OK;
}

void osl_team_stop(struct osl_team *team)
{
    if (team == NULL) {
        return;
    }
    OSL_ASSERT(!team->running);
    team->fn = NULL;
    word_advance(&team->run);
    for (uint32_t i = 1; i <= team->started; i++) {
        int failed = pthread_join(team->workers[i].thread, NULL);
        OSL_ASSERT(failed == 0);
        const uint64_t *canary = (const uint64_t *)(const void *)stack_of(team, i);
        for (int word = 0; word < CANARY_WORDS; word++) {
            OSL_ASSERT(canary[word] == CANARY); /* a worker's stack overflowed */
        }
    }
    team->started = 0;
}
