/* Floats that end where an unreadable page begins. What lies before them, from another such page
 * on, has to be as it was when they are freed. */
#ifndef PF_GUARDED_FLOATS_H
#define PF_GUARDED_FLOATS_H

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/assert_each.h"

typedef struct GuardedFloats {
    float *values; /* (count) */
    char *first;   /* behind the first unreadable page */
    char *pages;
    size_t page_bytes;
} GuardedFloats;

enum { GUARDED_BEFORE = 0x5a };

static inline GuardedFloats guarded_floats(size_t count, float fill)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = count * sizeof(float);
    size_t inner = (bytes / page + 1) * page;
    GuardedFloats guarded = {.page_bytes = inner + 2 * page};
    guarded.pages = mmap(NULL, guarded.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(guarded.pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(guarded.pages + page, inner, PROT_READ | PROT_WRITE), 0);
    guarded.first = guarded.pages + page;
    memset(guarded.first, GUARDED_BEFORE, inner - bytes);
    guarded.values = (float *)(void *)(guarded.pages + page + inner - bytes);
    for (size_t i = 0; i < count; i++) guarded.values[i] = fill;
    return guarded;
}

static inline void guarded_floats_free(GuardedFloats *guarded)
{
    for (const char *at = guarded->first; at < (const char *)guarded->values; at++)
        assert_each(*at == GUARDED_BEFORE, "written before the values");
    munmap(guarded->pages, guarded->page_bytes);
    guarded->values = NULL;
}

#endif
