/* The self-test: every launch that steps are made of, on small inputs, beside the plain C op. The
 * checks are those of the tests; at boot they run on the model's own widths and types, so that the
 * modules, and all but a few of the very pipelines, are those to be used. */
#include <stdio.h>
#include <string.h>

#include "compute/vulkan/executor.h"
#include "compute/vulkan/kept.h"

#define TOKENS 37u        /* of a prefill: whole tiles and a tail, whatever the tile */
#define TOKENS_ATTEND 11u /* the same for attention, whose plain C takes half of all the time */
#define POSITION_MOST 140u /* past the window; the plain C takes its time over longer contexts */
#define VOCAB_MOST 600u
#define EXPERTS_BYTES (18ull << 20) /* of one weight of all experts: 4 of the 20b */
#define SEED 2u                     /* even: weights in one slab, where tests cut them */
#define LINE_BYTES 160

static const struct osl_vk_check *const tables[] = {osl_vk_checks_attend, osl_vk_checks_matvec,
                                                    osl_vk_checks_matmul, osl_vk_checks_pick};
#define TABLES (sizeof tables / sizeof tables[0])

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

struct osl_vk_check_case osl_vulkan_check_case(const struct osl_schedule *schedule,
                                               const struct osl_vulkan_limits *limits)
{
    struct osl_vk_check_case c = {.shape = schedule->shape,
                                  .kv_type = schedule->kv_type,
                                  .tokens = least(TOKENS, limits->context_tokens),
                                  .seed = SEED};
    c.position = least(POSITION_MOST, limits->context_tokens - c.tokens);
    c.shape.layers = 1;
    c.shape.vocab = least(c.shape.vocab, VOCAB_MOST);
    for (uint32_t i = 0; i < schedule->op_count; i++) {
        const struct osl_op *op = &schedule->ops[i];
        if (op->weight[0] == NULL) {
            continue;
        }
        enum osl_dtype *type = op->kind == OSL_OP_EMBED       ? &c.embedding
                               : op->kind == OSL_OP_LOGITS    ? &c.output
                               : op->kind == OSL_OP_EXPERT_UP ? &c.expert
                               : op->out == OSL_BUFFER_ROUTER ? &c.router
                                                              : &c.dense;
        *type = op->kind == OSL_OP_EXPERT_DOWN ? *type : op->weight[0]->dtype;
    }
    return c;
}

/* The same with no more experts than the rig has room for: their number is no part of the
 * pipelines that multiply by their weights. */
static struct osl_vk_check_case with_few_experts(const struct osl_vk_check_case *c)
{
    struct osl_vk_check_case few = *c;
    uint64_t expert = osl_vk_matrix_bytes(osl_vk_layout_of(c->expert, false), c->shape.hidden,
                                          c->shape.ff);
    uint64_t fit = EXPERTS_BYTES / expert;
    uint32_t experts = fit < c->shape.experts ? (uint32_t)fit : c->shape.experts;
    few.shape.experts = experts > c->shape.experts_used ? experts : c->shape.experts_used;
    return few;
}

/* Who is told of each check. */
struct listener {
    void (*line)(void *user, const char *text, bool pass);
    void *user;
};

static enum osl_status run_check(struct osl_vk_rig *rig, const struct osl_vk_check *check,
                                 const struct osl_vk_check_case *c, void *memory,
                                 const struct listener *listener, struct osl_vk_checked *out,
                                 struct osl_error *error)
{
    const char *tier = osl_vk_tier_name(osl_vulkan_tier(rig->device));
    float worst = 0.0f;
    char text[LINE_BYTES];
    enum osl_status status = check->run(rig, c, memory, OSL_VK_CHECK_BYTES, &worst, error);
    if (status == OSL_MEMORY) {
        return status;
    }
    bool pass = status == OSL_OK && worst <= 1.0f;
    out->passed += pass;
    out->failed += !pass;
    out->broken |= status != OSL_OK;
    if (status == OSL_OK) {
        snprintf(text, sizeof text, "%s: %s: %.2g of what is allowed", tier, check->name,
                 (double)worst);
    } else {
        snprintf(text, sizeof text, "%s: %s: %.100s", tier, check->name, error->text);
    }
    if (!pass) {
        osl_log(OSL_LOG_WARN, "vulkan: self-test, %s", text);
    }
    if (listener->line != NULL) {
        listener->line(listener->user, text, pass);
    }
    return OSL_OK;
}

/* All tables; to the first error, since a lost device would fail all the others too. */
static enum osl_status run_tables(struct osl_vk_rig *rig, const struct osl_vk_check_case *c,
                                  void *memory, const struct listener *listener,
                                  struct osl_vk_checked *out, struct osl_error *error)
{
    const struct osl_vk_check_case few = with_few_experts(c);
    struct osl_vk_check_case brief = *c;
    enum osl_status status = OSL_OK;
    brief.tokens = least(c->tokens, TOKENS_ATTEND);
    for (uint32_t t = 0; t < TABLES; t++) {
        const struct osl_vk_check *check = tables[t];
        const struct osl_vk_check_case *whole = check == osl_vk_checks_attend ? &brief : c;
        for (; status == OSL_OK && !out->broken && check->name != NULL; check++) {
            bool experts = strncmp(check->name, "expert", 6) == 0;
            status = run_check(rig, check, experts ? &few : whole, memory, listener, out, error);
        }
    }
    return status;
}

enum osl_status osl_vulkan_self_test(struct osl_vk_device *device, struct osl_vk_rig *rig,
                                     const struct osl_vk_check_case *c,
                                     void (*line)(void *user, const char *text, bool pass),
                                     void *user, struct osl_vk_checked *out,
                                     struct osl_error *error)
{
    const struct listener listener = {line, user};
    void *memory = NULL; /* for the checks' inputs, given back before the weights come */
    *out = (struct osl_vk_checked){0};
    enum osl_status status = osl_memory_reserve(OSL_VK_CHECK_BYTES, false, &memory, error);
    if (status != OSL_OK) {
        return status;
    }
    status = osl_vk_rig_open(rig, device, error);
    if (status == OSL_OK) {
        rig->native = c->native;
        status = run_tables(rig, c, memory, &listener, out, error);
        osl_vk_rig_close(rig);
    }
    osl_memory_release(memory, OSL_VK_CHECK_BYTES);
    return status;
}

/* ---- Without a model --------------------------------------------------------------------- */

/* The 20b, in its usual types. */
static const struct osl_vk_check_case widths_20b = {
    .shape = {.layers = 1,
              .hidden = 2880,
              .ff = 2880,
              .heads = 64,
              .kv_heads = 8,
              .head_dim = 64,
              .experts = 32,
              .experts_used = 4,
              .vocab = VOCAB_MOST,
              .window = 128,
              .rms_eps = 1e-5f,
              .swiglu_alpha = 1.702f,
              .swiglu_limit = 7.0f},
    .kv_type = OSL_KV_F16,
    .dense = OSL_DTYPE_Q8_0,
    .router = OSL_DTYPE_F32,
    .expert = OSL_DTYPE_MXFP4,
    .output = OSL_DTYPE_Q8_0,
    .embedding = OSL_DTYPE_Q8_0,
    .tokens = TOKENS,
    .position = POSITION_MOST,
    .seed = SEED,
};

struct check_room {
    struct osl_vk vk;
    struct osl_vk_device device;
    struct osl_vk_rig rig;
};

/* One tier; report->tier becomes the highest that passed, with all below it. */
static enum osl_status check_tier(struct check_room *room, uint32_t index, enum osl_vk_tier tier,
                                  const char *state_dir,
                                  void (*line)(void *user, const char *text, bool pass),
                                  void *user, struct osl_vulkan_report *report,
                                  bool *broken_out, struct osl_error *error)
{
    struct osl_vk_checked checked = {0};
    enum osl_status status =
        osl_vk_device_open(&room->vk, index, tier, state_dir, &room->device, error);
    if (status != OSL_OK) {
        return status;
    }
    if (osl_vulkan_tier(&room->device) == tier) { /* else the device has no such tier */
        status = osl_vulkan_self_test(&room->device, &room->rig, &widths_20b, line, user, &checked,
                                      error);
        if (status == OSL_OK && checked.failed == 0 && report->checks_failed == 0) {
            report->tier = tier;
            osl_vk_device_save_cache(&room->device, state_dir);
        }
    }
    osl_vk_device_close(&room->device);
    report->checks_passed += checked.passed;
    report->checks_failed += checked.failed;
    *broken_out |= checked.broken;
    if (status == OSL_OK && tier == OSL_VK_TIER_BASE && checked.failed > 0) {
        return osl_fail(error, OSL_DEVICE, "%.80s fails the self-test even at tier base: %u of %u "
                        "checks are wrong; update its driver",
                        report->facts.name, checked.failed, checked.failed + checked.passed);
    }
    return status;
}

/* As a boot would keep it, so that a boot of the 20b need not test again. */
static void keep(const struct osl_vulkan_report *report, enum osl_vk_tier tier_most,
                 const char *state_dir)
{
    uint8_t key[32];
    const struct osl_vk_verdict verdict = {report->tier, report->checks_passed,
                                           report->checks_failed};
    osl_vk_kept_key(&report->facts, tier_most, &widths_20b, key);
    osl_vk_kept_store(state_dir, &report->facts, key, &verdict);
}

enum osl_status osl_vulkan_check(const struct osl_vulkan_open *open, uint32_t device,
                                 enum osl_vk_tier tier_most, const char *state_dir,
                                 void (*line)(void *user, const char *text, bool pass), void *user,
                                 struct osl_vulkan_report *report_out, struct osl_error *error)
{
    void *memory = NULL;
    const struct osl_vk_open vk_open = {.entry = open->entry, .validation = open->validation};
    *report_out = (struct osl_vulkan_report){0};
    enum osl_status status = osl_memory_reserve(sizeof(struct check_room), false, &memory, error);
    if (status != OSL_OK) {
        return status;
    }
    struct check_room *room = memory;
    bool broken = false; /* by an error, which need not come again */
    uint64_t begin_ns = osl_clock_ns();
    status = osl_vk_open(&room->vk, &vk_open, error);
    if (status == OSL_OK) {
        osl_vulkan_play(&room->vk, open);
        if (device >= room->vk.device_count) {
            status = osl_fail(error, OSL_UNSUPPORTED, "there is no Vulkan device %u (%u found)",
                              device, room->vk.device_count);
        } else {
            report_out->facts = room->vk.facts[device];
        }
        for (uint32_t tier = 0; status == OSL_OK && tier <= tier_most; tier++) {
            status = check_tier(room, device, tier, state_dir, line, user, report_out, &broken,
                                error);
        }
        if (status == OSL_OK && !broken) {
            keep(report_out, tier_most, state_dir);
        }
        osl_vk_close(&room->vk);
    }
    report_out->checks_ns = osl_clock_ns() - begin_ns;
    osl_memory_release(memory, sizeof(struct check_room));
    return status;
}
