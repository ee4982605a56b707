/* After boot nothing is allocated: this program stands in for the allocator, for mmap and for
 * thread creation, and counts every call while a conversation goes on. The model is the file named
 * by the first argument. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/ossicle.h"

/* The C library's own names for what is replaced below. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *memory);

static atomic_bool watching;
static atomic_uint calls;
static const char *_Atomic first_call;

static void note(const char *name)
{
    if (atomic_load(&watching) && atomic_fetch_add(&calls, 1) == 0)
        atomic_store(&first_call, name);
}

void *malloc(size_t bytes)
{
    note("malloc");
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    note("calloc");
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    note("realloc");
    return __libc_realloc(old, bytes);
}

void *memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes)
{
    note("memalign");
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    note("aligned_alloc");
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    note("posix_memalign");
    *out = __libc_memalign(alignment, bytes);
    return *out == NULL ? 12 : 0;
}

void free(void *memory)
{
    __libc_free(memory);
}

/* Which of the two names the header gives mmap depends on the width of file offsets. */
static void *map(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    note("mmap");
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}
void *plain_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
    __asm__("mmap");
void *plain_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    return map(address, bytes, protection, flags, file, offset);
}
void *wide_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
    __asm__("mmap64");
void *wide_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    return map(address, bytes, protection, flags, file, offset);
}

void *mremap(void *old, size_t old_bytes, size_t bytes, int flags, ...)
{
    note("mremap");
    return (void *)syscall(SYS_mremap, old, old_bytes, bytes, flags, NULL);
}

int brk(void *end)
{
    note("brk");
    return (int)syscall(SYS_brk, end);
}

void *sbrk(intptr_t bytes)
{
    note("sbrk");
    void *(*real)(intptr_t) = (void *(*)(intptr_t))dlsym(RTLD_NEXT, "sbrk");
    return real(bytes);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    note("pthread_create");
    create_fn *real = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, run, argument);
}

/* ---- The engine under watch -------------------------------------------------------------- */

static const char *model_path;
static ossicle *engine;
static void *memory;

static void watch(void)
{
    atomic_store(&calls, 0);
    atomic_store(&first_call, NULL);
    atomic_store(&watching, true);
}

static void check_nothing_was_allocated(void)
{
    atomic_store(&watching, false);
    if (atomic_load(&calls) != 0)
        fail_msg("%u allocations, the first by %s", atomic_load(&calls), atomic_load(&first_call));
}

static int boot(void **state)
{
    struct ossicle_error error = {0};
    struct ossicle_config config;
    struct ossicle_plan plan;
    (void)state;
    ossicle_config_init(&config);
    config.model_path = model_path;
    config.context_tokens = 1024;
    config.prefill_tokens = 64;
    config.threads = 2;
    if (ossicle_plan(&config, &plan, &error) != OSSICLE_OK) {
        fprintf(stderr, "plan: %s\n", error.text);
        return -1;
    }
    memory = aligned_alloc(OSSICLE_ALIGNMENT, plan.memory_bytes);
    if (ossicle_boot(&config, memory, plan.memory_bytes, &engine, &error) != OSSICLE_OK) {
        fprintf(stderr, "boot: %s\n", error.text);
        return -1;
    }
    return 0;
}

static int halt(void **state)
{
    (void)state;
    ossicle_halt(engine);
    free(memory);
    return 0;
}

static void say(const char *text)
{
    assert_int_equal(ossicle_say(engine, OSSICLE_USER, text, strlen(text)), OSSICLE_OK);
}

/* Steps to the end. A random model may write anything, tool calls too. */
static void answer(const struct ossicle_sampling *sampling)
{
    struct ossicle_event event = {0};
    assert_int_equal(ossicle_begin(engine, sampling), OSSICLE_OK);
    for (uint32_t steps = 0; steps < 4096; steps++) {
        assert_int_equal(ossicle_step(engine, &event), OSSICLE_OK);
        assert_int_not_equal(event.kind, OSSICLE_EVENT_FAULT);
        if (event.kind == OSSICLE_EVENT_DONE)
            return;
    }
    fail_msg("the answer does not end");
}

static void watching_sees_allocations(void **state)
{
    void *(*volatile allocate)(size_t) = malloc;
    (void)state;
    watch();
    void *some = allocate(100);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    atomic_store(&watching, false);
    assert_int_equal(atomic_load(&calls), 2);
    assert_string_equal(atomic_load(&first_call), "malloc");
    free(some);
    munmap(page, 4096);
}

static void watching_sees_allocations_of_libraries(void **state)
{
    (void)state;
    watch();
    char *copy = strdup("inside the C library");
    atomic_store(&watching, false);
    assert_int_equal(atomic_load(&calls), 1);
    free(copy);
}

static void conversation_allocates_nothing(void **state)
{
    static const struct ossicle_bias bias[] = {{.token = 5, .bias = -3.0f}};
    static const struct ossicle_conversation conversation = {
        .current_date = "2025-08-05",
        .instructions = "Be brief.",
        .tools_json = "[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"description\":"
                      "\"Weather\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":"
                      "{\"type\":\"string\"}}}}}]",
    };
    struct ossicle_sampling sampling;
    uint32_t mark = 0;
    (void)state;
    ossicle_sampling_init(&sampling);
    sampling.max_tokens = 40;
    sampling.top_k = 50;
    sampling.top_p = 0.95f;
    sampling.min_p = 0.01f;
    sampling.repetition_penalty = 1.1f;
    sampling.presence_penalty = 0.1f;
    sampling.frequency_penalty = 0.1f;
    sampling.bias = bias;
    sampling.bias_count = 1;
    sampling.stops[0] = "never written";
    sampling.stop_count = 1;

    watch();
    assert_int_equal(ossicle_open(engine, &conversation), OSSICLE_OK);
    say("What is an ossicle?");
    answer(&sampling);
    assert_int_equal(ossicle_mark(engine, &mark), OSSICLE_OK);
    say("And how many are there in an ear?");
    answer(NULL);
    assert_int_equal(ossicle_rewind(engine, mark), OSSICLE_OK);
    assert_int_equal(ossicle_say_tool(engine, "weather", "{\"sky\":\"clear\"}", 15), OSSICLE_OK);
    sampling.temperature = 0;
    answer(&sampling);
    check_nothing_was_allocated();
}

static void tools_allocate_nothing(void **state)
{
    static int32_t ids[256];
    static char text[1024];
    struct ossicle_candidate top[20];
    struct ossicle_stats stats;
    const char *path = "test_no_alloc.session";
    size_t count = 0;
    size_t bytes = 0;
    (void)state;
    watch();
    assert_int_equal(ossicle_tokenize(engine, "many words", 10, false, ids, 256, &count),
                     OSSICLE_OK);
    assert_int_equal(ossicle_detokenize(engine, ids, count, text, 1024, &bytes), OSSICLE_OK);
    assert_int_equal(ossicle_score(engine, ids, count, top, 20, NULL), OSSICLE_OK);
    assert_int_equal(ossicle_open(engine, NULL), OSSICLE_OK);
    say("Keep this.");
    assert_int_equal(ossicle_save(engine, path), OSSICLE_OK);
    assert_int_equal(ossicle_load(engine, path), OSSICLE_OK);
    ossicle_stats(engine, &stats);
    check_nothing_was_allocated();
    unlink(path);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watching_sees_allocations),
        cmocka_unit_test(watching_sees_allocations_of_libraries),
        cmocka_unit_test(conversation_allocates_nothing),
        cmocka_unit_test(tools_allocate_nothing),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_no_alloc MODEL\n");
        return 1;
    }
    model_path = argv[1];
    return cmocka_run_group_tests(tests, boot, halt);
}
