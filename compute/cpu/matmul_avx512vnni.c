/* matmul for MXFP4 and Q8_0 with AVX-512 VNNI: prefill.
 *
 * A slab of 32 rows is unpacked once into the thread's scratch, four columns of a row beside the
 * same four of the next, so that one broadcast of four activations meets sixteen rows; then six
 * tokens at a time keep their sums in registers. Activations are unsigned bytes (osl_pack_fn),
 * weights signed ones: what the offset of the activations adds depends on the weights alone, and
 * the sums start from minus that. Of two planes the high one is multiplied first and its sum moved
 * up by 8 bits, then the low one adds to it, so that both need one register. For every (row,
 * token): the exact integer sum of a block, times the activation's scale, times the row's scale,
 * fused into one f32 sum over rising blocks, which waits in out between slabs. */
#include "platform/platform.h"

#include <immintrin.h>
#include <math.h>

#include "x86_int8.h"
#include "x86_tables.h"

#define LANES 16
#define TILE_ROWS OSL_MATMUL_TILE_ROWS
#define TILE_TOKENS 6 /* 12 integer and 12 f32 sums of 32 registers */
#define DWORDS 8      /* of four columns, in a block */
#define CACHE_LINE 64

/* Blocks unpacked at once: whole rows, which stay in the second cache, for many tokens, whose
 * activations are best read in one go; 19 KiB, which stay in the first, for few, where unpacking
 * takes most of the time. Zen 5: slabs make prompts of 4 tokens 24 -> 30 tok/s, of 64 98 -> 92. */
#define SLAB_BLOCKS 15
#define SLAB_TOKENS_MAX 12

_Static_assert(TILE_ROWS == 2 * LANES, "a tile is two vectors of rows");

/* A block of 32 columns of a tile, rows in lanes. */
struct tile_block {
    int8_t weight[DWORDS][TILE_ROWS][4];
    float scale[TILE_ROWS];   /* of MXFP4 its exponent to base 2, so that applying it is exact */
    int32_t start[TILE_ROWS]; /* -128 times the sum of the block's weights */
};
_Static_assert(sizeof(struct tile_block) <= OSL_BLOCK_COLS * TILE_ROWS * 4,
               "the scratch has room for whole rows");

/* 16 bytes at `at` of 16 rows: lane r of out[j] is dword j of row r. */
OSL_INLINE void transpose_rows(const uint8_t *const row[LANES], size_t at, __m512i out[4])
{
    __m512i piece[4]; /* rows i, i+4, i+8, i+12 */
    OSL_UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i low = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(row[i] + at))),
            _mm_loadu_si128((const void *)(row[i + 4] + at)), 1);
        __m256i high = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(row[i + 8] + at))),
            _mm_loadu_si128((const void *)(row[i + 12] + at)), 1);
        piece[i] = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
    __m512i low01 = _mm512_unpacklo_epi32(piece[0], piece[1]);
    __m512i high01 = _mm512_unpackhi_epi32(piece[0], piece[1]);
    __m512i low23 = _mm512_unpacklo_epi32(piece[2], piece[3]);
    __m512i high23 = _mm512_unpackhi_epi32(piece[2], piece[3]);
    out[0] = _mm512_unpacklo_epi64(low01, low23);
    out[1] = _mm512_unpackhi_epi64(low01, low23);
    out[2] = _mm512_unpacklo_epi64(high01, high23);
    out[3] = _mm512_unpackhi_epi64(high01, high23);
    /* piece i held row i+4k in its 128-bit lane k, whose four rows 4k.. are now side by side */
}

/* Four bytes at `at` of 16 rows. A gather is slower (Zen 5, 2026-11-21). */
OSL_INLINE __m512i gather_rows(const uint8_t *const row[LANES], size_t at)
{
    __m128i four[4];
    OSL_UNROLL
    for (int i = 0; i < 4; i++) {
        four[i] = _mm_loadu_si32(row[4 * i] + at);
        int32_t value;
        memcpy(&value, row[4 * i + 1] + at, sizeof value);
        four[i] = _mm_insert_epi32(four[i], value, 1);
        memcpy(&value, row[4 * i + 2] + at, sizeof value);
        four[i] = _mm_insert_epi32(four[i], value, 2);
        memcpy(&value, row[4 * i + 3] + at, sizeof value);
        four[i] = _mm_insert_epi32(four[i], value, 3);
    }
    __m256i low = _mm256_set_m128i(four[1], four[0]);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), _mm256_set_m128i(four[3], four[2]), 1);
}

/* Stores dword j of 16 rows, and adds 128 times its weights to the sum. */
OSL_INLINE void put_dword(struct tile_block *to, int j, int first, __m512i weight, __m512i *sum)
{
    _mm512_storeu_si512(to->weight[j][first], weight);
    *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi8((char)128), weight);
}

/* 16 rows of a block, their scale bytes in `head`, into lanes `first` and up. */
OSL_INLINE void unpack_mxfp4(struct tile_block *to, int first, const uint8_t *const row[LANES],
                             size_t at, __m512i head)
{
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i table = _mm512_broadcast_i32x4(osl_mxfp4_doubled());
    __m512i sum = _mm512_setzero_si512();
    __m512i dword[4];
    transpose_rows(row, at + 1, dword);
    OSL_UNROLL
    for (int j = 0; j < 4; j++) {
        __m512i low = _mm512_and_si512(dword[j], mask);
        __m512i high = _mm512_and_si512(_mm512_srli_epi16(dword[j], 4), mask);
        put_dword(to, j, first, _mm512_shuffle_epi8(table, low), &sum);
        put_dword(to, j + 4, first, _mm512_shuffle_epi8(table, high), &sum);
    }
    _mm512_storeu_si512(to->start + first, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    /* half of 2^(e-127), the table being doubled; 255 is NaN */
    __m512i e = _mm512_and_si512(head, _mm512_set1_epi32(255));
    __m512 exponent = _mm512_cvtepi32_ps(_mm512_sub_epi32(e, _mm512_set1_epi32(128)));
    __mmask16 nan = _mm512_cmpeq_epi32_mask(e, _mm512_set1_epi32(255));
    exponent = _mm512_mask_mov_ps(exponent, nan, _mm512_set1_ps(NAN));
    _mm512_storeu_ps(to->scale + first, exponent);
}

OSL_INLINE void unpack_q8_0(struct tile_block *to, int first, const uint8_t *const row[LANES],
                            size_t at, __m512i head)
{
    __m512i sum = _mm512_setzero_si512();
    OSL_UNROLL
    for (int half = 0; half < 2; half++) {
        __m512i dword[4];
        transpose_rows(row, at + 2 + (size_t)half * 16, dword);
        OSL_UNROLL
        for (int j = 0; j < 4; j++) {
            put_dword(to, half * 4 + j, first, dword[j], &sum);
        }
    }
    _mm512_storeu_si512(to->start + first, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    _mm512_storeu_ps(to->scale + first, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head)));
}

/* What to prefetch while computing: `lines` cache lines a block. */
struct ahead {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t lines;
};

/* `turns` blocks will be unpacked or multiplied until the end. */
static struct ahead plan_ahead(const struct osl_act *x, uint64_t turns)
{
    static const uint8_t nothing;
    const uint8_t *at = x->ahead_bytes > 0 ? x->ahead : &nothing;
    return (struct ahead){at, at + x->ahead_bytes,
                          (uint32_t)((x->ahead_bytes / CACHE_LINE + turns - 1) / turns)};
}

/* The lines of block `block` from `ahead.at`; the tile itself fills the first cache. */
OSL_INLINE void prefetch_block(const struct ahead *ahead, uint32_t block)
{
    const uint8_t *at = ahead->at + (size_t)block * ahead->lines * CACHE_LINE;
    for (uint32_t i = 0; i < ahead->lines; i++) {
        _mm_prefetch((const char *)(at + (size_t)i * CACHE_LINE), _MM_HINT_T1);
    }
}

static void pass_blocks(struct ahead *ahead, uint32_t blocks)
{
    ahead->at += (size_t)ahead->lines * blocks * CACHE_LINE;
    ahead->lines = ahead->at < ahead->end ? ahead->lines : 0;
}

/* Unpacks 16 rows into lanes `first` and up; rows past the last repeat it. */
OSL_INLINE void unpack_rows(enum osl_dtype dtype, struct tile_block *tile, const int first,
                            const uint8_t *weight, uint64_t row_bytes, uint32_t rows,
                            uint32_t blocks, struct ahead *ahead)
{
    const uint32_t block_bytes =
        dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_BLOCK_BYTES : OSL_Q8_0_BLOCK_BYTES;
    const uint8_t *row[LANES];
    for (uint32_t r = 0; r < LANES; r++) {
        row[r] = weight + (r < rows ? r : rows - 1) * row_bytes;
    }
    for (uint32_t block = 0; block < blocks; block++) {
        size_t at = (size_t)block * block_bytes;
        prefetch_block(ahead, block);
        __m512i head = gather_rows(row, at);
        if (dtype == OSL_DTYPE_MXFP4) {
            unpack_mxfp4(tile + block, first, row, at, head);
        } else {
            unpack_q8_0(tile + block, first, row, at, head);
        }
    }
    pass_blocks(ahead, blocks);
}

/* Packed rows of up to TILE_TOKENS tokens, where their results go, and what to prefetch. */
struct tokens {
    const uint8_t *x[TILE_TOKENS];
    float *out[TILE_TOKENS];
    struct ahead ahead;
};

/* Adds one plane of a block to the sums; `at` is where the plane begins in a packed row. */
OSL_INLINE void add_plane(const int count, const struct tile_block *block, const struct tokens *x,
                          size_t at, __m512i dot[2][TILE_TOKENS])
{
    OSL_UNROLL
    for (int j = 0; j < DWORDS; j++) {
        OSL_KEEP_ORDER;
        __m512i w0 = _mm512_loadu_si512(block->weight[j][0]);
        __m512i w1 = _mm512_loadu_si512(block->weight[j][LANES]);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            int32_t four;
            memcpy(&four, x->x[t] + at + 4 * (size_t)j, sizeof four);
            __m512i value = _mm512_set1_epi32(four);
            dot[0][t] = _mm512_dpbusd_epi32(dot[0][t], value, w0);
            dot[1][t] = _mm512_dpbusd_epi32(dot[1][t], value, w1);
        }
    }
    OSL_KEEP_ORDER;
}

/* total += dot * factor * scale of the row. vscalefps knows every special case and, unlike a
 * multiplication, takes no turn from the products. */
OSL_INLINE __m512 add_block(enum osl_dtype dtype, __m512 total, __m512i dot, __m512 factor,
                            __m512 scale)
{
    __m512 value = _mm512_cvtepi32_ps(dot);
    if (dtype == OSL_DTYPE_MXFP4) {
        return _mm512_fmadd_ps(value, _mm512_scalef_ps(factor, scale), total);
    }
    return _mm512_fmadd_ps(_mm512_mul_ps(value, factor), scale, total);
}

/* 32 rows by `count` tokens; dtype, planes and count are constants here. Sums go on from what is in
 * out, or start. */
OSL_INLINE void multiply_tile(enum osl_dtype dtype, const int planes, const int count,
                              const struct tile_block *tile, const struct tokens *x, uint32_t rows,
                              uint32_t blocks, bool start)
{
    __m512 total[2][TILE_TOKENS];
    __m512i dot[2][TILE_TOKENS];
    const uint32_t stored = (uint32_t)(((uint64_t)1 << rows) - 1);
    const uint32_t loaded = start ? 0 : stored;
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        total[0][t] = _mm512_maskz_loadu_ps((__mmask16)loaded, x->out[t]);
        total[1][t] = _mm512_maskz_loadu_ps((__mmask16)(loaded >> LANES), x->out[t] + LANES);
    }
    size_t at = 0;
    for (uint32_t block = 0; block < blocks; block++) {
        prefetch_block(&x->ahead, block);
        __m512i start0 = _mm512_loadu_si512(tile->start);
        __m512i start1 = _mm512_loadu_si512(tile->start + LANES);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            dot[0][t] = start0;
            dot[1][t] = start1;
        }
        add_plane(count, tile, x, at + 4, dot);
        if (planes == 2) {
            OSL_UNROLL
            for (int t = 0; t < count; t++) {
                dot[0][t] = _mm512_slli_epi32(dot[0][t], 8);
                dot[1][t] = _mm512_slli_epi32(dot[1][t], 8);
            }
            add_plane(count, tile, x, at + 4 + OSL_BLOCK_COLS, dot);
        }
        __m512 scale0 = _mm512_loadu_ps(tile->scale);
        __m512 scale1 = _mm512_loadu_ps(tile->scale + LANES);
        OSL_UNROLL
        for (int t = 0; t < count; t++) {
            float scale;
            memcpy(&scale, x->x[t] + at, sizeof scale);
            __m512 factor = _mm512_set1_ps(scale);
            total[0][t] = add_block(dtype, total[0][t], dot[0][t], factor, scale0);
            total[1][t] = add_block(dtype, total[1][t], dot[1][t], factor, scale1);
        }
        at += OSL_PACK_BLOCK_BYTES((size_t)planes);
        tile++;
    }
    OSL_UNROLL
    for (int t = 0; t < count; t++) {
        _mm512_mask_storeu_ps(x->out[t], (__mmask16)stored, total[0][t]);
        _mm512_mask_storeu_ps(x->out[t] + LANES, (__mmask16)(stored >> LANES), total[1][t]);
    }
}

typedef void multiply_fn(uint32_t count, const struct tile_block *tile, const struct tokens *x,
                         uint32_t rows, uint32_t blocks, bool start);

#define MULTIPLY_TOKENS(name, dtype, planes)                                                       \
    static void name(uint32_t count, const struct tile_block *tile, const struct tokens *x,        \
                     uint32_t rows, uint32_t blocks, bool start)                                   \
    {                                                                                              \
        switch (count) {                                                                           \
        case 1: multiply_tile(dtype, planes, 1, tile, x, rows, blocks, start); break;              \
        case 2: multiply_tile(dtype, planes, 2, tile, x, rows, blocks, start); break;              \
        case 3: multiply_tile(dtype, planes, 3, tile, x, rows, blocks, start); break;              \
        case 4: multiply_tile(dtype, planes, 4, tile, x, rows, blocks, start); break;              \
        case 5: multiply_tile(dtype, planes, 5, tile, x, rows, blocks, start); break;              \
        default: multiply_tile(dtype, planes, 6, tile, x, rows, blocks, start); break;             \
        }                                                                                          \
    }
MULTIPLY_TOKENS(multiply_mxfp4_1, OSL_DTYPE_MXFP4, 1)
MULTIPLY_TOKENS(multiply_mxfp4_2, OSL_DTYPE_MXFP4, 2)
MULTIPLY_TOKENS(multiply_q8_0_1, OSL_DTYPE_Q8_0, 1)
MULTIPLY_TOKENS(multiply_q8_0_2, OSL_DTYPE_Q8_0, 2)

/* All tokens of a call. */
struct call {
    multiply_fn *multiply;
    const struct osl_act *x;
    const uint32_t *token_index;
    uint32_t tokens;
    float *out;
    uint32_t out_stride;
};

/* `rows` rows of the slab that begins with block `first`, on all tokens. */
static void multiply_slab(const struct call *call, const struct tile_block *tile, uint32_t rows,
                          uint32_t row, uint32_t first, uint32_t blocks, struct ahead *ahead)
{
    const struct osl_act *x = call->x;
    const uint8_t *q = (const uint8_t *)x->q + first * (size_t)OSL_PACK_BLOCK_BYTES(x->planes);
    for (uint32_t t = 0; t < call->tokens; t += TILE_TOKENS) {
        uint32_t batch = call->tokens - t < TILE_TOKENS ? call->tokens - t : TILE_TOKENS;
        struct tokens some = {.ahead = *ahead};
        for (uint32_t i = 0; i < batch; i++) {
            size_t token = call->token_index != NULL ? call->token_index[t + i] : t + i;
            some.x[i] = q + token * x->q_stride;
            some.out[i] = call->out + (size_t)(t + i) * call->out_stride + row;
        }
        call->multiply(batch, tile, &some, rows, blocks, first == 0);
        pass_blocks(ahead, blocks);
    }
}

OSL_INLINE void matmul(enum osl_dtype dtype, const struct call *call, const void *weight,
                       uint64_t row_bytes, uint32_t rows, uint32_t cols, void *scratch)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    OSL_ASSERT_HOT(call->x->planes == 1 || call->x->planes == 2);
    const uint32_t block_bytes =
        dtype == OSL_DTYPE_MXFP4 ? OSL_MXFP4_BLOCK_BYTES : OSL_Q8_0_BLOCK_BYTES;
    const uint32_t blocks = cols / OSL_BLOCK_COLS;
    const uint32_t batches = (call->tokens + TILE_TOKENS - 1) / TILE_TOKENS;
    const uint32_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    struct ahead ahead = plan_ahead(call->x, (uint64_t)tiles * (batches + 2) * blocks);
    const uint32_t slab_blocks = call->tokens > SLAB_TOKENS_MAX ? blocks : SLAB_BLOCKS;
    struct tile_block *tile = scratch;
    for (uint32_t r = 0; r < rows; r += TILE_ROWS) {
        uint32_t count = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
        uint32_t second = count > LANES ? LANES : count - 1; /* or the last row again */
        for (uint32_t first = 0; first < blocks; first += slab_blocks) {
            uint32_t slab = blocks - first < slab_blocks ? blocks - first : slab_blocks;
            const uint8_t *from =
                (const uint8_t *)weight + r * row_bytes + (size_t)first * block_bytes;
            unpack_rows(dtype, tile, 0, from, row_bytes, count < LANES ? count : LANES, slab,
                        &ahead);
            unpack_rows(dtype, tile, LANES, from + second * row_bytes, row_bytes, count - second,
                        slab, &ahead);
            multiply_slab(call, tile, count, r, first, slab, &ahead);
        }
    }
}

void osl_avx512_matmul_mxfp4(float *out, uint32_t out_stride, const void *weight,
                             uint64_t row_bytes, uint32_t rows, uint32_t cols,
                             const struct osl_act *x, const uint32_t *token_index, uint32_t tokens,
                             void *scratch)
{
    multiply_fn *multiply = x->planes == 2 ? multiply_mxfp4_2 : multiply_mxfp4_1;
    struct call call = {multiply, x, token_index, tokens, out, out_stride};
    matmul(OSL_DTYPE_MXFP4, &call, weight, row_bytes, rows, cols, scratch);
}

void osl_avx512_matmul_q8_0(float *out, uint32_t out_stride, const void *weight, uint64_t row_bytes,
                            uint32_t rows, uint32_t cols, const struct osl_act *x,
                            const uint32_t *token_index, uint32_t tokens, void *scratch)
{
    multiply_fn *multiply = x->planes == 2 ? multiply_q8_0_2 : multiply_q8_0_1;
    struct call call = {multiply, x, token_index, tokens, out, out_stride};
    matmul(OSL_DTYPE_Q8_0, &call, weight, row_bytes, rows, cols, scratch);
}
