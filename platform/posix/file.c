/* Files for reading: whole ranges or an error, never part of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

#define READ_BYTES_MAX ((uint64_t)1 << 30) /* one call; Linux stops a little below 2 GiB */

/* What to do about an errno on opening. */
static const char *open_remedy(int reason)
{
    switch (reason) {
    case ENOENT:
    case ENOTDIR: return "check the path";
    case EACCES:
    case EPERM: return "check its permissions";
    case EMFILE:
    case ENFILE: return "too many files are open, raise the limit (ulimit -n)";
    default: return "check the path and the disk";
    }
}

static const char *kind_name(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

enum osl_status osl_file_open(struct osl_file *file, const char *path, struct osl_error *error)
{
    file->handle = -1;
    file->bytes = 0;
    file->path[0] = '\0';
    if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof file->path) {
        return osl_fail(error, OSL_ARGUMENT, "a file name must have 1 to %d bytes",
                        OSL_PATH_BYTES - 1);
    }
    /* Without O_NONBLOCK opening a FIFO waits for its writer for ever. */
    int handle;
    do {
        handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (handle < 0 && errno == EINTR);
    if (handle < 0) {
        const char *remedy = open_remedy(errno);
        return osl_fail(error, OSL_IO, "%.300s: cannot open (%m); %s", path, remedy);
    }
    struct stat facts;
    if (fstat(handle, &facts) != 0) {
        enum osl_status status = osl_fail(error, OSL_IO, "%.300s: cannot be examined (%m)", path);
        close(handle);
        return status;
    }
    if (!S_ISREG(facts.st_mode)) {
        close(handle);
        return osl_fail(error, OSL_IO, "%.300s: is %s; give a regular file", path,
                        kind_name(facts.st_mode));
    }
    file->handle = handle;
    file->bytes = (uint64_t)facts.st_size;
    file->modified_ns = osl_file_modified_ns(&facts);
    memcpy(file->path, path, strlen(path) + 1);
    return OSL_OK;
}

void osl_file_close(struct osl_file *file)
{
    if (file->handle >= 0) {
        close(file->handle);
    }
    file->handle = -1;
    file->bytes = 0;
}

static enum osl_status check_range(const struct osl_file *file, uint64_t offset, uint64_t bytes,
                                   struct osl_error *error)
{
    if (file->handle < 0) {
        return osl_fail(error, OSL_STATE, "a file is read after it was closed");
    }
    if (offset > file->bytes || bytes > file->bytes - offset) {
        return osl_fail(error, OSL_FORMAT,
                        "%.300s: %llu bytes wanted at %llu, but the file ends at %llu; it is "
                        "truncated, download it again",
                        file->path, (unsigned long long)bytes, (unsigned long long)offset,
                        (unsigned long long)file->bytes);
    }
    return OSL_OK;
}

enum osl_status osl_file_read(const struct osl_file *file, uint64_t offset, void *out,
                              uint64_t bytes, struct osl_error *error)
{
    enum osl_status status = check_range(file, offset, bytes, error);
    if (status != OSL_OK) {
        return status;
    }
    /* Every turn either reads at least a byte, is interrupted, or ends the loop. */
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t left = bytes - done;
        size_t ask = (size_t)(left < READ_BYTES_MAX ? left : READ_BYTES_MAX);
        ssize_t got = pread(file->handle, (uint8_t *)out + done, ask, (off_t)(offset + done));
        if (got > 0) {
            done += (uint64_t)got;
        } else if (got == 0) {
            return osl_fail(error, OSL_IO,
                            "%.300s: ends at %llu, it had %llu bytes when opened; something "
                            "shortened it while in use",
                            file->path, (unsigned long long)(offset + done),
                            (unsigned long long)file->bytes);
        } else if (errno != EINTR) {
            return osl_fail(error, OSL_IO, "%.300s: reading at %llu failed (%m); check the disk",
                            file->path, (unsigned long long)(offset + done));
        }
    }
    return OSL_OK;
}

enum osl_status osl_file_map(const struct osl_file *file, uint64_t offset, uint64_t bytes,
                             struct osl_map *map_out, struct osl_error *error)
{
    *map_out = (struct osl_map){0};
    enum osl_status status = check_range(file, offset, bytes, error);
    if (status != OSL_OK) {
        return status;
    }
    if (bytes == 0) {
        return osl_fail(error, OSL_FORMAT, "%.300s: has nothing at %llu; it is empty or truncated",
                        file->path, (unsigned long long)offset);
    }
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t lead = offset % page;
    if (bytes > SIZE_MAX - lead) {
        return osl_fail(error, OSL_MEMORY, "%.300s: too large for this machine's address space",
                        file->path);
    }
    void *base = mmap(NULL, (size_t)(bytes + lead), PROT_READ, MAP_SHARED, file->handle,
                      (off_t)(offset - lead));
    if (base == MAP_FAILED) {
        return osl_fail(error, errno == ENOMEM ? OSL_MEMORY : OSL_IO,
                        "%.300s: cannot be mapped (%m); raise the address space limit "
                        "(ulimit -v) or move it to a local disk",
                        file->path);
    }
    map_out->base = base;
    map_out->base_bytes = bytes + lead;
    map_out->data = (const uint8_t *)base + lead;
    map_out->bytes = bytes;
    map_out->offset = offset;
    map_out->guard = osl_guard_add(base, map_out->base_bytes);
    return OSL_OK;
}

enum osl_status osl_map_check(const struct osl_file *file, const struct osl_map *map,
                              struct osl_error *error)
{
    uint64_t lost = 0;
    if (!osl_guard_lost(map->guard, &lost)) {
        return OSL_OK;
    }
    uint64_t lead = (uint64_t)(map->data - (const uint8_t *)map->base);
    uint64_t offset = map->offset - lead + lost;
    struct stat facts;
    if (fstat(file->handle, &facts) == 0 && (uint64_t)facts.st_size < file->bytes) {
        return osl_fail(error, OSL_IO,
                        "%.300s: ends at %llu, it had %llu bytes when opened; something shortened "
                        "it while in use: restore it and start again",
                        file->path, (unsigned long long)facts.st_size,
                        (unsigned long long)file->bytes);
    }
    return osl_fail(error, OSL_IO,
                    "%.300s: reading at %llu failed while in use; check the disk, then start again",
                    file->path, (unsigned long long)offset);
}

void osl_file_unmap(struct osl_map *map)
{
    if (map->base != NULL) {
        osl_guard_remove(map->guard);
        int failed = munmap(map->base, (size_t)map->base_bytes);
        OSL_ASSERT(failed == 0);
    }
    *map = (struct osl_map){0};
}

void osl_map_advise(const void *data, uint64_t bytes, enum osl_map_advice advice)
{
    static const int advices[] = {
        [OSL_MAP_SEQUENTIAL] = MADV_SEQUENTIAL,
        [OSL_MAP_RANDOM] = MADV_RANDOM,
        [OSL_MAP_WILL_NEED] = MADV_WILLNEED,
        [OSL_MAP_HUGE] = MADV_HUGEPAGE,
        [OSL_MAP_DONE] = MADV_DONTNEED,
    };
    OSL_ASSERT((uint32_t)advice < sizeof advices / sizeof advices[0]);
    /* The whole pages that hold the range: neighbours share the hint, which is harmless. */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)data / page * page;
    (void)madvise((void *)begin, (size_t)((uintptr_t)data + bytes - begin), advices[advice]);
}
