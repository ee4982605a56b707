/* The log: a fixed ring of lines, and a sink. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "platform/platform.h"

struct log_line {
    enum osl_log_level level;
    char text[OSL_LOG_LINE_BYTES];
};

/* The one mutable global of the library: there is one log a process. */
static struct {
    pthread_mutex_t lock;
    struct log_line lines[OSL_LOG_RING_LINES];
    uint32_t first; /* index of the oldest line */
    uint32_t count;
    osl_log_sink *sink;
    void *context;
    enum osl_log_level least;
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER};

void osl_log_set_sink(osl_log_sink *sink, void *context, enum osl_log_level least)
{
    pthread_mutex_lock(&log_state.lock);
    log_state.sink = sink;
    log_state.context = context;
    log_state.least = least;
    pthread_mutex_unlock(&log_state.lock);
}

void osl_log(enum osl_log_level level, const char *format, ...)
{
    struct log_line line = {.level = level};
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof line.text, format, args);
    va_end(args);
    for (char *c = line.text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?'; /* text from files must not break lines or steer terminals */
        }
    }
    pthread_mutex_lock(&log_state.lock);
    uint32_t at = (log_state.first + log_state.count) % OSL_LOG_RING_LINES;
    if (log_state.count == OSL_LOG_RING_LINES) {
        log_state.first = (log_state.first + 1) % OSL_LOG_RING_LINES;
    } else {
        log_state.count++;
    }
    log_state.lines[at] = line;
    osl_log_sink *sink = level >= log_state.least ? log_state.sink : NULL;
    void *context = log_state.context;
    pthread_mutex_unlock(&log_state.lock);
    if (sink != NULL) { /* outside the lock, so that a sink may log */
        sink(context, level, line.text);
    }
}

bool osl_log_line(uint32_t index, enum osl_log_level *level_out, char out[OSL_LOG_LINE_BYTES])
{
    pthread_mutex_lock(&log_state.lock);
    bool found = index < log_state.count;
    if (found) {
        const struct log_line *line =
            &log_state.lines[(log_state.first + index) % OSL_LOG_RING_LINES];
        *level_out = line->level;
        memcpy(out, line->text, OSL_LOG_LINE_BYTES);
    }
    pthread_mutex_unlock(&log_state.lock);
    return found;
}
