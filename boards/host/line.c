/* Messages, a line at a time or pasted. */
#include "line.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "out.h"
#include "term.h"

#define HISTORY_LINES 500
#define PIPE_BYTES 65536
#define ESCAPE 0x1b

static char *message; /* OSL_LINE_BYTES_MAX + 1 */

/* ---- A pipe ------------------------------------------------------------------------------ */

static struct {
    char bytes[PIPE_BYTES];
    size_t at, count;
} piped;

/* Next byte of stdin: 0..255, -1 at the end, -2 when a signal or an error came between. */
static int pipe_byte(void)
{
    if (piped.at == piped.count) {
        ssize_t got = read(STDIN_FILENO, piped.bytes, sizeof piped.bytes);
        if (got <= 0) {
            return got == 0 ? -1 : -2;
        }
        piped.at = 0;
        piped.count = (size_t)got;
    }
    return (unsigned char)piped.bytes[piped.at++];
}

static enum osl_line_result read_piped(size_t *bytes_out)
{
    size_t count = 0;
    bool too_long = false;
    for (;;) {
        int byte = pipe_byte();
        if (byte == -2) {
            return errno == EINTR ? OSL_LINE_INTERRUPTED : OSL_LINE_FAILED;
        }
        if (byte == -1 && count == 0) {
            return too_long ? OSL_LINE_TOO_LONG : OSL_LINE_END;
        }
        if (byte == '\n' && count > 0 && message[count - 1] == '\\') {
            message[count - 1] = '\n';
            continue;
        }
        if (byte == '\n' || byte == -1) {
            break;
        }
        too_long = too_long || count == OSL_LINE_BYTES_MAX;
        message[count] = (char)byte;
        count += !too_long;
    }
    *bytes_out = count;
    return too_long ? OSL_LINE_TOO_LONG : OSL_LINE_TEXT;
}

/* ---- A terminal -------------------------------------------------------------------------- */

/* A newline inside a paste is shown, and kept in the history, as this sign (U+2424). */
#define NEWLINE_SIGN L'\u2424'
#define NEWLINE_SIGN_UTF8 "\xe2\x90\xa4"
#define QUOTE_NEXT 0x16 /* Ctrl-V: the editor takes the next character as it is */
#define PASTE_MODE_ON "\033[?2004h"
#define PASTE_MODE_OFF "\033[?2004l"
#define SEQUENCE_BYTES 6
#define SEQUENCE_WAIT_MS 50
#define POLL_MS 200

static struct {
    EditLine *edit;
    History *history;
    bool continued;
    bool pasting;
    bool after_return; /* the last pasted byte was \r: a \n after it is the same line's end */
    unsigned char ahead[SEQUENCE_BYTES]; /* read while looking for a paste mark */
    size_t ahead_at, ahead_count;
    bool quoted; /* the next character was announced by QUOTE_NEXT: a tab */
} typed;

static volatile sig_atomic_t window_changed;
static volatile sig_atomic_t continued; /* after Ctrl-Z and fg */

static void on_terminal_signal(int number)
{
    window_changed |= number == SIGWINCH;
    continued |= number == SIGCONT;
}

/* What the editor must do after a signal of the terminal's. */
static void follow_terminal(void)
{
    if (continued) {
        continued = 0;
        /* The shell has put its own modes back, and the editor believes that its are still set. */
        el_set(typed.edit, EL_PREP_TERM, 0);
        el_set(typed.edit, EL_PREP_TERM, 1);
        el_set(typed.edit, EL_REFRESH);
    }
    if (window_changed) {
        window_changed = 0;
        el_resize(typed.edit);
    }
}

static char *prompt_text(EditLine *edit)
{
    static char first[] = "> ";
    static char more[] = ". ";
    (void)edit;
    return typed.continued ? more : first;
}

/* One byte from the terminal: 1, 0 at the end, -1 with errno. wait_ms < 0: for ever. Signals are
 * looked for every POLL_MS too, since one may come just before the poll. */
static int terminal_byte(int wait_ms, unsigned char *out)
{
    if (typed.ahead_at < typed.ahead_count) {
        *out = typed.ahead[typed.ahead_at++];
        return 1;
    }
    while (osl_signal_caught() == 0) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        int ready = poll(&input, 1, wait_ms < 0 ? POLL_MS : wait_ms);
        follow_terminal();
        if (ready > 0) {
            ssize_t got = read(STDIN_FILENO, out, 1);
            if (got >= 0 || errno != EINTR) {
                return (int)got;
            }
        } else if (ready == 0 && wait_ms >= 0) {
            errno = EAGAIN;
            return -1;
        } else if (ready < 0 && errno != EINTR) {
            return -1;
        }
    }
    errno = EINTR;
    return -1;
}

/* After an escape: is the rest of a paste mark there? What is read and is none is kept. */
static bool paste_mark(void)
{
    const char *mark = typed.pasting ? "[201~" : "[200~";
    unsigned char seen[SEQUENCE_BYTES];
    size_t count = 0;
    while (mark[count] != '\0') {
        if (terminal_byte(SEQUENCE_WAIT_MS, &seen[count]) != 1) {
            break;
        }
        bool same = seen[count] == (unsigned char)mark[count];
        count++;
        if (!same) {
            break;
        }
        if (mark[count] == '\0') {
            return true;
        }
    }
    /* Bytes read ahead before and not yet handed out come after these. */
    size_t left = typed.ahead_count - typed.ahead_at;
    memmove(typed.ahead + count, typed.ahead + typed.ahead_at, left);
    memcpy(typed.ahead, seen, count);
    typed.ahead_at = 0;
    typed.ahead_count = count + left;
    return false;
}

/* A pasted control character as the editor should see it; 0: leave it out. */
static wchar_t pasted(unsigned char byte)
{
    bool same_end = byte == '\n' && typed.after_return;
    typed.after_return = byte == '\r';
    if (byte == '\r' || byte == '\n') {
        return same_end ? 0 : NEWLINE_SIGN;
    }
    if (byte == '\t') {
        typed.quoted = true;
        return QUOTE_NEXT;
    }
    return 0;
}

/* libedit's source of characters: UTF-8 put together, pastes made harmless. */
static int read_character(EditLine *edit, wchar_t *out)
{
    mbstate_t state;
    (void)edit;
    memset(&state, 0, sizeof state);
    if (typed.quoted) {
        typed.quoted = false;
        *out = L'\t';
        return 1;
    }
    for (;;) {
        unsigned char byte;
        int got = terminal_byte(-1, &byte);
        if (got != 1) {
            return got;
        }
        if (byte == ESCAPE && mbsinit(&state) && paste_mark()) {
            typed.pasting = !typed.pasting;
            typed.after_return = false;
            continue;
        }
        if (typed.pasting && (byte < 0x20 || byte == 0x7f)) {
            *out = pasted(byte);
            if (*out != 0) {
                return 1;
            }
            continue;
        }
        char narrow = (char)byte;
        size_t length = mbrtowc(out, &narrow, 1, &state);
        if (length == (size_t)-1) {
            memset(&state, 0, sizeof state); /* not UTF-8: dropped */
            continue;
        }
        if (length != (size_t)-2) {
            return 1;
        }
    }
}

static bool terminal_open(void)
{
    HistEvent event;
    struct sigaction action;
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) {
        setlocale(LC_CTYPE, "C.UTF-8"); /* the model speaks UTF-8 whatever the locale */
    }
    typed.edit = el_init("ossicle", stdin, stdout, stderr);
    typed.history = history_init();
    if (typed.edit == NULL || typed.history == NULL) {
        return false;
    }
    history(typed.history, &event, H_SETSIZE, HISTORY_LINES);
    history(typed.history, &event, H_SETUNIQUE, 1);
    el_set(typed.edit, EL_EDITOR, "emacs");
    el_set(typed.edit, EL_SIGNAL, 0);
    el_set(typed.edit, EL_PROMPT, prompt_text);
    el_set(typed.edit, EL_HIST, history, typed.history);
    el_set(typed.edit, EL_GETCFN, read_character);
    el_set(typed.edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_terminal_signal;
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
    return true;
}

/* Copies a line with the newline signs made newlines; false if there is no room. */
static bool append(const char *line, size_t *count)
{
    while (*line != '\0') {
        bool sign = strncmp(line, NEWLINE_SIGN_UTF8, strlen(NEWLINE_SIGN_UTF8)) == 0;
        if (*count == OSL_LINE_BYTES_MAX) {
            return false;
        }
        message[(*count)++] = sign ? '\n' : *line;
        line += sign ? strlen(NEWLINE_SIGN_UTF8) : 1;
    }
    return true;
}

static enum osl_line_result read_typed_line(size_t *count)
{
    int characters = 0;
    HistEvent event;
    errno = 0;
    const char *line = el_gets(typed.edit, &characters);
    if (osl_signal_caught() != 0) {
        (void)osl_write_all(STDOUT_FILENO, "\n", 1);
        el_reset(typed.edit);
        typed.pasting = false;
        typed.ahead_count = typed.ahead_at = 0;
        return OSL_LINE_INTERRUPTED;
    }
    if (line == NULL || characters <= 0) {
        (void)osl_write_all(STDOUT_FILENO, "\n", 1);
        return OSL_LINE_END;
    }
    if (line[0] != '\n') {
        history(typed.history, &event, H_ENTER, line);
    }
    return append(line, count) ? OSL_LINE_TEXT : OSL_LINE_TOO_LONG;
}

static enum osl_line_result read_typed(size_t *bytes_out)
{
    size_t count = 0;
    enum osl_line_result result;
    (void)osl_write_all(STDOUT_FILENO, PASTE_MODE_ON, strlen(PASTE_MODE_ON));
    typed.continued = false;
    for (;;) {
        result = read_typed_line(&count);
        if (result != OSL_LINE_TEXT) {
            break;
        }
        count -= count > 0 && message[count - 1] == '\n'; /* the one that ended the line */
        if (count == 0 || message[count - 1] != '\\') {
            break;
        }
        message[count - 1] = '\n';
        typed.continued = true;
    }
    (void)osl_write_all(STDOUT_FILENO, PASTE_MODE_OFF, strlen(PASTE_MODE_OFF));
    *bytes_out = count;
    return result;
}

static void terminal_close(void)
{
    if (typed.edit != NULL) {
        el_end(typed.edit);
    }
    if (typed.history != NULL) {
        history_end(typed.history);
    }
}

static bool editing_on;

bool osl_line_open(bool editing)
{
    message = osl_pages(OSL_LINE_BYTES_MAX + 1);
    editing_on = editing;
    return message != NULL && (!editing || terminal_open());
}

void osl_line_close(void)
{
    if (editing_on) {
        terminal_close();
    }
    osl_pages_free(message, OSL_LINE_BYTES_MAX + 1);
    message = NULL;
}

enum osl_line_result osl_line_read(const char **text_out, size_t *bytes_out)
{
    size_t bytes = 0;
    enum osl_line_result result = editing_on ? read_typed(&bytes) : read_piped(&bytes);
    message[bytes] = '\0';
    *text_out = message;
    *bytes_out = bytes;
    return result;
}
