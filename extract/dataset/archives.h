/* Datasets in archives: what archives.c, archive_tree.c and webdataset.c share. */
#ifndef PF_EXTRACT_DATASET_ARCHIVES_H
#define PF_EXTRACT_DATASET_ARCHIVES_H

#include "extract/archive/archive.h"
#include "extract/dataset/format.h"

/* One of the archives of a dataset. */
typedef struct PfShardFile {
    PfArchive *archive;
    const char *name;  /* as samples' paths have it, where they have to; lent */
    struct stat file;  /* of the file that the user has named: it may be compressed */
    PfFileStamp stamp; /* of that; mtime_ns 0 of standard input */
    int split;         /* that its name says, as its siblings' do; -1: none */
} PfShardFile;

/* A dataset's of_format. */
typedef struct PfShards {
    PfShardFile *files; /* (count) */
    size_t count;
    bool has_splits; /* names of archives say splits: every file has one */
    /* Of archives at addresses: */
    char **fetched;       /* (count) the files that they were fetched into; NULL: there are none */
    char *fetched_folder; /* which those are in */
    bool is_own_folder;   /* nobody else fetches into it */
    char version[PF_SHA256_TEXT_SIZE]; /* pf_dataset_fetched_version */
    char **all_names; /* (all_count) of all shards' archives together, for messages; or NULL */
    size_t all_count, first; /* all_names[first]: of files[0] */
    bool is_part;            /* there are more than this shard's */
    /* While it is listed: files and folders of all archives, by their names. */
    const PfMember **members; /* (member_count) */
    size_t member_count;
} PfShards;

/* The member that a sample's path is of. */
const PfMember *pf_shards_member(const char *path);
/* A member's name: "class/x.jpg". */
const char *pf_shards_name(const PfMember *member);
/* All of its bytes and a NUL behind them into text, malloc'ed; of a label, which is small. */
int pf_shards_read_text(const PfShards *shards, const PfMember *member, char **text, PfError *err);

/* ---- archives at addresses: remote.c ---- */

/* Fetches those of the operand's that are this shard's; they are opened after that. */
int pf_shards_fetch(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                    PfError *err);
void pf_shards_remove_fetched(PfDataset *dataset);
void pf_shards_free_fetched(PfShards *shards);

/* ---- archives: archives.c ---- */

int pf_shards_allocate(PfDataset *dataset, size_t count, PfError *err);

/* ---- names: archive_tree.c ---- */

/* Sorts the members of each archive by their names, and drops what the same archive has again later
 * on. */
int pf_shards_sort(PfDataset *dataset, PfError *err);
/* Takes the only folder that everything lies in away from all names. */
int pf_shards_strip_folder(PfDataset *dataset, PfError *err);
/* Finds out which splits the names of archives say. */
void pf_shards_find_splits(PfShards *shards);
/* Puts all members into one tree. A split that its archive's name says is a folder; a name that
 * several archives have gets that of its archive in front of it. */
int pf_shards_build_tree(PfDataset *dataset, PfError *err);

/* The sample's path with the name of its archive in front, which no other archive's has; NULL with
 * err. */
const char *pf_shards_name_by_archive(PfDataset *dataset, const char *path, PfError *err);
/* Says how many were named so. */
int pf_shards_tell_renamed(PfDataset *dataset, int64_t renamed, PfError *err);

extern const PfDatasetTree pf_shards_tree;

/* ---- labels beside images: webdataset.c ---- */

/* Lists the dataset by keys, where it is one that the webdataset library reads: files of one name
 * up to its first dot belong together, x.jpg and x.cls. *done: it was. Before the tree is built. */
int pf_shards_list_keys(PfDataset *dataset, const PfDatasetOptions *options, bool *done,
                        PfError *err);

#endif
