/* Files, maps, the atomic writer and SHA-256, with faults injected: the linker routes pread,
 * write, fsync and rename through here (--wrap), where they can be made short, interrupted or
 * fail on the call that is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"

#include "assert_fails.h"

/* ---- Faults ------------------------------------------------------------------------------ */

static struct {
    size_t bytes_max;        /* most a call may do; 0: as asked */
    uint32_t interrupt_each; /* every so many calls is interrupted; 0: none */
    int read_errno;          /* of every read */
    int write_errno;         /* of every write */
    int fsync_errno;         /* of call fsync_call */
    uint32_t fsync_call;
    int rename_errno;
    uint32_t calls;
    uint32_t fsync_calls;
} fault;

ssize_t __real_pread64(int handle, void *out, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int handle, void *out, size_t bytes, off_t offset);
ssize_t __real_write(int handle, const void *data, size_t bytes);
ssize_t __wrap_write(int handle, const void *data, size_t bytes);
int __real_fsync(int handle);
int __wrap_fsync(int handle);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

static size_t faulty_bytes(size_t bytes)
{
    return fault.bytes_max > 0 && bytes > fault.bytes_max ? fault.bytes_max : bytes;
}

static bool faulty_interrupt(void)
{
    fault.calls++;
    return fault.interrupt_each > 0 && fault.calls % fault.interrupt_each == 0;
}

ssize_t __wrap_pread64(int handle, void *out, size_t bytes, off_t offset)
{
    if (faulty_interrupt() || fault.read_errno != 0) {
        errno = fault.read_errno != 0 ? fault.read_errno : EINTR;
        return -1;
    }
    return __real_pread64(handle, out, faulty_bytes(bytes), offset);
}

ssize_t __wrap_write(int handle, const void *data, size_t bytes)
{
    if (faulty_interrupt() || fault.write_errno != 0) {
        errno = fault.write_errno != 0 ? fault.write_errno : EINTR;
        return -1;
    }
    return __real_write(handle, data, faulty_bytes(bytes));
}

int __wrap_fsync(int handle)
{
    fault.fsync_calls++;
    if (fault.fsync_errno != 0 && fault.fsync_calls == fault.fsync_call) {
        errno = fault.fsync_errno;
        return -1;
    }
    return __real_fsync(handle);
}

int __wrap_rename(const char *from, const char *to)
{
    if (fault.rename_errno != 0) {
        errno = fault.rename_errno;
        return -1;
    }
    return __real_rename(from, to);
}

/* ---- A folder for each test -------------------------------------------------------------- */

static char folder[64];

static int folder_make(void **state)
{
    (void)state;
    memset(&fault, 0, sizeof fault);
    snprintf(folder, sizeof folder, "/tmp/ossicle-test-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int folder_remove(void **state)
{
    (void)state;
    memset(&fault, 0, sizeof fault);
    DIR *dir = opendir(folder);
    if (dir != NULL) {
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            if (entry->d_name[0] != '.') {
                unlinkat(dirfd(dir), entry->d_name, 0);
            }
        }
        closedir(dir);
    }
    return rmdir(folder);
}

static uint32_t folder_entries(void)
{
    uint32_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static uint32_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static bool file_holds(const char *path, const void *data, size_t bytes)
{
    static uint8_t buffer[65536];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    size_t got = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    return got == bytes && memcmp(buffer, data, bytes) == 0;
}

static uint8_t sample[20000];
static void fill_sample(void)
{
    for (size_t i = 0; i < sizeof sample; i++) {
        sample[i] = (uint8_t)(i * 167 + i / 251);
    }
}

/* ---- Reading ----------------------------------------------------------------------------- */

static void file_reads_ranges_whole(void **state)
{
    (void)state;
    fill_sample();
    put_file(in_folder("a"), sample, sizeof sample);
    struct osl_file file;
    assert_int_equal(osl_file_open(&file, in_folder("a"), NULL), OSL_OK);
    assert_int_equal(file.bytes, sizeof sample);
    static uint8_t out[sizeof sample];
    static const struct {
        size_t max;
        uint32_t interrupt;
    } faults[] = {{0, 0}, {1, 0}, {7, 2}, {4096, 3}, {1, 2}};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fault.bytes_max = faults[i].max;
        fault.interrupt_each = faults[i].interrupt;
        fault.calls = 0;
        memset(out, 0, sizeof out);
        assert_int_equal(osl_file_read(&file, 13, out, sizeof sample - 13, NULL), OSL_OK);
        assert_memory_equal(out, sample + 13, sizeof sample - 13);
        assert_int_equal(osl_file_read(&file, sizeof sample, out, 0, NULL), OSL_OK);
    }
    osl_file_close(&file);
    osl_file_close(&file); /* harmless */
}

static void file_ranges_outside_are_refused(void **state)
{
    (void)state;
    put_file(in_folder("a"), "12345", 5);
    struct osl_file file;
    struct osl_map map;
    uint8_t out[8];
    assert_int_equal(osl_file_open(&file, in_folder("a"), NULL), OSL_OK);
    static const uint64_t ranges[][2] = {
        {0, 6}, {5, 1}, {6, 0}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_fails(osl_file_read(&file, ranges[i][0], out, ranges[i][1], &error_), OSL_FORMAT,
                     "the file ends at 5");
        assert_fails(osl_file_map(&file, ranges[i][0], ranges[i][1], &map, &error_), OSL_FORMAT,
                     "the file ends at 5");
        assert_null(map.data);
    }
    assert_fails(osl_file_map(&file, 5, 0, &map, &error_), OSL_FORMAT, "nothing at 5");
    osl_file_close(&file);
    assert_int_equal(osl_file_read(&file, 0, out, 1, NULL), OSL_STATE);
}

static void file_that_shrinks_is_an_error_not_a_loop(void **state)
{
    (void)state;
    fill_sample();
    put_file(in_folder("a"), sample, sizeof sample);
    struct osl_file file;
    static uint8_t out[sizeof sample];
    assert_int_equal(osl_file_open(&file, in_folder("a"), NULL), OSL_OK);
    assert_int_equal(truncate(in_folder("a"), 9000), 0);
    assert_fails(osl_file_read(&file, 5000, out, 10000, &error_), OSL_IO, "ends at 9000");
    osl_file_close(&file);
}

static void file_read_errors_name_the_place(void **state)
{
    (void)state;
    put_file(in_folder("a"), "12345", 5);
    struct osl_file file;
    uint8_t out[8];
    assert_int_equal(osl_file_open(&file, in_folder("a"), NULL), OSL_OK);
    fault.read_errno = EIO;
    assert_fails(osl_file_read(&file, 2, out, 3, &error_), OSL_IO, "reading at 2 failed");
    osl_file_close(&file);
}

static void file_kinds_other_than_regular_are_refused(void **state)
{
    (void)state;
    struct osl_file file;
    alarm(5); /* a FIFO that hangs us ends the test */
    assert_fails(osl_file_open(&file, folder, &error_), OSL_IO, "is a directory");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_fails(osl_file_open(&file, in_folder("fifo"), &error_), OSL_IO, "is a pipe");
    assert_fails(osl_file_open(&file, "/dev/null", &error_), OSL_IO, "is a device");
    assert_int_equal(file.handle, -1);
    alarm(0);
    assert_fails(osl_file_open(&file, in_folder("no"), &error_), OSL_IO, "No such file");
    assert_fails(osl_file_open(&file, in_folder("no\nline"), &error_), OSL_IO, "no?line");
    assert_fails(osl_file_open(&file, "", &error_), OSL_ARGUMENT, "file name");
    static char longest[OSL_PATH_BYTES + 8];
    memset(longest, 'a', sizeof longest - 1);
    assert_fails(osl_file_open(&file, longest, &error_), OSL_ARGUMENT, "file name");
    put_file(in_folder("locked"), "x", 1);
    assert_int_equal(chmod(in_folder("locked"), 0), 0);
    if (geteuid() != 0) { /* root may read anything */
        assert_fails(osl_file_open(&file, in_folder("locked"), &error_), OSL_IO, "permissions");
    }
}

static void file_maps_unaligned_ranges(void **state)
{
    (void)state;
    fill_sample();
    put_file(in_folder("a"), sample, sizeof sample);
    struct osl_file file;
    struct osl_map map;
    assert_int_equal(osl_file_open(&file, in_folder("a"), NULL), OSL_OK);
    static const uint64_t offsets[] = {0, 1, 4095, 4096, 12289, sizeof sample - 1};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        uint64_t bytes = sizeof sample - offsets[i];
        assert_int_equal(osl_file_map(&file, offsets[i], bytes, &map, NULL), OSL_OK);
        assert_int_equal(map.bytes, bytes);
        assert_memory_equal(map.data, sample + offsets[i], bytes);
        osl_map_advise(map.data, map.bytes, OSL_MAP_SEQUENTIAL);
        osl_map_advise(map.data, 1, OSL_MAP_WILL_NEED);
        osl_map_advise(map.data, map.bytes, OSL_MAP_RANDOM);
        osl_map_advise(map.data, map.bytes, OSL_MAP_HUGE);
        osl_file_unmap(&map);
        assert_null(map.data);
        osl_file_unmap(&map); /* harmless */
    }
    osl_file_close(&file);
}

/* ---- Writing ----------------------------------------------------------------------------- */

static void writer_file_appears_whole(void **state)
{
    (void)state;
    fill_sample();
    struct osl_writer writer;
    put_file(in_folder("a"), "old", 3);
    fault.bytes_max = 999;
    fault.interrupt_each = 4;
    assert_int_equal(osl_writer_open(&writer, in_folder("a"), NULL), OSL_OK);
    assert_int_equal(osl_writer_append(&writer, sample, 12345, NULL), OSL_OK);
    assert_true(file_holds(in_folder("a"), "old", 3));
    assert_int_equal(osl_writer_append(&writer, sample + 12345, sizeof sample - 12345, NULL),
                     OSL_OK);
    assert_int_equal(osl_writer_commit(&writer, NULL), OSL_OK);
    assert_true(file_holds(in_folder("a"), sample, sizeof sample));
    assert_int_equal(folder_entries(), 1);
    assert_int_equal(fault.fsync_calls, 2); /* the file, then its folder */
    osl_writer_abort(&writer);              /* harmless */
    assert_int_equal(folder_entries(), 1);
}

static void writer_abort_leaves_nothing(void **state)
{
    (void)state;
    struct osl_writer writer;
    assert_int_equal(osl_writer_open(&writer, in_folder("a"), NULL), OSL_OK);
    assert_int_equal(osl_writer_append(&writer, "new", 3, NULL), OSL_OK);
    assert_int_equal(folder_entries(), 1);
    osl_writer_abort(&writer);
    assert_int_equal(folder_entries(), 0);
    assert_int_equal(osl_writer_append(&writer, "new", 3, NULL), OSL_STATE);
    assert_int_equal(osl_writer_commit(&writer, NULL), OSL_STATE);
}

static void writer_failures_keep_the_old_file(void **state)
{
    (void)state;
    struct osl_writer writer;
    for (int what = 0; what < 5; what++) {
        memset(&fault, 0, sizeof fault);
        put_file(in_folder("a"), "old", 3);
        assert_int_equal(osl_writer_open(&writer, in_folder("a"), NULL), OSL_OK);
        switch (what) {
        case 0:
            fault.write_errno = ENOSPC;
            assert_fails(osl_writer_append(&writer, "new", 3, &error_), OSL_IO, "make room");
            break;
        case 1:
            fault.write_errno = EIO;
            assert_fails(osl_writer_append(&writer, "new", 3, &error_), OSL_IO, "check the disk");
            break;
        case 2:
            fault.fsync_errno = EIO;
            fault.fsync_call = 1;
            assert_fails(osl_writer_commit(&writer, &error_), OSL_IO, "flushing");
            break;
        case 3:
            fault.rename_errno = EACCES;
            assert_fails(osl_writer_commit(&writer, &error_), OSL_IO, "renaming");
            break;
        default:
            fault.fsync_errno = EIO; /* of the folder: the new file is there, but tell */
            fault.fsync_call = 2;
            assert_fails(osl_writer_commit(&writer, &error_), OSL_IO, "is written, but");
            assert_true(file_holds(in_folder("a"), "", 0));
            continue;
        }
        assert_true(file_holds(in_folder("a"), "old", 3));
        assert_int_equal(folder_entries(), 1);
    }
}

static void writer_full_disk_is_an_error(void **state)
{
    (void)state;
    struct rlimit before;
    fill_sample();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {10000, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct osl_writer writer;
    struct osl_error error;
    assert_int_equal(osl_writer_open(&writer, in_folder("a"), NULL), OSL_OK);
    enum osl_status status = osl_writer_append(&writer, sample, sizeof sample, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, OSL_IO);
    assert_non_null(strstr(error.text, "make room on the disk"));
    assert_int_equal(folder_entries(), 0);
}

static void writer_two_at_once_are_kept_apart(void **state)
{
    (void)state;
    struct osl_writer one;
    struct osl_writer two;
    assert_int_equal(osl_writer_open(&one, in_folder("a"), NULL), OSL_OK);
    assert_fails(osl_writer_open(&two, in_folder("a"), &error_), OSL_IO, "another program");
    assert_int_equal(osl_writer_append(&one, "one", 3, NULL), OSL_OK);
    assert_int_equal(osl_writer_commit(&one, NULL), OSL_OK);
    assert_true(file_holds(in_folder("a"), "one", 3));
}

static void writer_takes_over_what_a_crash_left(void **state)
{
    (void)state;
    struct osl_writer writer;
    put_file(in_folder("a.part"), "half of something", 17);
    assert_int_equal(osl_writer_open(&writer, in_folder("a"), NULL), OSL_OK);
    assert_int_equal(osl_writer_append(&writer, "new", 3, NULL), OSL_OK);
    assert_int_equal(osl_writer_commit(&writer, NULL), OSL_OK);
    assert_true(file_holds(in_folder("a"), "new", 3));
    assert_int_equal(folder_entries(), 1);
}

static void writer_refuses_impossible_places(void **state)
{
    (void)state;
    struct osl_writer writer;
    assert_fails(osl_writer_open(&writer, folder, &error_), OSL_IO, "not a regular file");
    assert_fails(osl_writer_open(&writer, "/dev/full", &error_), OSL_IO, "not a regular file");
    assert_fails(osl_writer_open(&writer, in_folder("no/a"), &error_), OSL_IO, "folder exists");
    assert_fails(osl_writer_open(&writer, "", &error_), OSL_ARGUMENT, "file name");
    assert_int_equal(symlink("/dev/null", in_folder("b.part")), 0);
    assert_fails(osl_writer_open(&writer, in_folder("b"), &error_), OSL_IO, "cannot be written");
}

/* ---- SHA-256 ----------------------------------------------------------------------------- */

/* FIPS 180-2, appendix B: "abc", the empty message, and a million of 'a'. */
static void sha256_known_answers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t repeats;
        const char *digest;
    } cases[] = {
        {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct osl_sha256 hash;
        uint8_t digest[32];
        char hex[65];
        osl_sha256_begin(&hash);
        for (uint32_t repeat = 0; repeat < cases[i].repeats; repeat++) {
            osl_sha256_add(&hash, cases[i].text, strlen(cases[i].text));
        }
        osl_sha256_end(&hash, digest);
        for (int byte = 0; byte < 32; byte++) {
            snprintf(hex + 2 * byte, 3, "%02x", digest[byte]);
        }
        assert_string_equal(hex, cases[i].digest);
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(file_reads_ranges_whole),
        IN_FOLDER(file_ranges_outside_are_refused),
        IN_FOLDER(file_that_shrinks_is_an_error_not_a_loop),
        IN_FOLDER(file_read_errors_name_the_place),
        IN_FOLDER(file_kinds_other_than_regular_are_refused),
        IN_FOLDER(file_maps_unaligned_ranges),
        IN_FOLDER(writer_file_appears_whole),
        IN_FOLDER(writer_abort_leaves_nothing),
        IN_FOLDER(writer_failures_keep_the_old_file),
        IN_FOLDER(writer_full_disk_is_an_error),
        IN_FOLDER(writer_two_at_once_are_kept_apart),
        IN_FOLDER(writer_takes_over_what_a_crash_left),
        IN_FOLDER(writer_refuses_impossible_places),
        cmocka_unit_test(sha256_known_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
