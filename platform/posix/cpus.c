/* Which CPUs deserve a thread. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

uint32_t osl_cpu_count(const struct osl_cpu_set *set)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < OSL_HOST_CPUS_MAX / 64; i++) {
        count += (uint32_t)__builtin_popcountll(set->bits[i]);
    }
    return count;
}

void osl_cpu_parse(struct osl_cpu_set *set_out, const char *list)
{
    memset(set_out, 0, sizeof *set_out);
    const char *at = list;
    while (*at >= '0' && *at <= '9') {
        char *end = NULL;
        unsigned long first = strtoul(at, &end, 10);
        unsigned long last = first;
        if (*end == '-') {
            last = strtoul(end + 1, &end, 10);
        }
        for (unsigned long cpu = first; cpu <= last && cpu < OSL_HOST_CPUS_MAX; cpu++) {
            osl_cpu_add(set_out, (uint32_t)cpu);
        }
        at = *end == ',' ? end + 1 : end;
    }
}

void osl_host_affinity(struct osl_cpu_set *set_out)
{
    memset(set_out, 0, sizeof *set_out);
    cpu_set_t mask;
    CPU_ZERO(&mask);
    /* Fails on a machine of more than CPU_SETSIZE (1,024) CPUs; we use the ones it can name. */
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
        for (uint32_t cpu = 0; cpu < OSL_HOST_CPUS_MAX && cpu < CPU_SETSIZE; cpu++) {
            if (CPU_ISSET(cpu, &mask)) {
                osl_cpu_add(set_out, cpu);
            }
        }
    }
    if (osl_cpu_count(set_out) == 0) {
        osl_cpu_add(set_out, 0);
    }
}

static uint64_t cpu_capacity(const char *root, uint32_t cpu)
{
    char path[96];
    uint64_t capacity = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/cpu_capacity", cpu);
    return osl_host_number(root, path, &capacity) ? capacity : 0;
}

/* ARM kernels (and recent x86 ones) rate each CPU, 1,024 for the fastest. Below two thirds it
 * would only hold the team up at barriers: a Cortex-A55 beside a Cortex-A76 has 530, the middle
 * cores of phones 800 and more. Older x86 kernels instead list the fast CPUs of a mixed machine. */
void osl_host_fast_cpus(const char *root, const struct osl_cpu_set *allowed,
                        struct osl_cpu_set *fast_out)
{
    char list[OSL_HOST_LINE_BYTES];
    struct osl_cpu_set core;
    uint64_t capacity_max = 0;
    memset(fast_out, 0, sizeof *fast_out);
    memset(&core, 0xff, sizeof core);
    if (osl_host_line(root, "/sys/devices/cpu_core/cpus", list, sizeof list)) {
        osl_cpu_parse(&core, list);
    }
    for (uint32_t cpu = 0; cpu < OSL_HOST_CPUS_MAX; cpu++) {
        if (osl_cpu_has(allowed, cpu)) {
            uint64_t capacity = cpu_capacity(root, cpu);
            capacity_max = capacity > capacity_max ? capacity : capacity_max;
        }
    }
    for (uint32_t cpu = 0; cpu < OSL_HOST_CPUS_MAX; cpu++) {
        if (osl_cpu_has(allowed, cpu) && osl_cpu_has(&core, cpu) &&
            cpu_capacity(root, cpu) * 3 >= capacity_max * 2) {
            osl_cpu_add(fast_out, cpu);
        }
    }
    if (osl_cpu_count(fast_out) == 0) {
        *fast_out = *allowed; /* we were given the slow ones only */
    }
}

void osl_host_cores(const char *root, const struct osl_cpu_set *allowed,
                    struct osl_cpu_set *cores_out)
{
    struct osl_cpu_set fast;
    struct osl_cpu_set covered;
    memset(cores_out, 0, sizeof *cores_out);
    memset(&covered, 0, sizeof covered);
    osl_host_fast_cpus(root, allowed, &fast);
    for (uint32_t cpu = 0; cpu < OSL_HOST_CPUS_MAX; cpu++) {
        if (!osl_cpu_has(&fast, cpu) || osl_cpu_has(&covered, cpu)) {
            continue; /* a sibling of this one has a thread already */
        }
        osl_cpu_add(cores_out, cpu);
        char path[96];
        char list[OSL_HOST_LINE_BYTES];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                 cpu);
        if (osl_host_line(root, path, list, sizeof list)) {
            struct osl_cpu_set siblings;
            osl_cpu_parse(&siblings, list);
            for (uint32_t i = 0; i < OSL_HOST_CPUS_MAX / 64; i++) {
                covered.bits[i] |= siblings.bits[i];
            }
        }
    }
}

uint32_t osl_threads_recommended(void)
{
    struct osl_cpu_set allowed;
    struct osl_cpu_set cores;
    struct osl_cgroup_facts limits;
    osl_host_affinity(&allowed);
    osl_host_cores("", &allowed, &cores);
    osl_host_cgroup("", &limits);
    uint32_t count = osl_cpu_count(&cores);
    count = count < limits.cpu_quota ? count : limits.cpu_quota;
    count = count < OSL_THREADS_MAX ? count : OSL_THREADS_MAX;
    return count > 0 ? count : 1;
}
