/* The whole forward pass of gpt-oss in double precision, written to be obviously right and not
 * to be fast. It shares no code with model/, compute/ or the fixtures: what all of them could get
 * wrong together, this one gets wrong alone.
 *
 * Formulas: shared formats note, section 2, after the gpt-oss reference model. Weights are used
 * exactly as stored, activations and the cache are doubles. */
#ifndef OSL_REFERENCE_H
#define OSL_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#define REFERENCE_TENSORS_MAX 2048

struct reference_tensor {
    char name[64];
    uint64_t dims[4]; /* innermost first */
    uint32_t dtype;
    uint64_t offset;
    const uint8_t *data;
};

struct reference {
    const uint8_t *data; /* the mapped file */
    uint64_t bytes;
    uint64_t at; /* of the header walk */
    struct reference_tensor tensors[REFERENCE_TENSORS_MAX];
    uint64_t tensor_count;
    uint32_t layers, hidden, ff, heads, kv_heads, head_dim, experts, used, window, vocab;
    uint32_t original_context, alignment;
    double eps, rope_base, factor;
    bool rounded; /* YaRN's bounds rounded as llama.cpp does; for comparing with it only */
};

/* These end the program with a word on stderr if the file or the memory is not what it should be.
 */
void reference_open(struct reference *model, const char *path);
void reference_close(struct reference *model);
_Noreturn void reference_die(const char *what, const char *name);
void *reference_alloc(uint64_t count, uint64_t bytes_each);

/* "blk.N.name", or just the name where layer is REFERENCE_GLOBAL. */
#define REFERENCE_GLOBAL UINT32_MAX
const struct reference_tensor *reference_find(const struct reference *model, uint32_t layer,
                                              const char *name);
/* Row `row` (over all experts) of a tensor, [dims[0]] doubles. */
void reference_row(const struct reference_tensor *tensor, uint64_t row, double *out);

/* Logits [vocab] after the last of `count` ids. */
void reference_logits(const struct reference *model, const int32_t *ids, uint32_t count,
                      double *logits_out);

#endif
