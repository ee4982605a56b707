/* matvec for MXFP4 in 256-bit vectors, over the file's own layout, one row at a time in order.
 * Included by one file per instruction set, which defines MATVEC_MXFP4 and, where the CPU has the
 * dot instruction in its 256-bit form, YMM_VNNI.
 *
 * Eight blocks at a time are transposed, so that a lane holds what belongs to one block: four
 * columns beside the same four of the next block. A lane's sum is then the whole block's, and
 * joining the planes, both scales and the f32 sum cost one vector for eight blocks. Weights are
 * doubled and shifted by 12 to be unsigned; the shift times the activations is taken off the sum.
 * Sums are kept in 16 bits that may wrap on the way, and so may the integer they make: without the
 * shift it is at most 32 * 12 * 32512, which fits. So a lane is exact, and is scaled by the product
 * of both scales and added in f32, group after group; then lanes l and l+4, l+2, l+1 are added.
 * Blocks left at the ends of several rows make a group together, whose lanes are added to their
 * rows in order.
 *
 * While one group is multiplied the next is transposed: the steps of either wait for each other,
 * and the scheduler does not reach far enough to find the other group by itself.
 *
 * Once a call the activations are laid out as the rows want them, which a few rows pay for. */
#include "platform/platform.h"

#include <immintrin.h>

#include "vec_avx2.h"
#include "x86_tables.h"
#include "ymm_int8.h"

#define DWORDS 4 /* of nibbles in a block */
#define PREFETCH_BYTES 6144 /* as AVX-512's: see matvec_avx512vnni.c */
#define CACHE_LINE 64
#define GROUPS_MAX (OSL_COLS_MAX / OSL_BLOCK_COLS / LANES)

/* Activations of eight blocks, one a lane: lane l of a vector holds four elements of block l. */
struct group {
    __m256i high[2 * DWORDS]; /* of the low nibbles, a block's first half, then of the high ones */
    __m256i low[2 * DWORDS];
    __m256i start; /* minus the shift times the activations */
    __m256 scale; /* halved: the table is doubled */
};

/* The integer that both planes' sums stand for, without the shift. */
OSL_INLINE __m256i join_planes(__m256i high, __m256i low, const struct group *x)
{
#ifdef YMM_VNNI
    high = _mm256_slli_epi32(high, 8);
#else
    high = _mm256_madd_epi16(high, _mm256_set1_epi16(256));
#endif
    return _mm256_add_epi32(_mm256_add_epi32(high, sum_of_bytes(low)), x->start);
}

/* One plane of `count` blocks, over and over. */
OSL_INLINE void prepare_plane(__m256i out[2 * DWORDS], const int8_t *q, uint32_t count)
{
    vec block[LANES];
    OSL_UNROLL
    for (uint32_t lane = 0; lane < LANES; lane++) {
        const int8_t *at = q + (size_t)(lane % count) * OSL_ACT_BLOCK_BYTES;
        block[lane] = vec_load((const float *)(const void *)at);
    }
    vec_transpose(block);
    OSL_UNROLL
    for (uint32_t i = 0; i < 2 * DWORDS; i++) {
        out[i] = _mm256_castps_si256(block[i]);
    }
}

/* The blocks from `first` on, `count` of them, over and over. */
static void prepare_group(struct group *group, const struct osl_act *x, uint32_t first,
                          uint32_t count)
{
    const int8_t *q = x->q + (size_t)first * OSL_ACT_BLOCK_BYTES;
    prepare_plane(group->high, q, count);
    prepare_plane(group->low, q + OSL_BLOCK_COLS, count);
    float scale[LANES];
    int32_t start[LANES];
    for (uint32_t lane = 0; lane < LANES; lane++) {
        scale[lane] = 0.5f * x->scale[first + lane % count];
        start[lane] = -OSL_MXFP4_SHIFT * x->sum[first + lane % count];
    }
    group->scale = _mm256_loadu_ps(scale);
    group->start = _mm256_loadu_si256((const void *)start);
}

static void prepare(struct group *groups, uint32_t blocks, const struct osl_act *x)
{
    for (uint32_t block = 0; block < blocks; block += LANES) {
        prepare_group(&groups[block / LANES], x, block,
                      blocks - block < LANES ? blocks - block : LANES);
    }
}

/* Eight blocks: lane l of nibbles[j] is dword j of block l. */
struct blocks {
    __m256i nibbles[DWORDS];
    __m256 scale;
};

/* The nibbles of blocks i and i+4. */
OSL_INLINE __m256i load_pair(const uint8_t *const block[LANES], const int i)
{
    __m128i first = _mm_loadu_si128((const void *)(block[i] + 1));
    __m128i second = _mm_loadu_si128((const void *)(block[i + 4] + 1));
    __m256i pair = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    DONE_NOW(pair);
    return pair;
}

/* The lower and the upper dwords of two pairs in turn. */
OSL_INLINE void mix_pairs(__m256i out[2], const __m256i pair[2])
{
    out[0] = _mm256_unpacklo_epi32(pair[0], pair[1]);
    out[1] = _mm256_unpackhi_epi32(pair[0], pair[1]);
    DONE_NOW(out[0]);
    DONE_NOW(out[1]);
}

OSL_INLINE void join_halves(__m256i out[DWORDS], const __m256i first[2], const __m256i second[2])
{
    out[0] = _mm256_unpacklo_epi64(first[0], second[0]);
    out[1] = _mm256_unpackhi_epi64(first[0], second[0]);
    out[2] = _mm256_unpacklo_epi64(first[1], second[1]);
    out[3] = _mm256_unpackhi_epi64(first[1], second[1]);
}

/* Weights of the low and the high nibbles, shifted. */
OSL_INLINE void unpack(__m256i nibbles, __m256i *first, __m256i *rest)
{
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i table = _mm256_broadcastsi128_si256(osl_mxfp4_shifted());
    *first = _mm256_shuffle_epi8(table, _mm256_and_si256(nibbles, mask));
    *rest = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), mask);
    *rest = _mm256_shuffle_epi8(table, *rest);
}

/* Weights of dword j of eight blocks, times the activations, added to the sums of both planes,
 * which begin with dword 0. */
OSL_INLINE void add_products(__m256i first, __m256i rest, const struct group *x, const int j,
                             __m256i *high, __m256i *low)
{
    *high = j == 0 ? products_of_bytes(first, x->high[0]) : add_bytes(*high, first, x->high[j]);
    DONE_NOW(*high);
    *low = j == 0 ? products_of_bytes(first, x->low[0]) : add_bytes(*low, first, x->low[j]);
    DONE_NOW(*low);
    *high = add_bytes(*high, rest, x->high[j + DWORDS]);
    DONE_NOW(*high);
    *low = add_bytes(*low, rest, x->low[j + DWORDS]);
    DONE_NOW(*low);
}

OSL_INLINE void add_dword(__m256i nibbles, const struct group *x, const int j, __m256i *high,
                          __m256i *low)
{
    __m256i first, rest;
    unpack(nibbles, &first, &rest);
    add_products(first, rest, x, j, high, low);
}

/* Multiplies the blocks, and loads the next in their place. */
OSL_INLINE __m256 add_group(struct blocks *blocks, const struct group *x,
                            const uint8_t *const next[LANES], __m256 sum)
{
    __m256i high, low;
    __m256i pair[2], first[2], second[2];
    __m256 scale = _mm256_mul_ps(x->scale, blocks->scale);
    blocks->scale = mxfp4_scales(next, 0);
    pair[0] = load_pair(next, 0);
    pair[1] = load_pair(next, 1);
    add_dword(blocks->nibbles[0], x, 0, &high, &low);
    mix_pairs(first, pair);
    add_dword(blocks->nibbles[1], x, 1, &high, &low);
    pair[0] = load_pair(next, 2);
    pair[1] = load_pair(next, 3);
    add_dword(blocks->nibbles[2], x, 2, &high, &low);
    mix_pairs(second, pair);
    add_dword(blocks->nibbles[3], x, 3, &high, &low);
    join_halves(blocks->nibbles, first, second);
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(join_planes(high, low, x)), scale, sum);
}

OSL_INLINE void load_blocks(struct blocks *blocks, const uint8_t *const block[LANES])
{
    __m256i first[2], second[2];
    mix_pairs(first, (__m256i[2]){load_pair(block, 0), load_pair(block, 1)});
    mix_pairs(second, (__m256i[2]){load_pair(block, 2), load_pair(block, 3)});
    join_halves(blocks->nibbles, first, second);
    blocks->scale = mxfp4_scales(block, 0);
}

/* Where eight blocks begin that lie together; prefetches what comes later. */
OSL_INLINE void find_blocks(const uint8_t *block[LANES], const uint8_t *at)
{
    OSL_UNROLL
    for (int i = 0; i < LANES; i++) {
        block[i] = at + i * OSL_MXFP4_BLOCK_BYTES;
    }
    OSL_UNROLL
    for (int i = 0; i < LANES * OSL_MXFP4_BLOCK_BYTES; i += CACHE_LINE) {
        _mm_prefetch((const char *)at + PREFETCH_BYTES + i, _MM_HINT_T0);
    }
}

/* The last blocks of rows, `left` of each, which make a group for `together` rows. */
struct ends {
    uint32_t left;
    uint32_t together;
    size_t offset[LANES]; /* of a lane's block from the first row's first of them */
};

static struct ends find_ends(uint32_t left, uint64_t row_bytes)
{
    struct ends ends = {.left = left, .together = left > 0 ? LANES / left : LANES};
    for (uint32_t lane = 0; left > 0 && lane < LANES; lane++) {
        ends.offset[lane] =
            lane / left * row_bytes + (size_t)(lane % left) * OSL_MXFP4_BLOCK_BYTES;
    }
    return ends;
}

/* Where the last blocks of `rows` rows begin; lanes past them are not used: any block will do. */
OSL_INLINE void find_left(const uint8_t *block[LANES], const uint8_t *at, const struct ends *ends,
                          uint32_t rows)
{
    OSL_UNROLL
    for (uint32_t lane = 0; lane < LANES; lane++) {
        block[lane] = at + (lane < rows * ends->left ? ends->offset[lane] : 0);
    }
}

OSL_INLINE void add_left(float *out, __m256 sum, const struct ends *ends, uint32_t rows)
{
    float lanes[LANES];
    _mm256_storeu_ps(lanes, sum);
    const float *lane = lanes;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < ends->left; i++) {
            out[r] += *lane++;
        }
    }
}

static inline float add_lanes(__m256 sum)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

void MATVEC_MXFP4(float *out, const void *weight, uint64_t row_bytes, uint32_t rows, uint32_t cols,
                  const struct osl_act *x)
{
    OSL_ASSERT_HOT(cols % OSL_BLOCK_COLS == 0 && cols <= OSL_COLS_MAX);
    const uint32_t blocks = cols / OSL_BLOCK_COLS, full = blocks / LANES, left = blocks % LANES;
    struct group groups[GROUPS_MAX];
    prepare(groups, blocks, x);
    const struct ends ends = find_ends(left, row_bytes);
    const uint8_t *row = weight, *block[LANES], *end = row; /* of the rows that end together */
    struct blocks now = {.scale = _mm256_setzero_ps()};
    if (full > 0 && rows > 0) {
        find_blocks(block, row);
        load_blocks(&now, block);
    }
    uint32_t ending = 0; /* rows that wait for their last blocks */
    for (uint32_t r = 0; r < rows; r++) {
        const uint8_t *at = row;
        __m256 sum = _mm256_setzero_ps();
        row += r + 1 < rows ? row_bytes : 0; /* past the last row it is loaded again */
        for (uint32_t g = 0; g + 1 < full; g++) {
            at += LANES * OSL_MXFP4_BLOCK_BYTES;
            find_blocks(block, at);
            sum = add_group(&now, &groups[g], block, sum);
        }
        ending++;
        if (left == 0 || (ending < ends.together && r + 1 < rows)) {
            find_blocks(block, row);
            out[r] = add_lanes(full > 0 ? add_group(&now, &groups[full - 1], block, sum) : sum);
        } else {
            find_left(block, end + (size_t)full * LANES * OSL_MXFP4_BLOCK_BYTES, &ends, ending);
            if (full > 0) {
                sum = add_group(&now, &groups[full - 1], block, sum);
                find_blocks(block, row);
            } else {
                load_blocks(&now, block);
            }
            out[r] = add_lanes(sum);
            sum = add_group(&now, &groups[full], block, _mm256_setzero_ps());
            add_left(out + r + 1 - ending, sum, &ends, ending);
            end = row;
            ending = 0;
        }
    }
}
