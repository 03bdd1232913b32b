/* Many pieces of memory that live and die together, in a few large blocks: an allocation for each
 * of millions of short texts would double their memory and take most of the time. */
#ifndef PF_COMMON_BASE_ARENA_H
#define PF_COMMON_BASE_ARENA_H

#include <stddef.h>

#include "permafrost/error.h"

typedef struct PfArena {
    struct PfArenaBlock *newest; /* NULL: empty */
    size_t bytes;                /* of all blocks */
} PfArena;

/* size bytes, not zeroed, lent until the arena is freed; NULL where memory is short. alignment: a
 * power of two, at most 64. */
void *pf_arena_allocate(PfArena *arena, size_t size, size_t alignment, PfError *err);
/* A copy of size bytes with a zero behind them, lent until the arena is freed; NULL where memory is
 * short. */
const char *pf_arena_text(PfArena *arena, const char *bytes, size_t size, PfError *err);
/* Leaves it empty. */
void pf_arena_free(PfArena *arena);

#endif
