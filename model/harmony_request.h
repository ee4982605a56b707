/* What the two halves of reading a request share: the request with the passes over it
 * (harmony_request.c), and one of its messages becoming Harmony's (harmony_expand.c). */
#ifndef OSL_HARMONY_REQUEST_H
#define OSL_HARMONY_REQUEST_H

#include "harmony_render.h"

struct osl_request {
    const struct osl_harmony_sink *sink;
    struct osl_harmony_options options;
    struct osl_arena *arena;
    struct osl_error *error;
    const cJSON *messages;     /* NULL: none */
    const cJSON *instructions; /* the message that became the developer's instructions */
    struct osl_opening opening;
    /* where we are */
    const cJSON *message;
    uint32_t message_index; /* in "messages" */
    uint32_t index;         /* of the Harmony message made next */
    bool is_emitting;
    /* what the first pass saw, as Harmony indices */
    uint32_t first_final, last_final, count;
    bool last_assistant_is_final;
};

/* FORMAT, with the line of node (NULL: of the message) and the message's index. `problem` follows
 * "messages[N]" at once. */
OSL_MUST_USE enum osl_status osl_request_bad(const struct osl_request *request, const cJSON *node,
                                             const char *problem);

/* A string, an array of text parts (concatenated in the arena), or null (data NULL). */
OSL_MUST_USE enum osl_status osl_request_content(const struct osl_request *request,
                                                 const cJSON *content, struct osl_text *text_out);

/* Makes the Harmony messages of request->message and delivers each. */
OSL_MUST_USE enum osl_status osl_request_expand(struct osl_request *request);

/* One Harmony message was made: looks at it, or emits it. */
OSL_MUST_USE enum osl_status osl_request_deliver(struct osl_request *request,
                                                 const struct osl_harmony_message *message);

#endif
