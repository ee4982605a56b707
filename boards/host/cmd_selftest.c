/* ossicle selftest: every kernel and every shader against the plain C. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "out.h"

#define TIER_BYTES 16
#define TYPES 5
#define TYPES_REAL 3

struct checks {
    bool json;
    const char *device; /* "cpu" or "vulkan:N" */
    uint32_t count;
    uint32_t failed;
};

/* A Vulkan device under test. */
struct subject {
    struct ossicle_device_facts facts;
    char name[16]; /* "vulkan:N" */
    char tier[TIER_BYTES];
    enum ossicle_status status;
    struct ossicle_error error;
};

static void print_check(void *user, const char *text, bool pass)
{
    struct checks *checks = user;
    if (checks->json) {
        osl_out_text(checks->count > 0 ? ", {\"check\": " : "{\"check\": ");
        osl_out_json_text(text);
        osl_out_format(", \"device\": \"%s\", \"pass\": %s}", checks->device,
                       pass ? "true" : "false");
    } else {
        osl_out_format("%-4s  %s\n", pass ? "ok" : "FAIL", text);
        osl_out_flush();
    }
    checks->count++;
    checks->failed += !pass;
}

static uint64_t local_bytes(const struct ossicle_device_facts *facts)
{
    uint64_t most = 0;
    for (uint32_t h = 0; h < facts->heap_count; h++) {
        if (facts->heaps[h].device_local && facts->heaps[h].bytes > most) {
            most = facts->heaps[h].bytes;
        }
    }
    return most;
}

/* Place of a type in the order of preference, as the engine has it. */
static uint32_t rank_of(const char *type)
{
    static const char *const types[TYPES] = {"discrete", "integrated", "virtual", "software",
                                             "other"};
    uint32_t rank = 0;
    while (rank + 1 < TYPES && strcmp(type, types[rank]) != 0) {
        rank++;
    }
    return rank;
}

/* The device asked for, or the best one; with auto only a real GPU. False: there is none, which is
 * an error (*status_out) only where one was asked for. */
static bool find_subject(const struct ossicle_config *config, struct subject *subject,
                         enum ossicle_status *status_out)
{
    static struct ossicle_device_facts all[OSSICLE_DEVICES_MAX];
    const struct ossicle_device_facts *best = NULL;
    bool asked = config->device == OSSICLE_DEVICE_VULKAN;
    uint32_t count = 0;
    uint32_t ranks = asked ? TYPES : TYPES_REAL;
    enum ossicle_status status = ossicle_devices(config, all, &count, &subject->error);
    if (status != OSSICLE_OK) {
        *status_out = asked ? status : OSSICLE_OK;
        return false;
    }
    for (uint32_t d = 0; d < count; d++) {
        uint32_t rank = rank_of(all[d].type);
        bool numbered = config->device_index >= 0;
        bool better = best == NULL || rank < rank_of(best->type) ||
                      (rank == rank_of(best->type) && local_bytes(&all[d]) > local_bytes(best));
        if (numbered ? all[d].index == (uint32_t)config->device_index
                     : all[d].usable && rank < ranks && better) {
            best = &all[d];
        }
    }
    if (best == NULL) {
        *status_out = asked ? OSSICLE_UNSUPPORTED : OSSICLE_OK;
        snprintf(subject->error.text, sizeof subject->error.text,
                 "no such Vulkan device of %u here; `ossicle devices` lists them", count);
        return false;
    }
    subject->facts = *best;
    snprintf(subject->name, sizeof subject->name, "vulkan:%u", best->index);
    return true;
}

/* The shaders of a Vulkan device, from the tier given (or its highest) downwards. */
static enum ossicle_status test_device(const struct osl_args *args, struct checks *checks,
                                       struct subject *subject)
{
    struct ossicle_config config;
    enum ossicle_status status = OSSICLE_OK;
    osl_device_configure(args, &config);
    if (config.device == OSSICLE_DEVICE_CPU) {
        return OSSICLE_OK;
    }
    if (!find_subject(&config, subject, &status)) {
        if (status != OSSICLE_OK) {
            osl_complain("%s", subject->error.text);
        }
        return status;
    }
    config.device_index = (int32_t)subject->facts.index;
    checks->device = subject->name;
    if (!checks->json) {
        osl_out_format("\n%s: %s, %s\n", subject->name, subject->facts.name, subject->facts.driver);
        osl_out_flush();
    }
    status = ossicle_self_test_device(&config, print_check, checks, subject->tier, &subject->error);
    if (status != OSSICLE_OK) {
        osl_complain("%s; --device cpu avoids it", subject->error.text);
    } else if (!checks->json) {
        osl_out_format("tier %s proved right\n", subject->tier);
    }
    return status;
}

static void print_json_end(const struct subject *subject, bool good)
{
    osl_out_text("], \"vulkan\": ");
    if (subject->name[0] == '\0') {
        osl_out_text("null");
    } else {
        osl_out_format("{\"device\": \"%s\", \"name\": ", subject->name);
        osl_out_json_text(subject->facts.name);
        osl_out_text(", \"driver\": ");
        osl_out_json_text(subject->facts.driver);
        osl_out_format(", \"tier_reported\": \"%s\", \"tier\": ", subject->facts.tier);
        osl_out_json_text(subject->tier);
        osl_out_text("}");
    }
    osl_out_format(", \"ok\": %s}\n", good ? "true" : "false");
}

static enum ossicle_status run(const struct osl_args *args)
{
    static struct subject subject;
    struct checks checks = {.json = args->json, .device = "cpu"};
    if (args->json) {
        osl_out_text("{\"checks\": [");
    }
    enum ossicle_status cpu = ossicle_self_test(print_check, &checks);
    uint32_t cpu_failed = checks.failed;
    enum ossicle_status device = test_device(args, &checks, &subject);
    enum ossicle_status status = cpu != OSSICLE_OK ? cpu : device;
    if (args->json) {
        print_json_end(&subject, status == OSSICLE_OK);
    } else {
        osl_out_format("%s%u checks, %u failed\n", subject.name[0] != '\0' ? "\n" : "",
                       checks.count, checks.failed);
    }
    if (cpu != OSSICLE_OK) {
        osl_complain("a kernel differs from the plain C; --cpu-level NAME avoids it");
    }
    if (device == OSSICLE_OK && checks.failed > cpu_failed) {
        osl_complain("shaders above tier %s differ from the plain C on %s and are not used there; "
                     "a newer driver may mend them",
                     subject.tier, subject.name);
    }
    return status;
}

const struct osl_command osl_cmd_selftest = {
    .name = "selftest",
    .bit = OSL_CMD_SELFTEST,
    .usage = "selftest [--device D] [--vulkan-tier TIER] [--json]",
    .summary = "every kernel and shader against plain C, on this machine",
    .help =
        "Compares every kernel this CPU would use with the plain C of the same operation, on "
        "fixed\n"
        "inputs; one row a check. Then the same for the shaders of a Vulkan device: the real GPU\n"
        "that --device auto would take, if there is one, or the one that --device vulkan:N names.\n"
        "Tiers of shaders are tested from the lowest up; the highest that proved right is "
        "printed,\n"
        "kept and listed by `devices`. Exit code 8 if a kernel differs or the lowest tier does.\n"
        "--json has checks [{check, device, pass}], vulkan (null, or device, name, driver,\n"
        "tier_reported, tier) and ok.\n",
    .run = run,
};
