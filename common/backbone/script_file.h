/* TorchScript files are programs: each is read once, so that the bytes that run are those whose
 * SHA-256 was looked at, whatever happens to the file meanwhile. What a model or a cache names runs
 * only where the user trusts it. */
#ifndef PF_COMMON_BACKBONE_SCRIPT_FILE_H
#define PF_COMMON_BACKBONE_SCRIPT_FILE_H

#include <stdbool.h>

#include "common/file/file_stamp.h"
#include "permafrost/script.h"

typedef struct PfScriptFile {
    char *path; /* as it was named */
    char sha256[PF_SHA256_TEXT_SIZE];
    PfFileStamp stamp; /* mtime_ns 0 where it tells nothing */
    void *bytes;       /* size of them; NULL until they are needed, where the digest was known */
    size_t size;
} PfScriptFile;

/* Whether a --backbone on the command line means a file: it has a slash, or ends in .pt. */
bool pf_script_file_is_meant(const char *backbone);

/* Reads a regular file, or takes its digest from `known` (may be NULL). Free with
 * pf_script_file_free. */
int pf_script_file_open(const char *path, const PfFileStampSha256 *known, PfScriptFile **out,
                        PfError *err);

/* Lends path and bytes, which are read where they are not there yet. Fails where the file has
 * another digest by now. Nothing is lent of NULL. */
int pf_script_file_lend(PfScriptFile *script, PfScript *out, PfError *err);

void pf_script_file_free(PfScriptFile **script);

/* ---- which may run because a model or a cache names them ----
 *
 * The user's list is $XDG_STATE_HOME/permafrost/trusted (default
 * ~/.local/state/permafrost/trusted), mode 0600, a line "<sha256>  <absolute path>" for each file,
 * as sha256sum -c reads it. Only --trust FILE.pt writes it. */

/* Puts the file into the list, which is made where there is none, and says so. */
int pf_script_file_trust(const char *path, PfError *err);

/* --trust is all that its command does: operands beside it are refused. */
int pf_script_file_check_trust_operands(int count, PfError *err);

/* Opens the TorchScript file that something else than the command line names; by: what does, like
 * "model 'head.safetensors'". Fails with the commands that would allow it unless the list holds its
 * absolute path and the digest of the bytes that were read; a list that others can write is not
 * believed. */
int pf_script_file_open_trusted(const char *path, const char *by, PfScriptFile **out, PfError *err);

#endif
