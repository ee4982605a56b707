/* Making the backend, making it anew after the device was lost, and ending it. */
#include <string.h>

#include "compute/vulkan/executor.h"

#define NAN_WORD 0xffffffffu

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

uint64_t osl_vulkan_bytes(void)
{
    return round_up(sizeof(struct osl_vulkan), 64);
}

void osl_vulkan_play(struct osl_vk *vk, const struct osl_vulkan_open *open)
{
    for (uint32_t d = 0; open->as_card && d < vk->device_count; d++) {
        if (vk->facts[d].type == OSL_VK_SOFTWARE) {
            vk->facts[d].type = OSL_VK_DISCRETE;
        }
    }
}

enum osl_status osl_vulkan_list(const struct osl_vulkan_open *open,
                                struct osl_vk_facts *facts_out, uint32_t *count_out,
                                struct osl_error *error)
{
    struct osl_vk vk;
    const struct osl_vk_open vk_open = {.entry = open->entry, .validation = open->validation};
    *count_out = 0;
    enum osl_status status = osl_vk_open(&vk, &vk_open, error);
    if (status != OSL_OK) {
        return status;
    }
    osl_vulkan_play(&vk, open);
    memcpy(facts_out, vk.facts, vk.device_count * sizeof facts_out[0]);
    *count_out = vk.device_count;
    osl_vk_close(&vk);
    return OSL_OK;
}

/* ---- Ending ------------------------------------------------------------------------------ */

/* Everything on the device, in whatever state boot left it; what is lost is destroyed too. */
static void close_device(struct osl_vulkan *v)
{
    if (v->device_opened) {
        osl_vk_device_settle(&v->device);
        if (v->recorder_opened) {
            osl_vk_recorder_close(&v->recorder);
        }
        osl_vk_transfer_close(&v->transfer[0]);
        osl_vk_transfer_close(&v->transfer[1]);
        osl_vulkan_flight_close(v);
        osl_vk_device_close(&v->device);
    }
    if (v->opened) {
        osl_vk_close(&v->vk);
    }
    v->recorder_opened = v->device_opened = v->opened = false;
}

static void vulkan_close(struct osl_backend *backend)
{
    close_device(osl_vulkan_own(backend));
}

/* ---- Making ------------------------------------------------------------------------------ */

static enum osl_status open_library(struct osl_vulkan *v, struct osl_error *error)
{
    const struct osl_vk_open open = {.entry = v->config.open.entry,
                                     .validation = v->config.open.validation};
    enum osl_status status = osl_vk_open(&v->vk, &open, error);
    if (status != OSL_OK) {
        return status;
    }
    v->opened = true;
    osl_vulkan_play(&v->vk, &v->config.open);
    if (v->config.device >= v->vk.device_count) {
        return osl_fail(error, OSL_UNSUPPORTED, "there is no Vulkan device %u (%u found)",
                        v->config.device, v->vk.device_count);
    }
    return OSL_OK;
}

static enum osl_status open_device(struct osl_vulkan *v, struct osl_error *error)
{
    enum osl_status status = v->opened ? OSL_OK : open_library(v, error);
    if (status == OSL_OK) {
        status = osl_vk_device_open(&v->vk, v->config.device, v->tier, v->config.state_dir,
                                    &v->device, error);
        v->device_opened = status == OSL_OK;
    }
    return status;
}

static enum osl_status fail_base(const struct osl_vulkan *v, struct osl_error *error)
{
    return osl_fail(error, OSL_DEVICE,
                    "%.100s: gives wrong results even with what every driver must do right (%u of "
                    "%u checks failed); update the driver, or use --device cpu",
                    v->device.facts->name, v->report.checks_failed,
                    v->report.checks_failed + v->report.checks_passed);
}

/* Opens the device and checks it, from the tier asked for downward, until all is right. broken_out:
 * a check failed by an error and not by its numbers, which need not be so next time. */
static enum osl_status step_down(struct osl_vulkan *v, const struct osl_vk_check_case *c,
                                 bool *broken_out, struct osl_error *error)
{
    uint64_t begin_ns = osl_clock_ns();
    for (;;) {
        struct osl_vk_checked checked = {0};
        enum osl_status status = open_device(v, error);
        if (status == OSL_OK) {
            status = osl_vulkan_self_test(&v->device, &v->rig, c, NULL, NULL, &checked, error);
        }
        v->report.checks_passed += checked.passed;
        v->report.checks_failed += checked.failed;
        v->report.checks_ns = osl_clock_ns() - begin_ns;
        *broken_out |= checked.broken;
        if (status != OSL_OK || checked.failed == 0) {
            return status;
        }
        v->tier = osl_vulkan_tier(&v->device);
        if (v->tier == OSL_VK_TIER_BASE) {
            return checked.broken ? OSL_DEVICE : fail_base(v, error);
        }
        osl_log(OSL_LOG_WARN, "vulkan: %.80s fails the self-test at tier %s, goes on at %s",
                v->device.facts->name, osl_vk_tier_name(v->tier),
                osl_vk_tier_name(v->tier - 1));
        close_device(v);
        v->tier--;
    }
}

/* The device at the highest tier that the self-test does not find wrong: by what an earlier boot
 * found, or by running it. */
static enum osl_status open_checked(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_verdict verdict = {0};
    uint8_t key[32];
    enum osl_status status = open_library(v, error);
    if (status != OSL_OK) {
        return status;
    }
    const struct osl_vk_facts *facts = &v->vk.facts[v->config.device];
    struct osl_vk_check_case c = osl_vulkan_check_case(v->config.schedule, &v->config.limits);
    c.native = v->config.limits.import_weights && facts->import && facts->unified;
    osl_vk_kept_key(facts, v->config.tier_most, &c, key);
    v->tier = v->config.tier_most;
    if (osl_vk_kept_find(v->config.state_dir, facts, key, &verdict)) {
        v->report.checks_kept = true;
        v->report.checks_passed = verdict.passed;
        v->report.checks_failed = verdict.failed;
        v->tier = verdict.tier;
        return open_device(v, error);
    }
    bool broken = false;
    status = step_down(v, &c, &broken, error);
    if (status == OSL_OK && !broken) {
        verdict = (struct osl_vk_verdict){v->tier, v->report.checks_passed,
                                          v->report.checks_failed};
        osl_vk_kept_store(v->config.state_dir, facts, key, &verdict);
    }
    return status;
}

static enum osl_status make_areas(struct osl_vulkan *v, struct osl_vk_areas *areas,
                                  struct osl_error *error)
{
    for (uint32_t i = 0; i < areas->count; i++) {
        struct osl_vk_buffer *buffer = NULL;
        enum osl_status status = osl_vk_buffer_make(&v->device, OSL_VK_MEMORY_DEVICE,
                                                    areas->bytes[i], &buffer, error);
        if (status != OSL_OK) {
            return status;
        }
        areas->buffer[i] = buffer;
        v->report.device_bytes += areas->bytes[i];
    }
    return OSL_OK;
}

/* Memory that is taken where it lies. UNSUPPORTED: the driver does not take it. */
static enum osl_status import_weights(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_imports *imports = &v->places.imports;
    for (uint32_t i = 0; i < imports->count; i++) {
        struct osl_vk_buffer *buffer = NULL;
        enum osl_status status =
            osl_vk_buffer_import(&v->device, (void *)imports->part[i].first,
                                 imports->part[i].bytes, &buffer, error);
        if (status != OSL_OK) {
            return status;
        }
        imports->part[i].buffer = buffer;
    }
    return OSL_OK;
}

static enum osl_status make_buffers(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_places *p = &v->places;
    enum osl_status status = import_weights(v, error);
    if (status == OSL_OK) {
        status = make_areas(v, &p->weights, error);
    }
    if (status == OSL_OK) {
        status = make_areas(v, &p->cache, error);
    }
    const struct {
        struct osl_vk_buffer **out;
        enum osl_vk_memory kind;
        uint64_t bytes;
    } wanted[] = {
        {&v->act, OSL_VK_MEMORY_DEVICE, p->act.bytes},
        {&v->step, OSL_VK_MEMORY_DEVICE, p->step_bytes},
        {&v->aux, OSL_VK_MEMORY_DEVICE, p->aux_bytes},
        {&v->marks, OSL_VK_MEMORY_DEVICE, p->marks_bytes},
        {&v->embedding, OSL_VK_MEMORY_HOST, p->embedding_bytes},
        {&v->up, OSL_VK_MEMORY_UPLOAD, p->up_bytes},
        {&v->down, OSL_VK_MEMORY_READBACK, p->down_bytes},
    };
    for (uint32_t i = 0; status == OSL_OK && i < sizeof wanted / sizeof wanted[0]; i++) {
        if (wanted[i].bytes > 0) {
            status = osl_vk_buffer_make(&v->device, wanted[i].kind, wanted[i].bytes, wanted[i].out,
                                        error);
            v->report.device_bytes += wanted[i].bytes;
        }
    }
    return status;
}

static void bind_net(struct osl_vulkan *v)
{
    const struct osl_schedule *schedule = v->config.schedule;
    const struct osl_vk_places *p = &v->places;
    const struct osl_vk_act *act = &p->act;
    uint64_t vocab = schedule->shape.vocab;
    v->net = (struct osl_vk_net){
        .device = &v->device,
        .shape = schedule->shape,
        .kv_type = schedule->kv_type,
        .limits = {p->limits.prefill_tokens, p->limits.logits_rows, p->limits.context_tokens},
        .step = {.buffer = v->step, .bytes = p->step_bytes},
        .act = {.buffer = v->act, .bytes = act->bytes},
        .parts = act->parts,
        .routes = act->routes,
        .groups = act->groups,
        .counters = act->counters,
    };
    memcpy(v->net.buffer, act->buffer, sizeof v->net.buffer);
    const uint64_t bytes[] = {OSL_VK_ROPE_WORDS(schedule->shape.head_dim) * 4, vocab * 4,
                              (vocab + 31) / 32 * 4, sizeof(struct osl_gpu_pick_scratch)};
    struct osl_vk_binding *const out[] = {&v->net.rope, &v->pick.seen, &v->pick.allowed,
                                          &v->pick.scratch};
    uint64_t at = 0;
    for (uint32_t i = 0; i < 4; i++) {
        *out[i] = (struct osl_vk_binding){.buffer = v->aux, .offset = at, .bytes = bytes[i]};
        at += round_up(bytes[i], 256);
    }
    v->result_offset = p->down_bytes - round_up(sizeof(struct osl_gpu_pick_result), 256);
    v->pick.result = (struct osl_vk_binding){.buffer = v->down,
                                             .offset = v->result_offset,
                                             .bytes = sizeof(struct osl_gpu_pick_result)};
    v->up_parts = osl_vk_up_parts(v->device.facts, p, schedule->shape.vocab);
    osl_vk_bind(v->device.facts, schedule, p, v->embedding, v->bound, v->kv);
}

/* What must not be garbage: counters, pick's memory, and the cache, whose rows past the last one
 * may be loaded, though not used. With validation, that is in tests, activations and the cache
 * begin as NaN, so that using one shows. */
static enum osl_status fill_buffers(struct osl_vulkan *v, struct osl_error *error)
{
    struct osl_vk_transfer *transfer = &v->transfer[0];
    uint32_t word = v->config.open.validation ? NAN_WORD : 0;
    uint64_t timeout = osl_vulkan_watchdog_ns(v);
    enum osl_status status = osl_vk_transfer_begin(transfer, error);
    if (status != OSL_OK) {
        return status;
    }
    for (uint32_t i = 0; i < v->places.cache.count; i++) {
        osl_vk_transfer_fill(transfer, v->places.cache.buffer[i], 0, v->places.cache.bytes[i],
                             word);
    }
    osl_vk_transfer_fill(transfer, v->act, 0, v->act->bytes, word);
    osl_vk_transfer_fill(transfer, v->aux, 0, v->aux->bytes, 0);
    osl_vk_transfer_fill(transfer, v->step, 0, v->step->bytes, 0);
    if ((status = osl_vk_transfer_run(transfer, timeout, error)) != OSL_OK ||
        (status = osl_vk_transfer_begin(transfer, error)) != OSL_OK) {
        return status;
    }
    uint32_t words[OSL_VK_ROPE_WORDS(OSL_HEAD_DIM_MAX)];
    uint32_t head_dim = v->net.shape.head_dim;
    osl_vk_rope_fill(words, head_dim, v->config.schedule->rope_inverse_frequency,
                     v->config.schedule->rope_concentration);
    memset(v->up->mapped, 0, v->up_parts.piece);
    memcpy(v->up->mapped + v->up_parts.piece, words, OSL_VK_ROPE_WORDS(head_dim) * 4);
    osl_vk_flush(&v->device, v->up);
    osl_vk_transfer_copy(transfer, v->up, v->up_parts.piece, v->aux, v->net.rope.offset,
                         OSL_VK_ROPE_WORDS(head_dim) * 4);
    osl_vk_transfer_fill(transfer, v->act, (uint64_t)v->net.counters * 4, OSL_GPU_COUNTERS * 4, 0);
    return osl_vk_transfer_run(transfer, timeout, error);
}

static void count_weights(struct osl_vulkan *v)
{
    const struct osl_schedule *schedule = v->config.schedule;
    v->dense_bytes = v->expert_bytes = v->output_bytes = v->row_bytes = 0;
    for (uint32_t i = 0; i < schedule->op_count; i++) {
        const struct osl_op *op = &schedule->ops[i];
        if (op->kind == OSL_OP_EMBED) {
            v->row_bytes = op->weight[0]->row_bytes;
        }
        for (uint32_t w = 0; w < op->weight_count; w++) {
            const struct osl_weight *weight = op->weight[w];
            uint64_t bytes = weight->rows * weight->row_bytes;
            if (op->kind == OSL_OP_LOGITS) {
                v->output_bytes += bytes;
            } else if (weight->experts > 1) {
                v->expert_bytes += bytes;
            } else {
                v->dense_bytes += bytes;
            }
        }
    }
    uint64_t layer = v->dense_bytes + v->expert_bytes * schedule->shape.experts_used;
    uint64_t logits = v->output_bytes * schedule->shape.layers / (layer == 0 ? 1 : layer);
    v->pace.logits = logits < 1 ? 1 : logits > 1000 ? 1000 : (uint32_t)logits;
}

/* All but opening: on a device that is open and was found right. */
static enum osl_status make_all(struct osl_vulkan *v, struct osl_error *error)
{
    enum osl_status status;
    v->report.facts = *v->device.facts;
    v->report.tier = osl_vulkan_tier(&v->device);
    v->report.device_bytes = 0;
    memset(&v->pace, 0, sizeof v->pace);
    v->ahead.active = false;
    memset(v->bound, 0, sizeof v->bound); /* the self-test's rig was here */
    memset(&v->recorder, 0, sizeof v->recorder);
    if ((status = osl_vk_place(v->device.facts, v->config.schedule, &v->config.limits, &v->places,
                               error)) != OSL_OK ||
        (status = make_buffers(v, error)) != OSL_OK ||
        (status = osl_vulkan_flight_open(v, error)) != OSL_OK ||
        (status = osl_vk_transfer_open(&v->transfer[0], &v->device, error)) != OSL_OK ||
        (status = osl_vk_transfer_open(&v->transfer[1], &v->device, error)) != OSL_OK) {
        return status;
    }
    bind_net(v);
    count_weights(v);
    if ((status = fill_buffers(v, error)) != OSL_OK ||
        (status = osl_vulkan_upload(v, error)) != OSL_OK ||
        (status = osl_vk_recorder_open(&v->recorder, &v->device, &v->net.step, v->config.profile,
                                       error)) != OSL_OK) {
        return status;
    }
    v->recorder_opened = true;
    status = osl_vulkan_record_all(v, error);
    if (status == OSL_OK) {
        osl_vk_device_save_cache(&v->device, v->config.state_dir);
    }
    return status;
}

/* The cache is lost with the device, and so is what was under way. */
static enum osl_status vulkan_restart(struct osl_backend *backend, struct osl_error *error)
{
    struct osl_vulkan *v = osl_vulkan_own(backend);
    close_device(v);
    enum osl_status status = open_device(v, error);
    if (status == OSL_OK) {
        status = make_all(v, error);
    }
    v->lost = status != OSL_OK;
    if (status != OSL_OK) {
        close_device(v);
    }
    v->report.restarts++;
    return status;
}

static const struct osl_backend_ops vulkan_ops = {
    .name = "vulkan",
    .run = osl_vulkan_run,
    .logits = osl_vulkan_logits,
    .cache_read = osl_vulkan_cache_read,
    .cache_write = osl_vulkan_cache_write,
    .mark = osl_vulkan_mark,
    .ahead_most = osl_vulkan_ahead_most,
    .ahead = osl_vulkan_ahead,
    .take = osl_vulkan_take,
    .drop = osl_vulkan_drop,
    .candidates = osl_vulkan_candidates,
    .restart = vulkan_restart,
    .weight_bytes = osl_vulkan_weight_bytes,
    .bandwidth = osl_vulkan_bandwidth,
    .times = osl_vulkan_times,
    .close = vulkan_close,
};

enum osl_status osl_vulkan_boot(void *memory, uint64_t bytes,
                                const struct osl_vulkan_config *config, struct osl_backend **out,
                                struct osl_error *error)
{
    *out = NULL;
    if (memory == NULL || (uintptr_t)memory % 64 != 0 || bytes < osl_vulkan_bytes()) {
        return osl_fail(error, OSL_MEMORY, "the Vulkan backend needs %llu bytes, aligned to 64",
                        (unsigned long long)osl_vulkan_bytes());
    }
    enum osl_status status = osl_vulkan_check_schedule(config->schedule, error);
    if (status != OSL_OK) {
        return status;
    }
    struct osl_vulkan *v = memory;
    memset(v, 0, sizeof *v);
    v->face.ops = &vulkan_ops;
    v->config = *config;
    status = open_checked(v, error);
    if (status == OSL_OK) {
        status = make_all(v, error);
    }
    if (status == OSL_UNSUPPORTED && v->config.limits.import_weights) {
        osl_log(OSL_LOG_INFO, "vulkan: weights are copied: %.180s", error->text);
        close_device(v);
        v->config.limits.import_weights = false; /* other layouts, so checked again */
        status = open_checked(v, error);
        status = status == OSL_OK ? make_all(v, error) : status;
    }
    if (status != OSL_OK) {
        v->lost = status == OSL_DEVICE;
        close_device(v);
        return status;
    }
    *out = &v->face;
    return OSL_OK;
}

void osl_vulkan_report(const struct osl_backend *backend, struct osl_vulkan_report *out)
{
    *out = ((const struct osl_vulkan *)(const void *)backend)->report;
}

enum osl_vk_tier osl_vulkan_tier(const struct osl_vk_device *device)
{
    return device->matrix     ? OSL_VK_TIER_MATRIX
           : device->dot      ? OSL_VK_TIER_DOT
           : device->fp16     ? OSL_VK_TIER_FP16
           : device->subgroup ? OSL_VK_TIER_SUBGROUP
                              : OSL_VK_TIER_BASE;
}
