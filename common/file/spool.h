/* Bytes that are written one after the other and then read again from the first on: few of them
 * stay in memory, many go into a file without a name. */
#ifndef PF_COMMON_FILE_SPOOL_H
#define PF_COMMON_FILE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

/* A file for reading and writing that is gone with its descriptor. -1 and errno where the folder
 * cannot have one. */
int pf_spool_temporary_file(const char *folder);

typedef struct PfSpool {
    const char *folder; /* for the file; lent */
    bool has_file;      /* many bytes were written */
    bool is_read;       /* from now on */
    int fd;
    unsigned char *buffer;
    size_t used, capacity; /* of the buffer */
    int64_t size;          /* all bytes that were written */
    size_t at;             /* reading: the next byte of the buffer */
} PfSpool;

/* Nothing is opened or allocated yet. Free it. */
PfSpool pf_spool_begin(const char *folder);
int pf_spool_append(PfSpool *spool, const void *bytes, size_t size, PfError *err);
/* Begins to read, or begins again; nothing is appended any more. */
int pf_spool_rewind(PfSpool *spool, PfError *err);
/* The next `size` bytes, as many as were written at least. */
int pf_spool_read(PfSpool *spool, void *out, size_t size, PfError *err);
void pf_spool_free(PfSpool *spool);

#endif
