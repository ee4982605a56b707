/* What this machine is, as far as choosing a profile goes. Read once, from /proc and /sys. */
#ifndef OSL_HOST_MACHINE_H
#define OSL_HOST_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define OSL_MACHINE_GPUS_MAX 8
#define OSL_MACHINE_TEXT_BYTES 512

struct osl_machine {
    char arch[32];         /* as uname says it: x86_64, aarch64 */
    uint64_t memory_bytes; /* physical, or the cgroup's limit if that is smaller; 0: unknown */
    struct {
        uint16_t vendor; /* PCI id: 0x1002 AMD, 0x8086 Intel, 0x10de NVIDIA; 0 on no PCI bus */
        bool discrete;
    } gpus[OSL_MACHINE_GPUS_MAX];
    uint32_t gpu_count;
    char device_tree[OSL_MACHINE_TEXT_BYTES]; /* model, then compatible names, blank between */
};

/* root: "" for this machine; tests give a folder that holds proc/ and sys/. What can not be read
 * stays empty. */
void osl_machine_read(const char *root, struct osl_machine *machine_out);

#endif
