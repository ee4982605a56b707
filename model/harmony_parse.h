/* What the parts of the Harmony parser share. */
#ifndef OSL_HARMONY_PARSE_H
#define OSL_HARMONY_PARSE_H

#include "harmony.h"

/* Tolerant headers are pieces: a special stands in the header as one byte that valid UTF-8 never
 * holds, F8 to FF. */
#define OSL_HEADER_MARK 0xf8u
_Static_assert(OSL_HEADER_MARK + OSL_SPECIAL_COUNT == 0x100, "each special needs a byte");

static inline bool osl_is_mark(char c)
{
    return (unsigned char)c >= OSL_HEADER_MARK;
}
static inline bool osl_is_mark_of(char c, enum osl_special special)
{
    return (unsigned char)c == OSL_HEADER_MARK + (unsigned)special;
}

/* Copies text, or as much of it as fits in whole characters; false if it was cut. */
bool osl_name_copy(char out[OSL_HARMONY_NAME_BYTES], const char *text, uint64_t bytes);

/* Reads parser->header by harmony.md 9.2 into the message fields. FORMAT fills parser->error. */
OSL_MUST_USE enum osl_status osl_header_strict(struct osl_parser *parser);

/* How a tolerant header ended. */
enum osl_header_end {
    OSL_HEADER_WELL,       /* by <|message|> */
    OSL_HEADER_STRAY,      /* by <|message|>, but no <|start|> stood before it */
    OSL_HEADER_CUT,        /* by a terminator, another <|start|> or its bound */
    OSL_HEADER_STREAM_END, /* so that its last word may be half a label */
};

/* Reads parser->header by harmony.md section 10 into the message fields; never fails. Returns
 * where content begins in it: header_bytes, "none", always after <|message|>. */
uint32_t osl_header_recover(struct osl_parser *parser, enum osl_header_end end);

/* Whether recipient is one of parser->tools, or looks like a tool when none are given. */
bool osl_is_known_tool(const struct osl_parser *parser, const char *recipient);

/* A special token spelled out in a text, or the ordinary text up to the next. */
struct osl_piece {
    enum osl_special special; /* COUNT: text, or a special that Harmony has no use for */
    bool is_reserved;         /* the latter: <|reserved_200013|>, <|startoftext|> */
    const char *text;
    uint64_t bytes; /* 1.. */
};

/* The piece at text[at..bytes); at < bytes. Text comes in pieces of at most OSL_TOKEN_TEXT_MAX. */
struct osl_piece osl_piece_at(const char *text, uint64_t bytes, uint64_t at);

#endif
