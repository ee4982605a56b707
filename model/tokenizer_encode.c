/* Text to ids: the split, then byte-pair merging of each piece.
 *
 * A piece is a chain of symbols, at first one for each byte. Merging joins the neighbours whose
 * pair has the lowest rank, the leftmost first, until no pair has one. Ranks sit in the leaves of
 * a tree whose nodes hold the least of 16 below, so that one merge costs a few dozen compares and
 * a piece of n bytes O(n log n); pieces of up to 16 bytes, which is nearly all, have one node. */
#include <inttypes.h>

#include "model/split.h"
#include "model/tokenizer_tables.h"

#define FANOUT OSL_TREE_FANOUT

/* Where ids go; those beyond capacity are only counted. */
struct id_sink {
    int32_t *ids;
    uint64_t capacity;
    uint64_t count;
};

static void put_id(struct id_sink *sink, int32_t id)
{
    if (sink->count < sink->capacity) {
        sink->ids[sink->count] = id;
    }
    sink->count++;
}

/* ---- The tree over ranks ------------------------------------------------------------------ */

static int32_t least_of_node(const int32_t *node)
{
    int32_t least = node[0];
    for (uint32_t i = 1; i < FANOUT; i++) {
        least = node[i] < least ? node[i] : least;
    }
    return least;
}

/* Fills the levels above the leaves [count] and pads every level to whole nodes. Returns the level
 * that has one node. */
static uint32_t tree_build(struct osl_tokenizer *t, uint32_t count)
{
    for (uint32_t level = 0;; level++) {
        int32_t *entries = t->tree[level];
        uint32_t nodes = (count + FANOUT - 1) / FANOUT;
        for (uint32_t i = count; i < nodes * FANOUT; i++) {
            entries[i] = OSL_RANK_NONE;
        }
        if (nodes == 1) {
            return level;
        }
        OSL_ASSERT_HOT(level + 1 < OSL_TREE_LEVELS_MAX);
        for (uint32_t i = 0; i < nodes; i++) {
            t->tree[level + 1][i] = least_of_node(entries + (uint64_t)i * FANOUT);
        }
        count = nodes;
    }
}

static void tree_set(struct osl_tokenizer *t, uint32_t top, uint32_t index, int32_t rank)
{
    t->tree[0][index] = rank;
    for (uint32_t level = 0; level < top; level++) {
        index /= FANOUT;
        int32_t least = least_of_node(t->tree[level] + (uint64_t)index * FANOUT);
        if (t->tree[level + 1][index] == least) {
            return;
        }
        t->tree[level + 1][index] = least;
    }
}

/* The leftmost leaf of the lowest rank; false if all are OSL_RANK_NONE. */
static bool tree_least(const struct osl_tokenizer *t, uint32_t top, uint32_t *index_out)
{
    int32_t least = least_of_node(t->tree[top]);
    if (least == OSL_RANK_NONE) {
        return false;
    }
    uint32_t index = 0;
    for (uint32_t level = top + 1; level-- > 0;) {
        index *= FANOUT;
        while (t->tree[level][index] != least) {
            index++;
        }
    }
    *index_out = index;
    return true;
}

/* ---- Merging ------------------------------------------------------------------------------ */

static int32_t pair_rank(const struct osl_tokenizer *t, uint32_t left, uint32_t right)
{
    uint32_t made = osl_tokenizer_join(t, left, right);
    return made == OSL_TOKEN_NONE ? OSL_RANK_NONE : t->merge_ranks[made];
}

/* Joins the symbol at `at` with the next one, and ranks the two pairs it is then in. */
static void join_at(struct osl_tokenizer *t, uint32_t top, uint32_t at, uint32_t count)
{
    uint32_t gone = t->symbol_nexts[at];
    uint32_t next = t->symbol_nexts[gone];
    uint32_t made = osl_tokenizer_join(t, t->symbol_ids[at], t->symbol_ids[gone]);
    OSL_ASSERT_HOT(made != OSL_TOKEN_NONE);
    t->symbol_ids[at] = made;
    t->symbol_nexts[at] = next;
    tree_set(t, top, gone, OSL_RANK_NONE);
    int32_t rank = OSL_RANK_NONE;
    if (next < count) {
        t->symbol_prevs[next] = at;
        rank = pair_rank(t, made, t->symbol_ids[next]);
    }
    tree_set(t, top, at, rank);
    if (at > 0) {
        uint32_t prev = t->symbol_prevs[at];
        tree_set(t, top, prev, pair_rank(t, t->symbol_ids[prev], made));
    }
}

static void merge_piece(struct osl_tokenizer *t, const uint8_t *piece, uint32_t count,
                        struct id_sink *sink)
{
    OSL_ASSERT(count >= 1 && count <= t->piece_bytes_max);
    for (uint32_t i = 0; i < count; i++) {
        t->symbol_ids[i] = (uint32_t)t->byte_ids[piece[i]];
        t->symbol_nexts[i] = i + 1;
        t->symbol_prevs[i] = i - 1; /* of the first: never used */
    }
    for (uint32_t i = 0; i + 1 < count; i++) {
        t->tree[0][i] = pair_rank(t, t->symbol_ids[i], t->symbol_ids[i + 1]);
    }
    t->tree[0][count - 1] = OSL_RANK_NONE;
    uint32_t top = tree_build(t, count);
    uint32_t at;
    while (tree_least(t, top, &at)) {
        join_at(t, top, at, count);
    }
    for (uint32_t i = 0; i < count; i = t->symbol_nexts[i]) {
        put_id(sink, (int32_t)t->symbol_ids[i]);
    }
}

/* Ordinary text: [start, end) of data is one text to the split. */
static enum osl_status encode_run(struct osl_tokenizer *t, const uint8_t *data, uint64_t start,
                                  uint64_t end, struct id_sink *sink, struct osl_error *error)
{
    uint64_t at = start;
    while (at < end) {
        uint64_t next = start + osl_split_next(data + start, end - start, at - start);
        uint64_t length = next - at;
        int32_t id = -1;
        if (length <= t->token_bytes_longest) {
            id = osl_tokenizer_find(t, (const char *)data + at, length, OSL_TOKEN_TEXT);
        }
        if (id >= 0) {
            put_id(sink, id);
        } else if (length <= t->piece_bytes_max) {
            merge_piece(t, data + at, (uint32_t)length, sink);
        } else {
            return osl_fail(error, OSL_CAPACITY,
                            "text: %" PRIu64 " bytes from byte %" PRIu64 " on are one piece "
                            "without a break, more than the %" PRIu32 " there is room for; "
                            "put white space into it",
                            length, at, t->piece_bytes_max);
        }
        at = next;
    }
    return OSL_OK;
}

/* ---- Special tokens ----------------------------------------------------------------------- */

/* The longest control token at text[0], -1 if there is none. */
static int32_t control_at(const struct osl_tokenizer *t, const char *text, uint64_t bytes)
{
    uint64_t length = bytes < t->control_bytes_longest ? bytes : t->control_bytes_longest;
    for (; length > 0; length--) {
        if (t->control_lengths[length]) {
            int32_t id = osl_tokenizer_find(t, text, length, OSL_TOKEN_CONTROL);
            if (id >= 0) {
                return id;
            }
        }
    }
    return -1;
}

enum osl_status osl_tokenizer_encode(struct osl_tokenizer *tokenizer, const char *text,
                                     uint64_t bytes, bool with_specials, int32_t *ids,
                                     uint64_t capacity, uint64_t *count_out,
                                     struct osl_error *error)
{
    struct id_sink sink = { ids, capacity, 0 };
    const uint8_t *data = (const uint8_t *)text;
    uint64_t run_start = 0;
    for (uint64_t at = 0; with_specials && at < bytes;) {
        int32_t id = -1;
        if (tokenizer->control_first_bytes[data[at]]) {
            id = control_at(tokenizer, text + at, bytes - at);
        }
        if (id < 0) {
            at++;
            continue;
        }
        enum osl_status status = encode_run(tokenizer, data, run_start, at, &sink, error);
        if (status != OSL_OK) {
            return status;
        }
        put_id(&sink, id);
        at += osl_tokenizer_bytes(tokenizer, id).bytes;
        run_start = at;
    }
    enum osl_status status = encode_run(tokenizer, data, run_start, bytes, &sink, error);
    if (status == OSL_OK) {
        *count_out = sink.count;
    }
    return status;
}
