/* The caches of a dataset's shards: OUT.parts/K-of-N.h5, for --shard auto/N and any/N. */
#ifndef PF_EXTRACT_SHARD_PARTS_H
#define PF_EXTRACT_SHARD_PARTS_H

#include <stdio.h>

#include "extract/dataset/dataset.h"

/* "photos.h5.parts/3-of-8.h5" of the output "photos.h5". malloc'ed. */
char *pf_parts_path(const char *output, PfShard shard, PfError *err);
/* Makes the folder for them, unless it is there. */
int pf_parts_make_folder(const char *output, PfError *err);

/* Removes it where nothing is in it, as after a dry run. */
void pf_parts_remove_empty_folder(const char *output);

/* What lies in such a folder. */
typedef struct PfParts {
    int64_t count;  /* N */
    char **paths;   /* (N) of shard K at K - 1; NULL: it is not there */
    int64_t others; /* files that end in .h5 as well, and are no shards by their names */
} PfParts;

/* Looks by names alone. A folder without such names, and one with those of two N, is an error. On
 * failure too, free it. */
int pf_parts_list(const char *folder, PfParts *parts, PfError *err);
void pf_parts_free(PfParts *parts);

/* extract --missing: prints the shards that are not there, or cannot be opened, or are no such
 * shard, to `out`, as pf_scheduler_resubmission writes them and a line break; nothing where none is
 * missing. What is wrong with those that are there goes to stderr. */
int pf_parts_print_missing(const char *folder, FILE *out, PfError *err);

/* The caches that --merge is given, folders replaced by the caches in them (those of
 * pf_parts_list; where there are none, all that end in .h5, by name) and "-" by the lines of
 * `list`. malloc'ed, as are the paths. */
int pf_parts_expand(const char *const *inputs, int count, FILE *list, char ***paths,
                    int *path_count, PfError *err);
void pf_parts_free_paths(char ***paths, int *count);

#endif
