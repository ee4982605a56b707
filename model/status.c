/* Status texts, and the proof that the public and internal status values are the same. */
#include "ossicle.h"
#include "platform/platform.h"

_Static_assert((int)OSSICLE_OK == (int)OSL_OK && (int)OSSICLE_ARGUMENT == (int)OSL_ARGUMENT &&
                   (int)OSSICLE_STATE == (int)OSL_STATE && (int)OSSICLE_IO == (int)OSL_IO &&
                   (int)OSSICLE_FORMAT == (int)OSL_FORMAT &&
                   (int)OSSICLE_UNSUPPORTED == (int)OSL_UNSUPPORTED &&
                   (int)OSSICLE_MEMORY == (int)OSL_MEMORY &&
                   (int)OSSICLE_CAPACITY == (int)OSL_CAPACITY &&
                   (int)OSSICLE_DEVICE == (int)OSL_DEVICE &&
                   (int)OSSICLE_ABORTED == (int)OSL_ABORTED,
               "public and internal status values must agree");
_Static_assert(OSSICLE_ERROR_BYTES == OSL_ERROR_TEXT_BYTES, "error texts must have one size");

const char *ossicle_status_text(enum ossicle_status status)
{
    switch (status) {
    case OSSICLE_OK: return "ok";
    case OSSICLE_ARGUMENT: return "impossible argument";
    case OSSICLE_STATE: return "not possible now";
    case OSSICLE_IO: return "input or output failed";
    case OSSICLE_FORMAT: return "broken file or text";
    case OSSICLE_UNSUPPORTED: return "not supported";
    case OSSICLE_MEMORY: return "not enough memory";
    case OSSICLE_CAPACITY: return "full";
    case OSSICLE_DEVICE: return "compute device failed";
    case OSSICLE_ABORTED: return "cancelled";
    }
    return "unknown status";
}

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const char *ossicle_version(void)
{
    return TEXT(OSSICLE_VERSION_MAJOR) "." TEXT(OSSICLE_VERSION_MINOR) "." TEXT(
        OSSICLE_VERSION_PATCH);
}
