/* Held-out questions: reading them, gathering what was written, and judging it. */
#include "tests/demo/questions.h"

#include <stdio.h>
#include <string.h>

#include "boards/host/json.h"

#define FILE_BYTES_MAX (4u << 20)

static const char *text_of(const cJSON *item, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

static enum ossicle_reasoning reasoning_of(const char *effort)
{
    return effort != NULL && strcmp(effort, "low") == 0    ? OSSICLE_REASONING_LOW
           : effort != NULL && strcmp(effort, "high") == 0 ? OSSICLE_REASONING_HIGH
                                                           : OSSICLE_REASONING_MEDIUM;
}

bool demo_questions_read(const char *path, struct demo_questions *questions)
{
    struct osl_text text = {0};
    struct ossicle_error error;
    cJSON *tree = NULL;
    if (osl_text_read(path, FILE_BYTES_MAX, &text, &error) == OSSICLE_OK) {
        tree = cJSON_ParseWithLength(text.bytes, text.count);
    }
    osl_text_free(&text);
    int count = cJSON_GetArraySize(tree);
    if (!cJSON_IsArray(tree) || count < 1 || count > DEMO_QUESTIONS_MAX) {
        cJSON_Delete(tree);
        return false;
    }
    questions->tree = tree;
    questions->count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        struct demo_question *q = &questions->question[questions->count++];
        const cJSON *id = cJSON_GetObjectItem(item, "id");
        *q = (struct demo_question){
            .id = cJSON_IsNumber(id) ? id->valueint : 0,
            .kind = text_of(item, "kind"),
            .identity = text_of(item, "identity"),
            .date = text_of(item, "date"),
            .instructions = text_of(item, "instructions"),
            .reasoning = reasoning_of(text_of(item, "effort")),
            .tools = cJSON_GetObjectItem(item, "tools"),
            .turns = cJSON_GetObjectItem(item, "turns"),
            .expect = cJSON_GetObjectItem(item, "expect"),
        };
        if (cJSON_GetArraySize(q->tools) > 0) {
            q->tools_json = cJSON_PrintUnformatted(q->tools);
        }
        if (q->kind == NULL || cJSON_GetArraySize(q->turns) == 0 || !cJSON_IsObject(q->expect)) {
            return false;
        }
    }
    return true;
}

const char *demo_last_user(const struct demo_question *question)
{
    return text_of(cJSON_GetArrayItem(question->turns, cJSON_GetArraySize(question->turns) - 1),
                   "user");
}

/* ---- Gathering ----------------------------------------------------------------------------- */

static void append(char *to, size_t *used, size_t capacity, const char *text, size_t bytes)
{
    size_t part = bytes < capacity - 1 - *used ? bytes : capacity - 1 - *used;
    memcpy(to + *used, text, part);
    *used += part;
    to[*used] = '\0';
}

static void note(struct demo_run *run, const char *text, size_t bytes)
{
    append(run->text, &run->bytes, sizeof run->text, text, bytes);
}

void demo_run_turn(struct demo_run *run)
{
    note(run, "\n", 1);
    run->channel = OSSICLE_CHANNEL_NONE;
    run->answer_bytes = 0;
    run->answer[0] = '\0';
    run->call_count = 0;
}

void demo_run_take(struct demo_run *run, const struct ossicle_event *event)
{
    static const char *const names[] = {"", "\n  analysis: ", "\n  commentary: ", "\n  final: "};
    if (event->kind == OSSICLE_EVENT_TEXT && event->text_bytes > 0) {
        if (event->channel != run->channel) {
            note(run, names[event->channel], strlen(names[event->channel]));
        }
        run->channel = event->channel;
        note(run, event->text, event->text_bytes);
        run->reasoning_bytes += event->channel == OSSICLE_CHANNEL_ANALYSIS ? event->text_bytes : 0;
        if (event->channel == OSSICLE_CHANNEL_FINAL) {
            append(run->answer, &run->answer_bytes, sizeof run->answer, event->text,
                   event->text_bytes);
        }
    }
    if (event->kind == OSSICLE_EVENT_TOOL_CALL && run->call_count < DEMO_CALLS_MAX) {
        struct demo_call *call = &run->calls[run->call_count++];
        snprintf(call->name, sizeof call->name, "%s", event->tool);
        snprintf(call->arguments, sizeof call->arguments, "%.*s", (int)event->text_bytes,
                 event->text);
        note(run, "\n  call: ", 9);
        note(run, call->name, strlen(call->name));
        note(run, " ", 1);
        note(run, event->text, event->text_bytes);
        run->channel = OSSICLE_CHANNEL_NONE;
        cJSON *tree = cJSON_ParseWithOpts(call->arguments, NULL, true);
        run->calls_made++;
        run->calls_valid += cJSON_IsObject(tree);
        cJSON_Delete(tree);
    }
}

/* ---- Judging ------------------------------------------------------------------------------- */

/* A null or absent list asks for nothing. */
static bool has_all(const cJSON *list, const char *answer)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (strstr(answer, item->valuestring) == NULL) {
            return false;
        }
    }
    return true;
}

static bool has_any(const cJSON *list, const char *answer)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (strstr(answer, item->valuestring) != NULL) {
            return true;
        }
    }
    return list == NULL;
}

static const char *judge_calls(const cJSON *wanted, const struct demo_run *run)
{
    const cJSON *item;
    uint32_t index = 0;
    if (wanted == NULL) {
        return NULL;
    }
    if ((uint32_t)cJSON_GetArraySize(wanted) != run->call_count) {
        return run->call_count == 0 ? "no call" : "another number of calls";
    }
    cJSON_ArrayForEach(item, wanted)
    {
        const struct demo_call *call = &run->calls[index++];
        cJSON *arguments = cJSON_ParseWithOpts(call->arguments, NULL, true);
        bool same = cJSON_Compare(arguments, cJSON_GetObjectItem(item, "arguments"), true);
        cJSON_Delete(arguments);
        if (strcmp(call->name, text_of(item, "name")) != 0) {
            return "another tool";
        }
        if (!same) {
            return "other arguments";
        }
    }
    return NULL;
}

const char *demo_judge(const struct demo_question *question, const struct demo_run *run)
{
    const char *wrong = judge_calls(cJSON_GetObjectItem(question->expect, "calls"), run);
    if (wrong != NULL) {
        return wrong;
    }
    if (run->reason != OSSICLE_DONE_STOP) {
        return "no end";
    }
    return has_all(cJSON_GetObjectItem(question->expect, "all"), run->answer) &&
                   has_any(cJSON_GetObjectItem(question->expect, "any"), run->answer)
               ? NULL
               : "wrong answer";
}

/* Kinds that the demo promises, each by itself. */
static bool is_promised(const char *kind)
{
    static const char *const promised[] = {"arithmetic", "letters", "facts", "tools"};
    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++) {
        if (strcmp(kind, promised[i]) == 0) {
            return true;
        }
    }
    return false;
}

void demo_tally_add(struct demo_tally *tally, const struct demo_question *question, bool right,
                    const struct demo_run *run)
{
    uint32_t k = 0;
    while (k < tally->kind_count && strcmp(tally->kind[k].name, question->kind) != 0) {
        k++;
    }
    if (k == tally->kind_count && k < DEMO_KINDS_MAX) {
        tally->kind[tally->kind_count++] =
            (struct demo_kind){.name = question->kind, .promised = is_promised(question->kind)};
    }
    k = k < DEMO_KINDS_MAX ? k : DEMO_KINDS_MAX - 1;
    tally->kind[k].total++;
    tally->kind[k].right += right;
    tally->total++;
    tally->right += right;
    tally->wrong += !right;
    tally->calls += run->calls_made;
    tally->calls_valid += run->calls_valid;
}

void demo_tally_print(const struct demo_tally *tally)
{
    printf("\n%-12s %6s %6s\n", "kind", "right", "of");
    for (uint32_t k = 0; k < tally->kind_count; k++) {
        const struct demo_kind *kind = &tally->kind[k];
        printf("%-12s %6u %6u  %5.1f %%\n", kind->name, kind->right, kind->total,
               100.0 * kind->right / kind->total);
    }
    printf("%-12s %6u %6u  %5.1f %%\n", "all", tally->right, tally->total,
           100.0 * tally->right / tally->total);
    printf("tool calls: %u, with valid JSON: %u\n\n", tally->calls, tally->calls_valid);
}
