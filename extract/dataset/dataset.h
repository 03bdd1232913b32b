/* A dataset: which images there are, in which order, with which class and split.
 *
 * Opening lists everything and reads no image. Afterwards a dataset does not
 * change, so any number of threads may read samples at once.
 *
 * Kinds of dataset and their rules (docs/datasets.md has them for users):
 *   class folders             CLASS/x.jpg, CLASS/any/x.jpg; in torchvision's order
 *   train/val/test folders    each of class folders; rows: all of train, then val, then test
 *   CIFAR-10/100 binary       data_batch_1.bin ... or train.bin, test.bin
 *   CIFAR-10/100 pickles      data_batch_1 ... or train, test
 *   idx files                 train-images-idx3-ubyte ..., or one of them
 *   images without labels     a folder of images
 *   manifest.csv, .tsv        a header, a column of paths, any number of targets
 *   a list of extract --list  what such a dataset was, frozen (frozen_list.h)
 *   archives                  .tar, .zip, a folder of them, 'a-{000..099}.tar', https://, s3://;
 * "-", too: what is in them is understood as a folder, or by the webdataset convention paths, one a
 * line         "-", relative to the current folder
 */
#ifndef PF_EXTRACT_DATASET_DATASET_H
#define PF_EXTRACT_DATASET_DATASET_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/digest.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfSample {
    const char *path;    /* relative to the root, bytes as on disk; CIFAR: "test_batch.bin#17"; in
                            archives "class/x.jpg", or "shard-000.tar#class/x.jpg" */
    int32_t class_index; /* of the first class target; -1 unlabelled */
    PfSplit split;       /* train where its side is still to be drawn (pf_dataset_drawing) */
} PfSample;

/* How a manifest is written. NULL, or 0: the file itself tells. */
typedef struct PfTableOptions {
    const char *split_column; /* --split-column COLUMN[=VALUE[,VALUE]], or "none" */
    const char *separator;    /* --separator: the characters that part labels */
    const char *encoding;     /* --encoding: iconv's name */
    const char *suffix;       /* --suffix: what paths end in, where they do not */
    const char *decimal;      /* --decimal: "." or "," */
    int no_header;            /* --no-header */
} PfTableOptions;

/* The name of an option that is given, for messages; NULL where none is. */
const char *pf_dataset_table_option(const PfTableOptions *table);

/* A contiguous part of a dataset, one of several for several machines: --shard K/N. The number-th
 * of count parts, from 1; {0, 0}: the whole dataset. */
typedef struct PfShard {
    int64_t number, count;
} PfShard;

typedef struct PfDatasetOptions {
    double val_fraction;  /* --split val=F: share of the training images moved to val; 0 = none */
    double test_fraction; /* --split test=F */
    bool split_by_path;   /* --split by the hash of paths, as it once was, not of contents */
    FILE *list;           /* where "-" reads its paths; NULL = stdin */
    const char *exclude;  /* --exclude: a list of paths that are left out; NULL: none */
    int64_t sample;       /* --sample: only so many, a larger number the same and more; 0 = all */
    PfShard shard; /* --shard: only this part; classes and splits are the whole's. Of archives
                      at addresses whole ones, and nothing is known of the others */
    /* Archives at addresses only: */
    bool may_fetch;           /* somebody has typed the operand; else addresses are refused */
    const char *fetch_folder; /* where they go, and nobody else's; NULL:
                                 $XDG_CACHE_HOME/permafrost/fetched, ~/.cache */
    const volatile sig_atomic_t *interrupted; /* ends fetching; may be NULL */
    /* Folders only: */
    const char *split_folders; /* --split-folders: "train=A,val=B,test=C", or "none"; NULL: by their
                                  names and what they hold */
    const char *const *known_classes; /* of the cache that is there: folders that are all among them
                                         are classes, whatever they are called; lent */
    int known_class_count;
    bool exact_split_names; /* only train, val, valid, validation and test are such names, as it
                              once was; nothing is refused as unsure */
    /* Manifests only: */
    const char *const *targets; /* --target NAME[:KIND][=COLUMNS]; none: every other column */
    int target_count;
    const char *path_column;  /* --path-column; NULL: it is found */
    const char *image_root;   /* --root: what paths are relative to; NULL: the file's folder */
    const char *group_column; /* --group; NULL: none */
    PfTableOptions table;
    bool as_before;      /* read as the first versions did: pf_dataset_open_for */
    bool splits_unknown; /* sides may have been drawn for the cache by options that are not given */
} PfDatasetOptions;

#define PF_NO_SPLIT_FOLDERS "none"
#define PF_TARGETS_MAX 256 /* --target on a command line */

typedef struct PfDataset PfDataset;

/* Whether the operand is an address, of which nothing is read that nobody has typed. */
bool pf_dataset_is_address(const char *operand);

/* Lists the dataset that `operand` (a folder, or "-") names; options may be
 * NULL. Nothing usable there: an error that says what was looked for. */
int pf_dataset_open(const char *operand, const PfDatasetOptions *options, PfDataset **out,
                    PfError *err);
/* pf_dataset_open, for a cache that is already where the dataset's is to go and that may have been
 * begun by the first versions (pf_provenance_begun_before; NULL: there is none). Of a
 * manifest whose targets or splits are not the cache's as it is read today, but are as the first
 * versions read it, that reading goes on, with a warning: a cache is never changed by an upgrade.
 * Options that say how the table is written settle it instead. */
int pf_dataset_open_for(const char *operand, const PfDatasetOptions *options, const PfCache *cache,
                        PfDataset **out, PfError *err);
/* A dataset of these files (copied), unlabelled, in this order: for command
 * lines. Missing ones are found when they are read. */
int pf_dataset_open_paths(const char *const *paths, size_t count, PfDataset **out, PfError *err);
void pf_dataset_close(PfDataset **dataset);
/* Removes what was fetched for it, from now on not to be read: what was made of it is finished.
 * Until then it stays, so that another run need not fetch it again. */
void pf_dataset_remove_fetched(PfDataset *dataset);
/* Of archives at addresses the SHA-256, in hex, of their addresses and of what their servers call
 * the versions of them; "" of another dataset, or where a server does not tell versions apart. */
const char *pf_dataset_fetched_version(const PfDataset *dataset);
/* The same by asking for each archive's beginning alone. */
int pf_dataset_look_at_addresses(const char *operand, const PfDatasetOptions *options,
                                 char version[PF_SHA256_TEXT_SIZE], PfError *err);

/* No photograph is larger; what is, would take the machine's memory by surprise. */
#define PF_FILE_BYTES_MAX ((int64_t)1 << 30)
/* What --max-bytes takes at most. */
#define PF_FILE_BYTES_MOST ((int64_t)1 << 40)

/* From now on files of up to so many bytes are read; 0: PF_FILE_BYTES_MAX. */
void pf_dataset_limit_bytes(PfDataset *dataset, int64_t max_file_bytes);

/* All lent until pf_dataset_close. */
const char *pf_dataset_root(const PfDataset *dataset);    /* the folder; "." for lists of paths */
const char *pf_dataset_kind(const PfDataset *dataset);    /* in words: "train/val class folders" */
int64_t pf_dataset_count(const PfDataset *dataset);       /* of the shard, where it is one */
int64_t pf_dataset_whole_count(const PfDataset *dataset); /* of all shards together; of the sample;
                                                             -1: not known */
int64_t pf_dataset_split_count(const PfDataset *dataset, PfSplit split);
const PfSample *pf_dataset_samples(const PfDataset *dataset); /* pf_dataset_count of them */
/* What the samples are labelled with: one target "class" for class folders and CIFAR. */
const PfCacheTarget *pf_dataset_targets(const PfDataset *dataset, int *count);
/* A sample's, as PfCacheSample wants them. */
const int32_t *pf_dataset_class_indices(const PfDataset *dataset, int64_t index);
const float *pf_dataset_values(const PfDataset *dataset, int64_t index);
/* The group of a sample (pf_split_group of its name), images of which stay on one side; 0: none. */
uint64_t pf_dataset_group(const PfDataset *dataset, int64_t index);
bool pf_dataset_has_groups(const PfDataset *dataset);

/* --split by contents, which nobody has read yet: the shares of the training images that go to val
 * and test. */
typedef struct PfDrawing {
    double val, test;
    bool fill; /* all images are there, so that every class can have some on each side */
} PfDrawing;
/* NULL: every sample's split is its own. */
const PfDrawing *pf_dataset_drawing(const PfDataset *dataset);
/* Whether folders are splits or classes as exact_split_names said, and would not be without. */
bool pf_dataset_keeps_split_names(const PfDataset *dataset);

/* Whether it is read as the first versions did, for the cache of pf_dataset_open_for. */
bool pf_dataset_is_as_before(const PfDataset *dataset);

/* Names of the first class target; count 0: there is none. */
const char *const *pf_dataset_classes(const PfDataset *dataset, int *count);
/* What a person should know, a sentence each, for pf_warn. */
const char *const *pf_dataset_warnings(const PfDataset *dataset, int *count);
/* How it was understood, a sentence each, for pf_say. */
const char *const *pf_dataset_remarks(const PfDataset *dataset, int *count);
/* Files that are no images for us, by name or content; a warning or remark counts their kinds. */
int64_t pf_dataset_ignored_count(const PfDataset *dataset);
/* Whether each sample is an image's file, of its own or in an archive. */
bool pf_dataset_has_files(const PfDataset *dataset);
/* Whether samples are members of archives: their paths are none of the file system. */
bool pf_dataset_is_archive(const PfDataset *dataset);
/* Whether an operand names archives, by its name or content. */
bool pf_dataset_names_archives(const char *operand);
/* Whether one of the files that the samples are read from is this one, as stat has found it. Those
 * of other shards count. */
bool pf_dataset_has_file(const PfDataset *dataset, const struct stat *file);
/* ".jpg .jpeg .png ..." */
const char *pf_dataset_extensions(void);

#define PF_LISTING_KEY "listing" /* of the digest below, in JSON */

/* The SHA-256 of all that is listed, other shards' samples included: paths, sides, groups, classes,
 * targets and their order, in hex. Two processes that list the same dataset have the same. */
int pf_dataset_listing_digest(const PfDataset *dataset, char text[PF_SHA256_TEXT_SIZE],
                              PfError *err);

/* Samples [*first, *first + *size) of `samples` are the shard's. Shards cover the
 * dataset, do not overlap, differ by a sixteenth at most (where there is so much to share
 * out), and begin at multiples of a power of two, so that the chunks of their caches are
 * those of the whole. shard.count <= samples. */
void pf_dataset_shard_range(PfShard shard, int64_t samples, int64_t *first, int64_t *size);

/* One sample's bytes. Zero it, use it for any number of reads (one thread at a
 * time), give it to pf_sample_bytes_free. */
typedef struct PfSampleBytes {
    uint8_t *data;
    size_t size_bytes;
    size_t capacity;
    int width, height; /* > 0: data is (height, width, 3) uint8 RGB; 0: an image file to decode */
    PfFileStamp stamp; /* of the file; mtime_ns 0 where it was changed within the last two
                          seconds, so that no later stamp equals it */
} PfSampleBytes;

/* Reads sample `index`; any thread. On failure err says why in words that follow
 * the path ("cannot be opened: Permission denied"), with PF_EXIT_BAD_IMAGES where the file
 * is at fault, and bytes stays reusable. */
int pf_dataset_read(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err);
/* The first bytes of sample `index`, at most `size` of them, where samples are files: how many, 0
 * where it cannot be read. Any thread. */
size_t pf_dataset_read_head(const PfDataset *dataset, int64_t index, uint8_t *bytes, size_t size);
/* The file's stamp, without reading; -1 where the file is not there. Equal to the one
 * that a pf_dataset_read reported: still the bytes that were read. Any thread. */
int pf_dataset_stat(const PfDataset *dataset, int64_t index, PfFileStamp *stamp);
void pf_sample_bytes_free(PfSampleBytes *bytes);

#endif
