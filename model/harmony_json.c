/* The strict pre-pass over a JSON text, and cJSON run in an arena. */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <threads.h>

#include "harmony_json.h"

#define NUMBER_MARK '\xff' /* in front of a number's text; never part of valid UTF-8 */
#define BLOCK_ALIGNMENT 16

enum expect { WANT_VALUE, WANT_VALUE_OR_CLOSE, WANT_KEY, WANT_KEY_OR_CLOSE, WANT_COLON, WANT_MORE };

struct scan {
    const char *what;
    const char *text;
    uint64_t bytes;
    uint64_t at;
    uint32_t line;
    uint64_t key_at; /* the last key, quotes not counted */
    uint64_t key_bytes;
    uint32_t depth;
    bool is_object[OSL_JSON_DEPTH_MAX];
    struct osl_arena *arena;
    struct osl_error *error;
};

static enum osl_status scan_fail(const struct scan *scan, const char *problem)
{
    uint64_t shown = scan->key_bytes < 48 ? scan->key_bytes : 48;
    while (shown > 0 && shown < scan->key_bytes &&
           (scan->text[scan->key_at + shown] & 0xc0) == 0x80) {
        shown--; /* not in the middle of a character */
    }
    if (shown == 0) {
        return osl_fail(scan->error, OSL_FORMAT, "%s: line %" PRIu32 ", byte %" PRIu64 ": %s",
                        scan->what, scan->line, scan->at, problem);
    }
    return osl_fail(scan->error, OSL_FORMAT,
                    "%s: line %" PRIu32 ", byte %" PRIu64 ", after key \"%.*s\": %s", scan->what,
                    scan->line, scan->at, (int)shown, scan->text + scan->key_at, problem);
}

static enum osl_status out_of_memory(const char *what, const struct osl_arena *arena,
                                     struct osl_error *error)
{
    return osl_fail(error, OSL_MEMORY,
                    "%s: its tree does not fit %" PRIu64 " bytes of scratch; give more memory",
                    what, arena->bytes);
}

static enum osl_status emit(const struct scan *scan, const char *data, uint64_t bytes)
{
    struct osl_arena *arena = scan->arena;
    if (bytes > arena->bytes - arena->used) {
        return out_of_memory(scan->what, arena, scan->error);
    }
    memcpy(arena->base + arena->used, data, bytes);
    arena->used += bytes;
    return OSL_OK;
}

static int peek(const struct scan *scan, uint64_t ahead)
{
    return ahead < scan->bytes - scan->at ? (unsigned char)scan->text[scan->at + ahead] : -1;
}

/* The four hex digits at text[at+ahead..), or -1. */
static int32_t scan_hex(const struct scan *scan, uint64_t ahead)
{
    int32_t value = 0;
    for (uint64_t i = 0; i < 4; i++) {
        int c = peek(scan, ahead + i);
        int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* One escape, copied as it stands; \u0000 becomes C0 80, which no valid text holds. */
static enum osl_status scan_escape(struct scan *scan)
{
    int kind = peek(scan, 1);
    uint64_t length = 2;
    if (kind == 'u') {
        int32_t unit = scan_hex(scan, 2);
        length = 6;
        if (unit < 0) {
            return scan_fail(scan, "\\u needs four hexadecimal digits");
        }
        if (unit == 0) {
            scan->at += length;
            return emit(scan, "\xc0\x80", 2);
        }
        if (unit >= 0xd800 && unit <= 0xdfff) {
            int32_t low = peek(scan, 6) == '\\' && peek(scan, 7) == 'u' ? scan_hex(scan, 8) : -1;
            if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) {
                return scan_fail(scan, "half a surrogate pair is no character; write both halves");
            }
            length = 12;
        }
    } else if (kind < 0 || strchr("\"\\/bfnrt", kind) == NULL || kind == 0) {
        return scan_fail(scan, "unknown escape in a string");
    }
    enum osl_status status = emit(scan, scan->text + scan->at, length);
    scan->at += length;
    return status;
}

static enum osl_status scan_string(struct scan *scan)
{
    enum osl_status status = emit(scan, "\"", 1);
    scan->at++;
    while (status == OSL_OK) {
        int c = peek(scan, 0);
        if (c < 0) {
            return scan_fail(scan, "the text ends inside a string");
        }
        if (c == '"') {
            scan->at++;
            return emit(scan, "\"", 1);
        }
        if (c == '\\') {
            status = scan_escape(scan);
            continue;
        }
        if (c < 0x20) {
            return scan_fail(scan, "a control character in a string; write it as \\u00XX");
        }
        uint32_t length = osl_utf8_char(scan->text + scan->at, scan->bytes - scan->at);
        if (length == 0) {
            return scan_fail(scan, "bytes that are not UTF-8");
        }
        status = emit(scan, scan->text + scan->at, length);
        scan->at += length;
    }
    return status;
}

static uint64_t scan_digits(const struct scan *scan, uint64_t ahead)
{
    uint64_t count = 0;
    while (peek(scan, ahead + count) >= '0' && peek(scan, ahead + count) <= '9') {
        count++;
    }
    return count;
}

/* A number by JSON's grammar, written as a marked string. */
static enum osl_status scan_number(struct scan *scan)
{
    uint64_t length = peek(scan, 0) == '-' ? 1 : 0;
    uint64_t digits = scan_digits(scan, length);
    if (digits == 0 || (digits > 1 && peek(scan, length) == '0')) {
        return scan_fail(scan, "not a JSON value");
    }
    length += digits;
    if (peek(scan, length) == '.') {
        digits = scan_digits(scan, length + 1);
        if (digits == 0) {
            return scan_fail(scan, "a number needs a digit after the point");
        }
        length += 1 + digits;
    }
    if (peek(scan, length) == 'e' || peek(scan, length) == 'E') {
        length++;
        length += peek(scan, length) == '+' || peek(scan, length) == '-';
        digits = scan_digits(scan, length);
        if (digits == 0) {
            return scan_fail(scan, "a number needs a digit in its exponent");
        }
        length += digits;
    }
    if (length >= OSL_JSON_NUMBER_BYTES) {
        return scan_fail(scan, "a number of more than 255 characters");
    }
    if (isinf(osl_number_value(scan->text + scan->at, length))) {
        return scan_fail(scan, "a number beyond the range of a double");
    }
    const char mark[2] = {'"', NUMBER_MARK};
    enum osl_status status = emit(scan, mark, 2);
    status = status != OSL_OK ? status : emit(scan, scan->text + scan->at, length);
    scan->at += length;
    return status != OSL_OK ? status : emit(scan, "\"", 1);
}

/* A value begins here; *want_out becomes what must follow. */
static enum osl_status scan_value(struct scan *scan, enum expect *want_out)
{
    static const char *const words[] = {"true", "false", "null"};
    int c = peek(scan, 0);
    *want_out = WANT_MORE;
    if (c == '{' || c == '[') {
        if (scan->depth == OSL_JSON_DEPTH_MAX) {
            return scan_fail(scan, "nested deeper than 192");
        }
        scan->is_object[scan->depth++] = c == '{';
        *want_out = c == '{' ? WANT_KEY_OR_CLOSE : WANT_VALUE_OR_CLOSE;
        return emit(scan, scan->text + scan->at++, 1);
    }
    if (c == '"') {
        return scan_string(scan);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint64_t length = strlen(words[i]);
        if (scan->bytes - scan->at >= length &&
            memcmp(scan->text + scan->at, words[i], length) == 0) {
            scan->at += length;
            return emit(scan, words[i], length);
        }
    }
    return scan_number(scan);
}

/* One token of the text, given what may come; advances *want. */
static enum osl_status scan_token(struct scan *scan, enum expect *want)
{
    int c = peek(scan, 0);
    bool in_object = scan->depth > 0 && scan->is_object[scan->depth - 1];
    if (scan->depth > 0 && *want != WANT_VALUE && *want != WANT_KEY && *want != WANT_COLON &&
        c == (in_object ? '}' : ']')) {
        scan->depth--;
        *want = WANT_MORE;
        return emit(scan, scan->text + scan->at++, 1);
    }
    switch (*want) {
    case WANT_VALUE:
    case WANT_VALUE_OR_CLOSE: return scan_value(scan, want);
    case WANT_KEY:
    case WANT_KEY_OR_CLOSE: {
        if (c != '"') {
            return scan_fail(scan, "expected a key in double quotes");
        }
        uint64_t start = scan->at + 1;
        enum osl_status status = scan_string(scan);
        scan->key_at = start;
        scan->key_bytes = status == OSL_OK ? scan->at - 1 - start : 0;
        *want = WANT_COLON;
        return status;
    }
    case WANT_COLON:
        if (c != ':') {
            return scan_fail(scan, "expected ':' after a key");
        }
        *want = WANT_VALUE;
        return emit(scan, scan->text + scan->at++, 1);
    case WANT_MORE: break;
    }
    if (c != ',') {
        return scan_fail(scan, in_object ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    *want = in_object ? WANT_KEY : WANT_VALUE;
    return emit(scan, scan->text + scan->at++, 1);
}

/* Checks the whole text and leaves the terminated copy at the end of the arena. */
static enum osl_status scan_all(struct scan *scan)
{
    enum expect want = WANT_VALUE;
    bool done = false;
    if (scan->bytes >= 3 && memcmp(scan->text, "\xef\xbb\xbf", 3) == 0) {
        scan->at = 3; /* a byte order mark, as some shells write */
    }
    while (scan->at < scan->bytes) {
        char c = scan->text[scan->at];
        enum osl_status status;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            scan->line += c == '\n';
            status = emit(scan, scan->text + scan->at++, 1);
        } else if (done) {
            return scan_fail(scan, "something follows the end of the JSON value");
        } else {
            status = scan_token(scan, &want);
            done = scan->depth == 0 && want == WANT_MORE;
        }
        if (status != OSL_OK) {
            return status;
        }
    }
    if (!done) {
        return scan_fail(scan, scan->bytes == 0 ? "empty; expected JSON" : "the text ends early");
    }
    return emit(scan, "", 1);
}

/* ---- cJSON in the arena ------------------------------------------------------------------ */

static atomic_flag hooks_taken = ATOMIC_FLAG_INIT;
static struct osl_arena *hooks_arena;

static void *hook_allocate(size_t bytes)
{
    struct osl_arena *arena = hooks_arena;
    uint64_t start = (arena->used + BLOCK_ALIGNMENT - 1) / BLOCK_ALIGNMENT * BLOCK_ALIGNMENT;
    if (start > arena->bytes || bytes > arena->bytes - start) {
        return NULL;
    }
    arena->used = start + bytes;
    return arena->base + start;
}

static void hook_free(void *block)
{
    (void)block; /* the arena is given back whole */
}

static cJSON *parse_copy(const char *copy, uint64_t bytes, struct osl_arena *arena)
{
    cJSON_Hooks hooks = {.malloc_fn = hook_allocate, .free_fn = hook_free};
    while (atomic_flag_test_and_set_explicit(&hooks_taken, memory_order_acquire)) {
        thrd_yield();
    }
    hooks_arena = arena;
    cJSON_InitHooks(&hooks);
    cJSON *root = cJSON_ParseWithLength(copy, bytes);
    cJSON_InitHooks(NULL);
    hooks_arena = NULL;
    atomic_flag_clear_explicit(&hooks_taken, memory_order_release);
    return root;
}

/* ---- What cJSON does not keep ------------------------------------------------------------ */

/* Walks the copy from value to value, beside the tree, to count lines. */
struct place {
    const char *at;
    uint32_t line;
};

static const char *string_end(const char *at)
{
    for (at++; *at != '"'; at++) {
        at += *at == '\\';
    }
    return at + 1;
}

static void place_next_value(struct place *place)
{
    for (;;) {
        char c = *place->at;
        if (c == '"') {
            const char *after = string_end(place->at);
            const char *look = after;
            while (*look == ' ' || *look == '\t' || *look == '\n' || *look == '\r') {
                look++;
            }
            place->at = after;
            if (*look != ':') {
                return;
            }
        } else if (c == '{' || c == '[') {
            place->at++;
            return;
        } else if (c >= 'a' && c <= 'z') {
            while (*place->at >= 'a' && *place->at <= 'z') {
                place->at++;
            }
            return;
        } else {
            OSL_ASSERT(c != '\0');
            place->line += c == '\n';
            place->at++;
        }
    }
}

/* A string's length goes to valuedouble; numbers become cJSON_Raw. */
static void settle_string(cJSON *node)
{
    char *text = node->valuestring;
    uint64_t bytes = strlen(text);
    if (text[0] == NUMBER_MARK) {
        memmove(text, text + 1, bytes);
        node->type = cJSON_Raw;
        return;
    }
    uint64_t kept = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        bool is_nul = (unsigned char)text[i] == 0xc0;
        text[kept++] = is_nul ? '\0' : text[i];
        i += is_nul;
    }
    text[kept] = '\0';
    node->valuedouble = (double)kept;
}

static enum osl_status check_keys(const char *what, const cJSON *object, struct osl_error *error)
{
    uint32_t count = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next, count++) {
        if (count == OSL_JSON_KEYS_MAX) {
            return osl_fail(error, OSL_FORMAT, "%s: line %d: an object of more than %d keys", what,
                            object->valueint, OSL_JSON_KEYS_MAX);
        }
        for (const cJSON *other = object->child; other != member; other = other->next) {
            if (strcmp(other->string, member->string) == 0) {
                return osl_fail(error, OSL_FORMAT,
                                "%s: line %d: the object that begins there has key \"%.64s\" "
                                "twice; leave one out",
                                what, object->valueint, member->string);
            }
        }
    }
    return OSL_OK;
}

static enum osl_status annotate(const char *what, cJSON *root, const char *copy,
                                struct osl_error *error)
{
    cJSON *parents[OSL_JSON_DEPTH_MAX];
    uint32_t depth = 0;
    struct place place = {.at = copy, .line = 1};
    for (cJSON *node = root; node != NULL;) {
        place_next_value(&place);
        node->valueint = (int)place.line;
        if (cJSON_IsString(node)) {
            settle_string(node);
        } else if (cJSON_IsObject(node)) {
            enum osl_status status = check_keys(what, node, error);
            if (status != OSL_OK) {
                return status;
            }
        }
        if (node->child != NULL && !cJSON_IsString(node)) {
            OSL_ASSERT(depth < OSL_JSON_DEPTH_MAX);
            parents[depth++] = node;
            node = node->child;
            continue;
        }
        while (depth > 0 && node->next == NULL) {
            node = parents[--depth];
        }
        node = depth > 0 ? node->next : NULL;
    }
    return OSL_OK;
}

enum osl_status osl_json_parse(const char *what, const char *text, uint64_t bytes,
                               struct osl_arena *arena, const cJSON **root_out,
                               struct osl_error *error)
{
    OSL_ASSERT((uintptr_t)arena->base % BLOCK_ALIGNMENT == 0);
    OSL_ASSERT(arena->used <= arena->bytes);
    uint64_t used_before = arena->used;
    struct scan scan = {
        .what = what, .text = text, .bytes = bytes, .line = 1, .arena = arena, .error = error};
    enum osl_status status = scan_all(&scan);
    if (status == OSL_OK) {
        const char *copy = (const char *)arena->base + used_before;
        cJSON *root = parse_copy(copy, arena->used - used_before, arena);
        if (root == NULL) { /* the pre-pass allows nothing that cJSON refuses */
            status = out_of_memory(what, arena, error);
        } else {
            status = annotate(what, root, copy, error);
            *root_out = status == OSL_OK ? root : *root_out;
        }
    }
    if (status != OSL_OK) {
        arena->used = used_before;
    }
    return status;
}

const cJSON *osl_json_get(const cJSON *node, const char *key)
{
    return cJSON_IsObject(node) ? cJSON_GetObjectItemCaseSensitive(node, key) : NULL;
}

const cJSON *osl_json_get_set(const cJSON *node, const char *key)
{
    const cJSON *value = osl_json_get(node, key);
    return value == NULL || cJSON_IsNull(value) ? NULL : value;
}

struct osl_text osl_json_text(const cJSON *node)
{
    if (!cJSON_IsString(node)) {
        return (struct osl_text){NULL, 0};
    }
    return (struct osl_text){node->valuestring, (uint64_t)node->valuedouble};
}

bool osl_json_is(const cJSON *node, const char *text)
{
    struct osl_text have = osl_json_text(node);
    return have.data != NULL && have.bytes == strlen(text) &&
           memcmp(have.data, text, have.bytes) == 0;
}
