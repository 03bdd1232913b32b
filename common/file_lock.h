/* A lock on an open file, which ends when the file is closed or its process dies. */
#ifndef PF_FILE_LOCK_H
#define PF_FILE_LOCK_H

typedef enum PfLockResult {
    PF_LOCK_TAKEN,
    PF_LOCK_HELD,   /* by another open file, of this process or another one */
    PF_LOCK_ABSENT, /* this file system has no locks, or none that work now; errno says why */
} PfLockResult;

/* Tries, without waiting, to lock all of a file that is open for writing. The lock belongs to the
 * open file, and works over NFS too. Other descriptors of the same file that are closed meanwhile
 * do not end it. */
PfLockResult pf_file_lock(int fd);

#endif
