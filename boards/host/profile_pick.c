/* Board profiles: which one. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "profile.h"

#define POINTS_DEVICE_TREE 16
#define POINTS_GPU_VENDOR 8
#define POINTS_GPU_KIND 4
#define POINTS_ARCH 2
#define POINTS_MEMORY 1
#define EMBEDDED_MAX 64

static bool gpu_matches(const struct osl_profile *profile, const struct osl_machine *machine)
{
    for (uint32_t i = 0; i < machine->gpu_count; i++) {
        bool vendor = profile->gpu_vendor_count == 0;
        for (uint32_t k = 0; k < profile->gpu_vendor_count; k++) {
            vendor = vendor || profile->gpu_vendors[k] == machine->gpus[i].vendor;
        }
        bool kind = profile->gpu_kind == OSL_GPU_ANY ||
                    (profile->gpu_kind == OSL_GPU_DISCRETE) == machine->gpus[i].discrete;
        if (vendor && kind) {
            return true;
        }
    }
    return false;
}

static bool list_matches(const struct osl_profile_list *list, const char *text, bool inside)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (inside ? strstr(text, list->texts[i]) != NULL : strcmp(text, list->texts[i]) == 0) {
            return true;
        }
    }
    return false;
}

int osl_profile_points(const struct osl_profile *profile, const struct osl_machine *machine)
{
    int points = 0;
    if (!profile->matchable) {
        return -1;
    }
    if (profile->device_tree.count > 0) {
        if (!list_matches(&profile->device_tree, machine->device_tree, true)) {
            return -1;
        }
        points += POINTS_DEVICE_TREE;
    }
    if (profile->gpu_vendor_count > 0 || profile->gpu_kind != OSL_GPU_ANY) {
        if (!gpu_matches(profile, machine)) {
            return -1;
        }
        points += profile->gpu_vendor_count > 0 ? POINTS_GPU_VENDOR : 0;
        points += profile->gpu_kind != OSL_GPU_ANY ? POINTS_GPU_KIND : 0;
    }
    if (profile->arch.count > 0) {
        if (!list_matches(&profile->arch, machine->arch, false)) {
            return -1;
        }
        points += POINTS_ARCH;
    }
    if (machine->memory_bytes < profile->memory_min ||
        (profile->memory_max > 0 && machine->memory_bytes > profile->memory_max)) {
        return -1;
    }
    points += profile->memory_min > 0 ? POINTS_MEMORY : 0;
    points += profile->memory_max > 0 ? POINTS_MEMORY : 0;
    return points;
}

static enum ossicle_status pick_automatically(const struct osl_machine *machine,
                                              struct osl_profile *out, struct ossicle_error *error)
{
    static struct osl_profile candidate;
    int best = -1;
    for (uint32_t i = 0; i < osl_embedded_profile_count; i++) {
        const struct osl_embedded_profile *file = &osl_embedded_profiles[i];
        enum ossicle_status status =
            osl_profile_parse(file->file, file->text, file->bytes, &candidate, error);
        if (status != OSSICLE_OK) {
            return status;
        }
        int points = osl_profile_points(&candidate, machine);
        if (points > best) {
            best = points;
            *out = candidate;
        }
    }
    return best >= 0 ? OSSICLE_OK
                     : osl_fault(error, OSSICLE_UNSUPPORTED,
                                 "--board auto: no profile matches this machine; name one");
}

static enum ossicle_status pick_by_name(const char *board, struct osl_profile *out,
                                        struct ossicle_error *error)
{
    static char names[EMBEDDED_MAX][OSL_PROFILE_NAME_BYTES];
    static struct osl_profile candidate;
    const char *candidates[EMBEDDED_MAX];
    char all[320] = "";
    uint32_t count = 0;
    for (uint32_t i = 0; i < osl_embedded_profile_count && count < EMBEDDED_MAX; i++) {
        const struct osl_embedded_profile *file = &osl_embedded_profiles[i];
        enum ossicle_status status =
            osl_profile_parse(file->file, file->text, file->bytes, &candidate, error);
        if (status != OSSICLE_OK) {
            return status;
        }
        if (strcmp(candidate.name, board) == 0) {
            *out = candidate;
            return OSSICLE_OK;
        }
        strcpy(names[count], candidate.name);
        candidates[count] = names[count];
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, ", %.63s", names[count]);
        count++;
    }
    const char *near = osl_nearest(board, candidates, count);
    return osl_fault(error, OSSICLE_ARGUMENT,
                     "--board: no profile '%.40s'%s%s%s; there are auto%s, or a FILE.json", board,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "", all);
}

enum ossicle_status osl_profile_choose(const char *board, const struct osl_machine *machine,
                                       struct osl_profile *out, struct ossicle_error *error)
{
    if (board == NULL || strcmp(board, "auto") == 0) {
        return pick_automatically(machine, out, error);
    }
    size_t length = strlen(board);
    if (strchr(board, '/') == NULL && (length < 5 || strcmp(board + length - 5, ".json") != 0)) {
        return pick_by_name(board, out, error);
    }
    struct osl_text text = {0};
    enum ossicle_status status = osl_text_read(board, OSL_PROFILE_FILE_BYTES_MAX, &text, error);
    if (status == OSSICLE_OK) {
        status = osl_profile_parse(board, text.bytes, text.count, out, error);
    }
    osl_text_free(&text);
    return status;
}
