/* Limits set by control groups, version 1 and 2, as containers and service managers set them.
 * Source: the kernel's admin guide, cgroup-v1/memory and cgroup-v2; proc(5) for mountinfo. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define CGROUP_PATH_BYTES 1024
#define FOLDER_BYTES (2 * CGROUP_PATH_BYTES)
#define FILE_BYTES (FOLDER_BYTES + 64)
#define CGROUP_DEPTH_MAX 32

enum controller { CONTROLLER_V2, CONTROLLER_MEMORY, CONTROLLER_CPU, CONTROLLER_COUNT };

/* Where a hierarchy is mounted, which part of it the mount shows, and our group in it. */
struct hierarchy {
    char mount[CGROUP_PATH_BYTES];
    char shown[CGROUP_PATH_BYTES];
    char group[CGROUP_PATH_BYTES];
    bool mounted;
    bool member;
};

/* Whether a comma-separated list holds a word. */
static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static void note_mount(struct hierarchy *hierarchy, const char *shown, const char *mount)
{
    if (!hierarchy->mounted) { /* the first one; others are the same tree again */
        hierarchy->mounted = true;
        snprintf(hierarchy->mount, sizeof hierarchy->mount, "%s", mount);
        snprintf(hierarchy->shown, sizeof hierarchy->shown, "%s", shown);
    }
}

static void find_mounts(const char *root, struct hierarchy found[CONTROLLER_COUNT])
{
    struct osl_lines lines;
    if (!osl_lines_open(&lines, root, "/proc/self/mountinfo")) {
        return;
    }
    for (const char *line; (line = osl_lines_next(&lines)) != NULL;) {
        char shown[CGROUP_PATH_BYTES];
        char mount[CGROUP_PATH_BYTES];
        char type[32];
        char options[256];
        const char *dash = strstr(line, " - ");
        if (dash == NULL || sscanf(line, "%*d %*d %*s %1023s %1023s", shown, mount) != 2 ||
            sscanf(dash, " - %31s %*s %255s", type, options) != 2) {
            continue;
        }
        if (strcmp(type, "cgroup2") == 0) {
            note_mount(&found[CONTROLLER_V2], shown, mount);
        } else if (strcmp(type, "cgroup") == 0 && list_has(options, "memory")) {
            note_mount(&found[CONTROLLER_MEMORY], shown, mount);
        }
        if (strcmp(type, "cgroup") == 0 && list_has(options, "cpu")) {
            note_mount(&found[CONTROLLER_CPU], shown, mount);
        }
    }
    osl_lines_close(&lines);
}

/* Lines of /proc/self/cgroup: "id:controllers:path", controllers empty for version 2. */
static void find_groups(const char *root, struct hierarchy found[CONTROLLER_COUNT])
{
    struct osl_lines lines;
    if (!osl_lines_open(&lines, root, "/proc/self/cgroup")) {
        return;
    }
    for (const char *line; (line = osl_lines_next(&lines)) != NULL;) {
        const char *names = strchr(line, ':');
        const char *path = names == NULL ? NULL : strchr(names + 1, ':');
        if (path == NULL) {
            continue;
        }
        char list[256];
        snprintf(list, sizeof list, "%.*s", (int)(path - names - 1), names + 1);
        for (int i = 0; i < CONTROLLER_COUNT; i++) {
            bool ours = i == CONTROLLER_V2       ? list[0] == '\0'
                        : i == CONTROLLER_MEMORY ? list_has(list, "memory")
                                                 : list_has(list, "cpu");
            if (ours) {
                found[i].member = true;
                snprintf(found[i].group, sizeof found[i].group, "%s", path + 1);
            }
        }
    }
    osl_lines_close(&lines);
}

/* The folder of our group below its mount. A container often sees only its own part of the tree,
 * or a path that means nothing inside: then the mount itself is our group. */
static void group_folder(const char *root, const struct hierarchy *hierarchy,
                         char out[FOLDER_BYTES])
{
    const char *rest = hierarchy->group;
    size_t shown_length = strlen(hierarchy->shown);
    if (strcmp(hierarchy->shown, "/") != 0) {
        rest = strncmp(rest, hierarchy->shown, shown_length) == 0 ? rest + shown_length : "";
    }
    if (strcmp(rest, "/") == 0 || strstr(rest, "..") != NULL) {
        rest = "";
    }
    char probe[FILE_BYTES];
    struct osl_lines lines = {.handle = -1};
    if (!osl_host_join(out, FOLDER_BYTES, hierarchy->mount, rest) ||
        !osl_host_join(probe, sizeof probe, out, "/cgroup.procs") ||
        !osl_lines_open(&lines, root, probe)) {
        (void)osl_host_join(out, FOLDER_BYTES, hierarchy->mount, "");
    }
    osl_lines_close(&lines);
}

static bool group_number(const char *root, const char *folder, const char *name, uint64_t *out)
{
    char path[FILE_BYTES];
    return osl_host_join(path, sizeof path, folder, name) && osl_host_number(root, path, out);
}

/* File cache of the group: counted as used, but given back when memory runs short. */
static uint64_t group_cache_bytes(const char *root, const char *folder, bool v2)
{
    char path[FILE_BYTES];
    struct osl_lines lines;
    uint64_t sum = 0;
    if (!osl_host_join(path, sizeof path, folder, "/memory.stat") ||
        !osl_lines_open(&lines, root, path)) {
        return 0;
    }
    for (const char *line; (line = osl_lines_next(&lines)) != NULL;) {
        char key[48];
        unsigned long long value = 0;
        if (sscanf(line, "%47s %llu", key, &value) != 2) {
            continue;
        }
        const char *name = key;
        if (!v2) { /* the total_ keys include the groups below, as usage does */
            if (strncmp(key, "total_", 6) != 0) {
                continue;
            }
            name = key + 6;
        }
        if (strcmp(name, "active_file") == 0 || strcmp(name, "inactive_file") == 0) {
            sum += value;
        }
    }
    osl_lines_close(&lines);
    return sum;
}

static void group_memory(const char *root, const char *folder, bool v2,
                         struct osl_cgroup_facts *facts)
{
    uint64_t limit = UINT64_MAX;
    uint64_t high = UINT64_MAX;
    (void)group_number(root, folder, v2 ? "/memory.max" : "/memory.limit_in_bytes", &limit);
    if (v2 && group_number(root, folder, "/memory.high", &high) && high < limit) {
        limit = high; /* above it the kernel slows us down to a crawl */
    }
    if (limit >= (uint64_t)1 << 60) {
        return; /* version 1 writes "none" as a huge number */
    }
    uint64_t used = 0;
    (void)group_number(root, folder, v2 ? "/memory.current" : "/memory.usage_in_bytes", &used);
    uint64_t cache = group_cache_bytes(root, folder, v2);
    used = used > cache ? used - cache : 0;
    uint64_t room = limit > used ? limit - used : 0;
    facts->memory_limit_bytes =
        limit < facts->memory_limit_bytes ? limit : facts->memory_limit_bytes;
    facts->memory_available_bytes =
        room < facts->memory_available_bytes ? room : facts->memory_available_bytes;
}

static void group_cpu(const char *root, const char *folder, bool v2, struct osl_cgroup_facts *facts)
{
    unsigned long long quota = 0;
    unsigned long long period = 0;
    if (v2) {
        char path[FILE_BYTES];
        char line[64];
        if (!osl_host_join(path, sizeof path, folder, "/cpu.max") ||
            !osl_host_line(root, path, line, sizeof line) ||
            sscanf(line, "%llu %llu", &quota, &period) != 2) {
            return; /* "max 100000": no limit */
        }
    } else {
        uint64_t quota_us = 0;
        uint64_t period_us = 0;
        if (!group_number(root, folder, "/cpu.cfs_quota_us", &quota_us) ||
            !group_number(root, folder, "/cpu.cfs_period_us", &period_us)) {
            return; /* "-1": no limit */
        }
        quota = quota_us;
        period = period_us;
    }
    if (period == 0 || quota == 0) {
        return;
    }
    /* Rounded down: a thread more than the quota pays for stalls the whole team. */
    uint64_t whole = quota / period;
    uint32_t cpus = whole < 1 ? 1 : whole > OSL_HOST_CPUS_MAX ? OSL_HOST_CPUS_MAX : (uint32_t)whole;
    facts->cpu_quota = cpus < facts->cpu_quota ? cpus : facts->cpu_quota;
}

void osl_host_cgroup(const char *root, struct osl_cgroup_facts *facts_out)
{
    struct hierarchy found[CONTROLLER_COUNT];
    memset(found, 0, sizeof found);
    *facts_out = (struct osl_cgroup_facts){UINT64_MAX, UINT64_MAX, UINT32_MAX};
    find_mounts(root, found);
    find_groups(root, found);
    for (int i = 0; i < CONTROLLER_COUNT; i++) {
        if (!found[i].mounted || !found[i].member) {
            continue;
        }
        char folder[FOLDER_BYTES];
        group_folder(root, &found[i], folder);
        size_t mount_length = strlen(found[i].mount);
        for (int depth = 0; depth < CGROUP_DEPTH_MAX; depth++) {
            if (i != CONTROLLER_CPU) {
                group_memory(root, folder, i == CONTROLLER_V2, facts_out);
            }
            if (i != CONTROLLER_MEMORY) {
                group_cpu(root, folder, i == CONTROLLER_V2, facts_out);
            }
            char *slash = strrchr(folder, '/');
            if (slash == NULL || (size_t)(slash - folder) < mount_length) {
                break;
            }
            *slash = '\0';
        }
    }
}
