/* What a file is, told by its bytes. */
#ifndef PF_FILE_CONTENT_H
#define PF_FILE_CONTENT_H

#include <stddef.h>

#include "permafrost/error.h"

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

int pf_file_content_is_hdf5(const PfFileContent *content);
/* The JSON header of a .safetensors file, as far as it was read, *size bytes of it; NULL of others.
 */
const char *pf_file_content_safetensors(const PfFileContent *content, size_t *size);
/* Whether all that was read of the beginning is text, which may be UTF-8. */
int pf_file_content_is_text(const PfFileContent *content);
/* The first byte of a text that is no blank; 0 where there is none. */
char pf_file_content_first_letter(const PfFileContent *content);
/* Whether the words are in the beginning, or in the end. */
int pf_file_content_begin_has(const PfFileContent *content, const char *words);
int pf_file_content_end_has(const PfFileContent *content, const char *words);

#endif
