/* The file: keys, tensors, rows. Trusts it more than model/ does: tests write it. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reference.h"

_Noreturn void reference_die(const char *what, const char *name)
{
    fprintf(stderr, "reference_score: %s: %s\n", what, name);
    exit(1);
}

void *reference_alloc(uint64_t count, uint64_t bytes_each)
{
    void *memory = calloc(count + 1, bytes_each);
    if (memory == NULL) {
        reference_die("out of memory", "activations");
    }
    return memory;
}

static double half_value(const uint8_t *at)
{
    uint16_t bits;
    memcpy(&bits, at, 2);
    double mantissa = bits & 0x3ff;
    int exponent = bits >> 10 & 31;
    double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(mantissa + 1024, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

static double float_value(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return (double)value;
}

static const uint8_t *take(struct reference *model, uint64_t bytes)
{
    if (bytes > model->bytes - model->at) {
        reference_die("file ends early", "header");
    }
    const uint8_t *here = model->data + model->at;
    model->at += bytes;
    return here;
}

static uint64_t take_int(struct reference *model, uint32_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, take(model, bytes), bytes);
    return value;
}

static uint64_t take_name(struct reference *model, char out[64])
{
    uint64_t bytes = take_int(model, 8);
    const uint8_t *text = take(model, bytes);
    snprintf(out, 64, "%.*s", bytes < 64 ? (int)bytes : 63, (const char *)text);
    return bytes;
}

static void skip_value(struct reference *model, uint64_t type)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) {
        take(model, take_int(model, 8));
    } else if (type < sizeof sizes) {
        take(model, sizes[type]);
    } else {
        reference_die("unknown type", "key");
    }
}

/* Keys of type u32 and f32 that the pass needs; the cursor is at the value. */
static void use_key(struct reference *model, const char *key, uint64_t type)
{
    struct {
        const char *name;
        uint32_t *whole;
        double *real;
    } wanted[] = {
        {"gpt-oss.block_count", &model->layers, NULL},
        {"gpt-oss.embedding_length", &model->hidden, NULL},
        {"gpt-oss.expert_feed_forward_length", &model->ff, NULL},
        {"gpt-oss.attention.head_count", &model->heads, NULL},
        {"gpt-oss.attention.head_count_kv", &model->kv_heads, NULL},
        {"gpt-oss.attention.key_length", &model->head_dim, NULL},
        {"gpt-oss.attention.sliding_window", &model->window, NULL},
        {"gpt-oss.expert_count", &model->experts, NULL},
        {"gpt-oss.expert_used_count", &model->used, NULL},
        {"general.alignment", &model->alignment, NULL},
        {"gpt-oss.attention.layer_norm_rms_epsilon", NULL, &model->eps},
        {"gpt-oss.rope.freq_base", NULL, &model->rope_base},
        {"gpt-oss.rope.scaling.factor", NULL, &model->factor},
        {"gpt-oss.rope.scaling.original_context_length", &model->original_context, NULL},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strcmp(wanted[i].name, key) != 0) {
            continue;
        }
        if (type != (wanted[i].whole != NULL ? 4 : 6)) {
            reference_die("a key's type is not what it should be", key);
        }
        uint32_t bits;
        memcpy(&bits, model->data + model->at, sizeof bits);
        if (wanted[i].whole != NULL) {
            *wanted[i].whole = bits;
        } else {
            *wanted[i].real = float_value(bits);
        }
    }
}

static void read_keys(struct reference *model, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        char key[64];
        take_name(model, key);
        uint64_t type = take_int(model, 4);
        if (type != 9) {
            if (type != 8 && model->bytes - model->at >= 8) {
                use_key(model, key, type);
            }
            skip_value(model, type);
            continue;
        }
        uint64_t element = take_int(model, 4);
        uint64_t length = take_int(model, 8);
        for (uint64_t j = 0; j < length; j++) {
            skip_value(model, element);
        }
    }
}

static void read_tensors(struct reference *model)
{
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        struct reference_tensor *tensor = &model->tensors[i];
        take_name(model, tensor->name);
        uint64_t rank = take_int(model, 4);
        for (uint64_t j = 0; j < 4; j++) {
            tensor->dims[j] = j < rank ? take_int(model, 8) : 1;
        }
        tensor->dtype = (uint32_t)take_int(model, 4);
        tensor->offset = take_int(model, 8);
    }
    uint64_t start = (model->at + model->alignment - 1) / model->alignment * model->alignment;
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        model->tensors[i].data = model->data + start + model->tensors[i].offset;
    }
}

void reference_open(struct reference *model, const char *path)
{
    struct stat facts;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &facts) != 0) {
        reference_die("cannot open", path);
    }
    void *map = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) {
        reference_die("cannot map", path);
    }
    close(file);
    model->data = map;
    model->bytes = (uint64_t)facts.st_size;
    model->at = 0;
    model->alignment = 32;
    if (memcmp(take(model, 4), "GGUF", 4) != 0) {
        reference_die("not a GGUF", path);
    }
    take_int(model, 4);
    model->tensor_count = take_int(model, 8);
    uint64_t keys = take_int(model, 8);
    if (model->tensor_count > REFERENCE_TENSORS_MAX) {
        reference_die("too many tensors", path);
    }
    read_keys(model, keys);
    read_tensors(model);
    model->vocab = (uint32_t)reference_find(model, REFERENCE_GLOBAL, "output.weight")->dims[1];
}

void reference_close(struct reference *model)
{
    munmap((void *)(uintptr_t)model->data, model->bytes);
    model->data = NULL;
}

const struct reference_tensor *reference_find(const struct reference *model, uint32_t layer,
                                              const char *name)
{
    char full[64];
    if (layer == REFERENCE_GLOBAL) {
        snprintf(full, sizeof full, "%s", name);
    } else {
        snprintf(full, sizeof full, "blk.%u.%s", layer, name);
    }
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        if (strcmp(model->tensors[i].name, full) == 0) {
            return &model->tensors[i];
        }
    }
    reference_die("no such tensor", full);
}

void reference_row(const struct reference_tensor *tensor, uint64_t row, double *out)
{
    static const double codes[16] = {0,    0.5,  1,  1.5,  2,  3,  4,  6,
                                     -0.0, -0.5, -1, -1.5, -2, -3, -4, -6};
    uint64_t cols = tensor->dims[0];
    const uint8_t *in = tensor->data;
    switch (tensor->dtype) {
    case 0: /* F32 */
        for (uint64_t i = 0; i < cols; i++) {
            uint32_t bits;
            memcpy(&bits, in + (row * cols + i) * 4, 4);
            out[i] = float_value(bits);
        }
        break;
    case 1: /* F16 */
        for (uint64_t i = 0; i < cols; i++) {
            out[i] = half_value(in + (row * cols + i) * 2);
        }
        break;
    case 30: /* BF16 */
        for (uint64_t i = 0; i < cols; i++) {
            uint16_t bits;
            memcpy(&bits, in + (row * cols + i) * 2, 2);
            out[i] = float_value((uint32_t)bits << 16);
        }
        break;
    case 8: /* Q8_0: f16 d, int8 q[32] */
        for (uint64_t i = 0; i < cols; i += 32) {
            const uint8_t *block = in + (row * cols + i) / 32 * 34;
            double scale = half_value(block);
            for (uint64_t j = 0; j < 32; j++) {
                out[i + j] = scale * (double)(int8_t)block[2 + j];
            }
        }
        break;
    case 39: /* MXFP4: e8m0 scale, then low nibbles 0..15, high nibbles 16..31 */
        for (uint64_t i = 0; i < cols; i += 32) {
            const uint8_t *block = in + (row * cols + i) / 32 * 17;
            double scale = ldexp(1, (int)block[0] - 127);
            for (uint64_t j = 0; j < 16; j++) {
                out[i + j] = scale * codes[block[1 + j] & 15];
                out[i + j + 16] = scale * codes[block[1 + j] >> 4];
            }
        }
        break;
    default: reference_die("a type this reference does not read", tensor->name);
    }
}
