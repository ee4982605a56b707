/* Large files in memory: maps that are warmed ahead of their use and survive their file, and loads
 * with faults injected: the linker routes pread through here (--wrap). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"

#include "assert_fails.h"

static char path[64];

static int file_make(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/ossicle-test-XXXXXX");
    int handle = mkstemp(path);
    return handle < 0 ? -1 : close(handle);
}

static int file_remove(void **state)
{
    (void)state;
    return unlink(path);
}

/* ---- Warming ----------------------------------------------------------------------------- */

#define WARM_BYTES ((uint64_t)5 << 20)

struct warm_ranges {
    const struct osl_map *map;
    uint64_t offset[4];
    uint64_t bytes[4];
    atomic_uint given;
};

static bool next_range(void *context, const void **data_out, uint64_t *bytes_out)
{
    struct warm_ranges *ranges = context;
    unsigned i = atomic_load(&ranges->given);
    if (i == 4) {
        return false;
    }
    *data_out = ranges->map->data + ranges->offset[i];
    *bytes_out = ranges->bytes[i];
    atomic_store(&ranges->given, i + 1);
    return true;
}

/* A file of WARM_BYTES, mapped, none of it in memory where the file system can forget pages. */
static void map_large(struct osl_file *file, struct osl_map *map)
{
    static uint8_t block[1 << 20];
    int handle = open(path, O_RDWR);
    assert_true(handle >= 0);
    for (uint64_t at = 0; at < WARM_BYTES; at += sizeof block) {
        memset(block, (int)(at >> 20) + 1, sizeof block);
        assert_int_equal(write(handle, block, sizeof block), sizeof block);
    }
    assert_int_equal(fsync(handle), 0);
    assert_int_equal(posix_fadvise(handle, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(handle);
    assert_int_equal(osl_file_open(file, path, NULL), OSL_OK);
    assert_int_equal(osl_file_map(file, 0, file->bytes, map, NULL), OSL_OK);
}

static bool in_memory(const struct osl_map *map, uint64_t offset, uint64_t bytes)
{
    unsigned char pages[WARM_BYTES / 4096];
    uint64_t first = offset / 4096 * 4096;
    assert_int_equal(mincore((uint8_t *)map->base + first, bytes + offset - first, pages), 0);
    for (uint64_t at = 0; at < bytes + offset - first; at += 4096) {
        if ((pages[at / 4096] & 1) == 0) {
            return false;
        }
    }
    return true;
}

static void warm_brings_ranges_in(void **state)
{
    (void)state;
    struct osl_file file;
    struct osl_map map;
    map_large(&file, &map);
    struct warm_ranges ranges = {.map = &map,
                                 .offset = {4096 * 700 + 5, 0, 3, WARM_BYTES - 1},
                                 .bytes = {1, 3 << 20, 0, 1}};
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, osl_warm_bytes()), 0);
    struct osl_warm *warm = NULL;
    assert_fails(osl_warm_start(memory, 64, next_range, &ranges, &warm, &error_), OSL_MEMORY,
                 "warming needs");
    assert_null(warm);
    assert_int_equal(
        osl_warm_start(memory, osl_warm_bytes(), next_range, &ranges, &warm, NULL), OSL_OK);
    while (atomic_load(&ranges.given) < 4) {
        usleep(1000);
    }
    osl_warm_stop(warm);
    osl_warm_stop(NULL); /* harmless */
    assert_true(in_memory(&map, 4096 * 700 + 5, 1));
    assert_true(in_memory(&map, 0, 3 << 20));
    osl_file_unmap(&map);
    osl_file_close(&file);
    free(memory);
}

/* The pages past the end cannot be had: warming ends, nothing else happens. */
static void warm_survives_a_file_that_shrinks(void **state)
{
    (void)state;
    struct osl_file file;
    struct osl_map map;
    map_large(&file, &map);
    assert_int_equal(truncate(path, 4096 * 600), 0);
    struct warm_ranges ranges = {
        .map = &map, .offset = {0}, .bytes = {WARM_BYTES, WARM_BYTES, WARM_BYTES, WARM_BYTES}};
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, osl_warm_bytes()), 0);
    struct osl_warm *warm = NULL;
    assert_int_equal(
        osl_warm_start(memory, osl_warm_bytes(), next_range, &ranges, &warm, NULL), OSL_OK);
    while (atomic_load(&ranges.given) < 1) {
        usleep(1000);
    }
    osl_warm_stop(warm);
    osl_file_unmap(&map);
    osl_file_close(&file);
    free(memory);
}

/* ---- Loading ----------------------------------------------------------------------------- */

static struct {
    size_t bytes_max;        /* most a read may give; 0: as asked */
    uint32_t interrupt_each; /* every so many reads is interrupted; 0: none */
    int direct_errno;        /* of reads around the page cache */
    uint64_t fail_from;      /* reads that reach this byte fail with EIO; 0: none */
    uint64_t cut_at;         /* the file is cut to this when a read reaches it; 0: never */
    bool change;             /* the file's time is set when it is read */
    atomic_uint calls;
} fault;

ssize_t __real_pread64(int handle, void *out, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int handle, void *out, size_t bytes, off_t offset);

/* Called by all threads of a load. */
ssize_t __wrap_pread64(int handle, void *out, size_t bytes, off_t offset)
{
    uint32_t call = atomic_fetch_add(&fault.calls, 1) + 1;
    bool direct = (fcntl(handle, F_GETFL) & O_DIRECT) != 0;
    assert_true(!direct || (bytes % 4096 == 0 && offset % 4096 == 0 && (uintptr_t)out % 4096 == 0));
    int reason = 0;
    if (fault.interrupt_each > 0 && call % fault.interrupt_each == 0) {
        reason = EINTR;
    } else if (fault.direct_errno != 0 && direct) {
        reason = fault.direct_errno;
    } else if (fault.fail_from > 0 && (uint64_t)offset + bytes > fault.fail_from) {
        reason = EIO;
    }
    if (reason != 0) {
        errno = reason;
        return -1;
    }
    if (fault.cut_at > 0 && (uint64_t)offset + bytes > fault.cut_at) {
        assert_int_equal(truncate(path, (off_t)fault.cut_at), 0);
    }
    if (fault.change) {
        static const struct timespec times[2] = {{1, 0}, {1, 0}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    bytes = fault.bytes_max > 0 && bytes > fault.bytes_max ? fault.bytes_max : bytes;
    return __real_pread64(handle, out, bytes, offset);
}

static struct {
    struct osl_file file;
    struct osl_map map;
    struct osl_team *team;
    void *team_memory;
    uint8_t *to; /* room for the file and a block before and after */
    uint64_t stop_at; /* progress says no from here on */
} loading;

static bool load_progress(void *context, uint64_t done)
{
    assert_ptr_equal(context, &loading);
    assert_true(done <= WARM_BYTES);
    return done < loading.stop_at;
}

static int loading_make(void **state)
{
    if (file_make(state) != 0) {
        return -1;
    }
    memset(&fault, 0, sizeof fault);
    map_large(&loading.file, &loading.map);
    loading.stop_at = UINT64_MAX;
    assert_int_equal(
        posix_memalign(&loading.team_memory, 64, osl_team_bytes(OSL_LOAD_THREADS)), 0);
    assert_int_equal(osl_team_start(loading.team_memory, osl_team_bytes(OSL_LOAD_THREADS),
                                    OSL_LOAD_THREADS, &loading.team, NULL),
                     OSL_OK);
    void *to = NULL;
    assert_int_equal(posix_memalign(&to, 4096, WARM_BYTES + 8192), 0);
    loading.to = to;
    return 0;
}

static int loading_remove(void **state)
{
    memset(&fault, 0, sizeof fault);
    osl_team_stop(loading.team);
    free(loading.team_memory);
    free(loading.to);
    osl_file_unmap(&loading.map);
    osl_file_close(&loading.file);
    return file_remove(state);
}

static enum osl_status load(uint64_t offset, uint64_t bytes, bool look, struct osl_error *error)
{
    memset(loading.to, 0xee, WARM_BYTES + 8192);
    const struct osl_load_span span = {offset, bytes, loading.to + 4096 + offset % 4096};
    return osl_file_load(&loading.file, look ? &loading.map : NULL, &span, loading.team,
                         load_progress, &loading, error);
}

/* All of [offset, offset + bytes), and nothing outside the blocks that hold it. */
static void expect_loaded(uint64_t offset, uint64_t bytes, bool look)
{
    struct osl_error error;
    if (load(offset, bytes, look, &error) != OSL_OK) {
        fail_msg("%s", error.text);
    }
    uint64_t lead = 4096 + offset % 4096;
    uint64_t top = (lead + bytes + 4095) / 4096 * 4096;
    for (uint64_t i = 0; i < bytes; i++) {
        if (loading.to[lead + i] != ((offset + i) >> 20) + 1) {
            fail_msg("byte %llu of the file is wrong", (unsigned long long)(offset + i));
        }
    }
    for (uint64_t i = 0; i < 4096; i++) {
        assert_int_equal(loading.to[i], 0xee);
    }
    for (uint64_t i = top; i < WARM_BYTES + 8192; i++) {
        assert_int_equal(loading.to[i], 0xee);
    }
}

static void load_reads_ranges_whole(void **state)
{
    (void)state;
    static const uint64_t ranges[][2] = {{0, WARM_BYTES},           {4096, 4096},
                                         {32, WARM_BYTES - 33},     {1, 1},
                                         {(4 << 20) - 1, 2},        {(4 << 20) + 64, 4096},
                                         {WARM_BYTES - 5000, 5000}, {4095, 4098}};
    static const struct {
        size_t max;
        uint32_t interrupt;
        int direct_errno;
    } faults[] = {{0, 0, 0}, {8192, 3, 0}, {0, 0, EINVAL}, {70001, 2, 0}};
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
        fault.bytes_max = faults[f].max;
        fault.interrupt_each = faults[f].interrupt;
        fault.direct_errno = faults[f].direct_errno;
        for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
            expect_loaded(ranges[i][0], ranges[i][1], (i + f) % 2 == 0);
        }
    }
}

static void load_copies_what_the_page_cache_holds(void **state)
{
    (void)state;
    volatile uint8_t sum = 0;
    for (uint64_t at = 0; at < WARM_BYTES; at += 4096) {
        sum = (uint8_t)(sum + loading.map.data[at]);
    }
    fault.direct_errno = EIO; /* nothing is to go around it */
    expect_loaded(4095, WARM_BYTES - 4096, true);
}

static void load_errors_name_the_place(void **state)
{
    (void)state;
    assert_fails(load(1, WARM_BYTES, true, &error_), OSL_FORMAT, "the file ends at 5242880");
    fault.fail_from = 3 << 20;
    assert_fails(load(32, WARM_BYTES - 32, true, &error_), OSL_IO, "check the disk");
    fault.fail_from = 1;
    assert_fails(load(4096, 4096, false, &error_), OSL_IO, "reading at 4096 failed (Input");
    memset(&fault, 0, sizeof fault);
    fault.change = true;
    assert_fails(load(0, WARM_BYTES, true, &error_), OSL_IO, "was changed while it was read");
    fault.change = false;
    fault.cut_at = 9000;
    assert_fails(load(0, 20000, false, &error_), OSL_IO, "ends at 9000");
}

static void load_is_cancelled(void **state)
{
    (void)state;
    fault.bytes_max = 4096;
    loading.stop_at = 1;
    osl_team_stop(loading.team); /* alone, so that it is thread 0 that reads */
    assert_int_equal(osl_team_start(loading.team_memory, osl_team_bytes(1), 1, &loading.team, NULL),
                     OSL_OK);
    assert_fails(load(0, WARM_BYTES, true, &error_), OSL_ABORTED, "cancelled while reading");
    assert_int_equal(atomic_load(&fault.calls), 1);
}

/* ---- Lost pages -------------------------------------------------------------------------- */

static bool handler_is(void (*handler)(int))
{
    struct sigaction now;
    assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
    return (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == handler;
}

static void map_of_a_file_that_shrinks_turns_to_zeros(void **state)
{
    (void)state;
    struct osl_file file;
    struct osl_map map, tail;
    signal(SIGBUS, SIG_DFL); /* a sanitizer's own, else */
    map_large(&file, &map);
    assert_int_equal(osl_file_map(&file, (4 << 20) + 5, 100, &tail, NULL), OSL_OK);
    assert_false(handler_is(SIG_DFL));
    volatile const uint8_t *data = map.data, *tail_data = tail.data;
    assert_int_equal(data[(3 << 20) + 1], 4);
    assert_int_equal(truncate(path, (1 << 20) + 100), 0);
    assert_int_equal(osl_map_check(&file, &map, NULL), OSL_OK); /* none of it was used yet */
    assert_int_equal(data[(3 << 20) + 1], 0);
    assert_fails(osl_map_check(&file, &map, &error_), OSL_IO, "ends at 1048676");
    assert_int_equal(data[2 << 20], 0); /* before the first that was lost */
    assert_int_equal(data[WARM_BYTES - 1], 0);
    assert_int_equal(data[(1 << 20) - 1], 1); /* what is left is as it was */
    assert_int_equal(osl_map_check(&file, &tail, NULL), OSL_OK); /* each map for itself */
    assert_int_equal(tail_data[99], 0);
    assert_fails(osl_map_check(&file, &tail, &error_), OSL_IO, "restore it");
    assert_int_equal(truncate(path, WARM_BYTES), 0); /* as long as before, but it was lost */
    assert_fails(osl_map_check(&file, &tail, &error_), OSL_IO, "reading at 4194304 failed");
    osl_file_unmap(&map);
    assert_false(handler_is(SIG_DFL));
    osl_file_unmap(&tail);
    assert_true(handler_is(SIG_DFL));
    osl_file_close(&file);
}

static sigjmp_buf back;
static void note_plain(int number)
{
    siglongjmp(back, number == SIGBUS ? 1 : 3);
}
static void note_info(int number, siginfo_t *info, void *context)
{
    (void)context;
    siglongjmp(back, number == SIGBUS && info->si_addr != NULL ? 2 : 3);
}

/* A page beyond a file's end, in a map that nobody guards. */
static void touch_unguarded(void)
{
    int handle = open(path, O_RDONLY);
    volatile uint8_t *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, handle, WARM_BYTES);
    assert_true(page != MAP_FAILED);
    close(handle);
    (void)*page;
}

static void other_bus_errors_go_where_they_went(void **state)
{
    (void)state;
    struct osl_file file;
    struct osl_map map;
    struct sigaction action = {.sa_handler = note_plain};
    for (volatile int turn = 1; turn <= 2; turn++) {
        assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
        map_large(&file, &map);
        int came = sigsetjmp(back, 1);
        if (came == 0) {
            touch_unguarded();
        }
        assert_int_equal(came, turn);
        came = sigsetjmp(back, 1);
        if (came == 0 && turn == 1) {
            raise(SIGBUS);
        }
        assert_int_equal(osl_map_check(&file, &map, NULL), OSL_OK);
        osl_file_unmap(&map);
        osl_file_close(&file);
        action = (struct sigaction){.sa_sigaction = note_info, .sa_flags = SA_SIGINFO};
    }
    signal(SIGBUS, SIG_DFL);
    for (int sent = 0; sent < 2; sent++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            map_large(&file, &map);
            if (sent == 0) {
                touch_unguarded();
            } else {
                raise(SIGBUS);
            }
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    }
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, file_make, file_remove)
#define LOADING(test) cmocka_unit_test_setup_teardown(test, loading_make, loading_remove)
    const struct CMUnitTest tests[] = {
        WITH_FILE(warm_brings_ranges_in),
        WITH_FILE(warm_survives_a_file_that_shrinks),
        LOADING(load_reads_ranges_whole),
        LOADING(load_copies_what_the_page_cache_holds),
        LOADING(load_errors_name_the_place),
        LOADING(load_is_cancelled),
        WITH_FILE(map_of_a_file_that_shrinks_turns_to_zeros),
        WITH_FILE(other_bus_errors_go_where_they_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
