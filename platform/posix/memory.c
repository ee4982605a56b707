/* Memory: what there is, and one reservation that never faults again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#define HUGE_PAGE_BYTES ((uint64_t)2 << 20)
#define MIB ((uint64_t)1 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older headers lack the name */
#endif

static uint64_t page_bytes(void)
{
    long size = sysconf(_SC_PAGESIZE);
    OSL_ASSERT(size > 0);
    return (uint64_t)size;
}

void osl_host_memory(const char *root, struct osl_memory_facts *facts_out)
{
    uint64_t total = 0;
    uint64_t available = 0;
    struct osl_lines lines;
    if (osl_lines_open(&lines, root, "/proc/meminfo")) {
        for (const char *line; (line = osl_lines_next(&lines)) != NULL;) {
            unsigned long long kib = 0;
            if (sscanf(line, "MemTotal: %llu kB", &kib) == 1) {
                total = kib * 1024;
            } else if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
                available = kib * 1024;
            }
        }
        osl_lines_close(&lines);
    }
    if (total == 0) { /* no /proc, as in some sandboxes */
        long pages = sysconf(_SC_PHYS_PAGES);
        long free_pages = sysconf(_SC_AVPHYS_PAGES);
        total = pages > 0 ? (uint64_t)pages * page_bytes() : 0;
        available = free_pages > 0 ? (uint64_t)free_pages * page_bytes() : 0;
    }
    struct osl_cgroup_facts limits;
    osl_host_cgroup(root, &limits);
    facts_out->total_bytes = total < limits.memory_limit_bytes ? total : limits.memory_limit_bytes;
    facts_out->available_bytes =
        available < limits.memory_available_bytes ? available : limits.memory_available_bytes;
    facts_out->page_bytes = page_bytes();
}

void osl_memory_facts(struct osl_memory_facts *facts_out)
{
    osl_host_memory("", facts_out);
}

static uint64_t whole_pages(uint64_t bytes)
{
    uint64_t page = page_bytes();
    return (bytes + page - 1) / page * page;
}

/* Makes every page present. The kernel can do it in one call and report a failure; older ones
 * are asked by writing to each page, and so are emulators that accept the call and do nothing. */
static bool touch_pages(uint8_t *memory, uint64_t bytes)
{
    int failed;
    do {
        failed = madvise(memory, bytes, MADV_POPULATE_WRITE);
    } while (failed != 0 && (errno == EINTR || errno == EAGAIN));
    uint64_t page = page_bytes();
    if (failed == 0) {
        unsigned char last = 0;
        if (mincore(memory + bytes - page, page, &last) == 0 && (last & 1) != 0) {
            return true;
        }
    } else if (errno != EINVAL && errno != ENOSYS) {
        return false;
    }
    for (uint64_t at = 0; at < bytes; at += page) {
        *(volatile uint8_t *)(memory + at) = 0;
    }
    return true;
}

enum osl_status osl_memory_reserve(uint64_t bytes, bool touch, void **out, struct osl_error *error)
{
    *out = NULL;
    if (bytes == 0 || bytes > UINT64_MAX / 2 || bytes > SIZE_MAX / 2) {
        return osl_fail(error, OSL_ARGUMENT, "cannot reserve %llu bytes of memory",
                        (unsigned long long)bytes);
    }
    uint64_t size = whole_pages(bytes);
    if (touch) {
        struct osl_memory_facts facts;
        osl_memory_facts(&facts);
        if (size > facts.available_bytes) {
            return osl_fail(error, OSL_MEMORY,
                            "%llu MiB of memory wanted, %llu MiB available; close other programs "
                            "or ask for a smaller context",
                            (unsigned long long)(size / MIB + 1),
                            (unsigned long long)(facts.available_bytes / MIB));
        }
    }
    /* Enough to find an aligned start inside; the ends go back at once. */
    uint64_t mapped_bytes = size + HUGE_PAGE_BYTES;
    uint8_t *mapped =
        mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        return osl_fail(error, OSL_MEMORY,
                        "the system refuses %llu MiB of memory (%m); close other programs or "
                        "ask for a smaller context",
                        (unsigned long long)(size / MIB + 1));
    }
    uint64_t lead = (HUGE_PAGE_BYTES - (uintptr_t)mapped % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
    uint8_t *memory = mapped + lead;
    if (lead > 0) {
        munmap(mapped, lead);
    }
    if (mapped_bytes - lead > size) {
        munmap(memory + size, mapped_bytes - lead - size);
    }
    (void)madvise(memory, size, MADV_HUGEPAGE); /* a wish: refused where the kernel has none */
    if (touch && !touch_pages(memory, size)) {
        enum osl_status status =
            osl_fail(error, OSL_MEMORY,
                     "%llu MiB of memory could not be made present (%m); close other programs "
                     "or ask for a smaller context",
                     (unsigned long long)(size / MIB + 1));
        munmap(memory, size);
        return status;
    }
    *out = memory;
    return OSL_OK;
}

void osl_memory_release(void *memory, uint64_t bytes)
{
    if (memory != NULL) {
        int failed = munmap(memory, whole_pages(bytes));
        OSL_ASSERT(failed == 0);
    }
}
