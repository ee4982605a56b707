/* Running one command for a tool: posix_spawn, since fork would copy the page tables of a process
 * that may have the whole model mapped. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "out.h"
#include "term.h"
#include "tools.h"

#define WORDS_MAX 64
#define COMMAND_BYTES_MAX 4096
#define WAIT_NS 2000000u /* between two looks at a command that has closed its output */

extern char **environ;

/* Cuts text into words at blanks; false if there are none, or too many. */
static bool cut_words(char *text, char *words[WORDS_MAX + 1])
{
    uint32_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t\n", &rest); word != NULL;
         word = strtok_r(NULL, " \t\n", &rest)) {
        if (count == WORDS_MAX) {
            return false;
        }
        words[count++] = word;
    }
    words[count] = NULL;
    return count > 0;
}

/* A file without a name that holds the input: a command that reads none of it leaves no writer
 * waiting, as a pipe would. -1 on failure. */
static int input_file(const char *input, size_t bytes)
{
    int file = memfd_create("ossicle-tool", MFD_CLOEXEC);
    if (file >= 0 && (!osl_write_all(file, input, bytes) || lseek(file, 0, SEEK_SET) != 0)) {
        close(file);
        file = -1;
    }
    return file;
}

/* Starts the command; 0 or an errno. */
static int start(char *const *words, int input, int output, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0) {
        return failed;
    }
    failed = posix_spawnattr_init(&attributes);
    if (failed == 0) {
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        (void)posix_spawnattr_setpgroup(&attributes, 0);
        failed = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        if (failed == 0) {
            failed = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        }
        if (failed == 0) {
            failed = posix_spawnp(child, words[0], &actions, &attributes, words, environ);
        }
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

enum ending { ENDED, TOO_LONG, TOO_MUCH, SIGNALLED, UNREADABLE };

/* Reads what the command prints until it closes its output or has to be ended. */
static enum ending collect(int from, uint64_t end_ns, char *out, size_t capacity, size_t *bytes)
{
    for (;;) {
        uint64_t now = osl_now_ns();
        struct pollfd ready = {.fd = from, .events = POLLIN};
        if (osl_signal_caught() != 0) {
            return SIGNALLED;
        }
        if (now >= end_ns) {
            return TOO_LONG;
        }
        /* A signal just before poll would go unseen until the end: it looks again soon. */
        uint64_t left_ms = (end_ns - now) / 1000000u + 1;
        int count = poll(&ready, 1, left_ms < 100 ? (int)left_ms : 100);
        if (count <= 0) {
            continue;
        }
        char extra;
        ssize_t got = *bytes < capacity ? read(from, out + *bytes, capacity - *bytes)
                                        : read(from, &extra, 1);
        if (got < 0 && errno != EINTR) {
            return UNREADABLE;
        }
        if (got == 0) {
            return ENDED;
        }
        if (got > 0 && *bytes == capacity) {
            return TOO_MUCH;
        }
        *bytes += got > 0 ? (size_t)got : 0;
    }
}

/* Waits for a command that has closed its output, and ends it where it must be. */
static enum ending finish(pid_t child, enum ending ending, uint64_t end_ns, int *code)
{
    const struct timespec pause = {.tv_nsec = WAIT_NS};
    while (ending == ENDED) {
        pid_t found = waitpid(child, code, WNOHANG);
        if (found == child || (found < 0 && errno != EINTR)) {
            return ENDED;
        }
        ending = osl_signal_caught() != 0 ? SIGNALLED
                 : osl_now_ns() >= end_ns ? TOO_LONG
                                          : ENDED;
        nanosleep(&pause, NULL);
    }
    kill(-child, SIGKILL);
    while (waitpid(child, code, 0) < 0 && errno == EINTR) {
    }
    return ending;
}

static bool tell(enum ending ending, int code, uint32_t seconds, size_t capacity, char *why,
                 size_t why_bytes)
{
    switch (ending) {
    case TOO_LONG: snprintf(why, why_bytes, "no result within %u seconds", seconds); return false;
    case TOO_MUCH:
        snprintf(why, why_bytes, "more than %zu bytes of result", capacity);
        return false;
    case SIGNALLED: snprintf(why, why_bytes, "interrupted"); return false;
    case UNREADABLE: snprintf(why, why_bytes, "its output cannot be read"); return false;
    case ENDED: break;
    }
    if (WIFEXITED(code) && WEXITSTATUS(code) == 0) {
        return true;
    }
    if (WIFEXITED(code)) {
        snprintf(why, why_bytes, "exit code %d", WEXITSTATUS(code));
    } else {
        snprintf(why, why_bytes, "ended by signal %d", WIFSIGNALED(code) ? WTERMSIG(code) : 0);
    }
    return false;
}

bool osl_tool_run(const char *command, const char *input, size_t input_bytes, uint32_t seconds,
                  char *out, size_t out_capacity, size_t *out_bytes, char *why, size_t why_bytes)
{
    char text[COMMAND_BYTES_MAX], *words[WORDS_MAX + 1];
    int output[2] = {-1, -1}, code = 0;
    pid_t child = 0;
    *out_bytes = 0;
    if ((size_t)snprintf(text, sizeof text, "%s", command) >= sizeof text ||
        !cut_words(text, words)) {
        snprintf(why, why_bytes, "no command of 1 to %d words", WORDS_MAX);
        return false;
    }
    int in = input_file(input, input_bytes);
    int failed = in < 0 || pipe2(output, O_CLOEXEC) != 0 ? errno : start(words, in, output[1],
                                                                         &child);
    close(in);
    close(output[1]);
    bool good = false;
    if (failed == 0) {
        uint64_t end_ns = osl_now_ns() + (uint64_t)seconds * 1000000000u;
        enum ending ending = collect(output[0], end_ns, out, out_capacity, out_bytes);
        ending = finish(child, ending, end_ns, &code);
        good = tell(ending, code, seconds, out_capacity, why, why_bytes);
    } else {
        snprintf(why, why_bytes, "%.80s cannot be started (%s)", words[0], strerror(failed));
    }
    close(output[0]);
    return good;
}
