/* Decode launches of dense weights: q, k and v, attention's output, logits. */
#include "compute/vulkan/matvec.h"

#define PARTS_AT_ONCE 3u

/* ---- Dense weights ------------------------------------------------------------------------- */

/* A slab of a dense weight, and where its rows go. */
struct part {
    enum osl_vk_layout layout;
    uint32_t rows;
    struct osl_vk_binding weight;
    uint32_t bias, y;
};
#define PARTS_MAX (3 * OSL_VK_SLABS_MAX * 4)

struct dense {
    const char *name;
    uint32_t cols, x;
    const struct osl_vk_vector *gain; /* NULL: no norm */
    struct osl_vk_binding vec;
    bool add, step_row;
    struct osl_vk_wish wish;
    struct part parts[PARTS_MAX];
    uint32_t part_count;
};

static void add_parts(struct dense *d, const struct osl_vk_matrix *weight,
                      const struct osl_vk_vector *bias, uint32_t y)
{
    OSL_ASSERT(weight->cols == d->cols && weight->experts <= 1);
    uint32_t offset = osl_vk_bias_offset(bias);
    for (uint32_t s = 0; s < weight->slab_count; s++) {
        uint32_t first = s * weight->per_slab;
        uint32_t left = weight->rows - first;
        OSL_ASSERT(d->part_count < PARTS_MAX);
        d->parts[d->part_count++] = (struct part){
            .layout = weight->layout,
            .rows = left < weight->per_slab ? left : weight->per_slab,
            .weight = weight->slab[s],
            .bias = offset == OSL_GPU_NONE ? OSL_GPU_NONE : offset + first,
            .y = y + first,
        };
    }
}

static struct osl_vk_wish part_wish(const struct dense *d, uint32_t first, uint32_t count)
{
    struct osl_vk_wish wish = d->wish;
    wish.layout = d->parts[first].layout;
    wish.cols = d->cols;
    wish.vectors = 1;
    wish.norm = d->gain != NULL;
    for (uint32_t i = 0; i < count; i++) {
        wish.rows += d->parts[first + i].rows;
    }
    return wish;
}

/* One dispatch of up to three parts of one layout. */
static enum osl_status record_parts(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                    const struct dense *d, uint32_t first, uint32_t count,
                                    struct osl_error *error)
{
    struct osl_vk_wish wish = part_wish(d, first, count);
    struct osl_vk_choice c;
    bool fits = osl_vk_matvec_choose(net->device, &wish, &c);
    OSL_ASSERT(fits);
    c.spec[OSL_SPEC_ADD] = d->add;
    c.spec[OSL_SPEC_WEIGHTS] = count > 1 ? PARTS_AT_ONCE : 1;
    c.spec[OSL_SPEC_STEP_ROW] = d->step_row;
    struct osl_gpu_matvec push = {.x = d->x,
                                  .gain = d->gain == NULL ? 0 : d->gain->offset,
                                  .eps = net->shape.rms_eps,
                                  .group_rows = c.group_rows};
    struct osl_vk_dispatch dispatch = {
        .bind = {[0] = net->step, [1] = net->act, [OSL_VK_BIND_VEC] = d->vec},
        .push = &push,
        .push_bytes = sizeof push,
        .groups = {.rule = OSL_VK_FIXED, .y = 1, .z = 1},
        .barrier = true, /* a second one is rare, and would only be told apart by its range */
        .name = d->name,
    };
    bool addressed = true;
    for (uint32_t i = 0; i < PARTS_AT_ONCE; i++) {
        push.group_first[i] = dispatch.groups.x;
        if (i < count) {
            const struct part *part = &d->parts[first + i];
            push.rows[i] = part->rows;
            push.scales[i] = (uint32_t)osl_vk_scales_offset(part->layout, part->rows, d->cols);
            push.bias[i] = part->bias;
            push.y[i] = part->y;
            dispatch.bind[OSL_VK_BIND_WEIGHTS + i] = part->weight;
            uint64_t address = part->weight.buffer->address + part->weight.offset;
            addressed = addressed && part->weight.buffer->address != 0;
            push.address[2 * i] = (uint32_t)address;
            push.address[2 * i + 1] = (uint32_t)(address >> 32);
            dispatch.groups.x += (part->rows + c.group_rows - 1) / c.group_rows;
        }
    }
    if (c.spec[OSL_SPEC_SPREAD] && addressed) {
        c.tier = "_address";
    }
    enum osl_status status = osl_vk_matvec_pipeline(net, "matvec", &c, &dispatch.pipeline, error);
    return status == OSL_OK ? osl_vk_record(r, &dispatch, error) : status;
}

static enum osl_status record_dense(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                    const struct dense *d, struct osl_error *error)
{
    enum osl_status status = OSL_OK;
    for (uint32_t first = 0, count; status == OSL_OK && first < d->part_count; first += count) {
        count = 1;
        while (count < PARTS_AT_ONCE && first + count < d->part_count &&
               d->parts[first + count].layout == d->parts[first].layout) {
            count++;
        }
        status = record_parts(r, net, d, first, count, error);
    }
    return status;
}

/* Whether each workgroup can normalise the vector for itself. */
static bool can_norm(const struct osl_vk_net *net, const struct dense *d)
{
    for (uint32_t i = 0; i < d->part_count; i++) {
        struct osl_vk_wish wish = part_wish(d, i, 1);
        struct osl_vk_choice c;
        if (!osl_vk_matvec_choose(net->device, &wish, &c)) {
            return false;
        }
    }
    return true;
}

enum osl_status osl_vk_qkv(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                           const struct osl_vk_vector *gain, const struct osl_vk_matrix weight[3],
                           const struct osl_vk_vector bias[3], struct osl_error *error)
{
    struct dense d = {
        .name = "qkv",
        .cols = net->shape.hidden,
        .x = net->buffer[OSL_BUFFER_X],
        .gain = gain,
        .vec = gain->vec,
        .wish = {.rows_at_once = 2, .group = 256, .rounds = 1},
    };
    uint32_t y = net->buffer[OSL_BUFFER_QKV];
    for (uint32_t w = 0; w < 3; w++) {
        add_parts(&d, &weight[w], &bias[w], y);
        y += weight[w].rows;
    }
    if (!can_norm(net, &d)) {
        enum osl_status status = osl_vk_rmsnorm(r, net, gain, error);
        if (status != OSL_OK) {
            return status;
        }
        d.gain = NULL;
        d.x = net->buffer[OSL_BUFFER_NORM];
    }
    return record_dense(r, net, &d, error);
}

enum osl_status osl_vk_attn_out(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                                const struct osl_vk_matrix *weight,
                                const struct osl_vk_vector *bias, struct osl_error *error)
{
    struct dense d = {
        .name = "attention out",
        .cols = net->shape.heads * net->shape.head_dim,
        .x = net->buffer[OSL_BUFFER_ATTN],
        .vec = bias->vec,
        .add = true,
        .wish = {.rows_at_once = 2, .group = 128, .rounds = 1},
    };
    add_parts(&d, weight, bias, net->buffer[OSL_BUFFER_X]);
    return record_dense(r, net, &d, error);
}

enum osl_status osl_vk_logits(struct osl_vk_recorder *r, const struct osl_vk_net *net,
                              const struct osl_vk_vector *gain, const struct osl_vk_matrix *weight,
                              struct osl_error *error)
{
    struct dense d = {
        .name = "logits",
        .cols = net->shape.hidden,
        .x = net->buffer[OSL_BUFFER_X],
        .gain = gain,
        .vec = gain->vec,
        .step_row = true,
        .wish = {.rows_at_once = 4, .group = 256, .rounds = 4},
    };
    add_parts(&d, weight, NULL, net->buffer[OSL_BUFFER_LOGITS]);
    if (!can_norm(net, &d)) {
        enum osl_status status = osl_vk_norm_logits_rows(r, net, gain, error);
        if (status != OSL_OK) {
            return status;
        }
        d.gain = NULL;
        d.step_row = false;
        d.x = net->buffer[OSL_BUFFER_NORM];
    }
    return record_dense(r, net, &d, error);
}
