/* The workbench for single launches: see rig.h. Everything goes through staging buffers and waits,
 * so that what is tested is the launch and nothing else. */
#include "compute/vulkan/rig.h"

#include <math.h>
#include <string.h>

#define STAGING_BYTES (4u << 20)
#define TIMEOUT_NS 60000000000u /* software devices are slow, and so is validation */
#define AREA_ALIGNMENT 256u
#define VECTOR_ALIGNMENT 256u /* 64 floats */
#define NAN_WORD 0xffffffffu
#define ROPE_THETA 150000.0
#define ROPE_CONCENTRATION 1.25f

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

/* ---- Opening ----------------------------------------------------------------------------- */

static enum osl_status make_buffers(struct osl_vk_rig *rig, struct osl_error *error)
{
    const struct {
        struct osl_vk_buffer **out;
        enum osl_vk_memory kind;
        uint64_t bytes;
    } wanted[] = {
        {&rig->step, OSL_VK_MEMORY_DEVICE,
         round_up(sizeof(struct osl_gpu_step) + OSL_VK_RIG_TOKENS_MAX * 4, AREA_ALIGNMENT)},
        {&rig->act, OSL_VK_MEMORY_DEVICE, OSL_VK_RIG_ACT_BYTES},
        {&rig->vec, OSL_VK_MEMORY_DEVICE, OSL_VK_RIG_VEC_BYTES},
        {&rig->aux, OSL_VK_MEMORY_DEVICE, OSL_VK_RIG_AUX_BYTES},
        {&rig->weights, OSL_VK_MEMORY_DEVICE, OSL_VK_RIG_WEIGHT_BYTES},
        {&rig->up, OSL_VK_MEMORY_UPLOAD, STAGING_BYTES},
        {&rig->down, OSL_VK_MEMORY_READBACK, STAGING_BYTES},
    };
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        enum osl_status status =
            osl_vk_buffer_make(rig->device, wanted[i].kind, wanted[i].bytes, wanted[i].out, error);
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

enum osl_status osl_vk_rig_open(struct osl_vk_rig *rig, struct osl_vk_device *device,
                                struct osl_error *error)
{
    memset(rig, 0, sizeof *rig);
    rig->device = device;
    enum osl_status status = make_buffers(rig, error);
    if (status == OSL_OK) {
        status = osl_vk_transfer_open(&rig->transfer, device, error);
    }
    if (status == OSL_OK) {
        struct osl_vk_binding step = {.buffer = rig->step};
        status = osl_vk_recorder_open(&rig->recorder, device, &step, false, error);
    }
    if (status != OSL_OK) {
        osl_vk_rig_close(rig);
    }
    return status;
}

void osl_vk_rig_close(struct osl_vk_rig *rig)
{
    struct osl_vk_device *device = rig->device;
    if (device == NULL) {
        return; /* never opened */
    }
    osl_vk_recorder_close(&rig->recorder);
    osl_vk_transfer_close(&rig->transfer);
    struct osl_vk_buffer *const buffers[] = {rig->step,    rig->act, rig->vec, rig->aux,
                                             rig->weights, rig->up,  rig->down};
    for (uint32_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        osl_vk_buffer_free(device, buffers[i]);
    }
    memset(rig, 0, sizeof *rig);
}

/* ---- Moving bytes ------------------------------------------------------------------------ */

static enum osl_status copy_piece(struct osl_vk_rig *rig, const struct osl_vk_buffer *from,
                                  uint64_t from_offset, const struct osl_vk_buffer *to,
                                  uint64_t to_offset, uint64_t bytes, struct osl_error *error)
{
    enum osl_status status = osl_vk_transfer_begin(&rig->transfer, error);
    if (status != OSL_OK) {
        return status;
    }
    osl_vk_transfer_copy(&rig->transfer, from, from_offset, to, to_offset, bytes);
    return osl_vk_transfer_run(&rig->transfer, TIMEOUT_NS, error);
}

enum osl_status osl_vk_rig_write(struct osl_vk_rig *rig, const struct osl_vk_binding *to,
                                 uint64_t offset, const void *data, uint64_t bytes,
                                 struct osl_error *error)
{
    OSL_ASSERT(to->offset + offset + bytes <= to->buffer->bytes);
    for (uint64_t done = 0; done < bytes;) {
        uint64_t piece = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        memcpy(rig->up->mapped, (const uint8_t *)data + done, piece);
        osl_vk_flush(rig->device, rig->up);
        enum osl_status status =
            copy_piece(rig, rig->up, 0, to->buffer, to->offset + offset + done, piece, error);
        if (status != OSL_OK) {
            return status;
        }
        done += piece;
    }
    return OSL_OK;
}

enum osl_status osl_vk_rig_read(struct osl_vk_rig *rig, const struct osl_vk_binding *from,
                                uint64_t offset, void *data, uint64_t bytes,
                                struct osl_error *error)
{
    OSL_ASSERT(from->offset + offset + bytes <= from->buffer->bytes);
    for (uint64_t done = 0; done < bytes;) {
        uint64_t piece = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        enum osl_status status = copy_piece(rig, from->buffer, from->offset + offset + done,
                                            rig->down, 0, piece, error);
        if (status != OSL_OK) {
            return status;
        }
        osl_vk_invalidate(rig->device, rig->down);
        memcpy((uint8_t *)data + done, rig->down->mapped, piece);
        done += piece;
    }
    return OSL_OK;
}

enum osl_status osl_vk_rig_act_write(struct osl_vk_rig *rig, uint32_t offset, const float *data,
                                     uint32_t count, struct osl_error *error)
{
    return osl_vk_rig_write(rig, &rig->net.act, (uint64_t)offset * 4, data, (uint64_t)count * 4,
                            error);
}

enum osl_status osl_vk_rig_act_read(struct osl_vk_rig *rig, uint32_t offset, float *data,
                                    uint32_t count, struct osl_error *error)
{
    return osl_vk_rig_read(rig, &rig->net.act, (uint64_t)offset * 4, data, (uint64_t)count * 4,
                           error);
}

/* ---- Areas ------------------------------------------------------------------------------- */

static enum osl_status take(uint64_t *used, uint64_t bytes, uint64_t room, const char *what,
                            uint64_t *offset_out, struct osl_error *error)
{
    uint64_t offset = round_up(*used, AREA_ALIGNMENT);
    if (bytes > room || offset > room - bytes) {
        return osl_fail(error, OSL_MEMORY, "the Vulkan test rig has no room for %s of %llu bytes",
                        what, (unsigned long long)bytes);
    }
    *used = offset + bytes;
    *offset_out = offset;
    return OSL_OK;
}

enum osl_status osl_vk_rig_area(struct osl_vk_rig *rig, uint64_t bytes, struct osl_vk_binding *out,
                                struct osl_error *error)
{
    uint64_t offset = 0;
    uint64_t whole = round_up(bytes, AREA_ALIGNMENT);
    enum osl_status status =
        take(&rig->aux_used, whole, OSL_VK_RIG_AUX_BYTES, "an area", &offset, error);
    if (status == OSL_OK) {
        status = osl_vk_transfer_begin(&rig->transfer, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    osl_vk_transfer_fill(&rig->transfer, rig->aux, offset, whole, 0);
    *out = (struct osl_vk_binding){.buffer = rig->aux, .offset = offset, .bytes = whole};
    return osl_vk_transfer_run(&rig->transfer, TIMEOUT_NS, error);
}

enum osl_status osl_vk_rig_vector(struct osl_vk_rig *rig, const float *values, uint32_t count,
                                  struct osl_vk_vector *out, struct osl_error *error)
{
    uint64_t offset = 0;
    enum osl_status status = take(&rig->vec_used, round_up((uint64_t)count * 4, VECTOR_ALIGNMENT),
                                  OSL_VK_RIG_VEC_BYTES, "a vector", &offset, error);
    if (status != OSL_OK) {
        return status;
    }
    *out = (struct osl_vk_vector){.vec = {.buffer = rig->vec, .bytes = OSL_VK_RIG_VEC_BYTES},
                                  .offset = (uint32_t)(offset / 4)};
    return osl_vk_rig_write(rig, &out->vec, offset, values, (uint64_t)count * 4, error);
}

/* One slab's rows (or experts) re-laid in staging and copied; a matrix too large for the staging
 * buffer goes in pieces of rows, elements and scales apart. */
static enum osl_status write_matrix(struct osl_vk_rig *rig, enum osl_vk_layout layout,
                                    const uint8_t *file_rows, uint64_t file_row_bytes,
                                    uint32_t rows, uint32_t cols, const struct osl_vk_binding *to,
                                    uint64_t offset, struct osl_error *error)
{
    uint32_t piece_rows = rows;
    while (osl_vk_matrix_bytes(layout, piece_rows, cols) > STAGING_BYTES) {
        piece_rows = (piece_rows + 1) / 2;
    }
    uint64_t element_row = osl_vk_matrix_row_bytes(layout, cols);
    uint64_t scale_row = osl_vk_scale_row_bytes(layout, cols);
    uint64_t scales = osl_vk_scales_offset(layout, rows, cols);
    for (uint32_t first = 0; first < rows; first += piece_rows) {
        uint32_t count = rows - first < piece_rows ? rows - first : piece_rows;
        osl_vk_relayout(layout, file_rows + first * file_row_bytes, 0, count, count, cols,
                        rig->up->mapped);
        osl_vk_flush(rig->device, rig->up);
        enum osl_status status =
            copy_piece(rig, rig->up, 0, to->buffer, to->offset + offset + first * element_row,
                       count * element_row, error);
        if (status == OSL_OK && scale_row > 0) {
            status = copy_piece(rig, rig->up, osl_vk_scales_offset(layout, count, cols), to->buffer,
                                to->offset + offset + scales + first * scale_row,
                                count * scale_row, error);
        }
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

enum osl_status osl_vk_rig_matrix(struct osl_vk_rig *rig, const struct osl_weight *weight,
                                  uint64_t slab_bytes, struct osl_vk_matrix *out,
                                  struct osl_error *error)
{
    enum osl_vk_layout layout = osl_vk_layout_of(weight->dtype, rig->native);
    uint64_t most = slab_bytes != 0 ? slab_bytes : rig->device->facts->binding_bytes;
    if (!osl_vk_matrix_cut(layout, weight->rows, weight->cols, weight->experts, most, out)) {
        return osl_fail(error, OSL_UNSUPPORTED, "a weight cannot be cut into slabs of %llu bytes",
                        (unsigned long long)most);
    }
    const uint8_t *data = weight->data;
    bool by_expert = weight->experts > 1;
    uint32_t units = by_expert ? weight->experts : weight->rows;
    for (uint32_t s = 0; s < out->slab_count; s++) {
        uint64_t offset = 0;
        uint64_t bytes = osl_vk_slab_bytes(out, s);
        enum osl_status status = take(&rig->weights_used, bytes, OSL_VK_RIG_WEIGHT_BYTES,
                                      "a weight", &offset, error);
        out->slab[s] = (struct osl_vk_binding){
            .buffer = rig->weights, .offset = offset, .bytes = bytes};
        uint32_t first = s * out->per_slab;
        uint32_t count = units - first < out->per_slab ? units - first : out->per_slab;
        uint32_t matrices = by_expert ? count : 1;
        for (uint32_t m = 0; status == OSL_OK && m < matrices; m++) {
            const uint8_t *rows = by_expert ? data + (first + m) * weight->expert_bytes
                                            : data + first * weight->row_bytes;
            status = write_matrix(rig, layout, rows, weight->row_bytes,
                                  by_expert ? weight->rows : count, weight->cols, &out->slab[s],
                                  m * out->expert_bytes, error);
        }
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

enum osl_status osl_vk_rig_kv(struct osl_vk_rig *rig, uint32_t capacity, uint32_t window,
                              struct osl_vk_kv *out, struct osl_error *error)
{
    OSL_ASSERT(capacity % OSL_ATTEND_BLOCK == 0);
    const struct osl_shape *shape = &rig->net.shape;
    uint64_t bytes = (uint64_t)shape->kv_heads * capacity *
                     osl_kv_row_bytes(rig->net.kv_type, shape->head_dim);
    *out = (struct osl_vk_kv){.capacity = capacity, .window = window};
    enum osl_status status = osl_vk_rig_area(rig, bytes, &out->k, error);
    return status == OSL_OK ? osl_vk_rig_area(rig, bytes, &out->v, error) : status;
}

/* ---- Shapes ------------------------------------------------------------------------------ */

/* A float offset in ACT, a multiple of 64. */
static enum osl_status take_act(struct osl_vk_rig *rig, uint64_t floats, uint32_t *offset_out,
                                struct osl_error *error)
{
    uint64_t offset = 0;
    enum osl_status status =
        take(&rig->act_used, floats * 4, OSL_VK_RIG_ACT_BYTES, "activations", &offset, error);
    *offset_out = (uint32_t)(offset / 4);
    return status;
}

static enum osl_status place_activations(struct osl_vk_rig *rig, struct osl_error *error)
{
    struct osl_vk_net *net = &rig->net;
    const struct osl_shape *s = &net->shape;
    uint64_t tokens = net->limits.prefill_tokens;
    uint64_t chosen = tokens * s->experts_used;
    const struct {
        uint32_t *out;
        uint64_t floats;
    } wanted[] = {
        {&net->buffer[OSL_BUFFER_X], tokens * s->hidden},
        {&net->buffer[OSL_BUFFER_NORM], tokens * s->hidden},
        {&net->buffer[OSL_BUFFER_QKV], tokens * (s->heads + 2 * s->kv_heads) * s->head_dim},
        {&net->buffer[OSL_BUFFER_ATTN], tokens * s->heads * s->head_dim},
        {&net->buffer[OSL_BUFFER_ROUTER], tokens * s->experts},
        {&net->buffer[OSL_BUFFER_EXPERT_H], chosen * s->ff},
        {&net->buffer[OSL_BUFFER_EXPERT_Y], chosen * s->hidden},
        {&net->buffer[OSL_BUFFER_LOGITS], (uint64_t)net->limits.logits_rows * s->vocab},
        {&net->parts, osl_vk_parts_floats(s, net->limits.context_tokens)},
        {&net->routes, chosen * 2},
        {&net->groups, osl_vk_groups_words(s, net->limits.prefill_tokens)},
        {&net->counters, OSL_GPU_COUNTERS},
    };
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        enum osl_status status = take_act(rig, wanted[i].floats, wanted[i].out, error);
        if (status != OSL_OK) {
            return status;
        }
    }
    return OSL_OK;
}

static enum osl_status poison_activations(struct osl_vk_rig *rig, struct osl_error *error)
{
    enum osl_status status = osl_vk_transfer_begin(&rig->transfer, error);
    if (status != OSL_OK) {
        return status;
    }
    osl_vk_transfer_fill(&rig->transfer, rig->act, 0, OSL_VK_RIG_ACT_BYTES, NAN_WORD);
    osl_vk_command_barrier(rig->device, rig->transfer.command);
    osl_vk_transfer_fill(&rig->transfer, rig->act, (uint64_t)rig->net.counters * 4,
                         OSL_GPU_COUNTERS * 4, 0);
    return osl_vk_transfer_run(&rig->transfer, TIMEOUT_NS, error);
}

static enum osl_status place_aux(struct osl_vk_rig *rig, struct osl_error *error)
{
    const struct osl_shape *s = &rig->net.shape;
    uint32_t half = s->head_dim / 2;
    for (uint32_t i = 0; i < half; i++) {
        rig->rope[i] = (float)pow(ROPE_THETA, -2.0 * (double)i / (double)s->head_dim);
    }
    rig->rope[half] = ROPE_CONCENTRATION;
    uint32_t words[OSL_VK_ROPE_WORDS(OSL_HEAD_DIM_MAX)];
    uint64_t rope_bytes = OSL_VK_ROPE_WORDS(s->head_dim) * sizeof words[0];
    osl_vk_rope_fill(words, s->head_dim, rig->rope, rig->rope[half]);
    enum osl_status status = osl_vk_rig_area(rig, rope_bytes, &rig->net.rope, error);
    if (status == OSL_OK) {
        status = osl_vk_rig_write(rig, &rig->net.rope, 0, words, rope_bytes, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_area(rig, (uint64_t)s->vocab * 4, &rig->pick.seen, error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_area(rig, ((uint64_t)s->vocab + 31) / 32 * 4, &rig->pick.allowed,
                                 error);
    }
    if (status == OSL_OK) {
        status = osl_vk_rig_area(rig, sizeof(struct osl_gpu_pick_result), &rig->pick.result, error);
    }
    if (status == OSL_OK) {
        status =
            osl_vk_rig_area(rig, sizeof(struct osl_gpu_pick_scratch), &rig->pick.scratch, error);
    }
    return status;
}

enum osl_status osl_vk_rig_shape(struct osl_vk_rig *rig, const struct osl_shape *shape,
                                 enum osl_kv_type kv_type, uint32_t prefill_tokens,
                                 uint32_t logits_rows, uint32_t context_tokens,
                                 struct osl_error *error)
{
    OSL_ASSERT(prefill_tokens <= OSL_VK_RIG_TOKENS_MAX);
    rig->act_used = rig->vec_used = rig->aux_used = rig->weights_used = 0;
    rig->net = (struct osl_vk_net){
        .device = rig->device,
        .shape = *shape,
        .kv_type = kv_type,
        .limits = {.prefill_tokens = prefill_tokens,
                   .logits_rows = logits_rows,
                   .context_tokens = context_tokens},
        .step = {.buffer = rig->step, .bytes = rig->step->bytes},
        .act = {.buffer = rig->act, .bytes = OSL_VK_RIG_ACT_BYTES},
    };
    enum osl_status status = place_activations(rig, error);
    if (status == OSL_OK) {
        status = poison_activations(rig, error);
    }
    return status == OSL_OK ? place_aux(rig, error) : status;
}

/* ---- Running ----------------------------------------------------------------------------- */

enum osl_status osl_vk_rig_begin(struct osl_vk_rig *rig, struct osl_error *error)
{
    osl_vk_recorder_forget(&rig->recorder);
    return osl_vk_record_begin(&rig->recorder, error);
}

enum osl_status osl_vk_rig_rerun(struct osl_vk_rig *rig, const struct osl_step *step,
                                 struct osl_error *error)
{
    struct osl_gpu_step *host = &rig->step_host;
    struct osl_vk_step_sizes sizes = {.token_count = step->token_count,
                                      .position_first = step->position_first,
                                      .logits_row_count = step->logits_row_count,
                                      .experts_used = rig->net.shape.experts_used,
                                      .experts = rig->net.shape.experts};
    OSL_ASSERT(step->token_count <= OSL_VK_RIG_TOKENS_MAX);
    host->token_count = step->token_count;
    host->position_first = step->position_first;
    host->logits_row_first = step->logits_row_first;
    host->logits_row_count = step->logits_row_count;
    osl_vk_slots_fill(&rig->recorder, &sizes, host->slot);
    enum osl_status status = osl_vk_rig_write(rig, &rig->net.step, 0, host, sizeof *host, error);
    if (status == OSL_OK && step->tokens != NULL) {
        status = osl_vk_rig_write(rig, &rig->net.step, sizeof *host, step->tokens,
                                  (uint64_t)step->token_count * 4, error);
    }
    if (status != OSL_OK) {
        return status;
    }
    return osl_vk_submit_wait(rig->device, rig->transfer.fence, &rig->launches, 1, TIMEOUT_NS,
                              error);
}

enum osl_status osl_vk_rig_run(struct osl_vk_rig *rig, const struct osl_step *step,
                               struct osl_error *error)
{
    enum osl_status status = osl_vk_record_end(&rig->recorder, &rig->launches, error);
    return status == OSL_OK ? osl_vk_rig_rerun(rig, step, error) : status;
}
