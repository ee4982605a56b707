/* Warming: a thread that makes the pages of a map present, ahead of whoever computes with them. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; older headers lack the name */
#endif

/* One call of the kernel's: a huge page, which a slow disk (20 MB/s) reads in 0.1 s, the longest
 * that stopping takes. Larger pieces are no faster: the kernel reads ahead of them by itself. */
#define PIECE_BYTES ((uint64_t)2 << 20)

struct osl_warm {
    atomic_bool stop;
    osl_warm_next *next;
    void *context;
    pthread_t thread;
};

static uint64_t header_bytes(void)
{
    return (sizeof(struct osl_warm) + 63) / 64 * 64;
}

uint64_t osl_warm_bytes(void)
{
    return header_bytes() + OSL_STACK_BYTES;
}

/* Kernels before 5.14, and emulators that accept the call and do nothing: a byte of each page,
 * which waits for the disk alike. */
static void touch(const uint8_t *data, uint64_t bytes, uint64_t page)
{
    for (uint64_t at = 0; at < bytes; at += page) {
        (void)*(const volatile uint8_t *)(data + at);
    }
}

/* False: there is no sense in going on. What is wrong (a file cut short, a disk that fails) shows
 * again where the bytes are used. */
static bool warm_piece(const uint8_t *data, uint64_t bytes, uint64_t page)
{
    int failed;
    do {
        failed = madvise((void *)(uintptr_t)data, (size_t)bytes, MADV_POPULATE_READ);
    } while (failed != 0 && errno == EINTR);
    unsigned char last = 0;
    uintptr_t last_page = ((uintptr_t)data + bytes - 1) / page * page;
    if (failed == 0 ? mincore((void *)last_page, (size_t)page, &last) == 0 && (last & 1) == 0
                    : errno == EINVAL || errno == ENOSYS) {
        touch(data, bytes, page);
        failed = 0;
    }
    return failed == 0;
}

static void *warm_main(void *argument)
{
    struct osl_warm *warm = argument;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const void *data;
    uint64_t bytes;
    while (warm->next(warm->context, &data, &bytes)) {
        uintptr_t at = (uintptr_t)data / page * page;
        uintptr_t end = (uintptr_t)data + bytes;
        while (at < end) {
            /* Up to the next boundary: a piece is one huge page where the map has them. */
            uint64_t piece = PIECE_BYTES - at % PIECE_BYTES;
            piece = piece < end - at ? piece : end - at;
            if (atomic_load_explicit(&warm->stop, memory_order_relaxed) ||
                !warm_piece((const uint8_t *)at, piece, page)) {
                return NULL;
            }
            at += piece;
        }
    }
    return NULL;
}

enum osl_status osl_warm_start(void *memory, uint64_t bytes, osl_warm_next *next, void *context,
                               struct osl_warm **warm_out, struct osl_error *error)
{
    *warm_out = NULL;
    if (memory == NULL || (uintptr_t)memory % 64 != 0 || bytes < osl_warm_bytes()) {
        return osl_fail(error, OSL_MEMORY, "warming needs %llu bytes of memory, aligned to 64",
                        (unsigned long long)osl_warm_bytes());
    }
    struct osl_warm *warm = memory;
    memset(warm, 0, sizeof *warm);
    warm->next = next;
    warm->context = context;
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed == 0) {
        sigset_t mask, before;
        osl_host_worker_signals(&mask);
        pthread_sigmask(SIG_SETMASK, &mask, &before);
        failed = pthread_attr_setstack(&attributes, (uint8_t *)memory + header_bytes(),
                                       OSL_STACK_BYTES);
        if (failed == 0) {
            failed = pthread_create(&warm->thread, &attributes, warm_main, warm);
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
    }
    if (failed != 0) {
        errno = failed;
        return osl_fail(error, OSL_IO,
                        "the thread that reads the file ahead cannot be started (%m); raise the "
                        "limit of processes (ulimit -u)");
    }
    (void)pthread_setname_np(warm->thread, "ossicle-warm"); /* only for those who look at top */
    *warm_out = warm;
    return OSL_OK;
}

void osl_warm_stop(struct osl_warm *warm)
{
    if (warm == NULL) {
        return;
    }
    atomic_store_explicit(&warm->stop, true, memory_order_relaxed);
    int failed = pthread_join(warm->thread, NULL);
    OSL_ASSERT(failed == 0);
}
