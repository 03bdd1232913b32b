#include "feature_cache_extents.h"

#include <stdlib.h>

#include "memory.h"
#include "permafrost/tensor.h"

typedef struct WrittenChunk {
    hid_t dataset;
    int64_t first_row;
    uint64_t size, bytes_before; /* of it, and of all chunks written before it */
} WrittenChunk;

int pf_cache_extents_note(PfCacheExtents *extents, hid_t dataset, int64_t first_row,
                          size_t stored_bytes, PfError *err)
{
    if (pf_grow(&extents->chunks, &extents->capacity, extents->count + 1, sizeof(WrittenChunk),
                err))
        return -1;
    extents->chunks[extents->count++] =
        (WrittenChunk){dataset, first_row, stored_bytes, extents->total_bytes};
    extents->total_bytes += stored_bytes;
    return 0;
}

void pf_cache_extents_free(PfCacheExtents *extents)
{
    free(extents->chunks);
    *extents = (PfCacheExtents){0};
}

typedef struct Found {
    PfSealExtent *items;
    size_t count, capacity;
} Found;

static int ask_offset(const WrittenChunk *chunk, uint64_t *offset)
{
    hsize_t row[PF_MAX_RANK + 1] = {(hsize_t)chunk->first_row}, size = 0;
    haddr_t address = HADDR_UNDEF;
    unsigned skipped;
    if (H5Dget_chunk_info_by_coord(chunk->dataset, row, &skipped, &address, &size) < 0 ||
        address == HADDR_UNDEF || size != chunk->size)
        return -1;
    *offset = address;
    return 0;
}

/* Lengthens the last extent where it ends at the offset. */
static int add_extent(Found *found, uint64_t offset, uint64_t size)
{
    PfSealExtent *last = found->count ? &found->items[found->count - 1] : NULL;
    if (last && last->offset + last->size == offset) {
        last->size += size;
        return 0;
    }
    if (pf_grow(&found->items, &found->capacity, found->count + 1, sizeof *found->items, NULL))
        return -1;
    found->items[found->count++] = (PfSealExtent){offset, size};
    return 0;
}

/* Extents of the chunks [from, to), whose ends in the file are known: `offset` of
 * `from`, `end_offset` of `to`. HDF5 walks through all chunks before the one it is asked for, so it
 * is asked for few: where as many bytes lie between two chunks as were written between
 * them, nothing else does, as HDF5 takes room from the file's end only. */
static int find_between(const WrittenChunk *from, const WrittenChunk *to, uint64_t offset,
                        uint64_t end_offset, Found *found)
{
    uint64_t size = to->bytes_before - from->bytes_before, middle_offset;
    if (end_offset - offset == size || to == from + 1) return add_extent(found, offset, size);
    const WrittenChunk *middle = from + (to - from) / 2;
    if (ask_offset(middle, &middle_offset) ||
        find_between(from, middle, offset, middle_offset, found))
        return -1;
    return find_between(middle, to, middle_offset, end_offset, found);
}

static int find_all(const PfCacheExtents *extents, Found *found)
{
    uint64_t offset, last_offset;
    const WrittenChunk *first = extents->chunks, *last = first + extents->count - 1;
    if (ask_offset(first, &offset) || ask_offset(last, &last_offset)) return -1;
    if (last > first && find_between(first, last, offset, last_offset, found)) return -1;
    return add_extent(found, last_offset, last->size);
}

static int compare_offsets(const void *a, const void *b)
{
    uint64_t x = ((const PfSealExtent *)a)->offset, y = ((const PfSealExtent *)b)->offset;
    return (x > y) - (x < y);
}

int pf_cache_extents_find(const PfCacheExtents *extents, PfSealExtent **out, int64_t *count)
{
    Found found = {0};
    *out = NULL;
    *count = 0;
    if (!extents->count) return 0;
    if (find_all(extents, &found)) {
        free(found.items);
        return -1;
    }
    qsort(found.items, found.count, sizeof *found.items, compare_offsets);
    *out = found.items;
    *count = (int64_t)found.count;
    return 0;
}
