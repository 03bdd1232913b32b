/* What the kinds of dataset share: a dataset while it is made, and the row that each kind has. A
 * kind more is a file with its functions and its row, a line here, and its name in the table of
 * dataset.c.
 *
 * Below it comes what kinds are made of, each file using those before it only: build.c, read.c,
 * walk.c, part.c, then the kinds themselves, then dataset.c. */
#ifndef PF_EXTRACT_DATASET_FORMAT_H
#define PF_EXTRACT_DATASET_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "extract/dataset/dataset.h"

/* Things worth a warning, gathered by name while listing; build.c has the sentence of each. */
typedef enum PfNote {
    PF_NOTE_HIDDEN_FOLDER,
    PF_NOTE_HIDDEN_IMAGE,
    PF_NOTE_UNREADABLE,
    PF_NOTE_LOOP,
    PF_NOTE_EMPTY_FOLDER,
    PF_NOTE_NOT_TRAINED,
    PF_NOTE_LOOSE_IMAGE,
    PF_NOTE_BESIDE_SPLITS,
    PF_NOTE_MISSING_FILE,
    PF_NOTE_ABSENT_IMAGE,
    PF_NOTE_REPEATED_PATH,
    PF_NOTE_COUNT,
} PfNote;

#define PF_NAMED_MAX 5

/* Names for one sentence: the first few in order, the rest only counted. */
typedef struct PfNames {
    char *first[PF_NAMED_MAX]; /* owned, sorted by bytes */
    int64_t count;
} PfNames;

/* Sentences, malloc'ed. */
typedef struct PfSentences {
    char **items;
    size_t count, capacity;
} PfSentences;

/* Files of one kind that were left out. */
typedef struct PfFileKind {
    char name[24]; /* "HEIC", ".txt", "without an ending" */
    bool is_picture;
    int64_t count;
} PfFileKind;

#define PF_FILE_KINDS 24

typedef struct PfFileKinds {
    PfFileKind kind[PF_FILE_KINDS]; /* the last one: all others */
    int count;
} PfFileKinds;

typedef struct PfDatasetFormat PfDatasetFormat;

struct PfDataset {
    const PfDatasetFormat *format;
    char *root;  /* for people */
    int root_fd; /* what paths are relative to: a folder, or AT_FDCWD */
    char kind[64];
    PfSample *samples;
    size_t count, capacity;
    int64_t max_file_bytes; /* 0: PF_FILE_BYTES_MAX */
    int64_t *listed;        /* (count) places when listed; NULL: nothing was left out */
    size_t before, behind;  /* how many of them are other shards' */
    size_t whole;           /* of all shards together, where only one shard's are here; else 0 */
    bool is_as_before; /* a table, read as the first versions did for a cache that they began */
    bool is_own_part;  /* only this shard's were listed, and nobody knows of the others */
    char listing[PF_SHA256_TEXT_SIZE]; /* pf_dataset_listing_digest, where it is known; else "" */
    const char **classes;              /* of folders: malloc'ed array of names in `texts` */
    int class_count;
    PfCacheTarget *targets; /* (target_count) */
    int target_count;
    const char ***target_names; /* (target_count) their lists of names; NULL: not theirs to free */
    int32_t *class_indices;     /* (count, indices_per_row); NULL: the samples' class_index */
    float *values;              /* (count, values_per_row) */
    uint64_t *groups;           /* (count) pf_split_group; NULL: none has one */
    PfDrawing drawing;          /* val and test 0: nothing is to be drawn */
    bool keeps_split_names;
    int indices_per_row, values_per_row;
    PfArena texts; /* paths and names */
    PfNames notes[PF_NOTE_COUNT];
    PfSentences warnings, remarks;
    PfFileKinds others; /* files left out, litter and hidden ones apart */
    int64_t ignored_count;
    const char *first_ignored; /* path of one; NULL while there is none */
    PfNames by_content;        /* images that their names do not tell */
    PfNames tables;            /* beside images, and not read */
    size_t linked_folders;     /* behind links, that were found */
    size_t looked_folders;     /* and that were looked into before */
    void *of_format;           /* the format's own, which its close() frees */
};

/* path: a file's, which lives as long as the dataset; NULL of a folder. Anything but 0 ends the
 * visit, which returns it. */
typedef int (*PfTreeVisit)(void *context, const char *name, const char *path, PfError *err);

/* What stands for the file system where samples do not lie in one. */
typedef struct PfDatasetTree {
    /* Calls visit for all that lies directly in a folder, "" or "a/b". */
    int (*visit)(const PfDataset *dataset, const char *folder, PfTreeVisit visit, void *context,
                 PfError *err);
    /* The first bytes of a file, at most `size` of them: how many. */
    size_t (*read)(const PfDataset *dataset, const char *path, uint8_t *bytes, size_t size);
    /* Whether it is one of the files that hold the samples. */
    bool (*has_file)(const PfDataset *dataset, const struct stat *file);
} PfDatasetTree;

/* How a kind of dataset is told, listed and read. */
struct PfDatasetFormat {
    const char *what;          /* "'data' is <what>", where an option is for folders or manifests */
    bool is_folder;            /* takes --split-folders */
    bool is_manifest;          /* takes --target, --root and whatever else is for tables */
    bool has_own_part;         /* list() reads the rows of --shard only */
    bool has_no_files;         /* samples are parts of files, named "file#17" */
    const PfDatasetTree *tree; /* samples are files in others; NULL: files of the file system */
    bool (*probe)(const char *operand);
    /* Sets root, root_fd and kind; adds samples, classes and notes. */
    int (*list)(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err);
    int (*read)(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err);
    int (*stat)(const PfDataset *dataset, int64_t index, PfFileStamp *stamp);
    void (*close)(PfDataset *dataset); /* NULL: the format has nothing of its own */
};

extern const PfDatasetFormat pf_dataset_format_paths;
extern const PfDatasetFormat pf_dataset_format_archive;
extern const PfDatasetFormat pf_dataset_format_cifar;
extern const PfDatasetFormat pf_dataset_format_cifar_pickle;
extern const PfDatasetFormat pf_dataset_format_idx;
extern const PfDatasetFormat pf_dataset_format_folder;
extern const PfDatasetFormat pf_dataset_format_frozen_list;
extern const PfDatasetFormat pf_dataset_format_manifest;

/* ---- texts, samples, warnings: build.c ---- */

int pf_dataset_set_root(PfDataset *dataset, const char *folder, PfError *err);
/* A copy of length bytes and a NUL, living as long as the dataset. */
const char *pf_dataset_text(PfDataset *dataset, const char *text, size_t length, PfError *err);
/* "folder/name" (name alone where folder is ""), living as long as the dataset. */
const char *pf_dataset_join(PfDataset *dataset, const char *folder, const char *name, PfError *err);
/* path must live as long as the dataset. */
int pf_dataset_add(PfDataset *dataset, const char *path, int32_t class_index, PfSplit split,
                   PfError *err);
void pf_dataset_free_lists(PfDataset *dataset);

int pf_names_add(PfNames *names, const char *folder, const char *name, PfError *err);
int pf_names_merge(PfNames *names, const PfNames *more, PfError *err);
void pf_names_free(PfNames *names);
/* Notes "folder/name" for the sentence of that kind. */
int pf_dataset_note(PfDataset *dataset, PfNote note, const char *folder, const char *name,
                    PfError *err);
/* A warning of its own. */
int pf_dataset_warn(PfDataset *dataset, PfError *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Something for pf_dataset_remarks. */
int pf_dataset_remark(PfDataset *dataset, PfError *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void pf_sentences_free(PfSentences *sentences);
/* "8 HEIC, 3 .txt", the most frequent first, malloc'ed. pictures: 1 only these, 0 only others, -1
 * both. */
char *pf_dataset_kinds_text(const PfFileKinds *kinds, int pictures, PfError *err);
/* Turns the notes into warnings. */
int pf_dataset_finish_notes(PfDataset *dataset, PfError *err);

/* ---- reading: read.c ---- */

/* Whether an image's file of so many bytes is read, which is not empty and within --max-bytes: to
 * be asked before memory is taken for it. */
int pf_dataset_check_size(const PfDataset *dataset, int64_t size, PfError *err);
/* The whole file at the sample's path. */
int pf_dataset_read_file(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes,
                         PfError *err);
int pf_dataset_stat_file(const PfDataset *dataset, int64_t index, PfFileStamp *stamp);
int pf_sample_bytes_reserve(PfSampleBytes *bytes, size_t size, PfError *err);

/* ---- folders: walk.c ---- */

/* Counts a file of a tree that is left out, images apart, by its kind. */
int pf_dataset_count_member(PfDataset *dataset, const char *folder, const char *name,
                            const char *path, PfError *err);

/* Whether a file of a tree whose name does not say so is an image by its first bytes. */
bool pf_dataset_member_has_image(const PfDataset *dataset, const char *name, const char *path);

/* For qsort and bsearch in arrays of names: the order of their bytes. */
int pf_dataset_compare_names(const void *a, const void *b);

/* Whether it ends in one of pf_dataset_extensions. */
bool pf_dataset_is_image_name(const char *name);

/* What lies directly in a folder. */
typedef struct PfListing {
    const char **folders; /* names sorted by bytes, hidden ones left out */
    size_t folder_count, folder_capacity;
    PfNames images; /* hidden ones left out */
} PfListing;

/* Lists one folder, relative to the root; "" is the root. Hidden folders are noted. */
int pf_dataset_list_folder(PfDataset *dataset, const char *folder, PfListing *listing,
                           PfError *err);
void pf_listing_free(PfListing *listing);

/* Counts the files, images apart, that lie directly in a folder which is not walked. */
int pf_dataset_count_files(PfDataset *dataset, const char *folder, PfError *err);

bool pf_dataset_is_folder(PfDataset *dataset, const char *folder);

/* What a folder holds, found out without listing it. */
typedef struct PfHoldings {
    bool has_images;  /* in the folder itself */
    bool has_folders; /* that hold images, however deep */
    int folder_count;
    const char *first_folder; /* as "folder/name" */
} PfHoldings;
int pf_dataset_look_into(PfDataset *dataset, const char *folder, PfHoldings *out, PfError *err);

/* Adds the images in a folder and, if deep, in all folders below it, in the
 * order of Python's
 *     for root, _, names in sorted(os.walk(folder, followlinks=True)):
 *         for name in sorted(names): */
int pf_dataset_walk(PfDataset *dataset, const char *folder, bool deep, int32_t class_index,
                    PfSplit split, PfError *err);

/* ---- what folders mean: folder.c ---- */

/* Lists what lies in the root, or in the format's tree: class folders, splits of them, or images
 * without labels. */
int pf_dataset_list_folders(PfDataset *dataset, const PfDatasetOptions *options, PfError *err);
/* Says the classes, of which there is at least one, with the numbers of their images: "8 classes:
 * bird (120), boat (96) ...", or of many the smallest and the largest. */
int pf_dataset_remark_classes(PfDataset *dataset, PfError *err);
/* The split that a name is like, as "train" or "Training_Set", or -1; prefixed: as "seg_train",
 * too.
 */
int pf_dataset_split_of_name(const char *name, bool prefixed);

/* ---- parts: part.c ---- */

/* Keeps these rows, ascending, and no others. */
int pf_dataset_keep_rows(PfDataset *dataset, const size_t *rows, size_t size, PfError *err);

/* Keeps `size` samples (0, or more than there are: all), in the order in which they are. */
int pf_dataset_take_sample(PfDataset *dataset, int64_t size, PfError *err);

/* ---- --exclude: exclusion.c ---- */

/* Leaves out the samples whose paths the file `list` (NULL: none) names: in a column `path` of a
 * table, or a path a line. Says how many there were, and how many paths no sample has. */
int pf_dataset_exclude(PfDataset *dataset, const char *list, PfError *err);

/* ---- archives: archives.c ---- */

/* Makes it a dataset of the archive that the stream holds, of which head has been read. */
int pf_dataset_list_archive_stream(PfDataset *dataset, FILE *stream, const uint8_t *head,
                                   size_t head_size, const PfDatasetOptions *options, PfError *err);

/* ---- lists of paths: paths.c ---- */

/* Takes the paths, copied, for the dataset's samples. */
int pf_dataset_list_paths(PfDataset *dataset, const char *const *paths, size_t count, PfError *err);

#endif
