/* The GGUF reader: a valid file read, every truncation and every field wrong refused by name. */
#include "gguf_edit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_KEY "general.name"
#define BLOCKS_KEY "gpt-oss.block_count"
#define TOKENS_KEY "tokenizer.ggml.tokens"
#define Q_TENSOR "blk.1.attn_q.weight"

static struct edit tiny;

static int setup(void **state)
{
    tiny = edit_tiny();
    return 0;
}

static int teardown(void **state)
{
    edit_free(&tiny);
    return 0;
}

static void gguf_reads_a_valid_file(void **state)
{
    const struct osl_gguf *gguf = edit_parsed(&tiny);
    assert_int_equal(gguf->version, 3);
    assert_int_equal(gguf->alignment, 32);
    assert_int_equal(gguf->key_count, 35);
    assert_int_equal(gguf->tensor_count, 2 * 19 + 3);
    assert_int_equal(gguf->data_offset % 32, 0);
    uint64_t end = gguf->data_offset;
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        assert_int_equal(gguf->tensors[i].offset, (end + 31) / 32 * 32);
        end = gguf->tensors[i].offset + gguf->tensors[i].bytes;
    }
    const struct osl_gguf_tensor *q = osl_gguf_tensor_find(gguf, Q_TENSOR);
    assert_int_equal(q->rank, 2);
    assert_int_equal(q->dims[0], 96);
    assert_int_equal(q->dims[1], 192);
    assert_int_equal(q->dims[2], 1);
    assert_int_equal(q->dtype, 8);
    assert_int_equal(q->bytes, 192 * 3 * 34);
    assert_null(osl_gguf_tensor_find(gguf, "blk.1.attn_q.weigh"));
    assert_null(osl_gguf_key_find(gguf, "general.nam"));
}

static void gguf_opens_a_file_on_disk(void **state)
{
    static struct osl_gguf gguf;
    struct osl_error error = {OSL_OK, ""};
    char path[] = "/tmp/ossicle-gguf-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(osl_gguf_open(&gguf, path, &error), OSL_FORMAT);
    assert_non_null(strstr(error.text, "is empty"));
    assert_int_equal(write(file, tiny.data, tiny.bytes), tiny.bytes);
    assert_int_equal(osl_gguf_open(&gguf, path, &error), OSL_OK);
    assert_int_equal(gguf.tensor_count, 41);
    assert_memory_equal(gguf.map.data, tiny.data, tiny.bytes);
    osl_gguf_close(&gguf);
    assert_int_equal(ftruncate(file, 1000), 0);
    assert_int_equal(osl_gguf_open(&gguf, path, &error), OSL_FORMAT);
    assert_non_null(strstr(error.text, path));
    close(file);
    unlink(path);
    assert_int_equal(osl_gguf_open(&gguf, path, &error), OSL_IO);
    assert_non_null(strstr(error.text, path));
}

static void gguf_refuses_every_truncation(void **state)
{
    uint64_t header = edit_parsed(&tiny)->data_offset;
    const struct osl_gguf *gguf = edit_parsed(&tiny);
    const struct osl_gguf_tensor *last = &gguf->tensors[gguf->tensor_count - 1];
    uint64_t needed = last->offset + last->bytes;
    for (uint64_t bytes = 0; bytes < needed; bytes += bytes < header + 200 ? 1 : 3001) {
        struct edit cut = {malloc(bytes == 0 ? 1 : bytes), bytes};
        memcpy(cut.data, tiny.data, bytes);
        char words[64] = "magic";
        if (bytes >= 16 && bytes < 24 + 41 * 33) {
            snprintf(words, sizeof words, "tensor count|file of %" PRIu64, bytes);
        } else if (bytes >= 4) {
            snprintf(words, sizeof words, "file ends at byte %" PRIu64, bytes);
        }
        edit_refused(cut, OSL_FORMAT, words);
    }
    struct edit whole = edit_copy(&tiny);
    whole.bytes = needed; /* without the last tensor's padding */
    edit_accepted(whole);
}

static void gguf_takes_trailing_bytes(void **state)
{
    struct edit longer = {calloc(1, tiny.bytes + 777), tiny.bytes + 777};
    memcpy(longer.data, tiny.data, tiny.bytes);
    edit_accepted(longer);
}

static void gguf_names_what_is_no_gguf(void **state)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\n";
    edit_refused(edit_patch(&tiny, 0, "GGML", 4), OSL_FORMAT, "'GGML'|byte 0|'GGUF'");
    edit_refused(edit_patch(&tiny, 0, "\x01\n\xff\x7f", 4), OSL_FORMAT, "\\x01\\x0a\\xff\\x7f");
    edit_refused(edit_patch(&tiny, 0, pointer, sizeof pointer), OSL_FORMAT, "LFS|git lfs pull");
}

static void gguf_takes_versions_2_and_3_only(void **state)
{
    edit_accepted(edit_patch_u32(&tiny, 4, 2));
    static const uint32_t versions[] = {0, 1, 4, 0xffffffff, 0x00010003};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char words[64];
        snprintf(words, sizeof words, "version %" PRIu32 "|byte 4|2 or 3", versions[i]);
        edit_refused(edit_patch_u32(&tiny, 4, versions[i]), OSL_UNSUPPORTED, words);
    }
    edit_refused(edit_patch_u32(&tiny, 4, 0x03000000), OSL_UNSUPPORTED, "big-endian");
    edit_refused(edit_patch_u32(&tiny, 4, 0x02000000), OSL_UNSUPPORTED, "big-endian");
}

static void gguf_refuses_counts_that_lie(void **state)
{
    static const uint64_t counts[] = {20000000, UINT64_C(1) << 60, UINT64_MAX, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char words[96];
        snprintf(words, sizeof words, "tensor count|byte 8|%" PRIu64, counts[i]);
        edit_refused(edit_patch_u64(&tiny, 8, counts[i]), OSL_FORMAT, words);
        snprintf(words, sizeof words, "key count|byte 16|%" PRIu64, counts[i]);
        edit_refused(edit_patch_u64(&tiny, 16, counts[i]), OSL_FORMAT, words);
    }
    edit_refused(edit_patch_u64(&tiny, 8, 1537), OSL_UNSUPPORTED, "tensor count|1537|1536");
    edit_refused(edit_patch_u64(&tiny, 16, 257), OSL_UNSUPPORTED, "key count|257|256");
    /* one more or less: what follows is read as something it is not */
    edit_refused(edit_patch_u64(&tiny, 16, 34), OSL_FORMAT, "tensor");
    edit_refused(edit_patch_u64(&tiny, 16, 36), OSL_FORMAT, "tensor 1 of 41");
    edit_refused(edit_patch_u64(&tiny, 8, 42), OSL_FORMAT, "tensor 42 of 42");
}

static void gguf_refuses_wrong_keys(void **state)
{
    uint64_t name = edit_key_start(&tiny, NAME_KEY);
    uint64_t type = edit_value_at(&tiny, NAME_KEY) - 4;
    static const uint64_t lengths[] = {0, 256, 20000000, UINT64_C(1) << 62, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char words[64];
        snprintf(words, sizeof words, "key 3 of 35|%" PRIu64, lengths[i]);
        edit_refused(edit_patch_u64(&tiny, name, lengths[i]), OSL_FORMAT, words);
    }
    edit_refused(edit_patch(&tiny, name + 9, "\n", 1), OSL_FORMAT, "key 3|g\\x0aneral.name|ASCII");
    edit_refused(edit_patch(&tiny, name + 9, "\xc3", 1), OSL_FORMAT, "g\\xc3neral.name");
    edit_refused(edit_patch(&tiny, name + 9, "\x7f", 1), OSL_FORMAT, "g\\x7fneral.name");
    edit_refused(edit_patch(&tiny, name + 9, " ", 1), OSL_FORMAT, "'g neral.name'");
    static const uint32_t types[] = {13, 255, 0x80000008, UINT32_MAX};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char words[64];
        snprintf(words, sizeof words, "key '" NAME_KEY "'|its type|%" PRIu32, types[i]);
        edit_refused(edit_patch_u32(&tiny, type, types[i]), OSL_FORMAT, words);
    }
    edit_refused(edit_patch_u64(&tiny, type + 4, UINT64_MAX), OSL_FORMAT,
                 "key '" NAME_KEY "'|its value|file ends");
    edit_refused(edit_patch_u64(&tiny, type + 4, UINT64_C(1) << 40), OSL_FORMAT,
                 "key '" NAME_KEY "'|1099511627776");
    edit_refused(edit_patch(&tiny, name + 8, "general.type", 12), OSL_FORMAT,
                 "key 'general.type'|twice");
    uint8_t flag = 2;
    edit_refused(edit_with_key(&tiny, "some.flag", OSL_GGUF_BOOL, &flag, 1), OSL_FORMAT,
                 "key 'some.flag'|bool|is 2|0 or 1");
    flag = 1;
    edit_accepted(edit_with_key(&tiny, "some.flag", OSL_GGUF_BOOL, &flag, 1));
}

static void gguf_refuses_wrong_arrays(void **state)
{
    uint64_t value = edit_value_at(&tiny, TOKENS_KEY);
    edit_refused(edit_patch_u32(&tiny, value - 12, OSL_GGUF_ARRAY), OSL_UNSUPPORTED,
                 "key '" TOKENS_KEY "'|array of arrays");
    edit_refused(edit_patch_u32(&tiny, value - 12, 13), OSL_FORMAT,
                 "key '" TOKENS_KEY "'|its type|13");
    static const uint64_t counts[] = {20000000, UINT64_C(1) << 61, UINT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        edit_refused(edit_patch_u64(&tiny, value - 8, counts[i]), OSL_FORMAT,
                     "key '" TOKENS_KEY "'|its array|file ends");
        edit_refused(
            edit_patch_u64(&tiny, edit_value_at(&tiny, "tokenizer.ggml.token_type") - 8, counts[i]),
            OSL_FORMAT, "key 'tokenizer.ggml.token_type'|its array|file ends");
    }
    edit_refused(edit_patch_u64(&tiny, value, UINT64_C(1) << 50), OSL_FORMAT,
                 "key '" TOKENS_KEY "'|a string|file ends");
}

/* 10 million empty strings in 80 MB of zeros: more header than any model has, refused at once. */
static void gguf_bounds_the_header(void **state)
{
    const uint64_t bytes = 100 << 20, count = 10000000, one = 1;
    static const uint32_t types[] = {OSL_GGUF_ARRAY, OSL_GGUF_STRING};
    struct edit edit = {calloc(1, bytes), bytes};
    assert_non_null(edit.data);
    memcpy(edit.data, "GGUF\3", 5);
    memcpy(edit.data + 16, &one, 8);
    memcpy(edit.data + 24, &one, 8);
    edit.data[32] = 'a';
    memcpy(edit.data + 33, types, 8);
    memcpy(edit.data + 41, &count, 8);
    const uint64_t lie = UINT64_C(1) << 40;
    edit_refused(edit_patch_u64(&edit, 41, lie), OSL_FORMAT, "key 'a'|ends at byte 104857600");
    uint64_t start = osl_clock_ns();
    edit_refused(edit, OSL_UNSUPPORTED, "key 'a'|its array|past 64 MiB");
    assert_true(osl_clock_ns() - start < 500000000);
}

static void gguf_checks_the_alignment(void **state)
{
    static const uint32_t wrong[] = {0, 1, 4, 24, 33, 1u << 21, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char words[64];
        snprintf(words, sizeof words, "general.alignment|is %" PRIu32 ",|power of two", wrong[i]);
        edit_refused(edit_with_u32(&tiny, "general.alignment", wrong[i]), OSL_FORMAT, words);
    }
    uint64_t wide = 32;
    edit_refused(edit_with_key(&tiny, "general.alignment", OSL_GGUF_U64, &wide, 8), OSL_FORMAT,
                 "general.alignment|u64|expected u32");
    edit_refused(edit_with_string(&tiny, "general.alignment", "32"), OSL_FORMAT,
                 "general.alignment|string");
    static const uint32_t right[] = {8, 64, 4096};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct fixture_options options;
        assert_true(fixture_preset(&options, "tiny"));
        options.alignment = right[i];
        struct edit edit = edit_fixture(&options);
        const struct osl_gguf *gguf = edit_parsed(&edit);
        assert_int_equal(gguf->alignment, right[i]);
        assert_int_equal(gguf->data_offset % right[i], 0);
        edit_free(&edit);
    }
}

static void gguf_refuses_wrong_tensor_fields(void **state)
{
    uint64_t start = edit_tensor_start(&tiny, Q_TENSOR);
    uint64_t rank = start + 8 + strlen(Q_TENSOR);
    const char *tensor = "tensor '" Q_TENSOR "'";
    char words[128];
    static const uint64_t lengths[] = {0, 64, 20000000, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(words, sizeof words, "tensor 22 of 41|%" PRIu64, lengths[i]);
        edit_refused(edit_patch_u64(&tiny, start, lengths[i]), OSL_FORMAT, words);
    }
    edit_refused(edit_patch(&tiny, start + 8, "\x1b", 1), OSL_FORMAT, "tensor 22|\\x1blk.1");
    static const uint32_t ranks[] = {0, 5, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        snprintf(words, sizeof words, "%s|its rank|%" PRIu32, tensor, ranks[i]);
        edit_refused(edit_patch_u32(&tiny, rank, ranks[i]), OSL_FORMAT, words);
    }
    static const uint64_t dims[] = {0, UINT64_C(1) << 63, UINT64_MAX, UINT64_C(1) << 60};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        snprintf(words, sizeof words, "%s|dimension 1|%" PRIu64, tensor, dims[i]);
        edit_refused(edit_patch_u64(&tiny, rank + 12, dims[i]), OSL_FORMAT, words);
    }
    snprintf(words, sizeof words, "%s|dimension 0 |is 0", tensor);
    edit_refused(edit_patch_u64(&tiny, rank + 4, 0), OSL_FORMAT, words);
    snprintf(words, sizeof words, "%s|Q8_0|rows of 95|blocks of 32", tensor);
    edit_refused(edit_patch_u64(&tiny, rank + 4, 95), OSL_FORMAT, words);
    /* more bytes than there are, with and without overflow */
    snprintf(words, sizeof words, "%s|file ends", tensor);
    edit_refused(edit_patch_u64(&tiny, rank + 12, 20000000), OSL_FORMAT, words);
    edit_refused(edit_patch_u64(&tiny, rank + 12, UINT64_C(1) << 56), OSL_FORMAT, words);
    edit_refused(edit_patch_u64(&tiny, rank + 24, UINT64_C(1) << 40), OSL_FORMAT, words);
    edit_refused(edit_patch_u64(&tiny, rank + 24, UINT64_MAX - 31), OSL_FORMAT, words);
    /* 2^62 floats are 2^64 bytes, which is 0 */
    uint64_t norm = edit_tensor_start(&tiny, "output_norm.weight") + 8 + 18 + 4;
    edit_refused(edit_patch_u64(&tiny, norm, UINT64_C(1) << 62), OSL_FORMAT,
                 "tensor 'output_norm.weight'|file ends");
    snprintf(words, sizeof words, "%s|its offset|multiple of 32", tensor);
    edit_refused(edit_patch_u64(&tiny, rank + 24, 33), OSL_FORMAT, words);
    snprintf(words, sizeof words, "%s|overlaps|tensor 'token_embd.weight'", tensor);
    edit_refused(edit_patch_u64(&tiny, rank + 24, 32), OSL_FORMAT, words);
    edit_refused(edit_patch(&tiny, start + 12, "0", 1), OSL_FORMAT,
                 "tensor 'blk.0.attn_q.weight'|twice");
}

static void gguf_leaves_unknown_types_to_the_binder(void **state)
{
    uint64_t at = edit_tensor_start(&tiny, Q_TENSOR) + 8 + strlen(Q_TENSOR) + 20;
    struct edit edit = edit_patch_u32(&tiny, at, 99);
    const struct osl_gguf_tensor *tensor = osl_gguf_tensor_find(edit_parsed(&edit), Q_TENSOR);
    assert_int_equal(tensor->dtype, 99);
    assert_int_equal(tensor->bytes, 0);
    edit_free(&edit);
    assert_string_equal(osl_gguf_dtype_text(99).text, "type 99");
    assert_string_equal(osl_gguf_dtype_text(5).text, "type 5");
    assert_string_equal(osl_gguf_dtype_text(12).text, "Q4_K");
}

/* Exchanges two infos' offsets: the order of the data is not that of the infos. */
static void gguf_takes_tensors_in_any_order_and_gaps(void **state)
{
    static const char k[] = "blk.0.attn_k.weight";
    static const char v[] = "blk.0.attn_v.weight";
    const struct osl_gguf *gguf = edit_parsed(&tiny);
    uint64_t k_offset = osl_gguf_tensor_find(gguf, k)->offset - gguf->data_offset;
    uint64_t v_offset = osl_gguf_tensor_find(gguf, v)->offset - gguf->data_offset;
    uint64_t k_at = edit_tensor_start(&tiny, k) + 8 + sizeof k - 1 + 24;
    uint64_t v_at = edit_tensor_start(&tiny, v) + 8 + sizeof v - 1 + 24;
    struct edit one = edit_patch_u64(&tiny, k_at, v_offset);
    struct edit both = edit_patch_u64(&one, v_at, k_offset);
    edit_refused(one, OSL_FORMAT, "overlaps|blk.0.attn_k.weight|blk.0.attn_v.weight");
    edit_accepted(both);
    edit_accepted(edit_without_tensor(&tiny, "blk.0.attn_k.weight"));
}

static void gguf_reads_integers_of_any_width(void **state)
{
    static const struct {
        enum osl_gguf_type type;
        uint64_t bits;
        bool fits;
        uint32_t value;
        const char *words;
    } rows[] = {
        {OSL_GGUF_U8, 200, true, 200, ""},
        {OSL_GGUF_I8, 100, true, 100, ""},
        {OSL_GGUF_I8, 200, false, 0, "negative"},
        {OSL_GGUF_U16, 65535, true, 65535, ""},
        {OSL_GGUF_I16, 0xffff, false, 0, "negative"},
        {OSL_GGUF_U32, UINT32_MAX, true, UINT32_MAX, ""},
        {OSL_GGUF_I32, INT32_MAX, true, INT32_MAX, ""},
        {OSL_GGUF_I32, UINT32_MAX, false, 0, "negative"},
        {OSL_GGUF_U64, UINT32_MAX, true, UINT32_MAX, ""},
        {OSL_GGUF_U64, UINT64_C(1) << 32, false, 0, "too large"},
        {OSL_GGUF_I64, 7, true, 7, ""},
        {OSL_GGUF_I64, UINT64_MAX, false, 0, "negative"},
        {OSL_GGUF_F32, 0, false, 0, "is f32, expected an integer"},
        {OSL_GGUF_BOOL, 1, false, 0, "is bool, expected an integer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t value = 0xdead;
        struct osl_error error = {OSL_OK, ""};
        struct edit edit = edit_with_key(&tiny, BLOCKS_KEY, rows[i].type, &rows[i].bits,
                                         osl_gguf_type_bytes(rows[i].type));
        enum osl_status status = osl_gguf_u32(edit_parsed(&edit), BLOCKS_KEY, &value, &error);
        edit_free(&edit);
        if (rows[i].fits) {
            assert_int_equal(status, OSL_OK);
            assert_int_equal(value, rows[i].value);
        } else {
            assert_int_equal(value, 0xdead);
            edit_check_error(&error, OSL_FORMAT, BLOCKS_KEY);
            edit_check_error(&error, OSL_FORMAT, rows[i].words);
        }
    }
}

static void gguf_reads_finite_numbers_and_strings(void **state)
{
    static const char key[] = "gpt-oss.rope.freq_base";
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const double bad_wide[] = {(double)NAN, (double)INFINITY, 1e300, -1e300};
    struct osl_error error = {OSL_OK, ""};
    struct edit edit;
    float value = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        edit = edit_with_f32(&tiny, key, bad[i]);
        assert_int_equal(osl_gguf_f32(edit_parsed(&edit), key, &value, &error), OSL_FORMAT);
        edit_check_error(&error, OSL_FORMAT, key);
        edit_check_error(&error, OSL_FORMAT, isnan(bad[i]) ? "is NaN" : "is infinite");
        edit_free(&edit);
    }
    for (size_t i = 0; i < sizeof bad_wide / sizeof bad_wide[0]; i++) {
        edit = edit_with_key(&tiny, key, OSL_GGUF_F64, &bad_wide[i], 8);
        assert_int_equal(osl_gguf_f32(edit_parsed(&edit), key, &value, &error), OSL_FORMAT);
        edit_check_error(&error, OSL_FORMAT, "finite");
        edit_free(&edit);
    }
    double wide = 150000;
    edit = edit_with_key(&tiny, key, OSL_GGUF_F64, &wide, 8);
    assert_int_equal(osl_gguf_f32(edit_parsed(&edit), key, &value, &error), OSL_OK);
    assert_true(value == 150000);
    struct osl_slice text;
    assert_int_equal(osl_gguf_string(edit_parsed(&edit), NAME_KEY, &text, &error), OSL_OK);
    assert_true(osl_slice_equal(text, "Fixture tiny"));
    assert_int_equal(osl_gguf_string(edit_parsed(&edit), key, &text, &error), OSL_FORMAT);
    edit_check_error(&error, OSL_FORMAT, "gpt-oss.rope.freq_base|is f64|a string");
    assert_int_equal(osl_gguf_string(edit_parsed(&edit), "no.such", &text, &error), OSL_FORMAT);
    edit_check_error(&error, OSL_FORMAT, "'no.such'|missing|a string");
    edit_free(&edit);
}

static void gguf_walks_string_arrays(void **state)
{
    const struct osl_gguf_key *key = osl_gguf_key_find(edit_parsed(&tiny), TOKENS_KEY);
    uint64_t cursor = 0;
    uint64_t count = 0;
    struct osl_slice text = {NULL, 0};
    while (osl_gguf_string_next(key, &cursor, &text)) {
        count++;
        if (count == 1) {
            assert_true(osl_slice_equal(text, "!"));
        }
    }
    assert_int_equal(count, 600);
    assert_int_equal(key->count, 600);
    assert_true(osl_slice_equal(text, "[PAD599]"));
    assert_false(osl_gguf_string_next(key, &cursor, &text));
}

static void gguf_words_are_printable_and_short(void **state)
{
    static struct osl_gguf gguf;
    struct osl_slice slice = {"a\0b\n\x7f\xff", 6};
    assert_string_equal(osl_gguf_quote(slice).text, "a\\x00b\\x0a\\x7f\\xff");
    char name[300];
    memset(name, '\x01', sizeof name);
    slice = (struct osl_slice){name, sizeof name};
    struct osl_label quoted = osl_gguf_quote(slice);
    assert_in_range(strlen(quoted.text), 72, 80);
    assert_string_equal(quoted.text + strlen(quoted.text) - 3, "...");
    memset(gguf.file.path, 'x', 300);
    memcpy(gguf.file.path + 280, "/name.gguf", 11);
    quoted = osl_gguf_label(&gguf);
    assert_int_equal(strlen(quoted.text), 113);
    assert_memory_equal(quoted.text, "...xxx", 6);
    assert_non_null(strstr(quoted.text, "x/name.gguf"));
    uint64_t dims[] = {UINT64_MAX, 1, 2880, UINT64_MAX};
    assert_string_equal(osl_gguf_dims(dims, 4).text,
                        "[18446744073709551615, 1, 2880, 18446744073709551615]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_reads_a_valid_file),
        cmocka_unit_test(gguf_opens_a_file_on_disk),
        cmocka_unit_test(gguf_refuses_every_truncation),
        cmocka_unit_test(gguf_takes_trailing_bytes),
        cmocka_unit_test(gguf_names_what_is_no_gguf),
        cmocka_unit_test(gguf_takes_versions_2_and_3_only),
        cmocka_unit_test(gguf_refuses_counts_that_lie),
        cmocka_unit_test(gguf_refuses_wrong_keys),
        cmocka_unit_test(gguf_refuses_wrong_arrays),
        cmocka_unit_test(gguf_bounds_the_header),
        cmocka_unit_test(gguf_checks_the_alignment),
        cmocka_unit_test(gguf_refuses_wrong_tensor_fields),
        cmocka_unit_test(gguf_leaves_unknown_types_to_the_binder),
        cmocka_unit_test(gguf_takes_tensors_in_any_order_and_gaps),
        cmocka_unit_test(gguf_reads_integers_of_any_width),
        cmocka_unit_test(gguf_reads_finite_numbers_and_strings),
        cmocka_unit_test(gguf_walks_string_arrays),
        cmocka_unit_test(gguf_words_are_printable_and_short),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
