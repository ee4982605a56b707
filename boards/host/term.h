/* The terminal: progress bars on stderr, signals, exit codes.
 *
 * A bar appears only when stderr is a terminal and the work has taken half a second; in a pipe
 * there is never a byte of it. SIGINT and SIGTERM ask the work to end cleanly; the second one
 * ends the process at once. */
#ifndef OSL_HOST_TERM_H
#define OSL_HOST_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/ossicle.h"

bool osl_is_terminal(int fd);
uint64_t osl_now_ns(void);

/* Shows `done` of `total` for a stage; a new stage name starts a new bar. */
void osl_progress(const char *stage, uint64_t done, uint64_t total);
/* What the bar shows after took_ns, terminated and cut to out_bytes: stage, bar, percent, for bytes
 * also how many and how fast, and the time left. */
void osl_progress_text(char *out, size_t out_bytes, const char *stage, uint64_t done,
                       uint64_t total, uint64_t took_ns);
/* Wipes the bar. Harmless when there is none. */
void osl_progress_end(void);
/* No bar from here on (the answer is being written). */
void osl_progress_silence(bool silent);

/* Catches SIGINT and SIGTERM from now on. */
void osl_signals_install(void);
/* Whom a signal cancels and how (ossicle_cancel); NULL for no one. Set and cleared around an
 * engine's life. */
void osl_signals_engine(ossicle *engine, void (*cancel)(ossicle *engine));
/* The first signal since the start or the last forget, 0 if none. */
int osl_signal_caught(void);
void osl_signal_forget(void);
bool osl_signal_is_interrupt(void); /* it was SIGINT */

/* Matches osl progress to ossicle_config.progress: false once a signal came. */
bool osl_progress_callback(void *user, const char *stage, uint64_t done, uint64_t total);

/* What osl_exit_code gives for OSSICLE_OK from now on. */
void osl_exit_with(int code);
/* Exit code of a status: its value, or 128 + the signal's number when one ended the work. */
int osl_exit_code(enum ossicle_status status);

/* The colour of a terminal was changed (fd) or put back (-1): a second signal puts it back. */
void osl_colour_changed(int fd);

/* Writes model text to a terminal with control characters made harmless, so that an answer can
 * not move the cursor or reprogram the terminal. */
bool osl_write_safely(int fd, const char *text, size_t bytes);

#endif
