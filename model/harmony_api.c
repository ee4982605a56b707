/* The two public functions of Harmony without a model. */
#include <string.h>

#include "harmony_json.h"
#include "harmony_parse.h"
#include "ossicle.h"

_Static_assert(sizeof(struct ossicle_error) == sizeof(struct osl_error), "errors are copied");

static enum ossicle_status report(enum osl_status status, const struct osl_error *from,
                                  struct ossicle_error *error)
{
    if (status != OSL_OK && error != NULL) {
        error->status = (enum ossicle_status)status;
        memcpy(error->text, from->text, sizeof error->text);
    }
    return (enum ossicle_status)status;
}

/* Scratch memory of any alignment as an arena. */
static struct osl_arena arena_of(void *memory, size_t bytes)
{
    uintptr_t skip = (16 - (uintptr_t)memory % 16) % 16;
    if (memory == NULL || skip > bytes) {
        return (struct osl_arena){0};
    }
    return (struct osl_arena){.base = (uint8_t *)memory + skip, .bytes = bytes - skip};
}

/* ---- Render ------------------------------------------------------------------------------ */

/* A sink that writes to the caller's buffer; the last byte is kept for the terminator. */
static enum osl_status write_text(void *context, const char *text, uint64_t bytes)
{
    struct osl_writer_text *out = context;
    osl_put_text(out, (struct osl_text){text, bytes});
    return out->full ? OSL_CAPACITY : OSL_OK;
}

static enum osl_status write_special(void *context, enum osl_special special)
{
    const char *text = osl_special_text(special);
    return write_text(context, text, strlen(text));
}

enum ossicle_status ossicle_harmony_render(const char *request_json, size_t bytes, void *memory,
                                           size_t memory_bytes, char *text, size_t text_capacity,
                                           size_t *text_bytes_out, struct ossicle_error *error)
{
    struct osl_error why = {0};
    struct osl_writer_text out;
    struct osl_arena arena = arena_of(memory, memory_bytes);
    struct osl_arena buffer = {.base = (uint8_t *)text,
                               .bytes = text_capacity > 0 ? text_capacity - 1 : 0};
    struct osl_harmony_sink sink = {&out, write_text, write_special};
    osl_put_begin(&out, &buffer);
    enum osl_status status = osl_harmony_request(&sink, request_json, bytes, NULL, &arena, &why);
    if (status == OSL_CAPACITY) {
        osl_fail(&why, status, "request: its text does not fit %zu bytes; give a larger buffer",
                 text_capacity);
    }
    if (status == OSL_OK) {
        text[buffer.used] = '\0';
        *text_bytes_out = buffer.used;
    }
    return report(status, &why, error);
}

/* ---- Parse ------------------------------------------------------------------------------- */

struct collector {
    struct osl_parser parser;
    struct osl_arena arena;         /* content of the message under way */
    struct osl_writer_text content; /* there */
    struct osl_arena buffer;        /* the caller's JSON buffer, less its last bytes */
    struct osl_writer_text json;    /* there */
};

static void put_member(struct osl_writer_text *json, const char *key, const char *value)
{
    if (*value != '\0') {
        osl_put(json, "\"");
        osl_put(json, key);
        osl_put(json, "\":");
        osl_put_quoted(json, (struct osl_text){value, strlen(value)});
        osl_put(json, ",");
    }
}

/* Takes what one feed did. Writes a message when it is finished. */
static enum osl_status collect(struct collector *collector, uint32_t bits, struct osl_error *error)
{
    struct osl_parser *parser = &collector->parser;
    struct osl_writer_text *json = &collector->json;
    if (bits & OSL_PARSE_BEGIN) {
        collector->arena.used = 0;
        osl_put_begin(&collector->content, &collector->arena);
    }
    if (bits & OSL_PARSE_DELTA) {
        osl_put_text(&collector->content, (struct osl_text){parser->delta, parser->delta_bytes});
        if (collector->content.full) {
            return osl_fail(error, OSL_MEMORY,
                            "harmony: a message does not fit %llu bytes of scratch; give more",
                            (unsigned long long)collector->arena.bytes);
        }
    }
    if (bits & OSL_PARSE_FINISH) {
        uint64_t used_before = collector->buffer.used;
        osl_put(json, used_before > 1 ? ",{" : "{");
        put_member(json, "role", parser->role);
        put_member(json, "name", parser->name);
        put_member(json, "channel", parser->channel);
        put_member(json, "recipient", parser->recipient);
        put_member(json, "content_type", parser->content_type);
        osl_put(json, "\"content\":");
        osl_put_quoted(json, (struct osl_text){osl_put_data(&collector->content),
                                               osl_put_bytes(&collector->content)});
        osl_put(json, "}");
    }
    if (json->full) {
        return osl_fail(error, OSL_CAPACITY,
                        "harmony: the messages do not fit %llu bytes of JSON; give a larger buffer",
                        (unsigned long long)collector->buffer.bytes);
    }
    return OSL_OK;
}

/* A strict error, with where it is. */
static enum osl_status fail_at(const struct osl_parser *parser, const char *text, uint64_t at,
                               struct osl_error *error)
{
    uint64_t line = 1;
    for (uint64_t i = 0; i < at; i++) {
        line += text[i] == '\n';
    }
    return osl_fail(error, OSL_FORMAT, "harmony: line %llu, byte %llu: %.300s",
                    (unsigned long long)line, (unsigned long long)at, parser->error.text);
}

static enum osl_status feed_all(struct collector *collector, const char *text, uint64_t bytes,
                                struct osl_error *error)
{
    struct osl_parser *parser = &collector->parser;
    bool is_strict = parser->mode == OSL_PARSE_STRICT;
    for (uint64_t at = 0; at < bytes;) {
        struct osl_piece piece = osl_piece_at(text, bytes, at);
        bool is_last_newline = parser->state == OSL_PARSE_EXPECT_START && at + 1 == bytes &&
                               text[at] == '\n'; /* echo and editors add one */
        at += piece.bytes;
        if (is_last_newline || (piece.is_reserved && !is_strict)) {
            continue;
        }
        uint32_t bits = osl_parser_feed(parser, piece.special, piece.text, piece.bytes);
        if (bits & OSL_PARSE_ERROR) {
            return fail_at(parser, text, at - piece.bytes, error);
        }
        enum osl_status status = collect(collector, bits, error);
        if (status != OSL_OK) {
            return status;
        }
    }
    uint32_t bits = osl_parser_end(parser);
    return bits & OSL_PARSE_ERROR ? fail_at(parser, text, bytes, error)
                                  : collect(collector, bits, error);
}

enum ossicle_status ossicle_harmony_parse(const char *text, size_t bytes, const char *role,
                                          bool strict, void *memory, size_t memory_bytes,
                                          char *json, size_t json_capacity, size_t *json_bytes_out,
                                          struct ossicle_error *error)
{
    static const char *const roles[] = {"user", "assistant", "system", "developer", "tool"};
    struct osl_error why = {0};
    bool is_known = role == NULL;
    for (size_t i = 0; i < sizeof roles / sizeof *roles && !is_known; i++) {
        is_known = strcmp(role, roles[i]) == 0;
    }
    if (!is_known) {
        return report(osl_fail(&why, OSL_ARGUMENT,
                               "harmony: role \"%.40s\" is none of user, assistant, system, "
                               "developer, tool",
                               role),
                      &why, error);
    }
    if (json_capacity < 3) {
        return report(osl_fail(&why, OSL_CAPACITY, "harmony: no room for JSON, not even []"), &why,
                      error);
    }
    struct collector collector = {
        .arena = arena_of(memory, memory_bytes),
        .buffer = {.base = (uint8_t *)json, .bytes = json_capacity - 2},
    };
    osl_put_begin(&collector.content, &collector.arena);
    osl_put_begin(&collector.json, &collector.buffer);
    osl_put(&collector.json, "[");
    osl_parser_init(&collector.parser, strict ? OSL_PARSE_STRICT : OSL_PARSE_TOLERANT, role);
    enum osl_status status = feed_all(&collector, text, bytes, &why);
    if (status == OSL_OK || status == OSL_FORMAT) { /* an error loses no finished message */
        memcpy(json + collector.buffer.used, "]", 2);
        *json_bytes_out = collector.buffer.used + 1;
    }
    return report(status, &why, error);
}
