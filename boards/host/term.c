/* The terminal: progress bars, signals, exit codes. */
#include "term.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "out.h"

#define BAR_CELLS 16 /* the line is to fit in 80 columns */
#define BAR_LINE_BYTES 160
#define STAGE_BYTES 48
#define BYTES_LEAST ((uint64_t)16 << 20) /* so many are bytes: tokens are 2^20 at most */
#define BAR_DELAY_NS 500000000ull
#define BAR_INTERVAL_NS 100000000ull
#define SIGNAL_EXIT_BASE 128

static struct {
    char stage[STAGE_BYTES];
    uint64_t start_ns;
    uint64_t drawn_ns;
    bool drawn;
    bool silent;
} bar;

static volatile sig_atomic_t signal_caught;
static volatile sig_atomic_t coloured_fd = -1;
static ossicle *volatile signal_engine;
static int exit_code_done; /* of work that went well */
static void (*volatile signal_cancel)(ossicle *engine);

bool osl_is_terminal(int fd)
{
    int saved = errno;
    bool terminal = isatty(fd) == 1;
    errno = saved;
    return terminal;
}

uint64_t osl_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void osl_progress_text(char *out, size_t out_bytes, const char *stage, uint64_t done,
                       uint64_t total, uint64_t took_ns)
{
    char cells[BAR_CELLS + 1];
    double part = total > 0 ? (double)done / (double)total : 0.0;
    part = part > 1.0 ? 1.0 : part;
    int filled = (int)(part * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++) {
        cells[i] = i < filled ? '#' : '.';
    }
    cells[BAR_CELLS] = '\0';
    int used = snprintf(out, out_bytes, "%s [%s] %3d %%", stage, cells, (int)(part * 100.0));
    if (total >= BYTES_LEAST && used > 0 && (size_t)used < out_bytes) {
        double speed = took_ns > 0 ? (double)done / (double)took_ns : 0.0;
        used += snprintf(out + used, out_bytes - (size_t)used, ", %.2f/%.2f GB, %.2f GB/s",
                         (double)done / 1e9, (double)total / 1e9, speed);
    }
    if (part > 0.0 && used > 0 && (size_t)used < out_bytes) {
        double left = (double)took_ns / 1e9 * (1.0 - part) / part;
        snprintf(out + used, out_bytes - (size_t)used, ", %.0f s left", left);
    }
}

static void bar_draw(uint64_t done, uint64_t total, uint64_t took_ns)
{
    static const char wipe[] = "\r\033[K";
    char line[BAR_LINE_BYTES];
    memcpy(line, wipe, sizeof wipe);
    osl_progress_text(line + sizeof wipe - 1, sizeof line - sizeof wipe, bar.stage, done, total,
                      took_ns);
    bar.drawn = osl_write_all(STDERR_FILENO, line, strlen(line));
}

void osl_progress(const char *stage, uint64_t done, uint64_t total)
{
    if (bar.silent || !osl_is_terminal(STDERR_FILENO)) {
        return;
    }
    uint64_t now = osl_now_ns();
    if (strncmp(stage, bar.stage, STAGE_BYTES - 1) != 0) {
        osl_progress_end();
        snprintf(bar.stage, sizeof bar.stage, "%s", stage);
        bar.start_ns = now;
        bar.drawn_ns = 0;
    }
    if (now - bar.start_ns >= BAR_DELAY_NS && now - bar.drawn_ns >= BAR_INTERVAL_NS) {
        bar_draw(done, total, now - bar.start_ns);
        bar.drawn_ns = now;
    }
}

void osl_progress_end(void)
{
    if (bar.drawn) {
        (void)osl_write_all(STDERR_FILENO, "\r\033[K", 4);
    }
    bar.drawn = false;
    bar.stage[0] = '\0';
}

void osl_progress_silence(bool silent)
{
    osl_progress_end();
    bar.silent = silent;
}

bool osl_progress_callback(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    osl_progress(stage, done, total);
    return signal_caught == 0;
}

/* Only async-signal-safe calls: the one to cancel is documented to be such. */
static void on_signal(int number)
{
    if (signal_caught != 0) {
        ssize_t written = coloured_fd >= 0 ? write(coloured_fd, "\033[0m", 4) : 0;
        (void)written; /* nothing is left to do about it */
        _exit(SIGNAL_EXIT_BASE + number);
    }
    signal_caught = number;
    if (signal_engine != NULL) {
        signal_cancel(signal_engine);
    }
}

void osl_signals_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    /* Without SA_RESTART: a read at the prompt returns, so that Ctrl-C is seen there too. */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void osl_signals_engine(ossicle *engine, void (*cancel)(ossicle *engine))
{
    signal_engine = NULL; /* never a new engine with an old way to cancel */
    signal_cancel = cancel;
    signal_engine = engine;
}

void osl_colour_changed(int fd)
{
    coloured_fd = fd;
}

int osl_signal_caught(void)
{
    return signal_caught;
}

void osl_signal_forget(void)
{
    signal_caught = 0;
}

bool osl_signal_is_interrupt(void)
{
    return signal_caught == SIGINT;
}

void osl_exit_with(int code)
{
    exit_code_done = code;
}

int osl_exit_code(enum ossicle_status status)
{
    int number = signal_caught;
    return number != 0 ? SIGNAL_EXIT_BASE + number
           : status == OSSICLE_OK ? exit_code_done
                                  : (int)status;
}

bool osl_write_safely(int fd, const char *text, size_t bytes)
{
    size_t start = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        /* C1 controls: U+0080..U+009F, written c2 80..9f. */
        bool c1 = c == 0xc2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xa0;
        if (!control && !c1) {
            continue;
        }
        if (!osl_write_all(fd, text + start, i - start) || !osl_write_all(fd, "?", 1)) {
            return false;
        }
        i += c1 ? 1 : 0;
        start = i + 1;
    }
    return osl_write_all(fd, text + start, bytes - start);
}
