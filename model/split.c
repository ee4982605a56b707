/* The o200k split without a regex engine. Each function below is one alternative, or two that
 * share their scan; what the engine finds by giving characters back is computed from what the
 * scan saw. */
#include "model/split.h"

#include "model/unicode.h"

enum {
    UPPER = OSL_UNICODE_UPPER,
    LOWER = OSL_UNICODE_LOWER,
    LETTER = OSL_UNICODE_LETTER,
    NUMBER = OSL_UNICODE_NUMBER,
    SPACE = OSL_UNICODE_SPACE,
    NEWLINE = OSL_UNICODE_NEWLINE,
};

#define NUMBER_RUN_MAX 3

struct text {
    const uint8_t *data;
    uint64_t bytes;
};

struct seen {
    uint64_t end; /* of the character; 0 at the end of the text */
    uint32_t class;
};

static struct seen look(const struct text *text, uint64_t at)
{
    if (at >= text->bytes) {
        return (struct seen){ 0, 0 };
    }
    struct osl_unicode_char c = osl_unicode_decode(text->data + at, text->bytes - at);
    return (struct seen){ at + c.bytes, osl_unicode_classify(c.code) };
}

/* End of (?i:'s|'t|'re|'ve|'m|'ll|'d)? at `at`. */
static uint64_t contraction(const struct text *text, uint64_t at)
{
    uint64_t left = text->bytes - at;
    const uint8_t *c = text->data + at;
    if (left < 2 || c[0] != '\'') {
        return at;
    }
    uint8_t first = c[1] | 0x20;
    if (c[1] < 0x80 && (first == 's' || first == 't' || first == 'm' || first == 'd')) {
        return at + 2;
    }
    if (left < 3) {
        return at;
    }
    if (c[1] == 0xc5 && c[2] == 0xbf) { /* U+017F folds to s */
        return at + 3;
    }
    uint8_t second = c[2] | 0x20;
    bool two = (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
               (first == 'l' && second == 'l');
    return two && c[1] < 0x80 && c[2] < 0x80 ? at + 3 : at;
}

/* What [upper set]*[lower set]+ and [upper set]+[lower set]* find from one place. */
struct word {
    uint64_t mixed_end; /* of the first, 0 if it fails */
    uint64_t upper_end; /* of the second where the first fails, 0 if both fail */
};

static struct word scan_word(const struct text *text, uint64_t at)
{
    struct word word = { 0, 0 };
    uint64_t both_end = 0; /* of the last character that is in both sets */
    uint64_t end = at;
    struct seen c = look(text, end);
    while (c.class & UPPER) {
        end = c.end;
        if (c.class & LOWER) {
            both_end = end;
        }
        c = look(text, end);
    }
    if (c.class & LOWER) {
        while (c.class & LOWER) {
            end = c.end;
            c = look(text, end);
        }
        word.mixed_end = end;
    } else if (both_end != 0) {
        /* The first set gives back until its last character is one the second can take; what
         * follows that one is in the first set alone, so the second takes no more. */
        word.mixed_end = both_end;
    } else if (end > at) {
        word.upper_end = end;
    }
    return word;
}

/* Alternatives 1 and 2; 0 if both fail. */
static uint64_t match_word(const struct text *text, uint64_t at, struct seen c)
{
    uint64_t end;
    if (c.class & LETTER) {
        struct word word = scan_word(text, at);
        end = word.mixed_end != 0 ? word.mixed_end : word.upper_end;
    } else if (c.class & (NUMBER | NEWLINE)) {
        return 0;
    } else {
        struct word word = scan_word(text, c.end);
        if (word.mixed_end != 0) {
            end = word.mixed_end;
        } else if (c.class & LOWER) {
            /* A mark that is not a prefix: alone it satisfies alternative 1, before 2 is tried. */
            end = c.end;
        } else {
            end = word.upper_end;
        }
    }
    return end != 0 ? contraction(text, end) : 0;
}

/* Alternative 3; the character at `at` is a number. */
static uint64_t match_number(const struct text *text, struct seen c)
{
    uint64_t end = c.end;
    for (uint32_t i = 1; i < NUMBER_RUN_MAX; i++) {
        c = look(text, end);
        if (!(c.class & NUMBER)) {
            break;
        }
        end = c.end;
    }
    return end;
}

static bool is_symbol(struct seen c)
{
    return c.end != 0 && !(c.class & (SPACE | LETTER | NUMBER));
}

/* Alternative 4; 0 if it fails. */
static uint64_t match_symbols(const struct text *text, uint64_t at, struct seen c)
{
    if (text->data[at] == ' ') {
        c = look(text, at + 1);
    }
    if (!is_symbol(c)) {
        return 0;
    }
    uint64_t end = at;
    while (is_symbol(c)) {
        end = c.end;
        c = look(text, end);
    }
    while (end < text->bytes && (text->data[end] == '\r' || text->data[end] == '\n' ||
                                 text->data[end] == '/')) {
        end++;
    }
    return end;
}

/* Alternatives 5, 6 and 7; the character at `at` is white space. */
static uint64_t match_space(const struct text *text, uint64_t at, struct seen c)
{
    uint64_t newline_end = 0, last_start = at, end = at;
    while (c.class & SPACE) {
        last_start = end;
        end = c.end;
        if (c.class & NEWLINE) {
            newline_end = end;
        }
        c = look(text, end);
    }
    if (newline_end != 0) {
        return newline_end;
    }
    /* Before a character that is not white space, one blank is given back, if another is left. */
    bool at_text_end = c.end == 0;
    return at_text_end || last_start == at ? end : last_start;
}

uint64_t osl_split_next(const uint8_t *data, uint64_t bytes, uint64_t at)
{
    OSL_ASSERT_HOT(at < bytes);
    struct text text = { data, bytes };
    struct seen c = look(&text, at);
    uint64_t end = match_word(&text, at, c);
    if (end == 0 && (c.class & NUMBER)) {
        end = match_number(&text, c);
    }
    if (end == 0) {
        end = match_symbols(&text, at, c);
    }
    if (end == 0) {
        end = match_space(&text, at, c);
    }
    OSL_ASSERT_HOT(end > at && end <= bytes);
    return end;
}
