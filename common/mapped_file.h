/* Input files mapped into memory.
 *
 * A file that becomes shorter while it is mapped ends the program by SIGBUS where its lost part is
 * looked at. Who maps through here has that said: "'FILE' became shorter while it was read", and
 * exit code 1. */
#ifndef PF_MAPPED_FILE_H
#define PF_MAPPED_FILE_H

#include <stddef.h>
#include <sys/stat.h>

#include "permafrost/error.h"

/* Refuses a large file that is made of holes, as downloads are that broke off: it would be read as
 * gigabytes of zeros. The message is a reason without the path: "of its 17 GB only 12 KB are on the
 * disk, the rest are holes". */
int pf_check_holes(int fd, off_t size, PfError *err);

/* Maps all of an open file, for reading, unless it is made of holes. status: fstat's of fd, of a
 * regular file; what: "weights", for messages. An empty file gives *bytes NULL. */
int pf_map_file(int fd, const struct stat *status, const char *what, const char *path,
                const void **bytes, PfError *err);
void pf_unmap_file(const void *bytes, size_t size);

#endif
