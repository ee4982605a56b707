/* Memory, the log, the clock, and what is read from /proc and /sys: real, and of machines that
 * are not here, shown as folders of the same shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/posix/host.h"

static char root[64];

static int root_make(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/ossicle-root-XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

static int root_remove(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below the root, making its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* ---- CPUs -------------------------------------------------------------------------------- */

static void cpu_lists_parse(void **state)
{
    (void)state;
    struct osl_cpu_set set;
    osl_cpu_parse(&set, "0-3,8,10-11");
    assert_int_equal(osl_cpu_count(&set), 7);
    assert_true(osl_cpu_has(&set, 3) && osl_cpu_has(&set, 8) && osl_cpu_has(&set, 11));
    assert_false(osl_cpu_has(&set, 4));
    osl_cpu_parse(&set, "");
    assert_int_equal(osl_cpu_count(&set), 0);
    osl_cpu_parse(&set, "1,x,3");
    assert_int_equal(osl_cpu_count(&set), 1);
    osl_cpu_parse(&set, "5-999999999999999999999");
    assert_int_equal(osl_cpu_count(&set), OSL_HOST_CPUS_MAX - 5);
    assert_false(osl_cpu_has(&set, 4000000));
}

static void put_cpu(uint32_t cpu, const char *capacity, const char *siblings)
{
    char path[128];
    if (capacity != NULL) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/cpu_capacity", cpu);
        put(path, capacity);
    }
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
    put(path, siblings);
}

static uint32_t cores_of(const char *allowed_list, struct osl_cpu_set *cores_out)
{
    struct osl_cpu_set allowed;
    osl_cpu_parse(&allowed, allowed_list);
    osl_host_cores(root, &allowed, cores_out);
    return osl_cpu_count(cores_out);
}

/* RK3588: four Cortex-A55, then four Cortex-A76. */
static void cores_of_big_little_are_the_big_ones(void **state)
{
    (void)state;
    struct osl_cpu_set cores;
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        char own[8];
        snprintf(own, sizeof own, "%u\n", cpu);
        put_cpu(cpu, cpu < 4 ? "530\n" : "1024\n", own);
    }
    assert_int_equal(cores_of("0-7", &cores), 4);
    assert_false(osl_cpu_has(&cores, 3));
    assert_true(osl_cpu_has(&cores, 4));
    assert_int_equal(cores_of("2-5", &cores), 2);
    assert_int_equal(cores_of("0-2", &cores), 3); /* only slow ones allowed: those then */
}

/* A phone's three clusters: the middle one is worth having. */
static void cores_of_three_clusters_leave_out_the_slowest(void **state)
{
    (void)state;
    struct osl_cpu_set cores;
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        char own[8];
        snprintf(own, sizeof own, "%u\n", cpu);
        put_cpu(cpu, cpu < 4 ? "250\n" : cpu < 7 ? "830\n" : "1024\n", own);
    }
    assert_int_equal(cores_of("0-7", &cores), 4);
}

/* Laptop: 4 cores with two threads each, numbered apart, then one sibling forbidden. */
static void cores_with_siblings_get_one_thread(void **state)
{
    (void)state;
    struct osl_cpu_set cores;
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        char both[16];
        snprintf(both, sizeof both, "%u,%u\n", cpu % 4, cpu % 4 + 4);
        put_cpu(cpu, NULL, both);
    }
    assert_int_equal(cores_of("0-7", &cores), 4);
    assert_int_equal(cores_of("4-7", &cores), 4);
    assert_int_equal(cores_of("0,4", &cores), 1);
    assert_int_equal(cores_of("0,1,5", &cores), 2);
}

/* Mixed x86 before cpu_capacity: two fast cores with siblings, four slow ones. */
static void cores_of_hybrid_x86_are_the_fast_ones(void **state)
{
    (void)state;
    struct osl_cpu_set cores;
    put("/sys/devices/cpu_core/cpus", "0-3\n");
    put("/sys/devices/cpu_atom/cpus", "4-7\n");
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        char list[16];
        snprintf(list, sizeof list, cpu < 4 ? "%u-%u\n" : "%u\n", cpu < 4 ? cpu / 2 * 2 : cpu,
                 cpu / 2 * 2 + 1);
        put_cpu(cpu, NULL, list);
    }
    assert_int_equal(cores_of("0-7", &cores), 2);
}

static void cores_without_sysfs_are_all_allowed(void **state)
{
    (void)state;
    struct osl_cpu_set cores;
    assert_int_equal(cores_of("0-4", &cores), 5);
}

static void threads_recommended_are_possible(void **state)
{
    (void)state;
    struct osl_cpu_set allowed;
    osl_host_affinity(&allowed);
    assert_true(osl_threads_recommended() >= 1);
    assert_true(osl_threads_recommended() <= osl_cpu_count(&allowed));
}

/* ---- Control groups ---------------------------------------------------------------------- */

#define MOUNT_V2 "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
#define MOUNT_MEMORY "34 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
#define MOUNT_CPU "35 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define MEMINFO "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:   12000000 kB\n"

static void cgroup_v2_takes_the_tightest_of_all_parents(void **state)
{
    (void)state;
    struct osl_cgroup_facts facts;
    put("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n" MOUNT_V2);
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/cgroup.procs", "");
    put("/sys/fs/cgroup/a/b/cgroup.procs", "");
    put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    put("/sys/fs/cgroup/a/b/memory.current", "99\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "350000 100000\n");
    put("/sys/fs/cgroup/a/memory.max", "8000000000\n");
    put("/sys/fs/cgroup/a/memory.current", "5000000000\n");
    put("/sys/fs/cgroup/a/memory.stat",
        "anon 1\nactive_file 1000000000\ninactive_file 2000000000\n");
    put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    osl_host_cgroup(root, &facts);
    assert_int_equal(facts.memory_limit_bytes, 8000000000);
    assert_int_equal(facts.memory_available_bytes, 6000000000);
    assert_int_equal(facts.cpu_quota, 3);
    put("/sys/fs/cgroup/a/b/memory.high", "4000000000\n");
    put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    osl_host_cgroup(root, &facts);
    assert_int_equal(facts.memory_limit_bytes, 4000000000);
    assert_int_equal(facts.cpu_quota, 1);
}

static void cgroup_v1_limits_are_found(void **state)
{
    (void)state;
    struct osl_cgroup_facts facts;
    struct osl_memory_facts memory;
    put("/proc/meminfo", MEMINFO);
    put("/proc/self/mountinfo", MOUNT_MEMORY MOUNT_CPU);
    put("/proc/self/cgroup", "4:memory:/box\n1:cpuacct,cpu:/\n0::/\n");
    put("/sys/fs/cgroup/memory/box/cgroup.procs", "");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "8000000000\n");
    put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "3000000000\n");
    put("/sys/fs/cgroup/memory/box/memory.stat",
        "active_file 7\ntotal_active_file 500000000\ntotal_inactive_file 500000000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cgroup.procs", "");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    osl_host_cgroup(root, &facts);
    assert_int_equal(facts.memory_limit_bytes, 8000000000);
    assert_int_equal(facts.memory_available_bytes, 6000000000);
    assert_int_equal(facts.cpu_quota, 2);
    osl_host_memory(root, &memory);
    assert_int_equal(memory.total_bytes, 8000000000);
    assert_int_equal(memory.available_bytes, 6000000000);
}

/* Inside a container the path of /proc/self/cgroup may name nothing that can be seen. */
static void cgroup_of_a_container_is_its_mount(void **state)
{
    (void)state;
    struct osl_cgroup_facts facts;
    put("/proc/self/mountinfo",
        "29 22 0:26 /docker/123 /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
    put("/proc/self/cgroup", "0::/../elsewhere\n");
    put("/sys/fs/cgroup/cgroup.procs", "");
    put("/sys/fs/cgroup/memory.max", "1000000000\n");
    osl_host_cgroup(root, &facts);
    assert_int_equal(facts.memory_limit_bytes, 1000000000);
    put("/proc/self/cgroup", "0::/docker/123\n");
    osl_host_cgroup(root, &facts);
    assert_int_equal(facts.memory_limit_bytes, 1000000000);
}

static void cgroup_absent_means_no_limit(void **state)
{
    (void)state;
    struct osl_cgroup_facts facts;
    struct osl_memory_facts memory;
    osl_host_cgroup(root, &facts);
    assert_true(facts.memory_limit_bytes == UINT64_MAX);
    assert_true(facts.memory_available_bytes == UINT64_MAX);
    assert_int_equal(facts.cpu_quota, UINT32_MAX);
    put("/proc/meminfo", MEMINFO);
    put("/proc/self/mountinfo", MOUNT_V2 "broken line - \n - \n");
    put("/proc/self/cgroup", "nonsense\n0::/\n");
    put("/sys/fs/cgroup/cpu.max", "x y\n");
    osl_host_cgroup(root, &facts);
    assert_int_equal(facts.cpu_quota, UINT32_MAX);
    osl_host_memory(root, &memory);
    assert_int_equal(memory.total_bytes, 16384000000);
    assert_int_equal(memory.available_bytes, 12288000000);
}

static void lines_longer_than_the_buffer_are_skipped(void **state)
{
    (void)state;
    static char text[3 * OSL_HOST_LINE_BYTES];
    memset(text, 'x', sizeof text);
    memcpy(text, "first\n", 6);
    memcpy(text + sizeof text - 6, "\nlast", 6);
    put("/long", text);
    struct osl_lines lines;
    assert_true(osl_lines_open(&lines, root, "/long"));
    assert_string_equal(osl_lines_next(&lines), "first");
    assert_string_equal(osl_lines_next(&lines), "last");
    assert_null(osl_lines_next(&lines));
    osl_lines_close(&lines);
    assert_false(osl_lines_open(&lines, root, "/none"));
}

/* ---- Memory ------------------------------------------------------------------------------ */

static uint64_t resident_bytes(void)
{
    char line[128];
    unsigned long long size = 0;
    unsigned long long resident = 0;
    assert_true(osl_host_line("", "/proc/self/statm", line, sizeof line));
    assert_int_equal(sscanf(line, "%llu %llu", &size, &resident), 2);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void memory_is_aligned_zeroed_and_present(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 4096, 4097, (2 << 20) - 1, (2 << 20) + 1, 37 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int touch = 0; touch < 2; touch++) {
            void *memory = NULL;
            uint64_t before = resident_bytes();
            assert_int_equal(osl_memory_reserve(sizes[i], touch, &memory, NULL), OSL_OK);
            assert_int_equal((uintptr_t)memory % (2 << 20), 0);
            if (touch) { /* the count lags by some pages a thread */
                assert_true(resident_bytes() + (1 << 20) >= before + sizes[i]);
            }
            const uint8_t *byte = memory;
            for (uint64_t at = 0; at < sizes[i]; at++) {
                assert_int_equal(byte[at], 0);
            }
            memset(memory, 0xa5, sizes[i]);
            osl_memory_release(memory, sizes[i]);
        }
    }
    osl_memory_release(NULL, 5); /* harmless */
}

static void memory_beyond_the_machine_is_refused(void **state)
{
    (void)state;
    struct osl_memory_facts facts;
    struct osl_error error;
    void *memory = &facts;
    osl_memory_facts(&facts);
    assert_true(facts.total_bytes > 0);
    assert_true(facts.available_bytes > 0);
    assert_true(facts.available_bytes <= facts.total_bytes);
    assert_int_equal(osl_memory_reserve(facts.total_bytes * 2, true, &memory, &error), OSL_MEMORY);
    assert_null(memory);
    assert_non_null(strstr(error.text, "available; close other programs"));
    assert_int_equal(osl_memory_reserve((uint64_t)1 << 62, false, &memory, &error), OSL_MEMORY);
    assert_int_equal(osl_memory_reserve(0, true, &memory, &error), OSL_ARGUMENT);
    assert_int_equal(osl_memory_reserve(UINT64_MAX, true, &memory, &error), OSL_ARGUMENT);
}

/* ---- Log, clock, errors ------------------------------------------------------------------ */

static uint32_t sink_lines;
static char sink_last[OSL_LOG_LINE_BYTES];
static void sink(void *context, enum osl_log_level level, const char *line)
{
    assert_ptr_equal(context, &sink_lines);
    assert_true(level >= OSL_LOG_WARN);
    sink_lines++;
    snprintf(sink_last, sizeof sink_last, "%s", line);
}

static void log_keeps_the_last_lines(void **state)
{
    (void)state;
    enum osl_log_level level;
    char line[OSL_LOG_LINE_BYTES];
    char wide[OSL_LOG_LINE_BYTES * 2];
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    assert_false(osl_log_line(0, &level, line));
    osl_log_set_sink(sink, &sink_lines, OSL_LOG_WARN);
    for (int i = 0; i < OSL_LOG_RING_LINES + 10; i++) {
        osl_log(i % 2 ? OSL_LOG_WARN : OSL_LOG_INFO, "line %d", i);
    }
    assert_int_equal(sink_lines, (OSL_LOG_RING_LINES + 10) / 2);
    assert_true(osl_log_line(0, &level, line));
    assert_string_equal(line, "line 10");
    assert_int_equal(level, OSL_LOG_INFO);
    assert_true(osl_log_line(OSL_LOG_RING_LINES - 1, &level, line));
    assert_string_equal(line, "line 265");
    assert_false(osl_log_line(OSL_LOG_RING_LINES, &level, line));
    osl_log(OSL_LOG_ERROR, "%s", wide);
    assert_int_equal(strlen(sink_last), OSL_LOG_LINE_BYTES - 1);
    osl_log(OSL_LOG_ERROR, "two\nlines\x1b[2J");
    assert_string_equal(sink_last, "two?lines?[2J");
    osl_log_set_sink(NULL, NULL, OSL_LOG_DEBUG);
    osl_log(OSL_LOG_ERROR, "unseen");
    assert_string_equal(sink_last, "two?lines?[2J");
}

static void clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = osl_clock_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = osl_clock_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void errors_are_one_line_and_cut(void **state)
{
    (void)state;
    struct osl_error error;
    char wide[2 * OSL_ERROR_TEXT_BYTES];
    memset(wide, 'e', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    assert_int_equal(osl_fail(&error, OSL_IO, "%s", wide), OSL_IO);
    assert_int_equal(strlen(error.text), OSL_ERROR_TEXT_BYTES - 1);
    assert_int_equal(osl_fail(&error, OSL_FORMAT, "a\nb"), OSL_FORMAT);
    assert_string_equal(error.text, "a?b");
    assert_int_equal(osl_fail(NULL, OSL_FORMAT, "a"), OSL_FORMAT);
}

int main(void)
{
#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, root_make, root_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_lists_parse),
        WITH_ROOT(cores_of_big_little_are_the_big_ones),
        WITH_ROOT(cores_of_three_clusters_leave_out_the_slowest),
        WITH_ROOT(cores_with_siblings_get_one_thread),
        WITH_ROOT(cores_of_hybrid_x86_are_the_fast_ones),
        WITH_ROOT(cores_without_sysfs_are_all_allowed),
        cmocka_unit_test(threads_recommended_are_possible),
        WITH_ROOT(cgroup_v2_takes_the_tightest_of_all_parents),
        WITH_ROOT(cgroup_v1_limits_are_found),
        WITH_ROOT(cgroup_of_a_container_is_its_mount),
        WITH_ROOT(cgroup_absent_means_no_limit),
        WITH_ROOT(lines_longer_than_the_buffer_are_skipped),
        cmocka_unit_test(memory_is_aligned_zeroed_and_present),
        cmocka_unit_test(memory_beyond_the_machine_is_refused),
        cmocka_unit_test(log_keeps_the_last_lines),
        cmocka_unit_test(clock_never_goes_back),
        cmocka_unit_test(errors_are_one_line_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
