/* Prompt lookup: the text is the same bit for bit with and without; drafts come from the longest
 * and most recent place; and a draft is made only where it pays. */
#include "ahead_scripts.h"

#include "model/lookup.h"

typedef void script_fn(ossicle *engine, struct outcome *out);

struct setting {
    enum ossicle_lookup mode;
    uint32_t prefill;
    enum ossicle_kv kv;
};

/* Runs a script and tells how many tokens were drafted and accepted. */
static struct ossicle_stats run(script_fn *script, const struct setting *setting,
                                struct outcome *out)
{
    struct rig rig;
    struct ossicle_stats stats;
    memset(out, 0, sizeof *out);
    rig_init(&rig);
    rig.config.lookup = setting->mode;
    rig.config.prefill_tokens = setting->prefill;
    rig.config.kv = setting->kv;
    rig.config.threads = 1;
    rig.config.device = OSSICLE_DEVICE_CPU; /* a GPU drafts nothing */
    rig_boot(&rig);
    script(rig.engine, out);
    finish(rig.engine, out);
    ossicle_stats(rig.engine, &stats);
    rig_halt(&rig);
    return stats;
}

static void assert_same(script_fn *script, const struct setting *setting)
{
    static struct outcome want, got;
    struct setting other = *setting;
    other.mode = OSSICLE_LOOKUP_OFF;
    struct ossicle_stats stats = run(script, &other, &want);
    assert_int_equal(stats.drafted_tokens, 0);
    stats = run(script, setting, &got);
    if (memcmp(&got, &want, sizeof want) != 0) {
        uint32_t at = 0;
        while (at < want.id_count && want.ids[at] == got.ids[at]) {
            at++;
        }
        fail_msg("%u ids, %u without; they differ from %u on; %u tokens, %u read; %u, %u without",
                 got.id_count, want.id_count, at, got.token_count, got.read, want.token_count,
                 want.read);
    }
    printf("%u ids, %u drafted, %u accepted\n", got.id_count, (unsigned)stats.drafted_tokens,
           (unsigned)stats.accepted_tokens);
    if (setting->mode == OSSICLE_LOOKUP_ON) {
        assert_true(stats.drafted_tokens >= stats.accepted_tokens && stats.accepted_tokens > 3);
    }
}

/* ---- Scripts ------------------------------------------------------------------------------ */

/* A text that repeats itself, answered greedily and at low and high temperatures. */
static void run_repeats(ossicle *engine, struct outcome *out)
{
    int32_t ids[60];
    for (uint32_t i = 0; i < 5; i++) {
        struct ossicle_sampling sampling;
        ossicle_sampling_init(&sampling);
        some_ids(ids, 60, engine->hparams.shape.vocab, i);
        memcpy(ids + 30, ids, 30 * sizeof *ids);
        sampling.seed = i;
        sampling.temperature = (float)(i % 5) * 0.2f;
        sampling.top_k = i % 3 == 1 ? 5 : 0;
        sampling.top_p = i % 3 == 2 ? 0.8f : 1;
        sampling.min_p = i == 4 ? 0.1f : 0;
        sampling.max_tokens = 40 + i;
        sampling.raw = true;
        MUST(engine, ossicle_open(engine, NULL));
        MUST(engine, ossicle_say_tokens(engine, ids, 60));
        MUST(engine, ossicle_say_tokens(engine, ids, 15));
        answer_with(engine, &sampling, out);
        answer_with(engine, &sampling, out);
    }
}

/* To the end of the context, greedily. */
static void run_full(ossicle *engine, struct outcome *out)
{
    int32_t ids[700];
    for (uint32_t left = 0; left < 9; left += 2) {
        struct ossicle_sampling sampling;
        ossicle_sampling_init(&sampling);
        sampling.temperature = 0;
        sampling.raw = left % 4 == 0;
        some_ids(ids, 700, engine->hparams.shape.vocab, 4);
        MUST(engine, ossicle_open(engine, NULL));
        MUST(engine, ossicle_say_tokens(engine, ids,
                                        763 - left - engine->session.count));
        answer_with(engine, &sampling, out);
    }
}

/* Saved in the middle of a conversation, with rejected tokens in the rings, and read back. */
static void run_saves(ossicle *engine, struct outcome *out)
{
    static const char path[] = OSL_BINARY_DIR "/tests/lookup.saved";
    struct answer_log log;
    MUST(engine, ossicle_open(engine, NULL));
    for (uint64_t seed = 0; seed < 4; seed++) {
        MUST(engine, ossicle_say(engine, OSSICLE_USER, "again again again again", 23));
        answer(engine, seed, 30, seed % 2, &log);
        note(out, &log);
        MUST(engine, ossicle_save(engine, path));
        answer(engine, seed, 20, true, &log);
        note(out, &log);
        MUST(engine, ossicle_load(engine, path));
        answer(engine, seed, 20, true, &log);
        note(out, &log);
    }
    remove(path);
}

/* ---- The same text ------------------------------------------------------------------------ */

static void text_is_the_same_with_lookup(void **state)
{
    static script_fn *const scripts[] = {run_repeats,   run_raw,   run_conversations, run_marks,
                                      run_penalties, run_stops, run_cancels,       run_full,
                                      run_saves};
    static const struct setting settings[] = {
        {OSSICLE_LOOKUP_ON, 32, OSSICLE_KV_F16},
        {OSSICLE_LOOKUP_AUTO, 32, OSSICLE_KV_Q8},
    };
    few_tokens = 3;
    for (uint32_t s = 0; s < sizeof scripts / sizeof scripts[0]; s++) {
        assert_same(scripts[s], &settings[0]);
        if (s % 2 == 0) {
            assert_same(scripts[s], &settings[1]);
        }
    }
    /* rings with little room behind the window, and fewer tokens in a step */
    assert_same(run_marks, &(struct setting){OSSICLE_LOOKUP_ON, 3, OSSICLE_KV_F16});
    assert_same(run_cancels, &(struct setting){OSSICLE_LOOKUP_ON, 3, OSSICLE_KV_F16});
    few_tokens = 0;
}

static void one_token_in_a_step_is_no_draft(void **state)
{
    static struct outcome out;
    const struct setting setting = {OSSICLE_LOOKUP_ON, 1, OSSICLE_KV_F16};
    assert_int_equal(run(run_raw, &setting, &out).drafted_tokens, 0);
}

/* ---- The index ---------------------------------------------------------------------------- */

static uint32_t memory[4096];

static void longest_run_then_most_recent(void **state)
{
    struct osl_lookup_index index;
    uint32_t run = 0;
    assert_true(osl_lookup_index_bytes(100) <= sizeof memory);
    osl_lookup_index_init(&index, memory, 100);
    const int32_t text[] = {1, 2, 3, 4, 9, 2, 3, 4, 8, 7, 2, 3, 4, 6, 1, 2, 3, 4};
    assert_int_equal(osl_lookup_find(&index, text, 7, &run), 0);
    assert_int_equal(osl_lookup_find(&index, text, 8, &run), 4);
    assert_int_equal(run, 3);
    assert_int_equal(osl_lookup_find(&index, text, 13, &run), 8); /* most recent of two */
    assert_int_equal(run, 3);
    assert_int_equal(osl_lookup_find(&index, text, 18, &run), 4); /* longest of three */
    assert_int_equal(run, 4);
    int32_t draft[7];
    osl_lookup_copy(text, 18, 14, 7, draft); /* a loop of four goes on */
    assert_memory_equal(draft, ((int32_t[]){1, 2, 3, 4, 1, 2, 3}), sizeof draft);
    osl_lookup_index_clear(&index);
    assert_int_equal(osl_lookup_find(&index, text, 8, &run), 4);
}

/* Against a search through the whole text, on texts of few different tokens. */
static void finds_what_a_search_finds(void **state)
{
    struct osl_lookup_index index;
    int32_t text[300];
    some_ids(text, 300, 7, 5);
    osl_lookup_index_init(&index, memory, 300);
    uint32_t found = 0;
    for (uint32_t count = 1; count <= 300; count += 1 + count % 3) {
        uint32_t run = 0, best_run = 0;
        for (uint32_t place = 1; place < count; place++) {
            uint32_t n = 0;
            while (n < place && n < OSL_LOOKUP_RUN_MAX &&
                   text[place - 1 - n] == text[count - 1 - n]) {
                n++;
            }
            best_run = n > best_run ? n : best_run;
        }
        uint32_t place = osl_lookup_find(&index, text, count, &run);
        assert_int_equal(place != 0, best_run >= OSL_LOOKUP_RUN_MIN);
        assert_true(place == 0 || run == best_run);
        found += place != 0;
    }
    assert_true(found > 30);
}

/* A copy of 20 different tokens with one, then two, then one of them replaced. */
static void goes_on_behind_another_token(void **state)
{
    struct osl_lookup_index index;
    int32_t text[60];
    for (int32_t i = 0; i < 20; i++) {
        text[i] = text[20 + i] = 100 + i;
    }
    text[25] = 7;
    text[30] = text[31] = 8;
    text[38] = 9;
    osl_lookup_index_init(&index, memory, 60);
    for (uint32_t count = 20; count <= 40; count++) {
        uint32_t run = 99;
        uint32_t place = osl_lookup_follow(&index, text, count, &run);
        bool first = count < 23;
        bool lost = count >= 32 && count < 35;
        assert_int_equal(place, first || lost ? 0 : count - 20);
        uint32_t since =
            count <= 25 ? 20 : count <= 30 ? 26 : count == 31 ? 31 : count <= 38 ? 32 : 39;
        assert_true(place == 0 || run == count - since);
    }
    uint32_t run = 99;
    osl_lookup_index_clear(&index);
    assert_int_equal(osl_lookup_follow(&index, text, 24, &run), 4);
    assert_int_equal(osl_lookup_follow(&index, text, 26, &run), 0); /* not asked in between */
}

/* ---- The cost ----------------------------------------------------------------------------- */

/* Writes `tokens` tokens of a text whose runs of any length go on as before one time in `odds` (1:
 * always, 0: never), on a machine where a step of k tokens takes 1 + slope * (k - 1); returns the
 * time against a token a step. */
static double time_with(uint32_t tokens, uint32_t odds, double slope)
{
    struct osl_lookup_cost cost;
    osl_lookup_cost_init(&cost, 1.3e9, 0.32e9, 32, 4);
    uint32_t written = 0, random = 1;
    double time = 0.0;
    while (written < tokens) {
        uint32_t length = osl_lookup_cost_length(&cost, 4, OSL_DRAFT_MAX);
        double took = 1.0 + slope * length;
        time += took;
        osl_lookup_cost_step(&cost, 1 + length, (uint64_t)(took * 1e6));
        bool right = true;
        for (uint32_t i = 0; i <= length && right; i++) {
            random = random * 1664525u + 1013904223u;
            right = odds != 0 && (random >> 16) % odds == 0;
            osl_lookup_cost_seen(&cost, 4 + i, right);
            written++;
            if (right && i < length) {
                osl_lookup_cost_won(&cost);
            }
        }
    }
    return time / written;
}

static void drafts_only_where_it_pays(void **state)
{
    for (uint32_t odds = 0; odds < 4; odds++) {
        for (double slope = 0.1; slope < 2.0; slope += 0.3) {
            double time = time_with(1000, odds, slope);
            printf("one in %u goes on, slope %.1f: time %.3f\n", odds, slope, time);
            assert_true(time <= 1.02);
            if (odds == 1 && slope < 0.8) {
                assert_true(time < 0.85);
            }
        }
    }
}

static void long_drafts_are_for_a_full_account(void **state)
{
    struct osl_lookup_cost cost;
    osl_lookup_cost_init(&cost, 1.3e9, 0.32e9, 32, 4);
    osl_lookup_cost_step(&cost, 1, 1000000);
    for (uint32_t i = 0; i < 40; i++) { /* runs that long went on every time */
        osl_lookup_cost_seen(&cost, OSL_LOOKUP_RUN_MAX, true);
    }
    uint32_t poor = osl_lookup_cost_length(&cost, OSL_LOOKUP_RUN_MAX, OSL_DRAFT_MAX);
    for (uint32_t i = 0; i < 4; i++) {
        osl_lookup_cost_won(&cost);
    }
    uint32_t rich = osl_lookup_cost_length(&cost, OSL_LOOKUP_RUN_MAX, OSL_DRAFT_MAX);
    printf("%u tokens are drafted at first, %u later\n", poor, rich);
    assert_true(poor > 0 && poor < rich && rich == OSL_DRAFT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_the_same_with_lookup),
        cmocka_unit_test(one_token_in_a_step_is_no_draft),
        cmocka_unit_test(longest_run_then_most_recent),
        cmocka_unit_test(finds_what_a_search_finds),
        cmocka_unit_test(goes_on_behind_another_token),
        cmocka_unit_test(drafts_only_where_it_pays),
        cmocka_unit_test(long_drafts_are_for_a_full_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
