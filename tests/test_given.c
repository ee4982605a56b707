/* A model given as memory, as firmware has it in flash: the same bits as from the file, never
 * written, and said so in the plan. What the file advises for drawing. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine_fixture.h"
#include "gguf_edit.h"

/* The fixture's file in pages that cannot be written, with a page behind them that cannot be read:
 * whoever touches what is not his gets SIGSEGV. */
static const void *flash;
static uint64_t flash_bytes, reserved_bytes;

static int map_flash(void **state)
{
    (void)state;
    struct stat facts;
    int file = open(TINY_MODEL, O_RDONLY);
    assert_true(file >= 0 && fstat(file, &facts) == 0);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    flash_bytes = (uint64_t)facts.st_size;
    reserved_bytes = (flash_bytes + page - 1) / page * page + page;
    uint8_t *base = mmap(NULL, reserved_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(base != MAP_FAILED);
    assert_int_equal(read(file, base, flash_bytes), (ssize_t)flash_bytes);
    assert_int_equal(mprotect(base, reserved_bytes - page, PROT_READ), 0);
    assert_int_equal(mprotect(base + reserved_bytes - page, page, PROT_NONE), 0);
    close(file);
    flash = base;
    return 0;
}

static int unmap_flash(void **state)
{
    (void)state;
    return munmap((void *)(uintptr_t)flash, reserved_bytes);
}

static void give(struct rig *rig)
{
    rig_init(rig);
    rig->config.model_path = NULL;
    rig->config.model_data = flash;
    rig->config.model_bytes = flash_bytes;
}

static void answer_of(struct rig *rig, struct answer_log *log)
{
    rig_boot(rig);
    MUST(rig->engine, ossicle_open(rig->engine, NULL));
    MUST(rig->engine, ossicle_say(rig->engine, OSSICLE_USER, "hello", 5));
    answer(rig->engine, 7, 80, false, log);
}

static void given_model_answers_as_its_file(void **state)
{
    (void)state;
    static const enum ossicle_weights weights[] = {OSSICLE_WEIGHTS_MAPPED,
                                                   OSSICLE_WEIGHTS_RESIDENT};
    static const char path[] = OSL_BINARY_DIR "/tests/given.save";
    struct rig file, given;
    struct answer_log first, second;
    for (int i = 0; i < 2; i++) {
        rig_init(&file);
        give(&given);
        file.config.weights = given.config.weights = weights[i];
        answer_of(&file, &first);
        answer_of(&given, &second);
        assert_true(first.count > 0);
        assert_int_equal(first.count, second.count);
        assert_memory_equal(first.ids, second.ids, first.count * sizeof first.ids[0]);
        /* One model, wherever it lies: what one saved the other goes on with. */
        MUST(file.engine, ossicle_save(file.engine, path));
        MUST(given.engine, ossicle_load(given.engine, path));
        rig_halt(&file);
        rig_halt(&given);
    }
    unlink(path);
}

static uint64_t region_bytes(const struct ossicle_plan *plan, const char *name, const char *where)
{
    for (uint32_t r = 0; r < plan->region_count; r++) {
        if (strcmp(plan->regions[r].name, name) == 0 &&
            strcmp(plan->regions[r].where, where) == 0) {
            return plan->regions[r].bytes;
        }
    }
    return 0;
}

static void given_model_is_in_the_plan(void **state)
{
    (void)state;
    struct rig rig;
    struct ossicle_error error;
    give(&rig);
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_OK);
    assert_string_equal(rig.plan.weights, "given");
    assert_true(region_bytes(&rig.plan, "model file", "given") >= flash_bytes);
    assert_true(region_bytes(&rig.plan, "model file", "mapped") == 0);
    rig.config.weights = OSSICLE_WEIGHTS_RESIDENT;
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_OK);
    assert_string_equal(rig.plan.weights, "resident");
    assert_true(region_bytes(&rig.plan, "weights", "host") > flash_bytes / 2);
}

static void refused(struct rig *rig, enum ossicle_status status, const char *words)
{
    struct ossicle_error error = {OSSICLE_OK, ""};
    assert_int_equal(ossicle_plan(&rig->config, &rig->plan, &error), status);
    if (strstr(error.text, words) == NULL) {
        fail_msg("'%s' lacks '%s'", error.text, words);
    }
}

static void given_model_is_refused_by_name(void **state)
{
    (void)state;
    struct rig rig;
    give(&rig);
    rig.config.model_data = (const uint8_t *)flash + 32;
    rig.config.model_bytes -= 32;
    refused(&rig, OSSICLE_ARGUMENT, "aligned to 4096");
    give(&rig);
    rig.config.model_bytes = 1000;
    refused(&rig, OSSICLE_FORMAT, "model_data: ");
    rig.config.model_path = "bank 1";
    refused(&rig, OSSICLE_FORMAT, "bank 1: ");
    rig.config.model_bytes = flash_bytes - 64; /* more than what may pad its end */
    refused(&rig, OSSICLE_FORMAT, "bank 1: ");
    rig.config.model_bytes = 0;
    refused(&rig, OSSICLE_FORMAT, "bank 1: ");
}

static bool stop_loading(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return strcmp(stage, "reading weights") != 0;
}

static void given_model_can_be_stopped_while_it_is_copied(void **state)
{
    (void)state;
    struct rig rig;
    struct ossicle_error error;
    give(&rig);
    rig.config.weights = OSSICLE_WEIGHTS_RESIDENT;
    rig.config.progress = stop_loading;
    assert_int_equal(ossicle_plan(&rig.config, &rig.plan, &error), OSSICLE_OK);
    rig.memory = aligned_alloc(OSSICLE_ALIGNMENT, rig.plan.memory_bytes);
    assert_int_equal(ossicle_boot(&rig.config, rig.memory, rig.plan.memory_bytes, &rig.engine,
                                  &error),
                     OSSICLE_ABORTED);
    assert_null(rig.engine);
    free(rig.memory);
}

/* ---- Advice ------------------------------------------------------------------------------ */

/* Binds an edited file and frees it. */
static struct osl_hparams bound(struct edit edit)
{
    struct osl_hparams hparams;
    struct osl_error error;
    assert_int_equal(osl_bind_hparams(edit_parsed(&edit), &hparams, &error), OSL_OK);
    edit_free(&edit);
    return hparams;
}

static void advice_is_taken_within_its_bounds(void **state)
{
    (void)state;
    struct edit tiny = edit_tiny();
    struct osl_hparams h = bound(edit_copy(&tiny));
    assert_true(h.temperature == 1 && h.top_p == 1 && h.min_p == 0 && h.top_k == 0);
    assert_true(bound(edit_with_f32(&tiny, "general.sampling.temp", 0)).temperature == 0);
    assert_true(bound(edit_with_f32(&tiny, "general.sampling.temp", -1)).temperature == 1);
    assert_true(bound(edit_with_f32(&tiny, "general.sampling.top_p", 0.9f)).top_p == 0.9f);
    assert_true(bound(edit_with_f32(&tiny, "general.sampling.top_p", 1.1f)).top_p == 1);
    assert_true(bound(edit_with_f32(&tiny, "general.sampling.min_p", 0.1f)).min_p == 0.1f);
    assert_int_equal(bound(edit_with_u32(&tiny, "general.sampling.top_k", 20)).top_k, 20);
    int32_t none = -1;
    h = bound(edit_with_key(&tiny, "general.sampling.top_k", OSL_GGUF_I32, &none, sizeof none));
    assert_int_equal(h.top_k, 0);
    h = bound(edit_with_string(&tiny, "general.sampling.temp", "hot"));
    assert_true(h.temperature == 1);
    edit_free(&tiny);
}

/* A program that asks for nothing gets what the file advises. */
static void advice_is_what_no_sampling_means(void **state)
{
    (void)state;
    struct edit tiny = edit_tiny();
    struct edit wide = edit_with_f32(&tiny, "general.sampling.min_p", 0.25f);
    struct edit top = edit_with_u32(&wide, "general.sampling.top_k", 20);
    struct edit cold = edit_with_f32(&top, "general.sampling.temp", 0);
    uint64_t room = (cold.bytes + OSSICLE_ALIGNMENT - 1) / OSSICLE_ALIGNMENT * OSSICLE_ALIGNMENT;
    void *data = aligned_alloc(OSSICLE_ALIGNMENT, room);
    memcpy(data, cold.data, cold.bytes);
    struct rig rig;
    struct answer_log by_default, greedy;
    struct ossicle_sampling sampling;
    give(&rig);
    rig.config.model_data = data;
    rig.config.model_bytes = cold.bytes;
    rig.config.context_tokens = 200;
    rig_boot(&rig);
    ossicle_sampling_advised(rig.engine, &sampling);
    assert_true(sampling.temperature == 0 && sampling.top_p == 1);
    assert_true(sampling.min_p == 0.25f && sampling.top_k == 20);
    for (int i = 0; i < 2; i++) {
        MUST(rig.engine, ossicle_open(rig.engine, NULL));
        MUST(rig.engine, ossicle_say(rig.engine, OSSICLE_USER, "hello", 5));
        MUST(rig.engine, ossicle_begin(rig.engine, i == 0 ? NULL : &sampling));
        log_answer(rig.engine, i == 0 ? &by_default : &greedy);
    }
    assert_true(greedy.count > 0);
    assert_int_equal(by_default.count, greedy.count);
    assert_memory_equal(by_default.ids, greedy.ids, greedy.count * sizeof greedy.ids[0]);
    rig_halt(&rig);
    free(data);
    edit_free(&cold);
    edit_free(&top);
    edit_free(&wide);
    edit_free(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_model_answers_as_its_file),
        cmocka_unit_test(given_model_is_in_the_plan),
        cmocka_unit_test(given_model_is_refused_by_name),
        cmocka_unit_test(given_model_can_be_stopped_while_it_is_copied),
        cmocka_unit_test(advice_is_taken_within_its_bounds),
        cmocka_unit_test(advice_is_what_no_sampling_means),
    };
    return cmocka_run_group_tests(tests, map_flash, unmap_flash);
}
