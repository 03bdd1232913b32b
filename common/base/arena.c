#include "common/base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define BLOCK_BYTES ((size_t)64 << 10)
#define MOST_ALIGNMENT 64 /* of the blocks themselves */

typedef struct PfArenaBlock {
    struct PfArenaBlock *older;
    size_t used, capacity;
    _Alignas(MOST_ALIGNMENT) char bytes[];
} PfArenaBlock;

static PfArenaBlock *new_block(PfArena *arena, size_t capacity, PfError *err)
{
    if (capacity > SIZE_MAX - sizeof(PfArenaBlock)) {
        pf_fail(err, PF_EXIT_FAILED, "out of memory: %zu bytes could not be allocated", capacity);
        return NULL;
    }
    PfArenaBlock *block = pf_alloc_aligned(1, sizeof *block + capacity, err);
    if (!block) return NULL;
    *block = (PfArenaBlock){.capacity = capacity};
    arena->bytes += capacity;
    return block;
}

/* A block of its own for a large piece, behind the newest, which may still have room for others. */
static void *allocate_large(PfArena *arena, size_t size, PfError *err)
{
    PfArenaBlock *block = new_block(arena, size, err);
    if (!block) return NULL;
    block->used = size;
    PfArenaBlock **place = arena->newest ? &arena->newest->older : &arena->newest;
    block->older = *place;
    *place = block;
    return block->bytes;
}

void *pf_arena_allocate(PfArena *arena, size_t size, size_t alignment, PfError *err)
{
    assert(alignment && alignment <= MOST_ALIGNMENT && !(alignment & (alignment - 1)));
    if (size > BLOCK_BYTES / 4) return allocate_large(arena, size, err);
    PfArenaBlock *block = arena->newest;
    size_t at = block ? (block->used + alignment - 1) & ~(alignment - 1) : 0;
    if (!block || at > block->capacity || block->capacity - at < size) {
        block = new_block(arena, BLOCK_BYTES, err);
        if (!block) return NULL;
        block->older = arena->newest;
        arena->newest = block;
        at = 0;
    }
    block->used = at + size;
    return block->bytes + at;
}

const char *pf_arena_text(PfArena *arena, const char *bytes, size_t size, PfError *err)
{
    char *text = pf_arena_allocate(arena, size + 1, 1, err);
    if (!text) return NULL;
    if (size) memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

void pf_arena_free(PfArena *arena)
{
    while (arena->newest) {
        PfArenaBlock *block = arena->newest;
        arena->newest = block->older;
        free(block);
    }
    *arena = (PfArena){0};
}
