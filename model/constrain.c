/* Which tokens keep a Harmony message well-formed. See constrain.h. */
#include "constrain.h"

#include <stdio.h>
#include <string.h>

#include "special.h"
#include "tokenizer_tables.h"

/* A special token inside a header pattern is one byte; names hold none of these. */
#define SPECIAL_BYTE(special) ((char)(1 + (int)(special)))
#define START "\x01"
#define MESSAGE "\x03"
#define CHANNEL "\x04"
#define CONSTRAIN "\x05"
_Static_assert(OSL_SPECIAL_START == 0 && OSL_SPECIAL_MESSAGE == 2 && OSL_SPECIAL_CHANNEL == 3 &&
                   OSL_SPECIAL_CONSTRAIN == 4 && OSL_SPECIAL_COUNT <= 8,
               "the pattern bytes above are special numbers plus one");

static const char opening[] = START "assistant";

static const char *const plain_headers[] = {
    START "assistant" CHANNEL "analysis" MESSAGE, START "assistant" CHANNEL "final" MESSAGE,
    START "assistant" CHANNEL "commentary" MESSAGE, /* a preamble: only with tools */
};
#define PLAIN_HEADERS_WITHOUT_TOOLS 2u
#define PLAIN_HEADERS_WITH_TOOLS 3u

static const char *const call_headers[] = {
    START "assistant to=functions.%s" CHANNEL "commentary " CONSTRAIN "json" MESSAGE,
    START "assistant to=functions.%s" CHANNEL "commentary" MESSAGE,
    START "assistant" CHANNEL "commentary to=functions.%s " CONSTRAIN "json" MESSAGE,
    START "assistant" CHANNEL "commentary to=functions.%s" CONSTRAIN "json" MESSAGE,
    START "assistant" CHANNEL "commentary to=functions.%s" MESSAGE,
};
#define CALL_HEADERS (sizeof call_headers / sizeof call_headers[0])

void osl_constrain_begin(struct osl_constrain *constrain, const struct osl_tokenizer *tokenizer,
                         const char *const *tools, uint32_t tool_count)
{
    memset(constrain, 0, sizeof *constrain);
    constrain->tokenizer = tokenizer;
    constrain->tools = tools;
    constrain->tool_count = tool_count;
    memcpy(constrain->header, opening, sizeof opening - 1);
    constrain->header_bytes = sizeof opening - 1;
}

static void allow(uint32_t *allowed, uint32_t token_count, int32_t id)
{
    if (id >= 0 && (uint32_t)id < token_count) {
        allowed[id / 32] |= 1u << (id % 32);
    }
}

/* Allows every token that goes on from `header` towards `pattern`. */
static void allow_towards(const struct osl_constrain *constrain, const char *pattern,
                          uint32_t *allowed, uint32_t token_count)
{
    uint32_t written = constrain->header_bytes;
    if (strlen(pattern) <= written || memcmp(pattern, constrain->header, written) != 0) {
        return;
    }
    const char *rest = pattern + written;
    if (*rest > 0 && *rest <= OSL_SPECIAL_COUNT) {
        allow(allowed, token_count,
              osl_special_id(constrain->tokenizer, (enum osl_special)(*rest - 1)));
        return;
    }
    for (uint64_t bytes = 1; (uint8_t)rest[bytes - 1] > OSL_SPECIAL_COUNT; bytes++) {
        allow(allowed, token_count,
              osl_tokenizer_find(constrain->tokenizer, rest, bytes, OSL_TOKEN_TEXT));
    }
}

static void allow_header(const struct osl_constrain *constrain, uint32_t *allowed,
                         uint32_t token_count)
{
    uint32_t plain =
        constrain->tool_count > 0 ? PLAIN_HEADERS_WITH_TOOLS : PLAIN_HEADERS_WITHOUT_TOOLS;
    for (uint32_t p = 0; p < plain; p++) {
        allow_towards(constrain, plain_headers[p], allowed, token_count);
    }
    for (uint32_t t = 0; t < constrain->tool_count; t++) {
        for (uint32_t c = 0; c < CALL_HEADERS; c++) {
            /* the five patterns hold one %s each; spliced by hand to keep the format constant */
            char pattern[OSL_CONSTRAIN_HEADER_BYTES];
            const char *at = strstr(call_headers[c], "%s");
            int bytes = snprintf(pattern, sizeof pattern, "%.*s%s%s", (int)(at - call_headers[c]),
                                 call_headers[c], constrain->tools[t], at + 2);
            if (bytes > 0 && (size_t)bytes < sizeof pattern) {
                allow_towards(constrain, pattern, allowed, token_count);
            }
        }
    }
}

/* Ordinary tokens, and the terminator that this message ends with. */
static void allow_content(const struct osl_constrain *constrain, uint32_t *allowed,
                          uint32_t token_count)
{
    for (uint32_t id = 0; id < token_count; id++) {
        if (!osl_tokenizer_is_special(constrain->tokenizer, (int32_t)id)) {
            allow(allowed, token_count, (int32_t)id);
        }
    }
    if (constrain->call) {
        allow(allowed, token_count, osl_special_id(constrain->tokenizer, OSL_SPECIAL_CALL));
    } else if (constrain->final) {
        allow(allowed, token_count, osl_special_id(constrain->tokenizer, OSL_SPECIAL_RETURN));
        allow(allowed, token_count, osl_special_id(constrain->tokenizer, OSL_SPECIAL_ENDOFTEXT));
    } else {
        allow(allowed, token_count, osl_special_id(constrain->tokenizer, OSL_SPECIAL_END));
    }
}

void osl_constrain_allowed(struct osl_constrain *constrain, uint32_t *allowed, uint32_t token_count)
{
    if (constrain->in_content && constrain->content_ready) {
        return;
    }
    memset(allowed, 0, ((size_t)token_count + 31) / 32 * 4);
    if (constrain->in_content) {
        allow_content(constrain, allowed, token_count);
        constrain->content_ready = true;
    } else {
        allow_header(constrain, allowed, token_count);
    }
}

void osl_constrain_follow(struct osl_constrain *constrain, int32_t token)
{
    enum osl_special special = osl_special_of(constrain->tokenizer, token);
    if (constrain->in_content) {
        if (special != OSL_SPECIAL_COUNT) { /* only terminators are allowed in content */
            constrain->in_content = false;
            constrain->content_ready = false;
            constrain->header_bytes = 0;
        }
        return;
    }
    char byte = SPECIAL_BYTE(special);
    struct osl_slice text = osl_tokenizer_bytes(constrain->tokenizer, token);
    if (special != OSL_SPECIAL_COUNT) {
        text = (struct osl_slice){&byte, 1};
    }
    OSL_ASSERT(text.bytes < sizeof constrain->header - constrain->header_bytes);
    memcpy(constrain->header + constrain->header_bytes, text.data, text.bytes);
    constrain->header_bytes += (uint32_t)text.bytes;
    if (special == OSL_SPECIAL_MESSAGE) {
        constrain->header[constrain->header_bytes] = '\0';
        constrain->in_content = true;
        constrain->call = strstr(constrain->header, " to=") != NULL;
        constrain->final = strstr(constrain->header, CHANNEL "final") != NULL;
    }
}
