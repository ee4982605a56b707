/* Files that appear whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"

#define PART_SUFFIX ".part"
#define WRITE_BYTES_MAX ((uint64_t)1 << 30)

/* The part has one fixed name, so that a cut power line leaves at most one, which the next writer
 * takes over; a lock keeps two writers apart. The check after locking is for the moment in which
 * the other one renamed or removed the file we had opened. */
static int open_part(const char *part_path)
{
    int handle;
    do {
        handle = open(part_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    } while (handle < 0 && errno == EINTR);
    if (handle < 0) {
        return -1;
    }
    struct stat opened;
    struct stat named;
    if (flock(handle, LOCK_EX | LOCK_NB) != 0 || fstat(handle, &opened) != 0) {
        int reason = errno;
        close(handle);
        errno = reason;
        return -1;
    }
    bool ours = stat(part_path, &named) == 0 && opened.st_ino == named.st_ino &&
                opened.st_dev == named.st_dev && S_ISREG(opened.st_mode);
    if (!ours || ftruncate(handle, 0) != 0) {
        int reason = ours ? errno : EWOULDBLOCK;
        close(handle);
        errno = reason;
        return -1;
    }
    return handle;
}

enum osl_status osl_writer_open(struct osl_writer *writer, const char *path,
                                struct osl_error *error)
{
    writer->handle = -1;
    writer->path[0] = '\0';
    writer->part_path[0] = '\0';
    size_t length = path == NULL ? 0 : strlen(path);
    if (length == 0 || length + sizeof PART_SUFFIX > sizeof writer->part_path) {
        return osl_fail(error, OSL_ARGUMENT, "a file name must have 1 to %d bytes",
                        OSL_PATH_BYTES - (int)sizeof PART_SUFFIX);
    }
    struct stat facts;
    if (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode)) {
        return osl_fail(error, OSL_IO,
                        "%.300s: exists and is not a regular file; choose another "
                        "name",
                        path);
    }
    memcpy(writer->path, path, length + 1);
    memcpy(writer->part_path, path, length);
    memcpy(writer->part_path + length, PART_SUFFIX, sizeof PART_SUFFIX);
    writer->handle = open_part(writer->part_path);
    if (writer->handle < 0) {
        if (errno == EWOULDBLOCK) {
            return osl_fail(error, OSL_IO,
                            "%.300s: is being written by another program; wait "
                            "for it",
                            path);
        }
        return osl_fail(error, OSL_IO,
                        "%.300s: cannot be written (%m); check that the folder exists and "
                        "may be written to",
                        path);
    }
    return OSL_OK;
}

void osl_writer_abort(struct osl_writer *writer)
{
    if (writer->handle >= 0) {
        unlink(writer->part_path); /* before the lock goes with the handle */
        close(writer->handle);
    }
    writer->handle = -1;
}

/* Records the errno, then cleans up. */
static enum osl_status writer_fail(struct osl_writer *writer, const char *what,
                                   struct osl_error *error)
{
    const char *remedy = errno == ENOSPC || errno == EDQUOT || errno == EFBIG
                             ? "make room on the disk"
                             : "check the disk";
    enum osl_status status =
        osl_fail(error, OSL_IO, "%.300s: %s failed (%m); %s", writer->path, what, remedy);
    osl_writer_abort(writer);
    return status;
}

enum osl_status osl_writer_append(struct osl_writer *writer, const void *data, uint64_t bytes,
                                  struct osl_error *error)
{
    if (writer->handle < 0) {
        return osl_fail(error, OSL_STATE, "a file is written to after it was closed");
    }
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t left = bytes - done;
        size_t ask = (size_t)(left < WRITE_BYTES_MAX ? left : WRITE_BYTES_MAX);
        ssize_t put = write(writer->handle, (const uint8_t *)data + done, ask);
        if (put > 0) {
            done += (uint64_t)put;
        } else if (put == 0 || errno != EINTR) {
            errno = put == 0 ? ENOSPC : errno; /* no progress and no reason: a full device */
            return writer_fail(writer, "writing", error);
        }
    }
    return OSL_OK;
}

/* The rename itself is only on the disk once its folder is. */
static bool flush_folder(const char *path)
{
    char folder[OSL_PATH_BYTES];
    size_t length = strlen(path);
    memcpy(folder, path, length + 1);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        memcpy(folder, ".", 2);
    } else {
        slash[slash == folder] = '\0'; /* "/name" is in "/" */
    }
    int handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0) {
        return false;
    }
    /* Some file systems cannot flush a folder and say EINVAL; there is nothing more to be done. */
    bool good = fsync(handle) == 0 || errno == EINVAL;
    int reason = errno;
    close(handle);
    errno = reason;
    return good;
}

enum osl_status osl_writer_commit(struct osl_writer *writer, struct osl_error *error)
{
    if (writer->handle < 0) {
        return osl_fail(error, OSL_STATE, "a file is committed after it was closed");
    }
    if (fsync(writer->handle) != 0) {
        return writer_fail(writer, "flushing to the disk", error);
    }
    if (rename(writer->part_path, writer->path) != 0) {
        return writer_fail(writer, "renaming into place", error);
    }
    bool closed = close(writer->handle) == 0 || errno == EINTR;
    writer->handle = -1;
    if (!closed || !flush_folder(writer->path)) {
        return osl_fail(error, OSL_IO,
                        "%.300s: is written, but its folder could not be flushed to the disk "
                        "(%m); check the disk",
                        writer->path);
    }
    return OSL_OK;
}
