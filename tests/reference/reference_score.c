/* reference_score --model FILE --ids FILE.json [--top K] [--rounded]
 * The same question as `ossicle score`, the same form of answer:
 * [[id, ...], ...] in, {"prompts": [{"top": [[id, logprob], ...]}, ...]} out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

#define IDS_MAX 1048576
#define TOP_MAX 1000

static char *read_all(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        reference_die("cannot open", path);
    }
    size_t used = 0, room = 1 << 16;
    char *text = reference_alloc(room, 1);
    size_t got;
    while ((got = fread(text + used, 1, room - used, file)) > 0) {
        used += got;
        if (used == room) {
            room *= 2;
            text = realloc(text, room + 1);
            if (text == NULL) {
                reference_die("out of memory", path);
            }
        }
    }
    text[used] = '\0';
    if (file != stdin) {
        fclose(file);
    }
    return text;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* One array of ids at `at`; returns what follows it. */
static const char *read_ids(const char *at, const struct reference *model, int32_t *ids,
                            uint32_t *count_out)
{
    uint32_t count = 0;
    at = skip_blanks(at);
    if (*at != '[') {
        reference_die("ids: expected '[' before", *at == '\0' ? "the end" : at);
    }
    at = skip_blanks(at + 1);
    while (*at != ']') {
        char *end = NULL;
        long id = strtol(at, &end, 10);
        if (end == at || id < 0 || id >= (long)model->vocab || count == IDS_MAX) {
            reference_die("ids: expected an id of the vocabulary", *at == '\0' ? "the end" : at);
        }
        ids[count++] = (int32_t)id;
        at = skip_blanks(end);
        if (*at == ',') {
            at = skip_blanks(at + 1);
        } else if (*at != ']') {
            reference_die("ids: expected ',' or ']'", *at == '\0' ? "the end" : at);
        }
    }
    *count_out = count;
    return at + 1;
}

static void print_top(const struct reference *model, double *logits, uint32_t top)
{
    double most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < model->vocab; i++) {
        most = fmax(most, logits[i]);
    }
    for (uint32_t i = 0; i < model->vocab; i++) {
        sum += exp(logits[i] - most);
    }
    printf("{\"top\": [");
    for (uint32_t n = 0; n < top && n < model->vocab; n++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < model->vocab; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        printf("%s[%u, %.9g]", n == 0 ? "" : ", ", best, logits[best] - most - log(sum));
        logits[best] = -INFINITY;
    }
    printf("]}");
}

static void score(const struct reference *model, const char *text, uint32_t top)
{
    int32_t *ids = reference_alloc(IDS_MAX, sizeof *ids);
    double *logits = reference_alloc(model->vocab, sizeof *logits);
    const char *at = skip_blanks(text);
    if (*at != '[') {
        reference_die("ids: expected an array of arrays, found", *at == '\0' ? "the end" : at);
    }
    at = skip_blanks(at + 1);
    printf("{\"prompts\": [");
    for (uint32_t prompt = 0; *at != ']'; prompt++) {
        uint32_t count = 0;
        at = skip_blanks(read_ids(at, model, ids, &count));
        if (count == 0) {
            reference_die("ids: a prompt is empty", "[]");
        }
        reference_logits(model, ids, count, logits);
        printf("%s", prompt == 0 ? "" : ", ");
        print_top(model, logits, top);
        fflush(stdout);
        if (*at == ',') {
            at = skip_blanks(at + 1);
        } else if (*at != ']') {
            reference_die("ids: expected ',' or ']'", *at == '\0' ? "the end" : at);
        }
    }
    printf("]}\n");
    free(logits);
    free(ids);
}

int main(int argc, char **argv)
{
    const char *path = NULL, *ids = NULL;
    uint32_t top = 10;
    struct reference *model = reference_alloc(1, sizeof *model);
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--rounded") == 0) {
            model->rounded = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            continue; /* the only form there is */
        } else if (value != NULL &&
                   (strcmp(argv[i], "--model") == 0 || strcmp(argv[i], "-m") == 0)) {
            path = argv[++i];
        } else if (value != NULL && strcmp(argv[i], "--ids") == 0) {
            ids = argv[++i];
        } else if (value != NULL && strcmp(argv[i], "--top") == 0) {
            top = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else {
            reference_die("not an option", argv[i]);
        }
    }
    if (path == NULL || ids == NULL || top == 0 || top > TOP_MAX) {
        reference_die("usage",
                      "reference_score --model FILE --ids FILE.json [--top K] [--rounded]");
    }
    reference_open(model, path);
    char *text = read_all(ids);
    score(model, text, top);
    free(text);
    free(model);
    return 0;
}
