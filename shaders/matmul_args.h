/* Push constants of the matrix products over several tokens, and of routing. Included by C and by
 * shaders. Offsets are in words from the start of ACT or VEC, unless said. */
#ifndef OSL_SHADERS_MATMUL_ARGS_H
#define OSL_SHADERS_MATMUL_ARGS_H

#include "args.h"

#define OSL_GPU_NONE 0xffffffffu

#define OSL_GPU_PARTS 3 /* weights side by side: q, k, v */

struct osl_gpu_matmul {
    OSL_GPU_UINT rows[OSL_GPU_PARTS];         /* of a part's slab; of an expert */
    OSL_GPU_UINT scales_bytes[OSL_GPU_PARTS]; /* from a matrix's first byte to its scales */
    OSL_GPU_UINT bias_first[OSL_GPU_PARTS];   /* in VEC; OSL_GPU_NONE: no bias. Gate, up */
    OSL_GPU_UINT out_first[OSL_GPU_PARTS];
    OSL_GPU_UINT tiles_before[OSL_GPU_PARTS]; /* matmul: row tiles of the parts before */
    OSL_GPU_UINT out_stride;                  /* between tokens */
    OSL_GPU_UINT in_first;
    OSL_GPU_UINT add;                         /* matmul: out += */
    OSL_GPU_UINT logits_rows;                 /* matmul: as many rows as logits are asked of */
    /* expert products only */
    OSL_GPU_UINT members;                     /* token * used + k, sorted by expert */
    OSL_GPU_UINT tiles;                       /* OSL_GPU_TILE_WORDS each */
    OSL_GPU_UINT expert_first;                /* of the slab */
    OSL_GPU_UINT expert_count;
    OSL_GPU_UINT expert_bytes;
    OSL_GPU_FLOAT swiglu_alpha;
    OSL_GPU_FLOAT swiglu_limit;
};

/* A tile of members of one expert: [first, first + count). Words in ACT. */
#define OSL_GPU_TILE_EXPERT 0u /* OSL_GPU_NONE: no such tile */
#define OSL_GPU_TILE_FIRST 1u
#define OSL_GPU_TILE_COUNT 2u
#define OSL_GPU_TILE_WORDS 3u

struct osl_gpu_route {
    OSL_GPU_UINT logits;    /* [token][experts] */
    OSL_GPU_UINT routes;    /* [token][used] expert ids */
    OSL_GPU_UINT weights;   /* [token][used] */
    OSL_GPU_UINT members;
    OSL_GPU_UINT tiles;
    OSL_GPU_UINT tile;      /* members a tile */
};

struct osl_gpu_combine {
    OSL_GPU_UINT x;       /* [token][hidden], += */
    OSL_GPU_UINT y;       /* [token][used][hidden] */
    OSL_GPU_UINT weights; /* [token][used] */
};

#endif
