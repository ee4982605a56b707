/* ossicle score: log-probabilities of given tokens or text. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "engine.h"
#include "json.h"
#include "out.h"
#include "term.h"

#define IDS_BYTES_MAX (64u << 20)
#define TEXT_BYTES_MAX (16u << 20)
#define ID_MAX 2147483647.0
#define PIECE_BYTES 1024

/* All prompts' ids one after the other, and where each begins. */
struct prompts {
    int32_t *ids;
    uint32_t *counts;
    uint32_t count;
    uint32_t longest;
    uint64_t ids_bytes, counts_bytes;
};

static void prompts_free(struct prompts *prompts)
{
    osl_pages_free(prompts->ids, prompts->ids_bytes);
    osl_pages_free(prompts->counts, prompts->counts_bytes);
}

/* The tree must be an array of arrays of ids, none of them empty. */
static enum ossicle_status flatten(const char *path, const cJSON *tree, struct prompts *prompts,
                                   struct ossicle_error *error)
{
    const cJSON *prompt = NULL;
    size_t total = 0;
    if (!cJSON_IsArray(tree)) {
        return osl_fault(error, OSSICLE_FORMAT, "%s: must be an array of arrays of token ids",
                         path);
    }
    cJSON_ArrayForEach(prompt, tree)
    {
        const cJSON *item = NULL;
        uint32_t count = 0;
        cJSON_ArrayForEach(item, prompt)
        {
            double id;
            if (!cJSON_IsArray(prompt) || !osl_host_json_whole(item, 0, ID_MAX, &id)) {
                return osl_fault(error, OSSICLE_FORMAT, "%s: prompt %u, entry %u is no token id",
                                 path, prompts->count, count);
            }
            prompts->ids[total++] = (int32_t)id;
            count++;
        }
        if (count == 0) {
            return osl_fault(error, OSSICLE_FORMAT, "%s: prompt %u is no array of token ids", path,
                             prompts->count);
        }
        prompts->counts[prompts->count++] = count;
        prompts->longest = count > prompts->longest ? count : prompts->longest;
    }
    return OSSICLE_OK;
}

static enum ossicle_status read_prompts(const char *path, struct prompts *prompts,
                                        struct ossicle_error *error)
{
    struct osl_text text = {0};
    struct osl_host_json_arena arena = {0};
    cJSON *tree = NULL;
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    enum ossicle_status status = osl_text_read(path, IDS_BYTES_MAX, &text, error);
    if (status != OSSICLE_OK) {
        return status;
    }
    /* Two bytes of text make at most one id or one prompt. */
    prompts->ids_bytes = (text.count / 2 + 2) * sizeof(int32_t);
    prompts->counts_bytes = prompts->ids_bytes;
    prompts->ids = osl_pages(prompts->ids_bytes);
    prompts->counts = osl_pages(prompts->counts_bytes);
    arena.bytes = (size_t)osl_host_json_arena_need(text.count);
    arena.base = osl_pages(arena.bytes);
    if (prompts->ids == NULL || prompts->counts == NULL || arena.base == NULL) {
        status = osl_fault(error, OSSICLE_MEMORY, "no memory for the ids in %s", name);
    } else {
        status = osl_host_json_parse(name, text.bytes, text.count, &arena, &tree, error);
    }
    if (status == OSSICLE_OK) {
        status = flatten(name, tree, prompts, error);
    }
    osl_pages_free(arena.base, arena.bytes);
    osl_text_free(&text);
    return status;
}

static void print_top(const struct ossicle_candidate *top, uint32_t count, bool json)
{
    for (uint32_t i = 0; i < count; i++) {
        osl_out_format(json ? "%s[%d, %.7g]" : "%s%d %.6f",
                       i == 0 ? ""
                       : json ? ", "
                              : "  ",
                       top[i].token, (double)top[i].logprob);
    }
}

static enum ossicle_status score_prompts(const struct osl_host_engine *engine,
                                         const struct osl_args *args, const struct prompts *prompts)
{
    uint64_t bytes = (uint64_t)args->top * sizeof(struct ossicle_candidate);
    struct ossicle_candidate *top = osl_pages(bytes);
    const int32_t *ids = prompts->ids;
    enum ossicle_status status = OSSICLE_OK;
    struct ossicle_stats stats;
    ossicle_stats(engine->engine, &stats);
    uint32_t count = args->top < stats.vocab_tokens ? args->top : stats.vocab_tokens;
    if (top == NULL) {
        osl_complain("no memory for %u candidates", args->top);
        return OSSICLE_MEMORY;
    }
    osl_out_text(args->json ? "{\"prompts\": [" : "");
    for (uint32_t i = 0; i < prompts->count; i++) {
        status = ossicle_score(engine->engine, ids, prompts->counts[i], top, count, NULL);
        if (status != OSSICLE_OK) {
            status = osl_host_engine_complain(engine, status);
            break;
        }
        osl_out_text(!args->json ? "" : i > 0 ? ", {\"top\": [" : "{\"top\": [");
        print_top(top, count, args->json);
        osl_out_text(args->json ? "]}" : "\n");
        ids += prompts->counts[i];
    }
    osl_out_text(args->json ? "]}\n" : "");
    osl_pages_free(top, bytes);
    return status;
}

static enum ossicle_status score_ids(const struct osl_args *args)
{
    static struct osl_host_engine engine;
    struct prompts prompts = {0};
    struct ossicle_error error = {0};
    enum ossicle_status status = osl_host_engine_configure(args, &engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    status = read_prompts(args->ids_path, &prompts, &error);
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
        prompts_free(&prompts);
        return status;
    }
    if (args->context == 0) {
        engine.config.context_tokens = prompts.longest > 16 ? prompts.longest : 16;
        engine.context_by_board = false;
    }
    if (!osl_option_given(args, "--weights")) {
        engine.config.weights = OSSICLE_WEIGHTS_MAPPED; /* a short visit: start at once */
    }
    engine.config.marks = 1;
    status = osl_host_engine_start(&engine);
    if (status == OSSICLE_OK) {
        status = score_prompts(&engine, args, &prompts);
        osl_host_engine_stop(&engine);
    }
    prompts_free(&prompts);
    return status;
}

static void print_piece(const struct osl_host_engine *engine, int32_t id)
{
    char piece[PIECE_BYTES];
    size_t bytes = 0;
    if (ossicle_detokenize(engine->engine, &id, 1, piece, sizeof piece, &bytes) != OSSICLE_OK ||
        bytes > sizeof piece) {
        bytes = 0;
    }
    osl_out_json(piece, bytes);
}

/* Per-token log-probabilities; perplexity is exp of minus their mean, the first token left out. */
static void print_text_scores(const struct osl_host_engine *engine, const struct osl_args *args,
                              const int32_t *ids, const float *logprobs, size_t count)
{
    double sum = 0.0;
    osl_out_text(args->json ? "{\"tokens\": [" : "");
    for (size_t i = 0; i < count; i++) {
        sum += i > 0 ? (double)logprobs[i] : 0.0;
        if (args->json) {
            osl_out_format("%s{\"id\": %d, \"text\": ", i > 0 ? ", " : "", ids[i]);
            print_piece(engine, ids[i]);
            osl_out_text(", \"logprob\": ");
            if (i == 0) {
                osl_out_text("null}");
            } else {
                osl_out_format("%.7g}", (double)logprobs[i]);
            }
        } else {
            osl_out_format("%8d  ", ids[i]);
            osl_out_format(i > 0 ? "%10.5f  " : "         -  ", (double)logprobs[i]);
            print_piece(engine, ids[i]);
            osl_out_text("\n");
        }
    }
    size_t scored = count > 1 ? count - 1 : 0;
    double perplexity = scored > 0 ? exp(-sum / (double)scored) : 0.0;
    if (args->json) {
        osl_out_format("], \"scored_tokens\": %zu, \"logprob\": %.9g, \"perplexity\": ", scored,
                       sum);
        osl_out_format(scored > 0 && isfinite(perplexity) ? "%.9g}\n" : "null}\n", perplexity);
    } else {
        osl_out_format("%zu tokens scored, log-probability %.6f, perplexity %.6f\n", scored, sum,
                       perplexity);
    }
}

static enum ossicle_status score_ids_of_text(const struct osl_args *args, const int32_t *ids,
                                             size_t count)
{
    static struct osl_host_engine engine;
    struct ossicle_candidate top;
    uint64_t bytes = count * sizeof(float);
    enum ossicle_status status = osl_host_engine_configure(args, &engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    engine.config.score_all = true;
    engine.config.marks = 1;
    if (args->context == 0) {
        engine.config.context_tokens = count > 16 ? (uint32_t)count : 16;
        engine.context_by_board = false;
    }
    if (!osl_option_given(args, "--weights")) {
        engine.config.weights = OSSICLE_WEIGHTS_MAPPED;
    }
    float *logprobs = osl_pages(bytes);
    if (logprobs == NULL) {
        osl_complain("no memory for %zu log-probabilities", count);
        return OSSICLE_MEMORY;
    }
    status = osl_host_engine_start(&engine);
    if (status == OSSICLE_OK) {
        status = ossicle_score(engine.engine, ids, count, &top, 1, logprobs);
        osl_progress_end();
        if (status != OSSICLE_OK) {
            status = osl_host_engine_complain(&engine, status);
        } else {
            print_text_scores(&engine, args, ids, logprobs, count);
        }
        osl_host_engine_stop(&engine);
    }
    osl_pages_free(logprobs, bytes);
    return status;
}

/* --text: a file if there is one of that name, else the text itself. */
static enum ossicle_status read_text(const char *given, struct osl_text *text,
                                     struct ossicle_error *error)
{
    if (strcmp(given, "-") == 0 || access(given, F_OK) == 0) {
        return osl_text_read(given, TEXT_BYTES_MAX, text, error);
    }
    text->count = strlen(given);
    text->reserved = text->count + 1;
    text->bytes = osl_pages(text->reserved);
    if (text->bytes == NULL) {
        return osl_fault(error, OSSICLE_MEMORY, "no memory for the text");
    }
    memcpy(text->bytes, given, text->count);
    return OSSICLE_OK;
}

/* Makes ids [text->count + 1] of the text; how many in *count_out. */
static enum ossicle_status tokenize_text(const struct osl_args *args, const struct osl_text *text,
                                         int32_t *ids, size_t *count_out)
{
    static struct osl_host_engine tokenizer;
    enum ossicle_status status = osl_host_engine_start_tokenizer(args, text->count, &tokenizer);
    if (status != OSSICLE_OK) {
        return status;
    }
    status = ossicle_tokenize(tokenizer.engine, text->bytes, text->count, args->specials, ids,
                              text->count + 1, count_out);
    if (status != OSSICLE_OK) {
        osl_host_engine_complain(&tokenizer, status);
    } else if (*count_out == 0) {
        osl_complain("--text: the text is empty");
        status = OSSICLE_ARGUMENT;
    }
    osl_host_engine_stop(&tokenizer);
    return status;
}

/* The ids decide how large the context must be, so a small engine makes them first. */
static enum ossicle_status score_text(const struct osl_args *args)
{
    struct ossicle_error error = {0};
    struct osl_text text = {0};
    size_t count = 0;
    enum ossicle_status status = read_text(args->text, &text, &error);
    uint64_t ids_bytes = (uint64_t)(text.count + 1) * sizeof(int32_t);
    int32_t *ids = osl_pages(ids_bytes);
    if (status == OSSICLE_OK && ids == NULL) {
        status = osl_fault(&error, OSSICLE_MEMORY, "no memory for the ids");
    }
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
    } else {
        status = tokenize_text(args, &text, ids, &count);
    }
    osl_text_free(&text);
    if (status == OSSICLE_OK) {
        status = score_ids_of_text(args, ids, count);
    }
    osl_pages_free(ids, ids_bytes);
    return status;
}

static enum ossicle_status run(const struct osl_args *args)
{
    if ((args->ids_path == NULL) == (args->text == NULL)) {
        osl_complain("either --ids FILE or --text TEXT (see `ossicle score --help`)");
        return OSSICLE_ARGUMENT;
    }
    enum ossicle_status status = args->ids_path != NULL ? score_ids(args) : score_text(args);
    if (status != OSSICLE_OK) {
        osl_out_discard();
    }
    return status;
}

const struct osl_command osl_cmd_score = {
    .name = "score",
    .bit = OSL_CMD_SCORE,
    .usage = "score [-m FILE] (--ids FILE.json [--top K] | --text TEXT) [--json]",
    .summary = "log-probabilities of token ids or of a text",
    .help =
        "--ids: a JSON array of arrays of token ids; for each, the K best tokens after the whole "
        "of\n"
        "it, as {\"prompts\": [{\"top\": [[id, logprob], ...]}]} with --json, else a line each.\n"
        "--text: the natural logarithm of each token's probability given those before it, and the\n"
        "perplexity. The context is as long as needed unless --context says; no Harmony is "
        "added.\n",
    .run = run,
};
