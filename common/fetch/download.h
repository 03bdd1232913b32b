/* One file from an address into a folder: into an unfinished part first, which is gone on with
 * where a connection broke off or a run was ended, then checked and renamed. */
#ifndef PF_COMMON_FETCH_DOWNLOAD_H
#define PF_COMMON_FETCH_DOWNLOAD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/digest.h"
#include "common/fetch/http.h"
#include "permafrost/error.h"

typedef struct PfDownload PfDownload;

struct PfDownload {
    const char *url;
    const char *name;           /* for the progress line: "model.safetensors" */
    const char *token;          /* NULL: none */
    const PfHttpSigner *signer; /* NULL: none */
    const char *path;           /* where the file goes; folders are made */
    const char *part;           /* the unfinished one, in the same folder */
    const char *sha256;   /* hex digits that its SHA-256 begins with, 8 or 64; NULL: not known */
    const char *etag;     /* of the version that a part is of; NULL: not known */
    const char *modified; /* the same by Last-Modified, where there is no etag */
    bool is_fixed;        /* the version of etag, modified and size, and no other: an error that it
                             has changed, where else what is there now would be fetched */
    int64_t size;         /* -1: not known */
    const volatile sig_atomic_t *interrupted; /* may be NULL */
    /* Fills err for a status that is no success; NULL: pf_download_refused does. */
    void (*refused)(const PfDownload *download, const PfHttpResponse *response, PfError *err);
};

/* Fetches it, unless it is there by now: another program may be fetching it, and is waited for. A
 * part is gone on with where sha256, etag or modified says that the whole will be one version.
 * Writes the file's SHA-256, or "" where another program has made it. */
int pf_download(const PfDownload *download, char sha256[PF_SHA256_TEXT_SIZE], PfError *err);

/* Makes the folders that the path lies in. */
int pf_download_make_folders(const char *path, PfError *err);

/* The failure of a status that is no success, in words that say what to do. gated: where a licence
 * is accepted that the server wants to see accepted; NULL: it does not ask for that. */
int pf_download_refused(const char *url, const PfHttpResponse *response, bool has_token,
                        const char *gated, PfError *err);
/* Whether a status may be another one the next time. */
bool pf_download_may_be_better(long status);

#define PF_DOWNLOAD_TRIES 4 /* without any progress */

#endif
