/* The held-out questions of tests/demo/questions.json, and how an answer is judged. */
#ifndef OSL_TEST_DEMO_QUESTIONS_H
#define OSL_TEST_DEMO_QUESTIONS_H

#include <cjson/cJSON.h>

#include "model/ossicle.h"

#define DEMO_QUESTIONS_MAX 256
#define DEMO_CALLS_MAX 4 /* in one turn */
#define DEMO_TEXT_BYTES 16384
#define DEMO_KINDS_MAX 16

struct demo_question {
    int id;
    const char *kind, *identity, *date, *instructions; /* the last three may be NULL */
    enum ossicle_reasoning reasoning;
    const char *tools_json; /* NULL: none */
    const cJSON *tools;
    const cJSON *turns;  /* [{user, results}] */
    const cJSON *expect; /* {all, any, calls}, each may be absent */
};

struct demo_questions {
    cJSON *tree; /* what the questions point into */
    struct demo_question question[DEMO_QUESTIONS_MAX];
    uint32_t count;
};

/* False if it is no such file. What is read lives as long as the program. */
bool demo_questions_read(const char *path, struct demo_questions *questions);

const char *demo_last_user(const struct demo_question *question);

/* All that was written to a question: every channel and call, turn by turn. */
struct demo_run {
    char text[DEMO_TEXT_BYTES];
    size_t bytes;
    enum ossicle_channel channel; /* of the last text */
    enum ossicle_done reason;
    /* of the last turn */
    char answer[DEMO_TEXT_BYTES];
    size_t answer_bytes;
    struct demo_call {
        char name[64];
        char arguments[1024];
    } calls[DEMO_CALLS_MAX];
    uint32_t call_count;
    /* of all turns */
    uint32_t calls_made, calls_valid;
    size_t reasoning_bytes;
};

void demo_run_turn(struct demo_run *run);
void demo_run_take(struct demo_run *run, const struct ossicle_event *event);

/* NULL if it is right, else what is wrong with it. */
const char *demo_judge(const struct demo_question *question, const struct demo_run *run);

/* How many are right, kind by kind. */
struct demo_tally {
    struct demo_kind {
        const char *name;
        uint32_t right, total;
        bool promised; /* arithmetic, letters, facts or tools */
    } kind[DEMO_KINDS_MAX];
    uint32_t kind_count, right, wrong, total, calls, calls_valid;
};
void demo_tally_add(struct demo_tally *tally, const struct demo_question *question, bool right,
                    const struct demo_run *run);
void demo_tally_print(const struct demo_tally *tally);

#endif
