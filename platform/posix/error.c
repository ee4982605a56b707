/* Errors and panic. */
#include <stdio.h>
#include <stdlib.h>

#include "platform/platform.h"

enum osl_status osl_fail(struct osl_error *error, enum osl_status status, const char *format, ...)
{
    if (error == NULL) {
        return status;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *c = error->text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    error->status = status;
    return status;
}

_Noreturn void osl_panic(const char *file, int line, const char *what)
{
    fprintf(stderr, "ossicle: internal error at %s:%d: %s\n", file, line, what);
    abort();
}
