/* Files that are read: what opens a path that came out of another file, or may have been
 * exchanged, neither waits for a pipe nor touches a device. */
#ifndef PF_INPUT_FILE_H
#define PF_INPUT_FILE_H

#include <sys/stat.h>

#include "permafrost/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the regular file `path`, seen from the folder `folder` (AT_FDCWD: the current one), for
 * reading. Returns the descriptor, which the caller closes, or -1 with err: what cannot be
 * opened ("cannot open <what> '<path>': ...", errno stays), and what is no regular file
 * ("<what> '<path>' is a named pipe, not a file", errno EINVAL). what: "" or "weights", for
 * example. status: what fstat says of it; may be NULL. */
int pf_input_open(int folder, const char *path, const char *what, struct stat *status,
                  PfError *err);

/* The same without words: -1 with errno, which is EINVAL, and *status says what it is, where that
 * is no regular file. */
int pf_input_try(int folder, const char *path, struct stat *status);

/* "a file" for a regular one, else "a folder", "a named pipe", "a device", "a socket". */
const char *pf_input_kind(const struct stat *status);

#ifdef __cplusplus
}
#endif

#endif
