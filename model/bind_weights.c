/* The weight table: every tensor of the file goes to its place by name, with dtype and shape
 * checked; nothing is left over and nothing is missing.
 * Names and shapes: shared formats note, section 6.3. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bind.h"

/* A dimension of the model; ONE for the rows of a vector. */
enum dim { ONE, HIDDEN, FF, Q_ROWS, KV_ROWS, HEADS, EXPERTS, VOCAB, DIM_COUNT };

/* What a weight may be stored as. Vectors stay exact: they are small and added to everything. */
enum kind { VECTOR, DENSE, EXPERT };

struct weight_row {
    const char *name; /* of a layer's weight: after "blk.N." */
    size_t offset;    /* in struct osl_layer_weights or osl_model_weights */
    enum kind kind;
    uint8_t rank;
    enum dim dims[3]; /* innermost first, as stored */
};

#define LAYER(field) offsetof(struct osl_layer_weights, field)
static const struct weight_row layer_rows[] = {
    {"attn_norm.weight", LAYER(attn_norm), VECTOR, 1, {HIDDEN}},
    {"attn_q.weight", LAYER(q), DENSE, 2, {HIDDEN, Q_ROWS}},
    {"attn_q.bias", LAYER(q_bias), VECTOR, 1, {Q_ROWS}},
    {"attn_k.weight", LAYER(k), DENSE, 2, {HIDDEN, KV_ROWS}},
    {"attn_k.bias", LAYER(k_bias), VECTOR, 1, {KV_ROWS}},
    {"attn_v.weight", LAYER(v), DENSE, 2, {HIDDEN, KV_ROWS}},
    {"attn_v.bias", LAYER(v_bias), VECTOR, 1, {KV_ROWS}},
    {"attn_output.weight", LAYER(attn_out), DENSE, 2, {Q_ROWS, HIDDEN}},
    {"attn_output.bias", LAYER(attn_out_bias), VECTOR, 1, {HIDDEN}},
    {"attn_sinks.weight", LAYER(sinks), VECTOR, 1, {HEADS}},
    {"post_attention_norm.weight", LAYER(mlp_norm), VECTOR, 1, {HIDDEN}},
    {"ffn_gate_inp.weight", LAYER(router), DENSE, 2, {HIDDEN, EXPERTS}},
    {"ffn_gate_inp.bias", LAYER(router_bias), VECTOR, 1, {EXPERTS}},
    {"ffn_gate_exps.weight", LAYER(gate), EXPERT, 3, {HIDDEN, FF, EXPERTS}},
    {"ffn_gate_exps.bias", LAYER(gate_bias), VECTOR, 2, {FF, EXPERTS}},
    {"ffn_up_exps.weight", LAYER(up), EXPERT, 3, {HIDDEN, FF, EXPERTS}},
    {"ffn_up_exps.bias", LAYER(up_bias), VECTOR, 2, {FF, EXPERTS}},
    {"ffn_down_exps.weight", LAYER(down), EXPERT, 3, {FF, HIDDEN, EXPERTS}},
    {"ffn_down_exps.bias", LAYER(down_bias), VECTOR, 2, {HIDDEN, EXPERTS}},
};
#define LAYER_ROWS (sizeof layer_rows / sizeof layer_rows[0])

static const struct weight_row model_rows[] = {
    {"token_embd.weight", offsetof(struct osl_model_weights, embed), DENSE, 2, {HIDDEN, VOCAB}},
    {"output_norm.weight", offsetof(struct osl_model_weights, output_norm), VECTOR, 1, {HIDDEN}},
    {"output.weight", offsetof(struct osl_model_weights, output), DENSE, 2, {HIDDEN, VOCAB}},
};
#define MODEL_ROWS (sizeof model_rows / sizeof model_rows[0])

struct binder {
    const struct osl_gguf *gguf;
    struct osl_model_weights *weights;
    struct osl_error *error;
    uint64_t dims[DIM_COUNT];
    uint32_t layers;
};

static const struct weight_row *row_named(const struct weight_row *rows, size_t count,
                                          struct osl_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (osl_slice_equal(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* "blk.N.rest", N below the layer count, without leading zeros. */
static bool split_layer(const struct binder *b, struct osl_slice name, uint32_t *layer_out,
                        struct osl_slice *rest_out)
{
    static const char prefix[] = "blk.";
    uint64_t at = sizeof prefix - 1;
    if (name.bytes <= at || memcmp(name.data, prefix, at) != 0) {
        return false;
    }
    uint64_t start = at;
    uint32_t layer = 0;
    while (at < name.bytes && name.data[at] >= '0' && name.data[at] <= '9' &&
           layer < OSL_LAYERS_MAX) {
        layer = layer * 10 + (uint32_t)(name.data[at++] - '0');
    }
    bool padded = at - start > 1 && name.data[start] == '0';
    if (at == start || padded || layer >= b->layers || at >= name.bytes || name.data[at] != '.') {
        return false;
    }
    *layer_out = layer;
    *rest_out = (struct osl_slice){name.data + at + 1, name.bytes - at - 1};
    return true;
}

static bool kind_takes(enum kind kind, uint32_t dtype)
{
    switch (dtype) {
    case OSL_DTYPE_F32: return true;
    case OSL_DTYPE_F16:
    case OSL_DTYPE_BF16:
    case OSL_DTYPE_Q8_0: return kind != VECTOR;
    case OSL_DTYPE_MXFP4: return kind == EXPERT;
    default: return false;
    }
}

static const char *const kind_dtypes[] = {
    [VECTOR] = "F32",
    [DENSE] = "Q8_0, BF16, F16 or F32",
    [EXPERT] = "MXFP4, Q8_0, BF16, F16 or F32",
};

static enum osl_status check_tensor(const struct binder *b, const struct osl_gguf_tensor *tensor,
                                    const struct weight_row *row)
{
    uint64_t dims[OSL_GGUF_RANK_MAX] = {1, 1, 1, 1};
    bool same = tensor->rank == row->rank;
    for (uint32_t i = 0; i < row->rank; i++) {
        dims[i] = b->dims[row->dims[i]];
        same = same && tensor->dims[i] == dims[i];
    }
    if (!same) {
        return osl_fail(b->error, OSL_FORMAT,
                        "%s: tensor '%s' at byte %" PRIu64 " has shape %s, expected %s from the "
                        "file's keys; convert the model again",
                        osl_gguf_label(b->gguf).text, osl_gguf_quote(tensor->name).text,
                        tensor->offset, osl_gguf_dims(tensor->dims, tensor->rank).text,
                        osl_gguf_dims(dims, row->rank).text);
    }
    if (!kind_takes(row->kind, tensor->dtype)) {
        return osl_fail(b->error, OSL_UNSUPPORTED,
                        "%s: tensor '%s' at byte %" PRIu64 " has type %s, expected %s; get the "
                        "MXFP4 file that ggml-org publishes, or one with dense weights in Q8_0",
                        osl_gguf_label(b->gguf).text, osl_gguf_quote(tensor->name).text,
                        tensor->offset, osl_gguf_dtype_text(tensor->dtype).text,
                        kind_dtypes[row->kind]);
    }
    return OSL_OK;
}

/* Writes the table entry; shape and dtype were checked. */
static void bind_one(const struct binder *b, const struct osl_gguf_tensor *tensor,
                     const struct weight_row *row, struct osl_weight *out)
{
    *out = (struct osl_weight){
        .data = b->gguf->map.data + tensor->offset,
        .dtype = (enum osl_dtype)tensor->dtype,
        .cols = (uint32_t)tensor->dims[0],
        .rows = (uint32_t)tensor->dims[1],
        .experts = (uint32_t)tensor->dims[2],
    };
    out->row_bytes = osl_dtype_row_bytes(out->dtype, out->cols);
    out->expert_bytes = out->rows * out->row_bytes;
    OSL_ASSERT(out->expert_bytes * out->experts == tensor->bytes);
    /* The only vectors of rank 2 are the experts' biases. */
    bool of_expert = row->kind == EXPERT || (row->kind == VECTOR && row->rank == 2);
    b->weights->parameters += (uint64_t)out->cols * out->rows * out->experts;
    if (out == &b->weights->embed) {
        b->weights->embed_bytes += tensor->bytes;
    } else if (of_expert) {
        b->weights->expert_bytes += tensor->bytes;
    } else {
        b->weights->dense_bytes += tensor->bytes;
    }
}

/* Finds the place for a tensor and binds it. Names are unique: the reader saw to that. */
static enum osl_status bind_tensor(const struct binder *b, const struct osl_gguf_tensor *tensor)
{
    uint32_t layer = 0;
    struct osl_slice rest;
    uint8_t *base = (uint8_t *)b->weights;
    const struct weight_row *row = NULL;
    if (split_layer(b, tensor->name, &layer, &rest)) {
        base = (uint8_t *)&b->weights->layer[layer];
        row = row_named(layer_rows, LAYER_ROWS, rest);
    } else {
        row = row_named(model_rows, MODEL_ROWS, tensor->name);
    }
    if (row == NULL) {
        return osl_fail(b->error, OSL_UNSUPPORTED,
                        "%s: tensor '%s' at byte %" PRIu64
                        " is not part of a gpt-oss model of %" PRIu32 " layers",
                        osl_gguf_label(b->gguf).text, osl_gguf_quote(tensor->name).text,
                        tensor->offset, b->layers);
    }
    enum osl_status status = check_tensor(b, tensor, row);
    if (status == OSL_OK) {
        bind_one(b, tensor, row, (struct osl_weight *)(void *)(base + row->offset));
    }
    return status;
}

static enum osl_status missing(const struct binder *b, const char *name)
{
    return osl_fail(b->error, OSL_FORMAT,
                    "%s: tensor '%s' is missing from the %" PRIu32 " tensors before byte %" PRIu64
                    ", expected %zu; convert the model again",
                    osl_gguf_label(b->gguf).text, name, b->gguf->tensor_count, b->gguf->data_offset,
                    MODEL_ROWS + b->layers * LAYER_ROWS);
}

static enum osl_status check_complete(const struct binder *b)
{
    char name[OSL_GGUF_NAME_MAX + 1];
    const uint8_t *base = (const uint8_t *)b->weights;
    for (size_t i = 0; i < MODEL_ROWS; i++) {
        const struct osl_weight *weight =
            (const struct osl_weight *)(const void *)(base + model_rows[i].offset);
        if (weight->data == NULL) {
            return missing(b, model_rows[i].name);
        }
    }
    for (uint32_t layer = 0; layer < b->layers; layer++) {
        base = (const uint8_t *)&b->weights->layer[layer];
        for (size_t i = 0; i < LAYER_ROWS; i++) {
            const struct osl_weight *weight =
                (const struct osl_weight *)(const void *)(base + layer_rows[i].offset);
            if (weight->data == NULL) {
                snprintf(name, sizeof name, "blk.%" PRIu32 ".%s", layer, layer_rows[i].name);
                return missing(b, name);
            }
        }
    }
    return OSL_OK;
}

enum osl_status osl_bind_weights(const struct osl_gguf *gguf, const struct osl_hparams *hparams,
                                 struct osl_model_weights *weights_out, struct osl_error *error)
{
    const struct osl_shape *shape = &hparams->shape;
    OSL_ASSERT(shape->layers >= 1 && shape->layers <= OSL_LAYERS_MAX);
    struct binder b = {
        .gguf = gguf,
        .weights = weights_out,
        .error = error,
        .layers = shape->layers,
        .dims = {[ONE] = 1,
                 [HIDDEN] = shape->hidden,
                 [FF] = shape->ff,
                 [Q_ROWS] = (uint64_t)shape->heads * shape->head_dim,
                 [KV_ROWS] = (uint64_t)shape->kv_heads * shape->head_dim,
                 [HEADS] = shape->heads,
                 [EXPERTS] = shape->experts,
                 [VOCAB] = shape->vocab},
    };
    memset(weights_out, 0, sizeof *weights_out);
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        enum osl_status status = bind_tensor(&b, &gguf->tensors[i]);
        if (status != OSL_OK) {
            return status;
        }
    }
    return check_complete(&b);
}
