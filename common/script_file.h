/* TorchScript files are programs: each is read once, so that the bytes that run are those whose
 * SHA-256 was looked at, whatever happens to the file meanwhile. */
#ifndef PF_SCRIPT_FILE_H
#define PF_SCRIPT_FILE_H

#include "file_stamp.h"
#include "permafrost/script.h"

typedef struct PfScriptFile {
    char *path; /* as it was named */
    char sha256[PF_SHA256_TEXT_SIZE];
    PfFileStamp stamp; /* mtime_ns 0 where it tells nothing */
    void *bytes;       /* size of them; NULL until they are needed, where the digest was known */
    size_t size;
} PfScriptFile;

/* Whether a --backbone on the command line means a file: it has a slash, or ends in .pt. */
int pf_script_file_is_meant(const char *backbone);

/* Reads a regular file, or takes its digest from `known` (may be NULL). Free with
 * pf_script_file_free. */
int pf_script_file_open(const char *path, const PfKnownSha256 *known, PfScriptFile **out,
                        PfError *err);

/* Lends path and bytes, which are read where they are not there yet. Fails where the file has
 * another digest by now. Nothing is lent of NULL. */
int pf_script_file_lend(PfScriptFile *script, PfScript *out, PfError *err);

void pf_script_file_free(PfScriptFile **script);

#endif
