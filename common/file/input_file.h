/* Files that are read: opened, mapped, and told by their bytes. What opens a path that came out of
 * another file, or may have been exchanged, neither waits for a pipe nor touches a device. */
#ifndef PF_COMMON_FILE_INPUT_FILE_H
#define PF_COMMON_FILE_INPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>
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
int pf_input_file_open(int folder, const char *path, const char *what, struct stat *status,
                       PfError *err);

/* The same without words: -1 with errno, which is EINVAL, and *status says what it is, where that
 * is no regular file. */
int pf_input_file_try(int folder, const char *path, struct stat *status);

/* "a file" for a regular one, else "a folder", "a named pipe", "a device", "a socket". */
const char *pf_input_file_kind(const struct stat *status);

/* The whole text of a small file, malloc'ed, with a zero behind it; NULL with a failure, also where
 * it has more than `limit` bytes. what: as above. *size: its bytes; may be NULL. */
char *pf_input_file_read_text(const char *path, const char *what, off_t limit, size_t *size,
                              PfError *err);

/* ---- mapped into memory ---- */

/* A file that becomes shorter while it is mapped ends the program by SIGBUS where its lost part is
 * looked at. Of files that are mapped here the program says so before it ends: "'FILE' became
 * shorter while it was read", with exit code 1. */

/* Refuses a large file that is made of holes, as downloads are that broke off: it would be read as
 * gigabytes of zeros. The message is a reason without the path: "of its 17 GB only 12 KB are on the
 * disk, the rest are holes". */
int pf_input_file_check_holes(int fd, off_t size, PfError *err);

/* Maps all of an open file, for reading, unless it is made of holes. status: fstat's of fd, of a
 * regular file; what: "weights", for messages. An empty file gives *bytes NULL. */
int pf_input_file_map(int fd, const struct stat *status, const char *what, const char *path,
                      const void **bytes, PfError *err);
void pf_input_file_unmap(const void *bytes, size_t size);

/* ---- what a file is, told by its bytes ---- */

#define PF_FILE_CONTENT_BYTES (64 * 1024)

/* The beginning and the end of a file. */
typedef struct PfFileContent {
    size_t size, end_size; /* bytes of begin, of end */
    unsigned char begin[PF_FILE_CONTENT_BYTES], end[PF_FILE_CONTENT_BYTES];
} PfFileContent;

/* Reads them, of a regular file. NULL on failure; size 0 of what is not there, is empty or is no
 * regular file. To be freed with free. */
PfFileContent *pf_file_content_read(const char *path, PfError *err);

/* "a JPEG image", "an HDF5 file", "text", ...; static. */
const char *pf_file_content_name(const PfFileContent *content);

bool pf_file_content_is_hdf5(const PfFileContent *content);
/* The same of a path, of which no more than that is read: false of what cannot be opened. */
bool pf_input_file_is_hdf5(const char *path);
/* The JSON header of a .safetensors file, as far as it was read, *size bytes of it; NULL of others.
 */
const char *pf_file_content_safetensors(const PfFileContent *content, size_t *size);
/* Whether all that was read of the beginning is text, which may be UTF-8. */
bool pf_file_content_is_text(const PfFileContent *content);
/* The first byte of a text that is no blank; 0 where there is none. */
char pf_file_content_first_letter(const PfFileContent *content);
/* Whether the words are in the beginning, or in the end. */
bool pf_file_content_begin_has(const PfFileContent *content, const char *words);
bool pf_file_content_end_has(const PfFileContent *content, const char *words);

#ifdef __cplusplus
}
#endif

#endif
