/* The streaming parser's states (harmony.md 9.1, 9.3, and 10 in tolerant mode; numbers in
 * brackets are rows of section 10). */
#include <string.h>

#include "harmony_parse.h"
#include "harmony_utf8.h"

void osl_parser_init(struct osl_parser *parser, enum osl_parse_mode mode, const char *next_role)
{
    memset(parser, 0, sizeof *parser);
    parser->mode = mode;
    parser->terminator = OSL_SPECIAL_COUNT;
    if (next_role != NULL) {
        bool fits = osl_name_copy(parser->next_role, next_role, strlen(next_role));
        OSL_ASSERT(fits);
        parser->state = OSL_PARSE_HEADER;
        parser->is_completion = strcmp(next_role, "assistant") == 0;
    }
}

static bool is_terminator(enum osl_special special)
{
    return special == OSL_SPECIAL_END || special == OSL_SPECIAL_CALL ||
           special == OSL_SPECIAL_RETURN;
}

static uint32_t end_turn_bit(enum osl_special special)
{
    bool ends = special == OSL_SPECIAL_CALL || special == OSL_SPECIAL_RETURN ||
                special == OSL_SPECIAL_ENDOFTEXT;
    return ends ? OSL_PARSE_END_TURN : OSL_PARSE_NOTHING;
}

static void clear_fields(struct osl_parser *parser)
{
    parser->role[0] = '\0';
    parser->name[0] = '\0';
    parser->channel[0] = '\0';
    parser->recipient[0] = '\0';
    parser->content_type[0] = '\0';
    parser->is_call = false;
    parser->channel_is_guess = false;
}

static void clear_header(struct osl_parser *parser)
{
    parser->header_bytes = 0;
    parser->header_is_bad = false;
}

/* ---- Text -------------------------------------------------------------------------------- */

/* Decodes after what is pending, to out; returns bytes written. */
static uint64_t decode(struct osl_parser *parser, const char *bytes, uint64_t byte_count, char *out)
{
    struct osl_utf8 pending = {.count = parser->pending_bytes};
    memcpy(pending.bytes, parser->pending, sizeof pending.bytes);
    uint64_t written = 0;
    if (bytes == NULL) { /* no such token: one U+FFFD, after what it cut short */
        written = osl_utf8_flush(&pending, out);
        memcpy(out + written, OSL_UTF8_REPLACEMENT, 3);
        written += 3;
        parser->header_is_bad = true;
    } else {
        written = osl_utf8_decode(&pending, bytes, byte_count, out, &parser->header_is_bad);
    }
    memcpy(parser->pending, pending.bytes, sizeof pending.bytes);
    parser->pending_bytes = pending.count;
    return written;
}

/* A special or the end came: a character that has begun will not be completed. */
static uint64_t flush(struct osl_parser *parser, char *out)
{
    struct osl_utf8 pending = {.count = parser->pending_bytes};
    parser->header_is_bad = parser->header_is_bad || pending.count > 0;
    parser->pending_bytes = 0;
    return osl_utf8_flush(&pending, out);
}

/* Adds content to the delta; it is already in parser->out, right behind the delta so far. */
static uint32_t add_delta(struct osl_parser *parser, uint64_t bytes)
{
    if (bytes == 0 || parser->is_discarding) {
        return OSL_PARSE_NOTHING;
    }
    parser->delta = parser->out;
    parser->delta_bytes += bytes;
    parser->is_empty = false;
    return OSL_PARSE_DELTA;
}

/* Appends to the header as many whole characters as fit; returns bytes taken. */
static uint64_t append_header(struct osl_parser *parser, const char *text, uint64_t bytes)
{
    uint64_t room = OSL_HARMONY_HEADER_BYTES - parser->header_bytes;
    uint64_t taken = bytes < room ? bytes : room;
    while (taken > 0 && taken < bytes && ((unsigned char)text[taken] & 0xc0) == 0x80) {
        taken--;
    }
    memcpy(parser->header + parser->header_bytes, text, taken);
    parser->header_bytes += (uint32_t)taken;
    return taken;
}

/* ---- Messages ---------------------------------------------------------------------------- */

/* A header was read: content follows, or the model speaks for someone else [22]. */
static uint32_t begin(struct osl_parser *parser)
{
    parser->state = OSL_PARSE_CONTENT;
    parser->next_role[0] = '\0';
    parser->is_empty = true;
    parser->is_discarding = parser->mode == OSL_PARSE_TOLERANT && parser->is_completion &&
                            strcmp(parser->role, "assistant") != 0;
    clear_header(parser);
    return parser->is_discarding ? OSL_PARSE_END_TURN : OSL_PARSE_BEGIN;
}

/* What an unlabelled message was, now that its end is known [4]. */
static void settle_channel(struct osl_parser *parser, enum osl_special terminator)
{
    if (parser->channel_is_guess) {
        strcpy(parser->channel, terminator == OSL_SPECIAL_RETURN ? "final"
                                : terminator == OSL_SPECIAL_CALL ? "commentary"
                                                                 : "analysis");
    }
}

static uint32_t finish(struct osl_parser *parser, enum osl_special terminator)
{
    uint32_t bits = add_delta(parser, flush(parser, parser->out + parser->delta_bytes));
    parser->state = OSL_PARSE_EXPECT_START;
    parser->terminator = terminator;
    clear_header(parser);
    bits |= end_turn_bit(terminator);
    if (parser->is_discarding) {
        parser->is_discarding = false;
        return bits;
    }
    if (parser->mode == OSL_PARSE_TOLERANT) {
        settle_channel(parser, terminator);
        if (parser->is_call && parser->is_empty &&
            strncmp(parser->recipient, "functions.", 10) == 0) { /* [24] */
            memcpy(parser->out, "{}", 2);
            bits |= add_delta(parser, 2);
        }
        if (parser->is_call && parser->is_completion &&
            osl_is_known_tool(parser, parser->recipient)) { /* [21] */
            bits |= OSL_PARSE_END_TURN;
        }
    }
    parser->had_final = parser->had_final || strcmp(parser->channel, "final") == 0;
    parser->had_call = parser->had_call || parser->is_call;
    parser->finished_count++;
    return bits | OSL_PARSE_FINISH;
}

/* ---- Strict (harmony.md 9.1) ------------------------------------------------------------- */

static uint32_t strict_error(struct osl_parser *parser)
{
    parser->state = OSL_PARSE_EXPECT_START;
    clear_header(parser);
    clear_fields(parser);
    parser->pending_bytes = 0;
    return OSL_PARSE_ERROR;
}

static uint32_t strict_header_text(struct osl_parser *parser, const char *bytes,
                                   uint64_t byte_count)
{
    uint64_t count = decode(parser, bytes, byte_count, parser->out);
    if (append_header(parser, parser->out, count) == count) {
        return OSL_PARSE_NOTHING;
    }
    osl_fail(&parser->error, OSL_FORMAT,
             "header: more than %d bytes after <|start|> without <|message|>",
             OSL_HARMONY_HEADER_BYTES);
    return strict_error(parser);
}

static uint32_t strict_header_ends(struct osl_parser *parser)
{
    flush(parser, parser->out);
    clear_fields(parser);
    if (osl_header_strict(parser) != OSL_OK) {
        return strict_error(parser);
    }
    parser->is_call = strcmp(parser->role, "assistant") == 0 && parser->recipient[0] != '\0';
    return begin(parser);
}

static uint32_t feed_strict(struct osl_parser *parser, enum osl_special special, const char *bytes,
                            uint64_t byte_count)
{
    bool is_text = special == OSL_SPECIAL_COUNT;
    if (!is_text) {
        bytes = osl_special_text(special);
        byte_count = strlen(bytes);
    }
    switch (parser->state) {
    case OSL_PARSE_EXPECT_START:
        if (special == OSL_SPECIAL_START) {
            parser->state = OSL_PARSE_HEADER;
            return OSL_PARSE_NOTHING;
        }
        if (is_text && bytes != NULL && byte_count == 0) {
            return OSL_PARSE_NOTHING;
        }
        osl_fail(&parser->error, OSL_FORMAT, "expected <|start|> after a message, found \"%.*s\"",
                 (int)(byte_count < 40 ? byte_count : 40), bytes != NULL ? bytes : "");
        return OSL_PARSE_ERROR;
    case OSL_PARSE_HEADER:
        return special == OSL_SPECIAL_MESSAGE ? strict_header_ends(parser)
                                              : strict_header_text(parser, bytes, byte_count);
    case OSL_PARSE_CONTENT: break;
    }
    return !is_text && is_terminator(special)
               ? finish(parser, special)
               : add_delta(parser, decode(parser, bytes, byte_count, parser->out));
}

/* ---- Tolerant (harmony.md 10) ------------------------------------------------------------ */

/* The header is over without <|message|>: what is left of it behind the labels is content, outer
 * white space trimmed [6, 7, 8]. must_begin: also if nothing is left. */
static uint32_t recover(struct osl_parser *parser, enum osl_header_end end, bool must_begin)
{
    clear_fields(parser);
    uint32_t from = osl_header_recover(parser, end);
    uint64_t count = 0;
    for (uint32_t i = from; i < parser->header_bytes; i++) {
        if (!osl_is_mark(parser->header[i])) { /* [20] */
            parser->out[count++] = parser->header[i];
        }
    }
    if (!must_begin) {
        while (count > 0 && strchr(" \t\n\v\f\r", parser->out[count - 1]) != NULL &&
               parser->out[count - 1] != '\0') {
            count--;
        }
        if (count == 0) { /* labels only [25] */
            clear_header(parser);
            parser->next_role[0] = '\0';
            return OSL_PARSE_NOTHING;
        }
    }
    uint32_t bits = begin(parser);
    return bits | add_delta(parser, count);
}

/* The header ends here, by a terminator, a new <|start|> or the end of stream. */
static uint32_t cut_header(struct osl_parser *parser, enum osl_special terminator)
{
    append_header(parser, parser->out, flush(parser, parser->out));
    uint32_t bits = recover(
        parser, terminator == OSL_SPECIAL_COUNT ? OSL_HEADER_STREAM_END : OSL_HEADER_CUT, false);
    if (parser->state == OSL_PARSE_CONTENT) {
        return bits | finish(parser, terminator);
    }
    parser->state = OSL_PARSE_EXPECT_START;
    return bits | end_turn_bit(terminator);
}

/* Stray text between messages is the answer if there is no other [17]. */
static uint32_t take_stray(struct osl_parser *parser, enum osl_special terminator)
{
    append_header(parser, parser->out, flush(parser, parser->out));
    bool is_blank = true;
    for (uint32_t i = 0; i < parser->header_bytes; i++) {
        is_blank = is_blank && (unsigned char)parser->header[i] <= ' ';
    }
    if (is_blank || parser->had_final || parser->had_call) {
        clear_header(parser);
        return end_turn_bit(terminator);
    }
    strcpy(parser->next_role, "assistant");
    uint32_t bits = recover(parser, OSL_HEADER_CUT, false);
    if (parser->state == OSL_PARSE_CONTENT) {
        if (parser->channel_is_guess && terminator != OSL_SPECIAL_CALL) {
            strcpy(parser->channel, "final");
            parser->channel_is_guess = false;
        }
        bits |= finish(parser, terminator);
    }
    return bits | end_turn_bit(terminator);
}

static uint32_t tolerant_header_text(struct osl_parser *parser, const char *bytes,
                                     uint64_t byte_count)
{
    char *text = parser->out + OSL_HARMONY_HEADER_BYTES;
    uint64_t count = decode(parser, bytes, byte_count, text);
    uint64_t taken = append_header(parser, text, count);
    if (taken == count) {
        return OSL_PARSE_NOTHING;
    }
    if (parser->state == OSL_PARSE_EXPECT_START) {
        if (parser->had_final || parser->had_call) { /* to be dropped anyway; stays full */
            memset(parser->header + parser->header_bytes, ' ',
                   OSL_HARMONY_HEADER_BYTES - parser->header_bytes);
            parser->header_bytes = OSL_HARMONY_HEADER_BYTES;
            return OSL_PARSE_NOTHING;
        }
        strcpy(parser->next_role, "assistant");
    }
    uint32_t bits = recover(parser, OSL_HEADER_CUT, true);
    memmove(parser->out + parser->delta_bytes, text + taken, count - taken);
    return bits | add_delta(parser, count - taken);
}

static uint32_t tolerant_header_mark(struct osl_parser *parser, enum osl_special special)
{
    const char mark = (char)(OSL_HEADER_MARK + (unsigned)special);
    append_header(parser, parser->out, flush(parser, parser->out));
    if (append_header(parser, &mark, 1) == 1) {
        return OSL_PARSE_NOTHING;
    }
    return recover(parser, OSL_HEADER_CUT, true);
}

static uint32_t tolerant_header_ends(struct osl_parser *parser, enum osl_header_end end)
{
    append_header(parser, parser->out, flush(parser, parser->out));
    clear_fields(parser);
    (void)osl_header_recover(parser, end);
    return begin(parser);
}

/* <|start|> or <|channel|> where a header may begin [16, 19]. */
static uint32_t new_header(struct osl_parser *parser, enum osl_special special)
{
    parser->state = OSL_PARSE_HEADER;
    parser->pending_bytes = 0;
    clear_header(parser);
    parser->next_role[0] = '\0';
    if (special == OSL_SPECIAL_CHANNEL) {
        strcpy(parser->next_role, "assistant");
        return tolerant_header_mark(parser, special);
    }
    return OSL_PARSE_NOTHING;
}

static uint32_t tolerant_between(struct osl_parser *parser, enum osl_special special)
{
    switch (special) {
    case OSL_SPECIAL_START:
    case OSL_SPECIAL_CHANNEL: return new_header(parser, special);
    case OSL_SPECIAL_MESSAGE: /* <|start|> was lost: what stands before is the header */
        return tolerant_header_ends(parser, OSL_HEADER_STRAY);
    case OSL_SPECIAL_RETURN:
    case OSL_SPECIAL_CALL: return take_stray(parser, special); /* [15] */
    default: return OSL_PARSE_NOTHING;
    }
}

static uint32_t tolerant_special(struct osl_parser *parser, enum osl_special special)
{
    if (special == OSL_SPECIAL_ENDOFTEXT) { /* [23] */
        uint32_t bits = osl_parser_end(parser);
        parser->state = OSL_PARSE_EXPECT_START;
        return bits | OSL_PARSE_END_TURN;
    }
    switch (parser->state) {
    case OSL_PARSE_EXPECT_START: return tolerant_between(parser, special);
    case OSL_PARSE_HEADER:
        if (special == OSL_SPECIAL_MESSAGE) {
            return tolerant_header_ends(parser, OSL_HEADER_WELL);
        }
        if (is_terminator(special)) {
            return cut_header(parser, special);
        }
        if (special == OSL_SPECIAL_START) {
            uint32_t bits = cut_header(parser, special);
            return bits | new_header(parser, special);
        }
        return tolerant_header_mark(parser, special);
    case OSL_PARSE_CONTENT: break;
    }
    if (is_terminator(special)) {
        return finish(parser, special);
    }
    if (special == OSL_SPECIAL_START || special == OSL_SPECIAL_CHANNEL) {
        uint32_t bits = finish(parser, special);
        return bits | new_header(parser, special);
    }
    return add_delta(parser, flush(parser, parser->out)); /* [20] */
}

/* ---- Both -------------------------------------------------------------------------------- */

uint32_t osl_parser_feed(struct osl_parser *parser, enum osl_special special, const char *bytes,
                         uint64_t byte_count)
{
    OSL_ASSERT((uint32_t)special <= OSL_SPECIAL_COUNT);
    OSL_ASSERT(special != OSL_SPECIAL_COUNT || byte_count <= OSL_TOKEN_TEXT_MAX);
    parser->delta = parser->out;
    parser->delta_bytes = 0;
    if (parser->mode == OSL_PARSE_STRICT) {
        return feed_strict(parser, special, bytes, byte_count);
    }
    if (special != OSL_SPECIAL_COUNT) {
        return tolerant_special(parser, special);
    }
    return parser->state == OSL_PARSE_CONTENT
               ? add_delta(parser, decode(parser, bytes, byte_count, parser->out))
               : tolerant_header_text(parser, bytes, byte_count);
}

uint32_t osl_parser_end(struct osl_parser *parser)
{
    parser->delta = parser->out;
    parser->delta_bytes = 0;
    if (parser->state == OSL_PARSE_CONTENT) {
        return finish(parser, OSL_SPECIAL_COUNT);
    }
    if (parser->mode == OSL_PARSE_TOLERANT) {
        return parser->state == OSL_PARSE_HEADER ? cut_header(parser, OSL_SPECIAL_COUNT)
                                                 : take_stray(parser, OSL_SPECIAL_COUNT);
    }
    if (parser->state == OSL_PARSE_HEADER) {
        osl_fail(&parser->error, OSL_FORMAT, "the text ends inside a header, before <|message|>");
        return OSL_PARSE_ERROR;
    }
    return OSL_PARSE_NOTHING;
}
