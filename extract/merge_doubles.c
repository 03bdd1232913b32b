#include "merge_doubles.h"

#include <string.h>

#include "digest.h"
#include "hash_index.h"

/* A row as what it is recognised by. */
typedef struct Image {
    int input;
    const char *path;
    const uint8_t *digest;
} Image;

static Image image_of(const PfMergeInputs *inputs, int64_t row, int guess)
{
    int i = pf_merge_inputs_find_row(inputs, row, guess);
    const PfMergeInput *input = &inputs->items[i];
    int64_t own = row - input->first_row;
    return (Image){i, input->files.paths[own], input->files.digests[own]};
}

static int is_same(const Image *a, const Image *b)
{
    return !memcmp(a->digest, b->digest, PF_DIGEST_SIZE) && !strcmp(a->path, b->path);
}

static uint64_t hash_of(const Image *image)
{
    uint64_t hash;
    memcpy(&hash, image->digest, sizeof hash);
    return hash ^ pf_xxh64_text(image->path);
}

/* Whether an input before has the image; where none has, it is put in. */
static int is_double(const PfMergeInputs *inputs, const PfHashIndex *index, int64_t row, int input)
{
    Image image = image_of(inputs, row, input);
    uint32_t *slot = pf_hash_index_first(index, hash_of(&image));
    while (*slot != PF_HASH_EMPTY) {
        Image other = image_of(inputs, *slot, input);
        if (is_same(&image, &other)) return other.input != image.input;
        slot = pf_hash_index_next(index, slot);
    }
    *slot = (uint32_t)row;
    return 0;
}

int pf_merge_count_doubles(const PfMergeInputs *inputs, int64_t *count, PfError *err)
{
    PfHashIndex index;
    *count = 0;
    if (inputs->row_count >= PF_HASH_EMPTY) return 0;
    if (pf_hash_index_init(&index, inputs->row_count, err)) return -1;
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        int64_t rows = input->files.paths ? pf_cache_row_count(input->cache) : 0;
        for (int64_t row = 0; row < rows; row++)
            if (!pf_digest_is_none(input->files.digests[row]))
                *count += is_double(inputs, &index, input->first_row + row, i);
    }
    pf_hash_index_free(&index);
    return 0;
}
