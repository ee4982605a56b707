/* Weight types, their blocks, and the table entry of one weight.
 * Numbers are those of the GGUF tensor types. Layouts: the shared formats note, section 7. */
#ifndef OSL_DTYPE_H
#define OSL_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

enum osl_dtype {
    OSL_DTYPE_F32 = 0,
    OSL_DTYPE_F16 = 1,
    OSL_DTYPE_Q8_0 = 8,
    OSL_DTYPE_BF16 = 30,
    OSL_DTYPE_MXFP4 = 39,
};
#define OSL_DTYPE_END 40 /* one past the largest, for tables indexed by dtype */

#define OSL_BLOCK_COLS 32        /* elements a block of Q8_0 and MXFP4 */
#define OSL_Q8_0_BLOCK_BYTES 34  /* f16 scale, int8[32] */
#define OSL_MXFP4_BLOCK_BYTES 17 /* e8m0 scale, 16 bytes: low nibble j, high nibble j+16 */

/* False for a type this build has no kernels for. */
bool osl_dtype_known(uint32_t dtype);
const char *osl_dtype_name(uint32_t dtype);
uint32_t osl_dtype_block_cols(enum osl_dtype dtype);
uint32_t osl_dtype_block_bytes(enum osl_dtype dtype);
/* Bytes of a row of `cols` elements; cols must be whole blocks. */
uint64_t osl_dtype_row_bytes(enum osl_dtype dtype, uint32_t cols);

/* A bound weight: row-major, rows of whole blocks, no padding between rows or experts.
 * Vectors (norms, biases, sinks) have rows 1; per-expert biases have rows = experts. */
struct osl_weight {
    const void *data;
    enum osl_dtype dtype;
    uint32_t rows;    /* outputs, per expert */
    uint32_t cols;    /* inputs */
    uint32_t experts; /* 1 for dense weights */
    uint64_t row_bytes;
    uint64_t expert_bytes; /* rows * row_bytes */
};

#endif
