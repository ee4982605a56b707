/* Tokenizer: what it needs, where things lie in the caller's memory, and look-up by id. */
#include "model/tokenizer.h"

#include <inttypes.h>

#include "model/tokenizer_tables.h"

#define KEY_MODEL "tokenizer.ggml.model"
#define KEY_SPLIT "tokenizer.ggml.pre"
#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES "tokenizer.ggml.token_type"
#define KEY_MERGES "tokenizer.ggml.merges"

/* All tokens of a file together; the 20b's take 1.6 MB. */
#define TOKENS_BYTES_MAX (256u << 20)
#define REGION_ALIGNMENT 64
/* Slots for each entry of a table: half full at most, so that probing stays short. */
#define SLOTS_PER_ENTRY 2

/* Counts that decide the layout. */
struct sizes {
    uint64_t token_count;
    uint64_t merge_count;
    uint64_t token_bytes; /* an upper bound: strings as stored in the file */
    uint64_t piece_bytes;
};

static enum osl_status check_word(const struct osl_gguf *gguf, const char *name, const char *want,
                                  struct osl_error *error)
{
    struct osl_slice value;
    enum osl_status status = osl_gguf_string(gguf, name, &value, error);
    if (status == OSL_OK && !osl_slice_equal(value, want)) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%s: %s is \"%s\"; only \"%s\" is known here, use a gpt-oss file",
                        osl_gguf_label(gguf).text, name, osl_gguf_quote(value).text, want);
    }
    return status;
}

static enum osl_status find_array(const struct osl_gguf *gguf, const char *name,
                                  enum osl_gguf_type element, uint64_t count_max,
                                  const struct osl_gguf_key **key_out, struct osl_error *error)
{
    const struct osl_gguf_key *key = osl_gguf_key_find(gguf, name);
    if (key == NULL) {
        return osl_fail(error, OSL_FORMAT,
                        "%s: %s is missing; the file holds no tokenizer, convert it again",
                        osl_gguf_label(gguf).text, name);
    }
    if (key->type != OSL_GGUF_ARRAY || key->element != element) {
        return osl_fail(error, OSL_FORMAT, "%s: %s is no array of %s; convert the file again",
                        osl_gguf_label(gguf).text, name, osl_gguf_type_name(element));
    }
    if (key->count > count_max) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%s: %s has %" PRIu64 " entries, more than the %" PRIu64 " there is room "
                        "for; use a gpt-oss file",
                        osl_gguf_label(gguf).text, name, key->count, count_max);
    }
    *key_out = key;
    return OSL_OK;
}

static enum osl_status measure(const struct osl_gguf *gguf, uint64_t text_bytes_max,
                               struct sizes *out, struct osl_error *error)
{
    const struct osl_gguf_key *tokens = NULL, *types = NULL, *merges = NULL;
    if (text_bytes_max < 1 || text_bytes_max > OSL_TOKENIZER_TEXT_MAX) {
        return osl_fail(error, OSL_ARGUMENT,
                        "tokenizer: text_bytes_max is %" PRIu64 "; give 1 to %u", text_bytes_max,
                        OSL_TOKENIZER_TEXT_MAX);
    }
    enum osl_status status = check_word(gguf, KEY_MODEL, "gpt2", error);
    if (status == OSL_OK) {
        status = check_word(gguf, KEY_SPLIT, "gpt-4o", error);
    }
    if (status == OSL_OK) {
        status = find_array(gguf, KEY_TOKENS, OSL_GGUF_STRING, OSL_VOCAB_MAX, &tokens, error);
    }
    if (status == OSL_OK) {
        status = find_array(gguf, KEY_TYPES, OSL_GGUF_I32, OSL_VOCAB_MAX, &types, error);
    }
    if (status == OSL_OK) {
        status = find_array(gguf, KEY_MERGES, OSL_GGUF_STRING, OSL_MERGES_MAX, &merges, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    if (tokens->count == 0 || types->count != tokens->count) {
        return osl_fail(error, OSL_FORMAT,
                        "%s: %s has %" PRIu64 " entries and %s %" PRIu64 "; both must have the "
                        "same number, at least one: convert the file again",
                        osl_gguf_label(gguf).text, KEY_TOKENS, tokens->count, KEY_TYPES,
                        types->count);
    }
    uint64_t token_bytes = tokens->value_bytes - tokens->count * sizeof(uint64_t);
    if (token_bytes > TOKENS_BYTES_MAX) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%s: %s takes %" PRIu64 " bytes, more than the %u there is room for; use a "
                        "gpt-oss file",
                        osl_gguf_label(gguf).text, KEY_TOKENS, token_bytes, TOKENS_BYTES_MAX);
    }
    *out = (struct sizes){
        .token_count = tokens->count,
        .merge_count = merges->count,
        .token_bytes = token_bytes,
        .piece_bytes = text_bytes_max,
    };
    return OSL_OK;
}

/* Takes bytes from the region that grows from *used, and gives their address: NULL while only
 * measuring (base NULL). */
static void *take(uint8_t *base, uint64_t *used, uint64_t bytes)
{
    uint64_t at = *used;
    *used += (bytes + REGION_ALIGNMENT - 1) / REGION_ALIGNMENT * REGION_ALIGNMENT;
    return base == NULL ? NULL : base + at;
}

/* The one table of regions: gives the sum, and places the pointers in *tokenizer when base is
 * given. The struct itself comes first. */
static uint64_t lay_out(struct osl_tokenizer *t, uint8_t *base, const struct sizes *sizes)
{
    uint64_t used = 0;
    take(base, &used, sizeof *t);
    t->count = (uint32_t)sizes->token_count;
    t->piece_bytes_max = (uint32_t)sizes->piece_bytes;
    t->token_slot_count = sizes->token_count * SLOTS_PER_ENTRY;
    t->pair_slot_count = sizes->merge_count * SLOTS_PER_ENTRY + 1; /* one stays empty */
    t->bytes = take(base, &used, sizes->token_bytes);
    t->starts = take(base, &used, (sizes->token_count + 1) * sizeof *t->starts);
    t->kinds = take(base, &used, sizes->token_count);
    t->merge_ranks = take(base, &used, sizes->token_count * sizeof *t->merge_ranks);
    t->token_slots = take(base, &used, t->token_slot_count * sizeof *t->token_slots);
    t->pair_slots = take(base, &used, t->pair_slot_count * sizeof *t->pair_slots);
    t->symbol_ids = take(base, &used, sizes->piece_bytes * sizeof *t->symbol_ids);
    t->symbol_nexts = take(base, &used, sizes->piece_bytes * sizeof *t->symbol_nexts);
    t->symbol_prevs = take(base, &used, sizes->piece_bytes * sizeof *t->symbol_prevs);
    uint64_t nodes = sizes->piece_bytes;
    for (uint32_t level = 0; level < OSL_TREE_LEVELS_MAX; level++) {
        nodes = (nodes + OSL_TREE_FANOUT - 1) / OSL_TREE_FANOUT;
        t->tree[level] = take(base, &used, nodes * OSL_TREE_FANOUT * sizeof(uint32_t));
    }
    OSL_ASSERT(nodes == 1);
    return used;
}

enum osl_status osl_tokenizer_need(const struct osl_gguf *gguf, uint64_t text_bytes_max,
                                   uint64_t *bytes_out, struct osl_error *error)
{
    struct sizes sizes = { 0 };
    enum osl_status status = measure(gguf, text_bytes_max, &sizes, error);
    if (status == OSL_OK) {
        struct osl_tokenizer measured;
        *bytes_out = lay_out(&measured, NULL, &sizes);
    }
    return status;
}

static int32_t find_control(const struct osl_tokenizer *tokenizer, const char *text)
{
    return osl_tokenizer_find(tokenizer, text, strlen(text), OSL_TOKEN_CONTROL);
}

enum osl_status osl_tokenizer_build(const struct osl_gguf *gguf, uint64_t text_bytes_max,
                                    void *memory, uint64_t bytes, struct osl_tokenizer **out,
                                    struct osl_error *error)
{
    *out = NULL;
    struct sizes sizes = { 0 };
    enum osl_status status = measure(gguf, text_bytes_max, &sizes, error);
    if (status != OSL_OK) {
        return status;
    }
    OSL_ASSERT((uintptr_t)memory % REGION_ALIGNMENT == 0);
    struct osl_tokenizer measured;
    uint64_t need = lay_out(&measured, NULL, &sizes);
    if (bytes < need) {
        return osl_fail(error, OSL_MEMORY,
                        "tokenizer: %" PRIu64 " bytes given, %" PRIu64 " needed; ask "
                        "osl_tokenizer_need with the same text_bytes_max",
                        bytes, need);
    }
    struct osl_tokenizer *t = memory;
    memset(t, 0, sizeof *t);
    lay_out(t, memory, &sizes);
    status = osl_tokenizer_read_tokens(t, gguf, sizes.token_bytes, error);
    if (status == OSL_OK) {
        status = osl_tokenizer_read_merges(t, gguf, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    t->special = (struct osl_special_ids){
        .start = find_control(t, "<|start|>"),
        .end = find_control(t, "<|end|>"),
        .message = find_control(t, "<|message|>"),
        .channel = find_control(t, "<|channel|>"),
        .constrain = find_control(t, "<|constrain|>"),
        .call = find_control(t, "<|call|>"),
        .ret = find_control(t, "<|return|>"),
        .endoftext = find_control(t, "<|endoftext|>"),
    };
    *out = t;
    return OSL_OK;
}

uint32_t osl_tokenizer_count(const struct osl_tokenizer *tokenizer)
{
    return tokenizer->count;
}

uint32_t osl_tokenizer_text_count(const struct osl_tokenizer *tokenizer)
{
    return tokenizer->text_count;
}

const struct osl_special_ids *osl_tokenizer_special(const struct osl_tokenizer *tokenizer)
{
    return &tokenizer->special;
}

struct osl_slice osl_tokenizer_bytes(const struct osl_tokenizer *tokenizer, int32_t id)
{
    if (id < 0 || (uint32_t)id >= tokenizer->count) {
        return (struct osl_slice){ "", 0 };
    }
    uint32_t start = tokenizer->starts[id];
    return (struct osl_slice){ tokenizer->bytes + start, tokenizer->starts[id + 1] - start };
}

bool osl_tokenizer_is_special(const struct osl_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (uint32_t)id < tokenizer->count && tokenizer->kinds[id] != OSL_TOKEN_TEXT;
}

int32_t osl_tokenizer_find(const struct osl_tokenizer *tokenizer, const char *bytes,
                           uint64_t length, enum osl_token_kind kind)
{
    uint64_t hash = osl_token_hash(bytes, length, kind);
    uint64_t slot = osl_token_slot(hash, tokenizer->token_slot_count);
    for (;;) {
        uint64_t word = tokenizer->token_slots[slot];
        if (word == OSL_SLOT_EMPTY) {
            return -1;
        }
        if (word >> OSL_TOKEN_ID_BITS == hash >> OSL_TOKEN_ID_BITS) {
            int32_t id = (int32_t)(word & OSL_TOKEN_NONE);
            struct osl_slice found = osl_tokenizer_bytes(tokenizer, id);
            if (found.bytes == length && tokenizer->kinds[id] == kind &&
                memcmp(found.data, bytes, length) == 0) {
                return id;
            }
        }
        slot = slot + 1 == tokenizer->token_slot_count ? 0 : slot + 1;
    }
}
