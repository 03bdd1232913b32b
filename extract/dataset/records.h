/* Datasets whose samples are records of raw pixels in a few files: CIFAR's, and idx files. What a
 * kind of them shares beside its own list(): of_format is a PfRecords. */
#ifndef PF_EXTRACT_DATASET_RECORDS_H
#define PF_EXTRACT_DATASET_RECORDS_H

#include "extract/dataset/format.h"

#define PF_RECORD_FILES_MAX 6

/* A file, and how records of pixels lie in it: one byte for each of the channels, which are planes
 * of (height, width), behind each other. */
typedef struct PfRecordFile {
    int fd;
    int64_t first;          /* its first sample */
    int64_t offset, stride; /* bytes: where the first record's pixels begin, from one to the next */
    int channels;           /* 3: red, green, blue; 1: grey */
    int width, height;
    PfFileStamp stamp; /* of the file, but for the size */
} PfRecordFile;

typedef struct PfRecords {
    PfRecordFile files[PF_RECORD_FILES_MAX];
    int file_count;
} PfRecords;

/* Whether a regular file of that name lies in the folder. */
bool pf_records_has_file(const char *folder, const char *name);

/* ---- listing ---- */

/* Sets of_format and the root. */
int pf_records_begin(PfDataset *dataset, const char *folder, PfError *err);
/* Opens a file below the root, for samples from here on; lent, for the caller to say how records
 * lie in it. NULL without an error: it is not there, which is noted. status: fstat's. */
int pf_records_open(PfDataset *dataset, const char *name, struct stat *status, PfRecordFile **out,
                    PfError *err);
/* Says how records lie in it: pixels of a record from offset on, the next record's stride bytes
 * behind them. */
void pf_records_lie(PfRecordFile *file, int64_t offset, int64_t stride, int channels, int width,
                    int height);
/* Adds record `index` of the file of that name: "name#index". */
int pf_records_add(PfDataset *dataset, const char *name, int64_t index, int32_t class_index,
                   PfSplit split, PfError *err);
/* Memory for the names of so many classes. */
int pf_records_reserve_classes(PfDataset *dataset, int count, PfError *err);
int pf_records_add_class(PfDataset *dataset, const char *name, size_t length, PfError *err);
/* Classes "0", "1", ... */
int pf_records_number_classes(PfDataset *dataset, int count, PfError *err);

/* A file that a version of a dataset consists of, and the side that it is. */
typedef struct PfRecordSource {
    const char *name;
    PfSplit split;
} PfRecordSource;

/* What datasets of several versions say of each, as their first member. */
typedef struct PfRecordVersion {
    const char *kind;
    int class_count, file_count;
    PfRecordSource sources[PF_RECORD_FILES_MAX];
} PfRecordVersion;

/* Lists the records of an open file of a version, and says how they lie. status: fstat's. */
typedef int PfRecordLister(PfDataset *dataset, const PfRecordVersion *version,
                           const PfRecordSource *source, const struct stat *status,
                           PfRecordFile *file, PfError *err);

/* Sets the kind, and lists all files of a version that are there. Fails where they hold nothing.
 * After pf_records_begin. */
int pf_records_list(PfDataset *dataset, const PfRecordVersion *version, PfRecordLister *list_file,
                    PfError *err);

/* ---- the functions of a PfDatasetFormat ---- */

int pf_records_read(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err);
int pf_records_stat(const PfDataset *dataset, int64_t index, PfFileStamp *stamp);
void pf_records_close(PfDataset *dataset);

#endif
