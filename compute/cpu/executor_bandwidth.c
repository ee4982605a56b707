/* How fast this machine reads memory with this team: the yardstick of `bench`. */
#include "executor_step.h"

#define PIECE_BYTES ((uint64_t)1 << 20)
#define AHEAD_BYTES 2048 /* as the matvec kernels prefetch */

struct stream {
    struct osl_executor *executor;
    const uint8_t *data;
    uint64_t bytes;
};

/* Where a level has no reader of its own. Sums 64 bytes at a time in eight independent words,
 * which compilers turn into vectors of 16 bytes: on Zen 5 no more than half of what wider loads
 * get from memory. */
static uint64_t sum_bytes(const uint8_t *data, uint64_t bytes)
{
    uint64_t sum[8] = {0};
    for (uint64_t at = 0; at + 64 <= bytes; at += 64) {
        uint64_t line[8];
        __builtin_prefetch(data + at + AHEAD_BYTES);
        __builtin_memcpy(line, data + at, 64);
        for (uint32_t i = 0; i < 8; i++) {
            sum[i] += line[i];
        }
    }
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

static void read_all(void *context, uint32_t thread_index, uint32_t thread_count)
{
    const struct stream *stream = context;
    struct osl_share *share = &stream->executor->phases[0].share;
    uint32_t pieces = (uint32_t)((stream->bytes + PIECE_BYTES - 1) / PIECE_BYTES);
    osl_read_fn *read = stream->executor->config.kernels->read;
    uint64_t sum = 0;
    for (uint32_t piece; (piece = osl_share_take(share, 1, pieces)) < pieces;) {
        uint64_t at = piece * PIECE_BYTES;
        uint64_t left = stream->bytes - at;
        uint64_t bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
        if (read != NULL) {
            read(stream->data + at, bytes);
        } else {
            sum += sum_bytes(stream->data + at, bytes);
        }
    }
    /* A use of the sum, or nothing would be read. */
    atomic_fetch_add_explicit(&stream->executor->bandwidth_sink, sum, memory_order_relaxed);
}

double osl_executor_read_bandwidth(struct osl_executor *executor, const void *data, uint64_t bytes,
                                   uint32_t repeats)
{
    OSL_ASSERT(bytes / PIECE_BYTES < UINT32_MAX / 2);
    struct stream stream = {.executor = executor, .data = data, .bytes = bytes};
    double best = 0.0;
    for (uint32_t i = 0; i < repeats; i++) {
        osl_share_reset(&executor->phases[0].share);
        uint64_t begin = osl_clock_ns();
        osl_team_run(executor->config.team, read_all, &stream);
        uint64_t took_ns = osl_clock_ns() - begin;
        double speed = took_ns == 0 ? 0.0 : (double)bytes * 1e9 / (double)took_ns;
        best = speed > best ? speed : best;
    }
    return best;
}
