/* Text in other encodings than UTF-8, by the C library's iconv. */
#ifndef PF_COMMON_FILE_TEXT_ENCODING_H
#define PF_COMMON_FILE_TEXT_ENCODING_H

#include <stddef.h>

#include "permafrost/error.h"

/* The number of bytes at the beginning that are whole UTF-8 characters. */
size_t pf_text_encoding_utf8_length(const char *text, size_t size);

/* Whether there is an encoding of that name: an iconv name, or a way in which Python spells it. */
int pf_text_encoding_check(const char *encoding, PfError *err);

/* size bytes as UTF-8, malloc'ed, with a NUL behind them. -1 with *bad where a byte at that
 * place is none of the encoding's; then err is left alone. -1 with *bad == size for all else. */
int pf_text_encoding_to_utf8(const char *encoding, const char *text, size_t size, char **out,
                             size_t *out_size, size_t *bad, PfError *err);

#endif
