/* Files that are either the old one or the whole new one, never half.
 *
 * Written beside the target under a temporary name, synced, then renamed. */
#ifndef PF_ATOMIC_FILE_H
#define PF_ATOMIC_FILE_H

#include <stddef.h>

#include "permafrost/error.h"

/* A free name beside path, "<dir>/.<file>.part-<pid>", malloc'ed. Fails where
 * the directory does not exist or cannot be written, or path is a directory:
 * called before the long part. */
int pf_atomic_file_begin(const char *path, char **temporary, PfError *err);
/* fsyncs the temporary file, renames it to path, fsyncs the directory, frees
 * the name. On failure the temporary file is removed. */
int pf_atomic_file_commit(const char *path, char **temporary, PfError *err);
/* Removes the temporary file and frees the name. */
void pf_atomic_file_abandon(char **temporary);

/* Removes what killed processes have left of writing path: temporary files whose
 * process is gone. Failures do not matter. */
void pf_atomic_file_sweep(const char *path);

/* Whether the file could be written, found out now: begin, then abandon. */
int pf_atomic_file_check(const char *path, PfError *err);

/* Makes the names in path's folder survive a power cut, where the file system can do that. */
void pf_atomic_file_sync_folder(const char *path);

/* The three steps for bytes in memory. */
int pf_atomic_file_write(const char *path, const void *bytes, size_t size, PfError *err);

#endif
