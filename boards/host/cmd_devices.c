/* ossicle devices: what a model can run on here, and what would make it serve better. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "machine.h"
#include "out.h"

#define VENDOR_AMD 0x1002
#define VENDOR_INTEL 0x8086
#define VENDOR_NVIDIA 0x10de
#define HINT_BYTES 320

struct devices {
    struct ossicle_cpu_facts cpu;
    struct osl_machine machine;
    struct ossicle_device_facts vulkan[OSSICLE_DEVICES_MAX];
    uint32_t count;
    char missing[OSSICLE_ERROR_BYTES]; /* what Vulkan lacks; "": nothing */
};

/* The first GPU on the PCI bus that has a Vulkan driver somewhere, NULL if there is none: name,
 * and Debian's package. */
static const char *gpu_on_bus(const struct osl_machine *machine, const char **package_out)
{
    static const struct {
        uint16_t vendor;
        const char *name, *package;
    } makers[] = {{VENDOR_AMD, "AMD", "mesa-vulkan-drivers"},
                  {VENDOR_INTEL, "Intel", "mesa-vulkan-drivers"},
                  {VENDOR_NVIDIA, "NVIDIA", "nvidia-vulkan-icd"}};
    for (uint32_t g = 0; g < machine->gpu_count; g++) {
        for (size_t m = 0; m < sizeof makers / sizeof makers[0]; m++) {
            if (machine->gpus[g].vendor == makers[m].vendor) {
                *package_out = makers[m].package;
                return makers[m].name;
            }
        }
    }
    return NULL;
}

static bool has_real_gpu(const struct devices *devices)
{
    for (uint32_t d = 0; d < devices->count; d++) {
        if (devices->vulkan[d].usable && strcmp(devices->vulkan[d].type, "software") != 0) {
            return true;
        }
    }
    return false;
}

/* What is missing and what to install, as one line each on stderr. */
static void tell_missing(const struct devices *devices)
{
    const char *package = "";
    const char *maker = gpu_on_bus(&devices->machine, &package);
    if (devices->missing[0] != '\0') {
        osl_complain("only the CPU: %s", devices->missing);
    }
    if (maker != NULL && !has_real_gpu(devices)) {
        osl_complain("this machine has a GPU of %s that Vulkan does not show: install its driver "
                     "(Debian: %s), and see that this user may open /dev/dri (group render)",
                     maker, package);
    }
}

static void print_heap(const struct ossicle_heap *heap, uint32_t index, bool unified)
{
    char size[OSL_SIZE_TEXT_BYTES];
    char budget[OSL_SIZE_TEXT_BYTES];
    osl_out_format("  heap %u    %s, %s to be had, %s%s\n", index, osl_size_text(heap->bytes, size),
                   osl_size_text(heap->budget_bytes, budget),
                   unified              ? "shared with the machine"
                   : heap->device_local ? "the device's own"
                                        : "the machine's",
                   heap->device_local && !unified
                       ? heap->host_visible ? ", all within the CPU's reach" : ", by way of staging"
                       : "");
}

static void print_device(const struct ossicle_device_facts *facts)
{
    osl_out_format("\nvulkan:%-3u %s\n  type      %s\n  driver    %s\n", facts->index, facts->name,
                   facts->type, facts->driver);
    if (facts->usable) {
        osl_out_format("  usable    yes%s\n", strcmp(facts->type, "software") == 0
                                                  ? ", though --device auto takes the CPU before it"
                                                  : "");
    } else {
        osl_out_format("  usable    no: %s\n", facts->refusal);
    }
    osl_out_format("  tier      %s reported, %s%s\n", facts->tier,
                   facts->tier_kept[0] != '\0' ? facts->tier_kept : "none tested yet",
                   facts->tier_kept[0] != '\0' ? " proved right" : "");
    osl_out_format("  subgroup  %u\n", facts->subgroup_size);
    for (uint32_t h = 0; h < facts->heap_count; h++) {
        print_heap(&facts->heaps[h], h, facts->unified);
    }
    for (uint32_t a = 0; a < facts->advice_count; a++) {
        osl_out_format("  advice    %s\n", facts->advice[a]);
    }
}

static void print_table(const struct devices *devices)
{
    char size[OSL_SIZE_TEXT_BYTES];
    osl_out_format("cpu        %s kernels, %u threads, %s of memory\n", devices->cpu.level,
                   devices->cpu.threads, osl_size_text(devices->machine.memory_bytes, size));
    for (uint32_t d = 0; d < devices->count; d++) {
        print_device(&devices->vulkan[d]);
    }
}

static void put_text(const char *key, const char *text)
{
    osl_out_format(", \"%s\": ", key);
    osl_out_json_text(text);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void print_json_device(const struct ossicle_device_facts *facts)
{
    osl_out_format("{\"device\": \"vulkan:%u\", \"index\": %u", facts->index, facts->index);
    put_text("name", facts->name);
    put_text("type", facts->type);
    put_text("driver", facts->driver);
    osl_out_format(", \"usable\": %s", truth(facts->usable));
    put_text("refusal", facts->refusal);
    put_text("tier", facts->tier);
    put_text("tier_kept", facts->tier_kept);
    osl_out_format(", \"unified\": %s, \"subgroup_size\": %u, \"heaps\": [", truth(facts->unified),
                   facts->subgroup_size);
    for (uint32_t h = 0; h < facts->heap_count; h++) {
        const struct ossicle_heap *heap = &facts->heaps[h];
        osl_out_format("%s{\"bytes\": %llu, \"budget_bytes\": %llu, \"device_local\": %s, "
                       "\"host_visible\": %s}",
                       h > 0 ? ", " : "", (unsigned long long)heap->bytes,
                       (unsigned long long)heap->budget_bytes, truth(heap->device_local),
                       truth(heap->host_visible));
    }
    osl_out_text("], \"advice\": [");
    for (uint32_t a = 0; a < facts->advice_count; a++) {
        osl_out_text(a > 0 ? ", " : "");
        osl_out_json_text(facts->advice[a]);
    }
    osl_out_text("]}");
}

static void print_json(const struct devices *devices)
{
    osl_out_text("{\"cpu\": {\"level\": ");
    osl_out_json_text(devices->cpu.level);
    osl_out_format(", \"threads\": %u, \"memory_bytes\": %llu}, \"vulkan\": [",
                   devices->cpu.threads, (unsigned long long)devices->machine.memory_bytes);
    for (uint32_t d = 0; d < devices->count; d++) {
        osl_out_text(d > 0 ? ", " : "");
        print_json_device(&devices->vulkan[d]);
    }
    osl_out_text("], \"missing\": ");
    osl_out_json_text(devices->missing);
    osl_out_text("}\n");
}

static enum ossicle_status run(const struct osl_args *args)
{
    static struct devices devices;
    struct ossicle_config config;
    struct ossicle_error error = {0};
    osl_device_configure(args, &config);
    ossicle_cpu(&devices.cpu);
    osl_machine_read("", &devices.machine);
    enum ossicle_status status = ossicle_devices(&config, devices.vulkan, &devices.count, &error);
    if (status != OSSICLE_OK) {
        devices.count = 0;
        snprintf(devices.missing, sizeof devices.missing, "%s", error.text);
    }
    if (args->json) {
        print_json(&devices);
    } else {
        print_table(&devices);
    }
    osl_out_flush();
    tell_missing(&devices);
    /* Without Vulkan there still is the CPU: that is a list too, and no failure. */
    return status == OSSICLE_UNSUPPORTED ? OSSICLE_OK : status;
}

const struct osl_command osl_cmd_devices = {
    .name = "devices",
    .bit = OSL_CMD_DEVICES,
    .usage = "devices [--json]",
    .summary = "what a model can run on here: the CPU and each Vulkan device",
    .help =
        "Lists the CPU and, for each Vulkan device, what --device calls it, type, driver, whether\n"
        "it serves, the highest tier of shaders it reports and the one that proved right before,\n"
        "its memory heaps with what may be taken of them now, and what would make it serve "
        "better.\n"
        "Where Vulkan or a driver is missing, stderr says what to install; exit code 0 all the\n"
        "same. --json has cpu {level, threads, memory_bytes}, vulkan [{device, name, ...}] and\n"
        "missing, which is empty where nothing is.\n",
    .run = run,
};
