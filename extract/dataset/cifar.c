/* CIFAR-10 and CIFAR-100 in their binary versions: records of one or two label
 * bytes and 3 x 32 x 32 pixels, planes of red, green and blue.
 * https://www.cs.toronto.edu/~kriz/cifar.html */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "extract/dataset/records.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE };

/* What the two versions differ in. */
typedef struct Version {
    PfRecordVersion of;
    const char *class_names;
    int label_bytes; /* the last of them is the class; CIFAR-100's first is its superclass */
} Version;

static const Version versions[] = {
    {.of = {.kind = "CIFAR-10 binary",
            .class_count = 10,
            .file_count = 6,
            .sources = {{"data_batch_1.bin", PF_SPLIT_TRAIN},
                        {"data_batch_2.bin", PF_SPLIT_TRAIN},
                        {"data_batch_3.bin", PF_SPLIT_TRAIN},
                        {"data_batch_4.bin", PF_SPLIT_TRAIN},
                        {"data_batch_5.bin", PF_SPLIT_TRAIN},
                        {"test_batch.bin", PF_SPLIT_TEST}}},
     .class_names = "batches.meta.txt",
     .label_bytes = 1},
    {.of = {.kind = "CIFAR-100 binary",
            .class_count = 100,
            .file_count = 2,
            .sources = {{"train.bin", PF_SPLIT_TRAIN}, {"test.bin", PF_SPLIT_TEST}}},
     .class_names = "fine_label_names.txt",
     .label_bytes = 2},
};

static const Version *find_version(const char *operand)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        for (int f = 0; f < versions[i].of.file_count; f++)
            if (pf_records_has_file(operand, versions[i].of.sources[f].name)) return &versions[i];
    return NULL;
}

static bool probe(const char *operand)
{
    return find_version(operand) != NULL;
}

/* ---- classes ---- */

static int fail_long_name(const PfDataset *dataset, const Version *version, int most, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s': %s: class name %d is longer than %d bytes or holds a NUL; "
                   "expected one name a line",
                   dataset->root, version->class_names, dataset->class_count + 1, most);
}

/* One name a line; empty lines (there is one at the end) are skipped. */
static int read_class_names(PfDataset *dataset, const Version *version, FILE *stream, PfError *err)
{
    char line[256];
    while (dataset->class_count < version->of.class_count && fgets(line, sizeof line, stream)) {
        size_t length = strcspn(line, "\r\n");
        if (!line[length] && !feof(stream))
            return fail_long_name(dataset, version, (int)sizeof line - 2, err);
        if (length && pf_records_add_class(dataset, line, length, err)) return -1;
    }
    if (dataset->class_count == version->of.class_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s holds %d class names, expected %d",
                   dataset->root, version->class_names, dataset->class_count,
                   version->of.class_count);
}

static int number_classes(PfDataset *dataset, const Version *version, PfError *err)
{
    if (pf_records_number_classes(dataset, version->of.class_count, err)) return -1;
    return pf_dataset_note(dataset, PF_NOTE_MISSING_FILE, "", version->class_names, err);
}

static int list_classes(PfDataset *dataset, const Version *version, PfError *err)
{
    if (pf_records_reserve_classes(dataset, version->of.class_count, err)) return -1;
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

static int add_records(PfDataset *dataset, const Version *version, const PfRecordSource *source,
                       const PfRecordFile *file, int64_t records, PfError *err)
{
    for (int64_t i = 0; i < records; i++) {
        uint8_t label;
        if (pread(file->fd, &label, 1, i * file->stride + version->label_bytes - 1) != 1)
            return pf_fail_errno(err, "dataset '%s': record %lld of %s cannot be read",
                                 dataset->root, (long long)i, source->name);
        if (label >= version->of.class_count)
            return pf_fail(err, PF_EXIT_FAILED,
                           "dataset '%s': record %lld of %s has label %d, expected 0 to %d",
                           dataset->root, (long long)i, source->name, label,
                           version->of.class_count - 1);
        if (pf_records_add(dataset, source->name, i, label, source->split, err)) return -1;
    }
    return 0;
}

static int list_file(PfDataset *dataset, const PfRecordVersion *of, const PfRecordSource *source,
                     const struct stat *status, PfRecordFile *file, PfError *err)
{
    const Version *version = (const Version *)of;
    pf_records_lie(file, version->label_bytes, version->label_bytes + PIXELS, 3, SIDE, SIDE);
    if (status->st_size % file->stride)
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': %s has %lld bytes, which is no multiple of the %lld of a %s "
                       "record; is it cut short?",
                       dataset->root, source->name, (long long)status->st_size,
                       (long long)file->stride, of->kind);
    return add_records(dataset, version, source, file, status->st_size / file->stride, err);
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

const PfDatasetFormat pf_dataset_format_cifar = {
    .what = "of CIFAR's files",
    .has_no_files = true,
    .probe = probe,
    .list = list,
    .read = pf_records_read,
    .stat = pf_records_stat,
    .close = pf_records_close,
};
