// The tile engine: products of a tile of weight rows with a tile of tokens, W X^T, in one of five
// ways. The op includes this after its push constants and gives two functions:
//   uint tile_x(uint slot)            where in ACT the input row of token slot `slot` begins; any
//                                     slot of the tile, also past the last token
//   void tile_store(uint slot, uint row, TILE_OUT value)   called for the slots and rows in range
// and calls tile_run. With TILE_PAIR two weights of the same shape are multiplied at once and value
// is a vec2, else a float. An output's bits depend on its row and its token only: columns are taken
// in rising order, one sum an output, in every way.
//
//   constant_id 2 weight rows a workgroup, 3 layout, 8 columns, 9 tokens a workgroup; 10 and up
//   belong to the way.
#include "weights.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint TILE_ROWS = 64;
layout(constant_id = 3) const uint LAYOUT = OSL_MXFP4;
layout(constant_id = 8) const uint COLS = 96;
layout(constant_id = 9) const uint TILE_TOKENS = 32;
const uint BLOCKS = COLS / 32u;

#ifdef TILE_PAIR
#define TILE_OUT vec2
#else
#define TILE_OUT float
#endif
uint tile_x(uint slot);
void tile_store(uint slot, uint row, TILE_OUT value);

#if defined(TILE_LANES)
#include "tile_lanes.glsl"
#elif defined(TILE_MATRIX)
#include "tile_matrix.glsl"
#elif defined(TILE_DOT)
#include "tile_dot.glsl"
#else
#include "tile_shared.glsl"
#endif
