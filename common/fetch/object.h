/* Files of datasets on servers: what there is at an address, and that version of it into a file.
 * Only what somebody has typed is to be asked for. */
#ifndef PF_COMMON_FETCH_OBJECT_H
#define PF_COMMON_FETCH_OBJECT_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fetch/s3.h"

/* What lies at an address now. */
typedef struct PfObject {
    char *shown; /* the address, for messages: without passwords and signatures */
    char *url;
    const PfHttpSigner *signer; /* NULL: nobody signs; lent */
    int64_t size;               /* bytes; -1: the server does not say */
    char *etag;                 /* one that tells versions apart, without quotes; NULL: none */
    char *modified;             /* Last-Modified, as the server writes it; NULL: it says nothing */
} PfObject;

#define PF_OBJECT_HEAD_BYTES 512

/* Looks at https://, http:// or s3://, whose server and keys are s3's, which outlives it. head: the
 * first bytes, so many of them as *head_size says. Asks for these by a GET with a range, as
 * addresses that are signed beforehand allow no HEAD; tries again where the server is busy. Free it
 * on failure too. */
int pf_object_look(const char *address, const PfS3 *s3, const volatile sig_atomic_t *interrupted,
                   PfObject *object, uint8_t head[PF_OBJECT_HEAD_BYTES], size_t *head_size,
                   PfError *err);
void pf_object_free(PfObject *object);

/* The version that was looked at into the file `path`, of which `path`.incomplete is what has come;
 * goes on where a connection broke off or a run was ended, as far as the server tells versions
 * apart and sends parts. Does nothing where the file is there, in its size. Another version is an
 * error. */
int pf_object_fetch(const PfObject *object, const char *path,
                    const volatile sig_atomic_t *interrupted, PfError *err);

#endif
