/* Numbers, sizes and lists as people type them; near misses. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define WORD_BYTES_MAX 64 /* longer words have no near miss */

enum ossicle_status osl_fault(struct ossicle_error *error, enum ossicle_status status,
                              const char *format, ...)
{
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

/* Digits at *text up to max; moves *text behind them. */
static bool read_digits(const char **text, uint64_t max, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;
    if (!isdigit((unsigned char)*at)) {
        return false;
    }
    for (; isdigit((unsigned char)*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (max - digit) / 10 || digit > max) {
            return false;
        }
        value = value * 10 + digit;
    }
    *text = at;
    *out = value;
    return true;
}

bool osl_parse_uint(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value;
    if (!read_digits(&text, max, &value) || *text != '\0') {
        return false;
    }
    *out = value;
    return true;
}

/* 1, 1000, 1024 ... for "", "K", "KB", "Ki", "KiB" and so on; 0 for anything else. */
static double unit_factor(const char *unit)
{
    static const char letters[] = "KMGT";
    if (*unit == '\0' || strcmp(unit, "B") == 0) {
        return 1.0;
    }
    const char *letter = strchr(letters, toupper((unsigned char)*unit));
    if (letter == NULL) {
        return 0.0;
    }
    int power = (int)(letter - letters) + 1;
    unit++;
    bool binary = *unit == 'i';
    unit += binary ? 1 : 0;
    if (strcmp(unit, "") != 0 && strcmp(unit, "B") != 0) {
        return 0.0;
    }
    return pow(binary ? 1024.0 : 1000.0, power);
}

bool osl_parse_bytes(const char *text, uint64_t *out)
{
    char *unit;
    if (!isdigit((unsigned char)*text) || text[strspn(text, "0123456789.")] == 'e' ||
        strncasecmp(text, "0x", 2) == 0) {
        return false;
    }
    double value = strtod(text, &unit);
    double bytes = value * unit_factor(unit);
    if (unit == text || unit_factor(unit) == 0.0 || !(bytes >= 0.0 && bytes < 9e18)) {
        return false;
    }
    *out = (uint64_t)(bytes + 0.5);
    return true;
}

/* One "first", "first-last", "first-last+step" or "first-last*factor" at *text. */
static bool read_range(const char **text, uint32_t max, struct osl_list *list)
{
    uint64_t first;
    if (!read_digits(text, max, &first)) {
        return false;
    }
    uint64_t last = first;
    uint64_t step = 1;
    bool multiply = false;
    if (**text == '-') {
        ++*text;
        if (!read_digits(text, max, &last) || last < first) {
            return false;
        }
        if (**text == '+' || **text == '*') {
            multiply = **text == '*';
            ++*text;
            if (!read_digits(text, max, &step) || step < (multiply ? 2u : 1u)) {
                return false;
            }
        }
    }
    if (multiply && first == 0) {
        return false;
    }
    for (uint64_t value = first; value <= last; value = multiply ? value * step : value + step) {
        if (list->count == OSL_LIST_MAX) {
            return false;
        }
        list->values[list->count++] = (uint32_t)value;
    }
    return true;
}

bool osl_parse_list(const char *text, uint32_t max, struct osl_list *list)
{
    while (read_range(&text, max, list)) {
        if (*text == '\0') {
            return true;
        }
        if (*text != ',') {
            return false;
        }
        text++;
    }
    return false;
}

/* Edits that turn one word into the other: a letter added, left out, changed, or two neighbours
 * swapped (optimal string alignment). Three rows of the table are enough. */
static uint32_t edit_distance(const char *a, const char *b)
{
    uint32_t rows[3][WORD_BYTES_MAX + 1];
    size_t length_a = strlen(a);
    size_t length_b = strlen(b);
    if (length_a > WORD_BYTES_MAX || length_b > WORD_BYTES_MAX) {
        return UINT32_MAX;
    }
    for (size_t j = 0; j <= length_b; j++) {
        rows[0][j] = (uint32_t)j;
    }
    for (size_t i = 1; i <= length_a; i++) {
        const uint32_t *above = rows[(i - 1) % 3];
        uint32_t *here = rows[i % 3];
        here[0] = (uint32_t)i;
        for (size_t j = 1; j <= length_b; j++) {
            uint32_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = here[j - 1] + 1 < best ? here[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                uint32_t swapped = rows[(i - 2) % 3][j - 2] + 1;
                best = swapped < best ? swapped : best;
            }
            here[j] = best;
        }
    }
    return rows[length_a % 3][length_b];
}

const char *osl_nearest(const char *text, const char *const *candidates, uint32_t count)
{
    const char *best = NULL;
    size_t length = strlen(text);
    uint32_t best_distance = (uint32_t)(length < 4 ? 2 : length / 2 + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t distance = edit_distance(text, candidates[i]);
        bool prefix = length >= 3 && strncmp(text, candidates[i], length) == 0;
        distance = prefix && distance > 1 ? 1 : distance;
        if (distance < best_distance) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best;
}
