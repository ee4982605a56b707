/* Maps that outlive their file: SIGBUS inside a guarded map puts zeros in the place of what cannot
 * be read and notes where, so that a file cut short while in use is an error and not a crash.
 *
 * The handler is there while a map is guarded. Other people's SIGBUS goes where it went before. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#define GUARDS_MAX 64 /* maps at a time in one process; one more is not guarded */
#define NOWHERE UINT64_MAX

/* Written under the lock, read by the handler: `end` last and first, 0 where the slot is free. */
struct guard {
    _Atomic(uintptr_t) begin;
    _Atomic(uintptr_t) end;
    _Atomic(uint64_t) lost; /* bytes from begin to the first page that could not be read */
};

static struct guard guards[GUARDS_MAX];
static struct sigaction before; /* what the signal did before the first guard */
static uint32_t guard_count;
static bool covered; /* at the last uninstall by another handler */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct guard *guard_of(uintptr_t address)
{
    for (uint32_t i = 0; i < GUARDS_MAX; i++) {
        uintptr_t end = atomic_load_explicit(&guards[i].end, memory_order_acquire);
        if (address < end &&
            address >= atomic_load_explicit(&guards[i].begin, memory_order_relaxed)) {
            return &guards[i];
        }
    }
    return NULL;
}

/* Zeros from the lost page to the end of the map: whoever reads on meets no second signal. What
 * lies before it, a file's header say, is kept. */
static bool replace(struct guard *guard, uintptr_t address)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = atomic_load_explicit(&guard->begin, memory_order_relaxed);
    uintptr_t end = atomic_load_explicit(&guard->end, memory_order_relaxed);
    uintptr_t lost = address / page * page;
    void *zeros = mmap((void *)lost, end - lost, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    uint64_t nowhere = NOWHERE;
    (void)atomic_compare_exchange_strong(&guard->lost, &nowhere, lost - begin);
    return zeros != MAP_FAILED;
}

/* Not ours: a handler is called, and may never return; the default action comes when the
 * instruction faults again, or, where a process sent the signal, when it is raised again. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    bool sent = info->si_code <= 0;
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else if (!sent || before.sa_handler == SIG_DFL) {
        struct sigaction plain;
        memset(&plain, 0, sizeof plain);
        plain.sa_handler = SIG_DFL;
        sigaction(number, &plain, NULL);
        if (sent) {
            raise(number); /* delivered when this handler returns */
        }
    }
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    struct guard *guard = info->si_code > 0 ? guard_of((uintptr_t)info->si_addr) : NULL;
    if (guard == NULL || !replace(guard, (uintptr_t)info->si_addr)) {
        pass_on(number, info, context);
    }
    errno = saved;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_bus_error;
}

static bool is_default(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL;
}

/* A handler that someone put over ours may call ours: ours over it again would go round. Not so
 * once the default is back. */
static void install(void)
{
    struct sigaction now, action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, NULL, &now) == 0 && !is_ours(&now) && (!covered || is_default(&now))) {
        before = now; /* first this, so that the handler never runs without it */
        covered = sigaction(SIGBUS, &action, NULL) != 0;
    }
}

static void uninstall(void)
{
    struct sigaction now;
    if (sigaction(SIGBUS, NULL, &now) == 0) {
        covered = !is_ours(&now) || sigaction(SIGBUS, &before, NULL) != 0;
    }
}

uint32_t osl_guard_add(const void *begin, uint64_t bytes)
{
    uint32_t found = 0;
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < GUARDS_MAX && found == 0; i++) {
        struct guard *guard = &guards[i];
        if (atomic_load_explicit(&guard->end, memory_order_relaxed) == 0) {
            atomic_store_explicit(&guard->begin, (uintptr_t)begin, memory_order_relaxed);
            atomic_store_explicit(&guard->lost, NOWHERE, memory_order_relaxed);
            atomic_store_explicit(&guard->end, (uintptr_t)begin + bytes, memory_order_release);
            found = i + 1;
        }
    }
    guard_count += found != 0;
    if (found != 0 && guard_count == 1) {
        install();
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void osl_guard_remove(uint32_t guard)
{
    if (guard == 0) {
        return;
    }
    OSL_ASSERT(guard <= GUARDS_MAX);
    pthread_mutex_lock(&lock);
    atomic_store_explicit(&guards[guard - 1].end, 0, memory_order_release);
    guard_count--;
    if (guard_count == 0) {
        uninstall();
    }
    pthread_mutex_unlock(&lock);
}

bool osl_guard_lost(uint32_t guard, uint64_t *at_out)
{
    if (guard == 0) {
        return false;
    }
    OSL_ASSERT(guard <= GUARDS_MAX);
    uint64_t lost = atomic_load_explicit(&guards[guard - 1].lost, memory_order_relaxed);
    if (lost == NOWHERE) {
        return false;
    }
    *at_out = lost;
    return true;
}
