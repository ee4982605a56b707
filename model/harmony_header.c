/* The strict reading of a header, as the reference does it (harmony.md 9.2). */
#include <string.h>

#include "harmony_parse.h"

#define WORDS_MAX 8 /* four can mean something; more are an error in any case */

struct word {
    const char *text;
    uint64_t bytes;
};

bool osl_name_copy(char out[OSL_HARMONY_NAME_BYTES], const char *text, uint64_t bytes)
{
    bool fits = bytes < OSL_HARMONY_NAME_BYTES;
    if (!fits) {
        bytes = OSL_HARMONY_NAME_BYTES - 1;
        while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80) {
            bytes--;
        }
    }
    memcpy(out, text, bytes);
    out[bytes] = '\0';
    return fits;
}

/* Bytes of the white space character at text, 0 if it is none: Unicode's White_Space, which the
 * reference trims by and ends channel names at. Words are split at ASCII's only. */
static uint32_t white_space(const char *text, uint64_t bytes)
{
    static const char *const wide[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    };
    unsigned char c = bytes > 0 ? (unsigned char)text[0] : 0;
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
        return 1;
    }
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        uint64_t length = strlen(wide[i]);
        if (bytes >= length && memcmp(text, wide[i], length) == 0) {
            return (uint32_t)length;
        }
    }
    /* U+2000 to U+200A */
    return bytes >= 3 && memcmp(text, "\xe2\x80", 2) == 0 && (unsigned char)text[2] >= 0x80 &&
                   (unsigned char)text[2] <= 0x8a
               ? 3
               : 0;
}

static bool is_word(struct word word, const char *text)
{
    return word.bytes == strlen(text) && memcmp(word.text, text, word.bytes) == 0;
}

static bool has_prefix(struct word word, const char *prefix)
{
    return word.bytes >= strlen(prefix) && memcmp(word.text, prefix, strlen(prefix)) == 0;
}

static enum osl_status fail(struct osl_parser *parser, const char *problem, struct word word)
{
    return osl_fail(&parser->error, OSL_FORMAT, "header: %s \"%.*s\"", problem,
                    (int)(word.bytes < 80 ? word.bytes : 80), word.text);
}

static enum osl_status copy(struct osl_parser *parser, char *out, struct word word)
{
    return osl_name_copy(out, word.text, word.bytes)
               ? OSL_OK
               : fail(parser, "a word of more than 159 bytes", word);
}

/* Takes marker and name of the first channel out of text; *bytes becomes what is left. */
static enum osl_status take_channel(struct osl_parser *parser, char *text, uint64_t *bytes)
{
    const char *marker = osl_special_text(OSL_SPECIAL_CHANNEL);
    char *found = memmem(text, *bytes, marker, strlen(marker));
    if (found == NULL) {
        return OSL_OK;
    }
    uint64_t end = *bytes;
    uint64_t name = (uint64_t)(found - text) + strlen(marker);
    uint64_t after = name;
    while (after < end && text[after] != '<' && white_space(text + after, end - after) == 0) {
        after++;
    }
    if (after == name) {
        return fail(parser, "<|channel|> without a name in", (struct word){text, *bytes});
    }
    enum osl_status status =
        copy(parser, parser->channel, (struct word){text + name, after - name});
    memmove(found, text + after, end - after);
    *bytes = end - after + (uint64_t)(found - text);
    return status;
}

/* Splits at white space and before every <|constrain|>. False if there are too many words. */
static bool split(const char *text, uint64_t bytes, struct word words[WORDS_MAX],
                  uint32_t *count_out)
{
    const char *marker = osl_special_text(OSL_SPECIAL_CONSTRAIN);
    uint32_t count = 0;
    bool in_word = false;
    for (uint64_t i = 0; i < bytes; i++) {
        bool is_space = text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r' && text[i] != '\v');
        bool is_marker =
            bytes - i >= strlen(marker) && memcmp(text + i, marker, strlen(marker)) == 0;
        if (is_space) {
            in_word = false;
            continue;
        }
        if (!in_word || is_marker) {
            if (count == WORDS_MAX) {
                return false;
            }
            words[count++] = (struct word){text + i, 0};
            in_word = true;
        }
        words[count - 1].bytes++;
    }
    *count_out = count;
    return true;
}

/* The role, from the parser's next_role or the first word; *used_out words are consumed. */
static enum osl_status take_role(struct osl_parser *parser, const struct word *words,
                                 uint32_t count, uint32_t *used_out)
{
    static const char *const roles[] = {"user", "assistant", "system", "developer", "tool"};
    *used_out = 0;
    if (parser->next_role[0] != '\0') {
        strcpy(parser->role, parser->next_role);
    } else if (count == 0) {
        return osl_fail(&parser->error, OSL_FORMAT, "header: no role after <|start|>");
    } else {
        for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
            if (is_word(words[0], roles[i])) {
                strcpy(parser->role, roles[i]);
            }
        }
        bool is_tool = parser->role[0] == '\0';
        if (is_tool && count == 1 && !has_prefix(words[0], "to=")) {
            return fail(parser, "unknown role", words[0]);
        }
        if (is_tool) {
            strcpy(parser->role, "tool");
            *used_out = 1;
        }
        if (strcmp(parser->role, "tool") == 0) {
            enum osl_status status = copy(parser, parser->name, words[0]);
            if (status != OSL_OK) {
                return status;
            }
        }
    }
    if (count > *used_out && is_word(words[*used_out], parser->role)) {
        (*used_out)++;
    }
    return OSL_OK;
}

static enum osl_status take_rest(struct osl_parser *parser, const struct word *words,
                                 uint32_t count)
{
    if (count == 0) {
        return OSL_OK;
    }
    struct word recipient = words[count - 1];
    enum osl_status status = OSL_OK;
    uint32_t used = 1;
    if (!has_prefix(recipient, "to=") && count > 1) {
        status = copy(parser, parser->content_type, words[count - 1]);
        recipient = words[count - 2];
        used = 2;
    }
    if (has_prefix(recipient, "to=")) {
        recipient = (struct word){recipient.text + 3, recipient.bytes - 3};
    }
    status = status != OSL_OK ? status : copy(parser, parser->recipient, recipient);
    if (status == OSL_OK && count > used) {
        status = fail(parser, "unexpected words, beginning with", words[0]);
    }
    return status;
}

enum osl_status osl_header_strict(struct osl_parser *parser)
{
    struct word words[WORDS_MAX];
    uint32_t count = 0;
    uint32_t used = 0;
    uint64_t bytes = parser->header_bytes;
    char *text = parser->header;
    if (parser->header_is_bad) {
        return osl_fail(&parser->error, OSL_FORMAT, "header: not valid UTF-8");
    }
    enum osl_status status = take_channel(parser, text, &bytes);
    if (status != OSL_OK) {
        return status;
    }
    while (bytes > 0 && white_space(text, bytes) > 0) {
        uint32_t length = white_space(text, bytes);
        text += length;
        bytes -= length;
    }
    for (uint32_t length = 1; length <= 3; length++) {
        while (bytes >= length && white_space(text + bytes - length, length) == length) {
            bytes -= length;
            length = 1;
        }
    }
    if (!split(text, bytes, words, &count)) {
        return fail(parser, "too many words in", (struct word){text, bytes});
    }
    status = take_role(parser, words, count, &used);
    return status != OSL_OK ? status : take_rest(parser, words + used, count - used);
}
