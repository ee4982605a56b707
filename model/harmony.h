/* Harmony: the chat format of gpt-oss, as an emitter of pieces and a streaming parser.
 * Behaviour follows harmony.md in the shared notes, section by section; deviations are its [REC]s.
 *
 * Rendering goes to pieces (runs of ordinary text, and special tokens), never to one string that
 * is tokenised with specials on: text from a caller can not become a special token. */
#ifndef OSL_HARMONY_H
#define OSL_HARMONY_H

#include "platform/platform.h"

enum osl_special {
    OSL_SPECIAL_START, OSL_SPECIAL_END, OSL_SPECIAL_MESSAGE, OSL_SPECIAL_CHANNEL,
    OSL_SPECIAL_CONSTRAIN, OSL_SPECIAL_CALL, OSL_SPECIAL_RETURN, OSL_SPECIAL_ENDOFTEXT,
    OSL_SPECIAL_COUNT,
};
/* "<|start|>" and so on. */
const char *osl_special_text(enum osl_special special);

/* Receives what is rendered, in order. A text run may be cut anywhere between pieces, so the
 * receiver joins neighbouring runs before tokenising. Non-OK stops rendering and is returned. */
struct osl_harmony_sink {
    void *context;
    enum osl_status (*text)(void *context, const char *text, uint64_t bytes);
    enum osl_status (*special)(void *context, enum osl_special special);
};

/* Memory for a JSON tree and the text made from it: a bump arena that cJSON's hooks point at
 * while a call runs. A call that fails or returns leaves `used` as it found it, unless its result
 * lives there. Enough for a request: 16 times its bytes and 64 KiB; long arrays of short numbers
 * take more (up to 48 times), and OSL_MEMORY says so. */
struct osl_arena {
    uint8_t *base; /* 16-byte aligned */
    uint64_t bytes;
    uint64_t used;
};

/* The first three have the values of enum ossicle_reasoning. OMIT leaves the line out. */
enum osl_reasoning {
    OSL_REASONING_MEDIUM, OSL_REASONING_LOW, OSL_REASONING_HIGH, OSL_REASONING_OMIT,
};

/* NULL fields are left out, except identity, knowledge_cutoff and channels, whose default is
 * harmony.md section 4's; "" leaves any of them out. */
struct osl_harmony_system {
    const char *identity, *knowledge_cutoff, *current_date;
    enum osl_reasoning reasoning;
    const char *channels;   /* as printed: "analysis, commentary, final" */
    bool channels_optional; /* without "Channel must be included for every message." */
    const char *instructions;
    const char *tools_json; /* JSON array, chat-completions form; also {"type": "browser"} and
                             * {"type": "python"}, the model's own tools */
    uint64_t tools_json_bytes;
};

/* System message, then the developer message if there are instructions or function tools.
 * FORMAT names line and place of what is wrong in tools_json; nothing was emitted then. */
OSL_MUST_USE enum osl_status osl_harmony_open(const struct osl_harmony_sink *sink,
                                              const struct osl_harmony_system *system,
                                              struct osl_arena *arena, struct osl_error *error);

struct osl_harmony_message {
    const char *role; /* "user", "assistant", "system", "developer", "tool" */
    const char *name;         /* tool: required, full name. NULL: none */
    const char *recipient;    /* NULL: none */
    const char *channel;      /* NULL: none */
    const char *content_type; /* NULL: none; "<|constrain|>json" for calls */
    const char *content;      /* any bytes; emitted as ordinary text */
    uint64_t content_bytes;
};
/* One whole message, as it stands (harmony.md 3.1). ARGUMENT for a role of another name, a tool
 * without a name, and spaces or control characters in a header field. */
OSL_MUST_USE enum osl_status osl_harmony_message(const struct osl_harmony_sink *sink,
                                                 const struct osl_harmony_message *message,
                                                 struct osl_error *error);

/* "<|start|>assistant". */
OSL_MUST_USE enum osl_status osl_harmony_completion(const struct osl_harmony_sink *sink);

/* Which old chain of thought a request leaves out (harmony.md section 7). */
enum osl_harmony_drop {
    OSL_DROP_REFERENCE, /* before the first final, if the last assistant message is a final */
    OSL_DROP_LAST_FINAL, /* before the last final: what the prose says */
    OSL_DROP_NOTHING,
};
struct osl_harmony_options {
    enum osl_harmony_drop drop;
    bool training; /* no completion suffix; a final at the very end closes with <|return|> */
};

/* A whole chat-completions-like request (harmony.md section 8), then the completion suffix.
 *   messages          content a string, an array of text parts, or null; reasoning_content or
 *                     reasoning or thinking; tool_calls; tool_call_id, or name, of a tool.
 *                     A message with channel, recipient or content_type is rendered as it stands.
 *                     The name of a user is left out: it would not parse back.
 *   instructions      the developer message; else the first system or developer message is.
 *                     The others become developer messages where they stand.
 *   tools             functions, and {"type": "browser"}, {"type": "python"}
 *   reasoning_effort, model_identity, knowledge_cutoff, current_date
 * Absent and null fields are left out of the text; other fields are ignored. options may be NULL.
 * FORMAT names line and place; nothing was emitted then. */
OSL_MUST_USE enum osl_status osl_harmony_request(const struct osl_harmony_sink *sink,
                                                 const char *json, uint64_t json_bytes,
                                                 const struct osl_harmony_options *options,
                                                 struct osl_arena *arena, struct osl_error *error);

/* ---- Streaming parser -------------------------------------------------------------------- */

#define OSL_HARMONY_HEADER_BYTES 1024 /* about 256 tokens; a longer header is recovered */
#define OSL_HARMONY_NAME_BYTES 160
#define OSL_TOKEN_TEXT_MAX 1024 /* bytes handed to one feed */

/* STRICT: harmony.md section 9, a malformed header is an error. TOLERANT: section 10, nothing is.
 * In a tolerant stream that begins inside the assistant's header (a completion), a message of
 * another role is the model speaking for others: it is discarded and the turn ends. */
enum osl_parse_mode { OSL_PARSE_STRICT, OSL_PARSE_TOLERANT };
enum osl_parse_state { OSL_PARSE_EXPECT_START, OSL_PARSE_HEADER, OSL_PARSE_CONTENT };

/* What one token (or the end) did, in this order, of one message. Content is not kept by the
 * parser: the deltas are it. */
enum osl_parse_event {
    OSL_PARSE_NOTHING = 0,
    OSL_PARSE_BEGIN = 1,  /* bit: a header is complete; fields below are valid until the next */
    OSL_PARSE_DELTA = 2,  /* bit: delta[0..delta_bytes) is content, whole characters */
    OSL_PARSE_FINISH = 4, /* bit: the message is complete; terminator is valid */
    OSL_PARSE_ERROR = 8,  /* bit, strict only: error text below */
    OSL_PARSE_END_TURN = 16, /* bit: return, call, endoftext, or a rule of section 10 says stop */
};

struct osl_parser {
    /* set after init, may stay NULL: names of known functions (with or without "functions."),
     * which recovery compares recipients with. Stay the caller's. */
    const char *const *tools;
    uint32_t tool_count;
    /* to read */
    enum osl_parse_mode mode;
    enum osl_parse_state state;
    /* of the message begun last; "" when absent */
    char role[OSL_HARMONY_NAME_BYTES];
    char name[OSL_HARMONY_NAME_BYTES]; /* tool name when role is "tool" */
    char channel[OSL_HARMONY_NAME_BYTES];
    char recipient[OSL_HARMONY_NAME_BYTES];
    char content_type[OSL_HARMONY_NAME_BYTES]; /* "<|constrain|>json", or the bare word */
    bool is_call;          /* an assistant message with a recipient: a tool must run */
    bool channel_is_guess; /* tolerant: the label was broken. channel says "analysis" (hide it) at
                            * BEGIN, and at FINISH what the terminator says */
    enum osl_special terminator; /* of the last finished message; COUNT: end of stream */
    const char *delta;
    uint64_t delta_bytes;
    struct osl_error error;
    /* private */
    char next_role[OSL_HARMONY_NAME_BYTES]; /* "": the header must say */
    char header[OSL_HARMONY_HEADER_BYTES];  /* or, tolerant between messages, stray text */
    uint32_t header_bytes;
    bool header_is_bad; /* not valid UTF-8 */
    bool is_completion, is_discarding, is_empty;
    bool had_final, had_call;
    uint32_t finished_count;
    uint8_t pending[4]; /* of a character that has begun */
    uint32_t pending_bytes;
    char out[OSL_HARMONY_HEADER_BYTES + OSL_TOKEN_TEXT_MAX * 3 + 16];
};

/* next_role: NULL, or the role whose header the stream begins inside of. Fails nothing; a role
 * of OSL_HARMONY_NAME_BYTES or more is our own bug. */
void osl_parser_init(struct osl_parser *parser, enum osl_parse_mode mode, const char *next_role);

/* Feeds one token: a special, or COUNT for an ordinary token with its bytes (at most
 * OSL_TOKEN_TEXT_MAX, cut anywhere). bytes NULL: an id outside the vocabulary, one U+FFFD.
 * Reserved specials are ordinary text in strict mode, and dropped by the caller in tolerant mode.
 * Returns osl_parse_event bits. */
uint32_t osl_parser_feed(struct osl_parser *parser, enum osl_special special, const char *bytes,
                         uint64_t byte_count);

/* End of stream: what is open is finished. Strict: an error inside a header. */
uint32_t osl_parser_end(struct osl_parser *parser);

#endif
