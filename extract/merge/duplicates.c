/* Images that more than one of the caches has that --merge joins. */
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/memory.h"
#include "extract/merge/internal.h"

/* A row by its path and content: those of equal fingerprints are taken for equal. */
typedef struct PfMergeImage {
    uint64_t fingerprint;
    int input;
} Image;

static int compare_images(const void *left, const void *right)
{
    const Image *a = left, *b = right;
    if (a->fingerprint != b->fingerprint) return a->fingerprint < b->fingerprint ? -1 : 1;
    return a->input < b->input ? -1 : a->input > b->input;
}

int pf_merge_duplicates_new(const PfMergeInputs *inputs, PfMergeDuplicates *duplicates,
                            bool *too_many, PfError *err)
{
    const size_t rows = (size_t)inputs->row_count;
    *duplicates = (PfMergeDuplicates){0};
    *too_many = false;
    if (inputs->count < 2 || pf_merge_shards_are_one_dataset(inputs)) return 0;
    *too_many = rows > pf_memory_physical_bytes() / 4 / sizeof(Image);
    if (*too_many) return 0;
    duplicates->images = pf_calloc(rows, sizeof *duplicates->images, err);
    duplicates->capacity = rows;
    return duplicates->images ? 0 : -1;
}

void pf_merge_duplicates_note(PfMergeDuplicates *duplicates, const char *path,
                              const uint8_t *digest, int input)
{
    uint64_t hash;
    if (!duplicates->images || !path || pf_digest_is_none(digest) ||
        duplicates->count == duplicates->capacity)
        return;
    memcpy(&hash, digest, sizeof hash);
    duplicates->images[duplicates->count++] = (Image){hash ^ pf_digest_xxh64_text(path), input};
}

int64_t pf_merge_duplicates_count(PfMergeDuplicates *duplicates)
{
    const Image *images = duplicates->images;
    int64_t count = 0;
    if (!images) return 0;
    qsort(duplicates->images, duplicates->count, sizeof *images, compare_images);
    for (size_t i = 0, first = 0; i < duplicates->count; i++) {
        if (images[i].fingerprint != images[first].fingerprint) first = i;
        count += images[i].input != images[first].input;
    }
    return count;
}

void pf_merge_duplicates_free(PfMergeDuplicates *duplicates)
{
    free(duplicates->images);
    *duplicates = (PfMergeDuplicates){0};
}
