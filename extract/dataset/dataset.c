#include "extract/dataset/dataset.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/memory.h"
#include "common/cache/split.h"
#include "common/file/input_file.h"
#include "common/file/path.h"
#include "extract/dataset/archives.h"
#include "extract/dataset/format.h"

/* In the order in which they are asked whether an operand is theirs. */
static const PfDatasetFormat *const formats[] = {
    &pf_dataset_format_frozen_list, &pf_dataset_format_archive,      &pf_dataset_format_paths,
    &pf_dataset_format_cifar,       &pf_dataset_format_cifar_pickle, &pf_dataset_format_idx,
    &pf_dataset_format_folder,      &pf_dataset_format_manifest,
};

#define FOLDER_TARGET "class"

/* The format of an operand; NULL: it is of none. */
static const PfDatasetFormat *probe(const char *operand)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i]->probe(operand)) return formats[i];
    return NULL;
}

static int find_format(const char *operand, const PfDatasetFormat **format, PfError *err)
{
    *format = probe(operand);
    if (*format) return 0;
    struct stat status;
    if (stat(operand, &status)) return pf_fail_errno(err, "dataset '%s' cannot be read", operand);
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s' is a file; expected a folder of images or of class folders, a "
                   "folder of CIFAR-10/100 or MNIST, a manifest (.csv, .tsv or .txt), an archive "
                   "(.tar, .zip), or - for paths or an archive on standard input",
                   operand);
}

const char *pf_dataset_table_option(const PfTableOptions *table)
{
    return table->split_column ? "--split-column"
           : table->separator  ? "--separator"
           : table->encoding   ? "--encoding"
           : table->suffix     ? "--suffix"
           : table->decimal    ? "--decimal"
           : table->no_header  ? "--no-header"
                               : NULL;
}

static int check_kind_options(const PfDatasetFormat *format, const char *operand,
                              const PfDatasetOptions *options, PfError *err)
{
    const char *given = options->target_count   ? "--target"
                        : options->path_column  ? "--path-column"
                        : options->image_root   ? "--root"
                        : options->group_column ? "--group"
                                                : pf_dataset_table_option(&options->table);
    if (options->split_folders && !format->is_folder)
        return pf_fail(err, PF_EXIT_USAGE, "--split-folders is for folders of images; '%s' is %s",
                       operand, format->what);
    if (!given || format->is_manifest) return 0;
    if (format->has_own_part && !strcmp(given, "--root")) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "%s is for manifests (.csv, .tsv, .txt, .lst); '%s' is none",
                   given, operand);
}

/* ---- targets ---- */

/* Folders and CIFAR have a list of classes. */
static int add_folder_target(PfDataset *dataset, PfError *err)
{
    if (dataset->targets || !dataset->class_count) return 0;
    dataset->targets = pf_calloc(1, sizeof *dataset->targets, err);
    if (!dataset->targets) return -1;
    dataset->targets[0] = (PfCacheTarget){.name = FOLDER_TARGET,
                                          .kind = PF_TARGET_CLASS,
                                          .width = 1,
                                          .classes = dataset->classes,
                                          .class_count = dataset->class_count};
    dataset->target_count = 1;
    return 0;
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

static int split_by_path(PfDataset *dataset, const PfDatasetOptions *options, PfError *err)
{
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

static int apply_split(PfDataset *dataset, const PfDatasetOptions *options, PfError *err)
{
    if (!(options->val_fraction > 0) && !(options->test_fraction > 0)) return 0;
    if (check_split(dataset, "val", options->val_fraction, PF_SPLIT_VAL, err) ||
        check_split(dataset, "test", options->test_fraction, PF_SPLIT_TEST, err))
        return -1;
    if (options->split_by_path) return split_by_path(dataset, options, err);
    bool is_part =
        options->shard.count > 1 || (options->sample && options->sample < (int64_t)dataset->count);
    dataset->drawing = (PfDrawing){options->val_fraction, options->test_fraction, !is_part};
    return 0;
}

/* ---- --shard ---- */

static int choose_part(PfDataset *dataset, PfShard shard, PfError *err)
{
    if (dataset->format->has_own_part || dataset->is_own_part) return 0;
    if (shard.count > (int64_t)dataset->count)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--shard %lld/%lld: dataset '%s' has only %zu images; a shard has at "
                       "least one",
                       (long long)shard.number, (long long)shard.count, dataset->root,
                       dataset->count);
    int64_t first, size;
    pf_dataset_shard_range(shard, (int64_t)dataset->count, &first, &size);
    dataset->before = (size_t)first;
    dataset->behind = dataset->count - (size_t)(first + size);
    return 0;
}

/* ---- opening and closing ---- */

int pf_dataset_open(const char *operand, const PfDatasetOptions *options, PfDataset **out,
                    PfError *err)
{
    static const PfDatasetOptions defaults;
    if (!options) options = &defaults;
    *out = NULL;
    const PfDatasetFormat *format;
    if (find_format(operand, &format, err) || check_kind_options(format, operand, options, err))
        return -1;
    PfDataset *dataset = pf_calloc(1, sizeof *dataset, err);
    if (!dataset) return -1;
    dataset->format = format;
    dataset->root_fd = -1;
    if (format->list(dataset, operand, options, err) || add_folder_target(dataset, err) ||
        pf_dataset_exclude(dataset, options->exclude, err) || apply_split(dataset, options, err) ||
        pf_dataset_take_sample(dataset, options->sample, err) ||
        choose_part(dataset, options->shard, err) || pf_dataset_finish_notes(dataset, err)) {
        pf_dataset_close(&dataset);
        return -1;
    }
    *out = dataset;
    return 0;
}

int pf_dataset_open_paths(const char *const *paths, size_t count, PfDataset **out, PfError *err)
{
    PfDataset *dataset = pf_calloc(1, sizeof *dataset, err);
    if (!dataset) return -1;
    dataset->format = &pf_dataset_format_paths;
    int status = pf_dataset_list_paths(dataset, paths, count, err);
    if (status) pf_dataset_close(&dataset);
    *out = dataset;
    return status;
}

void pf_dataset_close(PfDataset **dataset)
{
    if (!*dataset) return;
    if ((*dataset)->root_fd >= 0) close((*dataset)->root_fd); /* AT_FDCWD is negative */
    const PfDatasetFormat *format = (*dataset)->format;
    if (format->close) format->close(*dataset);
    pf_dataset_free_lists(*dataset);
    free((*dataset)->root);
    free(*dataset);
    *dataset = NULL;
}

bool pf_dataset_has_files(const PfDataset *dataset)
{
    return !dataset->format->has_no_files;
}

bool pf_dataset_is_archive(const PfDataset *dataset)
{
    return dataset->format->tree != NULL;
}

bool pf_dataset_is_address(const char *operand)
{
    return pf_address_is(operand);
}

void pf_dataset_remove_fetched(PfDataset *dataset)
{
    if (dataset->format == &pf_dataset_format_archive) pf_shards_remove_fetched(dataset);
}

const char *pf_dataset_fetched_version(const PfDataset *dataset)
{
    if (dataset->format != &pf_dataset_format_archive) return "";
    return ((const PfShards *)dataset->of_format)->version;
}

bool pf_dataset_names_archives(const char *operand)
{
    return !pf_dataset_is_image_name(operand) && pf_dataset_format_archive.probe(operand);
}

int pf_dataset_read(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err)
{
    return dataset->format->read(dataset, (int64_t)dataset->before + index, bytes, err);
}

int pf_dataset_stat(const PfDataset *dataset, int64_t index, PfFileStamp *stamp)
{
    return dataset->format->stat(dataset, (int64_t)dataset->before + index, stamp);
}

/* ---- files ---- */

/* Of a sample named "test_batch.bin#17" the file test_batch.bin. */
static int stat_container(const PfDataset *dataset, const char *path, struct stat *status)
{
    const char *end = strrchr(path, '#');
    char *file = end ? strndup(path, (size_t)(end - path)) : NULL;
    int failed = !file || fstatat(dataset->root_fd, file, status, 0);
    free(file);
    return failed;
}

bool pf_dataset_has_file(const PfDataset *dataset, const struct stat *file)
{
    struct stat status;
    if (dataset->format->tree) return dataset->format->tree->has_file(dataset, file);
    for (size_t i = 0; i < dataset->count; i++) {
        const char *path = dataset->samples[i].path;
        int failed = pf_dataset_has_files(dataset) ? fstatat(dataset->root_fd, path, &status, 0)
                                                   : stat_container(dataset, path, &status);
        if (!failed && pf_path_same_file(&status, file)) return true;
    }
    return false;
}

size_t pf_dataset_read_head(const PfDataset *dataset, int64_t index, uint8_t *bytes, size_t size)
{
    struct stat status;
    const char *path = pf_dataset_samples(dataset)[index].path;
    if (dataset->format->tree) return dataset->format->tree->read(dataset, path, bytes, size);
    int fd =
        pf_dataset_has_files(dataset) ? pf_input_file_try(dataset->root_fd, path, &status) : -1;
    ssize_t got = fd >= 0 ? pread(fd, bytes, size, 0) : -1;
    if (fd >= 0) close(fd);
    return got > 0 ? (size_t)got : 0;
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
    return (int64_t)(dataset->count - dataset->before - dataset->behind);
}

int64_t pf_dataset_whole_count(const PfDataset *dataset)
{
    if (dataset->is_own_part) return -1;
    return (int64_t)(dataset->whole ? dataset->whole : dataset->count);
}

int64_t pf_dataset_split_count(const PfDataset *dataset, PfSplit split)
{
    const PfSample *samples = pf_dataset_samples(dataset);
    int64_t count = 0;
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++) count += samples[i].split == split;
    return count;
}

const PfSample *pf_dataset_samples(const PfDataset *dataset)
{
    return dataset->samples + dataset->before;
}

const char *const *pf_dataset_classes(const PfDataset *dataset, int *count)
{
    for (int t = 0; t < dataset->target_count; t++)
        if (dataset->targets[t].kind == PF_TARGET_CLASS) {
            *count = dataset->targets[t].class_count;
            return dataset->targets[t].classes;
        }
    *count = 0;
    return NULL;
}

const PfCacheTarget *pf_dataset_targets(const PfDataset *dataset, int *count)
{
    *count = dataset->target_count;
    return dataset->targets;
}

const int32_t *pf_dataset_class_indices(const PfDataset *dataset, int64_t index)
{
    size_t row = dataset->before + (size_t)index;
    if (!dataset->class_indices) return &dataset->samples[row].class_index;
    return dataset->class_indices + row * (size_t)dataset->indices_per_row;
}

const float *pf_dataset_values(const PfDataset *dataset, int64_t index)
{
    size_t row = dataset->before + (size_t)index;
    return dataset->values ? dataset->values + row * (size_t)dataset->values_per_row : NULL;
}

uint64_t pf_dataset_group(const PfDataset *dataset, int64_t index)
{
    return dataset->groups ? dataset->groups[dataset->before + (size_t)index] : 0;
}

bool pf_dataset_has_groups(const PfDataset *dataset)
{
    return dataset->groups != NULL;
}

const PfDrawing *pf_dataset_drawing(const PfDataset *dataset)
{
    const PfDrawing *drawing = &dataset->drawing;
    return drawing->val > 0 || drawing->test > 0 ? drawing : NULL;
}

bool pf_dataset_keeps_split_names(const PfDataset *dataset)
{
    return dataset->keeps_split_names;
}

bool pf_dataset_is_as_before(const PfDataset *dataset)
{
    return dataset->is_as_before;
}

const char *const *pf_dataset_warnings(const PfDataset *dataset, int *count)
{
    *count = (int)dataset->warnings.count;
    return (const char *const *)dataset->warnings.items;
}

const char *const *pf_dataset_remarks(const PfDataset *dataset, int *count)
{
    *count = (int)dataset->remarks.count;
    return (const char *const *)dataset->remarks.items;
}

int64_t pf_dataset_ignored_count(const PfDataset *dataset)
{
    return dataset->ignored_count;
}

/* ==== caches that were begun by versions that read tables otherwise ==== */

static bool has_class(const PfCacheTarget *target, const char *name)
{
    for (int i = 0; i < target->class_count; i++)
        if (!strcmp(target->classes[i], name)) return true;
    return false;
}

/* Whether the dataset has the target, and the names in it. */
static bool has_target(const PfDataset *dataset, const PfCacheTarget *wanted)
{
    int count;
    const PfCacheTarget *targets = pf_dataset_targets(dataset, &count), *found = NULL;
    for (int t = 0; t < count && !found; t++)
        if (!strcmp(targets[t].name, wanted->name)) found = &targets[t];
    if (!found || found->kind != wanted->kind ||
        (found->kind != PF_TARGET_CLASS && found->width != wanted->width))
        return false;
    for (int i = 0; i < wanted->class_count; i++)
        if (!has_class(found, wanted->classes[i])) return false;
    return true;
}

static bool has_splits(const PfDataset *dataset, const PfCache *cache)
{
    int64_t counts[PF_SPLIT_COUNT] = {0};
    const uint8_t *splits = pf_cache_splits(cache);
    const PfDrawing *drawing = pf_dataset_drawing(dataset); /* sides that are still to be drawn */
    const double drawn[PF_SPLIT_COUNT] = {
        [PF_SPLIT_VAL] = drawing ? drawing->val : 0, [PF_SPLIT_TEST] = drawing ? drawing->test : 0};
    for (int64_t i = 0; i < pf_cache_row_count(cache); i++)
        counts[splits ? splits[i] : PF_SPLIT_TRAIN]++;
    for (int i = 0; i < PF_SPLIT_COUNT; i++)
        if (!(drawn[i] > 0) && !counts[i] != !pf_dataset_split_count(dataset, (PfSplit)i))
            return false;
    return true;
}

static bool is_of(const PfDataset *dataset, const PfCache *cache, bool with_splits)
{
    for (int t = 0; t < pf_cache_target_count(cache); t++)
        if (!has_target(dataset, pf_cache_target(cache, t))) return false;
    return !with_splits || has_splits(dataset, cache);
}

static int warn(PfDataset *dataset, const char *operand, PfError *err)
{
    return pf_dataset_warn(
        dataset, err,
        "the cache was begun when '%s' was read otherwise than today, and goes "
        "on so. --force, another output or any of --split-column, --separator, "
        "--encoding, --decimal, --suffix, --no-header reads it as docs/datasets.md says",
        operand);
}

/* The reading of the first versions, where the cache is of that one; else *before stays NULL. */
static int try_before(const char *operand, const PfDatasetOptions *options, const PfCache *cache,
                      PfDataset **before, PfError *err)
{
    PfDatasetOptions as_before = *options;
    PfError ignored = {0};
    as_before.as_before = true;
    if (pf_dataset_open(operand, &as_before, before, &ignored)) return 0;
    if (is_of(*before, cache, !options->splits_unknown)) {
        (*before)->is_as_before = true;
        return warn(*before, operand, err);
    }
    pf_dataset_close(before);
    return 0;
}

int pf_dataset_open_for(const char *operand, const PfDatasetOptions *options, const PfCache *cache,
                        PfDataset **out, PfError *err)
{
    PfDataset *before = NULL;
    int failed = pf_dataset_open(operand, options, out, err);
    const PfDatasetFormat *format = probe(operand);
    if (!cache || !format || !format->is_manifest || pf_dataset_table_option(&options->table) ||
        (!failed && is_of(*out, cache, !options->splits_unknown)))
        return failed;
    if (try_before(operand, options, cache, &before, err)) {
        pf_dataset_close(&before);
        pf_dataset_close(out);
        return -1;
    }
    if (!before) return failed;
    pf_dataset_close(out);
    *out = before;
    return 0;
}
