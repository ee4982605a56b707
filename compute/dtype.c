/* Weight types: names, block sizes, row sizes. */
#include "dtype.h"

#include <stddef.h>

#include "platform/platform.h"

struct dtype_facts {
    const char *name;
    uint32_t block_cols;
    uint32_t block_bytes;
};

static const struct dtype_facts dtype_table[OSL_DTYPE_END] = {
    [OSL_DTYPE_F32] = {"F32", 1, 4},
    [OSL_DTYPE_F16] = {"F16", 1, 2},
    [OSL_DTYPE_Q8_0] = {"Q8_0", OSL_BLOCK_COLS, OSL_Q8_0_BLOCK_BYTES},
    [OSL_DTYPE_BF16] = {"BF16", 1, 2},
    [OSL_DTYPE_MXFP4] = {"MXFP4", OSL_BLOCK_COLS, OSL_MXFP4_BLOCK_BYTES},
};

bool osl_dtype_known(uint32_t dtype)
{
    return dtype < OSL_DTYPE_END && dtype_table[dtype].name != NULL;
}

const char *osl_dtype_name(uint32_t dtype)
{
    return osl_dtype_known(dtype) ? dtype_table[dtype].name : "unknown";
}

uint32_t osl_dtype_block_cols(enum osl_dtype dtype)
{
    OSL_ASSERT(osl_dtype_known(dtype));
    return dtype_table[dtype].block_cols;
}

uint32_t osl_dtype_block_bytes(enum osl_dtype dtype)
{
    OSL_ASSERT(osl_dtype_known(dtype));
    return dtype_table[dtype].block_bytes;
}

uint64_t osl_dtype_row_bytes(enum osl_dtype dtype, uint32_t cols)
{
    OSL_ASSERT(osl_dtype_known(dtype));
    OSL_ASSERT(cols % dtype_table[dtype].block_cols == 0);
    return (uint64_t)cols / dtype_table[dtype].block_cols * dtype_table[dtype].block_bytes;
}
