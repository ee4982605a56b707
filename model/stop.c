/* Stop strings. See stop.h. */
#include "stop.h"

#include <string.h>

enum osl_status osl_stop_begin(struct osl_stop *stop, const char *const *stops, uint32_t count,
                               struct osl_error *error)
{
    memset(stop, 0, sizeof *stop);
    if (count > OSL_STOPS_MAX) {
        return osl_fail(error, OSL_ARGUMENT, "%u stop strings: at most %d", count, OSL_STOPS_MAX);
    }
    for (uint32_t s = 0; s < count; s++) {
        size_t length = stops[s] != NULL ? strnlen(stops[s], OSL_STOP_BYTES_MAX + 1) : 0;
        if (length == 0 || length > OSL_STOP_BYTES_MAX) {
            return osl_fail(error, OSL_ARGUMENT, "stop string %u: 1 to %d bytes are possible", s,
                            OSL_STOP_BYTES_MAX);
        }
        memcpy(stop->text[s], stops[s], length);
        stop->length[s] = (uint32_t)length;
    }
    stop->count = count;
    return OSL_OK;
}

/* Whether held begins with a whole stop string (2), is the beginning of one (1), or neither (0).
 * It can hold a whole short one inside the unfinished beginning of a longer one. */
static int held_matches(const struct osl_stop *stop)
{
    int best = 0;
    for (uint32_t s = 0; s < stop->count; s++) {
        uint32_t common = stop->held_bytes < stop->length[s] ? stop->held_bytes : stop->length[s];
        if (memcmp(stop->held, stop->text[s], common) == 0) {
            int found = common == stop->length[s] ? 2 : 1;
            best = found > best ? found : best;
        }
    }
    return best;
}

bool osl_stop_feed(struct osl_stop *stop, const char *text, uint64_t bytes, char *out,
                   uint64_t capacity, uint64_t *bytes_out)
{
    OSL_ASSERT(capacity >= bytes + OSL_STOP_BYTES_MAX);
    uint64_t written = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        stop->held[stop->held_bytes++] = text[i];
        /* pass on from the front until what is left could still become a stop string */
        int match = held_matches(stop);
        while (match == 0 && stop->held_bytes > 0) {
            out[written++] = stop->held[0];
            stop->held_bytes--;
            memmove(stop->held, stop->held + 1, stop->held_bytes);
            match = stop->held_bytes > 0 ? held_matches(stop) : 1;
        }
        if (match == 2) {
            stop->held_bytes = 0;
            *bytes_out = written;
            return true;
        }
    }
    *bytes_out = written;
    return false;
}

uint64_t osl_stop_flush(struct osl_stop *stop, char *out, uint64_t capacity)
{
    uint64_t written = 0;
    OSL_ASSERT(capacity >= stop->held_bytes);
    while (written < stop->held_bytes) {
        struct osl_stop rest = *stop;
        rest.held_bytes = stop->held_bytes - (uint32_t)written;
        memcpy(rest.held, stop->held + written, rest.held_bytes);
        if (held_matches(&rest) == 2) {
            break;
        }
        out[written] = stop->held[written];
        written++;
    }
    stop->held_bytes = 0;
    return written;
}
