/* peak OUT SECONDS COMMAND...: runs a command and writes what it took to the file OUT, one line:
 * exit code (128 + signal if killed), milliseconds, peak resident KiB. A command that is still
 * running after SECONDS is killed. Exits 0 unless the command could not be started or watched. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static void on_alarm(int number)
{
    (void)number;
    kill(child, SIGKILL);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: peak OUT SECONDS COMMAND...\n");
        return 1;
    }
    double start = milliseconds();
    child = fork();
    if (child < 0) {
        fprintf(stderr, "peak: fork: %s\n", strerror(errno));
        return 1;
    }
    if (child == 0) {
        execvp(argv[3], argv + 3);
        fprintf(stderr, "peak: %s: %s\n", argv[3], strerror(errno));
        _exit(127);
    }
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    alarm((unsigned)strtoul(argv[2], NULL, 10));

    int status = 0;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child) {
        fprintf(stderr, "peak: wait4: %s\n", strerror(errno));
        return 1;
    }
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    FILE *out = fopen(argv[1], "w");
    if (out == NULL) {
        fprintf(stderr, "peak: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    fprintf(out, "%d %.0f %ld\n", code, milliseconds() - start, usage.ru_maxrss);
    return fclose(out) == 0 ? 0 : 1;
}
