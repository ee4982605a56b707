/* The folder for what makes the next start quicker: $XDG_STATE_HOME/ossicle, or
 * ~/.local/state/ossicle. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine.h"

/* Every folder on the way, as mkdir -p. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, S_IRWXU) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made) {
            return false;
        }
    }
    return mkdir(path, S_IRWXU) == 0 || errno == EEXIST;
}

const char *osl_state_dir(void)
{
    static char path[PATH_MAX];
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = 0;
    if (state != NULL && state[0] == '/') {
        length = snprintf(path, sizeof path, "%s/ossicle", state);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(path, sizeof path, "%s/.local/state/ossicle", home);
    }
    if (length <= 0 || (size_t)length >= sizeof path || !make_folders(path)) {
        return NULL; /* nothing is kept: it starts a little later */
    }
    return path;
}
