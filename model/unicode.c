/* UTF-8 decoding and character classes. Source: Unicode 16.0, UnicodeData.txt and PropList.txt;
 * utf8proc 2.8 knows Unicode 15.0. */
#include "model/unicode.h"

#include <utf8proc.h>

#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

enum { MARK = OSL_UNICODE_UPPER | OSL_UNICODE_LOWER };
enum { LU = OSL_UNICODE_UPPER | OSL_UNICODE_LETTER };         /* and Lt */
enum { LL = OSL_UNICODE_LOWER | OSL_UNICODE_LETTER };
enum { LO = OSL_UNICODE_UPPER | OSL_UNICODE_LOWER | OSL_UNICODE_LETTER }; /* and Lm */
enum { NUMBER = OSL_UNICODE_NUMBER };

struct range {
    uint32_t first, last;
    uint8_t class;
};

/* Letters, marks and numbers added in Unicode 15.1 and 16.0, for a utf8proc that calls them
 * unassigned. Sorted. */
static const struct range added[] = {
    { 0x897, 0x897, MARK }, { 0x1c89, 0x1c89, LU }, { 0x1c8a, 0x1c8a, LL },
    { 0xa7cb, 0xa7cc, LU }, { 0xa7cd, 0xa7cd, LL }, { 0xa7da, 0xa7da, LU },
    { 0xa7db, 0xa7db, LL }, { 0xa7dc, 0xa7dc, LU }, { 0x105c0, 0x105f3, LO },
    { 0x10d40, 0x10d49, NUMBER }, { 0x10d4a, 0x10d4f, LO }, { 0x10d50, 0x10d65, LU },
    { 0x10d69, 0x10d6d, MARK }, { 0x10d6f, 0x10d6f, LO }, { 0x10d70, 0x10d85, LL },
    { 0x10ec2, 0x10ec4, LO }, { 0x10efc, 0x10efc, MARK }, { 0x11380, 0x11389, LO },
    { 0x1138b, 0x1138b, LO }, { 0x1138e, 0x1138e, LO }, { 0x11390, 0x113b5, LO },
    { 0x113b7, 0x113b7, LO }, { 0x113b8, 0x113c0, MARK }, { 0x113c2, 0x113c2, MARK },
    { 0x113c5, 0x113c5, MARK }, { 0x113c7, 0x113ca, MARK }, { 0x113cc, 0x113d0, MARK },
    { 0x113d1, 0x113d1, LO }, { 0x113d2, 0x113d2, MARK }, { 0x113d3, 0x113d3, LO },
    { 0x113e1, 0x113e2, MARK }, { 0x116d0, 0x116e3, NUMBER }, { 0x11bc0, 0x11be0, LO },
    { 0x11bf0, 0x11bf9, NUMBER }, { 0x11f5a, 0x11f5a, MARK }, { 0x13460, 0x143fa, LO },
    { 0x16100, 0x1611d, LO }, { 0x1611e, 0x1612f, MARK }, { 0x16130, 0x16139, NUMBER },
    { 0x16d40, 0x16d6c, LO }, { 0x16d70, 0x16d79, NUMBER }, { 0x18cff, 0x18cff, LO },
    { 0x1ccf0, 0x1ccf9, NUMBER }, { 0x1e5d0, 0x1e5ed, LO }, { 0x1e5ee, 0x1e5ef, MARK },
    { 0x1e5f0, 0x1e5f0, LO }, { 0x1e5f1, 0x1e5fa, NUMBER }, { 0x2ebf0, 0x2ee5d, LO },
};

static uint32_t classify_added(uint32_t code)
{
    uint32_t low = 0, high = COUNT_OF(added);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (code > added[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool inside = low < COUNT_OF(added) && code >= added[low].first;
    return inside ? added[low].class : 0;
}

static bool is_white_space(uint32_t code)
{
    return code == 0x20 || (code >= 9 && code <= 13) || code == 0x85 || code == 0xa0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static uint32_t classify_ascii(uint32_t code)
{
    if (code >= 'a' && code <= 'z') {
        return LL;
    }
    if (code >= 'A' && code <= 'Z') {
        return LU;
    }
    if (code >= '0' && code <= '9') {
        return NUMBER;
    }
    if (code == '\r' || code == '\n') {
        return OSL_UNICODE_SPACE | OSL_UNICODE_NEWLINE;
    }
    return is_white_space(code) ? OSL_UNICODE_SPACE : 0;
}

uint32_t osl_unicode_classify(uint32_t code)
{
    if (code < 0x80) {
        return classify_ascii(code);
    }
    if (code > 0x10ffff) {
        return 0;
    }
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return LU;
    case UTF8PROC_CATEGORY_LL:
        return LL;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return LO;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return NUMBER;
    case UTF8PROC_CATEGORY_CN:
        return classify_added(code);
    default:
        return is_white_space(code) ? OSL_UNICODE_SPACE : 0;
    }
}

struct osl_unicode_char osl_unicode_decode(const uint8_t *text, uint64_t bytes)
{
    const struct osl_unicode_char invalid = { OSL_UNICODE_INVALID, 1 };
    uint32_t lead = text[0];
    if (lead < 0x80) {
        return (struct osl_unicode_char){ lead, 1 };
    }
    /* 0x80..0xc1 continue something or are overlong, 0xf5.. lies above U+10FFFF. */
    if (lead < 0xc2 || lead > 0xf4) {
        return invalid;
    }
    uint32_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (bytes < length) {
        return invalid;
    }
    uint32_t code = lead & (0x7fu >> length);
    for (uint32_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return invalid;
        }
        code = code << 6 | (text[i] & 0x3fu);
    }
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return invalid;
    }
    return (struct osl_unicode_char){ code, length };
}
