/* UTF-8 by table 3-7 of the Unicode standard (well-formed byte sequences). */
#include <string.h>

#include "harmony_json.h"
#include "harmony_utf8.h"

/* Length of the character that a byte begins, 0 if none can begin with it. */
static uint32_t length_from_lead(uint8_t lead)
{
    return lead < 0x80                   ? 1
           : lead >= 0xc2 && lead < 0xe0 ? 2
           : lead >= 0xe0 && lead < 0xf0 ? 3
           : lead >= 0xf0 && lead < 0xf5 ? 4
                                         : 0;
}

/* Whether byte may stand at position 1, 2 or 3 of a character that begins with lead: the second
 * byte is where overlong forms, surrogates and what is beyond U+10FFFF are told. */
static bool may_follow(uint8_t lead, uint32_t position, uint8_t byte)
{
    uint8_t low = position > 1 ? 0x80 : lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = position > 1 ? 0xbf : lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return byte >= low && byte <= high;
}

uint32_t osl_utf8_char(const char *text, uint64_t bytes)
{
    uint32_t length = bytes > 0 ? length_from_lead((uint8_t)text[0]) : 0;
    if (length > bytes) {
        return 0;
    }
    for (uint32_t i = 1; i < length; i++) {
        if (!may_follow((uint8_t)text[0], i, (uint8_t)text[i])) {
            return 0;
        }
    }
    return length;
}

uint64_t osl_utf8_decode(struct osl_utf8 *pending, const char *in, uint64_t bytes, char *out,
                         bool *replaced_out)
{
    uint64_t written = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)in[i];
        bool wrong = pending->count > 0 && !may_follow(pending->bytes[0], pending->count, byte);
        if (wrong) {
            written += osl_utf8_flush(pending, out + written);
        }
        if (pending->count == 0 && length_from_lead(byte) == 0) {
            memcpy(out + written, OSL_UTF8_REPLACEMENT, 3);
            written += 3;
            wrong = true;
        } else {
            pending->bytes[pending->count++] = byte;
            if (pending->count == length_from_lead(pending->bytes[0])) {
                memcpy(out + written, pending->bytes, pending->count);
                written += pending->count;
                pending->count = 0;
            }
        }
        if (wrong && replaced_out != NULL) {
            *replaced_out = true;
        }
    }
    return written;
}

uint64_t osl_utf8_flush(struct osl_utf8 *pending, char *out)
{
    if (pending->count == 0) {
        return 0;
    }
    pending->count = 0;
    memcpy(out, OSL_UTF8_REPLACEMENT, 3);
    return 3;
}
