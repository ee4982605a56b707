/* Board profiles: strict reading, and which one a machine gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "boards/host/machine.h"
#include "boards/host/profile.h"

#define GOOD                                                                                       \
    "{\n\"name\": \"x\",\n\"description\": \"d\",\n\"memory_budget\": \"8GiB\",\n"                 \
    "\"context\": 4096,\n\"kv\": \"q8\",\n\"threads\": 3,\n\"weights\": \"mapped\""

static struct osl_profile profile;
static struct ossicle_error error;

static enum ossicle_status parse(const char *text)
{
    memset(&error, 0, sizeof error);
    return osl_profile_parse("p.json", text, strlen(text), &profile, &error);
}

static void assert_refused(const char *text, const char *expected)
{
    assert_int_equal(parse(text), OSSICLE_FORMAT);
    if (strcmp(error.text, expected) != 0) {
        fail_msg("said '%s', not '%s'", error.text, expected);
    }
}

static void profile_reads_every_key(void **state)
{
    (void)state;
    assert_int_equal(parse(GOOD ", \"match\": {\"arch\": [\"x86_64\"], \"gpu_vendors\": "
                                "[\"0x1002\", \"0x10DE\"], \"gpu_kind\": \"discrete\", "
                                "\"memory_min\": \"7G\", \"memory_max\": \"9G\", "
                                "\"device_tree\": [\"Radxa\"]}}"),
                     OSSICLE_OK);
    assert_string_equal(profile.name, "x");
    assert_true(profile.budget_bytes == 8ull << 30);
    assert_int_equal(profile.context, 4096);
    assert_int_equal(profile.kv, OSSICLE_KV_Q8);
    assert_int_equal(profile.threads, 3);
    assert_int_equal(profile.weights, OSSICLE_WEIGHTS_MAPPED);
    assert_true(profile.matchable);
    assert_int_equal(profile.gpu_vendors[1], 0x10de);
    assert_int_equal(profile.gpu_kind, OSL_GPU_DISCRETE);
    assert_true(profile.memory_max == 9000000000u);
    assert_string_equal(profile.device_tree.texts[0], "Radxa");
}

static void profile_errors_name_file_line_and_key(void **state)
{
    (void)state;
    assert_refused(GOOD ",\n\"contex\": 1}", "p.json:9: contex: unknown key; did you mean "
                                             "\"context\"?");
    assert_refused(GOOD ",\n\"kv\": \"f16\"}", "p.json:9: kv: is there twice");
    assert_refused(GOOD ",\n\"match\": {\n\"kv\": 1}}", "p.json:10: match.kv: unknown key");
    assert_refused(GOOD ",\n\"match\": {\n\"arch\": []}}",
                   "p.json:10: match.arch: must be an array of 1 to 16 texts of 1 to 63 bytes");
    assert_refused(GOOD ",\n\"match\": {\"gpu_vendors\": [\"AMD\"]}}",
                   "p.json:9: match.gpu_vendors: must hold PCI vendor ids such as \"0x1002\"");
    assert_refused(GOOD ",\n\"match\": {\"memory_min\": \"9G\",\n\"memory_max\": \"8G\"}}",
                   "p.json:10: match.memory_max: must not be below memory_min");
    assert_refused(GOOD ",\n\"match\": 5}", "p.json:9: match: must be an object of rules");
    assert_refused("{\"name\": \"x\"}", "p.json:1: description: is missing");
    assert_refused("{\n\n\"name\": 5}", "p.json:3: name: must be a text of 1 to 63 bytes");
    assert_refused("{\"name\":\"x\",\n\"context\": 4.5}",
                   "p.json:2: context: must be a whole number from 16 to 1048576");
    assert_refused("{\"name\":\"x\",\n\"threads\": -1}",
                   "p.json:2: threads: must be a whole number from 0 to 256");
    assert_refused("{\"name\":\"x\",\n\"kv\": \"f32\"}", "p.json:2: kv: must be \"f16\" or \"q8\"");
    assert_refused("{\"name\":\"x\",\n\"memory_budget\": 5}",
                   "p.json:2: memory_budget: must be a size such as \"14.6G\" or \"8GiB\"");
    assert_refused("[]", "p.json:1: a profile is one JSON object");
    assert_refused("{\n\"name\": \"x\",\n,}", "p.json:3: broken JSON");
    assert_refused("", "p.json:1: broken JSON (ends too early)");
}

static void profile_refuses_every_truncation(void **state)
{
    static const char text[] = GOOD ",\"match\": {\"arch\": [\"x86_64\"]}}";
    char cut[sizeof text];
    (void)state;
    for (size_t length = 0; length + 1 < sizeof text; length++) {
        memcpy(cut, text, length);
        cut[length] = '\0';
        assert_int_equal(parse(cut), OSSICLE_FORMAT);
    }
    assert_int_equal(parse(text), OSSICLE_OK);
}

static void profile_embedded_ones_are_good(void **state)
{
    (void)state;
    assert_int_equal(osl_embedded_profile_count, 8);
    for (uint32_t i = 0; i < osl_embedded_profile_count; i++) {
        const struct osl_embedded_profile *file = &osl_embedded_profiles[i];
        if (osl_profile_parse(file->file, file->text, file->bytes, &profile, &error) != 0) {
            fail_msg("%s", error.text);
        }
        char expected[80];
        snprintf(expected, sizeof expected, "%s.json", profile.name);
        assert_string_equal(file->file, expected);
    }
}

static void assert_picked(const struct osl_machine *machine, const char *name)
{
    assert_int_equal(osl_profile_choose("auto", machine, &profile, &error), OSSICLE_OK);
    assert_string_equal(profile.name, name);
}

static void profile_auto_takes_the_most_specific(void **state)
{
    struct osl_machine machine = {.arch = "x86_64", .memory_bytes = 16500000000u};
    (void)state;
    assert_picked(&machine, "generic-16g");
    machine.gpu_count = 1;
    machine.gpus[0].vendor = 0x1002;
    assert_picked(&machine, "laptop-amd-igpu-16g");
    machine.gpus[0].vendor = 0x8086;
    assert_picked(&machine, "laptop-intel-igpu-16g");
    machine.gpus[0].discrete = true;
    assert_picked(&machine, "desktop-12g-gpu");
    machine.gpus[0].vendor = 0x10de;
    assert_picked(&machine, "desktop-12g-gpu");
    strcpy(machine.arch, "aarch64");
    assert_picked(&machine, "sbc-arm-dgpu");
    machine.gpu_count = 0;
    assert_picked(&machine, "generic-16g");
    strcpy(machine.device_tree, "Raspberry Pi 5 Model B Rev 1.1 raspberrypi,5-model-b");
    assert_picked(&machine, "sbc-arm-cpu");
    machine.memory_bytes = 8000000000u;
    assert_picked(&machine, "generic");
}

static void profile_names_and_files(void **state)
{
    struct osl_machine machine = {.arch = "x86_64"};
    (void)state;
    assert_int_equal(osl_profile_choose("tiny", &machine, &profile, &error), OSSICLE_OK);
    assert_string_equal(profile.name, "tiny");
    assert_int_equal(osl_profile_choose("generic-16", &machine, &profile, &error),
                     OSSICLE_ARGUMENT);
    assert_non_null(strstr(error.text, "did you mean generic-16g?"));
    assert_non_null(strstr(error.text, "sbc-arm-cpu"));
    assert_int_equal(
        osl_profile_choose(OSL_SOURCE_DIR "/boards/profiles/tiny.json", &machine, &profile, &error),
        OSSICLE_OK);
    assert_int_equal(osl_profile_choose("/nonexistent.json", &machine, &profile, &error),
                     OSSICLE_IO);
    assert_int_equal(osl_profile_choose("/", &machine, &profile, &error), OSSICLE_IO);
}

/* Writes root/path with its folders. */
static void put(const char *root, const char *path, const char *text, size_t bytes)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
}

static void put_text(const char *root, const char *path, const char *text)
{
    put(root, path, text, strlen(text));
}

static void machine_reads_memory_gpus_and_device_tree(void **state)
{
    char root[] = "/tmp/ossicle-machine-XXXXXX";
    char command[64];
    struct osl_machine machine;
    static const char compatible[] = "radxa,rock-5b\0rockchip,rk3588";
    (void)state;
    assert_non_null(mkdtemp(root));
    put_text(root, "proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n");
    put(root, "proc/device-tree/model", "Radxa ROCK 5B", 14);
    put(root, "proc/device-tree/compatible", compatible, sizeof compatible);
    put_text(root, "sys/bus/pci/devices/0000:c1:00.0/class", "0x030000\n");
    put_text(root, "sys/bus/pci/devices/0000:c1:00.0/vendor", "0x1002\n");
    put_text(root, "sys/bus/pci/devices/0000:c1:00.2/class", "0x108000\n");
    put_text(root, "sys/bus/pci/devices/0000:03:00.0/class", "0x038000\n");
    put_text(root, "sys/bus/pci/devices/0000:03:00.0/vendor", "0x1002\n");
    put_text(root, "sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n");
    put_text(root, "sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n");
    put_text(root, "sys/bus/pci/devices/0000:00:03.0/class", "0x020000\n");
    osl_machine_read(root, &machine);
    assert_true(machine.memory_bytes == 16384000000u);
    assert_int_equal(machine.gpu_count, 3);
    assert_int_equal(machine.gpus[0].vendor, 0x8086);
    assert_false(machine.gpus[0].discrete);
    assert_int_equal(machine.gpus[1].vendor, 0x1002);
    assert_true(machine.gpus[1].discrete);
    assert_false(machine.gpus[2].discrete);
    assert_non_null(strstr(machine.device_tree, "ROCK 5B"));
    assert_non_null(strstr(machine.device_tree, "rockchip,rk3588"));

    put_text(root, "proc/self/cgroup", "4:memory:/a/b\n0::/c\n");
    put_text(root, "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9000000000\n");
    put_text(root, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "8000000000\n");
    put_text(root, "sys/fs/cgroup/c/memory.max", "max\n");
    osl_machine_read(root, &machine);
    assert_true(machine.memory_bytes == 8000000000u);
    put_text(root, "sys/fs/cgroup/c/memory.max", "7000000000\n");
    osl_machine_read(root, &machine);
    assert_true(machine.memory_bytes == 7000000000u);
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

static void machine_survives_an_empty_one(void **state)
{
    struct osl_machine machine;
    (void)state;
    osl_machine_read("/nonexistent", &machine);
    assert_true(machine.memory_bytes == 0);
    assert_int_equal(machine.gpu_count, 0);
    assert_picked(&machine, "generic");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_reads_every_key),
        cmocka_unit_test(profile_errors_name_file_line_and_key),
        cmocka_unit_test(profile_refuses_every_truncation),
        cmocka_unit_test(profile_embedded_ones_are_good),
        cmocka_unit_test(profile_auto_takes_the_most_specific),
        cmocka_unit_test(profile_names_and_files),
        cmocka_unit_test(machine_reads_memory_gpus_and_device_tree),
        cmocka_unit_test(machine_survives_an_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
