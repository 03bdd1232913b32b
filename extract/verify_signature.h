/* A digest that came by another way than the cache: --verify --signature. */
#ifndef PF_VERIFY_SIGNATURE_H
#define PF_VERIFY_SIGNATURE_H

#include "permafrost/error.h"

/* That the SHA-256 of the file `path` is the one that the file `signature`, as sha256sum writes
 * it, has: in its only line, or in that with the file's name. */
int pf_signature_check(const char *signature, const char *path, PfError *err);

#endif
