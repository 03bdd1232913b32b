/* Addresses in the place of files: https://, http://, s3://. */
#ifndef PF_COMMON_BASE_ADDRESS_H
#define PF_COMMON_BASE_ADDRESS_H

#include <stdbool.h>

#include "permafrost/error.h"

/* Whether the text is one, by how it begins. */
bool pf_address_is(const char *text);
bool pf_address_is_s3(const char *text);

/* It without what may be a secret, for messages and for files: without a name and a password before
 * the host, and, of http and https, without all that follows a '?' or '#', where signatures stand.
 * Another text stays as it is. malloc'ed. */
char *pf_address_shown(const char *text, PfError *err);

#endif
