/* JSON and text files, read whole. */
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "out.h"
#include "term.h"

#define ARENA_ALIGNMENT 16
#define ARENA_SPARE_BYTES 4096
#define READ_STEP_BYTES (1u << 20)

/* What cJSON's hooks take memory from; set only while osl_host_json_parse runs. */
static struct osl_host_json_arena *hooked_arena;

static void *arena_take(size_t bytes)
{
    struct osl_host_json_arena *arena = hooked_arena;
    size_t rounded = (bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (rounded < bytes || rounded > arena->bytes - arena->used) {
        return NULL;
    }
    void *taken = arena->base + arena->used;
    arena->used += rounded;
    return taken;
}

static void arena_keep(void *taken)
{
    (void)taken;
}

_Static_assert(sizeof(cJSON) <= 64, "osl_host_json_arena_need counts 64 bytes a node");

uint64_t osl_host_json_arena_need(uint64_t bytes)
{
    return bytes * (64 / 2 + 2 * ARENA_ALIGNMENT) + ARENA_SPARE_BYTES;
}

enum ossicle_status osl_host_json_parse(const char *name, const char *text, size_t bytes,
                                        struct osl_host_json_arena *arena, cJSON **tree_out,
                                        struct ossicle_error *error)
{
    cJSON_Hooks hooks = {.malloc_fn = arena_take, .free_fn = arena_keep};
    const char *end = NULL;
    size_t before = arena->used;
    hooked_arena = arena;
    cJSON_InitHooks(&hooks);
    cJSON *tree = cJSON_ParseWithLengthOpts(text, bytes + 1, &end, true);
    cJSON_InitHooks(NULL);
    hooked_arena = NULL;
    if (tree != NULL && strlen(text) == bytes) {
        *tree_out = tree;
        return OSSICLE_OK;
    }
    if (arena->bytes - arena->used < sizeof(cJSON) + ARENA_ALIGNMENT) {
        return osl_fault(error, OSSICLE_CAPACITY, "%s: more JSON than the %zu bytes kept for it",
                         name, arena->bytes);
    }
    arena->used = before;
    size_t good = end != NULL && end >= text ? (size_t)(end - text) : strlen(text);
    uint32_t line = 1;
    for (size_t i = 0; i < good && i < bytes; i++) {
        line += text[i] == '\n';
    }
    return osl_fault(error, OSSICLE_FORMAT, "%s:%u: broken JSON%s", name, line,
                     good >= bytes ? " (ends too early)" : "");
}

/* Moves *at from an opening quote to behind the closing one. */
static void skip_string(const char *text, size_t bytes, size_t *at)
{
    for (++*at; *at < bytes && text[*at] != '"'; ++*at) {
        *at += text[*at] == '\\' ? 1 : 0;
    }
    ++*at;
}

static bool same_key(const char *text, size_t length, const char *key)
{
    return strlen(key) == length && memcmp(text, key, length) == 0;
}

uint32_t osl_host_json_line(const char *text, size_t bytes, const char *parent, const char *key,
                            uint32_t occurrence)
{
    uint32_t line = 1;
    uint32_t depth = 0;
    bool inside_parent = parent == NULL; /* did the depth-1 key seen last match parent? */
    const uint32_t wanted_depth = parent == NULL ? 1 : 2;
    for (size_t at = 0; at < bytes;) {
        char c = text[at];
        line += c == '\n';
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (c != '"') {
            at++;
            continue;
        }
        size_t start = at + 1;
        skip_string(text, bytes, &at);
        size_t length = at - 1 - start;
        size_t next = at;
        while (next < bytes && strchr(" \t\r\n", text[next]) != NULL) {
            next++;
        }
        if (next >= bytes || text[next] != ':') {
            continue;
        }
        if (depth == wanted_depth && inside_parent && same_key(text + start, length, key)) {
            if (occurrence == 0) {
                return line;
            }
            occurrence--;
        }
        if (depth == 1 && parent != NULL) {
            inside_parent = same_key(text + start, length, parent);
        }
    }
    return 1;
}

bool osl_host_json_whole(const cJSON *item, double least, double most, double *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= least && item->valuedouble <= most) ||
        item->valuedouble != floor(item->valuedouble)) {
        return false;
    }
    *out = item->valuedouble;
    return true;
}

bool osl_host_json_has_nul(const char *text, size_t bytes)
{
    for (size_t i = 0; i + 1 < bytes; i++) {
        if (text[i] != '\\') {
            continue;
        }
        if (text[i + 1] == 'u' && i + 6 <= bytes && memcmp(text + i + 2, "0000", 4) == 0) {
            return true;
        }
        i++; /* what follows the backslash is no backslash of its own */
    }
    return false;
}

/* Reads fd to its end into text; one byte more than `most` proves that it is too long. */
static enum ossicle_status read_all(int fd, const char *path, uint64_t most, struct osl_text *text,
                                    struct ossicle_error *error)
{
    for (;;) {
        uint64_t room = most + 1 - text->count;
        size_t step = room < READ_STEP_BYTES ? (size_t)room : READ_STEP_BYTES;
        ssize_t got = read(fd, text->bytes + text->count, step);
        if (got < 0 && errno == EINTR && osl_signal_caught() == 0) {
            continue;
        }
        if (got < 0 && errno == EINTR) {
            return osl_fault(error, OSSICLE_ABORTED, "interrupted while reading %s", path);
        }
        if (got < 0) {
            return osl_fault(error, OSSICLE_IO, "%s: %s", path, strerror(errno));
        }
        if (got == 0) {
            text->bytes[text->count] = '\0';
            return OSSICLE_OK;
        }
        text->count += (size_t)got;
        if (text->count > most) {
            return osl_fault(error, OSSICLE_CAPACITY, "%s: longer than the %llu bytes allowed here",
                             path, (unsigned long long)most);
        }
    }
}

enum ossicle_status osl_text_read(const char *path, uint64_t most, struct osl_text *text_out,
                                  struct ossicle_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    struct osl_text text = {.reserved = most + 2};
    struct stat facts;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return osl_fault(error, OSSICLE_IO, "%s: %s", path, strerror(errno));
    }
    enum ossicle_status status;
    text.bytes = osl_pages(text.reserved);
    if (text.bytes == NULL) {
        status = osl_fault(error, OSSICLE_MEMORY, "no memory to read %s", name);
    } else if (!standard && (fstat(fd, &facts) != 0 || S_ISDIR(facts.st_mode))) {
        status = osl_fault(error, OSSICLE_IO, "%s: is a directory", path);
    } else {
        status = read_all(fd, name, most, &text, error);
    }
    if (!standard) {
        close(fd);
    }
    if (status != OSSICLE_OK) {
        osl_text_free(&text);
        return status;
    }
    *text_out = text;
    return OSSICLE_OK;
}

void osl_text_free(struct osl_text *text)
{
    osl_pages_free(text->bytes, text->reserved);
    *text = (struct osl_text){0};
}
