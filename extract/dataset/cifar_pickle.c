/* CIFAR-10 and CIFAR-100 in their versions for Python: pickles of a dict with b"data", an array of
 * (N, 3072) bytes, each row the planes of red, green and blue, and lists of labels. Nothing in them
 * is called (common/pickle/pickle.h). */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "common/pickle/pickle.h"
#include "extract/dataset/records.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE };

typedef struct Version {
    PfRecordVersion of;
    const char *meta, *class_names, *labels; /* a file, its key, and the key of all others */
} Version;

static const Version versions[] = {
    {.of = {.kind = "CIFAR-10 pickles",
            .class_count = 10,
            .file_count = 6,
            .sources = {{"data_batch_1", PF_SPLIT_TRAIN},
                        {"data_batch_2", PF_SPLIT_TRAIN},
                        {"data_batch_3", PF_SPLIT_TRAIN},
                        {"data_batch_4", PF_SPLIT_TRAIN},
                        {"data_batch_5", PF_SPLIT_TRAIN},
                        {"test_batch", PF_SPLIT_TEST}}},
     .meta = "batches.meta",
     .class_names = "label_names",
     .labels = "labels"},
    {.of = {.kind = "CIFAR-100 pickles",
            .class_count = 100,
            .file_count = 2,
            .sources = {{"train", PF_SPLIT_TRAIN}, {"test", PF_SPLIT_TEST}}},
     .meta = "meta",
     .class_names = "fine_label_names",
     .labels = "fine_labels"},
};

/* Whether a file begins like a pickle: any file may be called "train". */
static bool begins_like_a_pickle(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    uint8_t first = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = pf_input_file_try(AT_FDCWD, path, &status);
    if (fd < 0) return false;
    bool is_one = pread(fd, &first, 1, 0) == 1 && first == 0x80; /* opcode PROTO */
    close(fd);
    return is_one;
}

static const Version *find_version(const char *operand)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        for (int f = 0; f < versions[i].of.file_count; f++)
            if (pf_records_has_file(operand, versions[i].of.sources[f].name) &&
                begins_like_a_pickle(operand, versions[i].of.sources[f].name))
                return &versions[i];
    return NULL;
}

static bool probe(const char *operand)
{
    return find_version(operand) != NULL;
}

/* ---- a file ---- */

/* A file while it is looked at. */
typedef struct Batch {
    const char *name; /* "folder/name" in messages is the dataset's root and this */
    const void *bytes;
    size_t size;
    PfPickle pickle;
} Batch;

/* Maps and reads an open file, which is a dict. To be closed, also after a failure. */
static int open_batch(const PfDataset *dataset, const char *name, int fd, const struct stat *status,
                      Batch *batch, PfError *err)
{
    *batch = (Batch){.name = name, .size = (size_t)status->st_size};
    if (pf_input_file_map(fd, status, "dataset file", name, &batch->bytes, err)) return -1;
    if (!batch->bytes)
        return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s is empty (0 bytes)", dataset->root,
                       name);
    if (pf_pickle_read(&pf_pickle_arrays, name, batch->bytes, batch->size, &batch->pickle, err))
        return -1;
    if (batch->pickle.root->kind == PF_PICKLE_DICT) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s': %s is a pickle of something else than a dict; CIFAR's are dicts",
                   dataset->root, name);
}

static void close_batch(Batch *batch)
{
    pf_pickle_free(&batch->pickle);
    if (batch->bytes) pf_input_file_unmap(batch->bytes, batch->size);
}

/* The value of that key, a list of `count` items; count -1: of any number. */
static const PfPickleValue *find_list(const PfDataset *dataset, const Batch *batch, const char *key,
                                      int64_t count, PfError *err)
{
    const PfPickleValue *list = pf_pickle_get(batch->pickle.root, key);
    if (!list || list->kind != PF_PICKLE_LIST)
        pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s has no list '%s', as CIFAR's has",
                dataset->root, batch->name, key);
    else if (count >= 0 && list->items.count != (size_t)count)
        pf_fail(err, PF_EXIT_FAILED, "dataset '%s': '%s' in %s has %zu items, expected %lld",
                dataset->root, key, batch->name, list->items.count, (long long)count);
    else
        return list;
    return NULL;
}

/* ---- classes ---- */

static int add_class_names(PfDataset *dataset, const Version *version, const Batch *batch,
                           PfError *err)
{
    const PfPickleValue *names =
        find_list(dataset, batch, version->class_names, version->of.class_count, err);
    for (size_t i = 0; names && i < names->items.count; i++) {
        const PfPickleValue *name = names->items.values[i];
        if (name->kind != PF_PICKLE_TEXT || !name->text.size ||
            memchr(name->text.bytes, '\0', name->text.size))
            return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': class %zu in %s has no name",
                           dataset->root, i, batch->name);
        if (pf_records_add_class(dataset, name->text.bytes, name->text.size, err)) return -1;
    }
    return names ? 0 : -1;
}

static int list_classes(PfDataset *dataset, const Version *version, PfError *err)
{
    struct stat status;
    if (pf_records_reserve_classes(dataset, version->of.class_count, err)) return -1;
    if (!pf_records_has_file(dataset->root, version->meta)) {
        if (pf_records_number_classes(dataset, version->of.class_count, err)) return -1;
        return pf_dataset_note(dataset, PF_NOTE_MISSING_FILE, "", version->meta, err);
    }
    int fd = pf_input_file_open(dataset->root_fd, version->meta, "dataset file", &status, err);
    if (fd < 0) return -1;
    Batch batch;
    int failed = open_batch(dataset, version->meta, fd, &status, &batch, err) ||
                 add_class_names(dataset, version, &batch, err);
    close_batch(&batch);
    close(fd);
    return failed ? -1 : 0;
}

/* ---- samples ---- */

/* Finds the pixels: an array of (count, 3072) bytes, rows behind each other. */
static int find_pixels(const PfDataset *dataset, const Batch *batch, PfRecordFile *file,
                       int64_t *count, PfError *err)
{
    const PfPickleValue *value = pf_pickle_get(batch->pickle.root, "data");
    if (!value || value->kind != PF_PICKLE_ARRAY || !value->array->type.size)
        return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s has no array 'data', as CIFAR's has",
                       dataset->root, batch->name);
    const PfPickleArray *array = value->array;
    char type[PF_PRINTABLE_SIZE];
    if (!pf_pickle_text_is(array->type, "u1") || array->shape.rank != 2 || array->is_fortran ||
        array->shape.dims[1] != PIXELS)
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': 'data' in %s is of type '%s' with %d axes%s; expected (N, "
                       "3072) of uint8 (u1), row by row",
                       dataset->root, batch->name,
                       pf_printable_text(array->type.bytes, array->type.size, type),
                       array->shape.rank, array->is_fortran ? ", column by column" : "");
    *count = array->shape.dims[0];
    pf_records_lie(file, array->data.bytes - (const char *)batch->bytes, PIXELS, 3, SIDE, SIDE);
    return 0;
}

static int add_records(PfDataset *dataset, const Version *version, const PfRecordSource *source,
                       const Batch *batch, int64_t count, PfError *err)
{
    const PfPickleValue *labels = find_list(dataset, batch, version->labels, count, err);
    for (int64_t i = 0; labels && i < count; i++) {
        const PfPickleValue *label = labels->items.values[i];
        if (label->kind != PF_PICKLE_INT || label->integer < 0 ||
            label->integer >= version->of.class_count)
            return pf_fail(err, PF_EXIT_FAILED,
                           "dataset '%s': record %lld of %s has a label that is no whole number "
                           "from 0 to %d",
                           dataset->root, (long long)i, source->name, version->of.class_count - 1);
        if (pf_records_add(dataset, source->name, i, (int32_t)label->integer, source->split, err))
            return -1;
    }
    return labels ? 0 : -1;
}

static int list_file(PfDataset *dataset, const PfRecordVersion *version,
                     const PfRecordSource *source, const struct stat *status, PfRecordFile *file,
                     PfError *err)
{
    int64_t count = 0;
    Batch batch;
    int failed = open_batch(dataset, source->name, file->fd, status, &batch, err) ||
                 find_pixels(dataset, &batch, file, &count, err) ||
                 add_records(dataset, (const Version *)version, source, &batch, count, err);
    close_batch(&batch);
    return failed ? -1 : 0;
}

static int list(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err)
{
    (void)options;
    const Version *version = find_version(operand);
    if (!version || pf_records_begin(dataset, operand, err) || list_classes(dataset, version, err))
        return -1;
    return pf_records_list(dataset, &version->of, list_file, err);
}

const PfDatasetFormat pf_dataset_format_cifar_pickle = {
    .what = "of CIFAR's files",
    .has_no_files = true,
    .probe = probe,
    .list = list,
    .read = pf_records_read,
    .stat = pf_records_stat,
    .close = pf_records_close,
};
