/* Floats that begin after an unreadable page and end where another one begins
 * (or, with their start on a page, so that one value before them is a crash). */
#ifndef PF_GUARDED_FLOATS_H
#define PF_GUARDED_FLOATS_H

#include <check.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct GuardedFloats {
    float *values; /* (count) */
    char *pages;
    size_t page_bytes;
} GuardedFloats;

static inline GuardedFloats guarded_floats(size_t count, float fill)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = count * sizeof(float);
    size_t inner = (bytes / page + 1) * page;
    GuardedFloats guarded = {.page_bytes = inner + 2 * page};
    guarded.pages = mmap(NULL, guarded.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(guarded.pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(guarded.pages + page, inner, PROT_READ | PROT_WRITE), 0);
    guarded.values = (float *)(void *)(guarded.pages + page + inner - bytes);
    for (size_t i = 0; i < count; i++) guarded.values[i] = fill;
    return guarded;
}

static inline void guarded_floats_free(GuardedFloats *guarded)
{
    munmap(guarded->pages, guarded->page_bytes);
    guarded->values = NULL;
}

#endif
