#include "weights_pickle_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "printable.h"

/* A checkpoint of a network with its optimiser has some 100,000 values, of 80 bytes. A legacy file
 * has two pickles at a time. */
#define MAX_ARENA_BYTES ((size_t)160 << 20)
#define MAX_STACK ((size_t)1 << 22)
#define ARENA_BLOCK_BYTES ((size_t)64 << 10)

typedef struct PfPickleArena {
    void **blocks;
    size_t block_count, block_capacity;
    size_t used, room; /* of the last block */
    size_t total;
} PfPickleArena;

/* Zeroed, aligned for any of our types; NULL and err filled on failure. */
static void *arena_allocate(PfPickleArena *arena, size_t size, PfError *err)
{
    size = (size + 15) / 16 * 16;
    if (arena->room - arena->used < size) {
        size_t block_size = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;
        if (block_size > MAX_ARENA_BYTES - arena->total) {
            pf_fail(err, PF_EXIT_FAILED, "its pickle needs more than %zu MB of memory",
                    MAX_ARENA_BYTES >> 20);
            return NULL;
        }
        if (pf_grow(&arena->blocks, &arena->block_capacity, arena->block_count + 1,
                    sizeof *arena->blocks, err))
            return NULL;
        void *block = pf_calloc(1, block_size, err);
        if (!block) return NULL;
        arena->blocks[arena->block_count++] = block;
        arena->total += block_size;
        arena->room = block_size;
        arena->used = 0;
    }
    void *memory = (char *)arena->blocks[arena->block_count - 1] + arena->used;
    arena->used += size;
    return memory;
}

int pf_pickle_new(PfPickle *pickle, PfError *err)
{
    *pickle = (PfPickle){.arena = pf_calloc(1, sizeof(PfPickleArena), err)};
    return pickle->arena ? 0 : -1;
}

void pf_pickle_free(PfPickle *pickle)
{
    free(pickle->storages);
    if (pickle->arena) {
        for (size_t i = 0; i < pickle->arena->block_count; i++) free(pickle->arena->blocks[i]);
        free(pickle->arena->blocks);
        free(pickle->arena);
    }
    *pickle = (PfPickle){0};
}

int pf_pickle_fail(PfPickleReader *reader, const char *format, ...)
{
    char problem[600];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(problem, sizeof problem, format, arguments);
    va_end(arguments);
    return pf_fail(reader->err, PF_EXIT_FAILED,
                   "weights '%s': %" PF_SENTENCE " (byte %zu of the pickle)", reader->source,
                   problem, reader->at);
}

void *pf_pickle_allocate(PfPickleReader *reader, size_t size)
{
    PfError inner = {0};
    void *memory = arena_allocate(reader->pickle->arena, size, &inner);
    if (!memory) pf_pickle_fail(reader, "%" PF_SENTENCE, inner.message);
    return memory;
}

int pf_pickle_push(PfPickleReader *reader, PfPickleValue *value)
{
    if (reader->depth >= MAX_STACK)
        return pf_pickle_fail(reader, "the pickle's stack grows without end");
    if (pf_grow(&reader->stack, &reader->stack_capacity, reader->depth + 1, sizeof *reader->stack,
                reader->err))
        return -1;
    reader->stack[reader->depth++] = value;
    return 0;
}

PfPickleValue *pf_pickle_push_new(PfPickleReader *reader, PfPickleKind kind)
{
    PfPickleValue *value = pf_pickle_allocate(reader, sizeof *value);
    if (!value || pf_pickle_push(reader, value)) return NULL;
    value->kind = kind;
    return value;
}

/* Outgrown arrays stay in the arena: at most as much again. */
int pf_pickle_append(PfPickleReader *reader, PfPickleValue *to, PfPickleValue *const *values,
                     size_t count)
{
    if (count > to->items.capacity - to->items.count) {
        size_t capacity = to->items.count + count;
        if (to->items.count) capacity *= 2;
        PfPickleValue **larger = pf_pickle_allocate(reader, capacity * sizeof *larger);
        if (!larger) return -1;
        if (to->items.count) memcpy(larger, to->items.values, to->items.count * sizeof *larger);
        to->items.values = larger;
        to->items.capacity = capacity;
    }
    if (count) memcpy(to->items.values + to->items.count, values, count * sizeof *values);
    to->items.count += count;
    return 0;
}
