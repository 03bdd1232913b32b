/* CIFAR-10 and CIFAR-100 in their binary versions: records of one or two label
 * bytes and 3 x 32 x 32 pixels, planes of red, green and blue.
 * https://www.cs.toronto.edu/~kriz/cifar.html */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/file_stamp.h"
#include "common/file/input_file.h"
#include "extract/dataset/format.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, PIXELS = 3 * PLANE, FILES_MAX = 6, RECORD_MAX = PIXELS + 2 };

typedef struct Source {
    const char *name;
    PfSplit split;
} Source;

/* What the two versions differ in. */
typedef struct Version {
    const char *kind, *class_names;
    int class_count;
    int label_bytes; /* the last of them is the class; CIFAR-100's first is its superclass */
    int file_count;
    Source files[FILES_MAX];
} Version;

static const Version versions[] = {
    {.kind = "CIFAR-10 binary",
     .class_names = "batches.meta.txt",
     .class_count = 10,
     .label_bytes = 1,
     .file_count = 6,
     .files = {{"data_batch_1.bin", PF_SPLIT_TRAIN},
               {"data_batch_2.bin", PF_SPLIT_TRAIN},
               {"data_batch_3.bin", PF_SPLIT_TRAIN},
               {"data_batch_4.bin", PF_SPLIT_TRAIN},
               {"data_batch_5.bin", PF_SPLIT_TRAIN},
               {"test_batch.bin", PF_SPLIT_TEST}}},
    {.kind = "CIFAR-100 binary",
     .class_names = "fine_label_names.txt",
     .class_count = 100,
     .label_bytes = 2,
     .file_count = 2,
     .files = {{"train.bin", PF_SPLIT_TRAIN}, {"test.bin", PF_SPLIT_TEST}}},
};

typedef struct File {
    int fd;
    int64_t first; /* its first sample */
    PfFileStamp stamp;
} File;

typedef struct Cifar {
    int record_bytes;
    File files[FILES_MAX];
    int file_count;
} Cifar;

static void close_files(PfDataset *dataset)
{
    Cifar *cifar = dataset->of_format;
    for (int i = 0; cifar && i < cifar->file_count; i++) close(cifar->files[i].fd);
    free(cifar);
    dataset->of_format = NULL;
}

static bool is_in_folder(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length < (int)sizeof path && !stat(path, &status) && S_ISREG(status.st_mode);
}

static const Version *find_version(const char *operand)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        for (int f = 0; f < versions[i].file_count; f++)
            if (is_in_folder(operand, versions[i].files[f].name)) return &versions[i];
    return NULL;
}

static bool probe(const char *operand)
{
    return find_version(operand) != NULL;
}

/* ---- classes ---- */

static int add_class(PfDataset *dataset, const char *name, size_t length, PfError *err)
{
    const char *copy = pf_dataset_text(dataset, name, length, err);
    dataset->classes[dataset->class_count++] = copy;
    return copy ? 0 : -1;
}

/* One name a line; empty lines (there is one at the end) are skipped. */
static int read_class_names(PfDataset *dataset, const Version *version, FILE *stream, PfError *err)
{
    char line[256];
    while (dataset->class_count < version->class_count && fgets(line, sizeof line, stream)) {
        size_t length = strcspn(line, "\r\n");
        if (length && add_class(dataset, line, length, err)) return -1;
    }
    if (dataset->class_count == version->class_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s holds %d class names, expected %d",
                   dataset->root, version->class_names, dataset->class_count, version->class_count);
}

static int number_classes(PfDataset *dataset, const Version *version, PfError *err)
{
    for (int i = 0; i < version->class_count; i++) {
        char number[16];
        int length = snprintf(number, sizeof number, "%d", i);
        if (add_class(dataset, number, (size_t)length, err)) return -1;
    }
    return pf_dataset_note(dataset, PF_NOTE_MISSING_FILE, "", version->class_names, err);
}

static int list_classes(PfDataset *dataset, const Version *version, PfError *err)
{
    dataset->classes = pf_calloc((size_t)version->class_count, sizeof *dataset->classes, err);
    if (!dataset->classes) return -1;
    PfError problem;
    int fd =
        pf_input_file_open(dataset->root_fd, version->class_names, "dataset file", NULL, &problem);
    if (fd < 0 && errno == EINVAL)
        return pf_fail(err, PF_EXIT_FAILED, "%" PF_SENTENCE, problem.message);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
    if (!stream) return number_classes(dataset, version, err);
    int status = read_class_names(dataset, version, stream, err);
    fclose(stream);
    return status;
}

/* ---- samples ---- */

static int add_records(PfDataset *dataset, const Version *version, int file, int64_t records,
                       PfError *err)
{
    const Cifar *cifar = dataset->of_format;
    const char *name = version->files[file].name;
    int fd = cifar->files[cifar->file_count - 1].fd;
    for (int64_t i = 0; i < records; i++) {
        uint8_t label;
        if (pread(fd, &label, 1, i * cifar->record_bytes + version->label_bytes - 1) != 1)
            return pf_fail_errno(err, "dataset '%s': record %lld of %s cannot be read",
                                 dataset->root, (long long)i, name);
        if (label >= version->class_count)
            return pf_fail(err, PF_EXIT_FAILED,
                           "dataset '%s': record %lld of %s has label %d, expected 0 to %d",
                           dataset->root, (long long)i, name, label, version->class_count - 1);
        char path[64];
        int length = snprintf(path, sizeof path, "%s#%lld", name, (long long)i);
        const char *copy = pf_dataset_text(dataset, path, (size_t)length, err);
        if (!copy || pf_dataset_add(dataset, copy, label, version->files[file].split, err))
            return -1;
    }
    return 0;
}

static int list_file(PfDataset *dataset, const Version *version, int file, PfError *err)
{
    Cifar *cifar = dataset->of_format;
    const char *name = version->files[file].name;
    struct stat status;
    PfError problem;
    int fd = pf_input_file_open(dataset->root_fd, name, "dataset file", &status, &problem);
    if (fd < 0 && errno == ENOENT)
        return pf_dataset_note(dataset, PF_NOTE_MISSING_FILE, "", name, err);
    if (fd < 0) return pf_fail(err, PF_EXIT_FAILED, "%" PF_SENTENCE, problem.message);
    File *opened = &cifar->files[cifar->file_count++];
    *opened = (File){.fd = fd, .first = (int64_t)dataset->count};
    opened->stamp = pf_file_stamp(&status);
    opened->stamp.size_bytes = PIXELS; /* of one record */
    if (status.st_size % cifar->record_bytes)
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': %s has %lld bytes, which is no multiple of the %d of a %s "
                       "record; is it cut short?",
                       dataset->root, name, (long long)status.st_size, cifar->record_bytes,
                       version->kind);
    return add_records(dataset, version, file, status.st_size / cifar->record_bytes, err);
}

static int list(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err)
{
    (void)options;
    const Version *version = find_version(operand);
    Cifar *cifar = dataset->of_format = pf_calloc(1, sizeof *cifar, err);
    if (!version || !cifar || pf_dataset_set_root(dataset, operand, err)) return -1;
    cifar->record_bytes = version->label_bytes + PIXELS;
    snprintf(dataset->kind, sizeof dataset->kind, "%s", version->kind);
    if (list_classes(dataset, version, err)) return -1;
    for (int i = 0; i < version->file_count; i++)
        if (list_file(dataset, version, i, err)) return -1;
    if (dataset->count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': its %s files are empty", operand,
                   version->kind);
}

/* ---- reading ---- */

/* The file that holds a sample. *index is the sample's number, and becomes its place among the
 * records of all files. */
static const File *find_file(const PfDataset *dataset, int64_t *index)
{
    const Cifar *cifar = dataset->of_format;
    if (dataset->listed) *index = dataset->listed[*index];
    int i = cifar->file_count - 1;
    while (cifar->files[i].first > *index) i--;
    return &cifar->files[i];
}

/* planes (3, 32, 32) -> rgb (32, 32, 3) */
static void interleave(const uint8_t *planes, uint8_t *rgb)
{
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < 3; c++) rgb[3 * i + c] = planes[c * PLANE + i];
}

static int read_record(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err)
{
    const Cifar *cifar = dataset->of_format;
    const File *file = find_file(dataset, &index);
    uint8_t record[RECORD_MAX];
    int64_t now = pf_file_stamp_now();
    ssize_t got = pread(file->fd, record, (size_t)cifar->record_bytes,
                        (index - file->first) * cifar->record_bytes);
    if (got < 0) return pf_fail(err, PF_EXIT_BAD_IMAGES, "cannot be read: %s", strerror(errno));
    if (got != cifar->record_bytes)
        return pf_fail(err, PF_EXIT_BAD_IMAGES, "cannot be read: the file has become shorter");
    if (pf_sample_bytes_reserve(bytes, PIXELS, err)) return -1;
    interleave(record + cifar->record_bytes - PIXELS, bytes->data);
    bytes->size_bytes = PIXELS;
    bytes->width = bytes->height = SIDE;
    bytes->stamp = pf_file_stamp_settled(file->stamp, now);
    return 0;
}

static int stat_record(const PfDataset *dataset, int64_t index, PfFileStamp *stamp)
{
    *stamp = find_file(dataset, &index)->stamp;
    return 0;
}

const PfDatasetFormat pf_dataset_format_cifar = {
    .what = "of CIFAR's files",
    .has_no_files = true,
    .probe = probe,
    .list = list,
    .read = read_record,
    .stat = stat_record,
    .close = close_files,
};
