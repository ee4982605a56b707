/* Inside the POSIX port only: facts of the machine read from /proc and /sys. Every function takes
 * the root under which those trees are found ("" for the real ones), so that tests can show it
 * machines that are not here. Nothing allocates. */
#ifndef OSL_HOST_H
#define OSL_HOST_H

#include <signal.h>
#include <sys/stat.h>

#include "platform/platform.h"

#define OSL_HOST_CPUS_MAX 1024
#define OSL_HOST_LINE_BYTES 4096

/* Of a thread that we start, in memory of the caller's. Frames of the kernels stay below 64 KiB;
 * the rest is for thread-local storage, which glibc puts on the stack, and for signal frames with
 * AVX-512 state. Sanitizers put their own state there. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define OSL_STACK_BYTES ((uint64_t)2 << 20)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define OSL_STACK_BYTES ((uint64_t)2 << 20)
#endif
#endif
#ifndef OSL_STACK_BYTES
#define OSL_STACK_BYTES ((uint64_t)256 << 10)
#endif

/* The signals that our threads leave to the caller's: Ctrl-C must not land in the middle of a
 * kernel. Not those that a thread's own instructions raise, which would end the process. */
void osl_host_worker_signals(sigset_t *blocked_out);

static inline uint64_t osl_file_modified_ns(const struct stat *facts)
{
    return (uint64_t)facts->st_mtim.tv_sec * 1000000000u + (uint64_t)facts->st_mtim.tv_nsec;
}

/* guard.c: a map whose unreadable pages become zeros instead of ending the process. add returns 0
 * where there is no slot left; 0 is fine for the others. lost: the first byte, counted from the
 * map's begin, of the first page that turned to zeros. */
uint32_t osl_guard_add(const void *begin, uint64_t bytes);
void osl_guard_remove(uint32_t guard);
bool osl_guard_lost(uint32_t guard, uint64_t *at_out);

/* A set of logical CPUs. */
struct osl_cpu_set {
    uint64_t bits[OSL_HOST_CPUS_MAX / 64];
};
static inline bool osl_cpu_has(const struct osl_cpu_set *set, uint32_t cpu)
{
    return cpu < OSL_HOST_CPUS_MAX && (set->bits[cpu / 64] >> (cpu % 64) & 1) != 0;
}
static inline void osl_cpu_add(struct osl_cpu_set *set, uint32_t cpu)
{
    if (cpu < OSL_HOST_CPUS_MAX) {
        set->bits[cpu / 64] |= (uint64_t)1 << (cpu % 64);
    }
}
uint32_t osl_cpu_count(const struct osl_cpu_set *set);

/* Parses the kernel's list format, "0-3,8,10-11"; anything malformed ends the list. */
void osl_cpu_parse(struct osl_cpu_set *set_out, const char *list);

/* A text file read line by line; lines longer than the buffer are cut. */
struct osl_lines {
    int handle;
    uint32_t begin;
    uint32_t end;
    char buffer[OSL_HOST_LINE_BYTES];
};
bool osl_lines_open(struct osl_lines *lines, const char *root, const char *path);
/* The next line without its newline, NULL at the end. Valid until the next call. */
const char *osl_lines_next(struct osl_lines *lines);
void osl_lines_close(struct osl_lines *lines);

/* Writes a followed by b; false (and cut) when out is too small. */
bool osl_host_join(char *out, size_t out_bytes, const char *a, const char *b);

/* First line of a file; false when it cannot be read. */
bool osl_host_line(const char *root, const char *path, char *out, size_t out_bytes);
/* First line as a decimal number; false when it is none ("max"). */
bool osl_host_number(const char *root, const char *path, uint64_t *out);

/* Limits of the control groups this process is in, the tightest of each group and its parents. */
struct osl_cgroup_facts {
    uint64_t memory_limit_bytes;     /* UINT64_MAX: none */
    uint64_t memory_available_bytes; /* limit less use that cannot be reclaimed; UINT64_MAX: none */
    uint32_t cpu_quota;              /* whole CPUs, at least 1; UINT32_MAX: none */
};
void osl_host_cgroup(const char *root, struct osl_cgroup_facts *facts_out);

/* osl_memory_facts under another root. */
void osl_host_memory(const char *root, struct osl_memory_facts *facts_out);

/* The CPUs of `allowed` worth a thread of their own: the fast ones of a mixed machine, one of
 * each set of siblings. Quotas are not applied. Never empty unless `allowed` is. */
void osl_host_cores(const char *root, const struct osl_cpu_set *allowed,
                    struct osl_cpu_set *cores_out);

/* The fast CPUs of `allowed`, siblings included; all of them where CPUs are alike. */
void osl_host_fast_cpus(const char *root, const struct osl_cpu_set *allowed,
                        struct osl_cpu_set *fast_out);

/* CPUs the calling thread may run on. */
void osl_host_affinity(struct osl_cpu_set *set_out);

#endif
