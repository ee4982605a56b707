/* Reads tokens and merges of a GGUF into the tokenizer's tables, refusing what cannot be right.
 * Source: formats note, section 8. */
#include <inttypes.h>

#include "model/tokenizer_tables.h"
#include "model/unicode.h"

#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES "tokenizer.ggml.token_type"
#define KEY_MERGES "tokenizer.ggml.merges"

/* Values of tokenizer.ggml.token_type. */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };

/* ---- The byte-level alphabet -------------------------------------------------------------- */

/* The byte that a character of the alphabet stands for, -1 if it is not in it. Bytes 33..126,
 * 161..172 and 174..255 are themselves; U+0100.. are the others in rising order. */
static int byte_of_char(uint32_t code)
{
    if ((code >= 33 && code <= 126) || (code >= 161 && code <= 172) ||
        (code >= 174 && code <= 255)) {
        return (int)code;
    }
    if (code < 0x100 || code > 0x143) {
        return -1;
    }
    uint32_t index = code - 0x100;
    if (index <= 32) {
        return (int)index;
    }
    return index < 67 ? (int)(127 + index - 33) : 173;
}

/* Writes what `text` stands for to out [capacity]; -1 if it holds a character that is not in the
 * alphabet, or is too long. */
static int64_t decode_alphabet(const char *text, uint64_t bytes, char *out, uint64_t capacity)
{
    uint64_t at = 0, written = 0;
    while (at < bytes) {
        struct osl_unicode_char c = osl_unicode_decode((const uint8_t *)text + at, bytes - at);
        int byte = byte_of_char(c.code);
        if (byte < 0 || written == capacity) {
            return -1;
        }
        out[written++] = (char)byte;
        at += c.bytes;
    }
    return (int64_t)written;
}

/* ---- Tokens ------------------------------------------------------------------------------- */

static enum osl_status token_fail(const struct osl_gguf *gguf, uint32_t id, struct osl_slice text,
                                  struct osl_error *error, const char *what)
{
    return osl_fail(error, OSL_FORMAT,
                    "%s: %s[%" PRIu32 "] \"%s\" %s; the file is damaged or was converted wrongly, "
                    "get it again",
                    osl_gguf_label(gguf).text, KEY_TOKENS, id, osl_gguf_quote(text).text, what);
}

/* Puts token id, whose bytes are in place, into the hash; false if its text is there already. */
static bool insert_token(struct osl_tokenizer *t, uint32_t id)
{
    struct osl_slice token = osl_tokenizer_bytes(t, (int32_t)id);
    if (osl_tokenizer_find(t, token.data, token.bytes, t->kinds[id]) >= 0) {
        return false;
    }
    uint64_t hash = osl_token_hash(token.data, token.bytes, t->kinds[id]);
    uint64_t slot = osl_token_slot(hash, t->token_slot_count);
    while (t->token_slots[slot] != OSL_SLOT_EMPTY) {
        slot = slot + 1 == t->token_slot_count ? 0 : slot + 1;
    }
    t->token_slots[slot] = hash >> OSL_TOKEN_ID_BITS << OSL_TOKEN_ID_BITS | id;
    return true;
}

static void note_control(struct osl_tokenizer *t, struct osl_slice token)
{
    t->control_first_bytes[(uint8_t)token.data[0]] = true;
    t->control_lengths[token.bytes] = true;
    if (token.bytes > t->control_bytes_longest) {
        t->control_bytes_longest = (uint32_t)token.bytes;
    }
}

/* Copies one token behind the others and sets starts[id + 1] and kinds[id]. */
static enum osl_status read_token(struct osl_tokenizer *t, const struct osl_gguf *gguf,
                                  uint32_t id, struct osl_slice text, int32_t type,
                                  uint64_t byte_capacity, struct osl_error *error)
{
    char *to = t->bytes + t->starts[id];
    uint64_t room = byte_capacity - t->starts[id];
    int64_t length = (int64_t)text.bytes;
    switch (type) {
    case TYPE_NORMAL:
    case TYPE_BYTE:
        t->kinds[id] = OSL_TOKEN_TEXT;
        length = decode_alphabet(text.data, text.bytes, to, room);
        if (length < 0) {
            return token_fail(gguf, id, text, error, "holds a character that stands for no byte");
        }
        break;
    case TYPE_CONTROL:
    case TYPE_USER:
        t->kinds[id] = OSL_TOKEN_CONTROL;
        memcpy(to, text.data, text.bytes);
        break;
    case TYPE_UNKNOWN:
    case TYPE_UNUSED:
        t->kinds[id] = OSL_TOKEN_FILLER;
        memcpy(to, text.data, text.bytes);
        break;
    default:
        return osl_fail(error, OSL_FORMAT,
                        "%s: %s[%" PRIu32 "] is %" PRId32 "; types are 1 to 6: the file is "
                        "damaged, get it again",
                        osl_gguf_label(gguf).text, KEY_TYPES, id, type);
    }
    if (length > OSL_TOKEN_BYTES_MAX) {
        return token_fail(gguf, id, text, error, "is longer than 1024 bytes");
    }
    t->starts[id + 1] = t->starts[id] + (uint32_t)length;
    if (t->kinds[id] == OSL_TOKEN_FILLER) {
        return OSL_OK;
    }
    if (length == 0) {
        return token_fail(gguf, id, text, error, "is empty");
    }
    if (!insert_token(t, id)) {
        return token_fail(gguf, id, text, error, "is there twice");
    }
    t->text_count = id + 1;
    if (t->kinds[id] == OSL_TOKEN_CONTROL) {
        note_control(t, osl_tokenizer_bytes(t, (int32_t)id));
    } else if (length > t->token_bytes_longest) {
        t->token_bytes_longest = (uint32_t)length;
    }
    return OSL_OK;
}

enum osl_status osl_tokenizer_read_tokens(struct osl_tokenizer *t, const struct osl_gguf *gguf,
                                          uint64_t byte_capacity, struct osl_error *error)
{
    const struct osl_gguf_key *tokens = osl_gguf_key_find(gguf, KEY_TOKENS);
    const struct osl_gguf_key *types = osl_gguf_key_find(gguf, KEY_TYPES);
    uint64_t cursor = 0;
    memset(t->token_slots, 0xff, t->token_slot_count * sizeof *t->token_slots);
    t->starts[0] = 0;
    for (uint32_t id = 0; id < t->count; id++) {
        struct osl_slice text;
        int32_t type;
        bool more = osl_gguf_string_next(tokens, &cursor, &text);
        OSL_ASSERT(more);
        memcpy(&type, types->value + (uint64_t)id * sizeof type, sizeof type);
        enum osl_status status = read_token(t, gguf, id, text, type, byte_capacity, error);
        if (status != OSL_OK) {
            return status;
        }
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        t->byte_ids[byte] = osl_tokenizer_find(t, &c, 1, OSL_TOKEN_TEXT);
        if (t->byte_ids[byte] < 0) {
            return osl_fail(error, OSL_FORMAT,
                            "%s: %s has no token for the byte 0x%02" PRIx32 ", so not every text "
                            "can be written; convert the file again",
                            osl_gguf_label(gguf).text, KEY_TOKENS, byte);
        }
    }
    return OSL_OK;
}

/* ---- Merges ------------------------------------------------------------------------------- */

/* A merge in bytes: both parts one after the other, so that together they are what it makes. */
struct merge {
    char bytes[2 * OSL_TOKEN_BYTES_MAX];
    int64_t left_length;
    int64_t right_length;
};

static enum osl_status merge_fail(const struct osl_gguf *gguf, uint64_t index,
                                  struct osl_slice text, struct osl_error *error, const char *what)
{
    return osl_fail(error, OSL_FORMAT,
                    "%s: %s[%" PRIu64 "] \"%s\" %s; the file is damaged or was converted wrongly, "
                    "get it again",
                    osl_gguf_label(gguf).text, KEY_MERGES, index, osl_gguf_quote(text).text, what);
}

/* NULL, or what is wrong with it. */
static const char *read_merge(struct osl_slice text, struct merge *merge)
{
    const char *space = memchr(text.data, ' ', text.bytes);
    if (space == NULL) {
        return "has no space between its parts";
    }
    uint64_t left_bytes = (uint64_t)(space - text.data);
    merge->left_length = decode_alphabet(text.data, left_bytes, merge->bytes, OSL_TOKEN_BYTES_MAX);
    if (merge->left_length < 0) {
        return "has a left part that is no token";
    }
    /* A second space is no character of the alphabet, so it is found here. */
    merge->right_length = decode_alphabet(space + 1, text.bytes - left_bytes - 1,
                                          merge->bytes + merge->left_length, OSL_TOKEN_BYTES_MAX);
    return merge->right_length < 0 ? "has a right part that is no token" : NULL;
}

/* Puts a pair into the hash; false if it is there already. */
static bool insert_pair(struct osl_tokenizer *t, uint32_t left, uint32_t right, uint32_t made)
{
    uint64_t key = (uint64_t)left << OSL_TOKEN_ID_BITS | right;
    uint64_t slot = osl_token_slot(osl_pair_hash(left, right), t->pair_slot_count);
    while (t->pair_slots[slot] != OSL_SLOT_EMPTY) {
        if (t->pair_slots[slot] >> OSL_TOKEN_ID_BITS == key) {
            return false;
        }
        slot = slot + 1 == t->pair_slot_count ? 0 : slot + 1;
    }
    t->pair_slots[slot] = key << OSL_TOKEN_ID_BITS | made;
    return true;
}

/* What a merge makes. The list is sorted by it, so the answer is mostly the one before. */
static int32_t find_made(const struct osl_tokenizer *t, const struct merge *merge, int32_t before)
{
    uint64_t length = (uint64_t)(merge->left_length + merge->right_length);
    struct osl_slice last = osl_tokenizer_bytes(t, before);
    if (last.bytes == length && memcmp(last.data, merge->bytes, length) == 0) {
        return before;
    }
    return osl_tokenizer_find(t, merge->bytes, length, OSL_TOKEN_TEXT);
}

enum osl_status osl_tokenizer_read_merges(struct osl_tokenizer *t, const struct osl_gguf *gguf,
                                          struct osl_error *error)
{
    const struct osl_gguf_key *merges = osl_gguf_key_find(gguf, KEY_MERGES);
    struct osl_slice text;
    uint64_t cursor = 0;
    int32_t made = -1;
    memset(t->pair_slots, 0xff, t->pair_slot_count * sizeof *t->pair_slots);
    for (uint32_t id = 0; id < t->count; id++) {
        t->merge_ranks[id] = OSL_RANK_NONE;
    }
    for (uint32_t index = 0; osl_gguf_string_next(merges, &cursor, &text); index++) {
        struct merge merge;
        const char *wrong = read_merge(text, &merge);
        if (wrong != NULL) {
            return merge_fail(gguf, index, text, error, wrong);
        }
        int32_t left = osl_tokenizer_find(t, merge.bytes, (uint64_t)merge.left_length,
                                          OSL_TOKEN_TEXT);
        int32_t right = osl_tokenizer_find(t, merge.bytes + merge.left_length,
                                           (uint64_t)merge.right_length, OSL_TOKEN_TEXT);
        made = find_made(t, &merge, made);
        if (left < 0 || right < 0 || made < 0) {
            return merge_fail(gguf, index, text, error,
                              left < 0    ? "has a left part that is no token"
                              : right < 0 ? "has a right part that is no token"
                                          : "makes no token");
        }
        if (!insert_pair(t, (uint32_t)left, (uint32_t)right, (uint32_t)made)) {
            return merge_fail(gguf, index, text, error, "is there twice");
        }
        /* Several merges may make one token; tiktoken orders pairs by what they make alone. */
        if (t->merge_ranks[made] == OSL_RANK_NONE) {
            t->merge_ranks[made] = (int32_t)index;
        }
    }
    return OSL_OK;
}
