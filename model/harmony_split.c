/* Text with special tokens spelled out, as the command line reads it, into pieces. */
#include <string.h>

#include "harmony_parse.h"

static bool begins(const char *text, uint64_t bytes, const char *with)
{
    return bytes >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* Bytes of "<|reserved_N|>" for a reserved id of the vocabulary, 0 if it is not one. */
static uint64_t reserved_bytes(const char *text, uint64_t bytes)
{
    static const char front[] = "<|reserved_";
    const uint64_t digits_at = sizeof front - 1;
    uint32_t id = 0;
    if (!begins(text, bytes, front) || bytes < digits_at + 8) {
        return 0;
    }
    for (uint64_t i = digits_at; i < digits_at + 6; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return 0;
        }
        id = id * 10 + (uint32_t)(text[i] - '0');
    }
    bool is_id = id >= 200000 && id <= 201087; /* harmony.md section 1 */
    return is_id && memcmp(text + digits_at + 6, "|>", 2) == 0 ? digits_at + 8 : 0;
}

/* The special at text, or a piece of 0 bytes. */
static struct osl_piece special_at(const char *text, uint64_t bytes)
{
    static const char beginning[] = "<|startoftext|>";
    for (uint32_t i = 0; i < OSL_SPECIAL_COUNT; i++) {
        const char *spelled = osl_special_text((enum osl_special)i);
        if (begins(text, bytes, spelled)) {
            return (struct osl_piece){(enum osl_special)i, false, text, strlen(spelled)};
        }
    }
    uint64_t length =
        begins(text, bytes, beginning) ? sizeof beginning - 1 : reserved_bytes(text, bytes);
    return (struct osl_piece){OSL_SPECIAL_COUNT, true, text, length};
}

struct osl_piece osl_piece_at(const char *text, uint64_t bytes, uint64_t at)
{
    OSL_ASSERT(at < bytes);
    struct osl_piece piece = special_at(text + at, bytes - at);
    if (piece.bytes > 0) {
        return piece;
    }
    uint64_t end = at + 1;
    while (end < bytes && end - at < OSL_TOKEN_TEXT_MAX) {
        if (text[end] == '<' && special_at(text + end, bytes - end).bytes > 0) {
            break;
        }
        end++;
    }
    return (struct osl_piece){OSL_SPECIAL_COUNT, false, text + at, end - at};
}
