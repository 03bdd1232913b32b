#include "extract/dataset/records.h"

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

bool pf_records_has_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length < (int)sizeof path && !stat(path, &status) && S_ISREG(status.st_mode);
}

void pf_records_close(PfDataset *dataset)
{
    PfRecords *records = dataset->of_format;
    for (int i = 0; records && i < records->file_count; i++) close(records->files[i].fd);
    free(records);
    dataset->of_format = NULL;
}

/* ---- listing ---- */

int pf_records_begin(PfDataset *dataset, const char *folder, PfError *err)
{
    dataset->of_format = pf_calloc(1, sizeof(PfRecords), err);
    return dataset->of_format ? pf_dataset_set_root(dataset, folder, err) : -1;
}

int pf_records_open(PfDataset *dataset, const char *name, struct stat *status, PfRecordFile **out,
                    PfError *err)
{
    PfRecords *records = dataset->of_format;
    PfError problem;
    *out = NULL;
    int fd = pf_input_file_open(dataset->root_fd, name, "dataset file", status, &problem);
    if (fd < 0 && errno == ENOENT)
        return pf_dataset_note(dataset, PF_NOTE_MISSING_FILE, "", name, err);
    if (fd < 0) return pf_fail(err, PF_EXIT_FAILED, "%" PF_SENTENCE, problem.message);
    *out = &records->files[records->file_count++];
    **out =
        (PfRecordFile){.fd = fd, .first = (int64_t)dataset->count, .stamp = pf_file_stamp(status)};
    return 0;
}

void pf_records_lie(PfRecordFile *file, int64_t offset, int64_t stride, int channels, int width,
                    int height)
{
    file->offset = offset;
    file->stride = stride;
    file->channels = channels;
    file->width = width;
    file->height = height;
    file->stamp.size_bytes = (uint64_t)channels * (uint64_t)width * (uint64_t)height;
}

int pf_records_add(PfDataset *dataset, const char *name, int64_t index, int32_t class_index,
                   PfSplit split, PfError *err)
{
    char path[300];
    int length = snprintf(path, sizeof path, "%s#%lld", name, (long long)index);
    const char *copy = pf_dataset_text(dataset, path, (size_t)length, err);
    return copy ? pf_dataset_add(dataset, copy, class_index, split, err) : -1;
}

int pf_records_reserve_classes(PfDataset *dataset, int count, PfError *err)
{
    dataset->classes = pf_calloc((size_t)count, sizeof *dataset->classes, err);
    return dataset->classes ? 0 : -1;
}

int pf_records_add_class(PfDataset *dataset, const char *name, size_t length, PfError *err)
{
    const char *copy = pf_dataset_text(dataset, name, length, err);
    dataset->classes[dataset->class_count++] = copy;
    return copy ? 0 : -1;
}

int pf_records_number_classes(PfDataset *dataset, int count, PfError *err)
{
    for (int i = 0; i < count; i++) {
        char number[16];
        int length = snprintf(number, sizeof number, "%d", i);
        if (pf_records_add_class(dataset, number, (size_t)length, err)) return -1;
    }
    return 0;
}

static int list_source(PfDataset *dataset, const PfRecordVersion *version,
                       const PfRecordSource *source, PfRecordLister *list_file, PfError *err)
{
    struct stat status;
    PfRecordFile *file;
    if (pf_records_open(dataset, source->name, &status, &file, err)) return -1;
    return file ? list_file(dataset, version, source, &status, file, err) : 0;
}

int pf_records_list(PfDataset *dataset, const PfRecordVersion *version, PfRecordLister *list_file,
                    PfError *err)
{
    snprintf(dataset->kind, sizeof dataset->kind, "%s", version->kind);
    for (int i = 0; i < version->file_count; i++)
        if (list_source(dataset, version, &version->sources[i], list_file, err)) return -1;
    if (dataset->count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': its files (%s) hold no images",
                   dataset->root, version->kind);
}

/* ---- reading ---- */

/* The file that a sample is in. *index is the sample's number, and becomes its place among the
 * records of all files. */
static const PfRecordFile *find_file(const PfDataset *dataset, int64_t *index)
{
    const PfRecords *records = dataset->of_format;
    if (dataset->listed) *index = dataset->listed[*index];
    int i = records->file_count - 1;
    while (records->files[i].first > *index) i--;
    return &records->files[i];
}

/* planes (channels, places) -> rgb (places, 3) */
static void interleave(const uint8_t *planes, int channels, size_t places, uint8_t *rgb)
{
    for (size_t i = 0; i < places; i++)
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = planes[(channels == 3) * c * places + i];
}

int pf_records_read(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err)
{
    const PfRecordFile *file = find_file(dataset, &index);
    const size_t places = (size_t)file->width * (size_t)file->height;
    const size_t size = places * (size_t)file->channels;
    if (pf_sample_bytes_reserve(bytes, 3 * places + size, err)) return -1;
    uint8_t *planes = bytes->data + 3 * places;
    int64_t now = pf_file_stamp_now();
    ssize_t got =
        pread(file->fd, planes, size, file->offset + (index - file->first) * file->stride);
    if (got < 0) return pf_fail(err, PF_EXIT_BAD_IMAGES, "cannot be read: %s", strerror(errno));
    if ((size_t)got != size)
        return pf_fail(err, PF_EXIT_BAD_IMAGES, "cannot be read: the file has become shorter");
    interleave(planes, file->channels, places, bytes->data);
    bytes->size_bytes = 3 * places;
    bytes->width = file->width;
    bytes->height = file->height;
    bytes->stamp = pf_file_stamp_settled(file->stamp, now);
    return 0;
}

int pf_records_stat(const PfDataset *dataset, int64_t index, PfFileStamp *stamp)
{
    *stamp = find_file(dataset, &index)->stamp;
    return 0;
}
