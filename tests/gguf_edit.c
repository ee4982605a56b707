/* Takes a valid file apart at its keys and tensor infos and puts it together changed. */
#include "gguf_edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct edit edit_fixture(const struct fixture_options *options)
{
    static struct fixture fixture;
    struct edit edit = {NULL, 0};
    if (!fixture_build(&fixture, options)) {
        fail_msg("%s", fixture.error);
    }
    edit.data = fixture_bytes(&fixture, &edit.bytes);
    assert_non_null(edit.data);
    fixture_free(&fixture);
    return edit;
}

struct edit edit_tiny(void)
{
    struct fixture_options options;
    assert_true(fixture_preset(&options, "tiny"));
    return edit_fixture(&options);
}

static struct edit allocate(uint64_t bytes)
{
    struct edit edit = {malloc(bytes == 0 ? 1 : bytes), bytes};
    assert_non_null(edit.data);
    return edit;
}

struct edit edit_copy(const struct edit *from)
{
    struct edit edit = allocate(from->bytes);
    memcpy(edit.data, from->data, from->bytes);
    return edit;
}

void edit_free(struct edit *edit)
{
    free(edit->data);
    edit->data = NULL;
}

const struct osl_gguf *edit_parsed(const struct edit *from)
{
    static struct osl_gguf gguf;
    struct osl_error error = {OSL_OK, ""};
    if (osl_gguf_parse(&gguf, EDIT_NAME, from->data, from->bytes, &error) != OSL_OK) {
        fail_msg("%s", error.text);
    }
    return &gguf;
}

static uint64_t place(const struct edit *from, const void *pointer)
{
    return (uint64_t)((const uint8_t *)pointer - from->data);
}

uint64_t edit_key_start(const struct edit *from, const char *key)
{
    const struct osl_gguf_key *found = osl_gguf_key_find(edit_parsed(from), key);
    assert_non_null(found);
    return place(from, found->name.data) - 8;
}

uint64_t edit_value_at(const struct edit *from, const char *key)
{
    const struct osl_gguf_key *found = osl_gguf_key_find(edit_parsed(from), key);
    assert_non_null(found);
    return place(from, found->value);
}

uint64_t edit_tensor_start(const struct edit *from, const char *tensor)
{
    const struct osl_gguf_tensor *found = osl_gguf_tensor_find(edit_parsed(from), tensor);
    assert_non_null(found);
    return place(from, found->name.data) - 8;
}

/* The bytes from `cut` to `cut_end` replaced by others, counts changed, data aligned anew. */
static struct edit splice(const struct edit *from, uint64_t cut, uint64_t cut_end,
                          const void *insert, uint64_t insert_bytes, int key_change,
                          int tensor_change)
{
    const struct osl_gguf *gguf = edit_parsed(from);
    const struct osl_gguf_tensor *last = &gguf->tensors[gguf->tensor_count - 1];
    uint64_t infos_end = place(from, last->name.data) + last->name.bytes + 4 + 8 * last->rank + 12;
    uint64_t header = infos_end - (cut_end - cut) + insert_bytes;
    uint64_t mask = gguf->alignment - 1;
    uint64_t start = (header + mask) & ~mask;
    struct edit edit = allocate(start + from->bytes - gguf->data_offset);
    memset(edit.data, 0, edit.bytes);
    memcpy(edit.data, from->data, cut);
    if (insert_bytes > 0) {
        memcpy(edit.data + cut, insert, insert_bytes);
    }
    memcpy(edit.data + cut + insert_bytes, from->data + cut_end, infos_end - cut_end);
    memcpy(edit.data + start, from->data + gguf->data_offset, from->bytes - gguf->data_offset);
    uint64_t tensors = gguf->tensor_count + (uint64_t)tensor_change;
    uint64_t keys = gguf->key_count + (uint64_t)key_change;
    memcpy(edit.data + 8, &tensors, 8);
    memcpy(edit.data + 16, &keys, 8);
    return edit;
}

static uint64_t key_end(const struct edit *from, const struct osl_gguf_key *key)
{
    return place(from, key->value) + key->value_bytes;
}

struct edit edit_without_key(const struct edit *from, const char *key)
{
    const struct osl_gguf_key *found = osl_gguf_key_find(edit_parsed(from), key);
    assert_non_null(found);
    return splice(from, place(from, found->name.data) - 8, key_end(from, found), NULL, 0, -1, 0);
}

struct edit edit_with_key(const struct edit *from, const char *key, uint32_t type,
                          const void *payload, uint64_t payload_bytes)
{
    const struct osl_gguf *gguf = edit_parsed(from);
    const struct osl_gguf_key *found = osl_gguf_key_find(gguf, key);
    uint64_t name_bytes = strlen(key);
    uint64_t bytes = 8 + name_bytes + 4 + payload_bytes;
    struct edit text = allocate(bytes);
    memcpy(text.data, &name_bytes, 8);
    memcpy(text.data + 8, key, name_bytes);
    memcpy(text.data + 8 + name_bytes, &type, 4);
    memcpy(text.data + 12 + name_bytes, payload, payload_bytes);
    uint64_t end = key_end(from, found != NULL ? found : &gguf->keys[gguf->key_count - 1]);
    uint64_t start = found != NULL ? place(from, found->name.data) - 8 : end;
    struct edit edit = splice(from, start, end, text.data, bytes, found == NULL ? 1 : 0, 0);
    edit_free(&text);
    return edit;
}

struct edit edit_with_u32(const struct edit *from, const char *key, uint32_t value)
{
    return edit_with_key(from, key, OSL_GGUF_U32, &value, sizeof value);
}

struct edit edit_with_f32(const struct edit *from, const char *key, float value)
{
    return edit_with_key(from, key, OSL_GGUF_F32, &value, sizeof value);
}

struct edit edit_with_string(const struct edit *from, const char *key, const char *value)
{
    uint8_t payload[256];
    uint64_t bytes = strlen(value);
    assert_true(bytes + 8 <= sizeof payload);
    memcpy(payload, &bytes, 8);
    memcpy(payload + 8, value, bytes);
    return edit_with_key(from, key, OSL_GGUF_STRING, payload, bytes + 8);
}

static uint64_t info_bytes(const struct osl_gguf_tensor *tensor)
{
    return 8 + tensor->name.bytes + 4 + 8 * tensor->rank + 12;
}

struct edit edit_without_tensor(const struct edit *from, const char *tensor)
{
    const struct osl_gguf_tensor *found = osl_gguf_tensor_find(edit_parsed(from), tensor);
    assert_non_null(found);
    uint64_t start = place(from, found->name.data) - 8;
    return splice(from, start, start + info_bytes(found), NULL, 0, 0, -1);
}

struct edit edit_with_tensor(const struct edit *from, const char *tensor,
                             const struct osl_gguf_tensor *says)
{
    const struct osl_gguf *gguf = edit_parsed(from);
    const struct osl_gguf_tensor *found = osl_gguf_tensor_find(gguf, tensor);
    struct edit text = allocate(info_bytes(says));
    uint64_t at = 8 + says->name.bytes;
    memcpy(text.data, &says->name.bytes, 8);
    memcpy(text.data + 8, says->name.data, says->name.bytes);
    memcpy(text.data + at, &says->rank, 4);
    memcpy(text.data + at + 4, says->dims, 8 * says->rank);
    memcpy(text.data + at + 4 + 8 * says->rank, &says->dtype, 4);
    memcpy(text.data + at + 8 + 8 * says->rank, &says->offset, 8);
    const struct osl_gguf_tensor *last = &gguf->tensors[gguf->tensor_count - 1];
    uint64_t end = place(from, last->name.data) - 8 + info_bytes(last);
    uint64_t start = end;
    if (found != NULL) {
        start = place(from, found->name.data) - 8;
        end = start + info_bytes(found);
    }
    struct edit edit = splice(from, start, end, text.data, text.bytes, 0, found == NULL ? 1 : 0);
    edit_free(&text);
    return edit;
}

struct edit edit_patch(const struct edit *from, uint64_t at, const void *data, uint64_t bytes)
{
    struct edit edit = edit_copy(from);
    assert_true(at + bytes <= edit.bytes);
    memcpy(edit.data + at, data, bytes);
    return edit;
}

struct edit edit_patch_u32(const struct edit *from, uint64_t at, uint32_t value)
{
    return edit_patch(from, at, &value, sizeof value);
}

struct edit edit_patch_u64(const struct edit *from, uint64_t at, uint64_t value)
{
    return edit_patch(from, at, &value, sizeof value);
}

void edit_check_error(const struct osl_error *error, enum osl_status status, const char *words)
{
    char all[512];
    char *rest = all;
    size_t bytes = strlen(error->text);
    if (error->status != status || bytes < 20 || bytes > 400 ||
        strncmp(error->text, EDIT_NAME ": ", strlen(EDIT_NAME) + 2) != 0) {
        fail_msg("status %d, expected %d: %s", error->status, status, error->text);
    }
    for (size_t i = 0; i < bytes; i++) {
        assert_in_range((unsigned char)error->text[i], 0x20, 0x7e);
    }
    snprintf(all, sizeof all, "%s", words);
    for (char *word = strtok_r(all, "|", &rest); word != NULL; word = strtok_r(NULL, "|", &rest)) {
        if (strstr(error->text, word) == NULL) {
            fail_msg("'%s' is not in: %s", word, error->text);
        }
    }
}

void edit_refused(struct edit edit, enum osl_status status, const char *words)
{
    static struct osl_gguf gguf;
    struct osl_error error = {OSL_OK, ""};
    if (osl_gguf_parse(&gguf, EDIT_NAME, edit.data, edit.bytes, &error) == OSL_OK) {
        fail_msg("accepted; expected: %s", words);
    }
    edit_free(&edit);
    edit_check_error(&error, status, words);
}

void edit_accepted(struct edit edit)
{
    (void)edit_parsed(&edit);
    edit_free(&edit);
}
