/* Shared libraries opened at run time. */
#include <dlfcn.h>
#include <string.h>

#include "platform/platform.h"

enum osl_status osl_library_open(const char *name, void **library_out, struct osl_error *error)
{
    OSL_ASSERT(name != NULL && library_out != NULL);
    /* NOW: a broken library is found here, not at some later call. LOCAL: its names are ours
     * only through osl_library_symbol. */
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *reason = dlerror();
        return osl_fail(error, OSL_UNSUPPORTED, "%.100s: %.300s", name,
                        reason == NULL ? "cannot be loaded" : reason);
    }
    *library_out = library;
    return OSL_OK;
}

void (*osl_library_symbol(void *library, const char *name))(void)
{
    OSL_ASSERT(library != NULL && name != NULL);
    void *object = dlsym(library, name);
    void (*function)(void) = NULL;
    /* ISO C has no conversion between the two kinds of pointer; POSIX says they are alike. */
    _Static_assert(sizeof object == sizeof function, "POSIX: dlsym gives functions too");
    memcpy(&function, &object, sizeof function);
    return function;
}

void osl_library_close(void *library)
{
    if (library != NULL) {
        dlclose(library);
    }
}
