/* Output without stdio. */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "term.h"

#define OUT_BUFFER_BYTES 65536
#define COMPLAINT_BYTES 1024

static char out_buffer[OUT_BUFFER_BYTES];
static size_t out_used;
static int out_errno;
static const char *complaint_name;
static bool complaint_apart;

bool osl_write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(fd, bytes, count);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        bytes += written;
        count -= (size_t)written;
    }
    return true;
}

void osl_out_discard(void)
{
    out_used = 0;
}

void osl_out_flush(void)
{
    osl_progress_end(); /* a bar and the text may be on one terminal */
    if (out_used > 0 && out_errno == 0 && !osl_write_all(STDOUT_FILENO, out_buffer, out_used)) {
        out_errno = errno != 0 ? errno : EIO;
    }
    out_used = 0;
}

void osl_out_bytes(const char *bytes, size_t count)
{
    while (count > 0) {
        if (out_used == OUT_BUFFER_BYTES) {
            osl_out_flush();
        }
        size_t room = OUT_BUFFER_BYTES - out_used;
        size_t part = count < room ? count : room;
        memcpy(out_buffer + out_used, bytes, part);
        out_used += part;
        bytes += part;
        count -= part;
    }
}

void osl_out_text(const char *text)
{
    osl_out_bytes(text, strlen(text));
}

void osl_out_format(const char *format, ...)
{
    char text[OSL_OUT_FORMATTED_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    osl_out_text(text);
}

/* Length of the UTF-8 character at text, 0 if there is none (RFC 3629, table of section 4). */
static size_t utf8_length(const unsigned char *text, size_t bytes)
{
    unsigned char first = text[0];
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 0 || first > 0xf4 || length > bytes) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        unsigned char low = 0x80;
        unsigned char high = 0xbf;
        if (i == 1) {
            low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
            high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        }
        if (text[i] < low || text[i] > high) {
            return 0;
        }
    }
    return length;
}

void osl_out_json(const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    osl_out_text("\"");
    while (bytes > 0) {
        size_t length = utf8_length(at, bytes);
        if (length == 0) {
            osl_out_text("\xef\xbf\xbd");
            length = 1;
        } else if (*at == '"' || *at == '\\') {
            osl_out_text(*at == '"' ? "\\\"" : "\\\\");
        } else if (*at == '\n') {
            osl_out_text("\\n");
        } else if (*at < 0x20 || *at == 0x7f) {
            osl_out_format("\\u%04x", *at);
        } else {
            osl_out_bytes((const char *)at, length);
        }
        at += length;
        bytes -= length;
    }
    osl_out_text("\"");
}

void osl_out_json_text(const char *text)
{
    osl_out_json(text, strlen(text));
}

enum ossicle_status osl_out_finish(enum ossicle_status status)
{
    osl_out_flush();
    if (out_errno == 0) {
        return status;
    }
    osl_complain("writing to standard output failed: %s", strerror(out_errno));
    return OSSICLE_IO;
}

void osl_complain_as(const char *name)
{
    complaint_name = name;
}

void osl_complain_apart(bool apart)
{
    complaint_apart = apart;
}

void osl_complain(const char *format, ...)
{
    char text[COMPLAINT_BYTES];
    osl_progress_end();
    if (complaint_apart && osl_is_terminal(STDERR_FILENO)) {
        (void)osl_write_all(STDERR_FILENO, "\n", 1);
    }
    complaint_apart = false;
    int used = snprintf(text, sizeof text, "ossicle%s%s: ", complaint_name != NULL ? " " : "",
                        complaint_name != NULL ? complaint_name : "");
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text + used, sizeof text - (size_t)used - 1, format, args);
    va_end(args);
    if (wanted < 0) {
        return;
    }
    size_t length = strlen(text);
    text[length] = '\n';
    /* Nothing is left to do about a stderr that can not be written to. */
    (void)osl_write_all(STDERR_FILENO, text, length + 1);
}

const char *osl_size_text(uint64_t bytes, char out[OSL_SIZE_TEXT_BYTES])
{
    if (bytes < 1000) {
        snprintf(out, OSL_SIZE_TEXT_BYTES, "%u B", (unsigned)bytes);
    } else if (bytes < 1000000) {
        snprintf(out, OSL_SIZE_TEXT_BYTES, "%.1f KB", (double)bytes / 1e3);
    } else if (bytes < 1000000000) {
        snprintf(out, OSL_SIZE_TEXT_BYTES, "%.1f MB", (double)bytes / 1e6);
    } else {
        snprintf(out, OSL_SIZE_TEXT_BYTES, "%.2f GB", (double)bytes / 1e9);
    }
    return out;
}

void *osl_pages(uint64_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    void *pages = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void osl_pages_free(void *pages, uint64_t bytes)
{
    if (pages != NULL) {
        munmap(pages, (size_t)bytes);
    }
}
