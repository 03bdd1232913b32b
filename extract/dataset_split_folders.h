/* Which folders of a dataset are train, validation and test, and which are classes. */
#ifndef PF_DATASET_SPLIT_FOLDERS_H
#define PF_DATASET_SPLIT_FOLDERS_H

#include "dataset_format.h"

/* In the order in which their rows come. count 0: there are none, every folder is a class. */
typedef struct PfSplitFolders {
    const char *folder[PF_SPLIT_COUNT]; /* relative to the root; in the dataset's texts */
    PfSplit split[PF_SPLIT_COUNT];
    int count;
} PfSplitFolders;

/* As options->split_folders says; else by the folders' names and by what they hold. What is not
 * sure is PF_EXIT_USAGE, and the message says how to say it. With options->exact_split_names the
 * names of a cache's first days count, and nothing is unsure; where those of today say something
 * else dataset->keeps_split_names is set. */
int pf_split_folders_choose(PfDataset *dataset, const PfListing *root,
                            const PfDatasetOptions *options, PfSplitFolders *out, PfError *err);
/* Whether a folder of the root is one of them, or holds one. */
int pf_split_folders_has(const PfSplitFolders *folders, const char *name);

#endif
