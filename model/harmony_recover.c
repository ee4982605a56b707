/* The tolerant reading of a header (harmony.md section 10; numbers in brackets are its rows).
 *
 * A header is a list of words and marks. Labels are taken from its front; what is none is noise
 * if <|message|> ended the header, and the beginning of the content if nothing did. */
#include <string.h>

#include "harmony_parse.h"

enum await { AWAIT_NOTHING, AWAIT_CHANNEL, AWAIT_TYPE, AWAIT_RECIPIENT };

struct reader {
    struct osl_parser *parser;
    const char *text;
    uint32_t bytes;
    uint32_t at;
    uint32_t content_from; /* words from here on can be content; bytes: none can */
    enum await await;
    bool may_be_half; /* the last word can be the beginning of a label */
    bool role_is_known;
    bool has_recipient; /* a sane one */
    bool is_broken;     /* something was there that no label explains */
};

struct word {
    const char *text;
    uint32_t bytes;
};

static const char *const channels[] = {"analysis", "commentary", "final"};
static const char *const types[] = {"json", "code"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_byte(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool starts(struct word word, const char *prefix)
{
    return word.bytes >= strlen(prefix) && memcmp(word.text, prefix, strlen(prefix)) == 0;
}

static bool equals(struct word word, const char *text)
{
    return word.bytes == strlen(text) && starts(word, text);
}

static struct word word_at(const struct reader *reader, uint32_t at)
{
    uint32_t end = at;
    while (end < reader->bytes && !is_space(reader->text[end]) && !osl_is_mark(reader->text[end])) {
        end++;
    }
    return (struct word){reader->text + at, end - at};
}

static uint32_t skip_spaces(const struct reader *reader, uint32_t at)
{
    while (at < reader->bytes && is_space(reader->text[at])) {
        at++;
    }
    return at;
}

/* The known channel that a word names: one it begins with [3, 4: finalx], or one that it is the
 * beginning of, if long enough to tell [4: fina]. *used_out: bytes of the word that say so. */
static const char *channel_of(struct word word, uint32_t *used_out)
{
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        uint32_t length = (uint32_t)strlen(channels[i]);
        bool is_cut = word.bytes >= 3 && word.bytes < length &&
                      memcmp(channels[i], word.text, word.bytes) == 0;
        if (starts(word, channels[i]) || is_cut) {
            *used_out = is_cut ? word.bytes : length;
            return channels[i];
        }
    }
    return NULL;
}

/* ---- Tools and recipients ---------------------------------------------------------------- */

static bool names_own_tool(struct word word)
{
    return starts(word, "browser.") || equals(word, "python");
}

static struct word without_prefix(struct word word)
{
    uint32_t prefix = starts(word, "functions.") ? 10 : 0;
    return (struct word){word.text + prefix, word.bytes - prefix};
}

/* Whether the request has this function, with or without "functions." on either side [13]. */
static bool is_function(const struct osl_parser *parser, struct word word)
{
    word = without_prefix(word);
    for (uint32_t i = 0; i < parser->tool_count; i++) {
        struct word tool = {parser->tools[i], (uint32_t)strlen(parser->tools[i])};
        tool = without_prefix(tool);
        if (tool.bytes == word.bytes && memcmp(tool.text, word.text, word.bytes) == 0) {
            return true;
        }
    }
    return false;
}

bool osl_is_known_tool(const struct osl_parser *parser, const char *recipient)
{
    struct word word = {recipient, (uint32_t)strlen(recipient)};
    return names_own_tool(word) ||
           (parser->tools == NULL ? starts(word, "functions.") : is_function(parser, word));
}

/* A recipient as it should have been written; none if it names no tool [12, 13, 14]. */
static void take_recipient(struct reader *reader, struct word word)
{
    struct osl_parser *parser = reader->parser;
    const char *leak = memmem(word.text, word.bytes, "<|", 2);
    if (leak != NULL) {
        word.bytes = (uint32_t)(leak - word.text);
        reader->is_broken = true;
    }
    if (word.bytes == 0 || reader->has_recipient) {
        return;
    }
    if (strcmp(parser->role, "tool") == 0) { /* a result is addressed to the assistant */
        reader->has_recipient = true;
        osl_name_copy(parser->recipient, word.text, word.bytes);
        return;
    }
    if (equals(word, "assistant") || equals(word, "user") || equals(word, "all")) {
        return;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct word cut = {word.text, word.bytes > 4 ? word.bytes - 4 : 0};
        if (cut.bytes > 0 && !is_function(parser, word) && is_function(parser, cut) &&
            memcmp(word.text + cut.bytes, types[i], 4) == 0) {
            word = cut; /* a type glued to the name [12] */
        }
    }
    char full[OSL_HARMONY_NAME_BYTES + 16] = {0};
    if (is_function(parser, word)) {
        word = without_prefix(word);
        strcpy(full, "functions.");
    }
    if (word.bytes < OSL_HARMONY_NAME_BYTES) {
        memcpy(full + strlen(full), word.text, word.bytes);
        osl_name_copy(parser->recipient, full, strlen(full));
        reader->has_recipient = true;
    }
}

/* ---- Labels, each taking what it can from the front of a word ---------------------------- */

/* Bytes of the word's front that repeat "assistant" [18]; 0 if what is left is no label. */
static uint32_t assistant_bytes(struct word word)
{
    uint32_t used = 0;
    uint32_t unused;
    while (starts((struct word){word.text + used, word.bytes - used}, "assistant")) {
        used += 9;
    }
    struct word rest = {word.text + used, word.bytes - used};
    bool is_label = rest.bytes == 0 || starts(rest, "to=") || channel_of(rest, &unused) != NULL;
    return is_label ? used : 0;
}

/* The role at the front of a header that has to say it; bytes used. */
static uint32_t take_role(struct reader *reader, struct word word)
{
    static const char *const roles[] = {"user", "system", "developer", "tool"};
    struct osl_parser *parser = reader->parser;
    uint32_t used = assistant_bytes(word);
    reader->role_is_known = true;
    if (used > 0) {
        return used;
    }
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (equals(word, roles[i])) {
            strcpy(parser->role, roles[i]);
            return word.bytes;
        }
    }
    uint32_t after = (uint32_t)(word.text - reader->text) + word.bytes;
    struct word next = word_at(reader, skip_spaces(reader, after));
    if (starts(word, "functions.") || names_own_tool(word) || is_function(parser, word) ||
        starts(next, "to=assistant")) {
        strcpy(parser->role, "tool");
        osl_name_copy(parser->name, word.text, word.bytes);
        return word.bytes;
    }
    return 0; /* some other word where the role should be: the assistant's */
}

/* A channel's name, leading noise skipped [3]; bytes used, 0 if it is none. */
static uint32_t take_channel(struct reader *reader, struct word word)
{
    uint32_t noise = 0;
    uint32_t used = 0;
    while (noise < word.bytes && !is_letter(word.text[noise])) {
        noise++;
    }
    const char *channel = channel_of((struct word){word.text + noise, word.bytes - noise}, &used);
    if (channel == NULL) {
        return 0;
    }
    strcpy(reader->parser->channel, channel);
    return noise + used;
}

static uint32_t take_type(struct reader *reader, struct word word)
{
    uint32_t used = 0;
    while (used < word.bytes && is_name_byte(word.text[used])) {
        used++;
    }
    const char *marker = osl_special_text(OSL_SPECIAL_CONSTRAIN);
    size_t marker_bytes = strlen(marker);
    if (used > 0 && used < OSL_HARMONY_NAME_BYTES - marker_bytes) {
        char *type = reader->parser->content_type;
        memcpy(type, marker, marker_bytes);
        memcpy(type + marker_bytes, word.text, used);
        type[marker_bytes + used] = '\0';
    }
    return used;
}

/* "to=NAME", or NAME after a lone "to="; bytes used. */
static uint32_t take_to(struct reader *reader, struct word word)
{
    uint32_t from = starts(word, "to=") ? 3 : 0;
    uint32_t end = word.bytes;
    if (reader->at >= reader->content_from) { /* content may be glued to it [8] */
        for (end = from; end < word.bytes && is_name_byte(word.text[end]); end++) {
        }
    }
    if (end == from && from > 0) {
        reader->await = AWAIT_RECIPIENT;
        return word.bytes == from ? from : 0;
    }
    reader->await = AWAIT_NOTHING;
    take_recipient(reader, (struct word){word.text + from, end - from});
    return end;
}

/* A type without its marker, which only a call has: else it could be the first word of content. */
static uint32_t take_bare_type(struct reader *reader, struct word word)
{
    char *type = reader->parser->content_type;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bool ends = word.bytes == 4 || (word.bytes > 4 && !is_name_byte(word.text[4]));
        if (starts(word, types[i]) && ends && type[0] == '\0' &&
            (reader->has_recipient || reader->at < reader->content_from)) {
            strcpy(type, types[i]);
            return 4;
        }
    }
    return 0;
}

static bool begins_label(struct word word, const char *label)
{
    return word.bytes < strlen(label) && memcmp(label, word.text, word.bytes) == 0;
}

/* Whether the stream ended inside a label, the last word being its beginning [25]. */
static bool is_half_label(const struct reader *reader, struct word word)
{
    const struct osl_parser *parser = reader->parser;
    if (!reader->may_be_half || word.text + word.bytes != reader->text + reader->bytes) {
        return false;
    }
    bool is_half = !reader->role_is_known || begins_label(word, "to=") ||
                   (parser->channel[0] == '\0' && begins_label(word, "assistant"));
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        is_half = is_half || (reader->await == AWAIT_CHANNEL && begins_label(word, channels[i]));
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        is_half = is_half || (reader->has_recipient && begins_label(word, types[i]));
    }
    return is_half;
}

/* Takes one label off the front of the word; bytes used, 0 if the word is none. */
static uint32_t take_word(struct reader *reader, struct word word)
{
    uint32_t used = 0;
    if (is_half_label(reader, word)) {
        return word.bytes;
    }
    if (reader->await == AWAIT_TYPE) {
        reader->await = AWAIT_NOTHING;
        return take_type(reader, word);
    }
    if (starts(word, "to=") || reader->await == AWAIT_RECIPIENT) {
        enum await before = reader->await;
        used = take_to(reader, word);
        if (before == AWAIT_CHANNEL && reader->await == AWAIT_NOTHING) {
            reader->await = AWAIT_CHANNEL; /* its name may come behind */
        }
        return used;
    }
    if (reader->await == AWAIT_CHANNEL) {
        used = take_channel(reader, word);
        bool has_letter = false;
        for (uint32_t i = 0; i < word.bytes; i++) {
            has_letter = has_letter || is_letter(word.text[i]);
        }
        reader->await = used > 0 || has_letter ? AWAIT_NOTHING : AWAIT_CHANNEL;
        return used;
    }
    if (!reader->role_is_known) {
        used = take_role(reader, word);
    } else if (strcmp(reader->parser->role, "assistant") == 0) {
        used = assistant_bytes(word);
    }
    used = used > 0 ? used : take_bare_type(reader, word);
    /* A channel's name whose marker was lost. */
    for (size_t i = 0; i < sizeof channels / sizeof *channels && used == 0; i++) {
        if (equals(word, channels[i]) && reader->parser->channel[0] == '\0' &&
            reader->at < reader->content_from) {
            strcpy(reader->parser->channel, channels[i]);
            used = word.bytes;
        }
    }
    return used;
}

/* ---- The header -------------------------------------------------------------------------- */

/* Where labels end to be able to follow noise: the last <|channel|> with a known name [2]. */
static uint32_t last_channel(const struct reader *reader)
{
    uint32_t unused;
    for (uint32_t at = reader->bytes; at > 0; at--) {
        if (osl_is_mark_of(reader->text[at - 1], OSL_SPECIAL_CHANNEL) &&
            channel_of(word_at(reader, skip_spaces(reader, at)), &unused) != NULL) {
            return at - 1;
        }
    }
    return 0;
}

/* Reads labels; returns where content begins, or the header's end. */
static uint32_t read_labels(struct reader *reader)
{
    while ((reader->at = skip_spaces(reader, reader->at)) < reader->bytes) {
        char c = reader->text[reader->at];
        if (osl_is_mark(c)) {
            reader->await = osl_is_mark_of(c, OSL_SPECIAL_CHANNEL)     ? AWAIT_CHANNEL
                            : osl_is_mark_of(c, OSL_SPECIAL_CONSTRAIN) ? AWAIT_TYPE
                                                                       : reader->await;
            reader->role_is_known = true; /* it stands before these */
            reader->is_broken = true;     /* if no channel comes of it */
            reader->at++;
            continue;
        }
        struct word word = word_at(reader, reader->at);
        uint32_t used = take_word(reader, word);
        if (used == 0 && reader->at >= reader->content_from) {
            return reader->at;
        }
        reader->is_broken = reader->is_broken || used == 0;
        /* What is left of a role or a label goes round again; noise is skipped. */
        reader->at += used > 0 ? used : word.bytes;
    }
    return reader->bytes;
}

uint32_t osl_header_recover(struct osl_parser *parser, enum osl_header_end end)
{
    bool is_whole = end == OSL_HEADER_WELL || end == OSL_HEADER_STRAY;
    struct reader reader = {
        .parser = parser,
        .text = parser->header,
        .bytes = parser->header_bytes,
        .may_be_half = end == OSL_HEADER_STREAM_END,
        .role_is_known = parser->next_role[0] != '\0',
        .is_broken = end != OSL_HEADER_WELL,
    };
    strcpy(parser->role, reader.role_is_known ? parser->next_role : "assistant");
    reader.content_from = is_whole ? reader.bytes : last_channel(&reader);
    uint32_t content = read_labels(&reader);
    bool is_assistant = strcmp(parser->role, "assistant") == 0;
    parser->is_call = is_assistant && parser->recipient[0] != '\0';
    if (is_assistant && parser->channel[0] == '\0') {
        /* [4]: by the terminator, once it is known; hidden until then. */
        parser->channel_is_guess = reader.is_broken && !parser->is_call;
        strcpy(parser->channel, parser->is_call            ? "commentary"
                                : parser->channel_is_guess ? "analysis"
                                                           : "");
    }
    return content;
}
