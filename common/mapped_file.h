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

/* Maps all of an open file, for reading. status: fstat's of fd, of a regular file; what: "weights",
 * for messages. An empty file gives *bytes NULL. Refuses a file that is all but empty: made of
 * holes, as downloads are that broke off, it would be read as gigabytes of zeros. */
int pf_map_file(int fd, const struct stat *status, const char *what, const char *path,
                const void **bytes, PfError *err);
void pf_unmap_file(const void *bytes, size_t size);

#endif
