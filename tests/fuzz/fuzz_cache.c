/* Cache files, sealed or not. A fuzzing build takes every seal for intact, so that HDF5 gets
 * to see the damage. What HDF5 1.10 itself does not survive is left out where it can be told
 * (are_heaps_whole), or guarded against in the reader (common/cache/hdf5/storage.c and outside.c).
 * Neither is possible, and triage.sh says "HDF5", for
 *  - a variable-length string that refers to an object its heap does not have (H5HG_read), or
 *    states a length of gigabytes (H5T__conv_vlen allocates it before it looks)
 *  - an attribute's name without end (H5O_msg_iterate under H5Aexists)
 *  - an object header or a chunk of gigabytes (allocated before it is looked for)
 *  - a group that states more links than its header holds (H5G__link_release_table)
 *  - a compressed chunk that unpacks to fewer bytes than its shape has (H5D__scatgath_read)
 *  - virtual datasets that lead in a circle through names with %b (H5D__read) */
#include <string.h>

#include "fuzz.h"
#include "fuzz_cache_file.h"

enum { HEAP_HEADER = 16, OBJECT_HEADER = 16 };

static uint64_t number(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

/* A collection of the global heap, where strings of variable length are: HDF5 goes through its
 * objects without looking where they end, out of bounds or for ever. */
static int is_whole_heap(const uint8_t *heap, size_t left)
{
    if (left < HEAP_HEADER) return 1; /* HDF5 sees that itself */
    uint64_t size = number(heap + 8, 8);
    if (size > left || size < 4096) return 1;
    for (uint64_t at = HEAP_HEADER; size - at >= OBJECT_HEADER;) {
        uint64_t index = number(heap + at, 2), bytes = number(heap + at + 8, 8);
        if (bytes > size - at) return 0;
        uint64_t taken = index ? OBJECT_HEADER + (bytes + 7) / 8 * 8 : bytes;
        if (taken < OBJECT_HEADER || taken > size - at) return 0;
        at += taken;
    }
    return 1;
}

static int are_heaps_whole(const uint8_t *data, size_t size)
{
    for (const uint8_t *end = data + size; (data = memmem(data, (size_t)(end - data), "GCOL", 4));
         data++)
        if (!is_whole_heap(data, (size_t)(end - data))) return 0;
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!are_heaps_whole(data, size)) return -1;
    fuzz_read_cache(fuzz_file(data, size));
    return 0;
}
