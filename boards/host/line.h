/* Messages typed by a person or piped in: line editing with history on a terminal (libedit),
 * plain lines otherwise. A message may have several lines: what is pasted stays together
 * (bracketed paste), and a backslash at a line's end continues it. */
#ifndef OSL_HOST_LINE_H
#define OSL_HOST_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define OSL_LINE_BYTES_MAX (1u << 20)

enum osl_line_result {
    OSL_LINE_TEXT,        /* a message */
    OSL_LINE_END,         /* end of input */
    OSL_LINE_INTERRUPTED, /* Ctrl-C while typing: what was typed is dropped */
    OSL_LINE_TOO_LONG,    /* over OSL_LINE_BYTES_MAX; it was read and dropped */
    OSL_LINE_FAILED,
};

/* editing: stdin and stdout are terminals. False when there is no memory. */
bool osl_line_open(bool editing);
void osl_line_close(void);

/* Reads one message; *text_out (terminated, without the last newline) is valid until the next
 * call. */
enum osl_line_result osl_line_read(const char **text_out, size_t *bytes_out);

#endif
