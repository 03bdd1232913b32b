/* Numbers of bytes in words, and back: "12.3 GB", "512M". Units are powers of 1000. */
#ifndef PF_COMMON_BASE_SIZE_TEXT_H
#define PF_COMMON_BASE_SIZE_TEXT_H

#include <stdint.h>

#include "permafrost/error.h"

/* "12.3 MB" into text, which is returned. */
#define PF_SIZE_TEXT 24
const char *pf_size_text(int64_t bytes, char text[PF_SIZE_TEXT]);

/* A positive number with K, M, G or T behind it, and a B behind that or not; without any, of
 * bytes. what names it in errors. */
int pf_size_text_parse(const char *what, const char *text, int64_t *bytes, PfError *err);

#endif
