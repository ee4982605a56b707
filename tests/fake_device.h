/* A device that picks by itself, made of a CPU backend: it runs every step at once, so that what is
 * queued is in the cache before it is taken, and checks that it is used as backend.h says. */
#ifndef OSL_TEST_FAKE_DEVICE_H
#define OSL_TEST_FAKE_DEVICE_H

#include "compute/pick.h"

#define FAKE_VOCAB_MAX 4096

struct fake_device {
    struct osl_backend face;
    struct osl_backend *cpu;
    uint32_t vocab, most;
    bool lists;          /* candidates can be had */
    uint32_t list_most;  /* more candidates than that are none */
    uint32_t lost_after; /* calls until it is lost; 0: never */
    bool lost;
    bool blind; /* nothing can be picked */

    bool live; /* goes on from the last token picked, which stands at `position` */
    uint32_t position;
    int32_t last;
    int32_t queue[OSL_PICK_AHEAD_MAX];
    uint32_t first, queued;
    struct osl_pick pick;
    uint32_t allowed[FAKE_VOCAB_MAX / 32], seen[FAKE_VOCAB_MAX];
    int32_t bias_token[64], candidate[FAKE_VOCAB_MAX];
    float bias_value[64], adjusted[FAKE_VOCAB_MAX], logit[FAKE_VOCAB_MAX];

    uint32_t losses, deepest, picked, taken, listed, logits_read;
};

/* Wraps *backend and takes its place; fake_device_remove puts it back. */
void fake_device_put(struct fake_device *fake, struct osl_backend **backend, uint32_t vocab,
                     uint32_t most);
void fake_device_remove(struct fake_device *fake, struct osl_backend **backend);

#endif
