/* Answers one question with the C API: plan, boot, ask, print. Build it with
 *     cc answer.c $(pkg-config --cflags --libs --static ossicle) -o answer
 * and run `./answer model.gguf "question"`. The exit code is an ossicle_status. */
#include <ossicle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int report(enum ossicle_status status, const char *text)
{
    fprintf(stderr, "answer: %s: %s\n", ossicle_status_text(status), text);
    return (int)status;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return report(OSSICLE_ARGUMENT, "usage: answer MODEL.gguf \"question\"");

    /* Plan: every byte is known before anything is taken. */
    struct ossicle_error error = {0};
    struct ossicle_config config;
    struct ossicle_plan plan;
    ossicle_config_init(&config);
    config.model_path = argv[1];
    if (ossicle_plan(&config, &plan, &error) != OSSICLE_OK)
        return report(error.status, error.text);
    if (!plan.fits)
        return report(OSSICLE_MEMORY, plan.verdict);

    /* Boot: the memory is ours, and the engine never asks for more. */
    void *memory = aligned_alloc(OSSICLE_ALIGNMENT, plan.memory_bytes);
    ossicle *engine = NULL;
    if (memory == NULL)
        return report(OSSICLE_MEMORY, "the system has not enough memory left");
    if (ossicle_boot(&config, memory, plan.memory_bytes, &engine, &error) != OSSICLE_OK)
        return report(error.status, error.text);

    /* Ask: each step is one bounded piece of work. */
    struct ossicle_event event = {0};
    enum ossicle_status status = ossicle_open(engine, NULL);
    if (status == OSSICLE_OK)
        status = ossicle_say(engine, OSSICLE_USER, argv[2], strlen(argv[2]));
    if (status == OSSICLE_OK)
        status = ossicle_begin(engine, NULL);
    while (status == OSSICLE_OK && event.kind != OSSICLE_EVENT_DONE) {
        status = ossicle_step(engine, &event);
        if (status == OSSICLE_OK && event.kind == OSSICLE_EVENT_FAULT)
            status = event.status;
        if (status == OSSICLE_OK && event.text_bytes > 0 && event.channel == OSSICLE_CHANNEL_FINAL)
            fwrite(event.text, 1, event.text_bytes, stdout);
        fflush(stdout);
    }
    puts("");
    int code = status == OSSICLE_OK ? 0 : report(status, ossicle_error_text(engine));
    ossicle_halt(engine);
    free(memory);
    return code;
}
