/* Reading the kernel's small text files without allocating. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

bool osl_host_join(char *out, size_t out_bytes, const char *a, const char *b)
{
    int length = snprintf(out, out_bytes, "%s%s", a, b);
    return length >= 0 && (size_t)length < out_bytes;
}

bool osl_lines_open(struct osl_lines *lines, const char *root, const char *path)
{
    char full[OSL_PATH_BYTES];
    lines->begin = 0;
    lines->end = 0;
    lines->handle = -1;
    if (!osl_host_join(full, sizeof full, root, path)) {
        return false;
    }
    /* O_NONBLOCK: a FIFO in a faked tree must not hang us either. */
    lines->handle = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return lines->handle >= 0;
}

void osl_lines_close(struct osl_lines *lines)
{
    if (lines->handle >= 0) {
        close(lines->handle);
    }
    lines->handle = -1;
}

/* Moves what is left to the front and reads more; false at the end of the file. */
static bool lines_fill(struct osl_lines *lines)
{
    memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    ssize_t got;
    do {
        got =
            read(lines->handle, lines->buffer + lines->end, sizeof lines->buffer - 1 - lines->end);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return false;
    }
    lines->end += (uint32_t)got;
    return true;
}

const char *osl_lines_next(struct osl_lines *lines)
{
    bool cut = false;
    for (;;) {
        char *start = lines->buffer + lines->begin;
        char *newline = memchr(start, '\n', lines->end - lines->begin);
        if (newline != NULL) {
            *newline = '\0';
            lines->begin = (uint32_t)(newline + 1 - lines->buffer);
            if (!cut) {
                return start;
            }
            cut = false; /* that was the tail of a line too long to hold: skipped */
            continue;
        }
        if (lines->end - lines->begin == sizeof lines->buffer - 1) {
            lines->begin = lines->end;
            cut = true;
        }
        if (!lines_fill(lines)) {
            if (lines->end == lines->begin || cut) {
                return NULL;
            }
            lines->buffer[lines->end] = '\0';
            start = lines->buffer + lines->begin;
            lines->begin = lines->end;
            return start;
        }
    }
}

bool osl_host_line(const char *root, const char *path, char *out, size_t out_bytes)
{
    struct osl_lines lines;
    if (!osl_lines_open(&lines, root, path)) {
        return false;
    }
    const char *line = osl_lines_next(&lines);
    if (line != NULL) {
        snprintf(out, out_bytes, "%s", line);
    }
    osl_lines_close(&lines);
    return line != NULL;
}

bool osl_host_number(const char *root, const char *path, uint64_t *out)
{
    char line[64];
    if (!osl_host_line(root, path, line, sizeof line) || line[0] < '0' || line[0] > '9') {
        return false;
    }
    uint64_t value = 0;
    for (const char *c = line; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *out = value;
    return true;
}
