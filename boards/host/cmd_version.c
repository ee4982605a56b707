/* ossicle version */
#include "commands.h"
#include "out.h"

#if defined(__x86_64__)
#define ARCH "x86_64"
#elif defined(__aarch64__)
#define ARCH "aarch64"
#else
#define ARCH "other"
#endif

static enum ossicle_status run(const struct osl_args *args)
{
    if (args->json) {
        osl_out_format("{\"name\": \"ossicle\", \"version\": \"%s\", \"arch\": \"%s\", "
                       "\"devices\": [\"cpu\", \"vulkan\"]}\n",
                       ossicle_version(), ARCH);
    } else {
        osl_out_format("ossicle %s (%s, cpu and vulkan)\n", ossicle_version(), ARCH);
    }
    return OSSICLE_OK;
}

const struct osl_command osl_cmd_version = {
    .name = "version",
    .bit = OSL_CMD_VERSION,
    .usage = "version [--json]",
    .summary = "what this program is",
    .help = "Prints the version, the architecture and the devices this build can use.\n",
    .run = run,
};
