/* Stands between compute/vulkan/ and the driver: give fault_shim_entry as osl_vk_open's entry.
 *
 * Every call of vk.h's table is counted. The n-th of them, or the n-th of one entry point, can be
 * made to fail without reaching the driver; a lost device stays lost, as a real one does, until it
 * is destroyed. What is created and destroyed is kept in a list, so that leaks and destroying what
 * is not there show. Outputs that the specification leaves undefined on failure are filled with
 * poison. For one thread and one process; a new call in vk.h's table needs a line in fault_shim.c.
 */
#ifndef FAULT_SHIM_H
#define FAULT_SHIM_H

#include "compute/vulkan/vk.h"

/* Opens libvulkan.so.1 and forgets everything of before; false where there is none. */
bool fault_shim_open(void);

/* vkGetInstanceProcAddr as the shim gives it. */
PFN_vkVoidFunction fault_shim_entry(void *instance, const char *name);

/* ---- Faults ------------------------------------------------------------------------------- */

/* From now on the nth call (1: the next) of an entry point ("QueueSubmit"; NULL: of any that
 * returns a VkResult) gives `result` instead of being made. VK_ERROR_DEVICE_LOST: so does every
 * later call on that device that the specification lets say so. VK_TIMEOUT, of a wait only; with
 * `stays`, every later wait on that device too, as on a device that hangs. With `stays` and any
 * other result every later call of the entry point fails as well. One fault at a time. */
void fault_shim_arm(const char *entry, uint32_t nth, VkResult result, bool stays);
void fault_shim_disarm(void);
/* The call was reached and has failed. */
bool fault_shim_fired(void);
/* Its entry point: "QueueSubmit", or NULL. */
const char *fault_shim_fired_entry(void);

/* May the entry point give this result, by the specification (1.3, return codes)? */
bool fault_shim_legal(const char *entry, VkResult result);

/* Breaks an embedded shader from now on: its module is made with sums of floats turned into
 * products, products into sums, "less" into "greater". Valid SPIR-V, wrong results. false: there is
 * nothing to turn. */
bool fault_shim_corrupt(const struct osl_vk_shader *shader);

/* ---- What was seen ------------------------------------------------------------------------ */

struct fault_shim_seen {
    uint32_t results;   /* calls that return a VkResult: the sites where a fault can be */
    uint32_t making;    /* calls that make, bind, map or destroy, or ask what there is */
    uint32_t recording; /* calls that fill a command buffer made before */
    uint32_t submits;
    uint32_t live;      /* objects made and not destroyed */
    uint32_t leaked;    /* objects still there when their device or instance was destroyed */
    uint32_t strange;   /* destroyed what was not there, or used a device destroyed before */
    uint32_t corrupted; /* modules made that were broken on purpose */
    uint64_t memory_bytes, memory_bytes_max; /* of device memory, all devices */
};
void fault_shim_look(struct fault_shim_seen *out);
/* Zeroes the counts of calls (not the objects), so that sites are numbered from here. */
void fault_shim_recount(void);

/* Entry points in the table's order, those that return a VkResult; NULL at the end. */
const char *fault_shim_site(uint32_t index);
/* Calls of an entry point since the last recount. */
uint32_t fault_shim_calls(const char *entry);
/* For a failing test: prints the calls since the last recount, or what is live, a line a kind. */
void fault_shim_print_calls(void);
void fault_shim_print_live(void);

#endif
