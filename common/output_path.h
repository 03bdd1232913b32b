/* Where an output goes: links are followed once, by us, and what is there is looked at. */
#ifndef PF_OUTPUT_PATH_H
#define PF_OUTPUT_PATH_H

#include <sys/stat.h>

#include "permafrost/error.h"

typedef enum PfOutputKind {
    PF_OUTPUT_NEW,    /* nothing is there */
    PF_OUTPUT_FILE,   /* a regular file, which can be replaced */
    PF_OUTPUT_STREAM, /* a pipe or a character device, which is written to as it is */
} PfOutputKind;

typedef struct PfOutputPath {
    char *path;       /* owned: where the links lead, or the path itself */
    const char *name; /* in path: its last part */
    int folder;       /* owned: descriptor of the folder that has the name, opened with O_PATH */
    int descriptor;   /* that /dev/stdout, /dev/fd/N and the like stand for; else -1 */
    PfOutputKind kind;
    struct stat status; /* of what is there, unless kind is PF_OUTPUT_NEW */
} PfOutputPath;

/* A folder, a block device and a socket are refused, and so is a link of another user in a folder
 * that everyone can write to (as the system itself does where fs.protected_symlinks is set). What
 * this has filled is given to pf_output_path_free, on failure too. */
int pf_output_path_find(const char *path, PfOutputPath *out, PfError *err);
void pf_output_path_free(PfOutputPath *path);

/* Whether `found`, whose folder is `folder`, belongs to somebody else who could put it there
 * because everyone can write to that folder, as to /tmp. */
int pf_output_is_strangers(const struct stat *folder, const struct stat *found);

/* "a folder", "a pipe", ...: what is no regular file. */
const char *pf_output_type_name(mode_t mode);

/* Whether both would be the same file: by what is there, or by the folder and the name. Paths that
 * cannot be written are never the same, and neither are pipes and devices. */
int pf_output_is_same(const char *path, const char *other);

#endif
