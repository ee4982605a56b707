/* Commands that answer a tool's calls: what they get and give, and how each kind of bad end is
 * told. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "boards/host/term.h"
#include "boards/host/tools.h"

static char out[OSL_TOOL_RESULT_BYTES_MAX], why[160];
static size_t out_bytes;

static bool run(const char *command, const char *input, uint32_t seconds, size_t capacity)
{
    memset(out, 'x', sizeof out);
    strcpy(why, "nothing");
    return osl_tool_run(command, input, strlen(input), seconds, out, capacity, &out_bytes, why,
                        sizeof why);
}

static void assert_out(const char *text)
{
    assert_int_equal(out_bytes, strlen(text));
    assert_memory_equal(out, text, out_bytes);
}

static void command_gets_arguments_on_stdin(void **state)
{
    (void)state;
    assert_true(run("cat", "{\"a\": 1}", 10, sizeof out));
    assert_out("{\"a\": 1}");
    assert_true(run("  echo\t one  'two three' ", "", 10, sizeof out));
    assert_out("one 'two three'\n");
    /* No shell: these are words like any other. */
    assert_true(run("echo $HOME ; echo `id` > /nonexistent/file && false", "", 10, sizeof out));
    assert_out("$HOME ; echo `id` > /nonexistent/file && false\n");
    assert_true(run("true", "not read by anyone", 10, sizeof out));
    assert_out("");
    static char large[300000];
    memset(large, 'y', sizeof large - 1);
    assert_true(run("true", large, 10, sizeof out));
    assert_true(run("tail -c 3", large, 10, sizeof out));
    assert_out("yyy");
}

/* Files that the engine has open are no business of a command. */
static void command_gets_no_file_but_its_own(void **state)
{
    (void)state;
    for (int file = 3; file < 1024; file++) { /* what ctest left open */
        int flags = fcntl(file, F_GETFD);
        if (flags >= 0) {
            (void)fcntl(file, F_SETFD, flags | FD_CLOEXEC);
        }
    }
    assert_true(run("ls /proc/self/fd", "", 10, sizeof out));
    assert_out("0\n1\n2\n3\n"); /* 3 is the folder that it lists */
}

static void failures_say_what_was_wrong(void **state)
{
    (void)state;
    assert_false(run("false", "", 10, sizeof out));
    assert_string_equal(why, "exit code 1");
    assert_false(run("/nonexistent/tool a", "", 10, sizeof out));
    /* Under qemu the child that cannot become the program is no vfork's: it ends with 127. */
    assert_true(strstr(why, "/nonexistent/tool cannot be started (No such file") != NULL ||
                strcmp(why, "exit code 127") == 0);
    assert_false(run("   ", "", 10, sizeof out));
    assert_non_null(strstr(why, "no command"));
    assert_false(run("head -c 100 /dev/zero", "", 10, 99));
    assert_string_equal(why, "more than 99 bytes of result");
    assert_true(run("head -c 100 /dev/zero", "", 10, 100));
    assert_int_equal(out_bytes, 100);
    FILE *script = fopen("kill_self.sh", "w");
    assert_non_null(script);
    fputs("kill -9 $$\n", script);
    fclose(script);
    assert_false(run("sh kill_self.sh", "", 10, sizeof out));
    assert_string_equal(why, "ended by signal 9");
    unlink("kill_self.sh");
}

/* The process whose id a script left in a file; -1: it is gone, or will be in ten seconds. */
static int left_over(const char *path)
{
    FILE *file = fopen(path, "r");
    int id = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &id), 1);
    fclose(file);
    unlink(path);
    assert_true(id > 1);
    for (int i = 0; i < 200; i++) { /* whoever inherits it may take a while to bury it */
        char stat[64], line[256] = "";
        snprintf(stat, sizeof stat, "/proc/%d/stat", id);
        FILE *now = fopen(stat, "r");
        bool buried = now == NULL || fgets(line, sizeof line, now) == NULL;
        if (now != NULL) {
            fclose(now);
        }
        if (buried || strstr(line, ") Z ") != NULL) {
            return -1;
        }
        usleep(50000);
    }
    return id;
}

static void long_commands_are_ended_with_their_children(void **state)
{
    (void)state;
    static const char child[] = OSL_BINARY_DIR "/tests/closes.pid";
    uint64_t before = osl_now_ns();
    assert_false(run("sleep 60", "", 1, sizeof out));
    assert_string_equal(why, "no result within 1 seconds");
    assert_false(run("yes", "", 10, 1000)); /* never stops by itself */
    assert_string_equal(why, "more than 1000 bytes of result");
    /* Its output closed, it goes on: that is waited for, and ended, too. */
    FILE *script = fopen("closes.sh", "w");
    assert_non_null(script);
    fprintf(script, "exec >&-\nsleep 60 &\necho $! >'%s'\nwait\n", child);
    fclose(script);
    assert_false(run("sh closes.sh", "", 1, sizeof out));
    assert_string_equal(why, "no result within 1 seconds");
    unlink("closes.sh");
    assert_int_equal(left_over(child), -1);
    assert_true(osl_now_ns() - before < 20000000000u);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* none is left */
}

static void signal_ends_a_command(void **state)
{
    (void)state;
    osl_signals_install();
    uint64_t before = osl_now_ns();
    pid_t other = fork();
    if (other == 0) {
        usleep(300000);
        kill(getppid(), SIGINT);
        _exit(0);
    }
    assert_false(run("sleep 60", "", 60, sizeof out));
    assert_string_equal(why, "interrupted");
    assert_true(osl_now_ns() - before < 20000000000u);
    waitpid(other, NULL, 0);
    osl_signal_forget();
}

int main(void)
{
    /* Commands are cut at blanks, which the path to here may have: scripts go by their names. */
    if (chdir(OSL_BINARY_DIR "/tests") != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_gets_arguments_on_stdin),
        cmocka_unit_test(command_gets_no_file_but_its_own),
        cmocka_unit_test(failures_say_what_was_wrong),
        cmocka_unit_test(long_commands_are_ended_with_their_children),
        cmocka_unit_test(signal_ends_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
