/* An append-only file of checksummed records, of which a crash leaves a prefix.
 *
 * One process at a time: the file is locked while it is open. Opening one that
 * exists checks every record; from the first one that is short or whose checksum
 * is wrong, everything is dropped. A file that does not begin like one of these
 * is left alone: an error. */
#ifndef PF_COMMON_FILE_RECORD_FILE_H
#define PF_COMMON_FILE_RECORD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

typedef struct PfRecordFile PfRecordFile;

/* What a record is, handed to a reader. payload is lent for the call. */
typedef struct PfRecord {
    uint32_t type;    /* the caller's */
    int64_t position; /* of the payload in the file, for pf_record_file_read */
    size_t size;
    const unsigned char *payload;
} PfRecord;

/* Called for each good record in order. 0: it stands for itself; 1: it is part of what a
 * later record completes, and is dropped where none does; -1 with err ends the opening. */
typedef int PfRecordVisitor(void *context, const PfRecord *record, PfError *err);

/* Creates path, or opens it, takes the lock and visits what is in it.
 * *dropped_bytes: size of an end that was cut off, being damaged or incomplete. Locked by
 * another process: an error that says so. */
int pf_record_file_open(const char *path, PfRecordVisitor *visit, void *context, PfRecordFile **out,
                        int64_t *dropped_bytes, PfError *err);
/* Visits the good records of a file without locking or changing it; it may be written to at
 * the same time. *exists: whether there is a file at all. */
int pf_record_file_scan(const char *path, PfRecordVisitor *visit, void *context, int *exists,
                        PfError *err);
/* Creates path, or opens it, and takes the lock, without a look at what is in it. The descriptor,
 * which the caller closes; -1 as above. */
int pf_record_file_open_locked(const char *path, PfError *err);
/* Whether another open file has the lock of the one at path. */
bool pf_record_file_is_locked(const char *path);
/* Closes and unlocks; the file stays. */
void pf_record_file_close(PfRecordFile **file);
/* Deletes the file, then closes it. */
int pf_record_file_remove(PfRecordFile **file, PfError *err);

/* Appends a record whose payload is head followed by body (either may be of
 * size 0). *position (may be NULL): where the payload begins. On failure the file is cut
 * back to its last whole record and can go on after, for instance, room was made. */
int pf_record_file_append(PfRecordFile *file, uint32_t type, const void *head, size_t head_size,
                          const void *body, size_t body_size, int64_t *position, PfError *err);
/* Makes what was appended survive a power cut. Where that fails, the file is cut back to
 * what did survive at the last time, and takes no more records. */
int pf_record_file_sync(PfRecordFile *file, PfError *err);
/* The payload of a record again, whole, its checksum verified: position and size are what
 * a visitor or append was told. Any thread. */
int pf_record_file_read(const PfRecordFile *file, int64_t position, void *out, size_t size,
                        PfError *err);
int64_t pf_record_file_size(const PfRecordFile *file);
const char *pf_record_file_path(const PfRecordFile *file);

#endif
