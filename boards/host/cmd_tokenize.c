/* ossicle tokenize: text to ids and back. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "json.h"
#include "out.h"
#include "term.h"

#define INPUT_BYTES_MAX (64u << 20)
#define ID_MAX 2147483647.0

/* Room that grows by being given back and taken anew; nothing in it needs to be kept. */
struct room {
    void *pages;
    uint64_t bytes;
};

static bool make_room(struct room *room, uint64_t bytes)
{
    if (bytes > room->bytes) {
        osl_pages_free(room->pages, room->bytes);
        room->pages = osl_pages(bytes);
        room->bytes = room->pages != NULL ? bytes : 0;
    }
    return room->pages != NULL;
}

static void print_ids(const int32_t *ids, size_t count, const char *between)
{
    for (size_t i = 0; i < count; i++) {
        osl_out_format("%s%d", i > 0 ? between : "", ids[i]);
    }
}

/* A text has at most one id a byte. */
static enum ossicle_status encode(const struct osl_host_engine *engine, const struct osl_args *args,
                                  const char *text, size_t bytes, struct room *room)
{
    size_t count = 0;
    if (!make_room(room, (uint64_t)(bytes + 1) * sizeof(int32_t))) {
        osl_complain("no memory for %zu ids", bytes);
        return OSSICLE_MEMORY;
    }
    enum ossicle_status status = ossicle_tokenize(engine->engine, text, bytes, args->specials,
                                                  room->pages, bytes + 1, &count);
    if (status != OSSICLE_OK) {
        return osl_host_engine_complain(engine, status);
    }
    print_ids(room->pages, count, args->json ? ", " : " ");
    return OSSICLE_OK;
}

static enum ossicle_status decode(const struct osl_host_engine *engine, const struct osl_args *args,
                                  const int32_t *ids, size_t count, struct room *room)
{
    size_t bytes = 0;
    enum ossicle_status status =
        ossicle_detokenize(engine->engine, ids, count, room->pages, room->bytes, &bytes);
    if (status == OSSICLE_OK && bytes > room->bytes) {
        if (!make_room(room, bytes)) {
            osl_complain("no memory for %zu bytes of text", bytes);
            return OSSICLE_MEMORY;
        }
        status = ossicle_detokenize(engine->engine, ids, count, room->pages, room->bytes, &bytes);
    }
    if (status != OSSICLE_OK) {
        return osl_host_engine_complain(engine, status);
    }
    if (args->json) {
        osl_out_json(room->pages, bytes);
    } else {
        osl_out_bytes(room->pages, bytes);
    }
    return OSSICLE_OK;
}

/* Ids in text, parted by blanks or commas, written over the front of `ids`. */
static enum ossicle_status read_ids(const struct osl_text *in, int32_t *ids, size_t *count_out)
{
    size_t count = 0;
    char *at = in->bytes;
    while (*at != '\0') {
        if (isspace((unsigned char)*at) || strchr(",[]", *at) != NULL) {
            at++;
            continue;
        }
        size_t length = strcspn(at, " \t\r\n\v\f,[]");
        char kept = at[length];
        uint64_t id;
        at[length] = '\0';
        if (!osl_parse_uint(at, INT32_MAX, &id)) {
            osl_complain("standard input: '%.40s' is no token id", at);
            return OSSICLE_FORMAT;
        }
        ids[count++] = (int32_t)id;
        at[length] = kept;
        at += length;
    }
    if ((size_t)(at - in->bytes) != in->count) {
        osl_complain("standard input: a zero byte among the ids");
        return OSSICLE_FORMAT;
    }
    *count_out = count;
    return OSSICLE_OK;
}

static enum ossicle_status convert_text(const struct osl_host_engine *engine,
                                        const struct osl_args *args, const struct osl_text *in)
{
    struct room room = {0};
    struct room ids = {0};
    size_t count = 0;
    enum ossicle_status status;
    if (!args->decode) {
        status = encode(engine, args, in->bytes, in->count, &room);
        osl_out_text("\n");
    } else if (!make_room(&ids, (uint64_t)(in->count + 1) * sizeof(int32_t))) {
        osl_complain("no memory for the ids");
        status = OSSICLE_MEMORY;
    } else {
        status = read_ids(in, ids.pages, &count);
        status = status == OSSICLE_OK ? decode(engine, args, ids.pages, count, &room) : status;
    }
    osl_pages_free(room.pages, room.bytes);
    osl_pages_free(ids.pages, ids.bytes);
    return status;
}

/* One entry of the input array: a string to an array of ids, or the other way round. */
static enum ossicle_status convert_entry(const struct osl_host_engine *engine,
                                         const struct osl_args *args, const cJSON *entry,
                                         uint32_t index, struct room *ids, struct room *room)
{
    if (!args->decode) {
        if (!cJSON_IsString(entry)) {
            osl_complain("standard input: entry %u is no string", index);
            return OSSICLE_FORMAT;
        }
        osl_out_text("[");
        enum ossicle_status status =
            encode(engine, args, entry->valuestring, strlen(entry->valuestring), room);
        osl_out_text("]");
        return status;
    }
    size_t count = 0;
    const cJSON *item = NULL;
    int32_t *numbers = ids->pages;
    bool good = cJSON_IsArray(entry);
    cJSON_ArrayForEach(item, entry)
    {
        double id = 0;
        good = good && osl_host_json_whole(item, 0, ID_MAX, &id);
        numbers[count++] = (int32_t)id;
    }
    if (!good) {
        osl_complain("standard input: entry %u is no array of token ids", index);
        return OSSICLE_FORMAT;
    }
    return decode(engine, args, numbers, count, room);
}

static enum ossicle_status convert_tree(const struct osl_host_engine *engine,
                                        const struct osl_args *args, const cJSON *tree,
                                        uint64_t bytes)
{
    struct room room = {0};
    struct room ids = {0};
    const cJSON *entry = NULL;
    uint32_t index = 0;
    enum ossicle_status status = OSSICLE_OK;
    if (!cJSON_IsArray(tree)) {
        osl_complain("standard input: with --json an array of %s",
                     args->decode ? "arrays of ids" : "strings");
        return OSSICLE_FORMAT;
    }
    if (!make_room(&ids, (bytes + 1) * sizeof(int32_t))) {
        osl_complain("no memory for the ids");
        return OSSICLE_MEMORY;
    }
    osl_out_text("[");
    cJSON_ArrayForEach(entry, tree)
    {
        osl_out_text(index > 0 ? ", " : "");
        status = status == OSSICLE_OK ? convert_entry(engine, args, entry, index++, &ids, &room)
                                      : status;
        if (status == OSSICLE_OK && osl_signal_caught() != 0) {
            status = OSSICLE_ABORTED;
        }
    }
    osl_out_text("]\n");
    osl_pages_free(room.pages, room.bytes);
    osl_pages_free(ids.pages, ids.bytes);
    return status;
}

static enum ossicle_status convert_json(const struct osl_host_engine *engine,
                                        const struct osl_args *args, const struct osl_text *in)
{
    struct ossicle_error error = {0};
    struct osl_host_json_arena arena = {.bytes = (size_t)osl_host_json_arena_need(in->count)};
    cJSON *tree = NULL;
    if (osl_host_json_has_nul(in->bytes, in->count)) {
        osl_complain("standard input: a text with \\u0000 can not be taken from JSON; pipe it in "
                     "without --json");
        return OSSICLE_UNSUPPORTED;
    }
    arena.base = osl_pages(arena.bytes);
    if (arena.base == NULL) {
        osl_complain("no memory for the JSON");
        return OSSICLE_MEMORY;
    }
    enum ossicle_status status =
        osl_host_json_parse("standard input", in->bytes, in->count, &arena, &tree, &error);
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
    } else {
        status = convert_tree(engine, args, tree, in->count);
    }
    osl_pages_free(arena.base, arena.bytes);
    return status;
}

static enum ossicle_status run(const struct osl_args *args)
{
    static struct osl_host_engine engine;
    struct ossicle_error error = {0};
    struct osl_text in = {0};
    /* What is given must be good before stdin is read. */
    enum ossicle_status status = osl_host_engine_configure(args, &engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    status = osl_text_read("-", INPUT_BYTES_MAX, &in, &error);
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
        return status;
    }
    status = osl_host_engine_start_tokenizer(args, in.count, &engine);
    if (status == OSSICLE_OK) {
        status = args->json ? convert_json(&engine, args, &in) : convert_text(&engine, args, &in);
        osl_host_engine_stop(&engine);
    }
    if (status != OSSICLE_OK) {
        osl_out_discard();
    }
    osl_text_free(&in);
    return status;
}

const struct osl_command osl_cmd_tokenize = {
    .name = "tokenize",
    .bit = OSL_CMD_TOKENIZE,
    .usage = "tokenize [-m FILE] [--json] [--decode] [--specials] < text",
    .summary = "text on stdin to token ids, and back",
    .help =
        "Prints the ids of the text on stdin, a blank between. --decode turns ids (blanks or "
        "commas\n"
        "between) back to the exact bytes. With --json the input is an array of strings and the\n"
        "output an array of arrays of ids, or with --decode the other way round; bytes that are "
        "not\n"
        "UTF-8 become U+FFFD in JSON. Special tokens are never made from text, unless "
        "--specials.\n",
    .run = run,
};
