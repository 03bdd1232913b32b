/* Which folders of a dataset are splits, and which are classes. */
#ifndef PF_EXTRACT_DATASET_SPLIT_FOLDERS_H
#define PF_EXTRACT_DATASET_SPLIT_FOLDERS_H

#include <stdbool.h>

#include "common/cache/split.h"
#include "extract/dataset/format.h"

/* In the order in which their rows come. count 0: there are none, every folder is a class. */
typedef struct PfSplitFolders {
    const char *folder[PF_SPLIT_COUNT]; /* relative to the root; in the dataset's texts */
    PfSplit split[PF_SPLIT_COUNT];
    int count;
} PfSplitFolders;

/* Which folders are splits: as options->split_folders says, else by their names and by what they
 * hold. Where that is not sure it fails with PF_EXIT_USAGE, and the message names the option that
 * settles it. With options->exact_split_names only train, val, valid, validation and test are
 * splits, and nothing is unsure; where the rules of today would decide otherwise,
 * dataset->keeps_split_names is set. */
int pf_split_folders_choose(PfDataset *dataset, const PfListing *root,
                            const PfDatasetOptions *options, PfSplitFolders *out, PfError *err);

/* Whether a folder of the root is one of them, or holds one. */
bool pf_split_folders_has(const PfSplitFolders *folders, const char *name);

#endif
