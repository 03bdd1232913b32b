/* A CSV file of images and their targets, while it is read. */
#ifndef PF_DATASET_MANIFEST_H
#define PF_DATASET_MANIFEST_H

#include <stdint.h>

#include "csv_reader.h"
#include "dataset_format.h"
#include "text_index.h"
#include "text_store.h"

/* What a single column turned out to hold, missing fields apart. */
typedef struct PfColumnContent {
    int64_t present;
    int64_t first_line; /* of a field that is present */
    int not_numbers, not_whole, not_flags;
    int is_settled;     /* numbers, too many to be classes */
    int is_full;        /* more different texts than are counted */
    PfTextIndex values; /* the different ones; once settled no more are added */
} PfColumnContent;

typedef struct PfManifestTarget {
    char name[PF_CACHE_NAME_SIZE];
    int has_kind; /* else chosen by content */
    PfTargetKind kind;
    int *columns; /* (column_count) */
    int column_count;
    PfColumnContent content; /* of a target of one column */
    int is_list;             /* several labels' names in one column */
    PfTextIndex names;       /* of classes, labels or points */
    int width;               /* numbers per row; 0 for classes */
    int offset;              /* of the first in a row's indices or values */
    int64_t missing;         /* rows without any */
} PfManifestTarget;

typedef struct PfManifest {
    const char *path; /* of the file */
    const PfDatasetOptions *options;
    PfDataset *dataset;
    PfCsvReader *csv;
    const char **columns; /* (column_count) the header, in the dataset's text */
    int column_count;
    int path_column, split_column, group_column; /* -1: none */
    PfManifestTarget *targets;
    size_t target_capacity;
    int target_count;
    int64_t row_count;
    PfTextStore texts; /* that contents and names are made of */
} PfManifest;

/* The next line's fields, as many as there are columns: 1, 0 or -1. */
int pf_manifest_next(PfManifest *manifest, const char *const **fields, PfError *err);
/* "'faces.csv' line 17, column 'age': found 'abc'; expected <expected>". */
int pf_manifest_fail(const PfManifest *manifest, int column, const char *found,
                     const char *expected, PfError *err);
int pf_manifest_find_column(const PfManifest *manifest, const char *name, int *column,
                            PfError *err);

/* ---- dataset_manifest_paths.c ---- */

/* Finds the column of the paths, and the folder that they are relative to, which becomes the
 * dataset's root. */
int pf_manifest_find_paths(PfManifest *manifest, PfError *err);
/* Notes the images that are not there; that none is there is an error. */
int pf_manifest_check_paths(PfManifest *manifest, PfError *err);

/* ---- dataset_manifest_targets.c ---- */

/* The targets that the options ask for, or else one for every other column. */
int pf_manifest_choose_targets(PfManifest *manifest, PfError *err);
void pf_manifest_free_targets(PfManifest *manifest);

/* ---- dataset_manifest_kinds.c ---- */

int pf_manifest_is_missing(const char *field);
int pf_manifest_number(const char *field, double *value); /* -1: it is none */
int pf_manifest_flag(const char *field, double *value);   /* 0, 1, false, true; -1: none of them */
/* The next name of a list "red; round | small" at *next, which is moved on: its length, or 0. */
size_t pf_manifest_next_name(const char **next, const char **name);

/* Takes a look at a row, for kinds that are not given. */
int pf_manifest_observe(PfManifest *manifest, const char *const *fields, PfError *err);
/* Settles kinds, names, widths and offsets once all rows have been observed; drops targets that
 * nobody asked for and that are none. */
int pf_manifest_settle_kinds(PfManifest *manifest, PfError *err);

/* ---- dataset_manifest_values.c ---- */

/* Room for row_count rows of targets in the dataset. */
int pf_manifest_allocate(PfManifest *manifest, PfError *err);
int pf_manifest_fill_row(PfManifest *manifest, int64_t row, const char *const *fields,
                         PfError *err);
/* Sorts classes, and hands the targets over to the dataset. */
int pf_manifest_finish_targets(PfManifest *manifest, PfError *err);

#endif
