#include "common/base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/control_group.h"

static void *out_of_memory(PfError *err, size_t count, size_t size)
{
    pf_fail(err, PF_EXIT_FAILED, "out of memory: %zu x %zu bytes could not be allocated", count,
            size);
    return NULL;
}

void *pf_calloc(size_t count, size_t size, PfError *err)
{
    void *block = calloc(count ? count : 1, size ? size : 1);
    return block ? block : out_of_memory(err, count, size);
}

static void *alloc_aligned_to(size_t alignment, size_t count, size_t size, PfError *err)
{
    if (size && count > (SIZE_MAX - alignment) / size) return out_of_memory(err, count, size);
    /* aligned_alloc wants a multiple of the alignment. */
    size_t bytes = (count * size + alignment - 1) / alignment * alignment;
    void *block = aligned_alloc(alignment, bytes ? bytes : alignment);
    return block ? block : out_of_memory(err, count, size);
}

void *pf_alloc_aligned(size_t count, size_t size, PfError *err)
{
    return alloc_aligned_to(64, count, size, err);
}

#define LARGE_PAGE ((size_t)2 << 20)

void *pf_alloc_large(size_t count, size_t size, PfError *err)
{
    if (!size || count < 2 * LARGE_PAGE / size) return pf_alloc_aligned(count, size, err);
    void *block = alloc_aligned_to(LARGE_PAGE, count, size, err);
    /* Whole pages alone: what follows the block is others'. Where the system has none, all is as
     * well. */
    if (block) madvise(block, count * size / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
    return block;
}

char *pf_strdup(const char *text, PfError *err)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (!copy) return out_of_memory(err, 1, size);
    memcpy(copy, text, size);
    return copy;
}

char *pf_asprintf(PfError *err, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length >= 0 ? text : out_of_memory(err, 1, 0);
}

int pf_grow(void *array, size_t *capacity, size_t needed, size_t size, PfError *err)
{
    if (needed <= *capacity) return 0;
    size_t larger = *capacity ? *capacity * 2 : 16;
    if (larger < needed) larger = needed;
    void **pointer = array;
    void *moved = larger > SIZE_MAX / size ? NULL : realloc(*pointer, larger * size);
    if (!moved) {
        out_of_memory(err, larger, size);
        return -1;
    }
    *pointer = moved;
    *capacity = larger;
    return 0;
}

size_t pf_memory_physical_bytes(void)
{
    struct rlimit space;
    size_t least = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    size_t limit = pf_control_group_limits("").memory_bytes;
    if (limit < least) least = limit;
    if (!getrlimit(RLIMIT_AS, &space) && space.rlim_cur < least) least = (size_t)space.rlim_cur;
    return least;
}

/* Of this program alone: getrusage() starts from what the process was before it became this
 * program, a large script for instance. 0 where /proc does not tell. */
static size_t peak_in_status(void)
{
    unsigned long long kilobytes = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1) break;
    if (file) fclose(file);
    return (size_t)kilobytes * 1024;
}

size_t pf_memory_peak_bytes(void)
{
    struct rusage usage;
    size_t peak = peak_in_status();
    if (peak || getrusage(RUSAGE_SELF, &usage)) return peak;
    return (size_t)usage.ru_maxrss * 1024;
}
