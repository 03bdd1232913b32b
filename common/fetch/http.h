/* Requests by HTTP. Certificates are checked, redirections are followed here and lead to https
 * alone, unless the first address is http itself, and a token or a signature goes to the first
 * address's host and to no other. Proxies are those of the environment (https_proxy, http_proxy,
 * no_proxy). */
#ifndef PF_COMMON_FETCH_HTTP_H
#define PF_COMMON_FETCH_HTTP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

#define PF_HTTP_TEXT_SIZE 256

/* What a server has said. Texts that do not fit are "". */
typedef struct PfHttpResponse {
    long status;
    char etag[PF_HTTP_TEXT_SIZE];        /* without quotes and W/ */
    bool is_weak;                        /* of the etag: W/ */
    char linked_etag[PF_HTTP_TEXT_SIZE]; /* X-Linked-Etag, of the first that had one; the same */
    char commit[PF_HTTP_TEXT_SIZE];      /* X-Repo-Commit, likewise */
    char reason[PF_HTTP_TEXT_SIZE];      /* X-Error-Code: "GatedRepo"; S3's <Code> */
    char modified[PF_HTTP_TEXT_SIZE];    /* Last-Modified */
    char region[PF_HTTP_TEXT_SIZE];      /* x-amz-bucket-region */
    int64_t linked_size;                 /* X-Linked-Size, or -1 */
    int64_t length;                      /* of the body, or -1 */
    int64_t first, total;                /* Content-Range; -1 where there is none, or no number */
} PfHttpResponse;

/* By whom a request of S3 is signed, with AWS's Signature Version 4. */
typedef struct PfHttpSigner {
    const char *key, *secret;
    const char *session; /* X-Amz-Security-Token; NULL: none */
    const char *region;
} PfHttpSigner;

typedef struct PfHttpRequest {
    const char *url;
    const char *token;          /* "Authorization: Bearer ..."; NULL: none */
    const PfHttpSigner *signer; /* NULL: none. It goes where a token goes */
    bool is_head; /* headers alone, and not beyond a redirection that has X-Linked-Etag */
    int64_t from; /* > 0: only the bytes from there on */
    int64_t most; /* > 0: only so many bytes from the first on; the rest is not waited for */
    const char *if_range; /* an etag; where the file has another one all of it is wanted. NULL: as
                             it is */
    const char *if_range_date; /* the same by Last-Modified, where there is no if_range */
    /* Called once the headers of a body with status 200 or 206 are there, and then for its bytes.
     * They return 0, or -1 with err, which ends the request. */
    int (*begin)(void *context, const PfHttpResponse *response, PfError *err);
    int (*take)(void *context, const void *bytes, size_t size, PfError *err);
    void *context;
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} PfHttpRequest;

typedef enum PfHttpOutcome {
    PF_HTTP_ANSWERED, /* with any status; of other bodies than those of 200 and 206 nothing is kept
                       */
    PF_HTTP_BROKEN,   /* no connection, or it broke off: may be better the next time */
    PF_HTTP_REFUSED,  /* would fail again; or the caller's functions have failed */
} PfHttpOutcome;

/* err is filled unless it is answered. */
PfHttpOutcome pf_http_perform(const PfHttpRequest *request, PfHttpResponse *response, PfError *err);

/* Waits a moment before the try of that number (1: the second), longer from time to time. Returns
 * -1 where it is interrupted. */
int pf_http_wait(int tries, const volatile sig_atomic_t *interrupted, PfError *err);

#endif
