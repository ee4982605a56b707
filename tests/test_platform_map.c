/* Large files in memory: maps that are warmed ahead of their use and survive their
 * file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"

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

#define assert_fails(call, wanted, words)                                                          \
    do {                                                                                           \
        struct osl_error error_ = {OSL_OK, ""};                                                    \
        enum osl_status status_ = (call);                                                          \
        assert_int_equal(status_, wanted);                                                         \
        assert_int_equal(error_.status, wanted);                                                   \
        if (strstr(error_.text, words) == NULL) {                                                  \
            fail_msg("no '%s' in '%s'", words, error_.text);                                       \
        }                                                                                          \
        assert_null(strchr(error_.text, '\n'));                                                    \
    } while (0)

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
    const struct CMUnitTest tests[] = {
        WITH_FILE(warm_brings_ranges_in),
        WITH_FILE(warm_survives_a_file_that_shrinks),
        WITH_FILE(map_of_a_file_that_shrinks_turns_to_zeros),
        WITH_FILE(other_bus_errors_go_where_they_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
