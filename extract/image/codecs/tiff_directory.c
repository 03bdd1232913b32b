/* The first directory of a TIFF, classic or BigTIFF, before libtiff reads it: libtiff keeps a copy
 * of every value, and a directory may point to the same megabytes many thousand times. */
#include "extract/image/codecs/tiff_internal.h"

enum { TAG_WIDTH = 256, TAG_HEIGHT = 257, TAG_EXTRA_SAMPLES = 338 };

typedef struct Directory {
    const uint8_t *bytes;
    size_t size;
    bool is_big_endian, is_big; /* BigTIFF: numbers of 8 bytes, not 4 */
} Directory;

static uint64_t get(const Directory *directory, uint64_t position, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value =
            value << 8 |
            directory->bytes[position + (uint64_t)(directory->is_big_endian ? i : count - 1 - i)];
    return value;
}

static int broken(const Directory *directory, PfError *err)
{
    return pf_image_bad(err, "truncated TIFF: ends after %zu bytes, before its directory does",
                        directory->size);
}

/* Where the directory's entries begin, and how many they are. */
static int find_entries(const Directory *directory, uint64_t *position, uint64_t *count,
                        PfError *err)
{
    int offset_bytes = directory->is_big ? 8 : 4, count_bytes = directory->is_big ? 8 : 2;
    size_t header = directory->is_big ? 16 : 8, entry = directory->is_big ? 20 : 12;
    if (directory->size < header) return broken(directory, err);
    *position = get(directory, directory->is_big ? 8 : 4, offset_bytes);
    if (*position > directory->size || directory->size - *position < (size_t)count_bytes)
        return broken(directory, err);
    *count = get(directory, *position, count_bytes);
    *position += (uint64_t)count_bytes;
    if (*count > (directory->size - *position) / entry) return broken(directory, err);
    return 0;
}

/* Bytes that an entry's values have outside of it; 0 where they cannot be read. */
static uint64_t outside_bytes(const Directory *directory, uint64_t entry)
{
    static const uint8_t type_sizes[19] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
    int word = directory->is_big ? 8 : 4;
    uint64_t type = get(directory, entry + 2, 2), count = get(directory, entry + 4, word);
    if (type >= sizeof type_sizes || !type_sizes[type]) return 0;
    if (count > directory->size / type_sizes[type]) return 0;
    uint64_t bytes = count * type_sizes[type];
    uint64_t at = get(directory, entry + 4 + (uint64_t)word, word);
    bool is_readable = at <= directory->size && bytes <= directory->size - at;
    return bytes > (uint64_t)word && is_readable ? bytes : 0;
}

/* A whole number that stands in its entry; 0 of other types. */
static int64_t entry_value(const Directory *directory, uint64_t entry)
{
    uint64_t at = entry + (directory->is_big ? 12 : 8);
    switch (get(directory, entry + 2, 2)) {
    case 3: return (int64_t)get(directory, at, 2);
    case 4: return (int64_t)get(directory, at, 4);
    case 16: return directory->is_big ? (int64_t)get(directory, at, 8) : 0;
    default: return 0;
    }
}

int pf_tiff_check_directory(const uint8_t *bytes, size_t size, const PfImageLimits *limits,
                            bool *has_extra_samples, PfError *err)
{
    /* The signature has been seen. */
    Directory directory = {bytes, size, bytes[0] == 'M', bytes[2] == 43 || bytes[3] == 43};
    uint64_t position = 0, count = 0, outside = 0;
    if (find_entries(&directory, &position, &count, err)) return -1;
    int64_t width = 0, height = 0;
    *has_extra_samples = false;
    for (uint64_t i = 0; i < count; i++, position += directory.is_big ? 20 : 12) {
        uint64_t tag = get(&directory, position, 2);
        if (tag == TAG_WIDTH) width = entry_value(&directory, position);
        if (tag == TAG_HEIGHT) height = entry_value(&directory, position);
        if (tag == TAG_EXTRA_SAMPLES) *has_extra_samples = true;
        outside += outside_bytes(&directory, position);
        if (outside > size)
            return pf_image_bad(err, "broken TIFF: the values that its directory points to are "
                                     "larger than the file");
    }
    return pf_image_check_size(limits, width, height, err);
}
