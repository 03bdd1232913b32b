#include "dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset_format.h"
#include "memory.h"
#include "split.h"

/* Asked in this order; a kind of dataset more is a row more. */
static const PfDatasetFormat *const formats[] = {
    &pf_dataset_format_paths,
    &pf_dataset_format_cifar,
    &pf_dataset_format_folder,
};

static int find_format(const char *operand, const PfDatasetFormat **format, PfError *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        *format = formats[i];
        if (formats[i]->probe(operand)) return 0;
    }
    struct stat status;
    if (stat(operand, &status)) return pf_fail_errno(err, "dataset '%s' cannot be read", operand);
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s' is a file; expected a folder of images or of class folders, a "
                   "CIFAR-10/100 binary folder, or - for paths on standard input",
                   operand);
}

/* ---- --split ---- */

static int check_split(const PfDataset *dataset, const char *name, double fraction, PfSplit split,
                       PfError *err)
{
    int64_t own = fraction > 0 ? pf_dataset_split_count(dataset, split) : 0;
    if (!own) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--split %s=%g: dataset '%s' (%s) has a %s split of its own, of %lld images; "
                   "leave %s out of --split",
                   name, fraction, dataset->root, dataset->kind, name, (long long)own, name);
}

/* paths, classes: (count) of the training samples. */
static int split_training(PfDataset *dataset, const PfDatasetOptions *options, const char **paths,
                          int32_t *classes, uint8_t *splits, PfError *err)
{
    int64_t count = 0;
    for (size_t i = 0; i < dataset->count; i++) {
        const PfSample *sample = &dataset->samples[i];
        if (sample->split != PF_SPLIT_TRAIN) continue;
        paths[count] = sample->path;
        classes[count++] = sample->class_index;
    }
    if (pf_split_by_hash(paths, classes, count, options->val_fraction, options->test_fraction,
                         splits, err))
        return -1;
    count = 0;
    for (size_t i = 0; i < dataset->count; i++)
        if (dataset->samples[i].split == PF_SPLIT_TRAIN)
            dataset->samples[i].split = (PfSplit)splits[count++];
    return 0;
}

static int apply_split(PfDataset *dataset, const PfDatasetOptions *options, PfError *err)
{
    if (!(options->val_fraction > 0) && !(options->test_fraction > 0)) return 0;
    if (check_split(dataset, "val", options->val_fraction, PF_SPLIT_VAL, err) ||
        check_split(dataset, "test", options->test_fraction, PF_SPLIT_TEST, err))
        return -1;
    const char **paths = pf_calloc(dataset->count, sizeof *paths, err);
    int32_t *classes = pf_calloc(dataset->count, sizeof *classes, err);
    uint8_t *splits = pf_calloc(dataset->count, sizeof *splits, err);
    int status = -1;
    if (paths && classes && splits)
        status = split_training(dataset, options, paths, classes, splits, err);
    free(paths);
    free(classes);
    free(splits);
    return status;
}

/* ---- opening and closing ---- */

int pf_dataset_open(const char *operand, const PfDatasetOptions *options, PfDataset **out,
                    PfError *err)
{
    static const PfDatasetOptions defaults;
    if (!options) options = &defaults;
    *out = NULL;
    const PfDatasetFormat *format;
    if (find_format(operand, &format, err)) return -1;
    PfDataset *dataset = pf_calloc(1, sizeof *dataset, err);
    if (!dataset) return -1;
    dataset->format = format;
    dataset->root_fd = -1;
    if (format->list(dataset, operand, options, err) || apply_split(dataset, options, err) ||
        pf_dataset_finish_notes(dataset, err)) {
        pf_dataset_close(&dataset);
        return -1;
    }
    *out = dataset;
    return 0;
}

void pf_dataset_close(PfDataset **dataset)
{
    if (!*dataset) return;
    if ((*dataset)->root_fd >= 0) close((*dataset)->root_fd); /* AT_FDCWD is negative */
    pf_cifar_free(&(*dataset)->cifar);
    pf_dataset_free_lists(*dataset);
    free((*dataset)->root);
    free(*dataset);
    *dataset = NULL;
}

int pf_dataset_read(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err)
{
    return dataset->format->read(dataset, index, bytes, err);
}

int pf_dataset_stat(const PfDataset *dataset, int64_t index, uint64_t *size_bytes,
                    int64_t *mtime_ns)
{
    return dataset->format->stat(dataset, index, size_bytes, mtime_ns);
}

/* ---- what there is ---- */

const char *pf_dataset_root(const PfDataset *dataset)
{
    return dataset->root;
}

const char *pf_dataset_kind(const PfDataset *dataset)
{
    return dataset->kind;
}

int64_t pf_dataset_count(const PfDataset *dataset)
{
    return (int64_t)dataset->count;
}

int64_t pf_dataset_split_count(const PfDataset *dataset, PfSplit split)
{
    int64_t count = 0;
    for (size_t i = 0; i < dataset->count; i++) count += dataset->samples[i].split == split;
    return count;
}

const PfSample *pf_dataset_samples(const PfDataset *dataset)
{
    return dataset->samples;
}

const char *const *pf_dataset_classes(const PfDataset *dataset, int *count)
{
    *count = dataset->class_count;
    return (const char *const *)dataset->classes;
}

const char *const *pf_dataset_warnings(const PfDataset *dataset, int *count)
{
    *count = (int)dataset->warning_count;
    return (const char *const *)dataset->warnings;
}

int64_t pf_dataset_ignored_count(const PfDataset *dataset)
{
    return dataset->ignored_count;
}
