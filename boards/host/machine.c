/* What this machine is: memory, GPUs on the PCI bus, device tree. */
#include "machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PATH_BYTES 1024
#define FILE_BYTES 4096
#define PCI_DEVICES_MAX 1024
#define PCI_CLASS_DISPLAY 0x03
#define PCI_CLASS_ENCRYPTION 0x1080
#define PCI_VENDOR_AMD 0x1002
#define PCI_VENDOR_INTEL 0x8086
#define CGROUP_LEVELS_MAX 64

/* Reads at most `capacity - 1` bytes of root/path; returns how many, terminated. */
static size_t read_small(const char *root, const char *path, char *out, size_t capacity)
{
    char full[PATH_BYTES];
    out[0] = '\0';
    if (snprintf(full, sizeof full, "%s%s", root, path) >= (int)sizeof full) {
        return 0;
    }
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t got = read(fd, out, capacity - 1);
    close(fd);
    out[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

static uint64_t read_number(const char *root, const char *path, int base)
{
    char text[64];
    char *end;
    read_small(root, path, text, sizeof text);
    unsigned long long value = strtoull(text, &end, base);
    return end == text ? 0 : value;
}

/* The smallest limit of a cgroup and its ancestors: `path` is cut at its last '/' step by step. */
static uint64_t cgroup_limit(const char *root, const char *mount, const char *file, char *path)
{
    uint64_t least = UINT64_MAX;
    for (int level = 0; level < CGROUP_LEVELS_MAX; level++) {
        char name[PATH_BYTES];
        if (snprintf(name, sizeof name, "%s%s/%s", mount, path, file) < (int)sizeof name) {
            uint64_t limit = read_number(root, name, 10); /* "max" reads as 0: no limit */
            least = limit > 0 && limit < least ? limit : least;
        }
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            break;
        }
        *slash = '\0';
    }
    return least;
}

static uint64_t memory_bytes(const char *root)
{
    char text[FILE_BYTES];
    uint64_t total = 0;
    read_small(root, "/proc/meminfo", text, sizeof text);
    const char *line = strstr(text, "MemTotal:");
    if (line != NULL) {
        total = strtoull(line + strlen("MemTotal:"), NULL, 10) * 1024;
    }
    read_small(root, "/proc/self/cgroup", text, sizeof text);
    char *rest = NULL;
    for (char *at = strtok_r(text, "\n", &rest); at != NULL; at = strtok_r(NULL, "\n", &rest)) {
        char *path = strrchr(at, ':');
        uint64_t limit = UINT64_MAX;
        if (path != NULL && strncmp(at, "0::", 3) == 0) {
            limit = cgroup_limit(root, "/sys/fs/cgroup", "memory.max", path + 1);
        } else if (path != NULL && strstr(at, ":memory:") != NULL) {
            limit = cgroup_limit(root, "/sys/fs/cgroup/memory", "memory.limit_in_bytes", path + 1);
        }
        total = limit < total ? limit : total;
    }
    return total;
}

/* An AMD GPU inside a processor shares its PCI slot with the processor's encryption controller;
 * a card does not. Names are like 0000:c1:00.0: the slot is what comes before the dot. */
static bool slot_has_encryption(const char *root, const char *device)
{
    size_t slot = strcspn(device, ".");
    for (int function = 0; function < 8; function++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%.*s.%d/class", (int)slot, device,
                 function);
        if (read_number(root, path, 16) >> 8 == PCI_CLASS_ENCRYPTION) {
            return true;
        }
    }
    return false;
}

static bool is_discrete(const char *root, const char *device, uint16_t vendor)
{
    if (vendor == PCI_VENDOR_AMD) {
        return !slot_has_encryption(root, device);
    }
    if (vendor == PCI_VENDOR_INTEL) {
        return strncmp(device, "0000:00:", 8) != 0; /* the processor's own sits on bus 0 */
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void find_gpus(const char *root, struct osl_machine *machine)
{
    static char names[PCI_DEVICES_MAX][16];
    char path[PATH_BYTES];
    uint32_t count = 0;
    snprintf(path, sizeof path, "%s/sys/bus/pci/devices", root);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL && count < PCI_DEVICES_MAX;
         entry = readdir(folder)) {
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < sizeof names[0]) {
            strcpy(names[count++], entry->d_name);
        }
    }
    closedir(folder);
    qsort(names, count, sizeof names[0], by_name);
    for (uint32_t i = 0; i < count && machine->gpu_count < OSL_MACHINE_GPUS_MAX; i++) {
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%.15s/class", names[i]);
        if (read_number(root, path, 16) >> 16 != PCI_CLASS_DISPLAY) {
            continue;
        }
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%.15s/vendor", names[i]);
        uint16_t vendor = (uint16_t)read_number(root, path, 16);
        machine->gpus[machine->gpu_count].vendor = vendor;
        machine->gpus[machine->gpu_count].discrete = is_discrete(root, names[i], vendor);
        machine->gpu_count++;
    }
}

/* Device tree strings end in zero bytes, several in "compatible": blanks take their place. */
static void read_device_tree(const char *root, char out[OSL_MACHINE_TEXT_BYTES])
{
    size_t used = read_small(root, "/proc/device-tree/model", out, OSL_MACHINE_TEXT_BYTES);
    if (used > 0 && used + 2 < OSL_MACHINE_TEXT_BYTES) {
        used += read_small(root, "/proc/device-tree/compatible", out + used,
                           OSL_MACHINE_TEXT_BYTES - used);
    }
    for (size_t i = 0; i < used; i++) {
        out[i] = out[i] == '\0' ? ' ' : out[i];
    }
    out[used] = '\0';
}

void osl_machine_read(const char *root, struct osl_machine *machine_out)
{
    struct utsname name;
    memset(machine_out, 0, sizeof *machine_out);
    if (uname(&name) == 0) {
        snprintf(machine_out->arch, sizeof machine_out->arch, "%.31s", name.machine);
    }
    machine_out->memory_bytes = memory_bytes(root);
    find_gpus(root, machine_out);
    read_device_tree(root, machine_out->device_tree);
}
