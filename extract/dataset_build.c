#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_format.h"
#include "memory.h"

const char *pf_dataset_text(PfDataset *dataset, const char *text, size_t length, PfError *err)
{
    return pf_arena_text(&dataset->texts, text, length, err);
}

const char *pf_dataset_join(PfDataset *dataset, const char *folder, const char *name, PfError *err)
{
    size_t folder_length = strlen(folder), name_length = strlen(name);
    if (!folder_length) return pf_dataset_text(dataset, name, name_length, err);
    char *path = pf_arena_allocate(&dataset->texts, folder_length + name_length + 2, 1, err);
    if (!path) return NULL;
    memcpy(path, folder, folder_length);
    path[folder_length] = '/';
    memcpy(path + folder_length + 1, name, name_length + 1);
    return path;
}

int pf_dataset_set_root(PfDataset *dataset, const char *folder, PfError *err)
{
    dataset->root_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dataset->root_fd < 0) return pf_fail_errno(err, "dataset '%s' cannot be read", folder);
    dataset->root = pf_strdup(folder, err);
    return dataset->root ? 0 : -1;
}

int pf_dataset_add(PfDataset *dataset, const char *path, int32_t class_index, PfSplit split,
                   PfError *err)
{
    if (pf_grow(&dataset->samples, &dataset->capacity, dataset->count + 1, sizeof *dataset->samples,
                err))
        return -1;
    dataset->samples[dataset->count++] = (PfSample){path, class_index, split};
    return 0;
}

void pf_dataset_free_lists(PfDataset *dataset)
{
    pf_arena_free(&dataset->texts);
    for (int i = 0; i < PF_NOTE_COUNT; i++) pf_names_free(&dataset->notes[i]);
    pf_names_free(&dataset->by_content);
    pf_sentences_free(&dataset->warnings);
    pf_sentences_free(&dataset->remarks);
    for (int t = 0; dataset->target_names && t < dataset->target_count; t++)
        free(dataset->target_names[t]);
    free(dataset->target_names);
    free(dataset->targets);
    free(dataset->class_indices);
    free(dataset->values);
    free(dataset->groups);
    free(dataset->classes);
    free(dataset->samples);
    free(dataset->listed);
}
