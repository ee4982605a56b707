/* Conversations on disk: tokens and cache, whole or not at all, checksummed.
 *
 * Little-endian: header, tool names, tokens, a bit for every token read (set: by a decode step),
 * then for each layer K and V of each kv head: the rows of every position read (windowed layers:
 * the last `window` of them), then SHA-256 of it all. */
#include "engine.h"

#include <inttypes.h>
#include <string.h>

#define SAVE_MAGIC "OSLSAVE"
#define SAVE_VERSION 2u
#define DIGEST_BYTES 32u

struct save_header {
    char magic[8];
    uint32_t version;
    uint32_t kv_type;
    uint8_t model[DIGEST_BYTES];
    uint32_t count;
    uint32_t read;
    uint32_t opened;
    uint32_t tool_count;
    struct osl_turn turn;
};

/* What the cache depends on: shapes, names and types of all weights, and the last norm's values
 * to tell fine-tunes apart. */
static void model_digest(const ossicle *engine, uint8_t digest[DIGEST_BYTES])
{
    struct osl_sha256 hash;
    osl_sha256_begin(&hash);
    for (uint32_t t = 0; t < engine->gguf.tensor_count; t++) {
        const struct osl_gguf_tensor *tensor = &engine->gguf.tensors[t];
        osl_sha256_add(&hash, tensor->name.data, tensor->name.bytes);
        osl_sha256_add(&hash, &tensor->dtype, sizeof tensor->dtype);
        osl_sha256_add(&hash, tensor->dims, sizeof tensor->dims);
    }
    const struct osl_weight *norm = &engine->weights.output_norm;
    osl_sha256_add(&hash, norm->data, norm->row_bytes);
    osl_sha256_end(&hash, digest);
}

/* A run of cache rows that lie one behind the other and fit the stage. */
struct row_run {
    uint32_t layer, half, slot, rows;
    uint64_t bytes;
};

/* Walks the cache of [0, read) in file order; false at the end. The backend's rows pass through
 * the session's text stage, which nothing else uses meanwhile. */
struct row_walk {
    const ossicle *engine;
    uint32_t read;
    uint32_t layer;
    uint32_t half; /* as in compute/backend.h */
    uint32_t position;
    bool started;
};

static bool next_run(struct row_walk *walk, struct row_run *run)
{
    const struct osl_shape *shape = &walk->engine->hparams.shape;
    uint64_t row = osl_kv_row_bytes(walk->engine->plan.kv_type, shape->head_dim);
    uint64_t rows_most = walk->engine->session.stage_bytes / row;
    OSL_ASSERT(rows_most > 0);
    while (walk->layer < shape->layers) {
        const struct osl_kv_layer *kv = &walk->engine->schedule.kv[walk->layer];
        uint32_t first = kv->window != 0 && walk->read > kv->window ? walk->read - kv->window : 0;
        if (!walk->started) {
            walk->position = first;
            walk->started = true;
        }
        if (walk->position < walk->read) {
            uint32_t slot = walk->position % kv->capacity;
            uint32_t rows = walk->read - walk->position;
            rows = rows < kv->capacity - slot ? rows : kv->capacity - slot;
            rows = rows < rows_most ? rows : (uint32_t)rows_most;
            *run = (struct row_run){walk->layer, walk->half, slot, rows, rows * row};
            walk->position += rows;
            return true;
        }
        walk->started = false;
        if (++walk->half == 2 * shape->kv_heads) {
            walk->half = 0;
            walk->layer++;
        }
    }
    return false;
}

static uint64_t kinds_bytes(uint32_t read)
{
    return ((uint64_t)read + 7) / 8;
}

static enum osl_status put(struct osl_writer *writer, struct osl_sha256 *hash, const void *data,
                           uint64_t bytes, struct osl_error *error)
{
    osl_sha256_add(hash, data, bytes);
    return osl_writer_append(writer, data, bytes, error);
}

static enum osl_status write_all(ossicle *engine, struct osl_writer *writer)
{
    const struct osl_session *session = &engine->session;
    struct osl_error *error = &engine->error;
    struct save_header header;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, SAVE_MAGIC, sizeof SAVE_MAGIC);
    header.version = SAVE_VERSION;
    header.kv_type = engine->plan.kv_type;
    header.count = session->count;
    header.read = session->read;
    header.opened = session->opened;
    header.tool_count = session->tools.count;
    header.turn = session->turn;
    model_digest(engine, header.model);
    struct osl_sha256 hash;
    osl_sha256_begin(&hash);
    enum osl_status status;
    if ((status = put(writer, &hash, &header, sizeof header, error)) ||
        (status = put(writer, &hash, session->tools.name,
                      (uint64_t)session->tools.count * OSL_TOOL_NAME_BYTES, error)) ||
        (status = put(writer, &hash, session->tokens, session->count * sizeof(int32_t), error)) ||
        (status = put(writer, &hash, session->by_decode, kinds_bytes(session->read), error))) {
        return status;
    }
    struct row_walk walk = {.engine = engine, .read = session->read};
    struct row_run run;
    while (next_run(&walk, &run)) {
        status = osl_backend_cache_read(engine->backend, run.layer, run.half, run.slot, run.rows,
                                        session->stage);
        if (status != OSL_OK) {
            return status;
        }
        if ((status = put(writer, &hash, session->stage, run.bytes, error)) != OSL_OK) {
            return status;
        }
    }
    uint8_t digest[DIGEST_BYTES];
    osl_sha256_end(&hash, digest);
    return osl_writer_append(writer, digest, sizeof digest, error);
}

enum ossicle_status ossicle_save(ossicle *engine, const char *path)
{
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_STATE,
                                             "an answer is being written: save after it");
    }
    enum osl_status status = osl_recover_now(engine);
    bool again = status == OSL_OK;
    while (again) { /* ends: recovering gives up after a few losses in a row */
        again = false;
        struct osl_writer writer;
        status = osl_writer_open(&writer, path, &engine->error);
        if (status != OSL_OK) {
            return (enum ossicle_status)status;
        }
        status = write_all(engine, &writer);
        if (status == OSL_OK) {
            return (enum ossicle_status)osl_writer_commit(&writer, &engine->error);
        }
        osl_writer_abort(&writer);
        if (status == OSL_DEVICE) {
            osl_recover_lost(engine);
            status = osl_recover_now(engine);
            again = status == OSL_OK;
        }
    }
    return (enum ossicle_status)status;
}

/* ---- Loading ----------------------------------------------------------------------------- */

static uint64_t cache_bytes(const ossicle *engine, uint32_t read)
{
    uint64_t total = 0;
    struct row_walk walk = {.engine = engine, .read = read};
    struct row_run run;
    while (next_run(&walk, &run)) {
        total += run.bytes;
    }
    return total;
}

static enum osl_status check_turn(const struct save_header *header)
{
    const struct osl_turn *turn = &header->turn;
    bool good = turn->span_count <= OSL_SPANS_MAX && turn->first <= header->count;
    uint32_t at = turn->first;
    for (uint32_t s = 0; good && s < turn->span_count; s++) {
        good = turn->spans[s].first >= at && turn->spans[s].end >= turn->spans[s].first &&
               turn->spans[s].end <= header->count;
        at = turn->spans[s].end;
    }
    return good ? OSL_OK : OSL_FORMAT;
}

static enum osl_status check_header(ossicle *engine, const struct osl_file *file,
                                    const struct save_header *header)
{
    struct osl_error *error = &engine->error;
    uint8_t digest[DIGEST_BYTES];
    model_digest(engine, digest);
    if (memcmp(header->magic, SAVE_MAGIC, sizeof SAVE_MAGIC) != 0) {
        return osl_fail(error, OSL_FORMAT, "%s is not a saved conversation", file->path);
    }
    if (header->version != SAVE_VERSION) {
        return osl_fail(error, OSL_UNSUPPORTED, "%s: version %u, this program reads version %u",
                        file->path, header->version, SAVE_VERSION);
    }
    if (memcmp(header->model, digest, sizeof digest) != 0) {
        return osl_fail(error, OSL_UNSUPPORTED, "%s was saved with another model than %s",
                        file->path, engine->hparams.name);
    }
    if (header->kv_type != (uint32_t)engine->plan.kv_type) {
        return osl_fail(error, OSL_UNSUPPORTED,
                        "%s was saved with the other cache type: use --kv %s", file->path,
                        header->kv_type == OSL_KV_Q8 ? "q8" : "f16");
    }
    if (header->read > header->count || header->tool_count > OSL_TOOLS_MAX ||
        check_turn(header) != OSL_OK) {
        return osl_fail(error, OSL_FORMAT, "%s: the header contradicts itself", file->path);
    }
    if (header->count > engine->plan.context_tokens) {
        return osl_fail(error, OSL_CAPACITY,
                        "%s holds %u tokens, this context %u: use --context %u", file->path,
                        header->count, engine->plan.context_tokens, header->count);
    }
    uint64_t expected = sizeof *header + (uint64_t)header->tool_count * OSL_TOOL_NAME_BYTES +
                        header->count * sizeof(int32_t) + kinds_bytes(header->read) +
                        cache_bytes(engine, header->read) + DIGEST_BYTES;
    if (file->bytes != expected) {
        return osl_fail(error, OSL_FORMAT,
                        "%s is %" PRIu64 " bytes where its header says %" PRIu64
                        ": it was cut short or damaged",
                        file->path, file->bytes, expected);
    }
    return OSL_OK;
}

/* Reads the whole file once through the text stage, so that damage is found before any change. */
static enum osl_status check_digest(ossicle *engine, const struct osl_file *file)
{
    struct osl_sha256 hash;
    uint8_t stored[DIGEST_BYTES], digest[DIGEST_BYTES];
    uint64_t body = file->bytes - DIGEST_BYTES;
    osl_sha256_begin(&hash);
    for (uint64_t at = 0; at < body;) {
        uint64_t bytes = body - at;
        bytes = bytes < engine->session.stage_bytes ? bytes : engine->session.stage_bytes;
        enum osl_status status =
            osl_file_read(file, at, engine->session.stage, bytes, &engine->error);
        if (status != OSL_OK) {
            return status;
        }
        osl_sha256_add(&hash, engine->session.stage, bytes);
        at += bytes;
    }
    osl_sha256_end(&hash, digest);
    enum osl_status status = osl_file_read(file, body, stored, sizeof stored, &engine->error);
    if (status == OSL_OK && memcmp(stored, digest, sizeof digest) != 0) {
        status = osl_fail(&engine->error, OSL_FORMAT, "%s is damaged: its checksum does not match",
                          file->path);
    }
    return status;
}

static enum osl_status take(const struct osl_file *file, uint64_t *at, void *out, uint64_t bytes,
                            struct osl_error *error)
{
    enum osl_status status = osl_file_read(file, *at, out, bytes, error);
    *at += bytes;
    return status;
}

static enum osl_status read_all(ossicle *engine, const struct osl_file *file,
                                const struct save_header *header)
{
    struct osl_session *session = &engine->session;
    uint64_t at = sizeof *header;
    enum osl_status status;
    if ((status = take(file, &at, session->tools.name,
                       (uint64_t)header->tool_count * OSL_TOOL_NAME_BYTES, &engine->error)) ||
        (status =
             take(file, &at, session->tokens, header->count * sizeof(int32_t), &engine->error)) ||
        (status =
             take(file, &at, session->by_decode, kinds_bytes(header->read), &engine->error))) {
        return status;
    }
    bool lost = engine->lost;
    struct row_walk walk = {.engine = engine, .read = header->read};
    struct row_run run;
    while (!lost && next_run(&walk, &run)) {
        if ((status = take(file, &at, session->stage, run.bytes, &engine->error)) != OSL_OK) {
            return status;
        }
        lost = osl_backend_cache_write(engine->backend, run.layer, run.half, run.slot, run.rows,
                                       session->stage) != OSL_OK;
    }
    for (uint32_t t = 0; t < header->count; t++) {
        if (session->tokens[t] < 0 || (uint32_t)session->tokens[t] >= engine->hparams.shape.vocab) {
            return osl_fail(&engine->error, OSL_FORMAT, "%s: token %u is %d, out of range",
                            file->path, t, session->tokens[t]);
        }
    }
    for (uint32_t t = 0; t < header->tool_count; t++) {
        session->tools.name[t][OSL_TOOL_NAME_BYTES - 1] = '\0';
    }
    session->count = header->count;
    session->read = session->known = session->written = header->read;
    if (lost) { /* the cache is made from the tokens then */
        osl_recover_lost(engine);
    }
    session->opened = header->opened != 0;
    session->tools.count = header->tool_count;
    session->turn = header->turn;
    return OSL_OK;
}

enum ossicle_status ossicle_load(ossicle *engine, const char *path)
{
    if (engine->answer.phase != OSL_PHASE_IDLE) {
        return (enum ossicle_status)osl_fail(&engine->error, OSL_STATE,
                                             "an answer is being written: load after it");
    }
    struct osl_file file;
    enum osl_status status = osl_file_open(&file, path, &engine->error);
    if (status != OSL_OK) {
        return (enum ossicle_status)status;
    }
    struct save_header header;
    if (file.bytes < sizeof header + DIGEST_BYTES) {
        status =
            osl_fail(&engine->error, OSL_FORMAT, "%s is too short for a saved conversation", path);
    } else if ((status = osl_file_read(&file, 0, &header, sizeof header, &engine->error)) ==
                   OSL_OK &&
               (status = check_header(engine, &file, &header)) == OSL_OK &&
               (status = check_digest(engine, &file)) == OSL_OK) {
        osl_session_reset(engine);
        if ((status = read_all(engine, &file, &header)) != OSL_OK) {
            osl_session_reset(engine);
        }
    }
    osl_file_close(&file);
    return (enum ossicle_status)status;
}
