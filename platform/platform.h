/* What the runtime needs from a machine: files, memory, threads, time, a log and a way to stop.
 *
 * One header, one folder per port (posix/). This layer knows no tensors, no model and no chat.
 * Every call that can fail fills a struct osl_error with a status and one line that names the
 * thing, the place and the remedy. Nothing here prints or exits, except osl_panic. */
#ifndef OSL_PLATFORM_H
#define OSL_PLATFORM_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#error "internal header, C only"
#endif

#define OSL_MUST_USE __attribute__((warn_unused_result))
#define OSL_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))

/* ---- Status and errors ------------------------------------------------------------------- */

/* Same values as enum ossicle_status (asserted in model/). Only ever appended to. */
enum osl_status {
    OSL_OK = 0,
    OSL_ARGUMENT = 1,    /* the caller passed something impossible */
    OSL_STATE = 2,       /* right call, wrong moment */
    OSL_IO = 3,          /* the operating system refused or a device failed */
    OSL_FORMAT = 4,      /* the file is broken */
    OSL_UNSUPPORTED = 5, /* the file or device is fine, but not for us */
    OSL_MEMORY = 6,      /* the memory given, or to be had, is too small */
    OSL_CAPACITY = 7,    /* the context or a fixed table is full */
    OSL_DEVICE = 8,      /* the compute device failed */
    OSL_ABORTED = 9,     /* cancelled */
};

#define OSL_ERROR_TEXT_BYTES 512

struct osl_error {
    enum osl_status status;
    char text[OSL_ERROR_TEXT_BYTES]; /* one line, no newline, always terminated */
};

/* Records status and text in *error (may be NULL) and returns status, so that callers write
 * `return osl_fail(error, OSL_IO, ...)`. Control characters in the text become '?'. */
enum osl_status osl_fail(struct osl_error *error, enum osl_status status, const char *format, ...)
    OSL_PRINTF(3, 4);

/* ---- Panic and assertions ---------------------------------------------------------------- */

/* Our own bug, never a caller's, a file's or a device's: writes one line to stderr and aborts. */
_Noreturn void osl_panic(const char *file, int line, const char *what);

#define OSL_ASSERT(condition) \
    ((condition) ? (void)0 : osl_panic(__FILE__, __LINE__, #condition))

/* For inner loops: on in debug and sanitizer builds only (OSL_HOT_ASSERTIONS). */
#ifdef OSL_HOT_ASSERTIONS
#define OSL_ASSERT_HOT(condition) OSL_ASSERT(condition)
#else
#define OSL_ASSERT_HOT(condition) ((void)0)
#endif

/* ---- Log --------------------------------------------------------------------------------- */

enum osl_log_level { OSL_LOG_DEBUG, OSL_LOG_INFO, OSL_LOG_WARN, OSL_LOG_ERROR };

#define OSL_LOG_LINE_BYTES 240
#define OSL_LOG_RING_LINES 256

typedef void osl_log_sink(void *context, enum osl_log_level level, const char *line);

/* Where lines go besides the ring; NULL for nowhere. Set before threads start. */
void osl_log_set_sink(osl_log_sink *sink, void *context, enum osl_log_level least);

/* Appends one line to the fixed ring (the oldest falls out) and hands it to the sink.
 * Thread-safe, allocates nothing, longer lines are cut. */
void osl_log(enum osl_log_level level, const char *format, ...) OSL_PRINTF(2, 3);

/* Copies line `index` (0 is the oldest kept) to out; false when there is none. */
bool osl_log_line(uint32_t index, enum osl_log_level *level_out, char out[OSL_LOG_LINE_BYTES]);

/* ---- Clock ------------------------------------------------------------------------------- */

/* Monotonic nanoseconds since an arbitrary start. */
uint64_t osl_clock_ns(void);

/* ---- Files ------------------------------------------------------------------------------- */

#define OSL_PATH_BYTES 4096

struct osl_file {
    int handle;
    uint64_t bytes;       /* size when opened */
    uint64_t modified_ns; /* time of its last change then */
    char path[OSL_PATH_BYTES];
};

/* Opens a regular file for reading. A directory, a device or a FIFO is an error, not a hang. */
OSL_MUST_USE enum osl_status osl_file_open(struct osl_file *file, const char *path,
                                           struct osl_error *error);
void osl_file_close(struct osl_file *file);

/* Reads exactly [offset, offset+bytes) into out. A range outside the file is OSL_FORMAT, a short
 * read (the file shrank) and an errno are OSL_IO; interrupted calls are repeated. */
OSL_MUST_USE enum osl_status osl_file_read(const struct osl_file *file, uint64_t offset, void *out,
                                           uint64_t bytes, struct osl_error *error);

struct osl_map {
    const uint8_t *data; /* of the first byte asked for */
    uint64_t bytes;
    void *base; /* what the kernel mapped, page aligned */
    uint64_t base_bytes;
    uint64_t offset; /* in the file, of data */
    uint32_t guard;  /* the port's; 0: not guarded */
};

/* Maps [offset, offset+bytes) read-only and shared; offset need not be page aligned.
 * What cannot be read any more while it is mapped (the file was cut short, the disk fails) turns
 * to zeros from there to the end of the map instead of ending the process with SIGBUS. While any
 * map is open the process has a handler for that signal, which leaves other addresses to the
 * action that was there before. */
OSL_MUST_USE enum osl_status osl_file_map(const struct osl_file *file, uint64_t offset,
                                          uint64_t bytes, struct osl_map *map_out,
                                          struct osl_error *error);
void osl_file_unmap(struct osl_map *map);

/* OSL_OK as long as all that was read of the map was the file's; OSL_IO names the place. Looks at
 * one word: for after every use. */
OSL_MUST_USE enum osl_status osl_map_check(const struct osl_file *file, const struct osl_map *map,
                                           struct osl_error *error);

enum osl_map_advice {
    OSL_MAP_SEQUENTIAL,
    OSL_MAP_RANDOM,
    OSL_MAP_WILL_NEED,
    OSL_MAP_HUGE,
    OSL_MAP_DONE /* our share of its pages goes; reading them again brings them back */
};
/* A hint about [data, data+bytes) inside a map; failing is harmless. */
void osl_map_advise(const void *data, uint64_t bytes, enum osl_map_advice advice);

/* A thread that makes the pages of maps present in the order in which they will be used, so that
 * a file comes at the disk's speed and in huge pages, not a fault at a time. */
struct osl_warm;
/* The next range to warm; false: there is none. Called by that thread only. */
typedef bool osl_warm_next(void *context, const void **data_out, uint64_t *bytes_out);
/* Bytes of caller-owned memory, 64-byte aligned: the thread's stack is part of it. */
uint64_t osl_warm_bytes(void);
/* context and the maps must outlive the thread. It ends by itself after the last range, or when
 * a page cannot be had, which is no error here: whoever uses the page will see it. */
OSL_MUST_USE enum osl_status osl_warm_start(void *memory, uint64_t bytes, osl_warm_next *next,
                                            void *context, struct osl_warm **warm_out,
                                            struct osl_error *error);
/* Ends it after the 2 MiB it is at. NULL is fine. */
void osl_warm_stop(struct osl_warm *warm);

/* A file that appears whole or not at all: written beside its name, flushed to the disk, then
 * renamed. Nothing is left behind on abort. */
struct osl_writer {
    int handle;
    char path[OSL_PATH_BYTES];
    char part_path[OSL_PATH_BYTES];
};
OSL_MUST_USE enum osl_status osl_writer_open(struct osl_writer *writer, const char *path,
                                             struct osl_error *error);
OSL_MUST_USE enum osl_status osl_writer_append(struct osl_writer *writer, const void *data,
                                               uint64_t bytes, struct osl_error *error);
OSL_MUST_USE enum osl_status osl_writer_commit(struct osl_writer *writer, struct osl_error *error);
void osl_writer_abort(struct osl_writer *writer);

/* SHA-256 (mbedTLS). The state is opaque storage for the library's own. */
struct osl_sha256 {
    uint64_t storage[32];
};
void osl_sha256_begin(struct osl_sha256 *hash);
void osl_sha256_add(struct osl_sha256 *hash, const void *data, uint64_t bytes);
void osl_sha256_end(struct osl_sha256 *hash, uint8_t digest_out[32]);

/* ---- Memory ------------------------------------------------------------------------------ */

struct osl_memory_facts {
    uint64_t total_bytes;     /* physical, or the cgroup's limit (v1 or v2) if that is smaller */
    uint64_t available_bytes; /* what could be taken now without swapping */
    uint64_t page_bytes;
};
void osl_memory_facts(struct osl_memory_facts *facts_out);

/* Reserves zeroed memory once, aligned to 2 MiB, in huge pages where the kernel gives them.
 * `touch` makes every page present before returning, so that nothing faults later; it fails with
 * OSL_MEMORY instead of being killed where that can be known beforehand. */
OSL_MUST_USE enum osl_status osl_memory_reserve(uint64_t bytes, bool touch, void **out,
                                                struct osl_error *error);
void osl_memory_release(void *memory, uint64_t bytes);

/* ---- Libraries --------------------------------------------------------------------------- */

/* Opens a shared library by name at run time ("libvulkan.so.1"), found as the system finds
 * libraries. UNSUPPORTED when it is not installed or cannot be loaded; the text says why. */
OSL_MUST_USE enum osl_status osl_library_open(const char *name, void **library_out,
                                              struct osl_error *error);
/* The function of that name, NULL when there is none. */
void (*osl_library_symbol(void *library, const char *name))(void);
/* NULL is fine. */
void osl_library_close(void *library);

/* ---- Processor --------------------------------------------------------------------------- */

/* Instructions that not every core of an architecture has and that, unlike x86's, only the
 * system can be asked for. */
enum osl_cpu_feature {
    OSL_CPU_ARM_DOTPROD = 1u << 0, /* sdot */
    OSL_CPU_ARM_I8MM = 1u << 1,    /* smmla */
};

/* The set (or of enum osl_cpu_feature) that every core of this machine has. */
uint32_t osl_cpu_features(void);

/* ---- Threads ----------------------------------------------------------------------------- */

#define OSL_THREADS_MAX 256

/* Threads worth starting: cores in our affinity mask, one a physical core where siblings share
 * one, only the big ones on big.LITTLE, at most the cgroup's CPU quota. At least 1. */
uint32_t osl_threads_recommended(void);

/* A persistent team. Thread 0 is the caller of osl_team_run. */
struct osl_team;
typedef void osl_team_fn(void *context, uint32_t thread_index, uint32_t thread_count);

/* Bytes of caller-owned memory for a team of that many threads (64-byte aligned). Worker stacks
 * are part of it, so that starting threads maps nothing later. */
uint64_t osl_team_bytes(uint32_t thread_count);

OSL_MUST_USE enum osl_status osl_team_start(void *memory, uint64_t bytes, uint32_t thread_count,
                                            struct osl_team **team_out, struct osl_error *error);
void osl_team_stop(struct osl_team *team);

/* Runs fn on every thread and returns when all have. Workers spin for a short, bounded time
 * between runs, then sleep on a futex: an idle engine uses no CPU. Not reentrant. */
void osl_team_run(struct osl_team *team, osl_team_fn *fn, void *context);

/* All threads of the running fn wait for one another. Microseconds when all cores are ours;
 * after a bounded spin it sleeps, so that oversubscribed machines go on. */
void osl_team_barrier(struct osl_team *team);

/* Reads [offset, offset+bytes) of a file to `to` at the disk's speed, with all threads of the team:
 * four keep a disk busy, however few cores there are. `to` lies as `offset` does modulo
 * OSL_LOAD_ALIGNMENT, and the blocks of that size around its ends are overwritten. map: of the
 * whole file, to see what the page cache holds; NULL: not looked at. progress, on the caller's
 * thread, gets the bytes read so far and says whether to go on; stopping takes the time of a read
 * or two, some 40 ms. IO, with the place, also where the file was changed meanwhile. */
#define OSL_LOAD_ALIGNMENT 4096u
#define OSL_LOAD_THREADS 4u
struct osl_load_span {
    uint64_t offset;
    uint64_t bytes; /* 1.. */
    void *to;
};
typedef bool osl_load_progress(void *context, uint64_t done_bytes);
OSL_MUST_USE enum osl_status osl_file_load(const struct osl_file *file, const struct osl_map *map,
                                           const struct osl_load_span *span, struct osl_team *team,
                                           osl_load_progress *progress, void *context,
                                           struct osl_error *error);

/* Work shared out at run time: returns the next start in [0, end) by steps of `grain`, or end
 * when there is none left. The counter is reset by osl_team_share_reset between two barriers. */
struct osl_share {
    _Alignas(64) atomic_uint next;
    char pad[60];
};
static inline void osl_share_reset(struct osl_share *share)
{
    atomic_store_explicit(&share->next, 0, memory_order_relaxed);
}
static inline uint32_t osl_share_take(struct osl_share *share, uint32_t grain, uint32_t end)
{
    uint32_t start = atomic_fetch_add_explicit(&share->next, grain, memory_order_relaxed);
    return start < end ? start : end;
}

#endif
