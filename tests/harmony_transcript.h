/* Runs the Harmony parser over a text with specials spelled out and writes what it saw down, a
 * line per message: "role(name) channel to=recipient type: content". Absent fields leave no
 * trace, absent channels are "-". A trailing "ERROR", "STOP" (the turn ended) or "CONTRADICTION"
 * (the events contradict one another) follow. */
#ifndef OSL_HARMONY_TRANSCRIPT_H
#define OSL_HARMONY_TRANSCRIPT_H

#include <string.h>

#include "model/harmony_parse.h"

#define TRANSCRIPT_BYTES (1u << 16)

struct transcript {
    struct osl_parser parser;
    char text[TRANSCRIPT_BYTES];
    uint32_t bytes;
    char content[TRANSCRIPT_BYTES];
    uint32_t content_bytes;
    uint32_t messages, errors, deltas;
    bool is_open, is_stopped, is_contradictory;
    char first_channel[OSL_HARMONY_NAME_BYTES]; /* as BEGIN said */
};

static inline void transcript_add(struct transcript *transcript, const char *text)
{
    uint32_t bytes = (uint32_t)strlen(text);
    if (bytes < TRANSCRIPT_BYTES - transcript->bytes) {
        memcpy(transcript->text + transcript->bytes, text, bytes + 1);
        transcript->bytes += bytes;
    }
}

static inline void transcript_begin(struct transcript *transcript, enum osl_parse_mode mode,
                                    const char *role, const char *const *tools, uint32_t tool_count)
{
    memset(transcript, 0, offsetof(struct transcript, text));
    transcript->text[0] = '\0';
    transcript->bytes = transcript->content_bytes = 0;
    transcript->messages = transcript->errors = transcript->deltas = 0;
    transcript->is_open = transcript->is_stopped = transcript->is_contradictory = false;
    osl_parser_init(&transcript->parser, mode, role);
    transcript->parser.tools = tools;
    transcript->parser.tool_count = tool_count;
}

static inline void transcript_message(struct transcript *transcript)
{
    const struct osl_parser *parser = &transcript->parser;
    transcript_add(transcript, parser->role);
    if (parser->name[0] != '\0') {
        transcript_add(transcript, "(");
        transcript_add(transcript, parser->name);
        transcript_add(transcript, ")");
    }
    transcript_add(transcript, " ");
    transcript_add(transcript, parser->channel[0] != '\0' ? parser->channel : "-");
    if (parser->recipient[0] != '\0') {
        transcript_add(transcript, " to=");
        transcript_add(transcript, parser->recipient);
    }
    if (parser->content_type[0] != '\0') {
        transcript_add(transcript, " ");
        transcript_add(transcript, parser->content_type);
    }
    transcript_add(transcript, ": ");
    transcript->content[transcript->content_bytes] = '\0';
    transcript_add(transcript, transcript->content);
    transcript_add(transcript, "\n");
    transcript->messages++;
}

/* Takes the bits of one feed. */
static inline void transcript_take(struct transcript *transcript, uint32_t bits)
{
    const struct osl_parser *parser = &transcript->parser;
    if (bits & OSL_PARSE_BEGIN) {
        transcript->is_contradictory |= transcript->is_open;
        transcript->is_open = true;
        transcript->content_bytes = 0;
        strcpy(transcript->first_channel, parser->channel);
    }
    if (bits & OSL_PARSE_DELTA) {
        transcript->is_contradictory |= !transcript->is_open || parser->delta_bytes == 0 ||
                                        parser->delta_bytes > sizeof parser->out;
        transcript->deltas++;
        uint32_t room = TRANSCRIPT_BYTES - 1 - transcript->content_bytes;
        uint32_t bytes = parser->delta_bytes < room ? (uint32_t)parser->delta_bytes : room;
        memcpy(transcript->content + transcript->content_bytes, parser->delta, bytes);
        transcript->content_bytes += bytes;
    }
    if (bits & OSL_PARSE_FINISH) {
        transcript->is_contradictory |= !transcript->is_open;
        transcript_message(transcript);
        transcript->is_open = false;
    }
    transcript->errors += (bits & OSL_PARSE_ERROR) != 0;
    transcript->is_stopped |= (bits & OSL_PARSE_END_TURN) != 0;
}

/* The whole text; text runs are cut into pieces of `chunk` bytes. */
static inline const char *transcript_run(struct transcript *transcript, const char *text,
                                         uint64_t bytes, uint32_t chunk)
{
    for (uint64_t at = 0; at < bytes && transcript->errors == 0;) {
        struct osl_piece piece = osl_piece_at(text, bytes, at);
        at += piece.bytes;
        bool is_text = piece.special == OSL_SPECIAL_COUNT;
        if (piece.is_reserved && transcript->parser.mode == OSL_PARSE_TOLERANT) {
            continue;
        }
        for (uint64_t from = 0; from < piece.bytes && transcript->errors == 0;) {
            uint64_t left = piece.bytes - from;
            uint64_t count = is_text && left > chunk ? chunk : left;
            transcript_take(transcript, osl_parser_feed(&transcript->parser, piece.special,
                                                        piece.text + from, count));
            from += count;
        }
    }
    if (transcript->errors == 0) {
        transcript_take(transcript, osl_parser_end(&transcript->parser));
    }
    transcript_add(transcript, transcript->errors > 0 ? "ERROR" : "");
    transcript_add(transcript, transcript->is_stopped ? "STOP" : "");
    transcript_add(transcript,
                   transcript->is_contradictory || transcript->is_open ? "CONTRADICTION" : "");
    return transcript->text;
}

#endif
