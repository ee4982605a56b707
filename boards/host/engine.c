/* From options to a running engine. */
#include "engine.h"

#include <string.h>
#include <sys/mman.h>

#include "demo.h"
#include "out.h"
#include "term.h"

#define HUGE_PAGE_BYTES (2u << 20)
#define TOKENIZER_CONTEXT_TOKENS 64
#define TOKENIZER_PREFILL_TOKENS 16
#define TEXT_LEAST_BYTES 4096

static void log_line(void *user, enum ossicle_log_level level, const char *line)
{
    const bool *verbose = user;
    if (level >= OSSICLE_LOG_WARN || *verbose) {
        osl_complain("%s", line);
    }
}

static enum ossicle_status choose_profile(const struct osl_args *args,
                                          struct osl_host_engine *engine,
                                          struct ossicle_error *error)
{
    struct osl_machine machine;
    osl_machine_read("", &machine);
    engine->profile_picked = args->board == NULL || strcmp(args->board, "auto") == 0;
    return osl_profile_choose(args->board, &machine, &engine->profile, error);
}

void osl_device_configure(const struct osl_args *args, struct ossicle_config *config)
{
    static const enum ossicle_device devices[] = {OSSICLE_DEVICE_AUTO, OSSICLE_DEVICE_CPU,
                                                  OSSICLE_DEVICE_VULKAN};
    static const char *const tiers[] = {"base", "subgroup", "fp16", "dot", "matrix"};
    ossicle_config_init(config);
    config->device = devices[args->device];
    config->device_index = args->device_index;
    config->vulkan_tier = osl_option_given(args, "--vulkan-tier") ? tiers[args->tier] : NULL;
    config->vulkan_validation = args->validation;
    config->vulkan_as_card = args->as_card;
    config->profile = args->profile;
    config->state_dir = osl_state_dir();
}

static void fill_config(const struct osl_args *args, struct osl_host_engine *engine)
{
    static const enum ossicle_weights weights[] = {OSSICLE_WEIGHTS_AUTO, OSSICLE_WEIGHTS_MAPPED,
                                                   OSSICLE_WEIGHTS_RESIDENT};
    static const enum ossicle_kv kv[] = {OSSICLE_KV_F16, OSSICLE_KV_Q8};
    static const enum ossicle_lookup lookups[] = {OSSICLE_LOOKUP_AUTO, OSSICLE_LOOKUP_OFF,
                                                  OSSICLE_LOOKUP_ON};
    const struct osl_profile *profile = &engine->profile;
    struct ossicle_config *config = &engine->config;
    engine->verbose = args->verbose;
    engine->device_wanted = config->vulkan_tier != NULL || args->validation;
    config->context_tokens = args->context > 0 ? args->context : profile->context;
    engine->context_by_board = args->context == 0;
    config->prefill_tokens = args->prefill;
    config->threads = osl_option_given(args, "--threads") ? args->threads : profile->threads;
    config->kv = osl_option_given(args, "--kv") ? kv[args->kv] : profile->kv;
    config->weights =
        osl_option_given(args, "--weights") ? weights[args->weights] : profile->weights;
    config->lookup = lookups[args->lookup];
    config->cpu_level = args->cpu_level;
    config->budget_bytes = args->budget_bytes > 0 ? args->budget_bytes : profile->budget_bytes;
    config->log = log_line;
    config->progress = osl_progress_callback;
    config->user = &engine->verbose;
}

enum ossicle_status osl_host_model_configure(const char *path, struct ossicle_config *config)
{
    config->model_path = path;
    if (path == NULL) {
        config->model_data = osl_demo_file(&config->model_bytes);
        config->model_path = OSL_DEMO_NAME;
    }
    if (path == NULL && config->model_data == NULL) {
        osl_complain("no model given, and this program was built without the demo: -m FILE, a "
                     "gpt-oss model as GGUF (such as gpt-oss-20b-mxfp4.gguf)");
        return OSSICLE_ARGUMENT;
    }
    return OSSICLE_OK;
}

enum ossicle_status osl_host_engine_configure(const struct osl_args *args,
                                              struct osl_host_engine *engine)
{
    struct ossicle_error error = {0};
    memset(engine, 0, sizeof *engine);
    enum ossicle_status status = choose_profile(args, engine, &error);
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
        return status;
    }
    osl_device_configure(args, &engine->config);
    fill_config(args, engine);
    return osl_host_model_configure(args->model, &engine->config);
}

/* One block for the engine's whole life, on a 2 MiB boundary so that huge pages fit. */
static bool reserve(struct osl_host_engine *engine)
{
    engine->memory_bytes = engine->plan.memory_bytes;
    engine->reserved_bytes = engine->memory_bytes + HUGE_PAGE_BYTES;
    unsigned char *base = osl_pages(engine->reserved_bytes);
    if (base == NULL) {
        return false;
    }
    uintptr_t over = (uintptr_t)base % HUGE_PAGE_BYTES;
    size_t head = over > 0 ? HUGE_PAGE_BYTES - over : 0;
    if (head > 0) {
        munmap(base, head);
    }
    engine->memory = base + head;
    engine->reserved_bytes -= head;
    /* A hint: without huge pages it is slower, not wrong. */
    (void)madvise(engine->memory, (size_t)engine->reserved_bytes, MADV_HUGEPAGE);
    return true;
}

/* Once a process, however many engines it starts. */
static void tell_demo(uint64_t bytes)
{
    static bool told;
    char size[OSL_SIZE_TEXT_BYTES];
    if (!told) {
        osl_complain("no model given: " OSL_DEMO_NAME " (%s; a small console assistant). For real "
                     "answers: -m gpt-oss-20b-mxfp4.gguf",
                     osl_size_text(bytes, size));
    }
    told = true;
}

enum ossicle_status osl_host_engine_plan(struct osl_host_engine *engine)
{
    struct ossicle_error error = {0};
    enum ossicle_status status = ossicle_plan(&engine->config, &engine->plan, &error);
    if (status != OSSICLE_OK && engine->context_by_board) {
        engine->config.context_tokens = 0; /* the model's own, up to 4096 */
        status = ossicle_plan(&engine->config, &engine->plan, &error);
    }
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
    } else if (engine->config.model_data != NULL) {
        tell_demo(engine->config.model_bytes);
    }
    return status;
}

/* What runs the model, and, where auto passed over a Vulkan device, why. */
static void tell_device(const struct osl_host_engine *engine)
{
    struct ossicle_stats stats;
    const struct ossicle_plan *plan = &engine->plan;
    ossicle_stats(engine->engine, &stats);
    const char *note = stats.device_note;
    if (stats.device_tier[0] != '\0') {
        char size[OSL_SIZE_TEXT_BYTES];
        osl_complain("runs on vulkan:%d, %s: tier %s, %s of its memory", plan->device_index,
                     stats.device, stats.device_tier, osl_size_text(stats.device_bytes, size));
    } else {
        osl_complain("runs on the CPU, %s with %u threads%s%s", stats.cpu_level, stats.threads,
                     note[0] != '\0' ? ", not on a GPU: " : "", note);
    }
}

/* The lines on stderr that a start deserves; nothing for an engine that only knows tokens. */
static void tell_start(const struct osl_host_engine *engine)
{
    bool chosen = engine->config.device == OSSICLE_DEVICE_AUTO;
    if (engine->verbose && !engine->config.tokens_only) {
        tell_device(engine);
    }
    if (chosen && engine->device_wanted && engine->plan.device_index < 0) {
        osl_complain("the CPU was chosen, so the options for Vulkan do nothing; --device vulkan "
                     "makes them count");
    }
}

enum ossicle_status osl_host_engine_start(struct osl_host_engine *engine)
{
    struct ossicle_error error = {0};
    engine->start_ns = osl_now_ns();
    enum ossicle_status status = osl_host_engine_plan(engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    if (!engine->plan.fits) {
        osl_complain("%s (board %s; `ossicle plan` shows the table)", engine->plan.verdict,
                     engine->profile.name);
        return OSSICLE_MEMORY;
    }
    if (!reserve(engine)) {
        char text[OSL_SIZE_TEXT_BYTES];
        osl_complain("the system has no %s of memory to give",
                     osl_size_text(engine->plan.memory_bytes, text));
        return OSSICLE_MEMORY;
    }
    status = ossicle_boot(&engine->config, engine->memory, engine->memory_bytes, &engine->engine,
                          &error);
    osl_progress_end();
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
        osl_host_engine_stop(engine);
        return status;
    }
    osl_signals_engine(engine->engine, ossicle_cancel);
    tell_start(engine);
    return OSSICLE_OK;
}

void osl_host_engine_stop(struct osl_host_engine *engine)
{
    osl_signals_engine(NULL, NULL);
    ossicle_halt(engine->engine);
    engine->engine = NULL;
    osl_pages_free(engine->memory, engine->reserved_bytes);
    engine->memory = NULL;
}

enum ossicle_status osl_host_engine_start_tokenizer(const struct osl_args *args,
                                                    uint64_t text_bytes,
                                                    struct osl_host_engine *engine)
{
    enum ossicle_status status = osl_host_engine_configure(args, engine);
    if (status != OSSICLE_OK) {
        return status;
    }
    engine->config.context_tokens = TOKENIZER_CONTEXT_TOKENS;
    engine->context_by_board = false;
    engine->config.prefill_tokens = TOKENIZER_PREFILL_TOKENS;
    engine->config.threads = 1;
    engine->config.text_bytes = text_bytes > TEXT_LEAST_BYTES ? text_bytes : TEXT_LEAST_BYTES;
    engine->config.marks = 1;
    engine->config.tokens_only = true;
    engine->config.weights = OSSICLE_WEIGHTS_MAPPED;
    engine->config.device = OSSICLE_DEVICE_CPU;
    return osl_host_engine_start(engine);
}

enum ossicle_status osl_host_engine_complain(const struct osl_host_engine *engine,
                                             enum ossicle_status status)
{
    const char *text = ossicle_error_text(engine->engine);
    osl_complain("%s", text[0] != '\0' ? text : ossicle_status_text(status));
    return status;
}
