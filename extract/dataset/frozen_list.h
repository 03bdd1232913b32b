/* A dataset's listing, frozen in a file: extract --list DATASET -o LIST. Every shard reads its own
 * part of it, whatever has become of the folder since.
 *
 * The file is text. Its first line is a JSON object: "format", "version", "kind" and "root" of the
 * dataset, "count" of its images, "listing" (pf_dataset_listing_digest), "targets", what of "val"
 * and "test" is still to be drawn, and "has_groups". Then comes a line for each image, with tabs
 * between its fields: path, side (0, 1, 2), group in hex where there are groups, a class index for
 * each target with classes, and the numbers of the other targets. Control characters, tabs and %
 * are written %XX. Then comes the index, a line for each PF_FROZEN_LIST_BLOCK images: where the
 * block begins, its bytes, and their XXH3, in hex of fixed width; and a last line with where the
 * index begins and the XXH3 of the first line and the index. */
#ifndef PF_EXTRACT_DATASET_FROZEN_LIST_H
#define PF_EXTRACT_DATASET_FROZEN_LIST_H

#include <stdint.h>

#include "extract/dataset/dataset.h"

#define PF_FROZEN_LIST_FORMAT "permafrost-list"
#define PF_FROZEN_LIST_VERSION 1
#define PF_FROZEN_LIST_BLOCK 1024
/* What a list has at most: targets, numbers of a target in a row, and bytes of the first line,
 * which holds the names of all classes. */
#define PF_FROZEN_LIST_TARGETS 256
#define PF_FROZEN_LIST_WIDTH 65536
#define PF_FROZEN_LIST_HEADER_BYTES ((int64_t)64 << 20)

/* "0123456789abcdef 0123456789abcdef 0123456789abcdef\n" */
#define PF_FROZEN_LIST_INDEX_LINE 51
/* "index 0123456789abcdef 0123456789abcdef\n" */
#define PF_FROZEN_LIST_LAST_LINE 40

typedef struct PfFrozenListSummary {
    int64_t images;
    int64_t file_bytes;
} PfFrozenListSummary;

/* Writes the dataset's list to `path`, which is then the old file or the new one, whole. What lies
 * in archives or in files of many images cannot be frozen, and is refused. */
int pf_frozen_list_write(const PfDataset *dataset, const char *path, PfFrozenListSummary *summary,
                         PfError *err);

#endif
