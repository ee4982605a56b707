/* Text growing at the end of an arena, and JSON written there: numbers in shortest form. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harmony_json.h"

#define EXPONENT_MAX 100000 /* beyond any double; keeps sums inside an int */
#define DOUBLE_DIGITS 17    /* always enough to read a double back */

void osl_put_begin(struct osl_writer_text *out, struct osl_arena *arena)
{
    *out = (struct osl_writer_text){.arena = arena, .start = arena->used};
}

uint64_t osl_put_bytes(const struct osl_writer_text *out)
{
    return out->arena->used - out->start;
}

const char *osl_put_data(const struct osl_writer_text *out)
{
    return (const char *)out->arena->base + out->start;
}

void osl_put_text(struct osl_writer_text *out, struct osl_text text)
{
    struct osl_arena *arena = out->arena;
    if (out->full || text.bytes > arena->bytes - arena->used) {
        out->full = true;
        return;
    }
    if (text.bytes > 0) {
        memcpy(arena->base + arena->used, text.data, text.bytes);
        arena->used += text.bytes;
    }
}

void osl_put(struct osl_writer_text *out, const char *text)
{
    osl_put_text(out, (struct osl_text){text, strlen(text)});
}

void osl_put_spaces(struct osl_writer_text *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        osl_put(out, " ");
    }
}

void osl_put_key(struct osl_writer_text *out, const char *key)
{
    const char *nul = strchr(key, '\xc0');
    while (nul != NULL) {
        osl_put_text(out, (struct osl_text){key, (uint64_t)(nul - key)});
        osl_put_text(out, (struct osl_text){"", 1});
        key = nul + 2;
        nul = strchr(key, '\xc0');
    }
    osl_put(out, key);
}

/* ---- Numbers ----------------------------------------------------------------------------- */

/* strtod and printf take the decimal point from the locale, so neither is shown one: digits and
 * an exponent say the same. */
double osl_number_value(const char *text, uint64_t bytes)
{
    char plain[OSL_JSON_NUMBER_BYTES + 16];
    uint64_t count = 0;
    int32_t fraction_digits = 0;
    int32_t exponent = 0;
    int32_t exponent_sign = 1;
    bool in_fraction = false;
    uint64_t i = 0;
    OSL_ASSERT(bytes < OSL_JSON_NUMBER_BYTES);
    for (; i < bytes && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            in_fraction = true;
        } else {
            plain[count++] = text[i];
            fraction_digits += in_fraction;
        }
    }
    for (i++; i < bytes; i++) {
        if (text[i] == '-' || text[i] == '+') {
            exponent_sign = text[i] == '-' ? -1 : 1;
        } else if (exponent < EXPONENT_MAX) {
            exponent = exponent * 10 + (text[i] - '0');
        }
    }
    snprintf(plain + count, sizeof plain - count, "e%d",
             (int)(exponent_sign * exponent - fraction_digits));
    return strtod(plain, NULL);
}

/* The fewest digits that read back as value (positive, finite); *point_out: 0.DIGITS * 10^point. */
static uint32_t shortest_digits(double value, char digits[DOUBLE_DIGITS + 1], int32_t *point_out)
{
    for (int32_t precision = 0; precision < DOUBLE_DIGITS; precision++) {
        char text[48];
        char again[48];
        uint32_t count = 0;
        snprintf(text, sizeof text, "%.*e", (int)precision, value);
        const char *mark = strchr(text, 'e');
        for (const char *c = text; c < mark; c++) {
            if (*c >= '0' && *c <= '9' && count < DOUBLE_DIGITS) {
                digits[count++] = *c;
            }
        }
        digits[count] = '\0';
        int exponent = atoi(mark + 1);
        snprintf(again, sizeof again, "%se%d", digits, exponent - (int)precision);
        if (strtod(again, NULL) == value || precision == DOUBLE_DIGITS - 1) {
            *point_out = exponent + 1;
            return count;
        }
    }
    OSL_ASSERT(false);
    return 0;
}

/* The layout of Rust's ryu, which the reference prints with: plain between 1e-5 and 1e16. */
static void layout_digits(const char *digits, uint32_t count, int32_t point, char *out,
                          size_t capacity)
{
    static const char zeros[] = "0000000000000000";
    int32_t length = (int32_t)count;
    if (point >= length && point <= 16) {
        snprintf(out, capacity, "%s%.*s.0", digits, (int)(point - length), zeros);
    } else if (point > 0 && point <= 16) {
        snprintf(out, capacity, "%.*s.%s", (int)point, digits, digits + point);
    } else if (point > -5 && point <= 0) {
        snprintf(out, capacity, "0.%.*s%s", (int)-point, zeros, digits);
    } else if (length == 1) {
        snprintf(out, capacity, "%se%d", digits, (int)point - 1);
    } else {
        snprintf(out, capacity, "%c.%se%d", digits[0], digits + 1, (int)point - 1);
    }
}

void osl_number_shortest(const char *text, uint64_t bytes, char out[OSL_JSON_NUMBER_BYTES])
{
    bool is_integer = memchr(text, '.', bytes) == NULL && memchr(text, 'e', bytes) == NULL &&
                      memchr(text, 'E', bytes) == NULL;
    bool is_negative = text[0] == '-';
    if (is_integer && !(is_negative && text[1] == '0')) { /* the reference prints -0 as -0.0 */
        memcpy(out, text, bytes);
        out[bytes] = '\0';
        return;
    }
    double value = fabs(osl_number_value(text, bytes));
    char digits[DOUBLE_DIGITS + 1] = "0";
    int32_t point = 1;
    uint32_t count = value > 0 ? shortest_digits(value, digits, &point) : 1;
    if (is_negative) {
        *out++ = '-';
    }
    layout_digits(digits, count, point, out, OSL_JSON_NUMBER_BYTES - 1);
}

/* ---- JSON -------------------------------------------------------------------------------- */

void osl_put_quoted(struct osl_writer_text *out, struct osl_text text)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* character, its letter */
    uint64_t from = 0;
    osl_put(out, "\"");
    for (uint64_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0xc0) {
            continue;
        }
        osl_put_text(out, (struct osl_text){text.data + from, i - from});
        i += c == 0xc0;
        from = i + 1;
        char escape[8];
        snprintf(escape, sizeof escape, "\\u%04x", c == 0xc0 ? 0 : (unsigned)c);
        for (const char *name = names; *name != '\0'; name += 2) {
            if ((unsigned char)*name == c) {
                snprintf(escape, sizeof escape, "\\%c", name[1]);
            }
        }
        osl_put(out, escape);
    }
    osl_put_text(out, (struct osl_text){text.data + from, text.bytes - from});
    osl_put(out, "\"");
}

/* Everything of a value up to its children. */
static void put_head(struct osl_writer_text *out, const cJSON *node)
{
    char number[OSL_JSON_NUMBER_BYTES];
    if (cJSON_IsRaw(node)) {
        osl_number_shortest(node->valuestring, strlen(node->valuestring), number);
        osl_put(out, number);
    } else if (cJSON_IsString(node)) {
        osl_put_quoted(out, osl_json_text(node));
    } else {
        osl_put(out, cJSON_IsObject(node)  ? "{"
                     : cJSON_IsArray(node) ? "["
                     : cJSON_IsTrue(node)  ? "true"
                     : cJSON_IsFalse(node) ? "false"
                                           : "null");
    }
}

void osl_put_json(struct osl_writer_text *out, const cJSON *node)
{
    const cJSON *parents[OSL_JSON_DEPTH_MAX];
    uint32_t depth = 0;
    while (node != NULL) {
        if (depth > 0 && cJSON_IsObject(parents[depth - 1])) {
            osl_put_quoted(out, (struct osl_text){node->string, strlen(node->string)});
            osl_put(out, ":");
        }
        put_head(out, node);
        bool is_container = cJSON_IsObject(node) || cJSON_IsArray(node);
        if (is_container && node->child != NULL) {
            OSL_ASSERT(depth < OSL_JSON_DEPTH_MAX);
            parents[depth++] = node;
            node = node->child;
            continue;
        }
        if (is_container) {
            osl_put(out, cJSON_IsObject(node) ? "}" : "]");
        }
        while (depth > 0 && node->next == NULL) {
            node = parents[--depth];
            osl_put(out, cJSON_IsObject(node) ? "}" : "]");
        }
        node = depth > 0 ? node->next : NULL;
        if (node != NULL) {
            osl_put(out, ",");
        }
    }
}
