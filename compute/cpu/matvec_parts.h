/* A matvec of more tokens than a kernel takes at once: parts of them, as even as can be, take turns
 * over rows that stay in the first cache or near it. */
#ifndef OSL_MATVEC_PARTS_H
#define OSL_MATVEC_PARTS_H

#include <stdint.h>

#define OSL_KEPT_ROWS 16u /* of 2880 columns 24 KB of MXFP4, 48 KB of Q8_0 */

/* Rows [from, to) for tokens [first, first + count) of the call. */
typedef void osl_take_part_fn(const void *call, uint32_t from, uint32_t to, uint32_t first,
                              uint32_t count);

/* All rows for all tokens, at most `most` at once. */
static inline void osl_take_parts(osl_take_part_fn *take, uint32_t most, const void *call,
                                  uint32_t rows, uint32_t tokens)
{
    uint32_t parts = (tokens + most - 1) / most;
    uint32_t kept = parts == 1 ? rows : OSL_KEPT_ROWS;
    for (uint32_t from = 0; from < rows; from += kept) {
        uint32_t to = rows - from < kept ? rows : from + kept;
        for (uint32_t part = 0, first = 0; part < parts; part++) {
            uint32_t count = (tokens - first + parts - part - 1) / (parts - part);
            take(call, from, to, first, count);
            first += count;
        }
    }
}

#endif
