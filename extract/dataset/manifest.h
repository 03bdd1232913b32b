/* A CSV file of images and their targets, while it is read.
 *
 * The files manifest_*.c below are in the order in which a manifest is read, and each uses those
 * before it only: _table    lines, columns' names, paths _paths    which column names the images
 *   _numbers, _forms    how the fields of a column are written
 *   _kinds    which kinds of target that makes them
 *   _targets  which targets there are; their values
 *   _split    which column is the split
 * manifest.c goes through them from end to end. */
#ifndef PF_EXTRACT_DATASET_MANIFEST_H
#define PF_EXTRACT_DATASET_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/hash_index.h"
#include "common/file/csv.h"
#include "extract/dataset/format.h"

/* The first field of a kind, and how many there are. */
typedef struct PfFoundField {
    int64_t count, line;
    int column;
    char text[48]; /* its beginning */
} PfFoundField;

/* How a column writes its numbers, and what else stands there, missing fields apart. */
typedef struct PfNumberForm {
    int64_t numbers, dressed;   /* dressed: other than C writes them */
    PfFoundField infinite, odd; /* odd: "-" and the like, nothing where all others are numbers */
    PfFoundField texts;
    PfFoundField digit_first;  /* texts that begin like numbers */
    PfFoundField marked[5];    /* by what they say of the mark before decimals */
    PfFoundField with_unit[2]; /* with the first number's unit, and with another */
    char unit[4];
    char decimal;                         /* '.' or ','; 0: not settled */
    const struct PfManifestTarget *owner; /* that counts what is missing */
    int64_t blank;
    PfFoundField missing; /* "NaN" and the like */
    bool has_other_words; /* for what is missing than the first one, or than odd's */
} PfNumberForm;

/* How a column writes several labels. */
typedef struct PfLabelForm {
    bool not_flags;
    PfFoundField minus, zero; /* -1 and 0 */
    PfFoundField bracketed, bare, barred, commas, spaces;
    PfTextIndex fields, words; /* the different ones */
    const char *separators;    /* any of these, once settled */
    bool is_bracketed;
} PfLabelForm;

/* What a single column turned out to hold, missing fields apart. */
typedef struct PfColumnContent {
    int64_t present;
    int64_t different_numbers; /* among values */
    bool not_numbers, not_whole;
    bool is_settled;    /* numbers, too many to be classes */
    bool is_full;       /* more different texts than are counted */
    PfTextIndex values; /* the different ones; once settled no more are added */
} PfColumnContent;

typedef enum PfSplitRuleKind {
    PF_SPLIT_BY_WORDS,
    PF_SPLIT_BY_FLAGS,
    PF_SPLIT_BY_VALUES
} PfSplitRuleKind;

typedef struct PfSplitRule {
    PfSplitRuleKind kind;
    PfSplit of_true;        /* by flags; of false: train, or val where this is train */
    const char *val, *test; /* by values; "": none */
} PfSplitRule;

typedef struct PfManifestTarget {
    char name[PF_CACHE_NAME_SIZE];
    bool has_kind; /* else chosen by content */
    PfTargetKind kind;
    int *columns; /* (column_count) */
    int column_count;
    PfColumnContent content; /* of a target of one column */
    PfLabelForm labels;
    bool is_list;      /* several labels' names in one column */
    PfTextIndex names; /* of classes, labels or points */
    int width;         /* numbers per row; 0 for classes */
    int offset;        /* of the first in a row's indices or values */
    int64_t missing;   /* rows without any */
} PfManifestTarget;

typedef struct PfManifest {
    const char *path; /* of the file */
    const PfDatasetOptions *options;
    PfDataset *dataset;
    PfCsvReader *csv;
    const char **columns; /* (column_count) names, in the dataset's texts */
    PfNumberForm *forms;  /* (column_count) of targets' columns */
    int column_count;
    char mark; /* before decimals, as all columns of numbers together say; 0: they do not */
    bool knows_mark;
    bool has_header;
    int path_column, split_column, group_column; /* -1: none */
    PfSplitRule split_rule;
    const char *dropped; /* folders that paths begin with and that are not here, "data/train/"; in
                            `texts`; NULL: none */
    bool adds_endings;   /* to paths without one */
    struct PfSampledColumn *sampled; /* (column_count) once paths are looked for; owned */
    PfManifestTarget *targets;
    size_t target_capacity;
    int target_count;
    PfTextIndex target_names; /* in `texts` */
    int64_t row_count;
    int64_t blank_lines; /* passed over since the first row: separators, and nothing between them */
    PfArena texts;       /* that contents and names are made of */
} PfManifest;

/* ---- manifest_table.c ---- */

/* The next line's fields, as many as there are columns: 1, 0 or -1. Lines whose fields are all
 * empty are passed over, and counted. */
int pf_manifest_next(PfManifest *manifest, const char *const **fields, PfError *err);
int pf_manifest_go_to_first_row(PfManifest *manifest, PfError *err);
int pf_manifest_read_header(PfManifest *manifest, PfError *err);
/* The columns get numbers for names; `image` is what the first line has instead of one. */
int pf_manifest_do_without_header(PfManifest *manifest, const char *image, PfError *err);
bool pf_manifest_has_column(const PfManifest *manifest, const char *name);
int pf_manifest_find_column(const PfManifest *manifest, const char *name, int *column,
                            PfError *err);

/* "'faces.csv' line 17, column 'age': found 'abc'; expected <expected>": of the line that was read
 * last, or of a field that was noted. */
int pf_manifest_fail(const PfManifest *manifest, int column, const char *found,
                     const char *expected, PfError *err);
/* What is expected where a number is larger than a target can be. */
#define PF_MANIFEST_IN_FLOAT                                                                       \
    "a number from -3.4e38 to 3.4e38, as targets are kept in 32 bits. Hint: write the column in "  \
    "a larger unit, or leave the field empty where the number stands for nothing"
int pf_manifest_fail_at(const PfManifest *manifest, int column, const PfFoundField *found,
                        const char *expected, PfError *err);
void pf_manifest_note(PfFoundField *found, const PfManifest *manifest, int column,
                      const char *field);

/* Refuses a text of that line that is not UTF-8, with the encoding that it may be in. */
int pf_manifest_check_text(const PfManifest *manifest, int64_t line, const char *text,
                           PfError *err);

#define PF_MANIFEST_PATH_SIZE 4500

/* The field with --suffix: itself, or in `buffer`. */
const char *pf_manifest_path(const PfManifest *manifest, const char *field,
                             char buffer[PF_MANIFEST_PATH_SIZE]);
/* The path of a file that is there: the field's, or else with / for backslashes, without folders
 * that are not here, with an image's ending; itself, or in `buffer`; NULL where there is none.
 * second, unless NULL: set to an ending that there is a file of too, else to NULL. Any thread. */
const char *pf_manifest_spell(const PfManifest *manifest, int folder, const char *field,
                              char buffer[PF_MANIFEST_PATH_SIZE], const char **second);

/* ---- manifest_paths.c ---- */

/* Finds the column of the paths, and the folder that they are relative to, which becomes the
 * dataset's root. */
int pf_manifest_find_paths(PfManifest *manifest, PfError *err);
/* Once paths have been found: whether the header's own is there, so that it is no header. */
int pf_manifest_check_header(PfManifest *manifest, PfError *err);
int pf_manifest_remark_paths(const PfManifest *manifest, PfError *err);
/* Takes other spellings for paths that are not there, notes those that have none and those that
 * stand in several rows; that no image is there is an error. */
int pf_manifest_check_paths(PfManifest *manifest, PfError *err);

/* ---- manifest_numbers.c ---- */

int pf_manifest_number(const char *field, double *value); /* as C writes it; -1: it is none */
void pf_manifest_note_number(const PfManifest *manifest, int column, const char *field);
/* Whether the field is a number in digits that no double holds. */
bool pf_manifest_is_beyond(const char *field);
/* Whether all that is not missing is a number. */
bool pf_manifest_is_numeric(const PfNumberForm *form);
/* Whether the field is "-" or the like in a column of numbers. */
bool pf_manifest_is_odd_one(const PfManifest *manifest, const PfManifestTarget *target,
                            const char *field);
/* Chooses the column's mark before decimals, or refuses it. */
int pf_manifest_settle_number(PfManifest *manifest, int column, PfError *err);
/* As the column writes it; NaN for "-" among numbers; -1: it is none. */
int pf_manifest_column_number(const PfManifest *manifest, int column, const char *field,
                              double *value);
/* ", '1,5' is 1.5" where a column's numbers are not written as C does, else "". */
const char *pf_manifest_number_text(const PfManifest *manifest, int column, char *text,
                                    size_t size);

/* ---- manifest_forms.c ---- */

/* Adds a text that is not yet in the index. */
int pf_manifest_add_text(PfManifest *manifest, PfTextIndex *index, const char *text, size_t length,
                         PfError *err);
/* 0, 1, false, true, no, yes, and -1 for 0; -1: none of them. */
int pf_manifest_flag(const PfManifest *manifest, const char *field, double *value);
/* The next name of a list "red; round | small" at *next, which is moved on: its length, or 0. */
size_t pf_manifest_next_name(const PfLabelForm *form, const char **next, const char **name);
/* Whether the names are those of lists like [0, 1, 0]: labels by their place. */
bool pf_manifest_are_places(const PfManifestTarget *target);
/* ", with commas between them"; "" where nothing is to be said. */
const char *pf_manifest_list_text(const PfLabelForm *form);

bool pf_manifest_is_missing(const PfManifest *manifest, const char *field);
/* Whether targets and their columns have names in UTF-8. */
int pf_manifest_check_names(const PfManifest *manifest, PfError *err);
/* Takes a first look at a row: how fields are written. */
int pf_manifest_look(PfManifest *manifest, const char *const *fields, PfError *err);
/* Once all rows have been looked at. */
int pf_manifest_settle_forms(PfManifest *manifest, PfError *err);

/* ---- manifest_kinds.c ---- */

/* Takes a second look at a row: which kinds of target they are. */
int pf_manifest_observe(PfManifest *manifest, const char *const *fields, PfError *err);
/* Settles kinds, names, widths and offsets once all rows have been observed; drops targets that
 * nobody asked for and that are none. */
int pf_manifest_settle_kinds(PfManifest *manifest, PfError *err);

/* ---- manifest_targets.c ---- */

/* The targets that the options ask for, or else one for every other column. */
int pf_manifest_choose_targets(PfManifest *manifest, PfError *err);
void pf_manifest_free_targets(PfManifest *manifest);

/* Memory for row_count rows of targets in the dataset. */
int pf_manifest_allocate(PfManifest *manifest, PfError *err);
int pf_manifest_fill_row(PfManifest *manifest, int64_t row, const char *const *fields,
                         PfError *err);
/* Sorts classes, and hands the targets over to the dataset. */
int pf_manifest_finish_targets(PfManifest *manifest, PfError *err);

/* ---- manifest_split.c ---- */

/* Finds the column of the split, if there is one. */
int pf_manifest_find_split(PfManifest *manifest, PfError *err);
int pf_manifest_read_split(const PfManifest *manifest, const char *const *fields, PfSplit *split,
                           PfError *err);

#endif
