/* Zip archives as torch.save writes them: entries stored, not compressed, so
 * that they are used where they are mapped. Zip64 included. */
#ifndef PF_WEIGHTS_ZIP_H
#define PF_WEIGHTS_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

typedef struct PfZipEntry {
    const char *name; /* not terminated by a zero; points into the archive */
    size_t name_size;
    uint64_t header_offset, size_bytes;
    int is_plain; /* neither compressed nor encrypted */
} PfZipEntry;

typedef struct PfZip {
    const char *source; /* names the file in messages */
    const uint8_t *bytes;
    size_t size;
    PfZipEntry *entries; /* sorted by name */
    size_t entry_count;
} PfZip;

/* Reads the central directory of the archive in bytes, which must outlive
 * *zip. Free with pf_zip_close, also after a failure. */
int pf_zip_open(const char *source, const uint8_t *bytes, size_t size, PfZip *zip, PfError *err);
void pf_zip_close(PfZip *zip);

/* NULL if there is none. */
const PfZipEntry *pf_zip_find(const PfZip *zip, const char *name, size_t name_size);
/* Where the entry's bytes are; checks that they lie inside the archive. */
int pf_zip_data(const PfZip *zip, const PfZipEntry *entry, const uint8_t **data, PfError *err);

#endif
