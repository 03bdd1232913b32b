/* Files that are either the old one or the whole new one, never half.
 *
 * What is written goes into a file of a name of its own in the target's folder, ".NAME.part-" and
 * random letters, is synced, then takes the target's name. A link is followed and stays; the new
 * file has the owner and the mode of the one that was there. Pipes and character devices are not
 * replaced: they are written to.
 *
 * The writer holds a lock on its temporary file (pf_atomic_file_lock), so that another process,
 * also one of another container, can tell whether what lies there is being written or was left by a
 * process that was killed. */
#ifndef PF_COMMON_FILE_ATOMIC_FILE_H
#define PF_COMMON_FILE_ATOMIC_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "permafrost/error.h"

typedef struct PfAtomicFile PfAtomicFile;

/* Makes the temporary file, or opens the pipe or device. Fails where path's folder does not exist
 * or cannot be written, and for what pf_output_path_find refuses. */
int pf_atomic_file_begin(const char *path, PfAtomicFile **out, PfError *err);
/* What is to be written into. Lent; never closed by the caller. */
FILE *pf_atomic_file_stream(PfAtomicFile *file);
/* The temporary file's name, for libraries that want one; NULL of a pipe or a device. Lent. */
const char *pf_atomic_file_temporary(const PfAtomicFile *file);
/* Flushes the stream, syncs the file, gives it the target's name, syncs the folder. On failure,
 * which is also where the stream could not be written, the temporary file is removed. Frees. */
int pf_atomic_file_commit(PfAtomicFile **file, PfError *err);
/* Removes the temporary file and frees; the target is as it was. */
void pf_atomic_file_abandon(PfAtomicFile **file);

/* Whether the file could be written, found out now: begin, then abandon. Pipes and devices are not
 * opened. Also removes what killed processes have left of writing path: temporary files that
 * nobody holds a lock on. Where locks are not to be relied on they stay, for a day at least. */
int pf_atomic_file_check(const char *path, PfError *err);

/* path itself, or where the link it is leads to; malloc'ed. */
char *pf_atomic_file_target(const char *path, PfError *err);

/* Makes the names in path's folder survive a power cut, where the file system can do that. */
void pf_atomic_file_sync_folder(const char *path);

/* Begin, the bytes, commit. */
int pf_atomic_file_write(const char *path, const void *bytes, size_t size, PfError *err);

/* ---- locks ---- */

typedef enum PfLockResult {
    PF_LOCK_TAKEN,
    PF_LOCK_HELD,   /* by another open file, of this process or another one */
    PF_LOCK_ABSENT, /* this file system has no locks, or none that work now; errno says why */
} PfLockResult;

/* Tries, without waiting, to lock all of a file that is open for writing. The lock belongs to the
 * open file, ends when that is closed or its process dies, and works over NFS too. Other
 * descriptors of the same file that are closed meanwhile do not end it. */
PfLockResult pf_atomic_file_lock(int fd);

#endif
