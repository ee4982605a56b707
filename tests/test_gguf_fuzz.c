/* Random damage to a small file, from a fixed seed for about two seconds: whatever comes of it,
 * the reader, the binder and the listing stay inside the file and in bounds of time, and refusals
 * are one printable line. What a sanitizer finds here is the point of this test. */
#include "gguf_edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/bind.h"
#include "model/inspect.h"

#define FUZZ_NS 2000000000u
#define ROUNDS_MAX 200000
#define ROUND_NS_MAX 500000000u /* one file, under a sanitizer on a busy machine */
#define FUZZ_SEED 0x6f737369636c65u

static uint64_t random_state = FUZZ_SEED;

static uint64_t random_below(uint64_t end)
{
    random_state += 0x9e3779b97f4a7c15u;
    return fixture_mix(random_state) % end;
}

static void ignore(void *user, const char *text)
{
    *(size_t *)user += strlen(text);
}

static void damage(struct edit *edit, uint64_t header_bytes)
{
    static const uint64_t values[] = {0,          1,           31,         33,
                                      255,        65536,       0x7fffffff, 0x80000000,
                                      0xffffffff, 0x100000000, INT64_MAX,  UINT64_MAX};
    uint64_t at = random_below(header_bytes - 8);
    uint64_t value = values[random_below(sizeof values / sizeof values[0])];
    switch (random_below(6)) {
    case 0: edit->data[at] = (uint8_t)random_below(256); break;
    case 1: edit->data[at] ^= (uint8_t)(1u << random_below(8)); break;
    case 2: memcpy(edit->data + at, &value, 4); break;
    case 3: memcpy(edit->data + at, &value, 8); break;
    case 4: /* a run from elsewhere, so that lengths and names move */
        memmove(edit->data + at, edit->data + random_below(header_bytes - 8), 1 + random_below(8));
        break;
    default: /* the counts and the first keys are hit too rarely by chance */
        edit->data[random_below(64)] = (uint8_t)random_below(256);
        break;
    }
}

static void check_refusal(const struct osl_error *error)
{
    char words[2] = "";
    edit_check_error(error, error->status, words);
    assert_true(error->status == OSL_FORMAT || error->status == OSL_UNSUPPORTED);
}

/* Returns how far it came: 0 refused by the reader, 1 by the binder, 2 bound. */
static int try_file(const struct edit *edit)
{
    static struct osl_gguf gguf;
    static struct osl_model_weights weights;
    struct osl_hparams hparams;
    struct osl_error error = {OSL_OK, ""};
    size_t listed = 0;
    if (osl_gguf_parse(&gguf, EDIT_NAME, edit->data, edit->bytes, &error) != OSL_OK) {
        check_refusal(&error);
        return 0;
    }
    osl_inspect(&gguf, random_below(2) == 0, ignore, &listed);
    assert_true(listed > 0);
    if (osl_bind_hparams(&gguf, &hparams, &error) != OSL_OK ||
        osl_bind_weights(&gguf, &hparams, &weights, &error) != OSL_OK) {
        check_refusal(&error);
        return 1;
    }
    float inverse[OSL_HEAD_DIM_MAX / 2], concentration;
    osl_yarn(&hparams, inverse, &concentration);
    const struct osl_weight *last = &weights.layer[0].down_bias;
    const uint8_t *end = (const uint8_t *)last->data + last->expert_bytes;
    assert_true((const uint8_t *)last->data >= edit->data && end <= edit->data + edit->bytes);
    return 2;
}

static void gguf_survives_random_damage(void **state)
{
    struct fixture_options options;
    assert_true(fixture_preset(&options, "tiny"));
    options.layers = 1;
    options.hidden = 32;
    options.ff = 64;
    options.heads = 2;
    options.kv_heads = 1;
    options.experts = 2;
    options.used = 1;
    options.vocab = FIXTURE_VOCAB_MIN + 20;
    struct edit valid = edit_fixture(&options);
    uint64_t header_bytes = edit_parsed(&valid)->data_offset;
    uint64_t start = osl_clock_ns();
    uint64_t before = start;
    uint32_t reached[3] = {0};
    uint32_t rounds = 0;
    while (rounds < ROUNDS_MAX && before - start < FUZZ_NS) {
        struct edit edit = edit_copy(&valid);
        for (uint64_t i = 1 + random_below(3); i > 0; i--) {
            damage(&edit, header_bytes);
        }
        reached[try_file(&edit)]++;
        edit_free(&edit);
        uint64_t now = osl_clock_ns();
        if (now - before > ROUND_NS_MAX) {
            fail_msg("round %u took %llu ns", rounds, (unsigned long long)(now - before));
        }
        before = now;
        rounds++;
    }
    print_message("%u rounds: %u refused by the reader, %u by the binder, %u bound\n", rounds,
                  reached[0], reached[1], reached[2]);
    assert_true(rounds > 100 && reached[0] > 0 && reached[1] > 0 && reached[2] > 0);
    edit_free(&valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_survives_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
