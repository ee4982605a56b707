/* Listings of a header: complete, one line a piece, valid JSON, nothing unprintable. */
#include "gguf_edit.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/inspect.h"
#include "model/ossicle.h"

#define LISTING_BYTES (4 << 20)

struct listing {
    char *text;
    size_t bytes;
    size_t pieces;
    bool lines; /* every piece must be one */
};

static struct edit tiny;
static struct listing listing;

static int setup(void **state)
{
    tiny = edit_tiny();
    listing.text = malloc(LISTING_BYTES);
    return listing.text == NULL;
}

static int teardown(void **state)
{
    edit_free(&tiny);
    free(listing.text);
    return 0;
}

static void gather(void *user, const char *text)
{
    struct listing *to = user;
    size_t bytes = strlen(text);
    assert_in_range(bytes, 1, OSL_INSPECT_PIECE_BYTES - 1);
    assert_true(to->bytes + bytes < LISTING_BYTES);
    if (to->lines) {
        assert_ptr_equal(strchr(text, '\n'), text + bytes - 1);
    }
    memcpy(to->text + to->bytes, text, bytes + 1);
    to->bytes += bytes;
    to->pieces++;
}

static const char *list(struct edit edit, bool json)
{
    listing.bytes = 0;
    listing.pieces = 0;
    listing.lines = !json;
    osl_inspect(edit_parsed(&edit), json, gather, &listing);
    edit_free(&edit);
    return listing.text;
}

static void has(const char *text, const char *word)
{
    if (strstr(text, word) == NULL) {
        fail_msg("'%s' is not in:\n%.2000s", word, text);
    }
}

static void inspect_lists_everything(void **state)
{
    const char *text = list(edit_copy(&tiny), false);
    assert_int_equal(listing.pieces, 3 + 1 + 35 + 1 + 41);
    has(text, "file    " EDIT_NAME ", 568960 bytes\n");
    has(text, "format  GGUF 3, alignment 32, data from byte ");
    has(text, "runs    yes: 2 layers, 3 of 6 experts a token, ");
    has(text, "35 keys\n");
    has(text, "tokenizer.ggml.tokens                          string[600]     \"!\", \"\\\"\", ");
    has(text, "gpt-oss.attention.layer_norm_rms_epsilon       f32             9.99999975e-06\n");
    has(text, "41 tensors\n");
    has(text, "blk.1.ffn_down_exps.weight                     MXFP4    [160, 96, 6] ");
}

static void inspect_says_why_a_file_does_not_run(void **state)
{
    struct edit edit = edit_with_string(&tiny, "general.architecture", "bert");
    has(list(edit_copy(&edit), false), "runs    no: " EDIT_NAME ": key 'general.architecture'");
    cJSON *json = cJSON_Parse(list(edit, true));
    assert_non_null(json);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "runs")));
    has(cJSON_GetObjectItem(json, "reason")->valuestring, "'bert'");
    cJSON_Delete(json);
}

static const cJSON *value_of(const cJSON *json, const char *list_name, const char *name_key,
                             const char *name)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, list_name))
    {
        if (strcmp(cJSON_GetObjectItem(item, name_key)->valuestring, name) == 0) {
            return item;
        }
    }
    fail_msg("no %s in %s", name, list_name);
    return NULL;
}

static void inspect_writes_json(void **state)
{
    cJSON *json = cJSON_Parse(list(edit_copy(&tiny), true));
    assert_non_null(json);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "metadata")), 35);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "tensors")), 41);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "runs")));
    const cJSON *key = value_of(json, "metadata", "key", "gpt-oss.block_count");
    assert_int_equal(cJSON_GetObjectItem(key, "value")->valueint, 2);
    key = value_of(json, "metadata", "key", "tokenizer.ggml.tokens");
    assert_int_equal(cJSON_GetObjectItem(key, "count")->valueint, 600);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(key, "first")), 8);
    key = value_of(json, "metadata", "key", "tokenizer.chat_template");
    has(cJSON_GetObjectItem(key, "value")->valuestring, "<|start|>assistant{%- endif -%}");
    const cJSON *tensor = value_of(json, "tensors", "name", "output.weight");
    assert_int_equal(cJSON_GetObjectItem(tensor, "bytes")->valueint, 600 * 3 * 34);
    cJSON_Delete(json);
}

/* A string of everything awkward, in and out. */
static void inspect_escapes_what_does_not_show(void **state)
{
    static const char awkward[] = "q\"b\\n\nt\t\x1b[31m\x7f \xc3\xa9 \xc2\x9b \xe2\x80\xae \xff "
                                  "\xed\xa0\x80 \xf0\x9f\x98\x80 \xf4\x90\x80\x80 \xe2\x80\xa8";
    struct edit edit = edit_with_string(&tiny, "general.name", awkward);
    const char *text = list(edit_copy(&edit), false);
    for (size_t i = 0; i < listing.bytes; i++) {
        assert_true((unsigned char)text[i] >= 0x20 || text[i] == '\n');
        assert_true(text[i] != 0x7f);
    }
    has(text, "q\"b\\\\n\\nt\\u{9}\\u{1b}[31m\\u{7f} \xc3\xa9 \\u{9b} \\u{202e} \\xff "
              "\\xed\\xa0\\x80 \xf0\x9f\x98\x80 \\xf4\\x90\\x80\\x80 \\u{2028}");
    text = list(edit, true);
    for (size_t i = 0; i < listing.bytes; i++) {
        assert_true(((unsigned char)text[i] >= 0x20 && text[i] < 0x7f) || text[i] == '\n');
    }
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    const cJSON *key = value_of(json, "metadata", "key", "general.name");
    assert_string_equal(cJSON_GetObjectItem(key, "value")->valuestring,
                        "q\"b\\n\nt\t\x1b[31m\x7f \xc3\xa9 \xc2\x9b \xe2\x80\xae \xef\xbf\xbd "
                        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80 "
                        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xe2\x80\xa8");
    cJSON_Delete(json);
}

static void inspect_shows_every_type(void **state)
{
    static const struct {
        enum osl_gguf_type type;
        uint64_t bits;
        const char *text;
    } rows[] = {
        {OSL_GGUF_U8, 255, "u8              255\n"},
        {OSL_GGUF_I8, 255, "i8              -1\n"},
        {OSL_GGUF_U16, 65535, "u16             65535\n"},
        {OSL_GGUF_I16, 65535, "i16             -1\n"},
        {OSL_GGUF_I32, UINT32_MAX, "i32             -1\n"},
        {OSL_GGUF_U64, UINT64_MAX, "u64             18446744073709551615\n"},
        {OSL_GGUF_I64, UINT64_MAX, "i64             -1\n"},
        {OSL_GGUF_BOOL, 1, "bool            true\n"},
        {OSL_GGUF_F32, 0x7fc00000, "f32             nan\n"},
        {OSL_GGUF_F32, 0xff800000, "f32             -inf\n"},
        {OSL_GGUF_F64, UINT64_C(0x3ff8000000000000), "f64             1.5\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct edit edit = edit_with_key(&tiny, "x.y", rows[i].type, &rows[i].bits,
                                         osl_gguf_type_bytes(rows[i].type));
        has(list(edit_copy(&edit), false), rows[i].text);
        cJSON *json = cJSON_Parse(list(edit, true));
        assert_non_null(json);
        cJSON_Delete(json);
    }
    uint8_t empty[12] = {OSL_GGUF_F64};
    has(list(edit_with_key(&tiny, "x.y", OSL_GGUF_ARRAY, empty, sizeof empty), false),
        "f64[0]          \n");
}

static void inspect_public_call_reads_files(void **state)
{
    struct ossicle_error error = {OSSICLE_OK, ""};
    char path[] = "/tmp/ossicle-inspect-XXXXXX";
    struct ossicle_config config;
    ossicle_config_init(&config);
    config.model_path = path;
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, tiny.data, tiny.bytes), tiny.bytes);
    listing.bytes = 0;
    listing.lines = true;
    assert_int_equal(ossicle_inspect(&config, false, gather, &listing, &error), OSSICLE_OK);
    has(listing.text, path);
    assert_int_equal(ftruncate(file, 100), 0);
    listing.bytes = 0;
    assert_int_equal(ossicle_inspect(&config, true, gather, &listing, &error), OSSICLE_FORMAT);
    assert_int_equal(error.status, OSSICLE_FORMAT);
    has(error.text, path);
    assert_int_equal(listing.bytes, 0);
    close(file);
    unlink(path);
    assert_int_equal(ossicle_inspect(&config, true, gather, &listing, NULL), OSSICLE_IO);
    assert_int_equal(ossicle_inspect(NULL, true, gather, &listing, &error), OSSICLE_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspect_lists_everything),
        cmocka_unit_test(inspect_says_why_a_file_does_not_run),
        cmocka_unit_test(inspect_writes_json),
        cmocka_unit_test(inspect_escapes_what_does_not_show),
        cmocka_unit_test(inspect_shows_every_type),
        cmocka_unit_test(inspect_public_call_reads_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
