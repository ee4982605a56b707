/* Push constants of the matrix products over several tokens, and of routing. Included by C and by
 * shaders. Offsets are in words from the start of ACT or VEC, unless said. */
#ifndef OSL_SHADERS_MATMUL_ARGS_H
#define OSL_SHADERS_MATMUL_ARGS_H

#include "args.h"

#define OSL_GPU_NONE 0xffffffffu

struct osl_gpu_matmul {
    OSL_GPU_UINT rows;          /* of the slab, or of an expert */
    OSL_GPU_UINT scales_bytes;  /* from the matrix's first byte to its scales */
    OSL_GPU_UINT in_first;
    OSL_GPU_UINT out_first;
    OSL_GPU_UINT out_stride;    /* between tokens */
    OSL_GPU_UINT bias_first[2]; /* in VEC; OSL_GPU_NONE: no bias */
    OSL_GPU_UINT add;           /* matmul: out += */
    OSL_GPU_UINT logits_rows;   /* matmul: as many rows as logits are asked of */
    /* expert products only */
    OSL_GPU_UINT members;       /* token * used + k, sorted by expert */
    OSL_GPU_UINT tiles;         /* osl_gpu_tile words each */
    OSL_GPU_UINT expert_first;  /* of the slab */
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
